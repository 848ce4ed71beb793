"""`Graph`: the nodes of an ONNX graph as they are added, with names that are used once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, TensorProto, ValueInfoProto, helper, numpy_helper

Shape = Sequence[str | int | None]
"""A name is an axis of any size, the same wherever the name is."""


class Graph:
    """One graph, or the body of an operator in another: then constants belong to the outermost graph, which it sees.

    Parameters
    ----------
    dtype : dtype
        Of all numbers that `constant` and `number` make.
    outer : Graph, optional
    """

    def __init__(self, dtype: np.dtype, outer: Graph | None = None) -> None:
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []
        self._root: Graph = outer._root if outer else self
        self._taken: set[str] = {"x", "y", "lengths", "probabilities"}  # which a parameter may be called, too
        self._constants: dict[Any, TensorProto] = {}

    @property
    def type(self) -> int:
        """ONNX's number of `dtype`."""
        return int(helper.np_dtype_to_tensor_dtype(self.dtype))

    def name(self, wish: str) -> str:
        """`wish`, or with a number behind it where another value has that name."""
        taken, name, k = self._root._taken, wish, 1
        while name in taken:
            name, k = f"{wish}.{k}", k + 1
        taken.add(name)
        return name

    def input(self, wish: str, kind: int, shape: Shape | None) -> str:
        """An input of the graph, of the outermost one with just this name."""
        name = wish if self._root is self else self.name(wish)
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, wish: str, value: str, kind: int, shape: Shape | None) -> None:
        """Make `value` an output of the graph, of the outermost one with just this name."""
        name = wish if self._root is self else self.name(wish)
        self.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """The result of a node with one output."""
        return self.add_many(op, inputs, 1, **attributes)[0]

    def add_many(self, op: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """The first `count` results of a node; inputs that are ``""`` are left out."""
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        names = [self.name(op.lower()) for _ in range(count)]
        self.nodes.append(helper.make_node(op, given, names, name=names[0], **attributes))
        return names

    def constant(self, value: Any, wish: str = "constant", dtype: Any = None) -> str:
        """An array of `dtype`, by default that of the graph; equal ones without a name of their own are one."""
        array = np.ascontiguousarray(value, dtype or self.dtype).reshape(np.shape(value))
        constants = self._root._constants
        key = (array.dtype.str, array.shape, array.tobytes()) if wish == "constant" else wish
        if key not in constants:
            constants[key] = numpy_helper.from_array(array, self.name(wish))
        return str(constants[key].name)

    def integers(self, *values: int) -> str:
        """A vector of int64: axes, sizes, shapes."""
        return self.constant(values, dtype="int64")

    def proto(self, name: str) -> GraphProto:
        """The graph of ONNX."""
        return helper.make_graph(
            self.nodes, name, self.inputs, self.outputs, list(self._constants.values()) if self._root is self else []
        )
