"""`Calibration`: how wide intervals must be, from the errors of forecasts at every origin of a back-test.

Rolling-origin split conformal prediction: the scores are absolute errors of forecasts that had not seen the values they
are compared with, by horizon (Stankeviciute, Alaa & van der Schaar 2021, Conformal time-series forecasting), divided by
the size of the errors before their origin (normalised conformal scores, Papadopoulos, Gammerman & Vovk 2008) and by how
errors grow with the horizon, so that few of them can be pooled; older scores weigh less (Barber, Candes, Ramdas &
Tibshirani 2023, Conformal prediction beyond exchangeability). The pooled scores of n origins say the shape, in the
finite-sample quantile ``level (n + 1) / n``. Forecasts of h steps overlap those from the h - 1 origins before, so that
``n / h`` count for the size h steps ahead: where they are too few for a level, Student's t with as many degrees of
freedom is taken if it is wider. Below that, ``n / sqrt(h)`` count, as the other horizons lend theirs: twice the
variance ``level (1 - level) sqrt(h) / n`` of what such a quantile contains, less that of n, is added to the level.

EnbPI (Xu & Xie 2021) needs an ensemble of refitted models and errors fed back after every step; adaptive conformal
inference (Gibbs & Candes 2021) corrects the level after every step that has been seen. A forecast of n steps at once
has no such feedback.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

AGE = 0.99
"""Factor of the weight of a score with every step of age."""
PRIOR = 0.5
"""Weight of the prior growth, the root of the horizon, beside the errors."""
SPENT = 1.5
"""Errors that the choice of a forecast has spent: a level, and a slope that is damped."""


@dataclass(frozen=True)
class Calibration:
    """Distribution of the errors of one forecast.

    Attributes
    ----------
    scores : ndarray, shape (R,)
        Absolute errors over local size and growth, in rising order.
    weights : ndarray, shape (R,)
        Sum 1.
    growth : float
        A forecast of h steps errs ``h ** growth`` times as much as one of one step.
    unit : float
        Mean error of one step.
    origins, horizon : int
        Of the back-test.
    link : float
        Correlation of the errors of neighbouring horizons, for sample paths.
    """

    scores: np.ndarray
    weights: np.ndarray
    growth: float
    unit: float
    origins: int
    horizon: int
    link: float

    def counts(self, n: int) -> np.ndarray:
        """Independent scores (n,) that those of each step ahead are worth."""
        found: np.ndarray = np.maximum(self.origins / np.minimum(np.arange(1, n + 1), self.horizon), 1.0)
        return found

    def highest(self, n: int) -> float:
        """Highest level that the scores support n steps ahead: beyond it, Student's t extrapolates."""
        return 1 - 1 / float(self.counts(n)[-1])

    def radius(self, levels: np.ndarray, n: int) -> np.ndarray:
        """Half widths (..., n) of intervals of unit size and growth 0, for levels (..., n) or (..., 1) in [0, 1).

        They rise with the level.
        """
        counts, pooled = self.counts(n), float(self.origins)
        levels = np.broadcast_to(levels, (*np.shape(levels)[:-1], n))
        edge, lent = 1 - 1 / pooled, 1 / np.sqrt(pooled * counts) - 1 / pooled
        inside = np.minimum(levels, edge)
        inside = inside * (pooled + 1) / pooled + 2 * inside * (1 - inside) * lent
        at = np.minimum(np.searchsorted(np.cumsum(self.weights), inside - 1e-12), len(self.scores) - 1)
        found = np.where((levels > 0) & (edge > 0), self.scores[at], 0.0)
        beyond = levels > 1 - 1 / counts
        if beyond.any():
            size = math.sqrt(float(self.weights @ np.square(self.scores)))
            freedom = np.broadcast_to(np.maximum(counts - 1, 2.0), levels.shape)
            tail = np.zeros(levels.shape)
            for each in np.unique(freedom[beyond]):
                here = beyond & (freedom == each)
                tail[here] = size * student((1 + levels[here]) / 2, float(each))
            found = np.where(beyond, np.maximum(tail, found), found)
        return found

    def widths(self, n: int, size: float) -> Any:
        """Factors of `radius` for the next n steps, where recent errors have the mean `size`.

        The forecast was chosen by the errors of the back-test: of c independent ones, the square of the next is larger
        by ``(c + SPENT) / c`` (the final prediction error of Akaike 1969), of many steps ahead more than of one.
        """
        counts = self.counts(n)
        spent = np.sqrt((1 + SPENT / counts) / (1 + SPENT / counts[0]))
        return np.arange(1, n + 1) ** self.growth * spent * local_size(size, self.unit)


