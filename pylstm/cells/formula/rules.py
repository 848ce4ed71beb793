"""Local derivatives of every operation, and the reverse sweep over a graph.

A rule takes the cotangent `c` of the result, the result `y` and the arguments, and returns the cotangent of one
argument; it uses `y` where that saves a function: exp, sigmoid, tanh, sqrt, relu, softplus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from pylstm.cells.formula.graph import ACROSS, FILL, LOGICAL, REDUCTION, Graph, Node
from pylstm.cells.formula.symbols import Symbol

Rule = Callable[..., Symbol]


def _where(condition: Symbol, a: Symbol | float, b: Symbol | float) -> Symbol:
    return condition.apply("where", condition, a, b)


def _shared(c: Symbol, y: Symbol, a: Symbol) -> Symbol:
    """c / n to those n units of a group that are the largest, y; NaN to all where y is."""
    less = a < y.across("fill", a.width)
    count = _where(y == y, _where(less, 0, 1).across("row_sum", c.width), y)
    return _where(less, 0, (c / count).across("fill", a.width))


RULES: dict[str, tuple[Rule | None, ...]] = {
    "add": (lambda c, y, a, b: c, lambda c, y, a, b: c),
    "sub": (lambda c, y, a, b: c, lambda c, y, a, b: -c),
    "mul": (lambda c, y, a, b: c * b, lambda c, y, a, b: c * a),
    "div": (lambda c, y, a, b: c / b, lambda c, y, a, b: -(c / b) * y),
    "neg": (lambda c, y, a: -c,),
    "abs": (lambda c, y, a: c * a.apply("dabs_from_x", a),),
    "max": (lambda c, y, a, b: _where(a >= b, c, 0), lambda c, y, a, b: _where(a >= b, 0, c)),
    "min": (lambda c, y, a, b: _where(a <= b, c, 0), lambda c, y, a, b: _where(a <= b, 0, c)),
    "where": (None, lambda c, y, k, a, b: _where(k, c, 0), lambda c, y, k, a, b: _where(k, 0, c)),
    "relu": (lambda c, y, a: c * y.apply("drelu_from_y", y),),
    "sigmoid": (lambda c, y, a: c * y.apply("dsigmoid_from_y", y),),
    "tanh": (lambda c, y, a: c * y.apply("dtanh_from_y", y),),
    "exp": (lambda c, y, a: c * y,),
    "expm1": (lambda c, y, a: c * (y + 1),),
    "log": (lambda c, y, a: c / a,),
    "log1p": (lambda c, y, a: c / (1 + a),),
    "sqrt": (lambda c, y, a: 0.5 * c / y,),
    "softplus": (lambda c, y, a: c * -y.apply("expm1", -y),),  # 1 - exp(-y)
    "power": (  # as PyTorch: 0 where the exponent is 0; by the exponent 0 at x = 0, for exponents of 0 or more
        lambda c, y, a, b: _where(b == 0, 0, c * (b * a ** (b - 1))),
        lambda c, y, a, b: _where((a == 0) & (b >= 0), 0, c * (y * a.apply("log", a))),
    ),
    "sin": (lambda c, y, a: c * a.apply("cos", a),),
    "cos": (lambda c, y, a: c * -a.apply("sin", a),),
    "fill": (lambda c, y, a: c if a.width == 1 else c.across("row_sum", a.width),),
    "row_sum": (lambda c, y, a: c.across("fill", a.width),),
    "row_max": (lambda c, y, a: _shared(c, y, a),),
    "logsumexp": (lambda c, y, a: c.across("fill", a.width) * a.across("softmax", a.width, y.groups),),
    "softmax": (lambda c, y, a: y * (c - (c * y).across("row_sum", y.groups).across("fill", a.width)),),
    "cumsum": (lambda c, y, a: c.across("rcumsum", a.width, y.groups),),
    "rcumsum": (lambda c, y, a: c.across("cumsum", a.width, y.groups),),
    "tile": (lambda c, y, a: c.across("fold", a.width, y.groups),),
    "fold": (lambda c, y, a: c.across("tile", a.width, y.groups),),
    "surrogate": (lambda c, y, a, value, derivative: c * derivative, None, None),
    "stop": (None,),
    "dsigmoid_from_y": (lambda c, y, a: c * (1 - 2 * a),),  # of y (1 - y) and of 1 - y^2, for second derivatives
    "dtanh_from_y": (lambda c, y, a: c * (-2 * a),),
    "drelu_from_y": (None,),
    "dabs_from_x": (None,),
    **{name: (None, None) for name in LOGICAL if name != "not"},
    "not": (None,),
}


def reverse(graph: Graph, seeds: list[tuple[Node, Node]]) -> dict[Node, Node]:
    """Cotangents of all nodes that `seeds`, pairs (output, its cotangent), depend on.

    Notes
    -----
    Sums are formed in one order: consumers last made first. Two contributions with a common factor that is itself
    a cotangent share the product: ``dh a - dh b`` becomes ``dh (a - b)``.
    """
    parts: dict[Node, list[Node]] = {}
    for output, cotangent in seeds:
        parts.setdefault(output, []).append(cotangent)
    done: dict[Node, Node] = {}
    waiting = {node.index: node for node in parts}
    while waiting:
        node = waiting.pop(max(waiting))
        if node.op == "const":
            continue
        total = _total(graph, node, parts[node])
        if node.op in ACROSS or (node.op == FILL and node.args[0].width != 1):
            total = total if total.width == node.width else graph.fill(total, node.width)  # a number
        done[node] = total
        if node.op == "leaf":
            continue
        values = [Symbol(graph, each) for each in (total, node, *node.args)]
        for argument, rule in zip(node.args, RULES[node.op], strict=True):
            if rule is not None and argument.kinds:
                parts.setdefault(argument, []).append(rule(*values).node)
                waiting[argument.index] = argument
    return done


def _total(graph: Graph, node: Node, parts: list[Node]) -> Node:
    """Sum of the contributions; those wider than `node` are summed over the row."""
    sums: dict[object, Node] = {}
    for part, count in Counter(parts).items():
        part = graph.make("mul", graph.const(count), part)
        sums[part.width] = _sum(graph, sums[part.width], part) if part.width in sums else part
    narrow = [
        graph.across(REDUCTION, each, 1) if each.width != node.width and node.width == 1 else each
        for each in sums.values()
    ]
    total = narrow[0]
    for each in narrow[1:]:
        total = graph.make("add", total, each)
    return total if total.op == "const" or total.width == node.width else graph.fill(total, node.width)


def _sum(graph: Graph, a: Node, b: Node) -> Node:
    """a + b, with a common cotangent factored out."""
    left, right = _product(a), _product(b)
    if left and right:
        for factor in left[1]:
            if factor in right[1] and "d" in factor.kinds:
                x, y = _without(left[1], factor), _without(right[1], factor)
                op = "add" if left[0] == right[0] else "sub"
                if left[0] < 0 and op == "sub":  # -f x + f y
                    return graph.make("mul", factor, graph.make("sub", y, x))
                inner = graph.make("mul", factor, graph.make(op, x, y))
                return graph.make("neg", inner) if left[0] < 0 else inner
    return graph.make("add", a, b)


def _product(node: Node) -> tuple[int, tuple[Node, ...]] | None:
    sign, inner = (-1, node.args[0]) if node.op == "neg" else (1, node)
    return (sign, inner.args) if inner.op == "mul" else None


def _without(pair: tuple[Node, ...], factor: Node) -> Node:
    return pair[1] if pair[0] is factor else pair[0]
