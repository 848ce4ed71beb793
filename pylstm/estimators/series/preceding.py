"""`preceded`: a history of new rows with the rows of the fit before it, where its times say which these are."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from pylstm.data.calendar import Steps
from pylstm.estimators.series.frames import Frame, likes
from pylstm.estimators.series.index import Index
from pylstm.estimators.series.tables import Table


def preceded(model: Any, fitted: Any, given: Any, history: Any, exogenous: Any) -> dict[str, Any]:
    """`history` and `exogenous` with the last values of the fit before them, as `ForecastModel.predict` takes them.

    A history that begins in the series of the fit, or one step after it, is a piece of these: the values before its
    first time are known, and a season that it is too short for with them. Values at its own times are those given.

    Parameters
    ----------
    model : ForecastModel
        Its `tails` are the last values of the fit.
    fitted, given : Table, Frame, list of Frame, or None
        Of the fit and of the history.
    history, exogenous : array, list of arrays, or None
        Numbers.
    """
    tails, extras = model.tails, model.extra_tails
    starts = _starts(fitted, given, history, [len(each) for each in tails])
    if exogenous is not None and not isinstance(exogenous, list | tuple):  # the same for all series
        extras = extras[:1] if len({*starts}) == 1 else []
    if not any(starts) or len(starts) not in (1, len(tails)) or (exogenous is not None and not extras):
        return {"history": history, "exogenous": exogenous}
    if not isinstance(history, list | tuple):  # one series, or columns of equal lengths
        before = tails[0] if len(tails) == 1 else np.hstack(tails)
        history = np.concatenate([before[: starts[0]].reshape(-1, *np.shape(history)[1:]), history])
        starts = starts * len(tails)
    else:
        history = [_joined(tail[:k], each) for tail, k, each in zip(tails, starts, history)]
    if isinstance(exogenous, list | tuple):
        exogenous = [_joined(extra[:k], each) for extra, k, each in zip(extras, starts, exogenous)]
    elif exogenous is not None:
        exogenous = _joined(extras[0][: starts[0]], exogenous)
    return {"history": history, "exogenous": exogenous}


def _joined(before: np.ndarray, values: Any) -> np.ndarray:
    values = np.asarray(values)
    return np.concatenate([before.reshape(len(before), *values.shape[1:]), values])


def _starts(fitted: Any, given: Any, history: Any, kept: list[int]) -> list[int]:
    """How many of the `kept` values of each series come before the history; 0 where its times do not say it."""
    if isinstance(given, Table):
        copies = len(kept) // max(1, len(given.steps))
        ends: list[Any] = [
            (partial(_ahead, one), partial(_ahead, each), len(own))
            for one, each, own in zip(fitted.steps, given.steps, given.series)
            if one.known and each.known
            for _ in range(copies)
        ]
    else:
        frames = given if isinstance(given, list) else [given]
        values = history if isinstance(given, list) else [history]
        ends = [
            (one.future, each.future, len(own))
            for one, each, own in zip(map(_index, likes(fitted, len(frames))), map(_index, frames), values)
            if one is not None and each is not None
        ]
        ends = ends * (len(kept) if len(frames) == 1 else 1)
    return [_start(fit, own, length, k) for (fit, own, length), k in zip(ends, kept)] if len(ends) == len(kept) else [0]


def _ahead(steps: Steps, n: int) -> np.ndarray:
    """The n times behind the end of a series of a table."""
    return steps.at(steps.count + np.arange(n))


def _index(frame: Frame | None) -> Index | None:
    """The index of a frame, where it gives the rows places in time, if only by numbers."""
    return None if frame is None or frame.index is None or frame.index.kind == "none" else frame.index


def _start(fit: Any, own: Any, length: int, kept: int) -> int:
    """How many of the `kept` values of a fit come before a history of this length; the two say their times to come."""
    late = _place(own(1), fit(length + 1))
    if late is None:
        early = _place(fit(1), own(kept + 1))
        late = -length - kept if early is None else -early
    return max(0, kept + late - length)


def _place(first: Any, times: Any) -> int | None:
    """Number of the first of some times among others; None where it is not there."""
    found = np.flatnonzero(np.asarray(times) == np.asarray(first)[0])
    return int(found[0]) if found.size else None
