"""`counting`, `not_finite`: which values of a batch count, and the first of them that is NaN or infinite."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from pylstm.checks import quoted
from pylstm.data.batches import Data
from pylstm.data.sequences import Sequences
from pylstm.data.stored import Stored, read

Masks = tuple[np.ndarray | None, ...]
"""Masks of the values that count, one for each array of a batch, by its first axes; None: all."""

PIECE = 1 << 24
"""Bytes that are looked at together, which bounds the memory for masks."""


def counting(x: Any, y: Any, weights: Any = None, *, steps: bool, ahead: bool) -> Masks:
    """Which values of a batch have an effect on its loss: those that no weight of 0 and no end of a row excludes.

    Parameters
    ----------
    x : ndarray or Sequences, shape (N, T, I)
    y : array_like or Sequences, shape (N, ...)
    weights : array_like or Sequences, optional
        Of rows, steps or elements.
    steps : bool
        Whether there is a target for every step.
    ahead : bool
        Whether outputs depend on later steps, as those of a reverse direction do.

    Returns
    -------
    of_x, of_y, of_weights : ndarray of bool or None
        Masks by the first axes of each. An input counts where it reaches a target that does: not in a row without any,
        nor after the last one of a row where every step has its own (unless `ahead`). What does not fit is left to the
        loss to refuse: it counts.

    Examples
    --------
    >>> x, y = np.zeros((2, 3, 1)), np.zeros((2, 3))
    >>> of_x, of_y, _ = counting(x, y, np.array([[1, 0, 0], [0, 1, 0]]), steps=True, ahead=False)
    >>> of_x.astype(int).tolist(), of_y.astype(int).tolist()
    ([[1, 0, 0], [1, 1, 0]], [[1, 0, 0], [0, 1, 0]])
    """
    inside_x = x.inside if isinstance(x, Sequences) else None
    inside_y = _inside(y, x, steps)
    if weights is None:
        return inside_x, inside_y, None
    inside_weights = _inside(weights, x, steps)
    given: np.ndarray = np.asarray(weights.padded if isinstance(weights, Sequences) else weights)
    if given.dtype.kind not in "biuf" or not 1 <= given.ndim <= 3 or len(given) != len(x):
        return inside_x, inside_y, inside_weights
    nonzero = _both(np.asarray(given != 0), inside_weights)
    of_x = _both(_reached(nonzero, x.shape[1], steps, ahead), inside_x)
    shape = y.shape if hasattr(y, "shape") else np.shape(y)
    wider = nonzero.ndim == len(shape) + 1  # y without an axis of 1
    of_targets = np.asarray(nonzero.any(axis=-1)) if wider else nonzero
    fits = of_targets.shape == shape[: of_targets.ndim]
    return of_x, _both(of_targets, inside_y) if fits else inside_y, inside_weights


def _inside(values: Any, x: Any, steps: bool) -> np.ndarray | None:
    """Which steps of `values` lie before the end of their row."""
    if isinstance(values, Sequences):
        return values.inside
    shape = np.shape(values)
    if isinstance(x, Sequences) and steps and len(shape) > 1 and shape[0] == len(x):
        return np.arange(shape[1]) < x.lengths[:, None]
    return None


def _reached(nonzero: np.ndarray, T: int, steps: bool, ahead: bool) -> np.ndarray:
    """Mask of the inputs from which a target that counts is reached: (N,), or (N, T)."""
    if not steps or nonzero.ndim == 1 or nonzero.shape[1] < T:
        return np.asarray(nonzero.reshape(len(nonzero), -1).any(axis=1))
    by_step = np.asarray(nonzero.reshape(*nonzero.shape[:2], -1).any(axis=2))[:, :T]
    return np.asarray(by_step.any(axis=1) if ahead else np.logical_or.accumulate(by_step[:, ::-1], axis=1)[:, ::-1])


def _both(one: np.ndarray, other: np.ndarray | None) -> np.ndarray:
    """Both masks, by the axes of the longer one."""
    if other is None or one.shape[1:2] not in ((), other.shape[1:2]):
        return one
    axes = max(one.ndim, other.ndim)
    one, other = (each.reshape(each.shape + (1,) * (axes - each.ndim)) for each in (one, other))
    both: np.ndarray = one & other
    return both


def refuse_array(name: str, values: np.ndarray, cure: str) -> None:
    """Refuse an array of numbers in which one is NaN or infinite.

    Examples
    --------
    >>> refuse_array("y", np.array([1.0, np.nan]), "fill the gaps")
    Traceback (most recent call last):
    ...
    ValueError: y contains NaN or infinity, first at index (1,): fill the gaps
    """
    at = first_not_finite(values)
    if at is not None:
        raise ValueError(f"{name} contains NaN or infinity, first at index {at}: {cure}")


def real_numbers(name: str, values: Any, what: str = "numbers") -> np.ndarray:
    """Values as float64, masked ones NaN; complex numbers, dates and texts are refused rather than made numbers.

    Examples
    --------
    >>> real_numbers("y", [1, 1j])
    Traceback (most recent call last):
    ...
    TypeError: y must be numbers, got complex128: pass its real part, or real and imaginary part as two columns
    """
    if isinstance(values, np.ma.MaskedArray):
        floats: Any = values.astype("float64")
        values = floats.filled(np.nan)
    try:
        found = np.asarray(values)
        if found.dtype.kind not in "cmM":
            return found.astype("float64", copy=False)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be {what}, got {quoted(values)}{_cure(values)}") from None
    cure = "times are the index, or a column that time=... names"
    if found.dtype.kind == "c":
        cure = "pass its real part, or real and imaginary part as two columns"
    raise TypeError(f"{name} must be {what}, got {found.dtype}: {cure}")


def _cure(values: Any) -> str:
    """What makes an array of texts, a dict or an iterator."""
    if isinstance(values, str | os.PathLike):
        return ": read the file first, by pandas or pylstm.datasets.read_table"
    if isinstance(values, Mapping):
        return ": pass one array, such as np.column_stack([*columns.values()]), or name its columns (time=..., id=...)"
    if isinstance(values, Iterator):
        return ": pass list(...) of it"
    first = (
        next(iter(np.ravel(np.asarray(values, "O"))), None) if isinstance(values, list | tuple | np.ndarray) else None
    )
    return ": say texts by numbers, one column of 0 and 1 for each" if isinstance(first, str) else ""


def refuse_not_finite(
    name: str, data: Data, model: Any, rows: np.ndarray | None = None, *, skip_stored: bool = False
) -> None:
    """Refuse data in which a value that counts is NaN or infinite; only of a model that says what counts.

    Parameters
    ----------
    name : str
        What the message calls the data.
    data : tuple of ndarray or Sequences
    model : object
        With ``counting(*batch) -> masks``, as `SequenceModel` has it. Any other may have a use for NaN.
    rows : ndarray of int, optional
        The rows to look at; default all.
    skip_stored : bool
        Whether to look at what is in memory only.

    Raises
    ------
    ValueError
        Names the array and the index of its first such value.
    """
    if hasattr(model, "counting"):
        found = not_finite(name, data, model, rows, skip_stored=skip_stored)
        if found:
            raise ValueError(f"{found}: fill it or leave it out, by lengths or a weight of 0 of all targets it reaches")


def not_finite(name: str, data: Data, model: Any, rows: np.ndarray | None = None, *, skip_stored: bool = False) -> str:
    """Which array holds a value that counts and is NaN or infinite, and where the first one is; "" if none does.

    Parameters
    ----------
    name, data, model, rows, skip_stored
        As for `refuse_not_finite`; of a model that does not say what counts everything does.

    Examples
    --------
    >>> not_finite("data", (np.zeros((2, 3)), np.array([0.0, np.nan])), None)
    'data[1] holds nan at index (1,)'
    """
    looked_at = [k for k, each in enumerate(data) if not (skip_stored and isinstance(each, Stored))]
    suspects = [k for k in looked_at if data[k].dtype.kind == "f"]
    for first, piece in _pieces(data, rows) if suspects else ():
        batch: list[Any] = [read(each[piece]) if k in suspects else each[piece] for k, each in enumerate(data)]
        if not all(np.isfinite(_values(batch[k])).all() for k in suspects):
            batch = [read(each) for each in batch]
            masks = model.counting(*batch) if hasattr(model, "counting") else _ends(batch)
            for k in suspects:
                at = first_not_finite(_values(batch[k]), masks[k])
                if at is not None:
                    row = number_of(data, first + at[0] if rows is None else int(rows[first + at[0]]))
                    return f"{name}[{k}]{_name(model, k)} holds {_values(batch[k])[at]} at index {(row, *at[1:])}"
    return ""


def number_of(data: Data, row: int) -> int:
    """Number of a row in what the caller passed, where some of it is `Stored`; of other data in `data`."""
    return next((each.number(row) for each in data if isinstance(each, Stored)), row)


def _pieces(data: Data, rows: np.ndarray | None) -> Iterator[tuple[int, Any]]:
    """Number of the first row, and an index of some rows."""
    count = len(data[0]) if rows is None else len(rows)
    size = max(1, PIECE // max(1, sum(_values(each).nbytes for each in data) // max(1, len(data[0]))))
    for start in range(0, count, size):
        yield start, slice(start, start + size) if rows is None else rows[start : start + size]


def _values(array: Any) -> Any:
    return array.padded if isinstance(array, Sequences) else array


def _ends(batch: Iterable[Any]) -> Masks:
    return tuple(each.inside if isinstance(each, Sequences) else None for each in batch)


def first_not_finite(values: np.ndarray, mask: np.ndarray | None = None) -> tuple[int, ...] | None:
    """Index of the first value that counts and is not finite."""
    bad = ~np.isfinite(values)
    if mask is not None:
        bad &= mask.reshape(mask.shape + (1,) * (bad.ndim - mask.ndim))
    return tuple(int(k) for k in np.unravel_index(bad.argmax(), bad.shape)) if bad.any() else None


def _name(model: Any, number: int) -> str:
    """``" (x)"``: what the model calls the array of that number."""
    gradients: Callable[..., Any] | None = getattr(model, "gradients", None)
    if gradients is None:
        return ""
    parameters = inspect.signature(gradients).parameters.values()
    names = [each.name for each in parameters if each.kind <= each.POSITIONAL_OR_KEYWORD]
    return f" ({names[number]})" if number < len(names) else ""
