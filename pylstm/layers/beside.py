"""`Beside`: a layer's run once more, beside its tangent along a direction.

It starts from what the run holds (`pylstm.cells.formula.tangents` has the equations). Products with the input of the
direction come before the loop, since they do not wait for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pylstm.cells.structures import LowRank, Orthogonal
from pylstm.checks import Array, check_array, check_names
from pylstm.engine import dense
from pylstm.engine.threads import allowed_threads

EARLY = 33
"""States, the initial one too, by which changed parameters are seen."""


class Beside:
    """A layer's run beside its tangent: the direction, checked, and the second run."""

    def __init__(self, run: Any, dx: Any, dinitial: Any, dparams: Any, *, tape: bool = True) -> None:
        layer, layout, T, B = run.layer, run._layout, run._T, run._B
        contract, dtype = layer.cell.contract, layer.dtype
        dinitial, dparams = _by_name(layer, dinitial, dparams)
        if dx is None and not dinitial and not dparams:
            raise ValueError("a direction needs dx, dinitial or dparams")
        self.run, self.contract = run, contract
        self.x = run._steps(run._plan.offset("x"), layer.input_size)
        self.dx = None
        if dx is not None:
            self.dx = check_array("dx", dx, layout.steps_shape(T, B, layer.input_size), dtype)
            if getattr(run, "lengths", None) is not None:  # what lies beyond the end of a row may be NaN
                self.dx = layout.steps_out(layout.steps_in(self.dx))
        shapes = {name: layout.rows_shape(B, layer.widths[name]) for name in contract.states}
        self.dinitial = {
            name: check_array(f"dinitial[{name!r}]", value, shapes[name], dtype)
            for name, value in dinitial.items()
            if value is not None
        }
        self.dparams = _checked(layer, dparams)
        self.layer: Any
        self.tangents, self.layer = layer.beside_tangent(bool(self.dparams))
        self.matrices = contract.matrices(layer.widths)
        self.dW = {source: self._moved(source) for source in contract.sources} if self.dparams else {}
        self._set_parameters()
        given = run._given
        lengths = getattr(run, "lengths", None)
        options = {} if lengths is None else {"lengths": lengths}
        if given.reset is not None:
            flags = given.reset if given.reset.ndim == 3 or layout.order is not None else given.reset[..., None]
            options["reset"] = layout.steps_out(flags)[..., 0].astype(bool)
        self.second = self.layer(
            np.ascontiguousarray(self.x),
            self._initial(shapes),
            aux=self._aux(),
            pre=self._twice(given.pre, contract.states),
            blend=self._twice(given.blend, contract.states),
            tape=tape,
            **options,
        )

    def _moved(self, source: str) -> Array:
        """The derivative of a whole matrix along the direction."""
        matrix, params, moved = self.matrices[source], self.run.layer.params, self.dparams
        weight, factor = f"weight_{source}", f"factor_{source}"
        if isinstance(matrix.structure.kind, Orthogonal):
            if weight in moved and np.any(moved[weight]):
                raise ValueError(f"dparams: {weight!r} is orthogonal, whose tangent is not known: leave it out")
            return np.zeros_like(matrix.matrix(params))
        zeros = {name: np.zeros_like(params[name]) for name in (weight, factor) if name in params}
        if isinstance(matrix.structure.kind, LowRank):
            one = zeros | {weight: moved.get(weight, zeros[weight]), factor: params[factor]}
            other = zeros | {weight: params[weight], factor: moved.get(factor, zeros[factor])}
            total: Array = matrix.matrix(one) + matrix.matrix(other)
            return total
        whole: Array = matrix.matrix(zeros | {name: value for name, value in moved.items() if name in zeros})
        return whole

    def _set_parameters(self) -> None:
        layer, of, params = self.run.layer, self.tangents.of, self.layer.params
        for source, matrix in self.matrices.items():
            whole = matrix.matrix(layer.params)
            if source == "x":
                params["weight_x"][...] = whole
                continue
            params[f"weight_{source}"][...] = np.concatenate([whole, self.dW[source]]) if self.dW else whole
            params[f"weight_{of[source]}"][...] = whole
        for name in ("bias", *self.contract.params):
            if name in layer.params:
                params[name][...] = layer.params[name]
            if name in of and of[name] in params:
                params[of[name]][...] = self.dparams.get(name, 0)
        for name in layer.learn_initial:
            params[f"initial_{name}"][...] = layer.params[f"initial_{name}"]
            params[f"initial_{of[name]}"][...] = self.dparams.get(f"initial_{name}", 0)

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
        """The cell's aux inputs, whose tangents are 0, the input's own, and what is added to the gates."""
        run, contract, of = self.run, self.contract, self.tangents.of
        found: dict[str, Array] = {}
        dx = np.zeros_like(self.x) if self.dx is None else self.dx
        for name, array in zip(contract.aux, run._given.aux or [None] * len(contract.aux)):
            if name == "x":
                found[of["x"]] = dx
            else:
                found[name] = run._layout.steps_out(array)
                found[of[name]] = np.zeros_like(found[name])
        return found | self._added()

    def _added(self) -> dict[str, Array]:
        """W_x dx + dW_x x + db, by gate."""
        contract, layer = self.contract, self.run.layer
        rows = self.x.shape[:-1]
        x, weight = self._joined()
        db, found, at = self.dparams.get("bias"), {}, dict.fromkeys(("x", "bias"), 0)
        for gate, name in self.tangents.added.items():
            width = layer.widths[gate]
            made = found[name] = np.zeros((*rows, width), layer.dtype)
            bias = None
            if db is not None and gate in contract.biased:
                bias = db[at["bias"] : at["bias"] + width]
                made += bias
                at["bias"] += width
            if weight is not None and gate in contract.gates_of("x"):
                part = np.ascontiguousarray(weight[at["x"] : at["x"] + width])
                product(x, part, bias, made)
                at["x"] += width
        return found

    def _joined(self) -> tuple[Array, Array | None]:
        """(dx, x) and (W_x, dW_x), or of these what is not zero."""
        pairs = []
        if "x" in self.matrices and self.dx is not None:
            pairs.append((self.dx, self.matrices["x"].matrix(self.run.layer.params)))
        if "x" in self.dW and np.any(self.dW["x"]):
            pairs.append((self.x, self.dW["x"]))
        if not pairs:
            return self.x, None
        x, weight = (np.concatenate(each, -1) for each in zip(*pairs))
        return x, weight

    def _twice(self, arrays: Any, names: tuple[str, ...]) -> Any:
        """The modifiers of the states, for their tangents too."""
        if arrays is None:
            return None
        found = {}
        for name, array in zip(names, arrays):
            if array is not None:
                found[name] = found[self.tangents.of[name]] = self.run._layout.steps_out(array)
        return found

    def check_same(self) -> None:
        """`RuntimeError` where the parameters of the layer have changed since the run."""
        # of the first steps: a chaotic net makes of other last bits other states in the end
        layout = self.run._layout
        early = (slice(None),) * int(layout.batch_first and not layout.single) + (slice(EARLY),)
        for name, value in self.run.states.items():
            check_unchanged(value[early], self.second.states[name][early])


