"""`row_gradients`: the gradient of every row of a batch by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import Array
from pylstm.diagnostics.checks import check_run
from pylstm.layers import Run
from pylstm.layers.runs.steps import Steps, by_step, input_of, resets_of


def row_gradients(run: Run, dy: Any) -> dict[str, Array]:
    """Per-sample gradients of the parameters of one layer.

    From one backward pass: a row's gradient of a matrix is the sum over its steps of delta times source, as the whole
    one is over all rows. Of parameters whose gradients the loop sums over rows, which are vectors per unit, structured
    matrices and learned initial states, by going back once more through all steps of each row, side by side, from the
    cotangents that the states after them have.

    Parameters
    ----------
    run : Run
        Of one layer, with a tape.
    dy : array_like
        Cotangent of ``run.y``, in its shape.

    Returns
    -------
    dict of str to ndarray, shape (B, *shape of the parameter)
        Of every parameter; summed over the rows it is that of ``run.backward(dy).params``.

    Raises
    ------
    TypeError, ValueError
        The run of a stack or two directions; a wrong shape or dtype.
    RuntimeError
        A run without a tape; parameters of the second kind that have changed since the run.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.diagnostics import row_gradients
    >>> run = pylstm.GRU(2, 3, seed=0)(np.ones((6, 4, 2), "float32"))
    >>> row_gradients(run, run.y)["weight_h"].shape
    (4, 9, 3)
    """
    check_run(run)
    layer, contract = run.layer, run.layer.cell.contract
    grads = run.backward(dy, steps=True)
    if layer.learn_initial or contract.structure or {*contract.params} - {*contract.constants}:
        return _by_row(run, {name: by_step(run, array, 1)[1:] for name, array in grads.states.items()})
    deltas = {name: by_step(run, array) for name, array in grads.gates.items()}
    values = {"x": input_of(run)} | {name: _previous(run, k, name) for k, name in enumerate(contract.states)}
    values |= {name: by_step(run, array) for name, array in run.emissions.items()}
    found = {}
    for source in contract.sources:
        dz = np.concatenate([deltas[gate] for gate in contract.gates_of(source)], -1)
        found[f"weight_{source}"] = dz.transpose(1, 2, 0) @ values[source].transpose(1, 0, 2)
    if "bias" in layer.params:
        found["bias"] = np.concatenate([deltas[gate] for gate in contract.biased], -1).sum(axis=0)
    free = layer.params.zeros_like()
    free.flat[...] = 1
    layer.params.fill_held(free.flat, 0)
    missing = [name for name in free if name not in found]
    found |= {name: np.zeros((run._B, *free[name].shape), layer.dtype) for name in missing}
    return {name: rows * free[name] for name, rows in found.items()}


def _by_row(run: Run, cotangents: dict[str, Array]) -> dict[str, Array]:
    """The gradients of every row, from the cotangents (T, B, width) of the states after every step."""
    found = {name: np.zeros((run._B, *shape), run.layer.dtype) for name, shape in run.layer.params.shapes.items()}
    for row in range(run._B):
        steps = Steps(run, row=row)
        grads = steps.back(cotangents)
        for name in run._given.learned:  # which the row had before its first step
            grads.params[f"initial_{name}"] += steps.whole(grads.initial[name])[:1, row].sum(axis=0)
        for name, each in found.items():
            each[row] = grads.params[name]
    return found


def _previous(run: Run, k: int, name: str) -> Array:
    """State k as every step reads it, (T, B, width): after reset and pre."""
    given, found = run._given, by_step(run, run.states[name], 1)[:-1]
    if given.reset is not None and given.origin is not None:
        found = np.where(resets_of(run), given.origin[k], found)
    factor = None if given.pre is None else given.pre[k]
    return found if factor is None else by_step(run, run._layout.steps_out(factor)) * found
