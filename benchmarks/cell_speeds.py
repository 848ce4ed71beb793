"""Training time of every registered cell beside that of the LSTM: the column of the gallery.

    python -P benchmarks/cell_speeds.py [--cells NAME,...] [--size BxTxIxH] [--rounds N] [--save docs/speeds.json]

A pass is forward and backward from the input on, float32, one thread; cell and LSTM take turns, the least of N rounds
of each. A size of a cell that has no default is 32, as in the gallery. The file has the machine, the size and the
ratios.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from contest import machine
from contest.choices import chosen, sizes, whole

import pylstm
from pylstm import plugins


def layer_of(cell: type[pylstm.Cell], I: int, H: int) -> Any:
    needed = {name: 32 for name, default in cell.contract.sizes.items() if default is None}
    return pylstm.Recurrent(cell.name, I, H, seed=0, **needed)


def aux_of(layer: Any, T: int, B: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Inputs that are not projected, such as the time since the step before: between 0.1 and 0.9."""
    shapes = {name: (T, B, layer.widths[name]) for name in layer.cell.contract.aux if name != "x"}
    return {name: rng.uniform(0.1, 0.9, shape).astype("float32") for name, shape in shapes.items()}


def a_pass(layer: Any, x: np.ndarray) -> Callable[[], Any]:
    T, B, _ = x.shape
    rng = np.random.default_rng(1)
    aux = aux_of(layer, T, B, rng)
    given = {"aux": aux} if aux else {}
    dy = rng.normal(size=layer(x, **given).y.shape).astype("float32")
    return lambda: layer(x, **given).backward(dy)


def least(calls: list[Callable[[], Any]], rounds: int) -> list[float]:
    """Seconds of each, in turn."""
    found = [np.inf] * len(calls)
    for _ in range(rounds):
        for k, call in enumerate(calls):
            begin = time.perf_counter()
            call()
            found[k] = min(found[k], time.perf_counter() - begin)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", help="names, separated by commas; default all")
    parser.add_argument("--size", type=sizes("BTIH", "16x64x32x64"), default=[(16, 64, 32, 64)], help="BxTxIxH")
    parser.add_argument("--rounds", type=whole(2), default=20, help="default 20")
    parser.add_argument("--save", type=Path, help="file of the ratios")
    options = parser.parse_args(arguments)
    pylstm.set_num_threads(1)
    B, T, I, H = options.size[0]
    cells = {entry.cell.name: entry.cell for entry in plugins.registry().entries()}
    x = np.random.default_rng(0).normal(size=(T, B, I)).astype("float32")
    lstm, ratios = a_pass(pylstm.LSTM(I, H, seed=0), x), {}
    print("| cell | ms | beside LSTM |\n|" + " --- |" * 3)
    for name in chosen(parser, "--cells", options.cells, sorted(cells)):
        ours, its = least([a_pass(layer_of(cells[name], I, H), x), lstm], options.rounds)
        ratios[name] = 1.0 if name == "lstm" else round(ours / its, 2)
        print(f"| {name} | {ours * 1e3:.2f} | {ratios[name]:.2f} |", flush=True)
    if options.save:
        size = {"B": B, "T": T, "I": I, "H": H}
        found = {"machine": machine.sentence(machine.describe(())), "size": size, "ratios": ratios}
        options.save.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
