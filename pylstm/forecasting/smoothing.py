"""`roll`: forecasts from every step of a series by exponential smoothing, its constants weighed by their errors so far.

Every forecast uses what was measured until its origin and nothing later: smoothing constants and weights included. So
their errors are those of a back-test at every origin, at the cost of one pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MEMORY = 0.97
"""Factor of the squared errors with every step that passes."""
SHARES = (0.05, 0.2, 0.5)
"""Shares of the error that the level leaves which go to the season."""
CHUNK = 50_000
"""Numbers (expert, series, horizon) that are held at a time, about."""


@dataclass(frozen=True)
class Constants:
    """Smoothing constants of G experts, an array (G, 1) each.

    Attributes
    ----------
    level, trend, season : ndarray
        Shares of an error that go to the level, to the slope and to the season.
    damping : ndarray
        Factor of the slope at every step ahead.
    drift : ndarray
        Share of the mean slope since the beginning that is added: 1 in the drift method, 1 / 2 in Theta.
    """

    level: np.ndarray
    trend: np.ndarray
    season: np.ndarray
    damping: np.ndarray
    drift: np.ndarray


def make_constants(seasonal: bool) -> Constants:
    """A grid over simple smoothing, Theta, drift, damped and linear trends; the naive forecasts are corners of it."""
    trends = (
        (0.1, 0.9, 0.0),
        (0.3, 0.95, 0.0),
        (0.05, 1.0, 0.0),
        (0.2, 1.0, 0.0),
        *((0.0, 0.0, d) for d in (0, 0.5, 1)),
    )
    levels, seasons = (
        ((0.05, 0.2, 0.4, 0.6, 0.8, 1.0), (0.0,)) if not seasonal else ((0.05, 0.2, 0.4, 0.7, 0.95), SHARES)
    )
    rows = [
        (level, share * level, season * (1 - level if seasonal else 1), damping, drift)
        for season in seasons
        for level in levels
        for share, damping, drift in trends
    ]
    if seasonal:  # the season before, as it was, and with the drift
        rows += [(0.0, 0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0, 1.0)]
    return Constants(*np.array(rows, "float64").T[..., None])


class Smoother:
    """States of G experts for S series that are read side by side.

    Parameters
    ----------
    constants : Constants
    first : ndarray, shape (m, S)
        The first season, or with m = 1 the first step.
    """

    def __init__(self, constants: Constants, first: np.ndarray) -> None:
        self.constants, self.m = constants, len(first)
        shape = len(constants.level), first.shape[1]
        self.level = np.broadcast_to(first.mean(axis=0), shape).copy()
        self.slope = np.zeros(shape)
        self.season = np.repeat((first - first.mean(axis=0))[:, None], shape[0], axis=1)
        self.read, self.recent, self.drift = len(first), first.copy(), np.zeros(shape[1])
        self.begin = first.mean(axis=0)

    def update(self, y: np.ndarray) -> None:
        """Read the next step (S,)."""
        c, at = self.constants, self.read % self.m
        rise = c.damping * self.slope + c.drift * self.drift
        e = y - (self.level + rise + self.season[at])
        count = self.read - self.m + 2
        self.level += rise + np.maximum(c.level, (c.level > 0) / count) * e
        self.slope = c.damping * self.slope + c.trend * e
        cycles = count // self.m + 2 if self.m > 1 else count
        self.season[at] += np.maximum(c.season, (c.season > 0) * (1 - c.level) / cycles) * e
        self.recent[at] = y
        self.read += 1
        self.drift = (self.recent.mean(axis=0) - self.begin) / (self.read - self.m)

    def forecast(self, H: int) -> np.ndarray:
        """The next H steps, (G, S, H)."""
        c, ahead = self.constants, np.arange(1, H + 1)
        rise = np.cumsum(c.damping[..., None] ** ahead, axis=2) * self.slope[..., None]
        out = self.level[..., None] + rise + (c.drift * self.drift)[..., None] * ahead
        if self.m > 1:
            out += np.moveaxis(self.season[(self.read + ahead - 1) % self.m], 0, 2)
        return out


def roll(y: np.ndarray, cycle: int, H: int, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Forecasts of the H steps after every step, and of the n steps after the last one.

    Parameters
    ----------
    y : ndarray, shape (T, S)
        S series side by side.
    cycle : int
        Steps of a season, 0 or 1 for none. Seasonal experts begin when a season has passed.
    H : int
        Steps whose errors weigh the experts.
    n : int, optional
        Default: H.

    Returns
    -------
    ndarray, shape (T, S, H), and ndarray, shape (S, n)
        Weighed means of the experts. An expert with the mean squared error L over t earlier steps, older ones counting
        less, has the weight ``L ** -t``: the square of its likelihood.

    Examples
    --------
    >>> roll(np.arange(30.0)[:, None], 0, 3)[1].round(1)
    array([[30., 31., 32.]])
    """
    G = len(make_constants(False).level) + (len(make_constants(True).level) if cycle > 1 else 0)
    size = max(1, CHUNK // (G * H))
    parts = [_roll(y[:, a : a + size], cycle, H, n or H) for a in range(0, y.shape[1], size)]
    return np.concatenate([each[0] for each in parts], axis=1), np.concatenate([each[1] for each in parts])


def _roll(y: np.ndarray, cycle: int, H: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    (T, S), m = y.shape, cycle if 1 < cycle < len(y) else 0
    smoothers = [Smoother(make_constants(False), y[:1])]
    tiny = 1e-10 * np.square(np.ptp(y, axis=0)) + 1e-300
    ring: list[np.ndarray] = []
    loss, count = np.zeros((len(smoothers[0].level), S)), 0.0
    out = np.empty((T, S, H))
    weights = loss
    for t in range(T):
        if t:
            smoothers[0].update(y[t])
        if len(smoothers) > 1:
            smoothers[1].update(y[t])
        elif m and t == m - 1:
            smoothers.append(Smoother(make_constants(True), y[:m]))
            ring, count = [], 0.0
            loss = np.zeros((sum(len(each.level) for each in smoothers), S))
        loss *= MEMORY
        for h, before in enumerate(reversed(ring)):
            loss += np.square(y[t] - before[..., h]) / (h + 1)
        count = MEMORY * count + len(ring)
        logs = np.log(loss + tiny * max(count, 1.0))
        weights = np.exp(-(count / H) * (logs - logs.min(axis=0)))
        weights /= weights.sum(axis=0)
        ahead = np.concatenate([each.forecast(H) for each in smoothers])
        out[t] = np.einsum("gs,gsh->sh", weights, ahead)
        ring = [*ring, ahead][-H:]
    last = np.concatenate([each.forecast(n) for each in smoothers])
    return out, np.einsum("gs,gsh->sh", weights, last)
