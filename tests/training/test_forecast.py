"""Forecasts: preparation and its inverse, what the net may see, recursion, intervals, files, what can be learned."""

import numpy as np
import pytest

import pylstm
from pylstm.forecasting.baselines import naive, seasonal_naive
from pylstm.forecasting.forecast_model import ForecastModel
from pylstm.forecasting.preparation import Preparation
from pylstm.forecasting.series import pairs_of, training_spans, validation_spans

RNG = np.random.default_rng(3)


def wave(n, seed=0):
    rng, t = np.random.default_rng(seed), np.arange(n)
    return 10 + 0.05 * t + 3 * np.sin(2 * np.pi * t / 12) + 2 * np.sin(2 * np.pi * t / 30) + 0.2 * rng.normal(size=n)


def small(**options):
    return ForecastModel("gru", 6, **({"window": 12, "dtype": "float64", "seed": 1} | options))


@pytest.mark.parametrize("season", [0, 1, 4])
@pytest.mark.parametrize("difference", [0, 1, 2])
@pytest.mark.parametrize("log", [False, True])
def test_undo_is_the_inverse_of_apply(log, difference, season):
    y = RNG.uniform(1, 3, size=(23, 2))
    ready = Preparation(log, season, difference)
    z = ready.apply(y)
    assert z.shape == (23 - season - difference, 2)
    future = np.stack([z[-9:], z[-9:]])  # two paths
    np.testing.assert_allclose(ready.undo(y[:-9], future), np.stack([y[-9:]] * 2), rtol=1e-12)


def test_differences_are_those_of_the_definition():
    y = RNG.uniform(1, 3, size=(9, 1))
    w = np.log(y[3:]) - np.log(y[:-3])
    np.testing.assert_allclose(Preparation(True, 3, 1).apply(y), w[1:] - w[:-1])


@pytest.mark.parametrize("shape", [(7,), (7, 2)])
def test_baselines(shape):
    y = RNG.normal(size=shape)
    np.testing.assert_array_equal(naive(y, 3), [y[6]] * 3)
    np.testing.assert_array_equal(seasonal_naive(y, 5, 3), [y[4], y[5], y[6], y[4], y[5]])


def test_pairs_are_a_step_and_what_follows():
    z, extra = RNG.normal(size=(8, 2)), RNG.normal(size=(8, 1))
    inputs, targets = pairs_of(z, extra, 3)
    assert inputs.shape == (5, 3) and targets.shape == (5, 6)
    for t in range(5):
        np.testing.assert_array_equal(inputs[t], [*z[t], *extra[t + 1]])
        np.testing.assert_array_equal(targets[t], z[t + 1 : t + 4].ravel())


