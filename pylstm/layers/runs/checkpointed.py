"""Long sequences in little memory: `CheckpointedRun` keeps the states at some steps, and computes the rest again.

A run is cut into segments. Forward, each but the last is run without a tape, and the states at its start are kept.
Backward, from the last segment on, each is run again with a tape, always in the same workspace, and then
back-propagated; the cotangents of the states pass to the segment before. Segments are whole chunks of the plain run,
so the sums over steps are made in the same order: the gradients are those of the plain run, bit by bit. The price is
one more forward pass, but for the last segment.

Chen, Xu, Zhang and Guestrin (2016), Training deep nets with sublinear memory cost; Gruslys, Munos, Danihelka, Lanctot
and Graves (2016), Memory-efficient backpropagation through time.
"""

from __future__ import annotations

import math
import operator
import re
import threading
from typing import Any

import numpy as np

from pylstm import _core
from pylstm.checks import ByName
from pylstm.engine.memory import Memory
from pylstm.engine.plan import Plan
from pylstm.layers.inputs.given import Given, GivenGradients, cut_arrays
from pylstm.layers.inputs.layout import Layout
from pylstm.layers.inputs.protocols import SingleLayer
from pylstm.layers.runs.run import Run

UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_checkpoint(checkpoint: Any) -> int | None:
    """Bytes of a budget, or None for "sqrt".

    Parameters
    ----------
    checkpoint : "sqrt", int or str
        Bytes, or a number with a unit of `UNITS`, in any case.

    Raises
    ------
    TypeError, ValueError
        Anything else.

    Examples
    --------
    >>> parse_checkpoint("64 MB"), parse_checkpoint(4096), parse_checkpoint("sqrt")
    (64000000, 4096, None)
    """
    cure = 'pass "sqrt", a number of bytes, or a str such as "64 MB"'
    if isinstance(checkpoint, str):
        if checkpoint == "sqrt":
            return None
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", checkpoint.lower())
        if found is None or found[2] not in UNITS:
            raise ValueError(f"unknown checkpoint={checkpoint!r}: {cure}")
        return int(float(found[1]) * UNITS[found[2]])
    if isinstance(checkpoint, bool | np.bool_) or not hasattr(checkpoint, "__index__"):
        raise TypeError(f"checkpoint must be an int or a str, got {checkpoint!r}: {cure}")
    if checkpoint < 1:
        raise ValueError(f"checkpoint must be at least 1 byte, got {checkpoint}")
    return checkpoint if isinstance(checkpoint, Share) else operator.index(checkpoint)


class Share(int):
    """What a part of a stack gets of a budget: that has `total` bytes, for so many single `layers`."""

    total: int
    layers: int

    @classmethod
    def of(cls, nbytes: int, total: int, layers: int) -> Share:
        """A share of `nbytes`."""
        share = cls(nbytes)
        share.total, share.layers = total, layers
        return share


