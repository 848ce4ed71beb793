"""`SequenceRegressor`: a recurrent net as a scikit-learn regressor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from pylstm.estimators.base import SequenceEstimator, counted
from pylstm.estimators.scaling import fit_scaler
from pylstm.estimators.scikit import RegressorMixin
from pylstm.models.targets import check_loss_of_values
from pylstm.schema import Entries


@dataclass(eq=False, repr=False, kw_only=True)
class SequenceRegressor(RegressorMixin, SequenceEstimator, kind="sequence_regressor"):
    """Predicts numbers for sequences by a recurrent net.

    Parameters
    ----------
    cell : str or Cell subclass
    hidden_size, num_layers, bidirectional, dropout, residual, head_sizes, activation, read, cell_options
        Of the net, as for `SequenceClassifier`.
    features_per_step, standardise
        Of X, as for `SequenceClassifier`; the targets are always standardised.
    loss : {"mean_squared_error", "huber"}
        Of the standardised targets.
    epochs, batch_size, learning_rate, optimiser, schedule, clip
        Of the training, as for `SequenceClassifier`.
    early_stopping, validation_fraction, n_iter_no_change, warm_start, dtype, random_state, verbose
        As for `SequenceClassifier`.

    Attributes
    ----------
    model_ : SequenceModel
        Of standardised inputs and targets.
    n_outputs_ : int
    n_features_in_, feature_names_in_, n_iter_, loss_curve_
        As of `SequenceClassifier`.
    validation_scores_ : list of float or None
        R^2 on the sequences held out, after every epoch.
    x_scaler_, y_scaler_ : sklearn.preprocessing.StandardScaler
        Of the steps and of the targets.
    x_mean_, x_scale_, y_mean_, y_scale_ : ndarray, shape (I,) and (n_outputs_,)
        Of these two.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm import SequenceRegressor
    >>> x = np.random.default_rng(0).normal(size=(200, 12, 1))
    >>> net = SequenceRegressor("gru", hidden_size=8, random_state=0).fit(x, x.sum(axis=(1, 2)))
    >>> bool(net.score(x, x.sum(axis=(1, 2))) > 0.95)
    True
    """

    _scaled_values = ("x", "y")
    _own = ("feature_names", "scales", "outputs", "by_column")

    loss: Literal["mean_squared_error", "huber"] = "mean_squared_error"

    def predict(self, X: Any) -> np.ndarray:
        """The targets of each sequence: (N,), or (N, K) where those of the fit were."""
        y = self._out(X) * self.y_scale_ + self.y_mean_  # inverse_transform would refuse an infinite one
        return y if self._by_column else y[:, 0]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2 of the predictions of X; the mean over the targets.

        Parameters
        ----------
        X, y : as for `fit`
        sample_weight : array_like, shape (N,), optional
            Sequences of weight 0 are left out, whatever they and their targets are.
        """
        return super().score(*counted(X, y, sample_weight))

    def _take_targets(self, y: Any) -> np.ndarray:
        try:
            y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y", estimator=self)
        except ValueError as error:
            if "could not convert" not in str(error):
                raise
            raise ValueError(f"y must be numbers, {error}: labels are for pylstm.SequenceClassifier") from None
        if y.ndim > 2:
            raise ValueError(f"y must have shape (N,) or (N, K), got {y.shape}")
        self._by_column = y.ndim == 2
        y = y.reshape(len(y), -1)
        self.n_outputs_ = y.shape[1]
        return y

    def _set_scalers(self, x: Any, targets: np.ndarray, weights: np.ndarray) -> None:
        super()._set_scalers(x, targets, weights)
        self.y_scaler_ = fit_scaler(targets, weights)

    @property
    def y_mean_(self) -> np.ndarray:
        """Means of `y_scaler_`."""
        check_is_fitted(self, "y_scaler_")
        return self.y_scaler_.mean_

    @property
    def y_scale_(self) -> np.ndarray:
        """Deviations of `y_scaler_`, 1 for a constant target."""
        check_is_fitted(self, "y_scaler_")
        return self.y_scaler_.scale_

    def _scaled(self, targets: np.ndarray) -> np.ndarray:
        check_is_fitted(self, "y_scaler_")
        return self.y_scaler_.transform(targets).astype(self.dtype)

    def _score_of(self, x: Any, targets: np.ndarray, weights: Any = None) -> float:
        if len(targets) < 2:  # where R^2 is not defined
            return float("nan")
        return float(r2_score(targets, self.model_.predict(x), sample_weight=weights))

    def _outputs(self) -> tuple[int, Any]:
        return self.n_outputs_, self._by_column

    def _loss(self) -> str:
        return self.loss

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_loss_of_values(self.loss)

    def _own_metadata(self) -> dict[str, Any]:
        return super()._own_metadata() | {"outputs": self.n_outputs_, "by_column": self._by_column}

    def _set_labels(self, says: Entries) -> None:
        self.n_outputs_, self._by_column = says.integer("outputs"), says.flag("by_column")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
