"""`Blend`: the forecast of a net beside exponential smoothing and a naive one, weighed by a back-test on the series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.forecasting.conformal import Calibration, calibrate, recent_sizes
from pylstm.forecasting.rolling import LONGEST, Rolled, has_zeros, is_counted, medians, naive_ahead, roll_back
from pylstm.forecasting.smoothing import roll
from pylstm.schema import Entries

LEAST_GAIN, FULL_GAIN = 0.1, 0.4
"""Relative gains over the naive forecast: up to the first the forecast is naive, from the second not at all."""
SMALLEST = float(np.exp(-700))
ENOUGH = 4.0
"""Independent errors of the net, those of overlapping forecasts counted as in `conformal`, that can speak for it."""
SETTLED = 8
"""Steps from which smoothing without a season has settled."""
NET_SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Column:
    """What the back-test chose for one series.

    Attributes
    ----------
    log : bool
        Smoothing and errors are those of logarithms.
    median : bool
        The running median stands in place of smoothing.
    seasonal : bool
        The naive forecast is the last season rather than the last value.
    share : float
        Share of smoothing and net; the rest is the naive forecast.
    net : float
        Share of the net in it; the rest of that is smoothing.
    above : float or None
        What no forecast falls below: 0 for counts, and for amounts of which many are 0.
    gain : float
        1 - error of smoothing / error of the naive forecast.
    calibration : Calibration
    weights : tuple of float
        Of the known inputs, whose effect smoothing leaves out and the forecast adds; none where they have no effect.
    """

    log: bool
    median: bool
    seasonal: bool
    share: float
    net: float
    above: float | None
    gain: float
    calibration: Calibration
    weights: tuple[float, ...] = ()

    def describe(self, cycle: int) -> str:
        """Such as ``"0.7 smoothing of logarithms + 0.3 seasonal naive (12)"``."""
        parts = {
            "net": self.share * self.net,
            self._other(): self.share * (1 - self.net),
            f"seasonal naive ({cycle})" if self.seasonal else "naive": 1 - self.share,
        }
        return " + ".join(f"{share:.2f} {name}" for name, share in parts.items() if share > 0.005)

    def _other(self) -> str:
        log, inputs = " of logarithms" if self.log else "", " with inputs" if self.weights else ""
        return "median" if self.median else f"smoothing{log}{inputs}"

    def needed(self, cycle: int) -> int:
        """Steps that a series must have for the forecast to be that of the back-test."""
        if cycle > 1 and (self.seasonal or self.share):
            return 2 * cycle
        return SETTLED if self.share else 2

    @property
    def reads_inputs(self) -> bool:
        """Whether the forecast depends on the known inputs."""
        return self.share > 0 and (self.net > 0 or (bool(self.weights) and self.net < 1))

    def effects(self, inputs: np.ndarray, log: bool) -> np.ndarray | float:
        """The effect (T,) of inputs (T, M), on the scale that the weights are for; 0 on another."""
        return inputs @ np.array(self.weights) if self.weights and log == self.log else 0.0


def horizon_of(lengths: Sequence[int], cycle: int) -> int:
    """Steps of a back-test: a season, at most 24, or 6; fewer of short series."""
    wanted = min(cycle, 24) if cycle > 1 else 6
    return max(1, min(wanted, (min(lengths) - 3) // 2))


def share_of(gain: float) -> float:
    """Share of a forecast that beats the naive one by this relative gain."""
    return float(np.clip((gain - LEAST_GAIN) / (FULL_GAIN - LEAST_GAIN), 0, 1))


@dataclass
class Blend:
    """Shares and intervals for all series of a model.

    Attributes
    ----------
    cycle, horizon : int
        Season of smoothing; steps of the back-test.
    columns : list of Column
    """

    cycle: int
    horizon: int
    columns: list[Column]

    @classmethod
    def fit(
        cls,
        columns: Sequence[np.ndarray],
        cycle: int,
        nets: Sequence[tuple[np.ndarray, np.ndarray]] | float,
        horizon: int,
        inputs: Sequence[np.ndarray] | None = None,
    ) -> Blend:
        """Back-test on all series.

        Parameters
        ----------
        columns : sequence of ndarray (T_i,)
        cycle : int
        nets : sequence of (origins, forecasts), or float
            Of each series: origins (O,) behind what the net was trained on, and its forecasts (O, horizon) from there.
            Or the share of the net, as other series had it.
        horizon : int
        inputs : sequence of ndarray (T_i, M), optional
            Known inputs of each.
        """
        rolled = roll_back(columns, cycle, horizon, inputs)
        if isinstance(nets, float):
            none = np.zeros(0, int), np.zeros((0, horizon))
            return cls(cycle, horizon, [_column(r, *none, nets) for r in rolled])
        nets = [(origins - (len(y) - len(r.y)), f) for y, r, (origins, f) in zip(columns, rolled, nets)]
        net = _share_of_net(rolled, nets, horizon)
        return cls(cycle, horizon, [_column(r, *each, net) for r, each in zip(rolled, nets)])

    def forecast(
        self,
        columns: Sequence[np.ndarray],
        nets: Sequence[np.ndarray],
        n: int,
        inputs: Sequence[np.ndarray] | None = None,
    ) -> tuple[list[np.ndarray], list[float]]:
        """The n steps after every series (T_i,), where the net forecasts `nets` (n,); and the sizes of late errors.

        `inputs` (T_i + n, M) are those of its steps and of the n to come.
        """
        points: list[Any] = [None] * len(columns)
        sizes = [0.0] * len(columns)
        groups: dict[tuple[int, bool, bool], list[int]] = {}
        for k, each in enumerate(columns):
            log = self.columns[k].log and bool((each[-LONGEST:] > 0).all())
            groups.setdefault((min(len(each), LONGEST), log, self.columns[k].median), []).append(k)
        for (length, log, median), members in groups.items():
            y = np.stack([columns[k][-length:] for k in members], axis=1)
            if median:
                smooth = medians(y)
                ahead = np.repeat(smooth[-1:].T, n, axis=1)
            else:
                effects = np.zeros((length + n, len(members)))
                for s, k in enumerate(members if inputs is not None else ()):
                    effects[:, s] = self.columns[k].effects((inputs or [])[k][-length - n :], log)
                scaled = np.log(y) if log else y
                rolled, last = roll(scaled - effects[:length], self.cycle, self.horizon, n)
                smooth, ahead = rolled[..., 0] + effects[1 : length + 1], last + effects[length:].T
                smooth, ahead = (np.exp(np.clip(each, -700, 700)) if log else each for each in (smooth, ahead))
            for s, k in enumerate(members):
                points[k], sizes[k] = self._mix(self.columns[k], y[:, s], smooth[:, s], ahead[s], nets[k])
        return points, sizes

    def _mix(
        self, column: Column, y: np.ndarray, smooth: np.ndarray, ahead: np.ndarray, net: np.ndarray
    ) -> tuple[np.ndarray, float]:
        m = self.cycle if column.seasonal and len(y) >= self.cycle else 1
        naive = naive_ahead(y[:, None], m, len(ahead))[:, 0]
        point = column.share * (column.net * net + (1 - column.net) * ahead) + (1 - column.share) * naive[-1]
        single = _scaled(column.share * smooth + (1 - column.share) * naive[:, 0], column.log)[:-1]
        recent = recent_sizes(np.abs(_scaled(y[1:], column.log) - single), column.calibration.unit)[-1]
        least = SMALLEST if column.log else -np.inf if column.above is None else column.above
        return np.maximum(point, least), float(recent)

    def quantiles(self, number: int, point: np.ndarray, recent: float, shares: np.ndarray) -> np.ndarray:
        """Quantiles (..., n) of the steps whose forecast is `point` (n,), for shares (..., n) or (..., 1)."""
        column = self.columns[number]
        signed = np.sign(shares - 0.5) * column.calibration.radius(np.abs(2 * shares - 1), len(point))
        reach = signed * column.calibration.widths(len(point), recent)
        found: np.ndarray = point * np.exp(np.clip(reach, -700, 700)) if column.log else point + reach
        return found if column.above is None else np.maximum(found, column.above)

    def sample(self, number: int, point: np.ndarray, recent: float, paths: int, rng: np.random.Generator) -> np.ndarray:
        """Paths (paths, n): each step has the distribution of `quantiles`, neighbours are linked."""
        from statistics import NormalDist

        link = self.columns[number].calibration.link
        normal = rng.normal(size=(paths, len(point)))
        for h in range(1, len(point)):
            normal[:, h] = link * normal[:, h - 1] + np.sqrt(1 - link**2) * normal[:, h]
        shares = np.vectorize(NormalDist().cdf, otypes=["float64"])(normal)
        return self.quantiles(number, point, recent, np.clip(shares, 1e-9, 1 - 1e-9))

    def describe(self) -> list[str]:
        """What the forecast of each series is made of."""
        return [each.describe(self.cycle) for each in self.columns]

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file."""
        says = [
            {name: getattr(each, name) for name in ("log", "median", "seasonal", *SHARES, "above")}
            for each in self.columns
        ]
        for entry, each in zip(says, self.columns):
            found = each.calibration
            entry |= {name: getattr(found, name) for name in (*NUMBERS, *COUNTS)}
            entry |= {name: getattr(found, name).tolist() for name in ("scores", "weights")}
            entry["inputs"] = list(each.weights)
        return {"cycle": self.cycle, "horizon": self.horizon, "columns": says}

    @classmethod
    def from_metadata(cls, says: Entries, columns: int, inputs: int = 0) -> Blend:
        """The inverse of `metadata`, for this number of series, and of inputs of each."""
        says.only(("cycle", "horizon", "columns"))
        found = [Entries(each, f"{says.where}.columns") for each in says.list("columns", dict)]
        if len(found) != columns:
            says.refuse(f"must have one entry for each of {columns} series", len(found), "columns")
        return cls(says.integer("cycle", 0), says.integer("horizon"), [_read(each, inputs) for each in found])


