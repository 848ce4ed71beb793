"""`flow_of`: the data flow of one step of a cell, as boxes with an equation each, read from its formula."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

INPUT, STATE, GATE, VALUE = "input", "state", "gate", "value"

SUMS, PRODUCTS, UNARY, ATOM = 1, 2, 3, 4
"""How tightly an operation binds; 0: comparisons."""
SIGNS = {
    "add": (" + ", SUMS), "sub": (" \u2212 ", SUMS), "mul": (" ", PRODUCTS), "div": (" / ", PRODUCTS),
    "lt": (" < ", 0), "le": (" \u2264 ", 0), "gt": (" > ", 0), "ge": (" \u2265 ", 0), "eq": (" = ", 0),
    "ne": (" \u2260 ", 0), "and": (" and ", 0), "or": (" or ", 0),
}  # fmt: skip
FUNCTIONS = {"sigmoid": "\u03c3", "row_sum": "sum", "row_max": "max", "rcumsum": "cumsum from the end"}
GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "theta": "θ", "lambda": "λ", "tau": "τ"}
SIZES = {"hidden_size": "H", "input_size": "I"}
PLAIN = ("leaf", "const", "size")
MOST, SHARED = 8, 3
"""A value without a name has a box of its own with more than `MOST` operations, or `SHARED` if it is used again."""


@dataclass
class Box:
    """A value of the step: name, equation, keys of the boxes that go into it, gates whose linear map it has."""

    key: str
    kind: str
    name: str
    equation: str = ""
    sources: list[str] = field(default_factory=list)
    gates: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"{self.name} = {self.equation}" if self.equation else self.name


def shown(name: str) -> str:
    """A name with what follows its first underscore as an index, in braces: ``p_i`` is ``p_{i}``."""
    head, _, tail = name.strip("_").partition("_")
    return GREEK.get(head, head) + (f"_{{{tail.replace('_', ' ')}}}" if tail else "")


def lagged(contract: Any) -> dict[str, str]:
    """States that only pass on what another was several steps ago -> that: ``h_lag3`` -> ``h_{t-3}``."""
    return {
        f"{state}_lag{steps}": f"{shown(state)}_{{t\u2212{steps}}}"
        for state, deepest in contract.lags.items()
        for steps in range(2, deepest + 1)
    }


def before(contract: Any, name: str) -> str:
    """The state of the step before."""
    head, _, tail = shown(name).partition("_{")
    return lagged(contract).get(name, f"{head}_{{{tail.rstrip('}')}{', ' if tail else ''}t\u22121}}")


def arguments(node: Any) -> tuple[Any, ...]:
    """Nodes from which a value is computed, without those of a declared derivative."""
    return node.args[1:2] if node.op == "surrogate" else node.args


def nodes_of(roots: Iterable[Any]) -> list[Any]:
    """All below `roots`, arguments first."""
    found, waiting = set(), list(roots)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += arguments(node)
    return sorted(found, key=lambda node: node.index)


def preactivation(contract: Any, gate: str) -> tuple[str, list[str]]:
    """The linear map of a gate, and the keys of its sources."""
    terms, keys = [], []
    for source in contract.gate_sources[gate]:
        previous = source in contract.states
        terms.append(f"{'W' if source == 'x' else 'U'} {before(contract, source) if previous else shown(source)}")
        keys.append(f"{'prev' if previous else 'x' if source == 'x' else 'e'}.{source}")
    return " + ".join(terms + ["b"] * (gate in contract.biased)), keys


class Stage:
    """The boxes of one stage: its gates, its values with names, and those that are too long for one box.

    Parameters
    ----------
    contract : Contract
    results : dict of str to Node
    names : dict of Node to str
        What the formula calls its values.
    taken : set of str
        Names that are shown already; those of this stage are added.
    """

    def __init__(self, contract: Any, results: Mapping[str, Any], names: Mapping[Any, str], taken: set[str]):
        self.contract, self.results, self.taken = contract, results, taken
        self.nodes = nodes_of(results.values())
        self.parents: dict[Any, set[Any]] = {}
        for node in self.nodes:
            for each in arguments(node):
                self.parents.setdefault(each, set()).add(node)
        self.names = {node: shown(name) for node, name in names.items() if self._worth(node, name)}
        for node in dict.fromkeys(results.values()):
            if node.op not in PLAIN or node.name.startswith("z."):
                self.names[node] = " = ".join(shown(name) for name, each in results.items() if each is node)
        self._tell_apart()
        self._split()
        self.taken.update(self.names.values())
        leaves = [node for node in self.nodes if node.op == "leaf" and node.name.startswith("z.")]
        self.inside = {node for node in leaves if self._is_inside(node)}
        for node in leaves:
            if node not in self.inside and node not in self.names:
                name = shown(node.name[2:])
                self.names[node] = name if name not in self.taken else shown(f"z_{node.name[2:]}")
        self.taken.update(self.names.values())

    def _worth(self, node: Any, name: str) -> bool:
        """Whether a name is one that the formula gives, or a gate's, of more than what was written by itself."""
        own = not name.startswith(f"{node.op}_") and not re.fullmatch(r"keep\d+(_kept)?", name)
        return node in self.parents and own and node.op not in PLAIN

    def _tell_apart(self) -> None:
        """A value that is called like another block or a value of an earlier stage has a prime."""
        contract, ends = self.contract, set(self.results.values())
        blocks = {*contract.states, *contract.emissions, *contract.params, *contract.aux}
        known = {*self.taken, *(shown(name) for name in blocks)}
        for node in sorted(self.names, key=lambda node: node.index):
            if node not in ends:
                while self.names[node] in known:
                    self.names[node] += "\u2032"
                known.add(self.names[node])

    def _split(self) -> None:
        known = {*self.names.values(), *self.taken, *self.contract.gates, *self.contract.states, *self.contract.params}
        letter = next(each for each in "vuwyqabdejklnprs" if not any(name[0] == each for name in known))
        costs: dict[Any, int] = {}
        number = 0
        for node in self.nodes:
            cost = 1 + sum(costs[each] for each in arguments(node)) if node.op not in PLAIN else 0
            again = cost >= SHARED and len(self.parents.get(node, ())) > 1
            if node not in self.names and (cost > MOST or again):
                number += 1
                self.names[node] = f"{letter}_{{{number}}}"
            costs[node] = 0 if node in self.names else cost

    def _is_inside(self, leaf: Any) -> bool:
        """Whether the map of a gate is written into its only use, an activation with a name."""
        over = list(self.parents.get(leaf, ()))
        return len(over) == 1 and len(over[0].args) == 1 and over[0] in self.names

    def boxes(self, prefix: str) -> list[Box]:
        """In the order of computation."""
        found = []
        states = {self.results[name] for name in self.contract.states if name in self.results}
        for node, name in sorted(self.names.items(), key=lambda item: item[0].index):
            if node.op == "leaf":
                gate = node.name[2:]
                kind = STATE if node in states else GATE
                found.append(Box(f"{prefix}{node.index}", kind, name, *preactivation(self.contract, gate), (gate,)))
                continue
            sources: dict[str, None] = {}
            gates = tuple(each.name[2:] for each in node.args if each in self.inside)
            kind = STATE if node in states else GATE if gates else VALUE
            text = self._text(node, 0, sources, prefix, root=True)
            found.append(Box(f"{prefix}{node.index}", kind, name, text, list(sources), gates))
        return found

    def _leaf(self, node: Any, sources: dict[str, None]) -> tuple[str, int]:
        kind, _, name = node.name.partition(".")
        if node in self.inside:
            text, keys = preactivation(self.contract, name)
            sources.update(dict.fromkeys(keys))
            return text, SUMS
        if kind in ("prev", "e", "u"):
            sources["x.x" if node.name == "u.x" else node.name] = None
        return (before(self.contract, name) if kind == "prev" else shown(name)), ATOM

    def _text(self, node: Any, level: int, sources: dict[str, None], prefix: str, root: bool = False) -> str:
        if node in self.names and not root:
            sources[f"{prefix}{node.index}"] = None
            text, own = self.names[node].rpartition(" = ")[2], ATOM
        elif node.op == "fill":  # repeated where it meets what is wider
            return self._text(node.args[0], level, sources, prefix)
        elif node.op == "leaf":
            text, own = self._leaf(node, sources)
        elif node.op in ("const", "size"):
            text, own = (SIZES.get(node.name) or shown(node.name) if node.op == "size" else number(node.value)), ATOM
        else:
            text, own = self._operation(node, lambda each, level=0: self._text(each, level, sources, prefix))
        return text if own >= level else f"({text})"

    def _operation(self, node: Any, text: Any) -> tuple[str, int]:
        op, args = node.op, arguments(node)
        if op == "mul" and [each.op for each in args] == ["fill", "tile"] and not self.names.keys() & set(args):
            return f"{text(args[0].args[0], UNARY)} \u2297 {text(args[1].args[0], UNARY)}", PRODUCTS
        if op == "fold" and args[0].op == "mul" and args[0].args[0].op == "fill" and args[0] not in self.names:
            left, right = args[0].args  # contract(left, right)
            return f"{text(left.args[0], UNARY)}\u1d40 {text(right, UNARY)}", PRODUCTS
        if op == "mul" and args[0] is args[1]:
            return f"{text(args[0], ATOM)}^{{2}}", UNARY
        if op in SIGNS:
            sign, level = SIGNS[op]
            return f"{text(args[0], level)}{sign}{text(args[1], level + (op in ('sub', 'mul', 'div')))}", level
        return self._call(node, args, text)

    def _call(self, node: Any, args: tuple[Any, ...], text: Any) -> tuple[str, int]:
        op = node.op
        if op == "neg":
            return f"\u2212{text(args[0], UNARY)}", SUMS
        if op == "surrogate":
            return text(args[0], ATOM), ATOM
        if op == "abs":
            return f"|{text(args[0])}|", ATOM
        if op == "power":
            return f"{text(args[0], ATOM)}^{{{text(args[1])}}}", UNARY
        if op == "not":
            return f"not {text(args[0], ATOM)}", 0
        if op == "where":
            if [each.op for each in args[1:]] == ["const", "const"] and (args[1].value, args[2].value) == (1, 0):
                return f"[{text(args[0])}]", ATOM
            return f"{text(args[1], SUMS)} if {text(args[0])} else {text(args[2], SUMS)}", 0
        return f"{FUNCTIONS.get(op, op)}({', '.join(text(each) for each in args)})", ATOM


