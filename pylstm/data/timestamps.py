"""`read_dates`: columns of dates as people write them, as datetime64, and `DateForm`, which writes them back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pylstm.data.digits import DateError, dated_digits, unlike_dates

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG = ("uary", "ruary", "ch", "il", "", "e", "y", "ust", "tember", "ober", "ember", "ember")
_NAME = "(?:" + "|".join(f"{name}(?:{rest})?" for name, rest in zip(MONTHS, _LONG)) + r"|sept)\.?"

FIELDS = {
    "Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{1,2}", "d": r"\d{1,2}", "b": _NAME, "q": "[1-4]", "V": r"\d{1,2}",
    "H": r"\d{1,2}", "I": r"\d{1,2}", "M": r"\d{2}", "S": r"\d{2}", "p": "[ap]m",
}  # fmt: skip
"""Letter of a form -> what it matches; in lower case. ``q`` is a quarter, ``V`` a week of the ISO calendar."""

DAYS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y",
    "%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d. %b %Y", "%b %d, %Y", "%b %d %Y",
)  # fmt: skip
"""Forms of days, in the order in which they are tried."""
TIMES = ("", " %H:%M", "T%H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
OTHERS = (
    "%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%b-%Y", "%b-%y", "%b %y", "%Y %b", "%Y-%b", "%YM%m", "%Y-M%m",
    "%YQ%q", "%Y-Q%q", "%Y Q%q", "Q%q %Y", "Q%q-%Y", "%Y-W%V", "%YW%V", "%Y%m%d",
)  # fmt: skip
FORMS = (*(day + time for time, day in product(TIMES, DAYS)), *OTHERS)

_ZONE = re.compile(r"(?<=\d)(?:z|[+-]\d\d:?\d\d)$")
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d+)$")


@dataclass(frozen=True)
class DateForm:
    """How the dates of a column are written.

    Attributes
    ----------
    pattern : str
        As of `datetime.strftime`, with ``%q`` for a quarter and ``%V`` for a week of the year ``%Y``.
    padded : bool
        Whether 3 is written as 03.
    digits : int
        Of a fraction of a second.
    zone : str
        What follows, ``Z`` or ``+01:00``; it is the same in all rows.

    Examples
    --------
    >>> dates, form = read_dates(np.array(["30/1/2001", "31/1/2001"]))
    >>> dates.astype("M8[D]").tolist()[0].isoformat(), form.pattern, form.write(dates + np.timedelta64(1, "D"))
    ('2001-01-30', '%d/%m/%Y', ['31/1/2001', '1/2/2001'])
    """

    pattern: str
    padded: bool = True
    digits: int = 0
    zone: str = ""
    capital: bool = True
    long: bool = False

    def write(self, dates: np.ndarray) -> list[str]:
        """Dates (datetime64) in this form."""
        return [self._written(each) for each in dates.astype("M8[us]").tolist()]

    def _written(self, date: object) -> str:
        def field(match: re.Match[str]) -> str:
            letter = match[1]
            if letter == "q":
                return str((date.month + 2) // 3)  # type: ignore[attr-defined]
            if letter == "V":
                return f"{date.isocalendar().week:02d}"  # type: ignore[attr-defined]
            if letter == "Y" and "%V" in self.pattern:
                return str(date.isocalendar().year)  # type: ignore[attr-defined]
            if letter == "b":
                name = MONTHS[date.month - 1] + (_LONG[date.month - 1] if self.long else "")  # type: ignore[attr-defined]
                return name.capitalize() if self.capital else name
            text = date.strftime(f"%{letter}")  # type: ignore[attr-defined]
            text = text.zfill(4) if letter == "Y" else text
            return text if self.padded or letter not in "mdHI" else text.lstrip("0") or "0"

        text = re.sub("%(.)", field, self.pattern)
        if self.digits:
            text += f".{date.microsecond:06d}"[: self.digits + 1]  # type: ignore[attr-defined]
        return text + self.zone


def looks_like_date(text: str) -> bool:
    """Whether one field is a date in one of `FORMS`; numbers are not.

    Examples
    --------
    >>> looks_like_date("3 Feb 2001"), looks_like_date("2001Q4"), looks_like_date("2001"), looks_like_date("12-14-9")
    (True, True, False, False)
    """
    text = _bare(text.strip().lower())[0]
    return not text.isdecimal() and any(_regex(form).fullmatch(text) for form in FORMS)


def read_dates(texts: np.ndarray, pattern: str | None = None, utc: bool = False) -> tuple[np.ndarray, DateForm]:
    """Dates of a column, all of one form.

    Parameters
    ----------
    texts : ndarray of bytes or str, shape (T,)
    pattern : str, optional
        The form, as of `datetime.strptime`; default: the one of `FORMS` that all rows have.
    utc : bool
        Whether offsets are applied.

    Returns
    -------
    dates : ndarray of datetime64[us], shape (T,)
        As they are written: an offset is not applied, where all rows have the same; with `utc` of UTC, but days of one
        time of day are those of their place, and are written with the last offset.
    form : DateForm

    Raises
    ------
    ValueError
        Two forms fit, such as ``%d/%m/%Y`` and ``%m/%d/%Y``.
    DateError
        A row has no such form, or is no day of the calendar; has the number of the row.
    """
    if pattern is None and (quick := _read_iso(texts)) is not None:
        return quick
    lower = _lower(texts)
    try:
        return _read_lower(texts, lower, pattern, utc)
    except DateError as error:  # of the file's own letters
        message = str(error)
        for row in {error.row, 0}:
            message = message.replace(repr(lower[row]), repr(str(texts[row : row + 1].astype(str)[0])))
        raise DateError(error.row, message) from None


def _read_lower(texts: np.ndarray, lower: list[str], pattern: str | None, utc: bool) -> tuple[np.ndarray, DateForm]:
    """The result of `read_dates` for texts in lower case."""
    bare, zone, digits, rest = _without_ends(lower, utc)
    forms = [pattern] if pattern else _forms_of(bare)
    read: list[tuple[str, np.ndarray]] = []
    errors: list[DateError] = []
    for form in forms:
        try:
            read.append((form, _parse(bare, form)))
        except DateError as error:
            errors.append(error)
    if not read:
        raise (
            max(errors, key=lambda error: error.row)
            if pattern or any(map(looks_like_date, bare))
            else unlike_dates(lower[0], _NAME)
        )
    if len(read) > 1:
        read = _even(read)
    form, dates = read[0]
    sample = [str(each) for each in texts[:1].astype(str)]
    return dates + rest, DateForm(form, _is_padded(bare, form), digits, zone, *_spelling(sample[0]))


def read_times(
    texts: np.ndarray, pattern: str | None = None, utc: bool = False, counted: bool = False
) -> tuple[np.ndarray, DateForm | None]:
    """Times of a column: numbers as float64, where all are, otherwise the result of `read_dates`.

    Numbers are dates where most are days such as 20010203, or months such as 200102, of the years 1800 to 2199; of
    these the others are refused, but not where the numbers are `counted`.

    Raises
    ------
    ValueError, DateError
        As `read_dates`; a number among days or months that is none.

    Examples
    --------
    >>> read_times(np.array([b"1871", b"1872"]))
    (array([1871., 1872.]), None)
    """
    if pattern is not None:
        return read_dates(texts, pattern, utc)
    if not counted and (found := dated_digits(texts)) is not None:
        return read_dates(found.checked(), found.form)
    try:
        numbers = texts.astype(np.float64)
    except ValueError:
        return read_dates(texts, utc=utc)
    if not np.isfinite(numbers).all():
        row = int(np.argmin(np.isfinite(numbers)))
        raise DateError(row, f"{str(texts[row : row + 1].astype(str)[0])!r} is neither a number nor a date")
    return numbers, None


def written(times: np.ndarray, form: DateForm | None) -> list[str]:
    """Times as text: dates in their form, numbers shortly."""
    if form is not None:
        return form.write(times)
    if times.dtype.kind == "M":
        return [str(each) for each in times.astype("M8[s]")]
    return [f"{each:.15g}" for each in times.tolist()]


_ISO = re.compile(r"\d{4}-\d\d(-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?)?")


def _read_iso(texts: np.ndarray) -> tuple[np.ndarray, DateForm] | None:
    """The result of `read_dates` by NumPy's own reader; None where not all are of one form of ISO 8601."""
    ends = [str(each) for each in texts[[0, -1]].astype(str)] if len(texts) else [""]
    matches = [_ISO.fullmatch(each) for each in ends]
    if not all(matches) or texts.dtype.kind != "S" or len(set(map(len, ends))) > 1:
        return None
    rows = np.ascontiguousarray(texts).view("u1").reshape(len(texts), -1)
    signs = [at for at, each in enumerate(ends[0]) if not each.isdecimal()]
    if rows.shape[1] != len(ends[0]) or not all((rows[:, at] == ord(ends[0][at])).all() for at in signs):
        return None
    try:
        dates = texts.astype("M8[us]")
    except ValueError:
        return None
    form = "%Y-%m" + "-%d" * (len(ends[0]) > 7) + (ends[0][10:11] + "%H:%M") * (len(ends[0]) > 10)
    form += ":%S" * (len(ends[0]) > 16)
    return dates, DateForm(form, digits=max(0, len(ends[0]) - 20))


