"""Hash-consed expressions: equal subexpressions are one node, simplified as they are made.

Every simplification is exact in floating-point arithmetic (up to the sign of zero), so that a traced formula gives
the bits of the formula as it was written. Nodes are numbered as they are made, arguments first: the number orders
everything, hence the same formula always yields the same programs.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

from pylstm.cells.widths import Width

Key = tuple[Any, ...]

COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
LOGICAL = (*COMPARISONS, "and", "or", "not")
"""Operations whose result is a condition: 1 or 0 where a number is wanted."""
FUNCTIONS = ("exp", "expm1", "log", "log1p", "sqrt", "sigmoid", "tanh", "softplus", "sin", "cos", "power")
"""Costly: a value of one of these that the backward pass needs is kept rather than computed again."""
ACTIVATIONS = (*FUNCTIONS, "relu")
FROM_OUTPUT = ("dsigmoid_from_y", "dtanh_from_y", "drelu_from_y")
CHEAP = ("add", "sub", "mul", "div", "neg", "abs", "dabs_from_x", "max", "min", "where", "relu", *FROM_OUTPUT)
REDUCTION, FILL = "row_sum", "fill"
NARROWING = ("row_sum", "row_max", "logsumexp", "fold")
ACROSS = (*NARROWING, "softmax", "cumsum", "rcumsum", "tile")
"""Operations across the units of a row, in groups of consecutive units; their derivatives are operations of this list:
row_sum and `fill` (repeat) of each other, fold and tile, cumsum and rcumsum (from the end)."""
DECLARED = {"surrogate": 1, "stop": 0}
"""Operations with a declared derivative, and which argument is the value: surrogate(x, value, derivative), stop(x)."""
COMMUTATIVE = frozenset(("add", "mul", "max", "min", "eq", "ne", "and", "or"))


class WidthError(Exception):
    """Two blocks of different widths meet in one operation."""


class LengthError(Exception):
    """More operations than `Graph.most`."""


class Node:
    """One expression: `op` of `args`. `kinds` are the kinds of leaves that it depends on; `groups`: of `ACROSS`."""

    __slots__ = ("args", "groups", "index", "kinds", "name", "op", "value", "width")

    def __init__(self, index: int, op: str, args: tuple[Node, ...], width: Width, kinds: frozenset[str]):
        self.index, self.op, self.args, self.width, self.kinds = index, op, args, width, kinds
        self.value: float = 0.0
        self.name: str = ""
        self.groups: Width = 1

    def __repr__(self) -> str:
        if self.op == "const":
            return repr(self.value)
        return self.name if self.op in ("leaf", "size") else f"{self.op}({', '.join(map(repr, self.args))})"


def _fold_sigmoid(x: float) -> float:
    e = math.exp(-abs(x))
    return e / (1 + e) if x < 0 else 1 / (1 + e)


FOLD: dict[str, Callable[..., float]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "abs": abs,
    "max": max,
    "min": min,
    "where": lambda condition, a, b: a if condition else b,
    "relu": lambda x: max(x, 0.0),
    "sigmoid": _fold_sigmoid,
    "power": math.pow,
    "softplus": lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
    **{name: getattr(math, name) for name in ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "sin", "cos")},
    **{name: getattr(operator, name) for name in COMPARISONS},
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": operator.not_,
}


class Graph:
    """All nodes of one trace."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.most: int | None = None
        self.sizes: tuple[str, ...] | None = None  # names that a width may have
        self._table: dict[Key, Node] = {}

    def leaf(self, kind: str, name: str, width: Width) -> Node:
        """The block `name` of kind `kind`: z, prev, e, p, u, or d for a cotangent."""
        node = self._intern(("leaf", kind, name), "leaf", (), width, frozenset((kind,)))
        node.name = f"{kind}.{name}"
        return node

    def const(self, value: float) -> Node:
        """A number, of width 1."""
        value = float(value)
        node = self._intern(("const", value, math.copysign(1, value)), "const", (), 1, frozenset())
        node.value = value
        return node

    def size(self, width: Width) -> Node:
        """The number of elements of a width, itself of width 1."""
        if isinstance(width, int):
            return self.const(width)
        node = self._intern(("size", width), "size", (), 1, frozenset())
        node.name = width
        return node

    def fill(self, node: Node, width: Width) -> Node:
        """`node` with each of its elements repeated, one after another, up to `width`."""
        return self._intern((FILL, node.index, width), FILL, (node,), width, node.kinds)

    def across(self, op: str, node: Node, width: Width, groups: Width = 1) -> Node:
        """An operation of `ACROSS`, or a `fill`, with a result of `width`.

        row_sum, row_max and logsumexp take as many groups as their result has elements. fold adds up, of each of
        `groups`, pieces that follow one another; tile repeats a piece.
        """
        if node.width == 1 and op in ("row_max", "fold", "cumsum", "rcumsum", REDUCTION) and width == 1:
            return node
        if op == "tile" and node.width in (1, groups):
            op = FILL
        elif op == "fold" and width == groups:
            op = REDUCTION
        if node.width == width and op in (FILL, "tile", "fold", "row_max", REDUCTION):
            return node
        if op == FILL:
            return self.fill(node, width)
        groups = width if op in ("row_max", "logsumexp", REDUCTION) else groups
        made = self._intern((op, node.index, width, groups), op, (self._number(node),), width, node.kinds)
        made.groups = groups
        return made

    def remade(self, node: Node, args: tuple[Node, ...]) -> Node:
        """The operation of `node` on other arguments."""
        if node.op in (FILL, *ACROSS):
            return self.across(node.op, args[0], node.width, node.groups)
        return self.make(node.op, *args)

    def make(self, op: str, *args: Node) -> Node:
        """`op` of `args`, simplified, and the node that exists already if there is one."""
        args = self._typed(op, args)
        if op in FOLD and all(arg.op == "const" for arg in args):
            try:
                value = FOLD[op](*(arg.value for arg in args))
            except (ArithmeticError, ValueError):
                value = math.nan
            if math.isfinite(value):
                return self.const(value)
            # 1/0, log(-1), 1e200 * 1e200: left to the arithmetic of the arrays
        rule = _SIMPLIFY.get(op)
        simple = rule(self, *args) if rule else None
        if simple is not None:
            return simple
        wide = dict.fromkeys(arg.width for arg in args if arg.width != 1)
        if len(wide) > 1:
            raise WidthError(" and ".join(map(repr, wide)))
        width = next(iter(wide), 1)
        numbers = tuple(arg.index for arg in args)
        key = (op, *(sorted(numbers) if op in COMMUTATIVE else numbers))
        return self._intern(key, op, args, width, frozenset().union(*(arg.kinds for arg in args)))

    def _typed(self, op: str, args: tuple[Node, ...]) -> tuple[Node, ...]:
        """Conditions where conditions are wanted, numbers elsewhere; a number times a condition is a `where`."""
        wanted = len(args) if op in ("and", "or", "not") else 1 if op == "where" else 0
        conditions = tuple(self._condition(arg) for arg in args[:wanted])
        return conditions + tuple(self._number(arg) if op != "mul" else arg for arg in args[wanted:])

    def _condition(self, node: Node) -> Node:
        return node if node.op in (*LOGICAL, "const") else self.make("ne", node, self.const(0))

    def _number(self, node: Node) -> Node:
        return self.make("where", node, self.const(1), self.const(0)) if node.op in LOGICAL else node

    def _intern(self, key: Key, op: str, args: tuple[Node, ...], width: Width, kinds: frozenset[str]) -> Node:
        node = self._table.get(key)
        if node is None:
            if self.most is not None and len(self.nodes) >= self.most:
                raise LengthError
            node = self._table[key] = Node(len(self.nodes), op, args, width, kinds)
            self.nodes.append(node)
        return node


