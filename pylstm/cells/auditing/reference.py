r"""A whole sequence of any cell in plain NumPy, from the cell's twin: the oracle of the tests.

Written to be read, not to be fast. Notation: W_s is ``weight_<s>``, s_t a state at step t, k_t the factor ``blend``,
r_t the factor ``pre``, `d` + name the cotangent of a name. One step of the loop, for all batch rows:

.. math::
    \bar s_{t-1} &= r_t \cdot (\text{0 where reset}_t \text{ is set, else } s_{t-1})      && (1) \\
    z_g &= \textstyle\sum_{s} W_s[g]\, s + b_g, \quad s \in \{x_t, \bar s_{t-1}, e_t\}          && (2) \\
    e_t, \; \hat s_t &= \text{forward}(z, \bar s_{t-1}, e_t, p, u_t)                            && (3) \\
    s_t &= \bar s_{t-1} + k_t (\hat s_t - \bar s_{t-1})                                         && (4)

Complex arrays pass through forward, so that complex steps (Squire & Trapp 1998) can prove backward.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.stages import Stage, hook_name
from pylstm.cells.twin import call, hook
from pylstm.cells.widths import Widths

Arrays = dict[str, np.ndarray]


@dataclass
class Tape:
    """What `forward` leaves: all arrays are time-major.

    Attributes
    ----------
    matrices : dict of str to array (rows, width of the source)
        W_s by source, whatever its structure.
    states : dict of str to array (T+1, B, width)
        Row 0 is the initial state.
    gates, emissions, keep : dict of str to array (T, B, width)
        As the twin left them.
    prev : dict of str to array (T, B, width)
        Previous states as the cell saw them: after reset and pre (equation 1).
    new : dict of str to array (T, B, width)
        New states as the cell made them: before blend (equation 3).
    """

    cell: Any
    params: Arrays
    x: np.ndarray
    aux: Arrays
    pre: Arrays
    blend: Arrays
    reset: np.ndarray
    widths: Widths
    matrices: Arrays = field(default_factory=dict)
    states: Arrays = field(default_factory=dict)
    gates: Arrays = field(default_factory=dict)
    emissions: Arrays = field(default_factory=dict)
    keep: Arrays = field(default_factory=dict)
    prev: Arrays = field(default_factory=dict)
    new: Arrays = field(default_factory=dict)

    @property
    def y(self) -> np.ndarray:
        """The output (T, B, width)."""
        return self.states[self.cell.contract.output][1:]

    @property
    def final(self) -> Arrays:
        """The last states (B, width)."""
        return {name: states[-1] for name, states in self.states.items()}


@dataclass
class Gradients:
    """Cotangents: every array has the shape of what it belongs to."""

    x: np.ndarray
    initial: Arrays
    params: Arrays
    aux: Arrays
    pre: Arrays
    blend: Arrays
    matrices: Arrays = field(default_factory=dict)
    gates: Arrays = field(default_factory=dict)  # of every step, as the three of the tape
    states: Arrays = field(default_factory=dict)
    emissions: Arrays = field(default_factory=dict)


def infer_widths(contract: Contract, params: Arrays, input_size: int, sizes: dict[str, int] | None) -> Widths:
    """Width of every block: the hidden size is the one for which the shapes of `params` are those declared.

    Raises
    ------
    ValueError
        There is none: the shapes do not fit the cell.
    """
    shapes = {name: array.shape for name, array in params.items()}
    for hidden_size in range(1, 1 + max((max(shape) for shape in shapes.values()), default=0)):
        widths = contract.resolve(input_size, hidden_size, **(sizes or {}))
        if contract.parameter_shapes(widths, bias="bias" in params) == shapes:
            return widths
    raise ValueError(f"cell {contract.name!r}: no hidden_size has parameters of the shapes {shapes}")


def maps(contract: Contract, widths: Widths) -> Iterator[tuple[str, str, slice]]:
    """(gate, source, rows of the gate in weight_<source>), and (gate, "bias", rows) for the biased gates."""
    sources = {source: contract.gates_of(source) for source in contract.sources}
    for source, gates in (*sources.items(), ("bias", contract.biased)):
        start = 0
        for gate in gates:
            yield gate, source, slice(start, start + widths[gate])
            start += widths[gate]


def forward(
    cell: Any,
    params: Arrays,
    x: np.ndarray,
    initial: Arrays | None = None,
    aux: Arrays | None = None,
    pre: Arrays | None = None,
    blend: Arrays | None = None,
    reset: np.ndarray | None = None,
    sizes: dict[str, int] | None = None,
) -> Tape:
    """Run `cell` over a sequence.

    Parameters
    ----------
    cell : type[Cell]
        A cell with a twin.
    params : mapping of str to array
        Of the shapes of `Contract.parameter_shapes`; without ``bias``, no gate has one.
    x : array (T, B, I)
        float32, float64 or complex; the result has the common type of all arrays.
    initial : dict of str to array (B, width)
        A state that is missing starts at zero.
    aux : dict of str to array (T, B, width)
        All of the cell's, except ``x``.
    pre, blend : dict of str to array (T, B, width or 1)
        Factors by state: r and k of the module's equations.
    reset : bool array (T, B)
    sizes : dict of str to int
        The cell's extra sizes, where they are not the default.

    Returns
    -------
    Tape

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.cells import LSTM
    >>> shapes = LSTM.contract.parameter_shapes(LSTM.contract.resolve(3, 5))
    >>> random = np.random.default_rng(0)
    >>> tape = forward(LSTM, {name: random.normal(size=shape) for name, shape in shapes.items()}, np.ones((7, 2, 3)))
    >>> tape.y.shape, tape.states["c"].shape
    ((7, 2, 5), (8, 2, 5))
    """
    contract, params = cell.contract, dict(params)
    aux, pre, blend, initial = (dict(given or {}) for given in (aux, pre, blend, initial))
    if "x" in contract.aux:
        aux["x"] = x
    T, B, _ = x.shape
    reset = np.zeros((T, B), bool) if reset is None else reset
    given = (aux, pre, blend, initial, params)
    dtype = np.result_type(x, *(array for arrays in given for array in arrays.values()))
    widths = infer_widths(contract, params, x.shape[2], sizes)
    tape = Tape(cell, params, x, aux, pre, blend, reset, widths)
    tape.matrices.update({source: each.matrix(params) for source, each in contract.matrices(widths).items()})

    for store, names, steps in (
        (tape.states, contract.states, T + 1),
        (tape.prev, contract.states, T),
        (tape.new, contract.states, T),
        (tape.gates, contract.gates, T),
        (tape.emissions, contract.emissions, T),
        (tape.keep, contract.keep, T),
    ):
        store.update({name: np.zeros((steps, B, tape.widths[name]), dtype) for name in names})
    for name, value in initial.items():
        tape.states[name][0] = value
    for t in range(T):
        _forward_step(tape, t)
    return tape


def _forward_step(tape: Tape, t: int) -> None:
    contract = tape.cell.contract

    # (1)  prev = r_t (0 where reset_t, else s_{t-1})
    for name in contract.states:
        held = np.where(tape.reset[t][:, None], 0, tape.states[name][t])
        tape.prev[name][t] = _scaled(tape.pre[name][t], held) if name in tape.pre else held

    # (2)  z_g = sum_s W_s[g] s + b_g        (3)  emissions, or new states = forward(z, prev, e, p, u)
    prev, u = at_step(tape.prev, t), at_step(tape.aux, t)
    e: Arrays = {}
    for stage in contract.stages:
        for gate, source, rows in maps(contract, tape.widths):
            if gate not in stage.gates:
                continue
            if source != "bias":
                tape.gates[gate][t] += ({"x": tape.x[t]} | prev | e)[source] @ tape.matrices[source][rows].T
            elif "bias" in tape.params:
                tape.gates[gate][t] += tape.params["bias"][rows]
        z = {gate: tape.gates[gate][t].copy() for gate in stage.gates}
        p = {name: tape.params[name] for name in contract.params}
        out = call(hook(tape.cell, "forward", stage.name), z=z, prev=prev, e=e, p=p, u=u, size=tape.widths.sizes)
        for name, value in out.items():
            next(s for s in (tape.gates, tape.emissions, tape.keep, tape.new) if name in s)[name][t] = value
        e |= {name: tape.emissions[name][t] for name in stage.emits}

    # (4)  s_t = prev + k_t (new - prev)
    for name in contract.states:
        new = tape.new[name][t]
        tape.states[name][t + 1] = prev[name] + tape.blend[name][t] * (new - prev[name]) if name in tape.blend else new


def backward(tape: Tape, dy: Any = None, dfinal: Arrays | None = None, dstates: Arrays | None = None) -> Gradients:
    """Cotangents of everything that went into `forward`, from those of what came out.

    Parameters
    ----------
    tape : Tape
        What `forward` returned, real.
    dy : array (T, B, width of the output)
    dfinal : dict of str to array (B, width)
    dstates : dict of str to array (T, B, width)
        Cotangents of ``tape.states[name][1:]``. The three add up; what is missing is zero.

    Returns
    -------
    Gradients

    Raises
    ------
    TypeError
        The cell has no ``backward``.
    """
    contract = tape.cell.contract
    dtype = tape.y.dtype
    for stage in contract.stages:
        if hook(tape.cell, "backward", stage.name) is None:
            raise TypeError(f"cell {contract.name!r} has no {hook_name('backward', stage.name)}: no gradients")

    def zeros(arrays: Arrays) -> Arrays:
        return {name: np.zeros(array.shape, dtype) for name, array in arrays.items()}

    initial = zeros(tape.final)
    grads = Gradients(
        np.zeros(tape.x.shape, dtype),
        initial,
        *map(zeros, (tape.params, tape.aux, tape.pre, tape.blend, tape.matrices)),
        *map(zeros, (tape.gates, tape.states, tape.emissions)),
    )
    ds = {name: zero.copy() for name, zero in initial.items()}
    for name, value in (dfinal or {}).items():
        ds[name] += value
    for t in reversed(range(len(tape.x))):
        for name, value in (dstates or {}).items():
            ds[name] += value[t]
        if dy is not None:
            ds[contract.output] += dy[t]
        for name, value in ds.items():
            grads.states[name][t + 1] = value
        ds = _backward_step(tape, grads, ds, t)
    for name, value in ds.items():
        grads.initial[name] += value
        grads.states[name][0] = value
    for source, matrix in contract.matrices(tape.widths).items():
        grads.params.update(matrix.pull(grads.matrices[source], tape.params))
    if "x" in grads.aux:
        grads.x += grads.aux.pop("x")
    return grads


def _backward_step(tape: Tape, grads: Gradients, ds: Arrays, t: int) -> Arrays:
    """The full cotangents of s_{t-1} from those of s_t; everything else is added to `grads`."""
    contract = tape.cell.contract
    prev, e = at_step(tape.prev, t), at_step(tape.emissions, t)
    dprev = {name: np.zeros_like(value) for name, value in prev.items()}
    de = {name: np.zeros_like(value) for name, value in e.items()}
    dnew = dict(ds)

    # of (4)  dnew = k ds;  dprev += (1 - k) ds;  dk = ds (new - prev)
    for name, k in tape.blend.items():
        dnew[name] = k[t] * ds[name]
        dprev[name] += (1 - k[t]) * ds[name]
        grads.blend[name][t] = _fit(ds[name] * (tape.new[name][t] - prev[name]), k[t])

    values, cotangents = {"x": tape.x[t]} | prev | e, {"x": grads.x[t]} | dprev | de
    for stage in reversed(contract.stages):
        # of (3)  dz of this stage's gates and the direct paths: the local derivatives
        d = dnew if stage is contract.stages[-1] else {name: de[name] for name in stage.emits}
        out = local_derivatives(tape, stage, d, t)
        for name in cotangents.keys() & out.keys() - {"x"}:
            cotangents[name] += out[name]
        for name in contract.params:
            if name in out:
                grads.params[name] += out[name].sum(axis=0)
        for name in grads.aux:
            if name in out:
                grads.aux[name][t] += out[name]
        _products(tape, grads, stage, out, values, cotangents)
        for gate in stage.gates:
            grads.gates[gate][t] = out[gate]
    for name, value in de.items():
        grads.emissions[name][t] = value

    # of (1)  dr = dprev held;  d held = r dprev;  ds = d held, 0 where reset
    for name in contract.states:
        held = np.where(tape.reset[t][:, None], 0, tape.states[name][t])
        if name in tape.pre:
            grads.pre[name][t] = _fit(dprev[name] * held, tape.pre[name][t])
            dprev[name] = tape.pre[name][t] * dprev[name]
        dprev[name] = np.where(tape.reset[t][:, None], 0, dprev[name])
    return dprev


def _products(tape: Tape, grads: Gradients, stage: Stage, dz: Arrays, values: Arrays, cotangents: Arrays) -> None:
    """Gradients of (2):  dW_s[g] += dz^T s;  ds += dz W_s[g];  db += dz, for gates g and their sources s."""
    for gate, source, rows in maps(tape.cell.contract, tape.widths):
        if gate not in stage.gates:
            continue
        if source != "bias":
            grads.matrices[source][rows] += dz[gate].T @ values[source]
            cotangents[source] += dz[gate] @ tape.matrices[source][rows]
        elif "bias" in tape.params:
            grads.params["bias"][rows] += dz[gate].sum(axis=0)


def local_derivatives(tape: Tape, stage: Stage, d: Arrays, t: int, function: Any = None) -> Arrays:
    """What the twin's backward, or `function`, returns for the cotangents `d` of the stage's outputs."""
    contract = tape.cell.contract
    before = contract.stages[: contract.stages.index(stage)]
    e = {name: tape.emissions[name][t] for each in before for name in each.emits}
    p = {name: tape.params[name] for name in contract.params}
    y = {name: tape.gates[name][t] for name in stage.gates} | at_step(tape.keep, t)
    y |= {name: tape.emissions[name][t] for name in stage.emits}
    if stage is contract.stages[-1]:
        y |= at_step(tape.new, t)
    function = function or hook(tape.cell, "backward", stage.name)
    u, size = at_step(tape.aux, t), tape.widths.sizes
    return call(function, d=d, y=y, prev=at_step(tape.prev, t), e=e, p=p, u=u, size=size)


def at_step(arrays: Arrays, t: int) -> Arrays:
    """Every array at step t."""
    return {name: array[t] for name, array in arrays.items()}


def _scaled(factor: np.ndarray, held: np.ndarray) -> np.ndarray:
    """factor held; 0 where the factor is, whatever the state holds."""
    scaled: np.ndarray = factor * np.where(factor == 0, held.dtype.type(0), held)
    return scaled


def _fit(value: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Sum over the units where `like` has width 1."""
    return value if value.shape == like.shape else value.sum(axis=-1, keepdims=True)
