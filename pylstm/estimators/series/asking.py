"""`Asked`: what the model of a forecaster is given for a forecast, and the form in which its answer comes back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from pylstm.checks import quoted
from pylstm.data.calendar import Steps
from pylstm.data.continued import described, other_steps
from pylstm.data.panel import FILLS
from pylstm.data.timestamps import DateForm
from pylstm.estimators.series.frames import Frame, called, is_indexed, likes, with_steps
from pylstm.estimators.series.index import is_storable
from pylstm.estimators.series.pairing import matched
from pylstm.estimators.series.preceding import preceded
from pylstm.estimators.series.tables import Columns, Table
from pylstm.schema import Entries


@dataclass(frozen=True)
class Asked:
    """Arguments of a forecast.

    Attributes
    ----------
    given : dict
        `history` and `exogenous`.
    frame : Table, Frame, list of Frame, or None
        Of the series that are continued.
    """

    given: dict[str, Any]
    frame: Any

    @classmethod
    def of(
        cls, forecaster: Any, frame: Any, n: int, X: Any, history: Any, rescale: Any = False, names: Any = None
    ) -> Asked:
        """The question that `Forecaster.predict` is asked; `frame`, and `names` of the inputs, are those of the fit."""
        if not isinstance(frame, Table):
            own = frame
            if history is not None:
                history, own = continued(forecaster, frame, history, rescale)
                X = without_gaps(forecaster, X)
            X = matched(names, own, n, X, history)
            given = {"history": numbers(history), "exogenous": numbers(X)}
            if history is not None and not rescale:
                given = preceded(forecaster.model_, frame, own, **given)
            return cls(given, own)
        joint, table = forecaster.joint, frame
        if history is not None:
            columns = replace(frame.columns, fill=forecaster.fill)
            table = Table.read(history, columns, frame, bool(rescale))
            if not rescale and table.ids != frame.ids:
                _refuse_names("ids", frame.ids, table.ids)
            if not rescale:
                refuse_steps(frame, table)
        inputs = table.inputs(joint, table.ahead(n, X), history is not None)
        given = {"history": None if history is None else table.arrays(joint), "exogenous": inputs}
        if history is not None and not rescale:
            given = preceded(forecaster.model_, frame, table, **given)
        return cls(given, table)

    def back(self, values: Any) -> Any:
        """An answer of the model in the form of the series."""
        if isinstance(self.frame, list):
            return [each if own is None else own.back(each) for own, each in zip(self.frame, values)]
        return values if self.frame is None else self.frame.back(values)


def frame_of(forecaster: Any, y: Any, X: Any) -> Any:
    """The table, or frame, of what a forecaster is fitted on; None for arrays.

    Raises
    ------
    TypeError, ValueError
        As `Table.read` and `Frame.of`; X beside a table.
    """
    columns = Columns.of(forecaster)
    if columns is None:
        frame = Frame.of(y, forecaster.freq)
        if frame is None and forecaster.fill is not None:
            raise ValueError(
                "fill needs dates, which say what is absent: those of a table, time=..., or of the index of a Series "
                "or DataFrame"
            )
        return frame
    if X is not None:
        raise ValueError(f"X: with id= or time= inputs are columns of the table, known=[...], got {quoted(X)}")
    return Table.read(y, columns)


def without_gaps(forecaster: Any, values: Any) -> Any:
    """What has dates without absent steps, where `forecaster` says how to fill them; anything else as it is.

    Raises
    ------
    ValueError
        Another `fill`.
    """
    if forecaster.fill is None or Columns.of(forecaster) is not None:
        return values
    if forecaster.fill not in FILLS[:3]:
        raise ValueError(f"fill must be one of {', '.join(FILLS[:3])}, got {quoted(forecaster.fill)}")
    if isinstance(values, list | tuple):
        return [without_gaps(forecaster, each) for each in values] if any(map(is_indexed, values)) else values
    return with_steps(values, forecaster.fill, forecaster.freq) if is_indexed(values) else values


def in_order(frame: Any, history: Any, rescale: Any = False) -> Any:
    """A DataFrame with its columns in the order of the fit; anything else as it is.

    Raises
    ------
    ValueError
        It has other columns than the fit, and they are not new series (`rescale`).
    """
    columns = frame.columns if isinstance(frame, Frame) else None
    if columns is None or not hasattr(history, "columns") or list(history.columns) == columns:
        return history
    names = list(history.columns)
    if len(names) == len(columns) and set(names) == set(columns):
        return history[columns]
    return history if rescale else _refuse_names("columns", columns, names)


def continued(
    forecaster: Any, frame: Any, history: Any, rescale: Any = False, name: str = "history"
) -> tuple[Any, Any]:
    """Series that continue those of a fit, or are to be judged by it, and what they are besides their numbers.

    Raises
    ------
    TypeError, ValueError
        Other columns or other times than the fit; as `Frame.of`.
    """
    history = without_gaps(forecaster, in_order(frame, history, rescale))
    with called(name):
        own = Frame.of(history, forecaster.freq, frame, bool(rescale))
    if not rescale:
        refuse_steps(frame, own)
    return history, own


def refuse_steps(fitted: Any, given: Any) -> None:
    """Refuse a history, a table or a frame, whose times have other steps than those of the fit.

    Raises
    ------
    ValueError
    """
    cure = "rescale=True forecasts other series"
    pairs: list[Any]
    if isinstance(given, Table) and given.clock is not None and given.clock.repeats(given.steps[0]):
        words = described(given.steps[0]), given.clock.frequency
        raise ValueError(f"history must have {words[0]}, as the fit, got periods of {words[1]}: {cure}")
    if isinstance(given, Table):
        own = dict(zip(fitted.ids or [None], fitted.steps))
        form = None if given.clock is None else given.clock.form
        pairs = [(own.get(name, fitted.steps[0]), each, form) for name, each in zip(given.ids or [None], given.steps)]
    else:
        frames = given if isinstance(given, list) else [given]
        pairs = [(*_step_of(one)[:1], *_step_of(each)) for one, each in zip(likes(fitted, len(frames)), frames)]
        cure += ", and history.to_numpy() takes the rows as such steps"
    for pair in pairs:
        if (found := other_steps(*pair)) is not None:
            raise ValueError(f"history must have {found[0]}, as the fit, got {found[1]}: {cure}")


def _step_of(frame: Frame | None) -> tuple[Steps | None, DateForm | None]:
    """The step of the index of a frame, and how its dates are written."""
    if frame is None or frame.index is None:
        return None, None
    return frame.index.step, None if frame.index.clock is None else frame.index.clock.form


def _refuse_names(what: str, fitted: list[Any], given: list[Any]) -> NoReturn:
    known, got = (", ".join(map(repr, each)) for each in (fitted, given))
    raise ValueError(
        f"history must have the {what} of the fit, {known}; got {got}: rescale=True forecasts other series, by "
        "statistics of their own"
    )


def frame_metadata(frame: Any) -> Any:
    """Entries of a file; None for arrays, and for names that a file cannot hold."""
    if isinstance(frame, Table):
        return {"table": frame.metadata}
    frames = frame if isinstance(frame, list) else [frame]
    names = [name for each in frames if each is not None for name in (*(each.columns or ()), each.name)]
    names += [each.index.name for each in frames if each is not None and each.index is not None]
    if frame is None or not all(is_storable(name) for name in names):
        return None
    if isinstance(frame, list):
        return {"list": [None if each is None else each.metadata for each in frame]}
    return {"frame": frame.metadata}


def read_frame(says: Entries, forecaster: Any) -> Any:
    """The inverse of `frame_metadata`."""
    if says.value.get("frame") is None:
        return None
    found = says.entries("frame").only(("table", "frame", "list"))
    if "table" in found.value:
        columns = Columns.of(forecaster)
        if columns is None:
            found.refuse("must not be there without id or time", None, "table")
        return Table.from_metadata(found.entries("table"), columns)
    if "list" in found.value:
        where = f"{found.where}.list"
        return [None if each is None else Frame.from_metadata(Entries(each, where)) for each in found.list("list")]
    return Frame.from_metadata(found.entries("frame"))


@contextmanager
def by_id(frame: Any, joint: bool) -> Iterator[None]:
    """Block in which an error that begins with the number of a series says its id, where a table has ids."""
    try:
        yield
    except ValueError as error:
        found = re.match(r"series (\d+) ", str(error))
        single = isinstance(frame, Table) and (joint or len(frame.columns.target) == 1)
        if found is None or not single or frame.columns.id is None:
            raise
        raise ValueError(f"series {frame.ids[int(found[1])]!r} {str(error)[found.end() :]}") from None


def numbers(values: Any) -> Any:
    """Arrays of what has columns or an index (pandas, polars); lists element by element."""
    if isinstance(values, list | tuple) and any(hasattr(each, "to_numpy") for each in values):
        return [numbers(each) for each in values]
    return values.to_numpy() if hasattr(values, "to_numpy") else values
