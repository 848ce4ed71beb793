"""``pylstm train``: one sub-command for each kind of task."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from types import ModuleType

TASKS = ("classify", "forecast", "text")
"""Each is a module of `pylstm.commands._train` with ``add_parser(tasks)`` and ``run(args)``."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``train`` to the command line."""
    from pylstm.commands._shared.examples import with_examples

    parser = subparsers.add_parser(
        "train",
        help="train a net on real data",
        **with_examples(
            "pylstm train forecast co2",
            "pylstm train classify digits",
            "pylstm train text --minutes 1",
            "pylstm train forecast --help",
        ),
    )
    tasks = parser.add_subparsers(dest="task", required=True, metavar="TASK")
    for task in TASKS:
        _module(task).add_parser(tasks)


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0, 1 if training diverged, 130 after Ctrl-C, 143 after SIGTERM."""
    from pylstm.training.divergence import TrainingDiverged

    try:
        return int(_module(args.task).run(args))
    except TrainingDiverged as error:
        print(f"pylstm train {args.task}: {error}; no model was saved", file=sys.stderr)
        return 1


def _module(task: str) -> ModuleType:
    return import_module(f"pylstm.commands._train.{task}")
