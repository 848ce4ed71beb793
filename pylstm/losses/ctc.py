"""CTC: the loss of a sequence of labels that is not aligned with the steps; and the best path."""

from __future__ import annotations

from typing import Any, Never

import numpy as np

from pylstm.checks import as_array, check_indices
from pylstm.engine import levels
from pylstm.hints import Loss, explained, refuse_loss_options
from pylstm.losses.reduction import check_floats, check_weights, reduce_losses, unwarned

_UNEQUAL = "pad them to one length with any label, target_lengths=[2, 1, ...] says where each ends"


@explained()
@unwarned
def ctc_loss(
    logits: Any,
    targets: Any,
    input_lengths: Any = None,
    target_lengths: Any = None,
    *,
    blank: int = 0,
    weights: Any = None,
    reduction: str = "mean",
    zero_infinity: bool = False,
    **other: Never,
) -> tuple[float, np.ndarray]:
    """Connectionist temporal classification: minus the log-probability of all alignments of the labels, in nats.

    An alignment gives every step a label or the blank; without repetitions, then without blanks, it is the target.

    Parameters
    ----------
    logits : array_like, shape (T, N, V)
        float32 or float64; a softmax over the last axis makes them probabilities of V - 1 labels and the blank.
    targets : array_like of int, shape (N, S)
        Labels in 0..V-1, without the blank; what stands beyond the end of a target is not looked at.
    input_lengths, target_lengths : array_like of int, shape (N,), optional
        Steps and labels of each row; default T and S. 0 is legal.
    blank : int
        Which of the V is the blank.
    weights : array_like, shape (N,), optional
        A bool mask, or factors >= 0 of the dtype of `logits`. Of a row of weight 0 neither logits nor labels are looked
        at.
    reduction : {"mean", "sum"}
        ``mean`` divides by the sum of the weights (by N without weights), not by the lengths of the targets.
    zero_infinity : bool
        Whether rows whose labels cannot come out count as 0, with a gradient of 0. Otherwise too few steps are refused,
        and labels without any probability (logits of -inf) have a loss of inf and a gradient of NaN.

    Returns
    -------
    value : float
    dlogits : ndarray, shape of `logits`
        0 beyond the end of a row.

    Raises
    ------
    TypeError, ValueError
        A wrong dtype; a wrong shape, a label out of range or blank, a row with too few steps, a negative weight.

    Notes
    -----
    Graves, Fernandez, Gomez and Schmidhuber (2006), Connectionist temporal classification. n labels, of which r are
    as the one before, need n + r steps. Computed in float64, in 16 n + 24 bytes for each step.

    Examples
    --------
    >>> value, dlogits = ctc_loss(np.zeros((2, 1, 3)), np.array([[1]]))
    >>> round(float(np.exp(-value)), 6)  # 1 1, blank 1, and 1 blank, of 9
    0.333333
    """
    if other:
        refuse_loss_options(ctc_loss, other)
    logits = check_floats("logits", logits)
    if logits.ndim != 3 or logits.shape[2] < 2:
        raise ValueError(f"logits must have shape (T, N, V) with V >= 2, got {logits.shape}")
    T, N, V = logits.shape
    blank = int(check_indices("blank", blank, V))
    steps = np.full(N, T) if input_lengths is None else _lengths("input_lengths", input_lengths, T, N)
    weights = check_weights(weights, (N,), logits.dtype)
    counts = np.full(N, True) if weights is None else weights != 0
    targets, labels = _check_targets(targets, target_lengths, counts, V, blank)
    possible = _possible(targets, labels, steps)
    if not zero_infinity:
        _check_possible(possible, steps, labels)
    losses, dlogits = np.zeros(N), np.zeros(logits.shape, logits.dtype)
    compute = np.flatnonzero(possible & counts & (steps > 0))
    if compute.size:
        ctc = levels.load("pylstm.losses._ctc")
        work = np.empty(ctc.room(T, int(labels[compute].max()), V))
        ctc.rows(np.ascontiguousarray(logits), targets, compute, steps, labels, blank, losses, dlogits, work)
    if zero_infinity:
        dlogits[:, np.isposinf(losses)] = 0
        losses[np.isposinf(losses)] = 0
    value, dlosses = reduce_losses(losses, np.ones(N, logits.dtype), weights, reduction, per_row=False)
    dlogits *= dlosses[:, None]
    return Loss(value, dlogits)


@explained()
def ctc_best_path(logits: Any, lengths: Any = None, *, blank: int = 0) -> list[np.ndarray]:
    """Labels of the most probable alignment: the largest logit at every step, without repetitions and blanks.

    Parameters
    ----------
    logits : array_like, shape (N, T, V)
        As `SequenceModel.predict` returns them.
    lengths : array_like of int, shape (N,), optional
        Steps of each row; default T.
    blank : int

    Returns
    -------
    list of ndarray of int
        Labels of each row.

    Examples
    --------
    >>> ctc_best_path(np.eye(3)[[[1, 1, 0, 1, 2, 2]]])
    [array([1, 1, 2])]
    """
    logits = as_array("logits", logits)
    if logits.ndim != 3:
        raise ValueError(f"logits must have shape (N, T, V), got {logits.shape}")
    N, T = logits.shape[:2]
    steps = np.full(N, T) if lengths is None else _lengths("lengths", lengths, T, N)
    paths = [row[:n] for row, n in zip(logits.argmax(axis=2), steps)]
    return [path[(path != blank) & (np.diff(path, prepend=-1) != 0)] for path in paths]


def _lengths(name: str, values: Any, most: int, N: int) -> np.ndarray:
    """`values` as an array of int in 0..most, (N,)."""
    array = as_array(name, values)
    array = check_indices(name, array if array.size else array.astype(np.intp), most + 1)
    if array.shape != (N,):
        raise ValueError(f"{name} must have shape ({N},), one for each row, got {array.shape}")
    return array


def _check_targets(targets: Any, lengths: Any, counts: np.ndarray, V: int, blank: int) -> tuple[np.ndarray, np.ndarray]:
    """Targets (N, S) with S >= 1 and blanks beyond the ends, and their lengths: 0 in rows that do not count."""
    targets, N = as_array("targets", targets, _UNEQUAL), len(counts)
    if targets.ndim != 2 or len(targets) != N:
        raise ValueError(f"targets must have shape ({N}, S), got {targets.shape}")
    S = targets.shape[1]
    labels = np.full(N, S) if lengths is None else _lengths("target_lengths", lengths, S, N)
    labels = np.where(counts, labels, 0)
    inside = np.arange(S) < labels[:, None]
    found = check_indices("targets", targets[inside] if targets.size else np.zeros(0, int), V)
    if (found == blank).any():
        raise ValueError(f"targets must not contain the blank, {blank}, which separates labels")
    filled = np.full((N, max(S, 1)), blank)
    filled[:, :S][inside] = found
    return filled, labels


def _possible(targets: np.ndarray, labels: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Which rows have steps enough: one for each label, and one for a blank between two labels that are the same."""
    again = (targets[:, 1:] == targets[:, :-1]) & (np.arange(1, targets.shape[1]) < labels[:, None])
    return np.asarray(labels + again.sum(axis=1) <= steps)


def _check_possible(possible: np.ndarray, steps: np.ndarray, labels: np.ndarray) -> None:
    if not possible.all():
        row = int(np.argmin(possible))
        raise ValueError(
            f"row {row}: {steps[row]} steps are too few for its {labels[row]} labels (one each, and a blank between "
            "equal neighbours): zero_infinity=True ignores such rows"
        )
