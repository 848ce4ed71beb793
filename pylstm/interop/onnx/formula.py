"""`emit`: the formula of one stage of a cell, as nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pylstm.cells.formula import Block, Operation, Program
from pylstm.cells.formula.graph import ACROSS, LOGICAL
from pylstm.cells.widths import Width
from pylstm.interop.onnx.graph import Graph
from pylstm.interop.onnx.rows import across

OPERATORS = {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "div": "Div",
    "neg": "Neg",
    "abs": "Abs",
    "max": "Max",
    "min": "Min",
    "where": "Where",
    "relu": "Relu",
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "softplus": "Softplus",
    "sin": "Sin",
    "cos": "Cos",
    "power": "Pow",
    "lt": "Less",
    "le": "LessOrEqual",
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "eq": "Equal",
    "and": "And",
    "or": "Or",
    "not": "Not",
}
"""Operations of a formula that are one operator."""


def _expm1(graph: Graph, x: str) -> str:
    """e^x - 1 near 0 as 2 t / (1 - t), t = tanh(x / 2): the difference would lose the digits of a small x."""
    one = graph.constant(1.0)
    t = graph.add("Tanh", graph.add("Mul", x, graph.constant(0.5)))
    near = graph.add("Div", graph.add("Mul", t, graph.constant(2.0)), graph.add("Sub", one, t))
    return graph.add(
        "Where", graph.add("Less", graph.add("Abs", x), one), near, graph.add("Sub", graph.add("Exp", x), one)
    )


def _log1p(graph: Graph, x: str) -> str:
    """log(1 + x) as x log(u) / (u - 1), u = 1 + x rounded: what u has lost of x cancels. Where u is 1 it is x."""
    one = graph.constant(1.0)
    u = graph.add("Add", x, one)
    ratio = graph.add("Div", graph.add("Mul", x, graph.add("Log", u)), graph.add("Sub", u, one))
    return graph.add("Where", graph.add("Equal", u, one), x, ratio)


COMPOSED: dict[str, Callable[[Graph, str], str]] = {"expm1": _expm1, "log1p": _log1p}
"""Operations that ONNX does not have."""


def emit(graph: Graph, program: Program, blocks: Mapping[Block, str], size: Callable[[Width], int]) -> dict[str, str]:
    """The states or emissions that the forward program of a stage makes.

    Parameters
    ----------
    graph : Graph
        The body to which the nodes are added.
    program : Program
        Its `gates` are pre-activations wherever it loads them; what it would leave on a tape is not computed.
    blocks : mapping of Block to str
        The values that it may load: (B, width), of params (width,).
    size : function
        Number of elements of a width.

    Returns
    -------
    dict of str to str
        By name: states (B, width); emissions that depend on no value of a row may have no axis of rows.
    """
    done: dict[int, str] = {}
    by_row = set[int]()

    def value(index: int) -> str:
        if index not in done:
            operation = program.operations[index]
            arguments = [value(each) for each in operation.args]
            done[index] = _node(graph, program, operation, arguments, blocks, size)
            loads = operation.block is not None and operation.block.kind != "params"
            if loads or not by_row.isdisjoint(operation.args):
                by_row.add(index)
        return done[index]

    out = {}
    for store in program.stores:
        block = store.block
        if block.kind in ("states", "emissions"):
            made = _number(graph, program.operations[store.source], value(store.source))
            if block.kind == "states" and store.source not in by_row:
                made = graph.add("Expand", made, graph.add("Shape", blocks[Block("prev", block.name)]))
            out[block.name] = made
    return out


def _node(
    graph: Graph,
    program: Program,
    operation: Operation,
    arguments: list[str],
    blocks: Mapping[Block, str],
    size: Callable[[Width], int],
) -> str:
    op = operation.op
    if op == "load":
        return blocks[operation.loaded]
    if op == "const":
        return graph.constant(operation.value)
    if op == "size":
        return graph.constant(float(size(operation.name)))
    if op in ACROSS or (op == "fill" and program.operations[operation.args[0]].width != 1):
        source = program.operations[operation.args[0]]
        x = _number(graph, source, arguments[0])
        if source.op in ("const", "size") and source.width == 1 != operation.width:
            x = graph.add("Expand", x, graph.integers(1, size(source.width)))
        return across(graph, op, x, *(size(each) for each in (operation.width, source.width, operation.groups)))
    if op == "fill":  # (B, 1) or (1,) to the width
        number = _number(graph, program.operations[operation.args[0]], arguments[0])
        return graph.add("Expand", number, graph.integers(1, size(operation.width)))
    conditions = len(arguments) if op in ("and", "or", "not") else 1 if op == "where" else 0
    for k, index in enumerate(operation.args[:conditions]):
        if program.operations[index].op not in LOGICAL:
            arguments[k] = graph.add("Cast", arguments[k], to=_BOOL)
    if op == "ne":
        return graph.add("Not", graph.add("Equal", *arguments))
    if op in COMPOSED:
        return COMPOSED[op](graph, *arguments)
    return graph.add(OPERATORS[op], *arguments)


_BOOL = 9  # TensorProto.BOOL


def _number(graph: Graph, operation: Operation, value: str) -> str:
    """A condition as 1 or 0."""
    return graph.add("Cast", value, to=graph.type) if operation.op in LOGICAL else value
