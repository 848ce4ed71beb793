"""`steps_every`: times at the steps of a frequency that was asked for, such as ``"MS"`` or ``"15min"``."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from pylstm.checks import quoted
from pylstm.data.calendar import UNITS, WORKDAYS, Steps, UnevenTimes

NAMES: dict[str, tuple[str, int]] = {
    **dict.fromkeys(("s", "S", "second"), ("time", UNITS["s"])),
    **dict.fromkeys(("min", "T", "m", "minute"), ("time", UNITS["min"])),
    **dict.fromkeys(("h", "H", "hour"), ("time", UNITS["hour"])),
    **dict.fromkeys(("D", "d", "day"), ("time", UNITS["day"])),
    **dict.fromkeys(("W", "w", "week"), ("time", UNITS["week"])),
    **dict.fromkeys(("B", "business day"), ("business day", 1)),
    **dict.fromkeys(("MS", "ME", "M", "mo", "month"), ("month", 1)),
    **dict.fromkeys(("QS", "QE", "Q", "q", "quarter"), ("month", 3)),
    **dict.fromkeys(("YS", "YE", "Y", "y", "A", "AS", "year"), ("month", 12)),
    **dict.fromkeys(("BMS", "BME", "BM", "CBMS", "CBME", "CBM"), ("month", 1)),
    **dict.fromkeys(("BQS", "BQE", "BQ"), ("month", 3)),
    **dict.fromkeys(("BYS", "BYE", "BY", "BAS", "BA"), ("month", 12)),
    "C": ("business day", 1),
}
"""Frequencies of pandas, polars and English; which day a week, a quarter or a year begins on, the times say."""
_FREQUENCY = re.compile(r"(\d*)\s*([A-Za-z][A-Za-z ]*?)(?:-[A-Z]{3})?")


def steps_every(frequency: Any, times: np.ndarray) -> Steps:
    """The steps of rising times whose step is known.

    Parameters
    ----------
    frequency : str, number or offset of pandas
        A name of `NAMES`, with a number before it where there are several: ``"15min"``; or such an offset of pandas, of
        business days with its holidays, where ``"C"`` takes the absent days for them. Of times that are numbers, a
        number.
    times : ndarray of float64 or datetime64, shape (T,), T >= 1

    Raises
    ------
    ValueError
        Another frequency.
    UnevenTimes
        A time that is not at such a step.

    Examples
    --------
    >>> steps = steps_every("ME", np.array(["2001-01-31"], "M8[us]"))
    >>> str(steps), steps.at([1, 2]).astype("M8[D]").tolist()
    ('month', [datetime.date(2001, 2, 28), datetime.date(2001, 3, 31)])
    """
    rising = times[1:] > times[:-1]
    if not rising.all():
        raise UnevenTimes(int(np.argmin(rising)) + 1, "is not after the time before")
    if times.dtype.kind != "M":
        if isinstance(frequency, str) or not float(frequency) > 0:
            raise ValueError(f"freq of times that are numbers must be a number above 0, got {quoted(frequency)}")
        size = int(frequency) if float(frequency).is_integer() else float(frequency)
        return at_steps(Steps("number", size, times[0].item(), len(times), given=True), times)
    kind, size, name = _read(frequency)
    times = times.astype("M8[us]", copy=False)
    weekmask = getattr(frequency, "weekmask", WORKDAYS)
    holidays = tuple(np.datetime64(each, "D") for each in getattr(frequency, "holidays", ()))
    steps = Steps(kind, size, times[0], len(times), weekmask=weekmask, holidays=holidays, given=True)
    if kind == "month":
        steps = _on_its_day(steps, name)
    if name.startswith("C") and not holidays:
        steps = replace(steps, holidays=_without_rows(steps, times))
    return at_steps(steps, times)


def _on_its_day(steps: Steps, name: str) -> Steps:
    """Steps of months on the day that the name of a frequency and the first time say."""
    first, starts = steps.start.astype("M8[D]"), name.endswith("S")
    months = first.astype("M8[M]").reshape(1)
    if name[0] in "BC":  # the first or the last business day
        return replace(steps, day=1 if starts else 31, roll="forward" if starts else "backward")
    last = replace(steps, day=31)
    if not starts and last.in_months(months)[0] == first:
        return last
    return replace(steps, day=int((first - months[0].astype("M8[D]")).astype(int)) + 1)


def _read(frequency: Any) -> tuple[str, int, str]:
    """Kind, size and name of a frequency, also of an offset of pandas."""
    text = getattr(frequency, "freqstr", frequency)
    found = _FREQUENCY.fullmatch(text) if isinstance(text, str) else None
    if found is None or found[2] not in NAMES or found[1] == "0":
        raise ValueError(
            f"freq must be one of {', '.join(NAMES)}, with a number before it where there are several ('15min'), got "
            f"{quoted(frequency)}"
        )
    kind, size = NAMES[found[2]]
    return kind, int(found[1] or 1) * size, found[2]


def _without_rows(steps: Steps, times: np.ndarray) -> tuple[Any, ...]:
    """Business days without a time, which are holidays: between times, or between one and the end of its month."""
    days = times.astype("M8[D]")
    if steps.kind == "business day":
        every = np.arange(days[0], days[-1])
    else:
        wanted = steps.in_months(days.astype("M8[M]"))
        pairs = zip(wanted, days) if steps.roll == "forward" else zip(days + 1, wanted + 1)
        every = np.concatenate([np.arange(*pair) for pair in pairs])
    return tuple(np.setdiff1d(every[np.is_busday(every, steps.weekmask)], days))


def at_steps(steps: Steps, times: np.ndarray) -> Steps:
    """These steps, with the number of the step of each time where some are absent.

    Parameters
    ----------
    steps : Steps
        From the first time on.
    times : ndarray of float64 or datetime64[us], shape (T,)

    Raises
    ------
    UnevenTimes
        A time that is not at such a step.
    """
    if steps.kind == "number":
        numbers = np.rint((times - steps.start) / steps.step).astype(np.int64)
    elif steps.kind == "time":
        numbers = np.rint((times - times[0]).astype(np.int64) / steps.step).astype(np.int64)
    elif steps.kind == "business day":
        days = times.astype("M8[D]")
        wrong = ~np.is_busday(days, steps.weekmask, steps.holidays)
        if wrong.any():
            raise UnevenTimes(int(np.argmax(wrong)), "is not a business day")
        numbers = np.busday_count(days[0], days, steps.weekmask, steps.holidays).astype(np.int64) // int(steps.step)
    else:
        months = times.astype("M8[M]").astype(np.int64)
        numbers = (months - months[0]) // int(steps.step)
    off = steps.at(numbers) != times
    if steps.kind == "number":
        off = np.abs(steps.at(numbers) - times) > 1e-6 * steps.step
    off[1:] |= numbers[1:] <= numbers[:-1]
    if off.any():
        raise UnevenTimes(int(np.argmax(off)), f"is not at a step of {steps} after the first time")
    positions = numbers if len(numbers) and numbers[-1] + 1 > len(numbers) else None
    return replace(steps, positions=positions)