def below(roots: Iterable[Node]) -> list[Node]:
    """All that `roots` are made of, in the order in which it was made: arguments first."""
    seen = dict.fromkeys(roots)
    stack = list(seen)
    while stack:
        for node in stack.pop().args:
            if node not in seen:
                seen[node] = None
                stack.append(node)
    return sorted(seen, key=lambda node: node.index)


def without_declared(graph: Graph, node: Node, known: dict[Node, Node]) -> Node:
    """`node`, made of values alone, without derivatives that are declared; `known`: those that were made already."""
    if node not in known:
        if node.op in DECLARED:
            value = without_declared(graph, node.args[DECLARED[node.op]], known)
            known[node] = value if value.width == node.width else graph.fill(value, node.width)
        else:
            args = tuple(without_declared(graph, each, known) for each in node.args)
            if args == node.args:
                known[node] = node
            else:
                known[node] = graph.remade(node, args)
    return known[node]


def is_number(node: Node, value: float) -> bool:
    """Whether `node` is the constant `value`."""
    return node.op == "const" and node.value == value


def _add(graph: Graph, a: Node, b: Node) -> Node | None:
    if is_number(a, 0):
        return b
    if is_number(b, 0):
        return a
    if b.op == "neg":
        return graph.make("sub", a, b.args[0])
    return graph.make("sub", b, a.args[0]) if a.op == "neg" else None


