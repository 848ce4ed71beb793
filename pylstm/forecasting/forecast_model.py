"""`ForecastModel`: forecasts of series by a recurrent net that reads them, then its own forecasts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any, Literal, Unpack

import numpy as np

from pylstm.checks import Dtype, Integer, check_flag, check_share, check_size, generator
from pylstm.data.scaling import pack, scale_of
from pylstm.data.sequences import Sequences
from pylstm.forecasting.preparation import Preparation
from pylstm.forecasting.series import as_extras, as_series, pairs_of, training_spans, validation_spans
from pylstm.hints import explained
from pylstm.models.body import check_head_sizes
from pylstm.models.fitted import OWN, FittedModel, NetOptions, check_net
from pylstm.models.restoring import constructor_options, held, own_options
from pylstm.models.sequence_model import SequenceModel
from pylstm.models.targets import check_loss_of_values
from pylstm.schema import Entries, as_array
from pylstm.training.history import History
from pylstm.training.refit import all_or_nothing

KEPT_RESIDUALS = 2000
"""Most residuals that a model keeps to draw intervals from."""


class ForecastModel(FittedModel, kind="forecast_model"):
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
    num_layers, dropout, head_sizes
        As for `SequenceModel`.
    loss : {"mean_squared_error", "huber"}
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
        Of the standardised series: those of the validation steps, where there are any.

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
        num_layers: int = 1,
        dropout: float = 0.0,
        head_sizes: Iterable[int] = (),
        loss: Literal["mean_squared_error", "huber"] = "mean_squared_error",
        dtype: Dtype = "float32",
        seed: Integer = 0,
        **options: Unpack[NetOptions],
    ) -> None:
        check_loss_of_values(loss)
        check_net(type(self), cell, options, ("bidirectional", *OWN))
        self.cell, self.hidden_size = cell, check_size("hidden_size", hidden_size)
        self.window, self.horizon = check_size("window", window), check_size("horizon", horizon)
        self.preparation = Preparation(
            check_flag("log", log), check_size("season", season, 0), check_size("difference", difference, 0)
        )
        self.joint = check_flag("joint", joint)
        net: dict[str, Any] = {
            "num_layers": check_size("num_layers", num_layers),
            "dropout": float(check_share("dropout", dropout)),
            "loss": loss,
        }
        net |= {"head_sizes": check_head_sizes(head_sizes)}
        self.net_options: dict[str, Any] = {**net, "dtype": dtype, "seed": seed, **options}

    @all_or_nothing
    @explained()
    def fit(
        self,
        y: Any,
        exogenous: Any = None,
        *,
        validation: float = 0.0,
        epochs: int = 100,
        batch_size: int = 8,
        lr: float = 5e-3,
        stride: int | None = None,
        **options: Any,
    ) -> History:
        """Train on windows of the series, from new parameters. A fit that fails leaves the model as it was.

        Parameters
        ----------
        y : array_like, shape (T,) or (T, S), or list of arrays (T_i,)
            One series; S series side by side (K values of one where `joint`); or series of any lengths.
        exogenous : array_like, shape (T, M), or list of such, optional
            What is known of every step beforehand, also of those to come: the weekday, a price. Needs ``horizon=1``.
        validation : float
            Share of the steps, the last ones of every series, that is not trained on but judged after every epoch;
            `patience` needs it, and intervals are the better for it.
        epochs, batch_size : int
            `batch_size` windows for each step of the optimiser.
        lr : float
            Of `Adam` at the first step; falls to 0 as half a cosine wave.
        stride : int, optional
            Steps from one window to the next; default: an eighth of the window.
        **options
            Of `pylstm.fit`: patience, clip, seed, callbacks, checkpoint, resume, progress, optimiser, schedule.

        Raises
        ------
        TypeError, ValueError, TrainingDiverged
            A series that is too short or not finite; as `pylstm.fit`.
        """
        series, self.form = as_series(y, self.joint)
        self.K, lost, h = series[0].shape[1], self.preparation.lost, self.horizon
        extras = as_extras("exogenous", exogenous, len(series), None, map(len, series))
        self.M = extras[0].shape[1]
        if self.M and h > 1:
            raise ValueError(f"exogenous values need horizon=1, got {h}")
        if not 0 <= validation < 1:
            raise ValueError(f"validation must be a share from 0 to below 1, got {validation}")
        prepared = [self.preparation.apply(each) for each in series]
        held: Callable[[int], int] = lambda steps: max(h, round(validation * steps)) if validation else 0  # noqa: E731
        cuts = [len(z) - held(len(z)) for z in prepared]
        if min(cuts) < h + 1:
            needed = lost + next(n for n in itertools.count(h + 1) if n - held(n) > h)
            why = " to train and to validate" if validation else " to train"
            raise ValueError(f"a series of {min(map(len, series))} steps is too short: {needed} are needed{why}")
        self.scales = [scale_of(z[:cut]) for z, cut in zip(prepared, cuts)]
        self.extra_scale = scale_of(np.concatenate(extras)) if self.M else np.zeros((2, 0))
        pairs = [self._pairs(*each) for each in zip(prepared, extras, self.scales)]
        train, judged = self._windows(pairs, [cut - h for cut in cuts], stride or max(1, self.window // 8), validation)
        sizes = self.K + self.M, self.hidden_size, h * self.K
        net = SequenceModel(self.cell, *sizes, read="every", **self.net_options)
        history = self._fit_net(net, train, epochs=epochs, batch_size=batch_size, lr=lr, validation=judged, **options)
        self.tails, self.extra_tails = ([x[-self.window - lost :] for x in each] for each in (series, extras))
        self.residuals = self._residuals(*(judged or train))
        return history

    def _pairs(self, z: np.ndarray, extra: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standardised inputs and targets of a prepared series."""
        extra = (extra - self.extra_scale[0]) / self.extra_scale[1]
        return pairs_of((z - scale[0]) / scale[1], extra[len(extra) - len(z) :], self.horizon)

    def _windows(self, pairs: list[Any], counts: list[int], stride: int, validation: float) -> tuple[Any, Any]:
        """Data to train on, and to validate with weights of 0 where a window has only begun to read."""
        dtype = self.net_options["dtype"]
        spans = [(k, *span) for k, count in enumerate(counts) for span in training_spans(count, self.window, stride)]
        train = tuple(pack([pairs[k][part][a:b] for k, a, b in spans], dtype) for part in (0, 1))
        if not validation:
            return train, None
        judged = [
            (k, *span)
            for k, count in enumerate(counts)  # the first forecast of a step behind the cut
            for span in validation_spans(count + self.horizon - 1, len(pairs[k][0]), self.window)
        ]
        data = [pack([pairs[k][part][a:b] for k, a, _, b in judged], dtype) for part in (0, 1)]
        masks = [(np.arange(a, b) >= first) for _, a, first, b in judged]
        return train, (*data, pack(masks, bool))

    def _residuals(self, x: Any, y: Any, mask: Any = None) -> np.ndarray:
        """Targets minus forecasts at the judged steps; of training windows at their second halves."""
        out, rows = self.net.predict(x), len(x)
        lengths = x.lengths if isinstance(x, Sequences) else np.full(rows, x.shape[1])
        y, mask = (each.padded if isinstance(each, Sequences) else each for each in (y, mask))
        at = np.arange(out.shape[1])
        taken = (at >= lengths[:, None] // 2) if mask is None else mask
        taken = taken & (at < lengths[:, None])
        residuals: np.ndarray = (y - out)[taken].reshape(-1, self.horizon, self.K).astype("float64")
        keep = np.random.default_rng(0).permutation(len(residuals))[:KEPT_RESIDUALS]
        return residuals[np.sort(keep)]

    @explained()
    def predict(self, n: int, *, history: Any = None, exogenous: Any = None, rescale: bool = False) -> Any:
        """The n steps after the end of the series.

        Parameters
        ----------
        n : int
        history : as `y` of `fit`, optional
            Other series to continue: later values of the series of the fit, or with `rescale` any series.
        exogenous : array_like, shape (n, M), or list of such
            Of the steps to come; with `history`, (T + n, M): of its steps, too.
        rescale : bool
            Standardise each `history` by its own mean and deviation rather than by those of the series of the fit.

        Returns
        -------
        ndarray, shape (n,) or (n, S), or list of such
            As the series came.

        Raises
        ------
        RuntimeError
            There was no `fit`.
        ValueError
            Series or exogenous values that do not fit those of the fit, or are too short.
        """
        paths, form = self._paths(n, history, exogenous, rescale, 1, None)
        return self._as_given([each[0] for each in paths], form)

    @explained()
    def predict_interval(
        self,
        n: int,
        level: float = 0.9,
        *,
        history: Any = None,
        exogenous: Any = None,
        rescale: bool = False,
        paths: int = 200,
        seed: Integer = 0,
    ) -> tuple[Any, Any]:
        """Ends (low, high) of intervals that contain the share `level` of simulated continuations, and the forecast.

        Where the residuals have a bias, the continuations leave the forecast behind: an interval reaches to it.

        Parameters
        ----------
        n, history, exogenous, rescale
            As for `predict`.
        level : float
            Between 0 and 1.
        paths : int
            Continuations, each with residuals drawn at every step and read by the net as if they had happened.
        seed : int

        Returns
        -------
        low, high
            As `predict`. Each step is judged by itself.

        Raises
        ------
        RuntimeError, ValueError
            As `predict`; `level` out of range.
        """
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1, got {level}")
        drawn, form = self._paths(n, history, exogenous, rescale, paths, generator(seed))
        points, _ = self._paths(n, history, exogenous, rescale, 1, None)
        low, high = (
            [reach(np.quantile(each, share, axis=0), point[0]) for each, point in zip(drawn, points)]
            for share, reach in (((1 - level) / 2, np.minimum), ((1 + level) / 2, np.maximum))
        )
        return self._as_given(low, form), self._as_given(high, form)

    def _as_given(self, forecasts: list[np.ndarray], form: str) -> Any:
        if form == "columns":
            return forecasts[0] if self.joint else np.hstack(forecasts)
        flat = [each if self.joint and self.K > 1 else each[:, 0] for each in forecasts]
        return flat[0] if form == "one" else flat

    def _paths(
        self, n: int, history: Any, exogenous: Any, rescale: bool, rows: int, rng: Any
    ) -> tuple[list[np.ndarray], str]:
        """Continuations (rows, n, K) of each series, and the form of the series."""
        self._need_net()
        check_size("n", n)
        series, form = (self.tails, self.form) if history is None else as_series(history, self.joint)
        if series[0].shape[1] != self.K:
            raise ValueError(f"the history must have {self.K} values at a step, got {series[0].shape[1]}")
        if not rescale and len(series) != len(self.scales):
            raise ValueError(
                f"fitted on {len(self.scales)} series, got {len(series)}: pass rescale=True for other series"
            )
        own = 0 if history is None else 1
        extras = as_extras("exogenous", exogenous, len(series), self.M, [own * len(each) + n for each in series])
        if not own:
            extras = [np.concatenate(pair) for pair in zip(self.extra_tails, extras)]
        scales = [None] * len(series) if rescale else self.scales
        return [self._continue(n, *each, rows, rng) for each in zip(series, extras, scales)], form

    def _continue(self, n: int, y: np.ndarray, extra: np.ndarray, scale: Any, rows: int, rng: Any) -> np.ndarray:
        """Read the end of one series, then as many forecasts as are needed for n steps."""
        if len(y) <= self.preparation.lost:
            raise ValueError(f"the history must have more than {self.preparation.lost} steps, got {len(y)}")
        z = self.preparation.apply(y)
        scale = scale_of(z) if scale is None else scale
        z = ((z - scale[0]) / scale[1])[-self.window :]
        extra = ((extra - self.extra_scale[0]) / self.extra_scale[1])[-(len(z) + n - 1) :]  # of the step after each z
        stream, read, blocks = self.net.layer.stream(rows), 0, []
        chunk = np.repeat(z[:, None], rows, axis=1)
        while True:
            steps = np.repeat(extra[read : read + len(chunk), None], rows, axis=1)
            read += len(chunk)
            x = np.concatenate([chunk, steps], axis=2).astype(self.net.head.dtype)
            features = stream.feed(x[:, 0] if rows == 1 else x)[-1].reshape(rows, -1)
            block = self.net.head(features).y.reshape(rows, self.horizon, self.K).astype("float64")
            if rng is not None:
                block += self.residuals[rng.integers(len(self.residuals), size=rows)]
            blocks.append(block)
            if len(blocks) * self.horizon >= n:
                break
            chunk = block.swapaxes(0, 1)
        forecasts = np.concatenate(blocks, axis=1)[:, :n]
        return self.preparation.undo(y, forecasts * scale[1] + scale[0])

    @property
    def metadata(self) -> dict[str, Any]:
        """Entries of a file besides the layers."""
        self._need_fit()
        options = {name: value for name, value in self.net_options.items() if name != "dtype"}
        return {
            "cell": self.cell if isinstance(self.cell, str) else self.cell.name,
            "options": options
            | {name: getattr(self, name) for name in ("hidden_size", "window", "horizon", "joint")}
            | {name: getattr(self.preparation, name) for name in ("log", "season", "difference")}
            | {"dtype": np.dtype(self.net_options["dtype"]).name}
            | own_options(self.cell),
            "net": self.net.metadata,
            "form": self.form,
            "widths": [self.K, self.M],
            "arrays": {name: np.asarray(getattr(self, name)).tolist() for name in ("residuals", "extra_scale")},
            "lists": {name: [each.tolist() for each in getattr(self, name)] for name in LISTS},
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
        if (model.net.layer.input_size, model.net.head.out_features) != (sum(widths), model.horizon * model.K):
            raise ValueError(f"metadata.widths {widths} and horizon {model.horizon} do not fit {model.net!r}")
        model._set_arrays(says.entries("arrays"), says.entries("lists"))
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

    def __repr__(self) -> str:
        return f"ForecastModel({self.cell!r}, {self.hidden_size}, window={self.window}, horizon={self.horizon})"


FILED = ("cell", "options", "net", "form", "widths", "arrays", "lists")
"""Entries of the metadata."""
FORMS = ("one", "columns", "list")
LISTS = ("tails", "extra_tails", "scales")
"""Attributes with one array for each series."""
