"""Constants of a cell in the parameters of a layer: where they stand, and their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pylstm.cells.contracts.constants import constant_value
from pylstm.cells.contracts.contract import Contract
from pylstm.cells.widths import Widths

Rows = dict[str, list[tuple[int, int]]]


def _places(contract: Contract, widths: Widths) -> Iterator[tuple[str, str, int, int]]:
    """Every constant by name, the parameter that it is in, and its rows, from the first to before the last."""
    for name in contract.constants:
        whole, _, gate = name.partition(".")
        if whole.startswith("factor_"):
            matrix = contract.matrices(widths)[whole.removeprefix("factor_")]
            yield name, whole, 0, matrix.shapes()[whole][0]
            continue
        if not whole.startswith("weight_"):
            yield name, whole, 0, widths[whole]
            continue
        at, source = 0, whole.removeprefix("weight_")
        for each, rows in zip(contract.gates_of(source), contract.matrices(widths)[source].stored):
            if gate in ("", each):
                yield name, whole, at, at + rows
            at += rows


def constant_rows(contract: Contract, widths: Widths) -> Rows:
    """Parameter -> rows that are constants, in order, those that meet as one."""
    found: Rows = {}
    for _, whole, first, last in sorted(_places(contract, widths), key=lambda place: place[1:]):
        rows = found.setdefault(whole, [])
        if rows and rows[-1][1] == first:
            first = rows.pop()[0]
        rows.append((first, last))
    return found


def set_constants(layer: Any) -> None:
    """Set the constants of a layer of one cell.

    Raises
    ------
    ValueError
        An array of another shape than that of its place, or that is not finite.
    """
    for _, view, value in _declared(layer):
        view[...] = value


def check_constants(layer: Any) -> None:
    """Refuse a layer of one cell whose constants are no longer those that its cell declares.

    Raises
    ------
    ValueError
    """
    for name, view, value in _declared(layer):
        most = abs(value).max(initial=0) * (1e-5 if view.itemsize == 4 else 1e-10)
        if not (abs(view - value) <= most).all():
            raise ValueError(
                f"the constant {name!r} of the cell {layer.cell.name!r} has been changed in this layer, by up to "
                f"{abs(view - value).max():.3g}, and load would refuse the file: put it back, or make the layer of a "
                "cell of your own, derived from this one with other `constants`"
            )


def _declared(layer: Any) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name of every constant of a layer, a view of its place, and what the cell declares for it."""
    contract, widths = layer.cell.contract, layer.widths
    blocks: dict[str, list[np.ndarray]] = {}
    for name, whole, first, last in _places(contract, widths):
        blocks.setdefault(name, []).append(layer.params[whole][first:last])
    for name, views in blocks.items():
        array = np.asarray(constant_value(layer.cell, name, widths.sizes), "float64")
        shape = (sum(len(view) for view in views), *views[0].shape[1:])
        if array.shape not in ((), shape) or not np.isfinite(array).all():
            got = "values that are not finite" if array.shape in ((), shape) else f"shape {array.shape}"
            raise ValueError(f"cell {layer.cell.name!r}: constant {name!r} must have shape {shape}, got {got}")
        at = 0
        for view in views:
            yield name, view, array[at : at + len(view)] if array.shape else array
            at += len(view)
