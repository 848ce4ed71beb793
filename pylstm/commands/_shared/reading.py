"""`open_table`: a CSV file by the options of a command, with progress while it is read."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pylstm.datasets import Table

TABLE = (
    "delimiter", "decimal", "thousands", "comment", "header", "missing", "interpolate", "time_column", "date_format",
    "utc", "sort",
)  # fmt: skip
"""Options of all commands that read a CSV file; a saved model has those of its training."""


AFTER = 1.0
"""Seconds of reading before it shows how far it is."""
TIMES = ("year", "date", "day", "datetime", "time", "timestamp", "ds")
"""Names of columns of numbers that are times where they rise or fall."""
MOSTLY = 0.75
"""Share of dates among the first fields of a column of dates: of the others a message names the line."""


def character(text: str) -> str:
    """The value of ``--delimiter``."""
    if len(text) != 1:
        raise argparse.ArgumentTypeError(f"must be one character, got {text!r}")
    return text


def add_table_options(parser: argparse.ArgumentParser, *, fill: bool) -> None:
    """Add the options of `TABLE`; `fill`: of series, whose steps are equal."""
    group = parser.add_argument_group("reading of a CSV file")
    add = group.add_argument
    add("--delimiter", type=character, metavar="C", help="field separator; default: detected")
    add("--decimal", choices=(".", ","), help="decimal sign of numbers; default: .")
    add("--thousands", type=character, metavar="C", help="separator of groups of three digits, such as ,")
    add("--comment", metavar="TEXT", help="leave out lines that begin with TEXT, such as #")
    add(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="the first line holds names, or is a row and the columns are called 1, 2, ...; default: names, and a "
        "line that looks like a row is refused",
    )
    add(
        "--missing",
        metavar="TEXT",
        action="append",
        help="what stands for a missing value besides NA and the like, such as -999 or .; may come again",
    )
    add(
        "--interpolate",
        action="store_true",
        default=None,
        help="interpolate missing values linearly; default: an error",
    )
    add("--time-column", metavar="NAME", help="column of numbers or dates; default: the first of dates, or a year")
    add("--date-format", metavar="FORM", help="how dates are written, such as %%d/%%m/%%Y; default: detected")
    add("--utc", action="store_true", default=None, help="take dates with offsets as of UTC; default: one offset only")
    add("--sort", action="store_true", default=None, help="sort the rows by time; default: they must rise")
    if fill:
        add(
            "--fill",
            choices=("linear", "previous", "zero", "none"),
            help="values of absent steps; none takes the rows as equal steps; default: absent steps are an error",
        )


def open_table(path: str, reading: Mapping[str, Any], names: tuple[str, ...]) -> Table:
    """Read a CSV file as `reading` says.

    Raises
    ------
    OSError, ValueError
        As `read_table`; a file that does not exist: lists the data sets, `names`, too.
    """
    from pylstm.datasets import read_table

    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: neither a file nor a data set (known: {', '.join(names)})")
    return read_table(
        path,
        delimiter=reading.get("delimiter"),
        decimal=reading.get("decimal") or ".",
        thousands=reading.get("thousands") or "",
        comment=reading.get("comment"),
        header=reading.get("header"),
        missing=reading.get("missing") or (),
        progress=reader_of(path),
    )


def reader_of(path: str) -> Callable[[float], None] | None:
    """Shows the share of a file that is read, on a terminal, when it has taken longer than `AFTER`."""
    if not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    start = time.monotonic()
    bars: list[Any] = []

    def show(share: float) -> None:
        if not bars and time.monotonic() - start < AFTER:
            return
        if not bars:
            name = os.path.basename(path).replace("{", "{{").replace("}", "}}")
            form = f"reading {name} {{percentage:3.0f}}%|{{bar}}| {{elapsed}}"
            bars.append(tqdm(total=1.0, bar_format=form, leave=False))
        if share < bars[0].n:  # the next pass
            bars[0].reset()
        bars[0].update(share - bars[0].n)
        if share >= 1:
            bars[0].refresh()
            bars[0].close()
            bars.clear()

    return show


def time_column_of(table: Table, reading: Mapping[str, Any], others: tuple[str, ...]) -> str | None:
    """The column of times: the one that was named, else the first of dates, else the index of a frame."""
    from pylstm.data.timestamps import looks_like_date

    named = reading.get("time_column")
    if named is not None:
        table.position(named)
        return str(named)
    head = table.head(20)
    columns = [(name, [row[at] for row in head]) for at, name in enumerate(table.names) if name not in others]
    dates = [name for name, fields in columns if sum(map(looks_like_date, fields)) > max(1, MOSTLY * len(fields))]
    counted = [name for name, fields in columns if name.lower() in TIMES and _counts(fields)]
    index = [table.names[0]] if table.unnamed and table.names[0] not in others else []
    return next(iter([*dates, *index, *counted]), None)


def note_times(table: Table, time: str | None, used: tuple[str | None, ...]) -> None:
    """Say so where no column is read as times, and one that is not used has the name of such."""
    if time is not None:
        return
    name = next((name for name in table.names if name not in used and name.lower() in TIMES), None)
    first = table.head(1)
    if name is None or not first:
        return
    field = first[0][table.position(name)]
    cure = "" if field.isdecimal() else f"; --time-column {name} --date-format FORM reads dates of a form"
    print(
        f"note: the column {name!r} is not read as times, it begins with {field!r}: the rows are taken as equal "
        f"steps{cure}",
        file=sys.stderr,
    )


def _counts(fields: list[str]) -> bool:
    """Whether they are integers that rise, or fall, all of them."""
    if len(fields) < 3 or not all(field.isdecimal() for field in fields):
        return False
    apart = [int(after) - int(before) for before, after in pairwise(fields)]
    return min(apart) > 0 or max(apart) < 0
