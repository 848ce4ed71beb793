"""Losses of classification: functions that return the value and its cotangent, ``(value, dy)``.

Values are Python floats, summed in float64; ``dy`` has the shape and the dtype of the first argument. What has a
weight of 0 has no effect: outputs and targets there may be NaN or out of range, and the cotangent is 0 (`leave_out`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

import numpy as np

from pylstm.cells.functions import sigmoid
from pylstm.checks import as_array, check_array, check_indices, check_share
from pylstm.engine.levels import load
from pylstm.engine.threads import allowed_threads
from pylstm.hints import Loss, explained, refuse_loss_options
from pylstm.losses.reduction import Reduction, check_floats, check_weights, reduce_losses, scale_of, unwarned

if TYPE_CHECKING:
    from pylstm.arrays import Numbers

TOO_FEW = "the last axis of logits, here {}, must be the number of classes"
LEAVE_OUT = "what is to be left out needs a weight of 0: weights = targets != {}, and a fit (x, y, weights)"


@explained()
@unwarned
def softmax_cross_entropy(
    logits: Numbers,
    targets: Numbers,
    *,
    weights: Numbers | None = None,
    reduction: Reduction = "mean",
    smoothing: float = 0.0,
    **other: Never,
) -> Loss:
    """Cross-entropy of a softmax over the last axis, in nats (divide by ln 2 for bits).

    Parameters
    ----------
    logits : array_like, shape (..., V)
        float32 or float64; no overflow for any finite values.
    targets : array_like of int, shape (...)
        The right class of each position, in 0..V-1.
    weights : array_like, shape (...), optional
        A bool mask, or factors >= 0 of the dtype of `logits`. Under a weight of 0 may stand any target, such as -100.
    reduction : {"mean", "sum"}
        ``mean`` divides by the sum of the weights (by the number of positions without weights); where that is 0,
        value and cotangent are 0.
    smoothing : float
        In 0..1: the share s of every target that is spread over all V classes alike,
        ``q = (1 - s) onehot(target) + s / V`` (Szegedy et al., 2016, Rethinking the Inception architecture).

    Returns
    -------
    value : float
        Sum or mean of ``weight * (log(sum(exp(logits))) - sum(q * logits))``.
    dlogits : ndarray, shape of `logits`
        ``weight * (softmax(logits) - q)``, divided as the value is.

    Raises
    ------
    TypeError, ValueError
        A wrong dtype; a wrong shape, a target out of range, a negative weight, an unknown reduction, a smoothing
        outside 0..1.

    Examples
    --------
    >>> import numpy as np
    >>> value, dlogits = softmax_cross_entropy(np.zeros((1, 4)), np.array([2]))
    >>> round(value, 6), dlogits
    (1.386294, array([[ 0.25,  0.25, -0.75,  0.25]]))
    """
    if other:
        refuse_loss_options(softmax_cross_entropy, other)
    logits = check_floats("logits", logits)
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise ValueError(f"logits must have shape (..., V) with V >= 1, got {logits.shape}")
    targets = as_array("targets", targets)
    _check_shape(targets.shape, logits.shape)
    weights = check_weights(weights, logits.shape[:-1], logits.dtype)
    (targets,) = leave_out(weights, targets)
    targets = check_indices("targets", targets, logits.shape[-1], LEAVE_OUT, TOO_FEW)
    check_share("smoothing", smoothing)
    scale = scale_of(reduction, targets.size, weights)
    losses, dlogits = np.empty(targets.shape, logits.dtype), np.empty(logits.shape, logits.dtype)
    load("pylstm.losses._softmax").cross_entropy(
        np.ascontiguousarray(logits),
        np.ascontiguousarray(targets, np.intp),
        None if weights is None else np.ascontiguousarray(weights),
        losses,
        dlogits,
        (targets.size, logits.shape[-1]),
        scale=scale,
        smoothing=float(smoothing),
        threads=allowed_threads(),
    )
    return Loss(float(losses.sum(dtype=np.float64)) * scale, dlogits)


def _check_shape(targets: tuple[int, ...], logits: tuple[int, ...]) -> None:
    if targets != logits[:-1]:
        cures = {(*logits[:-1], 1): ": take targets[..., 0]", logits: ": of one-hot rows take targets.argmax(-1)"}
        raise ValueError(
            f"targets must have shape {logits[:-1]}, that of logits {logits} without the last axis, "
            f"got {targets}{cures.get(targets, '')}"
        )


@explained()
@unwarned
def sigmoid_cross_entropy(
    logits: Numbers,
    targets: Numbers,
    *,
    weights: Numbers | None = None,
    reduction: Reduction = "mean",
    **other: Never,
) -> Loss:
    """Cross-entropy of independent sigmoids (yes-or-no targets), in nats.

    Parameters
    ----------
    logits : array_like, any shape
        float32 or float64; no overflow for any finite values.
    targets : array_like, shape of `logits`
        Probabilities in 0..1 of the same dtype, or bool, or integers 0 and 1.
    weights : array_like, shape of `logits`, optional
        A bool mask, or factors >= 0 of the dtype of `logits`.
    reduction : {"mean", "sum"}
        As for `softmax_cross_entropy`.

    Returns
    -------
    value : float
        Sum or mean of ``weight * (max(z, 0) - z t + log(1 + exp(-|z|)))``.
    dlogits : ndarray, shape of `logits`
        ``weight * (sigmoid(z) - t)``, divided as the value is.

    Raises
    ------
    TypeError, ValueError
        A wrong dtype; a wrong shape, a target outside 0..1, a negative weight, an unknown reduction.

    Examples
    --------
    >>> import numpy as np
    >>> value, dlogits = sigmoid_cross_entropy(np.zeros(2), np.array([True, False]), reduction="sum")
    >>> round(value, 6), dlogits
    (1.386294, array([-0.5,  0.5]))
    """
    if other:
        refuse_loss_options(sigmoid_cross_entropy, other)
    z = check_floats("logits", logits)
    targets = as_array("targets", targets)
    if targets.dtype.kind in "biu":
        targets = targets.astype(z.dtype)
    weights = check_weights(weights, z.shape, z.dtype)
    z, t = leave_out(weights, z, check_array("targets", targets, z.shape, z.dtype, of_layer=False))
    if t.size and not (t.min() >= 0 and t.max() <= 1):
        raise ValueError(f"targets must be in 0..1, got values from {t.min()} to {t.max()}")
    losses = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    return reduce_losses(losses, np.asarray(sigmoid(z) - t), weights, reduction, per_row=False)


def leave_out(weights: np.ndarray | None, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """`arrays` with 0 where the weight is 0, so that what stands there has no effect: 0 times NaN would be NaN.

    Parameters
    ----------
    weights : ndarray or None
        Without weights, or where none is 0, the arrays are returned as they are.
    *arrays : ndarray
        Of the shape of `weights`, or with further axes.

    Examples
    --------
    >>> leave_out(np.array([0.0, 2.0]), np.array([np.nan, 1.0]))
    (array([0., 1.]),)
    """
    if weights is None or weights.all():
        return arrays
    counts = weights != 0
    return tuple(
        np.where(counts.reshape(counts.shape + (1,) * (each.ndim - counts.ndim)), each, each.dtype.type(0))
        for each in arrays
    )
