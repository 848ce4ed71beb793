"""`tangent_cell`: a cell that runs beside its own derivative along a direction.

Of every state s, emission and gate a it has a second one, its tangent ds, da: forward mode on the graph of the formula
(Griewank and Walther, Evaluating Derivatives, 2008, chapter 3). What a step does with products is

    (z )   (W_x      ) (x )   (W_s      ) (s )   (b )
    (dz) = (dW_x  W_x) (dx) + (dW_s  W_s) (ds) + (db),

so its input is x beside dx, and the gates are those of the cell and their tangents; the lower left blocks and db are
there where the direction has parameters. The cell is a formula like any other: the loop runs it forward, and its
backward pass is the derivative of the gradient.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pylstm.cells.cell import Cell
from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.stages import Stage, hook_name
from pylstm.cells.formula.derivation import StageDerivation, derive
from pylstm.cells.formula.graph import ACROSS, FILL, Graph, Node, below
from pylstm.cells.formula.rules import RULES
from pylstm.cells.formula.symbols import Symbol
from pylstm.cells.widths import Width, factors, product

LINEAR = ("fill", "row_sum", "cumsum", "rcumsum", "tile", "fold")


@dataclass(frozen=True)
class Tangents:
    """A cell and the names of its tangents.

    Attributes
    ----------
    cell : Cell subclass
    of : dict of str to str
        Block -> its tangent: of states, gates, emissions, parameters, aux inputs.
    inputs : str
        The size that is the number of inputs of the cell, half of those of the layer that it runs in.
    x : str
        The aux input that is the input x; ``""`` for none.
    """

    cell: type[Cell]
    of: dict[str, str]
    inputs: str
    x: str


class Names:
    """Names that a cell does not have."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken

    @classmethod
    def of(cls, contract: Contract) -> Names:
        blocks = {name for kind in contract.blocks.values() for name in kind}
        return cls(blocks | {*contract.sizes, *contract.options})

    def fresh(self, name: str) -> str:
        """A new one, that of a tangent."""
        found = next(each for k in itertools.count(1) if (each := f"d{name}{k if k > 1 else ''}") not in self._taken)
        self._taken.add(found)
        return found


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
    fresh = Names.of(contract).fresh
    of = {name: fresh(name) for name in (*contract.states, *contract.gates, *contract.emissions, *contract.aux)}
    if params:
        of |= {name: fresh(name) for name in contract.params if name not in contract.constants}
    tangents = Tangents(Cell, of, fresh("inputs"), fresh("x_value") if "x" in contract.aux else "")
    biased = contract.biased or ()
    body: dict[str, Any] = {
        "name": f"{contract.name}_tangent",
        "states": _both(contract.states, of),
        "gates": _gates(contract, of, params),
        "biased": (*biased, *(of[gate] for gate in biased if params)),
        "params": _both(contract.params, of),
        "aux": tuple(tangents.x if name == "x" else name for name in _both(contract.aux, of)),
        "stages": tuple(Stage(s.name, _both(s.gates, of), _both(s.emits, of)) for s in contract.stages),
        "widths": _widths(contract, tangents),
        "sizes": contract.sizes | {tangents.inputs: None},
        "domain": {
            tangents.x if name == "x" else name: bounds
            for name, bounds in contract.domain.items()
            if name not in contract.options
        },
        "output": of[contract.output],
        "structure": {"x": _halves(contract, params)} if "x" in contract.sources else {},
        "__module__": __name__,
        "__doc__": f"The cell {contract.name!r} beside its tangent.",
    }
    for stage in contract.stages:
        body[hook_name("forward", stage.name)] = _formula(derivation.stages[stage.name], tangents)
    return replace(tangents, cell=type(f"{cell.__name__}Tangent", (Cell,), body))


def _gates(contract: Contract, of: Mapping[str, str], params: bool) -> dict[str, str]:
    """The sources of the gates, then of their tangents."""
    found = {gate: "+".join(sources) for gate, sources in contract.gate_sources.items()}
    for gate, sources in contract.gate_sources.items():
        inner = [source for source in sources if source != "x"]
        found[of[gate]] = "+".join(["x"] * ("x" in sources) + [of[source] for source in inner] + inner * params)
    return found


def _halves(contract: Contract, params: bool) -> Callable[[Any], Any]:
    """The mask of the matrix of the input: of x for the gates, of dx for their tangents, with `params` of both."""

    def mask(size: Any) -> Any:
        inputs = size.input_size // 2
        widths = contract.resolve(inputs, size.hidden_size, **{name: getattr(size, name) for name in contract.sizes})
        rows = sum(widths[gate] for gate in contract.gates_of("x"))
        return np.kron([[1, 0], [params, 1]], np.ones((rows, inputs)))

    return mask


