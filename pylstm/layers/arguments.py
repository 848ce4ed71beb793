"""What the arguments of a layer may be."""

from __future__ import annotations

import operator
import sys
import warnings
from typing import Any

import numpy as np

from pylstm.cells.cell import Cell
from pylstm.layers.parameters import as_array, check_size


def several(num_layers: Any, bidirectional: Any, dropout: Any) -> bool:
    """Whether the arguments ask for a stack; a dropout that would do nothing is warned of, as by PyTorch."""
    one = check_size("num_layers", num_layers) == 1
    if not 0 <= dropout <= 1:
        raise ValueError(f"dropout must be in 0..1, got {dropout}")
    if one and dropout:
        message = f"dropout={dropout} acts between layers: with num_layers=1 it does nothing"
        warnings.warn(message, stacklevel=_callers_level())
    return not one or bool(bidirectional)


def _callers_level() -> int:
    """`stacklevel` of a warning that shows the line of the user's code."""
    frame: Any = sys._getframe(1)
    level = 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "pylstm":
        frame, level = frame.f_back, level + 1
    return level


def find_cell(cell: str | type[Cell]) -> type[Cell]:
    """The `Cell` subclass of a name, or `cell` itself."""
    if isinstance(cell, type) and issubclass(cell, Cell) and cell is not Cell:
        return cell
    if isinstance(cell, str):
        from pylstm.plugins import registry

        return registry().get(cell, certified=False)  # the layer asks for it
    raise TypeError(f"cell must be a registered name or a Cell subclass, got {cell!r}")


def as_size(name: str, value: Any) -> int:
    """`value` as an int; `TypeError` if it is none."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def which_rows(rows: Any, B: int) -> np.ndarray:
    """Which of B rows `rows` names, as bytes (B,): all without, an index, some of them, or a mask.

    Raises
    ------
    TypeError
        Neither integers nor bool.
    ValueError
        A mask of another shape, an index out of 0..B - 1.

    Examples
    --------
    >>> which_rows([0, 2], 3), which_rows([False, True, False], 3)
    (array([1, 0, 1], dtype=uint8), array([0, 1, 0], dtype=uint8))
    """
    if rows is None:
        return np.ones(B, np.uint8)
    rows, chosen = as_array("rows", rows), np.zeros(B, np.uint8)
    if rows.dtype == np.bool_:
        if rows.shape != (B,):
            raise ValueError(f"rows as a mask must have shape ({B},), got {rows.shape}")
        return rows.astype(np.uint8)
    if rows.size and rows.dtype.kind not in "iu":
        raise TypeError(f"rows must be integers, or a mask of bool, got {rows.dtype}")
    if rows.size and not (rows.min() >= 0 and rows.max() < B):
        raise ValueError(f"rows must be in 0..{B - 1}, got {rows.min()}..{rows.max()}")
    chosen[rows.astype(np.intp)] = 1
    return chosen
