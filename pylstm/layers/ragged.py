"""Batches of sequences of different lengths: `RaggedRun`. The steps beyond the end of a row are not computed.

Rows are sorted by length. Between the ends of two rows the batch is a rectangle of those that go on, which is run as
any batch is, from the final states of the rectangle before; backward goes through the rectangles in turn. So the cost
is that of the sum of the lengths, for any cell, with the arithmetic of the time loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.layers.learned import add_learned
from pylstm.layers.parameters import as_array, check_array
from pylstm.layers.run import Gradients, Layout, check_names

if TYPE_CHECKING:
    from pylstm.layers.recurrent import Recurrent

KINDS = ("aux", "pre", "blend")


def check_lengths(lengths: Any, T: int, B: int) -> np.ndarray:
    """`lengths` as an array of int, shape (B,).

    Raises
    ------
    TypeError
        Not of integers.
    ValueError
        Another shape, or a length out of 0..T.
    """
    array = as_array("lengths", lengths)
    if array.size == 0:
        array = array.astype(np.intp)
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths must be integers, got {array.dtype}")
    if array.shape != (B,):
        raise ValueError(f"lengths must have shape ({B},), one for each row, got {array.shape}")
    if B and not (array.min() >= 0 and array.max() <= T):
        raise ValueError(f"lengths must be in 0..{T}, the steps of x, got {array.min()}..{array.max()}")
    return array.astype(np.intp)


def turned(array: np.ndarray, lengths: np.ndarray, axis: int) -> np.ndarray:
    """Every row of a per-step array reversed from its own end; twice gives the array itself.

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
    t = np.arange(array.shape[axis])[:, None]
    index = np.where(t < lengths, lengths - 1 - t, t)
    return np.take_along_axis(array, (index.T if axis else index)[:, :, None], axis)


def within(array: np.ndarray, lengths: np.ndarray, axis: int) -> np.ndarray:
    """A copy of a per-step array with zeros beyond the end of each row."""
    inside = np.arange(array.shape[axis])[:, None] < lengths
    return np.where((inside.T if axis else inside)[:, :, None], array, array.dtype.type(0))


