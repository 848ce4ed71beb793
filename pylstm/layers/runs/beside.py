"""`Direction` of a run, checked; `Beside`: the run once more, beside its tangent along it.

It starts from what the run holds; `pylstm.cells.formula.tangents` has the equations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from pylstm.checks import Array, check_array, check_names


class Direction:
    """Along which a run of one layer is to move, checked.

    Attributes
    ----------
    dx : ndarray or None
        As the caller of the run has the input.
    dinitial, dparams : dict of str to ndarray
        Of what moves.
    dW : dict of str to ndarray
        Source -> the derivative of its matrix, where parameters move.
    """

    def __init__(self, run: Any, dx: Any, dinitial: Any, dparams: Any) -> None:
        layer, layout, T, B = run.layer, run._layout, run._T, run._B
        contract, dtype = layer.cell.contract, layer.dtype
        dinitial, dparams = _by_name(layer, dinitial, dparams)
        if dx is None and not dinitial and not dparams:
            raise ValueError("a direction needs dx, dinitial or dparams")
        self.run, self.contract = run, contract
        self.dx = None
        if dx is not None:
            self.dx = check_array("dx", dx, layout.steps_shape(T, B, layer.input_size), dtype)
            if getattr(run, "lengths", None) is not None:  # what lies beyond the end of a row may be NaN
                self.dx = layout.steps_out(layout.steps_in(self.dx))
        self.dinitial = {
            name: check_array(f"dinitial[{name!r}]", value, layout.rows_shape(B, layer.widths[name]), dtype)
            for name, value in dinitial.items()
        }
        self.dparams = _checked(layer, dparams)
        self.matrices = contract.matrices(layer.widths)
        self.dW = {}
        if self.dparams:
            self.dW = {name: each.along(run.layer.params, self.dparams) for name, each in self.matrices.items()}


class Beside:
    """A layer's run beside its tangent: the second run, of both."""

    def __init__(self, direction: Direction) -> None:
        self.run, self.contract, self.matrices = direction.run, direction.contract, direction.matrices
        self.dx, self.dinitial, self.dparams, self.dW = (
            direction.dx, direction.dinitial, direction.dparams, direction.dW
        )  # fmt: skip
        run, layer = self.run, self.run.layer
        self.x = run._steps(run._plan.offset("x"), layer.input_size)
        shapes = {name: run._layout.rows_shape(run._B, layer.widths[name]) for name in self.contract.states}
        with borrowed(layer, bool(self.dparams)) as (self.tangents, twin):
            self._set_parameters(twin.params)
            self.second = twin(self._input(), self._initial(shapes), **self._options())

    def _input(self) -> Array:
        """x beside dx."""
        inputs = self.x.shape[-1]
        found = np.empty((*self.x.shape[:-1], 2 * inputs), self.x.dtype)
        found[..., :inputs] = self.x
        found[..., inputs:] = 0 if self.dx is None else self.dx
        return found

    def _options(self) -> dict[str, Any]:
        """What comes with the steps."""
        run, given, layout, contract = self.run, self.run._given, self.run._layout, self.contract
        options = {
            "aux": self._aux(),
            "pre": self._twice(given.pre, contract.states),
            "blend": self._twice(given.blend, contract.states),
        }
        lengths = getattr(run, "lengths", None)
        if lengths is not None:
            options["lengths"] = lengths
        if given.reset is not None:
            flags = given.reset if given.reset.ndim == 3 or layout.order is not None else given.reset[..., None]
            options["reset"] = layout.steps_out(flags)[..., 0].astype(bool)
        return options

    def _set_parameters(self, params: Any) -> None:
        layer, of, inputs = self.run.layer, self.tangents.of, self.x.shape[-1]
        for source, matrix in self.matrices.items():
            whole, weight = matrix.matrix(layer.params), params[f"weight_{source}"]
            rows = len(whole)
            if source != "x":
                weight[:rows] = params[f"weight_{of[source]}"][...] = whole
                weight[rows:] = self.dW.get(source, 0)
                continue
            weight[:rows, :inputs] = weight[rows:, inputs:] = whole
            weight[rows:, :inputs] = self.dW.get(source, 0)
        if "bias" in layer.params:
            bias = layer.params["bias"]
            params["bias"][: bias.size] = bias
            params["bias"][bias.size :] = self.dparams.get("bias", 0)
        learned = [f"initial_{name}" for name in layer.learn_initial]
        for name in (*self.contract.params, *learned):
            params[name][...] = layer.params[name]
            state = name.removeprefix("initial_") if name in learned else ""
            tangent = f"initial_{of[state]}" if state else of.get(name)
            if tangent in params:
                params[tangent][...] = self.dparams.get(name, 0)

    def _initial(self, shapes: Mapping[str, Any]) -> dict[str, Array]:
        """Initial states and their tangents."""
        run, of, found = self.run, self.tangents.of, {}
        for k, name in enumerate(self.contract.states):
            start = run._view(run._plan.offset("states", k), (run._B, run.layer.widths[name]))
            found[name] = run._layout.rows_out(start)
            if name in self.dinitial:
                found[of[name]] = self.dinitial[name]
            elif name in run._given.learned:
                learned = self.dparams.get(f"initial_{name}", np.zeros(run.layer.widths[name], run.layer.dtype))
                found[of[name]] = np.broadcast_to(learned, shapes[name])
            else:
                found[of[name]] = np.zeros(shapes[name], run.layer.dtype)
        return found

    def _aux(self) -> dict[str, Array]:
        """The cell's aux inputs, whose tangents are 0 but for that of x."""
        run, contract, of = self.run, self.contract, self.tangents.of
        found: dict[str, Array] = {}
        for name, array in zip(contract.aux, run._given.aux or [None] * len(contract.aux)):
            if name == "x":
                found[self.tangents.x] = self.x
                found[of["x"]] = np.zeros_like(self.x) if self.dx is None else self.dx
            else:
                found[name] = run._layout.steps_out(array)
                found[of[name]] = np.zeros_like(found[name])
        return found

    def _twice(self, arrays: Any, names: tuple[str, ...]) -> Any:
        """The modifiers of the states, for their tangents too."""
        if arrays is None:
            return None
        found = {}
        for name, array in zip(names, arrays):
            if array is not None:
                found[name] = found[self.tangents.of[name]] = self.run._layout.steps_out(array)
        return found


@contextmanager
def borrowed(layer: Any, params: bool, **tape: bool) -> Iterator[Any]:
    """What `beside_tangent` of the layer returns, for one call at a time; a run keeps what it needs of it."""
    idle = layer._tangents.setdefault((params, *tape.values()), [])
    try:
        found = idle.pop()
    except IndexError:
        found = layer.beside_tangent(params, **tape)
    yield found
    idle.append(found)


def _by_name(layer: Any, dinitial: Any, dparams: Any) -> tuple[Any, Any]:
    """The directions of initial states and parameters that are given, under names that are known."""
    found = {} if dinitial is None else dinitial, {} if dparams is None else dparams
    check_names("dinitial", found[0], layer.cell.contract.states)
    check_names("dparams", found[1], tuple(layer.params))
    one, other = ({name: value for name, value in each.items() if value is not None} for each in found)
    return one, other


def _checked(layer: Any, dparams: Any) -> dict[str, Array]:
    """The direction of the parameters, those that are not zero."""
    found = {}
    for name, value in dparams.items():
        if name in layer.params.constants:
            if np.any(value):
                raise ValueError(f"dparams: {name!r} is a constant of the cell: leave it out")
            continue
        found[name] = check_array(f"dparams[{name!r}]", value, layer.params[name].shape, layer.dtype)
    return found
