"""What the arguments of a layer may be."""

from __future__ import annotations

import operator
import warnings
from typing import Any

from pylstm.cells.cell import Cell
from pylstm.layers.parameters import check_size


def several(num_layers: Any, bidirectional: Any, dropout: Any) -> bool:
    """Whether the arguments ask for a stack; a dropout that would do nothing is warned of, as by PyTorch."""
    one = check_size("num_layers", num_layers) == 1
    if one and dropout:
        warnings.warn(f"dropout={dropout} acts between layers: with num_layers=1 it does nothing", stacklevel=3)
    return not one or bool(bidirectional)


def find_cell(cell: str | type[Cell]) -> type[Cell]:
    """The `Cell` subclass of a name, or `cell` itself."""
    if isinstance(cell, type) and issubclass(cell, Cell) and cell is not Cell:
        return cell
    if isinstance(cell, str):
        from pylstm.plugins import registry

        return registry().get(cell)
    raise TypeError(f"cell must be a registered name or a Cell subclass, got {cell!r}")


def as_size(name: str, value: Any) -> int:
    """`value` as an int; `TypeError` if it is none."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
