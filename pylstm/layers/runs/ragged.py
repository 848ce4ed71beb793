"""Batches of sequences of different lengths: `RaggedRun`. The steps beyond the end of a row are not computed.

Rows are sorted by length, so that the rows of a step are the first of those of the step before, and per-step arrays
hold the rows of one step after the other without gaps. The time loop goes through them as through any batch, with fewer
rows as rows end: the cost is that of the sum of the lengths, for any cell.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from pylstm.checks import Array
from pylstm.engine.packing import pack_rows, sort_rows, unpack_rows
from pylstm.layers.inputs.layout import Layout
from pylstm.layers.runs.run import Run


def turned(array: np.ndarray, lengths: np.ndarray, axis: int) -> np.ndarray:
    """Every row of a per-step array reversed from its own end; twice returns the array itself.

    Parameters
    ----------
    array : ndarray
        (T, B, width), or (B, T, width) with `axis` 1.
    lengths : ndarray of int, shape (B,)
    axis : int
        Of the steps.

    Examples
    --------
    >>> turned(np.arange(4).reshape(4, 1, 1), np.array([3]), 0).ravel()
    array([2, 1, 0, 3])
    """
    t, b = np.arange(array.shape[axis])[:, None], np.arange(len(lengths))
    t = np.where(t < lengths, lengths - 1 - t, t)
    out: np.ndarray = array[b[:, None], t.T] if axis else array[t, b]
    return out


def within(array: np.ndarray, lengths: np.ndarray, axis: int) -> np.ndarray:
    """A copy of a per-step array with zeros beyond the end of each row."""
    inside = np.arange(array.shape[axis])[:, None] < lengths
    return np.where((inside.T if axis else inside)[:, :, None], array, array.dtype.type(0))


class Packing(Layout):
    """How the arrays of a ragged batch lie: sorted by length, the rows of one step after those of the step before.

    Rows of equal length are a batch like any other, cut off at their end.

    Parameters
    ----------
    lengths : ndarray of int, shape (B,)
    T : int
        Steps of the caller's arrays.
    batch_first : bool
        Of the caller's arrays.
    """

    def __init__(self, lengths: np.ndarray, T: int, batch_first: bool) -> None:
        super().__init__(False, batch_first)
        B = len(lengths)
        self.T, self.B, self.lengths = T, B, lengths
        order, self.places = np.empty((2, B), np.intp)
        counts = np.empty(T, np.intp)
        self.rows = sort_rows(lengths, order, self.places, counts)
        self.last = int(lengths[order[0]]) if B else 0
        if self.rows != self.last * B:
            self.order, self.counts = order, counts

    def packed_shape(self, T: int, B: int, width: int) -> tuple[int, ...]:
        """Shape in which the loop has an array of all steps."""
        return (self.last, B, width) if self.order is None else (self.rows, width)

    def plan(self, core: Any, T: int, B: int, *options: Any) -> Any:
        """The plan of where a run over these rows keeps its arrays."""
        if self.order is None:
            return core.plan(self.last, B, *options)
        return core.plan(self.last, B, *options, counts=self.counts)

    def given_in(self, array: np.ndarray) -> np.ndarray:
        """The array that `steps_in` returns; (T, B, w) where the loop finds the rows by their counts."""
        return self.steps_in(array) if self.order is None else self._by_steps(array)

    def whole_out(self, array: np.ndarray) -> np.ndarray:
        """What the caller has of an array (T, B, w), 0 beyond the ends."""
        if self.order is None:
            array[self.last :] = 0
        return super().steps_out(array)

    def steps_in(self, array: np.ndarray) -> np.ndarray:
        """(sum of lengths, w), or (T, B, w) if the lengths are equal, from what the caller has."""
        array = self._by_steps(array if array.ndim == 3 else array[..., None])  # flags of resets have no width
        if self.order is None:
            return np.ascontiguousarray(array[: self.last])
        out = np.empty((self.rows, array.shape[2]), array.dtype)
        pack_rows(array, self.order, self.counts, out)
        return out

    def steps_out(self, array: np.ndarray) -> np.ndarray:
        """What the caller has, 0 beyond the ends."""
        if self.order is None and self.last == self.T:
            return super().steps_out(array)
        out = np.empty((self.T, self.B, array.shape[-1]), array.dtype)
        if self.order is None:
            out[: self.last], out[self.last :] = array, 0
        else:
            unpack_rows(array, self.order, self.counts, out)
        return super().steps_out(out)

    def states_out(self, array: np.ndarray, T: int, B: int) -> np.ndarray:
        """What the caller has of a state, 0 beyond the ends, from its rows."""
        axis, width = int(self.batch_first), array.shape[1]
        first = np.expand_dims(self.rows_out(array[:B]), axis)
        return np.concatenate([first, self.steps_out(array[B:].reshape(self.packed_shape(self.last, B, width)))], axis)

    def rows_in(self, array: np.ndarray) -> np.ndarray:
        """(B, w) in the order of the loop, longest first."""
        return np.ascontiguousarray(array if self.order is None else array[self.order])

    def rows_out(self, array: np.ndarray) -> np.ndarray:
        """(B, w) in the order of the caller."""
        return array if self.order is None else array[self.places]

    def _by_steps(self, array: np.ndarray) -> np.ndarray:
        """(T, B, w) with neighbouring columns."""
        if self.batch_first:
            array = array.swapaxes(0, 1)
        return array if array.strides[2] == array.itemsize else np.ascontiguousarray(array)


class RaggedRun(Run):
    """One pass of a layer over rows of different lengths.

    All that a `Run` has, in the order and shape of the caller's rows: per-step arrays are 0 beyond the end of a row.

    Attributes
    ----------
    y : ndarray, shape (T, B, output width)
        The output; 0 beyond the end of a row. (B, T, ...) with `batch_first`.
    final : dict of str to ndarray, shape (B, width)
        Every state after the last step of each row; of a row without steps its initial state.
    states : dict of str to ndarray, shape (T + 1, B, width)
        Every state; row 0 is the initial one.
    lengths : ndarray of int, shape (B,)
    gates, emissions, kept, layer
        As those of a `Run`.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> run = pylstm.LSTM(3, 5, seed=0)(np.ones((7, 2, 3), "float32"), lengths=[7, 4])
    >>> run.lengths, bool((run.y[4:, 1] == 0).all()), bool((run.final["h"][1] == run.y[3, 1]).all())
    (array([7, 4]), True, True)
    """

    _layout: Packing

    @property
    def lengths(self) -> np.ndarray[tuple[Any, ...], np.dtype[np.intp]]:
        return self._layout.lengths

    @cached_property
    def y(self) -> Array:
        if self._layout.order is None:
            return super().y
        return self._layout.whole_out(self._view(self._plan.offset("y"), (self._T, self._B, self.layer.output_size)))

    def _state(self, offset: int, width: int) -> np.ndarray:
        return _read_only(super()._state(offset, width))

    def _steps(self, offset: int, width: int) -> np.ndarray:
        return _read_only(super()._steps(offset, width))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
