"""Haste's parameters against its equations written out, round trips, and what does not fit.

Haste needs a GPU to be built; the equations are those of its documentation and of its own CPU path.
"""

import numpy as np
import pytest
import safetensors.numpy

from pylstm.interop import haste, torch
from pylstm.layers.named import Recurrent

T, B, I, H = 6, 3, 4, 5


def draw(seed, *shape, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def haste_like(cell, seed=1, dtype="float64"):
    columns = H * (4 if cell == "lstm" else 3)
    shapes = {"kernel": (I, columns), "recurrent_kernel": (H, columns), "bias": (columns,)}
    shapes |= {"recurrent_bias": (columns,)} if cell == "gru" else {}
    return {key: draw(seed + k, *shape, dtype=dtype) for k, (key, shape) in enumerate(shapes.items())}


def outputs(cell, x, kernel, recurrent_kernel, bias, recurrent_bias=None, zoneout=0.0):
    """Haste's layers in evaluation, from states of 0."""
    h, c, out = np.zeros((B, H)), np.zeros((B, H)), []
    for x_t in x:
        if cell == "lstm":
            i, g, f, o = np.split(x_t @ kernel + h @ recurrent_kernel + bias, 4, 1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            new = sigmoid(o) * np.tanh(c)
        else:
            x_z, x_r, x_g = np.split(x_t @ kernel + bias, 3, 1)
            h_z, h_r, h_g = np.split(h @ recurrent_kernel + recurrent_bias, 3, 1)
            z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
            new = z * h + (1 - z) * np.tanh(x_g + r * h_g)
        h = zoneout * h + (1 - zoneout) * new
        out.append(h)
    return np.array(out)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_outputs_and_back(cell):
    state, x, layer = haste_like(cell), draw(9, T, B, I), Recurrent(cell, I, H, dtype="float64", seed=0)
    expected = outputs(cell, x, **state)
    haste.load_state_dict(layer, state, check=(x, expected))
    np.testing.assert_allclose(layer(x).y, expected, rtol=0, atol=1e-12)
    back = haste.state_dict(layer)
    assert {key: array.shape for key, array in back.items()} == {key: array.shape for key, array in state.items()}
    np.testing.assert_allclose(outputs(cell, x, **back), expected, rtol=0, atol=1e-12)
    again = Recurrent(cell, I, H, dtype="float64")
    haste.load_state_dict(again, {f"rnn.{key}": array for key, array in back.items()}, prefix="rnn.")
    np.testing.assert_array_equal(again.params.flat, layer.params.flat)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_zoneout_is_a_blend(cell):
    state, x, layer = haste_like(cell), draw(9, T, B, I), Recurrent(cell, I, H, dtype="float64")
    haste.load_state_dict(layer, state)
    run = layer(x, blend={"h": np.full((T, B, H), 1 - 0.3)})
    np.testing.assert_allclose(run.y, outputs(cell, x, **state, zoneout=0.3), rtol=0, atol=1e-12)


def test_from_torch_to_haste():
    layer, state = Recurrent("gru", I, H, dtype="float64"), haste_like("gru")
    haste.load_state_dict(layer, state)
    there = torch.state_dict(layer)  # rows r, z, n; each column block of Haste z, r, n
    z, r, n = np.split(state["kernel"].T, 3)
    np.testing.assert_array_equal(there["weight_ih_l0"], np.concatenate([r, z, n]))


def test_files_of_half_precision(tmp_path):
    state, layer = haste_like("lstm", dtype="float16"), Recurrent("lstm", I, H)
    safetensors.numpy.save_file(state, tmp_path / "x")
    with pytest.warns(UserWarning, match="state_dict: 3 arrays converted from float16 to float32"):
        haste.load_state_dict(layer, tmp_path / "x")
    np.testing.assert_array_equal(haste.state_dict(layer)["kernel"], state["kernel"])


LSTM, GRU = haste_like("lstm"), haste_like("gru")
JOINED = {"kernel": draw(1, I + H, 4 * H), "bias": LSTM["bias"]}
INDRNN = {"kernel": draw(1, I, H), "recurrent_scale": draw(2, H), "bias": draw(3, H)}


@pytest.mark.parametrize(
    ("cell", "state", "error", "message"),
    [
        ("lstm", LSTM | {"gamma": draw(1, 2, 4 * H)}, ValueError, "layer normalisation .*: it normalises W x and U h"),
        ("gru", GRU | {"gamma": draw(1, 2, 3 * H)}, ValueError, "layer normalisation"),
        ("lstm", INDRNN, ValueError, "haste_pytorch.IndRNN, whose activation is tanh"),
        ("lstm", JOINED, ValueError, r"kernel holds both matrices, as in haste_tf: pass kernel\[:I\]"),
        ("lstm", GRU, ValueError, "state_dict is of a GRU .*, but the layer is an LSTM"),
        ("gru", LSTM, ValueError, "state_dict is of an LSTM .*, but the layer is a GRU"),
        (
            "gru",
            {k: a for k, a in GRU.items() if k != "recurrent_bias"},
            ValueError,
            r"missing keys \['recurrent_bias'\]",
        ),
        ("lstm", {f"a.{key}": array for key, array in LSTM.items()}, ValueError, r"pass prefix='a\.'"),
        ("lstm", LSTM | {"bias": draw(1, 3)}, ValueError, r"state_dict\['bias'\] must have shape \(20,\), got \(3,\)"),
        ("lstm", haste_like("lstm", dtype="float32"), TypeError, "must be float64, got float32"),
        ("lstm", [1], TypeError, "must be a state dict, a module or the path of a safetensors file, got list"),
        ("rnn_tanh", LSTM, TypeError, "haste has no layer with the cell 'rnn_tanh'"),
    ],
)
def test_what_does_not_fit(cell, state, error, message):
    layer = Recurrent(cell, I, H, dtype="float64", seed=0)
    before = layer.params.flat.copy()
    with pytest.raises(error, match=message):
        haste.load_state_dict(layer, state)
    np.testing.assert_array_equal(layer.params.flat, before)


def test_layers_that_haste_does_not_have():
    with pytest.raises(ValueError, match="one layer of one direction"):
        haste.state_dict(Recurrent("gru", I, H, num_layers=2))
    with pytest.raises(ValueError, match="one layer of one direction"):
        haste.load_state_dict(Recurrent("gru", I, H, bidirectional=True), GRU)
    with pytest.raises(ValueError, match="was made with bias=False"):
        haste.load_state_dict(Recurrent("gru", I, H, bias=False), GRU)
    assert not haste.state_dict(Recurrent("lstm", I, H, bias=False))["bias"].any()
