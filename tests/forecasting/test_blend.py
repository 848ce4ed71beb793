"""The back-test inside a fit: shares, what is saved, what agrees, and forecasts that stay where the series are."""

import importlib.util
import warnings

import numpy as np
import pytest

import pylstm
from pylstm.forecasting import ForecastModel, naive, seasonal_naive
from pylstm.forecasting.blending import FULL_GAIN, LEAST_GAIN, Blend, horizon_of, share_of
from pylstm.forecasting.choosing import choose, find_cycle, grows
from pylstm.forecasting.rolling import loss_of, medians, naive_ahead
from pylstm.forecasting.smoothing import MEMORY

RNG = np.random.default_rng(11)
NONE = np.zeros(0, int)


def trend(n, seed=0, noise=0.5):
    rng, t = np.random.default_rng(seed), np.arange(n)
    return 20 + 0.4 * t + 3 * np.sin(2 * np.pi * t / 12) + noise * rng.normal(size=n)


def blended(y, cycle=0, H=4):
    return Blend.fit([y], cycle, [(NONE, np.zeros((0, H)))], H)


def fitted(y, **options):
    model = ForecastModel("gru", 4, window=12, season=12, cycle=12, combine=True, seed=1, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(y, epochs=2, validation=0.2)
    return model


@pytest.mark.parametrize("cycle", [1, 3])
def test_naive_forecasts_of_all_origins(cycle):
    y = RNG.normal(size=(9, 2))
    found = naive_ahead(y, cycle, 5)
    for t in range(cycle - 1, 9):
        np.testing.assert_array_equal(found[t].T, seasonal_naive(y[: t + 1], 5, cycle))


def test_the_loss_is_what_it_says():
    y, forecasts = RNG.normal(size=(10, 2)), RNG.normal(size=(10, 2, 3))
    expected = np.zeros(2)
    for h in (1, 2, 3):
        origins = range(4, 10 - h)
        for t in origins:
            expected += MEMORY ** (10 - t) * np.abs(y[t + h] - forecasts[t, :, h - 1]) / len(origins) / h**0.5
    np.testing.assert_allclose(loss_of(y, forecasts, 4), expected, rtol=1e-12)


def test_shares_follow_the_gain():
    assert share_of(LEAST_GAIN) == share_of(-3.0) == 0 and share_of(FULL_GAIN) == share_of(0.9) == 1
    assert share_of((LEAST_GAIN + FULL_GAIN) / 2) == pytest.approx(0.5)


def test_a_line_is_smoothed_and_a_walk_is_naive():
    (line,) = blended(2.0 * np.arange(50) + 0.1 * RNG.normal(size=50)).columns
    (walk,) = blended(np.cumsum(np.random.default_rng(4).normal(size=300))).columns
    assert (line.share, line.net, line.seasonal) == (1, 0, False) and walk.share == 0
    (season,) = blended(np.tile(RNG.normal(size=6), 12) + 0.2 * RNG.normal(size=72), 6).columns
    assert season.seasonal


def test_growth_in_percent_is_smoothed_in_logarithms():
    y = np.exp(0.15 * np.arange(40) + 0.02 * np.random.default_rng(2).normal(size=40))
    blend = blended(y)
    assert blend.columns[0].log and blend.describe() == ["1.00 smoothing of logarithms"]
    (point,), (size,) = blend.forecast([y], [np.zeros(4)], 4)
    np.testing.assert_allclose(point, np.exp(0.15 * np.arange(40, 44)), rtol=0.1)
    low, high = blend.quantiles(0, point, size, np.array([[0.1], [0.9]]))
    np.testing.assert_allclose(low * high, point**2)  # as far below as above, in logarithms


def test_the_net_must_show_a_gain_from_enough_origins():
    y = np.cumsum(np.random.default_rng(6).normal(size=200))
    truth = np.stack([y[t + 1 : t + 5] for t in range(120, 196)])
    for count, share in ((76, 1.0), (6, 0.0)):
        nets = [(np.arange(196 - count, 196), truth[-count:] + 0.01)]
        (column,) = Blend.fit([y], 0, nets, 4).columns
        assert column.net == share
    (column,) = Blend.fit([y], 0, [(np.arange(120, 196), truth + 9 * RNG.normal(size=truth.shape))], 4).columns
    assert column.net == 0


def test_intervals_with_the_net_are_of_the_errors_behind_what_it_learned():
    y = np.cumsum(np.random.default_rng(6).normal(size=200))
    truth = np.stack([y[t + 1 : t + 5] for t in range(120, 196)])
    errors = np.where(np.arange(76)[:, None] % 2, 0.125, -0.125)
    blend = Blend.fit([y], 0, [(np.arange(120, 196), truth + errors)], 4)
    assert blend.columns[0].net == 1 and blend.columns[0].calibration.origins == 76
    (point,), (size,) = blend.forecast([y], [np.full(4, 7.0)], 4)
    np.testing.assert_array_equal(point, 7)
    low, high = blend.quantiles(0, point, size, np.array([[0.25], [0.75]]))
    assert 0.05 < (high - low)[0] / 2 < 0.4  # of smoothing it would be 0.5 to 1


def test_counts_do_not_fall_below_0():
    y = np.where(RNG.random(120) < 0.4, RNG.poisson(2, 120) + 1, 0).astype(float)
    blend = blended(y)
    point, size = (each[0] for each in blend.forecast([y], [np.zeros(6)], 6))
    assert (blend.quantiles(0, point, size, np.array([[0.01], [0.05]])) >= 0).all() and (point >= 0).all()


@pytest.mark.filterwarnings("ignore:an interval of level 0.9 so")
def test_forecast_quantiles_intervals_and_paths_agree():
    y = np.stack([trend(90, 1), np.exp(trend(90, 2) / 20)], axis=1)
    model = fitted(y)
    shares = [0.05, 0.25, 0.5, 0.75, 0.95]
    quantiles = np.array(model.predict_quantiles(9, shares))
    assert quantiles.shape == (5, 9, 2) and (np.diff(quantiles, axis=0) > 0).all()
    np.testing.assert_array_equal(quantiles[2], model.predict(9))
    low, high = model.predict_interval(9, 0.5)
    np.testing.assert_array_equal([low, high], quantiles[[1, 3]])
    paths = np.array(model.sample(9, 4000, seed=2))
    below = (paths[:, None] < quantiles).mean(axis=0)
    np.testing.assert_allclose(below.mean(axis=(1, 2)), shares, atol=0.02)
    np.testing.assert_array_equal(np.array(model.sample(9, 4000, seed=2)), paths)
    steps = paths[:, :, 0] - quantiles[2, :, 0]
    assert np.corrcoef(steps[:, 3], steps[:, 4])[0, 1] > 0.1  # linked, as errors are
    with pytest.raises(ValueError, match="quantiles must be between 0 and 1"):
        model.predict_quantiles(3, [0.5, 1.0])


@pytest.mark.parametrize("joint", [False, True])
def test_a_file_holds_the_blend(tmp_path, joint):
    y = np.stack([trend(70, 1), np.exp(trend(70, 2) / 20)], axis=1)
    model = fitted(y, joint=joint)
    pylstm.save(tmp_path / "m", model)
    read = pylstm.load(tmp_path / "m")
    assert read.describe() == model.describe() and read.combine
    np.testing.assert_array_equal(read.predict(8), model.predict(8))
    np.testing.assert_array_equal(read.predict_interval(8, 0.5), model.predict_interval(8, 0.5))
    np.testing.assert_array_equal(read.predict(8, history=y), model.predict(8))


def test_other_series_are_judged_by_themselves():
    model = fitted(trend(70))
    other = 5 * trend(60, 3)[::-1]
    found = model.predict(6, history=other, rescale=True)
    np.testing.assert_allclose(model.predict(6, history=7 * other, rescale=True), 7 * found, rtol=1e-6)
    assert np.abs(found - other[-6:]).mean() < 30


def test_series_of_many_lengths_do_not_meet():
    series = [trend(60, 1), trend(75, 2), trend(60, 3)]
    nets = [(NONE, np.zeros((0, 4)))] * 3
    together = Blend.fit(series, 12, nets, 4)
    for k, each in enumerate(series):
        alone = Blend.fit([each], 12, nets[:1], 4)
        assert together.columns[k].gain == pytest.approx(alone.columns[0].gain, rel=1e-9)
        zeros = np.zeros(5)
        np.testing.assert_allclose(
            together.forecast(series, [zeros] * 3, 5)[0][k], alone.forecast([each], [zeros], 5)[0][0], rtol=1e-9
        )


def test_a_naive_forecast_is_announced():
    walk = np.cumsum(np.random.default_rng(4).normal(size=300))
    model = ForecastModel("gru", 3, window=12, combine=True, seed=0)
    with pytest.warns(UserWarning, match="nothing was better by 10 % than the naive forecast, the last value repeated"):
        model.fit(walk, epochs=1, validation=0.2)
    assert model.describe() == ["1.00 naive"]
    np.testing.assert_array_equal(model.predict(4), naive(walk, 4))
    line = ForecastModel("gru", 3, window=12, combine=True, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        line.fit(np.arange(60.0) + 0.1 * RNG.normal(size=60), epochs=1, validation=0.2)


def test_a_level_that_needs_more_says_how_much():
    model = fitted(trend(70))
    origins = model.blend.columns[0].calibration.origins
    for level, n in ((0.9, 6), (0.99, 1)):
        needed = round(n / (1 - level))
        for ask in (
            lambda: model.predict_interval(n, level),  # noqa: B023
            lambda: model.predict_quantiles(n, [0.5, (1 - level) / 2]),  # noqa: B023
        ):
            with pytest.warns(
                UserWarning, match=rf"level {level} .* from {needed} origins of the back-test, there are {origins}"
            ) as found:
                ask()
            assert len(found) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict_interval(6, 0.5)
        model.predict_quantiles(6, [0.5, 0.75])
    with pytest.raises(TypeError, match=r"level must be a number between 0 and 1, got ndarray: it comes before inputs"):
        model.predict_interval(6, trend(70))


def test_a_back_test_needs_steps():
    with pytest.raises(ValueError, match="combine=True needs steps for its back-test"):
        ForecastModel("gru", 3, combine=True).fit(np.arange(60.0))


def test_what_is_chosen():
    t = np.arange(120)
    wave = np.sin(2 * np.pi * t / 12)
    noise = np.random.default_rng(1).normal(size=120)
    for y, cycle, log, season, difference in [
        (wave + 0.1 * noise, 12, False, 12, 0),
        (np.cumsum(noise), 0, False, 0, 1),
        (noise, 0, False, 0, 0),
        (np.exp(0.03 * t + 0.2 * wave + 0.01 * noise), 12, True, 12, 0),
        (3.0 * t, 0, False, 0, 1),
    ]:
        found = choose([y])
        assert (found.cycle, found.log, found.season, found.difference) == (cycle, log, season, difference)
    assert choose([noise], cycle=5, log=False, season=7, difference=2, window=9).window == 9
    assert choose([wave], season=6).cycle == 6 and choose([wave], cycle=0).season == 0
    assert not grows(wave + 5) and find_cycle([np.ones(50)]) == 0 == find_cycle([noise[:5]])


def test_steps_of_the_back_test():
    assert [horizon_of([100], 0), horizon_of([100], 12), horizon_of([300], 52)] == [6, 12, 24]
    assert [horizon_of([100, 9], 12), horizon_of([3], 0)] == [3, 1]


BOUNDS = {"nile": ("volume", 10), "macrodata": ("realgdp", 8)}


@pytest.mark.skipif(importlib.util.find_spec("statsmodels") is None, reason="needs statsmodels")
@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="needs scikit-learn")
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("difference", ["auto", 1])
def test_no_forecast_is_integrated_into_the_sky(name, difference):
    column, n = BOUNDS[name]
    module = importlib.import_module(f"statsmodels.datasets.{name}")
    values = module.load_pandas().data[column].to_numpy("float64")
    y, true = values[:-n], values[-n:]
    for seed in range(2):
        net = pylstm.Forecaster(random_state=seed, difference=difference).fit(y)
        far = net.predict(5 * n)
        step = np.abs(np.diff(y)).mean()
        assert np.abs(far - y[-1]).max() < 5 * n * 2 * step  # twice the usual step, always in one direction
        assert np.abs(net.predict(n) - true).mean() < 1.1 * max(np.abs(naive(y, n) - true).mean(), 3 * n / 2 * step)


def counts_with_zeros(seed, T=120, share=0.3):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(T) < share, 1 + rng.poisson(4, T), 0).astype(float)


