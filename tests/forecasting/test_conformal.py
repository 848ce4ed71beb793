"""Intervals from the errors of a back-test: quantiles by hand, levels that need more, and what they contain."""

import numpy as np
import pytest

from pylstm.forecasting.conformal import AGE, Calibration, calibrate, local_size, needed_origins, recent_sizes, student


def calibration(scores, origins, **options):
    scores = np.sort(np.asarray(scores, "float64"))
    given = {"growth": 0.5, "unit": 1.0, "link": 0.3, "horizon": 3} | options
    return Calibration(scores, np.full(len(scores), 1 / len(scores)), origins=origins, **given)


@pytest.mark.parametrize(("freedom", "share", "expected"), [
    (2, 0.975, 4.302653), (3, 0.95, 2.353363), (7.5, 0.9, 1.405212), (40, 0.995, 2.704459), (5, 0.75, 0.726687),
])  # fmt: skip
def test_quantiles_of_student(freedom, share, expected):
    assert student(np.array(share), freedom) == pytest.approx(expected, rel=2e-5)


def test_the_quantile_is_that_of_one_score_more():
    scores = np.arange(1.0, 20.0)  # 19 of them: 0.95 is the last one, 0.5 the tenth
    found = calibration(scores, 20).radius(np.array([[0.5], [0.94]]), 1)
    np.testing.assert_array_equal(found, [[10.0], [19.0]])
    found = calibration(np.arange(1.0, 1001), 16, horizon=4).radius(np.array([0.5]), 5)
    lent = 0.5 * (np.sqrt([1, 2, 3, 4, 4]) - 1) / 16  # of 16 / h independent ones and those that other steps lend
    np.testing.assert_array_equal(found, np.ceil(1000 * (0.5 * 17 / 16 + lent)))


def test_beyond_the_scores_student_takes_over():
    found = calibration([0.5, 1.0, 2.0], 3)
    size = np.sqrt((0.25 + 1 + 4) / 3)
    assert found.highest(1) == pytest.approx(2 / 3) and found.highest(9) == 0
    np.testing.assert_allclose(found.radius(np.array([0.95]), 1), size * 4.302653, rtol=1e-5)
    assert found.radius(np.array([0.6]), 1) == 2 and found.radius(np.array([0.1]), 3)[2] == 0.5
    assert needed_origins(0.95, 5) == 100 and needed_origins(0.5, 1) == 2


def test_a_higher_level_is_never_narrower():
    rng = np.random.default_rng(0)
    for origins in (1, 2, 3, 12, 400):
        found = calibration(np.abs(rng.standard_t(3, size=50)), origins).radius(np.linspace(0, 0.999, 300)[:, None], 5)
        assert (np.diff(found, axis=0) >= 0).all() and (found[0] == 0).all() and np.isfinite(found).all()


def test_errors_that_grow_and_late_ones_count_more():
    rng = np.random.default_rng(1)
    errors = rng.normal(size=(4000, 6)) * np.arange(1, 7) ** 0.8
    found = calibrate(errors, np.full(4000, 0.8), 0.8)
    assert found.growth == pytest.approx(0.8, abs=0.03) and found.origins == 4000
    np.testing.assert_allclose(found.widths(3, 0.8), 0.8 * np.arange(1, 4) ** found.growth, rtol=1e-3)
    late = calibrate(np.repeat([[1.0], [3.0]], [100, 100], axis=0), np.ones(200), 1.0)
    assert late.weights[late.scores > 2 * late.scores[0]].sum() == pytest.approx(1 / (1 + AGE**100))


def test_steps_far_ahead_are_wider_where_few_errors_chose_the_forecast():
    few, many = calibration([1.0, 2.0, 3.0], 12, growth=0.0), calibration([1.0, 2.0, 3.0], 12000, growth=0.0)
    expected = np.sqrt(np.array([27, 30, 33, 33]) / 27)  # (c + 1.5) / c of 12, 6, 4 independent errors, and no fewer
    np.testing.assert_allclose(few.widths(4, 1.0), expected)
    np.testing.assert_allclose(many.widths(4, 1.0), 1, atol=1e-3)


def test_sizes_are_those_before_a_step():
    np.testing.assert_allclose(recent_sizes(np.array([2.0, np.nan, 4.0]), 1.0), [1, 1.1, 1.1, 1.39])
    assert local_size(4.0, 1.0) == 2 and local_size(0.0, 2.0) == pytest.approx(0.002)


def test_links_of_neighbours_are_found():
    rng = np.random.default_rng(2)
    steps = rng.normal(size=(3000, 8))
    for h in range(1, 8):
        steps[:, h] = 0.6 * steps[:, h - 1] + 0.8 * steps[:, h]
    assert calibrate(steps, np.ones(3000), 1.0).link == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "volatile"])
def test_intervals_contain_what_they_say(kind):
    rng, inside = np.random.default_rng(3), []
    for _ in range(300):
        noise = rng.standard_t(3, size=(81, 4)) if kind == "heavy tails" else rng.normal(size=(81, 4))
        if kind == "volatile":
            noise *= np.exp(np.cumsum(rng.normal(0, 0.15, 81)))[:, None]
        errors, last = noise[:80], noise[80]
        sizes = recent_sizes(np.abs(errors[:, 0]), np.abs(errors[:, 0]).mean())
        found = calibrate(errors, sizes[:-1], np.abs(errors[:, 0]).mean())
        radius = found.radius(np.array([[0.5], [0.8], [0.9]]), 4) * found.widths(4, sizes[-1])
        inside.append((np.abs(last) <= radius).mean(axis=1))
    np.testing.assert_allclose(np.mean(inside, axis=0), [0.5, 0.8, 0.9], atol=0.04)
