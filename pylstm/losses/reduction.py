"""Shared by losses: reductions, weights, and checks of their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pylstm.checks import DTYPES, as_array, check_array
from pylstm.hints import Loss
from pylstm.wording import converted

if TYPE_CHECKING:
    from pylstm.arrays import Numbers

Reduction = Literal["mean", "sum"]
REDUCTIONS = ("mean", "sum")

unwarned = np.errstate(all="ignore")
"""A loss that overflows is infinite or NaN, as `fit` and `clip_by_norm` say; NumPy says nothing."""


def check_floats(name: str, value: Any) -> np.ndarray:
    """`value` as an array of float32 or float64 in the byte order of the machine."""
    array = as_array(name, value)
    if array.dtype.newbyteorder("=") not in DTYPES:  # (its name takes ten times as long)
        cure = converted(name, value, "float64")
        raise TypeError(f"{name} must be float32 or float64, got {array.dtype}: convert with {cure}")
    return check_array(name, array, array.shape, array.dtype.newbyteorder("="))


def check_weights(weights: Numbers | None, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """Weights of this shape and dtype, finite and not negative; a mask becomes 0 and 1."""
    if weights is None:
        return None
    weights = as_array("weights", weights)
    if weights.dtype.kind == "b":
        weights = weights.astype(dtype)
    weights = check_array("weights", weights, shape, dtype, of_layer=False)
    if weights.size and not (weights.min() >= 0 and weights.max() < np.inf):
        wrong = weights[~((weights >= 0) & (weights < np.inf))][0]
        raise ValueError(f"weights must be 0 or more and finite, got {wrong}")
    return weights


@unwarned
def reduce_losses(
    losses: np.ndarray, d: np.ndarray, weights: np.ndarray | None, reduction: str, *, per_row: bool
) -> Loss:
    """Weigh and reduce `losses` and their cotangents `d` (with one more axis where `per_row`)."""
    scale = scale_of(reduction, losses.size, weights)
    if weights is not None:
        losses = losses * weights
        d = d * (weights[..., None] if per_row else weights)
    return Loss(float(losses.sum(dtype=np.float64)) * scale, d * d.dtype.type(scale))


def scale_of(reduction: str, count: int, weights: np.ndarray | None) -> float:
    """Factor of a sum of `count` losses: 1, or of a mean 1 / (sum of the weights), 0 where that is 0."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be 'mean' or 'sum', got {reduction!r}")
    if reduction == "sum":
        return 1.0
    total = float(count if weights is None else weights.sum(dtype=np.float64))
    return 1 / total if total > 0 else 0.0
