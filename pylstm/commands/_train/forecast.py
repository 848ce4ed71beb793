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
SHARE, PATIENCE = 0.2, 10
"""Validation and patience where nobody gave them: the back-test is there."""
LOSS = (
    "what the net says: mean_squared_error, huber, or a distribution, by the net alone: gaussian, student_t, poisson, "
    "negative_binomial, quantile, or quantiles such as 0.1,0.5,0.9"
)
EXAMPLES = (
    "pylstm train forecast co2",
    "pylstm train forecast flow.csv --column flow",
    "pylstm train forecast sales.csv --id shop --column sold --known price --fill zero",
    "pylstm train forecast calls.csv --loss negative_binomial",
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
        description="Train a net on a series without its end, weigh it by a back-test beside exponential smoothing and "
        "naive forecasts, forecast that end, and compare with the last value (naive) and the last season (seasonal "
        "naive). What is not given is chosen from the series. The same seed yields the same numbers.",
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
        help="steps of a season; default: 11 for sunspots, 12 or 52 for co2, by the dates or the values for a file",
    )
    options.add(
        "--difference",
        choices=("auto", "none", "step", "season"),
        default="auto",
        help="what the net sees: the series, or differences from the step or season before",
    )
    options.add(
        "--log", action=argparse.BooleanOptionalAction, help="the net sees logarithms; default: chosen from the series"
    )
    options.add("--window", type=int, metavar="W", help="steps that it reads; default: chosen from the series")
    options.add("--loss", type=loss_of, default="mean_squared_error", metavar="NAME", help=LOSS)
    options.add("--net-alone", action="store_true", help="forecast by the net alone, without a back-test beside others")
    options.net(hidden=32)
    options.training(epochs=100, batch_size=8, lr=5e-3)
    options.output(SAVE)
    options.add("--no-plot", action="store_true", help="write no picture")
    options.table(fill=True)


def loss_of(text: str) -> Any:
    """The value of ``--loss``: a name, or quantiles."""
    from pylstm.models.heads import head_of

    parts = text.split(",")
    try:
        loss = [float(each) for each in parts] if len(parts) > 1 else text
        head_of(loss)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("loss ")) from None
    return loss


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
    from pylstm.commands._shared.fitting import ended, noted, run_fit
    from pylstm.commands._shared.judging import check_hold_out, judge, print_report, report
    from pylstm.commands._shared.options import check_output, training_of
    from pylstm.commands._shared.output import print_json
    from pylstm.commands._shared.series import NAMES, READ, read_all, season_of
    from pylstm.saving import save

    picture = _picture(args)
    target = check_output(args, SERIES=None if args.series in NAMES else args.series)
    training = training_of(args)
    read = read_all(args.series, reading := {name: getattr(args, name) for name in READ})
    season = season_of(read) if args.season is None else args.season
    horizon, hold_out = check_hold_out(args, read, season)
    values = [each.values[: len(each.values) - hold_out] for each in read.series]
    known = [each[: len(own)] for each, own in zip(read.known, values)] if read.known[0].shape[1] else None
    model, difference, season = _model(args, values, known, season)
    training = ({"validation": SHARE, "patience": PATIENCE} if model.combine or model.head.spread else {}) | training
    _introduce(args, read, hold_out, season, difference, model)
    train: Any = values[0] if read.single else values
    with noted() as notes:
        history, number, fitted = run_fit(lambda **more: model.fit(train, known, **training, **more), args, **target)
    judged: dict[str, Any] = {"horizon": horizon, "hold_out": hold_out, "season": season}
    save(args.save, model, about=_about(args, read, reading) | judged)
    tests = judge(model, read, **judged)
    if args.json:
        found = {"task": "forecast", "data": args.series, "column": _named(read), "steps": len(read.series[0].values)}
        found |= {"filled": read.series[0].filled, **judged, "model": _describe(args, model, difference)}
        print_json(found | {"notes": notes} | fitted | report(tests, read) | {"saved": args.save})
    else:
        print(ended(fitted), *_chosen(model), *(f"note    {each}" for each in notes), sep="\n")
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
    from pylstm.commands._shared.continued import step_of
    from pylstm.commands._shared.series import NAMES, digest_of

    data = args.series if args.series in NAMES else os.path.abspath(args.series)
    about = {"task": "forecast", "data": data, "digest": digest_of(*read.series), "reading": reading}
    return about | {"columns": list(read.columns), "ids": read.ids} | step_of(read)


