"""How far a dtype may be from the truth: a share of the row's largest number, and how the dtype moves the formula.

The twin is run in each dtype and in a wider one, on the same numbers: what its own rounding does to its values, a
kernel may do as well, some times over. Where float32 moves a row by more than `LOST`, or numbers are `HUGE`, it cannot
follow the formula, and the row is not looked at in float32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pylstm.cells.certification.certificate import SMALLEST_SCALE
from pylstm.cells.certification.problem import Inputs, Key, Problem, values
from pylstm.cells.certification.truth import Bounds, Truth
from pylstm.cells.twin import call

VALUES = {"float64": 1e-12, "float32": 2e-6}
GRADIENTS = {"float64": 1e-11, "float32": 1e-5}
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23}
WIDER = {"float64": np.longdouble, "float32": np.float64}
TIMES = 32
WILD = {"float64": 1e-5, "float32": 5e-2}
"""Tolerance of a formula whose backward was derived, where numbers of all sizes meet: its sums may cancel there."""
LOST, HUGE = 1e-3, 1e30
CAP = {"float64": 1e-9, "float32": LOST}
"""Most of a row's scale that is granted to the rounding of a backward written by hand: it may be what is wrong."""

CAP_BESIDE = {"float64": 1e-9, "float32": np.inf}
"""The same of how far it moves beside the numbers: what is wrong at the border of a domain alone moves there. Not in
float32, where one rounding may move a sine by a whole period; it is compared with a backward certified in float64."""

Moves = dict[str, Inputs]
"""Output -> (kind, name) -> (rows, 1)."""


@dataclass(frozen=True)
class Rounding:
    """What each dtype is allowed, row by row: arrays (rows, 1), in units of the values themselves.

    Attributes
    ----------
    values : dict of dtype to dict of (kind, name) to array
        Of what forward leaves on the tape.
    gradients : dict of dtype to dict of output to dict of (kind, name) to array
        Of the result of backward for each output alone.
    followed : array of bool (rows,)
        Rows that float32 can follow.
    """

    values: dict[str, Inputs]
    gradients: dict[str, Moves]
    followed: np.ndarray

    def rows(self, dtype: str) -> np.ndarray:
        """Numbers of the rows that are looked at in a dtype."""
        return np.flatnonzero(self.followed | (dtype == "float64"))

    def of_all(self, dtype: str, key: Key) -> Any:
        """Rounding of the cotangent of an input for those of all outputs together."""
        return sum(each[key] for each in self.gradients[dtype].values())

    def take(self, rows: Any) -> Rounding:
        """The roundings of some rows."""
        values = {dtype: {key: a[rows] for key, a in each.items()} for dtype, each in self.values.items()}
        gradients = {
            dtype: {output: {key: a[rows] for key, a in each.items()} for output, each in outputs.items()}
            for dtype, outputs in self.gradients.items()
        }
        return Rounding(values, gradients, self.followed[rows])


def follows(problem: Problem, forward: Any) -> bool:
    """Whether float32 can follow forward in all rows."""
    narrow, wide = (forward_in(problem, forward, dtype) for dtype in (np.float32, np.float64))
    return bool(_followed(narrow, wide).all())


