"""Programs as instructions of the expression machine (`pylstm/engine/machine.pyx`).

Instructions stand in phases: values of one element per row; then wide values, one phase for every width; then what is
made of sums over a row. Blocks are operands, and a result goes to its block at once where nothing reads the old
contents any more. `encoding` assigns registers to the other values.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pylstm.cells.formula.graph import FILL, REDUCTION, Width
from pylstm.cells.formula.machine.fusion import Value, fuse
from pylstm.cells.formula.program import Block, Program, Store
from pylstm.engine import levels

OPCODES: dict[str, tuple[int, bool, bool]] = levels.load("pylstm.engine.machine").opcodes()
"""Name -> (number of operands, can be written, can be added)."""
BEFORE, AFTER = 0, -1
"""The phases of values of one element per row."""


@dataclass(eq=False)
class Instruction:
    """`op` of `args`, written or added to `target`: a block, or a value of no block, which gets a register."""

    op: str
    args: list[Value]
    target: Block | Value
    adds: bool = False


@dataclass
class Assembly:
    """Instructions by phase: `BEFORE`, the widths, `AFTER`; `homes`: values that a block holds once they are made."""

    program: Program
    phases: dict[Width, list[Instruction]] = field(default_factory=dict)
    homes: dict[Value, Block] = field(default_factory=dict)


def assemble(program: Program) -> Assembly:
    """The instructions of `program`, phase by phase."""
    values, sources = _values(program)
    values = fuse(values, sources)
    return _Assembler(program, values, sources).assembly()


class _Assembler:
    """Decides where results go. `first` and `final`: copies at the beginning and at the end of a phase."""

    def __init__(self, program: Program, values: list[Value], sources: list[Value]) -> None:
        self.program, self.phases = program, _phases(values)
        order = [value for phase in self.phases.values() for value in phase]
        self.position = {value: at for at, value in enumerate(order)}
        self.last_read = {arg.block: at for at, value in enumerate(order) for arg in value.args if arg.block}
        self.uses = Counter(arg for value in order for arg in value.args) + Counter(sources)
        self.homes: dict[Value, Block] = {}
        self.accumulators: dict[Value, Block] = {}
        self.first: dict[Width, list[Instruction]] = {}
        self.final: dict[Width, list[Instruction]] = {}
        for store, value in zip(program.stores, sources, strict=True):
            self._place(store, value)
        zero = Value("const", [], 1)
        for value in order:  # sums are added up piece by piece
            if value.op == REDUCTION and value not in self.accumulators:
                self.first.setdefault(BEFORE, []).append(Instruction("copy", [zero], self.homes.get(value, value)))

    def _place(self, store: Store, value: Value) -> None:
        """To its block when it is made, if that is possible; else by a copy."""
        block, adds = store.block, store.adds
        at = self.position.get(value)
        if at is not None and adds and self.uses[value] == 1 and OPCODES[value.op][2]:
            self.accumulators[value] = block
        elif at is not None and not adds and value not in self.homes and self.last_read.get(block, -1) <= at:
            self.homes[value] = block
        elif at is not None:
            self._copy(self.final, value, block, adds)
        elif block not in self.last_read:
            self._copy(self.first, value, block, adds)
        else:  # a block that is read gets the contents of another, which may be overwritten as well: by a register
            saved = Value("copy", [value], self.program.widths[block])
            self.first.setdefault(self._phase(block, BEFORE), []).append(Instruction("copy", [value], saved))
            self._copy(self.final, saved, block, adds)

    def _copy(self, where: dict[Width, list[Instruction]], value: Value, block: Block, adds: bool) -> None:
        phase = self._phase(block, BEFORE if where is self.first else AFTER)
        where.setdefault(phase, []).append(Instruction("copy", [value], block, adds))

    def _phase(self, block: Block, narrow: int) -> Width:
        width = self.program.widths[block]
        return narrow if width == 1 else width

    def _instruction(self, value: Value) -> Instruction:
        if value in self.accumulators:
            return Instruction(value.op, value.args, self.accumulators[value], True)
        return Instruction(value.op, value.args, self.homes.get(value, value), value.op == REDUCTION)

    def assembly(self) -> Assembly:
        """Copies, instructions, copies of every phase."""
        names = dict.fromkeys([BEFORE, *self.phases, *self.first, *self.final])
        wide = [phase for phase in names if phase not in (BEFORE, AFTER)]
        phases = {
            phase: [
                *self.first.get(phase, []),
                *map(self._instruction, self.phases.get(phase, [])),
                *self.final.get(phase, []),
            ]
            for phase in (BEFORE, *wide, AFTER)
        }
        return Assembly(self.program, phases, self.homes)


def _values(program: Program) -> tuple[list[Value], list[Value]]:
    """The computed values of `program`, and what it stores, in order.

    A constant that is filled is the constant itself; that a narrow value is repeated over a row becomes explicit.
    """
    numbered: list[Value] = []
    values: list[Value] = []
    filled: dict[tuple[Value, Width], Value] = {}

    def widen(value: Value, width: Width) -> Value:
        if value.op == "const" or value.width == width:
            return value
        if (value, width) not in filled:
            filled[value, width] = Value(FILL, [value], width)
            values.append(filled[value, width])
        return filled[value, width]

    for operation in program.operations:
        args = [numbered[index] for index in operation.args]
        if operation.op == FILL:
            numbered.append(widen(args[0], operation.width))
            continue
        if operation.op != REDUCTION and operation.width != 1:
            args = [widen(arg, operation.width) for arg in args]
        value = Value(operation.op, args, operation.width, operation.block, operation.value)
        numbered.append(value)
        if operation.op not in ("load", "const"):
            values.append(value)
    return values, [widen(numbered[store.source], program.widths[store.block]) for store in program.stores]


def _phases(values: list[Value]) -> dict[Width, list[Value]]:
    """The values by phase. Nothing wide depends on a sum over a row: no formula has one, only its cotangents."""
    late: set[Value] = set()
    phases: dict[Width, list[Value]] = {BEFORE: []}
    for value in values:
        reduces = value.op == REDUCTION
        if value.width == 1 and (reduces or any(arg in late for arg in value.args)):
            late.add(value)
        assert value.width == 1 or not any(arg in late for arg in value.args)
        phase = value.args[0].width if reduces else value.width
        if phase == 1:
            phase = AFTER if value in late else BEFORE
        phases.setdefault(phase, []).append(value)
    phases[AFTER] = phases.pop(AFTER, [])
    return phases
