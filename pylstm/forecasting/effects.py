"""`Effects`: what known inputs add to a series, by regression on differences, each forecast by what came before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

PRIOR = 1.0
"""Penalty of the squared coefficient of an input, in squares of its mean difference: as one more difference of none."""
LEAST, STEPS_EACH = 5, 3
"""Differences that a regression needs, at least, and with every input."""
MOST = 64
"""Inputs of a regression, at most: each is a column of normal equations at every origin."""
BLOCK = 4_000_000
"""Numbers of normal equations that are held at a time, about."""


@dataclass(frozen=True)
class Effects:
    """The effect of inputs on one series.

    Attributes
    ----------
    adjusted : ndarray, shape (T,)
        The series without it, by the coefficients that its values until each step say.
    ahead : ndarray, shape (T, H)
        The effect of the inputs 1..H steps after each step, by the same coefficients.
    weights : ndarray, shape (M,)
        Coefficients by the whole series.
    """

    adjusted: np.ndarray
    ahead: np.ndarray
    weights: np.ndarray


def find_effects(y: np.ndarray, x: np.ndarray, lags: Sequence[int], H: int, first: int) -> Effects | None:
    """Effects of inputs x (T, M) on y (T,): ridge regression of differences, by `lags` one after another, on theirs.

    Differences, since a level that wanders, a trend and a season are no effects. Coefficients at an origin are those of
    the differences until there, before the step `first` those until it. None where there are too few steps, or no input
    varies.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(60, 1))
    >>> y = 0.5 * np.arange(60) + 3 * x[:, 0]
    >>> find_effects(y, x, [1], 2, 15).weights.round(2)  # ridge regression: a little less than 3
    array([2.95])
    """
    taken = _differences(y, x, lags)
    if taken is None:
        return None
    dy, dx, varies, unit = taken
    lost = len(y) - len(dy)
    x = (x[:, varies] - x[:, varies].mean(axis=0)) / unit
    weights = _recursive(dy, dx)
    weights = weights[np.maximum(np.maximum(np.arange(len(y)), first) - lost, 0)]
    ahead = np.minimum(np.arange(len(y))[:, None] + np.arange(1, H + 1), len(y) - 1)
    whole = np.zeros(len(varies))
    whole[varies] = weights[-1] / unit
    return Effects(y - np.einsum("tm,tm->t", x, weights), np.einsum("thm,tm->th", x[ahead], weights), whole)


def without_effects(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The series y (T,) less what one regression of its differences on those of the inputs x (T, M) gives them.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=(60, 1))
    >>> y = np.sin(np.arange(60.0))
    >>> bool(np.abs(without_effects(y + 5 * x[:, 0], x) - y).std() < 0.2)
    True
    """
    taken = _differences(y, x, [1])
    if taken is None:
        return y
    dy, dx, varies, unit = taken
    dx = dx - dx.mean(axis=0)
    weights = np.linalg.solve(dx.T @ dx + PRIOR * np.eye(dx.shape[1]), dx.T @ (dy - dy.mean()))
    return np.asarray(y - x[:, varies] @ (weights / unit))


def _differences(y: np.ndarray, x: np.ndarray, lags: Sequence[int]) -> Any:
    """Differences of y (T,), those of the inputs that vary in units of their size, which inputs, and the units.

    None where there are too few steps, or no input varies.
    """
    dy, dx = y, x
    for lag in lags:
        dy, dx = dy[lag:] - dy[:-lag], dx[lag:] - dx[:-lag]
    size = np.sqrt(np.mean(np.square(dx), axis=0)) if len(dx) else np.zeros(x.shape[1])
    varies = size > 1e-12 * np.abs(x).max(axis=0)
    if not 0 < (many := np.count_nonzero(varies)) <= MOST or len(dy) < LEAST + STEPS_EACH * many:
        return None
    return dy, dx[:, varies] / size[varies], varies, size[varies]


def _recursive(dy: np.ndarray, dx: np.ndarray) -> np.ndarray:
    """Ridge coefficients (T, M) by the differences until each step, their means taken off."""
    M = dx.shape[1]
    moments, mixed, found = np.zeros((M, M)), np.zeros(M), []
    sum_x, sum_y, count = np.zeros(M), 0.0, 0
    size = max(1, BLOCK // (M * M))
    for start in range(0, len(dy), size):
        x, y = dx[start : start + size], dy[start : start + size]
        squares = moments + np.cumsum(x[:, :, None] * x[:, None], axis=0)
        products = mixed + np.cumsum(x * y[:, None], axis=0)
        sums_x, sums_y = sum_x + np.cumsum(x, axis=0), sum_y + np.cumsum(y)
        counts = count + np.arange(1, len(y) + 1)
        a = squares - sums_x[:, :, None] * sums_x[:, None] / counts[:, None, None] + PRIOR * np.eye(M)
        b = products - sums_x * (sums_y / counts)[:, None]
        found.append(np.linalg.solve(a, b[..., None])[..., 0])
        moments, mixed, sum_x, sum_y, count = squares[-1], products[-1], sums_x[-1], float(sums_y[-1]), int(counts[-1])
    return np.concatenate(found)
