"""`add_reading` and `add_head`: the read-out and the head of a `SequenceModel`."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from pylstm.feedforward.linear import Linear
from pylstm.interop.onnx.graph import Graph
from pylstm.interop.onnx.layers import Layers
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.stack import Stack
from pylstm.models.statistics import LEAST


def add_head(graph: Graph, head: Any, x: str) -> str:
    """The outputs of a head, a `Linear` or an `MLP`, for features (..., W)."""
    maps = [head] if isinstance(head, Linear) else head.layers
    for k, each in enumerate(maps):
        prefix = "head." if isinstance(head, Linear) else f"head.{k}."
        if k:
            x = graph.add(head.activation.capitalize(), x)
        x = graph.add("MatMul", x, graph.constant(each.params["weight"].T, f"{prefix}weight"))
        x = graph.add("Add", x, graph.constant(each.params["bias"], f"{prefix}bias")) if each.bias else x
    return x


def add_reading(graph: Graph, layers: Layers, net: Any, y: str) -> str:
    """The features (N, W), or (T, N, W) of ``every``, from the outputs `y` (T, N, W), 0 beyond the end of a row.

    As `pylstm.models.reading` computes them.
    """
    if net.read == "every":
        return y
    return {"last": _last, "mean": _mean, "max": _max, "stats": _stats}[net.read](graph, layers, net, y)


def _last(graph: Graph, layers: Layers, net: Any, y: str) -> str:
    """The own last step of the columns that run forward, step 0 of those that run in reverse."""
    if layers.inside:  # all but the own last step as 0, summed
        zero, one = (graph.constant(number, dtype="int64") for number in (0, 1))
        steps = graph.add("Squeeze", graph.add("Shape", y, start=0, end=1), graph.integers(0))
        t = graph.add("Reshape", graph.add("Range", zero, steps, one), graph.integers(-1, 1, 1))
        is_last = graph.add("Equal", t, graph.add("Sub", _lengths(graph, layers, TensorProto.INT64), one))
        last = graph.add("Where", is_last, y, graph.constant(0.0))
        last = graph.add("ReduceSum", last, graph.integers(0), keepdims=0)
    else:
        last = graph.add("Gather", y, graph.constant(-1, dtype="int64"))
    top = net.layer.layers[-1] if isinstance(net.layer, Stack) else net.layer
    if not isinstance(top, Bidirectional):
        return last
    sizes = graph.integers(top.forward.output_size, top.reverse.output_size)
    forward, _ = graph.add_many("Split", [last, sizes], 2, axis=-1)
    first = graph.add("Gather", y, graph.constant(0, dtype="int64"))
    _, reverse = graph.add_many("Split", [first, sizes], 2, axis=-1)
    return graph.add("Concat", forward, reverse, axis=-1)


def _mean(graph: Graph, layers: Layers, net: Any, y: str) -> str:
    if not layers.inside:
        return graph.add("ReduceMean", y, graph.integers(0), keepdims=0)
    total = graph.add("ReduceSum", y, graph.integers(0), keepdims=0)
    steps = graph.add("Reshape", _lengths(graph, layers, graph.type), graph.integers(-1, 1))
    return graph.add("Div", total, graph.add("Max", steps, graph.constant(1.0)))


def _max(graph: Graph, layers: Layers, net: Any, y: str) -> str:
    """The maximum over the own steps; 0 of a row without steps."""
    if not layers.inside:
        return graph.add("ReduceMax", y, graph.integers(0), keepdims=0)
    inside = graph.add("Where", layers.inside, y, graph.constant(-np.inf))
    return _filled(graph, layers, graph.add("ReduceMax", inside, graph.integers(0), keepdims=0))


def _stats(graph: Graph, layers: Layers, net: Any, y: str) -> str:
    """Last step, mean, deviation, maximum and minimum; 0 of a row without steps."""
    last, mean, most = (read(graph, layers, net, y) for read in (_last, _mean, _max))
    least = graph.add("Neg", _max(graph, layers, net, graph.add("Neg", y)))
    centred = graph.add("Sub", y, graph.add("Unsqueeze", mean, graph.integers(0)))
    if layers.inside:
        centred = graph.add("Where", layers.inside, centred, graph.constant(0.0))
    variance = _mean(graph, layers, net, graph.add("Mul", centred, centred))
    deviation = _filled(graph, layers, graph.add("Sqrt", graph.add("Add", variance, graph.constant(LEAST))))
    return graph.add("Concat", last, mean, deviation, most, least, axis=-1)


def _filled(graph: Graph, layers: Layers, features: str) -> str:
    """Features (N, W) with 0 for rows without steps."""
    if not layers.inside:
        return features
    steps = graph.add("Reshape", _lengths(graph, layers, TensorProto.INT64), graph.integers(-1, 1))
    return graph.add(
        "Where", graph.add("Equal", steps, graph.constant(0, dtype="int64")), graph.constant(0.0), features
    )


def _lengths(graph: Graph, layers: Layers, kind: int) -> str:
    """Steps of each row, (1, N, 1)."""
    return graph.add("Reshape", graph.add("Cast", layers.lengths, to=kind), graph.integers(1, -1, 1))
