"""`judge`: back-tests of the series of a command, beside baselines; how they are printed."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pylstm.commands._shared.series import Read
    from pylstm.forecasting.backtesting import Backtest

ETS = "AutoETS"
MOST_ETS = 20
"""Most series that AutoETS is fitted to: it takes up to seconds for each."""
MOST_LINES = 12
"""Most series of which the table has a line each."""


def forecast_all(model: Any, read: Read, n: int, held: int = 0) -> list[np.ndarray]:
    """The n steps after each series without its last `held` steps."""
    return _each(model.predict(n, **given(read, n, held)), read)


def given(read: Read, n: int, held: int = 0) -> dict[str, Any]:
    """`history` and `exogenous` of a forecast of n steps after the series without their last `held` steps."""
    histories = [each.values[: len(each.values) - held] for each in read.series]
    inputs = [known[: len(each) + n] for known, each in zip(read.known, histories)]
    found: dict[str, Any] = {"history": histories[0] if read.single else histories}
    if inputs[0].shape[1]:
        found["exogenous"] = inputs
    return found


def _each(found: Any, read: Read) -> list[np.ndarray]:
    return [found] if read.single else list(found)


def intervals(model: Any, read: Read, n: int, level: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Low and high ends of each series."""
    low, high = model.predict_interval(n, level, **given(read, n))
    return list(zip(_each(low, read), _each(high, read)))


def judge(model: Any, read: Read, *, hold_out: int, horizon: int, season: int, ets: bool = True) -> list[Backtest]:
    """A back-test of each series: the last `hold_out` steps, `horizon` at a time.

    Beside the naive forecasts, AutoETS where statsforecast is installed and there are few series.
    """
    from pylstm.forecasting.backtesting import MODEL, NAIVE, SEASONAL, Backtest
    from pylstm.forecasting.baselines import naive, seasonal_naive

    pieces: list[dict[str, list[np.ndarray]]] = [{} for _ in read.series]
    shortest = min((each.values[: len(each.values) - hold_out] for each in read.series), key=len)
    other = _ets(season, shortest) if ets and len(read.series) <= MOST_ETS else None
    from tqdm import tqdm

    begins = range(0, hold_out, horizon)
    for begin in tqdm(begins, "back-test", file=sys.stderr, delay=1, leave=False, disable=None):
        n, held = min(horizon, hold_out - begin), hold_out - begin
        for found, each, forecast in zip(pieces, read.series, forecast_all(model, read, n, held)):
            before = each.values[: len(each.values) - held]
            steps = {MODEL: forecast, NAIVE: naive(before, n)}
            steps |= {SEASONAL: seasonal_naive(before, n, season)} if season else {}
            steps |= {ETS: other(before, n)} if other else {}
            for name, values in steps.items():
                found.setdefault(name, []).append(values)
    return [
        Backtest(
            each.values[len(each.values) - hold_out :],
            {name: np.concatenate(parts) for name, parts in found.items()},
            horizon,
        )
        for each, found in zip(read.series, pieces)
    ]


def _ets(season: int, shortest: np.ndarray) -> Any:
    """Forecasts of AutoETS; None where statsforecast is not installed, or the shortest series is too short for it."""
    import importlib.util

    if importlib.util.find_spec("statsforecast") is None:
        return None
    from statsforecast.models import AutoETS

    def forecast(before: np.ndarray, n: int) -> np.ndarray:
        with np.errstate(all="ignore"):  # of few steps it divides by 0
            return np.asarray(AutoETS(season_length=season or 1).forecast(y=before, h=n)["mean"], "float64")

    try:
        forecast(shortest, 1)
    except (NotImplementedError, ValueError):  # "tiny datasets"
        return None
    return forecast


