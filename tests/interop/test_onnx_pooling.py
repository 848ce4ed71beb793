"""Pooling over one axis, of ONNX files, beside onnxruntime."""

import itertools

import numpy as np
import pytest

from pylstm.interop import onnx as ours

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

X = np.random.default_rng(0).standard_normal((2, 3, 17)).astype("float32")
CASES = [
    dict(kernel_shape=[size], strides=[stride], pads=pads, dilations=[dilation], ceil_mode=ceil)
    for size, stride, pads, dilation, ceil in itertools.product(
        (2, 3, 4), (1, 2, 3), ([0, 0], [1, 0], [1, 1]), (1, 2), (0, 1)
    )
]
SAME = [
    dict(kernel_shape=[size], strides=[stride], auto_pad=auto)
    for size, stride, auto in itertools.product((2, 3, 5), (1, 2, 3), ("SAME_UPPER", "SAME_LOWER", "VALID"))
]


def both(folder, op, x, options, outputs=("y",)):
    """The model, and the output of onnxruntime."""
    kind = onnx.helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(op, ["x"], list(outputs), **options)],
        "graph",
        [onnx.helper.make_tensor_value_info("x", kind, [None] * x.ndim)],
        [onnx.helper.make_tensor_value_info(name, kind if name == "y" else 7, None) for name in outputs],
    )
    proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9)
    path = str(folder / "net.onnx")
    onnx.save(proto, path)
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {"x": x})
    return ours.import_model(path), found[0] if len(outputs) == 1 else found


@pytest.mark.parametrize("options", CASES + SAME, ids=str)
def test_max_pool(tmp_path, options):
    model, right = both(tmp_path, "MaxPool", X, options)
    np.testing.assert_array_equal(model(X)["y"], right)
    np.testing.assert_array_equal(model(X[:, :, ::-1])["y"].shape, right.shape)


@pytest.mark.parametrize("options", [CASES[0], CASES[9], CASES[-2]], ids=str)
def test_the_places_of_the_largest(tmp_path, options):
    model, (y, places) = both(tmp_path, "MaxPool", X, options, ("y", "places"))
    found = model(X)
    np.testing.assert_array_equal(found[0], y)
    np.testing.assert_array_equal(found["places"], places)


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("options", CASES + SAME, ids=str)
def test_average_pool(tmp_path, options, include):
    model, right = both(tmp_path, "AveragePool", X, options | {"count_include_pad": include})
    np.testing.assert_allclose(model(X)["y"], right, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("op", ["GlobalMaxPool", "GlobalAveragePool"])
def test_pooling_of_everything(tmp_path, op):
    model, right = both(tmp_path, op, X, {})
    np.testing.assert_allclose(model(X)["y"], right, rtol=1e-6)


def test_what_cannot_be_pooled(tmp_path):
    model, _ = both(tmp_path, "MaxPool", np.ones((1, 1, 4, 4), "float32"), {"kernel_shape": [2, 2]})
    with pytest.raises(ValueError, match=r"MaxPool must be over one axis of x \(N, C, L\), got x of shape \(1, 1"):
        model(np.ones((1, 1, 4, 4), "float32"))
    model, _ = both(tmp_path, "AveragePool", X, {"kernel_shape": [9], "pads": [1, 0]})
    with pytest.raises(ValueError, match="a window of 9 steps is longer than the input, 7 steps and 1 of padding"):
        model(X[:, :, :7])
