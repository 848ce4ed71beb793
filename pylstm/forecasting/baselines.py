"""`naive` and `seasonal_naive`: the baselines that a forecast must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pylstm.checks import as_array, check_size
from pylstm.hints import explained

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike


@explained()
def naive(history: ArrayLike, n: int) -> np.ndarray:
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
def seasonal_naive(history: ArrayLike, n: int, season: int) -> np.ndarray:
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
    past = as_array("history", history)
    if past.ndim == 0:
        raise ValueError(f"history must have shape (T,) or (T, K), got the number {past}")
    for name, value in {"n": n, "season": season}.items():
        check_size(name, value)
    if len(past) < season:
        raise ValueError(f"history must have at least {season} steps, a season, got {len(past)}")
    steps: np.ndarray = past[len(past) - season + np.arange(n) % season]
    return steps
