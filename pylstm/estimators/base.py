"""`SequenceEstimator`: base of `SequenceClassifier` and `SequenceRegressor`, a face of `SequenceModel`.

Not of `ClassifyModel`, which needs two classes that have names: scikit-learn's labels may be numbers, and of one class.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_is_fitted

from pylstm.checks import check_number
from pylstm.data.iterables import Batches, is_batches
from pylstm.data.stored import lazily, read
from pylstm.estimators.estimator import Estimator
from pylstm.estimators.inputs import ROWS, STEPS, seed_of, take
from pylstm.estimators.iterated import Prepared
from pylstm.estimators.scaling import fit_steps, make_scaler, scale_steps
from pylstm.hints import explained
from pylstm.models.fitted import fit_net
from pylstm.models.sequence_model import SequenceModel
from pylstm.optim.optimisers import SGD, Adam, AdamW, RMSProp
from pylstm.optim.schedules import Plateau
from pylstm.schema import Entries
from pylstm.training.history import History
from pylstm.training.refit import all_or_nothing

OPTIMISERS: dict[str, Any] = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSProp, "sgd": SGD}

NET = ("cell", "hidden_size", "num_layers", "bidirectional", "dropout", "residual", "head_sizes", "activation", "read")
"""Parameters that are those of `SequenceModel`."""


@dataclass(eq=False, repr=False, kw_only=True)
class SequenceEstimator(Estimator):
    """Face of a `SequenceModel`; see `SequenceClassifier`."""

    _model = SequenceModel
    _judged = "validation_scores_"
    _fitted = ("n_features_in_", "n_step_features_", "input_form_")
    _own: ClassVar[tuple[str, ...]] = ("feature_names", "scales")
    _scaled_values: ClassVar[tuple[str, ...]] = ("x",)

    if TYPE_CHECKING:  # of the two kinds

        def _take_targets(self, y: Any) -> np.ndarray: ...
        def _scaled(self, targets: np.ndarray) -> np.ndarray: ...
        def _score_of(self, x: Any, targets: np.ndarray, weights: Any = None) -> float: ...
        def _outputs(self) -> tuple[int, Any]: ...
        def _loss(self) -> str: ...

    def _loss_options(self) -> dict[str, Any]:
        return {}

    def _width(self) -> int:
        """Outputs of the net."""
        return self._outputs()[0]

    bidirectional: bool = False
    residual: bool = False
    activation: str = "relu"
    read: str = "last"
    features_per_step: int = 1
    standardise: bool = True
    optimiser: str = "adam"
    schedule: str | None = "cosine"
    warm_start: bool = False

    @explained("estimator fit")
    @all_or_nothing
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Train a net on sequences. A fit that fails leaves the estimator as it was.

        Parameters
        ----------
        X : array_like (N, F) or (N, T, I), DataFrame, Sequences, or list of array_like or DataFrames (T_i, I)
            Flat rows are cut into steps of `features_per_step` numbers. A mapped array, a dataset of h5py or zarr, or
            the path of a .npy file or a list of them is read by batch where it is larger than 16 MiB. Or, without
            y, batches of (X, y) or (X, y, sample_weight): an iterable that can be read again, such as a list or a
            DataLoader of PyTorch, or a function that returns a generator.
        y : array_like, shape (N,), or (N, K) for a regressor
        sample_weight : array_like, shape (N,), optional
            0 or more; sequences of weight 0 are left out, whatever they and their targets are.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            Parameters out of range; X, y or weights of another shape, not numbers or not finite.
        TrainingDiverged
            The loss or its gradient is not finite: a smaller `learning_rate` helps.
        """
        self._check_parameters()
        warm = getattr(self, "_net_of", None) if self.warm_start else None
        if y is None and sample_weight is None and is_batches(X):
            return self._fit_batches(Batches("X", X), warm)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        X, y, sample_weight = counted(X, y, sample_weight)
        rows = self._rows_that_count(X, y)
        x = take(self, X if rows is None else _safe_indexing(X, rows), reset=True)
        targets = self._take_targets(y)
        if rows is not None:
            targets = targets[rows]
            sample_weight = None if sample_weight is None else _safe_indexing(sample_weight, rows)
        check_consistent_length(x, targets)
        weights = self._take_weights(x, targets, sample_weight)
        kept = weights > 0
        if not kept.any():
            raise ValueError("all sample weights are zero: at least one must be above 0")
        if not kept.all():
            x, targets, weights = x[kept], targets[kept], weights[kept]
        seed = seed_of(self.random_state)
        if warm is None:
            self._set_scalers(x, targets, weights)
        self._begin(warm, seed)
        return self._train(scale_steps(self.x_scaler_, x, self.dtype), self._scaled(targets), weights, seed)

    def _fit_batches(self, batches: Batches, warm: Any) -> Any:
        if self.early_stopping:
            raise ValueError(
                "early_stopping holds out rows, which cannot be drawn of batches: pass arrays, which may be mapped"
            )
        scales = {name: value for name, value in vars(self).items() if name in ("x_scaler_", "y_scaler_")}
        data, seed = Prepared(self, batches), seed_of(self.random_state)
        if warm is not None:
            vars(self).update(scales)
        self._begin(warm, seed)
        return self._fitted_by(self._fit_net(data, seed, count=data.count), None)

    def _begin(self, warm: Any, seed: int) -> None:
        """A new net, or a copy of the one whose fit was `warm`, if that had the same net and data."""
        if warm is None:
            self.model_, self._net_of = self._make_model(seed), self._identity()
        elif self._identity() != warm:
            raise ValueError(
                f"warm_start needs the same net and data as the previous fit: {warm}, got {self._identity()}"
            )
        else:
            self.model_ = copy.deepcopy(self.model_)  # the one before stays whole if this fit fails

    def _train(self, x: Any, targets: np.ndarray, weights: np.ndarray, seed: int) -> Any:
        data: tuple[Any, ...] = (x, targets, weights.astype(self.dtype))
        validation, scores = None, []
        if (weights == weights[0]).all():  # the same result, without the products
            data = data[:2]
        if self.early_stopping:
            data, validation = self._split(data, seed)
        history = self._fit_net(
            data,
            seed,
            validation=validation,
            patience=self.n_iter_no_change if validation else None,
            callbacks=[lambda _: scores.append(self._score_of(*validation))] if validation else [],
        )
        return self._fitted_by(history, scores if validation else None)

    def _fit_net(self, data: Any, seed: int, **options: Any) -> History:
        schedules: dict[Any, Any] = {"plateau": Plateau(self.learning_rate), None: None}  # else that of `fit_net`
        return fit_net(
            self.model_,
            data,
            optimiser=OPTIMISERS[self.optimiser](self.model_.params, lr=self.learning_rate),
            seed=seed,
            **({} if self.schedule == "cosine" else {"schedule": schedules[self.schedule]}),
            **self._training(),
            **options,
        )

    def _rows_that_count(self, X: Any, y: Any) -> np.ndarray | None:
        """Samples that no weight of a class leaves out; None: all."""
        return None

    def _check_parameters(self) -> None:
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser must be one of {', '.join(OPTIMISERS)}, got {self.optimiser!r}")
        if self.schedule not in ("cosine", "plateau", None):
            raise ValueError(f"schedule must be 'cosine', 'plateau' or None, got {self.schedule!r}")
        for name in ("hidden_size", "features_per_step", "epochs", "batch_size", "n_iter_no_change"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
        if not 0 < check_number("validation_fraction", self.validation_fraction) < 1:
            raise ValueError(f"validation_fraction must be between 0 and 1, got {self.validation_fraction}")
        if not 0 < check_number("learning_rate", self.learning_rate) < np.inf:
            raise ValueError(f"learning_rate must be above 0 and finite, got {self.learning_rate}")

    def _identity(self) -> dict[str, Any]:
        """What a fit must have in common with the one whose parameters it continues from."""
        settings = {name: getattr(self, name) for name in (*NET, "dtype", "standardise")}
        return settings | {"features": self.n_step_features_, "outputs": self._outputs()}

    def _take_weights(self, x: Any, targets: np.ndarray, sample_weight: Any) -> np.ndarray:
        weights = _check_sample_weight(sample_weight, targets, dtype=np.float64)
        if weights.min() < 0:
            raise ValueError(f"sample_weight must be 0 or more, got {weights.min()}")
        return weights

    def _make_model(self, seed: int) -> SequenceModel:
        options: dict[str, Any] = {name: getattr(self, name) for name in NET if name not in ("cell", "hidden_size")}
        options |= {"loss": self._loss(), "loss_options": self._loss_options(), "dtype": self.dtype, "seed": seed}
        I, H, K = self.n_step_features_, self.hidden_size, self._width()
        return SequenceModel(self.cell, I, H, K, **options, **(self.cell_options or {}))

    def _set_scalers(self, x: Any, targets: np.ndarray, weights: np.ndarray) -> None:
        """Standardise every feature over all steps; a constant one is divided by 1."""
        width = x.shape[2]
        self.x_scaler_ = fit_steps(x, weights) if self.standardise else make_scaler(np.zeros(width), np.ones(width))

    @property
    def x_mean_(self) -> np.ndarray:
        """Means of `x_scaler_`."""
        check_is_fitted(self, "x_scaler_")
        return self.x_scaler_.mean_

    @property
    def x_scale_(self) -> np.ndarray:
        """Deviations of `x_scaler_`, 1 for a constant feature."""
        check_is_fitted(self, "x_scaler_")
        return self.x_scaler_.scale_

    def _split(self, data: tuple[Any, ...], seed: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        rows = np.arange(len(data[0]))
        kept, held = train_test_split(
            rows, test_size=self.validation_fraction, random_state=seed, stratify=self._strata(data[1])
        )
        return tuple(each[np.sort(kept)] for each in data), tuple(each[np.sort(held)] for each in data)

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        return None

    def _out(self, X: Any) -> np.ndarray:
        """Outputs of the net, as float64 (N, K)."""
        check_is_fitted(self, "model_")
        x = scale_steps(self.x_scaler_, take(self, X, reset=False), self.dtype)
        return self.model_.predict(x).astype(np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    def _own_metadata(self) -> dict[str, Any]:
        names = getattr(self, "feature_names_in_", None)
        scales = {name: getattr(self, name).tolist() for name in self._scale_names()}
        return {"feature_names": None if names is None else list(names), "scales": scales}

    def _scale_names(self) -> tuple[str, ...]:
        return tuple(f"{values}_{what}_" for values in self._scaled_values for what in ("mean", "scale"))

    def _set_own(self, says: Entries, fitted: Entries) -> None:
        self._check_parameters()
        self.n_features_in_, self.n_step_features_ = map(fitted.integer, self._fitted[:2])
        self.input_form_ = fitted.text("input_form_", (ROWS, STEPS))
        layer, outputs = self.model_.layer, self.model_.head.out_features
        if self.n_step_features_ != layer.input_size:
            fitted.refuse(f"must be {layer.input_size}", self.n_step_features_, "n_step_features_")
        if says.get("feature_names") is not None:
            names = says.list("feature_names", str)
            if len(names) != self.n_features_in_:
                says.refuse(f"must hold {self.n_features_in_} names", len(names), "feature_names")
            self.feature_names_in_ = np.array(names, dtype=object)
        self._set_labels(says)
        if self._width() != outputs:
            raise ValueError(f"metadata: {self._width()} outputs, but {self.model_.head!r}")
        scales = says.entries("scales").only(self._scale_names())
        for values in self._scaled_values:
            shape = ({"x": layer.input_size, "y": self._outputs()[0]}[values],)
            mean, scale = scales.array(f"{values}_mean_", shape), scales.array(f"{values}_scale_", shape, positive=True)
            setattr(self, f"{values}_scaler_", make_scaler(mean, scale))
        self._net_of = self._identity()

    def _set_labels(self, says: Entries) -> None:
        """What the file says of the targets."""
        raise NotImplementedError


def counted(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """The samples whose weight is not 0; all where there is none, or where the weights do not fit and are refused.

    What is not in memory: X as `Stored`, y read.
    """
    X, y = lazily(X), read(lazily(y))
    weights = np.asarray(sample_weight)
    if weights.ndim != 1 or weights.dtype.kind not in "biuf" or {_num_samples(X), _num_samples(y)} != {len(weights)}:
        return X, y, sample_weight
    rows = np.flatnonzero(weights != 0)
    if not len(rows):
        raise ValueError("all sample weights are zero: at least one must be above 0")
    if len(rows) == len(weights):
        return X, y, sample_weight
    return _safe_indexing(X, rows), _safe_indexing(y, rows), weights[rows]
