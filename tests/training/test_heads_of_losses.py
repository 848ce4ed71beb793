"""What a `loss` says of a value: quantiles by SciPy, samples by their quantiles, densities by SciPy, refusals."""

import numpy as np
import pytest
from scipy import stats

from pylstm.models.heads import HEADS, QUANTILES, check_counts, head_of
from pylstm.models.shares import count_quantile, student_quantile

RNG = np.random.default_rng(5)
SPREAD = [name for name, head in HEADS.items() if head.spread]
SHARES = (1e-4, 0.05, 0.3, 0.5, 0.77, 0.95, 0.9999)


def scipy_of(name, out, exposure=1.0):
    parts = HEADS[name].split(out)
    with np.errstate(all="ignore"):
        softplus = np.log1p(np.exp(parts[-1]))
        if name == "gaussian":
            return stats.norm(parts[0], np.exp(parts[1] / 2))
        if name == "student_t":
            return stats.t(2 + softplus, parts[0], np.exp(parts[1] / 2))
        mean = np.exp(parts[0]) * exposure
        n = 1 / softplus
        return stats.poisson(mean) if name == "poisson" else stats.nbinom(n, n / (n + mean))


@pytest.mark.parametrize("exposure", [1.0, np.array([0.4, 30.0])])
@pytest.mark.parametrize("name", [each for each in SPREAD if each != "quantile"])
def test_quantiles_and_densities_are_those_of_scipy(name, exposure):
    head = HEADS[name]
    if not head.counts:
        exposure = 1.0
    out = 1.5 * RNG.normal(size=(40, 2 * head.parts))
    other = scipy_of(name, out, exposure)
    for share in SHARES:
        np.testing.assert_allclose(head.quantile(out, share, exposure), other.ppf(share), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(head.median(out, exposure), head.quantile(out, 0.5, exposure))
    np.testing.assert_allclose(head.mean(out, exposure), other.mean(), rtol=1e-12)
    target = RNG.poisson(3, size=(40, 2)).astype(float)
    density = other.logpmf(target) if head.counts else other.logpdf(target)
    np.testing.assert_allclose(head.log_probability(out, target, exposure), density, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SPREAD)
def test_samples_have_the_quantiles(name):
    head, rng = HEADS[name], np.random.default_rng(2)
    out = RNG.normal(size=(1, 2 * head.parts))
    drawn = head.sample(np.repeat(out, 40_000, axis=0), rng)
    for share in (0.1, 0.3, 0.5, 0.8, 0.95):
        at = head.quantile(out, share)[0]
        assert ((drawn <= at).mean(axis=0) >= share - 0.01).all()
        assert ((drawn < at).mean(axis=0) <= share + 0.01).all()
    mean = head.mean(out)[0]
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.05 * drawn.std(axis=0).max() + 0.02)


def test_quantiles_do_not_cross_and_are_the_learned_ones():
    head = head_of([0.1, 0.4, 0.5, 0.9])
    assert head.parts == 4 and head.options == {"quantiles": [0.1, 0.4, 0.5, 0.9]}
    out = RNG.normal(size=(7, 8))
    known = np.sort(np.stack(head.split(out)), axis=0)
    for level, each in zip(head.levels, known):
        np.testing.assert_array_equal(head.quantile(out, level), each)
    many = np.stack([head.quantile(out, share) for share in np.linspace(0.001, 0.999, 99)])
    assert (np.diff(many, axis=0) > 0).all()
    normal = stats.norm(2, 3).ppf(np.array(QUANTILES))[None]
    np.testing.assert_allclose(HEADS["quantile"].quantile(normal, 0.999), stats.norm(2, 3).ppf(0.999), rtol=1e-12)
    np.testing.assert_allclose(HEADS["quantile"].mean(normal), 2, atol=1e-9)


def test_counts_far_out():
    mean = np.array([1e-3, 1e3, 1e6])
    out = np.log(mean)[None]
    np.testing.assert_array_equal(HEADS["poisson"].quantile(out, 0.9)[0], stats.poisson(mean).ppf(0.9))
    wide = np.concatenate([out, np.log(np.expm1(np.array([[4.0, 0.3, 1.0]])))], axis=1)
    n = 1 / np.array([4.0, 0.3, 1.0])
    np.testing.assert_array_equal(
        HEADS["negative_binomial"].quantile(wide, 0.99)[0], stats.nbinom(n, n / (n + mean)).ppf(0.99)
    )
    assert count_quantile(lambda k: np.ones_like(k), np.array([5.0]), 0.5) == 0


def test_students_quantiles():
    nu = np.array([2.01, 2.5, 4, 30, 1e4])
    for share in (0.5, 0.6, 0.975, 0.99999, 0.002):
        np.testing.assert_allclose(student_quantile(share, nu), stats.t(nu).ppf(share), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "loss",
    ["mae", 3, None, [], [0.5], [0.2, 0.1], [0.1, 0.2], [0.6, 0.9], [0.0, 0.5], [0.5, 1], [True, 0.6], ["a", "b"]],
)
def test_what_is_no_head(loss):
    with pytest.raises(ValueError, match=r"^loss (must be one of mean_squared_error, huber, gau|as a list must be)"):
        head_of(loss)


def test_what_a_head_does_not_say():
    for call in (lambda h: h.quantile(np.zeros((1, 1)), 0.5), lambda h: h.sample(np.zeros((1, 1)), RNG)):
        with pytest.raises(ValueError, match=r"loss='huber' has no .*: fit with loss='gaussian'"):
            call(HEADS["huber"])
    with pytest.raises(ValueError, match="it learns quantiles, not a density"):
        HEADS["quantile"].log_probability(np.zeros((1, 7)), np.zeros((1, 1)))
    with pytest.raises(ValueError, match=r"needs counts, whole numbers from 0, but y has -2 at index \(1, 0\)"):
        check_counts(HEADS["poisson"], "y", np.array([[1.0], [-2.0]]))
    check_counts(HEADS["gaussian"], "y", np.array([-2.5]))
    with pytest.raises(ValueError, match=r"needs counts of at most 1e\+12, but y has 1e\+14: take loss='gaussian'"):
        check_counts(HEADS["poisson"], "y", np.array([3.0, 1e14]))
    check_counts(HEADS["poisson"], "y", np.array([3.0, 1e12]))
