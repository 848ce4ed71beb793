"""`stage_code`: the row hook of a stage as C statements, from the code of the expression machine.

Every product and sum is rounded as the formula says: so do the machine and the compiled kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pylstm.cells.contract import Contract
from pylstm.cells.formula import Block, Program
from pylstm.cells.formula.graph import ACTIVATIONS
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
_NAMES = {"gates": "z", "prev": "prev", "emissions": "e", "keep": "k", "states": "new", "params": "p", "aux": "u"}
_SHORT = {"gates": "y"}
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


@dataclass
class Statement:
    """``name = text``, of the operands `uses`; or the store of `uses` in `block`."""

    name: str
    text: str
    uses: tuple[str, ...]
    block: Block | None = None


@dataclass
class Phase:
    """Statements of one width: of one number per row (`block` None), or in a loop as wide as `block`."""

    block: Block | None
    lines: list[Statement] = field(default_factory=list)
    reads: set[str] = field(default_factory=set)
    """Previous states that it reads."""
    writes: set[str] = field(default_factory=set)
    """States that it writes."""


def stage_code(program: Program, contract: Contract, dtype: np.dtype, element: Callable[[Block], str]) -> list[Phase]:
    """The phases of a stage.

    Parameters
    ----------
    program : Program
        Its forward program.
    contract : Contract
    dtype : dtype
    element : function
        ``element(block)``: the C element of a block at unit ``k``.
    """
    return _Coder(encode(program, contract), contract, dtype, element).phases()


class _Coder:
    def __init__(
        self, code: dict[str, Any], contract: Contract, dtype: np.dtype, element: Callable[[Block], str]
    ) -> None:
        self.contract, self.dtype, self.element = contract, dtype, element
        self.code = code
        self.values: dict[int, str] = {}
        self.count = 0

    def phases(self) -> list[Phase]:
        found = []
        for first, last, slot in self.code["phases"]:
            phase = Phase(None if slot < 0 else self._block(slot))
            stores: dict[Block, str] = {}
            for op, adds, result, operands in self.code["code"][first:last]:
                assert not adds, "a forward program writes every block once"
                names = [self._operand(each, phase) for each in operands]
                self._write(op, result, names, phase, stores)
            for block, name in stores.items():
                phase.lines.append(Statement("", self.element(block), (name,), block))
                if block.kind == "states":
                    phase.writes.add(block.name)
            found.append(phase)
        return _needed(found)

    def _block(self, slot: int) -> Block:
        space, kind, index = self.code["slots"][slot]
        assert space.endswith("block")
        name = KINDS[kind]
        return Block(name, self.contract.blocks["states" if name == "prev" else name][index])

    def _operand(self, slot: int, phase: Phase) -> str:
        """The C name of an operand, which is loaded at its first use."""
        space, number, _ = self.code["slots"][slot]
        if space == "constant":
            return literal(self.code["constants"][number], self.dtype)
        if slot not in self.values:
            block = self._block(slot)
            if block.kind == "prev":
                phase.reads.add(block.name)
            name = f"{_NAMES[block.kind]}_{block.name}"
            phase.lines.append(Statement(name, self.element(block), ()))
            self.values[slot] = name
        return self.values[slot]

    def _write(self, op: str, slot: int, names: list[str], phase: Phase, stores: dict[Block, str]) -> None:
        block = self._block(slot) if self.code["slots"][slot][0].endswith("block") else None
        if op in ("copy", "fill"):
            name = names[0]
        else:
            self.count += 1
            name = f"t{self.count}" if block is None else f"{_SHORT.get(block.kind, _NAMES[block.kind])}_{block.name}"
            phase.lines.append(Statement(name, PLAIN[op].format(*names), tuple(names)))
        self.values[slot] = name
        if block is not None and block.kind in ("states", "emissions"):
            stores[block] = name


def _needed(phases: list[Phase]) -> list[Phase]:
    """The phases without what only the backward pass would read."""
    needed: set[str] = set()
    for phase in reversed(phases):
        kept = []
        for line in reversed(phase.lines):
            if line.block is not None or line.name in needed:
                needed.update(line.uses)
                kept.append(line)
        phase.lines = kept[::-1]
    return [phase for phase in phases if phase.lines]
