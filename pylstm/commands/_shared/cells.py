"""`find`: the cells that an argument of a command means."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylstm.cells.cell import Cell


def find(name: str) -> list[type[Cell]]:
    """The cells that `name` means.

    Parameters
    ----------
    name : str
        ``registered-name``, ``module:Class``, ``file.py:Class``, or ``file.py`` (all cells that the file defines).

    Raises
    ------
    LookupError
        The cell, class, file or module does not exist.
    TypeError
        The class is not a `Cell`.

    Examples
    --------
    >>> find("pylstm.cells.lstm:LSTM")[0].name
    'lstm'
    """
    from pylstm import plugins
    from pylstm.cells.cell import Cell

    place, colon, attribute = name.rpartition(":") if not name.endswith(".py") else (name, "", "")
    if not place:
        return [plugins.registry().get(name, certified=False)]
    module = _load_file(Path(place)) if place.endswith(".py") else _load_module(place)
    if not colon:
        defined = [each for each in vars(module).values() if _is_cell(each) and each.__module__ == module.__name__]
        if not defined:
            raise LookupError(f"{place} defines no subclass of pylstm.Cell")
        return defined
    if not hasattr(module, attribute):
        there = ", ".join(key for key, each in vars(module).items() if _is_cell(each) and each is not Cell)
        raise LookupError(f"{place} has no {attribute!r} (cells: {there or 'none'})")
    if not _is_cell(getattr(module, attribute)):
        raise TypeError(f"{name} is not a subclass of pylstm.Cell")
    return [getattr(module, attribute)]


def find_one(name: str) -> type[Cell]:
    """As `find`, where a command takes a single cell.

    Raises
    ------
    ValueError
        The file defines several.
    """
    found = find(name)
    if len(found) != 1:
        raise ValueError(
            f"{name} defines several cells, {', '.join(cell.__name__ for cell in found)}: pass {name}:<Class>"
        )
    return found[0]


def _is_cell(value: Any) -> bool:
    from pylstm.cells.cell import Cell

    return isinstance(value, type) and issubclass(value, Cell)


def _load_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise LookupError(f"module {name!r} does not exist") from None


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise LookupError(f"file {path} does not exist")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # the name ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module
