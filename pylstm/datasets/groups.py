"""`grouped`: labelled sequences from a table with a row per step or a row per sequence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from pylstm.checks import listed
from pylstm.datasets.bundled import fill_gaps
from pylstm.datasets.tables import Table
from pylstm.hints import explained, explained_constructor


@explained_constructor
class Groups(NamedTuple):
    """Sequences of a table.

    Attributes
    ----------
    x : list of ndarray, shape (T_i, I), float32
    labels : list of str
        Of each sequence; empty where the table has none.
    ids : list of str
        Of each sequence: what the id column says, or ``in line N``.
    columns : tuple of str
        What was read as numbers: the I features, or the steps.
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
    interpolate : bool
        Put missing numbers on the straight line between their neighbours in the sequence, rather than refuse them.

    Raises
    ------
    ValueError
        An unknown column, no columns of numbers, a field that is not a number, two labels in one sequence: names line
        and column.

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
    for name in (label, id):
        if name is not None:
            table.position(name)
    others = tuple(name for name in table.names if name not in (label, id))
    columns = others if columns is None else tuple(listed("columns", columns))
    if not columns:
        raise ValueError(f"{table.path}: has no columns of numbers besides {', '.join(map(repr, table.names))}")
    values = table.numbers(columns, gaps=interpolate)
    labels = table.text(label) if label is not None else []
    if id is None:
        return _one_for_each_row(table, values, labels, columns)
    rows: dict[str, list[int]] = {}
    for k, name in enumerate(table.text(id)):
        rows.setdefault(name, []).append(k)
        first = rows[name][0]
        if labels and labels[k] != labels[first]:
            raise ValueError(
                f"{table.place(table.lines[k], table.position(str(label)))}: label {labels[k]!r}, but "
                f"{labels[first]!r} in line {table.lines[first]} of the same {id} {name!r}"
            )
    found = [labels[each[0]] for each in rows.values()] if labels else []
    pieces = [table.interpolated(values[each], columns, each) for each in rows.values()]
    return Groups([each.astype(np.float32) for each in pieces], found, list(rows), columns)


def _one_for_each_row(table: Table, values: np.ndarray, labels: list[str], columns: tuple[str, ...]) -> Groups:
    """Each row is a sequence, each column a step."""
    x = []
    for line, row in zip(table.lines, values):
        filled = fill_gaps(row)[0]
        rest = np.flatnonzero(np.isnan(filled))
        if rest.size:
            place = table.place(line, table.position(columns[rest[0]]))
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
