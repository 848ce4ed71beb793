"""The true local derivatives of a stage: differences of the twin's own forward, between bounds.

Where forward is smooth the two bounds are one number, the complex step (Squire & Trapp, SIAM Review 40(1), 1998).
Where it has a kink, or a jump, any number between the derivatives to the left and to the right is right; where
forward does not exist on one side, nothing is known, and the bounds are infinite.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pylstm.cells.certification.anchors import Anchors
from pylstm.cells.certification.problem import Inputs, Key, Problem
from pylstm.cells.twin import call

COMPLEX_STEP = 1e-30
BESIDE = 1e10
"""Distance from 0, in complex steps, at which its two sides are looked at."""
STEP = 1e-7
COARSE = 1e-3
KINK = 1e-3
CANCELLED = 1e15
"""Size of the terms of a sum, in units of its rounding error."""

Forward = Callable[..., dict[str, Any]]
Jacobians = dict[str, dict[Key, np.ndarray]]
"""Output -> input -> (units of the input, rows, units of the output)."""
Respond = Callable[[Inputs, complex], Jacobians]
"""`_responses` of a problem, from steps and sign."""


@dataclass(frozen=True)
class Bounds:
    """What is true of an array: each element lies between those of `low` and `high`."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def exactly(cls, values: Any) -> Bounds:
        """Bounds that are one number; infinite where that is not finite."""
        values = np.asarray(values, np.float64)
        finite = np.isfinite(values)
        if finite.all():
            return cls(values, values)
        return cls(np.where(finite, values, -np.inf), np.where(finite, values, np.inf))

    @property
    def middle(self) -> np.ndarray:
        """The true values; 0 where nothing is known."""
        if self.low is self.high:
            return self.low
        known = np.isfinite(self.low) & np.isfinite(self.high)
        return np.where(known, 0.5 * np.where(known, self.low, 0) + 0.5 * np.where(known, self.high, 0), 0)

    @property
    def sharp(self) -> np.ndarray:
        """Rows where forward has a derivative, to within what differences can tell."""
        if self.low is self.high:
            return np.ones(self.low.shape, bool)
        with np.errstate(invalid="ignore"):
            narrow = self.high - self.low <= 1e-2 * KINK * np.maximum(1, np.abs(self.low))
        settled: np.ndarray = narrow & np.isfinite(self.low)
        return settled

    def __add__(self, other: Bounds) -> Bounds:
        low = self.low + other.low
        return Bounds(low, low if self.low is self.high and other.low is other.high else self.high + other.high)

    def __mul__(self, factor: float) -> Bounds:
        """The product with a positive factor."""
        return self._map(lambda array: array * factor)

    def take(self, rows: Any) -> Bounds:
        """Some rows."""
        return self._map(lambda array: array[rows])

    def sum(self) -> Bounds:
        """The sum over the rows."""
        return self._map(lambda array: array.sum(axis=0))

    def _map(self, function: Callable[[np.ndarray], np.ndarray]) -> Bounds:
        low = function(self.low)
        return Bounds(low, low if self.low is self.high else function(self.high))


Truth = dict[str, dict[Key, Bounds]]
"""Output -> input -> the cotangent of the input for that of the output alone, (rows, width), of parameters too."""


