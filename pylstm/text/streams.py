"""One long sequence as parallel streams, cut into chunks: the data of truncated BPTT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from pylstm.hints import explained_constructor
from pylstm.training.tbptt import Window, window


@explained_constructor
class Streams:
    """`batch_size` consecutive pieces of one sequence, side by side, to predict each next element.

    Chunk k + 1 continues where chunk k stopped, in every column, so that states are carried from one to the next.
    The elements at the end that do not fill a column are left out.

    Parameters
    ----------
    indices : array_like of int, shape (N,)
    batch_size : int
        Number of columns, B.

    Attributes
    ----------
    inputs, targets : ndarray, shape (steps, B)
        ``targets[t, b]`` is the element after ``inputs[t, b]``.

    Raises
    ------
    ValueError
        Not one axis; fewer than two elements for each column.

    Examples
    --------
    >>> streams = Streams(range(9), 2)
    >>> streams.inputs.T.tolist(), streams.targets.T.tolist()
    ([[0, 1, 2, 3], [4, 5, 6, 7]], [[1, 2, 3, 4], [5, 6, 7, 8]])
    """

    def __init__(self, indices: Any, batch_size: int) -> None:
        indices = np.asarray(indices)
        if indices.ndim != 1:
            raise ValueError(f"indices must have one axis, got shape {indices.shape}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        steps = (len(indices) - 1) // batch_size
        if steps < 1:
            raise ValueError(f"{len(indices)} elements are too few for {batch_size} streams: pass a smaller batch_size")
        count = steps * batch_size
        # Views: of a long text, copies would be most of the memory.
        self.inputs = indices[:count].reshape(batch_size, steps).T
        self.targets = indices[1 : count + 1].reshape(batch_size, steps).T

    def chunks(self, length: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs ``(inputs, targets)`` of `length` steps, in order; the last may be shorter.

        Raises
        ------
        ValueError
            `length` below 1.
        """
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        for number in range(self.number_of_chunks(length)):
            yield self.chunk(number, length)

    def chunk(self, number: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """The pair ``(inputs, targets)`` that `chunks` yields as number 0, 1, ..."""
        return self.window(number, length)[:2]

    def window(self, number: int, k1: int, k2: int | None = None) -> tuple[np.ndarray, np.ndarray, Window]:
        """Inputs of the steps of `Window` number 0, 1, ..., targets of its new steps, and the window.

        Examples
        --------
        >>> inputs, targets, where = Streams(range(9), 1).window(1, 3, 5)
        >>> inputs.ravel().tolist(), targets.ravel().tolist(), where.start
        ([1, 2, 3, 4, 5], [4, 5, 6], 1)
        """
        found = window(number, len(self.inputs), k1, k2)
        return self.inputs[found.start : found.end], self.targets[found.first : found.end], found

    def number_of_chunks(self, length: int) -> int:
        """Number of pairs that `chunks` yields."""
        return -(-len(self.inputs) // length)
