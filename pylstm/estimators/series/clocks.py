"""`Clock`: how the times of a column are written, so that those of a forecast are written alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pylstm.data.calendar import Steps, UnevenTimes, steps_of, zoned_steps
from pylstm.data.continued import is_dated
from pylstm.data.digits import DateError, in_years
from pylstm.data.panel import grouped_rows
from pylstm.data.timestamps import DateForm, read_times, written
from pylstm.estimators.series.refusing import COUNTED, refuse_zones
from pylstm.schema import Entries

KINDS = ("dates", "days", "periods", "texts", "numbers", "timedeltas", "digits", "decimals")


@dataclass(frozen=True)
class Clock:
    """How times are written.

    Attributes
    ----------
    kind : {"dates", "days", "periods", "texts", "numbers", "timedeltas", "digits", "decimals"}
        Datetimes, dates without a time of day (polars, Python), periods (pandas), texts, numbers, times since a start,
        dates written as whole numbers (202401, 20240131), and as such of floating point (202401.0).
    unit, zone, frequency : str
        Of datetimes, and of periods.
    form : DateForm or None
        Of texts and of whole numbers that are dates.
    absolute : bool
        Whether the steps of a zone are those of UTC: hours, which go on where its clocks are changed; not days.
    """

    kind: str
    unit: str = "ns"
    zone: str = ""
    frequency: str = ""
    form: DateForm | None = None
    absolute: bool = False

    @classmethod
    def read(
        cls,
        where: str,
        column: Any,
        owner: np.ndarray | None = None,
        find: Callable[[np.ndarray], Steps] = steps_of,
        like: Clock | None = None,
        counted: bool = False,
    ) -> tuple[Clock, np.ndarray]:
        """The clock of a column, and its times as float64 or datetime64[us]: of a zone in UTC, or as on a clock there.

        Parameters
        ----------
        where : str
            What the column is called in messages.
        column : Series, Index or array, shape (N,)
        owner : ndarray, shape (N,), optional
            Id of the series of each row.
        find : callable
            `steps_of` or such: which of the times of a zone have equal steps.
        like : Clock, optional
            Of the fit, whose form and choice hold.
        counted : bool
            Whether numbers are no months or days, whatever they look like.

        Raises
        ------
        TypeError, ValueError
            What is neither a number nor a date, or both.
        """
        try:
            clock, *both = cls._found(column, like, counted)
        except DateError as error:
            raise DateError(error.row, f"{where}, row {error.row}: {error}") from None
        except TypeError as error:
            raise TypeError(f"{where} {error}") from None
        both = [_since(each) for each in both]
        if len(both) > 1:
            absolute = _is_absolute(both[0], both[1], owner, find) if like is None else like.absolute
            clock = replace(clock, absolute=absolute)
        return clock, both[clock.absolute]

    @classmethod
    def _found(cls, column: Any, like: Clock | None, counted: bool) -> tuple[Any, ...]:
        """The clock of a column, and its times: of a zone those on a clock there, and in UTC."""
        dtype: Any = getattr(column, "dtype", None)
        series = getattr(column, "dt", column)  # of pandas, where an index is none
        if hasattr(dtype, "freq") and hasattr(series, "to_timestamp"):  # periods
            return cls("periods", frequency=str(dtype)[len("period[") : -1]), series.to_timestamp().to_numpy()
        if getattr(dtype, "tz", None) is not None:
            both = series.tz_localize(None), series.tz_convert(None)
            return cls("dates", dtype.unit, str(dtype.tz)), *(each.to_numpy() for each in both)
        if getattr(dtype, "time_zone", None):
            both = series.replace_time_zone(None), series.convert_time_zone("UTC").dt.replace_time_zone(None)
            return cls("dates", dtype.time_unit, dtype.time_zone), *(each.to_numpy() for each in both)
        return cls._plain(np.asarray(column), like, counted)

    @classmethod
    def _plain(cls, values: np.ndarray, like: Clock | None, counted: bool) -> tuple[Clock, np.ndarray]:
        """The clock of an array of datetimes, numbers, texts or Python's dates."""
        if values.dtype.kind == "m":
            unit = np.datetime_data(values.dtype)[0]
            return cls("timedeltas", unit if unit in UNITS else "us"), values
        if values.dtype.kind == "M":
            unit = np.datetime_data(values.dtype)[0]
            return cls("days") if unit == "D" else cls("dates", unit if unit in UNITS else "us"), values
        if values.dtype.kind in "iuf":
            return cls._numbered(values, counted)
        if values.dtype.kind == "O" and len(values) and all(hasattr(each, "year") for each in values.tolist()):
            kind = "dates" if any(hasattr(each, "hour") for each in values.tolist()) else "days"
            refuse_zones(values.tolist())
            return cls(kind, "us"), values.astype("M8[us]")
        texts = np.array([str(each) for each in values.tolist()])
        if values.dtype.kind in "bc":
            raise TypeError(f"must hold dates or numbers that rise, got {texts[0]}: name another, or leave time out")
        try:
            times, form = _read_like(texts, like) or read_times(texts, counted=counted)
        except DateError as error:
            text = str(error).replace("utc=True (--utc) takes", "pandas.to_datetime(column, utc=True) takes")
            raise DateError(error.row, text + COUNTED * text.endswith("correct it")) from None
        return cls("texts", form=form), times

    @classmethod
    def _numbered(cls, values: np.ndarray, counted: bool) -> tuple[Clock, np.ndarray]:
        """The clock of an array of numbers, which may be months or days."""
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise DateError(row, f"{values[row]} is not a time: correct it, or leave the row out")
        whole = values.dtype.kind != "f" or bool((values == np.rint(values)).all() and (abs(values) < 1e9).all())
        try:
            texts = (values.astype(np.int64) if whole else values).astype(str)
            times, form = read_times(texts, counted=counted)
        except DateError as error:
            raise DateError(error.row, f"{error}{COUNTED}") from None
        if form is None:
            return cls("numbers"), values.astype("float64")
        return cls("decimals" if values.dtype.kind == "f" else "digits", form=form), times

    @property
    def family(self) -> str:
        """``"numbers"``, ``"times since a start"`` or ``"dates"``."""
        if self.kind == "numbers" or (self.kind == "texts" and self.form is None):
            return "numbers"
        return "times since a start" if self.kind == "timedeltas" else "dates"

    @property
    def what(self) -> str:
        """What it writes, for messages."""
        pattern = "" if self.form is None else self.form.pattern
        return {"%Y%m": "months such as 202401", "%Y%m%d": "days such as 20240131"}.get(pattern, self.family)

    def written(self, times: np.ndarray, library: str) -> Any:
        """Times (n,) as a column of that library takes them."""
        if self.kind == "numbers":
            whole = (times == np.rint(times)).all()
            return times.astype(np.int64) if whole else times
        if self.kind == "texts":
            return written(times, self.form)
        if self.kind in ("digits", "decimals"):
            return np.array(written(times, self.form)).astype(np.int64 if self.kind == "digits" else np.float64)
        unit = "D" if self.kind == "days" else self.unit
        values = times.astype(f"M8[{unit}]")
        if self.kind == "timedeltas":
            values = values.view(f"m8[{unit}]")
        if library == "pandas":
            import pandas as pd

            if self.kind == "periods":
                return pd.PeriodIndex(times.astype("M8[ns]"), freq=self.frequency)
            if self.kind != "dates":
                return values.astype(object) if self.kind == "days" else values
            found = pd.DatetimeIndex(values)
            if self.absolute:
                return found.tz_localize("UTC").tz_convert(self.zone)
            first = np.ones(len(found), bool)  # of two that such a clock shows
            return found.tz_localize(self.zone, first, "shift_forward") if self.zone else found
        if library == "polars":
            import polars as pl

            found = pl.Series(values)
            if self.absolute:
                return found.dt.replace_time_zone("UTC").dt.convert_time_zone(self.zone)
            return _on_clocks(found, self.zone) if self.zone else found
        return values

    def repeats(self, steps: Steps) -> bool:
        """Whether two times at such steps are one period."""
        if self.kind != "periods" or not steps.known:
            return False
        first, second = self.written(steps.at([0, 1]), "pandas")
        return bool(first == second)

    def shown(self, time: Any) -> str:
        """One time as text."""
        if self.kind == "timedeltas":
            return str(np.datetime64(time, "us").view("m8[us]").item())
        return written(np.asarray([time]), self.form)[0] + " UTC" * self.absolute

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file."""
        form = None if self.form is None else dict(vars(self.form))
        return {name: getattr(self, name) for name in ("kind", "unit", "zone", "frequency", "absolute")} | {
            "form": form
        }

    @classmethod
    def from_metadata(cls, says: Entries) -> Clock:
        """The inverse of `metadata`."""
        says.only(("kind", "unit", "zone", "frequency", "absolute", "form"))
        texts: dict[str, Any] = {name: says.text(name) for name in ("zone", "frequency")}
        texts["absolute"] = says.flag("absolute")
        form = None
        if says.get("form") is not None:
            entries = says.entries("form").only(("pattern", "padded", "digits", "zone", "capital", "long"))
            flags = {name: entries.flag(name) for name in ("padded", "capital", "long")}
            form = DateForm(
                entries.text("pattern"), digits=entries.integer("digits", 0), zone=entries.text("zone"), **flags
            )
        return cls(says.text("kind", KINDS), says.text("unit", UNITS), form=form, **texts)


UNITS = ("s", "ms", "us", "ns")


def _since(times: np.ndarray) -> np.ndarray:
    """Times in microseconds; those since a start as if it were that of 1970."""
    if times.dtype.kind == "m":
        return times.astype("m8[us]").view("M8[us]")
    return times.astype("M8[us]") if times.dtype.kind == "M" else times


def is_counted(freq: Any, fitted: Steps | None) -> bool:
    """Whether numbers are no months: a number is asked for as their step, or those of a fit as large are none."""
    numbers = fitted is not None and not is_dated(fitted)
    return isinstance(freq, int | float) or (numbers and in_years(float(fitted.start)))  # type: ignore[union-attr]


def in_zone_of(like: Clock | None, steps: Steps | None, column: Any) -> Any:
    """A column of days in the time zone of a fit, where they are of its time of day there; else the column as it is."""
    series, dtype = getattr(column, "dt", column), getattr(column, "dtype", None)
    own = str(getattr(dtype, "tz", None) or getattr(dtype, "time_zone", None) or "")
    if like is None or steps is None or not like.zone or like.absolute or own in ("", like.zone):
        return column
    if hasattr(dtype, "tz"):
        found = series.tz_convert(like.zone)
        local = getattr(found, "dt", found).tz_localize(None).to_numpy().astype("M8[us]")
    else:
        found = series.convert_time_zone(like.zone)
        local = found.dt.replace_time_zone(None).to_numpy().astype("M8[us]")
    start = steps.start.astype("M8[us]")
    return found if (local - local.astype("M8[D]") == start - start.astype("M8[D]")).all() else column


def _read_like(texts: np.ndarray, like: Clock | None) -> tuple[np.ndarray, DateForm | None] | None:
    """Dates in the form of those before; None where they have another."""
    if like is None or like.form is None:
        return None
    try:
        return read_times(texts, like.form.pattern)
    except ValueError:
        return None


def _is_absolute(local: np.ndarray, utc: np.ndarray, owner: np.ndarray | None, find: Any) -> bool:
    """Whether the times of any series have steps of UTC."""
    for rows in grouped_rows(owner, None, count=len(utc)).rows:
        order = np.argsort(utc[rows], kind="stable")
        try:
            if zoned_steps(local[rows][order], utc[rows][order], find)[1]:
                return True
        except UnevenTimes:
            continue
    return False


def _on_clocks(times: Any, zone: str) -> Any:
    """Times of polars as the clocks of a zone show them; what they leave out is an hour later, the first of two."""
    found = times.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    later = times.dt.offset_by("1h").dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return found.fill_null(later)
