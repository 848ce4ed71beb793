"""Training and inference of LSTMs whose matrices have a structure, beside the plain one.

``blocks x+h`` has both matrices in 8 blocks, ``blocks h`` the recurrent one, and so on. Medians; all take turns.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from contest.choices import sizes, whole
from memories import measured

import pylstm
from pylstm.cells import LSTM


def lower(size: Any) -> np.ndarray:
    """Eight modules, each of which sees itself and those before it."""
    module = np.arange(size.hidden_size) * 8 // size.hidden_size
    return module[:, None] >= module


STRUCTURES: dict[str, dict[str, Any]] = {
    "blocks x+h": {"x": "blocks(8)", "h": "blocks(8)"},
    "blocks h": {"h": "blocks(8)"},
    "diagonal h": {"h": "diagonal"},
    "mask h": {"h": lower},
    "tied h": {"h": "tied"},
    "low rank h": {"h": "low_rank(32)"},
    "orthogonal h": {"h": "orthogonal"},
}


def cell_of(structure: dict[str, Any]) -> type[LSTM]:
    """The LSTM with this structure."""
    return type("Structured", (LSTM,), {"structure": structure})


def case(B: int, T: int, H: int, inputs: int, rounds: int) -> list[str]:
    """Rows of the table: milliseconds of training and inference, and how many times faster than the plain LSTM."""
    x = np.random.default_rng(0).normal(size=(T, B, inputs)).astype("float32")
    layers = {name: pylstm.Recurrent(cell_of(each), inputs, H, seed=0) for name, each in STRUCTURES.items()}
    layers = {"whole": pylstm.LSTM(inputs, H, seed=0), **layers}
    dy = np.ones((T, B, H), "float32")
    for name, layer in layers.items():
        plain = pylstm.LSTM(inputs, H, seed=0)
        for key, array in plain.params.items():
            array[...] = layer.params[key] if key == "bias" else layer.matrix(key.removeprefix("weight_"))
        if not (layer(x).y == plain(x).y).all():
            raise SystemExit(f"{name}: differs from the LSTM with its matrices")

    def trained(layer: Any) -> Any:
        return lambda: layer(x).backward(dy)

    def run(layer: Any) -> Any:
        return lambda: layer(x, tape=False)

    train = measured({name: trained(layer) for name, layer in layers.items()}, rounds)
    infer = measured({name: run(layer) for name, layer in layers.items()}, rounds)
    return [
        f"| {name} | {B} | {T} | {H} | {inputs} | {train[name] * 1e3:.2f} | {train['whole'] / train[name]:.1f} | "
        f"{infer[name] * 1e3:.2f} | {infer['whole'] / infer[name]:.1f} |"
        for name in layers
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=sizes("BTHI", "32x100x512x64"), help="BxTxHxI,...")
    parser.add_argument("--rounds", type=whole(2), default=7, help="the first does not count")
    args = parser.parse_args(arguments)
    print("| matrices | B | T | H | I | training, ms | times faster | inference, ms | times faster |\n|" + " --- |" * 9)
    cases = [(32, 100, 512, 512), (1, 100, 512, 512), (32, 100, 512, 64), (1, 100, 512, 64)]
    for each in args.sizes or cases:
        print("\n".join(case(*each, args.rounds)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