def _sub(graph: Graph, a: Node, b: Node) -> Node | None:
    if is_number(b, 0):
        return a
    if is_number(a, 0):
        return graph.make("neg", b)
    return graph.make("add", a, b.args[0]) if b.op == "neg" else None


def _mul(graph: Graph, a: Node, b: Node) -> Node | None:
    if a.op in LOGICAL and b.op in LOGICAL:
        return graph.make("where", graph.make("and", a, b), graph.const(1), graph.const(0))
    if a.op in LOGICAL or b.op in LOGICAL:
        return graph.make("where", *((a, b) if a.op in LOGICAL else (b, a)), graph.const(0))
    for x, other in ((a, b), (b, a)):
        if is_number(x, 1):
            return other
        if is_number(x, -1):
            return graph.make("neg", other)
        if x.op == "neg":
            return graph.make("neg", graph.make("mul", *((x.args[0], b) if x is a else (a, x.args[0]))))
    return None


def _div(graph: Graph, a: Node, b: Node) -> Node | None:
    if b.op == "const" and abs(math.frexp(b.value)[0]) == 0.5:
        return graph.make("mul", a, graph.const(1 / b.value))  # a power of two: the reciprocal is exact
    if a.op == "neg":
        return graph.make("neg", graph.make("div", a.args[0], b))
    return graph.make("neg", graph.make("div", a, b.args[0])) if b.op == "neg" else None


def _neg(graph: Graph, a: Node) -> Node | None:
    if a.op == "neg":
        return a.args[0]
    return graph.make("sub", a.args[1], a.args[0]) if a.op == "sub" else None


def _abs(graph: Graph, a: Node) -> Node | None:
    if a.op == "abs":
        return a
    return graph.make("abs", a.args[0]) if a.op == "neg" else None


def _where(graph: Graph, condition: Node, a: Node, b: Node) -> Node | None:
    if condition.op == "const":
        return a if condition.value else b
    return a if a is b else None


LEAST = -40.0
"""Largest x used of those where softplus(x) = exp(x) in both dtypes, far from underflow."""


def _log(graph: Graph, a: Node) -> Node | None:
    """Logarithms of what underflows or overflows where they do not: log sigmoid(x) = -softplus(-x), and so on."""
    if a.op == "exp":
        return a.args[0]
    if a.op == "sigmoid":
        return graph.make("neg", graph.make("softplus", graph.make("neg", a.args[0])))
    if a.op == "sub" and is_number(a.args[0], 1) and a.args[1].op == "sigmoid":  # 1 - sigmoid(x) = sigmoid(-x)
        return graph.make("neg", graph.make("softplus", a.args[1].args[0]))
    if a.op == "softplus" and not _is_bounded(a.args[0]):  # log softplus(max(x, LEAST)) + min(x - LEAST, 0)
        x, least = a.args[0], graph.const(LEAST)
        above = graph.make("log", graph.make("softplus", graph.make("max", x, least)))
        return graph.make("add", above, graph.make("min", graph.const(0), graph.make("sub", x, least)))
    return None


def _is_bounded(x: Node) -> bool:
    return x.op == "max" and any(is_number(each, LEAST) for each in x.args)


def _log1p(graph: Graph, a: Node) -> Node | None:
    if a.op == "exp":
        return graph.make("softplus", a.args[0])
    if a.op == "neg" and a.args[0].op == "sigmoid":
        return graph.make("neg", graph.make("softplus", a.args[0].args[0]))
    return None


def _not(graph: Graph, a: Node) -> Node | None:
    return a.args[0] if a.op == "not" else None


def _same(graph: Graph, a: Node, b: Node) -> Node | None:
    return a if a is b else None


_SIMPLIFY: dict[str, Callable[..., Node | None]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "abs": _abs,
    "where": _where,
    "log": _log,
    "log1p": _log1p,
    "not": _not,
    "and": _same,
    "or": _same,
    "max": _same,
    "min": _same,
}
