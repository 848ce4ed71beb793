"""`SequenceEstimator`: base of `SequenceClassifier` and `SequenceRegressor`, a face of `SequenceModel`.

Not of `ClassifyModel`, which needs two classes that have names: scikit-learn's labels may be numbers, and of one class.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils.validation import _check_sample_weight, _num_samples, check_is_fitted

from pylstm.checks import check_number, quoted
from pylstm.data.iterables import Batches, is_batches
from pylstm.data.stored import lazily, read, stored
from pylstm.estimators.estimator import Estimator
from pylstm.estimators.sequences.hidden import refuse_masked
from pylstm.estimators.sequences.inputs import ROWS, STEPS, Labels, RowsOrBatches, seed_of, take
from pylstm.estimators.sequences.iterated import Prepared
from pylstm.estimators.sequences.refusing import refuse_beside, refuse_other
from pylstm.estimators.sequences.scaling import fit_steps, make_scaler, scale_steps
from pylstm.feedforward.mlp import Activation
from pylstm.hints import explained
from pylstm.models.fitted import fit_net, frozen_in
from pylstm.models.reading import Read
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

        def _take_targets(self, y: Any, x: Any = None, *, known: bool = False) -> Any: ...
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
    activation: Activation = "relu"
    read: Read = "last"
    features_per_step: int = 1
    standardise: bool = True
    optimiser: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    schedule: Literal["cosine", "plateau"] | None = "cosine"
    warm_start: bool = False
    frozen: str | Sequence[str] | None = None

    @explained("estimator fit")
    @all_or_nothing
    def fit(self, X: RowsOrBatches, y: Labels | None = None, sample_weight: Labels | None = None) -> Self:
        """Train a net on sequences. A fit that fails leaves the estimator as it was.

        Parameters
        ----------
        X : array_like (N, F) or (N, T, I), DataFrame, Sequences, or list of array_like or DataFrames (T_i, I)
            Flat rows are cut into steps of `features_per_step` numbers. A mapped array, a dataset of h5py or zarr, or
            the path of a .npy file or a list of them is read by batch where it is larger than 16 MiB. Of a sequence
            without steps, (0, I), the head sees zeros. Or, in `fit` alone and without y, batches of (X, y) or (X, y,
            sample_weight): an iterable that can be read again, such as a list or a DataLoader of PyTorch, or a
            function that returns a generator.
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
        refuse_beside(X, y, sample_weight)
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None: fit(X, y); one target for "
                "each sequence"
            )
        return self._learn(*self._counting(X, y, sample_weight, reset=True), warm)

    def _counting(
        self, X: Any, y: Any, sample_weight: Any, *, reset: bool, known: bool = False
    ) -> tuple[Any, Any, np.ndarray]:
        """The sequences with a weight above 0, their targets and weights.

        With `reset` the features are taken anew, and unless `known` the classes or the number of targets.
        """
        X, y, sample_weight = counted(X, y, sample_weight)
        rows = self._rows_that_count(X, y)
        x = take(self, X if rows is None else _safe_indexing(X, rows), reset=reset)
        targets = self._take_targets(y, x, known=known)
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
        return x, targets, weights

    def _learn(self, x: Any, targets: np.ndarray, weights: np.ndarray, warm: Any) -> Any:
        """Fit on what counts; `warm` is the identity of the net to continue from, or None."""
        seed = seed_of(self.random_state)
        if warm is None:
            self._set_scalers(self._prepared(x), targets, weights)
        self._begin(warm, seed)
        return self._train(self._inputs(x), self._scaled(targets), weights, seed)

    def _fit_batches(self, batches: Batches, warm: Any) -> Any:
        self._begin_choice("batches")
        if self._holds_out(drawn=False):
            raise ValueError(
                f"{self._holder()} holds out rows, which cannot be drawn of batches: pass arrays, which may be mapped"
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
            self.model_ = self._copied()

    def _copied(self) -> SequenceModel:
        """A copy of the net, which itself stays whole if this fit fails; what is frozen in it is that of now."""
        found = copy.deepcopy(self.model_)
        if self.frozen is not None:
            found.params.unfreeze()
            self._freeze(found)
        return found

    def _freeze(self, model: SequenceModel) -> None:
        """Hold the parameters that `frozen` names."""
        frozen_in(model, self.frozen)

    def _begin_choice(self, how: str) -> None:
        """Forget what another fit chose; refuse what `how`, "batches" among others, does not allow."""

    def _prepared(self, x: Any) -> Any:
        """What is standardised: `_copies` of each feature at a step."""
        return x

    def _inputs(self, x: Any) -> Any:
        """What the net sees of x (N, T, I)."""
        return scale_steps(self.x_scaler_, self._prepared(x), self.dtype)

    def _net_settings(self) -> dict[str, Any]:
        """The parameters of `NET`."""
        return {name: getattr(self, name) for name in NET}

    def _train(self, x: Any, targets: np.ndarray, weights: np.ndarray, seed: int) -> Any:
        data, scores = self._data(x, targets, weights), []
        validation = None
        if self._holds_out():
            data, validation = self._split(data, seed)
        history = self._fit_net(
            data,
            seed,
            validation=validation,
            patience=self.n_iter_no_change if self.early_stopping else None,
            callbacks=[lambda _: scores.append(self._score_of(*validation))] if validation else [],
        )
        if validation:
            self._judge(*validation)
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

    def _data(self, x: Any, targets: Any, weights: np.ndarray) -> tuple[Any, ...]:
        """What the net is trained on."""
        same = (weights == weights[0]).all()  # the same result, without the products
        return (x, targets) if same else (x, targets, weights.astype(self.dtype))

    def _holds_out(self, *, drawn: bool = True) -> bool:
        """Whether a share of the sequences is not trained on; `drawn`: it can be drawn."""
        return self.early_stopping

    def _holder(self) -> str:
        """The parameter that holds out sequences."""
        return "early_stopping" if self.early_stopping else "calibrate"

    def _judge(self, x: Any, targets: Any, weights: Any = None) -> None:
        """Fit what is fitted on the sequences held out: temperatures, widths of intervals."""

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
        settings = self._net_settings() | {name: getattr(self, name) for name in ("dtype", "standardise")}
        return settings | {"features": self.n_step_features_, "outputs": self._outputs()}

    def _take_weights(self, x: Any, targets: np.ndarray, sample_weight: Any) -> np.ndarray:
        weights = _check_sample_weight(sample_weight, targets, dtype=np.float64)
        if weights.min() < 0:
            raise ValueError(f"sample_weight must be 0 or more, got {weights.min()}")
        return weights

    def _make_model(self, seed: int) -> SequenceModel:
        options: dict[str, Any] = self._net_settings() | {"dtype": self.dtype, "seed": seed}
        options |= {"loss": self._loss(), "loss_options": self._loss_options()}
        cell, H = options.pop("cell"), options.pop("hidden_size")
        I, K = len(self.x_scaler_.mean_), self._width()
        model = SequenceModel(cell, I, H, K, **options, **(self.cell_options or {}))
        self._freeze(model)
        return model

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
        share = self._share_held(len(rows))
        if np.ceil(len(rows) * share) >= len(rows):
            raise ValueError(
                f"{self._holder()} holds out validation_fraction={self.validation_fraction} of the sequences and "
                f"leaves none of {len(rows)} to train on: pass more, or take {self._holder()}=False"
            )
        kept, held = train_test_split(rows, test_size=share, random_state=seed, stratify=self._strata(data[1]))
        return tuple(each[np.sort(kept)] for each in data), tuple(each[np.sort(held)] for each in data)

    def _share_held(self, N: int) -> float:
        """Share of N sequences that is held out."""
        return self.validation_fraction

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        return None

    def _out(self, X: Any) -> np.ndarray:
        """Outputs of the net, as float64 (N, K)."""
        check_is_fitted(self, "model_")
        return self.model_.predict(self._inputs(take(self, X, reset=False))).astype(np.float64)

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
        self._set_labels(says)
        width = layer.input_size // self._copies()
        if self.n_step_features_ != width:
            fitted.refuse(f"must be {width}", self.n_step_features_, "n_step_features_")
        if says.get("feature_names") is not None:
            names = says.list("feature_names", str)
            if len(names) != self.n_features_in_:
                says.refuse(f"must hold {self.n_features_in_} names", len(names), "feature_names")
            self.feature_names_in_ = np.array(names, dtype=object)
        if self._width() != outputs:
            raise ValueError(
                f"metadata is of {self._width()} outputs, but the head has {outputs}: {self.model_.head!r}"
            )
        scales = says.entries("scales").only(self._scale_names())
        for values in self._scaled_values:
            shape = ({"x": layer.input_size, "y": self._outputs()[0]}[values],)
            mean, scale = scales.array(f"{values}_mean_", shape), scales.array(f"{values}_scale_", shape, positive=True)
            setattr(self, f"{values}_scaler_", make_scaler(mean, scale))
        self._net_of = self._identity()

    def _copies(self) -> int:
        """What the net sees of a feature at a step: itself."""
        return 1

    def _set_labels(self, says: Entries) -> None:
        """What the file says of the targets."""
        raise NotImplementedError


def counted(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
    """The samples whose weight is not 0; all where there is none, or where the weights do not fit and are refused.

    What is not in memory: X as `Stored`, y read.
    """
    refuse_other(X)
    if y is None:
        raise ValueError("y is None: pass the targets, one for each sequence of X")
    if np.isscalar(y):
        raise ValueError(f"y must have one target for each sequence, got {quoted(y)}")
    if isinstance(sample_weight, str | bytes):
        raise TypeError(f"sample_weight must be numbers, one for each sequence, got {quoted(sample_weight)}")
    mapped, y = stored(X), read(lazily(y))
    X = X if mapped is None else mapped
    refuse_masked("sample_weight", sample_weight)
    weights = np.asarray(sample_weight)
    if weights.ndim != 1 or weights.dtype.kind not in "biuf" or {_num_samples(X), _num_samples(y)} != {len(weights)}:
        return X, y, sample_weight
    rows = np.flatnonzero(weights != 0)
    if not len(rows):
        raise ValueError("all sample weights are zero: at least one must be above 0")
    if len(rows) == len(weights):
        return X, y, sample_weight
    return _safe_indexing(X, rows), _safe_indexing(y, rows), weights[rows]
