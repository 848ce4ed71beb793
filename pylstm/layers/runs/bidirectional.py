"""`BidirectionalRun`: one pass of two directions."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import as_array
from pylstm.layers.inputs.protocols import TwoDirections
from pylstm.layers.runs.composite import CompositeGradients, CompositeRun
from pylstm.layers.runs.composite_tangents import BidirectionalAlong
from pylstm.layers.runs.ragged import RaggedRun, turned
from pylstm.layers.runs.run import KINDS, Run


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

    layer: TwoDirections
    forward: Run
    reverse: Run

    def __init__(
        self,
        layer: TwoDirections,
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
        self._lengths = self.forward.lengths if isinstance(self.forward, RaggedRun) else None
        turned_over: dict[str, Any] = {
            kind: values
            and {n: None if value is None else self._flip(as_array(n, value)) for n, value in values.items()}
            for kind, values in ((kind, given[1][kind]) for kind in KINDS)
        }
        turned_over |= {name: given[1][name] for name in ("checkpoint", "saturation")}
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
        """The resets of the reversed sequence: a boundary before step t is one after step t - 1."""
        moved = np.roll(reset, -1, self._axis)
        lengths = self._lengths is not None and reset.ndim == 2
        moved = self._flip(moved[..., None])[..., 0] if lengths else np.flip(moved, self._axis).copy()
        moved.swapaxes(0, self._axis)[:1] = False  # no boundary of the row's own: its passed-in states hold there
        return moved

    def _along(self, what: str, dx: Any, dinitial: Any, dparams: Any) -> BidirectionalAlong:
        return BidirectionalAlong(what, self, dx, dinitial, dparams)

    def _backward(
        self, dy: np.ndarray, dfinal: list[Any], dstates: list[Any], options: list[dict[str, Any]]
    ) -> CompositeGradients:
        width = self.layer.forward.output_size
        turned_over = dstates[1] and {name: self._flip(as_array(name, value)) for name, value in dstates[1].items()}
        forward = self.forward.backward(dy[..., :width], dfinal=dfinal[0], dstates=dstates[0], **options[0])
        dy = self._flip(dy[..., width:])
        reverse = self.reverse.backward(dy, dfinal=dfinal[1], dstates=turned_over, **options[1])
        reverse.x = self._flip(reverse.x)
        for kind in KINDS:
            setattr(reverse, kind, {name: self._flip(array) for name, array in getattr(reverse, kind).items()})
        return self._gradients(forward.x + reverse.x, [forward, reverse])
