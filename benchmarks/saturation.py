"""What counting saturated gates costs, in percent of what runs without.

    python -P benchmarks/saturation.py [--cells NAME,...] [--sizes BxTxH,...] [--rounds N]

`saturation=True` of a call that keeps a tape, of one that does not, of forward and backward together, and of a stream
that is fed step by step. float32; contestants take turns, medians.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from contest.choices import sizes, whole
from memories import measured

import pylstm


def row(cell: str, B: int, T: int, H: int, rounds: int) -> str:
    """A row of the table."""
    rng = np.random.default_rng(0)
    layer = pylstm.Recurrent(cell, H, H, seed=0)
    x, dy = (rng.normal(size=(T, B, H)).astype("float32") for _ in range(2))
    streams = {each: layer.stream(B, saturation=each) for each in (False, True)}

    def steps(saturation: bool) -> None:
        step = streams[saturation].step
        for x_t in x:
            step(x_t)

    calls: dict[str, Callable[[bool], Any]] = {
        "forward": lambda each: layer(x, saturation=each),
        "without a tape": lambda each: layer(x, tape=False, saturation=each),
        "training": lambda each: layer(x, saturation=each).backward(dy),
        "stream": steps,
    }
    times = measured(
        {(name, each): lambda call=call, each=each: call(each) for name, call in calls.items() for each in streams},
        rounds,
    )
    more = (100 * (times[name, True] / times[name, False] - 1) for name in calls)
    return f"| {cell} | {B} | {T} | {H} | {times['forward', False] * 1e3:.3f} |" + "".join(f" {n:.1f} |" for n in more)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default="lstm,gru,rnn_tanh,mingru", help="names")
    parser.add_argument("--sizes", type=sizes("BTH", "32x100x64"), help="BxTxH,...")
    parser.add_argument("--rounds", type=whole(2), default=101, help="the first does not count")
    args = parser.parse_args(arguments)
    columns = "cell | B | T | H | forward, ms | forward, % | without a tape, % | training, % | stream, %"
    print(f"| {columns} |\n|" + " --- |" * 9)
    for each in args.sizes or [(32, 100, 64), (32, 100, 256), (1, 100, 32)]:
        for cell in args.cells.split(","):
            print(row(cell, *each, args.rounds), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
