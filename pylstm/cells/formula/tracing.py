"""`trace`: runs a formula once, on symbols."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Real
from types import FrameType
from typing import Any

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.expansion import lag_name, lagged, parts_of
from pylstm.cells.contracts.options import options_of
from pylstm.cells.contracts.stages import Stage
from pylstm.cells.formula.graph import Graph, Node
from pylstm.cells.formula.pairs import Pair
from pylstm.cells.formula.symbols import READER, FormulaError, Namespace, Symbol, is_complex, not_finite, refuse
from pylstm.cells.widths import Width
from pylstm.wording import some_of

MOST_OPERATIONS = 1000
"""Largest number of operations in the formula of one stage: several times what the expression machine holds."""

MEANING = {
    "z": "pre-activations of this stage's gates",
    "prev": "previous states",
    "e": "emissions of earlier stages",
    "p": "per-unit parameters",
    "u": "aux inputs",
    "o": "options",
    "size": "sizes of the layer",
}


@dataclass
class Trace:
    """The graph of one stage: `results` are the stage's outputs, `extra` what else the formula returned by name."""

    graph: Graph
    leaves: dict[tuple[str, str], Node]
    results: dict[str, Node]
    extra: dict[str, Node]
    names: dict[Node, str]


def width_of(contract: Contract, name: str) -> Width:
    """Declared width of a block."""
    return contract.widths.get(name, "hidden_size")


def results_of(contract: Contract, stage: Stage) -> tuple[str, ...]:
    """What a stage must return: its emissions, the last stage the states."""
    return contract.states if stage is contract.stages[-1] else stage.emits


def trace(contract: Contract, stage: Stage, function: Callable[..., Any]) -> Trace:
    """Run `function`, the formula of `stage`, on symbols.

    Raises
    ------
    FormulaError
        An operation that depends on values, a NumPy call, an unknown name, a wrong result: the message says where
        and what to write instead. Whatever else the formula raises, with its line.
    """
    graph = Graph()
    leaves, spaces = dict[tuple[str, str], Node](), {}
    for kind, names in zip(MEANING, contract.seen_by(stage).values()):  # in this order
        symbols = {}
        for name in names:
            leaves[kind, name] = graph.leaf(kind, name, width_of(contract, name))
            symbols[name] = Symbol(graph, leaves[kind, name])
        spaces[kind] = Namespace(kind, symbols | _pairs(contract, symbols))
    spaces["o"] = Namespace("o", options_of(function))
    graph.sizes = sizes = ("input_size", "hidden_size", *contract.sizes)
    spaces["size"] = Namespace("size", {name: Symbol(graph, graph.size(name)) for name in sizes})
    here = _place(function, function.__code__.co_firstlineno)
    asked = list(inspect.signature(function).parameters)
    for name in asked:
        if name not in spaces:
            known = ", ".join(f"{each} ({text})" for each, text in MEANING.items())
            cure = "remove it, the functions of a cell are static; " if name == "self" else ""
            raise FormulaError(f"{here}: unknown argument {name!r}: {cure}a formula may ask for {known}")
    graph.most = MOST_OPERATIONS
    deeper: dict[str, int] = {}
    token = READER.set(partial(_lagged, contract, graph, deeper))
    try:
        returned, local = _run(function, [spaces[name] for name in asked])
    finally:
        READER.reset(token)
    if deeper:
        raise DeeperLags(deeper)
    graph.most = None
    returned = _with_parts(contract, stage, returned, graph, here)
    results, extra = _results(contract, stage, returned, graph, here)
    named: dict[Node, str] = {}
    shown = {part: each for name, value in local.items() for part, each in _named_parts(name, value)}
    for name, value in shown.items():
        if isinstance(value, Symbol) and value.node.op not in ("leaf", "const") and name.strip("_"):
            named.setdefault(value.node, name)
    return Trace(graph, leaves, results, extra, named)


class DeeperLags(Exception):
    """The formula reads states longer ago than the contract remembers; the only argument: state -> steps."""


def _lagged(contract: Contract, graph: Graph, deeper: dict[str, int], state: str, steps: int) -> Any:
    """What `pylstm.cells.lag` returns; `deeper` gets what the contract does not have yet."""
    registers = lagged(contract.lags)
    symbols = []
    for name in parts_of(state, contract.complex):
        if name not in contract.states or name in registers:
            known = some_of(_written(contract, [each for each in contract.states if each not in registers]), state)
            refuse(f"lag({state!r}, {steps}): {state!r} is not a state", f"the states are {known}")
        if steps > contract.lags.get(name, 1):
            deeper[name] = max(steps, deeper.get(name, 1))
        symbols.append(Symbol(graph, graph.leaf("prev", lag_name(name, steps), width_of(contract, name))))
    return Pair(*symbols) if len(symbols) > 1 else symbols[0]


