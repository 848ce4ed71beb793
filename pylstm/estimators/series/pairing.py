"""`check_fit` and `matched`: inputs beside the series by their dates and names, which NumPy would pair by position."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from pylstm.estimators.series.frames import Frame, check_numbers, is_indexed, likes
from pylstm.estimators.series.index import has_dates, has_months


def check_fit(y: Any, X: Any) -> list[Any] | None:
    """Names of the columns of inputs X; of several series those of the first.

    Raises
    ------
    ValueError
        Both have dates or numbers, which differ; the inputs of several series have different names.
    """
    _check_inputs(X)
    if not isinstance(X, list | tuple):
        beside = y[0] if isinstance(y, list | tuple) and y else y
        _check_dates(X, beside.index if is_indexed(beside) else None, "those of y")
        return _names(X)
    if isinstance(y, list | tuple):
        for series, inputs in zip(y, X):
            _check_dates(inputs, series.index if is_indexed(series) else None, "those of y")
    names = [_names(each) for each in X]
    for each in names[1:]:
        if each is not None and names[0] is not None and each != names[0]:
            _refuse_names(names[0], each)
    return names[0] if names else None


def matched(names: list[Any] | None, frame: Any, n: int, X: Any, history: Any) -> Any:
    """The inputs of a forecast of n steps, with their columns in the order of the fit.

    Raises
    ------
    ValueError
        Other columns; dates that are not those of the n steps to come, behind those of `history`.
    """
    if isinstance(X, list | tuple):
        several = isinstance(frame, list) and len(frame) == len(X)
        pasts = history if isinstance(history, list | tuple) and len(history) == len(X) else [history] * len(X)
        return [
            matched(names, own, n, each, past)
            for own, each, past in zip(frame if several else [frame] * len(X), X, pasts)
        ]
    X = named(names, X)
    _check_inputs(X)
    if hasattr(X, "shape") and hasattr(history, "shape") and len(X) == n != len(history) + n:
        raise ValueError(
            f"X must have the inputs of history and of the {n} steps to come, {len(history) + n} rows, got {len(X)}: "
            "put those of history before them"
        )
    own = frame if isinstance(frame, Frame) else None
    if own is not None and own.index is not None and own.index.kind != "none":
        ahead = own.index.future(n)
        if history is None:
            X = _taken(X, ahead)
            _check_dates(X, ahead, "those of the steps to come")
        elif is_indexed(history):
            _check_dates(X, history.index.append(ahead), "those of history and of the steps to come")
    return X


def check_after(frame: Any, y: Any) -> None:
    """Refuse dates or numbers of steps that are not those after the series of a fit.

    Raises
    ------
    ValueError
    """
    several = isinstance(y, list | tuple)
    given = list(y) if several else [y]
    for own, each in zip(likes(frame, len(given)), given):
        if own is not None and own.index is not None and own.index.kind != "none" and is_indexed(each):
            _check_dates(each, own.index.future(len(each)), "those after the series of the fit", "y")


def _check_inputs(X: Any) -> None:
    """Refuse columns of dates or texts."""
    for number, each in enumerate(X if isinstance(X, list | tuple) else [X]):
        if hasattr(each, "to_numpy"):
            check_numbers(f"X[{number}]" if isinstance(X, list | tuple) else "X", each)


def _taken(X: Any, ahead: Any) -> Any:
    """The rows of the dates `ahead`, where X has all of these and others."""
    if not is_indexed(X) or len(X) <= len(ahead) or not (_dated(X.index) and _dated(ahead)) or not X.index.is_unique:
        return X
    return X.loc[ahead] if ahead.isin(X.index).all() else X


def named(names: list[Any] | None, X: Any) -> Any:
    """Inputs with their columns in the order of these names.

    Raises
    ------
    ValueError
        Other columns.
    """
    if isinstance(X, list | tuple):
        return [named(names, each) for each in X]
    found = _names(X)
    if names is None or found is None or found == names:
        return X
    if len(found) != len(names) or set(found) != set(names):
        _refuse_names(names, found)
    return X[names]


def _names(X: Any) -> list[Any] | None:
    """Names of the columns of a frame; None where they are numbers, or it has none."""
    names = list(X.columns) if hasattr(X, "columns") and hasattr(X, "to_numpy") else None
    return names if names and all(isinstance(each, str) for each in names) else None


def _refuse_names(expected: list[Any], got: list[Any]) -> NoReturn:
    wanted, found = (", ".join(map(repr, each)) for each in (expected, got))
    raise ValueError(f"X must have the columns of the fit, {wanted}; got {found}: X.to_numpy() takes them in order")


def _check_dates(X: Any, expected: Any, whose: str, name: str = "X") -> None:
    """Refuse dates or numbers of X that are not the expected ones; what has none is paired by position.

    So are rows that are numbered from 0, as every frame has them.
    """
    if not is_indexed(X) or expected is None or len(X) != len(expected):
        return
    dates = _dated(X.index) and _dated(expected)
    numbers = X.index.dtype.kind in "iu" and expected.dtype.kind in "iu"
    if not dates and not (numbers and not np.array_equal(X.index, np.arange(len(X)))):
        return
    try:
        same = np.asarray(X.index == expected, bool)
    except TypeError:  # of one with a time zone and one without
        same = np.zeros(len(X), bool)
    if same.shape == (len(X),) and same.all():
        return
    row = int(np.argmin(same)) if same.shape == (len(X),) else 0
    what = "dates" if dates else "numbers"
    raise ValueError(
        f"the {what} of {name} must be {whose}: row {row} must be that of {expected[row]}, got {X.index[row]}; "
        f"{name}.to_numpy() pairs them by position"
    )


def _dated(index: Any) -> bool:
    """Whether it is an index of dates, periods, or texts that are dates."""
    kind = getattr(index.dtype, "kind", "O")
    if kind == "M" or hasattr(index, "freqstr") or has_months(index):
        return True
    return len(index) > 0 and kind == "O" and has_dates(index)
