"""``pylstm build-flags``: the compiler arguments of a cell kernel."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("build-flags", help="print the compiler arguments for a cell kernel")
    parser.add_argument("--level", default="v1", help="instruction-set level: v1 (default), v3 or v4")


def run(args: argparse.Namespace) -> int:
    from pylstm.building import compile_args

    print(*compile_args(args.level), sep="\n")
    return 0
