r"""The true recursion of back-propagation through time, with every path by itself, so that single ones can be cut.

Notation: d s_t is the full cotangent of state s at step t. One step back, from t to t-1:

.. math::
    dz_g &= \textstyle\sum_{s'} (\partial s'_t / \partial z_g)^\top ds'_t                                      && (1) \\
    ds_{t-1} &= \textstyle\sum_{s'} (\partial s'_t / \partial s_{t-1})^\top ds'_t + \sum_g W_s[g]^\top dz_g    && (2)

Every term is a path. Where a state is computed from another one of the same step, as h_t = o_t tanh(c_t), texts count
that in: their delta_c holds the part that comes from h_t (`Formula.within`). So do the paths here: what goes from h_t
to the step before by way of c_t belongs to c_t.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pylstm.cells import functions, row_functions
from pylstm.cells.auditing.reference import Arrays, Tape, at_step, local_derivatives, maps
from pylstm.cells.contracts.stages import hook_name
from pylstm.cells.formula.graph import ACROSS, COMPARISONS, FILL, Node
from pylstm.cells.formula.rules import reverse
from pylstm.cells.formula.symbols import FormulaError
from pylstm.cells.formula.tracing import Trace, trace, width_of
from pylstm.cells.widths import evaluated

Edge = tuple[str, str, str]
"""(kind, to, from): ``direct`` of an earlier state, ``product`` with a matrix, ``output`` of a gate, ``within`` a step,
``emission`` of an earlier stage."""

SPANS = ("direct", "product")
"""Kinds that go from a step to the one before, if they end in a state."""

_ARRAY_OPS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "power": operator.pow,
    "abs": functions.absolute,
    "dabs_from_x": np.sign,
    "max": np.maximum,
    "min": np.minimum,
    "where": np.where,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    **{name: getattr(operator, name) for name in COMPARISONS},
}


def _across(node: Node, sizes: dict[str, int], x: Any) -> Any:
    """An operation across the units of a row."""
    width, groups = evaluated(node.width, sizes), evaluated(node.groups, sizes)
    if node.op == FILL:
        return x if node.args[0].width == 1 else row_functions.repeat(x, width)
    if node.op in ("tile", "fold"):
        return getattr(row_functions, node.op)(x, width, groups)
    if node.op == "rcumsum":
        return row_functions.cumsum(x, groups, reverse=True)
    return getattr(row_functions, node.op)(x, groups)


def _evaluate(node: Node, values: dict[Node, Any], sizes: dict[str, int]) -> Any:
    """The value of an expression; `values` holds those of the leaves, and afterwards of all that was needed."""
    if node not in values:
        arguments = [_evaluate(each, values, sizes) for each in node.args]
        if node.op in ("const", "size"):
            values[node] = node.value if node.op == "const" else evaluated(node.name, sizes)
        elif node.op in (FILL, *ACROSS):
            values[node] = _across(node, sizes, *arguments)
        else:
            operation: Any = _ARRAY_OPS.get(node.op) or getattr(functions, node.op)
            values[node] = operation(*arguments)
    return values[node]


class Formula:
    """What the new states of a step owe to each other, from the traced formula of the last stage.

    Attributes
    ----------
    pairs : tuple of (str, str)
        (c, h) where the new state h is computed from the new state c.
    """

    def __init__(self, cell: Any) -> None:
        self._contract = contract = cell.contract
        self.pairs: tuple[tuple[str, str], ...] = ()
        self._cotangents: dict[tuple[str, str], Node] = {}
        stage = contract.stages[-1]
        function = cell.formulas.get(stage.name) or getattr(cell, hook_name("forward", stage.name))
        try:
            traced = self._traced = trace(contract, stage, function)
        except FormulaError:
            return
        nodes = traced.results
        inner = [
            name
            for name, node in nodes.items()
            if node.op not in ("const", "leaf") and list(nodes.values()).count(node) == 1
        ]
        self._seeds = {name: traced.graph.leaf("d", name, width_of(contract, name)) for name in nodes}
        for outer in nodes:
            found = reverse(traced.graph, [(nodes[outer], self._seeds[outer])])
            self._cotangents |= {(name, outer): found[nodes[name]] for name in inner if nodes[name] in found}
        self._cotangents = {pair: node for pair, node in self._cotangents.items() if pair[0] != pair[1]}
        self.pairs = tuple(self._cotangents)

    def order(self) -> list[str]:
        """The states, those first that are computed last."""
        if not self.pairs:
            return list(self._contract.states)
        return sorted(self._contract.states, key=lambda name: -self._traced.results[name].index)

    def within(self, tape: Tape, t: int, d: Arrays) -> dict[tuple[str, str], np.ndarray]:
        """(c, h) -> what the cotangent ``d[h]`` gives to c_t within the step."""
        if not self.pairs:
            return {}
        values = _leaves(self._traced, tape, t) | {seed: d[name] for name, seed in self._seeds.items()}
        return {
            (to, of): np.broadcast_to(_evaluate(node, values, tape.widths.sizes), d[to].shape)
            for (to, of), node in self._cotangents.items()
        }


def _leaves(traced: Trace, tape: Tape, t: int) -> dict[Node, Any]:
    sources = {"prev": at_step(tape.prev, t), "e": at_step(tape.emissions, t), "u": at_step(tape.aux, t)}
    sources["p"], sources["z"] = tape.params, pre_activations(tape, t)
    return {node: sources[kind][name] for (kind, name), node in traced.leaves.items()}


def pre_activations(tape: Tape, t: int) -> Arrays:
    """z of every gate at step t, from the states and the weights."""
    values = {"x": tape.x[t]} | at_step(tape.prev, t) | at_step(tape.emissions, t)
    z = {gate: np.zeros_like(tape.gates[gate][t]) for gate in tape.gates}
    for gate, source, rows in maps(tape.cell.contract, tape.widths):
        if source != "bias":
            z[gate] += values[source] @ tape.matrices[source][rows].T
        elif "bias" in tape.params:
            z[gate] += tape.params["bias"][rows]
    return z


@dataclass
class Recursion:
    """One backward pass.

    Parameters
    ----------
    tape : Tape
        Of `reference.forward`, without pre, blend and reset.
    dstates : dict of str to array (T, B, width)
        Cotangents that the loss sends into the states.
    formula : Formula
        Of the cell.
    cut : set of Edge
        Paths that are left out.
    only : int, optional
        Leave them out at this step alone.
    given : dict of str to (array (T, B, width), bool)
        Cotangents of states which replace those of the recursion, and whether they are full.
    replace : callable, optional
        Local derivatives which replace the true ones, by name; called as the twin's backward.

    Attributes
    ----------
    handed : dict of str to array (T, B, width)
        Cotangents of the states, without what comes from other states of the same step.
    full : dict of str to array (T, B, width)
        With it.
    gates : dict of str to array (T, B, width)
        Cotangents of the pre-activations.
    params : dict of str to array
    x : array (T, B, I)
    """

    tape: Tape
    dstates: Arrays
    formula: Formula
    cut: frozenset[Edge] = frozenset()
    only: int | None = None
    given: dict[str, tuple[np.ndarray, bool]] = field(default_factory=dict)
    replace: Callable[..., Arrays] | None = None

    def __post_init__(self) -> None:
        tape = self.tape
        self.handed, self.full = ({name: np.zeros_like(new) for name, new in tape.new.items()} for _ in range(2))
        self.gates = {name: np.zeros_like(gate) for name, gate in tape.gates.items()}
        self.params = {name: np.zeros_like(param) for name, param in tape.params.items()}
        self.matrices = {source: np.zeros_like(matrix) for source, matrix in tape.matrices.items()}
        self.x = np.zeros_like(tape.x)
        ds = {name: np.zeros_like(state) for name, state in tape.final.items()}
        for t in reversed(range(len(tape.x))):
            ds = self._step(t, {name: ds[name] + self.dstates[name][t] for name in ds})
        for source, matrix in tape.cell.contract.matrices(tape.widths).items():
            self.params.update(matrix.pull(self.matrices[source], tape.params))

    @property
    def named(self) -> Arrays:
        """Everything that may be claimed, states with their full cotangents."""
        return {**self.full, **self.gates, **self.params, "x": self.x}

    def array(self, name: str, full: bool = True) -> np.ndarray:
        """The cotangent of `name`; of a state the full one, or without what comes from states of the same step."""
        return self.handed[name] if name in self.handed and not full else self.named[name]

    def _open(self, t: int, *edge: str) -> bool:
        return edge not in self.cut or (self.only is not None and self.only != t)

    def _step(self, t: int, ds: Arrays) -> Arrays:
        """The cotangents of the states of step t-1, from those of t."""
        tape, contract = self.tape, self.tape.cell.contract
        entering = self._new_states(t, ds)
        dprev = {name: np.zeros_like(value) for name, value in ds.items()}
        de = {name: np.zeros_like(value[t]) for name, value in tape.emissions.items()}
        values = {"x": tape.x[t]} | at_step(tape.prev, t) | at_step(tape.emissions, t)
        to = {"x": self.x[t]} | dprev | de
        for stage in reversed(contract.stages):
            dz = {gate: self.gates[gate][t] for gate in stage.gates}
            if stage is not contract.stages[-1]:
                zero = {name: np.zeros_like(de[name]) for name in stage.emits}
                entering = {name: zero | {name: de[name]} for name in stage.emits}
            for output, d in entering.items():
                self._collect(t, output, self._local(stage, d, t), dz, to)
            self._products(t, dz, values, to)
        return dprev

    def _new_states(self, t: int, ds: Arrays) -> dict[str, Arrays]:
        """The cotangents that enter the step for the sake of each new state; sets `handed` and `full` on the way.

        What reaches other new states of the step is taken off: it is in the full cotangents of those.
        """
        zero, order = {name: np.zeros_like(value) for name, value in ds.items()}, self.formula.order()
        inner, entering = dict(zero), {}
        for k, name in enumerate(order):
            given, is_full = self.given.get(name, (None, False))
            if given is not None:
                ds[name] = given[t] - inner[name] if is_full else given[t]
            self.handed[name][t] = ds[name]
            self.full[name][t] = ds[name] + inner[name]
            d = zero | {name: self.full[name][t]}
            for other in order[k + 1 :]:
                parts = self.formula.within(self.tape, t, d)
                part = sum((value for pair, value in parts.items() if pair[0] == other), zero[other])
                d[other] = -part
                if self._open(t, "within", other, name):
                    inner[other] = inner[other] + part
            entering[name] = d
        return entering

    def _local(self, stage: Any, d: Arrays, t: int) -> Arrays:
        out = local_derivatives(self.tape, stage, d, t)
        if self.replace is not None:
            out |= local_derivatives(self.tape, stage, d, t, self.replace)
        return out

    def _collect(self, t: int, output: str, out: Arrays, dz: Arrays, to: Arrays) -> None:
        """Equation (1), and the direct paths of (2), of one output."""
        tape = self.tape
        for name, value in out.items():
            if name in dz:
                if self._open(t, "output", name, output):
                    dz[name] += value
            elif name in tape.cell.contract.params:
                self.params[name] += np.sum(value, axis=0)
            elif name in to:
                kind = "direct" if name in tape.states else "emission"
                if self._open(t, kind, name, output):
                    to[name] += value

    def _products(self, t: int, dz: Arrays, values: Arrays, to: Arrays) -> None:
        """The products of (2) of a stage's gates, and the gradients of the matrices."""
        for gate, source, rows in maps(self.tape.cell.contract, self.tape.widths):
            if gate not in dz:
                continue
            if source != "bias":
                self.matrices[source][rows] += dz[gate].T @ values[source]
                if self._open(t, "product", source, gate):
                    to[source] += dz[gate] @ self.tape.matrices[source][rows]
            elif "bias" in self.params:
                self.params["bias"][rows] += dz[gate].sum(axis=0)
