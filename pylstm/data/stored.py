"""`Stored`: rows of an array that is not in memory, of a map or in files, which are read a batch at a time."""

from __future__ import annotations

import copy
import mmap
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Self

import numpy as np

from pylstm.checks import quoted
from pylstm.data.sequences import Sequences

SMALL = 1 << 24
"""Bytes of an array that is read at once."""

OPEN = 32
"""Files of one array that are mapped at a time."""


class Stored:
    """N rows of an array that lies elsewhere. Indexing selects rows and reads nothing; `read` does.

    Parameters
    ----------
    source : object
        With ``shape``, ``dtype`` and ``source[rows]`` for a slice or increasing numbers of rows: a mapped array, a
        dataset of h5py, an array of zarr, `Files`.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype

    Examples
    --------
    >>> rows = Stored(np.arange(10) ** 2)[[7, 2, 5]]
    >>> len(rows), rows.read(), rows[1:].read(), rows.number(0)
    (3, array([49,  4, 25]), array([ 4, 25]), 7)
    """

    def __init__(self, source: Any) -> None:
        self._source: Any = source
        self._rows: np.ndarray | None = None
        self._change: Callable[[np.ndarray], np.ndarray] | None = None
        self._finite = ""
        self._inner: tuple[int, ...] = tuple(source.shape[1:])
        self.dtype: np.dtype = np.dtype(source.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self._inner)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 1 + len(self._inner)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, once they are read."""
        return int(np.prod(self.shape, dtype=np.float64)) * self.dtype.itemsize

    def __len__(self) -> int:
        count: int = self._source.shape[0] if self._rows is None else len(self._rows)
        return count

    def __getitem__(self, rows: Any) -> Self:
        """Some of the rows, by a slice, a list or array of their numbers, or a mask."""
        if isinstance(rows, tuple) and rows[1:] == (...,):  # as scikit-learn takes rows of what has a shape
            rows = rows[0]
        if isinstance(rows, slice) and self._rows is None:
            return self._with(_rows=np.arange(*rows.indices(len(self))))
        chosen = (np.arange(len(self)) if self._rows is None else self._rows)[rows]
        if chosen.ndim != 1:
            raise TypeError(f"rows must be a slice, a list of numbers or a mask, got {quoted(rows)}")
        return self._with(_rows=chosen)

    def _with(self, **attributes: Any) -> Self:
        found = copy.copy(self)
        vars(found).update(attributes)
        return found

    def changed(self, change: Callable[[np.ndarray], np.ndarray], inner: tuple[int, ...], dtype: Any) -> Self:
        """The same rows, changed when they are read: to the shape `inner` of a row and to `dtype`.

        Examples
        --------
        >>> Stored(np.arange(3)).changed(lambda rows: rows[:, None] / 2, (1,), "float64")[1:].read()
        array([[0.5],
               [1. ]])
        """
        before = self._change
        both = change if before is None else lambda rows: change(before(rows))
        return self._with(_change=both, _inner=inner, dtype=np.dtype(dtype))

    def finite(self, name: str) -> Self:
        """The same rows; reading one with NaN or infinity raises `ValueError`, whose message calls the array `name`."""
        return self._with(_finite=name)

    def number(self, row: int) -> int:
        """Number in the source of one of the rows."""
        return row if self._rows is None else int(self._rows[row])

    def read(self) -> Any:
        """The rows, in memory (or of a map)."""
        values = _take(self._source, np.arange(len(self)) if self._rows is None else self._rows)
        if self._finite:
            self._refuse_not_finite(values)
        return values if self._change is None else self._change(values)

    def _refuse_not_finite(self, values: np.ndarray, inside: np.ndarray | None = None) -> None:
        if np.isfinite(values).all():
            return
        bad = ~np.isfinite(values)
        if inside is not None:
            bad &= inside.reshape(inside.shape + (1,) * (bad.ndim - inside.ndim))
        if bad.any():
            row, *others = (int(k) for k in np.unravel_index(bad.argmax(), bad.shape))
            index = (self.number(row), *others)
            raise ValueError(f"Input {self._finite} contains {values[row, *others]} at index {index}: fill it")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.read(), dtype)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({type(self._source).__name__}, {self.shape}, {self.dtype})"


class StoredSequences(Stored):
    """`Sequences` whose `padded` is a map: a row is read up to the longest of its batch."""

    def __init__(self, sequences: Sequences) -> None:
        super().__init__(sequences.padded)
        self._sequences = sequences

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each row."""
        lengths = self._sequences.lengths
        return lengths if self._rows is None else np.asarray(lengths[self._rows])

    def read(self) -> Sequences:
        """The rows, in memory (or of a map)."""
        rows = self._sequences if self._rows is None else self._sequences[self._rows]
        if self._finite:
            self._refuse_not_finite(rows.padded, rows.inside)
        return rows if self._change is None else Sequences(self._change(rows.padded), rows.lengths)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError("Sequences are several arrays, not one")


