"""Labels at every step: as numbers of classes beside x, `labels_of_steps`, `beside`, and outputs by `each`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite

from pylstm.data.sequences import Sequences


def labels_of_steps(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """All labels (M,) and the number of those of each sequence (N,).

    Parameters
    ----------
    y : array_like (N, T), Sequences, or list of array_like (T_i,)

    Raises
    ------
    ValueError
        Labels of another shape, or not finite.

    Examples
    --------
    >>> labels_of_steps([["a", "b"], ["b"]])
    (array(['a', 'b', 'b'], dtype='<U1'), array([2, 1]))
    """
    rows = y.rows() if isinstance(y, Sequences) else [np.asarray(row) for row in y]
    for k, row in enumerate(rows):
        if row.ndim != 1:
            raise ValueError(
                f"y must have one label for each step, (N, T) or lists of (T_i,), got {row.shape} in y[{k}]"
            )
    if not rows:
        raise ValueError("y must have at least one sequence")
    labels = np.concatenate(rows)
    assert_all_finite(labels, input_name="y")
    return labels, np.array([len(row) for row in rows])


def beside(x: Any, numbers: np.ndarray, lengths: np.ndarray) -> Any:
    """The numbers of classes (M,) as x has its steps: (N, T), or `Sequences`.

    Raises
    ------
    ValueError
        A sequence with another number of labels than steps.
    """
    steps = x.lengths if isinstance(x, Sequences) else np.full(len(x), x.shape[1])
    if len(steps) == len(lengths):
        for k in np.flatnonzero(steps != lengths)[:1]:
            raise ValueError(f"y[{k}] must have a label for each of the {steps[k]} steps of X[{k}], got {lengths[k]}")
    if not isinstance(x, Sequences) and len(steps) == len(lengths):
        return numbers.reshape(len(steps), -1)
    return Sequences.of(np.split(numbers, np.cumsum(lengths)[:-1]))


def each(function: Callable[[np.ndarray], np.ndarray], out: Any) -> Any:
    """`function` of rows (M, K), for the outputs (N, K), (N, T, K), or of every sequence in a list."""
    if isinstance(out, list):
        return [function(row) for row in out]
    found = function(out.reshape(-1, out.shape[-1]))
    return found.reshape(*out.shape[:-1], *found.shape[1:])


def inside(values: Any) -> np.ndarray:
    """The values at the steps that there are, (M, ...)."""
    return values.padded[values.inside] if isinstance(values, Sequences) else values.reshape(-1, *values.shape[2:])
