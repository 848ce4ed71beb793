"""`Index`: the index of a Series or DataFrame of pandas, for that of the steps to come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.data.calendar import Steps, UnevenTimes, steps_of
from pylstm.data.frequency import steps_every
from pylstm.data.timestamps import looks_like_date
from pylstm.estimators.series.clocks import Clock
from pylstm.schema import Entries
from pylstm.wording import warn

INDICES = ("times", "offsets", "periods", "numbers", "none")
KINDS = ("number", "time", "business day", "month", "row")


@dataclass(frozen=True)
class Index:
    """The index of a pandas object.

    Attributes
    ----------
    kind : {"times", "offsets", "periods", "numbers", "none"}
    name : str, number or None
    steps : Steps or None
        Of times and numbers.
    clock : Clock or None
        Of times: dates of any kind, also as text, or times since a start.
    last : str
        The last period, or the last of dates with an offset.
    unit, zone : str
        Of dates with an offset: ``"ns"``, a time zone or nothing.
    frequency : str
        The offset: that of the index, or that of its dates which pandas infers.
    """

    kind: str
    name: Any = None
    steps: Steps | None = None
    clock: Clock | None = None
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
        if not len(index):
            return cls("none", name)
        if hasattr(index, "freqstr") and dtype.kind not in "mM":
            numbers = index.astype("int64").to_numpy()
            if (np.diff(numbers) != 1).any():
                row = int(np.argmax(np.diff(numbers) != 1)) + 1
                raise ValueError(
                    f"the index of y must have every period once, in order: {index[row]} is after {index[row - 1]}; "
                    "sort the rows, put absent ones in (Forecaster(fill='linear')), or pass y.to_numpy()"
                )
            return cls("periods", name, last=str(index[-1]), frequency=index.freqstr)
        if (dtype.kind in "mM" or _is_dated(index)) and index.hasnans:
            raise ValueError(f"the index of y has no time in row {int(np.argmax(index.isna()))}")
        if dtype.kind == "M":
            own = index.freq if freq is None else None
            if own is not None and is_named(own):
                return cls._with_offset(index, own.freqstr)
            try:
                return cls._timed(index, _finder(own, freq))
            except ValueError:
                offset = _inferred(index, freq)
                if offset is None:
                    raise
                return cls._with_offset(index, offset)
        if dtype.kind == "m" or _is_dated(index):
            return cls._timed(index, _finder(None, freq))
        if dtype.kind in "iuf" and np.isfinite(numbers := index.to_numpy()).all():
            steps = _numbered(numbers)
            _warn_of_numbers(numbers)
            return cls("none" if steps is None else "numbers", name, steps)
        return cls("none", name)

    @classmethod
    def _with_offset(cls, index: Any, frequency: str) -> Index:
        zone, unit = "" if index.tz is None else str(index.tz), getattr(index, "unit", "ns")
        return cls("offsets", index.name, last=index[-1].isoformat(), unit=unit, zone=zone, frequency=frequency)

    @classmethod
    def _timed(cls, index: Any, find: Callable[[np.ndarray], Steps]) -> Index:
        clock, times = Clock.read(index.name, index, find=find)
        steps = _even_steps(times, find, clock, index)
        return (
            cls("times", index.name, steps, clock) if steps.known or find is not steps_of else cls("none", index.name)
        )

    def future(self, n: int) -> Any:
        """The pandas index of n steps to come."""
        import pandas as pd

        if self.kind == "periods":
            first = pd.Period(self.last, freq=self.frequency) + 1
            return pd.period_range(first, periods=n, freq=self.frequency, name=self.name)
        if self.kind == "offsets":
            last = pd.Timestamp(self.last).tz_convert(self.zone) if self.zone else pd.Timestamp(self.last)
            found = pd.date_range(last, periods=n + 1, freq=self.frequency, name=self.name)[1:]
            return found.as_unit(self.unit) if hasattr(found, "as_unit") else found
        if self.steps is None:
            return None
        times = self.steps.at(self.steps.count + np.arange(n))
        return pd.Index(times if self.clock is None else self.clock.written(times, "pandas"), name=self.name)

    @property
    def step(self) -> Steps | None:
        """Its step; None where it has none, or one that has no name."""
        if self.kind not in ("offsets", "periods"):
            return self.steps if self.kind == "times" else None
        times = self.future(8)
        with suppress(ValueError):
            return steps_of(Clock.read(self.name, times)[1])
        return None

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file."""
        texts = {name: getattr(self, name) for name in ("kind", "name", "last", "unit", "zone", "frequency")}
        parts = {"steps": None if self.steps is None else steps_metadata(self.steps)}
        return texts | parts | {"clock": None if self.clock is None else self.clock.metadata}

    @classmethod
    def from_metadata(cls, says: Entries) -> Index:
        """The inverse of `metadata`."""
        says.only(("kind", "name", "steps", "clock", "last", "unit", "zone", "frequency"))
        texts = {each: says.text(each) for each in ("last", "zone", "frequency")}
        steps = None if says.get("steps") is None else read_steps(says.entries("steps"))
        clock = None if says.get("clock") is None else Clock.from_metadata(says.entries("clock"))
        kind, unit = says.text("kind", INDICES), says.text("unit", ("s", "ms", "us", "ns"))
        if (steps is None) != (kind not in ("times", "numbers")) or (clock is None) != (kind != "times"):
            says.refuse("must have the steps and the clock of its kind", kind, "kind")
        return cls(kind, name_of(says, "name"), steps, clock, unit=unit, **texts)


