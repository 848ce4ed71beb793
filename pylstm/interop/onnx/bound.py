"""`bind`: a node for inputs of fixed shapes as a function of what changes from call to call, in the fewest steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper

from pylstm.engine.levels import load
from pylstm.interop.onnx.arithmetic import dropout, pad_widths, slice_index
from pylstm.interop.onnx.nodes import Node

apply = load("pylstm.engine.activations").apply

Function = Callable[..., Any]
Arrays = list[Any]


def SAME(x: Any) -> Any:
    """The result is the input itself."""
    return x


def bind(node: Node, arrays: Arrays, unknown: list[int], fixed: bool) -> Function:
    """The node as a function of its inputs `unknown`; the others are as in `arrays`.

    Parameters
    ----------
    node : Node
    arrays : list of ndarray or None
        All inputs.
    unknown : list of int
    fixed : bool
        Whether shapes are those of `arrays` in every call.
    """
    if fixed and node.layered is not None and unknown[0] == 0:
        bound: Function | None = node.layered.bound(node.attributes, arrays, unknown)
        if bound is not None:
            return bound
    elif fixed and unknown == [0] and node.op in BOUND:
        bound = BOUND[node.op](node.attributes, *arrays)
        if bound is not None:
            return bound
    plain = getattr(node.function, "plain", None)
    function = plain or _with(node.function, node.attributes)
    if len(unknown) == len(arrays):
        return function
    if len(arrays) == 2:
        known = arrays[1 - unknown[0]]
        return (lambda x: function(x, known)) if unknown == [0] else (lambda x: function(known, x))

    def call(*given: Any) -> Any:
        filled = list(arrays)
        for k, each in zip(unknown, given):
            filled[k] = each
        return function(*filled)

    return call


def _with(function: Function, attributes: Any) -> Function:
    return lambda *arrays: function(attributes, *arrays)


def _reshaped(a: Any, x: Any, shape: Any) -> Function:
    sizes = [x.shape[k] if n == 0 and not a.get("allowzero") else int(n) for k, n in enumerate(shape)]
    return lambda x: x.reshape(sizes)


def _squeezed(a: Any, x: Any, axes: Any = None) -> Function:
    axes = a.get("axes") if axes is None else axes
    gone = {int(k) % x.ndim for k in (axes if axes is not None else range(x.ndim)) if x.shape[int(k)] == 1}
    return _indexed(tuple([0 if k in gone else slice(None) for k in range(x.ndim)]))


def _unsqueezed(a: Any, x: Any, axes: Any = None) -> Function:
    axes = a["axes"] if axes is None else axes
    ndim = x.ndim + len(axes)
    new = {int(k) % ndim for k in axes}
    return _indexed(tuple([None if k in new else slice(None) for k in range(ndim)]))


def _sliced(a: Any, x: Any, *given: Any) -> Function:
    return _indexed(slice_index(a, x, *given))


def _gathered(a: Any, x: Any, at: Any) -> Function | None:
    axis = a.get("axis", 0) % x.ndim
    if np.ndim(at) or not -x.shape[axis] <= at < x.shape[axis]:
        return None
    return _indexed((*[slice(None)] * axis, int(at)))


def _indexed(at: Any) -> Function:
    return lambda x: x[at]


def _padded(a: Any, x: Any, *given: Any) -> Function | None:
    """Along the last axis, reflected: elements by number."""
    widths = pad_widths(a, x, *given)
    others = any(widths[k] != (0, 0) for k in range(x.ndim - 1))
    if a.get("mode", "constant") != "reflect" or others or min(widths[-1]) < 0:
        return None
    index = np.pad(np.arange(x.shape[-1]), widths[-1], "reflect")
    return lambda x: x.take(index, -1)


def _power(a: Any, x: Any, exponent: Any) -> Function | None:
    return np.square if exponent.size == 1 and exponent.flat[0] == 2 else None


def _activation(name: str) -> Callable[..., Function | None]:
    """The library's own function, of one pass."""

    def bound(a: Any, x: Any) -> Function | None:
        if x.dtype.kind != "f" or x.dtype.itemsize not in (4, 8):
            return None

        def run(x: Any) -> Any:
            out = x.reshape(-1).copy() if x.flags.c_contiguous else x.flatten()
            apply(name, out, out)
            return out.reshape(x.shape)

        return run

    return bound


def _pieces(a: Any, x: Any, sizes: Any = None) -> Function:
    axis = a.get("axis", 0) % x.ndim
    if sizes is None:
        sizes = a.get("split")
    if sizes is None:
        sizes = [-(-x.shape[axis] // a["outputs"])] * a["outputs"]
    ends = np.cumsum(sizes).tolist()
    at = [(*[slice(None)] * axis, slice(*ends_)) for ends_ in zip([0, *ends], ends)]
    return lambda x: [x[each] for each in at] if len(at) > 1 else x


def _rectified(a: Any, x: Any) -> Function:
    return lambda x: np.maximum(x, 0)  # NaN stays NaN


def _cast(a: Any, x: Any) -> Function:
    dtype = helper.tensor_dtype_to_np_dtype(a["to"])
    return SAME if dtype == x.dtype else lambda x: x.astype(dtype)


def _mean(a: Any, x: Any, axes: Any = None) -> Function | None:
    axes = a.get("axes") if axes is None else axes
    if axes is None or not len(axes) or x.dtype.kind != "f":
        return None
    over, keep = tuple(int(k) for k in axes), bool(a.get("keepdims", 1))
    count = x.dtype.type(np.prod([x.shape[k] for k in over]))
    if count == 1:
        shape = x.mean(over, keepdims=keep).shape
        return lambda x: x.reshape(shape)
    return lambda x: np.add.reduce(x, over, keepdims=keep) / count


BOUND: dict[str, Callable[..., Function | None]] = {
    "Identity": lambda a, x: SAME,
    "Dropout": lambda a, x, *given: dropout(a, SAME, *given) if a["outputs"] == 1 else None,
    "Reshape": _reshaped,
    "Squeeze": _squeezed,
    "Unsqueeze": _unsqueezed,
    "Slice": _sliced,
    "Gather": _gathered,
    "Transpose": lambda a, x: lambda x: x.transpose(a.get("perm")),
    "Pad": _padded,
    "Pow": _power,
    "Relu": _rectified,
    "Sigmoid": _activation("sigmoid"),
    "Tanh": _activation("tanh"),
    "Split": _pieces,
    "Cast": _cast,
    "ReduceMean": _mean,
}
"""Operator -> ``bound(attributes, *arrays)``: a function of the first input, or None if none is quicker."""
