"""`ForecastModel`: forecasts of series by a recurrent net that reads them, then its own forecasts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from pylstm.checks import Dtype, Integer, check_flag, check_share, check_size
from pylstm.data.scaling import scale_of
from pylstm.forecasting.blending import Blend
from pylstm.forecasting.combining import fit_blend, residuals_of, warn_of_constants
from pylstm.forecasting.predictions import Predictions
from pylstm.forecasting.preparation import Preparation
from pylstm.forecasting.recalibration import Recalibration, fit_recalibration
from pylstm.forecasting.rolling import LONGEST
from pylstm.forecasting.series import as_extras, as_series, pairs_of, stride_of, warn_of_values, windows_of
from pylstm.hints import explained
from pylstm.models.body import check_head_sizes
from pylstm.models.fitted import OWN, FittedModel, NetOptions, check_net, frozen_in
from pylstm.models.heads import HeadName, check_all_counts, head_of
from pylstm.models.restoring import constructor_options, held, own_options
from pylstm.models.sequence_model import SequenceModel
from pylstm.schema import Entries, as_array
from pylstm.training.history import History
from pylstm.training.refit import all_or_nothing

if TYPE_CHECKING:
    from pylstm.arrays import ArrayLike

BUDGET = 8_000_000
"""Steps that a fit of ``epochs="auto"`` is trained on, at most, one in several windows or epochs counted each time."""


def budget_of(epochs: Any, batch_size: Any, windows: int, steps: int) -> tuple[int, int]:
    """Epochs and batch size for windows of so many steps, where they are "auto"."""
    if isinstance(batch_size, str) and batch_size == "auto":
        batch_size = int(np.clip(windows // 64, 8, 256))
    if isinstance(epochs, str) and epochs == "auto":
        epochs = int(np.clip(BUDGET // (windows * steps), 10, 100))
    return epochs, batch_size


class ForecastModel(Predictions, FittedModel, kind="forecast_model"):
    """Forecasts of one or several series.

    Parameters
    ----------
    cell : str or Cell subclass
    hidden_size : int
    window : int
        Steps of a piece to train on, and most steps of the history that are read before a forecast.
    horizon : int
        Steps that the net says at once; forecasts that go further read the ones before, block by block.
    log, season, difference
        What is done to the series first; see `Preparation`. A trend wants ``difference=1`` or `season`.
    joint : bool
        The columns of a series (T, K) are K values of one step, forecast together. Otherwise every column is a series
        of its own, and one net learns from them all.
    combine : bool
        Back-test the net inside the series, on the validation steps, beside exponential smoothing and the naive
        forecasts, forecast by the shares that did best there, and make intervals of the errors of the back-test.
    cycle : int
        Steps of a season, for that back-test; 0 for none.
    num_layers, dropout, head_sizes
        As for `SequenceModel`.
    loss : str or list of float
        ``"mean_squared_error"`` or ``"huber"``: the net says the value. ``"gaussian"``, ``"student_t"``, of counts
        ``"poisson"`` or ``"negative_binomial"``: it says a distribution. A list of quantiles, or ``"quantile"``: it
        says these, sorted. The forecast is then the median, and quantiles, intervals and paths are the net's own.
    dtype : {"float32", "float64"}
    seed : int
    **options
        Sizes and options of the cell; activation, residual, loss_options of `SequenceModel`; bias, learn_initial,
        certified of `Recurrent`.

    Attributes
    ----------
    net : SequenceModel
        After `fit`.
    residuals : ndarray, shape (R, horizon, K)
        Of the standardised series at the validation steps; without these there are none, and no intervals.
    blend : Blend or None
        With `combine`: the shares and the intervals of every series; ``blend.describe()`` says them.
    recalibration : Recalibration or None
        Of a `loss` that says a distribution, fitted with validation: what its levels really hold.

    Raises
    ------
    ValueError
        A number out of range, an unknown loss.

    Examples
    --------
    >>> y = np.sin(np.arange(120) * 2 * np.pi / 12) + 0.05 * np.arange(120)
    >>> model = ForecastModel("gru", 16, window=24, season=12, seed=0)
    >>> history = model.fit(y[:108], epochs=2)
    >>> model.predict(12).shape
    (12,)
    """

    task = "forecast"
    """What `pylstm evaluate` and `pylstm predict` do with it."""

    def __init__(
        self,
        cell: str | type[Any] = "lstm",
        hidden_size: int = 32,
        *,
        window: int = 64,
        horizon: int = 1,
        log: bool = False,
        season: int = 0,
        difference: int = 0,
        joint: bool = False,
        combine: bool = False,
        cycle: int = 0,
        num_layers: int = 1,
        dropout: float = 0.0,
        head_sizes: Iterable[int] = (),
        loss: HeadName | Sequence[float] = "mean_squared_error",
        dtype: Dtype = "float32",
        seed: Integer = 0,
        **options: Unpack[NetOptions],
    ) -> None:
        self.head = head_of(loss)
        check_net(type(self), cell, options, ("bidirectional", *OWN))
        self.cell, self.hidden_size = cell, check_size("hidden_size", hidden_size)
        self.window, self.horizon = check_size("window", window), check_size("horizon", horizon)
        self.preparation = Preparation(
            check_flag("log", log), check_size("season", season, 0), check_size("difference", difference, 0)
        )
        self.joint, self.combine = check_flag("joint", joint), check_flag("combine", combine)
        self.cycle = check_size("cycle", cycle, 0)
        self._check_head()
        self.blend: Blend | None = None
        self.recalibration: Recalibration | None = None
        net: dict[str, Any] = {
            "num_layers": check_size("num_layers", num_layers),
            "dropout": float(check_share("dropout", dropout)),
            "loss": loss if isinstance(loss, str) else [float(each) for each in loss],
        }
        net |= {"head_sizes": check_head_sizes(head_sizes)}
        self.net_options: dict[str, Any] = {**net, "dtype": dtype, "seed": seed, **options}

    @all_or_nothing
    @explained()
    def fit(
        self,
        y: ArrayLike | Sequence[ArrayLike],
        exogenous: ArrayLike | Sequence[ArrayLike] | None = None,
        *,
        validation: float = 0.0,
        epochs: int | Literal["auto"] = 100,
        batch_size: int | Literal["auto"] = 8,
        lr: float = 5e-3,
        stride: int | None = None,
        frozen: str | Sequence[str] = (),
        **options: Any,
    ) -> History:
        """Train on windows of the series, from new parameters. A fit that fails leaves the model as it was.

        Parameters
        ----------
        y : array_like, shape (T,) or (T, S), or list of arrays (T_i,)
            One series; S series side by side (K values of one where `joint`); or series of any lengths. Of arrays that
            are not in memory (mapped, h5py, zarr) the last 4,000,000 values are read, and a warning says so.
        exogenous : array_like, shape (T, M), or list of such, optional
            What is known of every step beforehand, also of those to come: the weekday, a price. Needs ``horizon=1``.
        validation : float
            Share of the steps, the last ones of every series, that is not trained on but judged after every epoch;
            `patience` needs it, and intervals are the better for it.
        epochs, batch_size : int
            `batch_size` windows for each step of the optimiser; ``"auto"``: a 64th of them, from 8 to 256. Epochs that
            are ``"auto"`` are 100, fewer of many series, so that `BUDGET` steps are trained on, but at least 10.
        lr : float
            Of `Adam` at the first step; falls to 0 as half a cosine wave.
        stride : int, optional
            Steps from one window to the next; default: an eighth of the window, and more for more than 8192 windows.
        frozen : str or sequence of str
            Parameters of the net that stay as they are drawn, as for `Parameters.freeze`.
        **options
            Of `pylstm.fit`: patience, clip, seed, callbacks, checkpoint, resume, progress, optimiser, schedule.

        Raises
        ------
        TypeError, ValueError, TrainingDiverged
            A series that is too short or not finite; as `pylstm.fit`.
        """
        series, self.form = as_series(y, self.joint)
        self.K, lost, h = series[0].shape[1], self.preparation.lost, self.horizon
        check_all_counts(self.head, series)
        warn_of_values(series)
        extras = as_extras("exogenous", exogenous, len(series), None, map(len, series))
        self.M = extras[0].shape[1]
        self._check(validation)
        prepared = [self.preparation.apply(each) for each in series]
        held: Callable[[int], int] = lambda steps: max(h, round(validation * steps)) if validation else 0  # noqa: E731
        cuts = [len(z) - held(len(z)) for z in prepared]
        if min(cuts) < h + 1:
            needed = lost + next(n for n in itertools.count(h + 1) if n - held(n) > h)
            why = " to train and to validate" if validation else " to train"
            why += ": rows are steps, pass y.T for one series" if self.form == "columns" and len(series[0]) == 1 else ""
            raise ValueError(f"{_shortest([*map(len, series)])} is too short: {needed} are needed{why}")
        self.scales = [self._scale_of(z[:cut]) for z, cut in zip(prepared, cuts)]
        self.extra_scale = scale_of(np.concatenate(extras)) if self.M else np.zeros((2, 0))
        warn_of_constants(extras)
        pairs = [self._pairs(*each) for each in zip(prepared, extras, self.scales)]
        counts, stride = [cut - h for cut in cuts], stride or stride_of(self.window, map(len, prepared))
        train, judged = windows_of(pairs, counts, self.window, stride, h, validation > 0, self.net_options["dtype"])
        epochs, batch_size = budget_of(epochs, batch_size, *train[0].shape[:2])
        options |= {"epochs": epochs, "batch_size": batch_size, "lr": lr, "validation": judged}
        history = self._fit_net(frozen_in(self._make_net(), frozen), train, **options)
        self._keep(series, extras, judged, [lost + cut for cut in cuts])
        return history

    def _keep(self, series: list[np.ndarray], extras: list[np.ndarray], judged: Any, cuts: list[int]) -> None:
        """What forecasts need of the series, the first `cuts` steps of which the net was trained on."""
        lost, h = self.preparation.lost, self.horizon
        kept = max(self.window + lost, LONGEST if self.combine else 0)
        self.tails, self.extra_tails = ([x[-kept:] for x in each] for each in (series, extras))
        self.residuals = np.zeros((0, h, self.K))
        if judged and not self.head.spread:
            self.residuals = residuals_of(self.net, h, self.K, *judged)
        self.recalibration = None
        if self.combine:
            self.blend = fit_blend(self, series, extras, cuts)
        elif judged and self.head.spread:
            self.recalibration = fit_recalibration(self, series, extras, cuts)

    def _check_head(self) -> None:
        """Refuse settings that do not go with the head."""
        name = self.head.name
        if self.head.spread and self.combine:
            raise ValueError(
                f"loss={name!r} says how sure the net is, combine=True makes intervals of errors: take combine=False"
            )
        if self.head.counts and self.preparation != Preparation():
            raise ValueError(f"loss={name!r} is of counts as they are: log, season and difference must be off")

    def _make_net(self) -> SequenceModel:
        """A new net, as wide as the series and the head ask for."""
        options = self.net_options | {"loss": self.head.loss}
        if self.head.options:
            options["loss_options"] = {**(options.get("loss_options") or {}), **self.head.options}
        outputs = self.head.parts * self.horizon * self.K
        return SequenceModel(self.cell, self.K + self.M, self.hidden_size, outputs, read="every", **options)

    def _scale_of(self, z: np.ndarray) -> np.ndarray:
        """Mean and deviation (2, K) of a prepared series; counts are divided by their mean."""
        if not self.head.counts:
            return scale_of(z)
        mean = z.mean(axis=0)
        return np.stack([np.zeros_like(mean), np.where(mean > 0, mean, 1.0)])

    def _check(self, validation: float) -> None:
        if self.M and self.horizon > 1:
            raise ValueError(f"exogenous values need horizon=1, got {self.horizon}")
        if not 0 <= validation < 1:
            raise ValueError(f"validation must be a share from 0 to below 1, got {validation}")
        if self.combine and not validation:
            raise ValueError("combine=True needs steps for its back-test: validation above 0, such as 0.2")

    def _pairs(self, z: np.ndarray, extra: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standardised inputs and targets of a prepared series."""
        extra = (extra - self.extra_scale[0]) / self.extra_scale[1]
        x, y = pairs_of((z - scale[0]) / scale[1], extra[len(extra) - len(z) :], self.horizon)
        if self.head.counts:  # the counts themselves, and what their rate is in units of
            exposure = np.broadcast_to(np.tile(scale[1], self.horizon), y.shape)
            y = np.hstack([np.rint(y * exposure), exposure])
        return x, y

    @explained()
    def inputs(self, history: Any = None, exogenous: Any = None) -> list[np.ndarray]:
        """What the net sees of series: prepared, standardised, with the exogenous values of the step to come.

        Parameters
        ----------
        history : as `y` of `fit`, optional
            Default the ends of the series of the fit. As many series are standardised as those, others by themselves.
        exogenous : array_like, shape (T, M), or list of such
            Of their steps.

        Returns
        -------
        list of ndarray, shape (T_i - steps that preparation and horizon take, K + M)
            Of the dtype of the net.

        Raises
        ------
        RuntimeError
            There was no `fit`.
        ValueError
            Series of another width, or too short; exogenous values that do not fit them.
        """
        self._need_net()
        series = self.tails if history is None else as_series(history, self.joint)[0]
        lengths = [len(each) for each in series]
        given = history is not None
        extras = as_extras("exogenous", exogenous, len(series), self.M, lengths) if given else self.extra_tails
        if series[0].shape[1] != self.K:
            raise ValueError(f"the history must have {self.K} values at a step, got {series[0].shape[1]}")
        if min(lengths) <= (least := self.preparation.lost + self.horizon):
            raise ValueError(f"the history must have at least {least + 1} steps, got {min(lengths)}")
        prepared = [self.preparation.apply(each) for each in series]
        own = len(series) == len(self.scales)
        scales = self.scales if own else [self._scale_of(each) for each in prepared]
        pairs = [self._pairs(*each)[0] for each in zip(prepared, extras, scales)]
        return [each.astype(self.net_options["dtype"]) for each in pairs]

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file besides the layers."""
        self._need_fit()
        options = {name: value for name, value in self.net_options.items() if name != "dtype"}
        return {
            "cell": self.cell if isinstance(self.cell, str) else self.cell.name,
            "options": options
            | {name: getattr(self, name) for name in ("hidden_size", "window", "horizon", "joint", "combine", "cycle")}
            | {name: getattr(self.preparation, name) for name in ("log", "season", "difference")}
            | {"dtype": np.dtype(self.net_options["dtype"]).name}
            | own_options(self.cell),
            "net": self.net.metadata,
            "form": self.form,
            "widths": [self.K, self.M],
            "arrays": {name: np.asarray(getattr(self, name)).tolist() for name in ("residuals", "extra_scale")},
            "lists": {name: [each.tolist() for each in getattr(self, name)] for name in LISTS},
            "blend": None if self.blend is None else self.blend.metadata,
            "recalibration": None if self.recalibration is None else self.recalibration.metadata,
        }

    @classmethod
    def from_parts(cls, parts: dict[str, Any], metadata: dict[str, Any]) -> ForecastModel:
        """A fitted model of the given layers, as `pylstm.load` makes it."""
        says = Entries(metadata, "metadata").only(FILED)
        model = cls(held(parts["layer"]), **constructor_options(cls, says, parts.get("layer")))
        model.net, model.form = SequenceModel.from_parts(parts, says.entries("net").value), says.text("form", FORMS)
        widths = says.list("widths", int)
        if len(widths) != 2 or widths[0] < 1 or widths[1] < 0:
            says.refuse("must be the number of values, and of exogenous ones", widths, "widths")
        model.K, model.M = widths
        outputs = model.head.parts * model.horizon * model.K
        if (model.net.layer.input_size, model.net.head.out_features) != (sum(widths), outputs):
            raise ValueError(f"metadata.widths {widths} and horizon {model.horizon} do not fit {model.net!r}")
        model._set_arrays(says.entries("arrays"), says.entries("lists"))
        if model.combine:
            model.blend = Blend.from_metadata(says.entries("blend"), len(model.tails) * model.K, model.M)
        if says.get("recalibration") is not None:
            columns = len(model.tails) * model.K
            model.recalibration = Recalibration.from_metadata(says.entries("recalibration"), columns)
        return model

    def _set_arrays(self, arrays: Entries, lists: Entries) -> None:
        """The part of `metadata` about the series of the fit."""
        K, M = self.K, self.M
        self.residuals = arrays.only(("residuals", "extra_scale")).array("residuals", (None, self.horizon, K))
        self.extra_scale = arrays.array("extra_scale", (2, M))
        for name, shape in {"tails": (None, K), "extra_tails": (None, M), "scales": (2, K)}.items():
            found = [as_array(each, shape, f"{lists.where}.{name}") for each in lists.only(LISTS).list(name, list)]
            setattr(self, name, found)
        if not len(self.tails) == len(self.extra_tails) == len(self.scales) >= 1:
            raise ValueError(f"{lists.where} must hold {', '.join(LISTS)} of the same number of series")
        least = self.preparation.lost + 1
        if any(len(tail) < least or len(extra) != len(tail) for tail, extra in zip(self.tails, self.extra_tails)):
            raise ValueError(f"{lists.where}.tails must have at least {least} steps each, and extra_tails as many")
        for scale in (self.extra_scale, *self.scales):
            if not (scale[1] > 0).all():
                raise ValueError(f"{lists.where}.scales and extra_scale must have deviations above 0, got {scale[1]}")

    def describe(self) -> list[str]:
        """What the forecast of each series is made of, in the order of the columns."""
        self._need_net()
        if self.blend is not None:
            return self.blend.describe()
        worse = [False] * (len(self.tails) * self.K) if self.recalibration is None else self.recalibration.worse
        return ["net, naive was better in the back-test" if each else "net" for each in worse]

    def __repr__(self) -> str:
        return f"ForecastModel({self.cell!r}, {self.hidden_size}, window={self.window}, horizon={self.horizon})"


FILED = ("cell", "options", "net", "form", "widths", "arrays", "lists", "blend", "recalibration")
"""Entries of the metadata."""
FORMS = ("one", "columns", "list")
LISTS = ("tails", "extra_tails", "scales")
"""Attributes with one array for each series."""


def _shortest(lengths: list[int]) -> str:
    """What a message calls the shortest series; its number, where others are longer."""
    number = f"series {np.argmin(lengths)}" if len({*lengths}) > 1 else "a series"
    return f"{number} of {min(lengths)} steps"
