"""Sizes at which a cell is looked at when no layer says any: those that the groups of its formula divide."""

from __future__ import annotations

from itertools import product
from typing import Any

from pylstm.cells.contracts.matrices import misfit

INPUT_SIZE, HIDDEN_SIZE = 4, 5
MOST_MORE = 64


def usual_sizes(cell: Any, **given: int) -> dict[str, int]:
    """Values for all sizes of `cell`: those given, else 4 inputs and 5 units, or the next number of units that fits."""
    contract = cell.contract
    needed = {name: 6 + k for k, (name, default) in enumerate(contract.sizes.items()) if default is None}
    sizes = {"input_size": INPUT_SIZE, "hidden_size": HIDDEN_SIZE, **needed, **given}
    return sizes if "hidden_size" in given else fitting(cell, sizes)


def fitting(cell: Any, sizes: dict[str, int], *, inputs: bool = True) -> dict[str, int]:
    """The sizes, with the next number of units, and of `inputs`, that fit the groups of the formula and the structures.

    As they are where no number does.
    """
    derivation = cell.__dict__.get("_derivation")
    grouped = derivation is not None and derivation.sized
    if not grouped and not cell.contract.structure:
        return sizes
    units, width = sizes["hidden_size"], sizes["input_size"]
    more = MOST_MORE if inputs and "x" in cell.contract.structure else 1
    for H, I in product(range(units, units + MOST_MORE), range(width, width + more)):
        fit = sizes | {"hidden_size": H, "input_size": I}
        widths = cell.contract.resolve(**fit)
        wrong = misfit(cell.name, cell.contract.matrices(widths))
        if not wrong and not (grouped and derivation.wrong_groups(widths.sizes)):
            return fit
    return sizes
