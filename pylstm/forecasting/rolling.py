"""`roll_back`: forecasts of series from every origin, by smoothing and by naive forecasts, and which err least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.forecasting.effects import Effects, find_effects
from pylstm.forecasting.smoothing import MEMORY, roll

LONGEST = 2000
"""Steps of a series, the last ones, that smoothing reads."""
LOG_GAIN = 0.85
"""Logarithms are smoothed where their error is below this share of that of the values."""
LOG_RANGE = 1.5
"""Largest value over the smallest, above 0, from which logarithms are tried: below it they are nearly linear."""
LOG_STEPS = 8
"""Steps from which logarithms are tried: of fewer, a line through small values looks like growth in per cent."""
INPUT_GAIN = 0.9
"""Inputs are regressed on where smoothing of what they leave has an error below this share of that without them."""
SEASONAL_GAIN = 0.9
"""The naive forecast repeats the season where its error is below this share of that of the last value."""
MEDIAN_OF = 40
"""Values of which a running median is taken."""


@dataclass
class Rolled:
    """Forecasts of one series from all its origins, (T, H) each; `weights` (M,) of the inputs, none without effect."""

    y: np.ndarray
    smooth: np.ndarray
    naive: np.ndarray
    log: bool
    median: bool
    seasonal: bool
    gain: float
    first: int
    weights: np.ndarray

    def mixed(self, share: float) -> np.ndarray:
        """Forecasts with this share of smoothing; the rest is naive."""
        return share * self.smooth + (1 - share) * self.naive


def naive_ahead(y: np.ndarray, cycle: int, H: int) -> np.ndarray:
    """Seasonal naive forecasts (T, S, H) of y (T, S) after every step; of cycle 1, naive ones."""
    steps = np.arange(1, H + 1)
    at = np.arange(len(y))[:, None] + steps - cycle * ((steps - 1) // cycle + 1)
    return np.swapaxes(y[np.maximum(at, 0)], 1, 2)


def has_zeros(y: np.ndarray) -> Any:
    """Which series (T, S), or whether one (T,), are counts or amounts of which at least a tenth are 0."""
    return (y >= 0).all(axis=0) & ((y == 0).mean(axis=0) >= 0.1)


def is_counted(y: np.ndarray) -> bool:
    """Whether a series (T,) has whole numbers, 0 the lowest of them: nothing below 0 will come."""
    return bool(y.min() == 0 and (y == np.rint(y)).all())


def medians(y: np.ndarray) -> np.ndarray:
    """Medians of the last `MEDIAN_OF` values of y (T, S) at every step: where many are 0, their mean errs more.

    Examples
    --------
    >>> medians(np.array([[0.0], [4.0], [0.0], [0.0]])).ravel().tolist()
    [0.0, 2.0, 0.0, 0.0]
    """
    padded = np.concatenate([np.full((MEDIAN_OF - 1, y.shape[1]), np.nan), y])
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_OF, axis=0)
    return np.asarray(np.nanmedian(windows, axis=-1))


def loss_of(y: np.ndarray, forecasts: np.ndarray, first: int) -> np.ndarray:
    """Weighted mean absolute errors (S,) of forecasts (T, S, H) from origins of `first` on; late ones count more."""
    T, total = len(y), np.zeros(y.shape[1])
    for h in range(1, forecasts.shape[2] + 1):
        origins = np.arange(first, T - h)
        if len(origins):
            errors = np.abs(y[origins + h] - forecasts[origins, :, h - 1])
            total += MEMORY ** (T - origins) @ errors / len(origins) / np.sqrt(h)
    return total


def roll_back(
    columns: Sequence[np.ndarray], cycle: int, H: int, inputs: Sequence[np.ndarray] | None = None
) -> list[Rolled]:
    """Forecasts of every series after each of its steps, those of one length at once; `inputs` (T_i, M) of each."""
    found: list[Any] = [None] * len(columns)
    groups: dict[int, list[int]] = {}
    for k, each in enumerate(columns):
        groups.setdefault(min(len(each), LONGEST), []).append(k)
    for length, members in groups.items():
        side_by_side = np.stack([columns[k][-length:] for k in members], axis=1)
        known = None if inputs is None or not inputs[0].shape[1] else [inputs[k][-length:] for k in members]
        for k, rolled in zip(members, _roll_group(side_by_side, known, cycle, H)):
            found[k] = rolled
    return found


@dataclass
class _Smoothed:
    """Forecasts (T, S, H) of smoothing, their losses (S,), and the weights of the inputs of each series."""

    forecasts: np.ndarray
    losses: np.ndarray
    weights: list[np.ndarray]

    def take(self, other: _Smoothed, at: np.ndarray, share: float) -> np.ndarray:
        """Replace series `at` whose loss in `other` is below this share of theirs; return which these are."""
        better = np.asarray(other.losses < share * self.losses[at])
        taken: np.ndarray = at[better]
        self.forecasts[:, taken], self.losses[taken] = other.forecasts[:, better], other.losses[better]
        for s, weights in zip(taken, np.flatnonzero(better)):
            self.weights[s] = other.weights[weights]
        return taken


def _smooth(y: np.ndarray, inputs: list[np.ndarray] | None, m: int, H: int, first: int, log: bool) -> _Smoothed:
    """Smoothing of y (T, S), or of its logarithms, and of what the inputs leave of it where that errs less."""
    scaled = np.log(y) if log else y

    def of(z: np.ndarray, at: np.ndarray, found: Sequence[Effects]) -> _Smoothed:
        forecasts = roll(z, m, H)[0]
        if found:
            forecasts = forecasts + np.stack([each.ahead for each in found], axis=1)
        forecasts = np.exp(np.clip(forecasts, -700, 700)) if log else forecasts
        weights = [each.weights for each in found] or [np.zeros(0)] * len(at)
        return _Smoothed(forecasts, loss_of(y[:, at], forecasts, first), weights)

    every = np.arange(y.shape[1])
    best = of(scaled, every, [])
    for lags in ([m], [m, 1]) if inputs is not None and m > 1 else ([1],) if inputs is not None else ():
        effects = {int(s): find_effects(scaled[:, s], (inputs or [])[s], lags, H, first) for s in every}
        found = {s: each for s, each in effects.items() if each is not None}
        if found:
            at = np.array(list(found))
            best.take(
                of(np.stack([each.adjusted for each in found.values()], axis=1), at, [*found.values()]), at, INPUT_GAIN
            )
    return best


def _roll_group(y: np.ndarray, inputs: list[np.ndarray] | None, cycle: int, H: int) -> list[Rolled]:
    T, S = y.shape
    m = cycle if 1 < cycle <= T - 2 else 1
    first = min(max(2, m, T // 4), max(T - 2, 0))
    best = _smooth(y, inputs, m, H, first, False)
    log, median = np.zeros(S, bool), np.zeros(S, bool)
    positive = np.flatnonzero((T >= LOG_STEPS) & (y.min(axis=0) > 0) & (y.max(axis=0) > LOG_RANGE * y.min(axis=0)))
    if len(positive):
        known = None if inputs is None else [inputs[s] for s in positive]
        log[best.take(_smooth(y[:, positive], known, m, H, first, True), positive, LOG_GAIN)] = True
    zeros = np.flatnonzero(has_zeros(y))
    if len(zeros):
        other = np.repeat(medians(y[:, zeros])[..., None], H, axis=2)
        weights = [np.zeros(0)] * len(zeros)
        median[best.take(_Smoothed(other, loss_of(y[:, zeros], other, first), weights), zeros, 1.0)] = True
    kinds = [naive_ahead(y, each, H) for each in dict.fromkeys((1, m))]
    each_loss = np.stack([loss_of(y, each, first) for each in kinds])
    seasonal = (each_loss[-1] < SEASONAL_GAIN * each_loss[0]).astype(int)
    naive = each_loss[seasonal, np.arange(S)]
    gain = np.where(naive > 0, 1 - best.losses / np.where(naive > 0, naive, 1), -1.0)
    return [
        Rolled(
            y[:, s],
            best.forecasts[:, s],
            kinds[seasonal[s]][:, s],
            bool(log[s]),
            bool(median[s]),
            bool(seasonal[s]),
            gain[s],
            first,
            best.weights[s],
        )
        for s in range(S)
    ]
