"""``pylstm cells``: list the registered cells."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylstm.cells.cell import Cell
    from pylstm.cells.registry import Entry


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
    parser.add_argument("--json", action="store_true", help="machine-readable output")


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
    return field if isinstance(field, str) else " ".join(field)
