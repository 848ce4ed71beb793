"""`Frame`: the library, index and names of the series that a forecaster was given, for its forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.data.calendar import Steps, UnevenTimes, steps_of
from pylstm.data.frequency import steps_every
from pylstm.schema import Entries

LIBRARIES = ("pandas", "polars", "dict")
INDICES = ("dates", "periods", "numbers", "none")
KINDS = ("number", "time", "business day", "month", "row")


@dataclass(frozen=True)
class Index:
    """The index of a pandas object.

    Attributes
    ----------
    kind : {"dates", "periods", "numbers", "none"}
    name : str, number or None
    steps : Steps or None
        Of dates and numbers.
    last : str
        The last period, or the last of dates with a frequency of their own.
    unit, zone : str
        Of dates: ``"ns"``, a time zone or nothing.
    frequency : str
        Of periods, and of dates whose index says it.
    """

    kind: str
    name: Any = None
    steps: Steps | None = None
    last: str = ""
    unit: str = "ns"
    zone: str = ""
    frequency: str = ""

    @classmethod
    def of(cls, index: Any, freq: Any = None) -> Index:
        """That of a pandas index; `freq` in place of the step that its dates have.

        Raises
        ------
        ValueError
            Dates that do not rise, or of which some are absent.
        """
        if getattr(index, "nlevels", 1) > 1:
            raise ValueError(
                f"the index of y has {index.nlevels} levels: y.reset_index() makes columns of them, and "
                "Forecaster(id=..., time=...) reads the series of such a table"
            )
        name, dtype = index.name, getattr(index, "dtype", np.dtype(object))
        if hasattr(index, "freqstr") and dtype.kind != "M" and len(index):
            return cls("periods", name, last=str(index[-1]), frequency=index.freqstr)
        if dtype.kind == "M" and len(index):
            zone = "" if index.tz is None else str(index.tz)
            if freq is None and index.freq is not None and _is_named(index.freq):
                last = index[-1].isoformat()
                unit = getattr(index, "unit", "ns")
                return cls("dates", name, last=last, unit=unit, zone=zone, frequency=index.freqstr)
            local = index if index.tz is None else index.tz_localize(None)
            steps = dated_steps(local.to_numpy(), freq, index)
            return cls("dates", name, steps, unit=getattr(index, "unit", "ns"), zone=zone)
        if dtype.kind in "iu" and len(index):
            numbers = index.to_numpy()
            step = int(numbers[-1] - numbers[-2]) if len(numbers) > 1 else 1
            even = step > 0 and (np.diff(numbers) == step).all()
            return cls("numbers", name, Steps("number", step if even else 1, int(numbers[-1]), 1))
        return cls("none", name)

    def future(self, n: int) -> Any:
        """The pandas index of n steps to come."""
        import pandas as pd

        if self.kind == "periods":
            first = pd.Period(self.last, freq=self.frequency) + 1
            return pd.period_range(first, periods=n, freq=self.frequency, name=self.name)
        if self.kind == "numbers" and self.steps is not None:
            return pd.Index(self.steps.at(np.arange(1, n + 1)), name=self.name)
        if self.kind == "dates" and self.frequency:
            last = pd.Timestamp(self.last).tz_convert(self.zone) if self.zone else pd.Timestamp(self.last)
            found = pd.date_range(last, periods=n + 1, freq=self.frequency, name=self.name)[1:]
            return found.as_unit(self.unit) if hasattr(found, "as_unit") else found
        if self.kind == "dates" and self.steps is not None:
            times = self.steps.at(self.steps.count + np.arange(n)).astype(f"M8[{self.unit}]")
            found = pd.DatetimeIndex(times, name=self.name)
            return found.tz_localize(self.zone) if self.zone else found
        return None

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file."""
        texts = {name: getattr(self, name) for name in ("kind", "last", "unit", "zone", "frequency")}
        return texts | {"name": self.name, "steps": None if self.steps is None else steps_metadata(self.steps)}

    @classmethod
    def from_metadata(cls, says: Entries) -> Index:
        """The inverse of `metadata`."""
        says.only(("kind", "name", "steps", "last", "unit", "zone", "frequency"))
        texts = {each: says.text(each) for each in ("last", "zone", "frequency")}
        steps = None if says.get("steps") is None else read_steps(says.entries("steps"))
        kind, unit = says.text("kind", INDICES), says.text("unit", ("s", "ms", "us", "ns"))
        return cls(kind, name_of(says, "name"), steps, unit=unit, **texts)


