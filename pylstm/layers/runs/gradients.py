"""`Gradients`: what the backward pass of a run returns."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pylstm.checks import Array, ByName
from pylstm.hints import GradientsBase
from pylstm.layers.inputs.layout import Layout
from pylstm.layers.inputs.protocols import SingleLayer
from pylstm.parameters import Parameters


@dataclass(slots=True, repr=False)
class Gradients(GradientsBase):
    """Gradients of a loss with respect to everything that went into a run, and to what it made on its way.

    Attributes
    ----------
    x : ndarray
        Of the input, in its shape.
    initial : dict of str to ndarray
        Of the states at step 0, (B, width) each, given or not; exactly 0 in rows with a reset at step 0.
    params : Parameters
        Of the layer's parameters, by the same names.
    aux, pre, blend : dict of str to ndarray
        Of the per-step inputs that were given, in the shape in which they were given.
    gates : dict of str to ndarray, shape (T, B, width)
        With ``steps=True``: of what goes into every gate before its activation, the delta of the textbooks.
    states : dict of str to ndarray, shape (T + 1, B, width)
        With ``steps=True``: of every state as ``run.states`` has it, by all paths: through the output and all later
        steps, and what was given for it. Row 0 is `initial`.
    emissions : dict of str to ndarray, shape (T, B, width)
        With ``steps=True``: of the values passed between the stages of a step.

    Raises
    ------
    AttributeError
        `gates`, `states` or `emissions` of a pass without ``steps=True``.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> run = pylstm.LSTM(3, 5, seed=0)(np.ones((7, 2, 3), "float32"))
    >>> grads = run.backward(np.ones_like(run.y), steps=True)
    >>> grads.x.shape, grads.initial["c"].shape, grads.params["weight_h"].shape, grads.gates["f"].shape
    ((7, 2, 3), (2, 5), (20, 5), (7, 2, 5))
    """

    x: Array
    initial: dict[str, Array]
    params: Parameters
    aux: dict[str, Array]
    pre: dict[str, Array]
    blend: dict[str, Array]
    _deltas: tuple[dict[str, Array], ...] | None = None  # of gates, states, emissions

    @property
    def gates(self) -> dict[str, Array]:
        return self._of_steps("gates", 0)

    @property
    def states(self) -> dict[str, Array]:
        return self._of_steps("states", 1)

    @property
    def emissions(self) -> dict[str, Array]:
        return self._of_steps("emissions", 2)

    def _of_steps(self, what: str, which: int) -> dict[str, Array]:
        if self._deltas is None:
            raise AttributeError(f"{what}: cotangents of every step are kept with run.backward(dy, steps=True)")
        return self._deltas[which]


class Deltas:
    """Room for the cotangents of every step of a run.

    Attributes
    ----------
    rooms : tuple of three lists of ndarray
        For the loop: over the gates, over the emissions, and over the states after every step.
    """

    def __init__(self, layer: SingleLayer, layout: Layout, T: int, B: int) -> None:
        self._contract, self._layout, self._T, self._B = layer.cell.contract, layout, T, B

        def room(names: Iterable[str], before: int) -> list[np.ndarray]:
            rows = before + math.prod(layout.packed_shape(T, B, 1))
            return [np.empty((rows, layer.widths[name]), layer.dtype) for name in names]

        def by_step(array: np.ndarray) -> np.ndarray:
            return array.reshape(layout.packed_shape(T, B, array.shape[1]))

        gates, emissions = ([by_step(array) for array in room(names, 0)] for names in self._inner)
        self._states = room(self._contract.states, B)
        self.rooms = gates, emissions, [by_step(array[B:]) for array in self._states]

    @property
    def _inner(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._contract.gates, self._contract.emissions

    def out(self, dinitial: list[np.ndarray]) -> tuple[dict[str, Array], ...]:
        """What the caller has of them: by gate, by state, by emission."""
        for array, first in zip(self._states, dinitial):
            array[: self._B] = first
        gates, emissions = (
            ByName(zip(names, map(self._layout.steps_out, arrays))) for names, arrays in zip(self._inner, self.rooms)
        )
        states = (self._layout.states_out(array, self._T, self._B) for array in self._states)
        return gates, ByName(zip(self._contract.states, states)), emissions
