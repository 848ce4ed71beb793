"""Losses of regression: squared error, Huber, Gaussian likelihood, quantiles; as ``(value, cotangent)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

import numpy as np

from pylstm.checks import as_array, check_array, check_positive
from pylstm.hints import Loss, explained, refuse_loss_options
from pylstm.losses.classification import leave_out
from pylstm.losses.reduction import Reduction, check_floats, check_weights, reduce_losses, unwarned

if TYPE_CHECKING:
    from pylstm.arrays import Numbers

LOG_2PI = float(np.log(2 * np.pi))


@explained()
@unwarned
def mean_squared_error(
    y: Numbers,
    target: Numbers,
    *,
    weights: Numbers | None = None,
    reduction: Reduction = "mean",
    **other: Never,
) -> Loss:
    """Squared differences with weights: the mean where `squared_error` has a factor.

    Parameters
    ----------
    y : array_like, any shape
        float32 or float64.
    target : array_like
        Shape and dtype of `y`.
    weights : array_like, shape of `y`, optional
        A bool mask, or factors >= 0 of the dtype of `y`.
    reduction : {"mean", "sum"}
        ``mean`` divides by the sum of the weights (by the number of elements without weights).

    Returns
    -------
    value : float
        Sum or mean of ``weight * (y - target)**2``.
    dy : ndarray, shape of `y`

    Raises
    ------
    TypeError, ValueError
        A wrong dtype or shape, a negative weight, an unknown reduction.

    Examples
    --------
    >>> mean_squared_error(np.array([1.0, 2.0]), np.array([0.0, 4.0]), weights=np.array([True, False]))
    (1.0, array([2., 0.]))
    """
    if other:
        refuse_loss_options(mean_squared_error, other)
    y, target, weights = _check(y, target, weights)
    r = y - target
    return reduce_losses(np.square(r), 2 * r, weights, reduction, per_row=False)


@explained()
@unwarned
def huber(
    y: Numbers,
    target: Numbers,
    *,
    delta: float = 1.0,
    weights: Numbers | None = None,
    reduction: Reduction = "mean",
    **other: Never,
) -> Loss:
    """Half the squared difference r near 0, straight lines from ``|r| = delta`` on: outliers pull no harder.

    Parameters
    ----------
    y, target, weights, reduction
        As for `mean_squared_error`.
    delta : float
        Above 0.

    Returns
    -------
    value : float
        Sum or mean of ``weight * (r^2 / 2 if |r| <= delta else delta (|r| - delta / 2))``.
    dy : ndarray, shape of `y`
        ``weight * clip(r, -delta, delta)``, divided as the value is.

    Raises
    ------
    TypeError, ValueError
        As `mean_squared_error`; `delta` is not above 0.

    Notes
    -----
    Huber (1964), Robust estimation of a location parameter.

    Examples
    --------
    >>> huber(np.array([0.5, -3.0]), np.zeros(2), reduction="sum")
    (2.625, array([ 0.5, -1. ]))
    """
    if other:
        refuse_loss_options(huber, other)
    y, target, weights = _check(y, target, weights)
    check_positive("delta", delta)
    r = y - target
    d = np.clip(r, -float(delta), float(delta))
    # with d = clip(r): d (r - d / 2) is r^2 / 2 inside, delta (|r| - delta / 2) outside
    return reduce_losses(d * (r - d / 2), d, weights, reduction, per_row=False)


@explained()
@unwarned
def gaussian_likelihood(
    y: Numbers,
    target: Numbers,
    *,
    weights: Numbers | None = None,
    reduction: Reduction = "mean",
    **other: Never,
) -> Loss:
    """Negative log-likelihood of a normal distribution whose mean and log-variance the net returns.

    Parameters
    ----------
    y : array_like, shape (..., 2 K)
        K means mu, then K logarithms s of variances.
    target : array_like, shape (..., K)
        Of the dtype of `y`.
    weights : array_like, shape (..., K), optional
        A bool mask, or factors >= 0 of the dtype of `y`.
    reduction : {"mean", "sum"}

    Returns
    -------
    value : float
        Sum or mean of ``weight * (log(2 pi) + s + (target - mu)^2 exp(-s)) / 2``.
    dy : ndarray, shape of `y`
        For mu ``(mu - target) exp(-s)``, for s ``(1 - (target - mu)^2 exp(-s)) / 2``, weighed and divided.

    Raises
    ------
    TypeError, ValueError
        A wrong dtype or shape, an odd last axis of `y`, a negative weight, an unknown reduction.

    Examples
    --------
    >>> value, dy = gaussian_likelihood(np.array([[1.0, 0.0]]), np.array([[3.0]]))
    >>> round(value, 6), dy
    (2.918939, array([[-2. , -1.5]]))
    """
    if other:
        refuse_loss_options(gaussian_likelihood, other)
    y = check_floats("y", y)
    if y.ndim == 0 or y.shape[-1] % 2 or y.shape[-1] == 0:
        raise ValueError(f"y must have shape (..., 2 K): means, then log-variances; got {y.shape}")
    mu, s = np.split(y, 2, axis=-1)
    target = check_array("target", target, mu.shape, y.dtype, of_layer=False)
    weights = check_weights(weights, mu.shape, y.dtype)
    mu, s, target = leave_out(weights, mu, s, target)
    precision = np.exp(-s)
    r = mu - target
    square = r * r * precision
    value, dmu = reduce_losses(
        (y.dtype.type(LOG_2PI) + s + square) / 2, r * precision, weights, reduction, per_row=False
    )
    _, ds = reduce_losses(square, (1 - square) / 2, weights, reduction, per_row=False)
    return Loss(value, np.concatenate([dmu, ds], axis=-1))


@explained()
@unwarned
def quantile_loss(
    y: Numbers,
    target: Numbers,
    *,
    quantiles: Numbers = (0.5,),
    weights: Numbers | None = None,
    reduction: Reduction = "mean",
    **other: Never,
) -> Loss:
    """Pinball loss: its minimum is at the quantiles of the target, one per element of the last axis of `y`.

    Parameters
    ----------
    y : array_like, shape (..., Q)
        A forecast of every quantile; of K values (..., Q K): K of the first quantile, then K of the next.
    target : array_like, shape (...) or (..., 1), of K values (..., K)
        One value for all quantiles, of the dtype of `y`.
    quantiles : sequence of Q floats
        Each between 0 and 1.
    weights : array_like, shape (...), optional
        A bool mask, or factors >= 0 of the dtype of `y`; of K values (..., K). ``mean`` divides by their sum, and by Q.
    reduction : {"mean", "sum"}

    Returns
    -------
    value : float
        Sum or mean of ``weight * max(q (t - y), (q - 1) (t - y))``.
    dy : ndarray, shape of `y`
        ``-q`` below the target, ``1 - q`` above it, 0 on it, weighed and divided.

    Raises
    ------
    TypeError, ValueError
        A wrong dtype or shape, a quantile not between 0 and 1, a negative weight, an unknown reduction.

    Notes
    -----
    Koenker & Bassett (1978), Regression quantiles.

    Examples
    --------
    >>> quantile_loss(np.array([[0.0, 3.0]]), np.array([2.0]), quantiles=(0.25, 0.75), reduction="sum")
    (0.75, array([[-0.25,  0.25]]))
    """
    if other:
        refuse_loss_options(quantile_loss, other)
    y = check_floats("y", y)
    q = as_array("quantiles", quantiles)
    q = q.astype("float64") if q.dtype.kind in "fiu" else np.full(1, np.nan)
    if q.ndim != 1 or not q.size or not ((q > 0) & (q < 1)).all():
        raise ValueError(f"quantiles must be numbers between 0 and 1, got {quantiles!r}")
    target = as_array("target", target)
    several = target.ndim == y.ndim > 0 and target.shape[-1] > 1 and y.shape[-1] != q.size
    K = target.shape[-1] if several else 1
    if y.ndim == 0 or y.shape[-1] != K * q.size:
        each = f"{K * q.size}), {K} columns" if several else f"{q.size}), one column"
        raise ValueError(f"y must have shape (..., {each} for each quantile, got {y.shape}")
    q, shape = q.astype(y.dtype), y.shape
    if several:
        y = y.reshape(*shape[:-1], q.size, K).swapaxes(-1, -2)
    elif target.shape == (*y.shape[:-1], 1):
        target = target[..., 0]
    target = check_array("target", target, y.shape[:-1], y.dtype, of_layer=False)
    weights = check_weights(weights, y.shape[:-1], y.dtype)
    y, target = leave_out(weights, y, target)
    if weights is not None:
        weights = np.repeat(weights[..., None], q.size, axis=-1)
    r = target[..., None] - y
    losses = np.maximum(q * r, (q - 1) * r)
    d = np.where(r > 0, -q, np.where(r < 0, 1 - q, 0)).astype(y.dtype)
    value, dy = reduce_losses(losses, d, weights, reduction, per_row=False)
    return Loss(value, dy.swapaxes(-1, -2).reshape(shape) if several else dy)


def _check(y: Numbers, target: Numbers, weights: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    y = check_floats("y", y)
    target, weights = (
        check_array("target", target, y.shape, y.dtype, of_layer=False),
        check_weights(weights, y.shape, y.dtype),
    )
    return *leave_out(weights, y, target), weights


@explained()
@unwarned
def squared_error(y: Numbers, target: Numbers, factor: float = 1.0, **other: Never) -> Loss:
    """`factor` times the sum of squared differences, over all elements.

    Parameters
    ----------
    y : array_like, any shape
        float32 or float64.
    target : array_like
        Shape and dtype of `y`.
    factor : float
        1 for the plain sum, 0.5 for the usual half of it, ``1 / y.size`` for the mean.

    Returns
    -------
    value : float
        ``factor * sum((y - target)**2)``
    dy : ndarray, shape of `y`
        ``2 * factor * (y - target)``

    Raises
    ------
    TypeError, ValueError
        `y` is not float32 or float64, or `target` has another dtype; their shapes differ; `factor` is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> squared_error(np.array([1.0, 2.0]), np.array([0.0, 4.0]), factor=0.5)
    (2.5, array([ 1., -2.]))
    """
    if other:
        refuse_loss_options(squared_error, other)
    y = check_floats("y", y)
    target = check_array("target", target, y.shape, y.dtype, of_layer=False)
    if not np.isfinite(factor):
        raise ValueError(f"factor must be finite, got {factor}")
    difference = y - target
    value = float(factor) * float(np.sum(np.square(difference, dtype=np.float64)))
    return Loss(value, np.asarray(difference * y.dtype.type(2 * factor)))