def _lower(texts: np.ndarray) -> list[str]:
    if texts.dtype.kind == "S":
        return b"\n".join(texts.tolist()).decode().lower().split("\n")
    return [str(each).lower() for each in texts.tolist()]


def _bare(text: str) -> tuple[str, str, str]:
    """Text without zone and fraction, and these."""
    zone = _ZONE.search(text) if ":" in text else None
    text = text[: zone.start()] if zone else text
    fraction = _FRACTION.search(text)
    return (text[: fraction.start()] if fraction else text), zone[0] if zone else "", fraction[1] if fraction else ""


def _without_ends(lower: list[str], utc: bool) -> tuple[list[str], str, int, np.ndarray]:
    """Texts without zones and fractions; the zone, the digits of a fraction, the fractions, of UTC less the offsets."""
    none = np.zeros(1, "m8[us]")
    if not any(":" in each for each in (lower[0], lower[-1])):
        return lower, "", 0, none
    parts = [_bare(each) for each in lower]
    zones, digits = {zone for _, zone, _ in parts}, max(len(fraction) for *_, fraction in parts)
    if len(zones) > 1 and not (utc and "" not in zones):
        row = next(k for k, part in enumerate(parts) if part[1] != parts[0][1])
        cure = "write one to each" if "" in zones else "utc=True (--utc) takes all as of UTC"
        raise DateError(row, f"{lower[row]!r} has another offset than {lower[0]!r}: {cure}")
    if len(zones) > 1 and len({_clock(part[0]) for part in parts}) == 1:  # days of a place whose clocks change
        zones = {parts[-1][1]}
        utc = False
    zone = next(iter(zones)).upper()
    rest = np.array([int(part[2].ljust(6, "0")[:6]) for part in parts], "m8[us]") if digits else none
    if utc and zone:
        offsets = {each: _offset(each) for each in zones}
        rest, zone = rest - np.array([offsets[part[1]] for part in parts]), "Z"
    return [part[0] for part in parts], zone, min(digits, 6), rest


