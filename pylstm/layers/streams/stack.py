"""`StackStream`: a stack fed step by step, one `Stream` for each layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Never, NoReturn

import numpy as np

from pylstm.checks import Array, as_array
from pylstm.engine.stream import Snapshot, Stream
from pylstm.engine.stream_arguments import not_callable, refuse_call
from pylstm.engine.whole import Whole
from pylstm.hints import explained_constructor, takes_input
from pylstm.layers.inputs.by_layer import by_layer, check_form, needed_by
from pylstm.layers.inputs.protocols import StackedLayers
from pylstm.layers.runs.composite import split

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike

_NOTHING: Any = ...
"""What stands for an input that was not given, so that the message names it."""


@explained_constructor
class StackStream:
    """A stack that keeps its states (at first 0) between calls; without dropout, as in evaluation.

    Parameters
    ----------
    layer : Stack
        Of one direction: a reverse direction starts at the end of a sequence, which a stream does not know.
    batch_size : int
        Rows, each a sequence of its own.
    saturation : bool or float
        Each layer counts its gates, as `Recurrent.stream` says.

    Attributes
    ----------
    layer : Stack
    batch_size : int
    layers : list of Stream
        Of every layer.

    Raises
    ------
    TypeError
        The stack has a `Bidirectional` layer.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> stack = pylstm.GRU(3, 5, num_layers=2, seed=0)
    >>> x, stream = np.ones((7, 3), "float32"), stack.stream()
    >>> bool((np.concatenate([[stream.step(x[0])], stream.feed(x[1:])]) == stack(x).y).all())
    True
    """

    def __init__(self, layer: StackedLayers, batch_size: int = 1, *, saturation: bool | float = False) -> None:
        for k, each in enumerate(layer.layers):
            if hasattr(each, "reverse"):
                raise TypeError(f"layer {k} has two directions: it needs the whole sequence and cannot be streamed")
        self._layer, self._batch_size = layer, batch_size
        self.layers: list[Stream] = [each.stream(batch_size, saturation=saturation) for each in layer.layers]
        self._whole = Whole(self.layers)
        self._takes_aux = bool(needed_by(layer))
        self._between: dict[str, list[np.ndarray]] = {}

    @property
    def layer(self) -> StackedLayers:
        """The stack; it cannot be set: make a new stream."""
        return self._layer

    @property
    def batch_size(self) -> int:
        """Rows; it cannot be set: make a new stream."""
        return self._batch_size

    hot = ("step", "feed")

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        """A stream is not callable: TypeError."""
        not_callable(self)

    @takes_input
    def step(
        self,
        x_t: ArrayLike = _NOTHING,
        out: Array | None = None,
        *more: Never,
        aux: Sequence[Any] | None = None,
        reset: ArrayLike | None = None,
        **other: Never,
    ) -> Array:
        """One step: (B, input_size), or (input_size,) for one row, to the output of the stack.

        Parameters
        ----------
        x_t : array_like
        out : ndarray, optional
            For the result. With it, a call with the sizes of the one before allocates no array but a copy of states,
            if `x_t` and `out` are C-contiguous and of the layer's dtype (and, for `feed`, not rows first).
        aux : list by layer, optional
            None, or per-step inputs by name, as `Stream.step` takes them.
        reset : array_like of bool, optional
            As `Stream.step` takes it, for all layers.

        Raises
        ------
        TypeError, ValueError
            As `Stream.step` does; a list of another length. The stream is then where it was.
        """
        if more or other:
            refuse_call(StackStream.step, (self, x_t, out, *more), other)
        return self._through("step", x_t, out, aux, reset)

    @takes_input
    def feed(
        self,
        chunk: ArrayLike = _NOTHING,
        out: Array | None = None,
        *more: Never,
        aux: Sequence[Any] | None = None,
        reset: ArrayLike | None = None,
        **other: Never,
    ) -> Array:
        """Some steps: (T, B, input_size), (T, input_size) for one row, or (B, T, input_size) with `batch_first`.

        Parameters and errors are those of `step`; every array has the axis of steps.
        """
        if more or other:
            refuse_call(StackStream.feed, (self, chunk, out, *more), other)
        return self._through("feed", chunk, out, aux, reset)

    def _through(
        self, how: Literal["step", "feed"], x: Any, out: np.ndarray | None, aux: Any, reset: Any
    ) -> np.ndarray:
        if x is ...:
            name, what = ("x_t", "one step") if how == "step" else ("chunk", "some steps")
            raise TypeError(f"{how} needs {name}, the input of {what}: y = stream.{how}({name})")
        with self._whole:
            if aux is not None or self._takes_aux:
                check_form(self._layer, "aux", aux)
            given = by_layer("aux", aux, len(self.layers))
            x = as_array("x", x)
            targets: list[Any] = [None] * len(self.layers)
            if out is not None:
                _check_out(out, (*x.shape[:-1], self._layer.output_size), self._layer.dtype)
                targets = self._targets(how, x.shape[:-1], out)
            for stream, residual, each, target in zip(self.layers, self._layer.residual, given, targets):
                y = getattr(stream, how)(x, target, aux=each, reset=reset)
                x = np.add(y, x, target) if residual else y
            last: np.ndarray = x
            if out is None or last is out:
                return last
            out[...] = last
            return out

    def _targets(self, how: str, lead: tuple[int, ...], out: np.ndarray) -> list[np.ndarray]:
        """The outputs of the layers: arrays of our own, kept for the next call, and of the last one `out` if it can."""
        own = self._between.get(how)
        if own is None or own[0].shape[:-1] != lead:
            own = [np.empty((*lead, each.output_size), self._layer.dtype) for each in self._layer.layers]
            self._between[how] = own
        straight = out.flags.c_contiguous and not self._layer.residual[-1]
        return [*own[:-1], out] if straight else own

    @property
    def state(self) -> list[dict[str, Array]]:
        """Copies of the states by layer; assign such a list, or the `final` of a run, to set all."""
        with self._whole:
            return [stream.state for stream in self.layers]

    @state.setter
    def state(self, values: Any) -> None:
        if isinstance(values, dict):
            values = split(self._layer, "state", values)
        if values is None:
            raise TypeError("state must be a list with one entry for each layer, or a dict by name, got NoneType")
        values = by_layer("state", values, len(self.layers))
        with self._whole:
            for stream, each in zip(self.layers, values):
                stream.state = each

    def reset(self, rows: ArrayLike | None = None) -> None:
        """Start all rows anew, or those that `rows` names, in every layer, as `Stream.reset` does."""
        with self._whole:
            for stream in self.layers:
                stream.reset(rows)

    def refresh(self) -> None:
        """Take the parameters as they are now."""
        with self._whole:
            for stream in self.layers:
                stream.refresh()

    def fork(self) -> StackStream:
        """A stream of its own that starts from the same states."""
        other = object.__new__(StackStream)
        other._layer, other._batch_size, other._between = self._layer, self._batch_size, {}
        other._takes_aux = self._takes_aux
        with self._whole:
            other.layers = [stream.fork() for stream in self.layers]
        other._whole = Whole(other.layers)
        return other

    def snapshot(self) -> list[Snapshot]:
        """The states, for `restore`."""
        with self._whole:
            return [stream.snapshot() for stream in self.layers]

    def restore(self, snapshot: list[Snapshot]) -> None:
        """Go back to a `snapshot` of a stream of the same stack.

        Raises
        ------
        TypeError, ValueError
            Something else, a snapshot of another number of layers; as `Stream.restore`. No layer has moved then.
        """
        count = len(self.layers)
        what = f"restore takes a list of {count} Snapshots, which is what stream.snapshot() of the same stack returns"
        if not isinstance(snapshot, list | tuple) or not all(isinstance(each, Snapshot) for each in snapshot):
            kinds = isinstance(snapshot, list | tuple) and sorted({type(each).__name__ for each in snapshot})
            raise TypeError(f"{what}, got {f'a list of {kinds}' if kinds else type(snapshot).__name__}")
        if len(snapshot) != count:
            raise ValueError(f"{what}, got {len(snapshot)}")
        with self._whole:
            for stream, each in zip(self.layers, snapshot):
                stream.restore(each)


def _check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse an `out` that the result does not fit into, before any layer has moved."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy.ndarray, got {type(out).__name__}")
    if out.shape != shape or out.dtype != dtype:
        raise ValueError(f"out must have shape {shape} and dtype {dtype}, got {out.shape} and {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out must be writable")
