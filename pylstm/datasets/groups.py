"""`grouped`: labelled sequences from a table with a row per step or a row per sequence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from pylstm.checks import listed
from pylstm.data.digits import DateError
from pylstm.data.panel import TIME, RowError, fill_gaps, grouped_rows
from pylstm.data.timestamps import DateForm, read_times
from pylstm.datasets.bundled import Times
from pylstm.datasets.cures import comment_cure
from pylstm.datasets.tables import Table
from pylstm.hints import explained, explained_constructor


@explained_constructor
class Groups(NamedTuple):
    r"""Sequences of a table.

    Attributes
    ----------
    x : list of ndarray, shape (T_i, I), float32
    labels : list of str
        Of each sequence; empty where the table has none.
    ids : list of str
        Of each sequence: what the id column says, or ``in line N``.
    columns : tuple of str
        What was read as numbers: the I features, or the steps.

    Examples
    --------
    >>> import os, tempfile
    >>> from pylstm.datasets import grouped, read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "walks.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("who,speed,kind\na,1,up\na,2,up\nb,7,down\n")
    ...     groups = grouped(read_table(path), label="kind", id="who")
    >>> groups.columns, [x.shape for x in groups.x], groups.labels
    (('speed',), [(2, 1), (1, 1)], ['up', 'down'])
    """

    x: list[np.ndarray]
    labels: list[str]
    ids: list[str]
    columns: tuple[str, ...]


@explained()
def grouped(
    table: Table,
    *,
    label: str | None = None,
    id: str | None = None,
    columns: Iterable[str] | None = None,
    time: str | None = None,
    date_format: str | None = None,
    utc: bool = False,
    sort: bool = False,
    interpolate: bool = False,
) -> Groups:
    r"""Cut a table into sequences.

    Parameters
    ----------
    table : Table
    label : str, optional
        Column of the class of each sequence.
    id : str, optional
        Column that says which sequence a row is a step of: rows of the same id, in the order of the file. Without it
        each row is one sequence, and each column of numbers one step of it.
    columns : iterable of str, optional
        Columns of numbers; default: all others.
    time : str, optional
        Column of numbers or dates that rise within an id; it is not one of the features.
    date_format : str, optional
        How dates are written, as of `datetime.strptime`; default: found.
    utc : bool
        Take dates that have offsets as of UTC; default: all must have the same.
    sort : bool
        Sort the rows of an id by time, rather than refuse those that do not rise.
    interpolate : bool
        Put missing numbers on the straight line between their neighbours in the sequence, rather than refuse them.

    Raises
    ------
    ValueError
        An unknown column, no columns of numbers, a field that is not a number, two labels in one sequence, times that
        do not rise: names line and column.

    Notes
    -----
    Without `id`, missing fields at the end of a row are beyond the end of its sequence.

    Examples
    --------
    >>> import os, tempfile
    >>> from pylstm.datasets import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "walks.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("who,step,kind\na,1,up\nb,7,down\na,2,up\n")
    ...     table = read_table(path)
    >>> found = grouped(table, label="kind", id="who")
    >>> found.ids, found.labels, found.x[0].tolist()
    (['a', 'b'], ['up', 'down'], [[1.0], [2.0]])
    """
    if not isinstance(table, Table):
        raise TypeError(f"table must be a Table, as read_table(path) returns, got {type(table).__name__}")
    if id is None and (time is not None or sort):
        raise ValueError("time and sort (--time-column, --sort) need id (--id): without it a row is a whole sequence")
    if sort and time is None:
        raise ValueError("sort (--sort) needs time (--time-column)")
    texts = [name for name in (label, id, time) if name is not None]
    columns = _columns_of(table, columns, texts)
    values, found = table.read(columns, texts, gaps=interpolate or id is None)
    text = dict(zip(texts, found))
    labels = Times(text[label]) if label is not None else []
    if id is None:
        return _one_for_each_row(table, values, list(labels), columns, interpolate)
    if time is None:
        _refuse_scrambled(table, values, columns, text[id])
    order = None if time is None else times_of(table, time, text[time], date_format, utc, True)[0]
    try:
        rows, ids = grouped_rows(text[id], order, sort=sort)
    except RowError as error:
        raise at_row(table, error, time) from None
    names = list(Times(ids))
    kept = [_label_of(table, str(label), id, name, each, labels) for name, each in zip(names, rows)] if labels else []
    pieces = [table.interpolated(values[each], columns, list(each)) for each in rows]
    return Groups([each.astype(np.float32) for each in pieces], kept, names, columns)


def _columns_of(table: Table, columns: Iterable[str] | None, texts: list[str]) -> tuple[str, ...]:
    """The columns of numbers: those that were named, else all others; not the index of a frame."""
    for name in texts:
        table.position(name)
    if columns is not None:
        found = tuple(listed("columns", columns))
    else:
        found = tuple(name for name in table.names[table.unnamed :] if name not in texts)
    if not found:
        raise ValueError(f"{table.path}: has no columns of numbers besides {', '.join(map(repr, table.names))}")
    return found


def _label_of(table: Table, label: str, id: str, name: str, rows: np.ndarray, labels: Sequence[str]) -> str:
    """The label of one sequence; refuses two."""
    first: str = labels[rows[0]]
    for row in rows:
        if labels[row] != first:
            raise ValueError(
                f"{table.place(table.line(row), table.position(label))}: label {labels[row]!r}, but {first!r} in line "
                f"{table.line(rows[0])} of the same {id} {name!r}"
            )
    return first


COMMENTS = ("#", "%", "//", ";")
"""Signs before lines that were commented out."""


COUNTED = ", or, where these numbers count steps, --fill none takes the rows as equal steps"


def times_of(
    table: Table, name: str, texts: np.ndarray, form: str | None, utc: bool = False, counted: bool = False
) -> tuple[np.ndarray, DateForm | None]:
    """Numbers or dates of a column, and how the dates are written; numbers that are `counted` are no months.

    Raises
    ------
    ValueError
        A field that is neither: with its place.
    """
    try:
        return read_times(texts, form, utc, counted)
    except DateError as error:
        told = any(word in str(error) for word in ("offset", ": write "))
        cure = "" if form or told else "; --date-format says how dates are written"
        cure = COUNTED if str(error).endswith("correct it") else cure
        cure = ": correct it" if "of the calendar" in str(error) and not form else cure
        field = str(texts[error.row : error.row + 1].astype(str)[0])
        sign = next((sign for sign in COMMENTS if field.startswith(sign)), None)
        if sign:
            cure = f"; comment={sign!r} (--comment '{sign}') leaves such lines out"
        elif table.position(name) == 0 and error.row and field.isalpha():
            cure = comment_cure(field)
        raise ValueError(f"{table.place(table.line(error.row), table.position(name))}: {error}{cure}") from None
    except ValueError as error:
        raise ValueError(f"{table.path}, column {name!r}: {error}") from None


def at_row(table: Table, error: RowError, time: str | None, columns: Sequence[str] = ()) -> ValueError:
    """The same error with its place in the file."""
    name = str(time) if error.column == TIME else columns[error.column]
    at = table.position(name)
    if error.column != TIME:
        return ValueError(f"{table.place(table.line(error.row), at)}: {error}")
    return ValueError(f"{table.place(table.line(error.row), at)}: {field_of(table, name, error.row)!r}: {error}")


def field_of(table: Table, name: str, row: int) -> str:
    """One field, for messages."""
    return table.head(row + 1)[row][table.position(name)]


STEPS = ("t", "time", "step", "steps", "index", "frame", "tick", "minute", "hour", "day", "date", "timestamp", "seq")
"""Names of columns that say where in its sequence a row stands."""


def _refuse_scrambled(table: Table, values: np.ndarray, columns: Sequence[str], owner: np.ndarray) -> None:
    """Refuse rows of an id that are not in the order of a column that counts them."""
    for k, name in enumerate(columns):
        if name.lower() not in STEPS:
            continue
        try:
            grouped_rows(owner, values[:, k])
        except RowError as error:
            with suppress(RowError):
                grouped_rows(owner, values[:, k], sort=True)
                place = table.place(table.line(error.row), table.position(name))
                raise ValueError(
                    f"{place}: the rows of an id are not in the order of this column: time={name!r}, sort=True "
                    f"(--time-column {name} --sort) sorts them; if it is a feature, name it in columns (--columns)"
                ) from None


def _one_for_each_row(
    table: Table, values: np.ndarray, labels: list[str], columns: tuple[str, ...], interpolate: bool
) -> Groups:
    """Each row is a sequence, each column a step; missing fields at its end are no steps."""
    x = []
    for number, row in enumerate(values):
        held = np.flatnonzero(~np.isnan(row))
        own = row[: held[-1] + 1] if held.size else row[:1]
        filled = fill_gaps(own)[0] if interpolate else own
        rest = np.flatnonzero(np.isnan(filled))
        if rest.size:
            place = table.place(table.line(number), table.position(columns[rest[0]]))
            if not interpolate and held.size:
                raise ValueError(f"{place}: a missing value: interpolate=True (--interpolate) fills it")
            raise ValueError(f"{place}: a missing value at an end cannot be interpolated: fill it or delete the row")
        x.append(filled.astype(np.float32)[:, None])
    return Groups(x, labels, [f"in line {line}" for line in table.lines], columns)


@explained()
def split_by_class(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to keep and rows to hold out: about `share` of every class, at least one, and never the last one of it.

    Raises
    ------
    ValueError
        `share` not between 0 and 1; no class with two rows.

    Examples
    --------
    >>> kept, held = split_by_class(np.array([0, 0, 0, 0, 1, 1, 2]), 0.25, 0)
    >>> len(kept), len(held), 6 in kept
    (5, 2, True)
    """
    if not 0 < share < 1:
        raise ValueError(f"the share of the test rows must be between 0 and 1, got {share}")
    rng = np.random.default_rng([seed, 2**33])
    held: list[int] = []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        held.extend(rows[: min(max(1, round(share * len(rows))), len(rows) - 1)])
    if not held:
        raise ValueError("no class has two sequences: none can be held out for testing")
    test = np.sort(np.array(held))
    return np.setdiff1d(np.arange(len(labels)), test), test
