"""`SequenceClassifier`: a recurrent net as a scikit-learn classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, check_is_fitted

from pylstm.estimators.base import SequenceEstimator, counted
from pylstm.estimators.estimator import simple
from pylstm.estimators.scikit import ClassifierMixin
from pylstm.models.classify_model import ClassifyModel, log_probabilities
from pylstm.schema import Entries, is_number

LONGEST_LABEL = 10_000
"""Characters that a class label in a file can have."""


@dataclass(eq=False, repr=False, kw_only=True)
class SequenceClassifier(ClassifierMixin, SequenceEstimator, kind="sequence_classifier"):
    """Classifies sequences by a recurrent net with a softmax.

    Parameters
    ----------
    cell : str or Cell subclass
        ``pylstm cells`` lists the names.
    hidden_size, num_layers, bidirectional, dropout, residual, head_sizes, activation
        Of the net, as for `pylstm.SequenceModel`.
    read : {"last", "mean", "max"}
        What the head sees: the last step, or mean or maximum over the steps.
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
        Factors on the weights of the samples by class, in `fit` only; "balanced": the classes weigh the same. With a
        factor of 0 the sequences of a class are left out, whatever they are; it stays in ``classes_``.
    warm_start : bool
        Whether another `fit` continues from the parameters of the previous one.
    dtype : {"float32", "float64"}
    random_state : int, RandomState or None
    verbose : bool
        Show a bar.

    Attributes
    ----------
    classes_ : ndarray, shape (K,)
    model_ : SequenceModel
    n_features_in_ : int
        F of flat rows, otherwise I.
    feature_names_in_ : ndarray of str
        Where X had names of columns.
    n_iter_ : int
        Epochs.
    loss_curve_ : list of float
        Mean loss of every epoch.
    validation_scores_ : list of float or None
        Accuracy on the sequences held out, after every epoch.
    x_scaler_ : sklearn.preprocessing.StandardScaler
        Of the steps.
    x_mean_, x_scale_ : ndarray, shape (I,)
        Of it.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm import SequenceClassifier
    >>> x = np.random.default_rng(0).normal(size=(200, 12, 1))
    >>> y = np.where(x.sum(axis=(1, 2)) > 0, "up", "down")
    >>> net = SequenceClassifier("gru", hidden_size=8, random_state=0).fit(x, y)
    >>> net.classes_, bool(net.score(x, y) > 0.95)
    (array(['down', 'up'], dtype='<U4'), True)
    """

    _own = ("feature_names", "scales", "classes")

    class_weight: Any = None

    def decision_function(self, X: Any) -> np.ndarray:
        """Logits (N, K); of two classes, those of the second minus those of the first (N,)."""
        logits = self._out(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithms of the probabilities, (N, K) in the order of ``classes_``."""
        return log_probabilities(self._out(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities, (N, K) in the order of ``classes_``."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each sequence, (N,)."""
        best = self._out(X).argmax(axis=1)
        return self.classes_[best]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Share of the sequences whose label is predicted.

        Parameters
        ----------
        X, y : as for `fit`
        sample_weight : array_like, shape (N,), optional
            Sequences of weight 0 are left out, whatever they and their targets are.
        """
        return super().score(*counted(X, y, sample_weight))

    @property
    def task_model(self) -> ClassifyModel:
        """The `ClassifyModel` of the same net, as commands take it."""
        check_is_fitted(self, "model_")
        names = [str(each) for each in self.classes_]
        return ClassifyModel.around(self.model_, names, np.stack([self.x_mean_, self.x_scale_]))

    def _take_targets(self, y: Any) -> np.ndarray:
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_, targets = np.unique(y, return_inverse=True)
        return targets

    def _rows_that_count(self, X: Any, y: Any) -> np.ndarray | None:
        """Those of classes whose weight is not 0."""
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
        if self.class_weight is None:
            return weights
        return weights * compute_sample_weight(self.class_weight, self.classes_[targets])

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        held = max(1, round(len(targets) * self.validation_fraction))
        enough = np.bincount(targets).min() >= 2 and min(held, len(targets) - held) >= len(self.classes_)
        return targets if enough else None

    def _score_of(self, x: Any, targets: np.ndarray, weights: Any = None) -> float:
        return float(np.average(self.model_.predict(x).argmax(axis=1) == targets, weights=weights))

    def _scaled(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def _outputs(self) -> tuple[int, Any]:
        return len(self.classes_), self.classes_.tolist()

    def _loss(self) -> str:
        return "softmax_cross_entropy"

    def _own_metadata(self) -> dict[str, Any]:
        classes = {"dtype": self.classes_.dtype.str, "labels": [simple(each) for each in self.classes_]}
        return super()._own_metadata() | {"classes": classes}

    def _set_labels(self, says: Entries) -> None:
        classes = says.entries("classes").only(("dtype", "labels"))
        labels = classes.list("labels")
        if not all(isinstance(each, str | bool) or is_number(each) for each in labels):
            classes.refuse("must hold texts or numbers only", labels, "labels")
        try:
            dtype = np.dtype(classes.text("dtype"))
            if dtype.kind not in "biufUO" or dtype.itemsize > 4 * LONGEST_LABEL:
                raise TypeError("another kind, or too long")
            self.classes_ = np.array(labels, dtype=dtype)
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(
                f"metadata.classes: the labels do not have the dtype given in the file ({error})"
            ) from None
        if len(set(labels)) != len(labels) or len(labels) < 1:
            classes.refuse("must be different from each other", labels, "labels")
