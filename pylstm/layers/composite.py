"""`Composite`: base of layers made of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Never, Self, TypeVar

import numpy as np

from pylstm.checks import Seed, seeds_of
from pylstm.described import Layer, owner_of
from pylstm.hints import explained, refuse_call
from pylstm.kinds import MOST_LAYERS, Plan, Wanted, check_remade, describe, plan_of
from pylstm.layers.generators import unmoved
from pylstm.layers.initialisers import Initialiser, initialise
from pylstm.layers.inputs.protocols import SingleLayer
from pylstm.layers.runs.composite import CompositeRun, States, given_to, split
from pylstm.parameters import Parameters
from pylstm.schema import Entries

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike

_Run = TypeVar("_Run", bound=CompositeRun)
_AS_IT_IS = nullcontext()
"""Context of a call that draws nothing, cheaper to enter than `unmoved`."""


class Composite(Layer, Generic[_Run], hints="composite"):
    """What `Stack` and `Bidirectional` share: parts whose parameters are pieces of one buffer.

    Attributes
    ----------
    parts : dict of str to layer
        Prefix of the parameter names -> layer, in the order of the buffer.
    """

    parts: dict[str, Any]
    rng: Any = None
    _run: ClassVar[Any]
    """Class of its runs."""
    _remade: ClassVar[tuple[str, ...]]
    """What `planned` passes to the constructor by position."""

    def _adopt(self) -> None:
        """One buffer for the parameters of all parts; theirs become pieces of it."""
        shapes = {
            prefix + name: shape for prefix, part in self.parts.items() for name, shape in part.params.shapes.items()
        }
        constants = {
            prefix + name: rows
            for prefix, part in self.parts.items()
            for name, rows in part.params.constant_rows.items()
        }
        self._params = Parameters(shapes, self.dtype, constants=constants)
        self._place()

    def _place(self, *pieces: Any) -> None:
        """Move the parameters of all parts into the own buffer, after moving that to `pieces` if given."""
        if pieces:
            self._params.move_to(*pieces)
        parts = list(self.parts.values())
        for part, own in zip(parts, self._params.adopted(part.params for part in parts)):
            part._place(*own) if isinstance(part, Composite) else part.params.move_to(*own)

    def pieces(self, flat: np.ndarray) -> list[np.ndarray]:
        """The pieces of `flat`, laid out as ``params.flat``, that belong to the parts."""
        ends = np.cumsum([part.params.size for part in self.parts.values()])
        return np.split(flat, ends[:-1])

    @property
    def recurrents(self) -> list[SingleLayer]:
        """The single layers, in PyTorch's order: layer by layer, the forward direction before the reverse one."""
        return [leaf for part in self.parts.values() for leaf in part.recurrents]

    @property
    def _first(self) -> Any:
        return next(iter(self.parts.values()))

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        dtype: np.dtype = self._first.dtype
        return dtype

    if not TYPE_CHECKING:  # a checker reports what uses it

        def __getitem__(self, index: Any) -> Never:
            parts = "stack.layers[0]" if hasattr(self, "layers") else "layer.forward, layer.reverse"
            kind = type(self).__name__
            raise TypeError(f"a {kind} can be neither indexed nor iterated over: its layers are {parts}")

    @property
    def batch_first(self) -> bool:
        """Whether arrays are (B, T, ...), as those of the parts."""
        return bool(self._first.batch_first)

    @property
    def input_size(self) -> int:
        """Width of the input."""
        return int(self._first.input_size)

    @property
    def state_names(self) -> tuple[str, ...]:
        """States that every single layer has, all of one width: their final values can be stacked in one array."""
        first, *others = self.recurrents
        return tuple(
            name
            for name in first.cell.contract.states
            if all(name in each.cell.contract.states and each.widths[name] == first.widths[name] for each in others)
        )

    def reset_parameters(self, seed: Seed = None) -> None:
        """Draw all parameters anew, each layer's from a seed of its own."""
        for leaf, own in zip(self.recurrents, seeds_of(seed, len(self.recurrents))):
            leaf.reset_parameters(own)

    @explained()
    def initialise(self, how: Initialiser | Callable[..., Any], *arguments: Any, **options: Any) -> Self:
        """Set initial values of all single layers, as `Recurrent.initialise`; returns the layer."""
        initialise(self, how, *arguments, **options)
        return self

    @property
    def drops(self) -> bool:
        """Whether a call draws dropout from `rng`."""
        return False

    @explained()
    def __call__(
        self,
        x: ArrayLike,
        initial: States | None = None,
        *,
        aux: Sequence[Any] | None = None,
        pre: Sequence[Any] | None = None,
        blend: Sequence[Any] | None = None,
        reset: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
        tape: bool = True,
        checkpoint: str | int | None = None,
        saturation: bool | float = False,
        **other: Never,
    ) -> _Run:
        """Run all layers; of two directions the forward one before the reverse.

        Parameters
        ----------
        x : array_like, shape (T, B, input_size), (B, T, input_size) with `batch_first`, or (T, input_size)
        initial : dict of str to array_like (layers, B, width), or list by layer
            Initial states. As a dict like PyTorch's: single layers in the order of `recurrents` along the first axis,
            for the states in `state_names`. In a list, None or what the layer takes as `initial`. A reverse direction
            starts at the last step.
        aux, pre, blend : list by layer, optional
            None or what the layer takes by that name; for both directions in the order of the steps of `x`.
        reset : array_like of bool, shape (T, B)
            Where True, a new sequence begins, for all layers: in neither direction does anything pass from step t - 1
            to t or back. Both start it as `Recurrent` does; `initial` is for step 0, and in a reverse direction for the
            last step.
        lengths : array_like of int, shape (B,)
            As for `Recurrent`; a reverse direction starts at the own end of each row.
        tape : bool
            Keep what `backward` of the run needs.
        checkpoint : "sqrt", int or str, optional
            As for `Recurrent`; of a budget of memory every single layer has an equal share.
        saturation : bool or float
            As for `Recurrent`; each layer counts for itself.

        Raises
        ------
        TypeError, ValueError
            As `Recurrent` does; a list of another length.
        """
        if other:
            refuse_call(other)
        given = given_to(self, aux, pre, blend, checkpoint, saturation)
        with unmoved(self.rng) if self.drops else _AS_IT_IS:
            run: _Run = self._run(self, x, split(self, "initial", initial, x), given, reset, lengths, tape)
        return run

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._place()

    def describe(self) -> dict[str, Any]:
        """Description of the layer for a file."""
        cls, places, options = type(self), self._remade, tuple(self.arguments)
        if owner_of(cls, "planned").__module__.startswith("pylstm."):
            base = owner_of(cls, "planned")
            check_remade(cls, base, places, options, f"let its constructor take what {base.__name__} takes")
        return {"layers": [describe(part) for part in self.parts.values()], "arguments": self.arguments}

    @staticmethod
    def _planned_parts(says: Entries, kinds: tuple[str, ...], wanted: Wanted) -> list[Plan]:
        """The plans of the parts that a file describes."""
        described = says.only(("layer", "dtype", "arguments", "layers")).list("layers", dict)
        if not 1 <= len(described) <= MOST_LAYERS:
            says.refuse(f"must hold 1 to {MOST_LAYERS} layers", len(described), "layers")
        parts = [Entries(each, f"{says.where}.layers[{k}]") for k, each in enumerate(described)]
        return [plan_of(each, wanted, Layer, kinds) for each in parts]

    @staticmethod
    def _together(plans: list[Plan], prefixes: Iterable[str], dtype: str, make: Callable[[list[Any]], Any]) -> Plan:
        """The plan of what `make` makes of the parts."""
        shapes = {prefix + name: shape for prefix, plan in zip(prefixes, plans) for name, shape in plan.shapes.items()}
        return Plan(shapes, dtype, sum(plan.count for plan in plans), lambda: make([plan.make() for plan in plans]))

    def _check_alike(self) -> None:
        """Reject parts that belong to another stack, or differ in dtype or layout."""
        kind, first = type(self).__name__, self._first
        for prefix, part in self.parts.items():
            where = f"{kind}: layer {prefix.rstrip('.') or 'forward'!r}"
            if part.dtype != first.dtype or part.batch_first != first.batch_first:
                raise ValueError(
                    f"{where} has dtype={part.dtype.name!r}, batch_first={part.batch_first}, the first "
                    f"dtype={first.dtype.name!r}, batch_first={first.batch_first}: they must agree"
                )
            if part.params.flat.base is not None:
                raise ValueError(f"{where} is part of another stack: pass a copy, copy.deepcopy(layer)")
        if len(set(map(id, self.parts.values()))) < len(self.parts):
            raise ValueError(f"{kind}: the same layer twice: pass a copy, copy.deepcopy(layer)")


def named_part(part: Any) -> str:
    """What came in place of a recurrent layer, and what to do about it."""
    if isinstance(part, type):
        return f"the class {part.__name__}: make a layer, such as LSTM(3, 8)"
    if isinstance(part, str):
        return f"{part!r}: pass layers, such as LSTM(3, 8); each cell has its own activations"
    if isinstance(part, Layer):
        return f"{type(part).__name__}: pylstm.SequenceModel.of(stack, output_size) puts a head on recurrent layers"
    return type(part).__name__
