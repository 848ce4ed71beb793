"""`StackRun`: one pass of a stack, and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import as_array, check_lengths
from pylstm.layers.inputs.protocols import StackedLayers
from pylstm.layers.runs.composite import CompositeGradients, CompositeRun
from pylstm.layers.runs.composite_tangents import StackAlong
from pylstm.layers.runs.ragged import within


class StackRun(CompositeRun):
    """One pass of a `Stack`.

    Attributes
    ----------
    y : ndarray, shape (T, B, output_size)
        Output of the last layer (plus its input, where it is residual).
    layers : list of Run
        Of every layer: ``run.layers[0].final["c"]``, ``run.layers[1].gates["f"]``.
    """

    layer: StackedLayers

    def __init__(
        self,
        layer: StackedLayers,
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

    def _along(self, what: str, dx: Any, dinitial: Any, dparams: Any) -> StackAlong:
        return StackAlong(what, self, dx, dinitial, dparams)

    def _backward(
        self, dy: np.ndarray, dfinal: list[Any], dstates: list[Any], options: list[dict[str, Any]]
    ) -> CompositeGradients:
        d = dy if self._lengths is None else within(dy, self._lengths, self._axis)
        layers = []
        for run, mask, residual, final, inner, option in reversed(
            list(zip(self.layers, self._masks, self._residual, dfinal, dstates, options))
        ):
            if run is not self.layers[0]:
                option["without"] = _passing_on(option["without"])
            grads = run.backward(d if mask is None else d * mask, dfinal=final, dstates=inner, **option)
            d = grads.x + d if residual else grads.x
            layers.append(grads)
        return self._gradients(d, layers[::-1])


def _passing_on(left_out: Any) -> Any:
    """What a layer that is not the first leaves out: never the gradient of its input."""
    if not isinstance(left_out, list | tuple | set | frozenset):
        return left_out  # refused by the layer
    return [_passing_on(each) if isinstance(each, list | tuple) else each for each in left_out if each != "x"]
