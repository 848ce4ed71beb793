"""`temperature_of`, `cool`, `calibration_error`: how far probabilities are those of being right.

Guo, Pleiss, Sun and Weinberger (2017), On calibration of modern neural networks.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from pylstm.feedforward.mlp import MLP
from pylstm.models.classify_model import log_probabilities
from pylstm.models.sequence_model import SequenceModel

LOWEST, HIGHEST = 1e-2, 1e2
"""Temperatures that are tried."""


def temperature_of(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The temperature that logits of held-out rows are divided by to have the lowest cross-entropy.

    Parameters
    ----------
    logits : ndarray, shape (N, K)
        Of rows that the classifier was not fitted on.
    targets : ndarray of int, shape (N,)
    weights : ndarray, shape (N,), optional

    Notes
    -----
    A target counts as ``(N + 1) / (N + K)`` instead of 1, and the other classes share the rest (Platt, 1999,
    Probabilistic outputs for support vector machines): where no row is wrong the probabilities stay below 1.

    Examples
    --------
    >>> logits = np.array([[9.0, 0.0]] * 10)  # of ten rows that are right in eight
    >>> temperature = temperature_of(logits, np.array([0] * 8 + [1] * 2))
    >>> (1 / (1 + np.exp(-9 / temperature))).round(2)
    np.float64(0.75)
    """
    N, K = logits.shape
    if K < 2 or not N or not np.ptp(logits, axis=1).any():
        return 1.0
    weights = np.ones(N) if weights is None else weights / weights.mean()
    smooth = np.full((N, K), 1 / (N + K))
    smooth[np.arange(N), targets] = (N + 1) / (N + K)

    def entropy(log_temperature: float) -> float:
        each = (smooth * log_probabilities(logits / np.exp(log_temperature))).sum(axis=1)
        return -float(np.average(each, weights=weights))

    spread = np.log(max(float(logits.std()), 1e-12))
    found = minimize_scalar(
        entropy, bounds=(np.log(LOWEST) + spread, np.log(HIGHEST) + spread), method="bounded", options={"xatol": 1e-6}
    )
    return float(np.exp(found.x))


def cool(model: SequenceModel, temperature: float) -> None:
    """Divide the logits of `model` by `temperature`, in the weights of the last map of its head."""
    last = model.head.layers[-1] if isinstance(model.head, MLP) else model.head
    last.params.flat[...] /= temperature


def calibration_error(probabilities: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: mean distance between confidence and share of right answers, over bins of confidence.

    Parameters
    ----------
    probabilities : ndarray, shape (N, K)
    right : ndarray of int, shape (N,)
        Numbers of the true classes.
    bins : int
        Of equal width, from 0 to 1.

    Examples
    --------
    >>> calibration_error(np.array([[0.8, 0.2]] * 5), np.array([0, 0, 0, 0, 1]))
    0.0
    """
    confidence, hit = probabilities.max(axis=1), probabilities.argmax(axis=1) == right
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    sums = np.array([np.bincount(at, weights=each, minlength=bins) for each in (confidence, hit)])
    return float(round(np.abs(sums[0] - sums[1]).sum() / len(right), 15))
