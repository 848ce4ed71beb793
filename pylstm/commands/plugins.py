"""``pylstm plugins``: list plugins and their status."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import asdict


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from pylstm.commands._shared.examples import with_examples

    parser = subparsers.add_parser(
        "plugins",
        help="list the plugins: distribution, version, status, cells",
        **with_examples(
            "pylstm plugins",
            "pylstm plugins --traceback",
        ),
    )
    parser.add_argument("--json", action="store_true", help="machine-readable output")
    parser.add_argument("--traceback", action="store_true", help="also show the traceback of every broken plugin")


def _shown(cells: Sequence[str]) -> str:
    """The names of a few cells, the number of many; `pylstm cells` and --json list them all."""
    names = " ".join(cells)
    return names if len(names) <= 30 else f"{len(cells)}, see pylstm cells"


def run(args: argparse.Namespace) -> int:
    from pylstm import plugins
    from pylstm.commands._shared.output import print_json, print_table

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the list says it
        records = plugins.status()
    if args.json:
        print_json([asdict(record) for record in records])
        return 0
    rows = [(r.name, r.distribution, r.version, _shown(r.cells), r.status) for r in records]
    print_table(("name", "distribution", "version", "cells", "status"), rows)
    for record in records:
        if args.traceback and record.traceback:
            print(f"\n{record.name}\n{record.traceback}")
    return 0
