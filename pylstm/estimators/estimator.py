"""`Estimator`: base of all estimators, their common parameters, and how a fitted one is written and read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from pylstm.cells.contracts.options import changed
from pylstm.checks import check_dtype
from pylstm.estimators.scikit import BaseEstimator
from pylstm.hints import EstimatorHints
from pylstm.models.restoring import check_certified, held, leaf_of
from pylstm.schema import Entries, is_number
from pylstm.summaries import Summary, rows_of
from pylstm.training.history import History


@dataclass(eq=False, repr=False)
class Estimator(EstimatorHints, BaseEstimator):
    """Face of a model: takes its parameters as scikit-learn does, and leaves the rest to `model_`.

    The fields are the parameters; scikit-learn reads them from the constructor that `dataclass` makes.
    """

    _model: ClassVar[Any]
    """Class of ``model_``."""
    _judged: ClassVar[str]
    """Attribute with the figures of the validation; None or empty where there was none."""
    _fitted: ClassVar[tuple[str, ...]] = ()
    """Attributes of a fit that a file holds as they are, besides the curves."""
    _own: ClassVar[tuple[str, ...]] = ()
    """Entries of a file that `_own_metadata` adds."""

    if TYPE_CHECKING:  # what a fit sets is not a parameter
        model_: Any = field(init=False)

    cell: Any = "lstm"
    hidden_size: int = 64
    _: KW_ONLY
    num_layers: int = 1
    dropout: float = 0.0
    head_sizes: Any = ()
    cell_options: dict[str, Any] | None = None
    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-2
    clip: float | None = 1.0
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    dtype: Any = "float32"
    random_state: Any = None
    verbose: bool = False

    def _training(self) -> dict[str, Any]:
        """What every fit is given of the parameters."""
        names = {name: getattr(self, name) for name in ("epochs", "batch_size", "clip")}
        return names | {"lr": self.learning_rate, "progress": bool(self.verbose)}

    def _fitted_by(self, history: History, judged: Any) -> Self:
        self.n_iter_, self.loss_curve_ = len(history.loss), history.loss
        setattr(self, self._judged, judged)
        return self

    @property
    def parts(self) -> dict[str, Any]:
        """Name -> layer of the fitted net, as `pylstm.save` stores them."""
        check_is_fitted(self, "model_")
        parts: dict[str, Any] = self.model_.parts
        return parts

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file besides the layers: parameters, model, and what the fit has set."""
        check_is_fitted(self, "model_")
        return {
            "parameters": plain(self.get_params(deep=False)),
            "model": self.model_.metadata,
            "fitted": {name: getattr(self, name) for name in (*self._fitted, *self._curves())},
        } | self._own_metadata()

    @classmethod
    def from_parts(cls, parts: dict[str, Any], metadata: dict[str, Any]) -> Self:
        """A fitted estimator of the given layers, as `pylstm.load` makes it."""
        says = Entries(metadata, "metadata").only(("parameters", "model", "fitted", *cls._own))
        model = cls._model.from_parts(parts, says.entries("model").value)
        estimator = cls(**restored(cls, says.entries("parameters"), getattr(model, "net", model).layer))
        fitted = says.entries("fitted").only((*cls._fitted, *cls._curves()))
        estimator.model_, estimator.n_iter_ = model, fitted.integer("n_iter_", 0)
        estimator.loss_curve_, scores = fitted.list("loss_curve_", (int, float)), fitted.get(cls._judged)
        setattr(estimator, cls._judged, None if scores is None else fitted.list(cls._judged, (int, float)))
        estimator._set_own(says, fitted)
        return estimator

    def summary(self, input_shape: Sequence[int | str | None] | None = None) -> Summary:
        """A table of all layers of the fitted net: output shape and parameters, as `pylstm.SequenceModel.summary`.

        Parameters
        ----------
        input_shape : sequence of int, optional
            Of what the net is called with, (N, T, input_size); None in it: of any size.

        Returns
        -------
        str
            Shown as it is by `print` and by an interactive session.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError, ValueError
            A shape that it does not take.
        """
        check_is_fitted(self, "model_")
        rows = rows_of(self.model_, input_shape)
        rows.rows[0].name = type(self).__name__
        return Summary(rows)

    @classmethod
    def _curves(cls) -> tuple[str, ...]:
        return ("n_iter_", "loss_curve_", cls._judged)

    def _own_metadata(self) -> dict[str, Any]:
        """The entries of `_own`."""
        return {}

    def _set_own(self, says: Entries, fitted: Entries) -> None:
        """The attributes of `_own` and `_fitted`, from a file."""


def _frequency(offset: Any) -> str:
    """The name of an offset of pandas, where that says all of it."""
    from pylstm.estimators.series.index import is_named

    if not is_named(offset):
        raise ValueError(
            f"freq={offset!r} with days of its own cannot stand in a file: freq='C' takes absent business days for "
            "holidays, and dates whose index has such a frequency need no freq"
        )
    return str(offset.freqstr)


def plain(parameters: dict[str, Any]) -> dict[str, Any]:
    """Parameters as JSON can hold them: cells by name, the keys of a dict beside its values."""
    out: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for name, value in parameters.items():
        if name == "cell" and hasattr(value, "contract"):
            options, value = changed(value), value.name
        elif name == "random_state" and not isinstance(value, int | np.integer):
            value = None
        elif name == "dtype":
            value = check_dtype(value).name
        elif hasattr(value, "freqstr"):
            value = _frequency(value)
        elif isinstance(value, list | tuple | np.ndarray):
            value = [simple(each) for each in value]
        elif name == "cell_options" and isinstance(value, dict):
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
        if says.text(name) != wanted and not (name == "cell" and estimator.cell == out[name] == "auto"):
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
            kinds: dict[str, Any] = dict.fromkeys(("target", "known", "static"), (str, int))
            kinds |= {"loss": (int, float), "frozen": str}
            found = says.list(name, kinds.get(name, int))
            out[name] = found if name == "loss" else tuple(found)
        elif not (value is None or isinstance(value, str | bool) or is_number(value)):
            says.refuse("must be a text, a finite number, true, false or null", value, name)
    if out["cell"] != "auto":
        out["cell"] = held(layer)
    if not leaf_of(layer).certified:
        out["cell_options"] = {**(out.get("cell_options") or {}), "certified": False}
    return out


def simple(value: Any) -> Any:
    """A Python scalar for a NumPy one."""
    return value.item() if isinstance(value, np.generic) else value
