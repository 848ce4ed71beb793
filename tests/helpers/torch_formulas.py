"""Cells in PyTorch: its operations for those of a formula, so that its derivatives are beside ours."""

from __future__ import annotations

import torch

from pylstm.cells.formula.derivation import derive
from pylstm.cells.formula.graph import below
from pylstm.cells.widths import evaluated


def _grouped(a, groups):
    return a.reshape(*a.shape[:-1], groups, -1)


def _across(op, a, width, groups):
    if op == "row_sum":
        return _grouped(a, width).sum(-1)
    if op == "row_max":
        return _grouped(a, width).amax(-1)
    if op == "logsumexp":
        return _grouped(a, width).logsumexp(-1)
    if op == "fill":
        return a.expand(*a.shape[:-1], width) if a.shape[-1] == 1 else a.repeat_interleave(width // a.shape[-1], -1)
    if op == "softmax":
        return _grouped(a, groups).softmax(-1).reshape(a.shape)
    if op == "cumsum":
        return _grouped(a, groups).cumsum(-1).reshape(a.shape)
    if op == "rcumsum":
        return _grouped(a, groups).flip(-1).cumsum(-1).flip(-1).reshape(a.shape)
    pieces = _grouped(a, groups)
    if op == "tile":
        return pieces.repeat(*[1] * (pieces.ndim - 1), width // a.shape[-1]).reshape(*a.shape[:-1], width)
    return pieces.reshape(*pieces.shape[:-1], -1, width // groups).sum(-2).reshape(*a.shape[:-1], width)  # fold


OPERATIONS = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "neg": torch.neg, "abs": torch.abs,
    "max": torch.maximum, "min": torch.minimum, "where": torch.where, "relu": torch.relu, "sigmoid": torch.sigmoid,
    "tanh": torch.tanh, "exp": torch.exp, "expm1": torch.expm1, "log": torch.log, "log1p": torch.log1p,
    "sqrt": torch.sqrt, "softplus": lambda a: torch.logaddexp(a, torch.zeros_like(a)), "power": torch.pow,
    "sin": torch.sin, "cos": torch.cos, "lt": torch.lt, "gt": torch.gt, "stop": torch.detach,
}  # fmt: skip


def step_of(layer):
    """``step(values, z)``: what a step makes, by name, of the values before it and a function of products."""
    derivation, sizes = derive(layer.cell), layer.widths.sizes
    contract = derivation.contract

    def stage_values(stage, known):
        traced = derivation.stages[stage.name].traced
        names = {node: name for (_, name), node in traced.leaves.items()}
        found = {}
        for node in below(traced.results.values()):
            if node.op == "leaf":
                found[node] = known[names[node]]
            elif node.op in ("const", "size"):
                value = node.value if node.op == "const" else evaluated(node.name, sizes)
                found[node] = torch.tensor([float(value)], dtype=torch.float64)
            else:
                args = [found[each] for each in node.args]
                width = evaluated(node.width, sizes)
                if node.op in OPERATIONS:
                    found[node] = OPERATIONS[node.op](*args)
                else:
                    found[node] = _across(node.op, args[0], width, evaluated(node.groups, sizes))
        return {name: found[node] for name, node in traced.results.items()}

    def step(x, states, params, aux):
        known, new = {**states, **aux, "x": x, **{n: params[n] for n in contract.params}}, {}
        for stage in contract.stages:
            reads = {name: known[name] for name in known} | {n: states[n] for n in states}
            for gate in stage.gates:
                known[gate] = _product(layer, contract, gate, reads, params)
            made = stage_values(stage, known)
            for name, value in made.items():
                value = value.expand(x.shape[0], layer.widths[name])
                (new if name in contract.states else known)[name] = value
        return new

    return step


def _product(layer, contract, gate, values, params):
    total = torch.zeros(values["x"].shape[0], layer.widths[gate], dtype=torch.float64)
    for source in contract.gate_sources[gate]:
        gates = contract.gates_of(source)
        at = sum(layer.widths[each] for each in gates[: gates.index(gate)])
        weight = params[f"weight_{source}"][at : at + layer.widths[gate]]
        if source in contract.structure:  # blocks below each other
            weight = torch.block_diag(*weight.reshape(layer.widths[source] // weight.shape[1], -1, weight.shape[1]))
        total = total + values[source] @ weight.T
    if layer.bias and gate in contract.biased:
        at = sum(layer.widths[each] for each in contract.biased[: contract.biased.index(gate)])
        total = total + params["bias"][at : at + layer.widths[gate]]
    return total


def outputs_of(layer):
    """``run(x, initial, params, aux)``: the output after every step, of float64 tensors."""
    step, output = step_of(layer), layer.cell.contract.output

    def run(x, initial, params, aux):
        states, out = dict(initial), []
        for t in range(len(x)):
            states = step(x[t], states, params, {name: value[t] for name, value in aux.items()})
            out.append(states[output])
        return torch.stack(out)

    return run
