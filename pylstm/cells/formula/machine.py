"""Programs as code of the expression machine (`pylstm/engine/machine.pyx`).

One node type, `Value`, from beginning to end: the operations of a program become values, groups of them are fused,
each gets the place where its result goes, and what has no place gets a register when the code is written.

Instructions stand in phases: values of one element per row; then wide values, one phase for every width; then what is
made of sums over a row. Blocks are operands, and a result goes to its block at once where nothing reads the old
contents any more. Where units of a row meet there is one phase, of whole rows, for one set of sizes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.formula.derivation import StageDerivation
from pylstm.cells.formula.fusion import Value, fuse, fuse_rows
from pylstm.cells.formula.graph import ACROSS, FILL, FOLD, REDUCTION
from pylstm.cells.formula.program import Block, Program, Store
from pylstm.cells.widths import Width, evaluated
from pylstm.engine import levels

engine = levels.load("pylstm.engine.machine")
OPCODES: dict[str, tuple[int, bool, bool]] = engine.opcodes()
"""Name -> (number of operands, can be written, can be added)."""
BEFORE, AFTER, WHOLE = 0, -1, -2
"""The phases of values of one element per row; the only one of a program of whole rows."""

Phases = dict[Width, list[Value]]
Instruction = tuple[Any, ...]
"""One instruction as `engine.build` takes it."""


def kernel(contract: Contract, stages: list[StageDerivation], sizes: Mapping[str, int] | None = None) -> Any:
    """The capsule that runs the derived `stages` of a cell, in the order of its contract.

    Parameters
    ----------
    contract : Contract
    stages : list of StageDerivation
    sizes : dict of str to int
        Those of the layer, for programs that depend on them (`Program.sized`).

    Raises
    ------
    ValueError
        A formula too large for the machine.
    """
    counts = {kind: len(names) for kind, names in contract.blocks.items()}
    programs = [tuple(encode(each, contract, sizes) for each in (stage.forward, stage.backward)) for stage in stages]
    return engine.build(contract.name, counts, programs)


def encode(program: Program, contract: Contract, sizes: Mapping[str, int] | None = None) -> dict[str, Any]:
    """The program as `pylstm.engine.machine.build` takes it."""
    values, sources = _values(program, sizes or {})
    if program.sized:
        phases = _Placement(program, {WHOLE: fuse(fuse_rows(values, sources), sources)}, sources).phases
        return _WholeRows(program, contract, sizes or {}).encode(phases)
    phases = _Placement(program, _phases(fuse(values, sources)), sources).phases
    return _Encoder(program, contract).encode(phases)


def _values(program: Program, sizes: Mapping[str, int]) -> tuple[list[Value], list[Value]]:
    """The computed values of `program`, and what it stores, in order.

    A constant that is filled is the constant itself; that a narrow value is repeated over a row becomes explicit. Sizes
    are constants.
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

    for each in program.operations:
        args = [numbered[index] for index in each.args]
        number = evaluated(each.name, sizes) if each.op == "size" else _folded(each.op, args)
        if number is not None:
            numbered.append(Value("const", [], 1, number=number))
            continue
        if each.op == FILL:
            numbered.append(widen(args[0], each.width))
            continue
        if each.op not in ACROSS and each.width != 1:
            args = [widen(arg, each.width) for arg in args]
        elif each.op in ACROSS and args[0].op == "const":
            args = [Value("copy", args, program.operations[each.args[0]].width)]
            values.append(args[0])
        numbered.append(Value(each.op, args, each.width, each.block, number=each.value, groups=each.groups))
        if each.op not in ("load", "const"):
            values.append(numbered[-1])
    return values, [widen(numbered[store.source], program.widths[store.block]) for store in program.stores]


def _folded(op: str, args: list[Value]) -> float | None:
    """The value of an operation on numbers, such as those of sizes."""
    if not args or op not in FOLD or any(arg.op != "const" for arg in args):
        return None
    try:
        return float(FOLD[op](*(arg.number for arg in args)))
    except (ArithmeticError, ValueError):
        return None


def _phases(values: list[Value]) -> Phases:
    """The values by phase. Nothing wide depends on a sum over a row: no formula has one, only its cotangents."""
    late: set[Value] = set()
    phases: Phases = {BEFORE: []}
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


class _Placement:
    """Decides where results go. `first` and `final`: copies at the beginning and at the end of a phase."""

    def __init__(self, program: Program, phases: Phases, sources: list[Value]) -> None:
        self.widths, self.whole = program.widths, WHOLE in phases
        order = [value for phase in phases.values() for value in phase]
        self.position = {value: at for at, value in enumerate(order)}
        self.last_read = {arg.place: at for at, value in enumerate(order) for arg in value.args if arg.place}
        self.uses = Counter(arg for value in order for arg in value.args) + Counter(sources)
        self.first: defaultdict[Width, list[Value]] = defaultdict(list)
        self.final: defaultdict[Width, list[Value]] = defaultdict(list)
        for store, value in zip(program.stores, sources, strict=True):
            self._place(store, value)
        zero = Value("const", [], 1)
        for value in [] if WHOLE in phases else order:  # sums are added up piece by piece
            if value.op == REDUCTION and not value.adds:
                self.first[BEFORE].append(Value("copy", [zero], 1, value))
                value.adds = True
        names = dict.fromkeys([BEFORE, *phases, *self.first, *self.final])
        ordered = (BEFORE, *(phase for phase in names if phase not in (BEFORE, AFTER)), AFTER)
        ordered = (WHOLE,) if self.whole else ordered
        self.phases: Phases = {
            phase: [*self.first[phase], *phases.get(phase, []), *self.final[phase]] for phase in ordered
        }

    def _place(self, store: Store, value: Value) -> None:
        """Store a value in its block when it is made, if that is possible; else by a copy."""
        block, adds = store.block, store.adds
        at = self.position.get(value)
        before, after = self._phase(block, BEFORE), self._phase(block, AFTER)
        across = self.whole and value.across  # such a function reads rows while it writes, and never adds
        if at is not None and adds and self.uses[value] == 1 and OPCODES[value.op][2] and not across:
            value.place, value.adds = block, True
        elif at is not None and not adds and value.place is None and self.last_read.get(block, -1) < at + (not across):
            value.place = block
        elif at is not None:
            self.final[after].append(Value("copy", [value], value.width, block, adds))
        elif block not in self.last_read:
            self.first[before].append(Value("copy", [value], value.width, block, adds))
        else:  # a block that is read gets the contents of another, which may be overwritten as well: by a register
            saved = Value("copy", [value], self.widths[block])
            self.first[before].append(saved)
            self.final[after].append(Value("copy", [saved], saved.width, block, adds))

    def _phase(self, block: Block, narrow: int) -> Width:
        width = self.widths[block]
        return WHOLE if self.whole else narrow if width == 1 else width


