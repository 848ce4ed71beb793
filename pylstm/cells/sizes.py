"""Sizes at which a cell is looked at when no layer says any: those that the groups of its formula divide."""

from __future__ import annotations

from typing import Any

INPUT_SIZE, HIDDEN_SIZE = 4, 5
MOST_UNITS = 64


def usual_sizes(cell: Any, **given: int) -> dict[str, int]:
    """Values for all sizes of `cell`: those given, else 4 inputs and 5 units, or the next number of units that fits."""
    contract = cell.contract
    needed = {name: 6 + k for k, (name, default) in enumerate(contract.sizes.items()) if default is None}
    sizes = {"input_size": INPUT_SIZE, "hidden_size": HIDDEN_SIZE, **needed, **given}
    return sizes if "hidden_size" in given else fitting(cell, sizes)


def fitting(cell: Any, sizes: dict[str, int]) -> dict[str, int]:
    """The sizes, with so many units, or the next number of them, that the groups of the formula of `cell` divide."""
    derivation = cell.__dict__.get("_derivation")
    if derivation is None or not derivation.sized:
        return sizes
    for units in range(sizes["hidden_size"], MOST_UNITS):
        fit = sizes | {"hidden_size": units}
        if not derivation.wrong_groups(cell.contract.resolve(**fit).sizes):
            return fit
    return sizes