def check_unchanged(values: Array, again: Array) -> None:
    """`RuntimeError` where the layer makes other states than it made in a run."""
    finite = np.isfinite(values)
    scale = 1e-6 + np.abs(values).max(initial=0, where=finite)
    near = np.abs(np.subtract(again, values, where=finite, out=np.zeros_like(values)))
    if not (near <= (1e-3 if values.dtype == np.float32 else 1e-7) * scale).all():
        raise RuntimeError("the parameters have changed since this run: run the layer again, run = layer(x)")


def product(x: Array, weight: Array, bias: Array | None, y: Array) -> None:
    """y = x W^T + b, on the products and threads of the loop."""
    N, K = weight.shape
    x, weight = np.ascontiguousarray(x), np.ascontiguousarray(weight)
    dense.forward(x, weight, bias, y, (y.size // N, N, K), threads=allowed_threads())


def _by_name(layer: Any, dinitial: Any, dparams: Any) -> tuple[Any, Any]:
    """The directions of initial states and parameters, under names that are known."""
    found = {} if dinitial is None else dinitial, {} if dparams is None else dparams
    check_names("dinitial", found[0], layer.cell.contract.states)
    check_names("dparams", found[1], tuple(layer.params))
    return found


def _checked(layer: Any, dparams: Any) -> dict[str, Array]:
    """The direction of the parameters, those that are not zero."""
    found = {}
    for name, value in dparams.items():
        if value is None:
            continue
        if name in layer.params.constants:
            if np.any(value):
                raise ValueError(f"dparams: {name!r} is a constant of the cell: leave it out")
            continue
        found[name] = check_array(f"dparams[{name!r}]", value, layer.params[name].shape, layer.dtype)
    return found
