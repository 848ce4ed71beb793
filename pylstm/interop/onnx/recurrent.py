"""One layer and direction in a graph: the operator LSTM, GRU or RNN where there is one for the cell, else `Scan`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto

from pylstm.cells import FormulaError, derive, hard_sigmoid
from pylstm.cells.contracts.contract import Contract
from pylstm.cells.formula import Block
from pylstm.cells.widths import evaluated
from pylstm.interop.onnx.formula import emit
from pylstm.interop.onnx.graph import Graph
from pylstm.interop.onnx.operators import CELLS, HARD, arrays_of, attributes
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.plugins import registry


@dataclass
class Call:
    """What a layer is called with: names of values of the graph.

    Attributes
    ----------
    x : str
        (T, B, I).
    initial : dict of str to str
        State -> (B, width); those that are absent are 0.
    zeros : function
        ``zeros(width)`` -> (B, width) of zeros.
    aux : dict of str to str
        (T, B, width), in the order of the steps of `x`.
    lengths, inside : str
        Steps of each row, int32 (B,), and whether a step is one of them, (T, B, 1); ``""``: all are.
    reset : str
        Whether a row starts anew before a step, (T, B, 1); ``""``: none does.
    reverse : bool
        From the last step to the first.
    """

    x: str
    initial: dict[str, str]
    zeros: Callable[[int], str]
    aux: dict[str, str] = field(default_factory=dict)
    lengths: str = ""
    inside: str = ""
    reset: str = ""
    reverse: bool = False


Result = tuple[str, dict[str, str]]
"""The output (T, B, width), 0 beyond the end of a row, and the final states (B, width)."""


def add_layer(graph: Graph, layer: RecurrentLayer, prefix: str, call: Call) -> Result:
    """The nodes of `layer`; its parameters are called as in ``params``, with `prefix` before the name."""
    native = is_native(graph, layer) and not call.reset  # no operator starts anew within a call
    return (_operator if native else _scan)(graph, layer, prefix, call)


def is_native(graph: Graph, layer: RecurrentLayer) -> bool:
    """Whether an operator computes the cell, in a dtype that onnxruntime has for it: the library's cell itself."""
    name = layer.cell.name
    if name in HARD:
        return graph.dtype == np.float32 and issubclass(layer.cell, hard_sigmoid.CELLS[name])
    return name in CELLS and graph.dtype == np.float32 and registry().get(name, certified=False) is layer.cell


def _operator(graph: Graph, layer: RecurrentLayer, prefix: str, call: Call) -> Result:
    kind, states = (CELLS | HARD)[layer.cell.name][0], layer.cell.contract.states
    found = {name: graph.constant(array, f"{prefix}{name}") for name, array in arrays_of(layer).items()}
    axis = graph.integers(0)
    first = {name: graph.add("Unsqueeze", value, axis) for name, value in call.initial.items()}
    inputs = [call.x, found["W"], found["R"], found.get("B", ""), call.lengths, *(first.get(n, "") for n in states)]
    options = attributes(layer) | {"direction": "reverse" if call.reverse else "forward"}
    if "Affine" in options["activations"]:
        options |= {"activation_alpha": [1.0], "activation_beta": [0.0]}
    y, *final = graph.add_many(kind, [*inputs, found.get("P", "")], 1 + len(states), **options)
    finals = {name: graph.add("Squeeze", value, axis) for name, value in zip(states, final)}
    if call.lengths:  # of a row without steps onnxruntime returns 0, whatever it begins with
        steps = graph.add("Unsqueeze", call.lengths, graph.integers(1))
        none = graph.add("Equal", steps, graph.constant(0, dtype="int32"))
        finals |= {name: graph.add("Where", none, first, finals[name]) for name, first in call.initial.items()}
    return graph.add("Squeeze", y, graph.integers(1)), finals


def _scan(graph: Graph, layer: RecurrentLayer, prefix: str, call: Call) -> Result:
    """A `Scan` over the steps, whose body is the formula of the cell."""
    contract, body = layer.cell.contract, Graph(graph.dtype, outer=graph)
    step = _Step(body, layer, prefix)
    initial = {name: call.initial.get(name) or call.zeros(layer.widths[name]) for name in contract.states}
    for name in contract.states:
        step.take(Block("prev", name), layer.widths[name])
    scanned = []
    if contract.gates_of("x"):
        scanned.append(step.product(graph, "x", call.x))
        step.products["x"] = step.split("x", body.input(f"{prefix}step.z", body.type, None))
    for name in contract.aux:
        scanned.append(call.x if name == "x" else call.aux[name])
        step.take(Block("aux", name), layer.widths[name])
    carried, flags = {name: step.blocks[Block("prev", name)] for name in contract.states}, {}
    for name, value in (("inside", call.inside), ("reset", call.reset)):
        if value:
            scanned.append(value)
            flags[name] = body.input(f"{prefix}step.{name}", TensorProto.BOOL, None)
    if "reset" in flags:
        step.start_anew(flags["reset"])
    inside, made = flags.get("inside", ""), step.run()
    for name, width in ((name, layer.widths[name]) for name in contract.states):
        new = made[name]
        if inside:
            new = body.add("Where", inside, new, carried[name])
        body.output(f"{prefix}step.{name}", new, body.type, ("B", width))
    y = made[contract.output]
    y = body.add("Where", inside, y, body.constant(0.0)) if inside else body.add("Identity", y)
    body.output(f"{prefix}step.y", y, body.type, ("B", layer.output_size))
    way = int(call.reverse)
    *final, y = graph.add_many(
        "Scan",
        [*initial.values(), *scanned],
        len(initial) + 1,
        body=body.proto(f"{prefix}{layer.cell.name}"),
        num_scan_inputs=len(scanned),
        scan_input_directions=[way] * len(scanned),
        scan_output_directions=[way],
    )
    return y, dict(zip(contract.states, final))


