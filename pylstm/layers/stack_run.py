"""Runs of stacks and of two directions: `StackRun`, `BidirectionalRun`, and their gradients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pylstm.layers.checkpointed import shares
from pylstm.layers.hints import GradientsBase, Output
from pylstm.layers.parameters import Parameters, as_array, check_array
from pylstm.layers.ragged import check_lengths, turned, within
from pylstm.layers.run import KINDS, Gradients, check_names

if TYPE_CHECKING:
    from pylstm.layers.composite import Composite
    from pylstm.layers.stack import Bidirectional, Stack


@dataclass(slots=True, repr=False)
class CompositeGradients(GradientsBase):
    """Gradients of a run of a `Stack` or a `Bidirectional`.

    Attributes
    ----------
    x : ndarray
        Of the input, in its shape.
    initial : dict of str to ndarray, shape (number of single layers, B, width)
        Of the initial states that can be stacked (`state_names`); those of every layer are in `layers`. Exactly 0 where
        a row starts with a reset.
    params : Parameters
        Of all parameters, laid out as those of the stack.
    layers : list of Gradients
        Of every layer; of a `Bidirectional` the two directions, all arrays in the order of the steps of `x`. Their
        `params` are pieces of `params`.
    """

    x: np.ndarray
    initial: dict[str, np.ndarray]
    params: Parameters
    layers: list[Any]


class CompositeRun(Output, hints="run"):
    """What the runs of `Stack` and `Bidirectional` share.

    Attributes
    ----------
    y : ndarray
        The output.
    layers : list of Run
        Of every part.
    layer : Stack or Bidirectional
    """

    y: np.ndarray
    layers: list[Any]

    def __init__(self, layer: Composite) -> None:
        self.layer = layer

    @cached_property
    def final(self) -> dict[str, np.ndarray]:
        """State -> final values of all single layers, (number of single layers, B, width), as PyTorch's ``h_n``.

        The states in ``layer.state_names``; all others are in ``run.layers[k].final``. A reverse direction ends at the
        first step.
        """
        return {name: np.stack([run.final[name] for run in single(self.layers)]) for name in self.layer.state_names}

    def _gradients(self, x: np.ndarray, layers: list[Any]) -> CompositeGradients:
        """All gradients, with those of the parameters copied into one buffer."""
        params = self.layer.params.zeros_like()
        for grads, piece in zip(layers, self.layer.pieces(params.flat)):
            _place(grads, piece)
        initial = {name: np.stack([g.initial[name] for g in single(layers)]) for name in self.layer.state_names}
        return CompositeGradients(x, initial, params, layers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"

    def __reduce__(self) -> Any:
        raise TypeError("a run cannot be copied or pickled: take its arrays, or pickle the layer and run it again")


class BidirectionalRun(CompositeRun):
    """One pass of a `Bidirectional` layer.

    Attributes
    ----------
    y : ndarray, shape (T, B, output_size)
        Outputs of the forward direction, then those of the reverse direction at the same step.
    forward, reverse : Run
        Of the two directions. That of the reverse direction is over the reversed sequence: its step 0 is the last.
    layers : list of Run
        Both.
    """

    layer: Bidirectional

    def __init__(
        self,
        layer: Bidirectional,
        x: Any,
        initial: list[Any],
        given: list[dict[str, Any]],
        reset: Any,
        lengths: Any,
        tape: bool,
    ) -> None:
        super().__init__(layer)
        x = as_array("x", x)
        self._axis = 1 if layer.batch_first and x.ndim == 3 else 0
        self.forward = layer.forward(x, initial[0], **given[0], reset=reset, lengths=lengths, tape=tape)
        self._lengths = None if lengths is None else self.forward.lengths
        turned_over: dict[str, Any] = {
            kind: values
            and {n: None if value is None else self._flip(as_array(n, value)) for n, value in values.items()}
            for kind, values in ((kind, given[1][kind]) for kind in KINDS)
        }
        turned_over["checkpoint"] = given[1]["checkpoint"]
        turned_over["reset"] = None if reset is None else self._turn_reset(as_array("reset", reset))
        self.reverse = layer.reverse(self._flip(x), initial[1], **turned_over, lengths=lengths, tape=tape)
        self.layers = [self.forward, self.reverse]
        self.y = np.concatenate([self.forward.y, self._flip(self.reverse.y)], -1)

    def _flip(self, array: np.ndarray) -> np.ndarray:
        """A per-step array in the order of the other direction: each row from its own end."""
        if self._lengths is not None:
            return turned(array, self._lengths, self._axis)
        return np.flip(array, self._axis)

    def _turn_reset(self, reset: np.ndarray) -> np.ndarray:
        """Where the reversed sequence has to begin anew: a boundary before step t is one after step t - 1."""
        moved = np.roll(reset, -1, self._axis)
        lengths = self._lengths is not None and reset.ndim == 2
        moved = self._flip(moved[..., None])[..., 0] if lengths else np.flip(moved, self._axis).copy()
        moved.swapaxes(0, self._axis)[:1] = False  # no boundary of the row's own: its passed-in states hold there
        return moved

    def backward(self, dy: Any = None, *, dfinal: Any = None, dstates: Any = None) -> CompositeGradients:
        """Back-propagate through both directions.

        Parameters
        ----------
        dy : array_like, optional
            Cotangent of `y`, in its shape.
        dfinal : dict of str to array_like (2, B, width), or pair of dicts, optional
            Cotangents of the final states, forward before reverse.
        dstates : pair of dicts of str to array_like (T, B, width), optional
            Cotangents of the states after every step, both in the order of the steps of `x`.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As `Run.backward` does.
        """
        pairs = split(self.layer, "dfinal", dfinal)
        steps = by_layer("dstates", dstates, 2)
        if dy is None and not any(pairs) and not any(steps):
            raise ValueError("backward needs a cotangent: dy, dfinal or dstates")
        dy = np.zeros_like(self.y) if dy is None else check_array("dy", dy, self.y.shape, self.layer.dtype)
        width = self.layer.forward.output_size
        other = steps[1] and {name: self._flip(as_array(name, value)) for name, value in steps[1].items()}
        forward = self.forward.backward(dy[..., :width], dfinal=pairs[0], dstates=steps[0])
        reverse = self.reverse.backward(self._flip(dy[..., width:]), dfinal=pairs[1], dstates=other)
        reverse.x = self._flip(reverse.x)
        for kind in KINDS:
            setattr(reverse, kind, {name: self._flip(array) for name, array in getattr(reverse, kind).items()})
        return self._gradients(forward.x + reverse.x, [forward, reverse])


class StackRun(CompositeRun):
    """One pass of a `Stack`.

    Attributes
    ----------
    y : ndarray, shape (T, B, output_size)
        Output of the last layer (plus its input, where it is residual).
    layers : list of Run
        Of every layer: ``run.layers[0].final["c"]``, ``run.layers[1].gates["f"]``.
    """

    layer: Stack

    def __init__(
        self,
        layer: Stack,
        x: Any,
        initial: list[Any],
        given: list[dict[str, Any]],
        reset: Any,
        lengths: Any,
        tape: bool,
    ) -> None:
        super().__init__(layer)
        self.layers, self._masks = [], []
        self._residual = layer.residual
        x, self._lengths = self._take_lengths(as_array("x", x), lengths)
        for k, each in enumerate(layer.layers):
            run = each(x, initial[k], **given[k], reset=reset, lengths=lengths, tape=tape)
            y = run.y
            mask = layer.dropped(y) if k + 1 < len(layer.layers) else None
            if mask is not None:
                y = y * mask
            x = y + x if layer.residual[k] else y
            if k + 1 < len(layer.layers):
                x.flags.writeable = False  # ours alone: a checkpointed layer need not copy it
            self.layers.append(run)
            self._masks.append(mask)
        self.y = x

    def _take_lengths(self, x: np.ndarray, lengths: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """`x`, with zeros beyond the ends where a residual layer would pass them on; and the lengths, if so."""
        self._axis = 1 if self.layer.batch_first else 0
        if lengths is None or x.ndim != 3 or not any(self._residual):
            return x, None  # the layer refuses lengths of a single sequence
        lengths = check_lengths(lengths, x.shape[self._axis], x.shape[1 - self._axis])
        return within(x, lengths, self._axis), lengths

    def backward(self, dy: Any = None, *, dfinal: Any = None, dstates: Any = None) -> CompositeGradients:
        """Back-propagate through all layers.

        Parameters
        ----------
        dy : array_like, optional
            Cotangent of `y`, in its shape.
        dfinal : dict of str to array_like (number of single layers, B, width), or list by layer, optional
            Cotangents of the final states.
        dstates : list by layer, optional
            Cotangents of the states after every step: None or what `Run.backward` of the layer takes.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As `Run.backward` does.
        """
        finals = split(self.layer, "dfinal", dfinal)
        steps = by_layer("dstates", dstates, len(self.layers))
        if dy is None and not any(finals) and not any(steps):
            raise ValueError("backward needs a cotangent: dy, dfinal or dstates")
        d = np.zeros_like(self.y) if dy is None else check_array("dy", dy, self.y.shape, self.layer.dtype)
        d = d if self._lengths is None else within(d, self._lengths, self._axis)
        layers = []
        for run, mask, residual, final, step in reversed(
            list(zip(self.layers, self._masks, self._residual, finals, steps))
        ):
            grads = run.backward(d if mask is None else d * mask, dfinal=final, dstates=step)
            d = grads.x + d if residual else grads.x
            layers.append(grads)
        return self._gradients(d, layers[::-1])


def single(parts: list[Any]) -> list[Any]:
    """The runs or gradients of the single layers among `parts`."""
    return [
        leaf
        for part in parts
        for leaf in (part.layers if isinstance(part, CompositeRun | CompositeGradients) else [part])
    ]


def by_layer(what: str, values: Any, count: int) -> list[Any]:
    """`values` as a list of one entry for each of `count` layers."""
    if values is None:
        return [None] * count
    if not isinstance(values, list | tuple):
        raise TypeError(f"{what} must be a list with one entry for each layer, got {type(values).__name__}")
    if len(values) != count:
        raise ValueError(f"{what} must have one entry for each of {count} layers, got {len(values)}")
    return list(values)


def split(layer: Composite, what: str, values: Any) -> list[Any]:
    """States by part, from a list by part or from a dict of arrays stacked along the first axis."""
    parts = list(layer.parts.values())
    if not isinstance(values, dict):
        if isinstance(values, tuple | list) and any(hasattr(each, "shape") for each in values):
            example = ", ".join(f"{name!r}: ..." for name in layer.state_names)
            count = len(layer.recurrents)
            raise TypeError(f"{what} must be a dict by name, {{{example}}}, of arrays ({count}, B, width); got a pair")
        return by_layer(what, values, len(parts))
    check_names(what, values, layer.state_names)
    arrays = {name: as_array(f"{what}[{name!r}]", value) for name, value in values.items() if value is not None}
    count = len(layer.recurrents)
    for name, array in arrays.items():
        if array.ndim == 0 or len(array) != count:
            raise ValueError(f"{what}[{name!r}] must have {count} layers along its first axis, got shape {array.shape}")
    out, at = [], 0
    for part in parts:
        width = len(getattr(part, "parts", ()))
        out.append({name: array[at : at + width] if width else array[at] for name, array in arrays.items()} or None)
        at += width or 1
    return out


def given_to(layer: Composite, aux: Any, pre: Any, blend: Any, checkpoint: Any) -> list[dict[str, Any]]:
    """Per-step inputs by part, and its share of a budget."""
    count = len(layer.parts)
    lists = [by_layer(kind, values, count) for kind, values in zip(KINDS, (aux, pre, blend))]
    budgets = shares(checkpoint, [len(getattr(part, "parts", "1")) for part in layer.parts.values()])
    return [dict(zip((*KINDS, "checkpoint"), each)) for each in zip(*lists, budgets)]


def _place(grads: Gradients | CompositeGradients, piece: np.ndarray) -> None:
    """Copy the gradients of the parameters into `piece`, which they are from now on."""
    if isinstance(grads, Gradients):
        piece[...] = grads.params.flat
        grads.params = grads.params.around(piece)
        return
    grads.params.move_to(piece)
    at = 0
    for part in grads.layers:
        part.params = part.params.around(piece[at : at + part.params.size])
        at += part.params.size
