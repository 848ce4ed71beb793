"""`SequenceEstimator`: base of `SequenceClassifier` and `SequenceRegressor`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_is_fitted

from pylstm.cells.options import changed
from pylstm.estimators.inputs import ROWS, STEPS, seed_of, take
from pylstm.estimators.scaling import fit_steps, make_scaler, scale_steps
from pylstm.hints import EstimatorHints, explained
from pylstm.models.restoring import check_certified, held, leaf_of
from pylstm.models.sequence_model import SequenceModel
from pylstm.optim.optimisers import SGD, Adam, AdamW, RMSProp
from pylstm.optim.schedules import Plateau, cosine
from pylstm.schema import Entries, is_number
from pylstm.training.fitting import fit
from pylstm.training.refit import all_or_nothing

OPTIMISERS: dict[str, Any] = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSProp, "sgd": SGD}

NET = ("cell", "hidden_size", "num_layers", "bidirectional", "dropout", "residual", "head_sizes", "activation", "read")
"""Parameters that are those of `SequenceModel`."""

FITTED = ("n_features_in_", "n_step_features_", "input_form_", "n_iter_", "loss_curve_", "validation_scores_")
"""Attributes of a fit that a file holds as they are."""


class SequenceEstimator(EstimatorHints, BaseEstimator):
    """Base of the estimators on sequences; see `SequenceClassifier`."""

    _scaled_values: tuple[str, ...] = ("x",)

    @explained("estimator fit")
    @all_or_nothing
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train a net on sequences. A fit that fails leaves the estimator as it was.

        Parameters
        ----------
        X : array_like (N, F) or (N, T, I), DataFrame, Sequences, or list of array_like or DataFrames (T_i, I)
            Flat rows are cut into steps of `features_per_step` numbers.
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
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        warm = getattr(self, "_net_of", None) if self.warm_start else None
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
        x, targets, weights = x[kept], targets[kept], weights[kept]
        seed = seed_of(self.random_state)
        if warm is None:
            self._set_scalers(x, targets, weights)
            self.model_, self._net_of = self._make_model(seed), self._identity()
        elif self._identity() != warm:
            raise ValueError(
                f"warm_start needs the same net and data as the previous fit: {warm}, got {self._identity()}"
            )
        else:
            self.model_ = copy.deepcopy(self.model_)  # the one before stays whole if this fit fails
        return self._train(scale_steps(self.x_scaler_, x, self.dtype), self._scaled(targets), weights, seed)

    def _train(self, x: Any, targets: np.ndarray, weights: np.ndarray, seed: int) -> Any:
        data: tuple[Any, ...] = (x, targets, weights.astype(self.dtype))
        validation, scores = None, []
        if (weights == weights[0]).all():  # the same result, without the products
            data = data[:2]
        if self.early_stopping:
            data, validation = self._split(data, seed)
        steps = self.epochs * -(-len(data[0]) // self.batch_size)
        schedules: dict[str, Any] = {
            "cosine": cosine(self.learning_rate, max(1, steps)),
            "plateau": Plateau(self.learning_rate),
        }
        history = fit(
            self.model_,
            data,
            validation=validation,
            patience=self.n_iter_no_change if validation else None,
            callbacks=[lambda _: scores.append(self._score_of(*validation))] if validation else [],
            optimiser=OPTIMISERS[self.optimiser](self.model_.params, lr=self.learning_rate),
            schedule=schedules.get(self.schedule),
            epochs=self.epochs,
            batch_size=self.batch_size,
            clip=self.clip,
            seed=seed,
            progress=bool(self.verbose),
        )
        self.loss_curve_, self.n_iter_ = history.loss, len(history.loss)
        self.validation_scores_ = scores if validation else None
        return self

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
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction must be between 0 and 1, got {self.validation_fraction}")
        if not 0 < self.learning_rate < np.inf:
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
        options |= {"loss": self._loss(), "dtype": self.dtype, "seed": seed}
        I, H, K = self.n_step_features_, self.hidden_size, self._outputs()[0]
        return SequenceModel(self.cell, I, H, K, **options, **(self.cell_options or {}))

    def _set_scalers(self, x: Any, targets: np.ndarray, weights: np.ndarray) -> None:
        """Standardise every feature over all steps; a constant one is divided by 1."""
        width = x.shape[2]
        self.x_scaler_ = fit_steps(x, weights) if self.standardise else make_scaler(np.zeros(width), np.ones(width))

    @property
    def x_mean_(self) -> np.ndarray:
        """Of `x_scaler_`."""
        return self.x_scaler_.mean_

    @property
    def x_scale_(self) -> np.ndarray:
        """Of `x_scaler_`."""
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

    @property
    def parts(self) -> dict[str, Any]:
        """Name -> layer of the fitted net, as `pylstm.save` stores them."""
        check_is_fitted(self, "model_")
        return self.model_.parts

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file besides the layers: parameters, standardisation, labels."""
        names = getattr(self, "feature_names_in_", None)
        return {
            "parameters": plain(self.get_params(deep=False)),
            "model": self.model_.metadata,
            "fitted": {name: getattr(self, name) for name in FITTED},
            "feature_names": None if names is None else list(names),
            "scales": {name: getattr(self, name).tolist() for name in self._scale_names()},
        } | self._own_metadata()

    def _scale_names(self) -> tuple[str, ...]:
        return tuple(f"{values}_{what}_" for values in self._scaled_values for what in ("mean", "scale"))

    def _own_metadata(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_parts(cls, parts: dict[str, Any], metadata: dict[str, Any]) -> Any:
        """A fitted estimator of the given layers, as `pylstm.load` makes it."""
        says = Entries(metadata, "metadata")
        model = SequenceModel.from_parts(parts, says.entries("model").value)
        estimator = cls(**restored(cls, says.entries("parameters"), model.layer))
        estimator._check_parameters()
        estimator.model_ = model
        estimator._set_fitted(says.entries("fitted").only(FITTED))
        if says.get("feature_names") is not None:
            names = says.list("feature_names", str)
            if len(names) != estimator.n_features_in_:
                says.refuse(f"must hold {estimator.n_features_in_} names", len(names), "feature_names")
            estimator.feature_names_in_ = np.array(names, dtype=object)
        estimator._set_own(says)
        if estimator._outputs()[0] != model.head.out_features:
            raise ValueError(f"metadata: {estimator._outputs()[0]} outputs, but {model.head!r}")
        scales = says.entries("scales").only(estimator._scale_names())
        widths = {"x": model.layer.input_size, "y": model.head.out_features}
        for values in estimator._scaled_values:
            shape = (widths[values],)
            mean, scale = scales.array(f"{values}_mean_", shape), scales.array(f"{values}_scale_", shape, positive=True)
            setattr(estimator, f"{values}_scaler_", make_scaler(mean, scale))
        estimator._net_of = estimator._identity()
        return estimator

    def _set_fitted(self, fitted: Entries) -> None:
        """The attributes of `FITTED`."""
        self.n_features_in_, self.n_step_features_ = map(fitted.integer, FITTED[:2])
        self.input_form_ = fitted.text("input_form_", (ROWS, STEPS))
        if self.n_step_features_ != self.model_.layer.input_size:
            fitted.refuse(f"must be {self.model_.layer.input_size}", self.n_step_features_, "n_step_features_")
        self.n_iter_, self.loss_curve_ = fitted.integer("n_iter_", 0), fitted.list("loss_curve_", (int, float))
        scores = fitted.get("validation_scores_")
        self.validation_scores_ = None if scores is None else fitted.list("validation_scores_", (int, float))

    def _set_own(self, says: Entries) -> None:
        """The inverse of `_own_metadata`."""


def counted(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """The samples whose weight is not 0; all where there is none, or where the weights do not fit and are refused."""
    weights = np.asarray(sample_weight)
    if weights.ndim != 1 or weights.dtype.kind not in "biuf" or {_num_samples(X), _num_samples(y)} != {len(weights)}:
        return X, y, sample_weight
    rows = np.flatnonzero(weights != 0)
    if not len(rows):
        raise ValueError("all sample weights are zero: at least one must be above 0")
    if len(rows) == len(weights):
        return X, y, sample_weight
    return _safe_indexing(X, rows), _safe_indexing(y, rows), weights[rows]


def plain(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as JSON can hold them: cells by name, the keys of a dict beside its values."""
    out: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in parameters.items():
        if name == "cell" and not isinstance(value, str):
            options, value = changed(value), value.name
        elif name == "random_state" and not isinstance(value, int | np.integer):
            value = None
        elif name == "dtype":
            value = np.dtype(value).name
        elif name == "head_sizes":
            value = [simple(each) for each in value]
        elif name == "cell_options" and value:
            value = {key: simple(each) for key, each in value.items()}
        elif isinstance(value, dict):
            value = {"keys": [simple(key) for key in value], "values": [simple(each) for each in value.values()]}
        out[name] = simple(value)
    if options:  # of a cell class: in a file it is its name and these
        out["cell_options"] = options | (out["cell_options"] or {})
    return out


def restored(estimator: Any, says: Entries, layer: Any) -> dict[str, Any]:
    """The inverse of `plain`, for a fitted net with this layer.

    Raises
    ------
    ValueError
        A parameter that the estimator does not have, or what `plain` does not return; another cell or dtype.
    """
    out = dict(says.only(estimator._get_param_names()).value)
    cell = leaf_of(layer).cell
    for name, wanted in (("cell", cell.name), ("dtype", layer.dtype.name)):
        if says.text(name) != wanted:
            says.refuse(f"must be {wanted!r}, as in the net", out[name], name)
    for name, value in out.items():
        if name == "cell_options" and value is not None:
            options = says.entries(name).only(("certified", *cell.contract.sizes, *cell.options))
            check_certified(options, layer)
            for key in options.value:
                options.number(key) if not isinstance(options.value[key], bool) else options.flag(key)
        elif isinstance(value, dict):
            pair = says.entries(name).only(("keys", "values"))
            keys, values = (pair.list(each, (str, int, float)) for each in ("keys", "values"))
            out[name] = dict(zip(keys, values, strict=True))
        elif isinstance(value, list):
            out[name] = tuple(says.list(name, int))
        elif not (value is None or isinstance(value, str | bool) or is_number(value)):
            says.refuse("must be a text, a finite number, true, false or null", value, name)
    out["cell"] = held(layer)
    if not leaf_of(layer).certified:
        out["cell_options"] = {**(out.get("cell_options") or {}), "certified": False}
    return out


def simple(value: Any) -> Any:
    """A Python scalar for a NumPy one."""
    return value.item() if isinstance(value, np.generic) else value
