"""``pylstm derive``: the derivation of a cell as mathematics, twin or kernel."""

from __future__ import annotations

import argparse
from typing import Any

FORMATS = ("markdown", "latex", "numpy", "cython", "c")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from pylstm.commands._shared.examples import with_examples

    parser = subparsers.add_parser(
        "derive",
        help="print what is derived from the formula of a cell",
        **with_examples(
            "pylstm derive gru",
            "pylstm derive mycell.py --format latex > mycell.tex",
        ),
    )
    parser.add_argument("cell", help="registered name, module:Class, file.py:Class, or file.py of one cell")
    parser.add_argument("--format", choices=FORMATS, default="markdown", help="default: markdown")


def run(args: argparse.Namespace) -> int:
    from pylstm.cells.formula import derive
    from pylstm.commands._shared.cells import find_one

    cell = find_one(args.cell)
    print(_print(derive(cell), cell, args.format), end="")
    return 0


def _print(derivation: Any, cell: Any, kind: str) -> str:
    from pylstm.cells.contracts.options import call_text
    from pylstm.cells.formula.emission import c, cython, latex, markdown, numpy

    twin = f"{cell.__module__}.{cell.__qualname__}"
    if kind == "markdown":
        return markdown.derivation_page(derivation, reference=cell.reference)
    if kind == "latex":
        return latex.document(derivation)
    if kind == "numpy":
        options = f"# options: {call_text(cell.options)}\n\n" if cell.options else ""
        return options + "\n\n".join(numpy.stage_source(stage) for stage in derivation.stages.values())
    return cython.kernel_source(derivation, twin) if kind == "cython" else c.kernel_source(derivation, twin)
