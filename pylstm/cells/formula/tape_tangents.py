"""`tape_tangent_cell`: a cell whose states are the tangents of another's, from what a run of that has on its tape.

Only the tangents are computed, not what they are the tangents of. With the values a that the tape has of every source

    dz = dW_x x + sum dW_a a + db + W_x dx + sum W_a da,

so that the input of the cell is dx, and x and the sources beside it where the direction has parameters: one product for
all steps. In the loop there are the products with da alone, as many as in the run itself. What the formula needs of the
run comes as aux inputs, views of the tape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pylstm.cells.cell import Cell
from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.stages import Stage, hook_name
from pylstm.cells.contracts.structures import Blocks, Diagonal, Mask
from pylstm.cells.formula.derivation import Derivation, StageDerivation, derive
from pylstm.cells.formula.graph import DECLARED, Graph, Node, below
from pylstm.cells.formula.program import Block
from pylstm.cells.formula.symbols import FormulaError, Symbol
from pylstm.cells.formula.tangents import Names, Tangents, any_graph, copied, or_zero, slope_of, widened, width_in
from pylstm.cells.widths import Width

DX = "dx"
"""The part of the input that is the direction of x; the others are sources."""


@dataclass(frozen=True)
class TapeTangents(Tangents):
    """A cell of tangents alone.

    Attributes
    ----------
    parts : tuple of str
        What its input has side by side: `DX`, then the sources of the matrices that move.
    tape : dict of str to Block
        Aux input of the cell -> what it is of the run.
    """

    parts: tuple[str, ...] = ()
    tape: dict[str, Block] = field(default_factory=dict)


def tape_tangent_cell(cell: type[Cell], *, dx: bool, params: bool) -> TapeTangents | None:
    """The cell of the tangents along directions of the input, of parameters, or of both.

    None where the tape does not have what they are made of.
    """
    known: dict[Any, TapeTangents | None] = cell.__dict__.get("_tape_tangents", {})
    if (dx, params) not in known:
        known = cell._tape_tangents = known | {(dx, params): _made(cell, dx, params)}
    return known[dx, params]


def _made(cell: type[Cell], dx: bool, params: bool) -> TapeTangents | None:
    try:
        derivation = derive(cell)
    except FormulaError:
        return None
    contract, stages = derivation.contract, derivation.stages
    declared = any(node.op in DECLARED for each in stages.values() for node in each.traced.graph.nodes)
    if declared or contract.keep != cell.contract.keep or len(stages) != len(contract.stages):
        return None
    on_tape = {name: _on_tape(cell, derivation, each) for name, each in stages.items()}
    names = Names.of(contract)
    of = {n: names.fresh(n) for n in (*contract.states, *contract.gates, *contract.emissions)}
    of |= {name: names.fresh(name) for name in contract.params if params and name not in contract.constants}
    of |= {"x": names.fresh("x_value")} if "x" in contract.aux else {}
    parts = ((DX,) if dx or not contract.sources else ()) + (contract.sources if params else ())
    blocks = dict.fromkeys(block for each in on_tape.values() for block in each.values() if block.kind != "params")
    tape = {names.fresh(f"{block.kind}_{block.name}"): block for block in blocks}
    found = TapeTangents(Cell, of, names.fresh("inputs"), "", parts, tape)
    read: set[str] = set()
    for again in (False, True):  # the aux inputs that are read are known once it is traced
        found = replace(found, tape={name: block for name, block in tape.items() if not again or name in read})
        found = replace(found, cell=_cell(cell, derivation, on_tape, found, params))
        programs = [each.forward for each in derive(found.cell).stages.values()]
        read = {block.name for each in programs for block in each.blocks if block.kind == "aux"}
    lost = any(found.tape[name].kind == "lost" for name in read - {of.get("x")})
    return None if lost else found


def _on_tape(cell: type[Cell], derivation: Derivation, derived: StageDerivation) -> dict[Node, Block]:
    """What a run has of the values of a stage; pre-activations that are overwritten are lost."""
    traced, last = derived.traced, derived.stage is derivation.contract.stages[-1]
    found = {node: Block("lost", name) for (kind, name), node in traced.leaves.items() if kind == "z"}
    slots = derived.slots if cell.formulas else {g: traced.extra.get(g, traced.leaves["z", g]) for g in derived.slots}
    found |= {node: Block("gates", name) for name, node in slots.items() if node.op != "const"}
    found |= {node: Block("keep", name) for name, node in derived.kept.items()}
    kind = "states" if last else "emissions"
    found |= {node: Block(kind, name) for name, node in traced.results.items() if node.op not in ("const", "leaf")}
    places = {"prev": "prev", "e": "emissions", "p": "params", "u": "aux"}
    return found | {node: Block(places[kind], name) for (kind, name), node in traced.leaves.items() if kind != "z"}


def _cell(
    cell: type[Cell],
    derivation: Derivation,
    on_tape: Mapping[str, dict[Node, Block]],
    found: TapeTangents,
    params: bool,
) -> type[Cell]:
    contract, of, tape = derivation.contract, found.of, found.tape
    gates, mask = dict(_gates(contract, found)), _mask(contract, found)
    native = {source: each for source, each in contract.structure.items() if isinstance(each.kind, NATIVE)}
    structure = {of[source]: _written(each) for source, each in native.items() if source != "x"}
    body: dict[str, Any] = {
        "name": f"{contract.name}_tape_tangent",
        "states": tuple(of[name] for name in contract.states),
        "gates": gates,
        "biased": tuple(of[gate] for gate in contract.biased or () if params),
        "params": (*contract.params, *(of[name] for name in contract.params if name in of)),
        "aux": (*tape, *([of["x"]] if "x" in contract.aux else [])),
        "stages": tuple(
            Stage(s.name, tuple(of[g] for g in s.gates), tuple(of[e] for e in s.emits)) for s in contract.stages
        ),
        "widths": _widths(contract, found),
        "sizes": contract.sizes | {found.inputs: None},
        "output": of[contract.output],
        "structure": structure | ({"x": mask} if mask else {}),
        "__module__": __name__,
        "__doc__": f"The tangents of the cell {contract.name!r}, from a tape.",
    }
    for stage in contract.stages:
        body[hook_name("forward", stage.name)] = _formula(derivation.stages[stage.name], on_tape[stage.name], found)
    made: type[Cell] = type(f"{cell.__name__}TapeTangent", (Cell,), body)
    return made


NATIVE = (Blocks, Diagonal, Mask)
"""Matrices that the loop multiplies as they are stored."""


def _written(structure: Any) -> Any:
    return structure.kind.argument if isinstance(structure.kind, Mask) else repr(structure)


def _fed(contract: Contract, found: TapeTangents, gate: str, part: str) -> bool:
    """Whether a part of the input goes into the tangent of a gate."""
    return ("x" if part == DX else part) in contract.gate_sources[gate]


def _gates(contract: Contract, found: TapeTangents) -> Iterator[tuple[str, str]]:
    """The sources of the tangents of the gates."""
    for gate, sources in contract.gate_sources.items():
        inner = [found.of[source] for source in sources if source != "x"]
        from_input = any(_fed(contract, found, gate, part) for part in found.parts)
        yield found.of[gate], "+".join(["x"] * from_input + inner)


def _mask(contract: Contract, found: TapeTangents) -> Callable[[Any], Any] | None:
    """The mask of the matrix of the input, by gates and parts; None where all parts go into all of them."""
    table = {gate: [_fed(contract, found, gate, part) for part in found.parts] for gate in contract.gates}
    table = {gate: row for gate, row in table.items() if any(row)}
    if all(all(row) for row in table.values()):
        return None

    def mask(size: Any) -> Any:
        sizes = {name: getattr(size, name) for name in contract.sizes}
        widths = contract.resolve(getattr(size, found.inputs), size.hidden_size, **sizes)
        columns = [widths["x" if part == DX else part] for part in found.parts]
        return np.concatenate([np.tile(np.repeat(row, columns), (widths[gate], 1)) for gate, row in table.items()])

    return mask


def _widths(contract: Contract, found: TapeTangents) -> dict[str, Any]:
    def width(name: str) -> Any:
        return width_in(contract.widths.get(name, "input_size" if name == "x" else "hidden_size"), found.inputs)

    own = {name: width(name) for name in contract.params}
    return (
        own
        | {tangent: width(name) for name, tangent in found.of.items()}
        | {name: width(block.name) for name, block in found.tape.items()}
    )


class _Taken(Symbol):
    """A value of the run, with the groups of the operation that made it."""

    __slots__ = ("_groups",)
    _groups: Width

    @classmethod
    def of(cls, node: Node, leaf: Symbol | None, graph: Graph, inputs: str) -> _Taken:
        """`node` of the run as the aux input `leaf`; 0 in its place where nobody reads it."""
        nothing = graph.fill(graph.const(0), width_in(node.width, inputs))
        found = cls(graph, nothing if leaf is None else leaf.node)
        found._groups = width_in(node.groups, inputs)
        return found

    @property
    def groups(self) -> Width:
        return self._groups


def _formula(
    derived: StageDerivation, on_tape: Mapping[Node, Block], found: TapeTangents
) -> Callable[..., dict[str, Any]]:
    """The tangents of what a stage makes."""
    traced, aux = derived.traced, {block: name for name, block in found.tape.items()}
    leaves = {node: place for place, node in traced.leaves.items()}

    def formula(z: Any, prev: Any, e: Any, p: Any, u: Any) -> dict[str, Any]:
        spaces = {"z": z, "prev": prev, "e": e, "p": p, "u": u}
        graph = any_graph(spaces)
        values: dict[Node, Symbol] = {}
        slopes: dict[Node, Symbol | None] = {}
        for node in below(traced.results.values()):
            block = on_tape.get(node)
            if block is not None and block.kind == "params":
                values[node] = getattr(p, block.name)
            elif block is not None:
                leaf = getattr(u, aux[block]) if block in aux else None
                values[node] = _Taken.of(node, leaf, graph, found.inputs)
            else:
                values[node] = copied(graph, node, values, found)
            if node.op == "leaf":
                kind, name = leaves[node]
                space = u if kind == "u" else spaces[kind]
                moves = name in found.of and (kind != "u" or name == "x")
                slopes[node] = getattr(space, found.of[name]) if moves else None
            else:
                slopes[node] = widened(slope_of(node, values, slopes, found), values[node])
        return {found.of[name]: or_zero(slopes[node]) for name, node in traced.results.items()}

    return formula
