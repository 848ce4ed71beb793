"""Layers with the weights of Keras' layers against these layers, and weights in cuDNN's order."""

import numpy as np
import pytest

import pylstm
from pylstm.interop import keras
from pylstm.layers.named import Recurrent

T, B, I, H = 6, 3, 4, 5


def draw(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


# Keras makes arrays of torch's tensors in NumPy's old manner.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


@pytest.fixture
def library(monkeypatch, tmp_path):
    """Keras on torch."""
    pytest.importorskip("torch")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return pytest.importorskip("keras")


def theirs(library, kind, seed=0, **options):
    """A layer of Keras with drawn weights, of which no bias is 0."""
    layer = getattr(library.layers, kind)(H, return_sequences=True, **options)
    layer.build((None, T, I))
    layer.set_weights([0.6 * draw(seed + k, *array.shape) for k, array in enumerate(layer.get_weights())])
    return layer


def run(layer, x):
    """Outputs of a layer of Keras, laid out as ours."""
    return np.asarray(layer(x.swapaxes(0, 1)).detach()).swapaxes(0, 1)


KINDS = {
    "LSTM": ("lstm", {}),
    "GRU": ("gru", {}),
    "GRU reset before": ("gru_reset_before", {"reset_after": False}),
    "SimpleRNN": ("rnn_tanh", {}),
    "SimpleRNN relu": ("rnn_relu", {"activation": "relu"}),
}


@pytest.mark.parametrize("name", KINDS)
def test_layers_of_keras(library, name):
    cell, options = KINDS[name]
    layer, one, x = Recurrent(cell, I, H), theirs(library, name.split()[0], **options), draw(9, T, B, I)
    keras.load_weights(layer, one, check=(x, run(one, x)))
    np.testing.assert_allclose(layer(x).y, run(one, x), rtol=0, atol=2e-6)
    two = theirs(library, name.split()[0], seed=7, **options)
    two.set_weights(keras.get_weights(layer))
    np.testing.assert_allclose(run(two, x), run(one, x), rtol=0, atol=2e-6)


def to_cudnn(weights):
    """The weights of CuDNNLSTM and CuDNNGRU as Keras 2 makes them of those of LSTM and GRU.

    The block of a gate, (inputs, units), is read along its columns; there are two biases, one after the other.
    """
    kernel, recurrent, bias = weights
    second = draw(77, *bias.shape)
    biases = bias.reshape(-1) if bias.ndim == 2 else np.concatenate([bias - second, second])
    gates = kernel.shape[1] // H
    moved = [
        np.hstack([block.T.reshape(block.shape) for block in np.hsplit(array, gates)]) for array in (kernel, recurrent)
    ]
    return [*moved, biases]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_weights_of_cudnn(library, kind):
    one, x, cell = theirs(library, kind), draw(9, T, B, I), kind.lower()
    weights = to_cudnn(one.get_weights())
    assert [array.shape for array in weights] == [
        (I, len(weights[2]) // 2),
        (H, len(weights[2]) // 2),
        (len(weights[2]),),
    ]
    layer, both = Recurrent(cell, I, H), Recurrent(cell, I, H, bidirectional=True)
    keras.load_weights(layer, weights, check=(x, run(one, x)))
    keras.load_weights(both, weights + one.get_weights())
    np.testing.assert_allclose(both(x).y[..., :H], run(one, x), rtol=0, atol=2e-6)


def test_weights_of_cudnn_for_another_cell():
    layer, weights = Recurrent("gru_reset_before", I, H), to_cudnn(keras.get_weights(pylstm.GRU(I, H, seed=0)))
    with pytest.raises(
        ValueError, match=r"of a CuDNN layer.*the cell 'gru_reset_before': make it with one of lstm, gru"
    ):
        keras.load_weights(layer, weights)


def test_weights_of_half_precision():
    one, two = (pylstm.GRU(I, H, seed=k) for k in range(2))
    weights = [array.astype("float16") for array in keras.get_weights(one)]
    with pytest.warns(UserWarning, match="weights: 3 arrays converted from float16 to float32"):
        keras.load_weights(two, weights)
    np.testing.assert_array_equal(two.params["weight_h"], one.params["weight_h"].astype("float16"))


def test_other_weights_than_those_of_the_numbers(library):
    one, x, layer = theirs(library, "GRU"), draw(9, T, B, I), Recurrent("gru", I, H, seed=0)
    kernel, *more = one.get_weights()
    before = layer.params.flat.copy()
    with pytest.raises(ValueError, match="the outputs differ from y by"):
        keras.load_weights(layer, [np.roll(kernel, H, axis=1), *more], check=(x, run(one, x)))
    np.testing.assert_array_equal(layer.params.flat, before)


def keras2_hard_sigmoid(library):
    return lambda z: library.ops.clip(0.2 * z + 0.5, 0.0, 1.0)


HARD = {
    "LSTM": (keras.LSTMHardSigmoid, {}),
    "GRU": (keras.GRUHardSigmoid, {}),
    "GRU reset before": (keras.GRUResetBeforeHardSigmoid, {"reset_after": False}),
}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", HARD)
def test_hard_sigmoid(library, name, version):
    """Keras 2 has clip(0.2 z + 0.5), Keras 3 clip(z / 6 + 0.5)."""
    cell, options = HARD[name]
    gates = keras2_hard_sigmoid(library) if version == 2 else "hard_sigmoid"
    one, x = theirs(library, name.split()[0], recurrent_activation=gates, **options), draw(9, T, B, I)
    expected, weights = run(one, x), one.get_weights()
    right, wrong = (Recurrent(cell, I, H, slope=slope) for slope in ((0.2, 1 / 6) if version == 2 else (1 / 6, 0.2)))
    keras.load_weights(right, weights, check=(x, expected))
    np.testing.assert_allclose(right(x).y, expected, rtol=0, atol=2e-6)
    for other in (wrong, Recurrent(cell.name.removesuffix("_hard_sigmoid"), I, H)):
        with pytest.raises(ValueError, match="differ from y by"):
            keras.load_weights(other, weights, check=(x, expected))
    back = theirs(library, name.split()[0], seed=3, recurrent_activation=gates, **options)
    back.set_weights(keras.get_weights(right))
    np.testing.assert_allclose(run(back, x), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("cell", [each for each, _ in HARD.values()])
def test_gradients_of_hard_sigmoid(cell):
    layer = Recurrent(cell, I, H, dtype="float64", seed=0)
    x, dy = draw(1, T, B, I, dtype="float64"), draw(2, T, B, H, dtype="float64")
    layer.params.flat[...] = draw(3, layer.params.size, dtype="float64")
    y = layer(x).y
    assert y.shape == dy.shape and np.isfinite(y).all()
    grads, k, step = layer(x).backward(dy), (2, 1, 3), 1e-6
    moved = []
    for sign in (1, -1):
        there = x.copy()
        there[k] += sign * step
        moved.append((layer(there).y * dy).sum())
    np.testing.assert_allclose(grads.x[k], (moved[0] - moved[1]) / (2 * step), rtol=1e-6)


@pytest.mark.parametrize("cell", [keras.LSTMHardSigmoid, keras.GRUHardSigmoid, keras.GRUResetBeforeHardSigmoid])
def test_a_net_of_hard_sigmoid_in_a_file(cell, tmp_path):
    """`load` knows the cell, without or with ``cell=``; a class of another package with its name it does not know."""
    layer = Recurrent(cell, I, H, slope=1 / 6, seed=0)
    pylstm.save(tmp_path / "net", layer)
    for options in ({}, {"cell": cell}):
        again = pylstm.load(tmp_path / "net", **options)
        np.testing.assert_array_equal(again(draw(1, T, B, I)).y, layer(draw(1, T, B, I)).y)
    model = pylstm.SequenceModel(cell, I, H, 2, slope=1 / 6, seed=0)
    pylstm.save(tmp_path / "model", model)
    np.testing.assert_array_equal(
        pylstm.load(tmp_path / "model").predict(draw(1, T, B, I)), model.predict(draw(1, T, B, I))
    )
    other = type(cell.__name__, (cell,), {"__module__": "elsewhere.cells", "name": cell.name})
    pylstm.save(tmp_path / "other", Recurrent(other, I, H, seed=0))
    with pytest.raises(LookupError, match=f"needs the cell '{cell.name}' of package 'elsewhere'"):
        pylstm.load(tmp_path / "other")


@pytest.mark.parametrize(
    ("kind", "options", "cell", "message"),
    [
        ("GRU", {"reset_after": False}, "gru", "what the cell 'gru_reset_before' does, but the layer has 'gru'"),
        ("LSTM", {"recurrent_activation": "hard_sigmoid"}, "lstm", "keras.LSTMHardSigmoid, ..., slope=0.16666666666"),
        ("LSTM", {"recurrent_activation": "hard_sigmoid"}, keras.LSTMHardSigmoid, "slope=0.166666666667"),
        ("SimpleRNN", {"activation": "relu"}, "rnn_tanh", r"make it with Recurrent\('rnn_relu', ...\)"),
        ("SimpleRNN", {"activation": "elu"}, "rnn_tanh", "activation='elu', those with a cell are 'tanh', 'relu'"),
        (
            "LSTM",
            {"activation": "relu"},
            "lstm",
            "activation='relu', recurrent_activation='sigmoid'; those with a cell",
        ),
        ("GRU", {"go_backwards": True}, "gru", "go_backwards=True: load the weights of the layer alone"),
    ],
)
def test_layers_of_keras_that_another_cell_computes(library, kind, options, cell, message):
    layer = Recurrent(cell, I, H, seed=0)
    before = layer.params.flat.copy()
    with pytest.raises(ValueError, match=message):
        keras.load_weights(layer, theirs(library, kind, **options))
    np.testing.assert_array_equal(layer.params.flat, before)


def model_of(library, *layers):
    model = library.Sequential([library.Input((T, I)), *layers])
    model.layers[0].set_weights([0.6 * draw(k, *a.shape) for k, a in enumerate(model.layers[0].get_weights())])
    return model


def saved(model, path, version="", change=lambda text: text, arrays=None):
    """A file as Keras 3 writes it, then with a part of it as Keras 2 does."""
    h5py = pytest.importorskip("h5py")
    model.save(path)
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = version or file.attrs["keras_version"]
        file.attrs["model_config"] = change(file.attrs["model_config"])
        group = file["model_weights"][model.layers[0].name]
        for name, array in zip(group.attrs["weight_names"], arrays or []):
            del group[name]
            group[name] = array
    return path


# Keras warns that its own file format is newer.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("both", [False, True])
def test_files_of_keras(library, tmp_path, kind, both):
    one = getattr(library.layers, kind)(H, return_sequences=True, name="body")
    model = model_of(library, library.layers.Bidirectional(one, name="body") if both else one, library.layers.Dense(2))
    found, x = keras.load(saved(model, tmp_path / "net.h5")), draw(9, B, T, I)
    assert list(found) == ["body"]
    expected = np.asarray(model.layers[0](x).detach())
    np.testing.assert_allclose(found["body"](x).y, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("version", ["2.2.4-tf", ""])
@pytest.mark.parametrize("name", HARD)
def test_files_of_hard_sigmoid(library, tmp_path, name, version):
    options = HARD[name][1]
    model = model_of(
        library, getattr(library.layers, name.split()[0])(H, recurrent_activation="hard_sigmoid", **options)
    )
    layer = keras.load(saved(model, tmp_path / "net.h5", version))[model.layers[0].name]
    gates = keras2_hard_sigmoid(library) if version else "hard_sigmoid"
    one, x = theirs(library, name.split()[0], recurrent_activation=gates, **options), draw(9, B, T, I)
    one.set_weights(model.layers[0].get_weights())
    np.testing.assert_allclose(layer(x).y, run(one, x.swapaxes(0, 1)).swapaxes(0, 1), rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_files_of_cudnn(library, tmp_path, kind):
    model, x = model_of(library, getattr(library.layers, kind)(H, return_sequences=True)), draw(9, B, T, I)
    weights = to_cudnn(model.layers[0].get_weights())
    change = lambda text: text.replace(f'"{kind}"', f'"CuDNN{kind}"')  # noqa: E731
    (layer,) = keras.load(saved(model, tmp_path / "net.h5", "2.2.4", change, weights)).values()
    np.testing.assert_allclose(layer(x).y, np.asarray(model.layers[0](x).detach()), rtol=0, atol=2e-6)


def test_files_that_are_not_read(library, tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.h5"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        keras.load(path)
    path.write_bytes(b"PK\x03\x04 and more")
    with pytest.raises(ValueError, match=r"a file of Keras' own format: layer = keras\.saving\.load_model"):
        keras.load(path)
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not an HDF5 file"):
        keras.load(path)
    with h5py.File(path, "w") as file:
        file["x"] = np.ones(3)
    with pytest.raises(ValueError, match="holds no model, or weights without the layers"):
        keras.load(path)
    model = model_of(library, library.layers.GRU(H, name="body"))
    for change, message in (
        (lambda text: text.replace('"class_name": "GRU"', '"class_name": "Dense"'), "no recurrent layer among"),
        (
            lambda text: text.replace('"class_name": "GRU"', '"class_name": "Model"'),
            "'body' is a model within the model",
        ),
        (lambda text: text.replace('"go_backwards": false', '"go_backwards": true'), "has go_backwards=True"),
        (lambda text: text.replace('"units": 5', '"units": 6'), "has 6 units, but a recurrent kernel of 5 rows"),
        (lambda text: text[:40], "x.h5"),
    ):
        with pytest.raises(ValueError, match=message):
            keras.load(saved(model, path, "", change))


def bidirectional(library, backward=None, **options):
    """A ``Bidirectional`` whose backward LSTM has its own settings."""
    layers, given = library.layers, {}
    if backward is not None:
        given["backward_layer"] = layers.LSTM(H, return_sequences=True, go_backwards=True, **backward)
    return layers.Bidirectional(layers.LSTM(H, return_sequences=True), name="body", **given, **options)


# Keras warns that its own file format is newer.
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("backward", "options", "message"),
    [
        ({"recurrent_activation": "hard_sigmoid"}, {}, "'body' has a backward layer with other settings"),
        ({"activation": "relu"}, {}, "activation='relu'"),
        (None, {"merge_mode": "sum"}, "'body' has merge_mode='sum'"),
    ],
)
def test_both_directions_are_looked_at(library, tmp_path, backward, options, message):
    model, layer = model_of(library, bidirectional(library, backward, **options)), pylstm.LSTM(I, H, bidirectional=True)
    before = layer.params.flat.copy()
    with pytest.raises(ValueError, match=message):
        keras.load_weights(layer, model.layers[0])
    with pytest.raises(ValueError, match=message):
        keras.load(saved(model, tmp_path / "net.h5"))
    np.testing.assert_array_equal(layer.params.flat, before)


def test_a_backward_layer_with_the_same_settings(library):
    theirs_, layer = bidirectional(library, {}), pylstm.LSTM(I, H, bidirectional=True)
    x = draw(9, T, B, I)
    expected = run(theirs_, x)
    keras.load_weights(layer, theirs_, check=(x, expected))


def test_what_holds_no_weights_for_it(library):
    layer = pylstm.LSTM(I, H)
    with pytest.raises(TypeError, match="a list of arrays or a layer of Keras, got NoneType"):
        keras.load_weights(layer, None)
    with pytest.raises(ValueError, match="is of the class Dense; those that are read: LSTM, GRU"):
        keras.load_weights(layer, library.layers.Dense(3))
    with pytest.raises(ValueError, match="has no weights yet: build it, by calling it once"):
        keras.load_weights(layer, library.layers.LSTM(H))
    with pytest.raises(ValueError, match=r"are of a whole model, Sequential: pass one of its layers"):
        keras.load_weights(layer, library.Sequential([library.Input((T, I)), library.layers.LSTM(H)]))


def test_weights_of_keras_that_are_not_finite():
    layer, weights = pylstm.LSTM(I, H), keras.get_weights(pylstm.LSTM(I, H, seed=0))
    weights[1][2, 3] = np.nan
    with pytest.raises(ValueError, match=r"weights\[1\] must be finite, holds nan"):
        keras.load_weights(layer, weights)
    keras.load_weights(layer, weights, allow_nonfinite=True)
