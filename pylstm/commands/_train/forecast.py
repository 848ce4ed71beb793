"""``pylstm train forecast SERIES``: train a forecaster, and compare it with the naive baselines."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylstm.datasets import Series
    from pylstm.forecasting.forecast_model import ForecastModel

SAVE = "pylstm-forecast.safetensors"
READ = ("column", "time_column", "delimiter", "interpolate", "every")
"""Options of what is read; the saved model records them."""


def add_parser(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``forecast`` to ``train``."""
    from pylstm.commands._shared.options import Options

    parser = tasks.add_parser(
        "forecast",
        help="forecast a series",
        description="Train a net on a series without its end, forecast that end step by step, and compare "
        "with the last value (naive) and the last season (seasonal naive). The same seed yields the same numbers.",
    )
    options = Options(parser)
    options.add("series", metavar="SERIES", help="sunspots (yearly), co2 (monthly or weekly), or a CSV file")
    options.add("--column", metavar="NAME", help="of a CSV file: what to forecast")
    options.add("--time-column", metavar="NAME", help="of a CSV file: must rise from row to row; not used otherwise")
    options.add("--every", choices=("month", "week"), help="of co2; default: month")
    options.table()
    options.add("--horizon", type=int, metavar="N", help="steps of a forecast; default: a season, or 12")
    options.add("--hold-out", type=float, metavar="N", help="steps at the end, or a share; default: one horizon")
    options.add(
        "--season",
        type=int,
        metavar="N",
        help="season of the baseline; default: 11 for sunspots, 12 or 52 for co2, none for a file",
    )
    options.add(
        "--difference",
        choices=("auto", "none", "step", "season"),
        default="auto",
        help="what the net sees: the series, or differences from the step or season before",
    )
    options.add("--log", action="store_true", help="the net sees logarithms")
    options.add("--window", type=int, metavar="W", help="steps that it reads; default: 4 seasons, or 48")
    options.net(hidden=32)
    options.training(epochs=100, batch_size=8, lr=5e-3)
    options.output(SAVE)


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0, 130 after Ctrl-C, 143 after SIGTERM."""
    from pylstm.commands._shared.files import drop_checkpoint, exit_status
    from pylstm.commands._shared.fitting import ended, run_fit
    from pylstm.commands._shared.options import check_output, training_of
    from pylstm.commands._shared.output import print_json
    from pylstm.commands._shared.series import NAMES, check_hold_out, print_report, read_series, report, season_of
    from pylstm.forecasting.backtest import backtest
    from pylstm.saving import save

    target = check_output(args, SERIES=None if args.series in NAMES else args.series)
    training = training_of(args)
    series = read_series(args.series, {name: getattr(args, name) for name in READ})
    season = season_of(series) if args.season is None else args.season
    horizon, hold_out = check_hold_out(args, series, season)
    train = series.values[: len(series.values) - hold_out]
    if args.window is not None and not 1 <= args.window < len(train):
        raise ValueError(f"--window must be from 1 to {len(train) - 1}, below the steps to train on, got {args.window}")
    model, difference = _model(args, train, season)
    _introduce(args, series, hold_out, difference, model)
    history, number, fitted = run_fit(lambda **more: model.fit(train, **training, **more), args, **target)
    judged = {"horizon": horizon, "hold_out": hold_out, "season": season}
    save(args.save, model, about=_about(args, series) | judged)
    test = backtest(model, series.values, **judged)
    if args.json:
        found = {"task": "forecast", "data": args.series, "column": series.name, "steps": len(series.values)}
        found |= {"filled": series.filled, **judged, "model": _describe(args, model, difference)}
        print_json(found | fitted | report(test) | {"saved": args.save})
    else:
        print(ended(fitted))
        print_report(test, series, season)
        print(f"saved   {args.save}")
    if args.plot:
        _plot(args.plot, series, history, test)
    drop_checkpoint(args, target.get("checkpoint"), number)
    return exit_status(number)


def _about(args: argparse.Namespace, series: Series) -> dict[str, Any]:
    """The file's record of the training data, for `pylstm evaluate` and `pylstm predict`."""
    from pylstm.commands._shared.series import NAMES, digest_of

    data = args.series if args.series in NAMES else os.path.abspath(args.series)
    reading = {name: getattr(args, name) for name in READ}
    return {"task": "forecast", "data": data, "digest": digest_of(series), "reading": reading}


def _model(args: argparse.Namespace, train: Any, season: int) -> tuple[ForecastModel, str]:
    """The model, and what it sees: "none", "step" or "season"."""
    from pylstm.commands._shared.options import sizes_of
    from pylstm.forecasting.backtest import find_differences
    from pylstm.forecasting.forecast_model import ForecastModel

    difference = find_differences(train, season) if args.difference == "auto" else args.difference
    if difference == "season" and not season:
        raise ValueError("--difference season needs --season N")
    model = ForecastModel(
        args.cell,
        args.hidden,
        window=args.window if args.window is not None else min(4 * season or 48, max(2, len(train) // 2)),
        season=season if difference == "season" else 0,
        difference=1 if difference == "step" else 0,
        log=args.log,
        num_layers=args.layers,
        dropout=args.dropout,
        dtype=args.dtype,
        seed=args.seed,
        **sizes_of(args),
    )
    return model, difference


def _introduce(args: argparse.Namespace, series: Series, hold_out: int, difference: str, model: ForecastModel) -> None:
    from pylstm.commands._shared.files import say

    filled = f"; {series.filled} missing values interpolated" if series.filled else ""
    sees = {
        "none": "the values",
        "step": "differences to the step before",
        "season": "differences from the season before",
    }
    layers = f"{args.layers} layers of " if args.layers > 1 else ""
    say(
        args,
        f"series  {series.name} of {series.source}: {len(series.values)} steps, {series.times[0]}..{series.times[-1]}"
        f"{filled}; the last {hold_out} held out",
        f"model   {args.cell}, {layers}{args.hidden} units, {args.dtype}, seed {args.seed}; sees {sees[difference]}"
        f"{' of logarithms' if args.log else ''}, {model.window} steps of them",
    )


def _describe(args: argparse.Namespace, model: ForecastModel, difference: str) -> dict[str, Any]:
    settings = {name: getattr(args, name) for name in ("cell", "hidden", "layers", "dropout", "dtype", "seed", "log")}
    size = sum(each.size for each in model.net.params)
    return settings | {"parameters": size, "window": model.window, "difference": difference}


def _plot(path: str, series: Series, history: Any, test: Any) -> None:
    from pylstm.plots.fits import draw_forecast, draw_losses, new_figure, write

    figure, (left, right) = new_figure(2)
    per_epoch = len(history.steps) // max(1, len(history.loss))
    draw_losses(
        left, history.steps, per_epoch=per_epoch, validation=history.validation_loss, unit="squared error, standardised"
    )
    draw_forecast(right, series.values, len(test.measured), test.forecasts, series.name, series.times)
    write(figure, path)
    print(f"plot: {path}", file=sys.stderr)
