"""`export`: a layer, a model or an estimator as an ONNX file."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from pylstm.checks import check_dtype, check_flag, check_size
from pylstm.data.views import VIEWS
from pylstm.files import Path, write_bytes
from pylstm.hints import explained
from pylstm.interop.onnx.forecasts import Forecast, forecast_of
from pylstm.interop.onnx.graph import Graph
from pylstm.interop.onnx.layers import Layers
from pylstm.interop.onnx.reading import add_head, add_reading
from pylstm.layers.composite import Composite
from pylstm.layers.recurrent import RecurrentLayer
from pylstm.models.classify_model import ClassifyModel
from pylstm.models.sequence_model import SequenceModel
from pylstm.wording import named

OPSET, IR = 18, 8
"""Versions of the files: what onnxruntime reads since 1.14."""


@explained()
def export(
    model: Any,
    path: Path,
    *,
    dtype: Any = None,
    states: bool = False,
    lengths: bool = False,
    reset: bool = False,
    steps: int | None = None,
) -> None:
    """Write an ONNX file that computes what `model` does, for any number of steps and rows.

    Parameters
    ----------
    model : layer or model
        `Recurrent`, `Stack`, `Bidirectional`, `SequenceModel`, `ClassifyModel`, `SequenceClassifier`,
        `SequenceRegressor`, or a `ForecastModel` or `Forecaster` whose forecast is that of its net. Dropout does not
        act, as in ``predict``.
    path : path
    dtype : {"float32", "float64"}, optional
        Of the numbers in the file, by default that of the model. In float64 no cell is a native operator, since
        onnxruntime has them in float32 only.
    states : bool
        Whether the initial states are inputs and the final states outputs, to go on where a call ended. Otherwise every
        call starts from zeros, or from the learned initial states.
    lengths : bool
        Whether the steps of each row are an input.
    reset : bool
        Whether an input says before which steps a row starts anew; every cell is then a ``Scan``.
    steps : int, optional
        Of a forecast, by default the horizon of the net. For more it reads its own, as ``predict(steps)``.

    Raises
    ------
    TypeError
        Something else; a cell whose forward function is not a formula; a forecast of which smoothing or a naive
        forecast is a part, or of a net that says a distribution.
    ValueError
        An estimator that is not fitted; weights that are not finite in the dtype of the file; `states`, `lengths` or
        `reset` of a forecast, `steps` of something else.
    OSError
        The file cannot be written.

    Notes
    -----
    Inputs: ``x`` as the layer or ``predict`` takes it; of a cell with per-step inputs ``aux.<name>``; ``lengths`` (B,)
    of int32; ``reset`` of bool, in the order of the axes of `x`; ``initial.<state>`` (B, width). Outputs: ``y``, of a
    classifier ``probabilities`` (N, K); ``final.<state>``. In a stack, states and per-step inputs have the prefix of
    the layer's parameters: ``initial.1.reverse.c``. Where the input is standardised it is float64, and so is the
    output, as in ``predict``.

    A forecast takes ``x`` (N, T, K), the steps that came, and returns ``y`` (N, steps, K), both in float64: what
    ``predict(steps, history=...)`` returns. Of a model with inputs that are known beforehand ``exogenous``
    (N, T + steps, M) are these, with those of the steps to come; of one that was fitted on several series ``series``
    (N,) of int64 says which is which.

    The cells in `CELLS`, and those with ``hard_sigmoid``, are the operators LSTM, GRU and RNN. Every other cell is a
    ``Scan`` over the steps whose body is its formula.

    Examples
    --------
    >>> import numpy as np, onnxruntime, pylstm
    >>> layer = pylstm.Recurrent("mgu", 3, 5, seed=0)
    >>> export(layer, "mgu.onnx")
    >>> session = onnxruntime.InferenceSession("mgu.onnx")
    >>> x = np.ones((7, 2, 3), "float32")
    >>> bool(np.abs(session.run(["y"], {"x": x})[0] - layer(x).y).max() < 1e-5)
    True
    """
    asked = {"states": states, "lengths": lengths, "reset": reset}
    steps = None if steps is None else check_size("steps", steps)
    proto = model_proto(model, dtype, {name: check_flag(name, flag) for name, flag in asked.items()}, steps)
    write_bytes(path, proto.SerializeToString(), "pylstm.interop.onnx.export(model, path) writes a file")


def model_proto(model: Any, dtype: Any, asked: dict[str, bool], steps: int | None = None) -> Any:
    """What `export` writes, checked by ONNX; `asked` are its flags."""
    forecast = forecast_of(model, asked)
    if forecast is None and steps is not None:
        raise ValueError(f"steps={steps} is for a forecast, and the file of any other model takes any number of them")
    net = _net_of(model) if forecast is None else forecast.net
    layer = net.layer if isinstance(net, SequenceModel) else net
    if not isinstance(layer, RecurrentLayer | Composite):
        raise TypeError(
            "model must be a recurrent layer, Stack, Bidirectional, SequenceModel, ClassifyModel, ForecastModel, "
            f"SequenceClassifier, SequenceRegressor or Forecaster, got {named(model)}"
        )
    graph = Graph(check_dtype(layer.dtype if dtype is None else dtype))
    _check_finite([layer.params] if net is layer else net.params, layer.dtype if dtype is None else dtype)
    rows_first = ("N", "T") if net is not layer else ("B", "T")
    layers = Layers(graph, rows_first if net is not layer or layer.batch_first else ("T", "B"), asked)
    if forecast is not None:
        Forecast(graph, forecast, layers, forecast.horizon if steps is None else steps).write()
    elif net is layer:
        _layer(graph, layer, layers)
    else:
        _Model(graph, net, model, layers).write()
    layers.finish()
    proto = helper.make_model(
        graph.proto(type(model).__name__),
        producer_name="pylstm",
        producer_version=version("pylstm"),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
    )
    helper.set_model_props(proto, _metadata(model))
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _check_finite(params: Any, dtype: Any) -> None:
    for name, array in ((name, array) for each in params for name, array in each.items()):
        with np.errstate(over="ignore"):
            rounded = array.astype(dtype)
        if not np.isfinite(rounded).all():
            raise ValueError(f"{name} holds values that are not finite in {np.dtype(dtype)}: train the net anew")


def _metadata(model: Any) -> dict[str, str]:
    """Names of the classes, in the order of the probabilities."""
    if isinstance(model, ClassifyModel):
        return {"classes": json.dumps(model.classes)}
    return {"classes": json.dumps(model.classes_.tolist())} if hasattr(model, "classes_") else {}


def _net_of(model: Any) -> Any:
    """The net of a model or an estimator that has its own input and output."""
    if isinstance(model, ClassifyModel):
        return model._need_net()
    if hasattr(model, "get_params") and hasattr(model, "standardise"):  # of scikit-learn's kind, which nobody need have
        if not hasattr(model, "model_"):
            raise ValueError(f"the {type(model).__name__} is not fitted: call fit first")
        if getattr(model, "view_", "") == "normalised":
            raise TypeError(
                "the classifier normalises every sequence, which an ONNX file of it cannot do: export model.model_, "
                "whose input is the prepared and standardised sequence"
            )
        return model.model_
    return model


def _layer(graph: Graph, layer: Any, layers: Layers) -> None:
    """A layer, in its own order of axes."""
    x = layers.turned(graph.input("x", graph.type, (*layers.axes, layer.input_size)))
    layers.take(x)
    y = layers.turned(layers.run(layer, x))
    graph.output("y", y, graph.type, (*layers.axes, layer.output_size))


class _Model:
    """A net with its embedding, read-out and head, and what `model` has around it."""

    def __init__(self, graph: Graph, net: SequenceModel, model: Any, layers: Layers) -> None:
        self.graph, self.net, self.model, self.layers = graph, net, model, layers

    def write(self) -> None:
        """All nodes."""
        layers, net = self.layers, self.net
        indices = net.embedding is not None
        x = layers.turned(self._indices() if indices else self._features(), 2 if indices else 3)
        layers.take(x)
        y = add_head(
            self.graph, net.head, add_reading(self.graph, layers, net, layers.run(net.layer, self._embedded(x)))
        )
        self._answer(layers.turned(layers.within(y)) if net.read == "every" else y)

    def _indices(self) -> str:
        return self.graph.input("x", TensorProto.INT64, self.layers.axes)

    def _embedded(self, x: str) -> str:
        graph, embedding, layers = self.graph, self.net.embedding, self.layers
        if embedding is None:
            return x
        if layers.inside:  # beyond the end of a row anything may stand
            inside = graph.add("Squeeze", layers.inside, graph.integers(2))
            x = graph.add("Where", inside, x, graph.constant(0, dtype="int64"))
        return graph.add("Gather", graph.constant(embedding.params["weight"], "embedding.weight"), x)

    def _features(self) -> str:
        """The input; standardised in float64 and then rounded, as `predict` does."""
        graph, model, width = self.graph, self.model, self.net.layer.input_size
        if model is self.net:
            return graph.input("x", graph.type, (*self.layers.axes, width))
        view = getattr(model, "view_", getattr(model, "view", "steps"))
        width //= VIEWS[view]
        rows = getattr(model, "input_form_", "steps") == "rows"
        x = graph.input("x", TensorProto.DOUBLE, ("N", "F") if rows else (*self.layers.axes, width))
        if rows:
            x = graph.add("Reshape", x, graph.integers(0, -1, width))
        if view == "differences":
            x = graph.add("Concat", x, self._differences(x, 1 if rows else self.layers.axes.index("T")), axis=-1)
        scale = model.scale if isinstance(model, ClassifyModel) else (model.x_mean_, model.x_scale_)
        mean, deviation = (graph.constant(each, f"x_{name}", "float64") for each, name in zip(scale, ("mean", "scale")))
        return graph.add("Cast", graph.add("Div", graph.add("Sub", x, mean), deviation), to=graph.type)

    def _differences(self, x: str, time: int) -> str:
        """x minus the step before, 0 at the first."""
        zero, one, last, axis = (self.graph.integers(each) for each in (0, 1, -1, time))
        first, before = (self.graph.add("Slice", x, zero, end, axis) for end in (one, last))
        return self.graph.add("Sub", x, self.graph.add("Concat", first, before, axis=time))

    def _answer(self, y: str) -> None:
        """The output, as `predict` or `probabilities` return it."""
        graph, model, net, width = self.graph, self.model, self.net, self.net.head.out_features
        if model is net:
            graph.output("y", y, graph.type, (*self.layers.axes, width) if net.read == "every" else ("N", width))
            return
        y = graph.add("Cast", y, to=TensorProto.DOUBLE)
        if not hasattr(model, "y_scale_"):
            graph.output("probabilities", graph.add("Softmax", y, axis=-1), TensorProto.DOUBLE, ("N", width))
            return
        mean, scale = (graph.constant(getattr(model, f"y_{n}_"), f"y_{n}", "float64") for n in ("mean", "scale"))
        y = graph.add("Add", graph.add("Mul", y, scale), mean)
        y = y if model._by_column else graph.add("Squeeze", y, graph.integers(1))
        graph.output("y", y, TensorProto.DOUBLE, ("N", width) if model._by_column else ("N",))