def _clock(text: str) -> str:
    """The time of day."""
    found = re.search(r"\d{1,2}:\d\d.*", text)
    return found[0] if found else ""


def _offset(zone: str) -> np.timedelta64:
    """``"+01:00"`` as a time."""
    hours, minutes = (0, 0) if zone == "z" else (int(zone[1:3]), int(zone[-2:]))
    size = np.timedelta64((60 * hours + minutes) * 60_000_000, "us")
    return -size if zone[0] == "-" else size


def _forms_of(lower: list[str]) -> list[str]:
    """Forms that fit a sample of the rows, or all; those with the fewest misfits if none does."""
    if not lower:
        return [FORMS[0]]
    sample = lower[:: max(1, len(lower) // 64)]
    fits = {form: sum(1 for each in sample if _regex(form).fullmatch(each)) for form in FORMS}
    best = max(fits.values())
    return [form for form, count in fits.items() if count == best] if best else [FORMS[0]]


_REGEX: dict[str, re.Pattern[str]] = {}


def _regex(form: str) -> re.Pattern[str]:
    if form not in _REGEX:
        parts = re.split("(%.)", form)
        text = "".join(f"({FIELDS[each[1]]})" if each[:1] == "%" else re.escape(each.lower()) for each in parts)
        _REGEX[form] = re.compile(text, re.ASCII)
    return _REGEX[form]


def _parse(lower: list[str], form: str) -> np.ndarray:
    """Dates of all rows by a form.

    Raises
    ------
    DateError
        The first row that does not fit.
    """
    letters = re.findall("%(.)", form)
    if unknown := set(letters) - set(FIELDS):
        raise ValueError(
            f"a form of dates can have {', '.join(f'%{letter}' for letter in FIELDS)}, got %{min(unknown)} in {form!r}"
        )
    found: dict[str, list[str]] = {letter: [] for letter in letters}
    columns, match = list(found.values()), _regex(form).fullmatch
    for row, text in enumerate(lower):
        fields = match(text)
        if fields is None:
            raise DateError(row, f"{text!r} is not a date{_as_in(lower, form)}")
        for column, field in zip(columns, fields.groups()):
            column.append(field)
    values = {letter: _numbers(letter, column) for letter, column in found.items()}
    return _compose(values, lower, form)


def _as_in(lower: list[str], form: str) -> str:
    return f" of the form {form}, as {lower[0]!r} is" if _regex(form).fullmatch(lower[0]) else f" of the form {form}"


def _numbers(letter: str, fields: list[str]) -> np.ndarray:
    if letter == "b":
        return np.array([MONTHS.index(field[:3]) + 1 for field in fields])
    if letter == "p":
        return np.array([field == "pm" for field in fields])
    return np.array(fields, "S").astype(np.int64)


def _compose(values: dict[str, np.ndarray], lower: Sequence[str], form: str) -> np.ndarray:
    """Dates of their parts; refuses what the calendar does not have."""
    N = len(lower)
    zero = np.zeros(N, np.int64)
    year = values["y"] + np.where(values["y"] < 69, 2000, 1900) if "y" in values else values.get("Y", zero + 1970)
    month = values.get("m", values.get("b", 3 * values["q"] - 2 if "q" in values else zero + 1))
    day, hour = values.get("d", zero + 1), values.get("H", zero)
    right = (month >= 1) & (month <= 12)
    if "I" in values:
        right &= (values["I"] >= 1) & (values["I"] <= 12)
        hour = values["I"] % 12 + 12 * values.get("p", zero)
    minute, second = values.get("M", zero), values.get("S", zero)
    right &= (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    months = ((year - 1970) * 12 + np.clip(month, 1, 12) - 1).astype("M8[M]")
    dates: np.ndarray = months.astype("M8[D]") + (day - 1)
    right &= (dates.astype("M8[M]") == months) & (year > 0)
    if "V" in values:
        fourth = ((year - 1970).astype("M8[Y]").astype("M8[D]") + 3).astype(np.int64)  # of January: in the first week
        dates = (fourth - (fourth + 3) % 7 + 7 * (values["V"] - 1)).astype("M8[D]")
        right &= (values["V"] >= 1) & (values["V"] <= 53)
    if not right.all():
        row = int(np.argmin(right))
        raise DateError(row, f"{lower[row]!r} is not a day or a time of the calendar as {form}")
    found: np.ndarray = dates.astype("M8[us]") + (hour * 3600 + minute * 60 + second) * np.timedelta64(1_000_000, "us")
    return found


def _even(read: list[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
    """The form by which the dates have equal steps, where the days before the months are not certain."""
    from pylstm.data.calendar import steps_of

    def regular(dates: np.ndarray) -> bool:
        try:
            return steps_of(np.sort(dates)).absent == 0
        except ValueError:
            return False

    first = read[0][1]
    if all((dates == first).all() for _, dates in read):
        return read[:1]
    even = [each for each in read if regular(each[1])]
    if len(even) == 1:
        return even
    forms = " or ".join(f"--date-format {form}" for form, _ in read[:2])
    raise ValueError(f"the dates can be read in {len(read)} ways: say which, {forms}")


def _is_padded(lower: list[str], form: str) -> bool:
    """Whether a day, month or hour below 10 has two digits."""
    letters = re.findall("%(.)", form)
    for text in lower[:1000]:
        match = _regex(form).fullmatch(text)
        for letter, field in zip(letters, match.groups() if match else ()):
            if letter in "mdHI" and len(field) == 1:
                return False
    return True


def _spelling(text: str) -> tuple[bool, bool]:
    """Whether the name of a month begins with a capital, and whether it is written out."""
    name = re.search(_NAME, text.lower())
    word = re.search("[A-Za-z]{3,}", text)
    return not (word and word[0].islower()), bool(name and len(name[0].rstrip(".")) > 3)
