"""Derivatives along a direction of runs of layers made of layers: `CompositeTangent`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import Array, check_array, check_names
from pylstm.layers.inputs.by_layer import by_layer
from pylstm.layers.runs.composite import CompositeGradients, split
from pylstm.layers.runs.ragged import within
from pylstm.layers.runs.tangents import CompositeTangent

NAMES = ("dy", "dfinal", "dstates"), ("moved['dy']", "moved['dfinal']", "moved['dstates']")


class _CompositeAlong:
    """A run of layers made of layers along a direction.

    Attributes
    ----------
    tangent : CompositeTangent
    """

    def __init__(self, what: str, run: Any, dx: Any, dinitial: Any, dparams: Any) -> None:
        layer, self._run = run.layer, run
        dparams = {} if dparams is None else dparams
        check_names("dparams", dparams, tuple(layer.params))
        starts = split(layer, "dinitial", dinitial)
        given = [name for name, value in dparams.items() if value is not None]
        if dx is None and not any(starts) and not given:
            raise ValueError("a direction needs dx, dinitial or dparams")
        shape = (*run.y.shape[:-1], layer.input_size)
        dx = np.zeros(shape, layer.dtype) if dx is None else check_array("dx", dx, shape, layer.dtype)
        params = [
            {name: dparams[prefix + name] for name in part.params if prefix + name in dparams}
            for prefix, part in layer.parts.items()
        ]
        self._parts: list[Any] = []
        y = self._forward(dx, [(what, *each) for each in zip(starts, params)])
        self.tangent = CompositeTangent(y, [part.tangent for part in self._parts])

    def _forward(self, dx: Array, rest: list[Any]) -> Array:
        raise NotImplementedError

    def back(self, cotangents: Any, moved: Any) -> tuple[CompositeGradients, Array]:
        """The derivatives of the gradients, and the gradient of x, as `Along.back` does."""
        run, given = self._run, []
        for (dy, final, inner), names in zip((cotangents, moved), NAMES):
            dy = np.zeros_like(run.y) if dy is None else check_array(names[0], dy, run.y.shape, run.y.dtype)
            given.append((dy, split(run.layer, names[1], final), by_layer(names[2], inner, len(run.layers))))
        nothing = cotangents[0] is None and moved[0] is None
        if nothing and not any(any(each) for _, *both in given for each in both):
            raise ValueError("hvp needs a cotangent: dy, dfinal or dstates")
        return self._back(*given)

    def _back(self, cotangents: Any, moved: Any) -> tuple[CompositeGradients, Array]:
        raise NotImplementedError


class StackAlong(_CompositeAlong):
    """A run of a stack along a direction."""

    def _forward(self, dx: Array, rest: list[Any]) -> Array:
        run = self._run
        d = dx if run._lengths is None else within(dx, run._lengths, run._axis)
        for each, mask, residual, (what, *others) in zip(run.layers, run._masks, run._residual, rest):
            along = each._along(what, d, *others)
            y = along.tangent.y if mask is None else along.tangent.y * mask
            d = y + d if residual else y
            self._parts.append(along)
        return d

    def _back(self, cotangents: Any, moved: Any) -> tuple[CompositeGradients, Array]:
        run, layers = self._run, []
        (d, *others), (dd, *others_moved) = cotangents, moved
        if run._lengths is not None:
            d, dd = (within(each, run._lengths, run._axis) for each in (d, dd))
        steps = zip(self._parts, run._masks, run._residual, zip(*others), zip(*others_moved))
        for along, mask, residual, of, of_moved in reversed(list(steps)):
            sent = (d, dd) if mask is None else (d * mask, dd * mask)
            grads, plain = along.back((sent[0], *of), (sent[1], *of_moved))
            d, dd = (plain + d, grads.x + dd) if residual else (plain, grads.x)
            layers.append(grads)
        return run._gradients(dd, layers[::-1]), d


class BidirectionalAlong(_CompositeAlong):
    """A run of two directions along a direction of its input."""

    def _forward(self, dx: Array, rest: list[Any]) -> Array:
        run = self._run
        for each, d, (what, *others) in zip(run.layers, (dx, run._flip(dx)), rest):
            self._parts.append(each._along(what, d, *others))
        forward, reverse = (part.tangent.y for part in self._parts)
        return np.concatenate([forward, run._flip(reverse)], -1)

    def _back(self, cotangents: Any, moved: Any) -> tuple[CompositeGradients, Array]:
        run, found = self._run, []
        width = run.layer.forward.output_size
        for k, turn in enumerate((np.asarray, run._flip)):
            where = slice(width) if k == 0 else slice(width, None)
            sent = []
            for dy, final, inner in (cotangents, moved):
                steps = inner[k] and {name: turn(value) for name, value in inner[k].items()}
                sent.append((turn(dy[..., where]), final[k], steps))
            grads, plain = self._parts[k].back(*sent)
            grads.x, grads.aux = turn(grads.x), {name: turn(array) for name, array in grads.aux.items()}
            found.append((grads, turn(plain)))
        (forward, plain), (reverse, other) = found
        return run._gradients(forward.x + reverse.x, [forward, reverse]), plain + other
