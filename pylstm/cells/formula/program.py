"""Straight-line programs over named blocks: what every executor and every printer reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from pylstm.cells.formula.graph import ACROSS, FILL, NARROWING, Node
from pylstm.cells.widths import Width

ADDED = ("dprev", "demissions", "dparams", "daux")


@dataclass(frozen=True, order=True)
class Block:
    """One block of the C contract (`pylstm/cell.h`): its kind there, and its name."""

    kind: str
    name: str


@dataclass(frozen=True)
class Operation:
    """Value number `index` of a program.

    Attributes
    ----------
    op : str
        ``load`` (of `block`), ``const`` (`value`), or an operation of `graph`: functions, ``CHEAP``, comparisons
        (1.0 or 0.0), ``fill`` (each element repeated), `graph.ACROSS`, ``size`` (the number that `name` is).
    args : tuple of int
        Numbers of earlier values.
    width : str or int
        Size name or number; 1: one value per row.
    name : str
        The user's name of the value, or ``""``.
    """

    index: int
    op: str
    args: tuple[int, ...]
    width: Width
    block: Block | None = None
    value: float = 0.0
    name: str = ""
    groups: Width = 1

    @property
    def loaded(self) -> Block:
        """The block of a load."""
        assert self.block is not None
        return self.block


@dataclass(frozen=True)
class Store:
    """Value `source` goes to `block`: replacing what is there, or added to it."""

    block: Block
    source: int

    @property
    def adds(self) -> bool:
        return self.block.kind in ADDED


@dataclass(frozen=True)
class Program:
    """SSA operations, then stores: all loads of a row come before its stores, since gates are read and overwritten."""

    operations: tuple[Operation, ...] = ()
    stores: tuple[Store, ...] = ()
    widths: dict[Block, Width] = field(default_factory=dict)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks that are read, in order of first use."""
        return tuple(dict.fromkeys(each.block for each in self.operations if each.block))

    @property
    def sized(self) -> bool:
        """Whether its code depends on sizes: units of a row meet, and not only in the sum of a cotangent over a row."""
        late: set[int] = set()
        for each in self.operations:
            summed = each.op == "row_sum" and each.width == 1
            if each.op == "size" or (each.op in ACROSS and not summed):
                return True
            if summed or late.intersection(each.args):
                if each.width != 1:
                    return True
                late.add(each.index)
            if each.op == "fill" and self.operations[each.args[0]].width != 1:
                return True
        return False

    def divisions(self) -> Iterator[tuple[Width, Width]]:
        """Pairs of widths of which the second must go into the first."""
        for each in self.operations:
            if each.op in (FILL, *ACROSS):
                widths = each.width, self.operations[each.args[0]].width
                longer, shorter = widths[::-1] if each.op in NARROWING else widths
                yield longer, shorter
                yield shorter, each.groups

    @cached_property
    def uses(self) -> tuple[int, ...]:
        """How often each value is used, by operations and stores."""
        counts = [0] * len(self.operations)
        for operation in self.operations:
            for argument in operation.args:
                counts[argument] += 1
        for store in self.stores:
            counts[store.source] += 1
        return tuple(counts)

    def counts(self) -> dict[str, int]:
        """Operation -> how often it is computed per unit, loads and constants left out, in order of first use."""
        result: dict[str, int] = {}
        for operation in self.operations:
            if operation.op not in ("load", "const", "size", "fill", "tile"):
                result[operation.op] = result.get(operation.op, 0) + 1
        return result


def build(
    outputs: Iterable[tuple[Block, Node]],
    available: dict[Node, Block],
    names: dict[Node, str],
    widths: dict[Block, Width],
) -> Program:
    """The program that computes `outputs` from the blocks in `available`.

    Operations come in the order in which the graph was made (forward as the user wrote it, backward as the reverse
    sweep went); values of the forward graph that backward computes again stand before their first use.
    """
    outputs = list(outputs)
    numbers: dict[Node, int] = {}
    operations: list[Operation] = []

    def visit(root: Node) -> int:
        stack = [root]
        while stack:
            node = stack[-1]
            block = available.get(node)
            missing = [] if block or node in numbers else [each for each in node.args if each not in numbers]
            stack.extend(reversed(missing))
            if missing:
                continue
            stack.pop()
            if node not in numbers:
                args = () if block else tuple(numbers[each] for each in node.args)
                op = "load" if block else node.op
                numbers[node] = len(operations)
                name = node.name if op == "size" else names.get(node, "")
                number = Operation(len(operations), op, args, node.width, block, node.value, name, node.groups)
                operations.append(number)
        return numbers[root]

    for node in sorted(_sweep([node for _, node in outputs], available), key=lambda node: node.index):
        visit(node)
    stores = tuple(Store(block, visit(node)) for block, node in outputs)
    return Program(tuple(operations), stores, widths)


def _sweep(roots: list[Node], available: dict[Node, Block]) -> list[Node]:
    """Nodes that are computed and depend on cotangents, or all that are computed where there is no cotangent."""
    seen: dict[Node, None] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen[node] = None
            if node not in available:
                stack.extend(node.args)
    backward = any("d" in node.kinds for node in seen)
    return [node for node in seen if ("d" in node.kinds if backward else True) and node.op not in ("const", "size")]