class _Step:
    """One step of a layer in the body of a `Scan`."""

    def __init__(self, body: Graph, layer: RecurrentLayer, prefix: str) -> None:
        self.body, self.layer, self.prefix = body, layer, prefix
        self.contract: Contract = layer.cell.contract
        self.blocks: dict[Block, str] = {}
        self.products: dict[str, dict[str, str]] = {}
        for name in self.contract.params:
            self.blocks[Block("params", name)] = body.constant(layer.params[name], f"{prefix}{name}")

    def take(self, block: Block, width: int) -> None:
        """A block that comes with every step."""
        self.blocks[block] = self.body.input(f"{self.prefix}step.{block.name}", self.body.type, ("B", width))

    def start_anew(self, flag: str) -> None:
        """Put 0, or the learned initial states, in the place of the previous ones where `flag` (B, 1) is true."""
        for name in self.contract.states:
            own = f"initial_{name}"
            learned = name in self.layer.learn_initial
            first = (
                self.body.constant(self.layer.params[own], self.prefix + own) if learned else self.body.constant(0.0)
            )
            self.blocks[Block("prev", name)] = self.body.add("Where", flag, first, self.blocks[Block("prev", name)])

    def run(self) -> dict[str, str]:
        """The new states: stage by stage, pre-activations, then the formula."""
        stages = _derivation(self.layer).stages
        made: dict[str, str] = {}
        for stage in self.contract.stages:
            for gate in stage.gates:
                self.blocks[Block("gates", gate)] = self._preactivation(gate)
            made = emit(self.body, stages[stage.name].forward, self.blocks, self._size)
            self.blocks |= {Block("emissions", name): made[name] for name in stage.emits}
        return made

    def _preactivation(self, gate: str) -> str:
        """The sum of the linear maps of the sources of `gate`, plus a bias."""
        total = ""
        for source in self._sources(gate):
            if source not in self.products:
                kind = "prev" if source in self.contract.states else "emissions"
                value = self.product(self.body, source, self.blocks[Block(kind, source)])
                self.products[source] = self.split(source, value)
            part = self.products[source][gate]
            total = self.body.add("Add", total, part) if total else part
        return total

    def product(self, graph: Graph, source: str, value: str) -> str:
        """value W' for all gates that `source` feeds, plus the biases of those of which it is the first source."""
        weight = self.layer.matrix(source)
        out = graph.add("MatMul", value, graph.constant(weight.T, f"{self.prefix}weight_{source}"))
        bias = self._bias(source)
        return graph.add("Add", out, graph.constant(bias, f"{self.prefix}bias_{source}")) if bias.any() else out

    def split(self, source: str, value: str) -> dict[str, str]:
        """Gate -> its columns of a product."""
        gates = self.contract.gates_of(source)
        if len(gates) == 1:
            return {gates[0]: value}
        sizes = self.body.integers(*(self.layer.widths[gate] for gate in gates))
        return dict(zip(gates, self.body.add_many("Split", [value, sizes], len(gates), axis=-1)))

    def _bias(self, source: str) -> np.ndarray:
        """The biases that a product brings, in the order of its rows; 0 for those of the others."""
        layer, own = self.layer, {}
        if layer.bias and self.contract.biased:
            ends = np.cumsum([layer.widths[gate] for gate in self.contract.biased])
            own = dict(zip(self.contract.biased, np.split(layer.params["bias"], ends[:-1])))
        zeros = {gate: np.zeros(layer.widths[gate], layer.dtype) for gate in self.contract.gates}
        return np.concatenate(
            [
                (own if self._sources(gate)[0] == source else zeros).get(gate, zeros[gate])
                for gate in self.contract.gates_of(source)
            ]
        )

    def _sources(self, gate: str) -> list[str]:
        """Its sources, x first: the bias goes with the product that all steps have at once."""
        return sorted(self.contract.gate_sources[gate], key=lambda source: source != "x")

    def _size(self, width: str | int) -> int:
        return evaluated(width, self.layer.widths.sizes)


def _derivation(layer: RecurrentLayer) -> Any:
    """The formulas of the cell; `TypeError` where a forward function cannot be read as one."""
    try:
        return derive(layer.cell)
    except (FormulaError, AttributeError) as error:
        raise TypeError(
            f"the cell {layer.cell.name!r} cannot be exported: it has no forward function that is a formula of the "
            f"functions of pylstm.cells ({error})"
        ) from None
