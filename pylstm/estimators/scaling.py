"""Standardisation of sequences by scikit-learn's `StandardScaler`: of every feature over all steps, with weights.

In pieces of the same rows, whether these are in memory or not: the bits are the same, and the copies in float64 small.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from sklearn.preprocessing import StandardScaler

from pylstm.data.sequences import Sequences
from pylstm.data.stored import Stored, read

PIECE = 1 << 16
"""Numbers whose statistics are computed together: three times as fast in pieces that stay in L2."""
SCALED = 1 << 15
"""Numbers that are scaled together: in float64 they stay in L2."""


def fit_scaler(values: np.ndarray, weights: np.ndarray) -> StandardScaler:
    """Weighted mean and deviation of the columns of `values` (M, K); 0 and 1 where M is 0.

    `weights` (M,) above 0; their unit does not matter.
    """
    if not len(values):
        return make_scaler(np.zeros(values.shape[1]), np.ones(values.shape[1]))
    return fit_pieces([(values, weights / weights.mean())])


def fit_steps(x: np.ndarray | Sequences | Stored, weights: np.ndarray) -> StandardScaler:
    """The scaler of all steps of all sequences (N, T, I), each with the weight of its sequence (N,)."""
    lengths = getattr(x, "lengths", None)
    if lengths is not None and not lengths.any():
        return make_scaler(np.zeros(x.shape[2]), np.ones(x.shape[2]))
    mean = weights.mean() if lengths is None else (weights * lengths).sum() / lengths.sum()
    return fit_pieces(steps_of(x, weights / mean))


def steps_of(x: Any, weights: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Steps (M, I) of some sequences at a time, and their weights."""
    size = max(1, PIECE // max(1, x.shape[1] * x.shape[2]))
    for start in range(0, len(x), size):
        piece, here = read(x[start : start + size]), weights[start : start + size]
        if isinstance(piece, Sequences):
            yield piece.padded[piece.inside], np.repeat(here, piece.lengths)
        else:
            yield piece.reshape(-1, piece.shape[2]), np.repeat(here, piece.shape[1])


def fit_pieces(pieces: Iterable[tuple[np.ndarray, np.ndarray]]) -> StandardScaler:
    """The scaler of all steps (M, I), with their weights (M,).

    What it takes for constant depends on the sum of the weights: with a mean of 1 it is that of M samples.
    """
    scaler = StandardScaler()
    # The variance of a constant column may be rounded to below 0; its scale is 1 whatever the root is.
    with np.errstate(invalid="ignore"):
        for values, weights in pieces:
            if len(values):
                scaler.partial_fit(values.astype(np.float64), sample_weight=weights)
    return scaler


def make_scaler(mean: np.ndarray, scale: np.ndarray) -> StandardScaler:
    """The scaler of this mean and deviation, (K,) each."""
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_, scaler.var_ = mean, scale, scale**2
    scaler.n_features_in_, scaler.n_samples_seen_ = len(mean), 0
    return scaler


def scale_steps(scaler: StandardScaler, x: Any, dtype: Any) -> Any:
    """x (N, T, I) standardised in float64, then rounded to `dtype`; `Stored` rows when they are read."""
    if isinstance(x, Stored):
        return x.changed(lambda values: _scaled(scaler, values, dtype), x.shape[1:], dtype)
    if isinstance(x, Sequences):
        return Sequences(_scaled(scaler, x.padded, dtype), x.lengths)
    return _scaled(scaler, x, dtype)


def _scaled(scaler: StandardScaler, values: np.ndarray, dtype: Any) -> np.ndarray:
    out = np.empty(values.shape, dtype)
    size = max(1, SCALED // max(1, values[:1].size))
    for start in range(0, len(values), size):
        piece = np.subtract(values[start : start + size], scaler.mean_, dtype=np.float64)
        np.divide(piece, scaler.scale_, out=out[start : start + size], casting="same_kind")
    return out