class Files:
    """Arrays of several .npy files, one after the other along the first axis; mapped where they are read.

    Raises
    ------
    ValueError
        Files of other dtypes or further axes than the first, or of objects; names the file.
    OSError
        A file that does not exist, or cannot be read.
    """

    def __init__(self, paths: Sequence[Any]) -> None:
        self._paths = [os.fsdecode(path) for path in paths]
        self._map = lru_cache(OPEN)(self._open)
        shapes, first = [], self._map(0)
        for number, path in enumerate(self._paths):
            each = self._map(number)
            if not each.ndim:
                raise ValueError(f"{path} must hold an array of at least one axis, got a single value")
            if (each.shape[1:], each.dtype) != (first.shape[1:], first.dtype):
                raise ValueError(
                    f"{path} holds {each.dtype} of shape {each.shape}, but {self._paths[0]} {first.dtype} of shape "
                    f"{first.shape}: dtype and all axes after the first must be the same"
                )
            shapes.append(len(each))
        self._ends = np.cumsum(shapes)
        self.shape: tuple[int, ...] = (int(self._ends[-1]), *first.shape[1:])
        self.dtype = first.dtype

    def _open(self, number: int) -> np.ndarray:
        path = self._paths[number]
        try:
            return np.asarray(np.load(path, mmap_mode="r"))
        except ValueError as error:
            raise ValueError(f"{path} cannot be mapped: {error}") from None

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Rows by a slice without a step, or by numbers that increase."""
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(self.shape[0]))
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        owner = np.searchsorted(self._ends, rows, side="right")
        for number in np.unique(owner).tolist():
            here = np.flatnonzero(owner == number)
            begin = self._ends[number - 1] if number else 0
            out[here[0] : here[-1] + 1] = _take(self._map(number), rows[here] - begin)
        return out


def _take(source: Any, rows: np.ndarray) -> np.ndarray:
    """Rows in any order; read in increasing order, which h5py asks for and a disk likes."""
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all():
        return np.asarray(source[int(rows[0]) : int(rows[-1]) + 1])
    if isinstance(source, np.ndarray):
        found: np.ndarray = source[rows]
        return found
    if not len(rows):
        return np.asarray(source[:0])
    ordered, place = np.unique(rows, return_inverse=True)
    if hasattr(source, "read_direct"):
        read = _runs(source, ordered)
    else:
        read = np.asarray(source.oindex[ordered] if hasattr(source, "oindex") else source[ordered])
    return read if np.array_equal(ordered, rows) else np.asarray(read[place])


def _runs(source: Any, rows: np.ndarray) -> np.ndarray:
    """Rows of a dataset of h5py, a run at a time: a selection by many numbers is slow to build."""
    out = np.empty((len(rows), *source.shape[1:]), source.dtype)
    begins = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1).tolist()
    for begin, end in zip(begins, [*begins[1:], len(rows)]):
        source.read_direct(out, np.s_[int(rows[begin]) : int(rows[end - 1]) + 1], np.s_[begin:end])
    return out


def is_mapped(array: Any) -> bool:
    """Whether the elements of an array are those of a file.

    Examples
    --------
    >>> is_mapped(np.zeros(3))
    False
    """
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return isinstance(array, mmap.mmap)


def is_dataset(value: Any) -> bool:
    """Whether it is an array that is not one of NumPy and lies elsewhere, such as those of h5py and zarr.

    These have ``chunks``; a class of your own that reads rows on demand has no ``__array__``.
    """
    if isinstance(value, np.ndarray) or not (hasattr(value, "__getitem__") and hasattr(value, "shape")):
        return False
    shape = getattr(value, "shape", None)
    if not isinstance(shape, tuple) or not shape or not isinstance(getattr(value, "dtype", None), np.dtype):
        return False
    sparse = hasattr(value, "nnz")
    return hasattr(value, "chunks") or not (sparse or hasattr(value, "__array__"))


def is_path(value: Any) -> bool:
    """Whether it names a file of an array."""
    return isinstance(value, str | os.PathLike) and os.fsdecode(value).endswith(".npy")


def stored(value: Any) -> Stored | None:
    """`value` as rows to be read in pieces, if it lies elsewhere; otherwise None.

    Parameters
    ----------
    value : object
        A mapped array, or `Sequences` of one; what `is_dataset` says; a path of a .npy file, or a list of them.

    Examples
    --------
    >>> stored(np.zeros(3)) is None, stored([1, 2]) is None
    (True, True)
    """
    if isinstance(value, Stored):
        return value
    if isinstance(value, Sequences):
        return StoredSequences(value) if is_mapped(value.padded) else None
    if is_path(value):
        return Stored(Files([value]))
    if isinstance(value, list | tuple):
        return Stored(Files(value)) if value and all(map(is_path, value)) else None
    if isinstance(value, np.ndarray):
        masked = isinstance(value, np.ma.MaskedArray)
        return Stored(np.asarray(value)) if value.ndim and not masked and is_mapped(value) else None
    return Stored(value) if is_dataset(value) else None


def lazily(value: Any) -> Any:
    """`value` as `Stored` rows, if it is not in memory and more than `SMALL`; read if it is less, else as it is."""
    found = stored(value)
    if found is None:
        return value
    return found.read() if found.nbytes <= SMALL else found


def read(value: Any) -> Any:
    """Rows in memory, of `Stored`; anything else as it is."""
    return value.read() if isinstance(value, Stored) else value
