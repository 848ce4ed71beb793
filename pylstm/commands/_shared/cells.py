"""`find`: the cells that an argument of a command means."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import traceback
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
    ImportError
        The file or module cannot be imported: its line, and what it raised there.

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


def find_with(name: str) -> list[tuple[type[Cell], dict[str, Any]]]:
    """The cells that `name` means, each with the options and sizes in its parentheses: ``file.py:Class(heads=4)``.

    Raises
    ------
    LookupError, TypeError, ImportError, ValueError
        Those of `find`; something else in the parentheses than names and numbers.

    Examples
    --------
    >>> [(cell.name, given) for cell, given in find_with("mlstm(heads=4)")]
    [('mlstm', {'heads': 4})]
    """
    from pylstm.cells.contracts.options import called

    name, given = called(name)
    return [(cell, given) for cell in find(name)]


def names_in(text: str) -> list[str]:
    """The names in a list with commas, those in parentheses apart.

    Examples
    --------
    >>> names_in("lstm, mlstm(heads=4, key=8),gru")
    ['lstm', 'mlstm(heads=4, key=8)', 'gru']
    """
    return [name.strip() for name in re.findall(r"(?:[^,(]|\([^)]*\)?)+", text) if name.strip()]


def find_one(name: str) -> type[Cell]:
    """The cell that `find` finds, where a command takes a single one.

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
            raise _not_imported(name, name, error) from error
        raise LookupError(f"module {name!r} does not exist") from None
    except (Exception, SystemExit) as error:
        raise _not_imported(name, name, error) from error


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise LookupError(f"file {path} does not exist")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # the name ends in .py
    module = importlib.util.module_from_spec(spec)
    held = sys.modules.setdefault(path.stem, module)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        if held is module:
            sys.modules.pop(path.stem, None)
        raise _not_imported(str(path), path.stem, error) from error
    return module


def _not_imported(place: str, module: str, error: BaseException) -> ImportError:
    """What a user's code raised while it was imported, whatever it is, with the line of that code."""
    frames = traceback.walk_tb(error.__traceback__)
    lines = [line for frame, line in frames if frame.f_globals.get("__name__") == module]
    if isinstance(error, SyntaxError) and not lines:  # else it is in what that code imports
        lines, text = [error.lineno] if error.lineno else [], error.msg
    else:
        text = str(error)
    where = f"line {lines[-1]}: " if lines else ""
    found = ImportError(f"{place} cannot be imported: {where}{type(error).__name__}{text and f': {text}'}")
    for note in getattr(error, "__notes__", ()):
        found.add_note(note)
    return found