def all_steps(index: Any, freq: Any = None) -> tuple[Steps, Any] | None:
    """The steps of the dates of a pandas index, and an index of all of them; None where none is absent.

    What does not rise, or has no step, is left to `Index.of` to refuse.
    """
    import pandas as pd

    if not len(index) or getattr(index, "nlevels", 1) > 1:
        return None
    dtype = getattr(index, "dtype", np.dtype(object))
    if hasattr(index, "freqstr") and dtype.kind not in "mM":
        numbers = index.astype("int64").to_numpy()
        positions = numbers - numbers[0]
        if (np.diff(positions) < 1).any() or positions[-1] + 1 == len(positions):
            return None
        every = pd.period_range(index[0], periods=int(positions[-1]) + 1, freq=index.freqstr, name=index.name)
        return Steps("number", 1.0, 0.0, len(index), positions), every
    if dtype.kind not in "mM" and not _is_dated(index):
        return None
    find = _finder(None, freq)
    with suppress(ValueError):
        clock, times = Clock.read(index.name, index, find=find)
        steps = find(times)
        if steps.absent and steps.positions is not None:
            every = clock.written(steps.at(np.arange(steps.positions[-1] + 1)), "pandas")
            return steps, pd.Index(every, name=index.name)
    return None


def _finder(offset: Any, freq: Any) -> Callable[[np.ndarray], Steps]:
    """What finds the steps of times: by the frequency asked for, or the offset of the index, or by themselves."""
    if freq is None and offset is None:
        return steps_of
    return lambda times: steps_every(freq if offset is None else offset, times)


def _numbered(numbers: np.ndarray) -> Steps | None:
    """Steps after the last of these numbers; those of integers that rise unevenly are 1."""
    apart = np.diff(numbers.astype("int64") if numbers.dtype.kind == "u" else numbers)
    if numbers.dtype.kind in "iu":
        if (apart <= 0).any():
            return None
        step = int(apart[-1]) if len(apart) else 1
        return Steps("number", step if (apart == step).all() else 1, int(numbers[-1]), 1)
    even = len(apart) > 0 and apart[0] > 0 and np.allclose(apart, apart[0], rtol=1e-6, atol=0)
    return Steps("number", float(f"{np.mean(apart):.9g}"), float(numbers[-1]), 1) if even else None


