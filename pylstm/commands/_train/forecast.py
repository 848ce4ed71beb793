"""``pylstm train forecast SERIES``: train a forecaster, and compare it with the naive baselines."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylstm.commands._shared.options import Options
    from pylstm.commands._shared.series import Read
    from pylstm.forecasting.forecast_model import ForecastModel

SAVE = "pylstm-forecast.safetensors"
LEVEL = 0.9
"""Level of the interval in the picture."""
EXAMPLES = (
    "pylstm train forecast co2",
    "pylstm train forecast flow.csv --column flow",
    "pylstm train forecast sales.csv --id shop --column sold --known price --fill zero",
    "pylstm train forecast messwerte.csv --decimal , --date-format %d.%m.%Y --sort --horizon 24",
)
REMARK = (
    "Where matplotlib is installed (pip install 'pylstm[plot]'), a picture is pylstm-forecast.png.\n"
    "The steps to come: pylstm predict pylstm-forecast.safetensors --interval 0.9"
)


def add_parser(tasks: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``forecast`` to ``train``."""
    from pylstm.commands._shared.examples import with_examples
    from pylstm.commands._shared.options import Options

    parser = tasks.add_parser(
        "forecast",
        help="forecast a series",
        description="Train a net on a series without its end, forecast that end step by step, and compare "
        "with the last value (naive) and the last season (seasonal naive). The same seed yields the same numbers.",
        **with_examples(*EXAMPLES, remark=REMARK),
    )
    options = Options(parser)
    _add_data(options)
    options.add("--horizon", type=int, metavar="N", help="steps of a forecast; default: a season, or 12")
    options.add("--hold-out", type=float, metavar="N", help="steps at the end, or a share; default: one horizon")
    options.add(
        "--season",
        type=int,
        metavar="N",
        help="steps of a season; default: 11 for sunspots, 12 or 52 for co2, by the dates for a file",
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
    options.add("--no-plot", action="store_true", help="write no picture")
    options.table(fill=True)


def _add_data(options: Options) -> None:
    """Data, and columns of a file."""
    options.add("series", metavar="SERIES", help="sunspots (yearly), co2 (monthly or weekly), or a CSV file")
    options.add("--column", metavar="NAME", action="append", help="of a CSV file: what to forecast; may come again")
    options.add("--id", metavar="NAME", help="of a CSV file: column that says which series a row belongs to")
    options.add(
        "--known",
        metavar="NAME",
        action="append",
        help="of a CSV file: column of inputs that are known of the steps to come; may come again",
    )
    options.add("--every", choices=("month", "week"), help="of co2; default: month")


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0, 130 after Ctrl-C, 143 after SIGTERM."""
    from pylstm.commands._shared.files import drop_checkpoint, exit_status
    from pylstm.commands._shared.fitting import ended, run_fit
    from pylstm.commands._shared.judging import check_hold_out, judge, print_report, report
    from pylstm.commands._shared.options import check_output, training_of
    from pylstm.commands._shared.output import print_json
    from pylstm.commands._shared.series import NAMES, READ, read_all, season_of
    from pylstm.saving import save

    picture = _picture(args)
    target = check_output(args, SERIES=None if args.series in NAMES else args.series)
    training = training_of(args)
    reading = {name: getattr(args, name) for name in READ}
    read = read_all(args.series, reading)
    season = season_of(read) if args.season is None else args.season
    horizon, hold_out = check_hold_out(args, read, season)
    values = [each.values[: len(each.values) - hold_out] for each in read.series]
    known = [each[: len(own)] for each, own in zip(read.known, values)] if read.known[0].shape[1] else None
    model, difference = _model(args, min(values, key=len), season)
    _introduce(args, read, hold_out, season, difference, model)
    train: Any = values[0] if read.single else values
    history, number, fitted = run_fit(lambda **more: model.fit(train, known, **training, **more), args, **target)
    judged = {"horizon": horizon, "hold_out": hold_out, "season": season}
    save(args.save, model, about=_about(args, read, reading) | judged)
    tests = judge(model, read, hold_out=hold_out, horizon=horizon, season=season)
    if args.json:
        found = {"task": "forecast", "data": args.series, "column": _named(read), "steps": len(read.series[0].values)}
        found |= {"filled": read.series[0].filled, **judged, "model": _describe(args, model, difference)}
        print_json(found | fitted | report(tests, read) | {"saved": args.save})
    else:
        print(ended(fitted))
        print_report(tests, read, season)
    if picture:
        _plot(picture, model, read, history, tests)
        print(*(("plot:", picture) if args.plot else ("picture", picture)), file=sys.stderr if args.plot else None)
    if not args.json:
        print(f"saved   {args.save}")
    drop_checkpoint(args, target.get("checkpoint"), number)
    return exit_status(number)


def _picture(args: argparse.Namespace) -> Any:
    """The path of the picture: as `--plot` says, else beside the model where matplotlib is installed."""
    import importlib.util

    if args.plot or args.no_plot or args.json or args.quiet or importlib.util.find_spec("matplotlib") is None:
        return None if args.no_plot else args.plot
    return os.path.splitext(args.save)[0] + ".png"


def _named(read: Read) -> Any:
    return read.columns[0] if len(read.columns) == 1 else list(read.columns)


def _about(args: argparse.Namespace, read: Read, reading: dict[str, Any]) -> dict[str, Any]:
    """The file's record of the training data, for `pylstm evaluate` and `pylstm predict`."""
    from pylstm.commands._shared.series import NAMES, digest_of

    data = args.series if args.series in NAMES else os.path.abspath(args.series)
    about = {"task": "forecast", "data": data, "digest": digest_of(*read.series), "reading": reading}
    return about | {"columns": list(read.columns)}


def _model(args: argparse.Namespace, train: Any, season: int) -> tuple[ForecastModel, str]:
    """The model, and what it sees: "none", "step" or "season"."""
    from pylstm.commands._shared.options import sizes_of
    from pylstm.forecasting.backtest import find_differences
    from pylstm.forecasting.forecast_model import ForecastModel

    if args.window is not None and not 1 <= args.window < len(train):
        raise ValueError(f"--window must be from 1 to {len(train) - 1}, below the steps to train on, got {args.window}")
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


def _introduce(
    args: argparse.Namespace, read: Read, hold_out: int, season: int, difference: str, model: ForecastModel
) -> None:
    from pylstm.commands._shared.files import say

    series = read.series[0]
    filled = f"; {series.filled} missing values interpolated" if series.filled else ""
    filled += f"; {read.absent} absent steps filled" if read.absent else ""
    sees = {
        "none": "the values",
        "step": "differences to the step before",
        "season": "differences from the season before",
    }
    layers = f"{args.layers} layers of " if args.layers > 1 else ""
    lengths = sorted({len(each.values) for each in read.series})
    steps = f"{lengths[0]}..{lengths[-1]}" if len(lengths) > 1 else str(lengths[0])
    what = series.name if read.single else f"{len(read.series)}, {', '.join(read.columns)}"
    every = f" of one {read.steps[0]} by {read.time!r}" if read.time and read.steps and read.form else ""
    span = f", {series.times[0]}..{series.times[-1]}" if read.single else ""
    say(
        args,
        f"series  {what} of {read.source}: {steps} steps{every}{span}{filled}; the last {hold_out} held out",
        f"model   {args.cell}, {layers}{args.hidden} units, {args.dtype}, seed {args.seed}; sees {sees[difference]}"
        f"{' of logarithms' if args.log else ''}, {model.window} steps of them"
        f"{f', season {season}' if season else ''}"
        f"{f', inputs {chr(44).join(args.known)}' if args.known else ''}",
    )


def _describe(args: argparse.Namespace, model: ForecastModel, difference: str) -> dict[str, Any]:
    settings = {name: getattr(args, name) for name in ("cell", "hidden", "layers", "dropout", "dtype", "seed", "log")}
    size = sum(each.size for each in model.net.params)
    return settings | {"parameters": size, "window": model.window, "difference": difference}


def _plot(path: str, model: ForecastModel, read: Read, history: Any, tests: Any) -> None:
    """Losses, the back-test, and what follows the series with its interval; of several series the first."""
    from pylstm.commands._shared.judging import intervals
    from pylstm.plots.fits import draw_forecast, draw_future, draw_losses, new_figure, write

    series, test = read.series[0], tests[0]
    ahead = len(read.known[0]) - len(series.values) if read.known[0].shape[1] else test.horizon
    figure, panels = new_figure(3 if ahead else 2)
    per_epoch = len(history.steps) // max(1, len(history.loss))
    draw_losses(
        panels[0],
        history.steps,
        per_epoch=per_epoch,
        validation=history.validation_loss,
        unit="squared error, standardised",
    )
    draw_forecast(panels[1], series.values, len(test.measured), test.forecasts, read.names()[0], series.times)
    if ahead:
        from pylstm.commands._shared.judging import forecast_all

        n = min(ahead, test.horizon)
        held = len(model.residuals) > 0  # without --validation there are no errors to make intervals of
        point, ends = forecast_all(model, read, n)[0], intervals(model, read, n, LEVEL)[0] if held else None
        name = f"{read.names()[0]}, {LEVEL:.0%} interval" if held else read.names()[0]
        times = [*series.times, *read.after(0, n)]
        draw_future(panels[2], series.values, point, ends, name, times)
    write(figure, path)
