"""Likelihoods of Student's t and of counts: cotangents by differences, values by torch and SciPy; special functions."""

import numpy as np
import pytest
from scipy import special as sp
from scipy import stats

from numeric import differences
from pylstm.losses import (
    gaussian_likelihood,
    negative_binomial_likelihood,
    poisson_likelihood,
    quantile_loss,
    student_t_likelihood,
)
from pylstm.losses.likelihoods import FEWEST
from pylstm.losses.special import beta_share, digamma, gamma_share, log_gamma

RNG = np.random.default_rng(21)
VALUES = RNG.normal(size=(5, 3, 2))
COUNTS = RNG.poisson(4, size=(5, 3, 2)).astype(float)
EXPOSED = np.concatenate([COUNTS, RNG.uniform(0.3, 5, size=COUNTS.shape)], axis=-1)
LEVELS = (0.1, 0.3, 0.5, 0.9)
CASES = {
    "student_t": (student_t_likelihood, 3, VALUES, {}),
    "poisson": (poisson_likelihood, 1, COUNTS, {}),
    "poisson with exposures": (poisson_likelihood, 1, EXPOSED, {}),
    "negative_binomial": (negative_binomial_likelihood, 2, COUNTS, {}),
    "negative_binomial with exposures": (negative_binomial_likelihood, 2, EXPOSED, {}),
    "quantiles of two values": (quantile_loss, 4, VALUES, {"quantiles": LEVELS}),
    "gaussian": (gaussian_likelihood, 2, VALUES, {}),
}


def outputs(parts, scale=1.0):
    return scale * np.random.default_rng(parts).normal(size=(5, 3, 2 * parts))


