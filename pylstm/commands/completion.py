"""``pylstm completion SHELL``: a script by which a shell completes commands, options and file names."""

from __future__ import annotations

import argparse

FILES = {"FILE", "PATH", "DATA", "MODEL", "SERIES", "FILE.c", "FILE.h", "FILE.bin"}
"""Placeholders of arguments that are names of files."""
SHELLS = ("bash", "zsh", "tcsh")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    from pylstm.commands._shared.examples import with_examples

    parser = subparsers.add_parser(
        "completion",
        help="print a script by which a shell completes commands and options",
        description="Print a script for a shell, made by shtab (pip install 'pylstm[completion]').",
        **with_examples(
            'eval "$(pylstm completion bash)"',
            "pylstm completion bash > ~/.local/share/bash-completion/completions/pylstm",
            "pylstm completion zsh > ~/.zfunc/_pylstm",
        ),
    )
    parser.add_argument("shell", choices=SHELLS, help="bash, zsh or tcsh")


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0."""
    try:
        import shtab
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "pylstm completion needs shtab, which is not installed: pip install 'pylstm[completion]'", name="shtab"
        ) from error
    from pylstm.cli import whole_parser

    parser = whole_parser()
    _mark_files(parser, shtab.FILE)
    print(shtab.complete(parser, args.shell))
    return 0


def _mark_files(parser: argparse.ArgumentParser, file: object) -> None:
    """Say of every argument that is the name of a file that it is one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in set(action.choices.values()):
                _mark_files(each, file)
        elif action.metavar in FILES:
            action.complete = file  # type: ignore[attr-defined]
