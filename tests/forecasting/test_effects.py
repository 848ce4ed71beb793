"""Known inputs in the back-test: what they add is found by regression, and said where it is nothing."""

import warnings

import numpy as np
import pytest

import pylstm
from pylstm.forecasting import ForecastModel
from pylstm.forecasting.blending import Blend
from pylstm.forecasting.choosing import choose
from pylstm.forecasting.effects import find_effects, without_effects
from pylstm.forecasting.rolling import roll_back


def promoted(n, kind, seed=3):
    """A series that 10 are added to where its input is 1, and the input."""
    rng, t = np.random.default_rng(seed), np.arange(n)
    base = {
        "level": 20 + rng.normal(size=n),
        "trend": 20 + 0.3 * t + rng.normal(size=n),
        "walk": 40 + np.cumsum(rng.normal(size=n)),
        "season": 20 + 4 * np.sin(2 * np.pi * t / 7) + rng.normal(size=n),
    }[kind]
    x = (rng.random((n, 1)) < 0.3).astype(float)
    return base + 10 * x[:, 0], x, base


def fitted(y, x, **options):
    model = ForecastModel("gru", 4, window=12, combine=True, seed=1, **options)
    model.fit(y, x, epochs=1, validation=0.2)
    return model


@pytest.mark.parametrize("kind", ["level", "trend", "walk", "season"])
@pytest.mark.parametrize("steps", [40, 120])
def test_a_short_series_depends_on_what_is_known_of_it(kind, steps):
    y, x, base = promoted(steps + 6, kind)
    model = fitted(y[:steps], x[:steps], cycle=7 if kind == "season" else 0)
    error = np.abs(model.predict(6, exogenous=x[steps:]) - y[steps:]).mean()
    assert "with inputs" in model.describe()[0]
    assert error < 1.2 * max(1.0, np.abs(base[steps:] - base[steps - 1]).mean())
    none = model.predict(6, exogenous=np.zeros((6, 1)))
    np.testing.assert_allclose(model.predict(6, exogenous=np.ones((6, 1))) - none, 10, atol=1.5)


def test_factors_are_effects_on_logarithms():
    rng, x = np.random.default_rng(5), np.random.default_rng(6).integers(0, 2, (80, 1)).astype(float)
    y = np.exp(1 + 0.05 * np.arange(80) + 0.7 * x[:, 0] + 0.05 * rng.normal(size=80))
    model = fitted(y, x)
    assert model.describe() == ["1.00 smoothing of logarithms with inputs"]
    ratio = model.predict(4, exogenous=np.ones((4, 1))) / model.predict(4, exogenous=np.zeros((4, 1)))
    np.testing.assert_allclose(ratio, np.exp(0.7), rtol=0.05)


@pytest.mark.parametrize("lags", [[1], [7], [7, 1]])
def test_effects_at_an_origin_come_from_what_was_before(lags):
    y, x, _ = promoted(50, "season")
    full, changed = find_effects(y, x, lags, 3, 12), y.copy()
    changed[30:] += 100 * np.random.default_rng(1).normal(size=20)
    other = find_effects(changed, x, lags, 3, 12)
    np.testing.assert_array_equal(other.adjusted[:30], full.adjusted[:30])
    np.testing.assert_array_equal(other.ahead[:30], full.ahead[:30])
    assert np.abs(other.ahead[31:] - full.ahead[31:]).min() > 0
    np.testing.assert_allclose(full.weights, 10, atol=1)


def test_effects_are_those_of_ridge_regression():
    rng = np.random.default_rng(8)
    y, x = rng.normal(size=40).cumsum(), 5 + 3 * rng.normal(size=(40, 2)).cumsum(axis=0)
    dy, dx = np.diff(y), np.diff(x, axis=0)
    unit = np.sqrt(np.mean(dx**2, axis=0))
    z = (dx - dx.mean(axis=0)) / unit
    expected = np.linalg.solve(z.T @ z + np.eye(2), z.T @ (dy - dy.mean())) / unit
    np.testing.assert_allclose(find_effects(y, x, [1], 3, 10).weights, expected, rtol=1e-9)


def test_inputs_that_do_not_vary_have_no_weight():
    y, x, _ = promoted(50, "level")
    both = np.hstack([np.full((50, 1), 3.0), x, 2.0 * np.arange(50)[:, None]])
    weights = find_effects(y, both, [1], 3, 12).weights
    assert weights[0] == 0 and weights[1] == pytest.approx(10, abs=1) and abs(weights[2]) < 1e-6
    assert find_effects(y, both[:, :1], [1], 3, 12) is None and find_effects(y[:7], x[:7], [1], 3, 2) is None


def test_a_long_regression_is_that_of_its_blocks(monkeypatch):
    y, x, _ = promoted(60, "walk")
    whole = find_effects(y, x, [1], 2, 10)
    monkeypatch.setattr("pylstm.forecasting.effects.BLOCK", 7)
    np.testing.assert_allclose(find_effects(y, x, [1], 2, 10).ahead, whole.ahead, rtol=1e-12)


