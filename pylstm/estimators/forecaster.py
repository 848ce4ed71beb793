"""`Forecaster`: forecasts of series, in the style of scikit-learn."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Self

import numpy as np
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from pylstm.checks import check_flag, check_size, quoted
from pylstm.estimators.estimator import Estimator
from pylstm.estimators.sequences.inputs import Columned, Labels, seed_of
from pylstm.estimators.series.asking import Asked, by_id, frame_metadata, frame_of, numbers, read_frame, without_gaps
from pylstm.estimators.series.backtested import as_arrays
from pylstm.estimators.series.pairing import check_after, check_fit
from pylstm.estimators.series.tables import Columns, Table
from pylstm.forecasting.choosing import choose
from pylstm.forecasting.combining import columns_of
from pylstm.forecasting.forecast_model import ForecastModel
from pylstm.forecasting.series import as_extras, as_series, latest
from pylstm.hints import explained
from pylstm.models.heads import HeadName, head_of
from pylstm.schema import Entries
from pylstm.training.refit import all_or_nothing

CHOSEN = ("cycle", "log", "season", "difference", "window")
"""Parameters that may be "auto"."""
MODEL = ("horizon", "joint", "num_layers", "dropout", "head_sizes", "loss")
"""Other parameters that are those of `ForecastModel`."""


@dataclass(eq=False, repr=False)
class Forecaster(Estimator, kind="forecaster"):
    """Forecasts one or many series by a recurrent net beside exponential smoothing, weighed by a back-test.

    What is ``"auto"`` is chosen from the series. The end of every series, `validation_fraction` of it, is not trained
    on: there the net stops, and is judged beside smoothing and the naive forecasts (`ForecastModel`, `combine`). Where
    none of them is better by 10 % than the naive forecast, that is the forecast, and a warning says so.

    Parameters
    ----------
    cell, hidden_size, num_layers, dropout, head_sizes, cell_options
        Of the net, as for `SequenceClassifier`.
    window : int or "auto"
        Steps of a piece to train on, and most steps that are read before a forecast.
    horizon : int
        Steps that the net says at once.
    log, season, difference : bool, int, int or "auto"
        What is done to the series before the net sees it: logarithms, differences from the season before and from the
        step before.
    cycle : int or "auto"
        Steps of a season, for smoothing and the seasonal naive forecast; 0 for none.
    combine : bool or "auto"
        False: the forecast is that of the net alone, and so are the intervals; so it is by default where the loss says
        a distribution, whose levels are then those that a back-test on the steps held out finds.
    joint : bool
        The columns of y (T, K) are K values of one step, forecast together; otherwise they are K series.
    id, time : str or int, optional
        Columns of a table: which series a row belongs to, and when it was. With either, `fit` takes tables (DataFrames
        of pandas or polars, dicts of columns), and forecasts are such, with these columns.
    target, known, static : list of str or int, or one of them
        Columns of a table: what is forecast (default: all others), inputs that are known of the steps to come, and what
        is the same in all rows of a series, numbers or texts. Inputs need ``horizon=1``.
    freq : str, number or offset of pandas, optional
        The step of the dates, such as ``"MS"``, ``"BME"`` or ``"15min"``; ``"C"`` takes absent business days for
        holidays, as an offset of pandas says them. Default: the step that the dates have.
    fill : {"linear", "previous", "zero"}, optional
        What stands in the absent steps of a table, or of a Series or DataFrame of pandas with dates; default: they are
        refused.
    loss : str or list of float
        What the net says: ``"mean_squared_error"`` or ``"huber"``, values; ``"gaussian"``, ``"student_t"``, of counts
        ``"poisson"`` or ``"negative_binomial"``, distributions; a list of quantiles, or ``"quantile"``, these, sorted
        so that they do not cross. The forecast of the latter is the median, and `predict_quantiles`,
        `predict_interval` and `sample` are the net's own. Counts stay as they are: no logarithms, no differences.
    epochs, batch_size, learning_rate, clip
        Of the training; `batch_size` windows are a batch, ``"auto"`` a 64th of them, from 8 to 256. Epochs that are
        ``"auto"`` are 100, of many series fewer, see `ForecastModel.fit`.
    early_stopping : bool
        Stop after `n_iter_no_change` epochs in a row without a lower loss on the last `validation_fraction` of the
        steps, which is then not trained on.
    validation_fraction : float
        Of the steps; 0 with ``early_stopping=False`` and ``combine=False`` trains on all of them.
    n_iter_no_change : int
    frozen : str or sequence of str, optional
        Parameters of the net that stay as they are drawn; names as for `Parameters.freeze`, ``"weight_h"`` for those of
        every layer.
    dtype : {"float32", "float64"}
    random_state : int, RandomState or None
    verbose : bool

    Attributes
    ----------
    model_ : ForecastModel
    method_ : list of str
        Of each series: what its forecast is made of, such as ``"0.60 smoothing + 0.40 naive"``, or that of a
        distribution the naive forecast was better.
    settings_ : dict
        Log, season, difference, cycle and window, as given or chosen.
    n_iter_ : int
    loss_curve_, validation_loss_curve_ : list of float
        Of every epoch; the latter is empty where no steps are held out.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm import Forecaster
    >>> t = np.arange(144)
    >>> y = 0.1 * t + np.sin(2 * np.pi * t / 12)
    >>> net = Forecaster("gru", 16, epochs=5, random_state=0).fit(y[:120])
    >>> net.predict(24).shape, bool(net.score(y[120:]) > 0.9), net.settings_["season"]
    ((24,), True, 12)

    >>> days = np.arange("2001-01-01", "2001-03-02", dtype="M8[D]")
    >>> table = {"shop": ["a"] * 60 + ["b"] * 60, "day": np.tile(days, 2)}
    >>> table["sold"] = 20 + 0.1 * np.arange(120) + np.random.default_rng(0).normal(size=120)
    >>> shops = Forecaster("gru", 4, epochs=2, random_state=0, id="shop", time="day").fit(table)
    >>> ahead = shops.predict(2)
    >>> ahead["shop"].tolist(), [str(day) for day in ahead["day"]][:2]
    (['a', 'a', 'b', 'b'], ['2001-03-02', '2001-03-03'])
    """

    _model = ForecastModel
    _judged = "validation_loss_curve_"
    _own = ("frame", "inputs")

    hidden_size: int = 32
    _: KW_ONLY
    window: int | Literal["auto"] = "auto"
    horizon: int = 1
    log: bool | Literal["auto"] = "auto"
    season: int | Literal["auto"] = "auto"
    difference: int | Literal["auto"] = "auto"
    cycle: int | Literal["auto"] = "auto"
    combine: bool | Literal["auto"] = "auto"
    joint: bool = False
    id: Any = None
    time: Any = None
    target: Any = None
    known: Any = ()
    static: Any = ()
    freq: Any = None
    fill: Literal["linear", "previous", "zero"] | None = None
    loss: HeadName | Sequence[float] = "mean_squared_error"
    epochs: int | Literal["auto"] = "auto"  # type: ignore[assignment]
    batch_size: int | Literal["auto"] = "auto"  # type: ignore[assignment]
    learning_rate: float = 5e-3
    early_stopping: bool = True
    validation_fraction: float = 0.2
    frozen: str | Sequence[str] | None = None

    @explained("estimator fit")
    @all_or_nothing
    def fit(self, y: Columned, X: Labels | None = None) -> Self:
        """Train on series. A fit that fails leaves the forecaster as it was.

        Parameters
        ----------
        y : array_like, Series or DataFrame, shape (T,) or (T, S), or list of array_like (T_i,)
            One series; S series side by side; or series of any lengths. With `id` or `time` a table. Of arrays that are
            not in memory (mapped, h5py, zarr) the last 4,000,000 values are read, and a warning says so.
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
        y, X = without_gaps(self, y), without_gaps(self, X)
        frame = frame_of(self, y, X)
        names = None if isinstance(frame, Table) else check_fit(y, X)
        if isinstance(frame, Table):
            y, X = frame.arrays(self.joint), frame.inputs(self.joint)
        seed, y, X = seed_of(self.random_state), latest(numbers(y)), numbers(X)
        options = {name: getattr(self, name) for name in MODEL} | self._choose(y, X) | (self.cell_options or {})
        options["combine"] = not head_of(self.loss).spread if is_auto(self.combine) else self.combine
        self.model_ = ForecastModel(self.cell, self.hidden_size, dtype=self.dtype, seed=seed, **options)
        options = {"validation": self.validation_fraction, "seed": seed, "frozen": self.frozen or ()}
        options["patience"] = self.n_iter_no_change if self.early_stopping else None
        with by_id(frame, self.joint):
            history = self.model_.fit(y, X, **options, **self._training())
        if self.verbose:
            print(f"{self.settings_}; {' | '.join(self.method_[:5])}")
        self._frame, self._inputs = frame.trimmed() if isinstance(frame, Table) else frame, names
        return self._fitted_by(history, history.validation_loss)

    def _choose(self, y: Any, X: Any) -> dict[str, Any]:
        """The settings, those that are ``"auto"`` from the series."""
        given = {name: None if is_auto(getattr(self, name)) else getattr(self, name) for name in CHOSEN}
        if head_of(self.loss).counts:  # as they are
            given |= {name: given[name] or usual for name, usual in (("log", False), ("season", 0), ("difference", 0))}
        if None not in given.values():
            return given
        for name, value in given.items():
            if value is not None:
                check_flag(name, value) if name == "log" else check_size(name, value, int(name == "window"))
        series = as_series(y, self.joint)[0]
        extras = as_extras("exogenous", X, len(series), None, map(len, series))
        inputs = [extra for extra, each in zip(extras, series) for _ in range(each.shape[1])]
        return dataclasses.asdict(choose(columns_of(series), inputs, **given))

    @property
    def settings_(self) -> dict[str, Any]:
        """Cycle, log, season, difference and window of the fit."""
        check_is_fitted(self, "model_")
        model = self.model_
        ready = {name: getattr(model.preparation, name) for name in ("log", "season", "difference")}
        return {"cycle": model.cycle, **ready, "window": model.window}

    @property
    def method_(self) -> list[str]:
        """What the forecast of each series is made of."""
        check_is_fitted(self, "model_")
        return self.model_.describe()

    @explained()
    def predict(self, n: int, X: Any = None, *, history: Any = None, rescale: bool = False) -> Any:
        """The n steps after the end of the series, in their form: (n,), (n, S) or a list of (n,), a Series or frame.

        Parameters
        ----------
        n : int
        X : array_like, shape (n, M), or list of such, or a table
            Exogenous values of the steps to come; with `history`, (T + n, M); with `id` or `time` a table of
            the steps to come alone.
        history, rescale
            Other series to continue, see `ForecastModel.predict`.

        Raises
        ------
        ValueError
            As `ForecastModel.predict`; there was no `fit`.
        """
        asked = self._asked(n, X, history, rescale=rescale)
        return asked.back(self.model_.predict(n, rescale=rescale, **asked.given))

    def predict_mean(self, n: int, X: Any = None, *, history: Any = None, **options: Any) -> Any:
        """Expectations of the n steps, where `loss` says a distribution; of a skewed one they are not the forecast.

        Parameters
        ----------
        n, X, history
            As for `predict`.
        **options
            Of `ForecastModel.predict_mean`: rescale, paths, seed.
        """
        asked = self._asked(n, X, history, **options)
        return asked.back(self.model_.predict_mean(n, **asked.given, **options))

    def predict_quantiles(
        self, n: int, quantiles: Any, X: Any = None, *, history: Any = None, **options: Any
    ) -> list[Any]:
        """Quantiles of each step, of all quantiles one after another, each as `predict`; that of 0.5 is the forecast.

        Parameters
        ----------
        n, X, history
            As for `predict`.
        quantiles : sequence of float
        **options
            Of `ForecastModel.predict_quantiles`: rescale, paths, seed.
        """
        asked = self._asked(n, X, history, **options)
        return [asked.back(each) for each in self.model_.predict_quantiles(n, quantiles, **asked.given, **options)]

    def sample(self, n: int, paths: int = 100, X: Any = None, *, history: Any = None, **options: Any) -> list[Any]:
        """Continuations of n steps, each as `predict`; at each step they have the quantiles of `predict_quantiles`.

        Parameters
        ----------
        n, X, history
            As for `predict`.
        paths : int
        **options
            Of `ForecastModel.sample`: rescale, seed.
        """
        asked = self._asked(n, X, history, **options)
        return [asked.back(each) for each in self.model_.sample(n, paths, **asked.given, **options)]

    def predict_interval(
        self, n: int, level: float = 0.9, X: Any = None, *, history: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """Lower and upper ends of intervals that contain the share `level` of what comes, see `ForecastModel`.

        Parameters
        ----------
        n, X, history
            As for `predict`.
        level : float
        **options
            Of `ForecastModel.predict_interval`: rescale, paths, seed.
        """
        asked = self._asked(n, X, history, **options)
        low, high = self.model_.predict_interval(n, level, **asked.given, **options)
        return asked.back(low), asked.back(high)

    def _asked(self, n: int, X: Any, history: Any, rescale: Any = False, **_: Any) -> Asked:
        """What the model is given for a forecast of n steps, and the form of its answer."""
        check_is_fitted(self, "model_")
        check_size("n", n)
        frame = getattr(self, "_frame", None)
        return Asked.of(self, frame, n, X, history, rescale, getattr(self, "_inputs", None))

    def _for_backtest(self, values: Any, X: Any) -> tuple[Forecaster, Any, Any]:
        """A forecaster of arrays that forecasts as this one, its series, and known inputs of their steps."""
        return as_arrays(self, getattr(self, "_frame", None), values, X, getattr(self, "_inputs", None))

    def _own_metadata(self) -> dict[str, Any]:
        return {"frame": frame_metadata(getattr(self, "_frame", None)), "inputs": getattr(self, "_inputs", None)}

    def _set_own(self, says: Entries, fitted: Entries) -> None:
        self._frame = read_frame(says, self)
        self._inputs = None if says.get("inputs") is None else says.list("inputs", str)

    @property
    def task_model(self) -> ForecastModel:
        """`model_`, as commands take it."""
        check_is_fitted(self, "model_")
        return self.model_

    def score(self, y: Any, X: Any = None) -> float:
        """R^2 of the forecast of `y`, the steps after those of the fit; the mean over the columns or series."""
        if isinstance(frame := getattr(self, "_frame", None), Table):
            columns = Columns(**(vars(frame.columns) | {"static": ()}))
            true = Table.read(y, columns, frame)
            frame.check_after(true)
            X = y if frame.columns.known else None
            asked = self._asked(n := len(true.series[0]), X, None)
            pairs = zip(true.arrays(self.joint), self.model_.predict(n, **asked.given), strict=True)
            return float(np.mean([r2_score(*pair) for pair in pairs]))
        check_after(frame, y)
        y = numbers(y)
        if np.ndim(y) == 0 if not isinstance(y, list | tuple) else not y:
            raise TypeError(f"score: y must be an array of numbers, or a list of them by series, got {quoted(y)}")
        several = isinstance(y, list) and np.ndim(y[0]) > 0
        if not several:
            return float(r2_score(y, self.predict(len(y), X)))
        if len({len(each) for each in y}) > 1:
            raise ValueError(
                f"the series of y must have one length, got {[len(each) for each in y]} steps: cut them to "
                f"{min(map(len, y))}"
            )
        return float(np.mean([r2_score(*pair) for pair in zip(y, self.predict(len(y[0]), X))]))


def is_auto(value: Any) -> bool:
    """Whether a parameter is ``"auto"``."""
    return isinstance(value, str) and value == "auto"
