"""`log_gamma`, `digamma`, `gamma_share`, `beta_share`: special functions of arrays, in float64, without SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np

SHIFT = 10.0
"""The least x at which Stirling's series with `SERIES` terms is exact to float64."""
SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
"""``B_2k / (2k (2k - 1))``, of ``x^(1 - 2k)``."""
HALF_LOG_2PI = 0.5 * float(np.log(2 * np.pi))
TINY = 1e-300
ENOUGH = 20_000
"""Most terms of a series or a continued fraction; they need a few times the root of the larger argument."""


def log_gamma(x: Any) -> np.ndarray:
    """The logarithm of the gamma function, for x > 0.

    Examples
    --------
    >>> np.exp(log_gamma(np.array([1.0, 4.0, 5.0]))).round(12)
    array([ 1.,  6., 24.])
    """
    x = np.asarray(x, "float64")
    product, shifted = np.ones_like(x), x.copy()
    while (low := shifted < SHIFT).any():  # gamma(x + 1) = x gamma(x)
        product = np.where(low, product * shifted, product)
        shifted = np.where(low, shifted + 1, shifted)
    inverse = 1 / shifted
    tail = _series(SERIES, inverse * inverse) * inverse
    return np.asarray((shifted - 0.5) * np.log(shifted) - shifted + HALF_LOG_2PI + tail - np.log(product))


def digamma(x: Any) -> np.ndarray:
    """The derivative of `log_gamma`, for x > 0.

    Examples
    --------
    >>> digamma(np.array([1.0, 2.0])).round(6)
    array([-0.577216,  0.422784])
    """
    x = np.asarray(x, "float64")
    total, shifted = np.zeros_like(x), x.copy()
    while (low := shifted < SHIFT).any():  # psi(x + 1) = psi(x) + 1 / x
        total = np.where(low, total + 1 / shifted, total)
        shifted = np.where(low, shifted + 1, shifted)
    inverse = 1 / shifted
    # log x - 1 / 2x - sum (2k - 1) c_k / x^2k
    slopes = [(2 * k + 1) * each for k, each in enumerate(SERIES)]
    tail = _series(slopes, inverse * inverse) * inverse * inverse
    return np.asarray(np.log(shifted) - 0.5 * inverse - tail - total)


def _series(terms: Any, z: np.ndarray) -> np.ndarray:
    total = np.zeros_like(z)
    for each in reversed(terms):
        total = total * z + each
    return total


def gamma_share(a: Any, x: Any) -> np.ndarray:
    """Share of the gamma distribution of shape a > 0 below x >= 0.

    Of a Poisson variable of mean x it is the probability of a or more.

    Examples
    --------
    >>> gamma_share(1.0, np.array([0.0, 1.0])).round(6)
    array([0.      , 0.632121])
    """
    a, x = np.broadcast_arrays(np.asarray(a, "float64"), np.asarray(x, "float64"))
    with np.errstate(all="ignore"):
        factor = np.exp(a * np.log(np.maximum(x, TINY)) - x - log_gamma(a))
        low = x < a + 1
        below = factor * _gamma_series(a, np.where(low, x, 0.0))
        above = factor * _gamma_fraction(a, np.where(low, a + 1, x))
    return np.clip(np.where(x <= 0, 0.0, np.where(low, below, 1 - above)), 0, 1)


def _gamma_series(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    term = 1 / a
    total, n = term.copy(), a.copy()
    for _ in range(ENOUGH):
        n = n + 1
        term = term * x / n
        total = total + term
        if (term <= 1e-17 * total).all():
            break
    return total


def _gamma_fraction(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Lentz' evaluation of the continued fraction of the upper share."""
    b = x + 1 - a
    c, d = np.full_like(b, 1 / TINY), 1 / b
    h = d
    for i in range(1, ENOUGH):
        an = -i * (i - a)
        b = b + 2
        d = 1 / _apart(an * d + b)
        c = _apart(b + an / c)
        h = h * d * c
        if (np.abs(d * c - 1) < 1e-15).all():
            break
    return np.asarray(h)


def beta_share(a: Any, b: Any, x: Any) -> np.ndarray:
    """Share of the beta distribution of shapes a, b > 0 below x in [0, 1].

    Examples
    --------
    >>> beta_share(2.0, 2.0, np.array([0.25, 0.5])).round(6)
    array([0.15625, 0.5    ])
    """
    a, b, x = np.broadcast_arrays(*(np.asarray(each, "float64") for each in (a, b, x)))
    inside = np.clip(x, TINY, 1 - 1e-16)
    with np.errstate(all="ignore"):
        front = a * np.log(inside) + b * np.log1p(-inside) + log_gamma(a + b) - log_gamma(a) - log_gamma(b)
        turned = inside > (a + 1) / (a + b + 2)
        p, q = np.where(turned, b, a), np.where(turned, a, b)
        found = np.exp(front) * _beta_fraction(p, q, np.where(turned, 1 - inside, inside)) / p
    found = np.where(turned, 1 - found, found)
    return np.clip(np.where(x <= 0, 0.0, np.where(x >= 1, 1.0, found)), 0, 1)


def _beta_fraction(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    c, d = np.ones_like(a), 1 / _apart(1 - (a + b) * x / (a + 1))
    h = d
    for m in range(1, ENOUGH):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / _apart(1 + even * d), _apart(1 + even / c)
        h = h * d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / _apart(1 + odd * d), _apart(1 + odd / c)
        h = h * d * c
        if (np.abs(d * c - 1) < 1e-15).all():
            break
    return h


def _apart(value: np.ndarray) -> np.ndarray:
    """`value`, away from 0."""
    return np.asarray(np.where(np.abs(value) < TINY, TINY, value))
