"""What a derived backward is allowed: its rules are right, only their conventions at single points may differ.

At a tie, as ``maximum(a, 0)`` at a = 0, the rules take one derivative of each term, as PyTorch does. Where the kinks of
several terms cancel, as in ``maximum(a, 0) + log1p(exp(-abs(a)))``, forward is smooth, and the sum of what the terms
gave is not its derivative there, while it is everywhere around.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from pylstm.cells.certification.problem import Problem, tape_of
from pylstm.cells.certification.truth import Bounds
from pylstm.cells.twin import call

NEAR = 1e-6
"""Steps to the points around: a share of each number, or from 0."""
AROUND = 1e-4
"""Share of the row's scale (at least 1) by which the derivative is moved on that way."""


def excuse(
    certified: Any, forward: Any, cotangents: Callable[[Any, dict[str, np.ndarray]], Any], name: str, notes: list[str]
) -> None:
    """Widen the truth of `certified`: to anything where a cotangent is not finite, at ties to what the rules say.

    `cotangents` calls backward, whose `name` is for the notes.
    """
    problem = certified.problem
    zero = {output: np.zeros_like(d) for output, d in problem.d.items()}
    around: list[Any] = []
    for output, d in problem.d.items():
        got, beside = cotangents(certified, zero | {output: d}), list[Any]()
        for key, bounds in certified.truth[output].items():
            slack = AROUND * np.maximum(1, np.abs(bounds.middle).max(axis=-1, keepdims=True, initial=0.0))
            if ((bounds.low - slack <= got[key]) & (got[key] <= bounds.high + slack)).all():
                continue
            around = around or [_moved(certified, forward, sign) for sign in (1, -1)]
            beside = beside or [cotangents(each, zero | {output: d}) for each in around]
            lost = ~np.isfinite(got[key])
            low, high = np.where(lost, -np.inf, bounds.low), np.where(lost, np.inf, bounds.high)
            outside = (got[key] < low - slack) | (got[key] > high + slack)
            tied = outside & np.all(
                [(low - slack <= each[key]) & (each[key] <= high + slack) for each in beside], axis=0
            )
            if not (lost | tied).any():
                continue
            low, high = np.where(tied, np.minimum(low, got[key]), low), np.where(tied, np.maximum(high, got[key]), high)
            if tied.any():
                at = tuple(int(k) for k in np.argwhere(tied)[0])
                place = problem.places[at[0]] or "no input is special"
                notes.append(
                    f"{name}: at the tie where {place}{problem.remark} d {output} / d {' '.join(key)} is "
                    f"{got[key][at]:.6g}, from the terms of the formula, and around it {beside[0][key][at]:.6g}"
                )
            certified.truth[output][key] = Bounds(low, high)


def _moved(certified: Any, forward: Any, sign: float) -> Any:
    """The same problem beside its points, inside the domains."""
    problem: Problem = certified.problem
    random, inputs = np.random.default_rng(7), {}
    for key, array in problem.inputs.items():
        size = np.where(array == 0, NEAR, NEAR * np.abs(array))
        inputs[key] = array + sign * size * random.choice([-1.0, 1.0], array.shape) * random.uniform(
            0.5, 1, array.shape
        )
        low, high = problem.contract.domain.get(key[1], (None, None))
        if (low, high) != (None, None):
            inputs[key] = np.clip(inputs[key], low, high)
        inputs[key].flags.writeable = False
    beside = replace(problem, inputs=inputs)
    return replace(certified, problem=beside, tape=tape_of(beside, call(forward, **beside.spaces(inputs))))
