"""Rows in which the roundings of a dtype decide what forward computes: a condition between two rounded values.

There a twin and a kernel in one dtype may decide differently, and both be right: tanh(40) > tanh(30) is a matter
of the last digit. Each result of forward is moved by a few roundings; rows that move by far more are such rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.cells.certification.problem import Problem, values
from pylstm.cells.certification.rounding import LOST, distances, forward_in, scales_of
from pylstm.cells.twin import call

ULP = 4
"""Roundings that a function of a kernel may be off by."""
DRAWS = 12


class Shaken(np.ndarray):
    """An array of which every result is off by up to `ULP` roundings, results of these as well; an exact 0 stays 0."""

    random: np.random.Generator | None = None

    def __array_finalize__(self, source: Any) -> None:
        self.random = getattr(source, "random", None)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is not None:
            kwargs["out"] = tuple(map(_plain, out))
        results = getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
        if not isinstance(results, np.ndarray) or results.dtype.kind != "f":
            return results
        off = np.finfo(results.dtype).eps * self._drawn(results.shape)
        return self._with(results * (1 + off).astype(results.dtype))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        result = super().__array_function__(function, types, args, kwargs)
        return self._with(result) if isinstance(result, np.ndarray) else result

    def _drawn(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros(shape) if self.random is None else self.random.uniform(-ULP, ULP, shape)

    def _with(self, array: np.ndarray) -> Shaken:
        """`array` with the generator of this one."""
        result = array.view(Shaken)
        result.random = self.random
        return result


def _plain(array: Any) -> Any:
    return array.view(np.ndarray) if isinstance(array, Shaken) else array


def steady(problem: Problem, forward: Any, dtype: Any) -> np.ndarray:
    """Rows of `problem` that stay what they are when each result of `forward` in `dtype` is moved by some roundings."""
    own = forward_in(problem, forward, dtype)
    still, scales = np.ones((problem.rows, 1), bool), scales_of(own)
    for seed in range(DRAWS):
        source = np.empty(0).view(Shaken)
        source.random = np.random.default_rng(seed)
        inputs: Any = {key: source._with(np.array(array, dtype)) for key, array in problem.inputs.items()}
        try:
            moved = {key: _plain(a) for key, a in values(problem, call(forward, **problem.spaces(inputs)))}
        except Exception:  # a twin that takes plain arrays only
            return np.ones(problem.rows, bool)
        for key, far in distances(moved, own).items():
            still &= ~(far > LOST * scales[key])
    return still[:, 0]
