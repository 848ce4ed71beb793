"""What a layer returns: `Run`, with every inner quantity, and its backward pass."""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Never

import numpy as np

from pylstm import _core
from pylstm.checks import Array, ByName, check_array, check_flag, check_names
from pylstm.hints import Output, refuse_backward
from pylstm.layers.inputs.given import Given, GivenGradients
from pylstm.layers.inputs.layout import Layout
from pylstm.layers.inputs.learned import add_learned, rows_of_learned
from pylstm.layers.inputs.protocols import SingleLayer
from pylstm.layers.runs.gradients import Deltas, Gradients
from pylstm.layers.runs.shown import run_table
from pylstm.layers.runs.steps import jacobians_of, turned
from pylstm.layers.runs.tangents import Along, HasTangents, Tangent
from pylstm.parameters import Parameters
from pylstm.wording import in_parts, with_article

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike

KINDS = ("aux", "pre", "blend")  # per-step inputs that have gradients


def check_without(without: Any) -> None:
    """Refuse what is not a collection of "x" and "params"."""
    fits = isinstance(without, list | tuple | set | frozenset) and all(each in ("x", "params") for each in without)
    if not fits:
        raise ValueError(f'without must be a tuple or set of "x" and "params", got {without!r}')


class Run(HasTangents[Tangent, Gradients], Output, hints="run"):
    """One pass of a layer over a batch of sequences, open for inspection and for back-propagation.

    All arrays are read-only views of the run's tape: copy what you want to change. With `batch_first` the first two
    axes are exchanged; for a single sequence (T, I) there is no batch axis.

    Attributes
    ----------
    y : ndarray, shape (T, B, output width)
        The output state after every step.
    states : dict of str to ndarray, shape (T + 1, B, width)
        Every state; row 0 is the initial one.
    final : dict of str to ndarray, shape (B, width)
        Every state after the last step.
    gates : dict of str to ndarray, shape (T, B, width)
        What the cell left of every gate: its activation.
    emissions : dict of str to ndarray, shape (T, B, width)
        Values passed between the stages of a step.
    kept : dict of str to ndarray, shape (T, B, width)
        Values that the cell keeps for its backward hook.
    layer : Recurrent

    Notes
    -----
    The run holds a copy of the input and of the weights it needs: `backward` returns the gradients of this forward pass
    even if the input array or the layer's parameters have changed since, and the same each time it is called.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> run = pylstm.LSTM(3, 5, seed=0)(np.ones((7, 2, 3), "float32"))
    >>> run.y.shape, run.states["c"].shape, run.final["c"].shape, list(run.gates)
    ((7, 2, 5), (8, 2, 5), (2, 5), ['i', 'f', 'g', 'o'])
    >>> bool((run.final["h"] == run.y[-1]).all())
    True
    """

    layer: SingleLayer
    _layout: Layout
    _given: Given

    def __init__(self, *made: Any) -> None:
        """`made`: the layer, the plan, the buffer, the layout, T and B, and what was given, as a call has them."""
        try:
            self.layer, self._plan, self._buffer, self._layout, (self._T, self._B), self._given = made
            self._start = _core.aligned(self._buffer)
        except (TypeError, ValueError):
            raise TypeError(
                f"{with_article(type(self).__name__)} is what a call of a layer returns: run = layer(x)"
            ) from None
        self._lock = threading.Lock()

    def __reduce__(self) -> Any:
        raise TypeError("a run cannot be copied or pickled: take its arrays, or pickle the layer and run it again")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.layer.cell.name}, T={self._T}, B={self._B}, {self._buffer.nbytes:,} bytes)"

    def _repr_html_(self) -> str:
        return run_table(self)

    @cached_property
    def y(self) -> Array:
        contract = self.layer.cell.contract
        k, w = contract.states.index(contract.output), self.layer.output_size
        return self._steps(self._plan.offset("states", k) + self._B * w * self._buffer_itemsize, w)

    @cached_property
    def final(self) -> dict[str, Array]:
        return ByName(
            (name, self._layout.rows_out(self._view(self._plan.final_offset(k), (self._B, self.layer.widths[name]))))
            for k, name in enumerate(self.layer.cell.contract.states)
        )

    @cached_property
    def states(self) -> dict[str, Array]:
        self._need_tape("states")
        offsets = enumerate(self.layer.cell.contract.states)
        return ByName(
            (name, self._state(self._plan.offset("states", k), self.layer.widths[name])) for k, name in offsets
        )

    @cached_property
    def emissions(self) -> dict[str, Array]:
        return self._blocks("emissions")

    @cached_property
    def kept(self) -> dict[str, Array]:
        return self._blocks("keep")

    @cached_property
    def gates(self) -> dict[str, Array]:
        self._need_tape("gates")
        widths = [self.layer.widths[name] for name in self.layer.cell.contract.gates]
        z = self._steps(self._plan.offset("z"), sum(widths))
        ends = np.cumsum(widths)
        names = self.layer.cell.contract.gates
        return ByName((name, z[..., end - width : end]) for name, width, end in zip(names, widths, ends))

    def backward(
        self,
        dy: ArrayLike | None = None,
        *more: Never,
        dfinal: Mapping[str, ArrayLike] | None = None,
        dstates: Mapping[str, ArrayLike] | None = None,
        without: Collection[str] = (),
        steps: bool = False,
        **other: Never,
    ) -> Gradients:
        """Back-propagate through time.

        Parameters
        ----------
        dy : array_like, optional
            Cotangent of `y` (derivative of the loss with respect to every output), in the shape of `y`.
        dfinal : dict of str to array_like, optional
            Cotangents of the final states, in the shapes of `final`.
        dstates : dict of str to array_like, optional
            Cotangents of states after every step, (T, B, width).
        without : collection of "x" and "params", optional
            What needs no gradient, such as data: it is not computed, and stands as zeros. Parameters that are frozen
            have a gradient of zeros anyway.
        steps : bool, optional
            Keep the cotangents of every step: the `gates`, `states` and `emissions` of the gradients.

        Returns
        -------
        Gradients

        Raises
        ------
        ValueError
            A wrong shape, an unknown state, another name in `without`, or no cotangent at all.
        TypeError
            Another dtype than the layer's.
        RuntimeError
            The run was made with ``tape=False``.

        Examples
        --------
        The cotangent of a cell's output is what the loss sends, and what the next step sends back:

        >>> import numpy as np, pylstm
        >>> run = pylstm.RNN(1, 1, dtype="float64", seed=0)(np.array([[0.5], [-0.5], [0.25]]))
        >>> grads = run.backward(np.ones((3, 1)), steps=True)
        >>> (weight,) = run.layer.params["weight_h"].ravel()
        >>> bool(np.allclose(grads.states["h"][1:3], 1 + weight * grads.gates["a"][1:]))
        True
        """
        if more or other:
            refuse_backward(other, more)
        self._need_tape("backward")
        layer, layout, given, T, B = self.layer, self._layout, self._given, self._T, self._B
        names, dtype = layer.cell.contract.states, layer.dtype
        if dy is not None:
            dy = layout.given_in(check_array("dy", dy, layout.steps_shape(T, B, layer.output_size), dtype))
        rows = self._of_states("dfinal", dfinal, lambda w: layout.rows_shape(B, w), layout.rows_in)
        inner = self._of_states("dstates", dstates, lambda w: layout.steps_shape(T, B, w), layout.steps_in)
        if dy is None and not dfinal and not dstates:
            raise ValueError("backward needs a cotangent: dy, dfinal or dstates")
        flat, dx, dinitial = self._room(without)
        back = given.gradients(None if given.reset is None else rows_of_learned(layer, B))
        deltas = None
        if check_flag("steps", steps):
            deltas = Deltas(layer, layout, T, B)
            back.deltas = deltas.rooms
        self._pass_back((dy, rows, inner), (flat, dx, dinitial), back)
        params = self._params_from(flat, dinitial, back)
        if "x" in without:
            dx = np.zeros((T, B, layer.input_size), dtype)
        return Gradients(
            x=layout.whole_out(dx),
            initial=ByName((name, layout.rows_out(array)) for name, array in zip(names, dinitial)),
            params=params,
            aux=self._steps_given(back.aux, layer.cell.contract.aux, "aux"),
            pre=self._steps_given(back.pre, names, "pre"),
            blend=self._steps_given(back.blend, names, "blend"),
            _deltas=None if deltas is None else deltas.out(dinitial),
        )

    def jacobians(self, *, direct: bool = False) -> Array:
        """The derivative of the states after every step with respect to those before it, by all paths.

        Parameters
        ----------
        direct : bool
            Along the direct path alone, without what comes through a matrix that multiplies a state; of the memory c
            of an LSTM the forget gate. A matrix that multiplies what is made within the step stays, such as
            ``weight_rh`` of ``"gru_reset_before"``, times r * h.

        Returns
        -------
        ndarray, shape (T, B, N, N)
            ``[t, b, i, j]``: of unit i after step t by unit j before it, the states of the cell side by side (N units,
            in the order of `states`). (T, N, N) of a single sequence, (B, T, N, N) with `batch_first`. 0 beyond the end
            of a row. The product of the matrices of several steps, the last first, is the derivative across them.

        Raises
        ------
        TypeError
            `direct` is no bool.
        RuntimeError
            A run without a tape, or parameters that have changed since.

        Examples
        --------
        >>> import numpy as np, pylstm
        >>> run = pylstm.LSTM(2, 3, dtype="float64", seed=0)(np.ones((6, 1, 2)))
        >>> J = run.jacobians(direct=True)
        >>> J.shape, bool(np.allclose(J[4, 0].diagonal()[3:], run.gates["f"][4, 0]))
        ((6, 1, 6, 6), True)
        """
        self._need_tape("jacobians")
        return turned(self._layout, jacobians_of(self, direct=check_flag("direct", direct)))

    def _params_from(self, flat: Any, dinitial: Any, back: GivenGradients) -> Parameters:
        """Gradients of the parameters, from those of the weights of the loop; None: zeros."""
        layer, given, names = self.layer, self._given, self.layer.cell.contract.states
        if flat is None:
            return layer.params.zeros_like()
        params = layer.params.around(flat if given.made is None else given.made.pull(flat, layer.params))
        add_learned(params, given.learned, dict(zip(names, dinitial)))
        if given.reset is not None:
            add_learned(params, layer.learn_initial, dict(zip(names, back.origin)))
        layer.params.fill_held(params.flat, 0)
        return params

    def _room(self, without: Collection[str]) -> tuple[Any, Any, list[Any]]:
        """Arrays in one block for the gradients of the weights, of x and of the initial states.

        None of what is left out, if the loop can do without.
        """
        if without != ():
            check_without(without)
        layer, contract = self.layer, self.layer.cell.contract
        shapes: list[tuple[int, ...]] = [(self._B, layer.widths[name]) for name in contract.states]
        wants_x = "x" not in without or "x" in contract.aux
        wants_params = "params" not in without and (layer.params.trained_whole or layer.params.trained_size > 0)
        if wants_x:
            shapes.insert(0, (self._T, self._B, layer.input_size))
        if wants_params:
            made = self._given.made
            shapes.insert(0, (layer.params.size if made is None else made.flat.size,))
        found = layer.workspaces.arrays(layer.dtype, *shapes)
        flat = found.pop(0) if wants_params else None
        return flat, found.pop(0) if wants_x else None, found

    def _pass_back(self, cotangents: Any, gradients: Any, back: GivenGradients) -> None:
        """The loop of `backward`: (dy, dfinal, dstates), in the order of the states, to (dflat, dx, dinitial)."""
        with self._lock:  # the loop works without the GIL, and in the run's only workspace
            _core.backward(self._plan, self._buffer, cotangents, gradients, self._given, back, order=self._layout.order)

    @property
    def _buffer_itemsize(self) -> int:
        return self.layer.dtype.itemsize

    def _along(self, what: str, dx: Any, dinitial: Any, dparams: Any) -> Along:
        self._need_tape(what)
        return Along(what, self, dx, dinitial, dparams)

    def _need_tape(self, what: str) -> None:
        if not self._plan.taped:
            raise RuntimeError(
                f"{what}: this run was made with tape=False, which keeps only y and final; "
                "call the layer with tape=True"
            )

    def _view(self, offset: int, shape: tuple[int, ...]) -> np.ndarray:
        view = np.ndarray(shape, self.layer.dtype, self._buffer, self._start + offset)
        view.flags.writeable = False
        return view

    def _steps(self, offset: int, width: int) -> np.ndarray:
        return self._layout.steps_out(self._view(offset, self._layout.packed_shape(self._T, self._B, width)))

    def _state(self, offset: int, width: int) -> np.ndarray:
        rows = self._B + math.prod(self._layout.packed_shape(self._T, self._B, 1))
        return self._layout.states_out(self._view(offset, (rows, width)), self._T, self._B)

    def _blocks(self, kind: str) -> dict[str, np.ndarray]:
        self._need_tape("kept" if kind == "keep" else kind)
        names = getattr(self.layer.cell.contract, kind)
        return ByName(
            (name, self._steps(self._plan.offset(kind, k), self.layer.widths[name])) for k, name in enumerate(names)
        )

    def _of_states(self, what: str, values: Any, shape: Any, bring: Any) -> list[np.ndarray | None] | None:
        """`values` by state, in the order of the states, checked."""
        if values is None:
            return None
        states, widths = self.layer.cell.contract.states, self.layer.widths
        values = in_parts(what, values, self.layer.cell.contract.complex)
        check_names(what, values, states)
        return [
            bring(check_array(f"{what}[{name!r}]", values[name], shape(widths[name]), self.layer.dtype))
            if values.get(name) is not None
            else None
            for name in states
        ]

    def _steps_given(self, arrays: Any, names: tuple[str, ...], kind: str) -> dict[str, np.ndarray]:
        """Cotangents of per-step inputs, in the widths in which they were given."""
        out = {}
        for name, array in zip(names, arrays or ()):
            if array is not None:
                if self._given.widths[kind, name] == 1 != array.shape[-1]:
                    array = array.sum(axis=-1, keepdims=True)
                out[name] = self._layout.steps_out(array)
        return out


