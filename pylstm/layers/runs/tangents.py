"""Derivatives of a run along a direction: `Tangent`, and of its gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pylstm.cells.contracts.matrices import Matrix
from pylstm.checks import Array, ByName, check_array, check_names
from pylstm.layers.runs.beside import Beside, Direction
from pylstm.layers.runs.from_tape import from_tape
from pylstm.layers.runs.gradients import Gradients
from pylstm.layers.runs.unchanged import check_unchanged

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


_Tangent = TypeVar("_Tangent")
_Gradients = TypeVar("_Gradients")


@dataclass(frozen=True)
class Tangent:
    """The derivative of a run along a direction.

    Attributes
    ----------
    y : ndarray
        Of the output, in its shape.
    states : dict of str to ndarray
        Of every state, as ``run.states``; row 0 is the direction of the initial states.
    final : dict of str to ndarray
        Of every state after the last step.
    emissions : dict of str to ndarray
        Of the values passed between the stages of a step.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> run = pylstm.LSTM(2, 3, seed=0)(np.ones((5, 2), "float32"))
    >>> along = run.jvp(np.ones((5, 2), "float32"))
    >>> along.states["c"].shape, along.final["c"].shape
    ((6, 3), (3,))
    """

    y: Array
    states: dict[str, Array]
    final: dict[str, Array]
    emissions: dict[str, Array]


@dataclass(frozen=True)
class CompositeTangent:
    """The derivative of a run of a `Stack` or a `Bidirectional` along a direction.

    Attributes
    ----------
    y : ndarray
        Of the output, in its shape.
    layers : list of Tangent
        Of every layer, or direction, as its run has it.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> run = pylstm.LSTM(2, 3, num_layers=2, seed=0)(np.ones((5, 4, 2), "float32"))
    >>> along = run.jvp(np.ones((5, 4, 2), "float32"))
    >>> along.y.shape, along.layers[0].states["c"].shape
    ((5, 4, 3), (6, 4, 3))
    """

    y: Array
    layers: list[Any]


class HasTangents(Generic[_Tangent, _Gradients]):
    """What a run can say of directions."""

    if TYPE_CHECKING:  # what a run has

        def _along(self, what: str, dx: Any, dinitial: Any, dparams: Any) -> Any: ...

    def jvp(
        self,
        dx: ArrayLike | None = None,
        dinitial: dict[str, Any] | None = None,
        dparams: Mapping[str, Any] | None = None,
    ) -> _Tangent:
        """The derivative of all that this run made, along a direction of what went into it (forward mode).

        Parameters
        ----------
        dx : array_like, optional
            Direction of the input, in its shape.
        dinitial : dict of str to array_like, optional
            Directions of initial states, (B, width) each; of a stack or two directions as `initial` of the call.
        dparams : mapping of str to array_like, optional
            Directions of parameters of the layer, such as a `Parameters` like its own. What is left out of the three is
            held.

        Returns
        -------
        Tangent
            Of a stack or two directions a `CompositeTangent`.

        Raises
        ------
        ValueError
            No direction; a wrong shape, an unknown name, a constant.
        TypeError
            Another dtype than the layer's.
        RuntimeError
            The run has no tape, or the parameters have changed since.

        Examples
        --------
        >>> import numpy as np, pylstm
        >>> layer, x = pylstm.LSTM(2, 3, dtype="float64", seed=0), np.ones((5, 2))
        >>> run, dx = layer(x), np.full((5, 2), 0.3)
        >>> difference = (layer(x + 1e-6 * dx).y - layer(x - 1e-6 * dx).y) / 2e-6
        >>> bool(np.allclose(run.jvp(dx).y, difference, atol=1e-9))
        True
        """
        found: _Tangent = self._along("jvp", dx, dinitial, dparams).tangent
        return found

    def hvp(
        self,
        dy: ArrayLike | None = None,
        *,
        dfinal: dict[str, Any] | None = None,
        dstates: dict[str, Any] | None = None,
        direction: Mapping[str, Any],
        moved: Mapping[str, Any] | None = None,
    ) -> _Gradients:
        """The derivative of the gradients along a direction: a product with the Hessian of the loss.

        Parameters
        ----------
        dy, dfinal, dstates
            As of `backward`.
        direction : dict
            ``dx``, ``dinitial`` and ``dparams``, as of `jvp`.
        moved : dict, optional
            How the cotangents move along the direction: ``dy``, ``dfinal``, ``dstates``. Of the squared error with
            factor 1/2, whose dy is y - target, that is ``{"dy": run.jvp(**direction).y}``. Without it they are held.

        Returns
        -------
        Gradients or CompositeGradients
            Derivatives of `x`, `initial`, `params` and `aux` of what `backward` returns.

        Raises
        ------
        ValueError, TypeError, RuntimeError
            As `backward` and `jvp` do.

        Examples
        --------
        >>> import numpy as np, pylstm
        >>> layer, x = pylstm.GRU(2, 3, dtype="float64", seed=0), np.ones((5, 2))
        >>> run, dx, dy = layer(x), np.full((5, 2), 0.3), np.ones((5, 3))
        >>> up, down = layer(x + 1e-6 * dx).backward(dy), layer(x - 1e-6 * dx).backward(dy)
        >>> along = run.hvp(dy, direction={"dx": dx})
        >>> bool(np.allclose(along.params.flat, (up.params.flat - down.params.flat) / 2e-6, atol=1e-8))
        True
        """
        check_names("direction", direction, ("dx", "dinitial", "dparams"))
        check_names("moved", moved or {}, ("dy", "dfinal", "dstates"))
        along = self._along("hvp", *(direction.get(name) for name in ("dx", "dinitial", "dparams")))
        others = tuple((moved or {}).get(name) for name in ("dy", "dfinal", "dstates"))
        found: _Gradients = along.back((dy, dfinal, dstates), others)[0]
        return found


class Along:
    """A run of one layer along a direction.

    Attributes
    ----------
    tangent : Tangent
    """

    def __init__(self, what: str, run: Any, dx: Any, dinitial: Any, dparams: Any) -> None:
        direction = Direction(run, dx, dinitial, dparams)
        check_unchanged(run)
        found = from_tape(direction) if what == "jvp" else None
        if found is None:  # the run once more, beside its tangent
            self._beside = beside = Beside(direction)
            found = beside.tangents, beside.second
        of, second, contract = found[0].of, found[1], direction.contract

        def tangents(values: dict[str, Array], names: tuple[str, ...]) -> dict[str, Array]:
            return ByName((name, values[of[name]]) for name in names)

        self.tangent = Tangent(
            second.y,
            tangents(second.states, contract.states),
            tangents(second.final, contract.states),
            tangents(second.emissions, contract.emissions),
        )

    def back(self, cotangents: Any, moved: Any) -> tuple[Gradients, Array]:
        """The derivatives of the gradients, and the gradient of x.

        `cotangents` and `moved` are (dy, dfinal, dstates) and their own derivatives.
        """
        beside, layer, contract = self._beside, self._beside.run.layer, self._beside.contract
        back = _back(beside, cotangents, moved)
        params, inputs = layer.params.zeros_like(), layer.input_size
        for matrix in beside.matrices.values():
            for name, value in _pulled(beside, matrix, back).items():
                params[name][...] = value
        if "bias" in params:
            params["bias"][...] = back.params["bias"][: params["bias"].size]
        for name in contract.params:
            params[name][...] = back.params[name]
        for name in layer.learn_initial:
            params[f"initial_{name}"][...] = back.params[f"initial_{name}"]
            if name in beside.run._given.learned:
                params[f"initial_{name}"] += back.initial[name].reshape(-1, layer.widths[name]).sum(axis=0)
        layer.params.fill_held(params.flat, 0)
        dx, plain = back.x[..., :inputs], back.x[..., inputs:]
        if name := beside.tangents.x:
            dx, plain = dx + back.aux[name], plain + back.aux[beside.tangents.of["x"]]
        grads = Gradients(
            x=dx,
            initial=ByName((name, back.initial[name]) for name in contract.states),
            params=params,
            aux=ByName((name, back.aux[name]) for name in contract.aux if name != "x"),
            pre={},
            blend={},
        )
        return grads, plain


def _back(beside: Beside, cotangents: Any, moved: Any) -> Gradients:
    """The backward pass of the run beside its tangent: what the tangents get are the cotangents, the values theirs."""
    (dy, dfinal, dstates), (ddy, ddfinal, ddstates) = cotangents, moved
    of, output, shape, dtype = beside.tangents.of, beside.contract.output, beside.run.y.shape, beside.run.layer.dtype
    given = {"dfinal": dfinal, "dstates": dstates, "moved['dfinal']": ddfinal, "moved['dstates']": ddstates}
    layout, T, B = beside.run._layout, beside.run._T, beside.run._B
    for what, values in given.items():
        check_names(what, {} if values is None else values, beside.contract.states)
        for name, value in (values or {}).items():
            width = beside.run.layer.widths[name]
            wanted = layout.rows_shape(B, width) if "dfinal" in what else layout.steps_shape(T, B, width)
            if value is not None:
                check_array(f"{what}[{name!r}]", value, wanted, dtype)
    dy = None if dy is None else check_array("dy", dy, shape, dtype)
    ends = {of[name]: value for name, value in (dfinal or {}).items()} | dict(ddfinal or {})
    steps = {of[name]: value for name, value in (dstates or {}).items()} | dict(ddstates or {})
    if ddy is not None:
        ddy = check_array("moved['dy']", ddy, shape, dtype)
        steps[output] = steps[output] + ddy if output in steps else ddy
    found: Gradients = beside.second.backward(dy, dfinal=ends or None, dstates=steps or None)
    return found


def _pulled(beside: Beside, matrix: Matrix, back: Gradients) -> dict[str, Array]:
    """The tangents of the gradients of one matrix's parameters, from that of the matrix U, and its gradient."""
    source, params, moved = matrix.source, beside.run.layer.params, beside.dparams
    both, rows = back.params[f"weight_{source}"], sum(matrix.gates)
    if source == "x":
        inputs = both.shape[1] // 2
        whole, plain = both[:rows, :inputs] + both[rows:, inputs:], both[rows:, :inputs]
    else:
        whole, plain = both[:rows] + back.params[f"weight_{beside.tangents.of[source]}"], both[rows:]
    found = matrix.pull(whole, params)
    if moved and matrix.structure.special:  # the way back moves with the parameters
        for name, value in matrix.pull_along(plain, params, moved).items():
            found[name] = found[name] + value
    return found
