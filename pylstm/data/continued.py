"""`steps_like`: the steps of times that continue others, such as those of a history of one row; `other_steps`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pylstm.data.calendar import TOLD, Steps, UnevenTimes, same_step, steps_of
from pylstm.data.frequency import at_steps
from pylstm.data.timestamps import DateForm


def steps_like(fitted: Steps | None, find: Callable[[np.ndarray], Steps] = steps_of) -> Callable[[np.ndarray], Steps]:
    """What finds the steps of times which may be too few to say them: those of `fitted`, where the times are at these.

    Parameters
    ----------
    fitted : Steps, optional
        Of the series of a fit; None: there are none.
    find : callable
        `steps_of` or such, for times that are at other steps.

    Examples
    --------
    >>> fitted = steps_of(np.array(["2001-01-31", "2001-02-28", "2001-03-31"], "M8[us]"))
    >>> steps = steps_like(fitted)(np.array(["2001-04-30"], "M8[us]"))
    >>> str(steps), steps.at([1]).astype("M8[D]").tolist()
    ('month', [datetime.date(2001, 5, 31)])
    """
    if fitted is None or not fitted.known:
        return find
    return lambda times: _found(times, fitted, find)


def _found(times: np.ndarray, fitted: Steps, find: Callable[[np.ndarray], Steps]) -> Steps:
    if (times.dtype.kind == "M") != is_dated(fitted):
        return find(times)
    own = _beginning(fitted, times)
    if len(times) == 1 and own.kind != "business day":
        return own
    try:
        own = at_steps(own, times)
        if own.positions is None or (len(times) < TOLD and (len(times) == 2 or not _is_even(times, find))):
            return own
    except UnevenTimes:
        if len(times) == 1:
            raise
    steps = find(times)
    if fitted.kind == steps.kind == "time" and len(times) < TOLD and not steps.absent and _same(fitted, steps):
        length = np.timedelta64(round(fitted.step) * (len(times) - 1), "us")
        return replace(fitted, start=times[-1] - length, count=len(times), positions=None)
    return steps


def _is_even(times: np.ndarray, find: Callable[[np.ndarray], Steps]) -> bool:
    """Whether the times have steps of their own, none of them absent."""
    try:
        return find(times).absent == 0
    except UnevenTimes:
        return False


def _beginning(fitted: Steps, times: np.ndarray) -> Steps:
    """Steps of the kind and length of `fitted` from the first of these times on."""
    steps = replace(fitted, start=times[0], count=len(times), positions=None, given=True)
    if steps.kind != "month" or steps.roll or (steps.at([0]) == times[0]).all():
        return steps
    first = times[0].astype("M8[D]")
    month = first.astype("M8[M]")
    last = (month + 1).astype("M8[D]") - 1
    return replace(steps, day=31 if first == last else int((first - month.astype("M8[D]")).astype(int)) + 1)


def is_dated(steps: Steps) -> bool:
    """Whether the times are dates, or times since a start, rather than numbers."""
    return isinstance(steps.start, np.datetime64)


def _same(one: Steps, other: Steps) -> bool:
    return same_step((one.kind, one.step), (other.kind, other.step))


def other_steps(fitted: Steps | None, given: Steps | None, form: DateForm | None = None) -> tuple[str, str] | None:
    """Words for the steps of a fit, and for those of a history that has others; None where it has not.

    Parameters
    ----------
    fitted, given : Steps, optional
    form : DateForm, optional
        How the dates of the history are written: as months they have no days.

    Examples
    --------
    >>> days = steps_of(np.array(["2001-01-01", "2001-01-02"], "M8[us]"))
    >>> other_steps(days, steps_of(np.array([1.0, 3.0]))), other_steps(days, days)
    (('steps of a day', 'numbers that rise by 2'), None)
    """
    if fitted is None or given is None or not fitted.known or given.kind == "row":
        return None
    if form is not None and "%d" not in form.pattern and "%V" not in form.pattern and given.kind != "month":
        return described(fitted), "months"
    if is_dated(fitted) == is_dated(given) and (not given.known or _same(fitted, given)):
        return None
    return described(fitted), described(given)


def described(steps: Any) -> str:
    """Steps in words.

    Examples
    --------
    >>> described(Steps("time", 900e6, np.datetime64(0, "us"), 9)), described(Steps("number", 1.0, 4.0, 1))
    ('steps of 15 min', 'the number 4')
    """
    name = str(steps)
    if is_dated(steps):
        if not steps.known:
            return f"the date {steps.start.astype('M8[s]')}"
        return f"steps of {name}" if name[0].isdecimal() else f"steps of a{'n' * name.startswith('h')} {name}"
    return f"numbers that rise by {name}" if steps.known else f"the number {steps.start:.15g}"
