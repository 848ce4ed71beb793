"""`PARAMETRIC`: ONNX operators with parameters, as pylstm layers: LSTM, GRU, RNN, Gemm, MatMul, Conv.

A maker takes the name of the operator, the attributes of the node and its inputs, None where they are not constant, and
returns what runs it, or None where the parameters are not constant and NumPy can do it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pylstm.feedforward.linear import Linear
from pylstm.interop.onnx.arithmetic import Attributes
from pylstm.interop.onnx.operators import cell_of, load_tensors
from pylstm.layers.named import Recurrent
from pylstm.layers.ragged import turned


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
        cell, hidden = cell_of(op, P is not None, len(self._reverse), given), R.shape[-1]
        self._rows_first = bool(a.get("layout", 0))
        self.layers = [Recurrent(cell, W.shape[-1], hidden, bias=B is not None, dtype=W.dtype) for _ in self._reverse]
        for k, layer in enumerate(self.layers):
            load_tensors(layer, *(None if each is None else each[k : k + 1] for each in (W, R, B, P)))

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


class LinearNode:
    """Gemm or MatMul with constant weights: a `Linear`."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None) -> None:
        layer = Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
        layer.params.update({"weight": weight} | ({} if bias is None else {"bias": bias}))
        self.layers = [layer]

    def __call__(self, a: Attributes, x: Any, *given: Any) -> Any:
        """The last axis of `x`, mapped."""
        return self.layers[0](x.T if a.get("transA") else x).y


class ConvNode:
    """Conv over one axis, x (N, C, L): a `Linear` of the windows, for each group of channels."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None, a: Attributes) -> None:
        if weight.ndim != 3 or a.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            raise ValueError(f"Conv over one axis with its pads said is known here, got weights {weight.shape} and {a}")
        self._groups = a.get("group", 1)
        biases = [None] * self._groups if bias is None else np.split(bias, self._groups)
        parts = np.split(weight.reshape(len(weight), -1), self._groups)
        self.layers = [LinearNode(part, b).layers[0] for part, b in zip(parts, biases)]
        self._size, (self._dilation,) = weight.shape[2], a.get("dilations", [1])
        (self._stride,) = a.get("strides", [1])

    def __call__(self, a: Attributes, x: Any, *given: Any) -> Any:
        """(N, M, windows)."""
        x = np.pad(x, [(0, 0), (0, 0), tuple(a.get("pads", (0, 0)))])
        windows = np.lib.stride_tricks.sliding_window_view(x, self._dilation * (self._size - 1) + 1, axis=2)
        windows = windows[:, :, :: self._stride, :: self._dilation].transpose(0, 2, 1, 3)  # (N, L, C, K)
        out = [
            layer(part.reshape(*part.shape[:2], -1)).y
            for layer, part in zip(self.layers, np.split(windows, self._groups, axis=2))
        ]
        return np.concatenate(out, -1).transpose(0, 2, 1)


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
