"""`OnlinePart`: a layer of a stream that learns, and the segments of its parameters."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np

from pylstm.cells.contracts.structures import Diagonal, Rectangle
from pylstm.cells.influence import UnitInfluence
from pylstm.checks import Array, check_array, check_names
from pylstm.engine.levels import load
from pylstm.layers.inputs.learned import origin_of

engine = load("pylstm.engine.online")
WHOLE, OWN, NO_PRODUCT = 0, 1, 2
FACTOR, VECTOR, INITIAL = 0, 1, 2

Segment = tuple[Any, ...]
"""start, stride, elements of a row, rows, first unit, column, (source, offset), step, kind, state: see `online.pyx`."""

P = ParamSpec("P")
R = TypeVar("R")


def alone(method: Callable[P, R]) -> Callable[P, R]:
    """A method of a stream that is the only one at work on it; another thread meanwhile is refused."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        chain = args[0]._chain  # type: ignore[attr-defined]
        chain.hold()
        try:
            return method(*args, **kwargs)
        finally:
            chain.let_go()

    return call


class OnlinePart:
    """One layer of a stream that learns.

    Attributes
    ----------
    layer : Recurrent
    online : Online
        Of the engine.
    size : int
        Parameters as the loop has them.
    """

    def __init__(self, layer: Any, rows: int, how: int, influence: UnitInfluence | None, above: bool = False) -> None:
        self.layer, self.contract = layer, layer.cell.contract
        self.shapes = layer._maker.shapes if layer._maker else layer.params.shapes
        self.size = sum(int(np.prod(shape)) for shape in self.shapes.values())
        self.given = tuple(name for name in self.contract.aux if name != "x")
        if influence is None:
            self.online = engine.Online(layer._core, rows)
        else:
            states = [self.contract.states.index(name) for name in influence.states]
            units = [k for gate in self.contract.gates for k in range(layer.widths[gate])]
            self.online = engine.Online(layer._core, rows, how, states, list(self._segments(influence)), units, above)
        self.states = {name: self.online.block("states", k) for k, name in enumerate(self.contract.states)}

    def start(self, b: int) -> None:
        """The states of row `b` start anew."""
        for name, state in self.states.items():
            state[b] = origin_of(self.layer, name)

    def take_aux(self, aux: Mapping[str, Any] | None) -> None:
        """What comes with a step."""
        aux = {} if aux is None else aux
        check_names("aux", aux, self.given)
        for k, name in enumerate(self.contract.aux):
            if name == "x":
                continue
            shape = (self.online.rows, self.layer.widths[name])
            if aux.get(name) is None:
                raise ValueError(f"cell {self.contract.name!r} needs aux[{name!r}] at every step: shape {shape}")
            value = aux[name]
            value = np.reshape(value, shape) if self.online.rows == 1 and np.ndim(value) < 2 else value
            value = check_array(f"aux[{name!r}]", value, shape, self.layer.dtype)
            self.contract.check_aux(name, value)
            self.online.block("aux", k)[...] = value

    def pull(self, dflat: Array) -> Array:
        """The cotangent of ``params.flat``, from that of what the loop takes."""
        if self.layer._maker is None:
            return dflat
        pulled: Array = self.layer._maker.make(self.layer.params).pull(dflat, self.layer.params)
        return pulled

    def _segments(self, influence: UnitInfluence) -> Iterable[Segment]:
        contract, widths = self.contract, self.layer.widths
        starts = _starts(self.shapes, {name: int(np.prod(shape)) for name, shape in self.shapes.items()})
        columns, places = _starts(contract.gates, widths), _starts(contract.params, widths)
        for source in contract.sources:
            yield from self._of_source(source, influence, starts, columns)
        at = starts.get("bias", 0)
        for gate in contract.biased if "bias" in starts else ():
            if gate in influence.gates:
                yield at, 1, 1, widths[gate], 0, columns[gate], ("one", 0), 0, FACTOR, 0
            at += widths[gate]
        for name in contract.params:
            if name in influence.params:
                yield starts[name], 1, 1, widths[name], 0, places[name], ("one", 0), 0, VECTOR, 0
        for k, name in enumerate(influence.states):
            if name in self.layer.learn_initial:
                yield starts[f"initial_{name}"], 1, 1, widths[name], 0, 0, ("one", 0), 0, INITIAL, k

    def _of_source(
        self, source: str, influence: UnitInfluence, starts: Mapping[str, int], columns: Mapping[str, int]
    ) -> Iterable[Segment]:
        """Rows of the matrix of a source, as the products of the loop have them (`pylstm/layers/core.py`)."""
        contract, widths = self.contract, self.layer.widths
        matrix, gates = contract.matrices(widths)[source], contract.gates_of(source)
        native = source in contract.structure and not matrix.made
        own = isinstance(matrix.structure.kind, Diagonal) and native
        kind, names = ("prev", contract.states) if source in contract.states else ("emissions", contract.emissions)
        kind, offset = ("x", 0) if source == "x" else (kind, _starts(names, widths)[source])
        start, stride = starts[f"weight_{source}"], self.shapes[f"weight_{source}"][1]
        whole = [(k, sum(matrix.gates[:k]), Rectangle(0, N, 0, matrix.K)) for k, N in enumerate(matrix.gates)]
        for number, row, part in matrix.rectangles() if native else whole:
            if gates[number] in influence.gates:
                first = start + (row + part.row) * stride + part.stored
                from_ = kind, offset + part.column
                each = 1 if own else part.columns
                column = columns[gates[number]] + part.row
                yield first, stride, each, part.rows, part.row, column, from_, int(own), FACTOR, 0


def _starts(names: Iterable[str], widths: Mapping[str, int]) -> dict[str, int]:
    """Block -> where it begins, one after the other."""
    names = list(names)
    return dict(zip(names, itertools.accumulate((widths[name] for name in names), initial=0)))
