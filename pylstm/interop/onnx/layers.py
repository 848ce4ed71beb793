"""`Layers`: recurrent layers of a graph, of one direction or two, one on another, and their states."""

from __future__ import annotations

from typing import Any

from onnx import TensorProto

from pylstm.interop.onnx.graph import Graph
from pylstm.interop.onnx.recurrent import Call, add_layer
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.layers.stack import Stack


class Layers:
    """What the layers of one graph share.

    Parameters
    ----------
    graph : Graph
    axes : pair of str
        Names of the axes of steps and rows, in the order of the inputs: ``("T", "B")`` or ``("N", "T")``.
    asked : dict of str to bool
        ``states``: whether initial states are inputs and final states outputs; ``lengths``, ``reset``: whether these
        are inputs.

    Attributes
    ----------
    lengths, inside : str
        Steps of each row, int32 (B,), and whether a step is one of them, (T, B, 1); ``""``: all are.
    resets : tuple of str
        Whether a row starts anew before a step, (T, B, 1), forward and in reverse; empty: none does.
    """

    def __init__(self, graph: Graph, axes: tuple[str, str], asked: dict[str, bool]) -> None:
        self.graph, self.axes, self._asked, self._states = graph, axes, asked, asked["states"]
        self.lengths = self.inside = self._batch = ""
        self.resets: tuple[str, ...] = ()
        self._finals: list[tuple[str, str, int]] = []

    @property
    def rows(self) -> str:
        """The name of the axis of rows."""
        return self.axes[0] if self.axes[1] == "T" else self.axes[1]

    def turned(self, value: str, rank: int = 3) -> str:
        """A value with axes of steps and rows in the order of the inputs as (T, rows, ...), and back."""
        if self.axes[0] == "T":
            return value
        return self.graph.add("Transpose", value, perm=[1, 0, 2][:rank])

    def take(self, x: str) -> None:
        """Take the number of rows from `x` (T, rows, ...); make inputs of their steps and resets where asked."""
        self._batch = self.graph.add("Shape", x, start=1, end=2)
        if self._asked["lengths"]:
            self._take_lengths(x)
        if self._asked["reset"]:
            self._take_resets()

    def _take_lengths(self, x: str) -> None:
        graph = self.graph
        self.lengths = graph.input("lengths", TensorProto.INT32, (self.rows,))
        steps = graph.add("Squeeze", graph.add("Shape", x, start=0, end=1), graph.integers(0))
        zero, one = (graph.constant(number, dtype="int64") for number in (0, 1))
        t = graph.add("Reshape", graph.add("Range", zero, steps, one), graph.integers(-1, 1, 1))
        own = graph.add("Cast", self.lengths, to=TensorProto.INT64)
        self.inside = graph.add("Less", t, graph.add("Reshape", own, graph.integers(1, -1, 1)))

    def _take_resets(self) -> None:
        """Make the beginnings of sequences an input: nothing passes from the step before to such a step, or back."""
        graph = self.graph
        flags = self.turned(graph.input("reset", TensorProto.BOOL, self.axes), 2)
        forward = graph.add("Unsqueeze", flags, graph.integers(2))
        zero, one, end = (graph.integers(each) for each in (0, 1, 2**31 - 1))
        # in reverse a step starts anew if a sequence begins at the one after it, which is one of the row
        own = graph.add("And", forward, self.inside) if self.inside else forward
        none = graph.add("Less", self._batch, zero)  # False
        last = graph.add("Expand", none, graph.add("Concat", one, self._batch, one, axis=0))
        self.resets = forward, graph.add("Concat", graph.add("Slice", own, one, end, zero), last, axis=0)

    def within(self, value: str) -> str:
        """A value (T, rows, width) with 0 beyond the end of each row."""
        return self.graph.add("Where", self.inside, value, self.graph.constant(0.0)) if self.inside else value

    def run(self, layer: Any, x: str, prefix: str = "") -> str:
        """The output (T, rows, width) of a layer over `x` (T, rows, I); parameters and states have the prefix."""
        if isinstance(layer, RecurrentLayer):
            return self._direction(layer, x, prefix)
        if isinstance(layer, Bidirectional):
            return self._both(layer, x, prefix)
        return self._stack(layer, x)

    def finish(self) -> None:
        """Make the final states outputs, behind all others."""
        for name, value, width in self._finals:
            self.graph.output(f"final.{name}", value, self.graph.type, (self.rows, width))

    def _stack(self, stack: Stack, x: str) -> str:
        if any(stack.residual):
            x = self.within(x)
        for k, layer in enumerate(stack.layers):
            y = self.run(layer, x, f"{k}.")
            x = self.graph.add("Add", y, x) if stack.residual[k] else y
        return x

    def _both(self, layer: Bidirectional, x: str, prefix: str) -> str:
        parts = (layer.forward, ""), (layer.reverse, "reverse.")
        ys = [self._direction(each, x, f"{prefix}{own}", reverse=bool(own)) for each, own in parts]
        return self.graph.add("Concat", *ys, axis=-1)

    def _direction(self, layer: RecurrentLayer, x: str, prefix: str, *, reverse: bool = False) -> str:
        graph, contract = self.graph, layer.cell.contract
        initial, aux = {}, {}
        for name in contract.states:
            if self._states:
                shape = (self.rows, layer.widths[name])
                initial[name] = graph.input(f"initial.{prefix}{name}", graph.type, shape)
            elif name in layer.learn_initial:
                first = graph.constant(layer.params[f"initial_{name}"], f"{prefix}initial_{name}")
                initial[name] = self._over_rows(first, layer.widths[name])
        for name in contract.aux:
            if name != "x":
                per_step = (*self.axes, layer.widths[name])
                aux[name] = self.turned(graph.input(f"aux.{prefix}{name}", graph.type, per_step))
        call = Call(x, initial, self._zeros, aux, self.lengths, self.inside, reverse=reverse)
        if self.resets:
            call.reset = self.resets[reverse]
        y, final = add_layer(graph, layer, prefix, call)
        if self._states:
            self._finals += [(f"{prefix}{name}", value, layer.widths[name]) for name, value in final.items()]
        return y

    def _zeros(self, width: int) -> str:
        return self._over_rows(self.graph.constant(0.0), width)

    def _over_rows(self, value: str, width: int) -> str:
        """A value of one row, repeated: (rows, width)."""
        return self.graph.add(
            "Expand", value, self.graph.add("Concat", self._batch, self.graph.integers(width), axis=0)
        )
