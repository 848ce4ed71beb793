"""Losses: values by the formulas of scipy and NumPy, cotangents by differences, refusals."""

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from numeric import differences
from pylstm.losses.classification import sigmoid_cross_entropy, softmax_cross_entropy
from pylstm.losses.regression import squared_error

RNG = np.random.default_rng(5)
LOGITS = 3 * RNG.normal(size=(4, 3, 5))
CLASSES = RNG.integers(5, size=(4, 3))
BITS = RNG.random(size=LOGITS.shape)
WEIGHTS = RNG.random(size=CLASSES.shape)
MASK = WEIGHTS > 0.4


@pytest.mark.parametrize("factor", [1.0, 0.5, 0.3])
def test_squared_error(factor):
    y, target = RNG.normal(size=(2, 7, 3))
    value, dy = squared_error(y, target, factor)
    assert value == pytest.approx(factor * np.sum((y - target) ** 2), rel=1e-14)
    np.testing.assert_allclose(dy, 2 * factor * (y - target), rtol=1e-14)
    np.testing.assert_allclose(dy, differences(lambda y: squared_error(y, target, factor)[0], y), atol=1e-8)


@pytest.mark.parametrize("weights", [None, WEIGHTS, MASK], ids=["none", "floats", "mask"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_softmax_cross_entropy(weights, reduction):
    value, dlogits = softmax_cross_entropy(LOGITS, CLASSES, weights=weights, reduction=reduction)
    w = np.ones(CLASSES.shape) if weights is None else weights.astype(float)
    losses = -np.take_along_axis(log_softmax(LOGITS, axis=-1), CLASSES[..., None], axis=-1)[..., 0]
    scale = 1 / w.sum() if reduction == "mean" else 1.0
    assert value == pytest.approx(scale * np.sum(w * losses), rel=1e-14)
    expected = scale * w[..., None] * (softmax(LOGITS, axis=-1) - np.eye(5)[CLASSES])
    np.testing.assert_allclose(dlogits, expected, rtol=0, atol=1e-15)
    by_differences = differences(
        lambda z: softmax_cross_entropy(z, CLASSES, weights=weights, reduction=reduction)[0], LOGITS
    )
    np.testing.assert_allclose(dlogits, by_differences, rtol=0, atol=1e-7)


@pytest.mark.parametrize("weights", [None, BITS + 0.1, BITS > 0.3], ids=["none", "floats", "mask"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_sigmoid_cross_entropy(weights, reduction):
    value, dlogits = sigmoid_cross_entropy(LOGITS, BITS, weights=weights, reduction=reduction)
    w = np.ones(BITS.shape) if weights is None else weights.astype(float)
    p, scale = expit(LOGITS), 1 / w.sum() if reduction == "mean" else 1.0
    assert value == pytest.approx(-scale * np.sum(w * (BITS * np.log(p) + (1 - BITS) * np.log1p(-p))), rel=1e-13)
    np.testing.assert_allclose(dlogits, scale * w * (p - BITS), rtol=0, atol=1e-15)
    by_differences = differences(
        lambda z: sigmoid_cross_entropy(z, BITS, weights=weights, reduction=reduction)[0], LOGITS
    )
    np.testing.assert_allclose(dlogits, by_differences, rtol=0, atol=1e-7)


def test_bool_and_integer_targets_are_zeros_and_ones():
    z, t = LOGITS[0], BITS[0] > 0.5
    value, dlogits = sigmoid_cross_entropy(z, t.astype(float))
    for targets in (t, t.astype(int)):
        again, dagain = sigmoid_cross_entropy(z, targets)
        assert again == value
        np.testing.assert_array_equal(dagain, dlogits)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_overflow(dtype):
    big = np.array([[1e30, -1e30, 0]], dtype)
    value, dlogits = softmax_cross_entropy(big, np.array([1]))
    assert value == pytest.approx(2e30, rel=1e-6) and dlogits.tolist() == [[1, -1, 0]]
    value, dlogits = sigmoid_cross_entropy(big, np.array([[0.0, 1, 1]], dtype), reduction="sum")
    assert value == pytest.approx(2e30, rel=1e-6) and dlogits.tolist() == [[1, -1, -0.5]]
    assert dlogits.dtype == dtype


def test_values_are_summed_in_float64():
    y = np.full(2**16, 1.0, "f4")
    y[0] = 1e4
    assert squared_error(y, np.zeros_like(y))[0] == 1e8 + 2**16 - 1
    z = np.zeros(2**16, "f4")
    z[0] = 1e8
    value, _ = sigmoid_cross_entropy(z, np.zeros_like(z), reduction="sum")
    assert value == pytest.approx(1e8 + (2**16 - 1) * np.log(2), abs=0.05)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_the_mean_of_nothing_is_zero(shape):
    value, dlogits = softmax_cross_entropy(np.zeros((*shape, 4)), np.zeros(shape, int))
    assert value == 0 and dlogits.shape == (*shape, 4)
    assert sigmoid_cross_entropy(np.zeros(shape), np.zeros(shape))[0] == 0
    value, dlogits = softmax_cross_entropy(LOGITS, CLASSES, weights=np.zeros(CLASSES.shape, bool))
    assert value == 0 and not dlogits.any()


def test_inputs_are_not_changed():
    logits, targets, weights = LOGITS.copy(), CLASSES.copy(), WEIGHTS.copy()
    softmax_cross_entropy(logits, targets, weights=weights)
    sigmoid_cross_entropy(logits, BITS)
    np.testing.assert_array_equal(logits, LOGITS)
    np.testing.assert_array_equal(targets, CLASSES)
    np.testing.assert_array_equal(weights, WEIGHTS)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: squared_error([1, 2], [1, 2]), TypeError, "y must be float32 or float64, got int64"),
        (lambda: squared_error(np.zeros(2), np.zeros(3)), ValueError, r"target must have shape \(2,\), got \(3,\)"),
        (lambda: squared_error(np.zeros(2), np.zeros(2, "f4")), TypeError, "target must be float64, got float32"),
        (lambda: squared_error(np.zeros(2), np.zeros(2), np.nan), ValueError, "factor must be finite"),
        (lambda: softmax_cross_entropy(LOGITS, CLASSES[0]), ValueError, r"\(4, 3\).*got \(3,\)"),
        (lambda: softmax_cross_entropy(LOGITS, CLASSES + 1), ValueError, r"targets must be in 0\.\.4, got 5"),
        (lambda: softmax_cross_entropy(LOGITS, CLASSES - 5), ValueError, r"targets must be in 0\.\.4, got -\d"),
        (lambda: softmax_cross_entropy(LOGITS, CLASSES * 1.0), TypeError, "targets must be integers, got float64"),
        (lambda: softmax_cross_entropy(LOGITS.astype("f2"), CLASSES), TypeError, "got float16"),
        (lambda: softmax_cross_entropy(np.float64(0), 0), ValueError, r"shape \(..., V\)"),
        (lambda: softmax_cross_entropy(np.zeros((2, 0)), np.zeros(2, int)), ValueError, "V >= 1"),
        (lambda: softmax_cross_entropy(LOGITS, CLASSES, weights=-WEIGHTS), ValueError, "weights must be 0 or more"),
        (lambda: softmax_cross_entropy(LOGITS, CLASSES, weights=WEIGHTS[0]), ValueError, "weights must have shape"),
        (lambda: softmax_cross_entropy(LOGITS, CLASSES, reduction="none"), ValueError, "'mean' or 'sum', got 'none'"),
        (lambda: sigmoid_cross_entropy(LOGITS, BITS + 1), ValueError, r"targets must be in 0\.\.1"),
        (lambda: sigmoid_cross_entropy(LOGITS, BITS * np.nan), ValueError, r"targets must be in 0\.\.1"),
        (lambda: sigmoid_cross_entropy(LOGITS, BITS[0]), ValueError, r"targets must have shape \(4, 3, 5\)"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
