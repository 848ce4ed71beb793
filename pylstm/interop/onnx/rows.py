"""`across`: an operation across the units of a row as nodes."""

from __future__ import annotations

from pylstm.interop.onnx.graph import Graph


def across(graph: Graph, op: str, x: str, to: int, width: int, groups: int) -> str:
    """Rows (B, to) or (1, to) from x, (B, width) or (width,); `op` is one of `graph.ACROSS`, or ``fill``.

    A row is looked at as (groups, units of a group), of fold and tile as (groups, pieces, units of a piece).
    """

    def shaped(value: str, *shape: int) -> str:
        return graph.add("Reshape", value, graph.integers(-1, *shape))

    if op in ("row_sum", "row_max", "logsumexp"):
        reduction = {"row_sum": "ReduceSum", "row_max": "ReduceMax", "logsumexp": "ReduceLogSumExp"}[op]
        return graph.add(reduction, shaped(x, to, width // to), graph.integers(2), keepdims=0)
    if op == "softmax":
        return shaped(graph.add("Softmax", shaped(x, groups, width // groups), axis=2), width)
    if op in ("cumsum", "rcumsum"):
        parts = shaped(x, groups, width // groups)
        return shaped(graph.add("CumSum", parts, graph.integers(2), reverse=int(op == "rcumsum")), width)
    if op == "fill":
        return shaped(graph.add("Expand", shaped(x, width, 1), graph.integers(1, 1, to // width)), to)
    if op == "tile":
        parts = shaped(x, groups, 1, width // groups)
        return shaped(graph.add("Expand", parts, graph.integers(1, 1, to // width, 1)), to)
    pieces = shaped(x, groups, width // to, to // groups)
    return shaped(graph.add("ReduceSum", pieces, graph.integers(2), keepdims=0), to)
