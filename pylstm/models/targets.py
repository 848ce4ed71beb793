"""Losses of a `SequenceModel` by name, and its checks of targets and weights before it calls one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from pylstm.checks import as_array, quoted
from pylstm.data.sequences import Sequences
from pylstm.hint_texts import HINTS
from pylstm.hints import refuse_options
from pylstm.losses.classification import sigmoid_cross_entropy, softmax_cross_entropy
from pylstm.losses.ctc import ctc_loss
from pylstm.losses.likelihoods import negative_binomial_likelihood, poisson_likelihood, student_t_likelihood
from pylstm.losses.regression import gaussian_likelihood, huber, mean_squared_error, quantile_loss

LOSSES: dict[str, Callable[..., tuple[float, np.ndarray]]] = {
    "mean_squared_error": mean_squared_error,
    "huber": huber,
    "gaussian_likelihood": gaussian_likelihood,
    "student_t_likelihood": student_t_likelihood,
    "poisson_likelihood": poisson_likelihood,
    "negative_binomial_likelihood": negative_binomial_likelihood,
    "quantile_loss": quantile_loss,
    "softmax_cross_entropy": softmax_cross_entropy,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
}
"""Name -> loss. All take ``weights`` and divide by their sum."""

LossName = Literal[
    "mean_squared_error",
    "huber",
    "gaussian_likelihood",
    "student_t_likelihood",
    "poisson_likelihood",
    "negative_binomial_likelihood",
    "quantile_loss",
    "softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "ctc",
    "gaussian",
    "student_t",
    "poisson",
    "negative_binomial",
    "quantile",
    "ctc_loss",
]
"""The names of `LOSSES`, `ALIGNED` and `SHORT`, for type checkers."""

ALIGNED: dict[str, Callable[..., tuple[float, np.ndarray]]] = {"ctc": ctc_loss}
"""Name -> loss of all steps of a row against a sequence of labels, for ``read="every"``."""

PER_ROW = ("softmax_cross_entropy", "quantile_loss")
"""Losses with one target and one weight for all elements of the last axis."""


PARTS = {"gaussian_likelihood": 2, "student_t_likelihood": 3, "negative_binomial_likelihood": 2}
"""Outputs for each value of losses that have several."""

OF_COUNTS = ("poisson_likelihood", "negative_binomial_likelihood")
"""Losses whose targets may have exposures behind them."""


SHORT = {name.removesuffix("_likelihood").removesuffix("_loss"): name for name in LOSSES} | {"ctc_loss": "ctc"}
"""Other names of losses, such as those of the estimators, and the name."""


def check_loss(loss: Any, read: str, options: Mapping[str, Any], outputs: int) -> str:
    """Its name, of `LOSSES` or `ALIGNED`, of a name of either or of `SHORT`; rejects what does not go together.

    These are an unknown loss or option, a value that the loss does not take, and a read-out that does not suit it.

    Raises
    ------
    TypeError, ValueError
    """
    known = LOSSES | ALIGNED
    if callable(loss):
        own = loss in known.values()
        cure = f": pass its name: loss={loss.__name__.removesuffix('_loss')!r}" if own else ""
        raise TypeError(f"loss must be one of {', '.join(known)}, got the function {quoted(loss)}{cure}")
    if isinstance(loss, str):
        loss = SHORT.get(loss, loss)
    if not isinstance(loss, str) or loss not in known:
        cure = f": take {HINTS['loss name'][loss]}" if isinstance(loss, str) and loss in HINTS["loss name"] else ""
        raise ValueError(f"loss must be one of {', '.join(known)}, got {loss!r}{cure}")
    if loss in ALIGNED and read != "every":
        raise ValueError(f"loss={loss!r} needs read='every', got {read!r}")
    if not isinstance(options, Mapping):
        raise TypeError(f"loss_options must be a dict by name, got {quoted(options)}")
    parameters = inspect.signature(known[loss]).parameters.values()
    names = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.name != "weights"]
    refuse_options(options, names, "loss option")
    if not options.keys() <= set(names):
        unknown = ", ".join(sorted(options.keys() - set(names)))
        raise ValueError(f"loss_options: {loss} has no {unknown} (known: {', '.join(names)})")
    if options:
        try:
            known[loss](*_example(loss, options, outputs), **options)
        except (TypeError, ValueError) as error:
            raise type(error)(f"loss_options: {error}") from None
    return loss


def _example(loss: str, options: Mapping[str, Any], outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and targets of one row that fit the loss, whatever the values of its options are."""
    if loss == "ctc":
        return np.zeros((1, 1, max(outputs, 2))), np.zeros((1, 0), int)
    if loss == "softmax_cross_entropy":
        return np.zeros((1, 1)), np.zeros(1, int)
    if loss in PARTS:
        return np.zeros((1, PARTS[loss])), np.zeros((1, 1))
    count = len(options["quantiles"]) if isinstance(options.get("quantiles"), tuple | list | np.ndarray) else 1
    return np.zeros((1, count)), np.zeros((1, 1))


PIECE = 1024
"""Rows whose targets are checked at a time."""


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
    y, weights = check_shapes(name, y, weights, out.shape[:1], out.shape[-1])
    return _loss(name, out, y, weights, options)


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
    by_steps = _by_steps("y", y, T, lengths)
    _, weights = check_shapes(name, y, weights, (N, T), out.shape[-1], ragged=lengths is not None)
    y = by_steps
    if weights is not None:
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