class _Encoder:
    """Numbers the operands of a program: blocks, constants, registers that are used again."""

    def __init__(self, program: Program, contract: Contract) -> None:
        self.program, self.contract = program, contract
        self.slots: dict[tuple[str, int, int], int] = {}
        self.constants: dict[str, float] = {}  # by their text: 0 and -0 are two
        self.registers: dict[Value, int] = {}
        self.free: defaultdict[Width, list[int]] = defaultdict(list)
        self.count = 0

    def encode(self, phases: Phases) -> dict[str, Any]:
        """The instructions of all phases, and what they work on."""
        last = {arg: value for phase in phases.values() for value in phase for arg in value.args}
        code: list[Instruction] = []
        ends: list[tuple[int, int, int]] = []
        for phase, values in phases.items():
            first = len(code)
            for value in values:
                code.append(self._instruction(value, last))
            if values:
                ends.append((first, len(code), self._width_slot(phase)))
        constants = list(self.constants.values())
        return {
            "slots": list(self.slots),
            "registers": self.count,
            "constants": constants,
            "code": code,
            "phases": ends,
        }

    def _instruction(self, value: Value, last: dict[Value, Value]) -> Instruction:
        """Operands that nothing reads any more leave their registers to the result."""
        operands = [self._slot(arg) for arg in value.args]
        self._release(value, last)
        return value.op, value.adds, self._slot(value), operands

    def _release(self, value: Value, last: dict[Value, Value]) -> None:
        for arg in value.args:
            if last[arg] is value and arg in self.registers:
                self.free[self._class(arg)].append(self.registers.pop(arg))

    def _class(self, value: Value) -> Width:
        """Values of one class can have the same register, one after another."""
        return int(value.width != 1)

    def _slot(self, value: Value) -> int:
        """The place of `value`, which gets a register now if it has none."""
        if value.op == "const":
            self.constants.setdefault(repr(value.number), value.number)
            return self._number("constant", list(self.constants).index(repr(value.number)), 0)
        if isinstance(value.place, Block):
            return self._block(value.place)
        if value.place:
            return self._slot(value.place)
        free = self.free[self._class(value)]
        if value not in self.registers:
            if not free:
                free.append(self.count)
                self.count += 1
            self.registers[value] = free.pop()
        return self._number("narrow register" if value.width == 1 else "wide register", self.registers[value], 0)

    def _block(self, block: Block) -> int:
        kind = engine.KINDS.index(block.kind)
        names = self.contract.blocks["states" if block.kind in ("prev", "dprev") else block.kind.removeprefix("d")]
        space = "narrow block" if self.program.widths[block] == 1 else "wide block"
        return self._number(space, kind, names.index(block.name))

    def _number(self, *slot: Any) -> int:
        return self.slots.setdefault(slot, len(self.slots))

    def _width_slot(self, phase: Width) -> int:
        """Slot of a block as wide as `phase`; -1 if that is 1."""
        if phase in (BEFORE, AFTER, WHOLE):
            return -1
        blocks = [*self.program.blocks, *(store.block for store in self.program.stores)]
        return self._block(next(block for block in blocks if self.program.widths[block] == phase))


class _WholeRows(_Encoder):
    """The same for a program of whole rows: slots have widths, and a function across a row does not overwrite it."""

    NAMES = {FILL: "repeat", REDUCTION: "sums"}

    def __init__(self, program: Program, contract: Contract, sizes: Mapping[str, int]) -> None:
        super().__init__(program, contract)
        self.sizes = sizes
        self.widths: dict[int, int] = {}

    def encode(self, phases: Phases) -> dict[str, Any]:
        """The code, with the widths of all slots."""
        return {**super().encode(phases), "widths": [self.widths[slot] for slot in self.slots.values()]}

    def _instruction(self, value: Value, last: dict[Value, Value]) -> Instruction:
        if not value.across:
            return super()._instruction(value, last)
        operands, result = [self._slot(arg) for arg in value.args], self._slot(value)
        self._release(value, last)
        return self.NAMES.get(value.op, value.op), False, result, operands, evaluated(value.groups, self.sizes)

    def _class(self, value: Value) -> Width:
        return value.width

    def _slot(self, value: Value) -> int:
        slot = super()._slot(value)
        place = value.place
        width = self.program.widths[place] if isinstance(place, Block) else value.width
        self.widths.setdefault(slot, 0 if value.op == "const" else evaluated(width, self.sizes))
        return slot