def rounding(problem: Problem, forward: Any, backward: Any, truth: Truth, trusted: bool) -> Rounding:
    """Roundings of the twin's functions; `backward` may be None, and is `trusted` where it was derived."""
    dtypes = (np.float32, np.float64, np.longdouble)
    values: dict[Any, Inputs] = {dtype: forward_in(problem, forward, dtype) for dtype in dtypes}
    tapes = values | {np.float32: values[np.float64]}
    slopes: dict[Any, Moves] = {dtype: _backward(problem, backward, tapes[dtype], dtype) for dtype in dtypes}
    right = slopes[np.float64]
    bent = {dtype: _bent(problem, forward, backward, values[np.float64], right, dtype) for dtype in dtypes[:2]}
    followed = _followed(values[np.float32], values[np.float64], bent[np.float32][0])
    natural = np.maximum(1, largest(problem))
    scales = {output: scales_of({key: bounds.middle for key, bounds in each.items()}) for output, each in truth.items()}
    wild = np.ones((problem.rows, 1)) * trusted
    wild[problem.calm] = 0
    allowed_values, allowed_gradients = {}, dict[str, Moves]()
    for dtype in EPSILON:
        own, wider, least = np.dtype(dtype).type, WIDER[dtype], 4 * EPSILON[dtype] * natural
        base = np.maximum(VALUES[dtype], WILD[dtype] * wild)
        off, sizes = distances(values[own], values[wider]), scales_of(values[wider])
        allowed_values[dtype] = {
            key: np.maximum(base * sizes[key], least) + TIMES * np.maximum(off[key], bent[own][0][key]) for key in sizes
        }
        base = np.maximum(GRADIENTS[dtype], WILD[dtype] * wild)
        allowed_gradients[dtype] = {output: {} for output in truth}
        apart = {output: distances(slopes[own][output], slopes[wider][output]) for output in truth}
        for output, key, scale in ((name, key, scale) for name in truth for key, scale in scales[name].items()):
            moves = apart[output].get(key, np.zeros((1, 1)))
            if own is np.float32:
                followed &= ((scale < HUGE) & ((moves <= LOST * scale) | (not trusted)))[:, 0]
            moves, beside = TIMES * moves, TIMES * bent[own][1][output].get(key, 0)
            if not trusted:
                moves, beside = np.minimum(moves, CAP[dtype] * scale), np.minimum(beside, CAP_BESIDE[dtype] * scale)
            moves = moves + beside
            allowed_gradients[dtype][output][key] = np.maximum(base * scale, least) + moves
    return Rounding(allowed_values, allowed_gradients, followed)


def forward_in(problem: Problem, forward: Any, dtype: Any) -> Inputs:
    """What forward leaves on the tape in a dtype."""
    cast = _cast(problem.inputs, dtype)
    out = call(forward, **problem.spaces(cast))
    taped = dict(values(problem, out))
    return {key: cast["gate", key[1]] if key[0] == "gate" and key[1] not in out else a for key, a in taped.items()}


def _backward(problem: Problem, backward: Any, tape: Inputs, dtype: Any) -> Moves:
    """The cotangents for each output alone in a dtype, of those shapes that are right."""
    spaces = problem.spaces(_cast(problem.inputs, dtype)) | {
        "y": {name: a for (_, name), a in _cast(tape, dtype).items()}
    }
    del spaces["z"]
    zero = {name: np.zeros(d.shape, dtype) for name, d in problem.d.items()}
    found: Moves = {output: {} for output in problem.d}
    for output, d in problem.d.items() if backward else ():
        got = call(backward, **spaces, d=zero | _cast({output: d}, dtype))
        found[output] = {
            key: got[key[1]]
            for key, width in problem.input_widths.items()
            if key[1] in got and np.shape(got[key[1]]) == (problem.rows, width)
        }
    return found


def _bent(
    problem: Problem, forward: Any, backward: Any, tape: Inputs, right: Moves, dtype: Any
) -> tuple[Inputs, Moves]:
    """(rows, 1) each: how far values and cotangents move when all that the twin reads is off by a rounding of `dtype`.

    There a twin in `dtype` is off by other roundings of its own than on the numbers themselves; that counts, too.
    """
    moved: Inputs = dict.fromkeys(tape, np.zeros((problem.rows, 1)))
    slopes: Moves = {output: {} for output in problem.d}
    random = np.random.default_rng(3)
    for _ in range(2):
        beside = replace(problem, inputs=rounded(problem, problem.inputs, dtype, random))
        own = forward_in(beside, forward, dtype)
        values = forward_in(beside, forward, np.float64)
        for moves in (distances(values, tape), distances(own, values)):
            moved = {key: np.maximum(moved[key], moves.get(key, 0.0)) for key in moved}
        wrong = _backward(beside, backward, rounded(problem, tape, dtype, random), np.float64)
        for output, each in right.items():
            moves = distances(wrong[output], each)
            slopes[output] = {key: np.maximum(slopes[output].get(key, 0), moves[key]) for key in each}
    return moved, slopes


