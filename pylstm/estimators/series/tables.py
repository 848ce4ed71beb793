"""`Table`: series of a frame with a column of times, in long format with one of ids, and forecasts in the same form."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pylstm.checks import quoted
from pylstm.data.calendar import Steps, steps_of
from pylstm.data.continued import steps_like
from pylstm.data.frequency import steps_every
from pylstm.data.panel import TIME, Panel, RowError, panel_of
from pylstm.estimators.series.clocks import Clock, in_zone_of, is_counted
from pylstm.estimators.series.frames import LIBRARIES, imported
from pylstm.estimators.series.index import read_steps, steps_metadata
from pylstm.estimators.series.refusing import refuse_missing, refuse_other_times
from pylstm.estimators.series.table_columns import ahead_of, check_columns, names_of, numbers_of, owner_of, static_of
from pylstm.schema import Entries, as_array

FILLS = ("linear", "previous", "zero")
"""What may be done about absent steps."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    Attributes
    ----------
    id, time : str, int or None
    target : list
        What is forecast; None: all other columns.
    known, static : list
        Inputs that are known of the steps to come, and of a whole series.
    freq, fill
        As of `Forecaster`.
    """

    id: Any = None
    time: Any = None
    target: Any = None
    known: tuple[Any, ...] = ()
    static: tuple[Any, ...] = ()
    freq: Any = None
    fill: str | None = None

    @classmethod
    def of(cls, forecaster: Any) -> Columns | None:
        """Those that the parameters of a forecaster name; None where it takes arrays.

        Raises
        ------
        ValueError
            Inputs without a column of ids or of times.
        """
        lists = {name: _listed(getattr(forecaster, name)) for name in ("target", "known", "static")}
        if forecaster.id is None and forecaster.time is None:
            named = [name for name, value in lists.items() if value]
            if named:
                raise ValueError(f"{named[0]} is for tables: name a column, time=... or id=...")
            return None
        if forecaster.fill not in (None, *FILLS):
            raise ValueError(f"fill must be one of {', '.join(FILLS)} or None, got {quoted(forecaster.fill)}")
        target = None if forecaster.target is None else lists["target"]
        known, static = lists["known"], lists["static"]
        return cls(forecaster.id, forecaster.time, target, known, static, forecaster.freq, forecaster.fill)


def _listed(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int) else tuple(value)


@dataclass
class Table:
    """Series of a table.

    Attributes
    ----------
    columns : Columns
        With the targets that were found.
    library : {"pandas", "polars", "dict"}
    clock : Clock or None
        How its times are written.
    ids : list
        Of each series; empty where there is one without an id.
    steps : list of Steps
        Of each series, without times none.
    levels : dict
        Static column -> its values, or None where these are numbers.
    static : ndarray, shape (S, F)
    series : list of ndarray, shape (T_i, K)
    known : list of ndarray, shape (T_i + n, M)
        n more steps where the table has rows without targets at its end.
    """

    columns: Columns
    library: str
    clock: Clock | None
    ids: list[Any]
    steps: list[Steps]
    levels: dict[Any, Any]
    static: np.ndarray
    series: list[np.ndarray] = field(default_factory=list)
    known: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def read(cls, frame: Any, columns: Columns, fitted: Table | None = None, other: bool = False) -> Table:
        """The series of a frame.

        Parameters
        ----------
        frame : DataFrame or dict
        columns : Columns
        fitted : Table, optional
            Of the fit: it has the levels of static columns, the order of ids, and the steps of times.
        other : bool
            Whether the series are others, with times of any kind.

        Raises
        ------
        TypeError, ValueError
            No frame; a column that is not there or holds no numbers; a row without an id or a time; times that do not
            rise evenly.
        """
        names = names_of(frame)
        target = columns.target
        if target is None:
            others = {columns.id, columns.time, *columns.known, *columns.static}
            target = tuple(name for name in names if name not in others)
        columns = Columns(**(vars(columns) | {"target": target}))
        check_columns(columns, names, getattr(getattr(frame, "index", None), "names", ()), fitted is not None)
        if not len(frame[target[0]]):
            raise ValueError("the table has no rows: each series needs at least one step")
        library = "dict" if isinstance(frame, dict) else "pandas" if hasattr(frame, "index") else "polars"
        owner = None if columns.id is None else owner_of(columns.id, frame[columns.id])
        clock: Clock | None = None
        times = None
        if columns.time is not None:
            refuse_missing(columns.time, frame[columns.time], library)
            clock, times = _read_clock(columns, frame[columns.time], owner, fitted, other)
        values = numbers_of(frame, columns.target)
        known = numbers_of(frame, columns.known) if columns.known else None
        panel = _panel(columns, values, known, owner, times, clock, fitted)
        ids = [each.item() if isinstance(each, np.generic) else each for each in panel.ids]
        static, levels = static_of(frame, columns, panel, ids, fitted)
        steps = [_ended(each, len(own)) for each, own in zip(panel.steps, panel.values)]
        found = cls(columns, library, clock, ids, steps, levels, static, panel.values, panel.known)
        return found if fitted is None else found.in_order(fitted.ids)

    def in_order(self, ids: list[Any]) -> Table:
        """The same series, those of `ids` first and in this order."""
        if self.ids == ids or not set(self.ids) <= set(ids) or len(self.ids) != len(ids):
            return self
        order = [self.ids.index(each) for each in ids]
        for name in ("ids", "steps", "series", "known"):
            found = getattr(self, name)
            setattr(self, name, [found[k] for k in order] if found else found)
        self.static = self.static[order]
        return self

    def trimmed(self) -> Table:
        """The same without its series, of which the model keeps what it needs."""
        empty = [each[:0] for each in self.series]
        known = [each[len(own) :] for each, own in zip(self.known, self.series)]
        return replace(self, series=empty, known=known)

    def arrays(self, joint: bool) -> list[np.ndarray]:
        """Series as `ForecastModel.fit` takes them: of each id (T_i, K), or each column by itself."""
        return list(self.series) if joint else [each[:, k] for each in self.series for k in range(each.shape[1])]

    def inputs(self, joint: bool, ahead: list[np.ndarray] | None = None, history: bool = True) -> Any:
        """Exogenous values of all steps: known ones and static ones; None where there are none.

        Parameters
        ----------
        joint : bool
        ahead : list of ndarray, shape (n, M), optional
            Known inputs of the steps to come, behind those of the series.
        history : bool
            Whether those of the series come first.
        """
        if not self.columns.known and not self.static.shape[1]:
            return None
        found = []
        for k, own in enumerate(self.series):
            known = [self.known[k][: len(own)]] if history else []
            rows = np.concatenate([*known, *([] if ahead is None else [ahead[k]])])
            found += [np.hstack([rows, np.repeat(self.static[k : k + 1], len(rows), axis=0)])] * self._copies(joint)
        return found

    def _copies(self, joint: bool) -> int:
        return 1 if joint else len(self.columns.target)

    def ahead(self, n: int, X: Any) -> list[np.ndarray] | None:
        """Known inputs (n, M) of the steps to come: of the table X, or of the rows at the end of the table of the fit.

        Raises
        ------
        ValueError
            Fewer steps than n.
        """
        if not self.columns.known:
            if X is not None:
                raise ValueError("X has known inputs, but there are none: fit with known=[...]")
            return [np.zeros((n, 0)) for _ in self.series] if self.static.shape[1] else None
        found = [each[len(own) :] for each, own in zip(self.known, self.series)]
        if X is not None:
            found = self._read_ahead(X)
        for k, each in enumerate(found):
            if len(each) < n:
                of = f" of {self.ids[k]!r}" if self.ids else ""
                raise ValueError(
                    f"{', '.join(map(str, self.columns.known))}: {n} steps to come are needed{of}, got {len(each)}: "
                    "predict(n, X) takes a table of them"
                )
        return [each[:n] for each in found]

    def check_after(self, following: Table) -> None:
        """Refuse a table of the same series that does not begin one step after these.

        Raises
        ------
        ValueError
        """
        for k, (own, other) in enumerate(zip(self.steps, following.steps)):
            expected, got = own.at([own.count])[0], other.at([0])[0]
            off = expected != got
            if own.kind in ("time", "number") and own.known:  # of a clock that jitters
                off = abs(float((got - expected).astype("float64"))) > 0.5 * own.step
            if off and self.clock is not None:
                of = f" of {self.ids[k]!r}" if self.ids else ""
                raise ValueError(
                    f"y must begin one step after the series{of}, with {self.clock.shown(expected)}, got "
                    f"{self.clock.shown(got)}"
                )

    def _read_ahead(self, X: Any) -> list[np.ndarray]:
        """Known inputs of a table of steps to come, by id and in the order of their times."""
        columns = self.columns
        values, owner = ahead_of(X, columns, self.ids)
        times = None
        if columns.time is not None and columns.time in names_of(X):
            refuse_missing(f"{columns.time}", X[columns.time], "X")
            times = _read_clock(columns, X[columns.time], None, self, False)[1]
        found = []
        for k, own in enumerate(self.ids or [0]):
            rows = np.flatnonzero(owner == own)
            if times is not None and self.clock is not None and len(rows):
                rows = rows[np.argsort(times[rows], kind="stable")]
                expected = self.steps[k].at(self.steps[k].count + np.arange(len(rows)))
                if (times[rows] != expected).any():
                    at = int(np.argmax(times[rows] != expected))
                    raise ValueError(
                        f"X must begin one step after the series and have every step: {self.clock.shown(expected[at])}"
                        f" is needed, got {self.clock.shown(times[rows][at])}"
                    )
            found.append(values[rows])
        return found

    def back(self, forecasts: Any) -> Any:
        """Forecasts, a list of (n,) or (n, K), as a frame with the columns of ids, times and targets."""
        K, out = len(self.columns.target), {}
        blocks = [np.asarray(each).reshape(len(each), -1) for each in forecasts]
        if blocks[0].shape[1] != K:
            blocks = [np.hstack(blocks[k : k + K]) for k in range(0, len(blocks), K)]
        n = len(blocks[0])
        if self.columns.id is not None:
            out[self.columns.id] = np.repeat(_as_array(self.ids), n)
        if self.clock is not None:
            times = [each.at(each.count + np.arange(n)) for each in self.steps]
            out[self.columns.time] = self.clock.written(np.concatenate(times), self.library)
        for k, name in enumerate(self.columns.target):
            out[name] = np.concatenate([each[:, k] for each in blocks])
        return out if self.library == "dict" else imported(self.library).DataFrame(out)

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file: all but the series, which the model keeps."""
        known = [each[len(own) :].tolist() for each, own in zip(self.known, self.series)]
        return {
            "library": self.library,
            "target": list(self.columns.target),
            "clock": None if self.clock is None else self.clock.metadata,
            "ids": self.ids,
            "steps": [steps_metadata(each) for each in self.steps],
            "levels": [[name, values] for name, values in self.levels.items()],
            "static": self.static.tolist(),
            "known": known,
        }

    @classmethod
    def from_metadata(cls, says: Entries, columns: Columns) -> Table:
        """The inverse of `metadata`, for the columns that the parameters name."""
        says.only(("library", "target", "clock", "ids", "steps", "levels", "static", "known"))
        columns = Columns(**(vars(columns) | {"target": tuple(says.list("target", (str, int)))}))
        clock = None if says.get("clock") is None else Clock.from_metadata(says.entries("clock"))
        ids, M = says.list("ids", (str, int, float)), len(columns.known)
        steps = [read_steps(Entries(each, f"{says.where}.steps")) for each in says.list("steps", dict)]
        known = [as_array(each, (None, M), f"{says.where}.known") for each in says.list("known", list)]
        count = len(ids) or 1
        static = says.array("static", (count, None))
        if len(known) != count or (steps and len(steps) != count) or (clock is None) != (not steps):
            says.refuse(f"must have one entry for each of {count} series", len(known), "known")
        levels: dict[Any, Any] = {}
        for pair in says.list("levels", list):
            if len(pair) != 2 or not isinstance(pair[0], str | int) or not isinstance(pair[1], list | None):
                says.refuse("must be pairs of a column and its values", pair, "levels")
            levels[pair[0]] = pair[1]
        empty = [np.zeros((0, len(columns.target))) for _ in range(count)]
        return cls(columns, says.text("library", LIBRARIES), clock, ids, steps, levels, static, empty, known)


