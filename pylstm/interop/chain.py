"""`Chain`: layers one after the other, over whole sequences and as a stream; what files for audio plugins hold."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pylstm.checks import Array, as_array, check_array, check_finite, check_size
from pylstm.engine.threads import allowed_threads
from pylstm.feedforward.linear import Linear
from pylstm.feedforward.mlp import MLP
from pylstm.hint_calls import explained_constructor
from pylstm.interop.convolution import MANY, Conv1d, Windows
from pylstm.interop.elementwise import Activation, Normalisation, PReLU
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack
from pylstm.models.sequence_model import SequenceModel
from pylstm.summaries import Outlined, Shape, Summary, returned, rows_of
from pylstm.wording import named

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike


Part = Recurrent | Linear | Activation | PReLU | Normalisation | Conv1d


class _Fed(Protocol):
    """A part within a stream."""

    def feed(self, chunk: Array) -> Array: ...
    def reset(self) -> None: ...
    def refresh(self) -> None: ...


class _Elementwise:
    """A function of every step alone, without parameters."""

    def __init__(self, part: Any) -> None:
        self.feed = part

    def reset(self) -> None:
        pass

    refresh = reset


class _Mapping:
    """A `Linear` applied to each step; its weights are packed once for one step and once for several."""

    def __init__(self, part: Linear, rows: int) -> None:
        self._part, self._most = part, rows
        self.refresh()

    def refresh(self) -> None:
        self._few, self._many = self._part.packed(self._most), self._part.packed(MANY)

    def feed(self, chunk: Array) -> Array:
        out = np.empty((*chunk.shape[:-1], self._part.out_features), chunk.dtype)
        rows, y = (each.reshape(1, prod(out.shape[:-1]), each.shape[-1]) for each in (chunk, out))
        packed = self._few if rows.shape[1] <= self._most else self._many
        packed.windows(rows, y, threads=allowed_threads())
        return out

    def reset(self) -> None:
        pass


class _Convolving:
    """A causal convolution, which keeps the inputs that it will need; packed as `_Mapping` is."""

    def __init__(self, part: Conv1d, rows: int) -> None:
        self._part, self._rows = part, rows
        self.refresh()
        self.reset()

    def refresh(self) -> None:
        self._few, self._many = self._part.packed(max(1, self._rows)), self._part.packed()
        self._laid: dict[int, Windows] = {}

    def reset(self) -> None:
        self._past = np.zeros((self._rows, self._part.reach, self._part.in_features), self._part.dtype)

    def feed(self, chunk: Array) -> Array:
        T, reach = len(chunk), self._part.reach
        windows = self._laid.get(T) or self._lay_out(T)
        steps = windows.steps
        steps[:, :reach] = self._past
        steps[:, reach:] = chunk.reshape(T, self._rows, chunk.shape[-1]).swapaxes(0, 1)
        self._past[...] = steps[:, T:]
        y = np.empty((T, self._rows, self._part.out_features), chunk.dtype)
        y[...] = windows().swapaxes(0, 1)
        return y.reshape(*chunk.shape[:-1], y.shape[-1])

    def _lay_out(self, T: int) -> Windows:
        """The windows of T steps at a time; those of the last few numbers of steps are kept."""
        packed = self._few if self._rows >= T else self._many
        windows = Windows(self._part, packed, self._rows, T + self._part.reach)
        if len(self._laid) >= MOST_LAID:
            self._laid.pop(next(iter(self._laid)))
        return self._laid.setdefault(T, windows)


MOST_LAID = 4


def _begin(part: Any, rows: int) -> _Fed:
    """A part that is fed so many rows, from its first state."""
    if isinstance(part, Recurrent):
        stream: _Fed = part.stream(rows)
        return stream
    if isinstance(part, Linear):
        return _Mapping(part, rows)
    return _Convolving(part, rows) if isinstance(part, Conv1d) else _Elementwise(part)


@explained_constructor
class Chain(Outlined):
    """Layers one after the other, each step of which is computed from the steps up to it.

    Parameters
    ----------
    parts : iterable
        Layers: `Recurrent`, `Linear`, and what `pylstm.interop.rtneural.load` makes of activations and convolutions.
    sample_rate : float, optional
        Steps a second, where a file says it.
    metadata : dict, optional
        What a file says about the model beside its numbers, of JSON.

    Attributes
    ----------
    parts : list
    input_size, output_size : int
    dtype : dtype
    sample_rate, metadata
        As given.

    Raises
    ------
    ValueError
        No layers, or two that do not fit each other.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> chain = Chain([pylstm.LSTM(1, 8, seed=0), pylstm.Linear(8, 1, seed=1)])
    >>> x = np.sin(np.arange(100, dtype="float32"))[:, None]
    >>> y, stream = chain(x), chain.stream()
    >>> bool((np.concatenate([[stream.step(x[0])], stream.feed(x[1:])]) == y).all())
    True
    """

    def __init__(
        self, parts: Iterable[Any], sample_rate: float | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        self.parts: list[Any] = list(parts)
        if not self.parts:
            raise ValueError("parts must hold at least one layer")
        self.sample_rate, self.metadata = sample_rate, metadata
        self.input_size, self.dtype = sizes_of(self.parts[0])[0], self.parts[0].dtype
        width = self.input_size
        for k, each in enumerate(self.parts):
            inputs, outputs = sizes_of(each)
            if inputs != width or each.dtype != self.dtype:
                raise ValueError(f"parts[{k}] must take {width} values of {self.dtype}, got {each!r}")
            width = outputs
        self.output_size = width

    def _takes(self) -> Shape:
        return ("T", "B", self.input_size)

    def _returns(self, takes: Shape) -> Shape:
        return (*takes[:-1], self.output_size)

    def _outline(self, takes: Shape | None) -> Iterator[tuple[str, Any, Shape | None]]:
        for k, part in enumerate(self.parts):
            yield str(k), part, takes
            takes = returned(part, takes)

    def summary(self, input_shape: Sequence[int | str | None] | None = None) -> Summary:
        """A table of all layers: output shape and parameters, as `pylstm.LSTM.summary`.

        Parameters
        ----------
        input_shape : sequence of int, optional
            (T, B, input_size) or (T, input_size).
        """
        return Summary(rows_of(self, input_shape))

    def _repr_html_(self) -> str:
        """The table of `summary`, as notebooks show it."""
        return rows_of(self).html(type(self).__name__)

    def __call__(self, x: ArrayLike) -> Array:
        """The outputs of a whole sequence, from the first states.

        Parameters
        ----------
        x : array_like, shape (T, input_size) or (T, B, input_size)
            Of the chain's dtype.

        Returns
        -------
        ndarray, shape (T, output_size) or (T, B, output_size)

        Raises
        ------
        TypeError, ValueError
            Another dtype or shape.
        """
        y = self._check(as_array("x", x))
        for part in self.parts:
            if isinstance(part, Recurrent):
                y = part(y, tape=False).y
            else:
                y = part.over(y).y if isinstance(part, Linear) else _begin(part, prod(y.shape[1:-1])).feed(y)
        return y

    def _check(self, x: np.ndarray) -> Array:
        lead = ("T", "B") if x.ndim == 3 else ("T",)
        return np.ascontiguousarray(check_array("x", x, (*lead, self.input_size), self.dtype))

    def stream(self, batch_size: int = 1) -> ChainStream:
        """A stream, which keeps its states between calls; the bits are those of a call with all steps.

        Parameters
        ----------
        batch_size : int
            Rows, each a sequence of its own.
        """
        return ChainStream(self, batch_size)

    def as_model(self) -> SequenceModel:
        """A `SequenceModel` that reads every step, with copies of the layers: to train on, to save, to export.

        Raises
        ------
        TypeError
            The chain is not recurrent layers and one `Linear`.
        """
        *body, head = copy.deepcopy(self.parts)
        if not body or not all(isinstance(each, Recurrent) for each in body) or not isinstance(head, Linear):
            raise TypeError(f"only recurrent layers and one Linear make a SequenceModel, got {self!r}")
        layer = body[0] if len(body) == 1 else Stack(body)
        settings = {"read": "every", "loss": "mean_squared_error", "loss_options": {}}
        return SequenceModel.from_parts({"layer": layer, "head": head}, settings)

    def __repr__(self) -> str:
        return f"Chain([{', '.join(map(repr, self.parts))}])"


class ChainStream:
    """A `Chain` that is fed step by step, or some steps at a time.

    Parameters
    ----------
    chain : Chain
    batch_size : int
        Rows, each a sequence of its own.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.interop.nam import load, save
    >>> save(pylstm.SequenceModel("lstm", 1, 8, 1, read="every", seed=0), "model.nam", sample_rate=48000)
    >>> chain, x = load("model.nam"), np.ones((100, 1), "float32")
    >>> stream = chain.stream()
    >>> np.allclose(np.concatenate([stream.feed(x[:64]), stream.feed(x[64:])]), chain(x), atol=1e-6)
    True
    """

    def __init__(self, chain: Chain, batch_size: int = 1) -> None:
        self.chain, self.batch_size = chain, check_size("batch_size", batch_size)
        self._fed = [_begin(part, self.batch_size) for part in chain.parts]

    def step(self, x_t: ArrayLike) -> Array:
        """One step: (B, input_size), or (input_size,) for one row, to the outputs.

        Raises
        ------
        TypeError, ValueError
            Another dtype or shape. The stream is then where it was.
        """
        out: Array = self.feed(as_array("x", x_t)[None])[0]
        return out

    def feed(self, chunk: ArrayLike) -> Array:
        """Some steps: (T, B, input_size), or (T, input_size) for one row; parameters and errors are those of `step`."""
        x = as_array("x", chunk)
        rows = (self.batch_size,) if x.ndim == 3 or self.batch_size > 1 else ()
        y = np.ascontiguousarray(check_array("x", x, ("T", *rows, self.chain.input_size), self.chain.dtype))
        for each in self._fed:
            y = each.feed(y)
        return y

    def reset(self) -> None:
        """Start anew, from the first states."""
        for each in self._fed:
            each.reset()

    def refresh(self) -> None:
        """Take the parameters that the layers have now; the states stay."""
        for each in self._fed:
            each.refresh()

    def prewarm(self) -> None:
        """Feed zeros, as players of Neural Amp Modeler do before the first sample: what settles has settled.

        As many as convolutions look back and one more; with recurrent layers at least half a second of the chain's
        `sample_rate`, where it is known.
        """
        chain = self.chain
        steps = 1 + sum(part.reach for part in chain.parts if isinstance(part, Conv1d))
        if chain.sample_rate and any(isinstance(part, Recurrent) for part in chain.parts):
            steps = max(steps, int(chain.sample_rate / 2))
        rows = () if self.batch_size == 1 else (self.batch_size,)
        for start in range(0, steps, AT_ONCE):
            self.feed(np.zeros((min(AT_ONCE, steps - start), *rows, chain.input_size), chain.dtype))


AT_ONCE = 4096
"""Steps of silence that `ChainStream.prewarm` feeds at a time."""


def sizes_of(part: Any) -> tuple[int, int]:
    """Numbers that a part takes and returns at a step."""
    if isinstance(part, Recurrent):
        return part.input_size, part.output_size
    if not isinstance(part, Linear | Activation | PReLU | Normalisation | Conv1d):
        cure = ": pass its layers, *stack.layers" if isinstance(part, Stack) else ""
        raise TypeError(f"parts must be recurrent layers and maps, got {type(part).__name__}{cure}")
    return part.in_features, part.out_features


def chain_of(model: Any) -> Chain:
    """`model` as a chain; `TypeError` or `ValueError` where it is not one. Parameters must be finite."""
    chain = model if isinstance(model, Chain) else Chain(_parts_of(model))
    for part in chain.parts:
        for each in part.layers if isinstance(part, Conv1d) else [part]:
            for name, array in each.params.items() if hasattr(each, "params") else ():
                check_finite(name, array)
    return chain


def _parts_of(model: Any) -> list[Any]:
    if isinstance(model, SequenceModel):
        if model.embedding is not None or model.read != "every":
            raise ValueError(
                "a file of layers holds no embedding, and its head reads every step: make the model without vocabulary "
                f"and with read='every', got {model!r}"
            )
        return _parts_of(model.layer) + _parts_of(model.head)
    if isinstance(model, MLP):
        between = [Activation(model.activation, size, model.dtype) for size in model.sizes]
        return [part for pair in zip(model.layers, [*between, None]) for part in pair if part is not None]
    layers = model.layers if isinstance(model, Stack) else [model]
    if any(isinstance(each, Bidirectional) for each in layers):
        raise TypeError("a layer of two directions needs the whole sequence: train one with bidirectional=False")
    if not all(isinstance(each, Recurrent | Linear) for each in layers):
        raise TypeError(
            "model must be a Chain, a SequenceModel, a Stack, a recurrent layer, a Linear or an MLP, "
            f"got {named(model)}"
        )
    if isinstance(model, Stack) and any(model.residual):
        raise ValueError("a file of layers holds no residual connections: train a stack with residual=False")
    return list(layers)
