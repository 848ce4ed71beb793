"""The forward of a twin in each dtype against a wider one: it must be one formula, whatever the dtype.

On the same numbers a formula in float32 is off by its roundings alone. They are 2^29 times those of float64, which long
double shows, or what the formula moves by when its inputs are off by a rounding. A forward that is off by more computes
something else in that dtype, and what is certified in float64 says nothing about it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pylstm.cells.certification.certificate import Certificate
from pylstm.cells.certification.problem import Inputs, Problem
from pylstm.cells.certification.rounding import (
    EPSILON,
    HUGE,
    LOST,
    TIMES,
    VALUES,
    WIDER,
    distances,
    forward_in,
    largest,
    rounded,
    scales_of,
)
from pylstm.cells.certification.shaken import steady
from pylstm.cells.certification.truth import Bounds

RATIO = EPSILON["float32"] / EPSILON["float64"]
UNFOLLOWED = 1e-6
"""Largest share of a row's scale that float64 may be off where float32 is lost; it says nothing of the roundings."""


def certify_dtypes(certificate: Certificate, problem: Problem, forward: Any) -> None:
    """Record whether float32 and float64 follow the wider dtype, in all that forward leaves on the tape."""
    values: dict[Any, Inputs] = {
        dtype: forward_in(problem, forward, dtype) for dtype in (np.float32, np.float64, np.longdouble)
    }
    bent = {dtype: _bent(problem, forward, values[np.float64], dtype) for dtype in EPSILON}
    off = {dtype: distances(values[np.dtype(dtype).type], values[WIDER[dtype]]) for dtype in EPSILON}
    for key, scale in scales_of(values[np.float64]).items():
        beside = ({dtype: each[key] for dtype, each in moves.items()} for moves in (off, bent))
        allowed = _allowed(problem, scale, *beside)
        for dtype, most in allowed.items():
            if (off[dtype][key] > most).any():
                most = np.where(steady(problem, forward, dtype)[:, None], most, np.inf)
            got, truth = values[np.dtype(dtype).type][key], np.asarray(values[WIDER[dtype]][key], np.float64)
            name, by = f"{' '.join(key)} in {dtype}{problem.remark}", np.dtype(WIDER[dtype]).name
            got = np.where(np.isfinite(most), got, truth)
            certificate.compare("twin", name, got, Bounds(truth, truth), most, by, problem.places)


def _allowed(problem: Problem, scale: np.ndarray, off: dict[str, Any], bent: dict[str, Any]) -> dict[str, np.ndarray]:
    """(rows, 1) for each dtype: how far it may be from the wider one; infinite where it cannot follow that."""
    natural = np.maximum(1, largest(problem))
    least = {dtype: np.maximum(VALUES[dtype] * scale, 4 * EPSILON[dtype] * natural) for dtype in EPSILON}
    rounding = np.maximum(off["float64"], bent["float64"]) * RATIO
    single = least["float32"] + TIMES * np.maximum(rounding, bent["float32"])
    calm = np.isin(np.arange(problem.rows), problem.calm)[:, None]
    lost = (single > LOST * scale) | (scale > HUGE) | ~(calm | np.isfinite(off["float32"]))
    rounding = np.where(off["float32"] > LOST * scale, UNFOLLOWED * scale, TIMES * off["float32"] / RATIO)
    double = least["float64"] + np.maximum(rounding, TIMES * bent["float64"])
    return {"float32": np.where(lost, np.inf, single), "float64": double}


def _bent(problem: Problem, forward: Any, values: Inputs, dtype: str) -> Inputs:
    """(rows, 1) each: how far the values in float64 move when the inputs are off by a rounding of `dtype`."""
    random, moved = np.random.default_rng(3), dict.fromkeys(values, np.zeros((problem.rows, 1)))
    for _ in range(2):
        beside = replace(problem, inputs=rounded(problem, problem.inputs, dtype, random))
        for key, moves in distances(forward_in(beside, forward, np.float64), values).items():
            moved[key] = np.maximum(moved[key], moves)
    return moved
