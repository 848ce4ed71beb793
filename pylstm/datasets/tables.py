"""CSV files: a header and rows of fields, with messages that name file, line and column."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pylstm.checks import listed
from pylstm.data.panel import fill_gaps
from pylstm.datasets.cures import footer_cure, units_cure
from pylstm.datasets.fields import PLAIN, NumberStyle
from pylstm.datasets.records import Records
from pylstm.datasets.text import decoded
from pylstm.files import open_to_read
from pylstm.hints import explained, explained_constructor


class Read(NamedTuple):
    """`numbers` (rows, names), and `texts`, one packed array for each name; see `Table.read`."""

    numbers: np.ndarray
    texts: list[np.ndarray]


@explained_constructor
class Table:
    r"""Rows of text fields below a header. The file stays as it is; fields are read from it when they are asked for.

    Attributes
    ----------
    path : str
        For messages.
    names : tuple of str
        Of the columns; ``column 2`` where the header has none.
    unnamed : bool
        Whether the first column has no name, as the index in a file of `DataFrame.to_csv`.

    Examples
    --------
    >>> import os, tempfile
    >>> from pylstm.datasets import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "flow.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("year,flow\n1871,1120\n1872,1160\n")
    ...     table = read_table(path)
    ...     table.names, table.numbers(["flow"]).tolist()
    (('year', 'flow'), [[1120.0], [1160.0]])
    """

    def __init__(self, path: str, records: Records, style: NumberStyle = PLAIN) -> None:
        self.path, self.names, self.unnamed = path, tuple(records.names), records.unnamed
        self._records, self._style = records, style
        self._lines: list[range | np.ndarray] = []
        for lines, _ in self._rows():
            self._lines.append(lines if isinstance(lines, range) else np.array(lines, np.int32))
        self._ends = np.cumsum([0, *map(len, self._lines)])

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def lines(self) -> np.ndarray:
        """Line in which each row begins, from 1."""
        return np.concatenate([np.empty(0, np.int64), *(np.asarray(lines, np.int64) for lines in self._lines)])

    def line(self, row: int) -> int:
        """Line in which one row begins, from 1."""
        block = int(np.searchsorted(self._ends, row, side="right")) - 1
        return int(self._lines[block][int(row - self._ends[block])])

    def _rows(self) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
        """Lines and rows, a block at a time, without the header.

        Raises
        ------
        ValueError
            A row with more or fewer fields than the header: names the line.
        """
        N = len(self.names)
        for lines, rows in self._records.blocks():
            if lines[0] == self._records.header:
                lines, rows = lines[1:], rows[1:]
            if set(map(len, rows)) - {N}:
                for line, row in zip(lines, rows):
                    if len(row) < N or any(field.strip() for field in row[N:]):
                        raise ValueError(self._uneven(line, row))
                rows = [row[:N] for row in rows]
            if rows:
                yield lines, rows

    def _uneven(self, line: int, row: list[str]) -> str:
        """What is wrong with a row that has not as many fields as there are names."""
        records, N = self._records, len(self.names)
        header = f"the header in line {records.header} has" if records.header else "the first rows have"
        found = f"{self.path}, line {line}, column {min(len(row), N) + 1}: {len(row)} fields, but {header} {N}"
        if (
            records.delimiter != ","
            or len(row) < max(2, N)
            or not all(re.fullmatch(r"\s*-?\d+\s*", e) for e in row[-2:])
        ):
            if records.header and line <= records.header + 3 and len(row) > N and self._same_below(line, len(row)):
                return f"{found}; if the header is in line {line}, delete the lines above it"
            return f"{found}{footer_cure(row)}" if len(row) < N else found
        if self._style.decimal == ",":
            return f"{found}: put numbers with a decimal comma in quotes, or part the fields by ;"
        return f"{found}; if its commas are those of numbers, decimal=',' (--decimal ,) reads them"

    def _same_below(self, line: int, fields: int) -> bool:
        """Whether all rows of the first block have so many fields from a line on."""
        lines, rows = next(iter(self._records.blocks()))
        return all(len(row) == fields for at, row in zip(lines, rows) if at >= line)

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
        return [field for lines, rows in self._rows() for field in self._texts(lines, at, rows)]

    def packed(self, name: str) -> np.ndarray:
        """The result of `text` as an array of bytes, or of text where it is not ASCII: of a quarter of its memory."""
        return self.read((), [name]).texts[0]

    def head(self, rows: int) -> list[list[str]]:
        """The first rows, as fields."""
        found: list[list[str]] = []
        for _, block in self._rows():
            found += block[: rows - len(found)]
            if len(found) >= rows:
                break
        return [[field.strip() for field in row] for row in found]

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
        return self.read(listed("names", names), gaps=gaps).numbers

    def read(self, numbers: Iterable[str], texts: Iterable[str] = (), *, gaps: bool = False) -> Read:
        """Columns of numbers and of text together, in one pass over the file; errors as of `numbers` and `text`."""
        positions, others = [self.position(name) for name in numbers], [self.position(name) for name in texts]
        values, first = np.empty((len(self), len(positions))), 0
        found: list[list[np.ndarray]] = [[] for _ in others]
        for lines, rows in self._rows():
            for k, at in enumerate(positions):
                values[first : first + len(rows), k] = self._column(lines, at, rows, gaps)
            for column, at in zip(found, others):
                column.append(_packed(self._texts(lines, at, rows)))
            first += len(rows)
        return Read(values, [np.concatenate(found.pop(0)) for _ in others])

    def _texts(self, lines: Sequence[int], at: int, rows: list[list[str]]) -> list[str]:
        fields = [row[at].strip() for row in rows]
        if not all(fields):
            k = fields.index("")
            total = " with its total" if lines[k] == self.line(len(self) - 1) and any(rows[k]) else ""
            raise ValueError(f"{self.place(lines[k], at)}: the field is empty: fill it, or delete the line{total}")
        return fields

    def _column(self, lines: Sequence[int], at: int, rows: list[list[str]], gaps: bool) -> np.ndarray | list[float]:
        """Numbers of a column of a block: at once, where all are numbers."""
        fields = [row[at] for row in rows]
        values = self._style.values(fields)
        if values is not None:
            return values
        found = []
        for line, field in zip(lines, fields):
            try:
                found.append(self._style.number(field.strip(), gaps=gaps))
            except ValueError as error:
                parted = len(self.names) == 1 and re.search(r"\S\s+\S", field.strip())
                cure = "; delimiter=' ' (--delimiter ' ') parts fields at spaces" if parted else ""
                if line == self.line(0) and len(rows) > 1:
                    cure = units_cure(self._records.line(line), rows[0], rows[1], at, self._style) or cure
                raise ValueError(f"{self.place(line, at)}: {error}{cure}") from None
        return found

    def interpolated(self, values: np.ndarray, names: Iterable[str], rows: Sequence[int] | None = None) -> np.ndarray:
        """The result of `numbers`, with NaNs interpolated linearly between their neighbours of the same column.

        Parameters
        ----------
        values : ndarray, shape (T, names)
        names : iterable of str
        rows : sequence of int, optional
            Numbers of the rows that `values` are; default: all.

        Raises
        ------
        ValueError
            A missing number at an end; the message has its line and column.
        """
        if not np.isnan(values).any():
            return values
        filled = values.copy()
        for k, name in enumerate(names):
            filled[:, k] = fill_gaps(values[:, k])[0]
            rest = np.flatnonzero(np.isnan(filled[:, k]))
            if rest.size:
                row = int(rest[0]) if rows is None else rows[rest[0]]
                place = self.place(self.line(row), self.position(name))
                raise ValueError(
                    f"{place}: a missing value at an end cannot be interpolated: fill it or delete the row"
                )
        return filled

    def place(self, line: int, column: int) -> str:
        """The place of a field for messages: file, line, column from 1, name of the column."""
        return f"{self.path}, line {line}, column {column + 1} ({self.names[column]!r})"


@explained()
def read_table(
    path: str | os.PathLike[str],
    *,
    delimiter: str | None = None,
    decimal: str = ".",
    thousands: str = "",
    comment: str | None = None,
    header: bool | None = None,
    missing: str | Iterable[str] = (),
    progress: Callable[[float], None] | None = None,
) -> Table:
    r"""Read a CSV file with a header line, in UTF-8.

    Parameters
    ----------
    path : path
    delimiter : str, optional
        One character; default: the one of comma, semicolon, tab and ``|`` that parts the first lines evenly.
    decimal : {".", ","}
    thousands : str
        What parts groups of three digits, such as ``","`` or a space.
    comment : str, optional
        Lines that begin with it are left out.
    header : bool, optional
        Whether the first line holds the names of the columns; without names, these are ``"1"``, ``"2"``, ... Default:
        it does, and a line that looks like values is refused.
    missing : str or iterable of str
        What else stands for a missing number, such as ``"-999"`` or ``"."``, besides empty fields, ``NA`` and the like.
    progress : callable, optional
        Called with the share of the file that was read, in every pass over it.

    Returns
    -------
    Table
        Fields without spaces around them; blank lines, and columns at the end without names and values, are left out.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Not UTF-8, empty, no rows; a header with a double name, or that looks like a row or a comment; a row with more
        or fewer fields than the header; an open quote. Names file, line and, where there is one, column.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "flow.csv")
    ...     _ = file.write_text("year;flow\n1871;1.120,5\n1872;1.160\n")
    ...     table = read_table(file, decimal=",", thousands=".")
    >>> table.names, table.numbers(["flow"]).ravel().tolist()
    (('year', 'flow'), [1120.5, 1160.0])
    """
    if delimiter is not None and len(delimiter) != 1:
        raise ValueError(f"delimiter must be one character, got {delimiter!r}")
    if comment == "":
        raise ValueError("comment must be the sign that such lines begin with, got ''")
    style = NumberStyle(
        decimal, thousands, (missing,) if isinstance(missing, str) else tuple(listed("missing", missing))
    )
    with open_to_read(path) as file:
        data = file.read()
    try:
        records = Records(
            path, data, delimiter=delimiter, comment=comment, header=header, decimal=decimal, progress=progress
        )
        table = Table(str(path), records, style)
    except UnicodeDecodeError:
        decoded(path, data)  # raises, with the place
        raise
    if not len(table):
        raise ValueError(f"{path}, line {records.first + 1}: the file has no rows below the header")
    return table


def _packed(fields: list[str]) -> np.ndarray:
    try:
        return np.array(fields, "S")
    except UnicodeEncodeError:
        return np.array(fields)
