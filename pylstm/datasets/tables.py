"""CSV files: a header and rows of fields, with messages that name file, line and column."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pylstm.datasets.bundled import fill_gaps
from pylstm.datasets.text import read_utf8

DELIMITERS = (",", ";", "\t", "|")
"""What `read_table` looks for, in this order."""

MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
"""Fields that stand for a missing number, in lower case."""


@dataclass(frozen=True)
class Table:
    """Rows of text fields below a header.

    Attributes
    ----------
    path : str
        For messages.
    names : tuple of str
        Of the columns.
    rows : list of list of str
        All with as many fields as there are names.
    lines : list of int
        Where each row begins in the file, from 1.
    """

    path: str
    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.rows)

    def position(self, name: str) -> int:
        """Number of a column, from 0.

        Raises
        ------
        ValueError
            No column has this name; the message lists the names.
        """
        if name not in self.names:
            raise ValueError(f"{self.path}: unknown column {name!r} (known: {', '.join(map(repr, self.names))})")
        return self.names.index(name)

    def text(self, name: str) -> list[str]:
        """Fields of a column.

        Raises
        ------
        ValueError
            No such column; an empty field: the message has its line and column.
        """
        at = self.position(name)
        for line, row in zip(self.lines, self.rows):
            if not row[at]:
                raise ValueError(f"{self.place(line, at)}: the field is empty")
        return [row[at] for row in self.rows]

    def numbers(self, names: Iterable[str], *, gaps: bool = False) -> np.ndarray:
        """Columns as numbers.

        Parameters
        ----------
        names : iterable of str
        gaps : bool
            Read missing numbers as NaN instead of raising; see `interpolated`.

        Returns
        -------
        ndarray of float64, shape (rows, names)

        Raises
        ------
        ValueError
            No such column; a field is missing, infinite or not a number: the message has its line and column.
        """
        names = list(names)
        positions = [self.position(name) for name in names]
        values = np.empty((len(self.rows), len(positions)))
        for k, (line, row) in enumerate(zip(self.lines, self.rows)):
            values[k] = [self._number(line, at, row[at], gaps) for at in positions]
        return values

    def interpolated(self, values: np.ndarray, names: Iterable[str], rows: Iterable[int] | None = None) -> np.ndarray:
        """The result of `numbers`, with NaNs interpolated linearly between their neighbours of the same column.

        Parameters
        ----------
        values : ndarray, shape (T, names)
        names : iterable of str
        rows : iterable of int, optional
            Numbers of the rows that `values` are; default: all.

        Raises
        ------
        ValueError
            A missing number at an end; the message has its line and column.
        """
        rows = range(len(self.rows)) if rows is None else list(rows)
        filled = values.copy()
        for k, name in enumerate(names):
            filled[:, k] = fill_gaps(values[:, k])[0]
            rest = np.flatnonzero(np.isnan(filled[:, k]))
            if rest.size:
                place = self.place(self.lines[rows[rest[0]]], self.position(name))
                raise ValueError(
                    f"{place}: a missing value at an end cannot be interpolated: fill it or delete the row"
                )
        return filled

    def place(self, line: int, column: int) -> str:
        """The place of a field for messages: file, line, column from 1, name of the column."""
        return f"{self.path}, line {line}, column {column + 1} ({self.names[column]!r})"

    def _number(self, line: int, at: int, field: str, gaps: bool) -> float:
        if field.lower() in MISSING:
            if gaps:
                return math.nan
            raise ValueError(f"{self.place(line, at)}: a missing value, {field!r}")
        try:
            value = float(field)
        except ValueError:
            hint = " (decimal commas are not read: 3.5, not 3,5)" if _has_decimal_comma(field) else ""
            raise ValueError(f"{self.place(line, at)}: {field!r} is not a number{hint}") from None
        if "_" in field or not math.isfinite(value):
            raise ValueError(f"{self.place(line, at)}: {field!r} is not a finite number")
        return value


def read_table(path: str | os.PathLike[str], *, delimiter: str | None = None) -> Table:
    r"""Read a CSV file with a header line, in UTF-8.

    Parameters
    ----------
    path : path
    delimiter : str, optional
        One character; default: the one of comma, semicolon, tab and ``|`` that parts the first lines evenly.

    Returns
    -------
    Table
        Fields without spaces around them; blank lines are left out.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Not UTF-8, empty, no rows; a header with numbers, an empty or a double name; a row with more or fewer fields
        than the header; an open quote. Names file, line and, where there is one, column.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "flow.csv")
    ...     _ = file.write_text("year;flow\n1871;1120\n1872;1160\n")
    ...     table = read_table(file)
    >>> table.names, table.numbers(["flow"]).ravel().tolist()
    (('year', 'flow'), [1120.0, 1160.0])
    """
    if delimiter is not None and len(delimiter) != 1:
        raise ValueError(f"delimiter must be one character, got {delimiter!r}")
    text = read_utf8(path)
    if not text.strip():
        raise ValueError(f"{path}, line 1: the file is empty; a header line and rows are needed")
    records = _records(path, text, delimiter or _sniff(text))
    (first, names), rows = records[0], records[1:]
    _check_header(path, first, names)
    for line, row in rows:
        if len(row) != len(names):
            at = min(len(row), len(names)) + 1
            raise ValueError(
                f"{path}, line {line}, column {at}: {len(row)} fields, but the header in line {first} has {len(names)}"
            )
    if not rows:
        raise ValueError(f"{path}, line {first + 1}: the file has no rows below the header")
    return Table(str(path), tuple(names), [row for _, row in rows], [line for line, _ in rows])


def _records(path: object, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """Number of the first line, and fields, of every record that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    records, line = [], 1
    try:
        for row in reader:
            if any(field.strip() for field in row):
                records.append((line, [field.strip() for field in row]))
            elif len(row) > 1:
                records.append((line, [""] * len(row)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}, line {line}: {error}") from None
    return records


def _sniff(text: str) -> str:
    """The delimiter that splits the first lines into the same number of fields, the largest; a comma if none does."""
    head = "\n".join([line for line in text.splitlines() if line.strip()][:20])
    best, most = ",", 1
    for delimiter in DELIMITERS:
        try:
            counts = [len(row) for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)]
        except csv.Error:
            continue
        if min(counts) == max(counts) > most:
            best, most = delimiter, counts[0]
    if most > 1:
        return best
    header = head.split("\n", 1)[0]  # rows of unequal lengths: what parts the header
    return max(DELIMITERS, key=lambda each: (header.count(each), each == ","))


def _check_header(path: object, line: int, names: list[str]) -> None:
    for at, name in enumerate(names):
        if not name:
            raise ValueError(f"{path}, line {line}, column {at + 1}: a name in the header is empty")
        if name in names[:at]:
            raise ValueError(f"{path}, line {line}, column {at + 1}: the header has the name {name!r} twice")
    if all(_is_number(name) for name in names):
        raise ValueError(f"{path}, line {line}: the first line holds numbers only; a header with names is needed")


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _has_decimal_comma(field: str) -> bool:
    return field.count(",") == 1 and _is_number(field.replace(",", "."))