def test_inputs_that_say_nothing_are_told_of():
    rng = np.random.default_rng(2)
    y, x = 20 + rng.normal(size=60).cumsum(), rng.normal(size=(60, 2))
    with (
        pytest.warns(UserWarning, match="nothing was better"),
        pytest.warns(UserWarning, match="does not depend on them"),
    ):
        model = fitted(y, x)
    assert not model.blend.columns[0].weights
    np.testing.assert_array_equal(model.predict(3, exogenous=x[:3]), model.predict(3, exogenous=9 * x[:3]))


def warnings_of(y, x):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        fitted(y, x)
    return " ".join(str(each.message) for each in found)


def test_inputs_that_never_vary_are_told_of():
    y, x, _ = promoted(40, "level")
    X = np.random.default_rng(4).normal(size=(40, 3))
    X[:, 1] = 0.5
    assert "column 1 of the known inputs never varies" in warnings_of(y, X)
    X[:, 0] = -3.0
    assert "columns [0, 1] of the known inputs never vary" in warnings_of(y, X)
    own = [np.full((40, 1), 2.0), np.full((40, 1), 3.0)]  # what one series has, and another has not
    assert "var" not in warnings_of([y, y + x[:, 0]], own)


def test_series_have_their_own_effects():
    pairs = [promoted(50, kind, seed) for seed, kind in enumerate(("level", "walk"))]
    columns, inputs = [y for y, _, _ in pairs], [x for _, x, _ in pairs]
    columns[1] = columns[1] - 15 * inputs[1][:, 0]
    first, second = roll_back(columns, 0, 4, inputs)
    assert first.weights[0] == pytest.approx(10, abs=1) and second.weights[0] == pytest.approx(-5, abs=1)
    alone = roll_back(columns[1:], 0, 4, inputs[1:])[0]
    np.testing.assert_allclose(alone.smooth, second.smooth, rtol=1e-12)


def test_forecasts_from_later_values_and_files_have_the_effects(tmp_path):
    y, x, _ = promoted(80, "trend")
    model = fitted(y[:60], x[:60])
    later = model.predict(3, history=y[:70], exogenous=x[:73])
    np.testing.assert_allclose(later, y[70:73], atol=4)
    short = model.predict(3, history=y[60:68], exogenous=x[60:71])
    other = model.predict(3, history=y[60:68], exogenous=np.vstack([x[60:68], x[68:71] + 1]))
    np.testing.assert_allclose(other - short, 10, atol=1)
    own = model.predict(3, history=7 * y[:70], exogenous=x[:73], rescale=True)
    np.testing.assert_allclose(own, 7 * y[70:73], atol=28)
    pylstm.save(tmp_path / "model.safetensors", model)
    again = pylstm.load(tmp_path / "model.safetensors")
    for each in (model, again):
        np.testing.assert_array_equal(each.predict(3, history=y[:70], exogenous=x[:73]), later)
    metadata = model.blend.metadata
    metadata["columns"][0]["inputs"] = [1.0, 2.0]
    with pytest.raises(ValueError, match="empty or have 1 numbers"):
        Blend.from_metadata(pylstm.schema.Entries(metadata, "blend"), 1, 1)


def test_intervals_with_inputs_hold():
    inside = []
    for seed in range(30):
        y, x, _ = promoted(86, "level", seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model = fitted(y[:80], x[:80])
        low, high = model.predict_interval(6, 0.8, exogenous=x[80:])
        inside.append((low <= y[80:]) & (y[80:] <= high))
    assert 0.72 < np.mean(inside) < 0.9


def test_four_values_do_not_grow_in_percent():
    y = np.array([0.0126, 0.9868, 2.064, 3.0105])
    assert not roll_back([y], 0, 1)[0].log
    assert (
        np.abs(Blend.fit([y], 0, [(np.zeros(0, int), np.zeros((0, 1)))], 1).forecast([y], [np.zeros(4)], 4)[0][0]).max()
        < 8
    )


def test_a_season_is_found_beneath_the_effect_of_inputs():
    pytest.importorskip("sklearn")
    t = np.arange(60)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=60)
        y = 50 + 8 * np.sin(2 * np.pi * t / 12) + 10 * x + 0.5 * rng.normal(size=60)
        assert choose([y[:48]]).cycle == 0
        net = pylstm.Forecaster("gru", 4, epochs=1, random_state=0).fit(y[:48], x[:48, None])
        assert net.settings_["cycle"] == 12
        assert np.abs(net.predict(12, x[48:, None]) - y[48:]).mean() < 1


def test_a_season_that_inputs_have_stays():
    y = 20 + 6 * np.sin(2 * np.pi * np.arange(60) / 12) + np.random.default_rng(0).normal(size=60)
    months = np.eye(12)[np.arange(60) % 12][:, 1:]
    assert choose([y], [months]).cycle == choose([y]).cycle == 12


def test_effects_leave_a_series_by_one_regression():
    y, x, base = promoted(50, "walk")
    np.testing.assert_allclose(without_effects(y, x) - base, 0, atol=1)
    assert without_effects(y[:7], x[:7]) is not None and (without_effects(y, np.ones((50, 1))) == y).all()
