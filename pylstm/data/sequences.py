"""`Sequences`: rows of different lengths in one array, for models and fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from pylstm.checks import as_array, check_lengths, listed, quoted
from pylstm.hints import explained

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from pylstm.arrays import ArrayLike, HasArray

Batch: TypeAlias = "ArrayLike | Sequences"
"""Rows of a batch, for type checkers."""

Rows: TypeAlias = "HasArray | Sequences | PathLike[str] | Sequence[Any]"
"""Rows to train on, for type checkers: an array, a data frame, a list of such, or paths of .npy files."""

KINDS = "biuf"
"""Kinds of dtype that a sequence can have: bool, integers, floats."""


class Sequences:
    """N sequences of different lengths, padded to one array.

    Parameters
    ----------
    padded : array_like, shape (N, T, ...)
        Floats (the input of a model: (N, T, I)), integers or bool (labels: (N, T)). Not copied; what stands beyond the
        end of a row is never looked at.
    lengths : array_like of int, shape (N,)
        Steps of each row, 0..T.

    Attributes
    ----------
    padded : ndarray, shape (N, T, ...)
    lengths : ndarray of int, shape (N,)

    Raises
    ------
    TypeError
        Neither numbers nor bool; lengths that are not integers.
    ValueError
        Less than two axes; another number of lengths than of rows, or one out of 0..T.

    Examples
    --------
    >>> several = Sequences.of([np.ones((3, 2)), np.ones((1, 2)), np.ones((0, 2))])
    >>> several.padded.shape, several.lengths.tolist(), len(several)
    ((3, 3, 2), [3, 1, 0], 3)
    >>> several[1:].padded.shape
    (2, 1, 2)
    """

    @explained()
    def __init__(self, padded: ArrayLike, lengths: ArrayLike) -> None:
        self.padded: np.ndarray = as_array("padded", padded)
        if self.padded.ndim < 2:
            raise ValueError(f"padded must have shape (N, T, ...), got {self.padded.shape}")
        if self.padded.dtype.kind not in KINDS:
            raise TypeError(f"sequences must be of floats, integers or bool, got {self.padded.dtype}")
        N, T = self.padded.shape[:2]
        self.lengths = check_lengths(lengths, T, N)

    @classmethod
    @explained(name="Sequences.of")
    def of(cls, sequences: Iterable[ArrayLike], *, dtype: DTypeLike | None = None) -> Sequences:
        """Sequences from one array for each.

        Parameters
        ----------
        sequences : iterable of array_like, shape (T_i, ...)
            At least one, all of one dtype and of the same further axes; T_i may be 0.
        dtype : dtype, optional
            To convert all to; needed where empty lists are among them.

        Raises
        ------
        TypeError, ValueError
            No sequence; different dtypes or further axes.

        Examples
        --------
        >>> Sequences.of([[3, 1, 2], [], [1]], dtype="int64").padded.tolist()
        [[3, 1, 2], [0, 0, 0], [1, 0, 0]]
        """
        arrays = [as_array(f"sequence {k}", each) for k, each in enumerate(listed("sequences", sequences, "arrays"))]
        if dtype is not None:
            arrays = [each.astype(dtype, copy=False) for each in arrays]
        if not arrays:
            raise ValueError("at least one sequence is needed")
        first = arrays[0]
        for k, each in enumerate(arrays):
            if each.ndim == 0:
                raise ValueError(f"sequence {k} must have shape (T, ...), got the single value {quoted(each.item())}")
            if each.shape[1:] != first.shape[1:]:
                raise ValueError(
                    f"sequence {k} has shape {each.shape}, but sequence 0 {first.shape}: the axes after the first, "
                    "which are the steps, must be the same"
                )
            if each.dtype != first.dtype:
                raise TypeError(f"sequence {k} has dtype {each.dtype}, but sequence 0 {first.dtype}: pass dtype=")
        lengths = np.array([len(each) for each in arrays], np.intp)
        padded = np.zeros((len(arrays), lengths.max(), *first.shape[1:]), first.dtype)
        for row, each in zip(padded, arrays):
            row[: len(each)] = each
        return cls(padded, lengths)

    @property
    def dtype(self) -> np.dtype:
        """Dtype of the elements."""
        return self.padded.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of `padded`."""
        return self.padded.shape

    @property
    def inside(self) -> np.ndarray[tuple[Any, ...], np.dtype[np.bool_]]:
        """Which steps belong to a row: bool, (N, T)."""
        return np.arange(self.padded.shape[1]) < self.lengths[:, None]

    def cut(self) -> Sequences:
        """The same rows, padded to the longest of them only."""
        return Sequences(self.padded[:, : self.lengths.max(initial=0)], self.lengths)

    if not TYPE_CHECKING:  # a checker reports that they are not an array

        def __array__(self, *_: Any, **__: Any) -> NoReturn:  # layer(sequences)
            raise TypeError(
                "Sequences are several arrays, not one: a SequenceModel takes them, a layer with batch_first=True "
                "takes sequences.padded with lengths=sequences.lengths"
            )

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, rows: Any) -> Sequences:
        """Some rows, by a slice, a list or array of their numbers, or a mask; cut to the longest of them."""
        if isinstance(rows, tuple) and rows[1:] == (...,):  # as scikit-learn takes rows of what has a shape
            rows = rows[0]
        lengths = self.lengths[rows]
        if lengths.ndim != 1:
            raise TypeError(f"rows must be a slice, a list of numbers or a mask, got {rows!r}")
        return Sequences(self.padded[rows, : lengths.max(initial=0)], lengths)

    def rows(self) -> list[np.ndarray]:
        """One array for each sequence, (T_i, ...): views of `padded`."""
        return [row[:length] for row, length in zip(self.padded, self.lengths)]

    def __repr__(self) -> str:
        steps = f"{self.lengths.min()}..{self.lengths.max()}" if len(self) else "0"
        return f"Sequences({len(self)} rows of {steps} steps, {self.padded.shape[2:]}, {self.dtype})"


def lengths_of(x: np.ndarray | Sequences) -> np.ndarray | None:
    """Steps of each row; None for an array, whose rows have them all.

    Examples
    --------
    >>> lengths_of(np.zeros((2, 3, 1))) is None, lengths_of(Sequences(np.zeros((2, 3, 1)), [3, 2]))
    (True, array([3, 2]))
    """
    return x.lengths if isinstance(x, Sequences) else None