class RaggedRun:
    """One pass of a layer over rows of different lengths.

    Attributes
    ----------
    y : ndarray, shape (T, B, output width)
        The output; 0 beyond the end of a row. (B, T, ...) with `batch_first`.
    final : dict of str to ndarray, shape (B, width)
        Every state after the last step of each row; of a row without steps its initial state.
    lengths : ndarray of int, shape (B,)
    segments : list of tuple (int, int, ndarray of int, Run)
        The rectangles: first step, step after the last, rows, and their run.
    layer : Recurrent
    """

    def __init__(
        self, layer: Recurrent, x: Any, lengths: Any, initial: Any, given: dict[str, Any], *, tape: bool = True
    ) -> None:
        self.layer, self._layout, dtype = layer, Layout(False, layer.batch_first), layer.dtype
        self._learned = getattr(initial, "learned", ())
        x = as_array("x", x)
        if x.ndim == 2:
            raise ValueError("lengths needs a batch of sequences: x must have 3 axes, got 2")
        x = self._in(check_array("x", x, layer._input_shape(x.ndim), dtype))
        T, B = x.shape[:2]
        self.lengths = check_lengths(lengths, T, B)
        self._order = np.argsort(-self.lengths, kind="stable")
        first = self._states("initial", initial)
        given = {kind: self._steps_given(kind, values, (T, B)) for kind, values in given.items()}
        self._kinds = {
            kind: values and {n: array.shape for n, array in values.items()} for kind, values in given.items()
        }
        y = np.zeros((T, B, layer.output_size), dtype)
        self.final = {
            name: np.zeros((B, layer.widths[name]), dtype) if first[name] is None else first[name].copy()
            for name in first
        }
        self.segments = []
        carried = self.final
        for start, end, rows in self._rectangles():
            run = layer(
                self._out(x[start:end, rows]),
                carried if self.segments else {name: array[rows] for name, array in carried.items()},
                tape=tape,
                **{kind: self._cut(values, start, end, rows) for kind, values in given.items()},
            )
            y[start:end, rows] = self._in(run.y)
            for name, array in run.final.items():
                self.final[name][rows] = array  # of the rows that end here; those of the others come again
            going = int(np.count_nonzero(self.lengths[rows] > end))
            carried = {name: array[:going] for name, array in run.final.items()}
            self.segments.append((start, end, rows, run))
        self.y = self._out(y)

    def _rectangles(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """First step, end, and the rows that have those steps, the longest first."""
        ends = np.unique(self.lengths[self.lengths > 0])
        ordered = self.lengths[self._order]
        for start, end in zip((0, *ends), ends):
            yield int(start), int(end), self._order[: np.count_nonzero(ordered >= end)]

    def backward(self, dy: Any = None, *, dfinal: Any = None, dstates: Any = None) -> Gradients:
        """Back-propagate through time.

        Parameters
        ----------
        dy : array_like, optional
            Cotangent of `y`, in its shape. What stands beyond the end of a row does not matter.
        dfinal : dict of str to array_like (B, width), optional
            Cotangents of the final states.
        dstates : dict of str to array_like (T, B, width), optional
            Cotangents of states after every step.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As `Run.backward` does.
        """
        if dy is None and not dfinal and not dstates:
            raise ValueError("backward needs a cotangent: dy, dfinal or dstates")
        layer, dtype = self.layer, self.layer.dtype
        shape = self._in(self.y).shape
        dy = np.zeros(shape, dtype) if dy is None else self._in(check_array("dy", dy, self.y.shape, dtype))
        steps = self._steps_given("dstates", dstates, shape[:2])
        d = {
            name: np.zeros_like(self.final[name]) if array is None else array.copy()
            for name, array in self._states("dfinal", dfinal).items()
        }
        dx, params = np.zeros((*shape[:2], layer.input_size), dtype), layer.params.zeros_like()
        back = {kind: {n: np.zeros(s, dtype) for n, s in (ss or {}).items()} for kind, ss in self._kinds.items()}
        for start, end, rows, run in reversed(self.segments):
            grads = run.backward(
                self._out(dy[start:end, rows]),
                dfinal={name: array[rows] for name, array in d.items()},
                dstates=self._cut(steps, start, end, rows),
            )
            for name, array in grads.initial.items():
                d[name][rows] = array  # of the final states of the rectangle before
            dx[start:end, rows] = self._in(grads.x)
            params.flat[...] += grads.params.flat
            for kind, arrays in back.items():
                for name, array in arrays.items():
                    array[start:end, rows] = self._in(getattr(grads, kind)[name])
        add_learned(params, self._learned, d)
        out = {kind: {name: self._out(array) for name, array in arrays.items()} for kind, arrays in back.items()}
        return Gradients(x=self._out(dx), initial=d, params=params, **out)

    def __reduce__(self) -> Any:
        raise TypeError("a run cannot be copied or pickled: take its arrays, or pickle the layer and run it again")

    def _in(self, array: np.ndarray) -> np.ndarray:
        """(T, B, ...) from what the caller has."""
        return array.swapaxes(0, 1) if self.layer.batch_first else array

    def _out(self, array: np.ndarray) -> np.ndarray:
        """What the caller has, from (T, B, ...)."""
        return self._in(array)

    def _states(self, what: str, values: Any) -> dict[str, np.ndarray | None]:
        """State -> (B, width) or None, checked."""
        states, B = self.layer.cell.contract.states, len(self.lengths)
        values = {} if values is None else values
        check_names(what, values, states)
        return {
            name: None
            if values.get(name) is None
            else check_array(f"{what}[{name!r}]", values[name], (B, self.layer.widths[name]), self.layer.dtype)
            for name in states
        }

    def _steps_given(self, what: str, values: Any, sizes: tuple[int, int]) -> dict[str, np.ndarray] | None:
        """Per-step arrays by name in (T, B, ...); the layer checks the rest."""
        if values is None:
            return None
        check_names(what, values, self.layer.cell.contract.aux if what == "aux" else self.layer.cell.contract.states)
        arrays = {name: as_array(f"{what}[{name!r}]", value) for name, value in values.items() if value is not None}
        for name, array in arrays.items():
            expected = sizes[::-1] if self.layer.batch_first else sizes
            if array.ndim != 3 or array.shape[:2] != expected:
                raise ValueError(f"{what}[{name!r}] must have shape {(*expected, 'width')}, got {array.shape}")
        return {name: self._in(array) for name, array in arrays.items()}

    def _cut(self, values: dict[str, np.ndarray] | None, start: int, end: int, rows: np.ndarray) -> Any:
        return values and {name: self._out(array[start:end, rows]) for name, array in values.items()}
