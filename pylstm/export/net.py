"""`net_of`: what a layer, a model or an estimator computes at a step, taken apart for the C file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pylstm.feedforward.linear import Linear
from pylstm.feedforward.mlp import MLP
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.layers.stack import Stack
from pylstm.wording import named

NET = "model.net (of a Forecaster model.model_.net)"
Scale = tuple[np.ndarray, np.ndarray]
"""Mean and deviation."""


@dataclass
class Series:
    """What a forecast does to its series of `width` values a step, and undoes behind the head.

    Attributes
    ----------
    log : bool
        Logarithms come first.
    lags : list of int
        Of the differences, in their order.
    least : ndarray or None
        What no value of a forecast falls below.
    """

    width: int
    log: bool
    lags: list[int]
    least: np.ndarray | None

    @property
    def lost(self) -> int:
        """Steps before the first that has all differences."""
        return sum(self.lags)


@dataclass
class Net:
    """One step, in its order.

    Attributes
    ----------
    title : str
        What the net was in Python.
    dtype : dtype
        Of the arithmetic.
    table : ndarray or None
        (count, features): the input is an index into it.
    x_scale, y_scale : Scale or None
        The input and the output are double, standardised before the first layer and scaled back behind the head.
    layers : list of RecurrentLayer
    residual : list of bool
        Whether a layer's input is added to its output.
    read : str
        As of a `SequenceModel`; ``"every"`` without one.
    maps : list of Linear
        The head, with `activation` between its maps.
    series : Series or None
        Of a forecast whose series is prepared.
    """

    title: str
    dtype: np.dtype
    layers: list[RecurrentLayer]
    residual: list[bool]
    table: np.ndarray | None = None
    x_scale: Scale | None = None
    y_scale: Scale | None = None
    read: str = "every"
    maps: list[Linear] = field(default_factory=list)
    activation: str = ""
    series: Series | None = None
    classes: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        """Numbers of a step that the caller passes, without those of per-step inputs."""
        return 1 if self.table is not None else self.layers[0].input_size

    @property
    def outputs(self) -> int:
        """Numbers that a step returns."""
        return int(self.maps[-1].out_features if self.maps else self.layers[-1].output_size)


def net_of(model: Any, dtype: Any) -> Net:
    """The net of `model`; `TypeError` where there is none that runs step by step."""
    given, model = model, _unwrapped(model)
    inner = _inner(model)
    embedding = head = None
    layer, read = inner, "every"
    if hasattr(inner, "head") and hasattr(inner, "layer"):  # a SequenceModel, which forecasts and texts are, too
        embedding, layer, head, read = inner.embedding, inner.layer, inner.head, inner.read
    if read == "stats":
        raise TypeError(
            "the model cannot be exported: read='stats' needs all steps at once: train one with read='last', 'mean' or "
            "'max', or write it with pylstm.interop.onnx.export"
        )
    layers, residual = _layers(layer, given)
    net = Net(
        f"{type(given).__name__} of {_described(layers)}",
        np.dtype(layer.dtype if dtype is None else dtype),
        layers,
        residual,
        None if embedding is None else embedding.params["weight"],
        read=read,
    )
    if head is not None and any(set(each.cell.contract.aux) - {"x"} for each in layers):
        raise TypeError(
            "the model cannot be exported: its cell takes per-step inputs, which a model does not have: export "
            "model.layer, which takes them behind x"
        )
    if head is not None:
        net.maps = list(head.layers) if isinstance(head, MLP) else [head]
        net.activation = head.activation if isinstance(head, MLP) else ""
    _take_scales(net, model)
    _check_finite(net)
    return net


def _unwrapped(model: Any) -> Any:
    """The model in a `Forecaster`; every other estimator, which has scales of its own, as it is."""
    if hasattr(model, "get_params") and not hasattr(model, "model_"):  # of scikit-learn's kind, which nobody need have
        raise ValueError(f"the {type(model).__name__} is not fitted: call fit first")
    inner = getattr(model, "model_", model)
    return inner if hasattr(inner, "preparation") else model


def _inner(model: Any) -> Any:
    """The net of a model or an estimator that has its own input and output."""
    if hasattr(model, "preparation"):
        _check_forecast(model)
    if hasattr(model, "_need_net"):
        return model._need_net()
    return getattr(model, "model_", model)


def _check_forecast(model: Any) -> None:
    """`TypeError` where a forecast is not that of the net."""
    model._need_net()
    if model.head.spread:
        raise TypeError(
            f"loss={model.head.name!r}: the forecast is the median of paths that are drawn, which the file cannot "
            f"have: export {NET}, which says the distribution of the standardised series"
        )
    columns = [] if model.blend is None else model.blend.columns
    if others := [each for each, column in zip(model.describe(), columns) if column.share * column.net != 1]:
        raise TypeError(
            f"the forecast is {others[0]}, and the file holds a net alone: fit with combine=False (the command: "
            f"pylstm train forecast --net-alone), or export {NET}, whose input is the prepared and standardised series"
        )


def _layers(layer: Any, model: Any) -> tuple[list[RecurrentLayer], list[bool]]:
    if not isinstance(layer, RecurrentLayer | Stack | Bidirectional):
        raise TypeError(
            "model must be a recurrent layer, Stack, SequenceModel, CharModel, ClassifyModel, ForecastModel, "
            f"SequenceClassifier, SequenceRegressor or Forecaster, got {named(model)}"
        )
    layers: list[Any] = list(layer.layers) if isinstance(layer, Stack) else [layer]
    if any(isinstance(each, Bidirectional) for each in layers):
        raise TypeError(
            "a net of two directions reads every sequence from its end, too, and cannot run step by step: train one "
            "with bidirectional=False, or write it with pylstm.interop.onnx.export"
        )
    residual = list(layer.residual) if isinstance(layer, Stack) else [False]
    return layers, residual


def _described(layers: list[RecurrentLayer]) -> str:
    return ", ".join(f"{each.cell.name} {each.input_size} -> {each.output_size}" for each in layers)


def _take_scales(net: Net, model: Any) -> None:
    """The standardisation of a model, in double as `predict` computes it."""
    if hasattr(model, "preparation"):
        _take_series_scale(net, model)
    elif hasattr(model, "x_scaler_"):
        net.x_scale = model.x_mean_, model.x_scale_
        net.classes = [str(each) for each in getattr(model, "classes_", [])]
        if hasattr(model, "y_scaler_"):
            net.y_scale = model.y_mean_, model.y_scale_
    elif hasattr(model, "scale") and hasattr(model, "classes"):
        net.x_scale = model.scale[0], model.scale[1]
        net.classes = [str(each) for each in model.classes]


def _take_series_scale(net: Net, model: Any) -> None:
    """The scale of the one series of the fit, and of what is known beforehand."""
    if len(model.scales) != 1:
        raise TypeError(
            f"a ForecastModel fitted on {len(model.scales)} series has as many scales: fit it on one series, or export "
            "model.net, whose input is standardised"
        )
    scale, extra = model.scales[0], model.extra_scale
    net.x_scale = np.concatenate([scale[0], extra[0]]), np.concatenate([scale[1], extra[1]])
    net.y_scale = np.tile(scale[0], model.horizon), np.tile(scale[1], model.horizon)
    least = None if model.blend is None else np.array([_least(each) for each in model.blend.columns])
    if model.preparation.log or model.preparation.lags or (least is not None and least.max() > -np.inf):
        net.series = Series(model.K, model.preparation.log, model.preparation.lags, least)


def _least(column: Any) -> float:
    """What no forecast of a column falls below: of logarithms, which are clipped to -700, what `exp` makes of that."""
    return float(np.exp(-700)) if column.log else -np.inf if column.above is None else float(column.above)


def _check_finite(net: Net) -> None:
    """C has no literal for NaN and infinity."""
    named = [(f"layer {k}", *item) for k, each in enumerate(net.layers) for item in each.params.items()]
    named += [(f"head {k}", *item) for k, each in enumerate(net.maps) for item in each.params.items()]
    named += [("embedding", "weight", net.table)] if net.table is not None else []
    for where, name, array in named:
        with np.errstate(over="ignore"):
            rounded = array.astype(net.dtype)
        if not np.isfinite(rounded).all():
            raise ValueError(f"{where}: {name} holds values that are not finite in {net.dtype}: train the net anew")
