"""Series for ``forecast``: a data set by its name, or columns of a CSV file."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.commands._shared.reading import TABLE, TIMES, note_times, open_table, time_column_of
from pylstm.commands._shared.undated import counted_column, refuse_parts
from pylstm.wording import some_of

if TYPE_CHECKING:
    from pylstm.data.calendar import Steps
    from pylstm.data.panel import Panel, RowError
    from pylstm.data.timestamps import DateForm
    from pylstm.datasets import Series, Table

NAMES = ("co2", "sunspots")
READ = ("column", "id", "known", *TABLE, "fill", "every")
"""Options of what is read; the saved model records them."""
FIRST = 5000
"""Rows that are looked at for ids."""
_CLOCK = re.compile(r"\d{1,2}:\d\d(:\d\d([.,]\d+)?)?( ?[ap]m)?")
CYCLE = 11
"""Years of a solar cycle, about: season of the baseline of the sunspots."""


@dataclass(frozen=True)
class Before:
    """Times of the training: the `steps` of its dates or numbers, and the `form` of dates; None without times."""

    steps: Steps | None = None
    form: str | None = None


@dataclass
class Read:
    """Series of one command.

    Attributes
    ----------
    source : str
        Where they are from.
    columns : tuple of str
        What is forecast.
    series : list of Series
        One for each id and column, ids first.
    known : list of ndarray, shape (T_i + n, M)
        Inputs of each, also of the steps to come; of no columns where there are none.
    ids : list of str
        Empty where there is one series of each column.
    time : str, optional
        Name of the column of times.
    steps : list of Steps, and form : DateForm
        Of the times of each id.
    absent : int
        Steps that were filled.
    """

    source: str
    columns: tuple[str, ...]
    series: list[Series]
    known: list[np.ndarray]
    ids: list[str] = field(default_factory=list)
    time: str | None = None
    id_column: str | None = None
    steps: list[Steps] = field(default_factory=list)
    form: DateForm | None = None
    absent: int = 0

    @property
    def single(self) -> bool:
        """Whether it is one series."""
        return len(self.series) == 1

    def names(self) -> list[str]:
        """What each series is called in messages and tables."""
        if not self.ids:
            return list(self.columns)
        several = len(self.columns) > 1
        return [f"{name} {column}" if several else name for name in self.ids for column in self.columns]

    @property
    def heading(self) -> str:
        """What the times of a forecast are called: as the column of times, or steps."""
        return self.time if self.time and self.steps[0].known else "step"

    def after(self, which: int, n: int) -> list[str]:
        """Times of the n steps after the end of a series; their numbers, which go on, where it has none."""
        steps = self.steps[which // len(self.columns)] if self.steps else None
        if steps is None or not steps.known:
            T = len(self.series[which].values)
            return [str(k + 1) for k in range(T, T + n)]
        return _times_after(steps, self.form, len(self.series[which].values), n)


def in_order(read: Read, ids: list[str] | None) -> Read:
    """The series in the order of `ids`, those of the training data: a model has a scale and a method for each.

    Raises
    ------
    ValueError
        The file has others.
    """
    if not ids or not read.ids or read.ids == ids:
        return read
    if sorted(read.ids) != sorted(ids):
        known, got = (some_of(map(repr, each)) for each in (ids, read.ids))
        raise ValueError(
            f"{read.source}: holds the series {got}, and the model was trained on {known}: pass a file with these, or "
            "train on the others"
        )
    K, places = len(read.columns), [read.ids.index(name) for name in ids]
    order = [place * K + k for place in places for k in range(K)]
    return replace(
        read,
        series=[read.series[k] for k in order],
        known=[read.known[k] for k in order],
        ids=list(ids),
        steps=[read.steps[place] for place in places] if read.steps else [],
    )


def _times_after(steps: Steps, form: DateForm | None, T: int, n: int) -> list[str]:
    from pylstm.data.timestamps import written

    return written(steps.at(np.arange(T, T + n)), form)


def read_all(name: str, options: dict[str, Any], before: Before | None = None) -> Read:
    """Series of a data set or a file; `options` gets the names of the columns that were found.

    Parameters
    ----------
    name : str
        One of `NAMES`, or a CSV file.
    options : dict
        Those of the command, see `READ`.
    before : Before, optional
        Of the training, which says how to read times where the file does not.

    Raises
    ------
    OSError, ValueError, ModuleNotFoundError
        As `read_table` and the loaders; options that do not go with the series; times that do not rise evenly.
    """
    from pylstm.datasets import co2, sunspots

    given = [f"--{key.replace('_', '-')}" for key, value in options.items() if value]
    if name not in NAMES:
        if options.get("every"):
            raise ValueError("--every applies only to the data set co2")
        return _read_file(name, options, before or Before())
    wrong = [option for option in given if option != "--every" or name != "co2"]
    if wrong:
        raise ValueError(f"{' and '.join(wrong)}: not for the data set {name}")
    series = sunspots() if name == "sunspots" else co2(options.get("every") or "month")
    found = Read(series.source, (series.name,), [series], [np.empty((len(series.values), 0))])
    found.time = {"sunspots": "year"}.get(name, options.get("every") or "month")
    _set_steps(found, np.array(series.times, "S"))
    return found


def read_series(name: str, options: dict[str, Any]) -> Series:
    """The result of `read_all` where it is one series.

    Raises
    ------
    OSError, ValueError, ModuleNotFoundError
        As `read_all`; several series.
    """
    found = read_all(name, options)
    if not found.single:
        raise ValueError(f"{name}: holds {len(found.series)} series, one is needed: pass --column NAME")
    return found.series[0]


def _set_steps(found: Read, texts: np.ndarray) -> None:
    from pylstm.data.calendar import steps_of
    from pylstm.data.timestamps import read_times

    times, found.form = read_times(texts)
    found.steps = [steps_of(times)]


SEASONS = {"month": 12, "quarter": 4, "week": 52, "day": 7, "business day": 5, "hour": 24, "30 min": 48, "15 min": 96}
"""Steps of a season by the step of the dates."""


def season_of(read: Read) -> int:
    """Default number of steps of a season: of a data set its own, of a file by the step of its dates; 0 for none."""
    series = read.series[0]
    if series.name == "sunspots" and read.source == "statsmodels":
        return CYCLE
    if series.season or not read.steps or read.form is None:
        return series.season
    season = SEASONS.get(str(read.steps[0]), 0)
    return season if min(len(each.values) for each in read.series) >= 3 * season else 0


def digest_of(*several: Series) -> str:
    """Digest of series."""
    found = hashlib.sha256()
    for series in several:
        found.update(series.values.tobytes())
    return found.hexdigest()[:16]


def _read_file(path: str, options: dict[str, Any], before: Before) -> Read:
    from pylstm.data.panel import RowError, panel_of
    from pylstm.data.timestamps import written
    from pylstm.datasets.groups import at_row

    table = open_table(path, options, NAMES)
    known, owner = list(options.get("known") or ()), options.get("id")
    for name in (*([owner] if owner else ()), *known):
        table.position(name)
    columns = [given] if isinstance(given := options.get("column") or (), str) else list(given)
    time = _time_column(table, options, before, (*columns, *known, *([owner] if owner else ())))
    columns = columns or [_only_column(table, (time, owner, *known))]
    refuse_parts(table, options, time, (*columns, *known))
    note_times(table, time, (*columns, *known, owner))
    _check_twice(path, columns, (*known, time, owner))
    _note_ids(table, (*columns, *known), time, owner)
    texts = [name for name in (time, owner) if name]
    interpolate = bool(options.get("interpolate"))
    read = table.read([*columns, *known], texts, gaps=interpolate or bool(known))
    text = dict(zip(texts, read.texts))
    times, form = _times(table, time, text, options, before) if time else (None, None)
    try:
        panel = panel_of(
            read.numbers[:, : len(columns)],
            known=read.numbers[:, len(columns) :] if known else None,
            owner=text[owner] if owner else None,
            times=times,
            sort=bool(options.get("sort")),
            fill=options.get("fill"),
            interpolate=interpolate,
            shown=lambda each: written(each, form)[0],
            every=_finder(before),
        )
    except RowError as error:
        placed = at_row(table, error, time, (*columns, *known))
        raise _with_cure(table, placed, error, (time, owner, *columns, *known)) from None
    if options.get("sort") and time is None:
        raise ValueError(f"{path}: --sort needs --time-column: no column of dates was found")
    options |= {"column": columns, "time_column": time}
    return _as_read(path, columns, panel, text.get(time), time, owner, form)


def _time_column(table: Table, options: dict[str, Any], before: Before, others: tuple[str, ...]) -> str | None:
    """The column of times; none where that of the training is not there and the rows are equal steps."""
    named = options.get("time_column")
    if named is None or before.steps is None or named in table.names:
        return time_column_of(table, options, others) or counted_column(table, options, others)
    if options.get("fill") == "none":
        return None
    known = ", ".join(map(repr, table.names))
    raise ValueError(
        f"{table.path}: unknown column {named!r} (known: {known}), which has the times of the training: --time-column "
        "names another, --fill none takes the rows as equal steps"
    )


def _check_twice(path: str, columns: list[str], others: tuple[str | None, ...]) -> None:
    for k, name in enumerate(columns):
        if name in (*columns[:k], *others):
            raise ValueError(f"{path}: the column {name!r} is named twice")


def _finder(before: Before) -> Any:
    """What finds the steps of times: as those of the training where they are at these."""
    from pylstm.data.continued import steps_like

    find = steps_like(before.steps)
    return lambda times, _: find(times)


def _as_read(
    path: str, columns: list[str], panel: Panel, texts: Any, time: str | None, owner: str | None, form: Any
) -> Read:
    import os

    from pylstm.data.timestamps import written
    from pylstm.datasets import Series
    from pylstm.datasets.bundled import Times

    source = os.path.basename(path)
    found = Read(source, tuple(columns), [], [], list(Times(panel.ids)) if owner else [], time, owner)
    found.steps, found.form, found.absent = panel.steps, form, panel.filled
    for k, values in enumerate(panel.values):
        T = len(values)
        if not panel.steps:
            times: Any = Times(np.arange(1, T + 1))
        elif len(panel.values) == 1 and panel.steps[0].count == T and not panel.filled:
            times = Times(texts[panel.rows[0]])
        else:
            times = tuple(written(panel.steps[k].at(np.arange(T)), form))
        for column, name in enumerate(columns):
            filled = panel.missing if len(panel.values) == len(columns) == 1 else 0
            found.series.append(Series(name, source, values[:, column], times, 0, filled))
            found.known.append(panel.known[k])
    return found


def _only_column(table: Table, used: tuple[str | None, ...]) -> str:
    """The column of the series where no other can be meant."""
    index = table.names[:1] if table.unnamed and used[0] is not None else ()
    others = [name for name in table.names if name not in (*used, *index)]
    if len(others) == 1:
        return others[0]
    numbers, ids = _kinds(table, others)
    text = f"{table.path}: name the column of the series: --column {' or '.join(numbers or others)}"
    if ids and used[1] is None:
        text += f"; if several series stand below each other, also what tells them apart: --id {' or '.join(ids)}"
    raise ValueError(text)


def _times(
    table: Table, time: str, text: dict[str, Any], options: dict[str, Any], before: Before
) -> tuple[Any, DateForm | None]:
    from pylstm.data.continued import is_dated
    from pylstm.data.digits import in_years
    from pylstm.datasets.groups import times_of

    form, utc, steps = options.get("date_format"), bool(options.get("utc")), before.steps
    if form is None and before.form is not None:
        with suppress(ValueError):
            return times_of(table, time, text[time], before.form, utc)
    counted = steps is not None and not is_dated(steps) and in_years(float(steps.start))
    try:
        return times_of(table, time, text[time], form, utc, counted)
    except ValueError:
        if options.get("fill") != "none":
            raise
    return times_of(table, time, text[time], form, utc, True)


def _note_ids(table: Table, used: tuple[str, ...], time: str | None, owner: str | None) -> None:
    """Say so where a column of texts that is not read has blocks of rows: one below another may stand series."""
    import sys

    head = table.head(FIRST) if time is None and owner is None else []
    for at, name in enumerate(table.names):
        fields = [row[at] for row in head]
        blocks = 1 + sum(before != after for before, after in pairwise(fields))
        if name not in used and 1 < blocks == len(set(fields)) <= len(fields) // 4 and not any(map(_is_number, fields)):
            print(f"note: the column {name!r} is not read: --id {name} reads a series for each", file=sys.stderr)
            return


def _kinds(table: Table, names: list[str]) -> tuple[list[str], list[str]]:
    """Columns of numbers, and columns that may be ids: texts or integers of which most come again."""
    head, numbers, ids = table.head(FIRST), [], []
    for name in (each for each in names if each.lower() not in TIMES):
        fields = [row[table.position(name)] for row in head]
        numeric = any(map(_is_number, fields))
        if numeric:
            numbers.append(name)
        repeated = len(set(fields)) <= max(1, len(fields) // 2)
        if repeated and (not numeric or all(field.lstrip("-").isdecimal() for field in fields)):
            ids.append(name)
    return numbers, ids


def _is_number(field: str) -> bool:
    return bool(field) and field.translate(str.maketrans("", "", "+-.,eE_ '")).isdecimal()


def _with_cure(table: Table, placed: ValueError, error: RowError, used: tuple[str | None, ...]) -> ValueError:
    """The error; where another series begins at this row, with the column that says so in place of sorting."""
    from pylstm.data.panel import TIME

    if error.column != TIME or error.row == 0 or "absent" in str(error) or used[1] is not None:
        return placed
    head = table.head(error.row + 1)
    before, row = head[-2:]
    start = str(placed).partition(": not after")[0].partition(": the same time")[0].partition(": is ")[0]
    for at, name in enumerate(table.names):
        if name not in used and _CLOCK.fullmatch(row[at].lower()):
            return ValueError(f"{start}: the time of day is in the column {name!r}: write both into one column")
        several = len({fields[at] for fields in head})
        if name not in used and row[at] != before[at] and "." not in row[at] and several <= max(2, len(head) // 2):
            return ValueError(
                f"{start}: another series may begin here: --id {name} reads one for each {name!r}, --sort sorts rows"
            )
    return placed
