"""``pylstm check``: certify cells and show every path."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylstm.cells.cell import Cell
    from pylstm.cells.certification.certificate import Certificate


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "check",
        help="certify cells: every value and derivative, of the twin and of the kernel; status 1 if any is wrong",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="registered name, module:Class, file.py:Class or file.py"
    )
    parser.add_argument("--all", action="store_true", help="all registered cells, a line each")
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def run(args: argparse.Namespace) -> int:
    from pylstm.cells.certification.certify import certify
    from pylstm.commands._shared.output import print_json

    cells = [cell for name in args.names for cell in find(name)] + (_registered() if args.all else [])
    if not cells:
        raise ValueError("nothing to check: name cells, or pass --all")
    certificates = [certify(cell, raise_=False) for cell in cells]
    if args.json:
        print_json([certificate.as_dict() for certificate in certificates])
    else:
        for certificate in certificates:
            _print(certificate, table=not args.all)
    return 0 if all(certificate.ok for certificate in certificates) else 1


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
        raise LookupError(f"{place} has no {attribute!r} (its cells: {there or 'none'})")
    if not _is_cell(getattr(module, attribute)):
        raise TypeError(f"{name} is not a subclass of pylstm.Cell")
    return [getattr(module, attribute)]


def _registered() -> list[type[Cell]]:
    from pylstm import plugins

    return [entry.cell for entry in plugins.registry().entries()]


def _is_cell(value: Any) -> bool:
    from pylstm.cells.cell import Cell

    return isinstance(value, type) and issubclass(value, Cell)


def _load_module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise LookupError(f"there is no module {name!r}") from None


def _load_file(path: Path) -> Any:
    if not path.is_file():
        raise LookupError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _print(certificate: Certificate, table: bool) -> None:
    """A headline; the table path by form, or only the failures; the notes."""
    from pylstm.commands._shared.output import print_table

    failures = len(certificate.failures)
    verdict = "ok" if certificate.ok else f"{failures} wrong"
    print(f"{certificate.cell}: {verdict}, {len(certificate.paths)} paths")
    if table:
        forms = list(dict.fromkeys(path.form for path in certificate.paths))
        rows: dict[str, dict[str, str]] = {}
        for path in certificate.paths:
            number = "" if path.error != path.error else f"{path.error:.1e}"
            rows.setdefault(path.name, {})[path.form] = " ".join(filter(None, (number, path.fault))) or "ok"
        print_table(("path", *forms), [(name, *(row.get(form, "") for form in forms)) for name, row in rows.items()])
    for path in certificate.failures:
        print(f"wrong: {path.form}: {path}")
    for note in certificate.notes:
        print(f"note: {note}")