def derivatives(problem: Problem, forward: Forward, long: bool = False, elementwise: bool = False) -> tuple[Truth, str]:
    """Cotangent of every input for that of each single output; `long`: from complex steps in long double.

    `elementwise`: forward takes parameters that have rows, as what is derived from a formula does.

    Returns
    -------
    Truth
    str
        ``"complex steps"``, or ``"differences"`` where the twin is not an analytic function of complex arrays in places
        (there central ones, extrapolated by Richardson).
    """
    anchors = Anchors()
    out = anchors.call(forward, **problem.spaces(problem.inputs))
    respond = partial(_responses, problem, partial(anchors.call, forward), elementwise)
    exact = _complex(problem, respond, (np.clongdouble(1j), 1j) if long else (1j,))
    beside = _beside(problem, respond) if long and exact is not None else []
    sides, sizes = Sides(problem, respond, out, STEP), _sizes(problem, forward, out)
    finer: Sides | None = None
    coarse: Coarse | None = None
    truth: Truth = {}
    for output, d in problem.d.items():
        truth[output] = {}
        for key in problem.inputs:
            left, right, h = sides.of(output, key)
            value = None if exact is None else exact[output][key]
            at_zero = _column(problem.inputs[key]) == 0
            others = [each[output][key] for each in beside if at_zero.any()]
            bounds, doubtful, kink = _bounds(value, left, right, sizes[output], h, at_zero, others)
            if (kink | doubtful).any():
                finer = finer or Sides(problem, respond, out, STEP / 8)
                moves = _moves(left, right, *finer.of(output, key))
                jump = (kink | doubtful) & ~(moves <= 0.1 * np.maximum(1, np.maximum(np.abs(left), np.abs(right))))
                slack = np.where(jump, np.inf, np.where(kink, 2 * moves, 0))
                bounds = Bounds(bounds.low - slack, bounds.high + slack)
                doubtful &= ~jump
            if doubtful.any():
                coarse = coarse or Coarse(problem, respond, out)
                better, slack = coarse.of(output, key, (left + right) / 2)
                bounds = Bounds(
                    np.where(doubtful, better - slack, bounds.low), np.where(doubtful, better + slack, bounds.high)
                )
            truth[output][key] = _contracted(bounds, d)
    return truth, "complex steps" if coarse is None else "differences"


def _sizes(problem: Problem, forward: Forward, out: dict[str, Any]) -> dict[str, np.ndarray]:
    """The outputs without sign, and where sums cancel in a row the terms that did: as large as their rounding says."""
    inputs = {key: array.astype(np.longdouble) for key, array in problem.inputs.items()}
    try:
        wide = call(forward, **problem.spaces(inputs))
        off = {name: np.abs(np.asarray(out[name] - wide[name], np.float64)) for name in problem.d}
    except Exception:  # a twin that takes float64 alone
        off = {}
    sizes = {}
    for name in problem.d:
        lost = np.max(off.get(name, np.zeros((1, 1))), axis=-1, keepdims=True, initial=0.0)
        sizes[name] = np.maximum(np.abs(out[name]), np.where(np.isfinite(lost), CANCELLED * lost, 0))
    return sizes