def _warn_of_numbers(numbers: np.ndarray) -> None:
    """Warn of an index of numbers that fall, repeat, or leave some out, as dates are refused that do."""
    apart = np.diff(numbers.astype("float64"))
    if not len(apart) or (apart[0] > 0 and np.allclose(apart, apart[0], rtol=1e-6, atol=0)):
        return
    wrong = apart <= 0
    row = int(np.argmax(wrong if wrong.any() else ~np.isclose(apart, apart.min(), rtol=1e-6))) + 1
    what = "numbers that do not rise" if wrong.any() else "numbers with uneven steps"
    warn(
        f"the index of y has {what}, {numbers[row]} after {numbers[row - 1]}: the rows are taken as equal steps in "
        "their order; sort them (y.sort_index()), put absent ones in, or pass y.reset_index(drop=True)"
    )


def is_named(freq: Any) -> bool:
    """Whether the name of an offset of pandas that goes forward says all of it; ``"C"`` does not say its holidays."""
    from pandas.tseries.frequencies import to_offset

    return bool(freq.n > 0 and to_offset(freq.freqstr) == freq)


def _inferred(index: Any, freq: Any) -> str | None:
    """The offset of dates as pandas infers it, or as it was asked for by a name that is one of pandas alone."""
    import pandas as pd

    if freq is not None:
        with suppress(ValueError, TypeError, FutureWarning):
            every = pd.date_range(index[0], periods=len(index), freq=freq)
            return every.freqstr if is_named(every.freq) and every.equals(index) else None
        return None
    return pd.infer_freq(index) if len(index) > 3 and index.is_monotonic_increasing and index.is_unique else None


def _is_dated(index: Any) -> bool:
    """Whether it holds dates that are not those of pandas: Python's, or texts."""
    values = np.asarray(index, object)
    first = values[0]
    if hasattr(first, "year") and hasattr(first, "isoformat"):
        return all(hasattr(each, "year") for each in values.tolist())
    return isinstance(first, str) and all(isinstance(each, str) and looks_like_date(each) for each in values.tolist())


def _even_steps(times: np.ndarray, find: Callable[[np.ndarray], Steps], clock: Clock, shown: Any) -> Steps:
    """Steps of dates.

    Raises
    ------
    ValueError
        They do not rise evenly, or some are absent.
    """
    try:
        steps = find(times)
    except UnevenTimes as error:
        raise ValueError(
            f"the index of y must have equal steps: {shown[error.row]} {error}; sort the rows (y.sort_index()), or "
            "pass y.to_numpy()"
        ) from None
    if steps.absent:
        first = clock.shown(steps.at([steps.first_absent])[0])
        freq = ", take them for holidays, freq='C'" if steps.kind == "business day" else ""
        raise ValueError(
            f"{steps.absent} steps (of {steps}) are absent from the index of y, the first {first}: "
            f"Forecaster(fill='linear') puts them in, as does y.asfreq(...).interpolate(){freq}; or pass y.to_numpy()"
        )
    return steps


def steps_metadata(steps: Steps) -> dict[str, Any]:
    """Entries of a file for steps of which none is absent."""
    start = str(steps.start) if isinstance(steps.start, np.datetime64) else float(steps.start)
    says = {"kind": steps.kind, "step": float(steps.step), "start": start, "count": steps.count, "day": steps.day}
    holidays = [str(each) for each in steps.holidays]
    return says | {"roll": steps.roll, "weekmask": steps.weekmask, "holidays": holidays}


def read_steps(says: Entries) -> Steps:
    """The inverse of `steps_metadata`."""
    says.only(("kind", "step", "start", "count", "day", "roll", "weekmask", "holidays"))
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
    roll, weekmask = says.text("roll", ("", "backward", "forward")), says.text("weekmask")
    try:
        holidays = tuple(np.datetime64(each, "D") for each in says.list("holidays", str))
        np.busdaycalendar(weekmask, holidays)
    except ValueError:
        says.refuse("must be business days and dates as NumPy takes them", weekmask, "weekmask")
    return Steps(kind, step, first, count, None, day, roll, weekmask, holidays)


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
