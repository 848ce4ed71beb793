"""Keras weights against equations written out, ONNX tensors against onnxruntime, and round trips of both."""

import numpy as np
import pytest

from pylstm.cells import hard_sigmoid
from pylstm.interop import keras, onnx, torch
from pylstm.interop.gate_orders import GATE_ORDERS
from pylstm.layers.named import Recurrent

T, B, I, H = 5, 3, 4, 6
CELLS = [cell for cell in GATE_ORDERS["keras"] if cell not in hard_sigmoid.CELLS]  # those in test_keras_layers


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
    kind, attributes = onnx.CELLS[cell][0], onnx.attributes(layer)
    assert attributes["hidden_size"] == H and (attributes["direction"] == "bidirectional") == (count == 2)
    if "Affine" in attributes["activations"]:
        attributes |= {"activation_alpha": [1.0] * count, "activation_beta": [0.0] * count}
    inputs = ["X", *(name if name in found else "" for name in ("W", "R", "B"))]
    inputs += ["", "", "", "P"] if "P" in found else []
    outputs = ["Y", "Y_h", "Y_c"][: 3 if kind == "LSTM" else 2]
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, outputs, **attributes)],
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
@pytest.mark.parametrize("cell", onnx.CELLS)
def test_onnx_operators(cell, bias, both):
    layer, x = Recurrent(cell, I, H, bias=bias, bidirectional=both, seed=1), draw(2, T, B, I, dtype="float32")
    y, *final = onnx_outputs(layer, onnx.tensors(layer), x, cell)
    run = layer(x)
    np.testing.assert_allclose(run.y, y.swapaxes(1, 2).reshape(T, B, -1), rtol=0, atol=2e-6)
    for name, array in zip(layer.recurrents[0].cell.contract.states if both else layer.cell.contract.states, final):
        np.testing.assert_allclose(run.final[name] if both else run.final[name][None], array, rtol=0, atol=2e-6)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", onnx.CELLS)
def test_onnx_round_trips(cell, bias):
    one, two = (Recurrent(cell, I, H, bidirectional=True, bias=bias, dtype="float64", seed=k) for k in range(2))
    onnx.load_tensors(two, **onnx.tensors(one), **onnx.attributes(one))
    np.testing.assert_array_equal(one.params.flat, two.params.flat)
    two.params.flat[...] = 0
    found = onnx.tensors(one)
    for leaf, *arrays in zip(two.recurrents, *found.values()):
        single = Recurrent(cell, I, H, bias=bias, dtype="float64")
        onnx.load_tensors(single, **{name: array[None] for name, array in zip(found, arrays)})
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
            r"weights are of a plain RNN \(1 block of 6 rows\), but the layer is an LSTM",
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


AFFINE, NAMES = ["Sigmoid", "Tanh", "Affine"], ["sigmoid", "tanh", "TANH"]


@pytest.mark.parametrize(
    ("cell", "attributes", "peepholes", "message"),
    [
        ("lstm", {}, True, "has P, but the layer has the cell 'lstm': make the layer with the cell 'peephole'"),
        ("peephole", {}, False, "has no P, but the layer has the cell 'peephole': make the layer with the cell 'lstm'"),
        ("lstm", {"input_forget": 1}, False, "make the layer with the cell 'cifg'"),
        ("lstm", {"input_forget": 1}, True, "make the layer with the cell 'cifg_peephole'"),
        ("cifg", {"input_forget": 0}, False, "make the layer with the cell 'lstm'"),
        ("lstm", {"activations": AFFINE}, False, "make the layer with the cell 'lstm_linear_output'"),
        ("peephole", {"activations": AFFINE}, True, "make the layer with the cell 'lstm_noaf'"),
        ("lstm", {"activations": [b"Sigmoid", b"Affine", b"Tanh"]}, True, "the cell 'lstm_niaf'"),
        ("lstm", {"activations": ["HardSigmoid", "Tanh", "Tanh"]}, False, r"the cell pylstm\.interop\.keras\.LSTMHard"),
        ("lstm", {"activations": ["HardSigmoid", "Tanh", "Tanh"]}, True, "'HardSigmoid'.*no cell computes that"),
        ("lstm_linear_output", {"activations": AFFINE, "activation_alpha": [0.5]}, False, "no cell computes"),
        ("gru", {"linear_before_reset": 0}, False, "make the layer with the cell 'gru_reset_before'"),
        ("rnn_tanh", {"activations": ["Relu"]}, False, "make the layer with the cell 'rnn_relu'"),
        ("rnn_tanh", {"activations": ["Softsign"]}, False, "'Softsign'.*no cell computes that"),
        ("lstm", {"clip": 3.0}, False, "clip=3.0: no cell clips"),
        ("lstm", {"direction": "reverse"}, False, r"run the layer on x\[::-1\]"),
        ("lstm", {"direction": "bidirectional"}, False, "make it with bidirectional="),
    ],
)
def test_an_operator_that_the_cell_does_not_compute(cell, attributes, peepholes, message):
    layer = Recurrent(cell, I, H, seed=0)
    before, found = layer.params.flat.copy(), onnx.tensors(layer)
    found.pop("P", None)
    if peepholes:
        found["P"] = draw(5, 1, 3 * H, dtype="float32")
    with pytest.raises(ValueError, match=message):
        onnx.load_tensors(layer, **found, **attributes)
    assert np.array_equal(layer.params.flat, before)


def test_attributes_that_change_nothing_are_taken():
    layer = Recurrent("lstm", I, H)
    attributes = {
        "clip": 0.0,
        "layout": 1,
        "hidden_size": H,
        "direction": b"forward",
        "activations": ["sigmoid", "tanh", "TANH"],
    }
    onnx.load_tensors(layer, **onnx.tensors(Recurrent("lstm", I, H, seed=1)), **attributes)
    with pytest.raises(TypeError, match="no attribute 'peepholes'"):
        onnx.load_tensors(layer, **onnx.tensors(layer), peepholes=True)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("lstm", "GRU"), ("lstm", "plain RNN"), ("gru", "LSTM"), ("rnn_tanh", "GRU")]
)
def test_weights_of_another_kind_of_layer(ours, theirs):
    cell = {"GRU": "gru", "LSTM": "lstm", "plain RNN": "rnn_tanh"}[theirs]
    layer, other = (Recurrent(name, I, H, seed=0) for name in (ours, cell))
    with pytest.raises(ValueError, match=f"are of an? {theirs}"):
        keras.load_weights(layer, keras.get_weights(other))
    with pytest.raises(ValueError, match=f"are of an? {theirs}"):
        onnx.load_tensors(layer, **onnx.tensors(other))
    with pytest.raises(ValueError, match=f"is of an? {theirs}"):
        torch.load_state_dict(layer, torch.state_dict(other))


def test_a_keras_layer_in_place_of_its_weights():
    class Like:
        def get_weights(self):
            return keras.get_weights(one)

    one, two = (Recurrent("gru", I, H, seed=k) for k in range(2))
    keras.load_weights(two, Like())
    assert np.array_equal(one.params.flat, two.params.flat)
