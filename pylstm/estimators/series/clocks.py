"""`Clock`: how the times of a column are written, so that those of a forecast are written alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pylstm.data.calendar import Steps, UnevenTimes, steps_of, zoned_steps
from pylstm.data.panel import grouped_rows
from pylstm.data.timestamps import DateError, DateForm, read_times, written
from pylstm.schema import Entries

KINDS = ("dates", "days", "periods", "texts", "numbers", "timedeltas", "digits")


@dataclass(frozen=True)
class Clock:
    """How times are written.

    Attributes
    ----------
    kind : {"dates", "days", "periods", "texts", "numbers", "timedeltas", "digits"}
        Datetimes, dates without a time of day (polars, Python), periods (pandas), texts, numbers, times since a start,
        dates written as whole numbers (202401, 20240131).
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
        name: Any,
        column: Any,
        owner: np.ndarray | None = None,
        find: Callable[[np.ndarray], Steps] = steps_of,
        like: Clock | None = None,
    ) -> tuple[Clock, np.ndarray]:
        """The clock of a column, and its times as float64 or datetime64[us]: of a zone in UTC, or as on a clock there.

        Parameters
        ----------
        name : str or int
            Of the column.
        column : Series, Index or array, shape (N,)
        owner : ndarray, shape (N,), optional
            Id of the series of each row.
        find : callable
            `steps_of` or such: which of the times of a zone have equal steps.
        like : Clock, optional
            That whose choice holds.

        Raises
        ------
        ValueError
            A row without a time; what is neither a number nor a date.
        """
        clock, *both = cls._found(column)
        if clock.kind == "digits" and like is not None and like.kind == "numbers":
            clock, both = like, [np.asarray(column, "float64")]
        both = [_since(each) for each in both]
        missing = np.isnat(both[0]) if both[0].dtype.kind == "M" else np.isnan(both[0])
        if missing.any():
            raise ValueError(f"the column {name!r} has no time in row {int(np.argmax(missing))}")
        if len(both) > 1:
            absolute = _is_absolute(both[0], both[1], owner, find) if like is None else like.absolute
            clock = replace(clock, absolute=absolute)
        return clock, both[clock.absolute]

    @classmethod
    def _found(cls, column: Any) -> tuple[Any, ...]:
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
        return cls._plain(np.asarray(column))

    @classmethod
    def _plain(cls, values: np.ndarray) -> tuple[Clock, np.ndarray]:
        """The clock of an array of datetimes, numbers, texts or Python's dates."""
        if values.dtype.kind == "m":
            unit = np.datetime_data(values.dtype)[0]
            return cls("timedeltas", unit if unit in UNITS else "us"), values
        if values.dtype.kind == "M":
            unit = np.datetime_data(values.dtype)[0]
            return cls("days") if unit == "D" else cls("dates", unit if unit in UNITS else "us"), values
        if values.dtype.kind in "iuf":
            times, form = read_times(values.astype(str)) if values.dtype.kind in "iu" else (values, None)
            return (cls("numbers"), values.astype("float64")) if form is None else (cls("digits", form=form), times)
        if values.dtype.kind == "O" and len(values) and hasattr(values[0], "year"):
            kind = "dates" if hasattr(values[0], "hour") else "days"
            return cls(kind, "us"), values.astype("M8[us]")
        try:
            times, form = read_times(np.array([str(each) for each in values.tolist()]))
        except DateError as error:
            text = str(error).replace("utc=True (--utc) takes", "pandas.to_datetime(column, utc=True) takes")
            raise DateError(error.row, text) from None
        return cls("texts", form=form), times

    def written(self, times: np.ndarray, library: str) -> Any:
        """Times (n,) as a column of that library takes them."""
        if self.kind == "numbers":
            whole = (times == np.rint(times)).all()
            return times.astype(np.int64) if whole else times
        if self.kind == "texts":
            return written(times, self.form)
        if self.kind == "digits":
            return np.array(written(times, self.form)).astype(np.int64)
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