def shares(checkpoint: Any, leaves: list[int]) -> list[Any]:
    """What each part of a stack gets of a budget: equal shares of its single layers, `leaves` in each part.

    Examples
    --------
    >>> shares("1 kB", [2, 1, 1]), shares("sqrt", [1, 1])
    ([500, 250, 250], ['sqrt', 'sqrt'])
    """
    budget, count = None if checkpoint is None else parse_checkpoint(checkpoint), sum(leaves)
    if budget is None:
        return [checkpoint] * len(leaves)
    total, layers = (budget.total, budget.layers) if isinstance(budget, Share) else (budget, count)
    return [Share.of(max(1, budget // count) * n, total, layers) for n in leaves]


class Segments:
    """How a run over T steps of B rows is cut into segments.

    Attributes
    ----------
    steps, count : int
        Steps of every segment but the last; number of segments. The last has what is left: less, or with a generous
        budget more, since it is the one that is not computed again.
    nbytes : int
        All that is kept or needed, but for x, y, the per-step inputs, and their cotangents: the workspace, in which one
        segment has its tape, the states at the starts of the segments, the parameters and their gradient.
    """

    def __init__(
        self, layer: SingleLayer, T: int, B: int, modifiers: tuple[int, int], threads: int, budget: int | None
    ) -> None:
        self._layer, self._options = layer, (*modifiers, threads)
        self.T, self.B = T, B
        self._chunk = layer._core.plan(T, B, True, *self._options).chunk_back
        chunks = -(-T // self._chunk)
        self.steps = self._chunk * min(chunks, max(1, round(math.sqrt(T) / self._chunk)))
        self.count = -(-T // self.steps)
        if budget is not None:
            self._fit(budget)
        self.nbytes = self._nbytes(self.steps, self.count)

    def _fit(self, budget: int) -> None:
        """Cut finely enough for `budget`; the last segment gets the rest of it.

        Raises
        ------
        ValueError
            The budget is below the least possible, which is named.
        """
        if self._nbytes(self.steps, self.count) > budget:
            self.steps = self._least()
            self.count = -(-self.T // self.steps)
            if self._nbytes(self.steps, self.count) > budget:
                least = self._nbytes(self.steps, self.count)
                total, layers = (budget.total, budget.layers) if isinstance(budget, Share) else (budget, 1)
                shared = f", of which {budget:,} are" if layers > 1 else ""
                raise ValueError(
                    f"checkpoint: a budget of {total:,} bytes{shared} for {self._layer!r} is too small for {self.T} "
                    f"steps, batch size {self.B}: the least possible is {least * layers:,} bytes"
                    + (f", {least:,} for this layer" if layers > 1 else "")
                )
        low, high = 1, self.count
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._nbytes(self.steps, middle) <= budget else (middle + 1, high)
        self.count = low

    def _least(self) -> int:
        """The steps that need the least memory: segments of n chunks need n tape + chunks / n border bytes."""
        chunks, tape = -(-self.T // self._chunk), self._tape(2 * self._chunk) - self._tape(self._chunk)
        best = min(chunks, max(1, round(math.sqrt(chunks * self._border / max(1, tape)))))
        near = [n * self._chunk for n in range(max(1, best - 2), min(chunks, best + 2) + 1)]
        return min(near, key=lambda steps: self._nbytes(steps, -(-self.T // steps)))

    @property
    def _border(self) -> int:
        """Bytes of all states at one step."""
        widths = self._layer.widths
        return self.B * sum(widths[name] for name in self._layer.cell.contract.states) * self._layer.dtype.itemsize

    def _tape(self, steps: int) -> int:
        """Bytes of the workspace of so many steps."""
        return Plan(self._layer._core, min(steps, self.T), self.B, True, *self._options, self._chunk).nbytes

    def _nbytes(self, steps: int, count: int) -> int:
        longest = max(steps, self.T - (count - 1) * steps)
        return self._tape(longest) + count * self._border + 2 * self._layer.params.flat.nbytes

    @property
    def workspace(self) -> int:
        """Bytes of the workspace that all segments use, one after the other."""
        return self._tape(max(self.steps, self.T - (self.count - 1) * self.steps))

    def plan(self, piece: slice, *, tape: bool) -> Plan:
        """The plan of one segment."""
        return self._layer._core.plan(piece.stop - piece.start, self.B, tape, *self._options, self._chunk)

    def __getitem__(self, k: int) -> slice:
        """Steps of segment k."""
        return slice(k * self.steps, (k + 1) * self.steps if k + 1 < self.count else self.T)


class CheckpointedRun(Run):
    """One pass of a layer that kept the states at the starts of segments only; `backward` computes the rest again.

    Attributes
    ----------
    y, final
        As of `Run`.
    segments : int
    nbytes : int
        Memory that the run and its backward pass need besides x, y, dx, and the per-step inputs and their gradients.
    layer : Recurrent

    Notes
    -----
    The run holds a copy of the parameters, and of x unless that can no longer be changed (``x.flags.writeable`` False).

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> layer, x = pylstm.LSTM(3, 5, seed=0), np.ones((5000, 3), "float32")
    >>> run, plain = layer(x, checkpoint="sqrt"), layer(x)
    >>> bool((run.backward(run.y).params.flat == plain.backward(plain.y).params.flat).all())
    True
    """

    def __init__(
        self, layer: SingleLayer, x: np.ndarray, start: Any, layout: Layout, given: Given, segments: Segments
    ) -> None:
        if not isinstance(segments, Segments):
            raise TypeError('a CheckpointedRun is what a layer returns: run = layer(x, checkpoint="sqrt")')
        self.layer, self._x, self._layout, self._given, self._segments = layer, x, layout, given, segments
        self._T, self._B = segments.T, segments.B
        self.segments, self.nbytes = segments.count, segments.nbytes
        self._flat = layer.params.flat.copy() if given.made is None else given.made.flat
        contract, dtype, B = layer.cell.contract, layer.dtype, self._B
        self._borders = [np.zeros((segments.count, B, layer.widths[name]), dtype) for name in contract.states]
        for border, first in zip(self._borders, start or ()):
            if first is not None:
                border[0] = first
        (y,) = layer.workspaces.arrays(dtype, (self._T, B, layer.output_size))
        output, last = contract.states.index(contract.output), []
        self._lock, buffer = threading.Lock(), layer.workspaces.take(segments.workspace)
        for k in range(segments.count):
            piece, tape = segments[k], k + 1 == segments.count
            plan = segments.plan(piece, tape=tape)
            self._run_segment(plan, buffer, k, piece, packed=k > 0 and not tape, counts=given.counts)
            at = plan.offset("states", output) + B * layer.output_size * dtype.itemsize
            y[piece] = _view(buffer, at, y[piece].shape, dtype)
            last = [_view(buffer, plan.final_offset(j), b.shape[1:], dtype) for j, b in enumerate(self._borders)]
            if k + 1 < segments.count:
                for border, array in zip(self._borders, last):
                    border[k + 1] = array
        self._ready: Memory | None = buffer  # with the tape of the last segment, which `backward` need not run
        self.y = layout.steps_out(np.asarray(_Constant(y)))
        self.final = ByName((name, layout.rows_out(_frozen(array))) for name, array in zip(contract.states, last))

    def _run_segment(
        self, plan: Plan, buffer: Memory, k: int, piece: slice, *, packed: bool, counts: Any = None
    ) -> None:
        start, given = [border[k] for border in self._borders], self._given.cut(piece)
        given.counts = counts
        _core.forward(plan, buffer, self._flat, self._x[piece], start, given, packed=packed)

    def _pass_back(self, cotangents: Any, gradients: Any, back: GivenGradients) -> None:
        (dy, rows, steps), (flat, dx, dinitial), segments = cotangents, gradients, self._segments
        with self._lock:
            buffer, self._ready = self._ready, None
        ready = buffer is not None
        if buffer is None:
            buffer = self.layer.workspaces.take(segments.workspace)
        for k in reversed(range(segments.count)):
            piece, begin = segments[k], k + 1 == segments.count
            plan = segments.plan(piece, tape=True)
            if not (begin and ready):
                self._run_segment(plan, buffer, k, piece, packed=not begin)
            into = (None if dy is None else dy[piece], rows, cut_arrays(steps, piece))
            out = (flat, None if dx is None else dx[piece], dinitial)
            given, room = self._given.cut(piece), back.cut(piece)
            _core.backward(plan, buffer, into, out, given, room, begin=begin, end=k == 0)

    def _need_tape(self, what: str) -> None:
        if what != "backward":
            raise RuntimeError(
                f"{what}: this run was made with checkpoint=..., which keeps only y and final; "
                "call the layer without it"
            )

    def __repr__(self) -> str:
        return (
            f"CheckpointedRun({self.layer.cell.name}, T={self._T}, B={self._B}, {self.segments} segments, "
            f"{self.nbytes:,} bytes)"
        )


def refuse_with_checkpoint(lengths: Any, tape: bool) -> None:
    """`ValueError` for arguments that cannot be combined with `checkpoint`."""
    if lengths is not None:
        raise ValueError("checkpoint and lengths cannot be combined: run rows of one length together")
    if not tape:
        raise ValueError("checkpoint is for backward: with tape=False there is nothing to compute again")


def segments_of(
    layer: SingleLayer, checkpoint: Any, T: int, B: int, modifiers: tuple[int, int], threads: int
) -> Segments | None:
    """How to cut a run; None where all of it is one segment, which the plain run does faster.

    Raises
    ------
    TypeError, ValueError
        `checkpoint` is not one of these, or is a budget below the least possible.
    """
    budget = parse_checkpoint(checkpoint)
    if T == 0 or B == 0:
        return None
    segments = Segments(layer, T, B, modifiers, threads, budget)
    return segments if segments.count > 1 else None


class _Constant:
    """An array of a workspace, for NumPy: it holds the workspace, and nobody can write to it."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        interface = array.__array_interface__
        self.__array_interface__ = interface | {"data": (interface["data"][0], True)}


def kept(layer: SingleLayer, x: np.ndarray, source: Any) -> np.ndarray:
    """`x`, or a copy of it where it is memory of `source`, what the caller gave, and can be changed."""
    if not np.may_share_memory(x, source) or _is_constant(source):
        return x
    (copy,) = layer.workspaces.arrays(x.dtype, x.shape)
    copy[...] = x
    return copy


def _is_constant(array: Any) -> bool:
    """Whether neither the array nor what it is a view of can be written to."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return array is None or isinstance(array, _Constant)


def _view(buffer: Any, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.ndarray(shape, dtype, buffer, _core.aligned(buffer) + offset)


def _frozen(array: np.ndarray) -> np.ndarray:
    """A copy that cannot be written to."""
    array = array.copy()
    array.flags.writeable = False
    return array
