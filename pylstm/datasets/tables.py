"""CSV files: a header and rows of fields, with messages that name file, line and column."""

from __future__ import annotations

import csv
import io
import math
import os
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np

from pylstm.checks import listed
from pylstm.datasets.bundled import fill_gaps
from pylstm.datasets.text import decoded, refuse_utf_16
from pylstm.files import open_to_read
from pylstm.hints import explained, explained_constructor

BLOCK = 1 << 12
"""Records that are read together: those of 1 << 15 leave the caches, and take 1.4 times as long."""

DELIMITERS = (",", ";", "\t", "|")
"""What `read_table` looks for, in this order."""

MISSING = ("", "na", "n/a", "nan", "null", "none", "?")
"""Fields that stand for a missing number, in lower case."""


@explained_constructor
class Table:
    """Rows of text fields below a header. The file stays as it is; fields are read from it when they are asked for.

    Attributes
    ----------
    path : str
        For messages.
    names : tuple of str
        Of the columns.
    lines : ndarray of int
        Where each row begins in the file, from 1.
    """

    def __init__(self, path: str, names: tuple[str, ...], records: Records) -> None:
        self.path, self.names, self._records = path, names, records
        lines = [np.asarray(lines, np.int64) for lines, _ in self._rows()]
        self.lines = np.concatenate(lines) if lines else np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.lines)

    def _rows(self) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
        """Lines and rows, a block at a time, without the header.

        Raises
        ------
        ValueError
            A row with more or fewer fields than the header: names the line.
        """
        header = self._records.header[0]
        for lines, rows in self._records.blocks():
            if lines[0] == header:
                lines, rows = lines[1:], rows[1:]
            if set(map(len, rows)) - {len(self.names)}:
                line, row = next((line, row) for line, row in zip(lines, rows) if len(row) != len(self.names))
                at = min(len(row), len(self.names)) + 1
                raise ValueError(
                    f"{self.path}, line {line}, column {at}: {len(row)} fields, but the header in line {header} has "
                    f"{len(self.names)}"
                )
            yield lines, rows

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
        return [field for fields in self._fields(name) for field in fields]

    def packed(self, name: str) -> np.ndarray:
        """The result of `text` as an array of bytes, or of text where it is not ASCII: of a quarter of its memory."""
        return np.concatenate([_packed(fields) for fields in self._fields(name)])

    def _fields(self, name: str) -> Iterator[list[str]]:
        """The fields of a column, a block at a time; errors as of `text`."""
        at = self.position(name)
        for lines, rows in self._rows():
            fields = [row[at].strip() for row in rows]
            if not all(fields):
                raise ValueError(f"{self.place(lines[fields.index('')], at)}: the field is empty")
            yield fields

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
        positions = [self.position(name) for name in listed("names", names)]
        values, first = np.empty((len(self), len(positions))), 0
        for lines, rows in self._rows():
            for k, at in enumerate(positions):
                values[first : first + len(rows), k] = self._column(lines, at, [row[at] for row in rows], gaps)
            first += len(rows)
        return values

    def _column(self, lines: Sequence[int], at: int, fields: list[str], gaps: bool) -> np.ndarray | list[float]:
        """Numbers of a column of a block: at once, where all are numbers."""
        try:
            values = np.fromiter(map(float, fields), np.float64, len(fields))
        except ValueError:
            values = np.array([np.nan])
        if np.isfinite(values).all() and "_" not in "".join(fields):
            return values
        return [self._number(line, at, field.strip(), gaps) for line, field in zip(lines, fields)]

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
        rows = range(len(self)) if rows is None else list(rows)
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
        if "_" in field:
            raise ValueError(f"{self.place(line, at)}: {field!r} is not a number: write {field.replace('_', '')}")
        if not math.isfinite(value):
            raise ValueError(f"{self.place(line, at)}: {field!r} is not a finite number")
        return value


@explained()
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
    with open_to_read(path) as file:
        data = file.read()
    try:
        records = Records(path, data, delimiter)
        _check_header(path, *records.header)
        table = Table(str(path), tuple(records.header[1]), records)
    except UnicodeDecodeError:
        decoded(path, data)  # raises, with the place
        raise
    if not len(table):
        raise ValueError(f"{path}, line {records.header[0] + 1}: the file has no rows below the header")
    return table


