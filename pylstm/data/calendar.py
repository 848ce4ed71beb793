"""`steps_of`: the step of a column of times, which steps are absent, and the times that follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

DAY_LENGTH = 86400 * 10**6
UNITS = {"s": 10**6, "min": 60 * 10**6, "hour": 3600 * 10**6, "day": DAY_LENGTH, "week": 7 * DAY_LENGTH}
"""Microseconds."""
WORKDAYS = "1111100"


@dataclass(frozen=True)
class Steps:
    """Times at equal steps, of which some may be absent.

    Attributes
    ----------
    kind : {"number", "time", "business day", "month", "row"}
        What is counted; rows: the times say nothing about the steps.
    step : float
        How many of them: numbers, microseconds, days of Monday to Friday, months.
    start : float or datetime64
        The first time.
    count : int
        How many times there are.
    positions : ndarray of int64, shape (count,), optional
        Number of the step of each time, 0 for the first; None: none is absent.
    day : int
        Day of the month; 31 for its last.
    roll : {"", "backward", "forward"}
        Of months: the business day before, or after, where that day is none.
    weekmask, holidays : str, tuple of datetime64
        Which days are business days, as of `numpy.busday_offset`.
    given : bool
        Whether the step was asked for, or is that of another series: of one time, too.

    Examples
    --------
    >>> steps = steps_of(np.array(["2001-01-31", "2001-02-28", "2001-04-30"], "M8[us]"))
    >>> str(steps), steps.absent, steps.at([2, 4]).astype("M8[D]").tolist()
    ('month', 1, [datetime.date(2001, 3, 31), datetime.date(2001, 5, 31)])
    """

    kind: str
    step: float
    start: Any
    count: int
    positions: np.ndarray | None = None
    day: int = 1
    roll: str = ""
    weekmask: str = WORKDAYS
    holidays: tuple[Any, ...] = ()
    given: bool = False

    @property
    def absent(self) -> int:
        """How many steps between the first and the last time are not there."""
        return 0 if self.positions is None else int(self.positions[-1]) + 1 - self.count

    @property
    def first_absent(self) -> int:
        """Number of the first step that is not there."""
        assert self.positions is not None
        return int(np.flatnonzero(self.positions != np.arange(self.count))[0])

    @property
    def known(self) -> bool:
        """Whether there are steps: between two times at least, or given."""
        return (self.count > 1 or self.given) and self.kind != "row"

    def at(self, positions: Any) -> np.ndarray:
        """Times of steps by their number."""
        numbers = np.asarray(positions, np.int64)
        found: np.ndarray
        if self.kind in ("number", "row"):
            found = self.start + numbers * (int(self.step) if float(self.step).is_integer() else self.step)
            return found
        start = self.start.astype("M8[us]")
        if self.kind == "time":
            found = start + (numbers * round(self.step)).astype("m8[us]")
            return found
        day = start.astype("M8[D]")
        if self.kind == "business day":
            days = self.business_days(day, numbers * int(self.step))
        else:
            days = self.in_months(start.astype("M8[M]") + numbers * int(self.step))
        found = days.astype("M8[us]") + (start - day)
        return found

    def business_days(self, days: Any, numbers: Any, roll: Any = "raise") -> Any:
        """So many business days after these days."""
        return np.busday_offset(days, numbers, roll, self.weekmask, self.holidays)

    def in_months(self, months: np.ndarray) -> Any:
        """The day of each of these months."""
        days = months.astype("M8[D]") + (np.minimum(self.day, _days_in(months)) - 1)
        return self.business_days(days, 0, self.roll) if self.roll else days

    def __str__(self) -> str:
        if self.kind == "number":
            return f"{self.step:.6g}"
        names = {3: "quarter", 12: "year"} if self.kind == "month" else {}
        if self.kind == "time":
            unit = next((name for name, size in reversed(UNITS.items()) if self.step % size == 0), "us")
            return _counted(self.step / UNITS.get(unit, 1), unit)
        return names.get(int(self.step)) or _counted(self.step, self.kind)


def _counted(count: float, unit: str) -> str:
    return unit if count == 1 else f"{count:g} {unit}{'s' if unit[-1] not in 's' and unit != 'min' else ''}"


TOLD = 6
"""Times from which business days differ from days."""


def same_step(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Whether two pairs of the kind and the size of a step are one, but for the jitter of a clock.

    Examples
    --------
    >>> same_step(["time", 60e6], ["time", 60.1e6]), same_step(["time", 86400e6], ["business day", 1.0])
    (True, False)
    """
    return bool(one[0] == other[0] and abs(one[1] - other[1]) <= 0.05 * max(one[1], other[1]))


