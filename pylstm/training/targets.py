"""Losses of a `SequenceModel` by name, and what it does with targets and weights before it calls one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pylstm.checks import as_array
from pylstm.layers.ctc import ctc_loss
from pylstm.layers.losses import sigmoid_cross_entropy, softmax_cross_entropy
from pylstm.layers.regression import gaussian_likelihood, huber, mean_squared_error, quantile_loss
from pylstm.training.sequences import Sequences

LOSSES: dict[str, Callable[..., tuple[float, np.ndarray]]] = {
    "mean_squared_error": mean_squared_error,
    "huber": huber,
    "gaussian_likelihood": gaussian_likelihood,
    "quantile_loss": quantile_loss,
    "softmax_cross_entropy": softmax_cross_entropy,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
}
"""Name -> loss. All take ``weights`` and divide by their sum."""

ALIGNED: dict[str, Callable[..., tuple[float, np.ndarray]]] = {"ctc": ctc_loss}
"""Name -> loss of all steps of a row against a sequence of labels, for ``read="every"``."""

PER_ROW = ("softmax_cross_entropy", "quantile_loss")
"""Losses with one target and one weight for all elements of the last axis."""


def loss_of_rows(name: str, out: np.ndarray, y: Any, weights: Any, options: dict[str, Any]) -> tuple[float, np.ndarray]:
    """Loss of one output for each row, and its cotangent.

    Parameters
    ----------
    name : str
        Of `LOSSES`.
    out : ndarray, shape (N, K)
    y : array_like
        (N, ...); (N,) where K is 1.
    weights : array_like, optional
        Of rows (N,) or of elements.
    options : dict
        Of the loss.
    """
    weights = None if weights is None else as_array("weights", weights)
    return _loss(name, out, as_array("y", y), weights, options)


def loss_of_steps(
    name: str, out: np.ndarray, lengths: np.ndarray | None, y: Any, weights: Any, options: dict[str, Any]
) -> tuple[float, np.ndarray]:
    """Loss of one output for each step; steps beyond the end of a row are left out, whatever their targets are.

    Parameters
    ----------
    name : str
        Of `LOSSES`.
    out : ndarray, shape (T, N, K)
    lengths : ndarray of int, shape (N,), optional
        Steps of each row; then `y` and `weights` may have more than T steps.
    y : array_like or Sequences
        (N, T, ...); (N, T) where K is 1.
    weights : array_like or Sequences, optional
        Of rows (N,), of steps (N, T) or of elements.
    options : dict
        Of the loss.
    """
    T, N = out.shape[:2]
    inside = None if lengths is None else np.arange(T)[:, None] < lengths
    y = _by_steps("y", y, T, lengths)
    if weights is not None:
        weights = weights if isinstance(weights, Sequences) else as_array("weights", weights)
        if weights.shape == (N,):  # of rows: for all their steps
            weights = np.broadcast_to(weights, (T, N))
        else:
            weights = _by_steps("weights", weights, T, lengths)
    if inside is not None:
        y, weights = _within(y, inside), inside if weights is None else _within(weights, inside)
    return _loss(name, out, y, weights, options)


def loss_of_labels(
    name: str, out: np.ndarray, lengths: np.ndarray | None, y: Any, weights: Any, options: dict[str, Any]
) -> tuple[float, np.ndarray]:
    """Loss of the outputs of a row against labels that are not aligned with them.

    Parameters
    ----------
    name : str
        Of `ALIGNED`.
    out : ndarray, shape (T, N, K)
    lengths : ndarray of int, shape (N,), optional
        Steps of each row.
    y : Sequences of int, or list of N sequences of int
        Labels of each row.
    weights : array_like, shape (N,), optional
    options : dict
        Of the loss.
    """
    if not isinstance(y, Sequences):
        rows = [as_array(f"y[{k}]", each) for k, each in enumerate(y)]
        y = Sequences.of([each if each.size else each.astype(np.intp) for each in rows])
    return ALIGNED[name](out, y.padded, lengths, y.lengths, weights=weights, **options)


def _by_steps(name: str, values: Any, T: int, lengths: np.ndarray | None) -> np.ndarray:
    """(T, N, ...) from (N, T, ...), of ragged rows cut to T steps."""
    if isinstance(values, Sequences):
        if lengths is None or not np.array_equal(values.lengths, lengths):
            raise ValueError(f"{name} are Sequences: x must be, too, with the same lengths")
        values = values.padded
    values = as_array(name, values)
    if values.ndim < 2:
        return values
    values = values.swapaxes(0, 1)
    return values if lengths is None else values[:T]


def _within(values: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """`values` with 0 beyond the ends; of another shape as they are, for the loss to refuse."""
    if values.shape[:2] != inside.shape:
        return values
    shape = inside.shape + (1,) * (values.ndim - 2)
    return np.where(inside.reshape(shape), values, values.dtype.type(0))


def _loss(
    name: str, out: np.ndarray, y: np.ndarray, weights: np.ndarray | None, options: dict[str, Any]
) -> tuple[float, np.ndarray]:
    if name not in PER_ROW:
        if y.ndim == out.ndim - 1 and out.shape[-1] == 1:
            y = y[..., None]
        if weights is not None and weights.ndim == out.ndim - 1:
            weights = np.repeat(weights[..., None], y.shape[-1], axis=-1)
    return LOSSES[name](out, y, weights=weights, **options)
