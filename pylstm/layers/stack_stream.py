"""`StackStream`: a stack fed step by step, one `Stream` for each layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm._stream import Snapshot, Stream
from pylstm.layers.parameters import as_array
from pylstm.layers.run import check_names

if TYPE_CHECKING:
    from pylstm.layers.stack import Stack


class StackStream:
    """A stack that keeps its states (at first 0) between calls; without dropout, as in evaluation.

    Parameters
    ----------
    layer : Stack
        Of one direction: a reverse direction starts at the end of a sequence, which a stream does not know.
    batch_size : int
        Rows, each a sequence of its own.

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

    def __init__(self, layer: Stack, batch_size: int = 1) -> None:
        for k, each in enumerate(layer.layers):
            if not hasattr(each, "stream"):
                raise TypeError(f"layer {k} has two directions: it needs the whole sequence and cannot be streamed")
        self.layer, self.batch_size = layer, batch_size
        self.layers: list[Stream] = [each.stream(batch_size) for each in layer.layers]

    def step(self, x_t: Any, out: np.ndarray | None = None) -> np.ndarray:
        """One step: (B, input_size), or (input_size,) for one row, to the output of the stack."""
        return self._through(x_t, out, lambda stream, x: stream.step(x))

    def feed(self, chunk: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Some steps: (T, B, input_size), (T, input_size) for one row, or (B, T, input_size) with `batch_first`."""
        return self._through(chunk, out, lambda stream, x: stream.feed(x))

    def _through(self, x: Any, out: np.ndarray | None, go: Callable[[Stream, Any], np.ndarray]) -> np.ndarray:
        for stream, residual in zip(self.layers, self.layer.residual):
            y = go(stream, x)
            x = y + as_array("x", x) if residual else y
        if out is None:
            return x
        if out.shape != x.shape or out.dtype != x.dtype:
            raise ValueError(f"out must have shape {x.shape} and dtype {x.dtype}, got {out.shape} and {out.dtype}")
        out[...] = x
        return out

    @property
    def state(self) -> list[dict[str, np.ndarray]]:
        """Copies of the states by layer; assign such a list, or the `final` of a run, to set all."""
        return [stream.state for stream in self.layers]

    @state.setter
    def state(self, values: Any) -> None:
        if isinstance(values, dict):
            names = self.layer.state_names
            check_names("state", values, names)
            values = [{name: array[k] for name, array in values.items()} for k in range(len(self.layers))]
        if len(values) != len(self.layers):
            raise ValueError(f"state must have one entry for each of {len(self.layers)} layers, got {len(values)}")
        before = self.state
        try:
            for stream, each in zip(self.layers, values):
                stream.state = each
        except BaseException:
            for stream, each in zip(self.layers, before):
                stream.state = each
            raise

    def reset(self) -> None:
        """All states to 0."""
        for stream in self.layers:
            stream.reset()

    def refresh(self) -> None:
        """Take the parameters as they are now."""
        for stream in self.layers:
            stream.refresh()

    def fork(self) -> StackStream:
        """A stream of its own that starts from the same states."""
        other = object.__new__(StackStream)
        other.layer, other.batch_size = self.layer, self.batch_size
        other.layers = [stream.fork() for stream in self.layers]
        return other

    def snapshot(self) -> list[Snapshot]:
        """The states, for `restore`."""
        return [stream.snapshot() for stream in self.layers]

    def restore(self, snapshot: list[Snapshot]) -> None:
        """Go back to a `snapshot` of a stream of the same stack."""
        if len(snapshot) != len(self.layers):
            raise ValueError(f"snapshot of {len(snapshot)} layers, the stack has {len(self.layers)}")
        for stream, each in zip(self.layers, snapshot):
            stream.restore(each)
