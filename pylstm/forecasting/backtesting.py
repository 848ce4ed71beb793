"""`backtest`: errors of a model and of the naive and seasonal baselines on the end of a series."""

from __future__ import annotations

import collections.abc
import copy
import inspect
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pylstm.checks import check_size
from pylstm.data.finite import real_numbers, refuse_array
from pylstm.forecasting.baselines import naive, seasonal_naive
from pylstm.forecasting.choosing import find_cycle
from pylstm.hints import explained, explained_constructor

if TYPE_CHECKING:
    from collections.abc import Mapping

MODEL, NAIVE, SEASONAL = "model", "naive", "seasonal naive"
"""Names of the forecasts of a `Backtest`."""


@explained_constructor
@dataclass(frozen=True)
class Backtest:
    """Forecasts of the end of a series, and its true values.

    Attributes
    ----------
    measured : ndarray, shape (hold_out,) or (hold_out, S)
    forecasts : dict of str to ndarray, of this shape
        ``"model"``, ``"naive"`` and, where there is a season, ``"seasonal naive"``.
    horizon : int
        Steps of one forecast; the next begins with what was measured until then.
    ends : ndarray, shape (2, hold_out) or (2, hold_out, S), or None
        Of the model's intervals, where a level was asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.forecasting import Backtest
    >>> test = Backtest(np.array([1.0, 4.0]), {"model": np.array([1.0, 2.0]), "naive": np.zeros(2)}, 2)
    >>> list(test.errors()), test.forecasts["model"]
    (['model', 'naive'], array([1., 2.]))
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
            lines.append(f"{100 * float(self.coverage or 0):.1f} % of {self.measured.size} values within the intervals")
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
    values: Any,
    exogenous: Any = None,
    *,
    hold_out: int,
    horizon: int,
    season: int | Literal["auto"] = "auto",
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
    values : array_like, shape (T,) or (T, S), or list of array_like (T_i,)
        Of lists the last `hold_out` of each. Of a Forecaster with `id` or `time` a table, with its known inputs.
    exogenous : array_like, shape (T, M), or list of such, optional
        Known inputs of every step, where the model reads them.
    hold_out, horizon : int
    season : int or "auto"
        Steps of the season of the baseline; 0 for none; ``"auto"``: those of the model, or of the values before.
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
    TypeError
        A model that does not forecast; `fit_options` that are no mapping.
    ValueError
        A number out of range; too few values before the hold-out; NaN; inputs, or a number of series, that are not
        those of the fit.

    Examples
    --------
    >>> from pylstm.forecasting import ForecastModel
    >>> values = np.sin(np.arange(60) * np.pi / 6)
    >>> model = ForecastModel("gru", 4, window=12, season=12, seed=0)
    >>> history = model.fit(values[:48], epochs=1)
    >>> sorted(backtest(model, values, hold_out=12, horizon=6, season=12).forecasts)
    ['model', 'naive', 'seasonal naive']
    """
    _check_model(model, fit_options, refit)
    if hasattr(model, "_for_backtest"):
        model, values, exogenous = model._for_backtest(values, exogenous)
    several = isinstance(values, list | tuple) and len(values) > 0 and np.ndim(values[0]) > 0
    parts = _finite("values", values if several else [values])
    inputs = _inputs(exogenous, parts, several, model, refit)
    season = _season(season, model, parts, check_size("hold_out", hold_out), sliding)
    _check(min(map(len, parts)), hold_out, horizon, season, sliding)
    ends: list[np.ndarray] = []
    pieces: dict[str, list[np.ndarray]] = {name: [] for name in (MODEL, NAIVE, *([SEASONAL] if season else []))}
    for held in range(hold_out, 0, -horizon):
        n = min(horizon, held)
        _show(progress, (hold_out - held) // horizon + 1, -(-hold_out // horizon))
        before, known = _window(parts, inputs, held, n, sliding)
        if refit:
            model = copy.deepcopy(model)
            model.fit(*_alike(several, before, [x[:-n] for x in known]), **(fit_options or {}))
        found = _ask(model, n, *_alike(several, before, known), refit=refit, level=level)
        pieces[MODEL].append(found[0])
        ends += found[1:]
        pieces[NAIVE].append(_beside([naive(each, n) for each in before], n))
        if season:
            pieces[SEASONAL].append(_beside([seasonal_naive(each, n, season) for each in before], n))
    measured = _beside([each[len(each) - hold_out :] for each in parts], hold_out)
    forecasts = {name: np.concatenate(each).reshape(measured.shape) for name, each in pieces.items()}
    return Backtest(measured, forecasts, horizon, np.concatenate(ends, axis=1) if ends else None)


def _show(progress: bool, number: int, count: int) -> None:
    if progress:
        print(f"\rforecast {number} of {count}", end="\n" if number == count else "", file=sys.stderr)


def _window(
    parts: list[np.ndarray], inputs: list[np.ndarray] | None, held: int, n: int, sliding: int | None
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Each series without its last `held` steps, and the inputs of these steps and of the n after them."""
    begins = [max(0, len(each) - held - sliding) if sliding else 0 for each in parts]
    before = [each[begin : len(each) - held] for each, begin in zip(parts, begins)]
    return before, [x[begin : len(y) - held + n] for x, y, begin in zip(inputs or (), parts, begins)]


def _ask(model: Any, n: int, before: Any, known: Any = None, *, refit: bool, level: float | None) -> list[np.ndarray]:
    """The forecast of the n steps after `before`, and with a level the ends of its intervals."""
    inner, given = getattr(model, "task_model", model), {} if refit else {"history": before}
    if known is not None:
        last = [each[-n:] for each in known] if isinstance(known, list) else known[-n:]
        given["exogenous"] = last if refit else known
    found = [_beside(inner.predict(n, **given), n)]
    if level is not None:
        found.append(np.array([_beside(each, n) for each in inner.predict_interval(n, level, **given)]))
    return found


def _finite(name: str, values: Any) -> list[np.ndarray]:
    found = [real_numbers(name, each) for each in values]
    for each in found:
        refuse_array(name, each, "fill the gaps, or leave the end out")
    return found


def _alike(several: bool, *of_each: list[np.ndarray]) -> list[Any]:
    """Lists for several series, otherwise the one array of each; what is empty is left out."""
    return [each if several else each[0] for each in of_each if each]


def _beside(values: Any, n: int) -> np.ndarray:
    """Values (n,), or of several series (n, S) side by side."""
    if not isinstance(values, list | tuple):
        return np.asarray(values)
    columns = [np.reshape(each, (n, -1)) for each in values]
    return np.hstack(columns) if len(columns) > 1 or np.ndim(values[0]) > 1 else columns[0][:, 0]


def _inputs(exogenous: Any, parts: list[np.ndarray], several: bool, model: Any, refit: bool) -> list[np.ndarray] | None:
    """Inputs of every step of each series, as the fit of the model had them; None where there are none."""
    _check_fit(model, parts, exogenous is not None, refit)
    if exogenous is None:
        return None
    found = _finite("exogenous", exogenous if several else [exogenous])
    lengths = [len(each) for each in parts]
    if [len(each) for each in found] != lengths:
        raise ValueError(f"exogenous must have as many steps as values, {lengths}, got {[len(each) for each in found]}")
    return found


def _season(season: Any, model: Any, parts: list[np.ndarray], hold_out: int, sliding: int | None) -> int:
    """Steps of the season as given, or of a fitted model, or of the values before the hold-out; 0 of fewer."""
    if not (isinstance(season, str) and season == "auto"):
        if season is None or isinstance(season, str):
            raise TypeError(f"season must be 'auto' or an integer, 0 for none, got {season!r}")
        return check_size("season", season, 0)
    inner = getattr(model, "task_model", model)
    cycle = getattr(inner, "cycle", 0) or getattr(getattr(inner, "preparation", None), "season", 0)
    before = [each[: max(0, len(each) - int(hold_out))] for each in parts]
    if isinstance(cycle, str):  # of a forecaster that is not fitted
        whole = before if min(map(len, before)) else []
        columns = [column for each in whole for column in each.reshape(len(each), -1).T]
        cycle = find_cycle(columns) if columns else 0
    return int(cycle) if 1 < cycle <= min([*map(len, before), sliding or len(before[0])]) else 0


def _check_model(model: Any, fit_options: Any, refit: bool) -> None:
    """Refuse what does not forecast, and options that are none of a fit."""
    says = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
    own = isinstance(model, type) or not callable(getattr(model, "predict", None))
    if own or next(iter(inspect.signature(model.predict).parameters), "n") != "n":
        raise TypeError(f"model must be a fitted ForecastModel or Forecaster, got {says}")
    if fit_options is not None and not isinstance(fit_options, collections.abc.Mapping):
        raise TypeError(f"fit_options must be a dict such as {{'epochs': 5}}, got {fit_options!r}")
    if fit_options and not refit:
        raise ValueError("fit_options needs refit=True")


def _check_fit(model: Any, parts: list[np.ndarray], inputs: bool, refit: bool) -> None:
    """Refuse another number of series than that of the fit, and inputs that a fit does not have or does not get."""
    inner = getattr(model, "model_", model)
    if not hasattr(inner, "scales") or not hasattr(inner, "M"):
        return
    if inner.M and not inputs:
        raise ValueError(
            f"exogenous is missing: the model was fitted with {inner.M} known inputs at a step"
            + ("; without them pass a model that is not fitted" if refit else "")
        )
    if refit:
        return
    if inputs and not inner.M:
        raise ValueError("exogenous: the model was fitted without known inputs: leave it out, or pass refit=True")
    count = len(parts) if inner.joint else sum(each[:1].size for each in parts)
    if count != len(inner.scales):
        raise ValueError(
            f"the model was fitted on {len(inner.scales)} series, and values have {count}: pass those of the fit, or "
            "refit=True"
        )


def _check(steps: int, hold_out: int, horizon: int, season: int, sliding: int | None) -> None:
    """Refuse numbers out of range."""
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
