"""Files of RTNeural: written here, run by a NumPy loop in float64 and by pylstm; round trips; damaged files."""

from __future__ import annotations

import copy
import json
import os

import numpy as np
import pytest

import pylstm
from pylstm.interop import rtneural


def drawn(rng, *shape):
    return rng.uniform(-0.9, 0.9, shape)


def entry(kind, shape, weights, activation="", **more):
    lists = [each.tolist() for each in weights]
    return {"type": kind, "activation": activation, "shape": [None, None, shape], "weights": lists} | more


def a_file(seed=0):
    """Every type of layer and every activation."""
    rng = np.random.default_rng(seed)
    return {
        "in_shape": [None, None, 2],
        "layers": [
            entry("time-distributed-dense", 6, [drawn(rng, 2, 6), drawn(rng, 6)], "tanh"),
            entry("lstm", 5, [drawn(rng, 6, 20), drawn(rng, 5, 20), drawn(rng, 20)], "tanh"),
            entry("dense", 4, [drawn(rng, 5, 4)], "elu"),
            entry("gru", 6, [drawn(rng, 4, 18), drawn(rng, 6, 18), drawn(rng, 2, 18)], "tanh"),
            entry("prelu", 6, [drawn(rng, 1, 6)]),
            entry("conv1d", 4, [drawn(rng, 3, 3, 4), drawn(rng, 4)], "relu", kernel_size=[3], dilation=[2], groups=2),
            entry("batchnorm", 4, [*drawn(rng, 3, 4), rng.uniform(0.5, 2, 4)], epsilon=0.01),
            entry("conv1d", 4, [drawn(rng, 2, 4, 4), drawn(rng, 4)], kernel_size=[2], dilation=[1]),
            entry("batchnorm", 4, [drawn(rng, 4), rng.uniform(0.5, 2, 4)], epsilon=0.5),
            entry("prelu", 4, [drawn(rng, 1, 1)]),
            entry("activation", 4, [], "softmax"),
            entry("dense", 3, [drawn(rng, 4, 3), drawn(rng, 3)], "sigmoid"),
        ],
    }


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


ACTIVATIONS = {
    "": lambda z: z,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "sigmoid": sigmoid,
    "elu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True),
}


