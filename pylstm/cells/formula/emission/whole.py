"""`print_whole`: the row function of a program in which units of a row meet.

Values that are read in another loop lie in `arrays`, which the hook allocates for the call. Blocks that are read are
written at the end, so that nothing is overwritten too early.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pylstm.cells.formula.emission.printer import ATOM, fresh
from pylstm.cells.formula.emission.segments import PLAIN, Segments, crosses
from pylstm.cells.formula.graph import ACROSS, FILL
from pylstm.cells.formula.program import ADDED, Block, Operation
from pylstm.cells.widths import Width, factors, product, quotient


@dataclass
class Whole:
    """What `RowPrinter.print` makes of it: pairs (width of the loop, its lines), None for lines without a loop."""

    locals: list[str] = field(default_factory=list)
    arrays: dict[str, Width] = field(default_factory=dict)
    loops: list[tuple[Width, list[str]]] = field(default_factory=list)


def print_whole(printer: Any, call: Callable[[str, str, str, tuple[str, str, str]], str]) -> Whole:
    """The statements of the program of `printer`; ``call(function, result, operand, widths)`` is that of a function."""
    return _Whole(printer, call).print()


class _Whole:
    def __init__(self, printer: Any, call: Callable[[str, str, str, tuple[str, str, str]], str]) -> None:
        self.printer, self.program, self.call = printer, printer.program, call
        self.segments = Segments.of(self.program)
        self.found = Whole()
        self.lines: list[list[str]] = [[] for _ in self.segments.widths]
        self.starts: dict[int, str] = {}
        read = set(self.program.blocks)
        self.last = [store for store in self.program.stores if self._waits(store, read)]
        self.last.sort(key=lambda store: self.program.operations[store.source].op != "load")  # read, then written
        for store in self.last:
            if self.program.operations[store.source].width != 1:
                self.segments.arrays.add(store.source)
        self.stored: dict[int, list[Block]] = {}
        for store in self.program.stores:
            if store not in self.last:
                self.stored.setdefault(store.source, []).append(store.block)

    def _waits(self, store: Any, read: set[Block]) -> bool:
        source = self.program.operations[store.source]
        return store.block in read or self._plain(source) or self.program.widths[store.block] != source.width

    def _plain(self, operation: Operation) -> bool:
        return operation.op in PLAIN or (operation.op == FILL and not crosses(operation, self.program))

    def print(self) -> Whole:
        for operation in self.program.operations:
            self.printer.texts[operation.index] = self._value(operation)
        ends: dict[Width, list[str]] = {}
        for store in self.last:
            sign = "+=" if store.block.kind in ADDED else "="
            line = f"{self.printer.element(store.block)} {sign} {self.printer.text(store.source)}"
            ends.setdefault(self.program.widths[store.block], []).append(line)
        pairs = [(width or 1, lines) for width, lines in zip(self.segments.widths, self.lines)]
        self.found.loops = [(width, lines) for width, lines in [*pairs, *ends.items()] if lines]
        return self.found

    def _value(self, operation: Operation) -> tuple[str, int]:
        """Write the statement of a value; the text by which it is used from then on."""
        if operation.op == "load":
            block = operation.loaded
            self.starts[operation.index] = self.printer.pointers[block]
            return self.printer.element(block), ATOM
        if operation.op == "size":
            return self.printer.number(self.printer.size(operation.name)), ATOM
        if operation.op == FILL and not crosses(operation, self.program):
            text, level = self.printer.texts[operation.args[0]]
            return text, level
        if crosses(operation, self.program):
            return self._row(operation)
        text, level = self.printer.expression(operation)
        return (text, level) if operation.op == "const" else self._statement(operation, text, level)

    def _row(self, operation: Operation) -> tuple[str, int]:
        lines = self.lines[self.segments.at[operation.index]]
        source = self.program.operations[operation.args[0]]
        operand = self.starts.get(source.index) or self._copy(source, lines)
        name = self._array(operation)
        widths = tuple(self.printer.size(each) for each in (operation.width, source.width, operation.groups))
        lines.append(self.call("repeat" if operation.op == FILL else operation.op, name, operand, widths))
        text = f"{name}[{'0' if operation.width == 1 else 'k'}]"
        self._store(operation, text, lines)
        return text, ATOM

    def _copy(self, source: Operation, lines: list[str]) -> str:
        """The array of a number, or of a value of width 1 that has none."""
        name = self._array(source)
        lines += self.printer.loop(source.width, [f"{name}[k] = {self.printer.text(source.index)}"])
        return name

    def _array(self, operation: Operation) -> str:
        name = fresh(self.printer.wish(operation), self.printer.taken)
        self.found.arrays[name] = operation.width
        self.starts[operation.index] = name
        return name

    def _statement(self, operation: Operation, text: str, level: int) -> tuple[str, int]:
        lines, index = self.lines[self.segments.at[operation.index]], operation.index
        home = next((block for block in self.stored.get(index, []) if block.kind not in ADDED), None)
        if home is not None:
            name = self.printer.element(home)
            self.starts[index] = self.printer.pointers[home]
            self.stored[index].remove(home)
        elif index in self.segments.arrays:
            name = self._array(operation) + ("[0]" if operation.width == 1 else "[k]")
        elif self.program.uses[index] > 1 or operation.width == 1 or self.printer.is_named(operation, text):
            name = fresh(self.printer.wish(operation), self.printer.taken)
            self.found.locals.append(name)
        else:
            self._store(operation, text, lines)
            return text, level
        lines.append(f"{name} = {text}")
        self.printer.names[index] = name
        self._store(operation, name, lines)
        return name, ATOM

    def _store(self, operation: Operation, text: str, lines: list[str]) -> None:
        for block in self.stored.get(operation.index, []):
            line = f"{self.printer.element(block)} {'+=' if block.kind in ADDED else '='} {text}"
            whole = operation.op in (FILL, *ACROSS)
            lines += self.printer.loop(operation.width, [line]) if whole else [line]


def known_size(width: Width, blocks: dict[Width, str], asked: tuple[Width, ...] = ()) -> str | None:
    """A width as an expression of those of blocks (width -> its text); None where these do not say it."""
    number, names = factors(width)
    if not names or width in blocks:
        return blocks.get(width, str(number))
    if width in asked:
        return None
    asked = *asked, width
    if number > 1 or names.total() > 1:
        parts = [known_size(each, blocks, asked) for each in ([number] if number > 1 else []) + list(names.elements())]
        if None not in parts:
            return f"({' * '.join(map(str, parts))})"
    for other, text in blocks.items():
        rest = None if other == 1 else quotient(other, width)
        found = known_size(rest, blocks, asked) if rest is not None and product(rest) != other else None
        if found is not None:
            return f"({text} / {found})"
    return None
