"""`NumberStyle`: how the numbers of a file are written, and what is wrong with a field that is not a number."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass
from functools import cached_property

import numpy as np

MISSING = ("", "na", "n/a", "#n/a", "<na>", "nan", "null", "none", "?", "-")
"""Fields that stand for a missing number, in lower case."""

SPACES = "\u00a0\u202f\u2009"
"""Spaces that part thousands in print: those that do not break, and the thin one."""


MINUS = "\u2212"
"""The sign that print has for a minus, read as one."""
_AMOUNT = re.compile(r"(?P<before>[^\d+\-.,(]*)(?P<number>[+-]?\d[\d.,' ]*?(?:[eE][+-]?\d+)?)(?P<after>[^\d]*)")


LONGEST_UNIT, LONGEST_GAP = 8, 12
SIGNS = ".-*:~_#/x"
"""Fields of these alone stand for no number, and so do these words."""
WORDS = (
    "missing", "nil", "no data", "nodata", "void", "error", "n.a.", "n.d.", "tbd", "bad", "off", "#ref!",
    "#div/0!", "#value!", "#num!",
)  # fmt: skip


@dataclass(frozen=True)
class NumberStyle:
    """How numbers are written.

    Attributes
    ----------
    decimal : {".", ","}
    thousands : str
        What parts groups of three digits; empty: nothing.
    missing : tuple of str
        Further fields that stand for a missing number, numbers such as -999 in any form.

    Raises
    ------
    ValueError
        Another decimal sign; a separator that is not one character, is a digit or a sign, or is the decimal sign.

    Examples
    --------
    >>> NumberStyle(",", ".").number("1.234,5"), NumberStyle(thousands=" ").values(["12 000", "7"]).tolist()
    (1234.5, [12000.0, 7.0])
    """

    decimal: str = "."
    thousands: str = ""
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.decimal not in (".", ","):
            raise ValueError(f"decimal must be '.' or ',', got {self.decimal!r}")
        if self.thousands and (len(self.thousands) != 1 or self.thousands in '0123456789+-eE\n"'):
            raise ValueError(f"thousands must be one character such as ',' or a space, got {self.thousands!r}")
        if self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands must differ, got {self.decimal!r} for both")
        if not all(each.strip() for each in self.missing):
            raise ValueError("missing must be texts that stand for a missing number, an empty field does so anyway")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        part, point = re.escape(self.thousands), re.escape(self.decimal)
        groups = rf"\d{{1,3}}(?:{part}\d{{2,3}})*{part}\d{{3}}|" if part else ""  # 12,34,567 in India
        return re.compile(rf"\s*[+-]?(?:{groups}\d*)(?:{point}\d*)?(?:[eE][+-]?\d+)?\s*")

    @cached_property
    def _codes(self) -> frozenset[float]:
        """The numbers among `missing`."""
        return frozenset(value for each in self.missing if (value := self._read(each.strip())) is not None)

    @cached_property
    def _gaps(self) -> frozenset[str]:
        return frozenset((*MISSING, *(each.strip().lower() for each in self.missing)))

    def _plain(self, field: str) -> str:
        if self.thousands:
            field = field.replace(self.thousands, "")
        return field.replace(self.decimal, ".")

    def values(self, fields: list[str]) -> np.ndarray | None:
        """All fields at once; None where one of them is missing or not a finite number."""
        if self.thousands == " ":
            fields = [_with_plain_spaces(field) for field in fields]
        if self != PLAIN:
            if not all(map(self._pattern.fullmatch, fields)):
                return None
            fields = list(map(self._plain, fields))
        try:
            values = np.fromiter(map(float, fields), np.float64, len(fields))
        except ValueError:
            return None
        if self._codes and np.isin(values, list(self._codes)).any():
            return None
        return values if np.isfinite(values).all() and "_" not in "".join(fields) else None

    def number(self, field: str, *, gaps: bool = False) -> float:
        """One field, without spaces around it; NaN for a missing one where `gaps` are allowed.

        Raises
        ------
        ValueError
            Missing, not a number or not finite: says what to do.
        """
        found = self._read(field)
        if field.lower() in self._gaps or found in self._codes:
            if gaps:
                return math.nan
            raise ValueError(f"a missing value, {field!r}: interpolate=True (--interpolate) fills it")
        if found is None:
            raise ValueError(f"{field!r} is not a number{self._cure(field)}")
        if not math.isfinite(found):
            raise ValueError(f"{field!r} is not a finite number")
        return found

    def _read(self, field: str) -> float | None:
        if self.thousands == " ":
            field = _with_plain_spaces(field)
        field = field.replace(MINUS, "-")
        try:
            if self == PLAIN:
                return None if "_" in field else float(field)
            return float(self._plain(field)) if self._pattern.fullmatch(field) else None
        except ValueError:
            return None

    def _cure(self, field: str) -> str:
        """The styles in which `field` is a number."""
        if "_" in field and _is_number(field):
            plain = f": write {field.replace('_', '')}"
            parted = NumberStyle(self.decimal, "_")._read(field) is not None
            return f"{plain}, or thousands='_' (--thousands _)" if parted and not self.thousands else plain
        if self.decimal == "," and (value := PLAIN._read(field)) is not None:
            python, shell = (", thousands=','", " --thousands ,") if self.thousands == "." else ("", "")
            return f": decimal='.'{python} (--decimal .{shell}) reads {value:.15g}"
        found = [
            f"{style.described()} reads {value:.15g}"
            for style in STYLES
            if style._is_used_in(field) and (value := style._read(field)) is not None and math.isfinite(value)
        ]
        return f": {', '.join(found)}" if found else _as_missing(field) or _without_unit(field)

    def _is_used_in(self, field: str) -> bool:
        """Whether the field has all the signs that this style has and the plain one has not."""
        field = _with_plain_spaces(field)
        return all(sign in field for sign in (self.decimal.strip("."), self.thousands))

    def described(self) -> str:
        """What to pass for this style, in Python and on the command line."""
        words = [
            (f"{name}={sign!r}", f"--{name} {shlex.quote(sign)}" if sign != "," else f"--{name} ,")
            for name, sign in (("decimal", self.decimal), ("thousands", self.thousands))
            if sign not in ("", PLAIN.decimal if name == "decimal" else "")
        ]
        return f"{', '.join(python for python, _ in words)} ({' '.join(shell for _, shell in words)})"


PLAIN = NumberStyle()
STYLES = tuple(
    NumberStyle(decimal, thousands)
    for decimal, thousands in ((",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))
)
"""Those that a message proposes."""


def _with_plain_spaces(field: str) -> str:
    return field.translate(dict.fromkeys(map(ord, SPACES), " "))


def _as_missing(field: str) -> str:
    """What to do with a sign or a word that stands for no number; nothing for another text."""
    if len(field) > LONGEST_GAP or (field.strip("".join(SIGNS)) and field.lower() not in WORDS):
        return ""
    return f": missing={field!r} (--missing {shlex.quote(field)}) reads it as a missing value"


def _without_unit(field: str) -> str:
    """What to do with a number in brackets, or with a unit; nothing for another text."""
    if re.fullmatch(r"\(\d[\d.,]*\)", field):
        return f": write -{field[1:-1]} for a number in brackets"
    found = _AMOUNT.fullmatch(field)
    units = [each.strip() for each in (found["before"], found["after"]) if each.strip()] if found else []
    return f": write it without the unit {units[0]!r}" if len(units) == 1 and len(units[0]) <= LONGEST_UNIT else ""


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
