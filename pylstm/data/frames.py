"""`sequences_from_frame`: sequences from a table in long format, one row per step, with a column of sequence ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from pylstm.checks import listed
from pylstm.hints import explained


class Grouped(NamedTuple):
    """`sequences`, a list of arrays (T_i, I), and their `ids`."""

    sequences: list[np.ndarray]
    ids: np.ndarray


@explained()
def sequences_from_frame(
    frame: Any, *, id: str, time: str | None = None, columns: Iterable[str] | None = None, dtype: Any = "float64"
) -> Grouped:
    """Cut a table in long format into sequences.

    Parameters
    ----------
    frame : pandas or polars DataFrame, or dict of str to array_like (M,)
        One row for each step of each sequence, in any order.
    id : str
        Column that says to which sequence a row belongs.
    time : str, optional
        Column by which the steps of a sequence are put in order; without it they stay in that of the table.
    columns : iterable of str, optional
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
    ValueError
        No rows or no columns; two rows of one sequence at the same time.

    Examples
    --------
    >>> table = {"who": ["b", "a", "b", "b"], "t": [3, 1, 2, 1], "x": [0.3, 9.0, 0.2, 0.1]}
    >>> grouped = sequences_from_frame(table, id="who", time="t")
    >>> [each.ravel().tolist() for each in grouped.sequences], grouped.ids.tolist()
    ([[0.1, 0.2, 0.3], [9.0]], ['b', 'a'])
    """
    names = [str(name) for name in getattr(frame, "columns", frame)]
    columns = [name for name in names if name not in (id, time)] if columns is None else listed("columns", columns)
    for name in (id, *([] if time is None else [time]), *columns):
        if name not in names:
            raise KeyError(f"unknown column {name!r} (known: {', '.join(names)})")
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
    _, first, group = np.unique(owner, return_index=True, return_inverse=True)
    order = np.argsort(group, kind="stable") if time is None else _by_time(group, np.asarray(frame[time]), owner)
    values = np.stack([np.asarray(frame[name]).astype(dtype) for name in columns], axis=1)[order]
    pieces = np.split(values, np.cumsum(np.bincount(group))[:-1])
    come = np.argsort(first)
    return Grouped([pieces[k] for k in come], owner[first[come]])


def _by_time(group: np.ndarray, time: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Order of the rows by group and time."""
    order: np.ndarray = np.lexsort((time, group))
    same = (group[order][1:] == group[order][:-1]) & (time[order][1:] == time[order][:-1])
    if same.any():
        row = order[1:][same][0]
        raise ValueError(f"two rows of {owner[row]} have the same time {time[row]}: keep one")
    return order
