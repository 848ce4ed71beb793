"""A weight or a mask of 0 removes a value from every loss, whatever it is: NaN, infinity, a target out of range."""

import warnings

import numpy as np
import pytest

from pylstm.losses.classification import sigmoid_cross_entropy, softmax_cross_entropy
from pylstm.losses.ctc import ctc_loss
from pylstm.losses.regression import gaussian_likelihood, huber, mean_squared_error, quantile_loss

RNG = np.random.default_rng(17)
LEVELS = (0.1, 0.5, 0.8)
# loss, options, columns of y, shape of a target and of a weight after (N, T), a target
CASES = {
    "mean_squared_error": (mean_squared_error, {}, 2, (2,), (2,), "float"),
    "huber": (huber, {"delta": 0.6}, 2, (2,), (2,), "float"),
    "gaussian_likelihood": (gaussian_likelihood, {}, 4, (2,), (2,), "float"),
    "quantile_loss": (quantile_loss, {"quantiles": LEVELS}, 3, (), (), "float"),
    "softmax": (softmax_cross_entropy, {}, 3, (), (), "class"),
    "softmax, smoothed": (softmax_cross_entropy, {"smoothing": 0.2}, 3, (), (), "class"),
    "sigmoid": (sigmoid_cross_entropy, {}, 2, (2,), (2,), "share"),
    "sigmoid, whole numbers": (sigmoid_cross_entropy, {}, 2, (2,), (2,), "bit"),
}
BAD = {
    "float": (np.nan, np.inf, -np.inf, 1e300),
    "share": (np.nan, np.inf, -7.0, 2.0),
    "class": (-100, 3, 10**9, -1),
    "bit": (-100, 2, 255, -1),
}
every_case = pytest.mark.parametrize("case", CASES)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def drawn(case, dtype):
    _, _, columns, target, weight, kind = CASES[case]
    y = RNG.normal(size=(5, 4, columns)).astype(dtype)
    t = {
        "float": lambda: RNG.normal(size=(5, 4, *target)).astype(dtype),
        "share": lambda: RNG.random(size=(5, 4, *target)).astype(dtype),
        "class": lambda: RNG.integers(3, size=(5, 4, *target)),
        "bit": lambda: RNG.integers(2, size=(5, 4, *target)),
    }[kind]()
    weights = RNG.uniform(0.2, 1.5, size=(5, 4, *weight)).astype(dtype)
    weights[RNG.random(weights.shape) < 0.4] = 0
    return y, t, weights


def spoilt(case, y, t, weights, bad_y, bad_t):
    """`y` and `t` with bad values wherever the weight is 0."""
    out = weights == 0
    y, t = y.copy(), t.copy()
    t[out] = bad_t
    if CASES[case][0] is gaussian_likelihood:
        out = np.concatenate([out, out], axis=-1)
    y[out] = bad_y
    return y, t, out


@every_case
@every_dtype
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_what_has_no_weight_has_no_effect(case, dtype, reduction):
    loss, options, *_, kind = CASES[case]
    y, t, weights = drawn(case, dtype)
    value, dy = loss(y, t, weights=weights, reduction=reduction, **options)
    assert np.isfinite(value) and value > 0
    for bad_y, bad_t in zip((np.nan, np.inf, -np.inf, 3e38), BAD[kind], strict=True):
        with np.errstate(over="ignore"):
            worse, target, out = spoilt(case, y, t, weights, bad_y, bad_t)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            again, dagain = loss(worse, target, weights=weights, reduction=reduction, **options)
        assert again == value
        np.testing.assert_array_equal(dagain, dy)
        assert (dagain[out] == 0).all() and (dagain[~out] != 0).any()


@every_case
def test_a_mask_does_the_same(case):
    loss, options, *_, kind = CASES[case]
    y, t, weights = drawn(case, "float64")
    mask = weights > 0
    expected = loss(y, t, weights=mask.astype("float64"), **options)
    worse, target, _ = spoilt(case, y, t, weights, np.nan, BAD[kind][0])
    value, dy = loss(worse, target, weights=mask, **options)
    assert value == expected[0]
    np.testing.assert_array_equal(dy, expected[1])


@every_case
def test_nothing_left_is_zero(case):
    loss, options, *_ = CASES[case]
    y, t, weights = drawn(case, "float32")
    value, dy = loss(np.full_like(y, np.nan), t, weights=np.zeros_like(weights), **options)
    assert value == 0 and (dy == 0).all()


@every_case
def test_what_has_a_weight_is_not_hidden(case):
    """A NaN that counts is seen: in the value, or as an error where a target cannot be one."""
    loss, options, *_ = CASES[case]
    y, t, weights = drawn(case, "float64")
    weights[0, 0] = 0.5
    y[0, 0] = np.nan
    assert np.isnan(loss(y, t, weights=weights, **options)[0])


@pytest.mark.parametrize(("name", "bad"), [("softmax", 3), ("softmax", -100), ("sigmoid", 1.5), ("sigmoid", np.nan)])
def test_a_target_that_counts_is_still_checked(name, bad):
    loss, options, *_ = CASES[name]
    y, t, weights = drawn(name, "float64")
    weights[1, 1], t[1, 1] = 0.5, bad
    with pytest.raises(ValueError, match="targets must be in 0"):
        loss(y, t, weights=weights, **options)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_weights_themselves_are_numbers(bad):
    y = np.zeros((2, 2))
    with pytest.raises(ValueError, match="weights must be 0 or more and finite"):
        mean_squared_error(y, y, weights=np.array([[0.0, 1.0], [bad, 2.0]]))


def test_the_example_of_the_issue():
    value, dy = mean_squared_error(np.zeros((2, 1)), np.array([[np.nan], [1.0]]), weights=np.array([[False], [True]]))
    assert value == 1.0
    assert dy.tolist() == [[0.0], [-2.0]]


@every_dtype
@pytest.mark.parametrize("weighted", [np.array([1.0, 0, 0.5, 2, 0]), np.array([True, False, True, True, False])])
def test_ctc(dtype, weighted):
    logits = RNG.normal(size=(7, 5, 4)).astype(dtype)
    targets, lengths = RNG.integers(1, 4, size=(5, 3)), np.array([7, 7, 6, 7, 7])
    weights = weighted if weighted.dtype == bool else weighted.astype(dtype)
    value, d = ctc_loss(logits, targets, lengths, weights=weights)
    assert value > 0 and (d[:, weighted == 0] == 0).all() and (d[:, weighted != 0] != 0).any()
    worse, wrong = logits.copy(), targets.copy()
    worse[:, 1], worse[2, 4], worse[6, 2] = np.nan, np.inf, np.nan  # rows of weight 0, and beyond the end of row 2
    wrong[1], wrong[4] = -100, 0  # out of range, the blank
    again, dagain = ctc_loss(worse, wrong, lengths, weights=weights)
    assert again == value
    np.testing.assert_array_equal(dagain, d)
    short = np.array([7, 1, 6, 7, 7])  # too few steps for the labels of row 1, which has no weight
    again, dagain = ctc_loss(worse, wrong, short, weights=weights)
    assert again == value
    np.testing.assert_array_equal(dagain, d)
