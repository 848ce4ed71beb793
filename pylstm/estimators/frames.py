"""`Frame`: the kind, index and names of the series that a forecaster was given, for its forecasts."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from pylstm.data.calendar import Steps, UnevenTimes, steps_of


class Frame:
    """Kind, index and names of a pandas or polars object.

    Parameters
    ----------
    y : Series or DataFrame

    Raises
    ------
    ValueError
        An index of dates that do not rise, or of which some are absent.
    """

    def __init__(self, y: Any) -> None:
        self._make, self._pandas = type(y), hasattr(y, "index")
        self._names = list(y.columns) if hasattr(y, "columns") else y.name
        self._index: Any = y.index[:0] if self._pandas else None
        self._last: Any = y.index[-1] if self._pandas and len(y) else None
        self._steps: Steps | None = None
        if self._pandas and getattr(y.index, "dtype", np.dtype(object)).kind == "M":
            self._steps = _steps(y.index)

    @classmethod
    def of(cls, y: Any) -> Any:
        """The frame of `y`, or of each where it is a list; None for arrays."""
        if isinstance(y, list | tuple):
            frames = [cls.of(each) if hasattr(each, "to_numpy") else None for each in y]
            return frames if any(frames) else None
        return cls(y) if hasattr(y, "to_numpy") and (hasattr(y, "columns") or hasattr(y, "name")) else None

    def back(self, values: np.ndarray) -> Any:
        """Forecasts (n,) or (n, K) in the kind of the series, behind the end of its index."""
        if not self._pandas:
            if values.ndim == 1:
                return self._make(self._names, values)
            return self._make(dict(zip(self._names, values.T)))
        index = self._future(len(values))
        if isinstance(self._names, list):
            return self._make(values.reshape(len(values), -1), index=index, columns=self._names)
        return self._make(values, index=index, name=self._names)

    def _future(self, n: int) -> Any:
        """The index of n steps to come."""
        index = self._index
        if self._steps is not None:
            T = self._steps.count
            times = self._steps.at(np.arange(T, T + n)).astype(f"M8[{getattr(index, 'unit', 'ns')}]")
            future = type(index)(times, name=index.name)
            return future if index.tz is None else future.tz_localize(index.tz)
        if hasattr(index, "freqstr"):  # of periods
            return type(index)([self._last + k for k in range(1, n + 1)], name=index.name)
        start = int(self._last) + 1 if isinstance(self._last, int | np.integer) else 0
        return type(index)(range(start, start + n), name=index.name) if index.dtype.kind in "iu" else None


def _steps(index: Any) -> Steps | None:
    """Steps of an index of dates, as they are read on a clock; None of a single date."""
    local = index if index.tz is None else index.tz_localize(None)
    try:
        steps = steps_of(local.to_numpy().astype("M8[us]"))
    except UnevenTimes as error:
        raise ValueError(
            f"the index of y must have equal steps: {index[error.row]} {error}; sort the rows (y.sort_index()), or "
            "pass y.to_numpy()"
        ) from None
    if steps.absent:
        first = steps.at([steps.first_absent])[0].astype("M8[s]").item()
        raise ValueError(
            f"{steps.absent} steps (of {steps}) are absent from the index of y, the first {first}: put them in, as "
            "y.asfreq(...).interpolate(), or pass y.to_numpy()"
        )
    return steps if steps.known else None


def remembers_frame(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a fit: its series may be frames, whose kind and index forecasts have."""

    @functools.wraps(fit)
    def wrapped(self: Any, y: Any, *more: Any, **options: Any) -> Any:
        frame = Frame.of(y)
        fit(self, y, *more, **options)
        self._frame = frame
        return self

    return wrapped


def returns_frame(predict: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps a forecast: it comes back as the series of the fit, or `history`, came."""

    @functools.wraps(predict)
    def wrapped(self: Any, *more: Any, **options: Any) -> Any:
        history = options.get("history")
        frame = getattr(self, "_frame", None) if history is None else Frame.of(history)
        found = predict(self, *more, **options)
        if frame is None:
            return found
        return tuple(_back(frame, each) for each in found) if isinstance(found, tuple) else _back(frame, found)

    return wrapped


def _back(frame: Any, values: Any) -> Any:
    if isinstance(frame, list):
        return [own.back(each) if own is not None else each for own, each in zip(frame, values)]
    return frame.back(values)
