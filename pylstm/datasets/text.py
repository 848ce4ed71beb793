"""Texts, and `Vocabulary`: text as indices."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pylstm.checks import listed, quoted
from pylstm.files import open_to_read
from pylstm.hints import explained, explained_constructor

UNKNOWN = "\ufffd"
"""The character that stands for all that a `Vocabulary` does not hold."""

PIECE = 1 << 20
"""Characters that are looked at together."""

_BOM_16_32 = (b"\xff\xfe", b"\xfe\xff")
_OTHERS = {
    b"\x1f\x8b": "compressed by gzip: gunzip -k FILE",
    b"BZh": "compressed by bzip2: bunzip2 -k FILE",
    b"\xfd7zXZ": "compressed by xz: unxz -k FILE",
    b"(\xb5/\xfd": "compressed by zstd: unzstd FILE",
    b"PK\x03\x04": "an Excel or another zip file: save the sheet as CSV, or unzip FILE",
    b"\xd0\xcf\x11\xe0": "an Excel file: save the sheet as CSV",
    b"PAR1": "a Parquet file: pandas.read_parquet(FILE).to_csv(NEW, index=False) writes CSV",
    b"\x89HDF": "an HDF5 file: write what is needed as CSV",
    b"SQLite format 3": "a SQLite file: sqlite3 -csv -header FILE 'select * from TABLE' > NEW",
}
"""First bytes of files that are no text, and what to do with them."""


@explained()
def manual_topics() -> str:
    """The language-reference topics of Python's own ``help()``: about 470 000 characters of English.

    It is on every machine that has Python. The text differs a little between Python versions.

    Returns
    -------
    str
        All topics, sorted by their keys, one blank line between them.

    Raises
    ------
    ModuleNotFoundError
        This Python was built without ``pydoc_data``.

    Examples
    --------
    >>> text = manual_topics()
    >>> len(text) > 300_000, "statement" in text
    (True, True)
    """
    from pydoc_data.topics import topics

    return "\n\n".join(topics[key].strip("\n") for key in sorted(topics)) + "\n"


@explained()
def read_text(path: str | os.PathLike[str], *, minimum: int = 1000) -> str:
    r"""A UTF-8 text file; a byte order mark is dropped, line ends become ``\n``.

    Parameters
    ----------
    path : path
    minimum : int
        Fewest characters to accept: there is nothing to learn from less.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Not UTF-8 (names the byte, its line and column); fewer than `minimum` characters.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "play.txt")
    ...     with open(path, "wb") as file:
    ...         _ = file.write(b"to be\r\nor not to be\r\n")
    ...     read_text(path, minimum=10)
    'to be\nor not to be\n'
    """
    text = read_utf8(path)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) < minimum:
        found = f"{len(text)} characters" if text else "empty"
        raise ValueError(f"{path}: too short to learn from: {found}, at least {minimum} characters are needed")
    return text


def read_utf8(path: str | os.PathLike[str]) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        Not UTF-8: names the byte, its line and column.
    """
    with open_to_read(path) as file:
        data = file.read()
    refuse_utf_16(path, data)
    return decoded(path, data)


def refuse_utf_16(path: object, data: bytes) -> None:
    """`ValueError` if the byte order mark of another encoding comes first."""
    if data.startswith(_BOM_16_32):
        raise ValueError(
            f"{path}: the file is UTF-16 or UTF-32: convert it, for instance iconv -f UTF-16 -t UTF-8 FILE > NEW"
        )


def refuse_others(path: object, data: bytes) -> None:
    """`ValueError` for a file that is not text, or is JSON or HTML; it says how to make a table of it."""
    for begin, what in _OTHERS.items():
        if data.startswith(begin):
            raise ValueError(f"{path}: the file is {what}")
    if data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html")):
        raise ValueError(f"{path}: the file is a page of HTML: download the CSV file itself")
    if data[:64].lstrip()[:2] in (b"[{", b'{"', b"[["):
        raise ValueError(f"{path}: the file is JSON: pandas.read_json(FILE).to_csv(NEW, index=False) writes CSV")