def local_size(recent: np.ndarray | float, unit: float) -> Any:
    """Size of errors between that of late and that of all; never near 0."""
    return np.maximum(np.sqrt(recent * unit), 1e-3 * unit + 1e-300)


def recent_sizes(errors: np.ndarray, unit: float) -> np.ndarray:
    """Running mean (T + 1,) of absolute errors (T,): of those before every step; NaN is passed over."""
    sizes, value = np.empty(len(errors) + 1), unit
    for t, error in enumerate(errors):
        sizes[t] = value
        value = value if np.isnan(error) else 0.9 * value + 0.1 * error
    sizes[-1] = value
    return sizes


def calibrate(errors: np.ndarray, sizes: np.ndarray, unit: float) -> Calibration:
    """The calibration from errors of a back-test.

    Parameters
    ----------
    errors : ndarray, shape (O, H)
        Signed errors of the forecasts from O origins, the oldest first; NaN where there is none.
    sizes : ndarray, shape (O,)
        `recent_sizes` at the origins.
    unit : float
        Mean absolute error of one step.
    """
    O, H = errors.shape
    steps = np.arange(1.0, H + 1)
    z = errors / np.asarray(local_size(sizes, unit))[:, None]
    known = np.isfinite(z)
    counts = known.sum(axis=0)
    means = np.where(known, np.abs(z), 0).sum(axis=0) / np.maximum(counts, 1)
    used = (counts > 0) & (means > 0)
    growth, factor = 0.5, 1.0
    if used.any():
        x, m, w = np.log(steps[used]), np.log(means[used]), counts[used] / counts[used].sum()
        x0, m0 = w @ x, w @ m
        spread = counts[used] @ np.square(x - x0)
        growth = float(np.clip((counts[used] @ ((x - x0) * (m - m0)) + 0.5 * PRIOR) / (spread + PRIOR), 0, 1.2))
        factor = float(np.exp(m0 - growth * x0))
    z = z / (factor * steps**growth)
    ages = np.broadcast_to(np.arange(O)[::-1, None], z.shape)[known]
    scores, weights = np.abs(z[known]) * factor, AGE**ages
    order = np.argsort(scores)
    pairs = z[:, 1:] * z[:, :-1]
    both = np.isfinite(pairs)
    square = np.square(z[known]).mean() if known.any() else 0.0
    link = float(np.clip(pairs[both].mean() / square, 0, 0.99)) if both.any() and square > 0 else 0.5
    if not len(scores):
        scores, weights, order = np.ones(1), np.ones(1), np.zeros(1, int)
    origins = max(1, int(known.any(axis=1).sum()))
    return Calibration(scores[order], weights[order] / weights.sum(), growth, unit, origins, H, link)


def needed_origins(level: float, h: int) -> int:
    """Origins of a back-test that a level needs h steps ahead: ``h / (1 - level)``."""
    return math.ceil(h / (1 - level) - 1e-9)


def student(share: np.ndarray, freedom: float) -> Any:
    """Quantiles above the median of Student's t (Hill 1970, algorithm 396), to a few units of the fourth digit."""
    n, p = freedom, np.maximum(2 * (1 - np.asarray(share, "float64")), 1e-300)
    if n == 2:
        return np.asarray(np.sqrt(np.maximum(2 / (p * (2 - p)) - 2, 0)))
    a = 1 / (n - 0.5)
    b = 48 / a**2
    c: Any = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * n
    y = (d * p) ** (2 / n)
    far = y > 0.05 + a
    x = normal_quantile(p / 2)
    near = x * x
    if n < 5:
        c = c + 0.3 * (n - 4.5) * (x + 0.6)
    c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
    near = (((((0.4 * near + 6.3) * near + 36) * near + 94.5) / c - near - 3) / b + 1) * x
    near = np.expm1(a * near * near)
    with np.errstate(all="ignore"):
        tail = (1 / (((n + 6) / (n * y) - 0.089 * d - 0.822) * (n + 2) * 3) + 0.5 / (n + 4)) * y - 1
        tail = tail * (n + 1) / (n + 2) + 1 / y
    return np.sqrt(np.maximum(n * np.where(far, near, tail), 0))


def normal_quantile(share: np.ndarray) -> Any:
    """Quantiles of the normal distribution."""
    from statistics import NormalDist

    flat = np.clip(np.asarray(share, "float64"), 1e-300, 1 - 1e-16)
    return np.vectorize(NormalDist().inv_cdf, otypes=["float64"])(flat)
