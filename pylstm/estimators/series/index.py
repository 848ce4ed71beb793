"""`Index`: the index of a Series or DataFrame of pandas, for that of the steps to come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pylstm.data.calendar import Steps, UnevenTimes, steps_of
from pylstm.data.continued import steps_like
from pylstm.data.digits import dated_digits
from pylstm.data.frequency import steps_every
from pylstm.data.panel import count_of
from pylstm.data.timestamps import looks_like_date
from pylstm.estimators.series.clocks import Clock, in_zone_of, is_counted
from pylstm.estimators.series.refusing import SAME, SORTED, check_periods, refuse_missing_index, refuse_other_index
from pylstm.schema import Entries
from pylstm.wording import warn

WHERE = "the index of y"
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
    def of(cls, index: Any, freq: Any = None, like: Index | None = None, other: bool = False) -> Index:
        """That of a pandas index; `freq` in place of the step that its dates have.

        Parameters
        ----------
        index : Index of pandas
        freq : str, number or offset of pandas, optional
        like : Index, optional
            Of the fit, whose steps hold where the index is at these.
        other : bool
            Whether it is of other series, with times of any kind.

        Raises
        ------
        ValueError
            Dates that do not rise, or of which some are absent; times of another kind than those of the fit.
        """
        if getattr(index, "nlevels", 1) > 1:
            raise ValueError(
                f"the index of y has {index.nlevels} levels: y.reset_index() makes columns of them, and "
                "Forecaster(id=..., time=...) reads the series of such a table"
            )
        if not len(index):
            return cls("none", index.name)
        refuse_missing_index(index)
        found = cls._read(index, freq, like)
        if like is not None and not other:
            refuse_other_index(like.what, "" if found.is_default else found.what or _what(index), index[0])
        return found

    @classmethod
    def _read(cls, index: Any, freq: Any, like: Index | None) -> Index:
        """The result of `of` for an index of one level that has all its times."""
        name, dtype = index.name, getattr(index, "dtype", np.dtype(object))
        if hasattr(index, "freqstr") and dtype.kind not in "mM":
            check_periods(index)
            return cls("periods", name, last=str(index[-1]), frequency=index.freqstr)
        if dtype.kind == "M":
            return cls._dated(index, freq, like)
        if dtype.kind == "m" or has_dates(index):
            return cls._timed(index, _finder(None, freq), like)
        if dtype.kind in "iuf":
            counted = hasattr(index, "step") or is_counted(freq, None if like is None else like.steps)
            clock, _ = Clock.read(WHERE, index, counted=counted)
            if clock.family == "dates":
                return cls._timed(index, _finder(None, freq), like)
            numbers = index.to_numpy()
            if freq is not None and (like is None or not np.array_equal(numbers, np.arange(len(numbers)))):
                return cls("numbers", name, _even_steps(numbers, _finder(None, freq), clock, index))
            steps = _numbered(numbers, like.steps if like is not None and like.kind == "numbers" else None)
            _warn_of_numbers(numbers)
            return cls("none" if steps is None else "numbers", name, steps)
        return cls("none", name)

    @classmethod
    def _dated(cls, index: Any, freq: Any, like: Index | None) -> Index:
        """The result of `of` for dates of pandas."""
        if like is not None:
            index = in_zone_of(like.clock or Clock("dates", zone=like.zone), like.step, index)
        own = index.freq if freq is None else None
        if own is not None and is_named(own):
            return cls._with_offset(index, own.freqstr)
        if like is not None and like.kind == "offsets" and _is_every(index, like.frequency):
            return cls._with_offset(index, like.frequency)
        try:
            return cls._timed(index, _finder(own, freq), like)
        except ValueError:
            offset = _inferred(index, freq)
            if offset is None:
                raise
            return cls._with_offset(index, offset)

    @classmethod
    def _with_offset(cls, index: Any, frequency: str) -> Index:
        zone, unit = "" if index.tz is None else str(index.tz), getattr(index, "unit", "ns")
        return cls("offsets", index.name, last=index[-1].isoformat(), unit=unit, zone=zone, frequency=frequency)

    @classmethod
    def _timed(cls, index: Any, find: Callable[[np.ndarray], Steps], like: Index | None) -> Index:
        clock, times = Clock.read(WHERE, index, find=find, like=None if like is None else like.clock)
        steps = _even_steps(times, steps_like(None if like is None else like.step, find), clock, index)
        return cls("times", index.name, steps, clock) if steps.known else cls("none", index.name)

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
    def what(self) -> str:
        """What it holds, for messages; nothing where it numbers the rows from 0, or is not of times."""
        if self.kind == "numbers":
            return "" if self.is_default else "numbers"
        return "" if self.kind == "none" else "dates" if self.clock is None else self.clock.what

    @property
    def is_default(self) -> bool:
        """Whether it numbers the rows from 0, as that of every frame does."""
        steps = self.steps
        return self.kind == "numbers" and steps is not None and (steps.start, steps.step) == (0, 1) and steps.count > 1

    @property
    def step(self) -> Steps | None:
        """Its step; None where it has none, or one that has no name."""
        if self.kind not in ("offsets", "periods"):
            return None if self.is_default else self.steps
        times = self.future(8)
        with suppress(ValueError):
            return steps_of(Clock.read(WHERE, times)[1])
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
    if dtype.kind not in "mMiuf" and not has_dates(index):
        return None
    find = _finder(None, freq)
    with suppress(ValueError):
        clock, times = Clock.read(WHERE, index, find=find, counted=hasattr(index, "step") or is_counted(freq, None))
        steps = find(times)
        if steps.absent and steps.positions is not None:
            every = clock.written(steps.at(np.arange(steps.positions[-1] + 1)), "pandas")
            return steps, pd.Index(every, name=index.name)
    return None


def _what(index: Any) -> str:
    """What an index holds of which no steps were found, for messages."""
    if index.dtype.kind in "iuf":
        return "months such as 202401" if has_months(index) else "numbers"
    return "dates" if index.dtype.kind in "mM" or has_dates(index) else "texts"


def has_months(index: Any) -> bool:
    """Whether it holds numbers that are months or days of the calendar, such as 202401."""
    if getattr(index, "dtype", np.dtype(object)).kind not in "iuf" or hasattr(index, "step") or index.hasnans:
        return False
    found = dated_digits(index.to_numpy().astype(str))
    return found is not None and bool(found.valid.all())


def _finder(offset: Any, freq: Any) -> Callable[[np.ndarray], Steps]:
    """What finds the steps of times: by the frequency asked for, or the offset of the index, or by themselves."""
    if freq is None and offset is None:
        return steps_of
    return lambda times: steps_every(freq if offset is None else offset, times)


def _numbered(numbers: np.ndarray, fitted: Steps | None) -> Steps | None:
    """Steps of numbers, of one those of the fit; those of integers that rise unevenly are 1."""
    if len(numbers) == 1 and fitted is not None and fitted.known:
        return replace(fitted, start=numbers[0].item(), count=1, given=True)
    apart = np.diff(numbers.astype("int64") if numbers.dtype.kind == "u" else numbers)
    if numbers.dtype.kind in "iu":
        if (apart <= 0).any():
            return None
        step = int(apart[-1]) if len(apart) else 1
        if (apart == step).all():
            return Steps("number", step, int(numbers[0]), len(numbers))
        return Steps("number", 1, int(numbers[-1]), 1)
    if not (len(apart) and apart[0] > 0 and np.allclose(apart, apart[0], rtol=1e-6, atol=0)):
        return None
    return Steps("number", float(f"{np.mean(apart):.9g}"), float(numbers[-1]), 1, given=True)


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


def _is_every(index: Any, frequency: str) -> bool:
    """Whether it has every date of an offset of pandas from its first on."""
    import pandas as pd

    with suppress(ValueError):
        return bool(pd.date_range(index[0], periods=len(index), freq=frequency).equals(index))
    return False


def _inferred(index: Any, freq: Any) -> str | None:
    """The offset of dates as pandas infers it, or as it was asked for by a name that is one of pandas alone."""
    import pandas as pd

    if freq is not None:
        with suppress(ValueError, TypeError, FutureWarning):
            every = pd.date_range(index[0], periods=len(index), freq=freq)
            return every.freqstr if is_named(every.freq) and every.equals(index) else None
        return None
    return pd.infer_freq(index) if len(index) > 3 and index.is_monotonic_increasing and index.is_unique else None


def has_dates(index: Any) -> bool:
    """Whether it holds dates that are not those of pandas: Python's, or texts."""
    values = np.asarray(index, object)
    if all(hasattr(each, "year") or (isinstance(each, str) and looks_like_date(each)) for each in values.tolist()):
        return True
    texts = all(isinstance(each, str) for each in values.tolist())
    return texts and dated_digits(np.array(values.tolist())) is not None


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
        row, cure = error.row, "freq=... says which steps they have, or pass y.to_numpy()"
        if "not at a step" in str(error):
            cure = "leave freq out, name another, or pass y.to_numpy()"
        if row and times[row] <= times[row - 1]:
            cure = SAME if times[row] == times[row - 1] else SORTED
        raise ValueError(f"the index of y must have equal steps: {shown[row]} {error}; {cure}") from None
    if steps.absent:
        first = clock.shown(steps.at([steps.first_absent])[0])
        freq = ", as does y.asfreq(...).interpolate()" if hasattr(shown, "freq") else ""
        freq += ", take them for holidays, freq='C'" if steps.kind == "business day" else ""
        raise ValueError(
            f"{count_of(steps.absent, str(steps))} absent from the index of y, the first {first}: "
            f"Forecaster(fill='linear') puts them in{freq}; or pass y.to_numpy()"
        )
    return steps


def steps_metadata(steps: Steps) -> dict[str, Any]:
    """Entries of a file for steps of which none is absent."""
    start = str(steps.start) if isinstance(steps.start, np.datetime64) else float(steps.start)
    says = {"kind": steps.kind, "step": float(steps.step), "start": start, "count": steps.count, "day": steps.day}
    says["given"] = steps.given
    holidays = [str(each) for each in steps.holidays]
    return says | {"roll": steps.roll, "weekmask": steps.weekmask, "holidays": holidays}


def read_steps(says: Entries) -> Steps:
    """The inverse of `steps_metadata`."""
    says.only(("kind", "step", "start", "count", "day", "roll", "weekmask", "holidays", "given"))
    given = says.get("given") is not None and says.flag("given")
    kind, step, start = says.text("kind", KINDS), says.number("step"), says.get("start")
    if not step > 0:
        says.refuse("must be above 0", step, "step")
    count, day = says.integer("count"), says.integer("day")
    if kind in ("number", "row"):
        return Steps(kind, _whole(step), _whole(says.number("start")), count, given=given)
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
    return Steps(kind, step, first, count, None, day, roll, weekmask, holidays, given)


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