def _chosen(model: ForecastModel) -> list[str]:
    """What the forecasts are made of, the first series of several."""
    method = model.describe()
    more = f" (and {len(method) - 4} more)" if len(method) > 4 else ""
    return [f"method  {' | '.join(method[:4])}{more}"] if model.combine or model.head.spread else []


def _model(
    args: argparse.Namespace, series: list[Any], known: list[Any] | None, season: int
) -> tuple[ForecastModel, str, int]:
    """The model, what nobody gave chosen from the series, what it sees: "none", "step" or "season", and its season.

    That may be what the values repeat; baselines have what the model has.
    """
    from pylstm.commands._shared.options import sizes_of
    from pylstm.forecasting.choosing import choose
    from pylstm.forecasting.forecast_model import ForecastModel
    from pylstm.models.heads import head_of

    head, steps = head_of(args.loss), min(map(len, series))
    if args.window is not None and not 1 <= args.window < steps:
        raise ValueError(f"--window must be from 1 to {steps - 1}, below the steps to train on, got {args.window}")
    if args.difference == "season" and not season:
        raise ValueError("--difference season needs --season N")
    asked = "none" if head.counts and args.difference == "auto" else args.difference
    given: dict[str, Any] = {"season": {"auto": None, "season": season}.get(asked, 0)}
    given |= {"difference": {"auto": None, "step": 1}.get(asked, 0), "window": args.window}
    given |= {"log": False if head.counts and args.log is None else args.log}
    given |= {"cycle": (season or None) if args.season is None else season}
    chosen = choose(series, known, **given)
    difference = "season" if chosen.season else "step" if chosen.difference else "none"
    model = ForecastModel(
        args.cell,
        args.hidden,
        window=chosen.window,
        season=chosen.season,
        difference=chosen.difference,
        log=chosen.log,
        cycle=chosen.cycle,
        combine=not head.spread and not args.net_alone,
        loss=args.loss,
        num_layers=args.layers,
        dropout=args.dropout,
        dtype=args.dtype,
        seed=args.seed,
        **sizes_of(args),
    )
    return model, difference, model.cycle


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
        f"{' of logarithms' if model.preparation.log else ''}, {model.window} steps of them"
        f"{f', season {season}' if season else ''}"
        f"{f', loss {args.loss}' if args.loss != 'mean_squared_error' else ''}"
        f"{f', inputs {chr(44).join(args.known)}' if args.known else ''}",
    )


def _describe(args: argparse.Namespace, model: ForecastModel, difference: str) -> dict[str, Any]:
    settings = {name: getattr(args, name) for name in ("cell", "hidden", "layers", "dropout", "dtype", "seed", "loss")}
    size, ready = sum(each.size for each in model.net.params), model.preparation
    settings |= {"log": ready.log, "season": ready.season, "cycle": model.cycle, "method": model.describe()}
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
        from pylstm.commands._shared.fitting import noted
        from pylstm.commands._shared.judging import forecast_all

        n = min(ahead, test.horizon)
        held = model.combine or model.head.spread or len(model.residuals) > 0  # what an interval can be made of
        with noted():  # the picture need not say that its ends are extrapolated
            point, ends = forecast_all(model, read, n)[0], intervals(model, read, n, LEVEL)[0] if held else None
        name = f"{read.names()[0]}, {LEVEL:.0%} interval" if held else read.names()[0]
        times = [*series.times, *read.after(0, n)]
        draw_future(panels[2], series.values, point, ends, name, times)
    write(figure, path)
