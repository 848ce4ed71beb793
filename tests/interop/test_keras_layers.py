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
