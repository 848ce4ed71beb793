"""`tangent_cell`: a cell that runs beside its own derivative along a direction.

Of every state s, emission and gate a it has a second one, its tangent ds, da: forward mode on the graph of the formula
(Griewank and Walther, Evaluating Derivatives, 2008, chapter 3). What a step does with products is

    z  = W_x x + W_s s + b
    dz = W_s ds + dW_s s + u,   u = W_x dx + dW_x x + db,

where u comes with the steps as an aux input, and dW_s s only where the direction has parameters. The cell is a formula
like any other: the loop runs it forward, and its backward pass is the derivative of the gradient.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pylstm.cells.cell import Cell
from pylstm.cells.contracts import Contract
from pylstm.cells.formula.derivation import StageDerivation, derive
from pylstm.cells.formula.graph import ACROSS, FILL, Graph, Node, below
from pylstm.cells.formula.rules import RULES
from pylstm.cells.formula.symbols import Symbol
from pylstm.cells.stages import Stage, hook_name

LINEAR = ("fill", "row_sum", "cumsum", "rcumsum", "tile", "fold")


@dataclass(frozen=True)
class Tangents:
    """A cell and the names of its tangents.

    Attributes
    ----------
    cell : Cell subclass
    of : dict of str to str
        Block -> its tangent: of states, gates with a product, emissions, parameters, aux inputs.
    added : dict of str to str
        Gate -> the aux input that is added to its tangent.
    """

    cell: type[Cell]
    of: dict[str, str]
    added: dict[str, str]


def tangent_cell(cell: type[Cell], *, params: bool) -> Tangents:
    """The cell that runs beside its tangent.

    Parameters
    ----------
    cell : Cell subclass
        Whose forward functions are formulas, or can be read as such.
    params : bool
        Whether the direction has parameters, too.

    Raises
    ------
    FormulaError
        A forward function that cannot be traced.
    """
    known: dict[bool, Tangents] = cell.__dict__.get("_tangents", {})
    if params not in known:
        known = cell._tangents = known | {params: _made(cell, params)}
    return known[params]


def _made(cell: type[Cell], params: bool) -> Tangents:
    derivation = derive(cell)
    contract = derivation.contract
    taken = {name for kind in contract.blocks.values() for name in kind} | {*contract.sizes, *contract.options}

    def fresh(name: str) -> str:
        found = next(each for k in itertools.count(1) if (each := f"d{name}{k if k > 1 else ''}") not in taken)
        taken.add(found)
        return found

    def sources(gate: str) -> list[str]:
        inner = [each for each in contract.gate_sources[gate] if each != "x"]
        return [of[each] for each in inner] + inner * params

    of = {name: fresh(name) for name in (*contract.states, *contract.emissions, *contract.aux)}
    if params:
        of |= {name: fresh(name) for name in contract.params if name not in contract.constants}
    products = [gate for gate in contract.gates if sources(gate)]
    of |= {gate: fresh(gate) for gate in products}
    added = {gate: fresh(f"{gate}_in") for gate in contract.gates}
    gates = {gate: "+".join(contract.gate_sources[gate]) for gate in contract.gates}
    tangents = Tangents(Cell, of, added)
    body: dict[str, Any] = {
        "name": f"{contract.name}_tangent",
        "states": _both(contract.states, of),
        "gates": gates | {of[gate]: "+".join(sources(gate)) for gate in products},
        "biased": contract.biased or (),
        "params": _both(contract.params, of),
        "aux": (*_both(contract.aux, of), *added.values()),
        "stages": tuple(Stage(s.name, _both(s.gates, of), _both(s.emits, of)) for s in contract.stages),
        "widths": _widths(contract, tangents),
        "sizes": dict(contract.sizes),
        "domain": {name: bounds for name, bounds in contract.domain.items() if name not in contract.options},
        "output": of[contract.output],
        "__module__": __name__,
        "__doc__": f"The cell {contract.name!r} beside its tangent.",
    }
    for stage in contract.stages:
        body[hook_name("forward", stage.name)] = _formula(derivation.stages[stage.name], tangents)
    return Tangents(type(f"{cell.__name__}Tangent", (Cell,), body), of, added)


def _both(names: Iterable[str], of: Mapping[str, str]) -> tuple[str, ...]:
    names = tuple(names)
    return (*names, *(of[name] for name in names if name in of))


def _widths(contract: Contract, tangents: Tangents) -> dict[str, Any]:
    """Widths of all blocks: those of a tangent are those of what it belongs to."""
    blocks = (*contract.states, *contract.gates, *contract.emissions, *contract.params, *contract.aux)
    own = {name: contract.widths.get(name, "hidden_size") for name in blocks}
    found = {name: own[name] for name in blocks}
    found |= {tangent: own[name] for name, tangent in tangents.of.items()}
    return found | {tangent: own[gate] for gate, tangent in tangents.added.items()}


def _formula(derived: StageDerivation, tangents: Tangents) -> Callable[..., Any]:
    """The formula of a stage: that of the cell, and its tangent, on the graph of the new cell."""
    traced = derived.traced
    leaves = {node: place for place, node in traced.leaves.items()}

    def formula(z: Any, prev: Any, e: Any, p: Any, u: Any) -> dict[str, Any]:
        spaces = {"z": z, "prev": prev, "e": e, "p": p, "u": u}
        values: dict[Node, Symbol] = {}
        slopes: dict[Node, Symbol | None] = {}
        for node in below(traced.results.values()):
            if node.op == "leaf":
                kind, name = leaves[node]
                values[node] = getattr(spaces[kind], name)
                slopes[node] = _slope_of(kind, name, spaces, tangents)
            else:
                graph = next(iter(values.values())).graph if values else _any_graph(spaces)
                values[node] = _copied(graph, node, values)
                slopes[node] = _widened(_slope(node, values, slopes), values[node])
        found = {name: values[node] for name, node in traced.results.items()}
        return found | {tangents.of[name]: _or_zero(slopes[node]) for name, node in traced.results.items()}

    return formula


def _any_graph(spaces: Mapping[str, Any]) -> Graph:
    """The graph on which the formula is traced."""
    symbols = (each for space in spaces.values() for each in vars(space).values())
    graph: Graph = next(each.graph for each in symbols if isinstance(each, Symbol))
    return graph


def _or_zero(slope: Symbol | None) -> Any:
    return 0.0 if slope is None else slope


def _slope_of(kind: str, name: str, spaces: Mapping[str, Any], tangents: Tangents) -> Symbol | None:
    """The tangent of what a step is given."""
    own = getattr(spaces[kind], tangents.of[name]) if name in tangents.of else None
    if kind != "z":
        return own
    added: Symbol = getattr(spaces["u"], tangents.added[name])
    return added if own is None else own + added


def _copied(graph: Graph, node: Node, values: Mapping[Node, Symbol]) -> Symbol:
    """A node of another graph."""
    if node.op == "const":
        return Symbol(graph, graph.const(node.value))
    if node.op == "size":
        return Symbol(graph, graph.size(node.name))
    return Symbol(graph, graph.remade(node, tuple(values[each].node for each in node.args)))


def _slope(node: Node, values: Mapping[Node, Symbol], slopes: Mapping[Node, Symbol | None]) -> Symbol | None:
    """The tangent of an operation, from those of its arguments; None where it is 0."""
    y, arguments = values[node], [values[each] for each in node.args]
    if node.op in (FILL, *ACROSS):
        slope = slopes[node.args[0]]
        return None if slope is None else _across(node, y, arguments[0], slope)
    total: Symbol | None = None
    for argument, rule in zip(node.args, RULES.get(node.op, ()), strict=False):
        slope = slopes[argument]
        if rule is None or slope is None:
            continue
        part = rule(slope, y, *arguments)  # of one unit the local derivative is symmetric
        total = part if total is None else total + part
    return total


def _across(node: Node, y: Symbol, a: Symbol, slope: Symbol) -> Symbol:
    """The tangent of an operation across the units of a row."""
    if node.op in LINEAR:
        return _remade(node, slope)
    if node.op == "softmax":  # symmetric
        return RULES["softmax"][0](slope, y, a)  # type: ignore[misc]
    # the sum of the tangents, each times its derivative: what a cotangent of 1 sends back
    one = Symbol(y.graph, y.graph.fill(y.graph.const(1), y.width))
    weights = RULES[node.op][0](one, y, a)  # type: ignore[misc]
    total: Symbol = (weights * slope).across("row_sum", y.width)
    return total


def _widened(slope: Symbol | None, value: Symbol) -> Symbol | None:
    """The tangent, as wide as its value."""
    if slope is None or slope.width == value.width:
        return slope
    return Symbol(slope.graph, slope.graph.fill(slope.node, value.width))


def _remade(node: Node, slope: Symbol) -> Symbol:
    return Symbol(slope.graph, slope.graph.remade(node, (slope.node,)))
