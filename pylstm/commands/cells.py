"""``pylstm cells``: list the registered cells."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylstm.cells.cell import Cell
    from pylstm.cells.registry import Entry


WIDEST = 30
"""Characters of a column; the whole lists are in the output of --json."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from pylstm.commands._shared.examples import with_examples

    parser = subparsers.add_parser(
        "cells",
        help="list the cells: package, version, states, gates, parameters, status",
        **with_examples(
            "pylstm cells",
            "pylstm cells --json",
        ),
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output, with whole lists")


def run(args: argparse.Namespace) -> int:
    from pylstm import plugins
    from pylstm.commands._shared.output import print_json, print_table

    entries = [_describe(entry) for entry in plugins.registry().entries()]
    if args.json:
        print_json(entries)
        return 0
    header = ("name", "package", "version", "states", "gates", "params", "options", "status")
    print_table(header, [[_text(entry[field]) for field in header] for entry in map(_shown, entries)])
    return 0


def _describe(entry: Entry) -> dict[str, Any]:
    contract, owner = entry.cell.contract, entry.owner
    return {
        "name": contract.name,
        "package": owner.package,
        "distribution": owner.distribution,
        "version": owner.version,
        "states": contract.states,
        "gates": dict(entry.cell.gates),
        "params": contract.params,
        "aux": contract.aux,
        "constants": contract.constants,
        "options": contract.options,
        "kernel": _kernel(entry.cell),
        "reference": entry.cell.reference,
        "status": entry.status,
    }


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    return entry | {"options": [f"{name}={value}" for name, value in entry["options"].items()]}


def _kernel(cell: type[Cell]) -> str:
    from pylstm.cells.kernels import runs_on_machine

    return "compiled" if cell.kernel is not None else "machine" if runs_on_machine(cell) else "none"


def _text(field: Any) -> str:
    """A field of the table; of a long list its first words, and how many there are besides."""
    if isinstance(field, str):
        return field
    words, shown = list(field), list(field)
    while len(" ".join(shown)) > WIDEST and len(shown) > 1:
        shown.pop()
    return " ".join([*shown, *([f"+{len(words) - len(shown)}"] if len(shown) < len(words) else [])])
