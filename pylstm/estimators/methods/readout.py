"""`Readout`: a linear classifier on features by ridge regression, its penalty and temperature chosen by leaving out.

Leaving one row out of a ridge regression costs nothing: its residual is that of the fit divided by 1 - leverage (Allen,
1974, The relationship between variable selection and data augmentation and a method for prediction).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pylstm.estimators.methods.calibration import temperature_of

PENALTIES = np.logspace(-1, 5, 13)
"""Tried on the squares of the standardised features."""

NARROW = 1e-4
"""A feature that varies less, in numbers of the order of 1, is left out: its weight would lift rounding errors."""


@dataclass
class Readout:
    """Logits ``features @ weight.T + bias``, and what was found on the way.

    Attributes
    ----------
    weight, bias : ndarray, shapes (K, F) and (K,)
        The temperature is inside.
    penalty, temperature : float
    left_out : ndarray, shape (N, K)
        Logits of every row by the fit without it, before the temperature.
    error : float
        Their mean square distance from what was wanted.
    """

    weight: np.ndarray
    bias: np.ndarray
    penalty: float
    temperature: float
    left_out: np.ndarray
    error: float


def fit_readout(features: np.ndarray, targets: np.ndarray, K: int, weights: np.ndarray) -> Readout:
    """The read-out with the lowest squared error of rows left out, against 1 for the class of a row and -1 for others.

    Parameters
    ----------
    features : ndarray, shape (N, F)
    targets : ndarray of int, shape (N,)
    K : int
        Classes.
    weights : ndarray, shape (N,)
        Above 0; their unit does not matter.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> features = rng.normal(size=(40, 3))
    >>> found = fit_readout(features, (features[:, 0] > 0).astype(int), 2, np.ones(40))
    >>> found.weight.shape, bool(abs(found.weight[1, 0]) > abs(found.weight[1, 1]))
    ((2, 3), True)
    """
    F = features.shape[1]
    weights = weights / weights.mean()
    wanted = np.where(np.arange(K) == targets[:, None], 1.0, -1.0)
    mean, middle = np.average(features, axis=0, weights=weights), np.average(wanted, axis=0, weights=weights)
    scale = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weights))
    used = scale > NARROW
    root = np.sqrt(weights)[:, None]
    z, b = root * ((features[:, used] - mean[used]) / scale[used]), root * (wanted - middle)
    u, s = _left_singular(z)
    best = min((_leave_out(u, s, b, weights, penalty) for penalty in PENALTIES), key=lambda each: each[0])
    error, penalty, residuals = best
    left_out = wanted - residuals / root
    # coefficients = z' u (u'b) / (s^2 + penalty)
    coefficients = z.T @ (u @ ((u.T @ b) / (s**2 + penalty)[:, None]))
    weight = np.zeros((K, F))
    weight[:, used] = (coefficients / scale[used, None]).T
    temperature = temperature_of(left_out, targets, weights)
    bias = middle - weight @ mean
    return Readout(weight / temperature, bias / temperature, float(penalty), temperature, left_out, error)


def _left_singular(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left singular vectors (N, R) and values of z (N, F), by the smaller of its two products."""
    N, F = z.shape
    squares, vectors = np.linalg.eigh(z @ z.T if N <= F else z.T @ z)
    kept = squares > max(N, F, 1) * np.finfo(z.dtype).eps * max(squares.max(initial=0.0), 1e-300)
    s = np.sqrt(squares[kept])
    return (vectors[:, kept], s) if N <= F else (z @ vectors[:, kept] / s, s)


def _leave_out(
    u: np.ndarray, s: np.ndarray, b: np.ndarray, weights: np.ndarray, penalty: float
) -> tuple[float, float, np.ndarray]:
    """Mean square, penalty, and the residuals (N, K) of rows left out, times the roots of their weights."""
    shrunk = s**2 / (s**2 + penalty)
    fitted = u @ (shrunk[:, None] * (u.T @ b))
    leverage = (u**2) @ shrunk + weights / weights.sum()
    residuals = (b - fitted) / np.maximum(1 - leverage, 1e-9)[:, None]
    return float((residuals**2).mean()), float(penalty), residuals
