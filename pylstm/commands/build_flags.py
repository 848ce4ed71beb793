"""``pylstm build-flags``: the arguments of cython and of the C compiler for a cell kernel."""

from __future__ import annotations

import argparse


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from pylstm.commands._shared.examples import with_examples

    parser = subparsers.add_parser(
        "build-flags",
        help="print the arguments of the compilers for a cell kernel",
        **with_examples(
            "cython $(pylstm build-flags --cython) kernel.pyx",
            "gcc $(pylstm build-flags --level v3) -c kernel.c",
        ),
    )
    parser.add_argument("--level", default="v1", help="instruction-set level: v1 (default), v3 or v4")
    parser.add_argument("--cython", action="store_true", help="print the arguments of cython instead")


def run(args: argparse.Namespace) -> int:
    from pylstm.building import compile_args, cython_args

    print(*(cython_args() if args.cython else compile_args(args.level)), sep="\n")
    return 0