def test_the_median_of_counts_that_are_mostly_zero(tmp_path):
    y = counts_with_zeros(0)
    assert medians(y[:, None])[60, 0] == np.median(y[21:61]) and medians(y[:, None])[4, 0] == np.median(y[:5])
    model = ForecastModel("gru", 4, window=16, combine=True, seed=0)
    model.fit(y, epochs=1, validation=0.2)
    (column,) = model.blend.columns
    assert column.median and column.share > 0.5 and "median" in model.describe()[0]
    later = np.r_[y, 7.0, 9.0, 8.0]
    naive = np.full(3, 8.0)
    expected = column.share * np.median(later[-40:]) + (1 - column.share) * naive
    np.testing.assert_allclose(model.predict(3, history=later), expected, rtol=1e-12)
    pylstm.save(tmp_path / "f", model)
    assert pylstm.load(tmp_path / "f").predict(3, history=later).tolist() == model.predict(3, history=later).tolist()


def test_errors_on_intermittent_series():
    errors = []
    for seed in range(12):
        y = counts_with_zeros(seed, 126, 0.2 + 0.02 * seed)
        blend = Blend.fit([y[:120]], 0, [(np.zeros(0, int), np.zeros((0, 6)))], 6)
        point = blend.forecast([y[:120]], [np.zeros(6)], 6)[0][0]
        errors.append([np.abs(each - y[120:]).mean() for each in (point, y[:120].mean(), y[119])])
    ours, mean, naive = np.mean(errors, axis=0)
    assert ours < 0.9 * mean and ours < naive


