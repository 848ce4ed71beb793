"""`backtest`: errors of a model and of the naive and seasonal baselines on the end of a series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.checks import check_size
from pylstm.forecasting.baselines import naive, seasonal_naive
from pylstm.hints import explained, explained_constructor

if TYPE_CHECKING:
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
    """

    measured: np.ndarray
    forecasts: dict[str, np.ndarray]
    horizon: int

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
def backtest(model: Any, values: ArrayLike, *, hold_out: int, horizon: int, season: int = 0) -> Backtest:
    """Forecast the last `hold_out` values, `horizon` at a time, each time from all that was measured before.

    Parameters
    ----------
    model : ForecastModel
        Fitted on values before those, for the result to mean anything.
    values : array_like, shape (T,)
    hold_out, horizon : int
    season : int
        Steps of the season of the baseline; 0 for none.

    Raises
    ------
    ValueError
        A number out of range; too few values before the hold-out.

    Examples
    --------
    >>> from pylstm.forecasting import ForecastModel
    >>> values = np.sin(np.arange(60) * np.pi / 6)
    >>> model = ForecastModel("gru", 4, window=12, season=12, seed=0)
    >>> history = model.fit(values[:48], epochs=1)
    >>> sorted(backtest(model, values, hold_out=12, horizon=6, season=12).forecasts)
    ['model', 'naive', 'seasonal naive']
    """
    if not callable(getattr(model, "predict", None)):
        raise TypeError(f"model must be a fitted ForecastModel, got {type(model).__name__}")
    check_size("horizon", horizon), check_size("hold_out", hold_out), check_size("season", season, 0)
    values = np.asarray(values, "float64")
    start = len(values) - hold_out
    if start < max(1, season):
        raise ValueError(
            f"a series of {len(values)} steps has {max(0, start)} before the hold-out of {hold_out}; at least "
            f"{max(1, season)} are needed"
        )
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in (MODEL, NAIVE, *([SEASONAL] if season else []))}
    for begin in range(start, len(values), horizon):
        before, n = values[:begin], min(horizon, len(values) - begin)
        pieces[MODEL].append(model.predict(n, history=before))
        pieces[NAIVE].append(naive(before, n))
        if season:
            pieces[SEASONAL].append(seasonal_naive(before, n, season))
    return Backtest(values[start:], {name: np.concatenate(each) for name, each in pieces.items()}, horizon)


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
