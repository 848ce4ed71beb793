"""Series for forecasts: what makes them stationary and takes it back, windows to train on, and baselines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.training.finite import refuse_array
from pylstm.training.sequences import Sequences


def naive(history: Any, n: int) -> np.ndarray:
    """The last value, n times: the forecast that others must beat.

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


def seasonal_naive(history: Any, n: int, season: int) -> np.ndarray:
    """The last season, over and over.

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
        if not value >= 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if len(history) < season:
        raise ValueError(f"the history must have at least {season} steps, got {len(history)}")
    return history[len(history) - season + np.arange(n) % season]


@dataclass(frozen=True)
class Preparation:
    """What is done to a series before the net sees it, and undone in its forecasts.

    Attributes
    ----------
    log : bool
        Take logarithms: of a growth in percent, and of a season that grows with the level.
    season : int
        Differences to the value `season` steps before; 0: none.
    difference : int
        How often differences to the value before are taken, after that.

    Raises
    ------
    ValueError
        A negative number.

    Examples
    --------
    >>> ready = Preparation(season=2, difference=1)
    >>> y = np.array([[1.0], [5.0], [3.0], [8.0], [6.0]])
    >>> z = ready.apply(y)
    >>> z.ravel(), ready.undo(y[:4], z[-1:]).ravel()
    (array([1., 0.]), array([6.]))
    """

    log: bool = False
    season: int = 0
    difference: int = 0

    def __post_init__(self) -> None:
        for name in ("season", "difference"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")

    @property
    def lags(self) -> list[int]:
        """Of the differences, in their order."""
        return [self.season] * bool(self.season) + [1] * self.difference

    @property
    def lost(self) -> int:
        """Steps at the beginning of a series for which there are no differences."""
        return self.season + self.difference

    def apply(self, y: np.ndarray) -> np.ndarray:
        """(T, K) to (T - lost, K)."""
        return self._levels(y)[-1]

    def undo(self, history: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Forecasts `z` (..., n, K) of the prepared series, as values that follow `history` (T, K)."""
        out = np.array(z, "float64")
        for lag, level in reversed(list(zip(self.lags, self._levels(history)))):
            before = level[-lag:]  # z_t = y_t - y_{t-lag}: a block of `lag` steps at a time
            for start in range(0, out.shape[-2], lag):
                block = out[..., start : start + lag, :]
                block += before[..., : block.shape[-2], :]
                before = block
        return np.exp(out) if self.log else out

    def _levels(self, y: np.ndarray) -> list[np.ndarray]:
        """The series before and after each difference."""
        if self.log and not (y > 0).all():
            raise ValueError(f"log needs values above 0, got {y.min()}")
        levels = [np.log(y) if self.log else y]
        for lag in self.lags:
            levels.append(levels[-1][lag:] - levels[-1][:-lag])
        return levels


def as_series(y: Any, joint: bool) -> tuple[list[np.ndarray], str]:
    """Series as float64 arrays (T_i, K), and the form they came in: "one", "columns" or "list".

    Parameters
    ----------
    y : array_like (T,) or (T, S), or list of arrays (T_i,)
        One series, S series side by side, or series of any lengths.
    joint : bool
        Whether the columns are K values of one series.

    Raises
    ------
    ValueError
        Another shape; no steps; values that are not finite.
    """
    form = "list"
    if not (isinstance(y, list | tuple) and len(y) and np.ndim(y[0]) > 0):
        y = np.asarray(y, "float64")
        if y.ndim not in (1, 2):
            raise ValueError(f"y must have shape (T,) or (T, S), or be a list of series, got {y.shape}")
        form = "one" if y.ndim == 1 else "columns"
        y = [y] if form == "one" or joint else list(y.T)
    arrays = [np.asarray(each, "float64") for each in y]
    for number, each in enumerate(arrays):
        where = f"series {number}" if len(arrays) > 1 else "y"
        if each.ndim != 1 and not (joint and each.ndim == 2):
            raise ValueError(f"{where} must have shape (T,){' or (T, K)' if joint else ''}, got {each.shape}")
        refuse_array(where, each, "fill the gaps, or cut there and give a list of series")
    arrays = [each.reshape(len(each), -1) for each in arrays]
    if not arrays or not all(each.size for each in arrays) or len({each.shape[1] for each in arrays}) > 1:
        raise ValueError(f"y must be series with at least one step and equal widths, got {[a.shape for a in arrays]}")
    return arrays, form


