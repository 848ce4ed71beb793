"""`Prepared`: batches of an iterable as an estimator trains on them, after a pass for statistics."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length

from pylstm.checks import quoted
from pylstm.data.iterables import Batches, in_batch
from pylstm.estimators.sequences.inputs import take
from pylstm.estimators.sequences.scaling import fit_pieces, scale_steps, steps_of


class Prepared:
    """Batches (x, y) or (x, y, sample_weight), scaled and encoded when they are read.

    Parameters
    ----------
    net : SequenceEstimator
        Gets, by one pass over all batches, what it knows of features, targets and scales.
    batches : Batches
        That can be read again. Those without a row of a weight above 0 are left out.

    Attributes
    ----------
    count : int
        Batches of an epoch.

    Raises
    ------
    TypeError, ValueError
        As of a fit of arrays; names the batch.
    """

    def __init__(self, net: Any, batches: Batches) -> None:
        batches.refuse_once("it is read for means and deviations, and then for every epoch")
        self._net, self._batches, self.count = net, batches, 0
        self._targets: list[np.ndarray] = []
        self._weights: list[np.ndarray] = []
        self._factors: np.ndarray | None = None
        if getattr(net, "class_weight", None) is not None:  # which weighs means, too: the classes first
            for _ in self._read():
                pass
            self._factors = _factors(*self._all())
        scaler = fit_pieces(self._read())
        targets, weights, _ = self._all()
        kept = weights > 0
        self._weighed = not (weights == weights[0]).all()
        stand_in = np.broadcast_to(np.zeros(1), (int(kept.sum()), 1, net.n_step_features_))
        net._set_scalers(stand_in, targets[kept], weights[kept])
        if net.standardise:
            net.x_scaler_ = scaler
        self._targets.clear()

    def _all(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Targets and weights of all rows that were read, the latter with and without those of classes."""
        given = np.concatenate(self._weights)
        if not len(given):
            raise ValueError("all sample weights are zero: at least one must be above 0")
        targets = self._net._take_targets(np.concatenate(self._targets))
        return targets, self._net._take_weights(None, targets, given), given

    def _read(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Steps of all batches, and their weights; keeps targets and weights of the rows."""
        self._targets, self._weights, self.count, first = [], [], 0, 0.0
        for number, batch in enumerate(self._batches):
            with in_batch(self._batches.name, number):
                x, y, weights = self._taken(batch, reset=number == 0)
                factors = 1.0 if self._factors is None else self._factors[self._encoded(y)]
            self._targets.append(y)
            self._weights.append(weights)
            weights = weights * factors
            kept = weights > 0
            if kept.any():
                self.count, first = self.count + 1, first or weights[kept].mean()
                yield from steps_of(x[kept], weights[kept] / first)

    def _taken(self, batch: tuple[Any, ...], *, reset: bool) -> tuple[Any, np.ndarray, np.ndarray]:
        """x, targets and weights, without the rows of a weight of 0."""
        if len(batch) not in (2, 3):
            raise ValueError(f"a batch must be (x, y) or (x, y, sample_weight), got {len(batch)} arrays")
        x, y = take(self._net, batch[0], reset=reset), np.asarray(batch[1])
        weights = np.asarray(batch[2], np.float64) if len(batch) == 3 else np.ones(len(x))
        check_consistent_length(x, y, weights)
        if weights.ndim != 1 or not (weights >= 0).all() or not np.isfinite(weights).all():
            raise ValueError(f"sample_weight must be 0 or more, one for each sequence, got {quoted(weights)}")
        kept = weights > 0
        return (x, y, weights) if kept.all() else (x[kept], y[kept], weights[kept])

    def __call__(self) -> Iterator[tuple[Any, ...]]:
        """The batches of one epoch."""
        net = self._net
        for number, batch in enumerate(self._batches):
            with in_batch(self._batches.name, number):
                x, y, weights = self._taken(batch, reset=False)
                targets = self._encoded(y) if len(y) else np.empty(0, np.intp)
            if self._factors is not None:
                weights = weights * self._factors[targets]
                x, targets, weights = (each[weights > 0] for each in (x, targets, weights))
            if not len(weights):
                continue
            data = scale_steps(net.x_scaler_, x, net.dtype), net._scaled(targets)
            yield (*data, weights.astype(net.dtype)) if self._weighed else data

    def _encoded(self, y: np.ndarray) -> np.ndarray:
        if not hasattr(self._net, "classes_"):
            encoded: np.ndarray = copy.copy(self._net)._take_targets(y)
            return encoded
        classes = self._net.classes_
        found = np.searchsorted(classes, y.reshape(len(y)))
        if not np.array_equal(classes[np.minimum(found, len(classes) - 1)], y.reshape(len(y))):
            raise ValueError(
                f"y must hold labels of the pass before only, {classes.tolist()}: let every pass yield the same labels"
            )
        return found


def _factors(targets: np.ndarray, weights: np.ndarray, given: np.ndarray) -> np.ndarray:
    """What the weights of the samples of each class are multiplied by."""
    first = np.unique(targets, return_index=True)[1]
    return weights[first] / given[first]
