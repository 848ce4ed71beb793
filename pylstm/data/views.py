"""`seen`: sequences as a net sees them: steps, their differences, and the same of the normalised sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.data.sequences import Sequences
from pylstm.data.stored import Stored, StoredSequences

VIEWS = {"steps": 1, "differences": 2, "normalised": 4}
"""Name -> numbers at a step for every feature."""

CONSTANT = 1e-8
"""A feature of a sequence that deviates less, relative to its largest value, is not divided."""


def seen(x: Any, view: str) -> Any:
    """x (..., T, I) in one of the `VIEWS`, (..., T, VIEWS[view] I).

    Parameters
    ----------
    x : ndarray (T, I), (N, T, I), Sequences, or Stored
        Rows of an array that is not in memory are changed when they are read.
    view : {"steps", "differences", "normalised"}
        As it is; with the difference of every step to the one before, 0 at the first; besides, the same two of the
        sequence with mean 0 and deviation 1, feature by feature.

    Examples
    --------
    >>> seen(np.array([[1.0], [4.0]]), "differences").tolist()
    [[1.0, 0.0], [4.0, 3.0]]
    >>> seen(np.array([[1.0], [4.0]]), "normalised").tolist()
    [[1.0, -1.0, 0.0, 0.0], [4.0, 1.0, 3.0, 2.0]]
    """
    if view == "steps":
        return x
    if isinstance(x, StoredSequences):
        x = x.read()
    if isinstance(x, Stored):
        inner = (x.shape[1], x.shape[2] * VIEWS[view])
        return x.changed(lambda values: np.asarray(seen(values, view)), inner, np.float64)
    values, lengths = (x.padded, x.lengths) if isinstance(x, Sequences) else (x, None)
    values = np.asarray(values, np.float64)
    if view == "normalised":
        values = np.concatenate([values, _normalised(values, lengths)], axis=-1)
    values = np.concatenate([values, np.diff(values, axis=-2, prepend=values[..., :1, :])], axis=-1)
    return values if lengths is None else Sequences(values, lengths)


def _normalised(values: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """Mean 0 and deviation 1 of every feature over the own steps; 0 beyond the end."""
    T = values.shape[-2]
    inside = np.ones((T, 1), bool) if lengths is None else np.arange(T)[:, None] < lengths[:, None, None]
    count = np.maximum(np.sum(inside, axis=-2, keepdims=True), 1)
    mean = np.where(inside, values, 0).sum(axis=-2, keepdims=True) / count
    first = values[..., :1, :]
    same = (~inside | (values == first)).all(axis=-2, keepdims=True)  # the mean of which may be rounded
    mean = np.where(same, first, mean)
    centred = np.where(inside, values - mean, 0)
    deviation = np.sqrt((centred**2).sum(axis=-2, keepdims=True) / count)
    most = np.where(inside, np.abs(values), 0).max(axis=-2, keepdims=True, initial=0)
    return np.asarray(centred / np.where(deviation > CONSTANT * most, deviation, 1))
