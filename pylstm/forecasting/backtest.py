"""`backtest`: errors of a model and of the naive and seasonal baselines on the end of a series."""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.checks import check_size
from pylstm.data.finite import real_numbers, refuse_array
from pylstm.forecasting.baselines import naive, seasonal_naive
from pylstm.hints import explained, explained_constructor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

MODEL, NAIVE, SEASONAL = "model", "naive", "seasonal naive"
"""Names of the forecasts of a `Backtest`."""


@explained_constructor
@dataclass(frozen=True)
class Backtest:
    """Forecasts of the end of a series, and its true values.

    Attributes
    ----------
    measured : ndarray, shape (hold_out,)
    forecasts : dict of str to ndarray, shape (hold_out,)
        ``"model"``, ``"naive"`` and, where there is a season, ``"seasonal naive"``.
    horizon : int
        Steps of one forecast; the next begins with what was measured until then.
    ends : ndarray, shape (2, hold_out), or None
        Of the model's intervals, where a level was asked for.
    """

    measured: np.ndarray
    forecasts: dict[str, np.ndarray]
    horizon: int
    ends: np.ndarray | None = None

    @property
    def coverage(self) -> float | None:
        """Share of the measured values within the intervals."""
        if self.ends is None:
            return None
        return float(np.mean((self.ends[0] <= self.measured) & (self.measured <= self.ends[1])))

    def table(self) -> str:
        """Errors of every forecast, and the mean absolute error of the model divided by it.

        Examples
        --------
        >>> print(Backtest(np.array([1.0, 4.0]), {"model": np.array([1.0, 2.0]), "naive": np.zeros(2)}, 2).table())
        forecast               MAE        RMSE  model / this
        model                    1       1.414
        naive                  2.5       2.915         0.400
        """
        ratios = self.ratios()
        lines = [f"{'forecast':16}{'MAE':>10}{'RMSE':>12}{'model / this':>14}"]
        for name, error in self.errors().items():
            ratio = f"{ratios[name]:14.3f}" if name in ratios else ""
            lines.append(f"{name:16}{error['mae']:10.4g}{error['rmse']:12.4g}{ratio}")
        if self.ends is not None:
            lines.append(f"{100 * float(self.coverage or 0):.1f} % of {len(self.measured)} values within the intervals")
        return "\n".join(lines)

    def errors(self) -> dict[str, dict[str, float]]:
        """Mean absolute error and root of the mean squared error of each forecast.

        Examples
        --------
        >>> test = Backtest(np.array([1.0, 4.0]), {"model": np.array([1.0, 2.0]), "naive": np.array([0.0, 0.0])}, 2)
        >>> test.errors()["model"], test.ratios()
        ({'mae': 1.0, 'rmse': 1.4142135623730951}, {'naive': 0.4})
        """
        found = {}
        for name, forecast in self.forecasts.items():
            error = forecast - self.measured
            found[name] = {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt(np.square(error).mean()))}
        return found

    def ratios(self) -> dict[str, float]:
        """Mean absolute error of the model divided by that of each baseline: below 1 the model is better."""
        errors = {name: each["mae"] for name, each in self.errors().items()}
        with np.errstate(divide="ignore", invalid="ignore"):
            return {name: float(np.divide(errors[MODEL], each)) for name, each in errors.items() if name != MODEL}