@pytest.mark.parametrize("count", [1, 5, 12, 13, 40])
def test_spans_cover_all(count):
    train = training_spans(count, 12, 5)
    assert {t for a, b in train for t in range(a, b)} == set(range(count))
    assert {b - a for a, b in train} == {min(12, count)} and len(set(train)) == len(train)
    judged = validation_spans(count // 3, count, 12)
    assert sorted(t for _, first, b in judged for t in range(first, b)) == list(range(count // 3, count))
    assert all(b - a <= 12 and (first - a >= 6 or a == 0) for a, first, b in judged)


@pytest.mark.parametrize("options", [{}, {"season": 4}, {"horizon": 3}, {"difference": 1, "horizon": 2}])
def test_nothing_of_the_validation_is_trained_on(options):
    y, other = wave(60), wave(60)
    other[48:] += RNG.normal(size=12)
    models = [small(**options) for _ in range(3)]
    other_start = y.copy()
    other_start[47] += 1
    lost = models[0].preparation.lost
    share = 12 / (60 - lost)
    logs = [m.fit(each, validation=share, epochs=3) for m, each in zip(models, (y, other, other_start))]
    flats = [np.concatenate([p.flat for p in m.net.params]) for m in models]
    np.testing.assert_array_equal(flats[0], flats[1])
    assert logs[0].validation_loss != logs[1].validation_loss
    assert len(models[0].residuals) == 12 - models[0].horizon + 1
    assert not np.array_equal(flats[0], flats[2])  # the last step before is trained on


def recursion(model, y, n, future=None, extra=None):
    """Forecasts without a stream: the whole beginning is read anew for every block."""
    h, scale, K = model.horizon, model.scales[0], model.K
    z = (model.preparation.apply(y) - scale[0]) / scale[1]
    read, said = z[-model.window :], np.zeros((0, K))
    if extra is not None:
        e = (np.concatenate([extra, future]) - model.extra_scale[0]) / model.extra_scale[1]
    while len(said) < n:
        known = np.concatenate([read, said])
        if extra is not None:
            start = len(y) - len(read) + 1
            known = np.hstack([known, e[start : start + len(known)]])
        said = np.concatenate([said, model.net.predict(known[None])[0, -1].reshape(h, K)])
    return model.preparation.undo(y, said[:n] * scale[1] + scale[0])


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("joint", [False, True])
def test_a_forecast_reads_the_ones_before(joint, horizon, num_layers):
    y = np.stack([wave(50), RNG.normal(size=50)], axis=1)[:, : 1 + joint]
    model = small(horizon=horizon, joint=joint, season=5, num_layers=num_layers)
    model.fit(y, epochs=2)
    np.testing.assert_allclose(model.predict(7), recursion(model, y, 7), rtol=1e-10)
    np.testing.assert_allclose(model.predict(1), model.predict(7)[:1], rtol=1e-10)
    np.testing.assert_array_equal(model.predict(7, history=y), model.predict(7))


def test_a_forecast_reads_the_exogenous_values_of_its_step():
    y, extra = wave(50), RNG.normal(size=(57, 2))
    model = small(difference=1)
    model.fit(y, extra[:50], epochs=2)
    expected = recursion(model, y[:, None], 7, extra[50:], extra[:50])[:, 0]
    np.testing.assert_allclose(model.predict(7, exogenous=extra[50:]), expected, rtol=1e-10)
    np.testing.assert_array_equal(model.predict(7, history=y, exogenous=extra), model.predict(7, exogenous=extra[50:]))


def test_a_trend_and_a_season_are_learned():
    y, n = wave(240), 40
    model = ForecastModel("lstm", 24, season=12, seed=0)
    model.fit(y[:-n])
    error = np.abs(model.predict(n) - y[-n:]).mean()
    assert error < 0.3 * np.abs(seasonal_naive(y[:-n], n, 12) - y[-n:]).mean()  # 0.17 to 0.20 by seed


def test_exogenous_values_are_used():
    extra = np.random.default_rng(1).normal(size=320)
    y = np.tanh(2 * extra)
    model = ForecastModel("gru", 12, window=32, seed=0)
    model.fit(y[:300], extra[:300], epochs=60)
    error = np.abs(model.predict(20, exogenous=extra[300:]) - y[300:]).mean()
    assert error < 0.2  # 0.07 to 0.09 by seed; without them about 0.7


CASES = {
    "a trend without noise": (np.arange(60.0), {"difference": 1}),
    "season": (np.tile(np.arange(6.0), 12) + 0.3 * np.arange(72), {"season": 6}),
    "logarithms, blocks": (np.exp(np.sin(np.arange(80.0))), {"log": True, "horizon": 3}),
    "two series": (np.random.default_rng(0).normal(size=(70, 2)).cumsum(axis=0), {"difference": 1}),
    "joint": (np.random.default_rng(1).normal(size=(70, 2)).cumsum(axis=0), {"joint": True}),
    "a list": ([np.sin(np.arange(50.0)), np.cos(np.arange(40.0))], {}),
}


@pytest.mark.filterwarnings("ignore:in the back-test", "ignore:an interval of level")
@pytest.mark.parametrize("combine", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_forecast_lies_in_its_interval(case, combine):
    y, options = CASES[case]
    model = ForecastModel("lstm", 4, window=16, seed=3, combine=combine, **options)
    model.fit(y, epochs=2, validation=0.2)
    forecast = model.predict(9)
    for level in (0.01, 0.5, 0.9):
        low, high = model.predict_interval(9, level, paths=40)
        for a, b, c in zip(low, forecast, high) if isinstance(y, list) else [(low, forecast, high)]:
            assert a.shape == b.shape == c.shape and (a <= b).all() and (b <= c).all()


def test_there_are_no_intervals_of_what_was_trained_on():
    model = small()
    model.fit(wave(40), epochs=1)
    assert model.predict(3).shape == (3,) and model.residuals.shape == (0, 1, 1)
    for call in (lambda: model.predict_interval(3), lambda: model.predict_quantiles(3, [0.1]), lambda: model.sample(3)):
        with pytest.raises(ValueError, match=r"not trained on, and all were: fit with validation=0\.2"):
            call()


def test_intervals_of_a_random_walk_grow_with_the_root_of_the_steps():
    y = np.cumsum(np.random.default_rng(0).normal(size=600))
    model = small(difference=1, window=32)
    model.fit(y, validation=0.5, epochs=3)
    low, high = model.predict_interval(25, 0.8, paths=2000)
    theory = 2 * 1.2816 * np.sqrt(np.arange(1, 26))
    np.testing.assert_allclose((high - low) / theory, 1, atol=0.15)
    narrow = model.predict_interval(25, 0.5, paths=2000)
    assert (narrow[0] > low).all() and (narrow[1] < high).all()
    assert np.array_equal(model.predict_interval(25, 0.8, paths=2000)[0], low)
    assert not np.array_equal(model.predict_interval(25, 0.8, paths=2000, seed=1)[0], low)


def test_every_residual_is_drawn():
    model = small()
    model.fit(wave(40), epochs=1)
    unit = model.scales[0][1].item()
    for kept in (
        [-1, 0, 2],
        [2, -1, 0],
        [0, 2, -1],
    ):  # each at each place: were one never drawn, an end would be another
        model.residuals = np.reshape(np.array(kept, "float64"), (3, 1, 1))
        low, high = model.predict_interval(1, 0.9, paths=300)
        np.testing.assert_allclose([low - model.predict(1), high - model.predict(1)], [[-unit], [2 * unit]], rtol=1e-9)
        low, high = model.predict_interval(1, 0.1, paths=300)
        np.testing.assert_allclose([low, high], [model.predict(1)] * 2, rtol=1e-9)


def test_series_share_a_net_and_not_a_scale():
    a, b = wave(50, 1), wave(40, 2)
    forecasts = []
    for factor in (1, 1024):
        model = small()
        model.fit([a, factor * b], epochs=2, validation=0.2)
        forecasts.append(model.predict(5))
    assert len(model.residuals) == 10 + 8
    np.testing.assert_allclose(forecasts[1][0], forecasts[0][0], rtol=1e-9)
    np.testing.assert_allclose(forecasts[1][1], 1024 * forecasts[0][1], rtol=1e-9)
    other = model.predict(5, history=3 + 7 * b, rescale=True)
    np.testing.assert_allclose(other, 3 + 7 * model.predict(5, history=b, rescale=True), rtol=1e-9)


def test_forms():
    y = np.stack([wave(50, k) for k in range(3)], axis=1)
    for given, options, form in [(y[:, 0], {}, (4,)), (y, {}, (4, 3)), (y, {"joint": True}, (4, 3))]:
        model = small(**options)
        model.fit(given, epochs=1, validation=0.2)
        assert model.predict(4).shape == form == model.predict_interval(4, paths=3)[1].shape
        assert model.net.layer.input_size == (3 if options else 1)
    columns, several = small(), small()
    columns.fit(y, epochs=1)
    several.fit(list(y.T), epochs=1)
    np.testing.assert_array_equal(np.stack(several.predict(4), axis=1), columns.predict(4))


@pytest.mark.parametrize("case", ["one", "columns", "exogenous", "joint"])
def test_a_file_gives_the_same_model(case, tmp_path):
    y, extra = np.stack([wave(40, k) for k in range(2)], axis=1), None
    y = y[:, 0] if case == "one" else y
    if case == "exogenous":
        extra = RNG.normal(size=(44, 1))
    model = ForecastModel("lstm", 5, window=10, season=3, log=True, joint=case == "joint", head_sizes=(4,), seed=2)
    model.fit(y, None if extra is None else extra[:40], epochs=1, validation=0.2)
    pylstm.save(tmp_path / "forecast.safetensors", model)
    read = pylstm.load(tmp_path / "forecast.safetensors")
    future = {"exogenous": None if extra is None else extra[40:]}
    np.testing.assert_array_equal(read.predict(4, **future), model.predict(4, **future))
    np.testing.assert_array_equal(read.predict_interval(4, **future), model.predict_interval(4, **future))
    read.fit(y, None if extra is None else extra[:40], epochs=1, validation=0.2)  # with the same options
    np.testing.assert_array_equal(read.predict(4, **future), model.predict(4, **future))


def test_early_stopping():
    model = small()
    history = model.fit(wave(80), validation=0.25, patience=1, epochs=400, lr=0.05)
    assert history.stopped == "early" and len(history.loss) < 400


FITS = {
    "window must be at least 1": lambda: small(window=0),
    "horizon must be at least 1": lambda: small(horizon=0),
    "season must be at least 0, got -1": lambda: small(season=-1),
    "loss must be one of": lambda: small(loss="quantil"),
    "log needs values above 0, got -1": lambda: small(log=True).fit(np.array([1.0, -1.0, 2.0, 3.0])),
    r"y contains NaN or infinity, first at index \(1,\): fill the gaps": lambda: small().fit(
        np.array([1.0, np.nan, 2.0])
    ),
    r"series 1 contains NaN or infinity, first at index \(1,\)": lambda: small().fit(
        [wave(30), np.array([1.0, np.inf, 2.0])]
    ),
    r"y must have shape \(T,\) or \(T, S\)": lambda: small().fit(np.zeros((2, 3, 4))),
    "a series of 5 steps is too short: 6 are": lambda: small(season=4).fit(np.arange(5.0)),
    "exogenous values need horizon=1": lambda: small(horizon=2).fit(wave(30), np.zeros(30)),
    r"exogenous contains NaN or infinity, first at index \(7, 0\)": lambda: small().fit(
        wave(30), np.where(np.arange(30) == 7, np.inf, 0.5)
    ),
    r"exogenous must have shape \(30, 1\), got \(29, 1\)": lambda: small().fit(wave(30), np.zeros(29)),
    "validation must be a share": lambda: small().fit(wave(30), validation=1.0),
    "has not been fitted": lambda: small().predict(3),
    "call fit before saving it": lambda: small().parts,
    "at least 4 steps, a season, got 3": lambda: seasonal_naive(np.ones(3), 2, 4),
    "n must be at least 1": lambda: naive(np.ones(3), 0),
}


@pytest.mark.parametrize("message", FITS)
def test_refusals(message):
    with pytest.raises((ValueError, RuntimeError), match=message):
        FITS[message]()


def test_refusals_of_a_fitted_model():
    model = small(season=4)
    model.fit(np.stack([wave(30), wave(30)], axis=1), RNG.normal(size=30), epochs=1)
    for message, call in {
        "n must be at least 1": lambda: model.predict(0),
        "exogenous is missing": lambda: model.predict(2),
        r"exogenous must have shape \(2, 1\)": lambda: model.predict(2, exogenous=np.zeros(3)),
        "fitted on 2 series, got 1": lambda: model.predict(2, history=wave(9), exogenous=np.zeros(11)),
        "more than 4 steps, got 4": lambda: model.predict(2, history=wave(4), exogenous=np.zeros(6), rescale=True),
        "level must be between": lambda: model.predict_interval(2, 1.0, exogenous=np.zeros(2)),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()