def test_noise_has_no_season():
    found = [find_cycle([np.random.default_rng(seed).normal(size=120)]) for seed in range(100)]
    assert np.count_nonzero(found) <= 8  # 19 by a bound of 2.5 deviations of the shortest lag
    shape = np.resize(np.random.default_rng(1).normal(size=12), 120)
    found = [find_cycle([shape + 0.4 * np.random.default_rng(seed).normal(size=120)]) for seed in range(100)]
    assert found.count(12) >= 95


def test_series_that_are_not_in_memory(tmp_path, monkeypatch):
    from pylstm.forecasting import series

    y = np.sin(np.arange(3000) / 5) + 0.1 * np.random.default_rng(0).normal(size=3000)
    np.save(tmp_path / "y.npy", y)
    monkeypatch.setattr("pylstm.data.stored.SMALL", 1000)
    monkeypatch.setattr(series, "READ", 800)
    mapped = np.load(tmp_path / "y.npy", mmap_mode="r")
    with pytest.warns(UserWarning, match="of a series of 3000 steps that is not in memory the last 800 are read"):
        found, form = series.as_series(mapped, False)
    assert form == "one" and found[0].ravel().tolist() == y[-800:].tolist()
    with pytest.warns(UserWarning, match="the last 400 are read"):
        found, form = series.as_series([mapped, mapped], False)
    assert form == "list" and found[1].ravel().tolist() == y[-400:].tolist()
    np.save(tmp_path / "y2.npy", y.reshape(-1, 2))
    with pytest.warns(UserWarning, match="the last 400 are read"):
        found, form = series.as_series(np.load(tmp_path / "y2.npy", mmap_mode="r"), False)
    assert form == "columns" and found[1].ravel().tolist() == y[-799::2].tolist()
    assert series.as_series(y, False)[0][0].ravel().tolist() == y.tolist()


