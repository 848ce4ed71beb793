"""`World`: a random net and its runs, on which a claim is tested."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pylstm.cells.auditing.recursion import Formula, Recursion, pre_activations
from pylstm.cells.auditing.reference import Arrays, Tape, forward, maps
from pylstm.cells.cell import Cell
from pylstm.cells.contracts.contract import Contract


@dataclass(frozen=True)
class Steps:
    """What a claimed recursion is given: a run of `T` steps of a random net, time-major, in float64.

    Attributes
    ----------
    T : int
    x : array (T, B, I)
    states : dict of str to array (T+1, B, width)
        Row 0 is the initial state, not zero; row t+1 belongs to the other arrays' row t.
    gates, keep, emissions : dict of str to array (T, B, width)
        As the cell leaves them: a gate has its activated value, if the cell puts that on the tape.
    dstates : dict of str to array (T, B, width)
        What the loss itself sends into each state: for the output of a cell with a linear layer V on top, V'(y^ - y).
    params : dict of str to array
    """

    T: int
    x: np.ndarray
    states: Arrays
    gates: Arrays
    keep: Arrays
    emissions: Arrays
    dstates: Arrays
    params: Arrays
    z: Arrays
    _rows: dict[tuple[str, str], slice] = field(repr=False)
    _output: str = field(repr=False)
    _matrices: Arrays = field(repr=False)

    @property
    def dy(self) -> np.ndarray:
        """`dstates` of the output, (T, B, width)."""
        return self.dstates[self._output]

    def weight(self, gate: str, source: str) -> np.ndarray:
        """The matrix from `source` to `gate`, shape (width of the gate, width of the source): z = weight @ source."""
        return self._matrices[source][self._rows[gate, source]]


class World:
    """One random net and its runs: a shorter run is the beginning of a longer one."""

    def __init__(self, cell: type[Cell], longest: int, loss: Any, seed: int, sizes: dict[str, int]) -> None:
        self.cell, self.contract, self.formula = cell, cell.contract, Formula(cell)
        self.loss = _check_loss(self.contract, loss)
        random, rows = np.random.default_rng(seed), 4
        needed = {name: 5 for name, default in self.contract.sizes.items() if default is None}
        self.extra = needed | {k: v for k, v in sizes.items() if k not in ("input_size", "hidden_size")}
        widths = self.contract.resolve(sizes.get("input_size", 3), sizes.get("hidden_size", 4), **self.extra)
        shapes = self.contract.parameter_shapes(widths)
        self.params = {name: random.normal(size=shape) for name, shape in shapes.items()}
        self.params |= {name: random.uniform(0.3, 0.9, shapes[name]) for name in self.contract.params}
        self.x = random.normal(size=(longest, rows, widths["x"]))
        self.initial = {name: random.uniform(0.3, 0.9, (rows, widths[name])) for name in self.contract.states}
        names = [name for name in self.contract.aux if name != "x"]
        self.aux = {name: random.uniform(0.3, 0.9, (longest, rows, widths[name])) for name in names}
        self.d = {name: random.normal(size=(longest, rows, widths[name])) for name in self.contract.states}
        self.rows = {(gate, source): each for gate, source, each in maps(self.contract, widths)}

    def run(self, T: int) -> tuple[Tape, Arrays]:
        """The tape of T steps, and the cotangents that the loss sends into the states."""
        aux = {name: array[:T] for name, array in self.aux.items()}
        tape = forward(self.cell, self.params, self.x[:T], self.initial, aux, sizes=self.extra)
        if not all(np.isfinite(states).all() for states in tape.states.values()):
            raise ValueError(f"cell {self.cell.name!r} returns NaN or infinity on random numbers: try another seed")
        dstates = {name: np.zeros_like(d[:T]) for name, d in self.d.items()}
        for name, when in self.loss.items():
            steps = slice(None, T) if when == "every" else slice(T - 1, T)
            dstates[name][steps] = self.d[name][steps]
        return tape, dstates

    def recursion(self, T: int, **options: Any) -> Recursion:
        """A backward pass over the run of T steps."""
        return Recursion(*self.run(T), self.formula, **options)

    def steps(self, T: int) -> Steps:
        """What the claim sees."""
        tape, dstates = self.run(T)
        z = [pre_activations(tape, t) for t in range(T)]
        by_gate = {gate: np.array([each[gate] for each in z]) for gate in tape.gates}
        states, gates, keep, emissions = (
            {n: a.copy() for n, a in each.items()} for each in (tape.states, tape.gates, tape.keep, tape.emissions)
        )
        params = {name: array.copy() for name, array in self.params.items()}
        x, output = tape.x.copy(), self.contract.output
        return Steps(T, x, states, gates, keep, emissions, dstates, params, by_gate, self.rows, output, tape.matrices)


def _check_loss(contract: Contract, loss: dict[str, str] | None) -> dict[str, str]:
    loss = {contract.output: "every"} if loss is None else dict(loss)
    for name, when in loss.items():
        if name not in contract.states or when not in ("every", "last"):
            states = ", ".join(contract.states)
            raise ValueError(f"loss must map states ({states}) to 'every' or 'last', got {name!r}: {when!r}")
    return loss
