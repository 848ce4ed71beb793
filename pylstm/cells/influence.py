"""`UnitInfluence`: which states, gates and vectors of a cell form a recurrence of every unit with itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pylstm.cells.cell import Cell
from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.structures import Diagonal
from pylstm.cells.formula.derivation import derive
from pylstm.cells.formula.graph import below
from pylstm.cells.formula.symbols import FormulaError
from pylstm.cells.formula.tracing import Trace

Names = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class UnitInfluence:
    """What of a cell has an influence that lasts.

    Attributes
    ----------
    states : tuple of str
        Those that depend on parameters and that a later step reads.
    gates, params : frozenset of str
        Through which parameters reach these states.
    dense : tuple of str
        Sources by which units of these states see other units, or emissions do: with none, a unit sees itself alone.
    apart : str
        Why parameters do not belong to units one by one, as the rest of a sentence; ``""`` if they do.
    """

    states: tuple[str, ...]
    gates: frozenset[str]
    params: frozenset[str]
    dense: tuple[str, ...]
    apart: str


def unit_influence(
    cell: type[Cell], learned: Collection[str] = (), output: bool = False, above: bool = False
) -> UnitInfluence:
    """The influence of the parameters of a cell, from its formula.

    `learned`: states whose initial values are some. `output`: the output counts as a state, for a layer above.
    `above`: the input depends on parameters, those of a layer below.
    """
    try:
        derivation = derive(cell)
    except FormulaError:
        return UnitInfluence((), frozenset(), frozenset(), (), "the cell has no formula")
    contract: Contract = cell.contract
    reached = _reached(contract, {name: stage.traced for name, stage in derivation.stages.items()})
    read = {name for names in reached.values() for kind, name in names if kind == "prev"}
    read |= {source for sources in contract.gate_sources.values() for source in sources}
    trained = [
        name for name in contract.states if name in learned or any(kind in ("z", "p") for kind, _ in reached[name])
    ]
    while more := [
        name
        for name in contract.states
        if name not in trained and any(("prev", each) in reached[name] for each in trained)
    ]:
        trained += more
    states = tuple(
        name for name in contract.states if (name in trained and name in read) or (output and name == contract.output)
    )
    through: Names = frozenset(leaf for name in states for leaf in reached[name])
    gates = frozenset(name for kind, name in through if kind == "z")
    params = frozenset(name for kind, name in through if kind == "p") - {*contract.constants}
    dense = tuple(
        source
        for source in contract.sources
        if any(gate in gates for gate in contract.gates_of(source))
        and (source in trained or source in contract.emissions)
        and not _own(contract, source)
    )
    apart = _apart(contract, states, gates | params, derivation.sized, dense)
    if above and (follows := [name for name in contract.states if name in read and name not in states]):
        apart = apart or f"its state {follows[0]!r} follows the input"
    return UnitInfluence(states, gates, params, dense, apart)


def _reached(contract: Contract, traces: Mapping[str, Trace]) -> dict[str, Names]:
    """State -> leaves that its new value is made of, of all stages."""
    found: dict[str, Names] = {}
    for stage in contract.stages:
        traced = traces[stage.name]
        leaves = {node: place for place, node in traced.leaves.items()}
        for name, result in traced.results.items():
            own = {leaves[node] for node in below([result]) if node in leaves}
            earlier = {leaf for kind, each in own if kind == "e" for leaf in found[each]}
            found[name] = frozenset(own | earlier)
    return found


def _own(contract: Contract, source: str) -> bool:
    """Whether a source is multiplied by a diagonal."""
    structure = contract.structure.get(source)
    return structure is not None and type(structure.kind) is Diagonal and not structure.tied


def _apart(
    contract: Contract, states: tuple[str, ...], blocks: frozenset[str], sized: bool, dense: tuple[str, ...]
) -> str:
    if sized or not contract.elementwise:
        return "its units meet in the formula"
    widths = {name: contract.widths.get(name, "hidden_size") for name in (*states, *blocks)}
    if len({*widths.values()}) > 1:
        sizes = ", ".join(f"{name} {width}" for name, width in widths.items())
        return f"what makes its states has several widths ({sizes})"
    if within := [source for source in dense if source in contract.emissions]:
        return f"its gates read {within[0]!r}, which is made within the step"
    return ""
