"""`stage_code`: the row hook of a stage as C statements, from the code of the expression machine.

Every product and sum is rounded as the formula says: so do the machine and the compiled kernels. `rows` does the same
where units of a row meet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.formula import Block, Program
from pylstm.cells.formula.graph import ACTIVATIONS, REDUCTION
from pylstm.cells.formula.machine import encode, engine

KINDS: tuple[str, ...] = engine.KINDS
PLAIN = {
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "abs": "{0} < 0 ? -{0} : {0}",
    "max": "(({0} > {1}) | ({0} != {0})) ? {0} : {1}",
    "min": "(({0} < {1}) | ({0} != {0})) ? {0} : {1}",
    "lt": "(@real)({0} < {1})",
    "le": "(@real)({0} <= {1})",
    "gt": "(@real)({0} > {1})",
    "ge": "(@real)({0} >= {1})",
    "eq": "(@real)({0} == {1})",
    "ne": "(@real)({0} != {1})",
    "and": "(@real)(({0} != 0) & ({1} != 0))",
    "or": "(@real)(({0} != 0) | ({1} != 0))",
    "not": "(@real)({0} == 0)",
    "where": "{0} != 0 ? {1} : {2}",
    "mul_add": "{0} * {1} + {2}",
    "mul_sub": "{0} * {1} - {2}",
    "sub_mul": "{2} - {0} * {1}",
    "mul_add_mul": "{0} * {1} + {2} * {3}",
    "mul_sub_mul": "{0} * {1} - {2} * {3}",
    "mix": "{0} * {1} + (1 - {0}) * {2}",
    "mul_complement": "{0} * (1 - {1})",
    "mul_mul": "{0} * {1} * {2}",
    "mul_diff": "{0} * ({1} - {2})",
    "dabs_from_x": "{0} > 0 ? 1 : ({0} < 0 ? -1 : {0})",
    "dsigmoid_from_y": "@dsigmoid_from_y({0})",
    "dtanh_from_y": "@dtanh_from_y({0})",
    "drelu_from_y": "@drelu_from_y({0})",
    "mul_dsigmoid": "{0} * @dsigmoid_from_y({1})",
    "mul_dtanh": "{0} * @dtanh_from_y({1})",
    "mul_mul_dsigmoid": "{0} * {1} * @dsigmoid_from_y({2})",
    "mul_mul_dtanh": "{0} * {1} * @dtanh_from_y({2})",
    "mul_mul_dtanh_add": "{0} * {1} * @dtanh_from_y({2}) + {3}",
    "mul_diff_dsigmoid": "{0} * ({1} - {2}) * @dsigmoid_from_y({3})",
} | {name: f"@{name}({{0}})" for name in ACTIVATIONS}
PLAIN["power"] = "@power({0}, {1})"
"""Operation of the machine (`pylstm/engine/include/machine_ops.h`) -> C; ``@`` is the prefix of the net."""
NAMES = {"gates": "z", "prev": "prev", "emissions": "e", "keep": "k", "states": "new", "params": "p", "aux": "u"}
"""Kind of a block -> what its values are called."""
RESULTS = ("states", "emissions")
"""Kinds of blocks that a stage leaves to the next, or to the next step."""
SHORT = {"gates": "y"}
"""Names of what a block holds after a statement, where it held something before."""


def literal(value: float, dtype: np.dtype) -> str:
    """A number of C, exact: ``0.5f``, ``0x1.99999ap-4f``."""
    number = float(np.dtype(dtype).type(value))
    suffix = "f" if dtype == np.float32 else ""
    if number == int(number) and abs(number) < 1e6 and not (number == 0 and np.signbit(number)):
        text = f"{int(number)}.0"
    else:
        mantissa, exponent = number.hex().split("p")
        text = f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{int(exponent)}"
    return f"({text}{suffix})" if text.startswith("-") else text + suffix


class Places(Protocol):
    """The places of the blocks of a layer in the C file."""

    def element(self, block: Block) -> str:
        """The element of a block at unit ``k``."""

    def array(self, block: Block) -> str:
        """The place at which a block begins."""

    def room(self, name: str) -> int:
        """Elements of a block with its padding, which may be computed, too."""

    def width(self, name: str) -> int:
        """Those that count."""


@dataclass
class Statement:
    """``name = text``, of the values `uses`; if `store`, ``text = uses[0]``, in a block or the array `name`."""

    name: str
    text: str
    uses: tuple[str, ...]
    store: bool = False


@dataclass
class Phase:
    """Statements of one number per row (`width` 0), or in a loop over so many units; or the `call` of one function."""

    width: int = 0
    lines: list[Statement] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)
    """Previous states that it reads."""
    writes: set[str] = field(default_factory=set)
    """States that it writes."""
    call: str = ""


@dataclass
class StageCode:
    """The phases of a stage, and its arrays: name in the scratch -> elements."""

    phases: list[Phase] = field(default_factory=list)
    arrays: dict[str, int] = field(default_factory=dict)


def block_of(code: dict[str, Any], contract: Contract, slot: int) -> Block | None:
    """The block that an operand of the machine is."""
    space, kind, index = code["slots"][slot]
    if not space.endswith("block"):
        return None
    name = KINDS[kind]
    return Block(name, contract.blocks["states" if name == "prev" else name][index])


def stage_code(program: Program, contract: Contract, dtype: np.dtype, places: Places, piece: int = 0) -> StageCode:
    """The C code of a stage whose units meet in sums of whole rows at most.

    Parameters
    ----------
    program : Program
        Its forward program.
    contract : Contract
    dtype : dtype
    places : Places
    piece : int
        Units whose sum is formed before it is added to that of the row; 0: as many as the machine takes.
    """
    code = encode(program, contract)
    return _Coder(code, contract, dtype, places, piece or engine.piece(code["registers"], dtype.itemsize)).stage()


class _Coder:
    def __init__(self, code: dict[str, Any], contract: Contract, dtype: np.dtype, places: Places, piece: int) -> None:
        self.contract, self.dtype, self.places, self.piece = contract, dtype, places, piece
        self.code = code
        self.values: dict[int, str] = {}
        self.count = 0
        self.found = StageCode()
        self.summed = {result for _, adds, result, _ in code["code"] if adds}

    def stage(self) -> StageCode:
        for first, last, slot in self.code["phases"]:
            block = None if slot < 0 else block_of(self.code, self.contract, slot)
            phase = Phase(0 if block is None else self.places.room(block.name))
            after = Phase()
            stores: dict[Block, str] = {}
            for op, adds, result, operands in self.code["code"][first:last]:
                names = [self._operand(each, phase) for each in operands]
                if adds:
                    assert op == REDUCTION and block is not None, "a forward program adds nothing but sums over rows"
                    self._sum(result, names[0], phase, after, self.places.width(block.name))
                else:
                    self._write(op, result, names, phase, stores)
            _store(stores, phase, self.places)
            self.found.phases += [phase, after]
        needed = _needed(self.found.phases)
        self.found.phases = [phase for phase in self.found.phases if phase.lines]
        self.found.arrays = {name: room for name, room in self.found.arrays.items() if name in needed}
        return self.found

    def _sum(self, slot: int, name: str, phase: Phase, after: Phase, width: int) -> None:
        """The values of a row go to an array, and are added up `after` the loop."""
        array = f"sum{len(self.found.arrays)}"
        self.found.arrays[array] = phase.width
        place = f"net->scratch.{array}"
        phase.lines.append(Statement(array, f"{place}[k]", (name,), store=True))
        text = f"@sum_of({place}, {width})" if width <= self.piece else f"@sum_in({place}, {width}, {self.piece})"
        self.count += 1
        self.values[slot] = f"t{self.count}"
        after.lines.append(Statement(self.values[slot], text, (array,)))
        block = block_of(self.code, self.contract, slot)
        if block is not None and block.kind in RESULTS:
            _store({block: self.values[slot]}, after, self.places)

    def _operand(self, slot: int, phase: Phase) -> str:
        """The C name of an operand, which is loaded at its first use."""
        space, number, _ = self.code["slots"][slot]
        if space == "constant":
            return literal(self.code["constants"][number], self.dtype)
        if slot not in self.values:
            block = block_of(self.code, self.contract, slot)
            assert block is not None, "a register is written before it is read"
            if block.kind == "prev":
                phase.reads.add(block.name)
            name = f"{NAMES[block.kind]}_{block.name}"
            phase.lines.append(Statement(name, self.places.element(block), ()))
            self.values[slot] = name
        return self.values[slot]

    def _write(self, op: str, slot: int, names: list[str], phase: Phase, stores: dict[Block, str]) -> None:
        block = block_of(self.code, self.contract, slot)
        if op in ("copy", "fill"):
            name = names[0]
        else:
            self.count += 1
            name = f"t{self.count}" if block is None else f"{SHORT.get(block.kind, NAMES[block.kind])}_{block.name}"
            phase.lines.append(Statement(name, PLAIN[op].format(*names), tuple(names)))
        self.values[slot] = name
        sums = op == "copy" and slot in self.summed  # 0, to which the machine adds
        if block is not None and block.kind in RESULTS and not sums:
            stores[block] = name


def _store(stores: dict[Block, str], phase: Phase, places: Places) -> None:
    """Values that go to blocks."""
    for block, name in stores.items():
        phase.lines.append(Statement("", places.element(block), (name,), store=True))
        if block.kind == "states":
            phase.writes.add(block.name)


def _needed(phases: list[Phase]) -> set[str]:
    """Drop what only the backward pass would read; the names that remain."""
    needed: set[str] = set()
    for phase in reversed(phases):
        kept = []
        for line in reversed(phase.lines):
            if line.name in needed or not line.name:
                needed.update(line.uses)
                kept.append(line)
        phase.lines = kept[::-1]
    return needed
