"""`steps_every`: times at the steps of a frequency that was asked for, such as ``"MS"`` or ``"15min"``."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from pylstm.checks import quoted
from pylstm.data.calendar import DAY, UNITS, Steps, UnevenTimes

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
}
"""Frequencies of pandas, polars and English; which day a week, a quarter or a year begins on, the times say."""
_FREQUENCY = re.compile(r"(\d*)\s*([A-Za-z][A-Za-z ]*?)(?:-[A-Z]{3})?")


def steps_every(frequency: Any, times: np.ndarray) -> Steps:
    """The steps of rising times whose step is known.

    Parameters
    ----------
    frequency : str or number
        A name of `NAMES`, with a number before it where there are several: ``"15min"``. Of times that are numbers, a
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
        return _placed(Steps("number", float(frequency), times[0], len(times)), times)
    found = _FREQUENCY.fullmatch(frequency) if isinstance(frequency, str) else None
    if found is None or found[2] not in NAMES or found[1] == "0":
        raise ValueError(
            f"freq must be one of {', '.join(NAMES)}, with a number before it where there are several ('15min'), got "
            f"{quoted(frequency)}"
        )
    kind, size = NAMES[found[2]]
    times = times.astype("M8[us]", copy=False)
    day = int((times[0].astype("M8[D]") - times[0].astype("M8[M]").astype("M8[D]")).astype(int)) + 1
    first = times[0].astype("M8[D]")
    if kind == "month" and not found[2].endswith("S") and (first + DAY).astype("M8[M]") != first.astype("M8[M]"):
        day = 31  # the last of its month
    return _placed(Steps(kind, int(found[1] or 1) * size, times[0], len(times), None, day), times)


def _placed(steps: Steps, times: np.ndarray) -> Steps:
    """These steps, with the number of the step of each time where some are absent."""
    if steps.kind == "number":
        numbers = np.rint((times - steps.start) / steps.step).astype(np.int64)
    elif steps.kind == "time":
        numbers = np.rint((times - times[0]).astype(np.int64) / steps.step).astype(np.int64)
    elif steps.kind == "business day":
        numbers = np.busday_count(times[0].astype("M8[D]"), times.astype("M8[D]")).astype(np.int64)
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
    return Steps(steps.kind, steps.step, steps.start, steps.count, positions, steps.day)
