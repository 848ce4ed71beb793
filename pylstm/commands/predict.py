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
MOST_PANELS = 6
"""Most series in one figure."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``predict`` to the command line."""
    from pylstm.commands._shared.examples import with_examples
    from pylstm.commands._shared.trained import add_reading

    parser = subparsers.add_parser(
        "predict",
        help="classify sequences, or forecast a series",
        description="Write, as CSV, the class of each sequence of DATA, or the steps that follow the series DATA. "
        "Without DATA, the data of the training: its test part, or the whole series. Options that are not given are "
        "as in training.",
        **with_examples(
            "pylstm predict pylstm-forecast.safetensors --steps 24 --interval 0.9 > next.csv",
            "pylstm predict pylstm-forecast.safetensors newer.csv --plot next.png",
            "pylstm predict pylstm-forecast.safetensors promotions-to-come.csv",
            "pylstm predict pylstm-classify.safetensors new.csv",
            remark="A forecast has the column of times and the columns of the training. A model with known inputs\n"
            "(--known) needs a file that has these of the steps to come: alone, to follow the series of the training,\n"
            "or in rows at the end of a series that have nothing in the column to forecast.",
        ),
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
    from pylstm.commands._shared.sequences import NAMES, check_features, read_classification, read_groups
    from pylstm.commands._shared.trained import data_of

    source = data_of(args, about)
    if source in NAMES:
        x = read_classification(source, dict.fromkeys(reading), None, 0).x_test
        ids = [str(number) for number in range(len(x))]
    elif args.data is None:
        raise ValueError(f"{args.model} was trained on {source}: pass DATA")
    else:
        groups = read_groups(source, reading, labelled=False)
        check_features(model, groups, reading, source)
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
    from pylstm.commands._shared.ahead import read_ahead
    from pylstm.commands._shared.continued import read_other
    from pylstm.commands._shared.fitting import noted
    from pylstm.commands._shared.judging import forecast_all, intervals
    from pylstm.commands._shared.series import in_order
    from pylstm.commands._shared.trained import data_of

    source = data_of(args, about)
    ahead = None if args.data is None or "data" not in about else read_ahead(source, str(about["data"]), reading)
    read = read_other(source, reading, about) if ahead is None else in_order(ahead, about.get("ids"))
    steps = _steps(args, about, read)
    with noted() as notes:
        forecasts = forecast_all(model, read, steps)
        ends = intervals(model, read, steps, args.interval) if args.interval is not None else None
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    found: dict[str, Any] = {"data": source, "time": read.time, "id": read.id_column}
    each = [
        {"after": series.times[-1], "times": read.after(k, steps), "forecast": forecasts[k].tolist()}
        | ({} if ends is None else {"low": ends[k][0].tolist(), "high": ends[k][1].tolist()})
        for k, series in enumerate(read.series)
    ]
    column = read.columns[0] if len(read.columns) == 1 else list(read.columns)
    found |= {"column": column} | ({} if args.interval is None else {"level": args.interval})
    found |= each[0] if read.single else {"series": dict(zip(read.names(), each))}
    if args.plot:
        from pylstm.plots.fits import draw_future, new_figure, write

        figure, panels = new_figure(min(len(read.series), MOST_PANELS))
        for k, (axes, series, name) in enumerate(zip(panels, read.series, read.names())):
            times = [*series.times, *read.after(k, steps)]
            draw_future(axes, series.values, forecasts[k], ends and ends[k], name, times)
        write(figure, args.plot)
        print(f"plot: {args.plot}", file=sys.stderr)
    return found, *_rows(read, forecasts, ends, steps)


def _steps(args: argparse.Namespace, about: dict[str, Any], read: Any) -> int:
    """Steps to forecast: as many as were asked for, or as inputs are known of."""
    steps = about.get("horizon", 1) if args.steps is None else args.steps
    if steps < 1:
        raise ValueError(f"--steps must be at least 1, got {steps}")
    if steps > MOST_STEPS:
        raise ValueError(f"--steps must be at most {MOST_STEPS:,}, got {steps:,}: for more, model.predict in Python")
    if read.known[0].shape[1]:
        rest = [len(known) - len(each.values) for known, each in zip(read.known, read.series)]
        ahead = min(rest)
        if ahead < (args.steps or 1):
            of = f" of {read.names()[rest.index(ahead)]!r}" if read.ids else ""
            raise ValueError(
                f"{read.source}: has the inputs of {ahead} steps to come{of}, {args.steps or 1} are needed: add rows "
                f"with them at the end, the column {read.columns[0]!r} empty"
            )
        return int(min(steps, ahead))
    return int(steps)


def _rows(
    read: Any, forecasts: list[Any], ends: list[Any] | None, steps: int
) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
    """Header and rows of the CSV: id, time, and each column, with the ends of its interval."""
    several = len(read.columns) > 1
    header = [*([read.id_column] if read.ids else []), read.heading]
    for name in read.columns:
        header += [name, *((f"{name}_low", f"{name}_high") if several else ("low", "high"))[: 2 * (ends is not None)]]
    rows, K = [], len(read.columns)
    for which, name in enumerate(read.ids or [None]):
        times = read.after(which * K, steps)
        columns: list[Any] = []
        for k in range(which * K, which * K + K):
            columns += [forecasts[k], *(ends[k] if ends is not None else ())]
        for time, *values in zip(times, *columns):
            rows.append((*([] if name is None else [name]), time, *(f"{value:.10g}" for value in values)))
    return header, rows