def check_shapes(
    name: str, y: Any, weights: Any, lead: tuple[int, ...], K: int, ragged: bool = False, steps: int | None = None
) -> tuple[Any, Any]:
    """Reject targets and weights of a wrong shape, in the caller's order of axes; return both as arrays.

    Parameters
    ----------
    name : str
        Of the loss.
    y : array_like or Sequences
    weights : array_like, Sequences or None
    lead : tuple of int
        (N,), or (N, T) where every step is read.
    K : int
        Values of an output.
    ragged : bool
        Whether targets and weights may have more than T steps.
    steps : int, optional
        T, where one output of a sequence is read.
    """
    if isinstance(y, Sequences) and len(lead) == 1:
        raise TypeError("y are Sequences: targets of every step need read='every'")
    y = y if isinstance(y, Sequences) else as_array("y", y)
    weights = weights if weights is None or isinstance(weights, Sequences) else as_array("weights", weights)
    values = K // PARTS.get(name, 1)
    elements = lead if name in PER_ROW else (*lead, values)
    shapes = {elements, lead} if K == 1 else {elements}
    shapes |= {(*lead, k) for k in range(1, K + 1) if K % k == 0} if name == "quantile_loss" else set()
    shapes |= {(*lead, 2 * values)} if name in OF_COUNTS else set()
    shortest = lead if K == 1 else elements
    found = _steps_cut(y.shape, lead, ragged)
    if found not in shapes:
        of = "one for each sequence" if len(lead) == 1 else "by sequence and step (read='every')"
        cure = _cure(name, found, lead, K, steps)
        raise ValueError(f"y must have shape {shortest}, {of}, got {y.shape}{cure and ': '}{cure}")
    if weights is not None and _steps_cut(weights.shape, lead, ragged) not in {lead[:1], lead, elements}:
        others = [f", or {shape}" for shape in dict.fromkeys([lead, elements]) if shape != lead[:1]]
        raise ValueError(
            f"weights must have shape {lead[:1]}, one for each sequence{''.join(others)}, got {weights.shape}"
        )
    return y, weights


def _cure(name: str, found: tuple[int, ...], lead: tuple[int, ...], K: int, steps: int | None) -> str:
    """What to do about targets of the shape `found`; `steps` where every step could be read."""
    classes = name == "softmax_cross_entropy"
    if classes and found == (*lead, K):
        return "of one-hot rows take y.argmax(-1)"
    if classes and found == (*lead, 1):
        return "take y[..., 0]"
    if found[: len(lead)] != lead or len(found) == len(lead):
        return ""
    if len(lead) == 1 and steps in (None, found[1]):
        return "targets of every step need read='every'"
    if len(found) == len(lead) + 1 and name in ("mean_squared_error", "huber", "sigmoid_cross_entropy"):
        return f"{found[-1]} values of an output need output_size={found[-1]}"
    return ""


def _steps_cut(shape: tuple[int, ...], lead: tuple[int, ...], ragged: bool) -> tuple[int, ...]:
    """`shape` with the T steps of `lead` where it may have more."""
    longer = ragged and len(lead) > 1 and len(shape) > 1 and shape[1] > lead[1]
    return (shape[0], lead[1], *shape[2:]) if longer else shape


def check_rows(judge: Callable[[Any, Any, Any], Any], x: Any, y: Any, weights: Any) -> None:
    """Call `judge` with pieces of the rows of three arrays; an error names the first row that has it, if others do not.

    Raises
    ------
    TypeError, ValueError
        As `judge`, with ``y, row 7: `` or ``weights, row 7: `` before the message.
    """

    def take(a: int, b: int) -> tuple[Any, Any, Any]:
        return x[a:b], y[a:b], None if weights is None else weights[a:b]

    for start in range(0, len(x), PIECE):
        end = min(len(x), start + PIECE)
        try:
            judge(*take(start, end))
        except (TypeError, ValueError) as error:
            faults = {row: fault for row in range(start, end) if (fault := _fault(judge, take(row, row + 1)))}
            some = 0 < len(faults) < end - start
            row, first = next(iter(faults.items())) if some else (-1, error)
            of_weights, said = str(first).startswith("weights "), str(first)
            where = ("weights" if of_weights else "y") + (f", row {row}: " if some else ": ")
            if of_weights:
                where, said = (where, said.removeprefix("weights ")) if some else ("", said)
            raise type(first)(where + said) from None


def _fault(judge: Callable[[Any, Any, Any], Any], row: tuple[Any, ...]) -> Exception | None:
    try:
        judge(*row)
    except (TypeError, ValueError) as error:
        return error
    return None


def _by_steps(name: str, values: Any, T: int, lengths: np.ndarray | None) -> np.ndarray:
    """(T, N, ...) from (N, T, ...), of ragged rows cut to T steps."""
    if isinstance(values, Sequences):
        if lengths is None or not np.array_equal(values.lengths, lengths):
            raise ValueError(f"{name} are Sequences: x must be, too, with the same lengths")
        values = values.padded
    array = as_array(name, values)
    if array.ndim < 2:
        return array
    array = array.swapaxes(0, 1)
    return array if lengths is None else array[:T]


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
            weights = np.repeat(weights[..., None], out.shape[-1] // PARTS.get(name, 1), axis=-1)
    elif weights is not None and name == "quantile_loss" and y.ndim == weights.ndim + 1 and y.shape[-1] > 1:
        weights = np.repeat(weights[..., None], y.shape[-1], axis=-1)  # of several values
    try:
        return LOSSES[name](out, y, weights=weights, **options)
    except ValueError as error:
        if re.match(r"targets must be in 0\.\.\d+, got \d", str(error)) and name == "softmax_cross_entropy":
            K = out.shape[-1]
            said = str(error).partition(":")[0]  # without what the loss says of its logits
            raise ValueError(f"{said}: output_size, here {K}, must be the number of classes") from None
        raise
