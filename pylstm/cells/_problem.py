"""One stage of a cell on random numbers, and the true local derivatives there: differences of the twin's forward."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.cells.contract import Contract, Stage
from pylstm.cells.twin import call

ROWS = 3
LARGE = 4.0
COMPLEX_STEP = 1e-30
STEP = 1e-3
TOLERANCE = {"complex steps": 1e-11, "differences": 1e-8, "twin": 1e-11}
DOMAINS = (
    (),
    ("param", "aux"),
    ("param", "aux", "previous", "emission"),
    ("param", "aux", "previous", "emission", "gate"),
)
"""Kinds that are drawn positive: the first of these sets on which forward is finite is used."""

Key = tuple[str, str]
Inputs = dict[Key, np.ndarray]

SPACES = {"gate": "z", "previous": "prev", "emission": "e", "param": "p", "aux": "u"}


@dataclass(frozen=True)
class Problem:
    """One stage and random numbers for all that goes into it.

    Attributes
    ----------
    inputs : dict of (kind, name) to array
        (ROWS, width), of kind ``param`` (width,). Kinds are the keys of `SPACES`. All numbers are exact in float32,
        so that every dtype sees the same problem.
    d : dict of str to array (ROWS, width)
        Cotangent of each output: the emissions of the stage, or in the last stage the new states.
    """

    contract: Contract
    stage: Stage
    widths: dict[str, int]
    inputs: Inputs
    d: dict[str, np.ndarray]

    @property
    def last(self) -> bool:
        """Whether the stage makes the new states."""
        return self.stage is self.contract.stages[-1]

    @property
    def number(self) -> int:
        """Index of the stage."""
        return self.contract.stages.index(self.stage)

    @property
    def input_widths(self) -> dict[Key, int]:
        """Width of every input."""
        return {key: array.shape[-1] for key, array in self.inputs.items()}

    def spaces(self, inputs: Inputs) -> dict[str, dict[str, np.ndarray]]:
        """The namespaces of a twin's function, from the inputs."""
        spaces: dict[str, dict[str, np.ndarray]] = {space: {} for space in SPACES.values()}
        for (kind, name), array in inputs.items():
            spaces[SPACES[kind]][name] = array
        return spaces


@dataclass(frozen=True)
class Certified:
    """What is true of a stage.

    Attributes
    ----------
    tape : dict of (kind, name) to array (ROWS, width)
        The values that the twin leaves; kinds ``gate``, ``keep``, ``emission``, ``state``.
    truth : dict of str to dict of (kind, name) to array (ROWS, width)
        The cotangent of every input for that of each single output.
    method : str
        How the truth was found.
    """

    problem: Problem
    tape: Inputs
    truth: dict[str, Inputs]
    method: str

    @property
    def tolerance(self) -> float:
        """How far float64 may be from the truth."""
        return TOLERANCE[self.method]


def draw(contract: Contract, stage: Stage, widths: dict[str, int], positive: tuple[str, ...], seed: int) -> Problem:
    """Random numbers away from 0 and 1; the last row has large pre-activations. Kinds in `positive` are positive."""
    random = np.random.default_rng(seed)

    def block(kind: str, *shape: int) -> np.ndarray:
        values = random.uniform(0.3, 0.9, shape)
        if kind not in positive:
            values *= random.choice([-1.0, 1.0], shape)
        if kind == "gate":
            values[-1] *= LARGE
        values = values.astype(np.float32).astype(np.float64)
        values.flags.writeable = False  # a twin that works in place is told so
        return values

    before = contract.stages[: contract.stages.index(stage)]
    names = {
        "gate": stage.gates,
        "previous": contract.states,
        "emission": tuple(name for each in before for name in each.emits),
        "param": contract.params,
        "aux": contract.aux,
    }
    inputs = {
        (kind, name): block(kind, *((widths[name],) if kind == "param" else (ROWS, widths[name])))
        for kind, each in names.items()
        for name in each
    }
    outputs = contract.states if stage is contract.stages[-1] else stage.emits
    d = {name: block("cotangent", ROWS, widths[name]) for name in outputs}
    return Problem(contract, stage, widths, inputs, d)


