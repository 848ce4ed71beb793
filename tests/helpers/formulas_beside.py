"""Cells in another library: its operations for those of a formula, so that its derivatives are beside ours."""

from __future__ import annotations

from pylstm.cells.formula.derivation import derive
from pylstm.cells.formula.graph import below
from pylstm.cells.widths import evaluated


def step_of(layer, library):
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
                found[node] = library.array([float(value)])
            else:
                args = [found[each] for each in node.args]
                width = evaluated(node.width, sizes)
                if node.op in library.OPERATIONS:
                    found[node] = library.OPERATIONS[node.op](*args)
                else:
                    found[node] = library.across(node.op, args[0], width, evaluated(node.groups, sizes))
        return {name: found[node] for name, node in traced.results.items()}

    def step(x, states, params, aux):
        known, new = {**states, **aux, "x": x, **{n: params[n] for n in contract.params}}, {}
        for stage in contract.stages:
            reads = {name: known[name] for name in known} | {n: states[n] for n in states}
            for gate in stage.gates:
                known[gate] = _product(layer, library, gate, reads, params)
            made = stage_values(stage, known)
            for name, value in made.items():
                value = library.broadcast(value, (x.shape[0], layer.widths[name]))
                (new if name in contract.states else known)[name] = value
        return new

    return step


def _product(layer, library, gate, values, params):
    contract, total = layer.cell.contract, 0.0
    for source in contract.gate_sources[gate]:
        gates = contract.gates_of(source)
        at = sum(layer.widths[each] for each in gates[: gates.index(gate)])
        weight = params[f"weight_{source}"][at : at + layer.widths[gate]]
        if source in contract.structure:  # blocks below each other
            blocks = weight.reshape(layer.widths[source] // weight.shape[1], -1, weight.shape[1])
            weight = library.block_diagonal(*blocks)
        total = total + values[source] @ weight.T
    if layer.bias and gate in contract.biased:
        at = sum(layer.widths[each] for each in contract.biased[: contract.biased.index(gate)])
        total = total + params["bias"][at : at + layer.widths[gate]]
    return total


def outputs_of(layer, library):
    """``run(x, initial, params, aux)``: the output after every step, of float64 arrays of the library."""
    step, output = step_of(layer, library), layer.cell.contract.output

    def run(x, initial, params, aux):
        states, out = dict(initial), []
        for t in range(len(x)):
            states = step(x[t], states, params, {name: value[t] for name, value in aux.items()})
            out.append(states[output])
        return library.stack(out)

    return run
