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

SMALLEST, LARGEST = 1e-100, 1e100
"""Bounds of the largest magnitude of a feature: float64 has the squares of what lies between."""
FARTHEST = 1e30
"""Largest magnitude of what is scaled: beyond it products in a net of float32 overflow."""


def fit_scaler(values: np.ndarray, weights: np.ndarray) -> StandardScaler:
    """Weighted mean and deviation of the columns of `values` (M, K); 0 and 1 where M is 0.

    `weights` (M,) above 0; their unit does not matter.
    """
    if not len(values):
        return make_scaler(np.zeros(values.shape[1]), np.ones(values.shape[1]))
    return fit_pieces([(values, weights / weights.mean())], "y")


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


def fit_pieces(pieces: Iterable[tuple[np.ndarray, np.ndarray]], name: str = "X") -> StandardScaler:
    """The scaler of all steps (M, I), with their weights (M,).

    What it takes for constant depends on the sum of the weights: with a mean of 1 it is that of M samples. What is
    constant to the last bit has itself as mean, so that it is scaled to 0 whatever its size.

    Raises
    ------
    ValueError
        A feature of `name` that is not constant, and too small or large for its variance.
    """
    scaler = StandardScaler()
    low, high = np.array(np.inf), np.array(-np.inf)
    # The variance of a constant column may be rounded to below 0; its scale is 1 whatever the root is.
    with np.errstate(invalid="ignore"), np.errstate(over="ignore"):
        for values, weights in pieces:
            if len(values):
                scaler.partial_fit(values.astype(np.float64), sample_weight=weights)
                low = np.minimum(low, values.min(axis=0), dtype=np.float64)
                high = np.maximum(high, values.max(axis=0), dtype=np.float64)
    if low.ndim:
        _refuse_range(name, low, high)
        constant = low == high
        scaler.mean_[constant], scaler.var_[constant], scaler.scale_[constant] = low[constant], 0, 1
    return scaler


def _refuse_range(name: str, low: np.ndarray, high: np.ndarray) -> None:
    largest = np.maximum(np.abs(low), np.abs(high))
    for k in np.flatnonzero((low != high) & ((largest < SMALLEST) | (largest > LARGEST)))[:1]:
        raise ValueError(
            f"the largest magnitude of {name}[..., {k}] is {largest[k]:.3g}, but one that is standardised must be from "
            f"{SMALLEST:g} to {LARGEST:g}: multiply it by a power of 10"
        )


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
        padded = x.padded
        if (np.abs(scaler.mean_) > FARTHEST * scaler.scale_).any():  # beyond the end nothing is far
            padded = np.where(x.inside[..., None], padded, scaler.mean_)
        return Sequences(_scaled(scaler, padded, dtype), x.lengths)
    return _scaled(scaler, x, dtype)


def _scaled(scaler: StandardScaler, values: np.ndarray, dtype: Any) -> np.ndarray:
    out = np.empty(values.shape, dtype)
    size = max(1, SCALED // max(1, values[:1].size))
    for start in range(0, len(values), size):
        piece = np.subtract(values[start : start + size], scaler.mean_, dtype=np.float64)
        scaled = out[start : start + size]
        with np.errstate(over="ignore"):
            np.divide(piece, scaler.scale_, out=scaled, casting="same_kind")
        if (np.abs(scaled) > FARTHEST).any():
            far = np.abs(values[start : start + size]).max()
            raise ValueError(
                f"X reaches {far:.3g}, more than {FARTHEST:g} deviations from the mean of the fit: pass it in the "
                "units of the fit"
            )
    return out