def pairs_of(z: np.ndarray, extra: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """What the net reads and what it should say, at every step that has `horizon` steps after it.

    Parameters
    ----------
    z : ndarray, shape (L, K)
    extra : ndarray, shape (L, M)
        Of the step that comes next.
    horizon : int

    Returns
    -------
    inputs : ndarray, shape (L - horizon, K + M)
        ``z_t`` and ``extra_{t+1}``.
    targets : ndarray, shape (L - horizon, horizon * K)
        ``z_{t+1}, ..., z_{t+horizon}``.
    """
    count = max(0, len(z) - horizon)
    targets = [z[k : k + count] for k in range(1, horizon + 1)]
    return np.hstack([z[:count], extra[1 : count + 1]]), np.hstack(targets)


def training_spans(count: int, window: int, stride: int) -> list[tuple[int, int]]:
    """Beginnings and ends of windows over `count` steps, the last one at the end.

    Examples
    --------
    >>> training_spans(10, 4, 4)
    [(0, 4), (4, 8), (6, 10)]
    """
    length = min(window, count)
    starts = [*range(0, count - length, stride), count - length]
    return [(start, start + length) for start in starts]


def validation_spans(first: int, count: int, window: int) -> list[tuple[int, int, int]]:
    """Windows (begin, from, end) that judge every step of ``first..count`` once, after half a window to read at least.

    Examples
    --------
    >>> validation_spans(6, 11, 4)
    [(4, 6, 8), (6, 8, 10), (7, 10, 11)]
    """
    half = max(1, window // 2)
    blocks = [(start, min(start + half, count)) for start in range(first, count, half)]
    return [(max(0, end - window), start, end) for start, end in blocks]


def pack(pieces: Sequence[np.ndarray], dtype: Any) -> np.ndarray | Sequences:
    """One array of pieces of the same length, otherwise `Sequences`."""
    if len({len(each) for each in pieces}) == 1:
        return np.stack(pieces).astype(dtype)
    return Sequences.of(pieces, dtype=dtype)


def scale_of(z: np.ndarray) -> np.ndarray:
    """Mean and standard deviation (2, K) of the columns of `z`; a constant column is divided by 1."""
    deviation = z.std(axis=0)
    constant = deviation <= 1e-12 * np.abs(z).max(axis=0)
    return np.stack([z.mean(axis=0), np.where(constant, 1.0, deviation)])


def as_extras(name: str, values: Any, count: int, width: int | None, lengths: Iterable[int]) -> list[np.ndarray]:
    """Exogenous values as one array (T_i, M) for each of `count` series; one array is for all of them.

    Raises
    ------
    ValueError
        Another number of arrays, of steps or of columns; values that are not finite.
    """
    lengths = list(lengths)
    if values is None:
        if width:
            raise ValueError(f"{name} is needed: this model was fitted with {width} exogenous values at a step")
        return [np.zeros((length, 0)) for length in lengths]
    several = (isinstance(values, list | tuple) and np.ndim(values[0]) > 1) or np.ndim(values) == 3
    arrays = [np.asarray(each, "float64") for each in (values if several else [values] * count)]
    arrays = [each[:, None] if each.ndim == 1 else each for each in arrays]
    width = arrays[0].shape[1] if width is None else width
    if len(arrays) != count:
        raise ValueError(f"{name} must be one array for all series or {count} arrays, got {len(arrays)}")
    for each, length in zip(arrays, lengths):
        if each.shape != (length, width):
            raise ValueError(f"{name} must have shape {(length, width)}, got {each.shape}")
        refuse_array(name, each, "fill the gaps")
    return arrays
