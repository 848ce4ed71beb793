"""Times that are no dates: Unix seconds, serials of Excel, times of day, and years and months in two columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.commands._shared.reading import TIMES

if TYPE_CHECKING:
    from pylstm.datasets import Table

FIRST = 5000
"""Rows that are looked at."""
NAMES = (*TIMES, "unix", "epoch", "ts", "serial")
UNIX = (631_152_000, 4_102_444_800)
"""Seconds from 1970 to 1990, and to 2100."""
SERIALS = (20_000, 73_050)
"""Days from 1900 to 1954, and to 2100, as Excel counts them."""
LENGTHS = ((28, 31), (90, 92), (365, 366))
"""Days of months, quarters and years."""
CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")
DAY = 86_400
PARTS = (("year", "yr", "jahr"), ("month", "mon", "monat", "quarter", "qtr", "quartal"), ("day", "tag"))
"""Names of the columns of a date that is written into several."""
CURE = "; --fill none takes the rows as equal steps, as they are"


def counted_column(table: Table, reading: Mapping[str, Any], others: tuple[str, ...]) -> str | None:
    """The column of numbers that are times, in any order: the first of the file, or one that is called so."""
    head = None
    for at, name in enumerate(table.names):
        rest = set(table.names) - {*others, name}
        if name in others or (at and name.lower() not in NAMES) or not (rest or reading.get("column")):
            continue
        head = table.head(FIRST) if head is None else head
        fields = [row[at] for row in head]
        if len(fields) < 3 or not all(re.fullmatch(r"\d+(\.\d+)?", field, re.ASCII) for field in fields):
            continue
        if _are_times(np.array(fields, np.float64), name.lower() in NAMES):
            return name
    return None


def _are_times(numbers: np.ndarray, named: bool) -> bool:
    """Whether numbers are as large as times, or called such; most of them differ."""
    apart = np.diff(np.unique(numbers))
    if 4 * (len(apart) + 1) < 3 * len(numbers):
        return False
    if named:
        return True
    if any(UNIX[0] * size <= numbers.min() and numbers.max() < UNIX[1] * size for size in (1, 1e3, 1e6, 1e9)):
        return True
    if not (SERIALS[0] <= numbers.min() and numbers.max() < SERIALS[1]):
        return False
    most = max(np.unique(np.round(apart, 4), return_counts=True)[1])
    spans = (np.count_nonzero((apart >= low) & (apart <= high)) for low, high in LENGTHS)
    return bool(2 * max(most, *spans) >= len(apart))


def refuse_parts(table: Table, reading: Mapping[str, Any], time: str | None, used: tuple[str, ...]) -> None:
    """Refuse rows that are not in the order of times of day, or of a date in several columns, that nobody reads.

    Rows of several series, those with a column of times, and those that are taken as they are, are not looked at.

    Raises
    ------
    ValueError
        A row that is not the step after the row before: with its place.
    """
    if time is not None or reading.get("id") or reading.get("fill") == "none":
        return
    names, head = [name for name in table.names if name not in used], table.head(FIRST)
    for name in names:
        at = table.position(name)
        if head and all(CLOCK.fullmatch(row[at]) for row in head) and len({row[at] for row in head}) > 1:
            clocks = [str(each) for each in table.packed(name).astype(str)]
            _refuse(table, [name], [clocks], _clock_step(clocks), "write the day before it, as in 2001-01-31 09:00")
            return
    found = [next((name for name in names if name.lower() in part), None) for part in PARTS]
    parts = [name for name in found if name]
    if found[0] is None or found[1] is None:
        return
    texts = [[str(each) for each in packed.astype(str)] for packed in table.read((), parts).texts]
    if all(each.isdecimal() for column in texts for each in column):
        cure = f"write {' and '.join(parts)} into one column, as in 2001-01"
        _refuse(table, parts, texts, _date_step(texts, "q" in parts[1].lower()), cure)


def _refuse(table: Table, names: list[str], texts: list[list[str]], row: int | None, cure: str) -> None:
    if row is None:
        return
    shown, before = (" ".join(column[k] for column in texts) for k in (row, row - 1))
    raise ValueError(
        f"{table.place(table.line(row), table.position(names[0]))}: {shown!r} is not the step after {before!r}: "
        f"{cure}, and --sort sorts such rows{CURE}"
    )


def _clock_step(texts: list[str]) -> int | None:
    """The first row that is not as long after the row before as most are, or is before it; None without such."""
    seconds = np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        match = CLOCK.fullmatch(text)
        if match is None:
            return row or None
        seconds[row] = 3600 * int(match[1]) + 60 * int(match[2]) + int(match[3] or 0)
    apart = np.diff(seconds) % DAY
    sizes, counts = np.unique(apart, return_counts=True)
    usual = sizes[counts.argmax()]
    wrong = (apart != usual) | (usual > DAY // 2)
    return int(wrong.argmax()) + 1 if wrong.any() else None


def _date_step(texts: list[list[str]], quarters: bool) -> int | None:
    """The first row whose date is not the step after that of the row before; None without such, or of other numbers."""
    from pylstm.data.calendar import UnevenTimes, steps_of

    numbers = np.array(texts).astype(np.int64)
    year, month, day = numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else np.ones_like(numbers[0])
    last = 4 if quarters else 12
    if ((month < 1) | (month > last) | (day < 1) | (day > 31) | (year < 1) | (year > 9999)).any():
        return None
    months = ((year - 1970) * 12 + (month - 1) * (12 // last)).astype("M8[M]")
    dates = (months.astype("M8[D]") + (day - 1)).astype("M8[us]")
    early = dates[1:] <= dates[:-1]
    if early.any():
        return int(early.argmax()) + 1
    with suppress(ValueError):
        try:
            steps = steps_of(dates)
        except UnevenTimes as error:
            return error.row or None
        if steps.positions is not None:
            return int((np.diff(steps.positions) > 1).argmax()) + 1
    return None