def rounded(problem: Problem, arrays: Inputs, dtype: Any, random: np.random.Generator) -> Inputs:
    """`arrays`, each number off by a rounding of `dtype` to either side, inside the domains."""
    epsilon = np.finfo(dtype).eps
    signs = 1 + epsilon * random.choice([-1.0, 1.0], sum(a.size for a in arrays.values()))
    parts = np.split(signs, np.cumsum([a.size for a in arrays.values()])[:-1])
    moved = {key: a * part.reshape(a.shape) for (key, a), part in zip(arrays.items(), parts)}
    for key in moved:
        low, high = problem.contract.domain.get(key[1], (None, None))
        if key[0] != "state" and (low, high) != (None, None):  # of new states nothing is declared
            moved[key] = np.clip(moved[key], low, high)
    return _cast(moved, dtype)


def _followed(narrow: Inputs, wide: Inputs, bent: Inputs | None = None) -> np.ndarray:
    """Rows that float32 moves little, and its roundings too."""
    bent = bent or dict.fromkeys(wide, np.zeros((1, 1)))
    off, scales = distances(narrow, wide), scales_of(wide)
    steady = [(np.maximum(off[key], bent[key]) <= LOST * scale) & (scale < HUGE) for key, scale in scales.items()]
    rows: np.ndarray = np.all(steady, axis=0)[:, 0]
    return rows


def distances(narrow: Inputs, wide: Inputs) -> Inputs:
    """The distances of a narrower dtype from a wider one, of each array (rows, 1).

    Infinite where one is not finite, and the other is. Arrays of one shape are looked at together.
    """
    found: Inputs = {}
    for keys in alike({key: array for key, array in wide.items() if key in narrow}):
        one, other = (np.array([each[key] for key in keys]) for each in (narrow, wide))
        off = np.asarray(np.abs(one - other), np.float64)
        if not np.isfinite(off).all():
            off = np.where(~np.isfinite(one) & ~np.isfinite(other), 0, np.where(np.isnan(off), np.inf, off))
        found |= zip(keys, _row_max(off))
    return found


def alike(arrays: Inputs) -> list[list[Key]]:
    """The keys of arrays of one shape together."""
    groups: dict[tuple[int, ...], list[Key]] = {}
    for key, array in arrays.items():
        groups.setdefault(np.shape(array), []).append(key)
    return list(groups.values())


def _cast(arrays: dict[Any, Any], dtype: Any) -> dict[Any, np.ndarray]:
    """The arrays in another dtype, read-only."""
    arrays = {key: np.array(array, dtype) for key, array in arrays.items()}
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


def scales_of(arrays: Inputs) -> Inputs:
    """The largest number of a row, at least `SMALLEST_SCALE`, of each array (rows, 1)."""
    found: Inputs = {}
    for keys in alike(arrays):
        largest = _row_max(np.array([arrays[key] for key in keys]))
        found |= zip(keys, np.maximum(largest, SMALLEST_SCALE).astype(np.float64))
    return {key: found[key] for key in arrays}


def _row_max(array: np.ndarray) -> np.ndarray:
    most: np.ndarray = np.abs(array).max(axis=-1, keepdims=True, initial=0.0)
    return most


def largest(problem: Problem) -> np.ndarray:
    """(rows, 1): the largest number that a row sees."""
    largest = np.zeros((problem.rows, 1))
    for array in problem.inputs.values():
        largest = np.maximum(largest, _row_max(np.atleast_2d(array)))
    return largest


def total(truth: Truth, key: Key) -> Bounds:
    """The cotangent of an input for those of all outputs."""
    first, *others = (each[key] for each in truth.values())
    for other in others:
        first = first + other
    return first
