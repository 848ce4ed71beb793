"""`choose`: season, logarithms, differences and window of a net, from the series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pylstm.forecasting.effects import without_effects

STEPS = 600
"""Steps of a series that are looked at, the last ones."""
SERIES = 200
"""Series of a panel that are looked at, evenly spread."""


CERTAIN = 3.5
"""A season has a correlation of so many standard deviations of one of white noise: the largest of many is taken."""


@dataclass(frozen=True)
class Choice:
    """Settings of a `ForecastModel`.

    Attributes
    ----------
    cycle : int
        Steps of a season; 0: none was found.
    log : bool
    season, difference : int
        As of `Preparation`.
    window : int
    """

    cycle: int
    log: bool
    season: int
    difference: int
    window: int


def choose(
    columns: Sequence[np.ndarray],
    inputs: Sequence[np.ndarray] | None = None,
    *,
    cycle: int | None = None,
    log: bool | None = None,
    season: int | None = None,
    difference: int | None = None,
    window: int | None = None,
) -> Choice:
    """Settings for series (T_i,) that one net learns; those that are given stay.

    The season is looked for in what known `inputs` (T_i, M) leave of the series: their effect may hide it.

    Examples
    --------
    >>> t = np.arange(120)
    >>> choose([0.1 * t + np.sin(2 * np.pi * t / 12)])
    Choice(cycle=12, log=False, season=12, difference=0, window=40)
    """
    every = max(1, len(columns) // SERIES)
    columns = [each[-STEPS:] for each in columns[::every]]
    shortest = min(map(len, columns))
    if cycle is None and not season and inputs is not None and inputs[0].shape[1]:
        known = [each[-STEPS:] for each in inputs[::every]]
        cycle = find_cycle([without_effects(*each) for each in zip(columns, known)]) or None
    if cycle is None:
        cycle = season or find_cycle(columns)
    if log is None:
        log = all((each > 0).all() for each in columns) and bool(np.mean([grows(each) for each in columns]) > 0.5)
    positive = all((each > 0).all() for each in columns)  # others are refused by the model
    scaled = [np.log(each) for each in columns] if log and positive else columns
    if season is None:
        season = cycle if cycle and shortest >= 2 * cycle + 8 and _halves(scaled, cycle) else 0
    if season:
        scaled = [each[season:] - each[:-season] for each in scaled if len(each) > season]
    if difference is None:
        difference = int(bool(scaled) and shortest - season >= 8 and _halves(scaled, 1))
    if window is None:
        window = max(2, min(96, max(24, 3 * cycle + 4), (shortest - season - difference) // 2))
    return Choice(cycle, log, season, difference, window)


def find_cycle(columns: Sequence[np.ndarray]) -> int:
    """The season that the differences of the series repeat, from 2 steps to a third of the shortest; 0 for none.

    Examples
    --------
    >>> t = np.arange(60)
    >>> find_cycle([np.sin(2 * np.pi * t / 7) + 0.3 * t]), find_cycle([1.5 * t])
    (7, 0)
    """
    longest = min(map(len, columns)) // 3
    if longest < 2:
        return 0
    found = np.mean([_correlations(np.diff(each), longest + 1) for each in columns], axis=0)
    lags = np.arange(2, longest + 1)
    before, here, after = found[lags - 1], found[lags], found[lags + 1]
    least = np.maximum(0.3, CERTAIN / np.sqrt(min(map(len, columns)) - lags))
    peaks = lags[(here >= before) & (here >= after) & (here > least)]
    if not len(peaks):
        return 0
    first = int(peaks[found[peaks] >= 0.85 * found[peaks].max()][0])  # not a multiple of it
    near = lags[np.abs(lags - first) <= first // 20]
    return int(near[found[near].argmax()])


def grows(y: np.ndarray) -> bool:
    """Whether steps grow with the level: of positive values, where logarithms make them alike."""
    steps, level = np.abs(np.diff(y)), y[:-1]
    if len(steps) < 8 or np.ptp(level) == 0 or np.ptp(steps) == 0 or y.max() < 2 * y.min():
        return False
    return bool(np.corrcoef(np.argsort(np.argsort(steps)), np.argsort(np.argsort(level)))[0, 1] > 0.35)


def _correlations(x: np.ndarray, most: int) -> np.ndarray:
    """Autocorrelations of the lags 0..most."""
    x = x - x.mean()
    total = float(x @ x)
    if total <= 1e-20 * max(1.0, float(np.abs(x).max()) ** 2) or len(x) <= most:
        return np.zeros(most + 1)
    return np.array([x[lag:] @ x[: len(x) - lag] / total * len(x) / (len(x) - lag) for lag in range(most + 1)])


def _halves(columns: Sequence[np.ndarray], lag: int) -> bool:
    """Whether differences halve the variance, in the geometric mean."""
    size: Callable[[np.ndarray], float] = lambda values: float(np.log(max(float(np.var(values)), 1e-300)))  # noqa: E731
    ratios = [size(each[lag:] - each[:-lag]) - size(each) for each in columns if len(each) > lag + 1]
    return bool(ratios) and float(np.mean(ratios)) < np.log(0.5)
