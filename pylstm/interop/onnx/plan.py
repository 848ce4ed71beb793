"""`Plan`: a graph for inputs of given shapes. What shapes and constants determine is done once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pylstm.interop.onnx.bound import SAME, bind
from pylstm.interop.onnx.nodes import Choice, Node, Nodes, Values

SHAPING = {"Reshape": 1, "Slice": 1, "Pad": 1, "Expand": 1, "Squeeze": 1, "Unsqueeze": 1, "Split": 1, "ReduceSum": 1}
SHAPING |= {"ReduceMean": 1, "ReduceMax": 1, "ReduceMin": 1, "ConstantOfShape": 0, "Range": 0}
"""Operator -> the first of its inputs whose values determine the shape of the result."""

Step = tuple[Callable[..., Any], list[int], int | list[int]]
"""A function, and the places of what it reads and makes."""


class Plan:
    """The steps of a call, over places that hold values.

    Parameters
    ----------
    nodes : Nodes
    given : dict of str to ndarray
        Inputs, of the shapes that the plan is for.
    known : set of str
        Inputs whose values are the same in all calls.
    outputs : sequence of str

    Attributes
    ----------
    first : list of ndarray
        The outputs for `given`.

    Notes
    -----
    The steps are laid out as they are done, on `given`. A value is *known* if it is a constant or made of known ones
    only, and its shape is *fixed* if all that it was made from has a fixed shape; the shape of a fixed one is known. A
    branch that a known value chooses is a part of the plan, another is chosen in every call. What no output needs is
    left out.
    """

    def __init__(self, nodes: Nodes, given: Values, known: set[str], outputs: Sequence[str]) -> None:
        self._places: list[Any] = []
        self._steps: list[Step] = []
        self._at: dict[str, int] = {}  # name -> place, of what is not known
        self._fixed = set(given)
        for name in given:
            if name not in known:
                self._at[name] = self._new_place()
        self._inputs = [self._at.get(name) for name in given]
        values = dict(given)
        self._trace(nodes, values)
        self.first = [np.array(values[name]) for name in outputs]
        self._outputs = [self._at[name] if name in self._at else self._new_place(values[name]) for name in outputs]
        self._leave_out()

    def run(self, given: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs, new arrays, for other values of the inputs."""
        places = self._places
        for place, array in zip(self._inputs, given):
            if place is not None:
                places[place] = array
        for function, inputs, output in self._steps:
            made = function(*[places[k] for k in inputs])
            if type(output) is int:
                places[output] = made
            else:
                for k, each in zip(output, made):  # type: ignore[arg-type]
                    places[k] = each
        return [np.array(places[k]) for k in self._outputs]

    def _trace(self, nodes: Nodes, values: Values) -> None:
        """Add the steps of `nodes`, whose results go to `values`."""
        values.update(nodes.constants)
        self._fixed |= nodes.constants.keys()
        for name in nodes.constants:  # a constant of a branch hides what has its name around it
            self._at.pop(name, None)
        for step in nodes.steps:
            if isinstance(step, Node):
                self._add(step, values)
            elif step.condition in self._at:
                self._choose(step, values)
            else:
                self._follow(step, values)

    def _add(self, node: Node, values: Values) -> None:
        shaping = node.inputs[SHAPING.get(node.op, len(node.inputs)) :]
        fixed = all(name in self._fixed for name in node.read) and not any(name in self._at for name in shaping)
        if fixed:
            self._fixed.update(node.outputs)
        if not any(name in self._at for name in node.read) or (fixed and node.op in ("Shape", "Size")):
            node.run(values)
            return
        arrays = [values[name] if name else None for name in node.inputs]
        unknown = [k for k, name in enumerate(node.inputs) if name in self._at]
        function = bind(node, arrays, unknown, fixed)
        if function is SAME:
            self._call_also(node.outputs[0], node.inputs[0], values)
        else:
            self._append(function, [node.inputs[k] for k in unknown], node.outputs, values)

    def _follow(self, step: Choice, values: Values) -> None:
        """The branch that a known value chooses; what it names, other branches and the graph may name, too."""
        branch, inner, at, fixed = step.branch(values), dict(values), dict(self._at), set(self._fixed)
        self._trace(branch, inner)
        for name, made in zip(step.outputs, branch.outputs):
            values[name] = inner[made]
            if made in self._at:
                at[name] = self._at[made]
            if made in self._fixed:
                fixed.add(name)
        self._at, self._fixed = at, fixed

    def _choose(self, step: Choice, values: Values) -> None:
        """A branch that every call chooses."""
        names = sorted({name for name in step.read if name in self._at})
        rest = {name: values[name] for name in step.read if name in values and name not in self._at}

        def choose(*given: Any) -> Any:
            inner = rest | dict(zip(names, given))
            step.run(inner)
            return tuple(inner[name] for name in step.outputs)

        self._append(choose, names, step.outputs, values)

    def _append(self, function: Any, names: list[str], outputs: list[str], values: Values) -> None:
        """A step, which is done at once."""
        made = function(*[values[name] for name in names])
        several = isinstance(made, tuple | list)
        values.update(zip(outputs, made if several else (made,)))
        places = [self._new_place() for _ in outputs]
        self._steps.append((function, [self._at[name] for name in names], places if several else places[0]))
        self._at.update(zip(outputs, places))

    def _call_also(self, name: str, other: str, values: Values) -> None:
        """`name` for the value that `other` has."""
        values[name] = values[other]
        if other in self._at:
            self._at[name] = self._at[other]
        if other in self._fixed:
            self._fixed.add(name)

    def _new_place(self, value: Any = None) -> int:
        self._places.append(value)
        return len(self._places) - 1

    def _leave_out(self) -> None:
        """The steps whose results nobody needs."""
        needed, kept = set(self._outputs), []
        for step in reversed(self._steps):
            made = [step[2]] if isinstance(step[2], int) else step[2]
            if needed.intersection(made):
                needed.update(step[1])
                kept.append(step)
        self._steps = kept[::-1]