def _both(names: Iterable[str], of: Mapping[str, str]) -> tuple[str, ...]:
    names = tuple(names)
    return (*names, *(of[name] for name in names if name in of))


def _widths(contract: Contract, tangents: Tangents) -> dict[str, Width]:
    """Widths of all blocks: those of a tangent are those of what it belongs to."""
    blocks = (*contract.states, *contract.gates, *contract.emissions, *contract.params, *contract.aux)
    own = {name: width_in(contract.widths.get(name, "hidden_size"), tangents.inputs) for name in blocks}
    return {tangents.x if name == "x" else name: width for name, width in own.items()} | {
        tangent: own[name] for name, tangent in tangents.of.items()
    }


def width_in(width: Width, inputs: str) -> Width:
    """A width of the cell, in the sizes of the other one, of which `inputs` is the number of inputs of the cell."""
    number, names = factors(width)
    return product(number, *(inputs if name == "input_size" else name for name in names.elements()))


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
                own = tangents.x if name == "x" else name
                values[node] = getattr(spaces[kind], own)
                slopes[node] = getattr(spaces[kind], tangents.of[name]) if name in tangents.of else None
            else:
                graph = next(iter(values.values())).graph if values else any_graph(spaces)
                values[node] = copied(graph, node, values, tangents)
                slopes[node] = widened(slope_of(node, values, slopes, tangents), values[node])
        found = {name: values[node] for name, node in traced.results.items()}
        return found | {tangents.of[name]: or_zero(slopes[node]) for name, node in traced.results.items()}

    return formula


def any_graph(spaces: Mapping[str, Any]) -> Graph:
    """The graph on which the formula is traced."""
    symbols = (each for space in spaces.values() for each in vars(space).values())
    graph: Graph = next(each.graph for each in symbols if isinstance(each, Symbol))
    return graph


def or_zero(slope: Symbol | None) -> Any:
    """A tangent; the number 0 where there is none."""
    return 0.0 if slope is None else slope


def copied(graph: Graph, node: Node, values: Mapping[Node, Symbol], tangents: Tangents) -> Symbol:
    """A node of another graph."""
    if node.op == "const":
        return Symbol(graph, graph.const(node.value))
    if node.op == "size":
        return Symbol(graph, graph.size(width_in(node.name, tangents.inputs)))
    return _remade(node, [values[each] for each in node.args], tangents)


def slope_of(
    node: Node, values: Mapping[Node, Symbol], slopes: Mapping[Node, Symbol | None], tangents: Tangents
) -> Symbol | None:
    """The tangent of an operation, from those of its arguments; None where it is 0."""
    y, arguments = values[node], [values[each] for each in node.args]
    if node.op in (FILL, *ACROSS):
        slope = slopes[node.args[0]]
        return None if slope is None else _across(node, y, arguments[0], slope, tangents)
    total: Symbol | None = None
    for argument, rule in zip(node.args, RULES.get(node.op, ()), strict=False):
        slope = slopes[argument]
        if rule is None or slope is None:
            continue
        part = rule(slope, y, *arguments)  # of one unit the local derivative is symmetric
        total = part if total is None else total + part
    return total


def _across(node: Node, y: Symbol, a: Symbol, slope: Symbol, tangents: Tangents) -> Symbol:
    """The tangent of an operation across the units of a row."""
    if node.op in LINEAR:
        return _remade(node, [slope], tangents)
    if node.op == "softmax":  # symmetric
        return RULES["softmax"][0](slope, y, a)  # type: ignore[misc]
    # the sum of the tangents, each times its derivative: what a cotangent of 1 sends back
    one = Symbol(y.graph, y.graph.fill(y.graph.const(1), y.width))
    weights = RULES[node.op][0](one, y, a)  # type: ignore[misc]
    total: Symbol = (weights * slope).across("row_sum", y.width)
    return total


def widened(slope: Symbol | None, value: Symbol) -> Symbol | None:
    """The tangent, as wide as its value."""
    if slope is None or slope.width == value.width:
        return slope
    return Symbol(slope.graph, slope.graph.fill(slope.node, value.width))


def _remade(node: Node, args: Sequence[Symbol], tangents: Tangents) -> Symbol:
    """The operation of `node` on other arguments, in the sizes of the other cell."""
    graph, nodes = args[0].graph, tuple(each.node for each in args)
    if node.op in (FILL, *ACROSS):
        width, groups = width_in(node.width, tangents.inputs), width_in(node.groups, tangents.inputs)
        return Symbol(graph, graph.across(node.op, nodes[0], width, groups))
    return Symbol(graph, graph.make(node.op, *nodes))
