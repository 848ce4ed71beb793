"""Files of Neural Amp Modeler: written here, beside a NumPy loop in float64; round trips; damaged files."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

import pylstm
from pylstm.interop import nam, rtneural


def a_file(layers=2, inputs=1, hidden=5, outputs=1, seed=0):
    count = sum(hidden * (4 * (width + hidden) + 6) for width in [inputs] + [hidden] * (layers - 1))
    weights = np.random.default_rng(seed).uniform(-0.9, 0.9, count + outputs * (hidden + 1))
    config = {"num_layers": layers, "input_size": inputs, "hidden_size": hidden}
    if (inputs, outputs) != (1, 1):
        config |= {"in_channels": inputs, "out_channels": outputs}
    weights = weights.astype("float32").tolist()
    return {"version": "0.5.4", "architecture": "LSTM", "config": config, "weights": weights}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def reference(file, x):
    """Of one row (T, I), sample by sample, in float64."""
    config, weights = file["config"], iter(file["weights"])

    def take(*shape):
        return np.array([next(weights) for _ in range(np.prod(shape))]).reshape(shape)

    H, layers = config["hidden_size"], []
    for k in range(config["num_layers"]):
        width = H if k else config["input_size"]
        layers.append([take(4 * H, width + H), take(4 * H), take(H), take(H)])
    outputs = config.get("out_channels", 1)
    head, bias = take(outputs, H), take(outputs)
    assert next(weights, None) is None
    y = []
    for value in x:
        for layer in layers:
            W, b, h, c = layer
            i, f, g, o = np.split(W @ np.concatenate([value, h]) + b, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            value = sigmoid(o) * np.tanh(c)
            layer[2:] = value, c
        y.append(head @ value + bias)
    return np.array(y)


def written(path, file):
    path.write_text(json.dumps(file))
    return path


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 2e-6)])
@pytest.mark.parametrize("sizes", [(1, 1, 3, 1), (2, 1, 5, 1), (3, 2, 4, 3)])
def test_a_file_beside_a_loop(tmp_path, sizes, dtype, tolerance):
    file, x = a_file(*sizes), np.random.default_rng(1).normal(size=(60, sizes[1]))
    chain = nam.load(written(tmp_path / "model.nam", file), dtype=dtype)
    y, right = chain(x.astype(dtype)), reference(file, x)
    np.testing.assert_allclose(y, right, atol=tolerance * np.abs(right).max(), rtol=0)
    stream = chain.stream()
    for _ in range(2):
        pieces = [stream.feed(x[:21].astype(dtype)), *(stream.step(each.astype(dtype))[None] for each in x[21:])]
        assert np.array_equal(np.concatenate(pieces), y)
        stream.reset()  # to the initial states of the file


def test_a_file_saved_again_is_the_same(tmp_path):
    for sizes in [(2, 1, 5, 1), (1, 2, 4, 3)]:
        file = a_file(*sizes) | {"sample_rate": 44100.0, "metadata": {"name": "Amplifier", "loudness": -18.5}}
        chain = nam.load(written(tmp_path / "a.nam", file))
        assert (chain.sample_rate, chain.metadata) == (44100, file["metadata"])
        nam.save(chain, tmp_path / "b.nam")
        assert json.loads((tmp_path / "b.nam").read_text()) == file
        nam.save(chain, tmp_path / "b.nam", sample_rate=48000, metadata={})
        assert json.loads((tmp_path / "b.nam").read_text()) == file | {"sample_rate": 48000, "metadata": {}}
    nam.save(nam.load(written(tmp_path / "a.nam", a_file())), tmp_path / "b.nam")
    assert json.loads((tmp_path / "b.nam").read_text()) == a_file()


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"learn_initial": True}, {"num_layers": 2, "dropout": 0.5}])
def test_models_written_and_read(tmp_path, options):
    model = pylstm.SequenceModel("lstm", 1, 6, 1, read="every", seed=0, **options)
    if "learn_initial" in options:
        model.layer.params["initial_h"][...], model.layer.params["initial_c"][...] = 0.25, -0.75
    nam.save(model, tmp_path / "model.nam")
    x = np.random.default_rng(2).normal(size=(40, 1)).astype("float32")
    chain = nam.load(tmp_path / "model.nam")
    assert np.array_equal(chain(x), model.predict(x[None])[0])
    assert np.array_equal(chain.as_model().predict(x[None])[0], chain(x))
    right = reference(json.loads((tmp_path / "model.nam").read_text()), x.astype("f8"))
    np.testing.assert_allclose(chain(x), right, atol=2e-6)


@pytest.mark.parametrize(("rate", "steps"), [(44100.0, 22050), (None, 1)])
def test_prewarm(tmp_path, rate, steps):
    """Half a second of zeros, as NAM feeds its LSTM before the first sample; a single one where no rate is known."""
    chain = nam.load(written(tmp_path / "model.nam", a_file() | ({} if rate is None else {"sample_rate": rate})))
    x = np.random.default_rng(1).normal(size=(5, 1)).astype("float32")
    stream, other = chain.stream(), chain.stream()
    stream.prewarm()
    other.feed(np.zeros((steps, 1), "float32"))
    warm = stream.feed(x)
    assert np.array_equal(warm, other.feed(x)) and not np.array_equal(warm, chain(x))
    stream.reset()
    assert np.array_equal(stream.feed(x), chain(x))  # to the initial states of the file


def test_from_one_format_to_the_other(tmp_path):
    model = pylstm.SequenceModel("lstm", 1, 6, 1, num_layers=2, read="every", seed=0)
    nam.save(model, tmp_path / "model.nam")
    rtneural.save(nam.load(tmp_path / "model.nam"), tmp_path / "model.json")
    x = np.random.default_rng(2).normal(size=(40, 1)).astype("float32")
    assert np.array_equal(rtneural.load(tmp_path / "model.json")(x), model.predict(x[None])[0])
    with pytest.raises(ValueError, match="learns its initial h"):
        rtneural.save(nam.load(written(tmp_path / "model.nam", a_file())), tmp_path / "model.json")


@pytest.mark.parametrize(
    ("model", "options", "error", "says"),
    [
        (lambda: pylstm.SequenceModel("gru", 1, 3, 1, read="every"), {}, TypeError, "holds lstm layers and a Linear"),
        (lambda: pylstm.SequenceModel("lstm", 1, 3, 1, head_sizes=(4,), read="every"), {}, TypeError, "and a Linear"),
        (lambda: pylstm.LSTM(1, 3), {}, TypeError, "and a Linear"),
        (lambda: pylstm.Linear(1, 3), {}, TypeError, "and a Linear"),
        (
            lambda: nam.Chain([pylstm.LSTM(1, 3), pylstm.LSTM(3, 4), pylstm.Linear(4, 1)]),
            {},
            ValueError,
            r"same hidden size, got \[3, 4\]",
        ),
        (lambda: pylstm.SequenceModel("lstm", 1, 3, 1), {}, ValueError, "read='every'"),
        (
            lambda: pylstm.SequenceModel("lstm", 1, 3, 1, read="every"),
            {"metadata": {"a": np.nan}},
            TypeError,
            "metadata.a must be finite",
        ),
        (lambda: pylstm.SequenceModel("lstm", 1, 3, 1, read="every"), {"sample_rate": 0}, ValueError, "sample_rate"),
    ],
)
def test_models_that_no_file_holds(tmp_path, model, options, error, says):
    with pytest.raises(error, match=says):
        nam.save(model(), tmp_path / "model.nam", **options)
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


BAD = [
    ([1], "the header must be an object"),
    (with_entry("version"), "version is missing"),
    (with_entry("version", value="1.0.0"), "version must be 0.5.0 or a later 0.x, got '1.0.0'"),
    (with_entry("architecture"), "architecture is missing"),
    (with_entry("architecture", value="WaveNet"), r"architecture must be LSTM .*train a NAM model.*got 'WaveNet'"),
    (with_entry("config"), "config is missing"),
    (with_entry("config", value=[]), "config must be an object"),
    (with_entry("config", "num_layers"), "config.num_layers is missing"),
    (with_entry("config", "num_layers", value=0), "config.num_layers must be an integer of at least 1"),
    (with_entry("config", "num_layers", value=10**9), "config.num_layers must be at most 1000"),
    (with_entry("config", "hidden_size", value=5.0), "config.hidden_size must be an integer"),
    (with_entry("config", "hidden_size", value=2**39), "weights must hold .* numbers"),
    (with_entry("config", "input_size", value=2), "config.input_size must be in_channels, 1"),
    (with_entry("config", "out_channels", value=2), "weights must hold .* 2 outputs"),
    (with_entry("weights"), "weights is missing"),
    (with_entry("weights", value={}), "weights must be a list"),
    (with_entry("weights", 7), "weights must hold 386 numbers .*, got 385"),
    (with_entry("weights", 7, value=None), "weights must hold int or float only"),
    (with_entry("weights", 7, value=True), "weights must hold int or float only"),
    (with_entry("weights", 7, value=float("inf")), "weights must be finite"),
    (with_entry("weights", 7, value=1e300), "weights must be finite in float32"),
    (with_entry("sample_rate", value="48k"), "sample_rate must be a finite number"),
    (with_entry("metadata", value=[1]), "metadata must be an object"),
]


@pytest.mark.parametrize(("file", "says"), BAD, ids=range(len(BAD)))
def test_damaged_files_are_refused_by_name(tmp_path, file, says):
    with pytest.raises(ValueError, match=rf"model\.nam: {says}"):
        nam.load(written(tmp_path / "model.nam", file))


@pytest.mark.parametrize("door", [nam, pylstm.interop.rtneural], ids=["nam", "rtneural"])
def test_a_path_that_is_none_names_the_door(door):
    model, name = pylstm.SequenceModel("lstm", 1, 3, 1, read="every", seed=0), door.__name__
    for call in (lambda: door.save(model, None), lambda: door.load(None)):
        with pytest.raises(TypeError, match=rf"got NoneType: {name}.save\(model, path\) writes a file, {name}.load"):
            call()
