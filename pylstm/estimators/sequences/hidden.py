"""`refuse_masked` and `refuse_times`: values that NumPy would make numbers, though they are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def refuse_masked(name: str, values: Any) -> None:
    """Refuse values under a mask: what `np.asarray` shows there is whatever stood in the file, such as 1e20.

    Parameters
    ----------
    name : str
        What the message calls the values.
    values : object
        An array, or a list of arrays; a mask that hides nothing passes.

    Raises
    ------
    ValueError

    Examples
    --------
    >>> refuse_masked("X", np.ma.masked_greater([1.0, 1e20], 1e10))
    Traceback (most recent call last):
    ...
    ValueError: X contains masked values, first at index 1: fill them, or leave such sequences out
    """
    for called, each in _parts(name, values):
        if isinstance(each, np.ma.MaskedArray) and np.ma.is_masked(each):
            at = tuple(map(int, np.argwhere(np.asarray(each.mask))[0]))
            place = at[0] if len(at) == 1 else at
            cure = "" if name != "X" else "fill them, or "
            raise ValueError(f"{called} contains masked values, first at index {place}: {cure}leave such sequences out")


def refuse_times(name: str, values: Any) -> None:
    """Refuse dates and durations, which would be counts of a unit that is not seen.

    Raises
    ------
    TypeError

    Examples
    --------
    >>> refuse_times("y", np.array(["2020-01-01"], "datetime64[D]"))
    Traceback (most recent call last):
    ...
    TypeError: y must be numbers, got datetime64[D]: pass numbers that say it, such as days since a date
    """
    cure = "pass numbers that say it, such as days since a date"
    for called, each in _parts(name, values):
        for column, dtype in _dtypes(each):
            if getattr(dtype, "kind", "") in ("m", "M") or getattr(dtype, "is_temporal", bool)():
                raise TypeError(f"{called}{column} must be numbers, got {dtype}: {cure}")


def _parts(name: str, values: Any) -> Iterator[tuple[str, Any]]:
    yield name, values
    if isinstance(values, list | tuple):
        yield from (
            (f"{name}[{k}]", each) for k, each in enumerate(values) if hasattr(each, "dtype") or hasattr(each, "dtypes")
        )


def _dtypes(values: Any) -> Iterator[tuple[str, Any]]:
    """What the message says of a column, and its dtype."""
    if hasattr(values, "columns") and hasattr(values, "dtypes"):
        yield from ((f"[{column!r}]", dtype) for column, dtype in zip(values.columns, values.dtypes))
    else:
        yield "", getattr(values, "dtype", None)
