"""Runs of layers made of layers: `CompositeRun`, its gradients, and what comes with the steps, by part."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from pylstm.checks import Array, ByName, as_array, check_array, check_flag, check_names
from pylstm.hints import GradientsBase, Output, refuse_backward
from pylstm.layers.inputs.by_layer import by_layer, check_form, needed_by
from pylstm.layers.inputs.protocols import ComposedLayer
from pylstm.layers.runs.checkpointed import shares
from pylstm.layers.runs.gradients import Gradients
from pylstm.layers.runs.run import KINDS, check_without
from pylstm.layers.runs.shown import run_table
from pylstm.layers.runs.tangents import CompositeTangent, HasTangents
from pylstm.parameters import Parameters
from pylstm.wording import in_parts

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike

States = dict[str, Any] | Sequence[Any]
"""States stacked by name, or by layer what the layer takes, for type checkers."""


@dataclass(slots=True, repr=False)
class CompositeGradients(GradientsBase, hints="composite gradients"):
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
        Of every layer; of a `Bidirectional` the two directions, `x` and what was given in the order of the input,
        `gates`, `states` and `emissions` as the run of the direction has them. Their `params` are pieces of `params`.
    """

    x: Array
    initial: dict[str, Array]
    params: Parameters
    layers: list[Any]


class CompositeRun(HasTangents[CompositeTangent, CompositeGradients], Output, hints="composite run"):
    """What the runs of `Stack` and `Bidirectional` share.

    Attributes
    ----------
    y : ndarray
        The output.
    layers : list of Run
        Of every part.
    layer : Stack or Bidirectional
    """

    y: Array
    layers: list[Any]

    def __init__(self, layer: ComposedLayer) -> None:
        self.layer = layer

    @cached_property
    def final(self) -> dict[str, Array]:
        """State -> final values of all single layers, (number of single layers, B, width), as PyTorch's ``h_n``.

        The states in ``layer.state_names``; all others are in ``run.layers[k].final``. A reverse direction ends at the
        first step.
        """
        runs = list(single(self.layers))
        return ByName((name, np.stack([run.final[name] for run in runs])) for name in self.layer.state_names)

    def backward(
        self,
        dy: ArrayLike | None = None,
        *more: Never,
        dfinal: States | None = None,
        dstates: Sequence[Any] | None = None,
        without: Collection[Any] = (),
        steps: bool = False,
        **other: Never,
    ) -> CompositeGradients:
        """Back-propagate through all layers; of two directions the forward one stands before the reverse.

        Parameters
        ----------
        dy : array_like, optional
            Cotangent of `y`, in its shape.
        dfinal : dict of str to array_like (number of single layers, B, width), or list by layer, optional
            Cotangents of the final states.
        dstates : list by layer, optional
            Cotangents of the states after every step: None or what `Run.backward` of the layer takes, of both
            directions in the order of the steps of `x`.
        without : collection of "x" and "params", or list by layer, optional
            What needs no gradient, as of `Run.backward`: of all layers, or a list of what each may leave out (a list of
            two for two directions), as where some are frozen. "x" is the input of the whole; layers after the first
            pass on the gradient of theirs.
        steps : bool, optional
            Keep the cotangents of every step, in the gradients of every layer.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As `Run.backward` does.
        """
        if more or other:
            refuse_backward(other, more)
        finals = split(self.layer, "dfinal", dfinal)
        inner = by_layer("dstates", dstates, len(self.layers))
        if dy is None and not any(finals) and not any(inner):
            raise ValueError("backward needs a cotangent: dy, dfinal or dstates")
        dy = np.zeros_like(self.y) if dy is None else check_array("dy", dy, self.y.shape, self.layer.dtype)
        steps = check_flag("steps", steps)
        return self._backward(
            dy, finals, inner, [{"without": each, "steps": steps} for each in self._left_out(without)]
        )

    def jacobians(self, *, direct: bool = False) -> list[Any]:
        """The Jacobians of the steps of every layer, of two directions a list of both, as `Run.jacobians` has them.

        Examples
        --------
        >>> import numpy as np, pylstm
        >>> run = pylstm.GRU(2, 3, num_layers=2, dtype="float64", seed=0)(np.ones((6, 1, 2)))
        >>> [J.shape for J in run.jacobians()]
        [(6, 1, 3, 3), (6, 1, 3, 3)]
        """
        return [each.jacobians(direct=direct) for each in self.layers]

    def _left_out(self, without: Any) -> list[Any]:
        """What each part leaves out."""
        if isinstance(without, list) and not all(isinstance(each, str) for each in without):
            if len(without) != len(self.layers):
                raise ValueError(f"without has {len(without)} entries for {len(self.layers)} layers, got {without!r}")
            return without
        check_without(without)
        return [tuple(without)] * len(self.layers)

    def _backward(
        self, dy: np.ndarray, dfinal: list[Any], dstates: list[Any], options: list[dict[str, Any]]
    ) -> CompositeGradients:
        raise NotImplementedError

    def _gradients(self, x: np.ndarray, layers: list[Any]) -> CompositeGradients:
        """All gradients, with those of the parameters copied into one buffer."""
        params = self.layer.params.zeros_like()
        for grads, piece in zip(layers, self.layer.pieces(params.flat)):
            _place(grads, piece)
        initial = {name: np.stack([g.initial[name] for g in single(layers)]) for name in self.layer.state_names}
        return CompositeGradients(x, initial, params, layers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.layers))})"

    def _repr_html_(self) -> str:
        return run_table(self)

    def __reduce__(self) -> Any:
        raise TypeError("a run cannot be copied or pickled: take its arrays, or pickle the layer and run it again")


