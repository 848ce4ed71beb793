"""`Linear` and `Embedding`: values, gradients by differences, refusals."""

import numpy as np
import pytest

from pylstm.feedforward.embedding import Embedding
from pylstm.feedforward.linear import Linear


def differences(function, array, step=1e-6):
    """Central differences of a number by every element of `array`, which is changed in place and put back."""
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = function()
        array[index] = value - step
        gradient[index] = (above - function()) / (2 * step)
        array[index] = value
    return gradient


@pytest.mark.parametrize("leading", [(), (4,), (3, 2), (2, 1, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_affine_and_its_gradients_are_those_of_differences(leading, bias):
    rng = np.random.default_rng(1)
    head = Linear(3, 5, bias=bias, dtype="float64", seed=2)
    x, dy = rng.normal(size=(*leading, 3)), rng.normal(size=(*leading, 5))
    run = head(x)
    expected = np.einsum("...i,oi->...o", x, head.params["weight"]) + (head.params["bias"] if bias else 0)
    np.testing.assert_allclose(run.y, expected, rtol=0, atol=1e-14)
    grads = run.backward(dy)

    def loss():
        return float(np.sum(head(x).y * dy))

    np.testing.assert_allclose(grads.x, differences(loss, x), rtol=0, atol=1e-8)
    np.testing.assert_allclose(grads.params.flat, differences(loss, head.params.flat), rtol=0, atol=1e-8)
    assert grads.params.names == head.params.names


def test_linear_run_keeps_what_it_saw():
    head, x, dy = Linear(3, 2, dtype="float64", seed=0), np.ones((4, 3)), np.ones((4, 2))
    run = head(x)
    first = run.backward(dy)
    x[...] = 7
    head.params.flat[...] = 9
    second = run.backward(dy)
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.params.flat, second.params.flat)


def test_linear_of_nothing():
    run = Linear(3, 2, seed=0)(np.zeros((0, 5, 3), "f4"))
    grads = run.backward(run.y)
    assert run.y.shape == (0, 5, 2) and grads.x.shape == (0, 5, 3) and not grads.params.flat.any()


def test_seed_decides_the_parameters_within_their_bound():
    one, same, other = (Linear(16, 50, seed=seed).params.flat for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any() and 0.2 < np.abs(one).max() <= 0.25


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (np.zeros((2, 4), "f4"), ValueError, r"x must have shape \(..., 3\), got \(2, 4\)"),
        (np.float32(0), ValueError, r"x must have shape \(3,\), got the number"),
        (np.zeros((2, 3)), TypeError, "x must be float32, got float64: .*dtype='float32'.*dtype='float64'"),
        (np.zeros((2, 3), int), TypeError, "x must be float32, got int64"),
    ],
)
def test_linear_refuses(x, error, message):
    with pytest.raises(error, match=message):
        Linear(3, 2)(x)


def test_linear_backward_refuses():
    run = Linear(3, 2)(np.zeros((5, 3), "f4"))
    with pytest.raises(ValueError, match=r"dy must have shape \(5, 2\), got \(5, 3\)"):
        run.backward(np.zeros((5, 3), "f4"))
    with pytest.raises(TypeError, match="dy must be float32"):
        run.backward(np.zeros((5, 2)))


@pytest.mark.parametrize("layer", [Linear, Embedding])
def test_sizes_below_one_are_refused(layer):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        layer(0, 3)
    with pytest.raises(ValueError, match="must be at least 1, got -1"):
        layer(3, -1)
    for wrong in (2.0, True, "3", None):
        with pytest.raises(TypeError, match="must be an integer, got"):
            layer(3, wrong)


def test_embedding_is_a_one_hot_product():
    rng = np.random.default_rng(0)
    table = Embedding(6, 4, dtype="float64", seed=1)
    indices = np.array([[5, 0, 3], [3, 3, 5]])
    dy = rng.normal(size=(2, 3, 4))
    onehot = np.eye(6)[indices]
    run = table(indices)
    np.testing.assert_array_equal(run.y, onehot @ table.params["weight"])
    expected = np.einsum("abv,abe->ve", onehot, dy)
    indices[...] = 0
    weight = run.backward(dy).params["weight"]
    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-15)
    assert not weight[[1, 2, 4]].any()


def test_embedding_of_nothing():
    run = Embedding(6, 4)(np.zeros((0, 2), int))
    assert run.y.shape == (0, 2, 4) and not run.backward(run.y).params.flat.any()


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        (np.array([6]), ValueError, r"indices must be in 0\.\.5, got 6"),
        (np.array([-1]), ValueError, r"indices must be in 0\.\.5, got -1"),
        (np.array([1.0]), TypeError, "indices must be integers, got float64"),
        (np.array([True]), TypeError, "indices must be integers, got bool"),
    ],
)
def test_embedding_refuses(indices, error, message):
    with pytest.raises(error, match=message):
        Embedding(6, 4)(indices)
