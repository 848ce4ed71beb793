"""Known inputs of the steps to come in a file of their own: they follow the data of the training."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.commands._shared.reading import open_table
from pylstm.commands._shared.series import NAMES, Read, read_all

if TYPE_CHECKING:
    from pylstm.datasets import Table


def read_ahead(path: str, data: str, reading: dict[str, Any]) -> Read | None:
    """The series `data` of the training with the inputs that the file has of the steps after it.

    None where the file has values of the series themselves, or is read without known inputs.

    Raises
    ------
    OSError, ValueError
        As `read_all`; steps that are not those after the series.
    """
    known = reading.get("known")
    if not known or path in NAMES or not os.path.exists(path) or os.path.isdir(path):
        return None
    table, columns = open_table(path, reading, NAMES), reading["column"]
    there = [name for name in columns if name in table.names]
    if not set(known) <= set(table.names) or 0 < len(there) < len(columns):
        return None
    if there and not np.isnan(table.read(there, gaps=True).numbers).all():
        return None
    print(f"note: {path} has inputs alone: they follow the series of {data}", file=sys.stderr)
    read = read_all(data, dict(reading))
    time, owner = reading.get("time_column"), reading.get("id")
    texts = [name for name in (time, owner) if name]
    found = table.read(known, texts)
    text = dict(zip(texts, found.texts))
    rows = _rows_of(path, read, text.get(str(owner)), len(table))
    if time and read.steps and read.steps[0].known:
        rows = [_following(table, read, k, text[time], own, reading) for k, own in enumerate(rows)]
    T, K = [len(each.values) for each in read.series], len(read.columns)
    inputs = [np.concatenate([each[: T[k]], found.numbers[rows[k // K]]]) for k, each in enumerate(read.known)]
    return replace(read, known=inputs, source=os.path.basename(path))


def _rows_of(path: str, read: Read, owner: Any, count: int) -> list[np.ndarray]:
    """Numbers of the rows, of `count`, of each id of `read`; of all where there are no ids."""
    if owner is None:
        return [np.arange(count)]
    names = owner.astype(str)
    missing = next((name for name in read.ids if name not in names), None)
    if missing is not None:
        raise ValueError(f"{path}: has no rows of the series {missing!r}")
    return [np.flatnonzero(names == name) for name in read.ids]


def _following(table: Table, read: Read, number: int, texts: Any, rows: np.ndarray, reading: Any) -> np.ndarray:
    """The rows of one id, sorted where that was asked for; refuses such as are not the steps after the series."""
    from pylstm.datasets.groups import times_of

    name, which = reading["time_column"], number * len(read.columns)
    times, _ = times_of(table, name, texts, reading.get("date_format"), bool(reading.get("utc")))
    rows = rows[np.argsort(times[rows], kind="stable")] if reading.get("sort") else rows
    T = len(read.series[which].values)
    wrong = np.flatnonzero(times[rows] != read.steps[number].at(np.arange(T, T + len(rows))))
    if len(wrong):
        row = int(rows[wrong[0]])
        shown, wanted = str(texts[row : row + 1].astype(str)[0]), read.after(which, int(wrong[0]) + 1)[-1]
        place = table.place(table.line(row), table.position(name))
        raise ValueError(f"{place}: {shown!r} is not the step {wanted!r}, which follows the series of the training")
    return rows
