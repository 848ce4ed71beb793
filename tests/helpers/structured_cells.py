"""Cells whose matrices have a structure, and the plain cells with the same formulas."""

from __future__ import annotations

import numpy as np

from pylstm.cells import LSTM, Cell, Stage, sigmoid, tanh


def wiring(size):
    """Pairs of units see themselves and all later pairs: rectangles."""
    pair = np.arange(size.hidden_size) // 2
    return pair[:, None] <= pair


def scattered(size):
    """No rectangles."""
    unit = np.arange(size.hidden_size)
    return (7 * unit[:, None] + 11 * unit) % 5 < 2


class Staged(Cell):
    """A source that is an emission."""

    name = "staged"
    states = ("h",)
    gates = {"z": "x+h", "r": "x+h", "n": "x+rh"}
    stages = (Stage("reset", ("z", "r"), ("rh",)), Stage("new", ("n",)))

    def forward_reset(z, prev):
        return {"rh": sigmoid(z.r) * prev.h}

    def forward_new(z, prev, e):
        return {"h": prev.h + 0.5 * (tanh(z.n) - prev.h) + 0.1 * e.rh}


NATIVE = {
    "blocks": "blocks(2)",
    "as many blocks as heads": "blocks(heads)",
    "diagonal": "diagonal",
    "rectangles": wiring,
    "tied": "tied",
    "tied blocks": "tied blocks(2)",
    "tied diagonal": "tied diagonal",
}
MADE = {
    "scattered": scattered,
    "low rank": "low_rank(heads)",
    "antisymmetric": "antisymmetric",
    "orthogonal": "orthogonal",
    "tied low rank": "tied low_rank(3)",
    "tied orthogonal": "tied orthogonal",
}
ALL = NATIVE | MADE


def structured(kind, where=("h",), base=LSTM):
    """`base` with matrices of a kind of `ALL`."""
    name = f"{base.name}_{'_'.join([kind, *where]).replace(' ', '_')}"
    return type(name, (base,), {"name": name, "structure": dict.fromkeys(where, ALL[kind]), "sizes": {"heads": 4}})


def whole(layer, base):
    """A layer of the plain cell with the same matrices."""
    from pylstm import Recurrent

    plain = Recurrent(
        base, layer.input_size, layer.hidden_size, dtype=layer.dtype, seed=0, batch_first=layer.batch_first
    )
    for name, array in plain.params.items():
        array[...] = layer.matrix(name[7:]) if name.startswith("weight_") else layer.params[name]
    return plain
