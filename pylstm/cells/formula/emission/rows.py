"""`RowPrinter`: base of the Cython and C printers: a row function per stage and direction, loops over the units.

Values of width 1 stand before the loops, or after them where they need the sum over a row; values of every other
width are computed in one loop per width. A value that goes to a block is computed there, as by hand:
``i[k] = sigmoid(i[k])``; a pre-activation that is needed after its slot was overwritten is read first. Statements stand
in the order of the blocks for which they are (`in_order`), as by hand.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.formula.emission.printer import ATOM, Printer, fresh
from pylstm.cells.formula.emission.whole import known_size, print_whole
from pylstm.cells.formula.graph import REDUCTION
from pylstm.cells.formula.program import ADDED, Block, Operation, Program, Store
from pylstm.cells.widths import Width

KINDS = ("gates", "prev", "emissions", "keep", "states", "params", "aux")
FIELDS = (*KINDS, "dstates", "demissions", "dgates", "dprev", "dparams", "daux")
"""Order of the arguments of a row function."""
_SIZES: dict[Width, str] = {"hidden_size": "H", "input_size": "I"}
_SUFFIX = {"prev": "_prev", "dprev": "_prev"}


def _named(width: Width) -> str:
    return re.sub(r"\W+", "_", f"W_{width}")


@dataclass
class Loop:
    """Statements of one width, in order. Width 1: no loop; `after`: what needs sums over the row."""

    width: Width
    lines: list[str] = field(default_factory=list)
    after: bool = False


@dataclass
class RowFunction:
    """The body of a row function in pieces."""

    blocks: list[Block]
    pointers: dict[Block, str]
    sizes: dict[Width, str]
    locals: list[str]
    sums: list[str]
    loops: list[Loop]
    read_only: set[Block]
    arrays: dict[str, Width] = field(default_factory=dict)


def place(block: Block, contract: Contract) -> tuple[int, int]:
    """Position of a block among all: by kind, then as declared."""
    kind = block.kind if block.kind in KINDS else block.kind[1:]
    names = contract.states if kind in ("prev", "states") else contract.blocks[kind]
    return FIELDS.index(block.kind), names.index(block.name)


def in_order(program: Program, contract: Contract) -> Program:
    """The same program, its stores by kind of block: first those of no shared value, then as declared.

    Operations stand where a store first needs them.
    """

    def rank(store: Store) -> tuple[int, bool, int]:
        kind, number = place(store.block, contract)
        others = _needed(program, store.source, ()) - {store.source}
        return kind, any(program.uses[each] > 1 and program.operations[each].args for each in others), number

    stores = sorted(program.stores, key=rank)
    operations: list[Operation] = []
    numbers: dict[int, int] = {}
    for store in stores:
        for index in sorted(_needed(program, store.source, numbers)):
            each = program.operations[index]
            numbers[index] = len(operations)
            operations.append(replace(each, index=len(operations), args=tuple(numbers[arg] for arg in each.args)))
    return replace(
        program,
        operations=tuple(operations),
        stores=tuple(replace(store, source=numbers[store.source]) for store in stores),
    )


def _needed(program: Program, source: int, known: Container[int]) -> set[int]:
    """`source` and what it is made of, without what is known."""
    needed: set[int] = set()
    stack = [source]
    while stack:
        index = stack.pop()
        if index not in known and index not in needed:
            needed.add(index)
            stack.extend(program.operations[index].args)
    return needed


class RowPrinter(Printer):
    """Prints one program; a language defines `const`, `call_of` and `negation`."""

    reserved: Iterable[str] = ()
    negation = ""
    """The opposite of a condition."""

    def __init__(self, program: Program, contract: Contract):
        program = in_order(program, contract)
        super().__init__(program, self.reserved, keep_names=False)
        used = dict.fromkeys([*program.blocks, *(store.block for store in program.stores)])
        self.blocks = sorted(used, key=lambda block: place(block, contract))
        widths = [width for width in dict.fromkeys(program.widths[each] for each in self.blocks) if width != 1]
        self.sizes = {width: fresh(_SIZES.get(width, _named(width)), self.taken) for width in widths}
        self.pointers = {block: fresh(self._pointer(block), self.taken) for block in self.blocks}
        self.overwritten = {store.block for store in program.stores if store.block.kind == "gates"}
        self.hoisted = self._hoisted()
        self.copies: dict[Block, str] = {}
        self.locals: list[str] = []
        self.sums: list[str] = []
        self.pieces: list[tuple[Width, bool, str, Block | None]] = []

    @staticmethod
    def _pointer(block: Block) -> str:
        return ("d" if block.kind not in KINDS else "") + block.name + _SUFFIX.get(block.kind, "")

    def element(self, block: Block) -> str:
        """``name[k]``, of a narrow block ``name[0]``."""
        return f"{self.pointers[block]}[{'0' if self.program.widths[block] == 1 else 'k'}]"

    def load(self, operation: Operation) -> str:
        block = operation.loaded
        if block in self.overwritten:
            return self.copies.setdefault(block, fresh(f"z_{block.name}", self.taken))
        return self.element(block)

    def call(self, operation: Operation) -> str:
        op, args = operation.op, operation.args
        if op in ("and", "or"):
            return f"({(' & ' if op == 'and' else ' | ').join(f'({self.condition(index)})' for index in args)})"
        if op == "not":
            return self.negation.format(self.condition(args[0]))
        if op in ("fill", "row_sum"):
            return self.text(args[0], 3 if op == "fill" else 0)
        texts = [self.text(index) for index in args]
        if op == "where":
            texts[0] = self.condition(args[0])
        return self.call_of(op, texts)

    @abstractmethod
    def call_of(self, op: str, texts: list[str]) -> str:
        """The call of a function, or the choice of ``where``, with its arguments."""

    def is_named(self, operation: Operation, text: str) -> bool:
        return operation.index in self.hoisted or super().is_named(operation, text)

    def size(self, width: Width) -> str:
        """The text of a width: a number, or an argument of the row function."""
        if isinstance(width, int) and width not in self.sizes:
            return str(width)
        if width not in self.sizes:
            self.sizes[width] = fresh(_SIZES.get(width, _named(width)), self.taken)
        return self.sizes[width]

    @abstractmethod
    def number(self, size: str) -> str:
        """A size as a number of the element type."""

    @abstractmethod
    def loop(self, width: Width, lines: list[str]) -> list[str]:
        """Statements for every unit of a row."""

    @abstractmethod
    def row_call(self, function: str, result: str, operand: str, widths: tuple[str, str, str]) -> str:
        """The call of a function across the units of a row: of the widths of its result and operand, and groups."""

    def print(self) -> RowFunction:
        """All statements, sorted into the phases of the row function."""
        if self.program.sized:
            whole = print_whole(self, self.row_call)
            loops = [Loop(width, lines) for width, lines in whole.loops]
            written = {store.block for store in self.program.stores}
            kept = {block for block in self.blocks if block not in written}
            return RowFunction(self.blocks, self.pointers, self.sizes, whole.locals, [], loops, kept, whole.arrays)
        late = self._late()
        stores: dict[int, list[Block]] = {}
        for store in self.program.stores:
            stores.setdefault(store.source, []).append(store.block)
        for operation in self.program.operations:
            text, level = self.expression(operation)
            text, level = self._statement(operation, text, level, stores.get(operation.index, []), late)
            self.texts[operation.index] = text, level
        self._read_before_overwritten()
        loops = self._loops()
        written = {store.block for store in self.program.stores}
        read_only = {block for block in self.blocks if block not in written}
        return RowFunction(self.blocks, self.pointers, self.sizes, self.locals, self.sums, loops, read_only)

    def _hoisted(self) -> set[int]:
        """Values of width 1 that a loop uses: computed before it."""
        operations = self.program.operations
        return {
            argument
            for operation in operations
            for argument in operation.args
            if operation.width != 1 and operations[argument].width == 1
        }

    def _late(self) -> set[int]:
        """Values that need the sum over a row."""
        late: set[int] = set()
        for operation in self.program.operations:
            if operation.op == REDUCTION or late.intersection(operation.args):
                late.add(operation.index)
        return late

    def _statement(
        self, operation: Operation, text: str, level: int, targets: list[Block], late: set[int]
    ) -> tuple[str, int]:
        """Write the statement of a value, if it gets one, and return the text by which it is used from then on."""
        after = operation.index in late and operation.op != REDUCTION
        if operation.op == REDUCTION:
            name = fresh(f"sum{len(self.sums) + 1}", self.taken)
            self.sums.append(name)
            width = self.program.operations[operation.args[0]].width
            self.pieces.append((width, False, f"{name} += {text}", None))
            text, level = name, ATOM
        home = next((block for block in targets if block.kind not in ADDED), None)
        plain = operation.op in ("load", "const", "fill", REDUCTION)
        if home is not None and not plain:
            self.pieces.append((operation.width, after, f"{self.element(home)} = {text}", home))
            self.names[operation.index] = text = self.element(home)
            level = ATOM
        elif not plain and (self.program.uses[operation.index] > 1 or (not targets and self.is_named(operation, text))):
            name = fresh(self.wish(operation), self.taken)
            self.locals.append(name)
            self.names[operation.index] = name
            self.pieces.append((operation.width, after, f"{name} = {text}", None))
            text, level = name, ATOM
        for block in targets:
            if block is not home or plain:
                sign = "+=" if block.kind in ADDED else "="
                late_piece = after or (operation.op == REDUCTION)
                self.pieces.append(
                    (self.program.widths[block], late_piece, f"{self.element(block)} {sign} {text}", block)
                )
        return text, level

    def _read_before_overwritten(self) -> None:
        """Replace the copy of a pre-activation by its slot where no statement reads it after the slot was written."""
        for block, copy in self.copies.items():
            word = re.compile(rf"\b{re.escape(copy)}\b")
            slot = self.element(block)
            written = next(k for k, piece in enumerate(self.pieces) if piece[3] == block)
            readers = [k for k, piece in enumerate(self.pieces) if word.search(piece[2])]
            if readers and readers[-1] > written:
                self.locals.append(copy)
                self.pieces.insert(0, (self.program.widths[block], False, f"{copy} = {slot}", None))
            else:
                self.pieces = [(*piece[:2], word.sub(slot, piece[2]), piece[3]) for piece in self.pieces]

    def _loops(self) -> list[Loop]:
        first, last = Loop(1), Loop(1, after=True)
        wide = {width: Loop(width) for width in self.sizes}
        for width, after, line, _ in self.pieces:
            (wide[width] if width != 1 else last if after else first).lines.append(line)
        return [loop for loop in (first, *wide.values(), last) if loop.lines]


def size_texts(printer: RowPrinter, contract: Contract, sign: str) -> list[str]:
    """The sizes that a hook passes to its row function, as widths of its blocks; `sign` stands between r and a block.

    Raises
    ------
    ValueError
        A size that no block has as its width.
    """
    blocks: dict[Width, str] = {}
    own = [(block, printer.program.widths[block]) for block in printer.blocks]
    every = [(Block("prev", n), n) for n in contract.states] + [
        (Block(kind, n), n) for kind in ("gates", "emissions", "keep", "params", "aux") for n in contract.blocks[kind]
    ]
    for block, width in [*own, *((block, contract.widths.get(name, "hidden_size")) for block, name in every)]:
        blocks.setdefault(width, f"r{sign}{block.kind}[{place(block, contract)[1]}].width")
    texts = {width: known_size(width, blocks) for width in printer.sizes}
    for width, text in texts.items():
        if text is None:
            raise ValueError(
                f"cell {contract.name!r}: no block has the width {width!r}, so that a compiled kernel cannot know it: "
                "write the number in its place, or declare a block of that width"
            )
    return [str(text) for text in texts.values()]


def wrap(items: list[str], head: str, tail: str, indent: str, width: int = 116, between: str = ", ") -> list[str]:
    """`items` between `head` and `tail`, broken into lines where one is too short."""
    if len(whole := head + between.join(items) + tail) <= width:
        return [whole]
    lines, line = [head.rstrip()], indent
    for k, item in enumerate(items):
        piece = item + (tail if k == len(items) - 1 else between.rstrip())
        if len(line) + len(piece) > width and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += piece + " "
    return [*lines, line.rstrip()]