@pytest.mark.parametrize("weighted", ["none", "floats", "mask"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("case", CASES)
def test_cotangents(case, reduction, weighted):
    loss, parts, target, options = CASES[case]
    draw = np.random.default_rng(3).random((5, 3, 2))
    weights = {"none": None, "floats": draw, "mask": draw > 0.4}[weighted]
    options = options | {"weights": weights, "reduction": reduction}
    y = outputs(parts)
    value, dy = loss(y, target, **options)
    np.testing.assert_allclose(dy, differences(lambda y: loss(y, target, **options)[0], y), rtol=0, atol=5e-7)
    assert (np.abs(dy) > 1e-9).mean() > (0.5 if weighted == "mask" else 0.99)
    single = {key: each.astype("f4") if getattr(each, "dtype", 0) == "f8" else each for key, each in options.items()}
    value32, dy32 = loss(y.astype("f4"), target.astype("f4"), **single)
    assert value32 == pytest.approx(value, rel=2e-6) and dy32.dtype == "float32"
    np.testing.assert_allclose(dy32, dy, rtol=0, atol=1e-5 * np.abs(dy).max())
    if weighted == "mask":  # what has no weight may be anything
        K = weights.shape[-1]
        other = np.where(np.tile(weights, target.shape[-1] // K), target, np.nan)
        again = loss(np.where(np.tile(weights, parts), y, np.nan), other, **options)
        assert again[0] == value
        np.testing.assert_array_equal(again[1], dy)


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_values_are_those_of_torch_distributions(scale):
    torch = pytest.importorskip("torch")
    of, d = torch.from_numpy, torch.distributions

    def parts(count):
        return [of(each) for each in np.split(outputs(count, scale), count, axis=-1)]

    def summed(loss, count, target):
        return loss(outputs(count, scale), target, reduction="sum")[0]

    mu, s = parts(2)
    expected = -d.Normal(mu, torch.exp(s / 2)).log_prob(of(VALUES)).sum().item()
    assert summed(gaussian_likelihood, 2, VALUES) == pytest.approx(expected, rel=1e-12)
    mu, s, r = parts(3)
    student = d.StudentT(2 + torch.nn.functional.softplus(r), mu, torch.exp(s / 2))
    expected = -student.log_prob(of(VALUES)).sum().item()
    assert summed(student_t_likelihood, 3, VALUES) == pytest.approx(expected, rel=1e-12)
    counts, exposure = of(COUNTS), of(EXPOSED[..., 2:])
    (eta,) = parts(1)
    for target, mean in ((COUNTS, torch.exp(eta)), (EXPOSED, torch.exp(eta) * exposure)):
        expected = -d.Poisson(mean).log_prob(counts).sum().item()
        assert summed(poisson_likelihood, 1, target) == pytest.approx(expected, rel=1e-12)
    eta, r = parts(2)
    alpha = torch.clamp(torch.nn.functional.softplus(r), min=FEWEST)
    for target, mean in ((COUNTS, torch.exp(eta)), (EXPOSED, torch.exp(eta) * exposure)):
        expected = -d.NegativeBinomial(1 / alpha, logits=torch.log(alpha * mean)).log_prob(counts).sum().item()
        assert summed(negative_binomial_likelihood, 2, target) == pytest.approx(expected, rel=1e-10)


def test_gradients_are_those_of_torch():
    torch = pytest.importorskip("torch")
    y = torch.from_numpy(outputs(3)).requires_grad_()
    mu, s, r = y.split(2, dim=-1)
    student = torch.distributions.StudentT(2 + torch.nn.functional.softplus(r), mu, torch.exp(s / 2))
    (-student.log_prob(torch.from_numpy(VALUES)).mean()).backward()
    np.testing.assert_allclose(student_t_likelihood(outputs(3), VALUES)[1], y.grad.numpy(), rtol=1e-10, atol=1e-13)
    y = torch.from_numpy(outputs(2)).requires_grad_()
    eta, r = y.split(2, dim=-1)
    alpha = torch.nn.functional.softplus(r)
    counted = torch.distributions.NegativeBinomial(1 / alpha, logits=torch.log(alpha) + eta)
    (-counted.log_prob(torch.from_numpy(COUNTS)).mean()).backward()
    found = negative_binomial_likelihood(outputs(2), COUNTS)[1]
    np.testing.assert_allclose(found, y.grad.numpy(), rtol=1e-9, atol=1e-13)


def test_without_dispersion_counts_are_those_of_poisson():
    eta = outputs(1)
    low = np.concatenate([eta, np.full_like(eta, -30.0)], axis=-1)
    value, dy = negative_binomial_likelihood(low, COUNTS)
    assert value == pytest.approx(poisson_likelihood(eta, COUNTS)[0], rel=1e-5) and not dy[..., 2:].any()


@pytest.mark.parametrize("loss", [poisson_likelihood, negative_binomial_likelihood])
def test_what_is_no_count(loss):
    y = np.zeros((2, 2 if loss is negative_binomial_likelihood else 1))
    for wrong in (-1.0, 0.5, np.inf):
        with pytest.raises(ValueError, match=rf"targets must be counts, whole numbers from 0, got {wrong}"):
            loss(y, np.array([[1.0], [wrong]]))
    with pytest.raises(ValueError, match="exposures must be above 0, got 0"):
        loss(y, np.array([[1.0, 2.0], [1.0, 0.0]]))
    with pytest.raises(ValueError, match=r"target must have shape \(2, 1\)"):
        loss(y, np.zeros((2, 3)))


def test_shapes_of_outputs():
    with pytest.raises(ValueError, match=r"y must have shape \(..., 3 K\): locations"):
        student_t_likelihood(np.zeros((2, 4)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"y must have shape \(..., 2 K\): log-means"):
        negative_binomial_likelihood(np.zeros((2, 3)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"y must have shape \(..., 4\), 2 columns for each quantile"):
        quantile_loss(np.zeros((2, 3)), np.zeros((2, 2)), quantiles=(0.2, 0.5))


def test_special_functions_are_those_of_scipy():
    x = np.concatenate([np.geomspace(1e-8, 1e8, 400), [0.5, 1, 2, 9.999, 10]])
    np.testing.assert_allclose(log_gamma(x), sp.gammaln(x), rtol=2e-14, atol=2e-14)
    np.testing.assert_allclose(digamma(x), sp.digamma(x), rtol=2e-14, atol=2e-14)
    a, x = np.meshgrid(np.geomspace(0.01, 1e5, 40), np.concatenate([[0], np.geomspace(1e-3, 2e5, 60)]))
    np.testing.assert_allclose(gamma_share(a, x), sp.gammainc(a, x), rtol=0, atol=3e-11)
    a, b, x = np.meshgrid(np.geomspace(0.02, 1e4, 15), np.geomspace(0.02, 1e4, 15), np.linspace(0, 1, 21))
    np.testing.assert_allclose(beta_share(a, b, x), sp.betainc(a, b, x), rtol=0, atol=3e-11)


def test_shares_of_counts():
    k = np.arange(30.0)
    np.testing.assert_allclose(1 - gamma_share(k + 1, 7.3), stats.poisson.cdf(k, 7.3), atol=1e-13)
    np.testing.assert_allclose(beta_share(1.7, k + 1, 0.3), stats.nbinom.cdf(k, 1.7, 0.3), atol=1e-13)
