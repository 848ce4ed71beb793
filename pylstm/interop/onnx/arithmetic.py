"""`OPERATORS`: ONNX operators without parameters, in NumPy: elementwise, reductions, and what moves elements."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper

from pylstm.cells.functions import relu, sigmoid, softplus
from pylstm.interop.onnx.pooling import POOLING

Attributes = dict[str, Any]
"""Those of the node; ``opset`` beside them is the version of the operators in the file."""


def _elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(a: Attributes, *arrays: Any) -> Any:
        return function(*arrays)

    run.plain = function  # type: ignore[attr-defined]
    return run


def _many(function: Callable[..., Any]) -> Callable[..., Any]:
    def fold(a: Attributes, *arrays: Any) -> Any:
        out = arrays[0]
        for each in arrays[1:]:
            out = function(out, each)
        return out

    return fold


def _axes(a: Attributes, given: tuple[Any, ...]) -> tuple[int, ...] | None:
    """Axes from the second input, or from the attribute of earlier versions."""
    axes = given[0] if given and given[0] is not None else a.get("axes")
    return None if axes is None or not len(axes) else tuple(int(each) for each in axes)


def _reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(a: Attributes, x: Any, *given: Any) -> Any:
        axes = _axes(a, given)
        if axes is None and a.get("noop_with_empty_axes"):
            return x
        return np.asarray(function(x, axis=axes, keepdims=bool(a.get("keepdims", 1))), x.dtype)

    return reduce


def _divide(a: Attributes, x: Any, y: Any) -> Any:
    if x.dtype.kind in "iu":
        return np.trunc(x / y).astype(x.dtype)
    return x / y


def _reshape(a: Attributes, x: Any, shape: Any) -> Any:
    sizes = [int(each) for each in shape]
    if not a.get("allowzero"):
        sizes = [x.shape[k] if each == 0 else each for k, each in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(a: Attributes, x: Any) -> Any:
    axis = a.get("axis", 1)
    axis += x.ndim if axis < 0 else 0  # not modulo x.ndim + 1: -1 is the last axis, x.ndim is after it
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


def _squeeze(a: Attributes, x: Any, *given: Any) -> Any:
    return np.squeeze(x, _axes(a, given))


def _unsqueeze(a: Attributes, x: Any, *given: Any) -> Any:
    return np.expand_dims(x, _axes(a, given) or ())


def _split(a: Attributes, x: Any, *given: Any) -> Any:
    axis, count = a.get("axis", 0), a["outputs"]
    sizes = given[0] if given and given[0] is not None else a.get("split")
    if sizes is None:
        size = -(-x.shape[axis] // count)
        return tuple(np.split(x, range(size, size * count, size), axis))
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis))


def slice_index(a: Attributes, x: Any, *given: Any) -> tuple[slice, ...]:
    """What ``Slice`` takes of `x`."""
    if not given:
        given = a["starts"], a["ends"], a.get("axes")
    starts, ends, axes, steps = (*given, None, None)[:4]
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    at: list[Any] = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        low = None if step < 0 and end < -x.shape[axis] else int(end)
        at[int(axis)] = slice(int(start), low, int(step))
    return tuple(at)


def pad_widths(a: Attributes, x: Any, *given: Any) -> list[tuple[int, int]]:
    """Elements before and after, of each axis of `x`."""
    pads, _, axes = (*given, None, None, None)[:3]
    pads = a["pads"] if pads is None else pads
    axes = range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in axes]
    widths = [(0, 0)] * x.ndim
    for k, axis in enumerate(axes):
        widths[axis] = int(pads[k]), int(pads[k + len(axes)])
    return widths


def _pad(a: Attributes, x: Any, *given: Any) -> Any:
    value = a.get("value", 0) if len(given) < 2 or given[1] is None else given[1]
    mode: Any = a.get("mode", "constant")
    options = {"constant_values": value} if mode == "constant" else {}
    widths = pad_widths(a, x, *given)
    x = x[tuple(slice(max(-first, 0), n + min(last, 0)) for n, (first, last) in zip(x.shape, widths))]  # crops
    padded: np.ndarray = np.pad(x, [(max(first, 0), max(last, 0)) for first, last in widths], mode, **options)
    return padded


def _gather(a: Attributes, x: Any, at: Any) -> Any:
    axis = a.get("axis", 0)
    try:
        return np.take(x, at, axis)
    except IndexError:
        raise ValueError(
            f"Gather: indices must be in {-x.shape[axis]}..{x.shape[axis] - 1} along axis {axis}"
        ) from None


def dropout(a: Attributes, x: Any, ratio: Any = None, training: Any = None) -> Any:
    """`x`: of a net that is not being trained, or with a ratio of 0; and the mask of what is kept, which is all."""
    if training is not None and np.any(training) and (ratio is None or np.any(ratio)):
        raise ValueError("Dropout: training_mode must be false, as nets are evaluated here: export in evaluation mode")
    return x if a["outputs"] == 1 else (x, np.ones(x.shape, bool if a["opset"] >= 10 else x.dtype))


def _cast(a: Attributes, x: Any) -> Any:
    return x.astype(helper.tensor_dtype_to_np_dtype(a["to"]))


def _softmax(a: Attributes, x: Any) -> Any:
    axis = _softmax_axis(a, x)
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _log_softmax(a: Attributes, x: Any) -> Any:
    axis = _softmax_axis(a, x)
    z = x - x.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def _softmax_axis(a: Attributes, x: Any) -> int | tuple[int, ...]:
    if a["opset"] >= 13:
        return int(a.get("axis", -1))
    return tuple(range(a.get("axis", 1) % x.ndim, x.ndim))  # all from this axis on, as one


def _clip(a: Attributes, x: Any, *given: Any) -> Any:
    low, high = (*given, None, None)[:2]
    low, high = a.get("min") if low is None else low, a.get("max") if high is None else high
    x = x if low is None else np.maximum(x, x.dtype.type(low))
    return x if high is None else np.minimum(x, x.dtype.type(high))


def _hard_sigmoid(a: Attributes, x: Any) -> Any:
    alpha, beta = (x.dtype.type(a.get(name, usual)) for name, usual in (("alpha", 0.2), ("beta", 0.5)))
    return np.clip(alpha * x + beta, 0, 1)


def _leaky_relu(a: Attributes, x: Any) -> Any:
    return np.where(x < 0, x * x.dtype.type(a.get("alpha", 0.01)), x)


def _elu(a: Attributes, x: Any) -> Any:
    return np.where(x < 0, x.dtype.type(a.get("alpha", 1.0)) * np.expm1(np.minimum(x, 0)), x)


def _arg_max(a: Attributes, x: Any) -> Any:
    axis, keep = a.get("axis", 0), bool(a.get("keepdims", 1))
    if a.get("select_last_index"):
        return x.shape[axis] - 1 - np.flip(x, axis).argmax(axis=axis, keepdims=keep)
    return x.argmax(axis=axis, keepdims=keep)


def _constant_of_shape(a: Attributes, shape: Any) -> Any:
    value = a.get("value", np.zeros(1, "float32"))
    return np.full([int(each) for each in shape], value[0], value.dtype)


def _by_alpha(function: Callable[[Any, Any], Any], alpha: float) -> Callable[..., Any]:
    """``function(x, alpha)``, with the default of `alpha`."""
    return lambda a, x: function(x, x.dtype.type(a.get("alpha", alpha)))


def _selu(a: Attributes, x: Any) -> Any:
    alpha, gamma = (x.dtype.type(a.get(n, usual)) for n, usual in (("alpha", 1.67326319), ("gamma", 1.05070102)))
    return gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


_each_erf = np.frompyfunc(math.erf, 1, 1)


def _erf(x: Any) -> Any:
    return _each_erf(x).astype(x.dtype)


def _gelu(a: Attributes, x: Any) -> Any:
    kind = x.dtype.type
    if a.get("approximate") == "tanh":
        return kind(0.5) * x * (1 + np.tanh(kind(math.sqrt(2 / math.pi)) * (x + kind(0.044715) * x**3)))
    return kind(0.5) * x * (1 + _erf(x * kind(math.sqrt(0.5))))


def _batch_normalisation(a: Attributes, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
    """BatchNormalization by the channels, axis 1: of a net that is not being trained."""
    if a["outputs"] > 1 or a.get("training_mode"):
        raise ValueError("BatchNormalization must have training_mode=0 and one output: export in evaluation mode")
    factor = scale / np.sqrt(variance + scale.dtype.type(a.get("epsilon", 1e-5)))
    shape = (-1, *[1] * (x.ndim - 2))
    return x * factor.reshape(shape) + (bias - mean * factor).reshape(shape)


def _layer_normalisation(a: Attributes, x: Any, scale: Any, bias: Any = None) -> Any:
    """LayerNormalization over the last axes, from `axis` on."""
    if a["outputs"] > 1:
        raise ValueError("LayerNormalization: its outputs Mean and InvStdDev are not known here")
    axes = tuple(range(a.get("axis", -1) % x.ndim, x.ndim))
    centred = x - x.mean(axes, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axes, keepdims=True) + x.dtype.type(a.get("epsilon", 1e-5)))
    out = centred / deviation * scale
    return out if bias is None else out + bias


_NAMED = ("Exp", "Log", "Sqrt", "Sin", "Cos", "Tan", "Sinh", "Cosh", "Tanh", "Floor", "Ceil", "Sign")
OPERATORS: dict[str, Callable[..., Any]] = {
    **POOLING,
    **{name: _elementwise(getattr(np, name.lower())) for name in _NAMED},
    "Round": _elementwise(np.rint),
    "Softsign": _elementwise(lambda x: x / (1 + np.abs(x))),
    "Mish": _elementwise(lambda x: x * np.tanh(softplus(x))),
    "HardSwish": _elementwise(lambda x: x * np.clip(x / 6 + x.dtype.type(0.5), 0, 1)),
    "PRelu": _elementwise(lambda x, slope: np.where(x < 0, x * slope, x)),
    "ThresholdedRelu": _by_alpha(lambda x, alpha: np.where(x > alpha, x, x.dtype.type(0)), 1.0),
    "Celu": _by_alpha(lambda x, alpha: np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha), 1.0),
    "Selu": _selu,
    "Erf": _elementwise(_erf),
    "Gelu": _gelu,
    "BatchNormalization": _batch_normalisation,
    "LayerNormalization": _layer_normalisation,
    "Neg": _elementwise(np.negative),
    "Abs": _elementwise(np.absolute),
    "Reciprocal": _elementwise(lambda x: 1 / x),
    "Sigmoid": _elementwise(sigmoid),
    "Relu": _elementwise(relu),
    "Softplus": _elementwise(softplus),
    "LeakyRelu": _leaky_relu,
    "Elu": _elu,
    "HardSigmoid": _hard_sigmoid,
    "Clip": _clip,
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _divide,
    "Pow": _elementwise(lambda x, y: np.power(x, y).astype(x.dtype)),
    "Max": _many(np.maximum),
    "Min": _many(np.minimum),
    "Sum": _many(np.add),
    "Where": _elementwise(np.where),
    "Equal": _elementwise(np.equal),
    "Less": _elementwise(np.less),
    "LessOrEqual": _elementwise(np.less_equal),
    "Greater": _elementwise(np.greater),
    "GreaterOrEqual": _elementwise(np.greater_equal),
    "And": _elementwise(np.logical_and),
    "Or": _elementwise(np.logical_or),
    "Not": _elementwise(np.logical_not),
    "ReduceSum": _reduction(np.sum),
    "ReduceMean": _reduction(np.mean),
    "ReduceMax": _reduction(np.max),
    "ReduceMin": _reduction(np.min),
    "ArgMax": _arg_max,
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "MatMul": _elementwise(np.matmul),
    "Identity": _elementwise(lambda x: x),
    "Dropout": dropout,
    "Cast": _cast,
    "Concat": lambda a, *arrays: np.concatenate(arrays, a["axis"]),
    "Split": _split,
    "Slice": lambda a, x, *given: x[slice_index(a, x, *given)],
    "Pad": _pad,
    "Gather": _gather,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": lambda a, x: np.transpose(x, a.get("perm")),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": lambda a, x, shape: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(map(int, shape)))),
    "Shape": lambda a, x: np.array(x.shape[slice(a.get("start", 0), a.get("end"))], np.int64),
    "Size": lambda a, x: np.asarray(x.size, np.int64),
    "Range": _elementwise(np.arange),
    "ConstantOfShape": _constant_of_shape,
}
"""Name -> ``function(attributes, *inputs)``, which returns an array, or a tuple of them; absent inputs are None."""
