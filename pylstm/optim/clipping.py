"""Clipping of gradients, in place."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pylstm.checks import check_number
from pylstm.engine.levels import load
from pylstm.engine.threads import allowed_threads
from pylstm.hints import explained
from pylstm.parameters import Parameters

LEAST = 1e-290
"""A sum of squares below this may lack some that are not exact any more, or 0."""


def as_list(params: Parameters | Iterable[Parameters], name: str = "params") -> list[Parameters]:
    """One `Parameters`, or several, as a list.

    Raises
    ------
    TypeError
        Something that is not a `Parameters`.
    """
    if isinstance(params, Parameters):
        return [params]
    several: list[Any] = list(params) if isinstance(params, list | tuple | Iterator) else [params]
    for each in several:
        if not isinstance(each, Parameters):
            cure = ": pass its params" if hasattr(each, "params") else ""
            if hasattr(each, "backward"):
                cure = ": grads = run.backward(dy) returns the gradients, grads.params those of the parameters"
            raise TypeError(f"{name} must be one Parameters or a list of them, got {type(each).__name__}{cure}")
    return several


@explained()
def clip_by_norm(grads: Parameters | Iterable[Parameters], max_norm: float) -> float:
    """Scale gradients down, all by one factor, so that their Euclidean norm is at most `max_norm`.

    Parameters
    ----------
    grads : Parameters or list of Parameters
        Changed in place. Several count as one vector.
    max_norm : float
        Above 0; infinity never clips.

    Returns
    -------
    norm : float
        The norm before clipping. If it is not finite, the gradients are left as they are: test it.

    Raises
    ------
    TypeError, ValueError
        `grads` is not of `Parameters`; `max_norm` is not above 0.

    Notes
    -----
    Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks.

    Examples
    --------
    >>> grads = Parameters({"bias": (2,)}, "float64")
    >>> grads.flat[:] = 3, 4
    >>> clip_by_norm(grads, 1.0), grads.flat
    (5.0, array([0.6, 0.8]))
    """
    grads = as_list(grads, "grads")
    if not check_number("max_norm", max_norm) > 0:
        raise ValueError(f"max_norm must be above 0, got {max_norm}")
    updates, threads = load("pylstm.optim._updates"), allowed_threads()
    norm = _norm([each.flat for each in grads], updates, threads)
    if max_norm < norm < math.inf:
        for each in grads:
            updates.scale(each.flat, max_norm / norm, threads=threads)
    return norm


def _norm(arrays: list[np.ndarray], updates: Any, threads: int) -> float:
    """Norm of all as one vector; where squares over- or underflow, numbers are divided by the largest first."""
    total = sum(updates.sum_of_squares(each, threads=threads) for each in arrays)
    if LEAST <= total < math.inf or math.isnan(total):
        return math.sqrt(total)
    largest = float(max((max(each.max(initial=0), -each.min(initial=0)) for each in arrays), default=0))
    if largest in (0, math.inf):
        return largest
    return largest * math.sqrt(sum(updates.sum_of_squares(each / largest, threads=threads) for each in arrays))


@explained()
def clip_by_value(grads: Parameters | Iterable[Parameters], limit: float) -> None:
    """Clip every element of gradients to -limit..limit; NaN stays NaN.

    Parameters
    ----------
    grads : Parameters or list of Parameters
        Changed in place.
    limit : float
        Above 0.

    Raises
    ------
    TypeError, ValueError
        `grads` is not of `Parameters`; `limit` is not above 0.

    Examples
    --------
    >>> grads = Parameters({"bias": (2,)}, "float64")
    >>> grads.flat[:] = 3, -0.5
    >>> clip_by_value(grads, 1.0)
    >>> grads.flat
    array([ 1. , -0.5])
    """
    grads = as_list(grads, "grads")
    if not check_number("limit", limit) > 0:
        raise ValueError(f"limit must be above 0, got {limit}")
    for each in grads:
        np.clip(each.flat, -float(limit), float(limit), out=each.flat)
