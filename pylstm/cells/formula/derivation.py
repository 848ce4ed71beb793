"""Programs from formulas: forward and backward of every stage, and what is kept between them."""

from __future__ import annotations

import itertools
import keyword
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from pylstm.cells.contracts.contract import Contract, wrong_cell
from pylstm.cells.contracts.expansion import with_lags
from pylstm.cells.contracts.limits import MAX_BLOCKS
from pylstm.cells.contracts.stages import Stage, hook_name
from pylstm.cells.formula import tape as tapes
from pylstm.cells.formula.graph import ACROSS, DECLARED, FUNCTIONS, Node, below, without_declared
from pylstm.cells.formula.program import Block, Program, build
from pylstm.cells.formula.rules import reverse
from pylstm.cells.formula.tracing import DeeperLags, Trace, results_of, trace, width_of
from pylstm.cells.widths import Width, evaluated, factors
from pylstm.hints import explained, explained_constructor

LEAF_BLOCKS = {"z": "gates", "prev": "prev", "e": "emissions", "p": "params", "u": "aux"}
COTANGENT_BLOCKS = {"z": "dgates", "prev": "dprev", "e": "demissions", "p": "dparams", "u": "daux"}


@dataclass(frozen=True)
class StageDerivation:
    """What is derived from the formula of one stage.

    Attributes
    ----------
    stage : Stage
    forward, backward : Program
        Over the blocks of the C contract. Backward delivers a cotangent for every gate, and for those previous
        states, earlier emissions, parameters and aux that the formula uses.
    declared : Program
        Forward with the derivatives that are declared (`pylstm.cells.surrogate`) beside their values: `forward` itself
        where there are none.
    slots : dict of str to Node
        Gate -> the value in its slot after forward; the pre-activation itself where the slot is not written.
    keep : dict of str to (str or int)
        Kept values of this stage and their widths.
    kept : dict of str to Node
        The values.
    traced : Trace
        The graph as it was written, and the names of its values: the user's, gates and kept values.
    """

    stage: Stage
    forward: Program
    backward: Program
    declared: Program
    slots: dict[str, Node]
    keep: dict[str, Width]
    kept: dict[str, Node] = field(repr=False, compare=False)
    traced: Trace = field(repr=False, compare=False)


@explained_constructor
@dataclass(frozen=True)
class Derivation:
    """The derivation of a cell: its completed contract (with the kept values) and one entry per derived stage.

    Examples
    --------
    >>> from pylstm.cells import LSTM, derive
    >>> derivation = derive(LSTM)
    >>> derivation.contract.name, list(derivation.stages)
    ('lstm', [''])
    """

    contract: Contract
    stages: dict[str, StageDerivation]

    @property
    def programs(self) -> list[Program]:
        """Forward and backward of all stages."""
        return [each for stage in self.stages.values() for each in (stage.forward, stage.backward)]

    @cached_property
    def sized(self) -> bool:
        """Whether a program is code for one set of sizes (`Program.sized`)."""
        return any(program.sized for program in self.programs)

    def wrong_groups(self, sizes: Mapping[str, int]) -> str:
        """What does not go into what, at these sizes: a sentence; '' if all is well."""
        for longer, shorter in dict.fromkeys(pair for program in self.programs for pair in program.divisions()):
            if evaluated(longer, sizes) % evaluated(shorter, sizes):
                names = {**factors(longer)[1], **factors(shorter)[1]}
                given = ", ".join(f"{name}={sizes[name]}" for name in names)
                return f"a row of {longer} units does not fall into parts by {shorter}" + f" ({given})" * bool(given)
        return ""

    def counts(self, direction: str) -> dict[str, int]:
        """Operation -> number per unit and step, over all stages; `direction`: ``forward`` or ``backward``."""
        total: dict[str, int] = {}
        for stage in self.stages.values():
            for op, count in getattr(stage, direction).counts().items():
                total[op] = total.get(op, 0) + count
        return total


class Declared(Protocol):
    """A class of cells, as `derive` takes it."""

    contract: Contract
    declared: Contract
    formulas: dict[str, Callable[..., Any]]


@explained()
def derive(cell: Declared) -> Derivation:
    """Trace the formulas of `cell`, derive their cotangents, choose the tape.

    Parameters
    ----------
    cell : Cell subclass
        A formula cell; or a cell with hand-written twins, whose forward functions are then read as formulas (their
        ``backward`` is left aside: what they put into gates and keep is pinned there).

    Returns
    -------
    Derivation

    Raises
    ------
    TypeError
        Something else: a name, an instance.
    FormulaError
        A forward function that cannot be traced: file, line and cure.

    Notes
    -----
    Reverse accumulation on the graph of each stage (Griewank & Walther, Evaluating Derivatives, 2008, chapter 3).
    The rule for the tape is in `pylstm.cells.formula.tape`.

    Examples
    --------
    >>> from pylstm.cells import LSTM
    >>> stage = derive(LSTM).stages[""]
    >>> stage.slots["f"], list(stage.keep)
    (sigmoid(z.f), ['tanh_c'])
    """
    if not isinstance(cell, type) or not getattr(cell, "states", ()):
        raise TypeError(wrong_cell(cell))
    contract = cell.contract if not cell.formulas else cell.declared
    formulas = cell.formulas or {
        stage.name: getattr(cell, hook_name("forward", stage.name)) for stage in contract.stages
    }
    return derive_formulas(contract, formulas)


