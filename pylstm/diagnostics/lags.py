"""`gradient_by_lag`: which steps of the past a gradient comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pylstm.checks import Array, check_size
from pylstm.diagnostics.checks import check_run
from pylstm.layers import Run
from pylstm.layers.runs.steps import Steps


@dataclass(frozen=True)
class LagGradients:
    """The gradient of the parameters, by lag: what a loss at step t sends to step t - lag, over all t.

    Attributes
    ----------
    lags : ndarray of int, shape (n,)
        From 0 on.
    params : ndarray, shape (n, number of parameters)
        Row k is the part of lag k, laid out as ``layer.params.flat``. All lags add up to the gradient. What a learned
        initial state gets belongs to the lag of the first step.
    norms : ndarray, shape (n,)
        Length of each row.
    sent : ndarray, shape (n,)
        Root mean square of the cotangents that arrive at the states after lag k steps.
    direct : ndarray, shape (n,)
        The same along the direct path alone, as `Run.jacobians` has it, without what comes through a matrix that
        multiplies a state: of an LSTM through the forget gates. A matrix that multiplies what is made within the step
        stays, such as ``weight_rh`` of ``"gru_reset_before"``, times r * h.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.diagnostics import gradient_by_lag
    >>> run = pylstm.LSTM(2, 3, dtype="float64", seed=0)(np.ones((6, 1, 2)))
    >>> dy = np.ones((6, 1, 3))
    >>> found = gradient_by_lag(run, dy)
    >>> bool(np.allclose(found.params.sum(axis=0), run.backward(dy).params.flat, atol=1e-14))
    True
    """

    lags: np.ndarray
    params: Array
    norms: Array
    sent: Array
    direct: Array

    def truncation_bias(self, k: int) -> float:
        """How far the gradient of chunks that reach `k` steps back is from that of all lags here, relative to it.

        Parameters
        ----------
        k : int
            Lags 0 to k - 1 are kept.

        Returns
        -------
        float
            0 for the exact gradient; above 1 the truncated one points elsewhere.
        """
        k = check_size("k", k, 0)
        whole = float(np.linalg.norm(self.params.sum(axis=0, dtype=np.float64)))
        return float(np.linalg.norm(self.params[k:].sum(axis=0, dtype=np.float64))) / whole if whole else 0.0


def gradient_by_lag(run: Run, dy: Any, lags: int | None = None) -> LagGradients:
    """Cut the gradient of the parameters of one layer into the parts of every lag.

    A loss at step t sends a cotangent to step t - 1, t - 2, and so on. All steps go back at once, one lag after the
    other: the cost is that of a gradient for every lag.

    Parameters
    ----------
    run : Run
        Of one layer, with a tape.
    dy : array_like
        Cotangent of ``run.y``, in its shape.
    lags : int, optional
        How many, from 0 on; default all.

    Returns
    -------
    LagGradients

    Raises
    ------
    TypeError, ValueError
        The run of a stack or two directions; a wrong shape or dtype; no steps.
    RuntimeError
        A run without a tape, or parameters that have changed since.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.diagnostics import gradient_by_lag
    >>> run = pylstm.GRU(2, 3, seed=0)(np.ones((6, 1, 2), "float32"))
    >>> gradient_by_lag(run, run.y, lags=3).norms.shape
    (3,)
    """
    check_run(run)
    steps = Steps(run)
    if run._T == 0 or run._B == 0:
        raise ValueError(f"a run over {run._T} steps of {run._B} rows has no lags")
    count = steps.T if lags is None else min(check_size("lags", lags), steps.T)
    whole, params, sent, straight = steps.start(dy), [], [], []
    direct = whole
    for _ in range(count):
        sent.append(_size(whole))
        straight.append(_size(direct))
        grads = steps.back(whole)
        before = {name: steps.whole(value) for name, value in grads.initial.items()}
        for name in run._given.learned:  # which every row had before its first step
            grads.params[f"initial_{name}"] += before[name][0].sum(axis=0)
        params.append(grads.params.flat.copy())
        whole = _earlier(before)
        direct = _earlier(steps.direct(direct))
    rows = np.array(params)
    norms = np.linalg.norm(rows, axis=1)
    return LagGradients(np.arange(count), rows, norms, np.array(sent), np.array(straight))


def _earlier(cotangents: dict[str, Array]) -> dict[str, Array]:
    """What was sent to the states before step t is what step t - 1 receives."""
    return {name: np.concatenate([value[1:], np.zeros_like(value[:1])]) for name, value in cotangents.items()}


def _size(cotangents: dict[str, Array]) -> float:
    count = sum(value.size for value in cotangents.values())
    return float(np.sqrt(sum((value.astype(np.float64) ** 2).sum() for value in cotangents.values()) / count))
