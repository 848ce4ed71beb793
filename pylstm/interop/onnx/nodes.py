"""`Nodes`: the nodes of an ONNX graph in order, each a function of arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pylstm.interop.onnx.arithmetic import OPERATORS, Attributes
from pylstm.interop.onnx.parametric import PARAMETRIC

Values = dict[str, Any]
TWICE = "{!r} is defined twice, the second time by {}: a value of an ONNX graph is defined once; write the file anew"


@dataclass(frozen=True)
class Node:
    """One operator.

    Attributes
    ----------
    op : str
    attributes : dict
    layered : RecurrentNode, LinearNode or ConvNode, optional
        What runs it if it has parameters.
    inputs, outputs : list of str
        An absent input is ``""``.
    """

    op: str
    attributes: Attributes
    layered: Any
    inputs: list[str]
    outputs: list[str]

    @property
    def function(self) -> Callable[..., Any]:
        """``function(attributes, *inputs)``: an array, or a tuple of them."""
        return self.layered or OPERATORS[self.op]

    @property
    def read(self) -> list[str]:
        """The names that it reads."""
        return [name for name in self.inputs if name]

    def run(self, values: Values) -> None:
        """Add to `values` what it makes."""
        made = self.function(self.attributes, *(values[name] if name else None for name in self.inputs))
        values.update(zip(self.outputs, made if isinstance(made, tuple) else (made,)))


@dataclass(frozen=True)
class Choice:
    """An ``If``: one of two branches, which see all that stands before them."""

    condition: str
    branches: dict[bool, Nodes]
    outputs: list[str]

    @property
    def read(self) -> list[str]:
        """The names that it reads, those of both branches with them."""
        return [self.condition, *(name for branch in self.branches.values() for name in branch.read)]

    def branch(self, values: Values) -> Nodes:
        """The one that `values` choose."""
        return self.branches[bool(np.all(values[self.condition]))]

    def run(self, values: Values) -> None:
        """Add to `values` what the chosen branch makes."""
        branch, inner = self.branch(values), dict(values)
        branch.run(inner)
        values.update(zip(self.outputs, (inner[name] for name in branch.outputs)))


class Nodes:
    """The nodes of a graph, or of a branch of an ``If``, in order; what reads constants only has been run.

    Parameters
    ----------
    graph : GraphProto
    opset : int
    constants : dict of str to ndarray
        What the graph sees of the one around it.
    known : set of str
        Names that stand before it.
    """

    def __init__(self, graph: Any, opset: int, constants: Values, known: set[str]) -> None:
        self._opset, own = opset, Counter(each.name for each in graph.initializer)
        if twice := [name for name, count in own.items() if count > 1]:
            raise ValueError(TWICE.format(twice[0], "an initializer"))
        self.constants = constants | {each.name: numpy_helper.to_array(each) for each in graph.initializer}
        self._known = known | self.constants.keys()
        self.outputs = [each.name for each in graph.output]
        self.steps: list[Node | Choice] = []
        for node in graph.node:
            if missing := [name for name in node.input if name not in self._known]:
                raise ValueError(f"{node.op_type} reads {missing[0]!r}, which nothing before it makes")
            if twice := [name for name in node.output if name and name in self._known]:
                raise ValueError(TWICE.format(twice[0], f"a node {node.op_type}"))
            self._known.update(node.output)
            self._take(node)

    @property
    def layers(self) -> Iterator[Any]:
        """The layers that hold its parameters, those of its branches with them."""
        for step in self.steps:
            if isinstance(step, Node):
                yield from getattr(step.layered, "layers", [])
            else:
                for branch in step.branches.values():
                    yield from branch.layers

    @property
    def chooses(self) -> bool:
        """Whether there is an ``If`` in it."""
        return any(isinstance(step, Choice) for step in self.steps)

    @property
    def read(self) -> set[str]:
        """The names that it reads and does not make."""
        made = {name for step in self.steps for name in step.outputs} | self.constants.keys()
        return {name for step in self.steps for name in step.read} - made | set(self.outputs) - made

    def run(self, values: Values) -> None:
        """Add to `values`, by name, what the nodes make."""
        values.update(self.constants)
        for step in self.steps:
            step.run(values)

    def _take(self, node: Any) -> None:
        """A node as a step, or at once where all that it reads is constant."""
        if node.op_type == "If":
            graphs = {each.name == "then_branch": each.g for each in node.attribute}
            branches = {way: Nodes(each, self._opset, self.constants, self._known) for way, each in graphs.items()}
            self.steps.append(Choice(node.input[0], branches, list(node.output)))
            return
        attributes = {each.name: _value(each) for each in node.attribute}
        if node.op_type == "Constant":
            (value,) = attributes.values()
            self.constants[node.output[0]] = np.asarray(value)
            return
        attributes |= {"opset": self._opset, "outputs": len(node.output)}
        make = PARAMETRIC.get(node.op_type)
        constants = [self.constants.get(name) for name in node.input]
        layered = make(node.op_type, attributes, constants) if make else None
        step = Node(node.op_type, attributes, layered, list(node.input), list(node.output))
        if all(name in self.constants for name in step.read):
            step.run(self.constants)
        else:
            self.steps.append(step)


def _value(attribute: Any) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value
