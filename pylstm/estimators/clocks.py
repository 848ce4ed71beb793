"""`Clock`: how the times of a column are written, so that those of a forecast are written alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.data.timestamps import DateForm, read_times, written
from pylstm.schema import Entries

KINDS = ("dates", "days", "periods", "texts", "numbers")


@dataclass(frozen=True)
class Clock:
    """How times are written.

    Attributes
    ----------
    kind : {"dates", "days", "periods", "texts", "numbers"}
        Datetimes, dates without a time of day (polars, Python), periods (pandas), texts, numbers.
    unit, zone, frequency : str
        Of datetimes, and of periods.
    form : DateForm or None
        Of texts that are dates.
    """

    kind: str
    unit: str = "ns"
    zone: str = ""
    frequency: str = ""
    form: DateForm | None = None

    @classmethod
    def read(cls, name: Any, column: Any) -> tuple[Clock, np.ndarray]:
        """The clock of a column, and its times as float64 or datetime64[us], those of a zone as on a clock there.

        Raises
        ------
        ValueError
            A row without a time; what is neither a number nor a date.
        """
        dtype: Any = getattr(column, "dtype", None)
        if hasattr(dtype, "freq") and hasattr(column, "dt"):  # periods
            found = cls("periods", frequency=str(dtype)[len("period[") : -1]), column.dt.to_timestamp().to_numpy()
        elif getattr(dtype, "tz", None) is not None:
            local = column.dt.tz_localize(None)
            found = cls("dates", dtype.unit, str(dtype.tz)), local.to_numpy()
        elif getattr(dtype, "time_zone", None):
            local = column.dt.replace_time_zone(None)
            found = cls("dates", dtype.time_unit, dtype.time_zone), local.to_numpy()
        else:
            found = cls._plain(np.asarray(column))
        clock, times = found
        times = times.astype("M8[us]") if times.dtype.kind == "M" else times
        missing = np.isnat(times) if times.dtype.kind == "M" else np.isnan(times)
        if missing.any():
            raise ValueError(f"the column {name!r} has no time in row {int(np.argmax(missing))}")
        return clock, times

    @classmethod
    def _plain(cls, values: np.ndarray) -> tuple[Clock, np.ndarray]:
        """The clock of an array of datetimes, numbers, texts or Python's dates."""
        if values.dtype.kind == "M":
            unit = np.datetime_data(values.dtype)[0]
            return cls("days") if unit == "D" else cls("dates", unit if unit in UNITS else "us"), values
        if values.dtype.kind in "iuf":
            return cls("numbers"), values.astype("float64")
        if values.dtype.kind == "O" and len(values) and hasattr(values[0], "year"):
            kind = "dates" if hasattr(values[0], "hour") else "days"
            return cls(kind, "us"), values.astype("M8[us]")
        times, form = read_times(np.array([str(each) for each in values.tolist()]))
        return cls("texts", form=form), times

    def written(self, times: np.ndarray, library: str) -> Any:
        """Times (n,) as a column of that library takes them."""
        if self.kind == "numbers":
            whole = (times == np.rint(times)).all()
            return times.astype(np.int64) if whole else times
        if self.kind == "texts":
            return written(times, self.form)
        if library == "pandas":
            import pandas as pd

            if self.kind == "periods":
                return pd.PeriodIndex(times.astype("M8[ns]"), freq=self.frequency)
            if self.kind == "days":
                return times.astype("M8[D]").astype(object)
            found = pd.DatetimeIndex(times.astype(f"M8[{self.unit}]"))
            return found.tz_localize(self.zone) if self.zone else found
        if library == "polars":
            import polars as pl

            found = pl.Series(times.astype("M8[D]" if self.kind == "days" else f"M8[{self.unit}]"))
            return found.dt.replace_time_zone(self.zone) if self.zone else found
        return times.astype("M8[D]" if self.kind == "days" else f"M8[{self.unit}]")

    def shown(self, time: Any) -> str:
        """One time as text."""
        return written(np.asarray([time]), self.form)[0]

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file."""
        form = None if self.form is None else dict(vars(self.form))
        return {name: getattr(self, name) for name in ("kind", "unit", "zone", "frequency")} | {"form": form}

    @classmethod
    def from_metadata(cls, says: Entries) -> Clock:
        """The inverse of `metadata`."""
        says.only(("kind", "unit", "zone", "frequency", "form"))
        texts = {name: says.text(name) for name in ("zone", "frequency")}
        form = None
        if says.get("form") is not None:
            entries = says.entries("form").only(("pattern", "padded", "digits", "zone", "capital", "long"))
            flags = {name: entries.flag(name) for name in ("padded", "capital", "long")}
            form = DateForm(
                entries.text("pattern"), digits=entries.integer("digits", 0), zone=entries.text("zone"), **flags
            )
        return cls(says.text("kind", KINDS), says.text("unit", UNITS), form=form, **texts)


UNITS = ("s", "ms", "us", "ns")
