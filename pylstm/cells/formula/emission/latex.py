r"""Derivations as mathematics: aligned LaTeX equations of every program.

Notation of docs/development/contract.md: `d` + name is the full cotangent of a block, z_g the pre-activation of gate
g, index t the step; delta + name is the cotangent of an intermediate value within the step, products are per unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.contracts.options import call_text
from pylstm.cells.contracts.stages import Stage
from pylstm.cells.formula.derivation import COTANGENT_BLOCKS, LEAF_BLOCKS, Derivation, StageDerivation
from pylstm.cells.formula.emission.printer import ATOM, Printer
from pylstm.cells.formula.graph import ACROSS, FUNCTIONS, LOGICAL, Node, without_declared
from pylstm.cells.formula.program import ADDED, Block, Operation, Program, build
from pylstm.cells.formula.rules import reverse
from pylstm.cells.widths import Width, factors

_GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "pi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Sigma",
    "Phi",
    "Psi",
    "Omega",
]
_CALLS = {
    "sigmoid": r"\sigma",
    "tanh": r"\tanh",
    "exp": r"\exp",
    "log": r"\log",
    "sin": r"\sin",
    "cos": r"\cos",
    "max": r"\max",
    "min": r"\min",
    "dabs_from_x": r"\operatorname{sign}",
    "row_sum": r"\textstyle\sum_{\text{units}}",
    "row_max": r"\max_{\text{units}}",
    "logsumexp": r"\log \textstyle\sum_{\text{units}} \exp",
}
_SIZES = {"hidden_size": "H", "input_size": "I"}
_SIGNS = {"lt": "<", "le": r"\le", "gt": ">", "ge": r"\ge", "eq": "=", "ne": r"\ne", "and": r"\wedge", "or": r"\vee"}
_PLAIN = ("const", "leaf")
_FROM_OUTPUT = {"dsigmoid_from_y": "{0} (1 - {0})", "dtanh_from_y": "(1 - {0}^2)", "drelu_from_y": "[{0} > 0]"}


def _function(op: str) -> str:
    return _CALLS.get(op, rf"\operatorname{{{op}}}")


def letters(name: str) -> str:
    r"""One part of a name: ``alpha`` -> ``\alpha``, ``ta`` -> ``\mathit{ta}``."""
    return f"\\{name}" if name in _GREEK else name if len(name) == 1 else rf"\mathit{{{name}}}".replace("_", r"\_")


def symbol(name: str, index: str = "t") -> str:
    r"""A name with its step: ``c`` -> ``c_t``, ``p_i`` -> ``p_{i,t}``, ``tanh_c`` -> ``\tanh c_t``."""
    name = name.rstrip("_")
    numbered = re.fullmatch(r"([A-Za-z])(\d+)", name)
    head, _, tail = f"{numbered[1]}_{numbered[2]}".partition("_") if numbered else name.partition("_")
    if head in FUNCTIONS and tail:
        return f"{_function(head)} {symbol(tail, index)}"
    across = next((op for op in ACROSS if name.startswith(f"{op}_")), None)
    if across:
        return f"{_function(across)} {symbol(name.removeprefix(f'{across}_'), index)}"
    parts = [tail if tail.isdigit() else letters(tail)] * bool(tail) + [index] * bool(index)
    return f"{letters(head)}_{{{','.join(parts)}}}" if parts else letters(head)


def block_symbol(block: Block, backward: bool) -> str:
    """The symbol of a block; of kind ``raw`` the name is LaTeX itself."""
    kind, name = block.kind.removeprefix("d"), block.name
    if kind == "raw":
        return name
    if kind == "params":
        text = symbol(name, "")
    elif kind == "prev":
        text = symbol(name, "t-1")
    elif kind == "gates" and (not backward or block.kind == "dgates"):
        text = symbol(f"z_{name}")
    else:
        text = symbol(name)
    return f"d{text}" if block.kind.startswith("d") else text


def size_symbol(width: Width) -> str:
    r"""A width: ``"heads * hidden_size"`` as ``\mathit{heads} \, H``."""
    number, names = factors(width)
    letters_ = [_SIZES.get(name, letters(name)) for name in names.elements()]
    return r" \, ".join([*([str(number)] if number > 1 or not names else []), *letters_])


class LatexPrinter(Printer):
    """Formulas; `slots`: gate -> symbol of what its slot holds in backward."""

    def __init__(self, program: Program, backward: bool, slots: dict[str, str] | None = None):
        super().__init__(program, (), keep_names=not backward)
        self.backward, self.slots = backward, slots or {}

    def const(self, value: float) -> tuple[str, int]:
        """A number: two thirds for 0.6666666666666666, 0.01 for 0.010000000000000002."""
        short = f"{value:.12g}"
        fraction = Fraction(value).limit_denominator(99) if len(short) > 12 else Fraction(0)
        if float(fraction) != value or not value:
            return super().const(float(short) if len(short) < 8 else value)
        text = rf"\tfrac{{{abs(fraction.numerator)}}}{{{fraction.denominator}}}"
        return ("-" + text, 3) if value < 0 else (text, ATOM)

    def load(self, operation: Operation) -> str:
        block = operation.loaded
        if block.kind == "gates" and block.name in self.slots:
            return self.slots[block.name]
        return block_symbol(block, self.backward)

    def expression(self, operation: Operation) -> tuple[str, int]:
        op, args = operation.op, operation.args
        if op == "size":
            return size_symbol(operation.name), ATOM
        if op == "mul":
            return f"{self.text(args[0], 4)} \\, {self.text(args[1], 5)}", 4
        if op == "div":
            return rf"\frac{{{self.text(args[0])}}}{{{self.text(args[1])}}}", ATOM
        if op in _SIGNS:
            return f"{self.text(args[0], 3)} {_SIGNS[op]} {self.text(args[1], 3)}", 2
        return super().expression(operation)

    def call(self, operation: Operation) -> str:
        op, texts = operation.op, [self.text(index) for index in operation.args]
        if op in _FROM_OUTPUT:
            text = self.text(operation.args[0], ATOM)
            return _FROM_OUTPUT[op].format(rf"\left({text}\right)" if " " in text else text)
        if op == "where":
            return rf"\begin{{cases}} {texts[1]} & {texts[0]} \\ {texts[2]} & \text{{else}} \end{{cases}}"
        if op == "abs":
            return rf"\lvert {texts[0]} \rvert"
        if op == "power":
            base = self.text(operation.args[0], ATOM)
            plain = " " not in base and not base.startswith(("\\", "("))
            return (base if plain else rf"\left({self.text(operation.args[0])}\right)") + f"^{{{texts[1]}}}"
        if op == "sqrt":
            return rf"\sqrt{{{texts[0]}}}"
        if op == "not":
            return rf"\neg ({texts[0]})"
        if op == "fill" and self.program.operations[operation.args[0]].width == 1:
            return self.text(operation.args[0], ATOM)
        if op in ("fill", *ACROSS):
            groups = "" if operation.groups == 1 else rf"^{{[{size_symbol(operation.groups)}]}}"
            return rf"{_function('repeat' if op == 'fill' else op)}{groups}\left({texts[0]}\right)"
        return rf"{_function(op)}\left({', '.join(texts)}\right)"

    def equations(self) -> list[tuple[str, str]]:
        """Pairs (left, right): first the values with names, then what is stored under another name."""
        pairs = []
        shown: set[int] = set()
        for operation in self.program.operations:
            text, level = self.expression(operation)
            if self.is_named(operation, text) and operation.op not in LOGICAL:
                left = self._left(operation)
                if not operation.name.startswith(f"{operation.op}_"):
                    pairs.append((left, text))
                if self._direct(operation):
                    shown.add(operation.index)
                text, level = left, ATOM
            self.texts[operation.index] = text, level
        for store in self.program.stores:
            left, right = block_symbol(store.block, self.backward), self.text(store.source)
            if store.source not in shown and left != right and store.block.kind not in ("gates", "keep"):
                pairs.append((left, right))
        return pairs

    def _direct(self, operation: Operation) -> bool:
        """Whether the value is written as the block to which it goes."""
        store = self.stored.get(operation.index)
        once = self.program.uses[operation.index] == 1
        return (
            store is not None and store.block.kind not in ("gates", "keep") and (once or store.block.kind not in ADDED)
        )

    def _left(self, operation: Operation) -> str:
        if self._direct(operation):
            return block_symbol(self.stored[operation.index].block, self.backward)
        name = self.wish(operation)
        self.taken.add(name)
        if self.backward and operation.name and name.startswith("d"):
            return rf"\delta {symbol(name[1:])}"
        return symbol(name)


def aligned(pairs: Iterable[tuple[str, str]], sign: str = "=") -> str:
    """Equations, one per line, aligned at the sign."""
    lines = " \\\\\n".join(f"  {left} &{sign} {right}" for left, right in pairs)
    return f"\\begin{{aligned}}\n{lines}\n\\end{{aligned}}"


def forward_equations(stage: StageDerivation) -> list[tuple[str, str]]:
    """The formula of a stage."""
    return LatexPrinter(stage.forward, backward=False).equations()


def backward_equations(stage: StageDerivation) -> list[tuple[str, str]]:
    """The cotangents of a stage: of its gates, and the direct paths."""
    names = stage.traced.names
    slots = {gate: symbol(f"z_{gate}" if node.op == "leaf" else names[node]) for gate, node in stage.slots.items()}
    return LatexPrinter(stage.backward, backward=True, slots=slots).equations()


def local_derivatives(stage: StageDerivation) -> list[tuple[str, str]]:
    """Every partial derivative of a result with respect to an input or a named value through which it goes."""
    traced, pairs = stage.traced, []
    values: dict[Node, Node] = {}
    known = {node: Block("raw", symbol(name)) for node, name in traced.names.items()}
    known |= {node: Block("raw", symbol(name)) for name, node in traced.results.items() if node.op not in _PLAIN}
    leaves = {node: Block(LEAF_BLOCKS[kind], name) for (kind, name), node in traced.leaves.items()}
    for name, result in traced.results.items():
        found = reverse(traced.graph, [(result, traced.graph.const(1))])
        found = {node: without_declared(traced.graph, each, values) for node, each in found.items()}
        chain: dict[Node, Block] = {}
        inner = [node for node in found if node in traced.names and node is not result and node.op not in _PLAIN]
        for node in [*inner, *(leaf for leaf in leaves if leaf in found)]:
            below = symbol(traced.names[node]) if node in traced.names else block_symbol(leaves[node], False)
            left = rf"\frac{{\partial {symbol(name)}}}{{\partial {below}}}"
            pairs.append((left, _expression(found[node], known | leaves | chain)))
            if node in inner and found[node].op not in _PLAIN and found[node] not in known:
                chain.setdefault(found[node], Block("raw", left))
    return pairs


class _OneLine(LatexPrinter):
    """Printer without names for what is used twice."""

    def is_named(self, operation: Operation, text: str) -> bool:
        return False


def _expression(node: Node, available: dict[Node, Block]) -> str:
    printer = _OneLine(build([(Block("value", "result"), node)], available, {}, {}), backward=False)
    printer.equations()
    return printer.text(printer.program.stores[0].source)


def preactivations(contract: Contract, stage: Stage) -> list[tuple[str, str]]:
    """z_g as the sum of the linear maps of its sources."""
    pairs = []
    for gate in stage.gates:
        terms = [f"{_weight(source, gate)} {_source(contract, source)}" for source in contract.gate_sources[gate]]
        terms += [f"b_{{{letters(gate)}}}"] * (gate in contract.biased)
        pairs.append((symbol(f"z_{gate}"), " + ".join(terms)))
    return pairs


def recursion(contract: Contract, derivation: Derivation) -> list[tuple[str, str]]:
    """What the loop adds around the local derivatives: the recurrent products, and the sums over time."""
    pairs = []
    direct = {
        store.block.name
        for stage in derivation.stages.values()
        for store in stage.backward.stores
        if store.block.kind in (COTANGENT_BLOCKS["prev"], COTANGENT_BLOCKS["e"])
    }
    for name in (*contract.emissions, *contract.states):
        state = name in contract.states
        left = "d" + symbol(name, "t-1" if state else "t")
        terms = [rf"{_transposed(name, gate)} d{symbol(f'z_{gate}')}" for gate in contract.gates_of(name)]
        first = [rf"\overline{{{left}}}"] * (name in direct)
        outside = [r"\frac{\partial L}{\partial " + symbol(name, "t-1") + "}"] * (name == contract.output)
        pairs.append((left, " + ".join(outside + first + terms) or "0"))
    for gate in contract.gates:
        for source in contract.gate_sources[gate]:
            vector = _source(contract, source)
            pairs.append((f"d{_weight(source, gate)}", rf"\textstyle\sum_t d{symbol(f'z_{gate}')} \, {vector}^\top"))
        if gate in contract.biased:
            pairs.append((f"db_{{{letters(gate)}}}", rf"\textstyle\sum_t d{symbol(f'z_{gate}')}"))
    if contract.gates_of("x"):
        terms = [rf"{_transposed('x', gate)} d{symbol(f'z_{gate}')}" for gate in contract.gates_of("x")]
        pairs.append(("dx_{t}", " + ".join(terms)))
    return pairs


def _weight(source: str, gate: str) -> str:
    if source in ("x", "h"):
        return f"{'W' if source == 'x' else 'U'}_{{{letters(gate)}}}"
    return f"U^{{{letters(source)}}}_{{{letters(gate)}}}"


def _transposed(source: str, gate: str) -> str:
    """A symbol has one exponent: what has one already goes into braces."""
    weight = _weight(source, gate)
    return rf"{{{weight}}}^\top" if "^" in weight else rf"{weight}^\top"


def _source(contract: Contract, source: str) -> str:
    return symbol(source, "t-1" if source in contract.states else "t")


def document(derivation: Derivation) -> str:
    """All equations of a cell as LaTeX: forward, local derivatives, cotangents, recursion."""
    contract, parts = derivation.contract, []
    options = f"% Options: {call_text(contract.options)}\n" if contract.options else ""
    for stage in contract.stages:
        if stage.name in derivation.stages:
            derived = derivation.stages[stage.name]
            parts.append(("Forward", preactivations(contract, stage) + forward_equations(derived)))
            parts.append(("Local derivatives", local_derivatives(derived)))
            parts.append(("Cotangents", backward_equations(derived)))
    parts.append(("Back-propagation through time", recursion(contract, derivation)))
    for source, structure in contract.structure.items():
        options += f"% The matrix of {source} has a structure: {structure}\n"
    return options + "\n\n".join(f"% {title}\n\\[\n{aligned(pairs)}\n\\]" for title, pairs in parts if pairs) + "\n"
