"""What ``evaluate`` and ``predict`` share: a saved model, what it was trained on, and how to read other data."""

from __future__ import annotations

import argparse
import sys
from typing import Any

READING = {
    "classify": ("label", "id", "columns", "delimiter", "interpolate"),
    "forecast": ("column", "time_column", "every", "delimiter", "interpolate"),
    "text": (),
}
"""Task -> options that say how a file is read."""


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Options of `READING`; what is not given is as it was in the training."""
    add = parser.add_argument
    add("--label", metavar="NAME", help="column of the class")
    add("--id", metavar="NAME", help="column that says which sequence a row is a step of")
    add("--columns", metavar="A,B", help="columns of numbers")
    add("--column", metavar="NAME", help="column of the series")
    add("--time-column", metavar="NAME", help="column that must rise from row to row")
    add("--every", choices=("month", "week"), help="of co2")
    add("--delimiter", metavar="C", help="between the fields of a CSV file")
    add("--interpolate", action="store_true", default=None, help="fill missing numbers on straight lines")


def load_trained(path: str) -> tuple[str, Any, dict[str, Any]]:
    """Task, model, and what the file says about its training.

    Raises
    ------
    OSError, ValueError, LookupError
        As `pylstm.load`; a model without a `task`. A `SequenceClassifier` or `Forecaster` has a `task_model`.
    """
    from pylstm.saving import load, read_about

    model, about = load(path), read_about(path)
    model = getattr(model, "task_model", model)  # of an estimator
    if getattr(model, "task", None) in READING:
        return model.task, model, about
    raise ValueError(f"{path}: holds a {type(model).__name__}; a model that `pylstm train` saved is needed")


def reading_of(args: argparse.Namespace, task: str, about: dict[str, Any]) -> dict[str, Any]:
    """How to read the data: what the user says, else as in the training; options of other tasks are refused.

    Raises
    ------
    ValueError
        An option that is not for this task.
    """
    every = {name for names in READING.values() for name in names}
    wrong = [f"--{name.replace('_', '-')}" for name in sorted(every - set(READING[task])) if getattr(args, name)]
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
    """The data that the user names, else those of the training.

    Raises
    ------
    ValueError
        Neither.
    """
    if args.data is not None:
        return str(args.data)
    if "data" not in about:
        raise ValueError(f"{args.model}: does not say what it was trained on: name the data")
    return str(about["data"])


def note_other(about: dict[str, Any], digest: str) -> None:
    """Say it if the data of the training are no longer what they were."""
    if about.get("digest") not in (None, digest):
        print("note: the data are not those of the training any more; the split may be another one", file=sys.stderr)