def report(tests: list[Backtest], read: Read) -> dict[str, Any]:
    """Back-tests as a dict for JSON: of one series as it is, of several their means and each."""
    if read.single:
        (test,) = tests
        return _errors(test) | {"measured": test.measured.tolist(), "forecast": test.forecasts["model"].tolist()}
    each = {name: _errors(test) for name, test in zip(read.names(), tests)}
    ratios = {
        name: _geometric([found["mae_ratio_to"].get(name, np.nan) for found in each.values()])
        for name in next(iter(each.values()))["mae_ratio_to"]
    }
    return {"mae_ratio_to": ratios, "series": each}


def _errors(test: Backtest) -> dict[str, Any]:
    return {
        "errors": {name.replace(" ", "_"): each for name, each in test.errors().items()},
        "mae_ratio_to": {name.replace(" ", "_"): each for name, each in test.ratios().items()},
    }


def _geometric(ratios: list[float]) -> float:
    """Geometric mean of those that are finite and above 0."""
    held = [each for each in ratios if 0 < each < np.inf]
    return float(np.exp(np.mean(np.log(held)))) if held else float("nan")


def print_report(tests: list[Backtest], read: Read, season: int) -> None:
    """Print back-tests as a table."""
    from pylstm.commands._shared.output import print_table

    n, times, horizon = len(tests[0].measured), read.series[0].times, tests[0].horizon
    where = f", {times[-n]}..{times[-1]}" if read.single else f" of {len(tests)} series"
    print(f"hold-out: the last {n} steps{where}, forecast {min(n, horizon)} at a time from what was measured before")
    if read.single:
        ratios, rows = tests[0].ratios(), []
        for name, error in tests[0].errors().items():
            ratio = f"{ratios[name]:.3f}" if name in ratios else ""
            rows.append((_label(name, season), f"{error['mae']:.4g}", f"{error['rmse']:.4g}", ratio))
        print_table(("forecast", "MAE", "RMSE", "MAE of the model / this"), rows)
        return
    names = list(tests[0].forecasts)[1:]
    lines = [
        (name, f"{test.errors()['model']['mae']:.4g}", *(f"{test.ratios()[other]:.3f}" for other in names))
        for name, test in zip(read.names(), tests)
    ]
    rest = lines[MOST_LINES:]
    lines = lines[:MOST_LINES] + ([(f"and {len(rest)} more", "", *("" for _ in names))] if rest else [])
    means = [f"{_geometric([test.ratios()[other] for test in tests]):.3f}" for other in names]
    header = ("series", "MAE", *(f"MAE / {_label(name, season)}" for name in names))
    print_table(header, [*lines, ("geometric mean", "", *means)])


def _label(name: str, season: int) -> str:
    return f"{name} ({season} steps)" if name == "seasonal naive" else name


def check_hold_out(args: argparse.Namespace, read: Read, season: int) -> tuple[int, int]:
    """Steps of a forecast and of the hold-out: those that the user chose, or the defaults.

    Raises
    ------
    ValueError
        Numbers out of range; a hold-out that leaves too little.
    """
    T = min(len(each.values) for each in read.series)
    if season < 0:
        raise ValueError(f"--season must be 0 or more, got {season}")
    horizon = min(season or 12, max(1, T // 5)) if args.horizon is None else args.horizon
    if horizon < 1:
        raise ValueError(f"--horizon must be at least 1, got {horizon}")
    share = horizon if args.hold_out is None else args.hold_out
    hold_out = round(share * T) if 0 < share < 1 else share
    if not (hold_out >= 1 and hold_out % 1 == 0):
        raise ValueError(f"--hold-out must be a number of steps, or a share between 0 and 1, got {share:g}")
    left = T - int(hold_out)
    if left < max(2, season):
        need = f"the season of {season} needs as many" if season > 2 else "2 are needed"
        given = f"--horizon {horizon} holds out as many steps and" if args.hold_out is None else f"--hold-out {share:g}"
        raise ValueError(f"{given} leaves {max(0, left)} of {T} steps to train on: {need}")
    return horizon, int(hold_out)
