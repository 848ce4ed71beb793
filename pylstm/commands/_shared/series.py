"""Series for ``forecast``: a data set by its name, or a column of a CSV file."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pylstm.datasets import Series, Table
    from pylstm.forecasting.backtest import Backtest

NAMES = ("co2", "sunspots")
CYCLE = 11
"""Years of a solar cycle, about: season of the baseline of the sunspots."""


def read_series(name: str, options: dict[str, Any]) -> Series:
    """A series.

    Parameters
    ----------
    name : str
        One of `NAMES`, or a CSV file.
    options : dict
        Those of the command: ``column``, ``time_column``, ``delimiter``, ``interpolate``, ``every``.

    Raises
    ------
    OSError, ValueError, ModuleNotFoundError
        As `read_table` and the loaders; options that do not go with the series; a time that goes backwards.
    """
    from pylstm.datasets import co2, sunspots

    given = [f"--{key.replace('_', '-')}" for key, value in options.items() if value]
    if name not in NAMES:
        if options.get("every"):
            raise ValueError("--every applies only to the data set co2")
        return _read_file(name, options)
    wrong = [option for option in given if option != "--every" or name != "co2"]
    if wrong:
        raise ValueError(f"{' and '.join(wrong)}: not for the data set {name}")
    return sunspots() if name == "sunspots" else co2(options.get("every") or "month")


def season_of(series: Series) -> int:
    """Default number of steps of a season for the baseline."""
    return CYCLE if series.name == "sunspots" else series.season


def digest_of(series: Series) -> str:
    """Digest of a series."""
    return hashlib.sha256(series.values.tobytes()).hexdigest()[:16]


def _read_file(path: str, options: dict[str, Any]) -> Series:
    from pylstm.datasets import Series, read_table
    from pylstm.datasets.bundled import Times

    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: neither a file nor a data set (known: {', '.join(NAMES)})")
    table = read_table(path, delimiter=options.get("delimiter"))
    time = options.get("time_column")
    others = [name for name in table.names if name != time]
    column = options.get("column")
    if column is None:
        if len(others) != 1:
            raise ValueError(f"{path}: name the column of the series: --column {' or '.join(others)}")
        column = others[0]
    measured = table.numbers([column], gaps=bool(options.get("interpolate")))
    values, missing = table.interpolated(measured, [column])[:, 0], int(np.isnan(measured).sum())
    times = np.arange(1, len(values) + 1) if time is None else table.packed(time)
    if time is not None:
        _check_time(table, time, times)
    return Series(column, os.path.basename(path), values, Times(times), 0, missing)


def _check_time(table: Table, name: str, times: np.ndarray) -> None:
    """Reject numbers or ISO dates that do not rise: files with the newest row first are common."""
    from pylstm.datasets.bundled import Times

    try:
        keys = times.astype(np.float64)
    except ValueError:
        if not all(re.match(r"\d{4}-\d\d", each) for each in Times(times)):
            return
        keys = times
    wrong = np.flatnonzero(~(keys[1:] > keys[:-1]))
    if wrong.size:
        k, said = int(wrong[0]), Times(times)
        place = table.place(table.lines[k + 1], table.position(name))
        raise ValueError(f"{place}: {said[k + 1]!r} is not after {said[k]!r}: sort the rows by time")


def report(test: Backtest) -> dict[str, Any]:
    """A backtest as a dict for JSON."""
    return {
        "errors": {name.replace(" ", "_"): each for name, each in test.errors().items()},
        "mae_ratio_to": {name.replace(" ", "_"): each for name, each in test.ratios().items()},
        "measured": test.measured.tolist(),
        "forecast": test.forecasts["model"].tolist(),
    }


def print_report(test: Backtest, series: Series, season: int) -> None:
    """Print a backtest as a table."""
    from pylstm.commands._shared.output import print_table

    n, times = len(test.measured), series.times
    print(
        f"hold-out: the last {n} steps, {times[-n]}..{times[-1]}, forecast {min(n, test.horizon)} at a time from what "
        "was measured before"
    )
    ratios, rows = test.ratios(), []
    for name, error in test.errors().items():
        label = f"{name} ({season} steps)" if name == "seasonal naive" else name
        ratio = f"{ratios[name]:.3f}" if name in ratios else ""
        rows.append((label, f"{error['mae']:.4g}", f"{error['rmse']:.4g}", ratio))
    print_table(("forecast", "MAE", "RMSE", "MAE of the model / this"), rows)


def check_hold_out(args: argparse.Namespace, series: Series, season: int) -> tuple[int, int]:
    """Steps of a forecast and of the hold-out: those that the user chose, or the defaults.

    Raises
    ------
    ValueError
        Numbers out of range; a hold-out that leaves too little.
    """
    T = len(series.values)
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
