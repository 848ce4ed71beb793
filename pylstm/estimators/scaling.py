"""Standardisation of sequences by scikit-learn's `StandardScaler`: of every feature over all steps, with weights."""

from __future__ import annotations

import numpy as np
from sklearn.preprocessing import StandardScaler

from pylstm.data.sequences import Sequences


def fit_scaler(values: np.ndarray, weights: np.ndarray) -> StandardScaler:
    """Weighted mean and deviation of the columns of `values` (M, K); 0 and 1 where M is 0.

    `weights` (M,) above 0; their unit does not matter.
    """
    if not len(values):
        return make_scaler(np.zeros(values.shape[1]), np.ones(values.shape[1]))
    # What the scaler takes for constant depends on the sum of the weights: with a mean of 1 it is that of M samples.
    # The variance of a constant column may be rounded to below 0; its scale is 1 whatever the root is.
    with np.errstate(invalid="ignore"):
        return StandardScaler().fit(values.astype(np.float64), sample_weight=weights / weights.mean())


def fit_steps(x: np.ndarray | Sequences, weights: np.ndarray) -> StandardScaler:
    """The scaler of all steps of all sequences (N, T, I), each with the weight of its sequence (N,)."""
    if isinstance(x, Sequences):
        return fit_scaler(x.padded[x.inside], np.repeat(weights, x.lengths))
    return fit_scaler(x.reshape(-1, x.shape[2]), np.repeat(weights, x.shape[1]))


def make_scaler(mean: np.ndarray, scale: np.ndarray) -> StandardScaler:
    """The scaler of this mean and deviation, (K,) each."""
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_, scaler.var_ = mean, scale, scale**2
    scaler.n_features_in_, scaler.n_samples_seen_ = len(mean), 0
    return scaler


def scale_steps(scaler: StandardScaler, x: np.ndarray | Sequences, dtype: str) -> np.ndarray | Sequences:
    """x (N, T, I) standardised in float64, then rounded to `dtype`."""
    values = x.padded if isinstance(x, Sequences) else x
    if values.size:  # the scaler refuses no steps at all
        values = scaler.transform(values.reshape(-1, values.shape[2]).astype(np.float64)).reshape(values.shape)
    return Sequences(values.astype(dtype), x.lengths) if isinstance(x, Sequences) else values.astype(dtype)
