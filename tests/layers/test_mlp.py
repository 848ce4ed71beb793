"""`MLP`: values, gradients by differences, one buffer, files."""

import copy
import pickle

import numpy as np
import pytest

import pylstm
from pylstm.engine.levels import load
from pylstm.feedforward.mlp import MLP

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("sizes", [(), (7,), (7, 4)])
def test_gradients_are_those_of_differences(sizes, activation, bias):
    head = MLP(3, sizes, 2, activation, bias=bias, dtype="float64", seed=1)
    x, dy = RNG.normal(size=(6, 5, 3)), RNG.normal(size=(6, 5, 2))
    run = head(x)
    grads = run.backward(dy)
    assert grads.x.shape == x.shape and grads.params.same_layout(head.params)
    for array, grad in ((x, grads.x), (head.params.flat, grads.params.flat)):
        direction, before, values = RNG.normal(size=array.shape), array.copy(), []
        for step in (1e-6, -1e-6):
            array[...] = before + step * direction
            values.append(np.vdot(head(x).y, dy))
        array[...] = before
        assert np.vdot(grad, direction) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-7)
    head.params.flat[...] = 0  # the run has its own copies
    np.testing.assert_array_equal(run.backward(dy).params.flat, grads.params.flat)


def test_values():
    head = MLP(3, (4,), 2, dtype="float64", seed=0)
    x, p = RNG.normal(size=(5, 3)), head.params
    hidden = np.maximum(x @ p["0.weight"].T + p["0.bias"], 0)
    np.testing.assert_allclose(head(x).y, hidden @ p["1.weight"].T + p["1.bias"], rtol=0, atol=1e-14)
    assert head.sizes == (4,) and repr(head) == "MLP(3, (4,), 2, 'relu', dtype='float64')"
    same = MLP(3, (4,), 2, dtype="float64", seed=0)
    np.testing.assert_array_equal(same.params.flat, p.flat)
    assert len(np.unique(p.flat)) == p.size  # every map draws its own


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda head: pickle.loads(pickle.dumps(head))])
def test_copies_own_their_parameters(again):
    head = MLP(3, (4,), 2, seed=0)
    other, x = again(head), np.ones((1, 3), "f4")
    np.testing.assert_array_equal(other(x).y, head(x).y)
    other.params.flat[...] = 0
    assert not other(x).y.any() and head(x).y.any()


def test_a_saved_head_comes_back(tmp_path):
    head = MLP(3, (4, 5), 2, "tanh", bias=False, seed=0)
    pylstm.save(tmp_path / "m", head)
    again = pylstm.load(tmp_path / "m")
    assert repr(again) == repr(head)
    np.testing.assert_array_equal(again.params.flat, head.params.flat)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: MLP(3, (4,), 2, "gelu"), ValueError, "activation must be one of relu, tanh, got 'gelu'"),
        (lambda: MLP(3, (0,), 2), ValueError, "at least 1"),
        (
            lambda: MLP(3, 4, 2),
            TypeError,
            r"sizes must be a list of the widths of the hidden layers, such as \[32\], got 4",
        ),
        (lambda: MLP(3, (4,), 2)(np.ones((5, 3))), TypeError, "float32"),
        (lambda: MLP(3, (4,), 2, dtype="float64")(np.ones((5, 3))).backward(np.ones((5, 3))), ValueError, "dy must"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tanh_has_the_bits_of_the_engine(dtype):
    """NumPy's has others, which differ between machines."""
    x = np.random.default_rng(0).standard_normal((50, 3)).astype(dtype) * 2
    mlp = MLP(3, (64,), 2, "tanh", dtype=dtype, seed=0)
    z = mlp.layers[0](x).y
    hidden = np.empty_like(z)
    load("pylstm.engine.activations").apply("tanh", z.ravel(), hidden.reshape(-1))
    assert (hidden != np.tanh(z)).any()
    assert (mlp(x).y == mlp.layers[1](hidden).y).all()