def lstm(x, W, U, b):
    h, c, out = np.zeros(len(U)), np.zeros(len(U)), []
    for x_t in x:
        i, f, g, o = np.split(x_t @ W + h @ U + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        out.append(h)
    return np.array(out)


def gru(x, W, U, b):
    h, out = np.zeros(len(U)), []
    for x_t in x:
        (xz, xr, xn), (hz, hr, hn) = np.split(x_t @ W + b[0], 3), np.split(h @ U + b[1], 3)
        z, r = sigmoid(xz + hz), sigmoid(xr + hr)
        h = z * h + (1 - z) * np.tanh(xn + r * hn)
        out.append(h)
    return np.array(out)


def conv(x, kernel, bias, dilation, groups):
    y = np.tile(bias, (len(x), 1))
    K, inputs, outputs = kernel.shape
    for t in range(len(x)):
        for k in range(K):
            past = t - (K - 1 - k) * dilation
            for o in range(outputs if past >= 0 else 0):
                first = o // (outputs // groups) * inputs
                y[t, o] += x[past, first : first + inputs] @ kernel[k, :, o]
    return y


def reference(file, x):
    """Of one row (T, I), in float64."""
    for each in file["layers"]:
        arrays = [np.array(value) for value in each["weights"]]
        if each["type"] in ("lstm", "gru"):
            x = {"lstm": lstm, "gru": gru}[each["type"]](x, *arrays)
            continue
        if "dense" in each["type"]:
            x = x @ arrays[0] + (arrays[1] if len(arrays) > 1 else 0)
        elif each["type"] == "conv1d":
            x = conv(x, *arrays, each["dilation"][-1], each.get("groups", 1))
        elif each["type"] == "prelu":
            x = np.where(x > 0, x, arrays[0] * x)
        elif each["type"] == "batchnorm":
            scale, shift, mean, variance = arrays if len(arrays) == 4 else (1, 0, *arrays)
            x = (x - mean) / np.sqrt(variance + each["epsilon"]) * scale + shift
        x = ACTIVATIONS[each["activation"]](x)
    return x


def written(path, file):
    path.write_text(json.dumps(file))
    return path


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
def test_every_layer_beside_a_loop(tmp_path, dtype, tolerance):
    file, x = a_file(), np.random.default_rng(1).normal(size=(40, 3, 2))
    chain = rtneural.load(written(tmp_path / "model.json", file), dtype=dtype)
    assert (chain.input_size, chain.output_size, chain.dtype) == (2, 3, dtype)
    for n in range(len(file["layers"])):  # every layer, not only what the last one leaves of it
        head = file | {"layers": file["layers"][: n + 1]}
        y = rtneural.load(written(tmp_path / "head.json", head), dtype=dtype)(x.astype(dtype))
        right = np.stack([reference(head, x[:, b]) for b in range(3)], axis=1)
        assert np.ptp(right) > 1e-3
        np.testing.assert_allclose(y, right, atol=tolerance * np.abs(right).max(), rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_stream_has_the_bits_of_a_call(tmp_path, dtype):
    chain = rtneural.load(written(tmp_path / "model.json", a_file()), dtype=dtype)
    x = np.random.default_rng(2).normal(size=(70, 2)).astype(dtype)
    y, stream = chain(x), chain.stream()
    for _ in range(2):
        pieces = [stream.step(x[0])[None], stream.feed(x[1:3]), stream.feed(x[3:40])]
        pieces += [stream.step(x[t])[None] for t in range(40, 70)]
        assert np.array_equal(np.concatenate(pieces), y)
        stream.reset()
    rows = np.stack([x, x[::-1]], axis=1)
    stream = chain.stream(2)
    together = np.concatenate([stream.feed(rows[:33]), *(stream.step(rows[t])[None] for t in range(33, 70))])
    assert np.array_equal(together, chain(rows)) and np.array_equal(together[:, 0], y)
    with pytest.raises(ValueError, match=r"x must have shape \(T, 2, 2\)"):
        stream.step(x[0])


def test_a_stream_keeps_its_weights(tmp_path):
    """Of maps and convolutions as of recurrent layers, until `refresh`; the states stay."""
    chain = rtneural.load(written(tmp_path / "model.json", a_file()))
    x = np.random.default_rng(3).normal(size=(9, 2)).astype("float32")
    y, stream = chain(x), chain.stream()
    assert np.array_equal(stream.feed(x[:4]), y[:4])
    for part in chain.parts:
        for each in getattr(part, "layers", [part]):
            if hasattr(each, "params"):
                each.params *= 0.5
    assert np.array_equal(stream.feed(x[4:6]), y[4:6]) and np.array_equal(stream.step(x[6]), y[6])
    stream.refresh()
    assert not np.array_equal(stream.step(x[7]), y[7])
    stream.reset()
    assert np.array_equal(stream.feed(x), chain(x))


@pytest.mark.parametrize("rows", [1, 3])
def test_prewarm_of_convolutions(tmp_path, rows):
    """Silence for as long as they look back, 2 (3 - 1) + (2 - 1) steps, and one more: all later silence sounds so."""
    rng, entries = np.random.default_rng(4), []
    for kernel, dilation in ((drawn(rng, 3, 2, 4), 2), (drawn(rng, 2, 4, 3), 1)):
        sizes = {"kernel_size": [len(kernel)], "dilation": [dilation]}
        entries.append(entry("conv1d", kernel.shape[2], [kernel, drawn(rng, kernel.shape[2])], "tanh", **sizes))
    chain = rtneural.load(written(tmp_path / "model.json", {"in_shape": [None, None, 2], "layers": entries}))
    stream, warm = chain.stream(rows), chain.stream(rows)
    silence = np.zeros((6, 2) if rows == 1 else (6, rows, 2), "float32")
    cold = stream.feed(silence)
    warm.feed(silence + 1)
    warm.prewarm()
    after = warm.feed(silence)
    assert not np.array_equal(cold[0], cold[1]) and np.array_equal(after, np.broadcast_to(cold[5], after.shape))


def test_convolutions_that_are_not_finite_are_refused(tmp_path):
    chain = rtneural.load(written(tmp_path / "model.json", a_file()))
    conv = next(part for part in chain.parts if hasattr(part, "kernel"))
    conv.layers[1].params["weight"][1, 2] = np.inf
    with pytest.raises(ValueError, match="weight must be finite"):
        rtneural.save(chain, tmp_path / "other.json")


def test_a_chain_without_steps_or_rows(tmp_path):
    chain = rtneural.load(written(tmp_path / "model.json", a_file()))
    for shape in [(0, 2), (0, 3, 2), (5, 0, 2)]:
        assert chain(np.ones(shape, "float32")).shape == (*shape[:-1], 3)


def test_a_file_saved_again_is_the_same(tmp_path):
    file = a_file()
    rtneural.save(rtneural.load(written(tmp_path / "a.json", file), dtype="float64"), tmp_path / "b.json")
    found = json.loads((tmp_path / "b.json").read_text())
    assert found["in_shape"] == file["in_shape"] and len(found["layers"]) == len(file["layers"])
    for ours, theirs in zip(found["layers"], file["layers"]):
        names = {"time-distributed-dense": "dense"}
        assert ours["type"] == names.get(theirs["type"], theirs["type"])
        assert (ours["activation"], ours["shape"]) == (theirs["activation"], theirs["shape"])
        for mine, his in zip(ours["weights"], theirs["weights"], strict=True):
            if ours["type"] == "gru" and np.shape(mine) == (2, 18):  # both biases of z and r are added
                mine, his = ([*np.array(each)[:, 12:].tolist(), np.sum(each, 0)[:12].tolist()] for each in (mine, his))
            assert mine == his


MODELS = {
    "sequence_model": lambda: pylstm.SequenceModel("gru", 2, 5, 3, num_layers=2, read="every", seed=0),
    "head_of_maps": lambda: pylstm.SequenceModel("lstm", 2, 5, 3, head_sizes=(7,), activation="tanh", read="every"),
    "stack": lambda: pylstm.Stack([pylstm.LSTM(2, 4, seed=0), pylstm.GRU(4, 3, bias=False, seed=1)]),
    "layer": lambda: pylstm.LSTM(2, 4, bias=False, seed=0),
    "map": lambda: pylstm.Linear(2, 3, bias=False, seed=0),
    "mlp": lambda: pylstm.MLP(2, (5, 4), 3, seed=0),
    "chain": lambda: rtneural.Chain([pylstm.LSTM(2, 4, seed=0), pylstm.Linear(4, 1, seed=0)]),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_written_and_read(tmp_path, name):
    model, x = MODELS[name](), np.random.default_rng(3).normal(size=(30, 2)).astype("float32")
    rtneural.save(model, tmp_path / "model.json")
    y = rtneural.load(tmp_path / "model.json")(x)
    right = model.predict(x[None])[0] if hasattr(model, "predict") else model(x)
    assert np.array_equal(y, getattr(right, "y", right))
    file = json.loads((tmp_path / "model.json").read_text())
    np.testing.assert_allclose(y, reference(file, x.astype("f8")), atol=2e-6)


def test_a_chain_as_a_model_to_train_on(tmp_path):
    model = MODELS["sequence_model"]()
    rtneural.save(model, tmp_path / "model.json")
    chain = rtneural.load(tmp_path / "model.json")
    again, x = chain.as_model(), np.random.default_rng(4).normal(size=(2, 9, 2)).astype("float32")
    assert np.array_equal(again.predict(x), model.predict(x))
    before = chain(x[0])
    again.layer.layers[0].params.flat[...] = 0
    assert np.array_equal(chain(x[0]), before)
    rtneural.save(MODELS["head_of_maps"](), tmp_path / "model.json")
    with pytest.raises(TypeError, match="only recurrent layers and one Linear"):
        rtneural.load(tmp_path / "model.json").as_model()


def learned():
    layer = pylstm.LSTM(2, 4, learn_initial=True, seed=0)
    layer.params["initial_c"][2] = 1
    return layer


def not_finite():
    layer = pylstm.LSTM(2, 4, seed=0)
    layer.params["bias"][3] = np.nan
    return layer


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        (lambda: pylstm.Recurrent("peephole", 2, 3, seed=0), TypeError, "no layer with the cell 'peephole'"),
        (lambda: pylstm.GRU(2, 3, bidirectional=True, seed=0), TypeError, "two directions"),
        (lambda: pylstm.GRU(3, 3, num_layers=2, residual=True, seed=0), ValueError, "residual"),
        (lambda: pylstm.SequenceModel("gru", 2, 3, 1, seed=0), ValueError, "read='every'"),
        (lambda: pylstm.SequenceModel("gru", 2, 3, 1, vocabulary=4, read="every"), ValueError, "embedding"),
        (learned, ValueError, "learns its initial c"),
        (not_finite, ValueError, "bias"),
        (lambda: "model", TypeError, "model must be a Chain, a SequenceModel.*got str"),
    ],
)
def test_models_that_no_file_holds(tmp_path, model, error, says):
    with pytest.raises(error, match=says):
        rtneural.save(model(), tmp_path / "model.json")
    assert not list(tmp_path.iterdir())


def with_entry(*path, value="absent"):
    file = copy.deepcopy(a_file())
    *outer, last = path
    place = file
    for each in outer:
        place = place[each]
    if value == "absent":
        del place[last]
    else:
        place[last] = value
    return file


LAYER = ("layers", 1)
BAD = [
    ([1], "the header must be an object"),
    (with_entry("in_shape"), "in_shape is missing"),
    ({"lstm.weight_ih_l0": [[1.0]]}, r"holds a state_dict of PyTorch.*load_state_dict\(layer"),
    (with_entry("in_shape", value=[]), "in_shape must hold a number"),
    (with_entry("in_shape", value=[None, "2"]), "in_shape must be an integer"),
    (with_entry("in_shape", value=[3]), r"layers\[0\].weights\[0\] must be numbers of shape \(3, 6\)"),
    (with_entry("layers", value={}), "layers must be a list"),
    (with_entry("layers", value=[]), "layers must hold 1 to 1000 layers, got 0"),
    (with_entry("layers", value=[[]]), "layers must hold dict only"),
    (with_entry("layers", 0, "type"), r"layers\[0\].type is missing"),
    (with_entry(*LAYER, "type", value="conv2d"), r"layers\[1\].type must be one of dense.*got 'conv2d'"),
    (with_entry(*LAYER, "shape"), r"layers\[1\].shape is missing"),
    (with_entry(*LAYER, "shape", value=[None, None, 2**39]), r"layers\[1\].weights\[0\] must be numbers of shape"),
    (
        with_entry(*LAYER, "shape", value=[None, None, 4]),
        r"layers\[1\].weights\[0\] must be numbers of shape \(6, 16\)",
    ),
    (with_entry(*LAYER, "shape", value=[None, None, True]), r"layers\[1\].shape must be an integer"),
    (with_entry(*LAYER, "weights"), r"layers\[1\].weights is missing"),
    (with_entry(*LAYER, "weights", value=[[[1.0] * 20] * 6]), r"layers\[1\].weights must hold 3 arrays, got 1"),
    (with_entry(*LAYER, "weights", 2, 3, value=float("nan")), r"layers\[1\].weights\[2\] must be finite"),
    (with_entry(*LAYER, "weights", 2, 3, value=1e300), r"layers\[1\].weights\[2\] must be finite in float32"),
    (with_entry(*LAYER, "weights", 2, 3, value=10**400), r"layers\[1\].weights\[2\] must be numbers of shape"),
    (with_entry(*LAYER, "weights", 2, 3, value="1"), r"layers\[1\].weights\[2\] must be numbers of shape"),
    (with_entry(*LAYER, "weights", 0, 3, value=[1.0]), r"layers\[1\].weights\[0\] must be numbers of shape"),
    (with_entry(*LAYER, "activation", value="relu"), r"layers\[1\].activation must be tanh"),
    (with_entry("layers", 0, "activation", value="gelu"), r"layers\[0\].activation must be one of tanh"),
    (with_entry("layers", 3, "weights", 2, value=[0.0] * 18), r"layers\[3\].weights\[2\] must be numbers of shape"),
    (with_entry("layers", 4, "shape", value=[None, None, 5]), r"layers\[4\].shape must end in 6"),
    (with_entry("layers", 4, "weights", value=[[[1.0, 2.0]]]), r"layers\[4\].weights\[0\] must hold 1 or 6"),
    (with_entry("layers", 5, "kernel_size"), r"layers\[5\].kernel_size is missing"),
    (with_entry("layers", 5, "kernel_size", value=[4]), r"layers\[5\].weights\[0\] must be numbers"),
    (with_entry("layers", 5, "dilation", value=[2**39]), r"layers\[5\].dilation must be so small"),
    (with_entry("layers", 5, "groups", value=5), r"layers\[5\].groups must divide 6 inputs and 4 outputs"),
    (with_entry("layers", 6, "epsilon"), r"layers\[6\].epsilon is missing"),
    (with_entry("layers", 6, "weights", 3, 0, value=-0.01), r"layers\[6\]: epsilon and the variances"),
]


@pytest.mark.parametrize(("file", "says"), BAD, ids=range(len(BAD)))
def test_damaged_files_are_refused_by_name(tmp_path, file, says):
    with pytest.raises(ValueError, match=rf"model\.json: {says}"):
        rtneural.load(written(tmp_path / "model.json", file))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"in_shape": [1], "layers"'])
def test_what_is_not_json(tmp_path, data):
    (tmp_path / "model.json").write_bytes(data)
    with pytest.raises(ValueError, match=r"model\.json: not a JSON file.*: write or fetch it again") as caught:
        rtneural.load(tmp_path / "model.json")
    assert data != b"{" or "at line 1, column 2" in str(caught.value)


def test_what_is_not_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        rtneural.load(tmp_path / "absent.json")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        rtneural.load(tmp_path / "pipe")
    with pytest.raises(TypeError, match="path must be"):
        rtneural.load(3)


@pytest.mark.parametrize(
    "parts", [[], [pylstm.LSTM(2, 3), pylstm.Linear(4, 1)], [pylstm.LSTM(2, 3, dtype="float64")] * 2]
)
def test_layers_that_do_not_fit(parts):
    with pytest.raises(ValueError, match="parts"):
        rtneural.Chain(parts)


def test_what_is_not_a_part():
    with pytest.raises(TypeError, match=r"parts must be .*got Stack: pass its layers, \*stack.layers"):
        rtneural.Chain([pylstm.GRU(2, 3, num_layers=2)])


def test_a_chunk_without_steps(tmp_path):
    chain = rtneural.load(written(tmp_path / "model.json", a_file()))
    x, empty = np.ones((9, 2), "float32"), np.ones((0, 2), "float32")
    stream = chain.stream()
    assert stream.feed(empty).shape == (0, 3)
    assert np.array_equal(np.concatenate([stream.feed(x[:1]), stream.feed(empty), stream.feed(x[1:])]), chain(x))
