"""`PARAMETRIC`: ONNX operators with parameters, as pylstm layers: LSTM, GRU, RNN, Gemm, MatMul, Conv.

A maker takes the name of the operator, the attributes of the node and its inputs, None where they are not constant, and
returns what runs it, or None where the parameters are not constant and NumPy can do it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pylstm.engine.stream import Snapshot
from pylstm.engine.threads import allowed_threads
from pylstm.feedforward.linear import Linear
from pylstm.interop.convolution import Conv1d, Windows
from pylstm.interop.onnx.activated import cells_of, load_activated
from pylstm.interop.onnx.arithmetic import Attributes
from pylstm.interop.onnx.operators import load_tensors
from pylstm.layers.named import Recurrent
from pylstm.layers.runs.ragged import turned


class RecurrentNode:
    """LSTM, GRU or RNN: one layer for each direction."""

    def __init__(self, op: str, a: Attributes, inputs: list[Any]) -> None:
        W, R, B, *_ = (*inputs[1:], None, None)
        P = inputs[7] if len(inputs) > 7 else None
        if W is None or R is None:
            raise ValueError(f"{op}: the weights W and R must be constants of the file")
        if P is not None and not P.any():
            P = None
        direction = a.get("direction", "forward")
        self._reverse = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[direction]
        given = {name: value for name, value in a.items() if name not in ("opset", "outputs", "output_sequence")}
        cells, hidden = cells_of(op, P is not None, len(self._reverse), given), R.shape[-1]
        if a.get("hidden_size", hidden) != hidden:
            raise ValueError(f"{op}: hidden_size is {a['hidden_size']}, but R has {hidden} columns")
        self._rows_first = bool(a.get("layout", 0))
        shared = {"bias": B is not None, "dtype": W.dtype}
        self.layers = [Recurrent(cell, W.shape[-1], hidden, **shared, **options) for cell, options in cells]
        for k, layer in enumerate(self.layers):
            load = load_activated if hasattr(layer.cell, "like") else load_tensors
            load(layer, *(None if each is None else each[k : k + 1] for each in (W, R, B, P)))

    def __call__(self, a: Attributes, x: Any, W: Any, R: Any, *given: Any) -> tuple[Any, ...]:
        """Y (T, D, B, H), Y_h (D, B, H), and of an LSTM Y_c; of layout 1 rows first."""
        _, lengths, *initial = (*given, None, None, None, None)[:4]
        x = x.swapaxes(0, 1) if self._rows_first else x
        if self._rows_first:
            initial = [None if each is None else each.swapaxes(0, 1) for each in initial]
        own = np.full(x.shape[1], len(x)) if lengths is None else lengths.astype(np.intp)
        outputs, finals = [], []
        for k, (layer, reverse) in enumerate(zip(self.layers, self._reverse)):
            states = {n: each[k] for n, each in zip(layer.cell.contract.states, initial) if each is not None}
            run = layer(turned(x, own, 0) if reverse else x, states, tape=False, lengths=lengths)
            outputs.append(turned(run.y, own, 0) if reverse else run.y)
            finals.append(list(run.final.values()))
        y = np.stack(outputs, 1)
        states_out = [np.stack(each) for each in zip(*finals)]
        if self._rows_first:
            return (y.transpose(2, 0, 1, 3), *(each.swapaxes(0, 1) for each in states_out))
        return (y, *states_out)

    def bound(self, a: Attributes, arrays: list[Any], unknown: list[int]) -> Any:
        """One step forward is that of a stream, which keeps its weights packed; more steps are a call of the layer."""
        x, (_, lengths, *initial) = arrays[0], (*arrays[3:7], *[None] * 4)[:4]
        one_step = len(self.layers) == 1 and not self._rows_first and len(x) == 1 and x.size and lengths is None
        count = len(self.layers[0].cell.contract.states)
        at = [5 + k for k, each in enumerate(initial[:count]) if each is not None]
        if not one_step or unknown != [0, *at]:
            return None
        stream, shape = self.layers[0].stream(x.shape[1]), x.shape[1:]
        first, y = stream.snapshot(), np.empty((1, 1, x.shape[1], self.layers[0].output_size), x.dtype)
        zeros = [each.tobytes() for each in stream.state.values()]
        ends = np.cumsum([each.size for each in stream.state.values()]).tolist()
        pieces = list(zip([0, *ends], ends))

        def run(x: Any, *given: Any) -> Any:
            states = list(zeros)
            for k, each in zip(at, given):
                states[k - 5] = each.tobytes()
            stream.restore(Snapshot(first.kind, b"".join(states)))
            stream.step(x.reshape(shape), y[0, 0])
            flat = np.frombuffer(stream.snapshot().states, y.dtype)
            return (y, *[flat[start:end].reshape(1, shape[0], -1) for start, end in pieces])

        return run


class LinearNode:
    """Gemm or MatMul with constant weights: a `Linear`."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None) -> None:
        self.layers = [_linear(weight, bias)]

    def __call__(self, a: Attributes, x: Any, *given: Any) -> Any:
        """The last axis of `x`, mapped."""
        return self.layers[0](x.T if a.get("transA") else x).y

    def bound(self, a: Attributes, arrays: list[Any], unknown: list[int]) -> Any:
        """The map of `x` of this shape, with the weights of now."""
        x = arrays[0].T if a.get("transA") else arrays[0]
        if x.size == 0 or unknown != [0]:
            return None
        layer, turn, rows = self.layers[0], bool(a.get("transA")), (1, -1, x.shape[-1])
        packed, y = layer.packed(x.size // x.shape[-1]), np.empty((*x.shape[:-1], layer.out_features), layer.dtype)
        flat = y.reshape(1, -1, layer.out_features)

        def run(x: Any) -> Any:
            packed.windows(np.ascontiguousarray(x.T if turn else x).reshape(rows), flat, threads=allowed_threads())
            return y

        return run


class ConvNode:
    """Conv over one axis, x (N, C, L): a `Conv1d`."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None, a: Attributes) -> None:
        if weight.ndim != 3 or a.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            raise ValueError(
                f"Conv must be over one axis, with pads or auto_pad='VALID', got weights {weight.shape} and {a}"
            )
        (dilation,), (stride,) = a.get("dilations", [1]), a.get("strides", [1])
        kernel, groups = weight.transpose(2, 1, 0), a.get("group", 1)
        self._conv = Conv1d(kernel, bias, stride=stride, dilation=dilation, groups=groups)
        self.layers = self._conv.layers

    def __call__(self, a: Attributes, x: Any, *given: Any) -> Any:
        """(N, M, windows)."""
        return self.bound(a, [x, *given], [0])(x)

    def bound(self, a: Attributes, arrays: list[Any], unknown: list[int]) -> Any:
        """The map of `x` of this shape, with the weights of now."""
        (N, _, L), (before, after), conv = arrays[0].shape, a.get("pads", (0, 0)), self._conv
        if (whole := L + before + after) <= conv.reach:
            raise ValueError(
                f"Conv: a window of {conv.reach + 1} steps is longer than the input, {L} steps and {before + after} of "
                "padding"
            )
        windows = Windows(conv, conv.packed(max(N, conv.count(whole))), N, whole)
        inside = windows.steps[:, before : before + L]

        def run(x: Any) -> Any:
            inside[...] = x.transpose(0, 2, 1)
            return windows().transpose(0, 2, 1)

        return run


def _linear(weight: np.ndarray, bias: np.ndarray | None) -> Linear:
    layer = Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    layer.params.update({"weight": weight} | ({} if bias is None else {"bias": bias}))
    return layer


def _gemm(op: str, a: Attributes, inputs: list[Any]) -> Any:
    _, weight, bias = (*inputs, None)[:3]
    if weight is None or (len(inputs) > 2 and bias is None):
        raise ValueError("Gemm: the matrix and the bias must be constants of the file")
    weight = (weight if a.get("transB") else weight.T) * weight.dtype.type(a.get("alpha", 1))
    if bias is not None:
        bias = np.broadcast_to(bias * bias.dtype.type(a.get("beta", 1)), (*bias.shape[:-1], len(weight)))
        if bias.size != len(weight):
            raise ValueError(f"Gemm: the bias must be one row of {len(weight)} numbers, got {bias.shape}")
        bias = bias.reshape(-1)
    return LinearNode(weight, bias)


def _matmul(op: str, a: Attributes, inputs: list[Any]) -> Any:
    weight = inputs[1]
    is_map = weight is not None and inputs[0] is None and weight.ndim == 2 and weight.dtype.kind == "f"
    return LinearNode(weight.T, None) if is_map else None


def _conv(op: str, a: Attributes, inputs: list[Any]) -> Any:
    _, weight, bias = (*inputs, None)[:3]
    if weight is None or (len(inputs) > 2 and bias is None):
        raise ValueError("Conv: the weights must be constants of the file")
    return ConvNode(weight, bias, a)


PARAMETRIC: dict[str, Callable[[str, Attributes, list[Any]], Any]] = {
    "LSTM": RecurrentNode,
    "GRU": RecurrentNode,
    "RNN": RecurrentNode,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Conv": _conv,
}
