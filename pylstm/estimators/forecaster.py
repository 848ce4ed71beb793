"""`Forecaster`: forecasts of series, in the style of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from pylstm.estimators.base import plain, restored
from pylstm.estimators.inputs import seed_of
from pylstm.forecasting.forecast_model import ForecastModel
from pylstm.hints import EstimatorHints, explained
from pylstm.schema import Entries
from pylstm.training.refit import all_or_nothing

MODEL = ("window", "horizon", "log", "season", "difference", "joint", "num_layers", "dropout", "head_sizes", "loss")
"""Parameters that are those of `ForecastModel`."""


class Forecaster(EstimatorHints, BaseEstimator, kind="forecaster"):
    """Forecasts one or many series by a recurrent net that reads them, then its own forecasts.

    Parameters
    ----------
    cell, hidden_size, num_layers, dropout, head_sizes, cell_options
        Of the net, as for `SequenceClassifier`.
    window : int
        Steps of a piece to train on, and most steps that are read before a forecast.
    horizon : int
        Steps that the net says at once.
    log, season, difference
        What is done to the series first: logarithms, differences from the season before and from the step before.
        A trend wants ``difference=1`` or `season`.
    joint : bool
        The columns of y (T, K) are K values of one step, forecast together; otherwise they are K series.
    loss : {"mean_squared_error", "huber"}
    epochs, batch_size, learning_rate, clip
        Of the training; `batch_size` windows are a batch.
    early_stopping : bool
        Stop after `n_iter_no_change` epochs in a row without a lower loss on the last `validation_fraction` of the
        steps, which is then not trained on.
    validation_fraction : float
        Of the steps; 0 with ``early_stopping=False`` trains on all of them.
    n_iter_no_change : int
    dtype : {"float32", "float64"}
    random_state : int, RandomState or None
    verbose : bool

    Attributes
    ----------
    model_ : ForecastModel
    n_iter_ : int
    loss_curve_, validation_loss_curve_ : list of float
        Of every epoch; the latter is empty where no steps are held out.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm import Forecaster
    >>> t = np.arange(144)
    >>> y = 0.1 * t + np.sin(2 * np.pi * t / 12)
    >>> net = Forecaster("gru", 16, season=12, epochs=20, random_state=0).fit(y[:120])
    >>> net.predict(24).shape, bool(net.score(y[120:]) > 0.9)
    ((24,), True)
    """

    def __init__(
        self,
        cell: Any = "lstm",
        hidden_size: int = 32,
        *,
        window: int = 64,
        horizon: int = 1,
        log: bool = False,
        season: int = 0,
        difference: int = 0,
        joint: bool = False,
        num_layers: int = 1,
        dropout: float = 0.0,
        head_sizes: Any = (),
        cell_options: dict[str, int] | None = None,
        loss: str = "mean_squared_error",
        epochs: int = 100,
        batch_size: int = 8,
        learning_rate: float = 5e-3,
        clip: float | None = 1.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        dtype: Any = "float32",
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.cell, self.hidden_size, self.window, self.horizon = cell, hidden_size, window, horizon
        self.log, self.season, self.difference, self.joint = log, season, difference, joint
        self.num_layers, self.dropout, self.head_sizes, self.cell_options = (
            num_layers,
            dropout,
            head_sizes,
            cell_options,
        )
        self.loss, self.epochs, self.batch_size, self.learning_rate = loss, epochs, batch_size, learning_rate
        self.clip, self.early_stopping, self.validation_fraction = clip, early_stopping, validation_fraction
        self.n_iter_no_change, self.dtype = n_iter_no_change, dtype
        self.random_state, self.verbose = random_state, verbose

    @explained("estimator fit")
    @all_or_nothing
    def fit(self, y: Any, X: Any = None) -> Forecaster:
        """Train on series. A fit that fails leaves the forecaster as it was.

        Parameters
        ----------
        y : array_like, Series or DataFrame, shape (T,) or (T, S), or list of array_like (T_i,)
            One series; S series side by side; or series of any lengths.
        X : array_like or DataFrame, shape (T, M), or list of such, optional
            Exogenous values, known of the steps to come, too. Needs ``horizon=1``.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError, TrainingDiverged
            As `ForecastModel.fit`.
        """
        seed = seed_of(self.random_state)
        options = {name: getattr(self, name) for name in MODEL} | (self.cell_options or {})
        self.model_ = ForecastModel(self.cell, self.hidden_size, dtype=self.dtype, seed=seed, **options)
        history = self.model_.fit(
            numbers(y),
            numbers(X),
            validation=self.validation_fraction,
            patience=self.n_iter_no_change if self.early_stopping else None,
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.learning_rate,
            clip=self.clip,
            seed=seed,
            progress=bool(self.verbose),
        )
        self.n_iter_, self.loss_curve_ = len(history.loss), history.loss
        self.validation_loss_curve_ = history.validation_loss
        return self

    def predict(self, n: int, X: Any = None, *, history: Any = None, rescale: bool = False) -> Any:
        """The n steps after the end of the series, in their form: (n,), (n, S) or a list of (n,).

        Parameters
        ----------
        n : int
        X : array_like, shape (n, M), or list of such
            Exogenous values of the steps to come; with `history`, (T + n, M).
        history, rescale
            Other series to continue, see `ForecastModel.predict`.

        Raises
        ------
        ValueError
            As `ForecastModel.predict`; there was no `fit`.
        """
        check_is_fitted(self, "model_")
        return self.model_.predict(n, exogenous=numbers(X), history=numbers(history), rescale=rescale)

    def predict_interval(self, n: int, level: float = 0.9, X: Any = None, **options: Any) -> tuple[Any, Any]:
        """Lower and upper ends of intervals that contain the share `level` of simulated continuations.

        Parameters
        ----------
        n, X
            As for `predict`.
        level : float
        **options
            Of `ForecastModel.predict_interval`: history, rescale, paths, seed.
        """
        check_is_fitted(self, "model_")
        options["history"] = numbers(options.get("history"))
        return self.model_.predict_interval(n, level, exogenous=numbers(X), **options)

    @property
    def task_model(self) -> ForecastModel:
        """`model_`, as commands take it."""
        check_is_fitted(self, "model_")
        return self.model_

    def score(self, y: Any, X: Any = None) -> float:
        """R^2 of the forecast of `y`, the steps after those of the fit; the mean over the columns or series."""
        y = numbers(y)
        several = isinstance(y, list) and np.ndim(y[0]) > 0
        if not several:
            return float(r2_score(y, self.predict(len(y), X)))
        if len({len(each) for each in y}) > 1:
            raise ValueError(f"score needs series of one length, got {[len(each) for each in y]} steps")
        return float(np.mean([r2_score(*pair) for pair in zip(y, self.predict(len(y[0]), X))]))

    @property
    def parts(self) -> dict[str, Any]:
        """Name -> layer of the fitted net, as `pylstm.save` stores them."""
        check_is_fitted(self, "model_")
        return self.model_.parts

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file besides the layers."""
        return {
            "parameters": plain(self.get_params(deep=False)),
            "model": self.model_.metadata,
            "fitted": {name: getattr(self, name) for name in FITTED},
        }

    @classmethod
    def from_parts(cls, parts: dict[str, Any], metadata: dict[str, Any]) -> Forecaster:
        """A fitted estimator of the given layers, as `pylstm.load` makes it."""
        says = Entries(metadata, "metadata").only(("parameters", "model", "fitted"))
        model = ForecastModel.from_parts(parts, says.entries("model").value)
        forecaster, fitted = cls(**restored(cls, says.entries("parameters"), model.net.layer)), says.entries("fitted")
        forecaster.model_, forecaster.n_iter_ = model, fitted.only(FITTED).integer("n_iter_", 0)
        for name in FITTED[1:]:
            setattr(forecaster, name, None if fitted.get(name) is None else fitted.list(name, (int, float)))
        return forecaster


FITTED = ("n_iter_", "loss_curve_", "validation_loss_curve_")
"""Attributes of a fit that a file holds as they are."""


def numbers(values: Any) -> Any:
    """Arrays of what has columns or an index (pandas, polars); lists element by element."""
    if isinstance(values, list | tuple) and any(hasattr(each, "to_numpy") for each in values):
        return [numbers(each) for each in values]
    return values.to_numpy() if hasattr(values, "to_numpy") else values