def decoded(path: object, data: bytes) -> str:
    """`data` as text; `ValueError` as of `read_utf8`."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # With a byte order mark, positions are counted after it.
        at = error.start + len(data) - len(error.object)
        line = data.count(b"\n", 0, at) + 1
        before = data[data.rfind(b"\n", 0, at) + 1 : at]
        raise ValueError(
            f"{path}: not UTF-8: byte 0x{data[at]:02x} at position {at}, in line {line}, "
            f"column {len(before.decode('utf-8-sig', 'replace')) + 1} ({error.reason}); "
            "convert it, for instance: iconv -f LATIN1 -t UTF-8 FILE > NEW"
        ) from None


@explained_constructor
class Vocabulary:
    """Characters and their indices. Index 0 is `UNKNOWN`, for characters that are not in it.

    Parameters
    ----------
    characters : iterable of str
        Distinct single characters, without `UNKNOWN`; indices 1, 2, ... in this order.

    Attributes
    ----------
    characters : str
        `UNKNOWN` and then the given ones: ``characters[index]``.

    Raises
    ------
    ValueError
        Not single characters; the same twice.

    Examples
    --------
    >>> vocabulary = Vocabulary.of("abracadabra", min_count=2)
    >>> vocabulary.characters[1:], vocabulary.encode("bad")
    ('abr', array([2, 1, 0]))
    >>> vocabulary.decode([2, 1, 3])
    'bar'
    """

    def __init__(self, characters: Iterable[str]) -> None:
        given = list(characters) if isinstance(characters, str) else listed("characters", characters, "characters")
        if any(not isinstance(each, str) or len(each) != 1 for each in given):
            raise ValueError("the characters of a vocabulary must be single characters")
        if len(set(given)) != len(given) or UNKNOWN in given:
            raise ValueError(f"a vocabulary holds every character once, and {UNKNOWN!r} by itself")
        self.characters = UNKNOWN + "".join(given)
        codes = np.concatenate(list(_codes(self.characters)))
        self._index = np.zeros(codes.max() + 1, np.intp)  # of every code point; those beyond are not known, either
        self._index[codes] = np.arange(len(codes))

    @classmethod
    def of(cls, text: str, *, min_count: int = 1) -> Vocabulary:
        """The characters of `text` that occur at least `min_count` times, sorted by code point."""
        counts = np.zeros(sys.maxunicode + 1, np.intp)
        for codes in _codes(text):
            found = np.bincount(codes)
            counts[: len(found)] += found
        kept = (chr(code) for code in np.flatnonzero(counts >= max(1, min_count)))
        return cls(each for each in kept if each != UNKNOWN)

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str, dtype: Any = np.intp) -> np.ndarray:
        """Indices of the characters of `text`, shape (len(text),); 0 for those that are not known.

        Parameters
        ----------
        text : str
        dtype : dtype
            Of integers that hold all indices. `smallest` is one that takes little memory for a long text.

        Raises
        ------
        TypeError, ValueError
            A dtype that is not of integers, or that does not hold all indices.
        """
        dtype = self._dtype(dtype)
        index, out, at = self._index.astype(dtype), np.empty(len(text), dtype), 0
        for codes in _codes(text):
            known = codes < len(index)
            out[at : at + len(codes)] = np.where(known, index[np.where(known, codes, 0)], 0)
            at += len(codes)
        return out

    def _dtype(self, dtype: Any) -> np.dtype:
        try:
            found: np.dtype = np.dtype(dtype)
        except TypeError:
            raise TypeError(f"dtype must be one of integers, such as 'int64', got {quoted(dtype)}") from None
        if found.kind not in "iu":
            raise TypeError(f"dtype must be one of integers, such as 'int64', got {found}")
        if np.iinfo(found).max < len(self) - 1:
            raise ValueError(f"dtype {found} does not hold the {len(self)} indices: {self.smallest} does")
        return found

    @property
    def smallest(self) -> np.dtype:
        """The smallest dtype that holds all indices."""
        return np.min_scalar_type(len(self) - 1)

    def decode(self, indices: Any) -> str:
        """The characters of an array or list of indices, as a string.

        Raises
        ------
        TypeError, ValueError
            Indices that are not integers; one that is not in 0..len(vocabulary)-1.
        """
        indices = np.asarray(indices)
        if indices.size and indices.dtype.kind not in "iu":
            raise TypeError(f"indices must be integers, as encode returns them, got {quoted(indices.tolist())}")
        indices = indices.astype(np.intp).ravel()
        if indices.size and not (indices.min() >= 0 and indices.max() < len(self)):
            raise ValueError(f"indices must be in 0..{len(self) - 1}, got {indices.min()}..{indices.max()}")
        return "".join(self.characters[index] for index in indices)


def digest(text: str) -> str:
    """Short digest, to compare the texts of two runs."""
    found = hashlib.sha256()
    for start in range(0, len(text), PIECE):
        found.update(text[start : start + PIECE].encode("utf-8", "surrogatepass"))
    return found.hexdigest()[:16]


def _codes(text: str) -> Iterator[np.ndarray]:
    """Code points of `text`, a piece at a time: all of a long text would take eight times its memory."""
    for start in range(0, len(text), PIECE):
        piece = text[start : start + PIECE]
        yield np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)
