"""``pylstm new-cell``: write a distribution for a cell: formula, twin, kernel, tests, benchmark."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from pylstm.commands._shared.examples import with_examples

    parser = subparsers.add_parser(
        "new-cell",
        help="write a complete distribution for a cell",
        description="Write the folder pylstm-NAME: a distribution with the formula of a cell, its twin and compiled "
        "kernel (both derived from the formula), tests, a benchmark and a README. A handwritten backward that differs "
        "from the derived one is kept as written, without a kernel.",
        **with_examples(
            "pylstm new-cell leaky",
            "pylstm new-cell leaky --from mycell.py:Leaky",
            "pylstm new-cell leaky --update --directory pylstm-leaky",
        ),
    )
    parser.add_argument("name", metavar="NAME", help="name of the new cell: lower-case letters, digits and _")
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--from", dest="source", metavar="CELL", help="module:Class, file.py:Class or a registered name"
    )
    source.add_argument("--update", action="store_true", help="derive twin and kernel again, after the formula changed")
    parser.add_argument(
        "--directory", default=".", metavar="DIR", help="parent of the new folder; with --update the folder itself (.)"
    )


def run(args: argparse.Namespace) -> int:
    from pylstm.commands._shared.cells import find_one
    from pylstm.scaffold.package import update, write

    if args.update:
        for path in update(args.name, args.directory):
            print(f"wrote  {path}")
        return 0
    source = find_one(args.source) if args.source else None
    target = write(args.name, args.directory, source)
    print(f"wrote  {target}")
    package = target / f"pylstm_{args.name}"
    if (package / "formula.py").exists():
        print(f"edit   {package}/formula.py, then there: pylstm new-cell {args.name} --update")
        print(f"build  pip install --no-build-isolation {target}")
        print(f"try    pylstm check {args.name}; pylstm compare lstm,{args.name} --task adding")
    else:
        print(f"kept   {package}/{args.name}.py: forward and backward as they were written, without a kernel")
        print(f"build  pip install --no-build-isolation {target}")
        print(f"try    pylstm check {args.name}; if it finds paths that are wrong, a layer needs certified=False")
    return 0
