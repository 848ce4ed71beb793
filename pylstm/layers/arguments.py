"""Checks of the arguments of a layer."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from pylstm.cells.cell import Cell
from pylstm.checks import check_flag, check_number, check_size, quoted


def several(num_layers: Any, bidirectional: Any, dropout: Any) -> bool:
    """Whether the arguments ask for a stack; warns of a dropout without effect, as PyTorch does."""
    one = check_size("num_layers", num_layers) == 1
    if not 0 <= check_number("dropout", dropout) <= 1:
        raise ValueError(f"dropout must be in 0..1, got {dropout}")
    if one and dropout:
        message = f"dropout={dropout} acts between layers: with num_layers=1 it does nothing"
        warnings.warn(message, stacklevel=_callers_level())
    return check_flag("bidirectional", bidirectional) or not one


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
    raise TypeError(f"cell must be a registered name or a Cell subclass, got {quoted(cell)}")


def is_registered(cell: type[Cell]) -> bool:
    """Whether `find_cell` returns this very class for its name."""
    from pylstm.plugins import registry

    return cell in [entry.cell for entry in registry().entries()]
