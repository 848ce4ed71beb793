"""Likelihoods of numbers with heavy tails and of counts: Student's t, Poisson, negative binomial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

import numpy as np

from pylstm.checks import as_array, check_array
from pylstm.hints import Loss, explained, refuse_loss_options
from pylstm.losses.classification import leave_out
from pylstm.losses.reduction import Reduction, check_floats, check_weights, reduce_losses, unwarned
from pylstm.losses.special import digamma, log_gamma

if TYPE_CHECKING:
    from pylstm.arrays import Numbers

Parts = tuple[np.ndarray, ...]
"""Derivatives by each part of y."""
LEAST_FREEDOM = 2.0
"""Degrees of freedom beyond which the variance exists."""
FEWEST = 1e-6
"""Least dispersion: below it a negative binomial variable is a Poisson one to float64, and its formula cancels."""


def softplus(r: np.ndarray) -> np.ndarray:
    """``log(1 + exp(r))``."""
    return np.asarray(np.logaddexp(r, 0))


def freedom_of(r: np.ndarray) -> np.ndarray:
    """Degrees of freedom ``2 + softplus(r)``."""
    return LEAST_FREEDOM + softplus(r)


def dispersion_of(r: np.ndarray) -> np.ndarray:
    """Dispersion ``softplus(r)``, at least `FEWEST`: the variance is ``mean + dispersion * mean^2``."""
    return np.asarray(np.maximum(softplus(r), FEWEST))


@explained()
@unwarned
def student_t_likelihood(
    y: Numbers,
    target: Numbers,
    *,
    weights: Numbers | None = None,
    reduction: Reduction = "mean",
    **other: Never,
) -> Loss:
    """Negative log-likelihood of Student's t: as `gaussian_likelihood`, with tails that outliers fit in.

    Parameters
    ----------
    y : array_like, shape (..., 3 K)
        K locations mu, K logarithms s of squared scales, then K numbers r: there are ``nu = 2 + softplus(r)`` degrees
        of freedom.
    target : array_like, shape (..., K)
        Of the dtype of `y`.
    weights : array_like, shape (..., K), optional
        A bool mask, or factors >= 0 of the dtype of `y`.
    reduction : {"mean", "sum"}

    Returns
    -------
    value : float
        Sum or mean of ``weight * (log(pi nu) + s + (nu + 1) log(1 + q)) / 2 + lgamma(nu / 2) - lgamma((nu + 1) / 2)``
        with ``q = (target - mu)^2 exp(-s) / nu``.
    dy : ndarray, shape of `y`

    Raises
    ------
    TypeError, ValueError
        A wrong dtype or shape, a negative weight, an unknown reduction.

    Examples
    --------
    >>> value, dy = student_t_likelihood(np.array([[0.0, 0.0, 1.0]]), np.array([[3.0]]))
    >>> round(value, 6), dy.round(4)
    (3.824452, array([[-1.0509, -1.0763,  0.116 ]]))
    """
    if other:
        refuse_loss_options(student_t_likelihood, other)
    y = check_floats("y", y)
    (mu, s, r), t, w = _parts(y, target, weights, 3, "locations, log-scales, degrees of freedom")
    return _reduced(y, *student_t(mu, s, r, t), w, reduction)


def student_t(mu: np.ndarray, s: np.ndarray, r: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, Parts]:
    """Losses of `student_t_likelihood` one by one, and their derivatives by mu, s and r."""
    nu, e = freedom_of(r), target - mu
    q = e * e * np.exp(-s) / nu
    grown, half = np.log1p(q), (nu + 1) / 2
    losses = (np.log(np.pi * nu) + s) / 2 + half * grown + log_gamma(nu / 2) - log_gamma(half)
    pull = (nu + 1) * q / (1 + q)  # (nu + 1) e^2 / (nu exp(s) + e^2)
    dmu = -(nu + 1) * e * np.exp(-s) / (nu * (1 + q))
    dnu = (1 / nu + grown - pull / nu + digamma(nu / 2) - digamma(half)) / 2
    return losses, (dmu, (1 - pull) / 2, dnu * _sigmoid(r))


@explained()
@unwarned
def poisson_likelihood(
    y: Numbers,
    target: Numbers,
    *,
    weights: Numbers | None = None,
    reduction: Reduction = "mean",
    **other: Never,
) -> Loss:
    """Negative log-likelihood of counts whose mean is ``exp(y)``, or with exposures ``exposure * exp(y)``.

    Parameters
    ----------
    y : array_like, shape (..., K)
        Logarithms of means.
    target : array_like, shape (..., K) or (..., 2 K)
        Whole numbers from 0, of the dtype of `y`; of 2 K the last K are exposures above 0.
    weights : array_like, shape (..., K), optional
        A bool mask, or factors >= 0 of the dtype of `y`.
    reduction : {"mean", "sum"}

    Returns
    -------
    value : float
        Sum or mean of ``weight * (m - target log(m) + lgamma(target + 1))`` with the mean m.
    dy : ndarray, shape of `y`
        ``m - target``, weighed and divided.

    Raises
    ------
    TypeError, ValueError
        A wrong dtype or shape; a target that is negative or not a whole number; an exposure that is not above 0; a
        negative weight, an unknown reduction.

    Examples
    --------
    >>> value, dy = poisson_likelihood(np.array([[0.0]]), np.array([[3.0]]))
    >>> round(value, 6), dy
    (2.791759, array([[-2.]]))
    """
    if other:
        refuse_loss_options(poisson_likelihood, other)
    y = check_floats("y", y)
    (eta,), t, exposure, w = _counted(y, target, weights, 1, "log-means")
    return _reduced(y, *poisson(eta + np.log(exposure), t), w, reduction)


def poisson(eta: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, Parts]:
    """Losses of `poisson_likelihood` one by one, and their derivative."""
    m = np.exp(eta)
    return m - target * eta + log_gamma(target + 1), (m - target,)


@explained()
@unwarned
def negative_binomial_likelihood(
    y: Numbers,
    target: Numbers,
    *,
    weights: Numbers | None = None,
    reduction: Reduction = "mean",
    **other: Never,
) -> Loss:
    """Negative log-likelihood of counts that vary more than Poisson's: ``variance = m + alpha m^2``.

    Parameters
    ----------
    y : array_like, shape (..., 2 K)
        K logarithms of means m (with exposures: of ``m / exposure``), then K numbers r: ``alpha = softplus(r)``.
    target : array_like, shape (..., K) or (..., 2 K)
        As for `poisson_likelihood`.
    weights : array_like, shape (..., K), optional
        A bool mask, or factors >= 0 of the dtype of `y`.
    reduction : {"mean", "sum"}

    Returns
    -------
    value : float
        Sum or mean of ``weight * -log p``, where with ``n = 1 / alpha`` p is ``gamma(target + n) / (gamma(n) target!)
        (n / (n + m))^n (m / (n + m))^target``.
    dy : ndarray, shape of `y`

    Raises
    ------
    TypeError, ValueError
        As `poisson_likelihood`.

    Examples
    --------
    >>> value, dy = negative_binomial_likelihood(np.array([[0.0, 0.0]]), np.array([[3.0]]))
    >>> round(value, 6), dy.round(4)
    (2.734903, array([[-1.1812,  0.0496]]))
    """
    if other:
        refuse_loss_options(negative_binomial_likelihood, other)
    y = check_floats("y", y)
    (eta, r), t, exposure, w = _counted(y, target, weights, 2, "log-means, dispersions")
    return _reduced(y, *negative_binomial(eta + np.log(exposure), r, t), w, reduction)


def negative_binomial(eta: np.ndarray, r: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, Parts]:
    """Losses of `negative_binomial_likelihood` one by one, and their derivatives by log-mean and r."""
    alpha = dispersion_of(r)
    n, spread = 1 / alpha, np.logaddexp(0, np.log(alpha) + eta)  # log(1 + alpha m)
    # (m / (n + m))^t = exp(t (log alpha + eta - spread)), (n / (n + m))^n = exp(-n spread)
    losses = (n + target) * spread - target * (np.log(alpha) + eta)
    losses += log_gamma(n) + log_gamma(target + 1) - log_gamma(target + n)
    m, grown = np.exp(eta), np.exp(-spread)  # grown = 1 / (1 + alpha m)
    dalpha = n * n * (digamma(target + n) - digamma(n) - spread) + n * (m - target) * grown
    dr = np.where(alpha > FEWEST, dalpha * _sigmoid(r), 0)
    return losses, ((m - target) * grown, dr)


def _sigmoid(r: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-np.logaddexp(0, -r)))


def _parts(y: np.ndarray, target: Any, weights: Any, count: int, what: str) -> Any:
    """The parts of y (..., count K) and the target (..., K) in float64, and the weights."""
    if y.ndim == 0 or y.shape[-1] % count or y.shape[-1] == 0:
        raise ValueError(f"y must have shape (..., {count} K): {what}; got {y.shape}")
    parts = np.split(y, count, axis=-1)
    target = check_array("target", target, parts[0].shape, y.dtype, of_layer=False)
    weights = check_weights(weights, parts[0].shape, y.dtype)
    *parts, target = (each.astype("float64") for each in leave_out(weights, *parts, target))
    return parts, target, weights


def _counted(y: np.ndarray, target: Any, weights: Any, count: int, what: str) -> Any:
    """The parts, the target, the exposure and the weights of counts; see `_parts`."""
    if y.ndim == 0 or y.shape[-1] % count or y.shape[-1] == 0:
        raise ValueError(f"y must have shape (..., {f'{count} K' if count > 1 else 'K'}): {what}; got {y.shape}")
    parts, K = np.split(y, count, axis=-1), y.shape[-1] // count
    target = as_array("target", target)
    exposed = target.shape == (*y.shape[:-1], 2 * K)
    shape = target.shape if exposed else parts[0].shape
    target = check_array("target", target, shape, y.dtype, of_layer=False)
    weights = check_weights(weights, parts[0].shape, y.dtype)
    *parts, target, exposure = leave_out(weights, *parts, target[..., :K], target[..., K:] if exposed else parts[0])
    if not exposed:
        exposure = np.ones_like(target)
    elif weights is not None:
        exposure = np.where(weights == 0, y.dtype.type(1), exposure)
    wrong = ~((target >= 0) & (target == np.floor(target)) & np.isfinite(target)) & ~np.isnan(target)
    if wrong.any():
        raise ValueError(f"targets must be counts, whole numbers from 0, got {target[wrong][0]}")
    if not (exposure > 0).all():
        raise ValueError(f"exposures must be above 0, got {exposure[~(exposure > 0)][0]}")
    return [each.astype("float64") for each in parts], target.astype("float64"), exposure.astype("float64"), weights


def _reduced(y: np.ndarray, losses: np.ndarray, d: Any, weights: np.ndarray | None, reduction: str) -> Loss:
    """The weighed losses, and the cotangents of all parts side by side in the dtype of y."""
    found = [reduce_losses(losses, each, weights, reduction, per_row=False) for each in d]
    return Loss(found[0][0], np.concatenate([each[1] for each in found], axis=-1).astype(y.dtype))
