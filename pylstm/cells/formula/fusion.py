"""Operands of the expression machine, and groups of them that become one operation."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from pylstm.cells.formula.graph import ACROSS, FILL, REDUCTION
from pylstm.cells.formula.program import Block
from pylstm.cells.widths import Width, product

PAIRS = ("row_dot", "matvec", "vecmat", "outer")
"""Functions of whole rows that take a product in one (`fuse_rows`)."""

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
    """One operand and, unless it is a ``load`` or a ``const``, one instruction; equal only to itself.

    Attributes
    ----------
    op : str
        ``load``, ``const``, an operation of the program, one of `PATTERNS`, or ``copy``.
    args : list of Value
    width : str or int
    place : Block, Value or None
        Where it is: a block, the register of another value, or a register of its own.
    adds : bool
        It is added to what its place holds.
    number : float
        Of a ``const``.
    groups : str or int
        Of an operation across the units of a row.
    """

    op: str
    args: list[Value]
    width: Width
    place: Block | Value | None = None
    adds: bool = False
    number: float = 0.0
    groups: Width = 1

    @property
    def across(self) -> bool:
        """Whether units of a row meet in it."""
        return self.op in (FILL, *ACROSS, *PAIRS)


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


def fuse_rows(values: list[Value], stored: list[Value]) -> list[Value]:
    """`values` with functions of whole rows that take a product in one: sums of products, matrices times vectors.

    The repeated vectors are not made where nothing else reads them.
    """
    uses = Counter(arg for value in values for arg in value.args) + Counter(stored)
    for root in values:
        terms = root if root.op == "mul" else root.args[0] if root.op in (REDUCTION, "fold") else None
        if terms is None or terms.op != "mul" or (terms is not root and uses[terms] > 1):
            continue
        for a, b in (terms.args, terms.args[::-1]):
            if found := _pair(root, a, b):
                root.op, root.args, root.groups = found
                break
    needed, kept = set(stored), list[Value]()
    for value in reversed(values):
        if value in needed:
            needed.update(value.args)
            kept.append(value)
    return kept[::-1]


def _pair(root: Value, a: Value, b: Value) -> tuple[str, list[Value], Width] | None:
    """The operation of two rows that `root`, made of a times b, is; its operands and groups."""
    width = a.width
    if root.op == "mul":
        if a.op == FILL and b.op == "tile":
            vectors = a.args[0].width, b.args[0].width
            if product(*vectors) == product(width, b.groups):
                return "outer", [a.args[0], b.args[0]], b.groups
    elif root.op == "fold":
        if a.op == FILL and product(a.args[0].width, root.width) == product(width, root.groups):
            return "vecmat", [a.args[0], b], root.groups
    elif b.op == "tile" and product(root.width, b.args[0].width) == product(width, b.groups):
        return "matvec", [a, b.args[0]], b.groups
    elif b.width == width and "const" not in (a.op, b.op):
        return "row_dot", [a, b], root.width
    return None


def _match(
    pattern: Pattern, value: Value, root: Value, uses: Counter[Value], found: dict[str, Value], inner: list[Value]
) -> bool:
    """Whether `value` has the form of `pattern`; `found` gets its operands, `inner` what would disappear."""
    if isinstance(pattern, str):
        return found.setdefault(pattern, value) is value
    if isinstance(pattern, int):
        return value.op == "const" and value.number == pattern
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
