"""The NumPy twin of a cell: its functions, called by the names that they ask for."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pylstm.cells.contract import hook_name


def hook(cell: Any, direction: str, stage: str) -> Callable[..., dict[str, Any]] | None:
    """The twin's function of a stage ('' if unnamed) in a direction, or None where the cell has none."""
    return getattr(cell, hook_name(direction, stage), None)


def call(function: Callable[..., dict[str, Any]], **spaces: dict[str, Any]) -> dict[str, Any]:
    """Call a twin's function with those of the namespaces (z, prev, e, p, u, y, d) that it asks for by name.

    Raises
    ------
    TypeError
        It asks for another name, or does not return a dict.
    """
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    unknown = [name for name in names if name not in spaces]
    if unknown:
        raise TypeError(f"{function.__qualname__} asks for {', '.join(unknown)}; there is {', '.join(spaces)}")
    out = function(*(SimpleNamespace(**spaces[name]) for name in names))
    if not isinstance(out, dict):
        raise TypeError(f"{function.__qualname__} must return a dict of arrays, got {type(out).__name__}")
    return out