@dataclass(frozen=True)
class Frame:
    """What a Series or DataFrame of pandas or polars is besides its numbers.

    Attributes
    ----------
    library : {"pandas", "polars"}
    columns : list or None
        Names of a DataFrame.
    name : str, number or None
        Of a Series.
    index : Index or None
        Of pandas.
    """

    library: str
    columns: list[Any] | None
    name: Any = None
    index: Index | None = None

    @classmethod
    def of(cls, y: Any, freq: Any = None) -> Any:
        """The frame of `y`, or of each where it is a list; None for arrays.

        Raises
        ------
        ValueError
            As `Index.of`.
        """
        if isinstance(y, list | tuple):
            frames = [cls.of(each, freq) if hasattr(each, "to_numpy") else None for each in y]
            return frames if any(frames) else None
        if not hasattr(y, "to_numpy") or not (hasattr(y, "columns") or hasattr(y, "name")):
            return None
        pandas = hasattr(y, "index")
        columns = list(y.columns) if hasattr(y, "columns") else None
        index = Index.of(y.index, freq) if pandas else None
        return cls("pandas" if pandas else "polars", columns, None if columns else y.name, index)

    def back(self, values: np.ndarray) -> Any:
        """Forecasts (n,) or (n, K) in the kind of the series, behind the end of its index."""
        library = imported(self.library)
        if self.index is None:
            if self.columns is None:
                return library.Series(self.name, values)
            return library.DataFrame(dict(zip(self.columns, values.reshape(len(values), -1).T)))
        index = self.index.future(len(values))
        if self.columns is not None:
            return library.DataFrame(values.reshape(len(values), -1), index=index, columns=self.columns)
        return library.Series(values, index=index, name=self.name)

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file."""
        index = None if self.index is None else self.index.metadata
        return {"library": self.library, "columns": self.columns, "name": self.name, "index": index}

    @classmethod
    def from_metadata(cls, says: Entries) -> Frame:
        """The inverse of `metadata`."""
        says.only(("library", "columns", "name", "index"))
        columns = None if says.get("columns") is None else says.list("columns", (str, int, float))
        index = None if says.get("index") is None else Index.from_metadata(says.entries("index"))
        library = says.text("library", LIBRARIES[:2])
        if (index is None) != (library == "polars"):
            says.refuse("must be there for pandas alone", says.get("index"), "index")
        return cls(library, columns, name_of(says, "name"), index)


def _is_named(freq: Any) -> bool:
    """Whether the name of an offset of pandas that goes forward says all of it; ``"C"`` does not say its holidays."""
    from pandas.tseries.frequencies import to_offset

    return bool(freq.n > 0 and to_offset(freq.freqstr) == freq)


def imported(library: str) -> Any:
    """pandas or polars."""
    if library == "pandas":
        import pandas

        return pandas
    import polars

    return polars


def dated_steps(times: np.ndarray, freq: Any, shown: Any) -> Steps | None:
    """Steps of dates, as they are read on a clock; None of a single date without a frequency.

    Raises
    ------
    ValueError
        They do not rise evenly, or some are absent.
    """
    times = times.astype("M8[us]")
    try:
        steps = steps_of(times) if freq is None else steps_every(freq, times)
    except UnevenTimes as error:
        raise ValueError(
            f"the index of y must have equal steps: {shown[error.row]} {error}; sort the rows (y.sort_index()), or "
            "pass y.to_numpy()"
        ) from None
    if steps.absent:
        first = steps.at([steps.first_absent])[0].astype("M8[s]").item()
        raise ValueError(
            f"{steps.absent} steps (of {steps}) are absent from the index of y, the first {first}: put them in, as "
            "y.asfreq(...).interpolate(), or pass y.to_numpy()"
        )
    return steps if steps.known or freq is not None else None


def steps_metadata(steps: Steps) -> dict[str, Any]:
    """Entries of a file for steps of which none is absent."""
    start = str(steps.start) if isinstance(steps.start, np.datetime64) else float(steps.start)
    return {"kind": steps.kind, "step": float(steps.step), "start": start, "count": steps.count, "day": steps.day}


def read_steps(says: Entries) -> Steps:
    """The inverse of `steps_metadata`."""
    says.only(("kind", "step", "start", "count", "day"))
    kind, step, start = says.text("kind", KINDS), says.number("step"), says.get("start")
    if not step > 0:
        says.refuse("must be above 0", step, "step")
    count, day = says.integer("count"), says.integer("day")
    if kind in ("number", "row"):
        return Steps(kind, step, _whole(says.number("start")), count)
    try:
        first = np.datetime64(says.text("start"), "us")
    except ValueError:
        says.refuse("must be a date", start, "start")
    if np.isnat(first) or day > 31:
        says.refuse("must be a date, and day one of a month", start, "start")
    return Steps(kind, step, first, count, None, day)


def _whole(number: float) -> Any:
    return int(number) if float(number).is_integer() else number


def name_of(says: Entries, name: str) -> Any:
    """A text, a number or None."""
    value = says.get(name)
    if not (value is None or isinstance(value, str | int | float)):
        says.refuse("must be a text, a number or null", value, name)
    return value


def is_storable(name: Any) -> bool:
    """Whether a name of a column or an index can stand in a file."""
    return name is None or (isinstance(name, str | int | float) and not isinstance(name, bool))
