"""`panel_of`: series of a table in long format: a row for each step, with times, of one or several ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pylstm.data.calendar import Steps, UnevenTimes, steps_of

FILLS = ("linear", "previous", "zero", "none")
"""What can be done about absent steps; ``none`` takes the rows as equal steps all the same."""


TIME = -1
"""`RowError.column` where the time of a row is meant."""


class RowError(ValueError):
    """What is wrong with a row of a table.

    Attributes
    ----------
    row : int
        Its number, from 0.
    column : int
        Number among the columns of values and then of known inputs, or `TIME`.
    """

    def __init__(self, row: int, text: str, column: int = TIME) -> None:
        super().__init__(text)
        self.row, self.column = int(row), column


class Groups(NamedTuple):
    """`rows` of each id, in order (an array, or a slice that is all of them), and `ids`."""

    rows: list[Any]
    ids: np.ndarray


@dataclass
class Panel:
    """Series at equal steps.

    Attributes
    ----------
    values : list of ndarray, shape (T_i, K)
    known : list of ndarray, shape (T_i + n, M)
        Inputs that are known of the steps to come, too: n more steps than `values`.
    rows : list of ndarray or slice
        Numbers of the rows of the table that each is of.
    ids : ndarray
        Of each series; empty where there is a single one without an id.
    steps : list of Steps
        Of each series; empty without times.
    filled, missing : int
        Absent steps that were filled, and missing values that were interpolated.
    """

    values: list[np.ndarray]
    known: list[np.ndarray]
    rows: list[Any]
    ids: np.ndarray
    steps: list[Steps] = field(default_factory=list)
    filled: int = 0
    missing: int = 0


def grouped_rows(owner: np.ndarray | None, times: np.ndarray | None, *, sort: bool = False, count: int = 0) -> Groups:
    """Rows of each id, in the order in which the ids first come; rows of one id by time where `sort` is set.

    Parameters
    ----------
    owner : ndarray, shape (N,), optional
        Id of each row; None: all are of one.
    times : ndarray, shape (N,), optional
    sort : bool
    count : int
        N, where there is no owner.

    Raises
    ------
    RowError
        A time that does not rise within an id, without `sort`; the same time twice.

    Examples
    --------
    >>> found = grouped_rows(np.array(["b", "a", "b"]), np.array([2.0, 1.0, 1.0]), sort=True)
    >>> [rows.tolist() for rows in found.rows], found.ids.tolist()
    ([[2, 0], [1]], ['b', 'a'])
    """
    rows: list[Any]
    if owner is None:
        rows, ids = [slice(0, count if times is None else len(times))], np.empty(0, object)
    else:
        number, first = codes_of(owner)
        order = np.argsort(number, kind="stable")
        rows = np.split(order, np.cumsum(np.bincount(number))[:-1]) if len(owner) else []
        ids = owner[first]
    if times is not None:
        rows = [_rising(each, times, sort, _of(ids, k)) for k, each in enumerate(rows)]
    return Groups(rows, ids)


def codes_of(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of the id of each row, by the order in which the ids first come, and the row where each does."""
    if owner.dtype.kind == "O":  # of several types, which have no order
        numbers: dict[Any, int] = {}
        found = np.array([numbers.setdefault(each, len(numbers)) for each in owner.tolist()], np.int64)
        return found, np.unique(found, return_index=True)[1]
    _, first, found = np.unique(owner, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return np.argsort(order)[found.reshape(-1)], first[order]


def _of(ids: np.ndarray, k: int) -> str:
    """The id, for messages."""
    name = ids[k] if len(ids) else ""
    text = name.decode() if isinstance(name, bytes) else getattr(name, "item", lambda: name)()
    return f" of {text!r}" if len(ids) else ""


def _rising(rows: Any, times: np.ndarray, sort: bool, of: str) -> Any:
    own = times[rows]
    if (own[1:] > own[:-1]).all():
        return rows
    rows = np.arange(len(times))[rows]
    if sort:
        order = np.argsort(own, kind="stable")
        rows, own = rows[order], own[order]
    wrong = np.flatnonzero(~(own[1:] > own[:-1]))
    if wrong.size:
        k = int(wrong[0])
        if own[k + 1] == own[k]:
            raise RowError(rows[k + 1], f"the same time{of} as in the row before: keep one of them")
        raise RowError(rows[k + 1], f"not after the time of the row before{of}: sort=True (--sort) sorts the rows")
    return rows


def panel_of(
    values: np.ndarray,
    *,
    known: np.ndarray | None = None,
    owner: np.ndarray | None = None,
    times: np.ndarray | None = None,
    sort: bool = False,
    fill: str | None = None,
    interpolate: bool = False,
    shown: Any = str,
    every: Callable[[np.ndarray, Any], Steps] = lambda times, _: steps_of(times),
) -> Panel:
    """Cut a table into series, and put absent steps in.

    Parameters
    ----------
    values : ndarray, shape (N, K)
        NaN in the last rows of a series where `known` has the inputs of steps to come.
    known : ndarray, shape (N, M), optional
    owner : ndarray, shape (N,), optional
        Id of the series of each row.
    times : ndarray of float64 or datetime64, shape (N,), optional
    sort : bool
        Sort the rows of a series by time.
    fill : {"linear", "previous", "zero", "none"}, optional
        How absent steps are filled; default: they are refused.
    interpolate : bool
        Put missing values, NaN, on the straight line between their neighbours; default: they are refused.
    shown : callable
        A time as text, for messages.
    every : callable
        The steps of rising times, and of the id that they are of; None without ids.

    Raises
    ------
    RowError
        Times that do not rise, are not at equal steps, or of which some are absent; a missing value.

    Examples
    --------
    >>> panel = panel_of(np.array([[1.0], [2.0], [4.0]]), times=np.array([0.0, 1.0, 3.0]), fill="linear")
    >>> panel.values[0].ravel().tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    if fill is not None and fill not in FILLS:
        raise ValueError(f"fill must be one of {', '.join(FILLS)}, got {fill!r}")
    groups = grouped_rows(owner, times, sort=sort, count=len(values))
    panel = Panel([], [], groups.rows, groups.ids)
    inputs = np.empty((len(values), 0)) if known is None else known
    for number, rows in enumerate(groups.rows):
        own, more = values[rows], inputs[rows]
        count = len(own)
        last = len(own) - (_future(own) if known is not None else 0)
        missing = int(np.isnan(own[:last]).sum())
        if missing or np.isnan(more).any():
            own = np.concatenate([_without_gaps(own[:last], rows, 0, interpolate), own[last:]])
            more = _without_gaps(more, rows, values.shape[1], interpolate)
        if times is not None:
            name = groups.ids[number] if len(groups.ids) else None
            steps = _steps(rows, times[rows], fill, shown, partial(_found, every, name))
            panel.steps.append(steps)
            panel.filled += steps.absent
            end = last if steps.positions is None or last == len(own) else int(steps.positions[last])
            own, more = placed(own, steps, fill), placed(more, steps, fill)
            last = len(own) if last == count else end
        panel.missing += missing
        panel.values.append(own[:last])
        panel.known.append(more)
    return panel


def _found(every: Callable[[np.ndarray, Any], Steps], name: Any, times: np.ndarray) -> Steps:
    """The steps of the times of one id."""
    return every(times, name)


def fill_gaps(values: np.ndarray) -> tuple[np.ndarray, int]:
    """`values` with every NaN on the straight line between its known neighbours, and how many there were.

    NaNs before the first or after the last known value stay.

    Examples
    --------
    >>> fill_gaps(np.array([1.0, np.nan, 3.0, np.nan]))
    (array([ 1.,  2.,  3., nan]), 1)
    """
    missing = np.isnan(values)
    known = np.flatnonzero(~missing)
    if known.size == 0:
        return values.copy(), 0
    inside = np.flatnonzero(missing)
    inside = inside[(inside > known[0]) & (inside < known[-1])]
    filled = values.copy()
    filled[inside] = np.interp(inside, known, values[known])
    return filled, len(inside)


def _without_gaps(own: np.ndarray, rows: Any, first: int, interpolate: bool) -> np.ndarray:
    """Values without NaN; `first` is the number of the first column."""
    filled = np.stack([fill_gaps(column)[0] for column in own.T], axis=1) if interpolate and own.size else own
    rest = np.argwhere(np.isnan(filled))
    if len(rest):
        row, column = rest[0]
        text = "a missing value: interpolate=True (--interpolate) fills it"
        if interpolate:
            text = "a missing value at an end cannot be interpolated: fill it or delete the row"
        raise RowError(_number(rows, row), text, first + int(column))
    return filled


def _number(rows: Any, k: int) -> int:
    return k if isinstance(rows, slice) else int(rows[k])


def _future(own: np.ndarray) -> int:
    """Number of rows at the end without any value."""
    held = np.flatnonzero(~np.isnan(own).all(axis=1))
    return len(own) - 1 - int(held[-1]) if held.size else len(own)


def _steps(rows: Any, own: np.ndarray, fill: str | None, shown: Any, every: Callable[[np.ndarray], Steps]) -> Steps:
    try:
        steps = every(own)
    except UnevenTimes as error:
        if fill == "none":
            return _taken_as_even(own)
        raise RowError(
            _number(rows, error.row), f"{error}: fill='none' (--fill none) takes the rows as equal steps"
        ) from None
    if steps.absent and fill is None:
        k = steps.first_absent
        raise RowError(
            _number(rows, k),
            f"{count_of(steps.absent, str(steps))} absent, the first {shown(steps.at([k]))}: fill='linear', 'previous' "
            "or 'zero' (--fill) puts values there, 'none' takes the rows as equal steps",
        )
    return steps if not steps.absent or fill != "none" else _taken_as_even(own)


def count_of(number: int, step: str) -> str:
    """So many steps, and the verb.

    Examples
    --------
    >>> count_of(1, "day"), count_of(2, "day")
    ('1 step (of day) is', '2 steps (of day) are')
    """
    return f"1 step (of {step}) is" if number == 1 else f"{number:,} steps (of {step}) are"


def _taken_as_even(own: np.ndarray) -> Steps:
    """Times by number: no dates follow them."""
    return Steps("row", 1, 1, len(own))


def placed(own: np.ndarray, steps: Steps, fill: str | None) -> np.ndarray:
    """Rows at their steps, absent ones filled.

    Examples
    --------
    >>> placed(np.array([[1.0], [5.0], [4.0]]), steps_of(np.array([0.0, 1.0, 3.0])), "previous").ravel().tolist()
    [1.0, 5.0, 5.0, 4.0]
    """
    if steps.positions is None or not own.size:
        return own if steps.positions is None else np.empty((int(steps.positions[-1]) + 1, 0))
    at, every = steps.positions, np.arange(steps.positions[-1] + 1)
    if fill == "zero":
        full = np.zeros((len(every), own.shape[1]))
        full[at] = own
        return full
    if fill == "previous":
        found: np.ndarray = own[np.searchsorted(at, every, side="right") - 1]
        return found
    return np.stack([np.interp(every, at, column) for column in own.T], axis=1).reshape(len(every), own.shape[1])
