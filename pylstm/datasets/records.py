"""`Records`: the records of a CSV file, block by block, with the line of each."""

from __future__ import annotations

import csv
import io
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from pylstm.datasets.headers import check_header, refuse_comment, refuse_row
from pylstm.datasets.text import refuse_others, refuse_utf_16

BLOCK = 1 << 12
"""Records that are read together: those of 1 << 15 leave the caches, and take 1.4 times as long."""

DELIMITERS = (",", ";", "\t", "|")
"""What a file may be parted by, in the order in which they are looked for."""


class Records:
    """Records of a CSV file, read anew whenever they are asked for: as lists, all would take ten times the file.

    Parameters
    ----------
    path : path
        For messages.
    data : bytes
        The file.
    delimiter, comment : str, optional
    header : bool, optional
        Whether the first line holds names; None: it must not look like a row.
    decimal : str
        A comma is not a delimiter if another sign parts the lines.
    progress : callable, optional
        Called with the share of the file that was read.

    Attributes
    ----------
    names : list of str
        Of the columns.
    unnamed : bool
        Whether the first column has no name: `DataFrame.to_csv` writes the index so.
    header : int
        Line of the names; 0: there are none.
    first : int
        Line of the first record.

    Raises
    ------
    UnicodeDecodeError
    ValueError
        No record; a header that is not one.
    """

    def __init__(
        self,
        path: object,
        data: bytes,
        *,
        delimiter: str | None = None,
        comment: str | None = None,
        header: bool | None = None,
        decimal: str = ".",
        progress: Callable[[float], None] | None = None,
    ) -> None:
        self._path, self._data, self._comment, self._progress = path, data, comment, progress
        refuse_utf_16(path, data)
        refuse_others(path, data)
        known = DELIMITERS if decimal == "." else (*DELIMITERS[1:], DELIMITERS[0])
        self._delimiter = delimiter or _sniff(islice((line for line in self._lines() if line.strip()), 20), known)
        first = next(self.blocks(), None)
        if first is None:
            raise ValueError(f"{path}, line 1: the file is empty; a header line and rows are needed")
        lines, rows = first
        self.first, self.delimiter = lines[0], self._delimiter
        names, below = [field.strip() for field in rows[0]], rows[1:21]
        self.header = 0 if header is False else self.first
        if header is False:
            names = [str(at + 1) for at in range(max(map(_width, rows[:21])))]
        elif header is None:
            refuse_comment(path, self.first, names[0], len(names), below)
            refuse_row(path, self.first, names, below)
        if self.header:  # "# sales", as `numpy.savetxt` writes names
            names[0] = re.sub(r"#\s*(?=[^\W\d])", "", names[0], count=1) if names[0].startswith("#") else names[0]
        self.unnamed = not names[0]
        width = max(map(_width, [names, *([] if header is False else below)]))
        self.names = check_header(path, self.first, names[:width])

    def _lines(self) -> Iterator[str]:
        lines = io.TextIOWrapper(self._file(), "utf-8-sig", newline="")
        if self._comment is None:
            return lines
        return ("\n" if line.lstrip().startswith(self._comment) else line for line in lines)

    def line(self, number: int) -> str:
        """One line of the file, from 1."""
        return next(islice(self._lines(), number - 1, number), "")

    def _file(self) -> Any:
        self._raw = io.BytesIO(self._data)
        return self._raw

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
            self._show()
            yield from _without_blank(range(before + 1, before + 1 + len(rows)), rows, ended)

    def _show(self) -> None:
        if self._progress is not None and self._data:
            self._progress(self._raw.tell() / len(self._data))

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
                raise ValueError(f"{self._path}, line {line}: {_wrong_quote(str(error))}") from None
            ended = len(rows) < BLOCK
            self._show()
            yield from _without_blank([before + 1, *(line + 1 for line in starts[:-1])], rows, ended)

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


def _wrong_quote(problem: str) -> str:
    """What the module csv says of a record, in words of the file, and what to do."""
    if "unexpected end of data" in problem:
        return 'a field of this record begins with a quote " that is never closed: close or remove it'
    if "expected after" in problem:
        return 'text follows the closing quote of a field: write a quote inside of a quoted field twice, ""'
    return problem


def _width(row: list[str]) -> int:
    """Number of fields up to the last that is not empty."""
    return max((at + 1 for at, field in enumerate(row) if field.strip()), default=1)


def _without_blank(
    lines: Sequence[int], rows: list[list[str]], last: bool
) -> Iterator[tuple[Sequence[int], list[list[str]]]]:
    """The block without its blank records, of the last also those of commas alone at its end; nothing if all are."""
    while last and rows and len(rows[-1]) != 1 and not any(field.strip() for field in rows[-1]):
        lines, rows = lines[:-1], rows[:-1]
    if min(map(len, rows), default=2) < 2:
        kept = [k for k, row in enumerate(rows) if len(row) > 1 or (row and row[0].strip())]
        lines, rows = [lines[k] for k in kept], [rows[k] for k in kept]
    if rows:
        yield lines, rows


def _sniff(lines: Iterable[str], known: Sequence[str]) -> str:
    """The delimiter that splits the first lines into the same number of fields, the largest; the first if none does."""
    head = "".join(line.rstrip("\r\n") + "\n" for line in lines)
    best, most = known[0], 1
    for delimiter in known:
        try:
            counts = [len(row) for row in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter)]
        except csv.Error:
            continue
        if counts and min(counts) == max(counts) > most:
            best, most = delimiter, counts[0]
    if most > 1:
        return best
    header = head.split("\n", 1)[0]  # rows of unequal lengths: what parts the header
    return max(known, key=lambda each: (header.count(each), each == known[0]))
