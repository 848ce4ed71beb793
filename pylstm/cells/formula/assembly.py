"""Programs as instructions of the expression machine (`pylstm/_machine.pyx`).

Instructions stand in phases: values of one element per row; then wide values, one phase for every width; then what is
made of sums over a row. Blocks are operands, results go to their blocks where nothing reads those any more, other
values to registers, used again after the last reader.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pylstm import levels
from pylstm.cells.contract import Contract
from pylstm.cells.formula.fusion import Value, fuse
from pylstm.cells.formula.graph import FILL, REDUCTION, Width
from pylstm.cells.formula.program import Block, Program

machine = levels.load("pylstm._machine")

OPCODES: dict[str, tuple[int, bool, bool]] = machine.opcodes()
"""Name -> (number of operands, can be written, can be added)."""
BEFORE, AFTER = 0, -1
"""The phases of values of one element per row."""


@dataclass(eq=False)
class Instruction:
    """`op` of `args`, written or added to `target`: a block, or the register of the value itself."""

    op: str
    args: list[Value]
    target: Block | Value
    adds: bool = False


@dataclass
class Assembly:
    """Instructions by phase: `BEFORE`, the widths, `AFTER`; and the values that live in a block of their own."""

    program: Program
    phases: dict[Width, list[Instruction]] = field(default_factory=dict)
    homes: dict[Value, Block] = field(default_factory=dict)


def kernel(contract: Contract, stages: list[Any]) -> Any:
    """The capsule that runs the derived `stages` of a cell, in the order of its contract.

    Raises
    ------
    ValueError
        A formula too large for the machine.
    """
    counts = {kind: len(names) for kind, names in contract.blocks.items()}
    programs = [
        tuple(encode(assemble(program), contract) for program in (stage.forward, stage.backward)) for stage in stages
    ]
    return machine.build(contract.name, counts, programs)


def assemble(program: Program) -> Assembly:
    """Phases of instructions, with the blocks that hold results from the moment they are made."""
    values, stores = _values(program)
    values = fuse(values, [value for _, value in stores])
    assembly = Assembly(program)
    phases = _phases(values)
    order = [value for phase in phases.values() for value in phase]
    last_read = {arg.block: at for at, value in enumerate(order) for arg in value.args if arg.block}
    uses: dict[Value, int] = {}
    for value in [arg for value in order for arg in value.args] + [value for _, value in stores]:
        uses[value] = uses.get(value, 0) + 1
    first, final, direct = {}, {}, {}
    for block, value in stores:
        adds = block.kind in ("dprev", "demissions", "dparams", "daux")
        computed = value in order
        if computed and adds and uses[value] == 1 and OPCODES[value.op][2]:
            direct[value] = block
        elif computed and not adds and value not in assembly.homes and last_read.get(block, -1) <= order.index(value):
            assembly.homes[value] = block
        elif computed or block not in last_read:
            (final if computed else first).setdefault(_phase_of_block(program, block, computed), []).append(
                Instruction("copy", [value], block, adds)
            )
        else:  # a block that is read takes the contents of another: by way of a register
            saved = Value("copy", [value], value.width)
            phase = _phase_of_block(program, block, False)
            first.setdefault(phase, []).append(Instruction("copy", [value], saved))
            final.setdefault(AFTER if phase == BEFORE else phase, []).append(Instruction("copy", [saved], block))
    zero = Value("const", [], 1)
    for value in order:
        if value.op == REDUCTION and value not in direct:
            first.setdefault(BEFORE, []).append(Instruction("copy", [zero], assembly.homes.get(value, value)))
    widths = dict.fromkeys([*phases, *first, *final])
    for phase in sorted(widths, key=lambda each: (each == AFTER) - (each == BEFORE)):
        made = [
            Instruction(value.op, value.args, direct[value], True)
            if value in direct
            else Instruction(value.op, value.args, assembly.homes.get(value, value), value.op == REDUCTION)
            for value in phases.get(phase, [])
        ]
        assembly.phases[phase] = first.get(phase, []) + made + final.get(phase, [])
    return assembly


def _phase_of_block(program: Program, block: Block, end: bool) -> Width:
    """Where a copy to `block` stands: among its width, the narrow ones at the beginning or at the end of all."""
    width = program.widths[block]
    return width if width != 1 else AFTER if end else BEFORE


def _values(program: Program) -> tuple[list[Value], list[tuple[Block, Value]]]:
    """Values of `program` and its stores. A constant that is filled is the constant; other fills become explicit."""
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
    stores = [
        (store.block, widen(numbered[store.source], program.widths[store.block])) for store in program.stores
    ]
    return values, stores


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


class _Slots:
    """Operands of a program: blocks, constants, registers that are used again."""

    def __init__(self, contract: Contract, program: Program) -> None:
        self.contract, self.program = contract, program
        self.slots: dict[tuple[str, int, int], int] = {}
        self.constants: list[float] = []
        self.registers: dict[Value, tuple[bool, int]] = {}
        self.free: dict[bool, list[int]] = {True: [], False: []}
        self.count = 0

    def _number(self, *slot: Any) -> int:
        return self.slots.setdefault(slot, len(self.slots))

    def block(self, block: Block) -> int:
        """Slot of a block."""
        kind = machine.KINDS.index(block.kind)
        names = self.contract.blocks["states" if block.kind in ("prev", "dprev") else block.kind.removeprefix("d")]
        space = "narrow block" if self.program.widths[block] == 1 else "wide block"
        return self._number(space, kind, names.index(block.name))

    def constant(self, value: float) -> int:
        """Slot of a constant; 0 and -0 are two."""
        texts = [repr(each) for each in self.constants]
        if repr(value) not in texts:
            self.constants.append(value)
            texts.append(repr(value))
        return self._number("constant", texts.index(repr(value)), 0)

    def register(self, value: Value) -> int:
        """Slot of the register of `value`, which gets one now if it has none."""
        wide = value.width != 1
        if value not in self.registers:
            if not self.free[wide]:
                self.free[wide].append(self.count)
                self.count += 1
            self.registers[value] = wide, self.free[wide].pop()
        return self._number("wide register" if wide else "narrow register", self.registers[value][1], 0)

    def release(self, value: Value) -> None:
        """The register of `value`, if it has one, is free."""
        if value in self.registers:
            wide, number = self.registers.pop(value)
            self.free[wide].append(number)


def encode(assembly: Assembly, contract: Contract) -> dict[str, Any]:
    """The program as `pylstm._machine.build` takes it."""
    slots = _Slots(contract, assembly.program)
    listed = [each for phase in assembly.phases.values() for each in phase]
    last_use = {value: at for at, each in enumerate(listed) for value in each.args}
    code, phases, at = [], [], 0

    def slot_of(value: Value) -> int:
        if value.op == "const":
            return slots.constant(value.value)
        block = value.block or assembly.homes.get(value)
        return slots.block(block) if block else slots.register(value)

    for phase, instructions in assembly.phases.items():
        first = len(code)
        for each in instructions:
            operands = [slot_of(value) for value in each.args]
            for value in each.args:
                if last_use[value] == at:
                    slots.release(value)
            target = slots.block(each.target) if isinstance(each.target, Block) else slots.register(each.target)
            code.append((each.op, each.adds, target, operands))
            at += 1
        if instructions:
            phases.append((first, len(code), _width_slot(assembly.program, phase, slots)))
    return {
        "slots": list(slots.slots), "registers": slots.count, "constants": slots.constants,
        "code": code, "phases": phases,
    }


def _width_slot(program: Program, phase: Width, slots: _Slots) -> int:
    """Slot of a block as wide as `phase`; -1 if that is 1."""
    if phase in (BEFORE, AFTER):
        return -1
    names = [each.block for each in program.operations if each.block] + [store.block for store in program.stores]
    return slots.block(next(block for block in names if program.widths[block] == phase))
