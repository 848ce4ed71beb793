"""Derivatives along a direction and gradients by row, beside a forward pass and a gradient.

    python -P benchmarks/tangents.py [--cells NAME,...] [--sizes BxTxH,...] [--rounds N]

`run.jvp` along a direction of the input, of the parameters, and of these and the initial states, beside the call of the
layer that made the run, which keeps what backward needs; `run.hvp` of the input and `row_gradients` beside forward and
backward together. float32; contestants take turns, medians.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from contest.choices import sizes, whole
from memories import measured

import pylstm
from pylstm.diagnostics import row_gradients


def row(cell: str, B: int, T: int, H: int, rounds: int) -> str:
    """A row of the table, checked first: the row gradients add up, jvp is the transpose of backward."""
    rng = np.random.default_rng(0)
    layer = pylstm.Recurrent(cell, H, H, seed=0)
    x, dx = (rng.normal(size=(T, B, H)).astype("float32") for _ in range(2))
    run = layer(x)
    dy = rng.normal(size=run.y.shape).astype("float32")
    grads, direction, dparams = run.backward(dy), {"dx": dx}, dict(layer.params)
    dinitial = {name: rng.normal(size=value.shape).astype("float32") for name, value in run.final.items()}
    along = np.vdot(run.jvp(dx).y.astype("float64"), dy)
    if abs(along - np.vdot(grads.x.astype("float64"), dx)) > 1e-3 * np.linalg.norm(grads.x) * np.linalg.norm(dx):
        raise SystemExit(f"{cell}: jvp is not the transpose of backward")
    rows = sum(each.sum(axis=0).ravel() @ grads.params[name].ravel() for name, each in row_gradients(run, dy).items())
    if not np.isclose(rows, grads.params.flat @ grads.params.flat, rtol=1e-2):
        raise SystemExit(f"{cell}: the gradients of the rows do not add up")
    times = measured(
        {
            "forward": lambda: layer(x),
            "gradient": lambda: layer(x).backward(dy),
            "jvp": lambda: run.jvp(dx),
            "parameters": lambda: run.jvp(dparams=dparams),
            "all": lambda: run.jvp(dx, dinitial, dparams),
            "hvp": lambda: run.hvp(dy, direction=direction),
            "rows": lambda: row_gradients(layer(x), dy),
        },
        rounds,
    )
    forward, gradient = times["forward"], times["gradient"]
    return (
        f"| {cell} | {B} | {T} | {H} | {forward * 1e3:.2f} | "
        f"{times['jvp'] / forward:.2f} | {times['parameters'] / forward:.2f} | {times['all'] / forward:.2f} | "
        f"{gradient * 1e3:.2f} | {times['hvp'] / gradient:.2f} | {times['rows'] / gradient:.2f} |"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default="lstm,gru,rnn_tanh,mingru", help="names")
    parser.add_argument("--sizes", type=sizes("BTH", "32x100x64"), help="BxTxH,...")
    parser.add_argument("--rounds", type=whole(2), default=15, help="the first does not count")
    args = parser.parse_args(arguments)
    columns = "cell | B | T | H | forward, ms | jvp dx | dparams | all | gradient, ms | hvp | by row"
    print(f"| {columns} |\n|" + " --- |" * 11)
    for each in args.sizes or [(32, 100, 64), (8, 100, 256), (1, 100, 32)]:
        for cell in args.cells.split(","):
            print(row(cell, *each, args.rounds), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