SHARES = ("share", "net", "gain")
NUMBERS = ("growth", "unit", "link")
COUNTS = ("origins", "horizon")


def _read(says: Entries, inputs: int) -> Column:
    says.only(("log", "median", "seasonal", *SHARES, "above", *NUMBERS, *COUNTS, "scores", "weights", "inputs"))
    scores, weights = (says.array(name, (None,)) for name in ("scores", "weights"))
    if not len(scores) == len(weights) > 0 or not (np.diff(scores) >= 0).all() or not (weights >= 0).all():
        says.refuse("must be rising numbers with as many weights from 0", len(scores), "scores")
    bounds = {"growth": (0, 2), "unit": (0, np.inf), "link": (0, 0.99)}
    numbers: dict[str, Any] = {name: says.number(name, *bounds[name]) for name in NUMBERS}
    share, net, gain = says.number("share", 0, 1), says.number("net", 0, 1), says.number("gain")
    above = None if says.get("above") is None else says.number("above")
    counts: dict[str, Any] = {name: says.integer(name) for name in COUNTS}
    calibration = Calibration(scores, weights, **numbers, **counts)
    log, median, seasonal = (says.flag(name) for name in ("log", "median", "seasonal"))
    found = says.array("inputs", (None,))
    if len(found) not in (0, inputs):
        says.refuse(f"must be empty or have {inputs} numbers", len(found), "inputs")
    return Column(log, median, seasonal, share, net, above, gain, calibration, tuple(found.tolist()))


