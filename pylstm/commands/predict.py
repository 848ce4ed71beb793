"""``pylstm predict MODEL [DATA]``: classes of sequences, or the steps that follow a series, as CSV or JSON."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterable, Sequence
from typing import Any

FORECAST_ONLY = {"steps": "--steps", "interval": "--interval", "plot": "--plot"}
MOST_STEPS = 100_000
"""Longest forecast: it is written when all its steps are there."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``predict`` to the command line."""
    from pylstm.commands._shared.trained import add_reading

    parser = subparsers.add_parser(
        "predict",
        help="classify sequences, or forecast a series",
        description="Write, as CSV, the class of each sequence of DATA, or the steps that follow the series DATA. "
        "Without DATA, the data of the training: its test part, or the whole series. Options that are not given are "
        "as in training.",
    )
    parser.add_argument("model", metavar="MODEL", help="a file of `pylstm train classify` or `pylstm train forecast`")
    parser.add_argument("data", nargs="?", metavar="DATA", help="a CSV file, or the name of a data set")
    add_reading(parser)
    parser.add_argument("--steps", type=int, metavar="N", help="steps to forecast (as in training)")
    parser.add_argument(
        "--interval",
        type=float,
        metavar="P",
        help="also print the interval that contains a share P of simulated continuations",
    )
    parser.add_argument("--plot", metavar="FILE", help="write the forecast as a figure (.png, .svg, .pdf)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of CSV")


def run(args: argparse.Namespace) -> int:
    """Run the command; the exit status: 0."""
    from pylstm.commands._shared.files import check_plot
    from pylstm.commands._shared.output import print_json
    from pylstm.commands._shared.trained import load_trained, reading_of

    check_plot(args.plot)
    if args.interval is not None and not 0 < args.interval < 1:
        raise ValueError(f"--interval must be between 0 and 1, got {args.interval:g}")
    task, model, about = load_trained(args.model)
    if task == "text":
        raise ValueError(f"{args.model}: holds a text model: use pylstm generate {args.model}")
    reading = reading_of(args, task, about)
    wrong = [option for name, option in FORECAST_ONLY.items() if getattr(args, name) is not None]
    if wrong and task != "forecast":
        raise ValueError(f"{wrong[0]}: not for a model of the task {task}")
    if task == "forecast":
        found, header, rows = _forecast(args, model, about, reading)
    else:
        found, header, rows = _classify(args, model, about, reading)
    if args.json:
        print_json({"task": task, "model": args.model} | found)
    else:
        _write(header, rows)
    return 0


def _write(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def _classify(
    args: argparse.Namespace, model: Any, about: dict[str, Any], reading: dict[str, Any]
) -> tuple[dict[str, Any], Sequence[str], Sequence[Sequence[Any]]]:
    from pylstm.commands._shared.sequences import NAMES, read_classification, read_groups
    from pylstm.commands._shared.trained import data_of

    source = data_of(args, about)
    if source in NAMES:
        x = read_classification(source, dict.fromkeys(reading), None, 0).x_test
        ids = [str(number) for number in range(len(x))]
    elif args.data is None:
        raise ValueError(f"{args.model} was trained on {source}: pass DATA")
    else:
        groups = read_groups(source, reading, labelled=False)
        x, ids = groups.x, groups.ids
    p = model.probabilities(x)
    best = p.argmax(axis=1)
    names = [model.classes[k] for k in best]
    found = [
        {"sequence": each, "predicted": name, "probabilities": dict(zip(model.classes, row.tolist()))}
        for each, name, row in zip(ids, names, p)
    ]
    rows = [(each, name, f"{row[k]:.6f}") for each, name, row, k in zip(ids, names, p, best)]
    return {"data": source, "sequences": found}, ("sequence", "predicted", "probability"), rows


def _forecast(
    args: argparse.Namespace, model: Any, about: dict[str, Any], reading: dict[str, Any]
) -> tuple[dict[str, Any], Sequence[str], Sequence[Sequence[Any]]]:
    from pylstm.commands._shared.series import NAMES, read_series
    from pylstm.commands._shared.trained import data_of

    source = data_of(args, about)
    series = read_series(source, {"every": reading["every"]} if source in NAMES else reading)
    steps = about.get("horizon", 1) if args.steps is None else args.steps
    if steps < 1:
        raise ValueError(f"--steps must be at least 1, got {steps}")
    if steps > MOST_STEPS:
        raise ValueError(f"--steps must be at most {MOST_STEPS:,}, got {steps:,}: for more, model.predict in Python")
    forecast = model.predict(steps, history=series.values)
    found = {"data": source, "column": series.name, "after": series.times[-1], "forecast": forecast.tolist()}
    header, columns = ["step", "forecast"], [forecast]
    ends = None
    if args.interval is not None:
        ends = model.predict_interval(steps, args.interval, history=series.values)
        found |= {"level": args.interval, "low": ends[0].tolist(), "high": ends[1].tolist()}
        header, columns = [*header, "low", "high"], [*columns, *ends]
    rows = [(k + 1, *(f"{value:.10g}" for value in values)) for k, values in enumerate(zip(*columns))]
    if args.plot:
        from pylstm.plots.fits import draw_future, new_figure, write

        figure, (axes,) = new_figure(1)
        draw_future(axes, series.values, forecast, ends, series.name, series.times)
        write(figure, args.plot)
        print(f"plot: {args.plot}", file=sys.stderr)
    return found, header, rows