@explained()
def backtest(
    model: Any,
    values: ArrayLike,
    *,
    hold_out: int,
    horizon: int,
    season: int = 0,
    refit: bool = False,
    sliding: int | None = None,
    level: float | None = None,
    fit_options: Mapping[str, Any] | None = None,
    progress: bool = False,
) -> Backtest:
    """Forecast the last `hold_out` values, `horizon` at a time, each time from what was measured before.

    Parameters
    ----------
    model : ForecastModel or Forecaster
        Fitted on values before those, for the result to mean anything; with `refit` it is left as it is.
    values : array_like, shape (T,)
    hold_out, horizon : int
    season : int
        Steps of the season of the baseline; 0 for none.
    refit : bool
        Fit a copy of the model before each forecast, on what was measured before.
    sliding : int, optional
        Steps before each forecast that model and baselines see, the last ones; default: all, an expanding window.
    level : float, optional
        Of intervals of the model.
    fit_options : dict, optional
        Of `fit`, with `refit`: such as ``{"validation": 0.2}`` for a `ForecastModel`.
    progress : bool
        Write the number of the forecast to stderr.

    Raises
    ------
    ValueError
        A number out of range; too few values before the hold-out; NaN.

    Examples
    --------
    >>> from pylstm.forecasting import ForecastModel
    >>> values = np.sin(np.arange(60) * np.pi / 6)
    >>> model = ForecastModel("gru", 4, window=12, season=12, seed=0)
    >>> history = model.fit(values[:48], epochs=1)
    >>> sorted(backtest(model, values, hold_out=12, horizon=6, season=12).forecasts)
    ['model', 'naive', 'seasonal naive']
    """
    if hasattr(model, "_in_order"):
        values = model._in_order(values)
    values = real_numbers("values", values)
    refuse_array("values", values, "fill the gaps, or leave the end out")
    _check(model, len(values), hold_out, horizon, season, sliding, bool(fit_options) and not refit)
    start = len(values) - hold_out
    ends: list[np.ndarray] = []
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in (MODEL, NAIVE, *([SEASONAL] if season else []))}
    for begin in range(start, len(values), horizon):
        before, n = values[max(0, begin - sliding) if sliding else 0 : begin], min(horizon, len(values) - begin)
        if progress:
            print(f"\rforecast {(begin - start) // horizon + 1} of {-(-hold_out // horizon)}", end="", file=sys.stderr)
        if refit:
            model = copy.deepcopy(model)
            model.fit(before, **(fit_options or {}))
        given = {} if refit else {"history": before}
        pieces[MODEL].append(model.predict(n, **given))
        if level is not None:
            ends.append(np.array(model.predict_interval(n, level, **given)))
        pieces[NAIVE].append(naive(before, n))
        if season:
            pieces[SEASONAL].append(seasonal_naive(before, n, season))
    if progress:
        print(file=sys.stderr)
    found = {name: np.concatenate(each) for name, each in pieces.items()}
    return Backtest(values[start:], found, horizon, np.concatenate(ends, axis=1) if ends else None)


def _check(
    model: Any, steps: int, hold_out: int, horizon: int, season: int, sliding: int | None, without_refit: bool
) -> None:
    """Refuse arguments of `backtest`; `without_refit`: there are options of a fit, and no fit."""
    if not callable(getattr(model, "predict", None)):
        raise TypeError(f"model must be a fitted ForecastModel, got {type(model).__name__}")
    if without_refit:
        raise ValueError("fit_options needs refit=True")
    check_size("horizon", horizon), check_size("hold_out", hold_out), check_size("season", season, 0)
    if sliding is not None and check_size("sliding", sliding) < season:
        raise ValueError(f"sliding must be at least the season, {season}, got {sliding}")
    if steps - hold_out < max(1, season):
        raise ValueError(
            f"a series of {steps} steps has {max(0, steps - hold_out)} before the hold-out of {hold_out}; at least "
            f"{max(1, season)} are needed"
        )


def find_differences(values: np.ndarray, season: int) -> str:
    """Differences of a series that a net should see: "season", "step" or "none".

    Differences to the season before where they halve the variance; otherwise to the step before where the last quarter
    of the series drifts more than one standard deviation away from the rest; otherwise the series as it is.

    Examples
    --------
    >>> time = np.arange(120)
    >>> wave = np.sin(time * np.pi / 6)
    >>> find_differences(wave + 0.1 * time, 12), find_differences(0.1 * time, 0), find_differences(wave, 0)
    ('season', 'step', 'none')
    """
    if season and len(values) > 2 * season and np.var(values[season:] - values[:-season]) < np.var(values) / 2:
        return "season"
    cut = 3 * len(values) // 4
    rest, last = values[:cut], values[cut:]
    drifts = len(rest) > 1 and abs(last.mean() - rest.mean()) > rest.std()
    return "step" if drifts else "none"
