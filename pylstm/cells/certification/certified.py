"""What is true of one stage of a cell, and the ways in which its backward is called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pylstm.cells.certification import problem as problems
from pylstm.cells.certification.problem import CORE, Inputs, Key, Problem
from pylstm.cells.certification.rounding import Rounding
from pylstm.cells.certification.truth import Truth

BATCHES = (2, 3, 4, 5, 8, 9, 16, 17)
"""Numbers of rows that are tried, besides one and all."""
SCALES = {"1e12 times larger": 2.0**40, "1e12 times smaller": 2.0**-40}
"""Cotangents of other sizes: backward is linear in them."""


@dataclass(frozen=True)
class Certified:
    """What is true of a stage at the places of a problem.

    Attributes
    ----------
    tape : dict of (kind, name) to array (rows, width)
        The values that the twin leaves; kinds ``gate``, ``keep``, ``emission``, ``state``.
    truth : dict of str to dict of (kind, name) to Bounds of (rows, width)
        The cotangent of every input for that of each single output.
    method : str
        How the truth was found.
    rounding : Rounding
        What each dtype is allowed.
    """

    problem: Problem
    tape: Inputs
    truth: Truth
    method: str
    rounding: Rounding

    def take(self, rows: Any) -> Certified:
        """Some of the rows."""
        if np.array_equal(rows, np.arange(self.problem.rows)):
            return self
        truth = {
            output: {key: bounds.take(rows) for key, bounds in each.items()} for output, each in self.truth.items()
        }
        return replace(self.on(rows), truth=truth, rounding=self.rounding.take(rows))

    def on(self, rows: Any) -> Certified:
        """The problem and the tape of some of the rows, of which nothing is known."""
        tape = {key: problems.taken(value, rows) for key, value in self.tape.items()}
        return replace(self, problem=self.problem.take(rows), tape=tape, truth={}, rounding=NOTHING_YET)


NOTHING_YET = Rounding({}, {}, np.ones(0, bool))


class Cotangents(dict[Key, Any]):
    """What a backward returned, by (kind, name); `returned`: the names."""

    def __init__(self, arrays: dict[Key, Any], returned: Iterable[str]) -> None:
        super().__init__(arrays)
        self.returned = tuple(returned)

    @classmethod
    def joined(cls, parts: list[Cotangents]) -> Cotangents:
        """One after another."""
        return cls({key: np.concatenate([each[key] for each in parts]) for key in parts[0]}, parts[0].returned)

    @classmethod
    def added(cls, parts: list[Cotangents]) -> Cotangents:
        """Their sum."""
        return cls({key: sum(each[key] for each in parts) for key in parts[0]}, parts[0].returned)


def path_names(output: str, problem: Problem, remark: str = "") -> dict[Key, str]:
    """Input -> the name of its path."""
    return {key: f"d {output} / d {' '.join(key)}{problem.remark}{remark}" for key in problem.inputs}


def batches(rows: int) -> Iterator[np.ndarray]:
    """Rows in batches of `BATCHES`; one of each is of `CORE`, where no path is 0 for saturation."""
    for k, size in enumerate(BATCHES):
        start = (7 * k) % max(rows - size, 1)
        if size < rows:
            batch = np.arange(start, start + size)
            batch[k % size] = k % min(CORE, rows)
            yield batch


def parts_of(problem: Problem) -> list[dict[str, np.ndarray]]:
    """Output -> where its cotangent is left as it is, and is 0 elsewhere: parts whose sum is all, the last all 0."""
    random = np.random.default_rng(5)
    some = {name: random.integers(0, 2, d.shape).astype(bool) for name, d in problem.d.items()}
    for mask in some.values():
        mask[::5], mask[2::5] = True, False
    return [some, {name: ~mask for name, mask in some.items()}, {name: mask & ~mask for name, mask in some.items()}]