def _packed(fields: list[str]) -> np.ndarray:
    try:
        return np.array(fields, "S")
    except UnicodeEncodeError:
        return np.array(fields)


class Records:
    """Records of a CSV file, read anew whenever they are asked for: as lists, all would take ten times the file.

    Parameters
    ----------
    path : path
        For messages.
    data : bytes
        The file.
    delimiter : str, optional

    Attributes
    ----------
    header : tuple of int and list of str
        Line, and fields without spaces around them, of the first record.

    Raises
    ------
    UnicodeDecodeError
    ValueError
        No record.
    """

    def __init__(self, path: object, data: bytes, delimiter: str | None) -> None:
        self._path, self._data = path, data
        refuse_utf_16(path, data)
        self._delimiter = delimiter or _sniff(islice((line for line in self._lines() if line.strip()), 20))
        first = next(self.blocks(), None)
        if first is None:
            raise ValueError(f"{path}, line 1: the file is empty; a header line and rows are needed")
        self.header = first[0][0], [field.strip() for field in first[1][0]]

    def _lines(self) -> Iterator[str]:
        return io.TextIOWrapper(io.BytesIO(self._data), "utf-8-sig", newline="")

    def blocks(self) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
        """Number of the first line, and fields, of every record that is not blank; a block of records at a time.

        Raises
        ------
        ValueError
            An open quote, or text after a quote: names the line.
        """
        reader, done, ended = self._reader(), 0, False
        while not ended:
            before, rows = reader.line_num, None
            with suppress(csv.Error):  # `_counted_blocks` says where
                rows = list(islice(reader, BLOCK))
            if rows is None or reader.line_num - before != len(rows):  # an error, or a field of several lines
                yield from self._counted_blocks(done)
                return
            ended, done = len(rows) < BLOCK, done + len(rows)
            yield from _without_blank(range(before + 1, before + 1 + len(rows)), rows)

    def _counted_blocks(self, done: int) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
        """The result of `blocks` after so many records, which are one line each; slower, with every record's line."""
        reader, ended = self._reader(), False
        next(islice(reader, done, done), None)
        while not ended:
            before, rows, starts = reader.line_num, [], []
            try:
                for row in islice(reader, BLOCK):
                    rows.append(row)
                    starts.append(reader.line_num)
            except csv.Error as error:
                line = (starts[-1] if starts else before) + 1
                if "field limit" in str(error):
                    raise ValueError(self._too_long(line)) from None
                raise ValueError(f"{self._path}, line {line}: {error}") from None
            ended = len(rows) < BLOCK
            yield from _without_blank([before + 1, *(line + 1 for line in starts[:-1])], rows)

    def _too_long(self, line: int) -> str:
        """What is wrong with the record in `line`, of which a field is longer than the module csv reads."""
        rest = "".join(islice(self._lines(), line - 1, None))

        def fields(length: int) -> list[str] | None:
            with suppress(csv.Error):
                return next(self._reader(io.StringIO(rest[:length], newline=""), strict=False), None)
            return None

        longest = bisect_left(range(1, len(rest)), True, key=lambda length: fields(length) is None)
        return (
            f"{self._path}, line {line}, column {len(fields(longest) or [0])}: a field of more than "
            f"{csv.field_size_limit():,} characters; close its quote, or read it after csv.field_size_limit(10**9)"
        )

    def _reader(self, lines: Iterable[str] | None = None, *, strict: bool = True) -> Any:
        options: dict[str, Any] = {"strict": strict, "skipinitialspace": True}
        return csv.reader(self._lines() if lines is None else lines, delimiter=self._delimiter, **options)


def _without_blank(lines: Sequence[int], rows: list[list[str]]) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
    """The block without its blank records; nothing if no other is left."""
    if min(map(len, rows), default=2) < 2:
        kept = [k for k, row in enumerate(rows) if len(row) > 1 or (row and row[0].strip())]
        lines, rows = [lines[k] for k in kept], [rows[k] for k in kept]
    if rows:
        yield lines, rows


def _sniff(lines: Iterable[str]) -> str:
    """The delimiter that splits the first lines into the same number of fields, the largest; a comma if none does."""
    head = "".join(line.rstrip("\r\n") + "\n" for line in lines)
    best, most = ",", 1
    for delimiter in DELIMITERS:
        try:
            counts = [len(row) for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)]
        except csv.Error:
            continue
        if counts and min(counts) == max(counts) > most:
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
