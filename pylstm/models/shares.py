"""Quantiles of distributions that a head says: normal, Student's t, and of counts."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

from pylstm.losses.special import beta_share

LARGEST = 34.0
"""Largest logarithm of a mean count: beyond it float64 has no single counts."""
SURE = 1e-12
"""Share that a count may lack of a quantile, by rounding."""


def normal_quantile(share: Any) -> np.ndarray:
    """Quantiles of the normal distribution."""
    values, at = np.unique(np.asarray(share, "float64"), return_inverse=True)
    found = np.array([NormalDist().inv_cdf(each) for each in values.tolist()])
    return np.asarray(found[at].reshape(np.shape(share)))


def normal_share(z: Any) -> np.ndarray:
    """Share of the normal distribution below z, from 1e-300.

    Examples
    --------
    >>> normal_share([-1.0, 0.0]).round(4)
    array([0.1587, 0.5   ])
    """
    return np.asarray(np.vectorize(lambda each: max(math.erfc(-each / math.sqrt(2)) / 2, 1e-300), otypes=["f8"])(z))


def student_quantile(share: Any, freedom: Any) -> np.ndarray:
    """Quantiles of Student's t with these degrees of freedom.

    Examples
    --------
    >>> student_quantile(0.975, np.array([3.0])).round(6)
    array([3.182446])
    """
    share, freedom = np.broadcast_arrays(np.asarray(share, "float64"), np.asarray(freedom, "float64"))
    tail = np.minimum(share, 1 - share)
    low, high = np.zeros(share.shape), np.ones(share.shape)

    def above(t: np.ndarray) -> np.ndarray:
        return beta_share(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2

    while (short := above(high) > tail).any() and high.max() < 1e150:
        high = np.where(short, 2 * high, high)
    for _ in range(70):
        middle = (low + high) / 2
        over = above(middle) > tail
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return np.asarray(np.where(share == 0.5, 0.0, np.sign(share - 0.5) * (low + high) / 2))


def count_quantile(below: Callable[[np.ndarray], np.ndarray], mean: np.ndarray, share: Any) -> np.ndarray:
    """The smallest counts k with ``below(k) >= share``, where `below` is the probability of k or fewer."""
    share = np.broadcast_to(np.asarray(share, "float64"), mean.shape) * (1 - SURE)
    low, high = np.full(mean.shape, -1.0), np.ceil(mean) + 1
    while (short := below(high) < share).any() and high.max() < np.exp(LARGEST + 10):
        low, high = np.where(short, high, low), np.where(short, 2 * high + 1, high)
    while (high - low > 1).any():
        middle = np.floor((low + high) / 2)
        enough = (below(np.maximum(middle, 0)) >= share) & (middle >= 0)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(high)
