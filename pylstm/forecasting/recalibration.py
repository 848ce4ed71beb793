"""`Recalibration`: distributions that a net says, corrected by what was measured behind what it was trained on.

Distributional conformal prediction (Chernozhukov, Wuthrich & Zhu 2021, PNAS 118(48)) from rolling origins: the share u
of the distribution below what came, of every origin and horizon, tells which central intervals really hold a level.
Few origins say little, so that `TRUST` scores as the net itself would have them are counted beside theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.forecasting.blending import horizon_of
from pylstm.forecasting.combining import JUDGED, ORIGINS, continue_series
from pylstm.forecasting.rolling import LONGEST, naive_ahead
from pylstm.schema import Entries
from pylstm.wording import warn

TRUST = 2.0
"""Scores of the net's own distribution beside those of the back-test."""
ALL_ORIGINS, PATHS = 240, 100
"""Origins of all series together, about, and continuations from each."""
GRID = 101


@dataclass(frozen=True)
class Recalibration:
    """What a back-test says of the distributions of a net.

    Attributes
    ----------
    levels : ndarray, shape (GRID,)
        Level of the net's own central interval that has the levels 0, ..., 1; they rise.
    worse : list of bool
        Of each column of each series: whether the naive forecast was better.
    """

    levels: np.ndarray
    worse: list[bool]

    def apply(self, paths: np.ndarray) -> np.ndarray:
        """Paths (P, n, K) whose quantiles at every step are the corrected ones; their ranks stay.

        Examples
        --------
        >>> wider = Recalibration(np.sqrt(np.linspace(0, 1, GRID)), [False])
        >>> paths = np.arange(101.0).reshape(-1, 1, 1)
        >>> np.quantile(wider.apply(paths), [0.1, 0.5, 0.9]).round().tolist()
        [5.0, 50.0, 95.0]
        """
        P = len(paths)
        ranks = paths.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
        shares = (np.arange(P) + 0.5) / P
        own = np.interp(np.abs(2 * shares - 1), np.linspace(0, 1, GRID), self.levels)
        at = np.clip((0.5 + np.sign(shares - 0.5) * own / 2) * P - 0.5, 0, P - 1)
        ordered, low = np.sort(paths, axis=0), np.floor(at).astype(int)
        weight = (at - low)[:, None, None]
        found = (1 - weight) * ordered[low] + weight * ordered[np.minimum(low + 1, P - 1)]
        return np.asarray(np.take_along_axis(found, ranks, axis=0))

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file."""
        return {"levels": self.levels.tolist(), "worse": self.worse}

    @classmethod
    def from_metadata(cls, says: Entries, columns: int) -> Recalibration:
        """The inverse of `metadata`."""
        says.only(("levels", "worse"))
        levels, worse = says.array("levels", (GRID,)), says.list("worse", bool)
        if (np.diff(levels) < 0).any() or levels[0] < 0 or levels[-1] > 1:
            says.refuse("must be rising numbers in 0..1", levels[0], "levels")
        if len(worse) != columns:
            says.refuse(f"must have one entry for each of {columns} series", len(worse), "worse")
        return cls(levels, worse)


def fit_recalibration(
    model: Any, series: Sequence[np.ndarray], extras: Sequence[np.ndarray], cuts: Sequence[int]
) -> Recalibration:
    """Back-test of a net that says distributions, from origins behind the first `cuts` steps of the series (T_i, K).

    Warns
    -----
    UserWarning
        Where the naive forecast was better.
    """
    H = horizon_of([len(each) for each in series], model.cycle)
    chosen = np.linspace(0, len(series) - 1, min(len(series), JUDGED)).astype(int)
    most = int(np.clip(ALL_ORIGINS // len(chosen), 6, ORIGINS))
    rng, scores, count = np.random.default_rng(0), [], 0.0
    worse = np.zeros((len(series), model.K), bool)
    for k in np.unique(chosen):
        y, extra, last = series[k], extras[k], len(series[k]) - 2
        origins = np.arange(max(cuts[k] - 1, len(y) - LONGEST), last + 1)
        origins = origins[:: max(1, -(-len(origins) // most))]
        errors = np.zeros((2, model.K))
        for at in origins:
            n = min(H, last + 1 - int(at))
            paths = continue_series(model, n, y[: at + 1], extra[: at + 1 + n], model.scales[k], PATHS, rng)
            true, weight = y[at + 1 : at + 1 + n], 1 / np.sqrt(np.arange(1, n + 1))
            below, ties = (paths < true).sum(axis=0), (paths == true).sum(axis=0)
            scores.append(np.abs(2 * (below + rng.random(true.shape) * (ties + 1)) / (PATHS + 1) - 1).ravel())
            errors[0] += weight @ np.abs(np.median(paths, axis=0) - true)
            errors[1] += weight @ np.abs(_naive(y[: at + 1], model.cycle, n) - true)
        worse[k] = errors[0] > errors[1]
        count += len(origins) * 2 / (H + 1)
    found = Recalibration(_levels(np.concatenate(scores), count), worse.ravel().tolist())
    _warn(found)
    return found


def _naive(y: np.ndarray, cycle: int, n: int) -> np.ndarray:
    """The naive forecast (n, K), of the last season where there is one."""
    m = cycle if 1 < cycle <= len(y) else 1
    return np.asarray(naive_ahead(y, m, n)[-1].T)


def _levels(scores: np.ndarray, count: float) -> np.ndarray:
    """Own levels of the net for the levels of the grid: quantiles of scores that `count` independent ones are worth."""
    x = np.linspace(0, 1, 1001)
    share = np.searchsorted(np.sort(scores), x, side="right") / len(scores)
    total = count + TRUST
    reached = (count * share + TRUST * x) / total
    edge = 1 - 1 / total  # up to it there is the quantile of finite samples, beyond it a line
    wanted = np.interp(np.linspace(0, 1, GRID), [0, edge, 1], [0, edge * (total + 1) / total, 1])
    found: np.ndarray = np.maximum.accumulate(np.interp(wanted, np.maximum.accumulate(reached), x))
    found[0] = 0.0
    return found


def _warn(found: Recalibration) -> None:
    beaten = sum(found.worse)
    if beaten:
        of = "" if len(found.worse) == 1 else f" of {beaten} of {len(found.worse)} series"
        warn(
            f"in the back-test the naive forecast{of} was better than the net, whose forecast this is: train longer, "
            "take loss='mean_squared_error', which weighs the net beside other forecasts, or pylstm.naive"
        )
