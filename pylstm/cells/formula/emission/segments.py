"""The order of the code of a program in which units of a row meet: loops of one width, and functions of whole rows.

A value joins the first loop of its width in which all that it is made of is known; a function across the units of a row
stands between loops. What another loop or such a function reads is an array.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pylstm.cells.formula.graph import ACROSS, FILL
from pylstm.cells.formula.program import Operation, Program
from pylstm.cells.widths import Width

PLAIN = ("load", "const", "size")
"""Operations without code: their text stands where they are used."""


@dataclass
class Segments:
    """Segment of every operation that has code, the width of each segment (None: a function of whole rows), arrays.

    `at` has -1 for what has no code. `arrays` are the numbers of the values that another segment reads unit by unit.
    """

    at: list[int] = field(default_factory=list)
    widths: list[Width | None] = field(default_factory=list)
    arrays: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, program: Program) -> Segments:
        """The segments of a program."""
        found = cls()
        for operation in program.operations:
            found.at.append(found._place(operation, program))
            for argument in operation.args:
                source = program.operations[argument]
                other = found.at[argument] != found.at[operation.index] and source.width != 1
                if crosses(operation, program) or other:
                    found.arrays.add(argument)
        return found

    def _place(self, operation: Operation, program: Program) -> int:
        if operation.op in PLAIN:
            return -1
        first = max((self._after(each) for each in operation.args), default=0)
        if not crosses(operation, program):
            for number in range(first, len(self.widths)):
                if self.widths[number] == operation.width:
                    return number
        self.widths.append(None if crosses(operation, program) else operation.width)
        return len(self.widths) - 1

    def _after(self, argument: int) -> int:
        """The first segment that may read a value."""
        segment = self.at[argument]
        return segment + (segment >= 0 and self.widths[segment] is None) if segment >= 0 else 0


def crosses(operation: Operation, program: Program) -> bool:
    """Whether an operation reads or writes whole rows; one that repeats a value of width 1 does not."""
    return operation.op in ACROSS or (operation.op == FILL and program.operations[operation.args[0]].width != 1)
