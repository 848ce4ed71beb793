"""`SequenceClassifier`: a recurrent net as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, check_is_fitted

from pylstm.checks import check_dtype
from pylstm.data.sequences import Sequences
from pylstm.data.views import VIEWS, seen
from pylstm.estimators.base import counted
from pylstm.estimators.estimator import simple
from pylstm.estimators.incremental import Incremental
from pylstm.estimators.methods.asked import (
    CHOSEN,
    asked,
    check_asked,
    check_class_weight,
    check_labels,
    read_chosen,
    said,
)
from pylstm.estimators.methods.calibration import cool, temperature_of
from pylstm.estimators.methods.choosing import compared, fit_random, merged
from pylstm.estimators.scikit import ClassifierMixin
from pylstm.estimators.sequences.hidden import refuse_masked
from pylstm.estimators.sequences.inputs import Labels, Rows, explained_values, seed_of, take
from pylstm.estimators.sequences.stepwise import beside, each, inside, labels_of_steps
from pylstm.models.classify_model import ClassifyModel, log_probabilities
from pylstm.schema import Entries, is_number

LONGEST_LABEL = 10_000
"""Characters that a class label in a file can have."""


@dataclass(eq=False, repr=False, kw_only=True)
class SequenceClassifier(ClassifierMixin, Incremental, kind="sequence_classifier"):
    """Classifies sequences by a recurrent net with a softmax.

    Parameters
    ----------
    cell : str or Cell subclass
        ``pylstm cells`` lists the names; "auto": what suits the `method`, ``gru`` of a random net and ``lstm`` of a
        trained one.
    hidden_size : int
        Units; of a random net in each direction.
    num_layers, bidirectional, dropout, residual, head_sizes, activation
        Of a trained net, as for `pylstm.SequenceModel`.
    method : {"auto", "random", "trained"}
        "random": the recurrent weights stay as they are drawn, and the head alone is fitted, by ridge regression; the
        fit takes about a second for 100 sequences of 500 steps. "trained": all weights are, by gradients. "auto":
        random, or a trained bidirectional GRU where that is right more often on sequences held out; where `cell` or
        another parameter of a trained net or its training is not at its default, a net of these is trained.
    read : {"last", "mean", "max", "stats", "every"}
        What the head of a trained net sees: the last step, mean or maximum over the steps, or last step, mean,
        deviation, maximum and minimum side by side, which is what that of a random net sees. "every": each step has a
        label; y, and what is predicted, are (N, T), or of ragged X lists of (T_i,).
    cell_options : dict of str to int, optional
        Further sizes of the cell.
    features_per_step : int
        Into how many numbers each a flat row of X is cut: 64 numbers are 64 steps of 1, or 8 steps of 8.
    standardise : bool
        Subtract the mean of every feature over all steps, and divide by its deviation.
    epochs, batch_size : int
    learning_rate : float
        At the first step.
    optimiser : {"adam", "adamw", "rmsprop", "sgd"}
    schedule : {"cosine", "plateau"} or None
        How the rate falls: as half a cosine wave to 0, when the loss has not got better for 10 epochs, never.
    clip : float or None
        Largest norm of the gradient.
    early_stopping : bool
        Hold out a share of the sequences; stop after `n_iter_no_change` epochs in a row without a lower loss on them,
        and take the parameters of the best epoch.
    validation_fraction : float
    n_iter_no_change : int
    class_weight : dict, "balanced" or None
        Factors, 0 or more, on the weights of the samples by class, in `fit` and `partial_fit` only; "balanced": the
        classes weigh the same. With a factor of 0 the sequences of a class are left out, whatever they are; it stays in
        ``classes_``. Where every step has a label, the factors are those of steps.
    calibrate : bool
        Hold out a share of the sequences of a trained net, and divide the logits by the temperature with the lowest
        cross-entropy on them, so that probabilities are shares of right answers; not in `partial_fit`. Those of a
        random net always are, by sequences left out.
    warm_start : bool
        Whether another `fit` continues from the parameters of the previous one.
    frozen : str or sequence of str, optional
        Parameters of a trained net that stay as they are: as drawn, or with `warm_start` and in `partial_fit` as they
        were; names as for `Parameters.freeze`, ``"weight_h"`` for those of every layer. ``()``: none; None: those that
        are frozen in the net before.
    dtype : {"float32", "float64"}
    random_state : int, RandomState or None
    verbose : bool
        Show a bar, and say what "auto" chose.

    Attributes
    ----------
    classes_ : ndarray, shape (K,)
    model_ : SequenceModel
    n_features_in_ : int
        F of flat rows, otherwise I.
    feature_names_in_ : ndarray of str
        Where X had names of columns.
    method_ : {"random", "trained"}
    scores_ : dict
        Of "auto" and "random", method -> accuracy on sequences that were left out of the fit.
    settings_ : dict
        ``view``, what the net sees: the "steps", "differences" besides, or besides both those of the "normalised"
        sequence; ``penalty``, of the regression of the head.
    temperature_ : float
        By which the logits were divided; it is inside the weights of the head. 1: they were not.
    n_iter_ : int
        Epochs; 0 of a random net.
    loss_curve_ : list of float
        Mean loss of every epoch.
    validation_scores_ : list of float or None
        Accuracy on the sequences held out, after every epoch.
    x_scaler_ : sklearn.preprocessing.StandardScaler
        Of the steps.
    x_mean_, x_scale_ : ndarray, shape (I,)
        Of it; (2 I,) or (4 I,) where what the net sees, ``settings_["view"]``, has the differences or also the
        normalised sequence.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm import SequenceClassifier
    >>> x = np.random.default_rng(0).normal(size=(200, 12, 1))
    >>> y = np.where(x.sum(axis=(1, 2)) > 0, "up", "down")
    >>> net = SequenceClassifier("gru", hidden_size=8, random_state=0).fit(x, y)
    >>> net.classes_, bool(net.score(x, y) > 0.95)
    (array(['down', 'up'], dtype='<U4'), True)
    >>> SequenceClassifier(random_state=0).fit(x[:100], y[:100]).method_
    'random'
    """

    _own = ("feature_names", "scales", "classes", "chosen")

    cell: Any = field(default="auto", kw_only=False)
    class_weight: Any = None
    method: Literal["auto", "random", "trained"] = "auto"
    calibrate: bool = False

    def decision_function(self, X: Rows) -> Any:
        """Logits (N, K); of two classes, those of the second minus those of the first (N,).

        With ``read="every"`` these and what else is returned have an axis of the T steps behind that of the sequences,
        and stand in a list, one array for each sequence, where X is ragged.
        """
        two = len(self.classes_) == 2 if hasattr(self, "classes_") else False
        return each((lambda z: z[:, 1] - z[:, 0]) if two else np.asarray, self._out(X))

    def predict_log_proba(self, X: Rows) -> Any:
        """Logarithms of the probabilities, (N, K) in the order of ``classes_``."""
        return each(log_probabilities, self._out(X))

    def predict_proba(self, X: Rows) -> Any:
        """Probabilities, (N, K) in the order of ``classes_``."""
        return each(lambda z: np.exp(log_probabilities(z)), self._out(X))

    def predict(self, X: Rows) -> Any:
        """The most probable label of each sequence, (N,)."""
        return each(lambda z: self.classes_[z.argmax(axis=1)], self._out(X))

    def score(self, X: Rows, y: Labels | None = None, sample_weight: Labels | None = None) -> float:
        """Share of the sequences, or steps, whose label is predicted.

        Parameters
        ----------
        X, y : as for `fit`
        sample_weight : array_like, shape (N,), optional
            Sequences of weight 0 are left out, whatever they and their targets are.
        """
        X, y, sample_weight = counted(X, y, sample_weight)
        if self.read != "every":
            return super().score(X, y, sample_weight)
        labels, lengths = labels_of_steps(y)
        found, counts = labels_of_steps(self.predict(X))
        if not np.array_equal(counts, lengths):
            raise ValueError(f"y must have as many labels as X has steps, got {lengths.tolist()} for {counts.tolist()}")
        weights = None if sample_weight is None else np.repeat(np.asarray(sample_weight), lengths)
        return float(np.average(found == labels, weights=weights))

    @property
    def task_model(self) -> ClassifyModel:
        """The `ClassifyModel` of the same net, as commands take it."""
        check_is_fitted(self, "model_")
        names = [str(each) for each in self.classes_]
        return ClassifyModel.around(self.model_, names, np.stack([self.x_mean_, self.x_scale_]), self.view_)

    @property
    def view_(self) -> str:
        """What the net sees of a sequence, of `pylstm.data.views`."""
        check_is_fitted(self, "settings_")
        return str(self.settings_["view"])

    def _learn(self, x: Any, targets: np.ndarray, weights: np.ndarray, warm: Any) -> Any:
        how = asked(self, x)
        self._begin_choice(how)
        if how == "trained":
            return super()._learn(x, targets, weights, warm)
        x, targets, weights = merged(x, targets, weights)
        net: dict[str, Any] = {"K": len(self.classes_), "dtype": check_dtype(self.dtype).name}
        seed = seed_of(self.random_state)
        found, self.settings_, self.x_scaler_ = min(
            self._random_nets(x, targets, weights, seed, hidden=self.hidden_size, **net), key=lambda each: each[0].error
        )
        if how == "auto":
            found = compared(found, self._inputs(x), targets, weights, seed=seed, **net)
        self.model_, self.method_, self.scores_ = found.model, found.method, found.scores
        self.settings_["penalty"], self.temperature_ = found.penalty, found.temperature
        self._net_of = self._identity()
        self.n_iter_, self.loss_curve_, self.validation_scores_ = len(found.loss_curve), found.loss_curve, None
        if self.verbose:
            print(said(found))
        return self

    def _random_nets(self, x: Any, targets: np.ndarray, weights: np.ndarray, seed: int, **net: Any) -> Iterator[Any]:
        """One of each view, with the settings and the scaler for it."""
        for view in ("differences", "normalised"):
            self.settings_ = {"view": view, "penalty": None}
            self._set_scalers(self._prepared(x), targets, weights)
            yield fit_random(self._inputs(x), targets, weights, seed=seed, **net), self.settings_, self.x_scaler_

    def _begin_choice(self, how: str) -> None:
        if how == "batches" and (self.method == "random" or self.read == "every"):
            what = "method='random'" if self.method == "random" else "read='every'"
            raise ValueError(f"{what} does not take batches: pass arrays or lists")
        self.method_, self.scores_, self.temperature_ = "trained", {}, 1.0
        self.settings_, self._optimiser_state = {"view": "steps", "penalty": None}, None

    def _identity(self) -> dict[str, Any]:
        return super()._identity() | {"method": self.method_, "view": self.view_}

    def _copies(self) -> int:
        return VIEWS[self.view_]

    def _prepared(self, x: Any) -> Any:
        return seen(x, self.view_)

    def _net_settings(self) -> dict[str, Any]:
        settings = super()._net_settings()
        return settings | ({"cell": "lstm"} if isinstance(self.cell, str) and self.cell == "auto" else {})

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_asked(self)
        check_class_weight(self.class_weight)

    def _take_targets(self, y: Any, x: Any = None, *, known: bool = False) -> Any:
        refuse_masked("y", y)
        if self.read == "every":
            labels, lengths = labels_of_steps(y)
            return beside(x, self._numbers(labels, known=known), lengths)
        _refuse_none(y)
        y = column_or_1d(y, warn=True)
        with explained_values("y", y):
            assert_all_finite(y, input_name="y")
        return self._numbers(y, known=known)

    def _numbers(self, labels: np.ndarray, *, known: bool) -> np.ndarray:
        """Labels as numbers of the classes."""
        check_labels(labels)
        check_classification_targets(labels)
        found, targets = np.unique(labels, return_inverse=True)
        if not known:
            self.classes_ = found
            return targets
        unknown = np.setdiff1d(found, self.classes_)
        if len(unknown):
            raise ValueError(f"y holds labels that are not in classes: {unknown.tolist()}")
        return np.searchsorted(self.classes_, found)[targets]

    def _rows_that_count(self, X: Any, y: Any) -> np.ndarray | None:
        """Those of classes whose weight is not 0."""
        if self.read == "every":
            return None
        by_label = self.class_weight if isinstance(self.class_weight, dict) else {}
        zero = {label for label, weight in by_label.items() if weight == 0}
        labels = np.asarray(y)
        labels = labels.reshape(-1) if labels.shape == (len(labels), 1) else labels
        if not zero or labels.ndim != 1 or _num_samples(X) != len(labels):
            return None
        rows = np.flatnonzero([label not in zero for label in labels.tolist()])
        return rows if 0 < len(rows) < len(labels) else None

    def _take_weights(self, x: Any, targets: np.ndarray, sample_weight: Any) -> np.ndarray:
        weights = super()._take_weights(x, targets, sample_weight)
        if self.class_weight is None or self.read == "every":
            return weights
        return weights * compute_sample_weight(self.class_weight, self.classes_[targets])

    def _data(self, x: Any, targets: Any, weights: np.ndarray) -> tuple[Any, ...]:
        if self.read != "every" or self.class_weight is None:
            return super()._data(x, targets, weights)
        labels, lengths = labels_of_steps(targets)
        factors = compute_sample_weight(self.class_weight, self.classes_[labels]) * np.repeat(weights, lengths)
        return x, targets, beside(x, factors.astype(self.dtype), lengths)

    def _holds_out(self, *, drawn: bool = True) -> bool:
        return self.early_stopping or self.calibrate

    def _judge(self, x: Any, targets: Any, weights: Any = None) -> None:
        """Divide the last map of the head by the temperature, if `calibrate` asks for it."""
        if not self.calibrate:
            return
        logits = self.model_.predict(x).astype(np.float64)
        if self.read == "every":
            steps = labels_of_steps(targets)[1]
            weights = None if weights is None else _of_steps(weights, steps)
            logits, targets = inside(Sequences(logits, steps)), labels_of_steps(targets)[0]
        self.temperature_ = temperature_of(logits, targets, weights)
        cool(self.model_, self.temperature_)

    def _strata(self, targets: Any) -> np.ndarray | None:
        if self.read == "every":
            return None
        held = max(1, round(len(targets) * self.validation_fraction))
        enough = np.bincount(targets).min() >= 2 and min(held, len(targets) - held) >= len(self.classes_)
        return targets if enough else None

    def _out(self, X: Any) -> Any:
        if self.read != "every":
            return super()._out(X)
        check_is_fitted(self, "model_")
        x = take(self, X, reset=False)
        out = self.model_.predict(self._inputs(x)).astype(np.float64)
        return [row[:steps] for row, steps in zip(out, x.lengths)] if isinstance(x, Sequences) else out

    def _score_of(self, x: Any, targets: Any, weights: Any = None) -> float:
        if self.read == "every":
            labels, steps = labels_of_steps(targets)
            hits = inside(Sequences(self.model_.predict(x), steps)).argmax(axis=1) == labels
            return float(np.average(hits, weights=None if weights is None else _of_steps(weights, steps)))
        return float(np.average(self.model_.predict(x).argmax(axis=1) == targets, weights=weights))

    def _scaled(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def _outputs(self) -> tuple[int, Any]:
        return len(self.classes_), self.classes_.tolist()

    def _loss(self) -> str:
        return "softmax_cross_entropy"

    def _own_metadata(self) -> dict[str, Any]:
        classes = {"dtype": self.classes_.dtype.str, "labels": [simple(each) for each in self.classes_]}
        own = {name: getattr(self, f"{name}_") for name in CHOSEN}
        return super()._own_metadata() | {"classes": classes, "chosen": own}

    def _set_labels(self, says: Entries) -> None:
        for name, value in read_chosen(says).items():
            setattr(self, f"{name}_", value)
        classes = says.entries("classes").only(("dtype", "labels"))
        labels = classes.list("labels")
        if not all(isinstance(each, str | bool) or is_number(each) for each in labels):
            classes.refuse("must hold texts or numbers only", labels, "labels")
        try:
            dtype = np.dtype(classes.text("dtype"))
            if dtype.kind not in "biufUO" or dtype.itemsize > 4 * LONGEST_LABEL:
                raise TypeError(f"{dtype.str} is not a dtype of labels, or of more than {LONGEST_LABEL} characters")
            self.classes_ = np.array(labels, dtype=dtype)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"metadata.classes: the labels do not have the dtype given in the file ({error})"
            ) from None
        if len(set(labels)) != len(labels) or len(labels) < 1:
            classes.refuse("must be different from each other", labels, "labels")


def _refuse_none(y: Any) -> None:
    values = np.asarray(y) if not isinstance(y, list | tuple) or None in y else np.empty(0)
    if values.dtype == object and any(each is None for each in values.ravel().tolist()):
        raise ValueError("y contains None where a label is missing: leave such sequences out")


def _of_steps(weights: Any, steps: np.ndarray) -> np.ndarray:
    """Weights of sequences (N,) or steps, for every step that there is, (M,)."""
    if isinstance(weights, np.ndarray) and weights.ndim == 1:
        return np.repeat(weights, steps)
    return inside(weights)
