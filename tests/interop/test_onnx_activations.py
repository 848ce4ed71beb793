"""The operators LSTM, GRU and RNN with any activations and a clip, read from a file and written, beside onnxruntime."""

import pickle

import numpy as np
import pytest

import pylstm
from pylstm.interop import keras
from pylstm.interop import onnx as ours
from pylstm.layers.named import Recurrent

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

I, H, T, B = 3, 4, 6, 5
BLOCKS, STATES = {"LSTM": 4, "GRU": 3, "RNN": 1}, {"LSTM": ("h", "c"), "GRU": ("h",), "RNN": ("h",)}
ALPHA, BETA = {"activation_alpha": [0.3]}, {"activation_beta": [0.4]}
ALONE = {
    "Affine": ALPHA | BETA,
    "Elu": ALPHA,
    "HardSigmoid": {},
    "HardSigmoid with beta": ALPHA | BETA,
    "LeakyRelu": {},
    "Relu": {},
    "ScaledTanh": ALPHA | BETA,
    "Sigmoid": {},
    "Softplus": {},
    "Softsign": {},
    "ThresholdedRelu": ALPHA,
}
FILES = {
    "LSTM, hard_sigmoid": ("LSTM", {"activations": ["HardSigmoid", "Tanh", "Tanh"]}),
    "LSTM, its own numbers in either direction": (
        "LSTM",
        {
            "direction": "bidirectional",
            "activations": ["HardSigmoid", "Elu", "Affine", "Sigmoid", "LeakyRelu", "Softsign"],
            "activation_alpha": [0.3, 0.7, 0.6, 0.2],
            "activation_beta": [0.45, 0.1],
        },
    ),
    "LSTM, clip": ("LSTM", {"clip": 0.4}),
    "LSTM, clip, P": ("LSTM", {"clip": 0.4, "P": True, "direction": "reverse"}),
    "LSTM, input_forget": ("LSTM", {"input_forget": 1, "activations": ["HardSigmoid", "Relu", "Tanh"]}),
    "LSTM, input_forget, P": ("LSTM", {"input_forget": 1, "P": True, "activations": ["HardSigmoid", "Tanh", "Tanh"]}),
    "LSTM, P": ("LSTM", {"P": True, "activations": ["HardSigmoid", "Tanh", "Tanh"]}),
    "GRU, hard_sigmoid": ("GRU", {"activations": ["HardSigmoid", "Tanh"], "activation_alpha": [1 / 6]}),
    "GRU, hard_sigmoid after the product": ("GRU", {"activations": ["HardSigmoid", "Tanh"], "linear_before_reset": 1}),
    "GRU, clip": ("GRU", {"clip": 0.4, "activations": ["Sigmoid", "Softsign"]}),
    "GRU, clip after the product": ("GRU", {"clip": 0.4, "linear_before_reset": 1, "direction": "bidirectional"}),
    "RNN, clip": ("RNN", {"clip": 0.4, "activations": ["Tanh"]}),
    **{f"RNN, {name}": ("RNN", {"activations": name.split()[:1], **more}) for name, more in ALONE.items()},
}


def numbers(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def file_of(path, operator, more):
    """A file with one operator, its states given; its inputs."""
    attributes = {name: value for name, value in more.items() if name != "P"}
    D, rows = 2 if more.get("direction") == "bidirectional" else 1, BLOCKS[operator] * H
    held = {"W": numbers(1, D, rows, I), "R": 0.5 * numbers(2, D, rows, H), "B": numbers(3, D, 2 * rows)}
    held |= {"P": numbers(4, D, 3 * H)} if "P" in more else {}
    inputs = {"x": numbers(5, T, B, I)} | {name: numbers(6, D, B, H) for name in STATES[operator]}
    given = ["x", "W", "R", "B", "", *STATES[operator], *(["P"] if "P" in more else [])]
    outputs = ["y", *(f"final_{name}" for name in STATES[operator])]
    node = onnx.helper.make_node(operator, given, outputs, hidden_size=H, **attributes)
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [node],
        "graph",
        [info(name, 1, array.shape) for name, array in inputs.items()],
        [info(name, 1, [None] * (4 - bool(k))) for k, name in enumerate(outputs)],
        [onnx.numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    opsets = [onnx.helper.make_opsetid("", 18)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return inputs


@pytest.mark.parametrize(("operator", "more"), FILES.values(), ids=FILES)
def test_activations_and_clips_of_a_file(operator, more, tmp_path):
    inputs = file_of(path := tmp_path / "model.onnx", operator, more)
    expected = onnxruntime.InferenceSession(path).run(None, inputs)
    model = ours.import_model(path)
    for each in (model, pickle.loads(pickle.dumps(model))):
        for one, two in zip(each(inputs).values(), expected, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"clip": -1.0}, "clip must be above 0, got -1"),
        ({"activations": ["Sigmoid", "Tanh"]}, "activations must be 3 for each direction"),
        ({"activations": ["Sigmoid", "Mish", "Tanh"]}, "the activation 'Mish' is not one of Relu, Tanh"),
        ({"activations": ["Sigmoid", "ScaledTanh", "Tanh"]}, "ScaledTanh needs its activation_alpha"),
    ],
)
def test_attributes_that_onnx_does_not_have_are_refused(more, message, tmp_path):
    file_of(path := tmp_path / "model.onnx", "LSTM", more)
    with pytest.raises(ValueError, match=message):
        ours.import_model(path)


HARD = {"LSTMHardSigmoid": "LSTM", "GRUHardSigmoid": "GRU", "GRUResetBeforeHardSigmoid": "GRU"}


@pytest.mark.parametrize("slope", [0.2, 1 / 6])
@pytest.mark.parametrize("name", HARD)
def test_hard_sigmoid_is_an_attribute_of_the_operator(name, slope, tmp_path):
    layer = pylstm.Recurrent(getattr(keras, name), I, H, bidirectional=True, slope=slope, seed=0)
    ours.export(layer, path := tmp_path / "model.onnx")
    assert HARD[name] in {node.op_type for node in onnx.load(path).graph.node}
    x, model = 3 * numbers(1, T, B, I), ours.import_model(path)
    for y in (onnxruntime.InferenceSession(path).run(None, {"x": x})[0], model(x)["y"]):
        np.testing.assert_allclose(y, layer(x).y, rtol=0, atol=2e-6)
    pylstm.save(tmp_path / "layer", model.layers[0])  # a cell of the library

    other = pylstm.Recurrent(getattr(keras, name), I, H, bidirectional=True, slope=slope, seed=1)
    ours.load_tensors(other, **ours.tensors(layer), **ours.attributes(layer))
    assert (other(x).y == layer(x).y).all()


@pytest.mark.parametrize(
    ("numbers_of_the_node", "message"),
    [
        ({"activation_alpha": [0.25]}, "the layer has slope=0.2: make the layer with slope=0.25"),
        ({"activation_beta": [0.4]}, "beta=.0.4., but 'lstm_hard_sigmoid' has 0.5: no cell computes that"),
    ],
)
def test_another_hard_sigmoid_is_refused(numbers_of_the_node, message):
    layer = Recurrent(keras.LSTMHardSigmoid, I, H, seed=0)
    with pytest.raises(ValueError, match=message):
        ours.load_tensors(
            layer, **ours.tensors(layer), activations=["HardSigmoid", "Tanh", "Tanh"], **numbers_of_the_node
        )