def single(parts: list[Any]) -> list[Any]:
    """The runs or gradients of the single layers among `parts`."""
    return [
        leaf
        for part in parts
        for leaf in (part.layers if isinstance(part, CompositeRun | CompositeGradients) else [part])
    ]


def split(layer: ComposedLayer, what: str, values: Any, x: Any = None) -> list[Any]:
    """States by part, from a list by part or from a dict of arrays stacked along the first axis.

    With `x`, the input of a run, errors name the whole shape that a stacked array must have.
    """
    parts = list(layer.parts.values())
    if not isinstance(values, dict):
        pair = isinstance(values, tuple | list) and any(hasattr(each, "shape") for each in values)
        if pair or hasattr(values, "shape"):
            example = ", ".join(f"{name!r}: ..." for name in layer.state_names)
            count = len(layer.recurrents)
            got = "a pair" if pair else "an array"
            raise TypeError(f"{what} must be a dict by name, {{{example}}}, of arrays ({count}, B, width); got {got}")
        return by_layer(what, values, len(parts))
    values = in_parts(what, values, layer.recurrents[0].cell.contract.complex)
    check_names(what, values, layer.state_names)
    arrays = {name: as_array(f"{what}[{name!r}]", value) for name, value in values.items() if value is not None}
    count, rows = len(layer.recurrents), getattr(x, "shape", ())[0 if layer.batch_first else 1 :][:1]
    for name, array in arrays.items():
        right = (count, *rows, layer.recurrents[0].widths[name])
        if getattr(x, "ndim", 0) == 3 and array.shape != right:
            raise ValueError(f"{what}[{name!r}] must have shape {right}, by layer, row and unit, got {array.shape}")
        if array.ndim == 0 or len(array) != count:
            raise ValueError(f"{what}[{name!r}] must have {count} layers along its first axis, got shape {array.shape}")
    out, at = [], 0
    for part in parts:
        width = len(getattr(part, "parts", ()))
        out.append({name: array[at : at + width] if width else array[at] for name, array in arrays.items()} or None)
        at += width or 1
    return out


def given_to(
    layer: ComposedLayer, aux: Any, pre: Any, blend: Any, checkpoint: Any, saturation: Any
) -> list[dict[str, Any]]:
    """Per-step inputs by part, its share of a budget, and whether it counts its gates."""
    count = len(layer.parts)
    lists = []
    for kind, values in zip(KINDS, (aux, pre, blend)):
        if values is not None or (kind == "aux" and needed_by(layer)):
            check_form(layer, kind, values)
        lists.append(by_layer(kind, values, count))
    budgets = shares(checkpoint, [len(getattr(part, "parts", "1")) for part in layer.parts.values()])
    return [{**dict(zip((*KINDS, "checkpoint"), each)), "saturation": saturation} for each in zip(*lists, budgets)]


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
