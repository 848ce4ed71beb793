"""`row_code`: the row hook of a stage in which units of a row meet, as C statements.

The code of the machine for these sizes: functions of `pylstm/include/pylstm/rows.h`, and between them loops, in which
values are variables. What is read in another loop goes to an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.cells.contracts.contract import Contract
from pylstm.cells.formula import Block, Program
from pylstm.cells.formula.fusion import PAIRS
from pylstm.cells.formula.machine import encode
from pylstm.export.formula import NAMES, PLAIN, RESULTS, Phase, Places, StageCode, Statement, block_of, literal

_PLAIN = ("row_max", "softmax", "logsumexp", "cumsum", "rcumsum", "repeat", "tile", "fold", *PAIRS)
FUNCTIONS = {"sums": "row_sum"} | dict(zip(_PLAIN, _PLAIN, strict=True))
"""Operation of the machine (`pylstm/engine/include/machine_ops.h`) -> function of rows.h."""
SECOND = ("vecmat", "outer")
"""Functions that take the width of their second operand."""


@dataclass
class _Step:
    """One instruction, and what is read after it."""

    op: str
    result: int
    operands: list[int]
    groups: int
    live: frozenset[int]


def row_code(
    program: Program, contract: Contract, dtype: np.dtype, places: Places, sizes: Mapping[str, int]
) -> StageCode:
    """The C code of a stage.

    Parameters
    ----------
    program : Program
        Its forward program, which is one of whole rows (`Program.sized`).
    contract : Contract
    dtype : dtype
    places : Places
    sizes : dict of str to int
        Those of the layer.
    """
    return _Coder(encode(program, contract, sizes), contract, dtype, places).stage()


class _Coder:
    def __init__(self, code: dict[str, Any], contract: Contract, dtype: np.dtype, places: Places) -> None:
        self.code, self.contract, self.dtype, self.places = code, contract, dtype, places
        self.widths: list[int] = code["widths"]
        self.blocks = [block_of(code, contract, slot) for slot in range(len(code["slots"]))]
        self.found = StageCode()
        self.names: set[str] = set()

    def stage(self) -> StageCode:
        """Neighbours of one width that are computed unit by unit share a loop."""
        loop: list[_Step] = []
        for step in self._needed():
            alone = self._across(step)
            if loop and (alone or self.widths[step.result] != self.widths[loop[-1].result]):
                self._loop(loop)
                loop = []
            if alone:
                self._call(step)
            else:
                loop.append(step)
        if loop:
            self._loop(loop)
        return self.found

    def _needed(self) -> list[_Step]:
        """The instructions without what only the backward pass would read."""
        live = {slot for slot, block in enumerate(self.blocks) if block is not None and block.kind in RESULTS}
        kept = []
        for op, adds, result, operands, *groups in reversed(self.code["code"]):
            assert not adds, "a program of whole rows that adds to a row is a backward one"
            if result in live:
                kept.append(_Step(op, result, operands, groups[0] if groups else 1, frozenset(live)))
                live.discard(result)
                live.update(operands)
        return kept[::-1]

    def _across(self, step: _Step) -> bool:
        """Whether it is a function of rows.h: the repetition of one number is a number in a loop."""
        return step.op in FUNCTIONS and not (step.op == "repeat" and self.widths[step.operands[0]] == 1)

    def _call(self, step: _Step) -> None:
        phase = Phase()
        arrays = [self._array(slot, phase) for slot in step.operands]
        operand = step.operands[step.op in SECOND]
        widths = self.widths[step.result], self.widths[operand], step.groups
        result = self._array(step.result, phase, written=True)
        phase.call = f"@{FUNCTIONS[step.op]}({', '.join(map(str, (result, *arrays, *widths)))})"
        self.found.phases.append(phase)

    def _loop(self, steps: list[_Step]) -> None:
        width = self.widths[steps[0].result]
        phase = Phase(width if width != 1 else 0)
        values: dict[int, str] = {}
        for step in steps:
            names = [self._operand(slot, phase, values) for slot in step.operands]
            if step.op in ("copy", "repeat"):
                values[step.result] = names[0]
                continue
            name = self._fresh(f"t{len(self.names) + 1}")
            phase.lines.append(Statement(name, PLAIN[step.op].format(*names), tuple(names)))
            values[step.result] = name
        for slot in dict.fromkeys(step.result for step in steps):
            if slot in steps[-1].live:
                place = _element(self._array(slot, phase, written=True), self._at(slot))
                phase.lines.append(Statement("", place, (values[slot],), store=True))
        self.found.phases.append(phase)

    def _operand(self, slot: int, phase: Phase, values: dict[int, str]) -> str:
        """The C name of an operand in a loop, which is loaded at its first use."""
        space, number, _ = self.code["slots"][slot]
        if space == "constant":
            return literal(self.code["constants"][number], self.dtype)
        if slot not in values:
            block = self.blocks[slot]
            name = f"r{number}" if block is None else f"{NAMES[block.kind]}_{block.name}"
            values[slot] = self._fresh(name)
            place = _element(self._array(slot, phase), self._at(slot))
            phase.lines.append(Statement(values[slot], place, ()))
        return values[slot]

    def _at(self, slot: int) -> str:
        return "0" if self.widths[slot] == 1 else "k"

    def _array(self, slot: int, phase: Phase, *, written: bool = False) -> str:
        """The place at which an operand begins; the phase reads it, or it is `written`."""
        block = self.blocks[slot]
        if block is None:
            name = f"row{self.code['slots'][slot][1]}"
        elif block.kind == "keep":
            name = f"kept_{block.name}"
        else:
            self._note(block, phase, written)
            return self.places.array(block)
        self.found.arrays[name] = self.widths[slot]
        return f"net->scratch.{name}"

    def _note(self, block: Block, phase: Phase, written: bool) -> None:
        if block.kind == "prev":
            phase.reads.add(block.name)
        elif block.kind == "states" and written:
            phase.writes.add(block.name)

    def _fresh(self, name: str) -> str:
        """`name`, or with a number behind it where the stage has it already."""
        found, number = name, 1
        while found in self.names:
            number += 1
            found = f"{name}_{number}"
        self.names.add(found)
        return found


def _element(array: str, at: str) -> str:
    """``z + 8`` at ``k``: ``z[8 + k]``."""
    start, _, first = array.partition(" + ")
    return f"{start}[{' + '.join(each for each in (first, at) if each and not (first and each == '0'))}]"