def _pairs(contract: Contract, symbols: Mapping[str, Symbol]) -> dict[str, Pair]:
    """The complex values of which `symbols` has the parts."""
    parts = {name: parts_of(name, contract.complex) for name in contract.complex}
    return {name: Pair(*(symbols[part] for part in each)) for name, each in parts.items() if each[0] in symbols}


def _named_parts(name: str, value: Any) -> list[tuple[str, Any]]:
    return [(f"{name}_re", value.real), (f"{name}_im", value.imag)] if isinstance(value, Pair) else [(name, value)]


def _with_parts(contract: Contract, stage: Stage, returned: Any, graph: Graph, here: str) -> Any:
    """What a formula returned, by real blocks, and what goes into the states that remember others."""
    if not isinstance(returned, dict):
        return returned
    parts: dict[str, Any] = {}
    for name, value in returned.items():
        if name in contract.complex:
            value = Pair.of(value)
        elif is_complex(value):
            raise FormulaError(f"{here}: {name} is real, and is returned complex: return its .real, or declare complex")
        parts |= _named_parts(name, value)
    if stage is contract.stages[-1]:
        for name, before in lagged(contract.lags).items():
            parts[name] = Symbol(graph, graph.leaf("prev", before, width_of(contract, before)))
    return parts


def _written(contract: Contract, names: Iterable[str]) -> list[str]:
    """Names as the cell declares them: without lags, complex ones whole."""
    whole = {part: name for name in contract.complex for part in parts_of(name, contract.complex)}
    return list(dict.fromkeys(whole.get(name, name) for name in names if name not in lagged(contract.lags)))


def _run(function: Callable[..., Any], arguments: list[Namespace]) -> tuple[Any, dict[str, Any]]:
    """Result and local variables of a call: the variables name the intermediate values in what is generated."""
    local: dict[str, Any] = {}
    code = function.__code__

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        if event == "return" and frame.f_code is code:
            local.update(frame.f_locals)

    before = sys.getprofile()
    if before is not None and not callable(before):  # cProfile could not be set again: no names then
        return function(*arguments), local
    sys.setprofile(watch)
    try:
        returned = function(*arguments)
    except FormulaError:
        raise
    except Exception as error:
        import traceback  # half a millisecond of `import pylstm`

        lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code is code]
        raised = f"{type(error).__name__}{f': {error}' if str(error) else ''}"
        raise FormulaError(f"{_place(function, lines[-1])}: the formula raises {raised}") from error
    finally:
        sys.setprofile(before)
    return returned, local


def _place(function: Callable[..., Any], line: int) -> str:
    return f"{function.__code__.co_filename}:{line}: {function.__qualname__}"


def _results(
    contract: Contract, stage: Stage, returned: Any, graph: Graph, here: str
) -> tuple[dict[str, Node], dict[str, Node]]:
    wanted = results_of(contract, stage)
    what = "new states" if stage is contract.stages[-1] else f"emissions of stage {stage.name!r}"
    if not isinstance(returned, dict):
        raise FormulaError(
            f"{here}: returned {type(returned).__name__}: return a dict of the {what}: "
            f"{some_of(_written(contract, wanted))}"
        )
    missing = [name for name in wanted if name not in returned]
    unknown = [name for name in returned if name not in (*wanted, *stage.gates, *contract.keep)]
    if missing or unknown:
        wrong = [f"without {some_of(_written(contract, missing))}"] * bool(missing)
        wrong += [f"with {some_of(unknown)}"] * bool(unknown)
        known = some_of(_written(contract, wanted))
        raise FormulaError(f"{here}: returned a dict {' and '.join(wrong)}: the {what} are {known}")
    lift = Symbol(graph, graph.const(0)).lift
    for name, value in returned.items():
        if isinstance(value, Real) and not math.isfinite(value):
            raise FormulaError(f"{here}: {name} is the number {float(value)}: {not_finite(float(value))}")
    nodes = {name: lift(value) for name, value in returned.items()}
    for name, node in nodes.items():
        width = width_of(contract, name)
        if node.width not in (1, width):
            raise FormulaError(f"{here}: {name} has width {node.width!r}, declared is {width!r}: change `widths`")
        nodes[name] = graph.fill(node, width) if node.width != width else node
    return ({name: nodes[name] for name in wanted}, {name: nodes[name] for name in nodes if name not in wanted})
