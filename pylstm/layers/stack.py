"""`Stack`: layers one on another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from numbers import Real
from typing import Any, Never, Self, overload

import numpy as np

from pylstm.checks import Seed, check_flag, check_size, generator, listed, seeds_of
from pylstm.described import Layer, call_of
from pylstm.hints import explained
from pylstm.kinds import Plan, Wanted
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.composite import Composite, named_part
from pylstm.layers.inputs.saturated import refuse_to_count
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.layers.runs.stack import StackRun
from pylstm.layers.streams.online import OnlineStream, Rule
from pylstm.layers.streams.stack import StackStream
from pylstm.schema import Entries
from pylstm.summaries import Shape


class Stack(Composite[StackRun], kind="stack"):
    """Layers one on another: the output of each is the input of the next.

    Parameters
    ----------
    layers : iterable of Recurrent or Bidirectional
        Of any cells and widths that fit each other, with the same dtype and `batch_first`. Their parameters become
        pieces of one buffer.
    dropout : float
        Probability with which an element of the output of a layer, but for the last, is set to 0; the others are
        divided by 1 - dropout. Only in training mode (`train`, the default, and `eval`), and at every step anew.
    residual : bool, or iterable of bool by layer
        Layers that add their input to their output (after the dropout); True: all but the first.
    seed : int, optional
        Of the dropout.

    Attributes
    ----------
    layers : list of layer
    params : Parameters
        Parameters of layer k as ``k.<name>``: ``0.weight_x``, ``1.bias``, ``1.reverse.weight_h``.
    training : bool
        Whether dropout acts.
    rng : Generator
        Of the dropout.
    input_size, output_size : int

    Raises
    ------
    TypeError
        Something that is neither `Recurrent` nor `Bidirectional`.
    ValueError
        No layer; widths, dtypes or `batch_first` that do not fit; a layer of another stack; a dropout out of 0..1.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> stack = Stack([pylstm.LSTM(3, 4, seed=0), pylstm.GRU(4, 5, seed=1)], dropout=0.1, seed=2)
    >>> run = stack(np.ones((7, 2, 3), "float32"))
    >>> run.y.shape, run.layers[0].final["c"].shape
    ((7, 2, 5), (2, 4))
    >>> grads = run.backward(np.ones_like(run.y))
    >>> grads.x.shape, grads.params["1.weight_h"].shape
    ((7, 2, 3), (15, 5))
    """

    _run = StackRun
    _remade = ("layers",)

    _dropout: float

    def __init__(
        self,
        layers: Iterable[RecurrentLayer | Bidirectional],
        *more: Never,
        dropout: float = 0.0,
        residual: bool | Iterable[bool] = False,
        seed: Seed = None,
    ) -> None:
        if isinstance(layers, Layer) or more:
            got = f"{len(more) + 1} arguments" if more else repr(layers)
            raise TypeError(f"Stack takes one list of layers, got {got}: Stack([layer, ...])")
        self.layers: list[RecurrentLayer | Bidirectional] = listed("layers", layers, "layers: Stack([layer, ...])")
        for layer in self.layers:
            if not isinstance(layer, RecurrentLayer | Bidirectional):
                raise TypeError(f"the layers of a Stack must be Recurrent or Bidirectional, got {named_part(layer)}")
        if not self.layers:
            raise ValueError("Stack needs at least one layer")
        self.parts = {f"{k}.": layer for k, layer in enumerate(self.layers)}
        self._check_alike()
        for k in range(1, len(self.layers)):
            have, need = self.layers[k - 1].output_size, self.layers[k].input_size
            if have != need:
                raise ValueError(f"Stack: layer {k} has input_size {need}, but layer {k - 1} returns width {have}")
        self.dropout, self.training = dropout, True
        self.residual = self._take_residual(residual)
        self.reseed(seed)
        self._adopt()

    @property
    def arguments(self) -> dict[str, Any]:
        """Description of the layer for a file, besides its parts."""
        return {"dropout": self.dropout, "residual": list(self.residual)}

    @classmethod
    def planned(cls, says: Entries, dtype: str, wanted: Wanted) -> Plan:
        """The layer that a file describes."""
        given = says.entries("arguments").only(("dropout", "residual"))
        options: dict[str, Any] = {"dropout": given.number("dropout", 0, 1), "residual": given.list("residual", bool)}
        plans = cls._planned_parts(says, ("recurrent", "bidirectional"), wanted)
        prefixes = [f"{k}." for k in range(len(plans))]
        return cls._together(plans, prefixes, dtype, lambda parts: cls(parts, **options))

    def _take_residual(self, residual: Any) -> tuple[bool, ...]:
        count = len(self.layers)
        taken = residual if np.ndim(residual) else (False, *[residual] * (count - 1))
        taken = tuple(check_flag("residual", each) for each in taken)
        if len(taken) != count:
            raise ValueError(f"residual must have one value for each of {count} layers, got {len(taken)}")
        for k, layer in enumerate(self.layers):
            if taken[k] and layer.input_size != layer.output_size:
                raise ValueError(
                    f"residual: layer {k} must return as many values as it takes, {layer.input_size}, got "
                    f"{layer.output_size}"
                )
        return taken

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return int(self.layers[-1].output_size)

    def _outline(self, takes: Shape | None) -> Iterator[tuple[str, Any, Shape | None]]:
        for k, layer in enumerate(self.layers):
            yield str(k), layer, takes
            takes = None if takes is None else layer._returns(takes)

    def train(self, mode: bool = True) -> Self:
        """Training mode: dropout acts. Returns the stack."""
        self.training = check_flag("mode", mode)
        return self

    def eval(self) -> Self:
        """Evaluation mode: no dropout. Returns the stack."""
        return self.train(False)

    @property
    def drops(self) -> bool:
        """Whether a call draws dropout: one above 0, in training mode."""
        return self.training and self._dropout > 0

    @property
    def dropout(self) -> float:
        """Probability with which an output between two layers is dropped; may be set."""
        return self._dropout

    @dropout.setter
    def dropout(self, rate: float) -> None:
        if isinstance(rate, bool) or not isinstance(rate, Real):
            raise TypeError(f"dropout must be a number in 0..1, got {rate!r}")
        if not 0 <= rate <= 1:
            raise ValueError(f"dropout must be in 0..1, got {rate}")
        self._dropout = float(rate)

    def reseed(self, seed: Seed = None) -> None:
        """Start the dropout anew from a seed."""
        self.rng = generator(seed)

    @overload
    def stream(self, batch_size: int = 1, *, online: None = None, saturation: bool | float = False) -> StackStream: ...
    @overload
    def stream(self, batch_size: int = 1, *, online: Rule) -> OnlineStream: ...
    @explained("stream option")
    def stream(
        self, batch_size: int = 1, *, online: Rule | None = None, saturation: bool | float = False
    ) -> StackStream | OnlineStream:
        """A stream of this stack, of one direction: a `StackStream`, or, to learn, with `online` an `OnlineStream`."""
        refuse_to_count(online, saturation)
        if online is not None:
            return OnlineStream(self, batch_size, online)
        return StackStream(self, batch_size, saturation=saturation)

    def dropped(self, y: np.ndarray) -> np.ndarray | None:
        """Factors of a dropout of `y` in training mode, else None."""
        if not self.drops:
            return None
        kept = self.rng.random(y.shape, "float32") >= self.dropout
        factors: np.ndarray = kept.astype(self.dtype)
        factors *= self.dtype.type(1 / (1 - self.dropout) if self.dropout < 1 else 0)
        return factors

    def __repr__(self) -> str:
        options: dict[str, Any] = {"dropout": self.dropout} if self.dropout else {}
        options |= {"residual": self.residual} if any(self.residual) else {}
        return call_of("Stack", self.layers, **options)


def stack_of(
    make: Callable[..., RecurrentLayer],
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    *,
    residual: bool | Iterable[bool] = False,
    seed: Seed = None,
    **options: Any,
) -> Stack:
    """A `Stack` of equal layers, as PyTorch's constructors make it.

    Parameters
    ----------
    make : function
        ``make(input_size, hidden_size, seed=, **options)`` returns a `Recurrent`.
    input_size, hidden_size, num_layers : int
    bidirectional : bool
    dropout, residual
        Of `Stack`.
    seed : int, optional
        Of all parameters and of the dropout.
    **options
        Of every layer.
    """
    seeds = seeds_of(seed, 2 * check_size("num_layers", num_layers) + 1)
    layers: list[Any] = []
    for k in range(num_layers):
        width = layers[-1].output_size if layers else input_size
        pair: Sequence[RecurrentLayer] = [
            make(width, hidden_size, seed=own, **options) for own in seeds[2 * k : 2 * k + 1 + bool(bidirectional)]
        ]
        layers.append(Bidirectional(*pair) if bidirectional else pair[0])
    return Stack(layers, dropout=dropout, residual=residual, seed=seeds[-1])
