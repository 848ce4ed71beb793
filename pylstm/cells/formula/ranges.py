"""`ranges`: the interval in which the values of a gate lie, from the formula of its cell."""

from __future__ import annotations

import math
from typing import Any

from pylstm.cells.formula.derivation import derive
from pylstm.cells.formula.graph import below
from pylstm.cells.formula.symbols import FormulaError

Ends = tuple[float, float]
ANYTHING = (-math.inf, math.inf)
RANGES: dict[str, Ends] = {
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "exp": (0.0, math.inf),
    "abs": (0.0, math.inf),
    "sqrt": (0.0, math.inf),
}
"""Operation of a formula -> the range of its values."""


def ranges(cell: Any) -> dict[str, Ends]:
    """Gate -> the range of what the cell leaves of it, for gates that have an end.

    Examples
    --------
    >>> import pylstm
    >>> ranges(pylstm.cells.LSTM)
    {'i': (0.0, 1.0), 'f': (0.0, 1.0), 'g': (-1.0, 1.0), 'o': (0.0, 1.0)}
    """
    try:
        stages = derive(cell).stages.values()
    except FormulaError:
        return {}
    nodes = {gate: node for stage in stages for gate, node in stage.slots.items()}
    found = {gate: range_of(nodes[gate]) for gate in cell.contract.gates if gate in nodes}
    return {gate: ends for gate, ends in found.items() if ends != ANYTHING and ends[0] < ends[1]}


def range_of(node: Any) -> Ends:
    """An interval that contains the values of an expression, by the intervals of its arguments."""
    known: dict[Any, Ends] = {}
    for each in below([node]):
        known[each] = _of(each, [known[argument] for argument in each.args])
    return known[node]


def _of(node: Any, args: list[Ends]) -> Ends:
    if node.op == "const":
        return node.value, node.value
    if node.op in RANGES:
        return RANGES[node.op]
    if node.op in ("min", "max"):
        pick = min if node.op == "min" else max
        return pick(args[0][0], args[1][0]), pick(args[0][1], args[1][1])
    if node.op == "where":
        return min(args[1][0], args[2][0]), max(args[1][1], args[2][1])
    if node.op == "neg":
        return -args[0][1], -args[0][0]
    if node.op in ("add", "sub"):
        (a, b), (c, d) = args
        return (a + c, b + d) if node.op == "add" else (a - d, b - c)
    if node.op == "mul" and all(math.isfinite(each) for pair in args for each in pair):
        corners = [a * b for a in args[0] for b in args[1]]
        return min(corners), max(corners)
    return ANYTHING