class UnevenTimes(ValueError):
    """Times that do not rise, or not by multiples of one step: `row` is the number of the first that does not."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(text)
        self.row = row


def steps_of(times: np.ndarray) -> Steps:
    """The step of rising times.

    Parameters
    ----------
    times : ndarray of float64 or datetime64, shape (T,), T >= 1
        A step may be jittered by a tenth of itself, but whole days may not.

    Raises
    ------
    UnevenTimes
        They do not rise, or not by multiples of one step.
    """
    rising = times[1:] > times[:-1]
    if not rising.all():
        raise UnevenTimes(int(np.argmin(rising)) + 1, "is not after the time before")
    if times.dtype.kind != "M":
        return _even("number", times.astype(np.float64, copy=False))
    times = times.astype("M8[us]", copy=False)
    return _months(times) or _business_days(times) or _even("time", times)


def _even(kind: str, times: np.ndarray) -> Steps:
    """Steps of one length, that which is most frequent."""
    start, count = times[0], len(times)
    if count == 1:
        return Steps(kind, 1.0, start, 1)
    apart = np.diff(times)
    apart = apart.view(np.int64) if kind == "time" else apart
    step = _most_frequent(apart[:: max(1, len(apart) >> 16)].astype(np.float64))
    if apart.max() - apart.min() <= 1e-6 * step:  # the same but for rounding
        step = round(step) if kind == "time" else float(f"{step:.9g}")
        return Steps(kind, step, start, count)
    numbers = np.rint(apart / step)
    off = np.abs(apart / step - numbers) > np.maximum(0.1, 0.01 * numbers)
    off |= numbers < 1
    if kind == "time" and (apart % DAY_LENGTH == 0).all():  # days have no jitter
        off |= apart != numbers * step
    if off.any():
        row = int(np.argmax(off)) + 1
        found, usual = _length(kind, apart[row - 1]), _length(kind, step)
        raise UnevenTimes(row, f"is {found} after the time before, most others {usual}")
    positions = np.concatenate([[0], np.cumsum(numbers)]).astype(np.int64)
    if kind == "number":
        step = float(f"{(times[-1] - start) / positions[-1]:.9g}")
    else:  # steps to come follow the last time
        step = round(step)
        start = times[-1] - np.timedelta64(int(positions[-1]) * step, "us")
    return Steps(kind, step, start, count, positions if positions[-1] >= count else None)


def _most_frequent(apart: np.ndarray) -> float:
    """The length that most have, within a twentieth of it; the smallest of several."""
    ordered = np.sort(apart)
    ends = np.searchsorted(ordered, ordered * 1.05, side="right")
    best = int(np.argmax(ends - np.arange(len(ordered))))
    return float(np.median(ordered[best : ends[best]]))


def _length(kind: str, apart: float) -> str:
    return str(Steps(kind, float(apart), 0.0, 1))


def _months(times: np.ndarray) -> Steps | None:
    """Steps of months, where all are of the same day of a month or its last, or of the business day before or after.

    A business day may have been a holiday: `MOST` of them must be of that day, the others a few days from it.
    """
    if len(times) < 2 or times[1] - times[0] < SHORTEST:
        return None
    months, days = times.astype("M8[M]"), times.astype("M8[D]")
    day, clock = (days - months.astype("M8[D]")).astype(np.int64) + 1, times - days
    apart = np.diff(months.astype(np.int64))
    if (clock != clock[0]).any() or (apart < 1).any():
        return None
    values, counts = np.unique(apart, return_counts=True)
    step = int(values[np.argmax(counts)])
    if (apart % step).any():
        step = int(np.gcd.reduce(apart))
    positions = np.concatenate([[0], np.cumsum(apart // step)])
    absent = positions if (apart > step).any() else None
    last, first, workdays = int(day.max()), int(day.min()), bool(np.is_busday(days).all())
    rules = [(31, ""), (last, "")] + [(31, "backward"), (last, "backward"), (first, "forward")] * workdays
    each = [Steps("month", step, times[0], len(times), absent, *rule) for rule in rules]
    far = [np.abs((days - own.in_months(months)).astype(np.int64)) for own in each]
    exact = next((own for own, off in zip(each, far) if not off.any()), None)
    if exact is not None or len(times) < ENOUGH:
        return exact
    nearest = min(range(len(each)), key=lambda k: np.count_nonzero(far[k]))
    near = each[nearest].roll and np.mean(far[nearest] == 0) >= MOST and far[nearest].max() <= NEAR
    return each[nearest] if near else None


SHORTEST = np.timedelta64(25, "D")
"""Less than any time from a month's last business day to the next's."""
ENOUGH, MOST, NEAR = 12, 0.7, 4


def _business_days(times: np.ndarray) -> Steps | None:
    """Monday to Friday, where most steps are a day and none is a day of a weekend."""
    if len(times) < 6 or (times[1:3] - times[:2]).astype(np.int64).min() % DAY_LENGTH:
        return None
    days = times.astype("M8[D]")
    apart, clock = np.diff(days).astype(np.int64), times - days
    if (clock != clock[0]).any() or (apart == 1).mean() < 0.5 or not np.is_busday(days).all() or apart.max() < 3:
        return None
    positions = np.busday_count(days[0], days).astype(np.int64)
    return Steps("business day", 1, times[0], len(times), positions if positions[-1] >= len(times) else None)


def _days_in(months: np.ndarray) -> np.ndarray:
    found: np.ndarray = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64)
    return found


def zoned_steps(local: np.ndarray, utc: np.ndarray, find: Callable[[np.ndarray], Steps]) -> tuple[Steps, bool]:
    """Steps of times in a zone, and whether they are those of UTC rather than those that a clock there shows.

    Those that the times have the more exactly; where a clock was not changed, those of UTC below a day.

    Parameters
    ----------
    local, utc : ndarray of datetime64, shape (T,)
        The same times.
    find : callable
        `steps_of` or such.

    Raises
    ------
    UnevenTimes
        As `find`, of both.
    """
    found: list[tuple[int, bool, int, Steps]] = []
    errors: list[UnevenTimes] = []
    for number, times in enumerate((local, utc)):
        try:
            steps = find(times)
        except UnevenTimes as error:
            errors.append(error)
            continue
        at = steps.at(np.arange(steps.count) if steps.positions is None else steps.positions)
        short = steps.kind == "time" and steps.step < DAY_LENGTH
        found.append((steps.absent + int(np.count_nonzero(at != times)), bool(number) != short, number, steps))
    if not found:
        raise errors[0]
    *_, number, steps = min(found, key=lambda each: each[:2])
    return steps, bool(number)
