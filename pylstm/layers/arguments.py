"""Checks of the arguments of a layer."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypedDict

from pylstm.cells.cell import Cell
from pylstm.cells.contracts.options import call_text
from pylstm.checks import check_flag, check_share, check_size, quoted
from pylstm.hints import callers_level, refuse_options
from pylstm.wording import layer_in_place


class CellOptions(TypedDict, total=False):
    """The sizes and options of the bundled cells, for type checkers.

    Those of other cells go by ``**options``, a ``dict[str, Any]``.
    """

    backbone_size: int
    chunk_size: int
    context_size: int
    embedding_size: int
    head_size: int
    heads: int
    hyper_size: int
    key: int
    memory_size: int
    pairs: int
    proj_size: int | None
    rank: int
    state_size: int
    static_size: int
    value: int
    y_size: int
    alpha: float
    beta: float
    dampening: float
    decay: float
    dt: float
    epsilon: float
    gamma: float
    lift: float
    memory: float
    mu: float
    step: float
    symmetric: bool
    tau: float
    threshold: float
    unfolds: int


class LayerOptions(CellOptions, total=False):
    """What a model hands on to its layers, for type checkers."""

    bias: bool
    certified: bool
    learn_initial: bool | Iterable[str]


def several(num_layers: Any, bidirectional: Any, dropout: Any) -> bool:
    """Whether the arguments ask for a stack; warns of a dropout without effect, as PyTorch does."""
    one = check_size("num_layers", num_layers) == 1
    if check_share("dropout", dropout) and one:
        message = f"dropout={dropout} acts between layers: with num_layers=1 it does nothing"
        warnings.warn(message, stacklevel=callers_level())
    return check_flag("bidirectional", bidirectional) or not one


def find_cell(cell: str | type[Cell]) -> type[Cell]:
    """The `Cell` subclass of a name, or `cell` itself."""
    if isinstance(cell, type) and issubclass(cell, Cell) and cell is not Cell:
        return cell
    if isinstance(cell, str):
        from pylstm.plugins import registry

        return registry().get(cell, certified=False)  # the layer asks for it
    raise TypeError(layer_in_place(cell) or f"cell must be a registered name or a Cell subclass, got {quoted(cell)}")


def is_registered(cell: type[Cell]) -> bool:
    """Whether `find_cell` returns this very class for its name."""
    from pylstm.plugins import registry

    return cell in [entry.cell for entry in registry().entries()]


def _cells_with(name: str, cell: type[Cell]) -> str:
    """Which registered cells have a size or an option of that name, nearest first."""
    import difflib

    from pylstm.plugins import registry

    if name == "reset_after":
        return ": of cell 'gru' it is True; cell 'gru_reset_before' is the other one"
    cells = [each.cell for each in registry().entries()]
    having = [each.name for each in cells if name in each.contract.sizes or name in each.options]
    near = difflib.get_close_matches(cell.name, having, 3, 0)
    return f": cell {' and '.join(map(repr, near))} ha{'ve' if len(near) > 1 else 's'} it" if near else ""


def check_extra(
    what: str, cell: type[Cell], given: Iterable[str], *makers: Callable[..., Any], without: Iterable[str] = ()
) -> None:
    """Refuse names that are neither sizes nor options of `cell` nor arguments of `makers`, with the nearest that is.

    Parameters
    ----------
    what : str
        Class that is made.
    cell : Cell subclass
    given : iterable of str
    *makers : function
    without : iterable of str
        Arguments of `makers` that `what` does not take.

    Raises
    ------
    TypeError
        An unknown name.
    """
    own = cell.contract.sizes.keys() | cell.options.keys()
    refuse_options(given, own)
    taken = [each for maker in makers for each in inspect.signature(maker).parameters.values()]
    arguments = {each.name for each in taken if each.kind is not inspect.Parameter.VAR_KEYWORD} - {"self", *without}
    for name in given:
        if name not in own and name not in arguments:
            import difflib

            close = difflib.get_close_matches(name.lower(), sorted(own | arguments), 1, 0.7)
            hint = _cells_with(name, cell) or (f": did you mean {close[0]}=?" if close else "")
            sizes, options = ", ".join(cell.contract.sizes) or "none", call_text(cell.options) or "none"
            raise TypeError(
                f"{what} has no option {name!r}, and cell {cell.name!r} has neither a size nor an option {name!r} (its "
                f"extra sizes: {sizes}; its options: {options}){hint}"
            )