def number(value: float) -> str:
    """At most four digits."""
    return f"{value:.4g}".replace("-", "\u2212")


def by_hand(contract: Any, stage: Any, prefix: str) -> list[Box]:
    """Boxes of a stage whose functions are no formula: its gates, and what it returns."""
    found = [Box(f"{prefix}{gate}", GATE, shown(gate), *preactivation(contract, gate), (gate,)) for gate in stage.gates]
    last = stage is contract.stages[-1]
    for name in contract.states if last else stage.emits:
        called = f"forward_{stage.name}" if stage.name else "forward"
        keys = [box.key for box in found[: len(stage.gates)]]
        seen = ", ".join(shown(gate) for gate in stage.gates)
        found.append(Box(f"{prefix}{name}", STATE if last else VALUE, shown(name), f"{called}({seen})", keys))
    return found


def flow_of(contract: Any, derivation: Any = None) -> list[Box]:
    """The boxes of one step, inputs and states of the step before first, those that nothing needs left out.

    Parameters
    ----------
    contract : Contract
    derivation : Derivation, optional
        Without one the functions of the cell are no formula: there is a box for what each stage returns.
    """
    boxes = [Box("x.x", INPUT, "x"), *(Box(f"u.{name}", INPUT, shown(name)) for name in contract.aux if name != "x")]
    boxes += [Box(f"prev.{name}", STATE, before(contract, name)) for name in contract.states]
    emitted: dict[str, str] = {}
    taken: set[str] = set()
    for position, stage in enumerate(contract.stages):
        prefix = f"{position}."
        if derivation is None:
            made = by_hand(contract, stage, prefix)
            emitted |= {f"e.{name}": f"{prefix}{name}" for name in stage.emits}
        else:
            traced = derivation.stages[stage.name].traced
            made = _made(contract, traced, taken, prefix)
            emitted |= {f"e.{name}": f"{prefix}{traced.results[name].index}" for name in stage.emits}
        for box in made:
            box.sources = list(dict.fromkeys(emitted.get(key, key) for key in box.sources))
        boxes += made
    needed = {key for box in boxes for key in box.sources}
    return [box for box in boxes if box.equation or box.key in needed]


def _made(contract: Any, traced: Any, taken: set[str], prefix: str) -> list[Box]:
    """Those of a formula; a result that only passes on a block has a box, too."""
    stage = Stage(contract, traced.results, traced.names, taken)
    made = stage.boxes(prefix)
    for name, node in traced.results.items():
        if node.op in PLAIN and node not in stage.names and name not in lagged(contract):
            sources: dict[str, None] = {}
            text = stage._leaf(node, sources)[0] if node.op == "leaf" else number(node.value)
            kind = STATE if name in contract.states else VALUE
            made.append(Box(f"{prefix}{node.index}", kind, shown(name), text, list(sources)))
    return made
