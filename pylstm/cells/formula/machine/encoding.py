"""Assembled programs as numbers, for `pylstm.engine.machine.build`: operands have slots, values registers."""

from __future__ import annotations

from typing import Any

from pylstm.cells.contract import Contract
from pylstm.cells.formula.derivation import StageDerivation
from pylstm.cells.formula.graph import Width
from pylstm.cells.formula.machine.assembly import AFTER, BEFORE, Assembly, assemble
from pylstm.cells.formula.machine.fusion import Value
from pylstm.cells.formula.program import Block, Program
from pylstm.engine import levels

machine = levels.load("pylstm.engine.machine")


def kernel(contract: Contract, stages: list[StageDerivation]) -> Any:
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
    """The program as `pylstm.engine.machine.build` takes it."""
    slots = _Slots(contract, assembly.program)
    listed = [each for phase in assembly.phases.values() for each in phase]
    last_use = {value: at for at, each in enumerate(listed) for value in each.args}
    code: list[tuple[Any, ...]] = []
    phases, at = [], 0

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
        "slots": list(slots.slots),
        "registers": slots.count,
        "constants": slots.constants,
        "code": code,
        "phases": phases,
    }


def _width_slot(program: Program, phase: Width, slots: _Slots) -> int:
    """Slot of a block as wide as `phase`; -1 if that is 1."""
    if phase in (BEFORE, AFTER):
        return -1
    names = [each.block for each in program.operations if each.block] + [store.block for store in program.stores]
    return slots.block(next(block for block in names if program.widths[block] == phase))
