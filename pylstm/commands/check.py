"""``pylstm check``: certify cells and show the paths."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylstm.cells.cell import Cell
    from pylstm.cells.certification.certificate import Certificate, Path


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from pylstm.commands._shared.examples import with_examples

    parser = subparsers.add_parser(
        "check",
        help="certify cells: every value and derivative, of the twin and of the kernel; status 1 if any is wrong",
        **with_examples(
            "pylstm check lstm",
            "pylstm check mycell.py:MyCell",
            "pylstm check --all --json",
        ),
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="registered name, module:Class, file.py:Class or file.py"
    )
    parser.add_argument("--all", action="store_true", help="all registered cells, a line each")
    parser.add_argument(
        "--paths", action="store_true", help="every path; without, all but the local derivatives are one line"
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def run(args: argparse.Namespace) -> int:
    from pylstm.cells.certification.certify import certify
    from pylstm.commands._shared.cells import find_with
    from pylstm.commands._shared.output import print_json

    cells = [each for name in args.names for each in find_with(name)]
    cells += [(cell, {}) for cell in _registered()] if args.all else []
    if not cells:
        raise ValueError("nothing to check: pass names of cells, or --all")
    certificates = [certify(cell, raise_=False, **sizes) for cell, sizes in cells]
    if args.json:
        print_json([certificate.as_dict() for certificate in certificates])
    else:
        for certificate in certificates:
            _print(certificate, table=not args.all, every=args.paths)
    return 0 if all(certificate.ok for certificate in certificates) else 1


def _registered() -> list[type[Cell]]:
    from pylstm import plugins

    return [entry.cell for entry in plugins.registry().entries()]


def _print(certificate: Certificate, table: bool, every: bool) -> None:
    """A headline; the table path by form, or only the failures; the notes."""
    failures = len(certificate.failures)
    verdict = "ok" if certificate.ok else f"{failures} wrong"
    print(f"{certificate.cell}: {verdict}, {len(certificate.paths)} paths")
    if table:
        _print_table(certificate, every)
    for path in certificate.failures:
        print(f"wrong: {path.form}: {path}")
    for note in certificate.notes:
        print(f"note: {note}")


def _print_table(certificate: Certificate, every: bool) -> None:
    """A line for each path, or for each local derivative and one, with the largest numbers, for all others."""
    from pylstm.commands._shared.output import print_table

    forms = list(dict.fromkeys(path.form for path in certificate.paths))
    rows: dict[str, dict[str, str]] = {}
    others: list[Path] = []
    for path in certificate.paths:
        derivative = path.name.startswith("d ") and not path.name.startswith("d all outputs") and "," not in path.name
        if every or derivative or path.fault:
            number = "" if path.error != path.error else f"{path.error:.1e}"
            rows.setdefault(path.name, {})[path.form] = " ".join(filter(None, (number, path.fault))) or "ok"
        else:
            others.append(path)
    if others:
        most = {form: [path.error for path in others if path.form == form] for form in forms}
        rows[f"{len(others)} others: --paths"] = {form: _largest(errors) for form, errors in most.items() if errors}
    print_table(("path", *forms), [(name, *(row.get(form, "") for form in forms)) for name, row in rows.items()])


def _largest(errors: list[float]) -> str:
    """The largest of the errors that are numbers, of what could only be right or wrong ``ok``."""
    known = [error for error in errors if error == error]
    return f"{max(known):.1e}" if known else "ok"