def _finder(columns: Columns) -> Any:
    """What finds the steps of rising times."""
    return steps_of if columns.freq is None else lambda own: steps_every(columns.freq, own)


def _read_clock(columns: Columns, column: Any, owner: Any, fitted: Table | None, other: bool) -> tuple[Clock, Any]:
    """The clock of the column of times, and these; refuses another kind than the fit has, but not of other series."""
    where = f"the column {columns.time!r}"
    like, steps = (None, None) if fitted is None else (fitted.clock, fitted.steps[0])
    column, counted = in_zone_of(like, steps, column), is_counted(columns.freq, steps)
    clock, times = Clock.read(where, column, owner, _finder(columns), like, counted)
    if like is not None and not other:
        refuse_other_times(where, like, clock, column)
    return clock, times


def _panel(
    columns: Columns, values: Any, known: Any, owner: Any, times: Any, clock: Clock | None, fitted: Table | None
) -> Panel:
    of_fit = {} if fitted is None else dict(zip(fitted.ids or [None], fitted.steps))
    usual = fitted.steps[0] if fitted is not None and fitted.steps else None

    def every(own: np.ndarray, name: Any) -> Steps:
        return steps_like(of_fit.get(getattr(name, "item", lambda: name)(), usual), _finder(columns))(own)

    try:
        return panel_of(
            values,
            known=known,
            owner=owner,
            times=times,
            sort=True,
            fill=columns.fill,
            shown=lambda each: each if clock is None else clock.shown(np.asarray(each).ravel()[0]),
            every=every,
        )
    except RowError as error:
        names = [*columns.target, *columns.known]
        where = f"column {names[error.column]!r}" if error.column != TIME else f"column {columns.time!r}"
        cure = "fill it, or leave the row out"
        if columns.fill is not None:
            cure = f"leave the row out, and fill={columns.fill!r} puts a value there"
        text = re.sub(r"interpolate=True \(--interpolate\) fills it", cure, str(error))
        text = re.sub(r" [(]--[a-z ]+[)]", "", text)
        holidays = ", freq='C' takes them for holidays" if "of business day" in text else ""
        text = text.replace(", 'none' takes the rows as equal steps", holidays)
        text = text.replace("fill='none' takes the rows as equal steps", "say which, freq=..., or leave the times out")
        raise ValueError(f"row {error.row}, {where}: {text}") from None


def _ended(steps: Steps, count: int) -> Steps:
    """Steps of `count` values, none absent: `count` is the number of the first step to come."""
    return replace(steps, count=count, positions=None)


def _as_array(ids: list[Any]) -> np.ndarray:
    found = np.asarray(ids)
    return found if found.dtype.kind in "iufb" else np.array(ids, object)
