"""Keras weights against equations written out, ONNX tensors against onnxruntime, and round trips of both."""

import numpy as np
import pytest

from pylstm.interop import keras, onnx
from pylstm.interop.gate_orders import GATE_ORDERS
from pylstm.layers.recurrent import Recurrent

T, B, I, H = 5, 3, 4, 6
CELLS = list(GATE_ORDERS["keras"])


def draw(seed, *shape, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def keras_outputs(cell, x, kernel, recurrent, bias):
    """What keras.layers do, after their documentation, from zero states."""
    h, c, out = np.zeros((B, H)), np.zeros((B, H)), []
    for x_t in x:
        if cell == "lstm":
            i, f, g, o = np.split(x_t @ kernel + h @ recurrent + bias, 4, 1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif cell.startswith("gru"):
            after = cell == "gru"
            xz, xr, xn = np.split(x_t @ kernel + (bias[0] if after else bias), 3, 1)
            hz, hr, hn = np.split(h @ recurrent + (bias[1] if after else 0), 3, 1)
            z, r = sigmoid(xz + hz), sigmoid(xr + hr)
            n = np.tanh(xn + (r * hn if after else (r * h) @ recurrent[:, 2 * H :]))
            h = z * h + (1 - z) * n
        else:
            a = x_t @ kernel + h @ recurrent + bias
            h = np.tanh(a) if cell == "rnn_tanh" else np.maximum(a, 0)
        out.append(h)
    return np.array(out)


def keras_like(cell, seed):
    columns = len(GATE_ORDERS["keras"][cell]) * H
    bias = (2, columns) if cell == "gru" else (columns,)
    return [draw(seed, I, columns), draw(seed + 1, H, columns), draw(seed + 2, *bias)]


@pytest.mark.parametrize("cell", CELLS)
def test_keras_layers(cell):
    layer, x, weights = Recurrent(cell, I, H, dtype="float64"), draw(9, T, B, I), keras_like(cell, 1)
    keras.load_weights(layer, weights)
    np.testing.assert_allclose(layer(x).y, keras_outputs(cell, x, *weights), rtol=0, atol=1e-12)
    back = keras.get_weights(layer)
    assert [array.shape for array in back] == [array.shape for array in weights]
    np.testing.assert_allclose(keras_outputs(cell, x, *back), layer(x).y, rtol=0, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_keras_round_trips_of_stacks(cell, bias):
    one, two = (
        Recurrent(cell, I, H, num_layers=2, bidirectional=True, bias=bias, dtype="float64", seed=k) for k in range(2)
    )
    keras.load_weights(two, keras.get_weights(one))
    np.testing.assert_array_equal(one.params.flat, two.params.flat)


def onnx_outputs(layer, found, x, cell):
    """Y and the final states of the operator, by onnxruntime."""
    library, runtime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper, float32 = library.helper, library.TensorProto.FLOAT
    count = len(found["W"])
    kind = {"lstm": "LSTM", "gru": "GRU", "gru_reset_before": "GRU"}.get(cell, "RNN")
    attributes = {"hidden_size": H, "direction": "bidirectional" if count == 2 else "forward"}
    if kind == "GRU":
        attributes["linear_before_reset"] = int(cell == "gru")
    if kind == "RNN":
        attributes["activations"] = [{"rnn_tanh": "Tanh", "rnn_relu": "Relu"}[cell]] * count
    outputs = ["Y", "Y_h", "Y_c"][: 3 if kind == "LSTM" else 2]
    graph = helper.make_graph(
        [helper.make_node(kind, ["X", *found], outputs, **attributes)],
        "layer",
        [helper.make_tensor_value_info("X", float32, [T, B, I])],
        [helper.make_tensor_value_info(name, float32, None) for name in outputs],
        [library.numpy_helper.from_array(array, name) for name, array in found.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"X": x})


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_onnx_operators(cell, bias, both):
    layer, x = Recurrent(cell, I, H, bias=bias, bidirectional=both, seed=1), draw(2, T, B, I, dtype="float32")
    y, *final = onnx_outputs(layer, onnx.tensors(layer), x, cell)
    run = layer(x)
    np.testing.assert_allclose(run.y, y.swapaxes(1, 2).reshape(T, B, -1), rtol=0, atol=2e-6)
    for name, array in zip(layer.recurrents[0].cell.contract.states if both else layer.cell.contract.states, final):
        np.testing.assert_allclose(run.final[name] if both else run.final[name][None], array, rtol=0, atol=2e-6)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_onnx_round_trips(cell, bias):
    one, two = (Recurrent(cell, I, H, bidirectional=True, bias=bias, dtype="float64", seed=k) for k in range(2))
    onnx.load_tensors(two, **onnx.tensors(one))
    np.testing.assert_array_equal(one.params.flat, two.params.flat)
    two.params.flat[...] = 0
    found = onnx.tensors(one)
    for leaf, *arrays in zip(two.recurrents, *found.values()):
        single = Recurrent(cell, I, H, bias=bias, dtype="float64")
        onnx.load_tensors(single, *(array[None] for array in arrays))
        leaf.params.update(dict(single.params))
    np.testing.assert_array_equal(one.params.flat, two.params.flat)


def lstm(**options):
    return Recurrent("lstm", I, H, dtype="float64", **options)


FOUND = onnx.tensors(lstm(seed=0))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: keras.load_weights(lstm(), keras_like("lstm", 1)[:2]),
            ValueError,
            r"3 arrays, 3 .*\(bias=True\), got 2",
        ),
        (
            lambda: keras.load_weights(lstm(), keras_like("rnn_tanh", 1)),
            ValueError,
            r"must have shape \(24,\), got \(6,\)",
        ),
        (lambda: keras.get_weights(Recurrent("peephole", I, H)), TypeError, "keras has no layer with the cell"),
        (lambda: onnx.load_tensors(lstm(), FOUND["W"], FOUND["R"]), ValueError, "bias=True, but B is not given"),
        (lambda: onnx.load_tensors(lstm(bias=False), **FOUND), ValueError, "bias=False, but B is given"),
        (lambda: onnx.load_tensors(lstm(bidirectional=True), **FOUND), ValueError, r"W must have shape \(2, 24, 4\)"),
        (lambda: onnx.tensors(lstm(num_layers=2)), ValueError, "one layer, got 2"),
    ],
)
def test_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()
