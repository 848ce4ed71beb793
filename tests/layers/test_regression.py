"""Losses of regression: values by scipy and NumPy, cotangents by differences, torch where installed, refusals."""

import numpy as np
import pytest
from scipy.special import huber as scipy_huber
from scipy.special import log_softmax
from scipy.stats import norm

from numeric import differences
from pylstm.losses.classification import sigmoid_cross_entropy, softmax_cross_entropy
from pylstm.losses.ctc import ctc_loss
from pylstm.losses.regression import gaussian_likelihood, huber, mean_squared_error, quantile_loss, squared_error

RNG = np.random.default_rng(8)
Y = 2 * RNG.normal(size=(4, 3, 6))
TARGET = RNG.normal(size=(4, 3, 6))
LEVELS = (0.05, 0.2, 0.5, 0.6, 0.9, 0.99)
CASES = {
    "mean_squared_error": (mean_squared_error, TARGET, {}, lambda y, t: (y - t) ** 2),
    "huber": (huber, TARGET, {"delta": 0.7}, lambda y, t: scipy_huber(0.7, y - t)),
    "gaussian": (
        gaussian_likelihood, TARGET[..., :3], {},
        lambda y, t: -norm.logpdf(t, y[..., :3], np.exp(y[..., 3:] / 2)),
    ),
    "quantile": (
        quantile_loss, TARGET[..., 0], {"quantiles": LEVELS},
        lambda y, t: np.where(
            t[..., None] > y, LEVELS * (t[..., None] - y), (1 - np.array(LEVELS)) * (y - t[..., None])
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("weighted", ["none", "floats", "mask"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_cotangents(name, reduction, weighted):
    loss, target, options, formula = CASES[name]
    losses = formula(Y, target)
    draw = np.random.default_rng(3).random(target.shape)
    weights = {"none": None, "floats": draw, "mask": draw > 0.4}[weighted]
    w = np.ones(target.shape) if weights is None else weights.astype(float)
    w = np.broadcast_to(w.reshape(*w.shape, *[1] * (losses.ndim - w.ndim)), losses.shape)
    options = options | {"weights": weights, "reduction": reduction}
    value, dy = loss(Y, target, **options)
    assert value == pytest.approx(np.sum(w * losses) / (w.sum() if reduction == "mean" else 1), rel=1e-13)
    np.testing.assert_allclose(dy, differences(lambda y: loss(y, target, **options)[0], Y), rtol=0, atol=2e-7)
    single = {key: each.astype("f4") if getattr(each, "dtype", 0) == "f8" else each for key, each in options.items()}
    value32, dy32 = loss(Y.astype("f4"), target.astype("f4"), **single)
    assert value32 == pytest.approx(value, rel=2e-6) and dy32.dtype == "float32"
    np.testing.assert_allclose(dy32, dy, rtol=0, atol=1e-5 * np.abs(dy).max())


@pytest.mark.parametrize(
    "weights", [None, RNG.random((4, 3)), RNG.random((4, 3)) > 0.3], ids=["none", "floats", "mask"]
)
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_label_smoothing(smoothing, weights):
    classes = RNG.integers(6, size=(4, 3))
    q = (1 - smoothing) * np.eye(6)[classes] + smoothing / 6
    w = np.ones((4, 3)) if weights is None else weights.astype(float)
    value, dlogits = softmax_cross_entropy(Y, classes, weights=weights, smoothing=smoothing)
    assert value == pytest.approx(-np.sum(w[..., None] * q * log_softmax(Y, axis=-1)) / w.sum(), rel=1e-13)
    expected = differences(lambda y: softmax_cross_entropy(y, classes, weights=weights, smoothing=smoothing)[0], Y)
    np.testing.assert_allclose(dlogits, expected, rtol=0, atol=1e-7)


def test_values_are_those_of_torch():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    y, t = torch.from_numpy(Y), torch.from_numpy(TARGET)
    classes = RNG.integers(6, size=(4, 3))
    assert huber(Y, TARGET, delta=0.7)[0] == pytest.approx(f.huber_loss(y, t, delta=0.7).item(), rel=1e-13)
    smooth = f.cross_entropy(y.reshape(-1, 6), torch.from_numpy(classes).reshape(-1), label_smoothing=0.2).item()
    assert softmax_cross_entropy(Y, classes, smoothing=0.2)[0] == pytest.approx(smooth, rel=1e-13)
    normal = f.gaussian_nll_loss(y[..., :3], t[..., :3], torch.exp(y[..., 3:]), full=True, eps=0).item()
    assert gaussian_likelihood(Y, TARGET[..., :3])[0] == pytest.approx(normal, rel=1e-13)


def test_the_minimum_of_the_quantile_loss_is_the_quantile():
    draws = np.sort(RNG.normal(size=999))
    losses = [quantile_loss(np.full((999, 1), guess), draws, quantiles=(0.9,))[0] for guess in draws]
    assert draws[np.argmin(losses)] == pytest.approx(np.quantile(draws, 0.9), abs=0.02)


def test_a_column_of_targets_is_one_target_for_all_quantiles():
    value, dy = quantile_loss(Y, TARGET[..., 0], quantiles=LEVELS)
    again, dagain = quantile_loss(Y, TARGET[..., :1], quantiles=LEVELS)
    assert value == again
    np.testing.assert_array_equal(dy, dagain)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: huber(Y, TARGET, delta=0), ValueError, "delta must be above 0"),
        (lambda: huber(Y, TARGET[0]), ValueError, "target must have shape"),
        (lambda: huber(Y, TARGET.astype("f4")), TypeError, "target must be float64"),
        (lambda: huber(Y, TARGET, weights=-TARGET), ValueError, "weights must be 0 or more"),
        (lambda: mean_squared_error(Y, TARGET, weights=TARGET[0]), ValueError, "weights must have shape"),
        (lambda: mean_squared_error(Y, TARGET, reduction="none"), ValueError, "'mean' or 'sum'"),
        (lambda: mean_squared_error([1, 2], [1, 2]), TypeError, "y must be float32 or float64"),
        (lambda: gaussian_likelihood(Y[..., :5], TARGET), ValueError, r"shape \(..., 2 K\)"),
        (lambda: gaussian_likelihood(Y, TARGET), ValueError, r"target must have shape \(4, 3, 3\)"),
        (lambda: quantile_loss(Y, TARGET[..., 0]), ValueError, r"shape \(..., 1\)"),
        (lambda: quantile_loss(Y, TARGET[..., 0], quantiles=(0.5, 1.0)), ValueError, "between 0 and 1"),
        (lambda: quantile_loss(Y, TARGET, quantiles=LEVELS), ValueError, r"target must have shape \(4, 3\)"),
        (lambda: softmax_cross_entropy(Y, np.zeros((4, 3), int), smoothing=1.5), ValueError, "smoothing must be in"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("errors", ["warn", "raise"])
def test_huge_values_overflow_without_a_word_of_numpy(dtype, errors):
    """Warnings are errors here; the value is infinite, or NaN where infinities meet."""
    huge = np.full((2, 1, 2), np.finfo(dtype).max * 0.9, dtype)
    huge[1] = np.inf
    low = np.concatenate([huge[..., :1], -huge[..., :1]], axis=-1)
    target, one = -huge, np.ones((2, 1, 1), dtype)
    with np.errstate(all=errors):
        for found in (
            mean_squared_error(huge, target),
            huber(huge, target),
            squared_error(huge, target, 3.0),
            quantile_loss(huge[..., :1], target[..., 0]),
            gaussian_likelihood(low, one),
            gaussian_likelihood(huge, huge[..., :1]),
            softmax_cross_entropy(huge, np.zeros((2, 1), int)),
            ctc_loss(huge, np.array([[1]])),
        ):
            assert not np.isfinite(found[0])
        assert not np.isfinite(sigmoid_cross_entropy(huge, np.ones((2, 1, 2), dtype))[0])
        value, d = sigmoid_cross_entropy(huge[:1], np.zeros((1, 1, 2), dtype), reduction="sum")
        assert value == pytest.approx(float(huge[0, 0, 0]) * 2) or value == np.inf
        np.testing.assert_array_equal(d, 1)
