"""Nets that a `SequenceClassifier` takes when nobody says which: `fit_random`, and `compared` with it a trained one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from pylstm.data.sequences import Sequences
from pylstm.estimators.methods.calibration import cool, temperature_of
from pylstm.estimators.methods.random_net import features_of, random_net
from pylstm.estimators.methods.readout import fit_readout
from pylstm.models.fitted import fit_net
from pylstm.models.sequence_model import SequenceModel

GOOD = 0.97
"""Share of rows that a random net gets right from which on no other is tried."""

FEWEST = 200
"""Sequences that a trained net is compared on."""

LONGEST = 50_000
"""Steps of all sequences up to which a trained net is tried: a fit on more takes longer than some seconds."""

EPOCHS = 40
HELD_OUT = 0.25


@dataclass
class Chosen:
    """A fitted net, and how it came about.

    Attributes
    ----------
    model : SequenceModel
    method : {"random", "trained"}
    scores : dict
        Method -> accuracy on rows that it was not fitted on.
    penalty, temperature : float or None
        Of the read-out of a random net.
    loss_curve : list of float
        Of a trained net.
    error : float
        Mean square on sequences left out.
    right : ndarray of bool, shape (N,)
        Which of these were right.
    """

    model: SequenceModel
    method: str
    scores: dict[str, float]
    penalty: float | None = None
    temperature: float = 1.0
    loss_curve: list[float] = field(default_factory=list)
    error: float = float("inf")
    right: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))


def fit_random(
    x: Any, targets: np.ndarray, weights: np.ndarray, *, K: int, hidden: int, dtype: Any, seed: int
) -> Chosen:
    """A random net with its read-out fitted.

    Parameters
    ----------
    x : ndarray (N, T, I) or Sequences
        As the net sees it.
    targets : ndarray of int, shape (N,)
    weights : ndarray, shape (N,)
    K, hidden, dtype, seed
        Classes; of the net.
    """
    net = random_net(x.shape[2], hidden, K, float(_steps(x).mean()) / 2, dtype, seed)
    found = fit_readout(features_of(net, x), targets, K, weights)
    net.head.params["weight"][...], net.head.params["bias"][...] = found.weight, found.bias
    right = found.left_out.argmax(axis=1) == targets
    scores = {"random": float(np.average(right, weights=weights))}
    return Chosen(net, "random", scores, found.penalty, found.temperature, error=found.error, right=right)


def compared(
    best: Chosen, x: Any, targets: np.ndarray, weights: np.ndarray, *, K: int, dtype: Any, seed: int
) -> Chosen:
    """`best`, or a trained net, if that is right more often by more than the standard error of the difference.

    It is tried where the random net leaves something to win, and the sequences are enough to tell and not too many
    for a fit of seconds. Arguments as of `fit_random`.
    """
    few = np.bincount(targets, minlength=K).min() < 4 or len(x) < FEWEST
    if few or best.scores["random"] >= GOOD or _steps(x).sum() > LONGEST:
        return best
    rows = np.arange(len(targets))
    kept, held = map(np.sort, train_test_split(rows, test_size=HELD_OUT, random_state=seed, stratify=targets))
    net, _ = trained_net(x[kept], targets[kept], weights[kept], K, dtype, seed)
    hits = net.predict(x[held]).argmax(axis=1) == targets[held]
    gain = weights[held] * (hits.astype(float) - best.right[held])
    best.scores["trained"] = float(np.average(hits, weights=weights[held]))
    if gain.sum() <= np.sqrt((gain**2).sum()):
        return best
    temperature = temperature_of(net.predict(x[held]).astype(np.float64), targets[held], weights[held])
    net, curve = trained_net(x, targets, weights, K, dtype, seed)
    cool(net, temperature)
    return Chosen(net, "trained", best.scores, temperature=temperature, loss_curve=curve)


def _steps(x: Any) -> np.ndarray:
    """Numbers of steps, by sequence."""
    return x.lengths if isinstance(x, Sequences) else np.full(len(x), x.shape[1])


def trained_net(
    x: np.ndarray | Sequences, targets: np.ndarray, weights: np.ndarray, K: int, dtype: Any, seed: int
) -> tuple[SequenceModel, list[float]]:
    """A bidirectional GRU whose head reads statistics, all of it trained, and its losses."""
    net = SequenceModel(
        "gru", x.shape[2], 32, K, bidirectional=True, read="stats", loss="softmax_cross_entropy", dtype=dtype, seed=seed
    )
    data = (x, targets) if (weights == weights[0]).all() else (x, targets, weights.astype(dtype))
    history = fit_net(net, data, epochs=EPOCHS, batch_size=32, lr=0.01, clip=1.0, seed=seed)
    return net, history.loss


def merged(x: Any, targets: np.ndarray, weights: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
    """Each different sequence with a target once, with the sum of its weights: what is left out is not there twice.

    Examples
    --------
    >>> x, targets, weights = merged(np.array([[[2.0]], [[1.0]], [[2.0]]]), np.array([0, 1, 0]), np.ones(3))
    >>> x.ravel().tolist(), targets.tolist(), weights.tolist()
    ([1.0, 2.0], [1, 0], [1.0, 2.0])
    """
    rows = x.rows() if isinstance(x, Sequences) else x
    keys = [(*row.ravel().tolist(), target) for row, target in zip(rows, targets.tolist())]
    first: dict[Any, int] = {}
    places = np.array([first.setdefault(key, at) for at, key in enumerate(keys)])
    order = np.array(sorted(first.values(), key=lambda at: keys[at]))
    sums = np.bincount(places, weights=weights, minlength=len(keys))
    return x[order], targets[order], sums[order]