def _scaled(values: np.ndarray, log: bool) -> np.ndarray:
    return np.log(np.maximum(values, SMALLEST)) if log else values


def _paired(r: Rolled, origins: np.ndarray, forecasts: np.ndarray, H: int) -> Any:
    """Measured values (O, H), NaN beyond the end, beside what smoothing and the net forecast."""
    at = origins[:, None] + np.arange(1, H + 1)
    y = np.where(at < len(r.y), r.y[np.minimum(at, len(r.y) - 1)], np.nan)
    return y, r.smooth[origins], forecasts


def _share_of_net(rolled: list[Rolled], nets: Any, H: int) -> float:
    """Share of the net, one for all series: that with the least error, if it is less by more than chance might do."""
    ratios, count = [], 0.0
    for r, (origins, forecasts) in zip(rolled, nets):
        if not len(origins):
            continue
        y, smooth, net = _paired(r, origins, forecasts, H)
        mixes = [smooth, *(share * net + (1 - share) * smooth for share in NET_SHARES)]
        losses = np.array([np.nanmean(np.abs(y - each) / np.sqrt(np.arange(1, H + 1))) for each in mixes])
        if losses[0] > 0:
            ratios.append(np.log(np.maximum(losses[1:] / losses[0], 1e-3)))
            count = max(count, len(origins) * 2 / (H + 1))
    if count < ENOUGH:
        return 0.0
    mean = np.mean(ratios, axis=0)
    best = int(mean.argmin())
    return NET_SHARES[best] if mean[best] < -0.5 / np.sqrt(count * np.sqrt(len(ratios))) else 0.0


def _column(r: Rolled, origins: np.ndarray, forecasts: np.ndarray, net: float) -> Column:
    H, T = r.smooth.shape[1], len(r.y)
    share, gain = share_of(r.gain), r.gain
    if net > 0 and len(origins):  # the net's own gain, where it was judged
        y, smooth, said = _paired(r, origins, forecasts, H)
        naive = r.naive[origins]
        errors = [np.nanmean(np.abs(y - each)) for each in (net * said + (1 - net) * smooth, naive)]
        gain = 1 - errors[0] / errors[1] if errors[1] > 0 else -1.0
        share = share_of(float(gain))
    every = np.arange(r.first, T - 1)
    used = origins if net > 0 and share > 0 and len(origins) else every
    mixed = r.mixed(share)
    blended = mixed[used]
    if used is not every:
        blended = share * (net * forecasts + (1 - net) * r.smooth[used]) + (1 - share) * r.naive[used]
    at = used[:, None] + np.arange(1, H + 1)
    y = np.where(at < T, r.y[np.minimum(at, T - 1)], np.nan)
    errors = _scaled(y, r.log) - _scaled(blended, r.log)
    single = np.abs(_scaled(r.y[1:], r.log) - _scaled(mixed[:-1, 0], r.log))
    unit = float(single[r.first :].mean()) if len(single) > r.first else float(single.mean()) if len(single) else 0.0
    sizes = recent_sizes(single, unit)
    calibration = calibrate(errors, sizes[used], unit)
    above = 0.0 if has_zeros(r.y) or is_counted(r.y) else None
    net, weights = net if share else 0.0, tuple(r.weights.tolist())
    return Column(r.log, r.median, r.seasonal, share, net, above, float(gain), calibration, weights)
