"""LSTM with a projection (proj_size) against torch: outputs, all gradients, state dicts there and back."""

import copy

import numpy as np
import pytest

import pylstm
from pylstm.interop import keras, onnx
from pylstm.interop.torch import load_state_dict, state_dict

T, B, I, H, P = 8, 4, 3, 6, 4


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def close(ours, theirs, tolerance=1e-11):
    theirs = np.asarray(theirs.detach())
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize(("bias", "batch_first"), [(True, False), (False, True)])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_outputs_and_gradients_are_those_of_torch(layers, both, bias, batch_first):
    torch = pytest.importorskip("torch")
    torch.manual_seed(layers + 10 * both)
    options = {"num_layers": layers, "bidirectional": both, "bias": bias, "batch_first": batch_first, "proj_size": P}
    theirs = torch.nn.LSTM(I, H, dtype=torch.float64, **options)
    ours = pylstm.LSTM(I, H, dtype="float64", **options)
    load_state_dict(ours, theirs.state_dict())
    count, lead = layers * (1 + both), (B, T) if batch_first else (T, B)
    x, dy = draw(1, *lead, I), draw(2, *lead, P * (1 + both))
    initial, dfinal = ({"h": draw(s, count, B, P), "c": draw(s + 1, count, B, H)} for s in (3, 5))

    x_t, h_t, c_t = (torch.from_numpy(a.copy()).requires_grad_() for a in (x, *initial.values()))
    y_t, last = theirs(x_t, (h_t, c_t))
    torch.autograd.backward([y_t, *last], [torch.from_numpy(a) for a in (dy, *dfinal.values())])

    one = layers == 1 and not both  # a single layer: states without a leading axis
    run = ours(x, {name: array[0] if one else array for name, array in initial.items()})
    grads = run.backward(dy, dfinal={name: array[0] if one else array for name, array in dfinal.items()})
    close(run.y, y_t, 1e-12)
    close(grads.x, x_t.grad)
    for name, end, start in zip("hc", last, (h_t, c_t)):
        close(run.final[name][None] if one else run.final[name], end, 1e-12)
        close(grads.initial[name][None] if one else grads.initial[name], start.grad)
    as_theirs = copy.deepcopy(ours)
    as_theirs.params.flat[...] = grads.params.flat
    found = state_dict(as_theirs)
    assert list(found) == [name for name, _ in theirs.named_parameters()]
    for key, array in found.items():
        if not key.startswith("bias_hh"):
            close(array, getattr(theirs, key).grad)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("both", [False, True])
def test_torch_computes_the_same_from_our_state_dict(layers, both):
    torch = pytest.importorskip("torch")
    ours = pylstm.LSTM(I, H, layers, bidirectional=both, proj_size=P, dtype="float64", seed=4)
    theirs = torch.nn.LSTM(I, H, layers, bidirectional=both, proj_size=P, dtype=torch.float64)
    theirs.load_state_dict({key: torch.from_numpy(array) for key, array in state_dict(ours).items()})
    x = draw(1, T, B, I)
    close(ours(x).y, theirs(torch.from_numpy(x))[0], 1e-12)


def test_round_trip_without_torch():
    one, two = (pylstm.LSTM(I, H, 2, bidirectional=True, proj_size=P, seed=seed) for seed in (0, 1))
    state = state_dict(one)
    assert state["weight_hr_l1_reverse"].shape == (P, H) and state["weight_hh_l0"].shape == (4 * H, P)
    assert state["weight_ih_l1"].shape == (4 * H, 2 * P)
    load_state_dict(two, state)
    np.testing.assert_array_equal(two.params.flat, one.params.flat)
    state["weight_hr_l0"][...] = 5
    assert not (one.params["0.weight_m"] == 5).any()


def test_the_layer():
    layer = pylstm.LSTM(I, H, proj_size=P, seed=0)
    assert type(layer) is pylstm.LSTM and layer.cell.name == "lstmp" and layer.output_size == P
    assert pylstm.LSTM(I, H, proj_size=0).cell.name == "lstm"
    assert isinstance(pylstm.LSTM(I, H, 2, proj_size=P), pylstm.Stack)
    other = copy.deepcopy(layer)
    x = draw(1, T, B, I).astype("float32")
    np.testing.assert_array_equal(other(x).y, layer(x).y)
    np.testing.assert_array_equal(layer.stream(B).feed(x), layer(x).y)
    for wrong in (-1, 2.5, True):
        with pytest.raises(ValueError, match="proj_size must be an integer of at least 0"):
            pylstm.LSTM(I, H, proj_size=wrong)
    with pytest.raises(TypeError):
        pylstm.GRU(I, H, proj_size=P)


def test_save_and_load(tmp_path):
    stack, x = pylstm.LSTM(I, H, 2, proj_size=P, seed=0), draw(1, T, B, I).astype("float32")
    pylstm.save(tmp_path / "stack", stack)
    np.testing.assert_array_equal(pylstm.load(tmp_path / "stack")(x).y, stack(x).y)


def test_what_does_not_fit():
    plain, projected = pylstm.LSTM(I, H), pylstm.LSTM(I, H, proj_size=P)
    before = projected.params.flat.copy()
    with pytest.raises(ValueError, match=r"state_dict has a projection, but the layer has none.*weight_hr_l0"):
        load_state_dict(plain, state_dict(projected))
    with pytest.raises(ValueError, match=r"state_dict has no projection, but the layer has one.*weight_hr_l0"):
        load_state_dict(projected, state_dict(plain))
    with pytest.raises(ValueError, match=r"'weight_hh_l0'\] must have shape \(24, 4\), got \(24, 3\)"):
        load_state_dict(projected, state_dict(pylstm.LSTM(I, H, proj_size=3)))
    with pytest.raises(ValueError, match=r"'weight_hr_l0'\] must have shape \(4, 6\), got \(1, 6\)"):
        load_state_dict(projected, state_dict(projected) | {"weight_hr_l0": np.ones((1, H), "float32")})
    with pytest.raises(ValueError, match="state_dict holds 2 layers, but the layer has num_layers=1"):
        load_state_dict(projected, state_dict(pylstm.LSTM(I, H, 2, proj_size=P)))
    np.testing.assert_array_equal(projected.params.flat, before)
    with pytest.raises(ValueError, match="must have the same hidden size and bias"):
        state_dict(pylstm.Stack([pylstm.LSTM(I, H, proj_size=P), pylstm.LSTM(P, H, proj_size=3)]))
    for write in (keras.get_weights, onnx.tensors):
        with pytest.raises(TypeError, match="no layer with the cell 'lstmp'"):
            write(projected)
