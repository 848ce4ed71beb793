"""Advice on lines of a CSV file that are not rows: units below the header, a total or a source at the end."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from pylstm.datasets.fields import NumberStyle

LONGEST = 40
"""Characters of a line that a cure repeats, at most."""


def comment_cure(text: str) -> str:
    """The option that leaves out lines which begin with this text.

    Examples
    --------
    >>> comment_cure("-,kg")
    "; comment='-,kg' (--comment=-,kg) leaves such lines out"
    """
    return f"; comment={text!r} (--comment={shlex.quote(text)}) leaves such lines out"


def units_cure(line: str, row: Sequence[str], below: Sequence[str], at: int, style: NumberStyle) -> str:
    """What to do with a first row of which no field is a number, where that below is one; nothing for another row."""
    if any(style._read(field.strip("() \t")) is not None for field in row):
        return ""
    if style._read(below[at].strip()) is None or not line.strip() or line.count('"') % 2:
        return ""
    return comment_cure(line.strip()[:LONGEST].rstrip())


def footer_cure(row: Sequence[str]) -> str:
    """What to do with a row that begins with a word and has nothing else, as a source below a table."""
    word = re.match(r"[^\W\d]+", row[0].strip()) if row else None
    return comment_cure(word[0]) if word and not any(field.strip() for field in row[1:]) else ""