def values(problem: Problem, out: dict[str, Any]) -> Iterator[tuple[Key, Any]]:
    """((kind, name), array) of all that the stage leaves on the tape, from what its forward returned."""
    for name in problem.stage.gates:
        yield ("gate", name), out.get(name, problem.inputs["gate", name])
    for name in problem.contract.keep:
        if name in out:
            yield ("keep", name), out[name]
    for name in problem.d:
        yield ("state" if problem.last else "emission", name), out[name]


def derivatives(problem: Problem, forward: Callable[..., dict[str, Any]]) -> tuple[dict[str, Inputs], str]:
    """Cotangent of every input for that of each single output, from differences of `forward`.

    Returns
    -------
    dict of str to dict of (kind, name) to array (ROWS, width)
        For each output. Of kind ``param`` too there is one row per batch row.
    str
        ``"complex steps"``, or where the twin is no analytic function of complex arrays ``"differences"`` (central,
        extrapolated by Richardson).
    """
    coarse = _central(problem, forward, STEP)
    exact = _complex(problem, forward)
    method = "complex steps"
    if exact is None or not _agree(exact, coarse):
        fine = _central(problem, forward, STEP / 2)
        better = {o: {key: (4 * fine[o][key] - coarse[o][key]) / 3 for key in fine[o]} for o in fine}
        if exact is None or not _agree(exact, better):  # else only the coarse ones were bad: near a pole of forward
            exact, method = better, "differences"
    contracted = {
        output: {key: np.einsum("kbj,bj->bk", jacobian, problem.d[output]) for key, jacobian in each.items()}
        for output, each in exact.items()
    }
    return contracted, method


Jacobians = dict[str, dict[Key, np.ndarray]]
"""Output -> input -> (units of the input, ROWS, units of the output)."""


def _agree(exact: Jacobians, coarse: Jacobians) -> bool:
    pairs = [(exact[o][key], coarse[o][key]) for o in exact for key in exact[o]]
    return all(np.abs(a - b).max(initial=0.0) <= 1e-4 * max(1.0, np.abs(b).max(initial=0.0)) for a, b in pairs)


def _complex(problem: Problem, forward: Callable[..., dict[str, Any]]) -> Jacobians | None:
    """By complex steps; None if the twin refuses complex arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            moved = _responses(problem, forward, COMPLEX_STEP * 1j)
        except Exception:  # whatever a twin does with a kind of array it was not written for
            return None
    return {o: {key: np.imag(a) / COMPLEX_STEP for key, a in each.items()} for o, each in moved.items()}


def _central(problem: Problem, forward: Callable[..., dict[str, Any]], step: float) -> Jacobians:
    above, below = _responses(problem, forward, step), _responses(problem, forward, -step)
    return {o: {key: (above[o][key] - below[o][key]) / (2 * step) for key in above[o]} for o in above}


def _responses(problem: Problem, forward: Callable[..., dict[str, Any]], step: complex) -> Jacobians:
    """The outputs with one unit of one input moved by `step`, for every unit of every input.

    Rows do not see each other, so all moves of inputs that have rows are made in a single call.
    """
    by_row = {key: array for key, array in problem.inputs.items() if key[0] != "param"}
    moves = sum(array.shape[1] for array in by_row.values())
    moved, ranges, start = dict(problem.inputs), {}, 0
    for key, array in by_row.items():
        unit = np.arange(array.shape[1])
        copies = np.empty((moves, *array.shape), np.result_type(array, step))
        copies[:] = array
        copies[start + unit, :, unit] += step
        moved[key] = copies.reshape(-1, len(unit))
        ranges[key] = slice(start, start + len(unit))
        start += len(unit)
    out = call(forward, **problem.spaces(moved))
    responses: Jacobians = {}
    for name, d in problem.d.items():
        all_moves = np.broadcast_to(out[name], (moves * ROWS, d.shape[1])).reshape(moves, *d.shape)
        responses[name] = {key: all_moves[range_] for key, range_ in ranges.items()}
    for key, array in problem.inputs.items():
        if key[0] == "param":
            outs = [
                call(forward, **problem.spaces(problem.inputs | {key: array + step * one}))
                for one in np.eye(len(array))
            ]
            for name in problem.d:
                responses[name][key] = np.stack([each[name] for each in outs])
    return responses
