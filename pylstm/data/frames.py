"""`sequences_from_frame`: sequences from a table in long format, one row per step, with a column of sequence ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from pylstm.checks import listed
from pylstm.data.panel import codes_of
from pylstm.hints import explained


class Grouped(NamedTuple):
    """`sequences`, a list of arrays (T_i, I), and their `ids`."""

    sequences: list[np.ndarray]
    ids: np.ndarray


@explained()
def sequences_from_frame(
    frame: Any, *, id: Any, time: Any = None, columns: Iterable[Any] | None = None, dtype: Any = "float64"
) -> Grouped:
    """Cut a table in long format into sequences.

    Parameters
    ----------
    frame : pandas or polars DataFrame, or dict of str to array_like (M,)
        One row for each step of each sequence, in any order.
    id : str or int
        Column that says to which sequence a row belongs.
    time : str or int, optional
        Column by which the steps of a sequence are put in order; without it they stay in that of the table.
    columns : iterable of str or int, optional
        What a step holds; default: all other columns.
    dtype : dtype
        Of the sequences.

    Returns
    -------
    Grouped
        In the order in which the ids first come.

    Raises
    ------
    KeyError
        No column of that name.
    TypeError
        A column that holds no numbers, but text or dates.
    ValueError
        No rows or no columns; two rows of one sequence at the same time; a row without an id or a time.

    Examples
    --------
    >>> table = {"who": ["b", "a", "b", "b"], "t": [3, 1, 2, 1], "x": [0.3, 9.0, 0.2, 0.1]}
    >>> grouped = sequences_from_frame(table, id="who", time="t")
    >>> [each.ravel().tolist() for each in grouped.sequences], grouped.ids.tolist()
    ([[0.1, 0.2, 0.3], [9.0]], ['b', 'a'])
    """
    names = list(getattr(frame, "columns", frame))
    columns = [name for name in names if name not in (id, time)] if columns is None else listed("columns", columns)
    for name in (id, *([] if time is None else [time]), *columns):
        if name not in names:
            raise KeyError(f"unknown column {name!r} (known: {', '.join(map(str, names))})")
    owner = np.asarray(frame[id])
    if not len(owner) or not columns:
        raise ValueError(
            f"the table must have at least one row and one column of values, got {len(owner)} and {len(columns)}"
        )
    for name in (id, *([] if time is None else [time]), *columns):
        if len(frame[name]) != len(owner):
            raise ValueError(
                f"columns must have equal lengths, got {len(owner)} values of {id!r} and {len(frame[name])} of {name!r}"
            )
    _refuse_missing(id, owner, "an id")
    if time is not None:
        _refuse_missing(time, np.asarray(frame[time]), "a time")
    group, first = codes_of(owner)
    order = np.argsort(group, kind="stable") if time is None else _by_time(group, np.asarray(frame[time]), owner)
    values = np.stack([_numbers(name, np.asarray(frame[name]), dtype) for name in columns], axis=1)[order]
    return Grouped(np.split(values, np.cumsum(np.bincount(group))[:-1]), owner[first])


def _refuse_missing(name: Any, values: np.ndarray, what: str) -> None:
    """Refuse a row without a value: None, NaN or NaT."""
    missing = np.array([each is None or each != each for each in values.tolist()])
    if values.dtype.kind == "M":
        missing = np.isnat(values)
    if missing.any():
        raise ValueError(f"the column {name!r} has no value in row {np.argmax(missing)}: each row needs {what}")


def _numbers(name: Any, values: np.ndarray, dtype: Any) -> np.ndarray:
    """Values of a step; dates and text are no numbers."""
    if values.dtype.kind in "mM" or (values.dtype.kind == "O" and hasattr(values.flat[0], "year")):
        raise TypeError(
            f"the column {name!r} holds dates: time={name!r} puts the steps in their order, columns=[...] leaves it out"
        )
    try:
        found: np.ndarray = values.astype(dtype)
    except (TypeError, ValueError):
        raise TypeError(
            f"the column {name!r} must hold numbers, got {values.flat[0]!r}: name those to read, columns=[...]"
        ) from None
    return found


def _by_time(group: np.ndarray, time: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Order of the rows by group and time."""
    order: np.ndarray = np.lexsort((time, group))
    same = (group[order][1:] == group[order][:-1]) & (time[order][1:] == time[order][:-1])
    if same.any():
        row = order[1:][same][0]
        raise ValueError(f"two rows of {owner[row]} have the same time {time[row]}: keep one")
    return order
