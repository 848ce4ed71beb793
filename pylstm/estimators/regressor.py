"""`SequenceRegressor`: a recurrent net as a scikit-learn regressor."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from pylstm.checks import check_share, check_size, quoted
from pylstm.estimators.base import SequenceEstimator, counted
from pylstm.estimators.conformal import Conformal, read_conformal, warn_of_few
from pylstm.estimators.scikit import RegressorMixin
from pylstm.estimators.sequences.hidden import refuse_masked, refuse_times
from pylstm.estimators.sequences.inputs import Labels, Rows, explained_values
from pylstm.estimators.sequences.scaling import fit_scaler, make_scaler
from pylstm.models.heads import Head, HeadName, check_counts, head_of
from pylstm.schema import Entries

LEAST = 100
"""Sequences to hold out for intervals, if they are no more than a third: of 100, a level of 0.9 is off by 0.03."""
AT_ONCE = 100_000
"""Outputs of which samples are drawn at once."""


@dataclass(eq=False, repr=False, kw_only=True)
class SequenceRegressor(RegressorMixin, SequenceEstimator, kind="sequence_regressor"):
    """Predicts numbers for sequences by a recurrent net.

    Parameters
    ----------
    cell : str or Cell subclass
    hidden_size, num_layers, bidirectional, dropout, residual, head_sizes, activation, read, cell_options
        Of the net, as for `SequenceClassifier`.
    features_per_step, standardise
        Of X, as for `SequenceClassifier`; the targets are always standardised, counts divided by their mean.
    loss : str or list of float
        Of the standardised targets: ``"mean_squared_error"`` or ``"huber"``, the net says the value; ``"gaussian"``,
        ``"student_t"``, of counts ``"poisson"`` or ``"negative_binomial"``, it says a distribution; a list of
        quantiles, or ``"quantile"``, it says these, sorted, so that they do not cross. The prediction of these is the
        median.
    epochs, batch_size, learning_rate, optimiser, schedule, clip
        Of the training, as for `SequenceClassifier`.
    calibrate : bool or "auto"
        Hold out `validation_fraction` of the sequences, the same as `early_stopping`, but at least 100 or a third of
        them, and let intervals, quantiles and samples be as wide as the errors on them (`conformal_`). "auto": where
        `loss` says a distribution, and X is not batches.
    early_stopping, validation_fraction, n_iter_no_change, warm_start, frozen, dtype, random_state, verbose
        As for `SequenceClassifier`.

    Attributes
    ----------
    model_ : SequenceModel
        Of standardised inputs and targets.
    n_outputs_ : int
    conformal_ : list of Conformal
        Of each target; of none held out, without scores.
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
    _own = ("feature_names", "scales", "outputs", "by_column", "conformal")

    loss: HeadName | Sequence[float] = "mean_squared_error"
    calibrate: bool | Literal["auto"] = "auto"

    @property
    def _head(self) -> Head:
        return head_of(self.loss)

    def predict(self, X: Rows) -> np.ndarray:
        """The targets of each sequence: (N,), or (N, K) where those of the fit were; the medians of distributions."""
        return self._in_units(self._head.median(self._out(X), self._exposure()))

    def predict_mean(self, X: Rows) -> np.ndarray:
        """Expectations; of a skewed distribution, such as that of counts, they are not the medians.

        They are the net's own, which `calibrate` does not change.

        Raises
        ------
        ValueError
            A `loss` that says no distribution.
        """
        head = self._head
        if not head.spread:
            raise head.refusal("means")
        return self._in_units(head.mean(self._out(X), self._exposure()))

    def predict_quantiles(self, X: Rows, quantiles: Sequence[float]) -> list[np.ndarray]:
        """Quantiles of the distributions, of all quantiles one after another; that of 0.5 is the prediction.

        Parameters
        ----------
        X : as for `predict`
        quantiles : sequence of float
            Between 0 and 1.

        Raises
        ------
        ValueError
            A `loss` that says no distribution; a quantile out of range.

        Examples
        --------
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(80, 6, 1))
        >>> net = SequenceRegressor("gru", 4, loss="student_t", epochs=5, random_state=0).fit(x, x[:, -1, 0])
        >>> low, middle, high = net.predict_quantiles(x, [0.1, 0.5, 0.9])
        >>> bool((low < middle).all() and (middle < high).all() and (middle == net.predict(x)).all())
        True
        """
        shares = [float(check_share("quantiles", each)) for each in quantiles]
        if not all(0 < each < 1 for each in shares):
            raise ValueError(f"quantiles must be between 0 and 1, got {shares}")
        out = self._out(X)
        return [self._in_units(self._quantile(out, np.full(self.n_outputs_, each))) for each in shares]

    def predict_interval(self, X: Rows, level: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of central intervals with the probability `level`; the prediction lies in them.

        Split conformal prediction (Vovk, Gammerman & Shafer 2005; normalised by the spread that the net says,
        Papadopoulos, Gammerman & Vovk 2008): of n sequences held out, the ``level (n + 1)`` th smallest score says how
        many normal scores of the net's own distribution an interval reaches on either side.

        Warns
        -----
        UserWarning
            Too few sequences were held out for the level; it says how many are needed.

        Raises
        ------
        ValueError
            As `predict_quantiles`; `level` out of range.
        """
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1, got {level}")
        check_is_fitted(self, "model_")
        warn_of_few(self.conformal_, level)
        low, high = self.predict_quantiles(X, [(1 - level) / 2, (1 + level) / 2])
        return low, high

    def sample(self, X: Any, draws: int = 100, random_state: Any = 0) -> np.ndarray:
        """Draws from the distributions of each sequence: (draws, N), or (draws, N, K).

        Raises
        ------
        ValueError
            A `loss` that says no distribution.
        """
        rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
        out, found = self._out(X), []
        if not self._scored:
            exposure = self._exposure()
            drawn = [self._head.sample(out, rng, exposure) for _ in range(check_size("draws", draws))]
            return np.stack([self._in_units(each) for each in drawn])
        count, most = check_size("draws", draws), max(1, AT_ONCE // out.size)
        for start in range(0, count, most):
            several = np.broadcast_to(out, (min(most, count - start), *out.shape))
            shares = rng.uniform(1e-9, 1 - 1e-9, size=(*several.shape[:2], self.n_outputs_))
            found += [self._in_units(each) for each in self._quantile(several, shares)]
        return np.stack(found)

    def _quantile(self, out: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Quantiles (..., K) of outputs of the net, for shares (K,) or (..., K)."""
        head = self._head
        if not self._scored:
            return head.quantile(out, shares, self._exposure())
        z = [each.reach(2 * shares[..., k] - 1) for k, each in enumerate(self.conformal_)]
        return head.at(out, np.stack(z, axis=-1), self._exposure())

    @property
    def _scored(self) -> bool:
        check_is_fitted(self, "conformal_")
        return bool(self.conformal_[0].scores.size)

    @property
    def _calibrates(self) -> bool:
        return self._head.spread if self.calibrate == "auto" else bool(self.calibrate)

    def _holds_out(self, *, drawn: bool = True) -> bool:
        return self.early_stopping or (self._calibrates and (drawn or self.calibrate != "auto"))

    def _share_held(self, N: int) -> float:
        return max(self.validation_fraction, min(LEAST, N // 3) / N) if self._calibrates else self.validation_fraction

    def _judge(self, x: Any, targets: Any, weights: Any = None) -> None:
        """Scores of the sequences held out."""
        if not self._calibrates:
            return
        K = self.n_outputs_
        out, exposure = self.model_.predict(x).astype(np.float64), targets[:, K:] if self._head.counts else 1.0
        scores = self._head.score(out, targets[:, :K].astype(np.float64), exposure)
        self.conformal_ = [Conformal.of(each, weights) for each in scores.T]

    def _begin_choice(self, how: str) -> None:
        if how == "batches" and self._calibrates and self.calibrate == "auto":
            warnings.warn(
                "of batches none are held out: the intervals are the net's own, and may hold less than their level; "
                "pass arrays, or calibrate=False",
                UserWarning,
                stacklevel=5,
            )

    def _begin(self, warm: Any, seed: int) -> None:
        super()._begin(warm, seed)
        self.conformal_ = [Conformal.of(np.zeros(0))] * self.n_outputs_

    def log_likelihood(self, X: Any, y: Any) -> np.ndarray:
        """Logarithms of the densities, or of counts the probabilities, of targets, in their own units.

        Parameters
        ----------
        X, y : as for `fit`

        Returns
        -------
        ndarray, shape (N,), or (N, K) where the targets were

        Raises
        ------
        ValueError
            A `loss` that learns no density; targets of another shape.
        """
        check_is_fitted(self, "y_scaler_")
        y, head, out = np.asarray(y, "float64"), self._head, self._out(X)
        target = y.reshape(len(y), -1)
        if target.shape != (len(out), self.n_outputs_):
            raise ValueError(f"y must have shape {(len(out), self.n_outputs_)}, got {y.shape}")
        check_counts(head, "y", y)
        if head.counts:
            found = head.log_probability(out, target, self._exposure())
        else:  # log p(y) = log p(z) - log scale
            found = head.log_probability(out, (target - self.y_mean_) / self.y_scale_) - np.log(self.y_scale_)
        return found if self._by_column else found[:, 0]

    def _exposure(self) -> Any:
        """What means of counts are in units of."""
        return self.y_scale_ if self._head.counts else 1.0

    def _in_units(self, y: np.ndarray) -> np.ndarray:
        if not self._head.counts:
            y = y * self.y_scale_ + self.y_mean_  # inverse_transform would refuse an infinite one
        return y if self._by_column else y[:, 0]

    def score(self, X: Rows, y: Labels | None = None, sample_weight: Labels | None = None) -> float:
        """R^2 of the predictions of X; the mean over the targets.

        Parameters
        ----------
        X, y : as for `fit`
        sample_weight : array_like, shape (N,), optional
            Sequences of weight 0 are left out, whatever they and their targets are.
        """
        return super().score(*counted(X, y, sample_weight))

    def _take_targets(self, y: Any, x: Any = None, *, known: bool = False) -> np.ndarray:
        refuse_masked("y", y)
        refuse_times("y", y)
        try:
            with explained_values("y", y):
                y = check_array(y, dtype=np.float64, ensure_2d=False, input_name="y", estimator=self)
        except ValueError as error:
            if "could not convert" not in str(error):
                raise
            raise ValueError(f"y must be numbers, {error}: labels are for pylstm.SequenceClassifier") from None
        if y.ndim > 2:
            raise ValueError(f"y must have shape (N,) or (N, K), got {y.shape}")
        check_counts(self._head, "y", y)
        self._by_column = y.ndim == 2
        y = y.reshape(len(y), -1)
        self.n_outputs_ = y.shape[1]
        return y

    def _set_scalers(self, x: Any, targets: np.ndarray, weights: np.ndarray) -> None:
        super()._set_scalers(x, targets, weights)
        self.y_scaler_ = fit_scaler(targets, weights)
        if self._head.counts:
            mean = np.average(targets, axis=0, weights=weights)
            self.y_scaler_ = make_scaler(np.zeros_like(mean), np.where(mean > 0, mean, 1.0))

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
        if self._head.counts:  # the counts themselves, and their exposures
            return np.hstack([targets, np.broadcast_to(self.y_scale_, targets.shape)]).astype(self.dtype)
        return self.y_scaler_.transform(targets).astype(self.dtype)

    def _score_of(self, x: Any, targets: np.ndarray, weights: Any = None) -> float:
        if len(targets) < 2:  # where R^2 is not defined
            return float("nan")
        K = self.n_outputs_
        predicted = self._head.median(self.model_.predict(x), targets[:, K:] if self._head.counts else 1.0)
        return float(r2_score(targets[:, :K], predicted, sample_weight=weights))

    def _outputs(self) -> tuple[int, Any]:
        return self.n_outputs_, self._by_column

    def _width(self) -> int:
        return self.n_outputs_ * self._head.parts

    def _identity(self) -> dict[str, Any]:
        head = self._head
        return super()._identity() | ({"head": (head.name, head.options)} if head.spread else {})

    def _loss(self) -> str:
        return self._head.loss

    def _loss_options(self) -> dict[str, Any]:
        return self._head.options

    def _check_parameters(self) -> None:
        super()._check_parameters()
        head = head_of(self.loss)
        if not isinstance(self.calibrate, bool | np.bool_) and self.calibrate != "auto":
            raise ValueError(f"calibrate must be True, False or 'auto', got {quoted(self.calibrate)}")
        if self.calibrate is True and not head.spread:
            raise head.refusal("quantiles to calibrate")

    def _own_metadata(self) -> dict[str, Any]:
        return super()._own_metadata() | {
            "outputs": self.n_outputs_,
            "by_column": self._by_column,
            "conformal": [each.metadata for each in self.conformal_],
        }

    def _set_labels(self, says: Entries) -> None:
        self.n_outputs_, self._by_column = says.integer("outputs"), says.flag("by_column")
        self.conformal_ = [Conformal.of(np.zeros(0))] * self.n_outputs_
        if "conformal" in says.value:
            self.conformal_ = read_conformal(says, "conformal", self.n_outputs_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
