"""The header of a CSV file: its names, and whether the first line is one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pylstm.data.timestamps import looks_like_date
from pylstm.datasets.fields import STYLES, NumberStyle

STYLE_NAMES = "header=False (--no-header) reads it as a row, header=True (--header) as names"


def check_header(path: object, line: int, names: Sequence[str]) -> list[str]:
    """Names of the columns; one without a name is called by its number.

    Raises
    ------
    ValueError
        No name at all; a name that is there twice.

    Examples
    --------
    >>> check_header("flow.csv", 1, ["", "year", "", "flow"])
    ['column 1', 'year', 'column 3', 'flow']
    """
    if not any(names):
        raise ValueError(f"{path}, line {line}: the header has no names")
    found = [name or f"column {at + 1}" for at, name in enumerate(names)]
    for at, name in enumerate(found):
        if name in found[:at]:
            raise ValueError(
                f"{path}, line {line}, column {at + 1}: the header has the name {name!r} twice: rename one; if the "
                "line is not a header, header=False (--no-header) reads it as a row"
            )
    return found


def refuse_row(path: object, line: int, first: Sequence[str], below: Sequence[Sequence[str]]) -> None:
    """Reject a first line that may be a row of values: as names, these would be lost without a word.

    Numbers or dates among the names are those of steps where they rise evenly, as 1, 2, 3 or 1990, 1991 do; a text
    beside them that comes again below is a class, not a name.

    Raises
    ------
    ValueError
        Numbers only, or numbers beside names that are not those of steps.
    """
    numbers = [name for name in first if _is_number(name)]
    dates = [name for name in first if looks_like_date(name)]
    if not numbers and not dates:
        return
    named = [name for name in first if name]
    if len(numbers) == len(named):
        what = "holds numbers only"
    elif _rise_evenly(numbers, dates) and not _comes_again(first, below):
        return
    else:
        shown = (numbers or dates)[0]
        what = f"may be a row of values ({shown!r} is not a name)"
    raise ValueError(f"{path}, line {line}: the first line {what}: {STYLE_NAMES}")


def refuse_comment(path: object, line: int, first: str, width: int, below: Sequence[Sequence[str]]) -> None:
    """Reject a header that looks like a comment: another number of fields than all rows below, and a sign before it."""
    for sign in ("#", "%", "//", "--"):
        if first.startswith(sign) and below and all(len(row) != width for row in below):
            raise ValueError(
                f"{path}, line {line}: the first line begins with {sign!r}: comment={sign!r} (--comment '{sign}') "
                "leaves such lines out"
            )


def _is_number(field: str) -> bool:
    return any(style._read(field) is not None for style in (NumberStyle(), *STYLES)) and field[-1:].isdigit()


def _rise_evenly(numbers: Sequence[str], dates: Sequence[str]) -> bool:
    """Whether there are two or more, and they can be the names of steps: integers, or dates, that rise."""
    if dates and not all(number in dates for number in numbers):
        return False
    if dates:
        return len(dates) > 1 and sorted(set(dates)) == list(dates)
    if len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
        return False
    steps = {int(after) - int(before) for before, after in pairwise(numbers)}
    return len(steps) == 1 and min(steps) > 0


def _comes_again(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a text of the first line is also below it, in its column."""
    return any(
        name and not _is_number(name) and any(at < len(row) and row[at].strip() == name for row in below)
        for at, name in enumerate(first)
    )