def outputs_of(run: Run) -> list[Array]:
    """Copies of y, (T, B, width), and of the final states, (1, B, width), of a run in the order of the loop."""
    plan, layer, T, B = run._plan, run.layer, run._T, run._B
    contract, dtype, width = layer.cell.contract, layer.dtype, layer.output_size
    at = plan.offset("states", contract.states.index(contract.output)) + B * width * dtype.itemsize
    places = [(at, (T, B, width))]
    places += [(plan.final_offset(k), (1, B, layer.widths[name])) for k, name in enumerate(contract.states)]
    return [np.ndarray(shape, dtype, run._buffer, run._start + at).copy() for at, shape in places]


def bare_gradients(run: Run, dy: Array, without: Collection[str] = ()) -> tuple[Array | None, Array | None]:
    """The gradients of the parameters, flat, and of x, None where they are left out: `Run.backward` without its checks.

    For a caller that knows that `dy` is right, (T, B, width) in the order of the loop, that the layer has neither
    constants nor learned initial states, and that nothing came with the steps.
    """
    flat, dx, dinitial = run._room(without)
    run._pass_back((np.ascontiguousarray(dy), None, None), (flat, dx, dinitial), run._given.gradients(None))
    made = run._given.made
    return flat if flat is None or made is None else made.pull(flat, run.layer.params), dx
