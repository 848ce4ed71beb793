"""`from_tape`: the tangents of a run along a direction, from what it has on its tape.

`pylstm.cells.formula.tape_tangents` has the equations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm import _core
from pylstm.cells.formula.program import Block
from pylstm.cells.formula.tape_tangents import DX, NATIVE, TapeTangents
from pylstm.checks import Array
from pylstm.engine.threads import allowed_threads
from pylstm.layers.inputs.given import Given
from pylstm.layers.runs.beside import Direction, borrowed


def from_tape(direction: Direction) -> tuple[TapeTangents, Any] | None:
    """The names of the tangents and a run of them; None where they have to be computed beside the run.

    That is so where rows end early, and where the formula needs what the tape does not have.
    """
    run, layer = direction.run, direction.run.layer
    ragged = run._layout.order is not None
    if ragged or not run._T or not run._B:
        return None
    moves = bool(direction.dparams)
    with borrowed(layer, moves, dx=direction.dx is not None or not moves) as (tangents, twin):
        if tangents is None:
            return None
        _set_parameters(direction, tangents, twin.params)
        return tangents, _run(direction, tangents, twin)


def _run(direction: Direction, tangents: TapeTangents, twin: Any) -> Any:
    """The run of the tangents, in the layout of the run."""
    run, sizes = direction.run, (direction.run._T, direction.run._B)
    given = _given(direction, tangents)
    threads = allowed_threads() if twin._compiled else 1
    plan = twin._core.plan_now(*sizes, True, given.scaled, given.blended, threads)
    buffer = twin.workspaces.take(plan.nbytes)
    x = [_part(direction, name) for name in tangents.parts]
    together = x[0] if len(x) == 1 else np.concatenate(x, -1)
    _core.forward(plan, buffer, twin.loop_weights(), together, _initial(direction), given)
    return type(run)(twin, plan, buffer, run._layout, sizes, given)


def _part(direction: Direction, name: str) -> Array:
    """A part of the input, (T, B, width)."""
    run, contract = direction.run, direction.contract
    if name == DX:
        return _dx(direction)
    if name == "x":
        return _on_tape(run, Block("x", name))
    return _on_tape(run, Block("emissions" if name in contract.emissions else "prev", name))


def _dx(direction: Direction) -> Array:
    run = direction.run
    if direction.dx is None:
        return np.zeros((run._T, run._B, run.layer.input_size), run.layer.dtype)
    found: Array = run._layout.given_in(direction.dx)
    return found


def _on_tape(run: Any, block: Block) -> Array:
    """A view of what the loop read or left, (T, B, width)."""
    plan, contract, widths = run._plan, run.layer.cell.contract, run.layer.widths
    kind, name, width, given = block.kind, block.name, widths[block.name], run._given
    if name == "x":
        return _view(run, plan.offset("x"), width)
    if kind == "aux":
        found: Array = given.aux[contract.aux.index(name)]
        return found
    if kind == "gates":
        columns = [widths[gate] for gate in contract.gates]
        at = sum(columns[: contract.gates.index(name)])
        return _view(run, plan.offset("z"), sum(columns))[..., at : at + width]
    if kind in ("prev", "states"):
        k, after = contract.states.index(name), kind == "states"
        if (given.blended if after else given.scaled) >> k & 1:
            return _view(run, plan.offset("made" if after else "prev", k), width)
        return _view(run, plan.offset("states", k) + after * run._B * width * run.layer.dtype.itemsize, width)
    return _view(run, plan.offset(kind, getattr(contract, kind).index(name)), width)


def _view(run: Any, offset: int, width: int) -> Array:
    found: Array = run._view(offset, (run._T, run._B, width))
    return found


def _given(direction: Direction, tangents: TapeTangents) -> Given:
    """What comes with the steps: the tape, and what scales and blends the states, which does their tangents too."""
    run, given = direction.run, Given()
    of, layer = run._given, direction.run.layer
    given.aux = [_on_tape(run, block) for block in tangents.tape.values()]
    if "x" in tangents.of:
        given.aux.append(_dx(direction))
    given.pre, given.blend, given.reset = of.pre, of.blend, of.reset
    given.scaled, given.blended = of.scaled, of.blended
    if of.reset is not None:
        nothing = [np.zeros(layer.widths[name], layer.dtype) for name in direction.contract.states]
        names = [f"initial_{name}" for name in direction.contract.states]
        given.origin = [np.ascontiguousarray(direction.dparams.get(name, zero)) for name, zero in zip(names, nothing)]
    return given


def _initial(direction: Direction) -> list[Array | None]:
    """The tangents of the initial states; None is 0."""
    run, found = direction.run, list[Array | None]()
    for name in direction.contract.states:
        learned = f"initial_{name}"
        if name in direction.dinitial:
            found.append(run._layout.rows_in(direction.dinitial[name]))
        elif name in run._given.learned and learned in direction.dparams:
            found.append(np.tile(direction.dparams[learned], (run._B, 1)))
        else:
            found.append(None)
    return found


def _set_parameters(direction: Direction, tangents: TapeTangents, params: Any) -> None:
    layer, of, contract, moved = direction.run.layer, tangents.of, direction.contract, direction.dparams
    for source, matrix in direction.matrices.items():
        if source != "x":
            native = isinstance(matrix.structure.kind, NATIVE)
            stored = layer.params[f"weight_{source}"] if native else matrix.matrix(layer.params)
            params[f"weight_{of[source]}"][...] = stored
    if "weight_x" in params:
        params["weight_x"][...] = _of_the_input(direction, tangents)
    if "bias" in params:
        params["bias"][...] = moved.get("bias", 0)
    for name in contract.params:
        params[name][...] = layer.params[name]
        if name in of:
            params[of[name]][...] = moved.get(name, 0)


def _of_the_input(direction: Direction, tangents: TapeTangents) -> Array:
    """The matrix of the input, of every gate that it feeds: W_x for dx, beside the derivatives of the matrices."""
    layer, contract, widths = direction.run.layer, direction.contract, direction.run.layer.widths
    rows: dict[str, list[Array]] = {}
    for gate in contract.gates:
        for part in tangents.parts:
            source = "x" if part == DX else part
            rows.setdefault(gate, []).append(np.zeros((widths[gate], widths[source]), layer.dtype))
    fed = set()
    for k, part in enumerate(tangents.parts):
        source, at = "x" if part == DX else part, 0
        for gate in contract.gates_of(source):
            whole = direction.dW[source] if part != DX else direction.matrices[source].matrix(layer.params)
            rows[gate][k], at = whole[at : at + widths[gate]], at + widths[gate]
            fed.add(gate)
    return np.concatenate([np.concatenate(row, -1) for gate, row in rows.items() if gate in fed])
