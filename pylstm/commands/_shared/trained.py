"""What ``evaluate`` and ``predict`` share: a saved model, what it was trained on, and how to read other data."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from pylstm.commands._shared.reading import TABLE
from pylstm.commands._shared.series import READ

READING = {
    "classify": ("label", "id", "columns", *TABLE),
    "forecast": READ,
    "text": (),
}
"""Task -> options for reading a file."""


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Options of `READING`; options that are not given are as in training."""
    from pylstm.commands._shared.reading import add_table_options

    add = parser.add_argument
    add("--label", metavar="NAME", help="column of the class")
    add("--id", metavar="NAME", help="column with the id of the sequence or series that a row belongs to")
    add("--columns", metavar="A,B", help="columns of numbers of sequences")
    add("--column", metavar="NAME", action="append", help="column of the series; once for each of several")
    add("--known", metavar="NAME", action="append", help="column of inputs that are known of the steps to come")
    add("--every", choices=("month", "week"), help="time step of co2")
    add_table_options(parser, fill=True)


def load_trained(path: str) -> tuple[str, Any, dict[str, Any]]:
    """Task, model, and the file's record of its training.

    Raises
    ------
    OSError, ValueError, LookupError
        As `pylstm.load`; a model without a `task`. A `SequenceClassifier` or `Forecaster` has a `task_model`.
    """
    from pylstm.saving import load, read_about
    from pylstm.wording import with_article

    model, about = load(path), read_about(path)
    model = getattr(model, "task_model", model)  # of an estimator
    if getattr(model, "task", None) in READING:
        return model.task, model, about
    raise ValueError(f"{path}: holds {with_article(type(model).__name__)}, not a model that `pylstm train` saved")


def reading_of(args: argparse.Namespace, task: str, about: dict[str, Any]) -> dict[str, Any]:
    """Options for reading the data: those that the user gave, else those of training; rejects options of other tasks.

    Raises
    ------
    ValueError
        An option that is not for this task.
    """
    every = {name for names in READING.values() for name in names}
    wrong = [
        f"--{name.replace('_', '-')}" for name in sorted(every - set(READING[task])) if getattr(args, name) is not None
    ]
    if wrong:
        raise ValueError(f"{' and '.join(wrong)}: not for a model of the task {task}")
    before = about.get("reading", {})
    reading = {}
    for name in READING[task]:
        given = getattr(args, name)
        reading[name] = before.get(name) if given is None else given
    if isinstance(reading.get("columns"), str):
        reading["columns"] = [name.strip() for name in reading["columns"].split(",")]
    return reading


def data_of(args: argparse.Namespace, about: dict[str, Any]) -> str:
    """The data that the user named, else the training data.

    Raises
    ------
    ValueError
        Neither.
    """
    if args.data is not None:
        return str(args.data)
    if "data" not in about:
        raise ValueError(f"{args.model}: its training data are not recorded: pass DATA")
    return str(about["data"])


def note_other(about: dict[str, Any], digest: str) -> None:
    """Print a note if the training data have changed since."""
    if about.get("digest") not in (None, digest):
        print("note: the data are not those of the training any more; the split may be another one", file=sys.stderr)
