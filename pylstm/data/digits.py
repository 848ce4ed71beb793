"""`dated_digits`: months and days that are written as numbers, 202401 and 20240131, and which of them are none."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

YEARS = (1800, 2199)
"""Years of such dates."""
KINDS = {"month": ("%Y%m", 100), "day": ("%Y%m%d", 10_000)}
"""What they are -> their form, and what a year is multiplied by."""


class DateError(ValueError):
    """A field that is not a date: `row` is its number."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(text)
        self.row = row


def unlike_dates(text: str, months: str) -> DateError:
    """The error for a column of which no field is a date, and this the first; `months` are their names, a pattern."""
    if re.fullmatch(r"\d{1,2}:\d\d(:\d\d)?", text):
        return DateError(0, f"{text!r} is a time of day: write the day before it, as in 2001-01-31 09:00")
    if re.fullmatch(months, text):
        return DateError(0, f"{text!r} is a month without its year: write both, as in Jan 2001")
    return DateError(0, f"{text!r} is not a date of a known form")


class Digits(NamedTuple):
    """The form of such dates, ``"month"`` or ``"day"``, their texts, and which are in the calendar."""

    form: str
    kind: str
    texts: np.ndarray
    valid: np.ndarray

    def checked(self) -> np.ndarray:
        """The texts.

        Raises
        ------
        DateError
            One is not in the calendar.
        """
        if self.valid.all():
            return self.texts
        row, right = int(np.argmin(self.valid)), int(np.argmax(self.valid))
        field, other = (str(self.texts[k : k + 1].astype(str)[0]) for k in (row, right))
        raise DateError(row, f"{field!r} is not a {self.kind}, as {other!r} is: correct it")


def dated_digits(texts: np.ndarray) -> Digits | None:
    """How most of the fields of a column are written, where that is as months or days in digits; else None.

    Examples
    --------
    >>> found = dated_digits(np.array(["202012", "202013", "202101"]))
    >>> found.form, found.valid.tolist(), dated_digits(np.array(["202012", "202013"]))
    ('%Y%m', [True, False, True], None)
    """
    sample = texts[:: max(1, len(texts) // 64)]
    kind = next((kind for kind in KINDS if _most(_valid(_numbers(sample), kind))), None)
    if kind is None:
        return None
    numbers = _numbers(texts)
    valid = _valid(numbers, kind)
    if not _most(valid):
        return None
    if np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all():  # without the .0 of some
        texts = numbers.astype(np.int64).astype("S" if texts.dtype.kind == "S" else "U")
    return Digits(KINDS[kind][0], kind, texts, valid)


def in_years(number: float) -> bool:
    """Whether a number is as large as those of `dated_digits`."""
    return any(YEARS[0] * size < number < (YEARS[1] + 1) * size for _, size in KINDS.values())


def _most(valid: np.ndarray) -> bool:
    return bool(2 * np.count_nonzero(valid) > len(valid))


def _numbers(texts: np.ndarray) -> np.ndarray:
    """Fields as float64; NaN for what is no number."""
    try:
        return texts.astype(np.float64)
    except ValueError:
        return np.array([_number(each) for each in texts.tolist()])


def _number(text: Any) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _valid(numbers: np.ndarray, kind: str) -> np.ndarray:
    """Which numbers are months, or days, of the calendar."""
    size = KINDS[kind][1]
    right = (numbers >= YEARS[0] * size) & (numbers < (YEARS[1] + 1) * size)
    right &= numbers == np.rint(numbers)
    whole = np.where(right, numbers, YEARS[0] * size).astype(np.int64)
    month = whole // (size // 100) % 100
    right &= (month >= 1) & (month <= 12)
    if kind == "month":
        return right
    day = whole % 100
    months = ((whole // size - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("M8[M]")
    lengths = ((months + 1).astype("M8[D]") - months.astype("M8[D]")).astype(np.int64)
    valid: np.ndarray = right & (day >= 1) & (day <= lengths)
    return valid