def test_a_season_is_repeated_where_that_is_clearly_better():
    rng = np.random.default_rng(3)
    season, noise = np.resize(rng.normal(size=6), 96), rng.normal(size=96)
    none = np.zeros(0, int), np.zeros((0, 6))
    seasonal = [Blend.fit([40 + size * season + noise], 6, [none], 6).columns[0].seasonal for size in (0.0, 0.3, 3.0)]
    assert seasonal == [False, False, True]


def test_warnings_are_said_once_where_the_user_called(tmp_path, monkeypatch):
    sklearn = pytest.importorskip("sklearn")
    from pylstm.forecasting import series

    walk = np.cumsum(np.random.default_rng(4).normal(size=900))
    np.save(tmp_path / "y.npy", walk)
    monkeypatch.setattr("pylstm.data.stored.SMALL", 1000)
    monkeypatch.setattr(series, "READ", 300)
    mapped, options = np.load(tmp_path / "y.npy", mmap_mode="r"), {"epochs": 1, "random_state": 0}
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        net = pylstm.Forecaster("gru", 4, **options).fit(mapped)
        net.predict_interval(2, 0.999)
        ForecastModel("gru", 4, combine=True).fit(walk[:200], validation=0.2, epochs=1)
    texts = [str(each.message) for each in found if each.category is UserWarning]
    assert [" ".join(text.split()[:5]) for text in texts] == [
        "of a series of 900",
        "in the back-test nothing was",
        "an interval of level 0.999",
        "in the back-test nothing was",
    ]
    assert {each.filename for each in found if each.category is UserWarning} == {__file__} and sklearn


@pytest.mark.parametrize("size", [1e160, -1e300])
def test_magnitudes_whose_squares_are_infinite_are_refused(size):
    y = np.array([1.0, 2.0, 3.0, 4.0, size, 6.0, 7.0])
    with pytest.raises(ValueError, match=r"the largest magnitude of y must be at most 1e\+150, got 1e"):
        ForecastModel("gru", 4).fit(y, epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = ForecastModel("gru", 4, combine=True).fit(np.arange(20) * 1e148, validation=0.2, epochs=1)
    assert model is not None


def test_counts_stay_above_0_and_others_do_not():
    rng = np.random.default_rng(6)
    counts = rng.poisson(3, 100).astype(float)
    assert counts.min() == 0 and (counts == 0).mean() < 0.1
    for y, least in ((counts, 0.0), (counts - 3, -np.inf), (counts + 0.25, -np.inf), (counts + 1, -np.inf)):
        blend = Blend.fit([y], 0, [(np.zeros(0, int), np.zeros((0, 6)))], 6)
        points, sizes = blend.forecast([y], [np.zeros(6)], 6)
        low = blend.quantiles(0, points[0], sizes[0], np.array([[0.001]]))
        assert (low == least).all() if least == 0 else (low < y.min()).any()
