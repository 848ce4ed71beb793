"""`Steps`: all steps of a run as the rows of one step, to go back through each by itself; `jacobians_of` them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import Array, check_array
from pylstm.layers.runs.gradients import Gradients
from pylstm.layers.runs.unchanged import check_unchanged


def by_step(run: Any, array: Array, more: int = 0) -> Array:
    """(T + more, B, width), from an array of all steps as the caller of a run has it."""
    found = array[:, None] if run._layout.single else array.swapaxes(0, 1) if run._layout.batch_first else array
    return found.reshape(run._T + more, run._B, array.shape[-1])


def turned(layout: Any, array: Array) -> Array:
    """An array of all steps as the caller of a run has it, from (T, B, ...): what `by_step` takes."""
    return array[:, 0] if layout.single else array.swapaxes(0, 1) if layout.batch_first else array


def input_of(run: Any) -> Array:
    """The input of a run, (T, B, input_size)."""
    return by_step(run, run._steps(run._plan.offset("x"), run.layer.input_size))


def resets_of(run: Any) -> Array:
    """Which steps of a run are reset, bool (T, B, 1)."""
    flags = run._given.reset
    flags = flags if flags.ndim == 3 or run._layout.order is not None else flags[..., None]
    return by_step(run, run._layout.steps_out(flags)).astype(bool)


class Steps:
    """The steps of all rows of a run, side by side: a batch of one step, from the states before each.

    Parameters
    ----------
    run : Run
        Of one layer, with a tape.
    first : int
    count : int, optional
        How many steps from `first` on; default all.
    row : int, optional
        Of the batch: its steps alone.

    Attributes
    ----------
    run : Run
        Over that batch: rows of a step next to each other, without those that have ended.
    T, B : int
        T: of the steps that are taken.
    """

    def __init__(self, run: Any, first: int = 0, count: int | None = None, row: int | None = None) -> None:
        check_unchanged(run)
        self._of, self.T, self.B = run, run._T - first if count is None else min(count, run._T - first), run._B
        self._first = first
        lengths = getattr(run, "lengths", None)
        inside = np.ones((self.T, self.B), bool)
        if lengths is not None:
            inside = np.arange(first, first + self.T)[:, None] < lengths
        if row is not None:
            inside &= np.arange(self.B) == row
        self._rows = np.flatnonzero(inside)
        contract, given = run.layer.cell.contract, run._given
        options: dict[str, Any] = {}
        for kind, names in (("aux", contract.aux), ("pre", contract.states), ("blend", contract.states)):
            arrays = zip(names, getattr(given, kind) or ())
            found = {name: self._one_step(run._layout.steps_out(array)) for name, array in arrays if array is not None}
            if found:
                options[kind] = found
        if given.reset is not None:
            rows = self._taken(self._cut(resets_of(run)))[:, None]
            options["reset"] = (rows if run.layer.batch_first else rows.swapaxes(0, 1))[..., 0]
        initial = {name: self._taken(self._cut(by_step(run, run.states[name], 1))) for name in contract.states}
        x = self._one_step(run._steps(run._plan.offset("x"), run.layer.input_size))
        self.run = run.layer(x, initial, **options)

    def _taken(self, array: Array) -> Array:
        """The rows of a (T, B, width) array that are there."""
        found: Array = np.ascontiguousarray(array.reshape(self.T * self.B, array.shape[-1])[self._rows])
        return found

    def _cut(self, array: Array) -> Array:
        """The steps that are taken."""
        return array[self._first : self._first + self.T]

    def _one_step(self, array: Array) -> Array:
        """One step, from an array of all steps as the caller has it."""
        rows = self._taken(self._cut(by_step(self._of, array)))
        return rows[:, None] if self._of.layer.batch_first else rows[None]

    def back(self, cotangents: dict[str, Array]) -> Gradients:
        """Back through every step by itself: `cotangents` of the states after it, (T, B, width)."""
        found: Gradients = self.run.backward(dfinal={n: self._taken(v) for n, v in cotangents.items()})
        return found

    def direct(self, cotangents: dict[str, Array]) -> dict[str, Array]:
        """What every step sends back from the states after it, without what comes through a matrix times a state."""
        run, back = self.run, self.run._given.gradients(None)
        gradients, back.direct = run._room(("x", "params")), True
        run._pass_back((None, [self._taken(each) for each in cotangents.values()], None), gradients, back)
        return {name: self.whole(value) for name, value in zip(cotangents, gradients[2])}

    def whole(self, rows: Array) -> Array:
        """(T, B, width), 0 where a row has ended, from the rows of the batch."""
        found = np.zeros((self.T * self.B, rows.shape[-1]), rows.dtype)
        found[self._rows] = rows.reshape(len(self._rows), rows.shape[-1])
        return found.reshape(self.T, self.B, rows.shape[-1])

    def nothing(self) -> dict[str, Array]:
        """Cotangents of the states after every step that are 0."""
        layer = self._of.layer
        return {n: np.zeros((self.T, self.B, layer.widths[n]), layer.dtype) for n in layer.cell.contract.states}

    def start(self, dy: Any) -> dict[str, Array]:
        """The cotangents that the loss sends to every step."""
        run, layer = self._of, self._of.layer
        shape = run._layout.steps_shape(run._T, self.B, layer.output_size)
        found = self.nothing()
        found[layer.cell.contract.output] = self._cut(by_step(run, check_array("dy", dy, shape, layer.dtype)))
        return found


def jacobians_of(run: Any, *, direct: bool = False, first: int = 0, count: int | None = None) -> Array:
    """The Jacobians of `count` steps of a run from `first` on, as `Run.jacobians` has them of all."""
    steps = Steps(run, first, count)
    one = steps.nothing()
    widths = [value.shape[-1] for value in one.values()]
    found = np.empty((steps.T, steps.B, sum(widths), sum(widths)), run.layer.dtype)
    units = ((value, unit) for value in one.values() for unit in range(value.shape[-1]))
    for row, (value, unit) in enumerate(units):
        value[..., unit] = 1
        sent = steps.direct(one) if direct else {n: steps.whole(v) for n, v in steps.back(one).initial.items()}
        np.concatenate(list(sent.values()), -1, out=found[:, :, row])
        value[..., unit] = 0
    return found
