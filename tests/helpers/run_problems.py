"""A run of every registered cell with inputs in which no term vanishes, and forms of its call."""

from __future__ import annotations

import numpy as np

import pylstm
from pylstm.plugins import registry

NAMES = registry().names()
T, B, I, H = 6, 3, 4, 5


def draw(*shape, seed=0, low=None):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) if low is None else rng.uniform(low, 1.5, size=shape)


def problem(cell, **options):
    contract = (registry().get(cell) if isinstance(cell, str) else cell).contract
    sizes = {name: H - 1 for name, default in contract.sizes.items() if default is None}
    layer = pylstm.Recurrent(cell, I, H, dtype="float64", seed=1, **sizes, **options)
    call = {"initial": {name: draw(B, layer.widths[name], seed=k, low=0.5) for k, name in enumerate(contract.states)}}
    if set(contract.aux) - {"x"}:
        call["aux"] = {name: draw(T, B, layer.widths[name], low=0.5) for name in contract.aux if name != "x"}
    return layer, draw(T, B, I), call, draw(T, B, layer.output_size, seed=9)


FORMS = {
    "plain": {},
    "reset": {"reset": np.random.default_rng(3).random((T, B)) < 0.4},
    "ragged": {"lengths": [6, 2, 0]},
    "pre": {"pre": {"h": draw(T, B, 1, low=0.5)}, "blend": {"h": draw(T, B, H, low=0.2)}},
}
