"""Intervals of a regressor hold their level on sequences that were not trained on."""

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
from pylstm import SequenceRegressor
from pylstm.estimators.conformal import Conformal
from pylstm.models.heads import head_of

VALUES = ("gaussian", "student_t", "quantile")
COUNTS = ("poisson", "negative_binomial")


def drawn(loss, rng, N):
    """Values with heavy tails whose spread changes; counts with more spread than Poisson's."""
    x = rng.normal(size=(N, 6, 1))
    if loss in COUNTS:
        mean = np.exp(3 + 0.3 * x.sum(axis=(1, 2)))
        return x, rng.poisson(mean * rng.gamma(2, 0.5, size=N)).astype(float)
    return x, 100 + 30 * (x.sum(axis=(1, 2)) + (0.3 + np.abs(x[:, -1, 0])) * rng.standard_t(4, size=N))


def inside(ends, y):
    return np.mean((ends[0] <= y) & (y <= ends[1]))


@pytest.mark.parametrize("loss", [*VALUES, *COUNTS])
def test_intervals_hold(loss):
    """Poisson's own intervals hold 0.45 of a nominal 0.9 here."""
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, y = drawn(loss, rng, 300)
        new_x, new_y = drawn(loss, rng, 400)
        net = SequenceRegressor("gru", 8, loss=loss, epochs=25, random_state=seed).fit(x, y)
        found.append([inside(net.predict_interval(new_x, level), new_y) for level in (0.5, 0.9)])
    assert np.abs(np.mean(found, axis=0) - [0.5, 0.9]).max() < 0.05


@pytest.mark.parametrize("loss", ["quantile", "gaussian"])
def test_intervals_of_a_net_that_has_hardly_been_trained_hold(loss):
    rng = np.random.default_rng(3)
    (x, y), (new_x, new_y) = drawn(loss, rng, 400), drawn(loss, rng, 800)
    net = SequenceRegressor("gru", 4, loss=loss, epochs=1, validation_fraction=0.4, random_state=0).fit(x, y)
    assert abs(inside(net.predict_interval(new_x, 0.8), new_y) - 0.8) < 0.07


def test_the_end_is_the_score_of_its_rank():
    rng = np.random.default_rng(5)
    x, y = drawn("gaussian", rng, 200)
    net = SequenceRegressor("gru", 4, loss="gaussian", epochs=2, random_state=1).fit(x, np.stack([y, -3 * y**2], 1))
    found = net.conformal_[1]
    assert len(net.conformal_) == 2 and len(found.scores) == 66
    np.testing.assert_allclose(found.levels, np.arange(1, 67) / 67)
    s = net._out(x)[:, 2:]
    for level, score in ((60 / 67, found.scores[59]), (0.5 / 67, found.scores[0] / 2)):
        low, high = net.predict_interval(x, level)
        reach = score * np.exp(s / 2)[:, 1] * net.y_scale_[1]
        np.testing.assert_allclose(high[:, 1] - net.predict(x)[:, 1], reach, rtol=1e-5)
        np.testing.assert_allclose(net.predict(x)[:, 1] - low[:, 1], reach, rtol=1e-5)


def test_weights_count_as_copies():
    rng = np.random.default_rng(6)
    scores, weights = rng.exponential(size=300), rng.integers(1, 4, 300)
    found = Conformal.of(scores, weights.astype(float))
    other = Conformal.of(np.repeat(scores, weights))
    np.testing.assert_allclose(found.reach(np.array([0.5, 0.9])), other.reach(np.array([0.5, 0.9])), rtol=0.05)


def test_too_few_held_out_warn():
    x, y = drawn("gaussian", np.random.default_rng(0), 24)
    net = SequenceRegressor("gru", 4, loss="gaussian", epochs=2, random_state=0).fit(x, y)
    with pytest.warns(UserWarning, match=r"level 0\.9 needs 9 sequences held out, there are 8: .* extrapolated"):
        wide = net.predict_interval(x, 0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        narrow = net.predict_interval(x, 0.85)
    assert (wide[0] < narrow[0]).all() and (narrow[1] < wide[1]).all()


def test_what_is_not_calibrated():
    x, y = drawn("gaussian", np.random.default_rng(0), 80)
    own = SequenceRegressor("gru", 4, loss="gaussian", calibrate=False, epochs=2, random_state=0).fit(x, y)
    assert own.validation_scores_ is None and not own.conformal_[0].scores.size
    quantile = own._in_units(head_of("gaussian").quantile(own._out(x), 0.2))
    np.testing.assert_array_equal(own.predict_quantiles(x, [0.2])[0], quantile)
    batches = [(x[:40], y[:40]), (x[40:], y[40:])]
    with pytest.warns(UserWarning, match="of batches none are held out: the intervals are the net's own"):
        net = SequenceRegressor("gru", 4, loss="gaussian", epochs=2, random_state=0).fit(batches)
    assert not net.conformal_[0].scores.size
    with pytest.raises(ValueError, match="calibrate holds out rows, which cannot be drawn of batches"):
        SequenceRegressor("gru", 4, loss="gaussian", calibrate=True, epochs=2).fit(batches)
    with pytest.raises(ValueError, match="'mean_squared_error' has no quantiles to calibrate: fit with loss="):
        SequenceRegressor(calibrate=True).fit(x, y)
    with pytest.raises(ValueError, match="calibrate must be True, False or 'auto', got 'yes'"):
        SequenceRegressor(calibrate="yes").fit(x, y)


@pytest.mark.parametrize("loss", [*VALUES, [0.1, 0.4, 0.95], *COUNTS], ids=str)
def test_scores_are_the_least_that_hold_the_target(loss):
    rng, head = np.random.default_rng(2), head_of(loss)
    out, exposure = rng.normal(size=(300, head.parts)), 7.0 if head.counts else 1.0
    y = head.sample(out, rng, exposure)
    y[:9] *= 50  # far out of what the net says
    r = head.score(out, y, exposure)
    assert ((head.at(out, -r, exposure) <= y) & (y <= head.at(out, r, exposure))).all()
    less = np.maximum(r * 0.97 - 1e-4, 0) if head.counts else r * (1 - 1e-6)
    missed = (head.at(out, -less, exposure) > y) | (y > head.at(out, less, exposure))
    assert missed[(r > 1e-4) & (y < 40 if head.counts else True)].mean() > 0.99
    np.testing.assert_array_equal(head.at(out, np.zeros(y.shape), exposure), head.quantile(out, 0.5, exposure))
    ends = [head.at(out, np.full(y.shape, z), exposure) for z in (-40, -6, -4.9, 0, 4.9, 5.1, 40)]
    assert (np.diff(ends, axis=0) >= 0).all() and np.isfinite(ends).all()


@pytest.mark.parametrize("broken", ["levels", "scores", "number"])
def test_a_file_says_scores_that_rise(broken, tmp_path):
    x, y = drawn("gaussian", np.random.default_rng(0), 80)
    net = SequenceRegressor("gru", 4, loss="gaussian", epochs=1, random_state=0).fit(x, y)
    says = net.metadata
    if broken == "number":
        says["conformal"] = says["conformal"] * 2
    else:
        says["conformal"][0][broken] = says["conformal"][0][broken][::-1]
    with pytest.raises(ValueError, match=r"must have one entry for each of 1 targets|must be rising levels"):
        SequenceRegressor.from_parts(net.parts, says)
    del says["conformal"]  # of a file written before there was one
    assert not SequenceRegressor.from_parts(net.parts, says).conformal_[0].scores.size
