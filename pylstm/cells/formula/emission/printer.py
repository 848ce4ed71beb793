"""`Printer`: base of all printers, which names values and writes expressions with as few parentheses as possible."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from pylstm.cells.formula.graph import COMPARISONS, LOGICAL
from pylstm.cells.formula.program import Operation, Program, Store

LONGEST = 64
"""Expressions longer than this get a name of their own."""
SHORT = 20
"""A stored expression up to this length needs no name."""
_INFIX = {
    **{op: (f" {sign} ", 2) for op, sign in COMPARISONS.items()},
    "add": (" + ", 3),
    "sub": (" - ", 3),
    "mul": (" * ", 4),
    "div": (" / ", 4),
}
ATOM = 9


def fresh(wish: str, taken: set[str]) -> str:
    """`wish`, with underscores appended until it is not in `taken`; it is added there."""
    while wish in taken:
        wish += "_"
    taken.add(wish)
    return wish


class Printer(ABC):
    """Turns a program into statements ``name = expression``; languages override the four methods at the end.

    Parameters
    ----------
    program : Program
    taken : iterable of str
        Names that values must not have.
    keep_names : bool
        Every value with a name of the user's is a statement (forward); else only those used more than once.
    """

    def __init__(self, program: Program, taken: Iterable[str], keep_names: bool):
        self.program, self.taken, self.keep_names = program, set(taken), keep_names
        self.names: dict[int, str] = {}
        self.texts: dict[int, tuple[str, int]] = {}
        self.stored: dict[int, Store] = {}
        for store in program.stores:
            self.stored.setdefault(store.source, store)

    def statements(self) -> list[tuple[Operation, str]]:
        """Operations that get a name, with their expressions, in order; the names are in `names`."""
        result = []
        for operation in self.program.operations:
            text, level = self.expression(operation)
            if self.is_named(operation, text):
                self.names[operation.index] = fresh(self.wish(operation), self.taken)
                result.append((operation, text))
                text, level = self.names[operation.index], ATOM
            self.texts[operation.index] = text, level
        return result

    def is_named(self, operation: Operation, text: str) -> bool:
        """Whether the value becomes a statement."""
        if operation.op in ("load", "const", "size", "fill"):
            return False
        if self.program.uses[operation.index] > 1:
            return True
        if operation.index in self.stored:
            return len(text) > SHORT or (self.keep_names and bool(operation.name))
        return len(text) > LONGEST or (self.keep_names and bool(operation.name))

    def wish(self, operation: Operation) -> str:
        """The name that a value should have."""
        if operation.name:
            return operation.name
        store = self.stored.get(operation.index)
        if store:
            kind = store.block.kind
            return ("d" if kind.startswith("d") else "") + store.block.name + ("_prev" if kind == "dprev" else "")
        return next(name for k in range(1, 10_000) if (name := f"t{k}") not in self.taken)

    def text(self, index: int, level: int = 0) -> str:
        """Text of a value, in parentheses where its operator binds weaker than `level`."""
        text, own = self.texts[index]
        return f"({text})" if own < level else text

    def condition(self, index: int) -> str:
        """Text of a value as a condition: one that was stored is a number by now."""
        plain = self.program.operations[index].op in LOGICAL and index not in self.names
        return self.text(index, 2) if plain else f"{self.text(index, 3)} != {self.const(0)[0]}"

    def expression(self, operation: Operation) -> tuple[str, int]:
        """Text and binding strength of one operation."""
        op, args = operation.op, operation.args
        if op == "load":
            return self.load(operation), ATOM
        if op == "const":
            return self.const(operation.value)
        if op in _INFIX:
            sign, level = _INFIX[op]
            left = level + (op in COMPARISONS)  # on the right always one more: a + (b + c) is another rounding
            return self.text(args[0], left) + sign + self.text(args[1], level + 1), level
        if op == "neg":
            return "-" + self.text(args[0], 5), 3
        return self.call(operation), ATOM

    def const(self, value: float) -> tuple[str, int]:
        """A number: ``0.5``, ``1``."""
        text = str(int(value)) if value == int(value) and abs(value) < 1e6 else repr(value)
        return text, 3 if value < 0 else ATOM

    @abstractmethod
    def load(self, operation: Operation) -> str:
        """An element of a block."""

    @abstractmethod
    def call(self, operation: Operation) -> str:
        """A function call."""