class Sides:
    """Differences to the left and to the right."""

    def __init__(self, problem: Problem, respond: Respond, out: dict[str, Any], step: float) -> None:
        self.out, self.steps = out, {key: _step(array, step, 1e5 * step) for key, array in problem.inputs.items()}
        self.above, self.below = (respond(self.steps, sign) for sign in (1, -1))

    def of(self, output: str, key: Key) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Left, right, and the steps."""
        h, here = _column(self.steps[key]), self.out[output]
        return (here - self.below[output][key]) / h, (self.above[output][key] - here) / h, h


def _moves(left: np.ndarray, right: np.ndarray, *finer: np.ndarray) -> np.ndarray:
    """How far the differences of the two sides move with a shorter step: where they do not settle, there is a jump."""
    moves: np.ndarray = np.maximum(np.abs(left - finer[0]), np.abs(right - finer[1]))
    return moves


def _bounds(
    exact: np.ndarray | None,
    left: np.ndarray,
    right: np.ndarray,
    size: np.ndarray,
    h: np.ndarray,
    at_zero: np.ndarray,
    others: list[np.ndarray],
) -> tuple[Bounds, np.ndarray, np.ndarray]:
    """Bounds of a Jacobian; where nothing explains the differences; kinks, which may be jumps.

    At an exact 0 conditions may tie, and a complex step sees the tie alone: there the differences decide, and where it
    contradicts them nothing is known. Kinks that are too small for them show in `others`, complex steps beside 0.
    """
    noise = 1e-14 * np.maximum(1, size) / h
    scale = np.maximum(1, np.minimum(np.abs(left), np.abs(right)))
    bend = np.abs(right - left)
    kink = bend > KINK * scale + 10 * noise
    known = np.isfinite(left) & np.isfinite(right)
    doubtful = known & ~kink & ~at_zero
    agree = np.zeros(kink.shape, bool)
    if exact is not None:
        allowed = 1e-5 * np.abs(right) + bend + noise
        agree = doubtful & (np.abs(exact - (right + left) / 2) <= allowed)
        if agree.all():
            return Bounds.exactly(exact), ~agree, kink
        agree &= not (doubtful & ~agree).any()  # wrong in one place, complex steps are not to be trusted in others
        smooth = (
            at_zero
            & known
            & (noise <= 1e-6)
            & (bend <= 1e-5 * np.abs(right) + noise)
            & (np.abs(exact - right) <= allowed)
        )
        agree |= smooth
    slack = 1e-2 * bend + noise + 1e-5 * scale * at_zero
    low, high = np.minimum(left, right) - slack, np.maximum(left, right) + slack
    if exact is not None:
        known &= ~(at_zero & ~kink) | ((low <= exact) & (exact <= high))
        ends = [exact, *(np.where(np.abs(other - right) <= allowed, other, exact) for other in others)]
        low, high = np.where(agree, np.min(ends, axis=0), low), np.where(agree, np.max(ends, axis=0), high)
    return Bounds(np.where(known, low, -np.inf), np.where(known, high, np.inf)), doubtful & ~agree, kink


def _contracted(jacobian: Bounds, d: np.ndarray) -> Bounds:
    """(rows, units of the input): the product of a Jacobian and the cotangents of the output."""
    one = jacobian.low * d
    if jacobian.low is jacobian.high:
        return Bounds.exactly(one.sum(axis=-1).T)
    other = jacobian.high * d
    return Bounds(np.minimum(one, other).sum(axis=-1).T, np.maximum(one, other).sum(axis=-1).T)


class Coarse:
    """Central differences, extrapolated by Richardson, and how far they may be off."""

    def __init__(self, problem: Problem, respond: Respond, out: dict[str, Any]) -> None:
        self.out, self.steps = out, {key: _step(array, COARSE, 0.25) for key, array in problem.inputs.items()}
        self.moved = [
            respond({key: step * size for key, step in self.steps.items()}, sign)
            for size in (1, 0.5)
            for sign in (1, -1)
        ]

    def of(self, output: str, key: Key, finest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The derivatives, and their slack; `finest`: differences of much shorter steps, more noise and less bend."""
        h = _column(self.steps[key])
        a, b, c, d = (moved[output][key] for moved in self.moved)
        coarse, fine = (a - b) / (2 * h), (c - d) / h
        better = (4 * fine - coarse) / 3
        scale, off = np.maximum(1, np.abs(better)), np.abs(better - fine)
        straight = (off < 1e-5 * scale) & (np.abs(better - finest) < 1e-4 * scale)
        slack = 1e-8 * scale + np.where(straight, off, 10 * np.abs(coarse - fine) + np.abs(better - finest))
        return better, slack + 1e-15 * np.maximum(1, np.abs(self.out[output])) / h


def _step(array: np.ndarray, step: float, share: float) -> np.ndarray:
    """Steps for each element: a share of a small one, so that no step crosses 0 by accident."""
    size = np.abs(array)
    return np.where(size == 0, step, np.minimum(step * np.maximum(1, size), share * size))


def _column(step: np.ndarray) -> np.ndarray:
    """Steps of an input, (rows, units) or (units,), as (units, rows or 1, 1)."""
    return np.atleast_2d(step).T[:, :, None]


def _beside(problem: Problem, respond: Respond) -> list[Jacobians]:
    """Complex steps so near to each number that it is the same, and to either side of 0."""
    found = [_complex(problem, respond, (np.clongdouble(side + 1j), side + 1j)) for side in (BESIDE, -BESIDE)]
    return [each for each in found if each is not None]