def derive_formulas(contract: Contract, formulas: Mapping[str, Callable[..., Any]]) -> Derivation:
    """The derivation, as `derive` makes it, from a contract and the formula of each stage (stage name -> function)."""
    try:
        stages = _derive_stages(contract, formulas, dict.fromkeys(formulas, MAX_BLOCKS))
    except DeeperLags as more:
        deeper = {name: max(steps, contract.lags.get(name, 1)) for name, steps in more.args[0].items()}
        longer: Contract = with_lags(contract, contract.lags | deeper)
        longer.check_limits()
        return derive_formulas(longer, formulas)
    by_hand = [] if len(stages) == len(contract.stages) else list(contract.keep)
    kept = {name: len(stage.keep) for name, stage in stages.items()}
    if (room := MAX_BLOCKS - len(by_hand)) < sum(kept.values()):
        stages = _derive_stages(contract, formulas, {name: n * room // sum(kept.values()) for name, n in kept.items()})
    keep = {name: width for stage in stages.values() for name, width in stage.keep.items()}
    by_hand = [name for name in by_hand if name not in keep]
    widths = contract.widths | {name: width for name, width in keep.items() if width != "hidden_size"}
    widths = {name: width for name, width in widths.items() if name not in contract.keep or name in (*keep, *by_hand)}
    completed = replace(contract, keep=(*by_hand, *keep), widths=widths)
    completed.check_limits()
    derivation = Derivation(completed, stages)
    if derivation.sized:  # its code is for whole rows
        derivation = replace(derivation, contract=replace(completed, elementwise=False))
    return derivation


def _derive_stages(
    contract: Contract, formulas: Mapping[str, Callable[..., Any]], most: Mapping[str, int]
) -> dict[str, StageDerivation]:
    """Stage by name -> its derivation; `most`: how many values each may keep."""
    taken = {name for kind in contract.blocks.values() for name in kind}
    stages = {}
    for stage in contract.stages:
        if stage.name in formulas:
            derived = _derive_stage(contract, stage, formulas[stage.name], taken, most[stage.name])
            stages[stage.name] = derived
            taken |= set(derived.keep)
    return stages


def _derive_stage(
    contract: Contract, stage: Stage, function: Callable[..., Any], taken: set[str], most: int
) -> StageDerivation:
    written = trace(contract, stage, function)
    forward = list(written.graph.nodes)
    cotangents, seeds = _backward(contract, stage, written)
    traced = written
    if any(node.op in DECLARED for node in forward):
        traced, cotangents = _of_values(written, cotangents)
        forward = below([*traced.results.values(), *traced.extra.values(), *traced.leaves.values()])
    free = {node for (kind, _), node in traced.leaves.items() if kind != "z"} | {seed for _, seed in seeds}
    free |= {node for node in traced.results.values() if node.op not in ("const", "leaf")}
    gates = {gate: traced.leaves["z", gate] for gate in stage.gates}
    pinned = {gate: node for gate, node in traced.extra.items() if gate in gates}
    needed = [cotangents[node] for node in traced.leaves.values() if node in cotangents]
    tape = tapes.choose(needed, free, forward, gates, pinned, most)
    traced = replace(traced, names=_distinct(traced, tape.gates))
    given = {node: name for name, node in traced.extra.items() if name in contract.keep}
    keep = _name_kept(tape.keep, traced.names | given, taken - set(given.values()))
    names = traced.names | {node: name for name, node in keep.items()}
    names |= {node: gate for gate, node in tape.gates.items() if node.op != "leaf" and node not in traced.names}
    program = _forward_program(contract, traced, tape.gates, keep, names)
    declared = program
    if written.results is not traced.results:
        declared = _forward_program(contract, replace(traced, results=written.results), tape.gates, keep, names)
    return StageDerivation(
        stage,
        program,
        _backward_program(contract, stage, traced, tape.gates, keep, names, cotangents, seeds),
        declared,
        tape.gates,
        {name: node.width for name, node in keep.items()},
        keep,
        replace(written, names=written.names | names),
    )


def _of_values(traced: Trace, cotangents: dict[Node, Node]) -> tuple[Trace, dict[Node, Node]]:
    """The trace and its cotangents without the derivatives that are declared: they have been used."""
    known: dict[Node, Node] = {}
    for node in list(traced.graph.nodes):
        without_declared(traced.graph, node, known)
    names: dict[Node, str] = {}
    for node, name in traced.names.items():
        names.setdefault(known[node], name)
    results, extra = ({name: known[node] for name, node in each.items()} for each in (traced.results, traced.extra))
    slopes = {node: known[each] for node, each in cotangents.items() if node.op not in DECLARED}
    plain = {node: name for node, name in names.items() if node.op not in ("leaf", "const", "size")}
    return replace(traced, results=results, extra=extra, names=plain), slopes


def _distinct(traced: Trace, slots: dict[str, Node]) -> dict[Node, str]:
    """The user's names of values; one that a block shows with another value becomes ``<name>_value``."""
    shown = {name: node for (kind, name), node in traced.leaves.items() if kind in ("e", "p", "u")} | traced.results
    shown |= {f"z_{name}": node for (kind, name), node in traced.leaves.items() if kind == "z"}
    shown |= {gate: node for gate, node in slots.items() if node.op != "leaf"}
    names = dict(traced.names)
    for node, name in traced.names.items():
        if shown.get(name, node) is not node:
            wishes = itertools.chain([f"{name}_value"], (f"{name}_value{k}" for k in itertools.count(2)))
            names[node] = next(each for each in wishes if each not in shown and each not in names.values())
    return names


def _backward(contract: Contract, stage: Stage, traced: Trace) -> tuple[dict[Node, Node], list[tuple[Node, Node]]]:
    """Cotangents of everything in the graph, and the seeds: pairs (result, its cotangent)."""
    seeds = [
        (traced.results[name], traced.graph.leaf("d", name, width_of(contract, name)))
        for name in results_of(contract, stage)
    ]
    return reverse(traced.graph, seeds), seeds


def _name_kept(keep: dict[str, Node], names: dict[Node, str], taken: set[str]) -> dict[str, Node]:
    """The user's name of a kept value; else function and argument, ``tanh_c``; else ``keep1``."""
    result: dict[str, Node] = {}
    for default, node in keep.items():
        argument = names.get(node.args[0], "") if node.args else node.name.replace(".", "_")
        made = (f"{node.op}_{argument}" if node.op in (*FUNCTIONS, *ACROSS) else argument) if argument else default
        if node.op in ACROSS and not argument and node.args[0].op == "leaf":
            made = f"{node.op}_{node.args[0].name.split('.')[1]}"
        user = names.get(node, made)
        wishes = itertools.chain([user, f"{user}_kept", made], (f"keep{k}" for k in itertools.count(1)))
        name = next(each for each in wishes if each not in taken and each not in result and not keyword.iskeyword(each))
        result[name] = node
    return result


def _forward_program(
    contract: Contract,
    traced: Trace,
    slots: dict[str, Node],
    keep: dict[str, Node],
    names: dict[Node, str],
) -> Program:
    available = {node: Block(LEAF_BLOCKS[kind], name) for (kind, name), node in traced.leaves.items()}
    kind = "states" if set(traced.results) == set(contract.states) else "emissions"
    outputs = [(Block("gates", gate), node) for gate, node in slots.items() if node is not traced.leaves["z", gate]]
    outputs += [(Block("keep", name), node) for name, node in keep.items()]
    outputs += [(Block(kind, name), node) for name, node in traced.results.items()]
    outputs.sort(key=lambda pair: pair[1].op != "leaf")  # a kept pre-activation leaves before its slot is overwritten
    return build(outputs, available, names, _widths(contract, keep))


def _backward_program(
    contract: Contract,
    stage: Stage,
    traced: Trace,
    slots: dict[str, Node],
    keep: dict[str, Node],
    names: dict[Node, str],
    cotangents: dict[Node, Node],
    seeds: list[tuple[Node, Node]],
) -> Program:
    last = stage is contract.stages[-1]
    available = {seed: Block("dstates" if last else "demissions", seed.name.split(".")[1]) for _, seed in seeds}
    for name, node in traced.results.items():
        if node.op not in ("const", "leaf"):
            available[node] = Block("states" if last else "emissions", name)
    available |= {node: Block("keep", name) for name, node in keep.items()}
    available |= {node: Block("gates", gate) for gate, node in slots.items()}
    for (kind, name), node in traced.leaves.items():
        if kind != "z":
            available[node] = Block(LEAF_BLOCKS[kind], name)
    outputs = []
    for (kind, name), node in traced.leaves.items():
        if node in cotangents:
            outputs.append((Block(COTANGENT_BLOCKS[kind], name), cotangents[node]))
        elif kind == "z":
            zero = traced.graph.fill(traced.graph.const(0), node.width)
            outputs.append((Block("dgates", name), zero if node.width != 1 else traced.graph.const(0)))
    hints = names | {cotangents[node]: f"d{name}" for node, name in names.items() if node in cotangents}
    return build(outputs, available, hints, _widths(contract, keep))


def _widths(contract: Contract, keep: dict[str, Node]) -> dict[Block, Width]:
    widths = {Block(kind, name): width_of(contract, name) for kind, names in contract.blocks.items() for name in names}
    for name, node in keep.items():
        widths[Block("keep", name)] = node.width
    for name in contract.states:
        widths[Block("prev", name)] = width_of(contract, name)
    return widths | {Block(f"d{block.kind}", block.name): width for block, width in widths.items()}
