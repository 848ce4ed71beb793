"""Several operations of a program as one of the machine: what becomes of them, and which of them belong together.

`Value` is an operation of a program while it is turned into instructions (`assembly`). A value that only one other
reads may disappear into it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from pylstm.cells.formula.graph import Width
from pylstm.cells.formula.program import Block

Pattern = tuple[Any, ...] | str | int

PATTERNS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("mul_mul_dtanh_add", "abce", ("add", "e", ("mul", ("mul", "a", "b"), ("dtanh_from_y", "c")))),
    ("mul_diff_dsigmoid", "abce", ("mul", ("mul", "a", ("sub", "b", "c")), ("dsigmoid_from_y", "e"))),
    ("mul_mul_dsigmoid", "abc", ("mul", ("mul", "a", "b"), ("dsigmoid_from_y", "c"))),
    ("mul_mul_dtanh", "abc", ("mul", ("mul", "a", "b"), ("dtanh_from_y", "c"))),
    ("mix", "abc", ("add", ("mul", "a", "b"), ("mul", ("sub", 1, "a"), "c"))),
    ("mul_dsigmoid", "ab", ("mul", "a", ("dsigmoid_from_y", "b"))),
    ("mul_dtanh", "ab", ("mul", "a", ("dtanh_from_y", "b"))),
    ("mul_add_mul", "abce", ("add", ("mul", "a", "b"), ("mul", "c", "e"))),
    ("mul_sub_mul", "abce", ("sub", ("mul", "a", "b"), ("mul", "c", "e"))),
    ("mul_add", "abc", ("add", ("mul", "a", "b"), "c")),
    ("mul_sub", "abc", ("sub", ("mul", "a", "b"), "c")),
    ("sub_mul", "abc", ("sub", "c", ("mul", "a", "b"))),
    ("mul_complement", "ab", ("mul", "a", ("sub", 1, "b"))),
    ("mul_diff", "abc", ("mul", "a", ("sub", "b", "c"))),
    ("mul_mul", "abc", ("mul", ("mul", "a", "b"), "c")),
]
"""Fused operation, its operands in order, what it computes: letters are operands, numbers are constants. Largest first.
The operands of `add` and `mul` may come in either order."""


@dataclass(eq=False)
class Value:
    """One value of a program; equal only to itself."""

    op: str
    args: list[Value]
    width: Width
    block: Block | None = None
    value: float = 0.0

    def __repr__(self) -> str:
        what = repr(self.block.name) if self.block else repr(self.value) if self.op == "const" else repr(self.args)
        return f"{self.op}({what})"


def fuse(values: list[Value], stored: list[Value]) -> list[Value]:
    """`values` with groups that fit a pattern made one; those in `stored` stay. Largest groups, last values first."""
    gone: set[Value] = set()
    uses = Counter(arg for value in values for arg in value.args) + Counter(stored)
    for root in reversed(values):
        if root in gone:
            continue
        for op, letters, pattern in PATTERNS:
            found: dict[str, Value] = {}
            inner: list[Value] = []
            if root.op == pattern[0] and _match(pattern, root, root, uses, found, inner):
                gone.update(inner)
                for value in (root, *inner):
                    uses.subtract(value.args)
                root.op, root.args = op, [found[letter] for letter in letters]
                uses.update(root.args)
                break
    return [value for value in values if value not in gone]


def _match(
    pattern: Any, value: Value, root: Value, uses: Counter[Value], found: dict[str, Value], inner: list[Value]
) -> bool:
    """Whether `value` has the form of `pattern`; `found` gets its operands, `inner` what would disappear."""
    if isinstance(pattern, str):
        return found.setdefault(pattern, value) is value
    if isinstance(pattern, int):
        return value.op == "const" and value.value == pattern
    op, *parts = pattern
    if value.op != op or (value is not root and (uses[value] > 1 or value.width != root.width)):
        return False
    orders = [value.args, value.args[::-1]] if op in ("add", "mul") else [value.args]
    for args in orders:
        bound, below = dict(found), list(inner)
        if all(_match(part, arg, root, uses, bound, below) for part, arg in zip(parts, args, strict=True)):
            found.update(bound)
            inner[:] = below if value is root else [*below, value]
            return True
    return False