def _complex(problem: Problem, respond: Respond, units: tuple[Any, ...]) -> Jacobians | None:
    """The truth by complex steps along the first of `units` that the twin takes; None if it refuses complex arrays."""
    steps = {key: np.full(array.shape, COMPLEX_STEP) for key, array in problem.inputs.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for unit in units:
            try:
                moved = respond(steps, unit)
            except Exception:  # whatever a twin does with a kind of array it was not written for
                continue
            return {
                o: {key: (np.imag(a) / COMPLEX_STEP).astype(np.float64) for key, a in each.items()}
                for o, each in moved.items()
            }
    return None


def _responses(problem: Problem, forward: Forward, elementwise: bool, steps: Inputs, sign: complex) -> Jacobians:
    """The outputs with one unit of one input moved by `sign` times its step, for every unit of every input.

    All moves of inputs that have rows are made in one call; those of parameters too, where forward is `elementwise`.
    """
    by_row = {
        key: np.broadcast_to(array, (problem.rows, array.shape[-1]))
        for key, array in problem.inputs.items()
        if elementwise or key[0] != "param"
    }
    moves = sum(array.shape[1] for array in by_row.values())
    moved, ranges, start = dict(problem.inputs), {}, 0
    for key, array in by_row.items():
        unit = np.arange(array.shape[1])
        copies = np.empty((moves, *array.shape), np.result_type(array, sign))
        copies[:] = array
        copies[start + unit, :, unit] += sign * np.atleast_2d(steps[key]).T
        moved[key] = copies.reshape(-1, len(unit))
        ranges[key] = slice(start, start + len(unit))
        start += len(unit)
    out = forward(**problem.spaces(moved))
    responses: Jacobians = {}
    for name, d in problem.d.items():
        all_moves = np.broadcast_to(out[name], (moves * problem.rows, d.shape[1])).reshape(moves, *d.shape)
        responses[name] = {key: all_moves[range_] for key, range_ in ranges.items()}
    for key, array in problem.inputs.items():
        if key not in by_row:
            outs = [
                forward(**problem.spaces(problem.inputs | {key: array + sign * step})) for step in np.diag(steps[key])
            ]
            for name in problem.d:
                responses[name][key] = np.stack([each[name] for each in outs])
    return responses


def along(
    problem: Problem, forward: Forward, out: dict[str, Any], key: Key, direction: np.ndarray, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """(rows,): the derivative of sum(d * outputs) of each row along `direction` of one input, and its slack.

    `out`: what forward returns at the inputs themselves.
    """
    anchors = Anchors()
    anchors.call(forward, **problem.spaces(problem.inputs))

    def moved(step: complex) -> Any:
        out = anchors.call(forward, **problem.spaces(problem.inputs | {key: problem.inputs[key] + step * direction}))
        return sum((d * out[name]).sum(axis=-1) for name, d in problem.d.items())

    finest = (moved(1e-6) - moved(-1e-6)) / 2e-6
    scale = np.maximum(1, np.abs(finest))
    noise = 1e-15 * sum(np.abs(d * out[name]).sum(axis=-1) for name, d in problem.d.items()) / 1e-6
    exact = np.full_like(finest, np.nan)
    if method == "complex steps":
        with warnings.catch_warnings(), suppress(Exception):  # as in `_complex`
            warnings.simplefilter("error")
            exact = np.imag(moved(COMPLEX_STEP * 1j)) / COMPLEX_STEP
    agree = np.abs(exact - finest) <= 1e-5 * scale + noise
    if agree.all():
        return exact, np.zeros_like(exact)
    coarse, fine = ((moved(step) - moved(-step)) / (2 * step) for step in (1e-3, 5e-4))
    better = (4 * fine - coarse) / 3
    straight = (np.abs(better - finest) <= 1e-5 * scale) & (np.abs(coarse - fine) <= 1e-2 * scale)
    slack = np.where(straight, 1e-6 * scale + np.abs(better - fine) + noise, np.inf)
    return np.where(agree, exact, np.where(straight, better, 0)), np.where(agree, 0, slack)
