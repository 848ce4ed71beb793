"""`naive` and `seasonal_naive`: the baselines that a forecast must beat."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import check_size
from pylstm.hints import explained


@explained()
def naive(history: Any, n: int) -> np.ndarray:
    """The last value, repeated n times.

    Parameters
    ----------
    history : array_like, shape (T,) or (T, K)
        T >= 1.
    n : int
        Steps ahead.

    Returns
    -------
    ndarray, shape (n,) or (n, K)

    Raises
    ------
    ValueError
        An empty history, `n` below 1.

    Examples
    --------
    >>> naive([1.0, 5.0, 3.0], 2)
    array([3., 3.])
    """
    return seasonal_naive(history, n, 1)


@explained()
def seasonal_naive(history: Any, n: int, season: int) -> np.ndarray:
    """The last season, repeated.

    Parameters
    ----------
    history : array_like, shape (T,) or (T, K)
        T >= `season`.
    n, season : int
        Steps ahead; steps of a season.

    Returns
    -------
    ndarray, shape (n,) or (n, K)

    Raises
    ------
    ValueError
        A history shorter than a season; `n` or `season` below 1.

    Examples
    --------
    >>> seasonal_naive([9.0, 1.0, 2.0, 3.0], 5, 3)
    array([1., 2., 3., 1., 2.])
    """
    history = np.asarray(history)
    for name, value in {"n": n, "season": season}.items():
        check_size(name, value)
    if len(history) < season:
        raise ValueError(f"the history must have at least {season} steps, got {len(history)}")
    steps: np.ndarray = history[len(history) - season + np.arange(n) % season]
    return steps
