"""`loss=` of the estimators: quantiles, distributions of values and of counts; all predictions agree."""

import pickle
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import pylstm
from pylstm import Forecaster, SequenceRegressor

VALUES = ("gaussian", "student_t", "quantile", [0.1, 0.3, 0.5, 0.9])
COUNTS = ("poisson", "negative_binomial")
SHARES = (0.02, 0.1, 0.25, 0.5, 0.8, 0.99)
pytestmark = pytest.mark.filterwarnings("ignore:in the back-test the naive forecast:UserWarning")
SMALL = {"hidden_size": 8, "epochs": 15, "random_state": 0}


def sequences(loss, N=160):
    """Targets with a spread that is far from 1, of counts with a mean far from 1."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(N, 5, 1))
    rate = np.exp(2 + 0.5 * x[:, -1, 0])
    return x, rng.poisson(rate).astype(float) if loss in COUNTS else 1000 + 50 * (x[:, -1, 0] + rng.normal(size=N))


def series(loss, T=120):
    rng, t = np.random.default_rng(3), np.arange(T)
    wave = np.sin(2 * np.pi * t / 8)
    return rng.poisson(np.exp(3 + wave)).astype(float) if loss in COUNTS else 500 + 40 * wave + 9 * rng.normal(size=T)


def forecaster(loss, **options):
    return Forecaster("gru", loss=loss, **({"learning_rate": 0.02} | SMALL | options)).fit(series(loss))


@pytest.mark.parametrize("loss", [*VALUES, *COUNTS], ids=str)
def test_predictions_of_a_regressor_agree(loss):
    x, y = sequences(loss)
    net = SequenceRegressor("gru", loss=loss, **SMALL).fit(x, y)
    quantiles = np.array(net.predict_quantiles(x, SHARES))
    assert quantiles.shape == (6, 160) and (np.diff(quantiles, axis=0) >= 0).all()
    np.testing.assert_array_equal(net.predict(x), quantiles[3])
    for level in (0.01, 0.5, 0.9):
        low, high = net.predict_interval(x, level)
        assert (low <= net.predict(x)).all() and (net.predict(x) <= high).all()
    low, high = net.predict_interval(x, 0.8)
    assert 0.65 < ((low <= y) & (y <= high)).mean() < 0.95  # in the units of the targets
    drawn = net.sample(x[:20], 2000)
    assert drawn.shape == (2000, 20)
    for share, each in zip(SHARES, quantiles[:, :20]):
        assert ((drawn <= each).mean(axis=0) > share - 0.04).all()
        assert ((drawn < each).mean(axis=0) < share + 0.04).all()
    own = SequenceRegressor("gru", loss=loss, calibrate=False, **SMALL).fit(x, y)  # what the net says, uncorrected
    mean, several = own.predict_mean(x[:20]), own.sample(x[:20], 4000)
    np.testing.assert_allclose(several.mean(axis=0), mean, atol=6 * (several.std(axis=0) / 4000**0.5).max())
    if loss in COUNTS:
        assert (drawn == np.rint(drawn)).all() and (quantiles == np.rint(quantiles)).all() and drawn.min() >= 0
    np.testing.assert_array_equal(net.sample(x[:20], 3, random_state=5), net.sample(x[:20], 3, random_state=5))


@pytest.mark.parametrize("loss", ["gaussian", "student_t", *COUNTS])
def test_densities_are_in_the_units_of_the_targets(loss):
    torch = pytest.importorskip("torch")
    x, y = sequences(loss)
    net = SequenceRegressor("gru", loss=loss, dtype="float64", **SMALL).fit(x, np.stack([y, y[::-1]], axis=1))
    two = np.stack([y, y[::-1]], axis=1)
    found = net.log_likelihood(x, two)
    assert found.shape == (160, 2)
    out = torch.from_numpy(net._out(x))
    parts = out.split(2, dim=-1)
    d, t, soft = torch.distributions, torch.from_numpy(two), torch.nn.functional.softplus
    mean, scale = torch.from_numpy(net.y_mean_), torch.from_numpy(net.y_scale_)
    if loss == "gaussian":
        other = d.Normal(mean + scale * parts[0], scale * torch.exp(parts[1] / 2))
    elif loss == "student_t":
        other = d.StudentT(2 + soft(parts[2]), mean + scale * parts[0], scale * torch.exp(parts[1] / 2))
    elif loss == "poisson":
        other = d.Poisson(scale * torch.exp(parts[0]))
    else:
        alpha = soft(parts[1])
        other = d.NegativeBinomial(1 / alpha, logits=torch.log(alpha * scale) + parts[0])
    np.testing.assert_allclose(found, other.log_prob(t).numpy(), rtol=1e-9)
    with pytest.raises(ValueError, match=r"y must have shape \(160, 2\)"):
        net.log_likelihood(x, y)


def test_the_unit_does_not_matter():
    x, y = sequences("gaussian")
    one, other = (SequenceRegressor("gru", loss="gaussian", **SMALL).fit(x, factor * y) for factor in (1.0, 1024.0))
    np.testing.assert_allclose(other.predict_quantiles(x, [0.1])[0], 1024 * one.predict_quantiles(x, [0.1])[0], 1e-5)
    np.testing.assert_allclose(other.log_likelihood(x, 1024 * y), one.log_likelihood(x, y) - np.log(1024), atol=1e-3)


@pytest.mark.parametrize("loss", [*VALUES, *COUNTS], ids=str)
def test_a_regressor_is_saved_pickled_and_cloned(loss, tmp_path):
    x, y = sequences(loss)
    two = np.stack([y, 3 * y], axis=1)
    net = SequenceRegressor("gru", loss=loss, early_stopping=True, **SMALL | {"epochs": 2}).fit(x, two)
    assert np.isfinite(net.validation_scores_).all()
    pylstm.save(tmp_path / "net", net)
    for copy in (pickle.loads(pickle.dumps(net)), pylstm.load(tmp_path / "net")):
        assert list(copy.loss) == list(loss)
        np.testing.assert_array_equal(copy.predict_quantiles(x, SHARES), net.predict_quantiles(x, SHARES))
        np.testing.assert_array_equal(clone(copy).fit(x, two).predict(x), net.predict(x))
    assert net.predict(x).shape == (160, 2)


def test_weights_and_searches_take_counts():
    x, y = sequences("poisson")
    weights = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    spoilt = np.where(weights == 0, -1.5, y)
    nets = [SequenceRegressor("gru", loss="poisson", **SMALL).fit(x, each, weights) for each in (y, spoilt)]
    np.testing.assert_array_equal(nets[0].predict_mean(x), nets[1].predict_mean(x))
    np.testing.assert_allclose(nets[0].y_scale_, np.average(y, weights=weights))
    assert nets[0].y_mean_ == 0
    assert np.isfinite(
        cross_val_score(SequenceRegressor(loss="negative_binomial", **SMALL | {"epochs": 1}), x, y)
    ).all()


def test_what_a_regressor_refuses():
    x, y = sequences("gaussian", 20)
    for wrong in (-y, y / 7):
        with pytest.raises(ValueError, match="loss='poisson' needs counts, whole numbers from 0, but y has"):
            SequenceRegressor(loss="poisson", epochs=1).fit(x, wrong)
    plain = SequenceRegressor(epochs=1).fit(x, y)
    for call in ("predict_mean", "predict_interval", "sample"):
        with pytest.raises(ValueError, match=r"loss='mean_squared_error' has no .*: fit with loss='gaussian'"):
            getattr(plain, call)(x)
    with pytest.raises(ValueError, match="it learns quantiles, not a density"):
        SequenceRegressor(loss="quantile", epochs=1).fit(x, y).log_likelihood(x, y)
    with pytest.raises(ValueError, match="quantiles must be between 0 and 1"):
        SequenceRegressor(loss="gaussian", epochs=1).fit(x, y).predict_quantiles(x, [0.0])
    warm = SequenceRegressor(loss=[0.1, 0.9], epochs=1, warm_start=True).fit(x, y)
    with pytest.raises(ValueError, match="warm_start needs the same net"):
        warm.set_params(loss=[0.2, 0.9]).fit(x, y)


@pytest.mark.parametrize("loss", [*VALUES, *COUNTS], ids=str)
@pytest.mark.parametrize("horizon", [1, 4])
def test_predictions_of_a_forecaster_agree(loss, horizon):
    net = forecaster(loss, horizon=horizon)
    assert net.method_[0].startswith("net") and net.model_.blend is None
    quantiles = np.array(net.predict_quantiles(10, SHARES))
    assert quantiles.shape == (6, 10) and (np.diff(quantiles, axis=0) >= 0).all()
    np.testing.assert_array_equal(net.predict(10), quantiles[3])
    for level in (0.1, 0.9):
        low, high = net.predict_interval(10, level)
        assert (low <= net.predict(10)).all() and (net.predict(10) <= high).all()
    paths = np.array(net.sample(10, 1000))
    np.testing.assert_array_equal(np.quantile(paths, 0.25, axis=0, method="inverted_cdf") <= quantiles[2], True)
    np.testing.assert_allclose(net.predict_mean(10), paths.mean(axis=0), rtol=1e-12)
    other = np.array(net.predict_quantiles(10, SHARES, seed=7))
    np.testing.assert_allclose(other[1:5], quantiles[1:5], atol=0.5 * paths.std(axis=0).max())
    if loss in COUNTS:
        assert (paths == np.rint(paths)).all() and paths.min() >= 0
        assert net.settings_ | {"window": 0, "cycle": 0} == dict.fromkeys(net.settings_, 0)
    actual = series(loss, 130)[:120]
    np.testing.assert_array_equal(actual, series(loss))
    assert 0.5 * actual.std() < paths.std() < 2 * actual.std()  # in the units of the series


@pytest.mark.parametrize("loss", ["gaussian", "quantile", "negative_binomial"])
def test_intervals_of_a_forecaster_hold(loss):
    rng, t = np.random.default_rng(8), np.arange(640)
    wave = np.sin(2 * np.pi * t / 8)
    y = rng.poisson(np.exp(2 + wave)).astype(float) if loss in COUNTS else 50 + 4 * wave + rng.normal(size=640)
    net = Forecaster("gru", 8, loss=loss, random_state=0, epochs=40, season=0, difference=0, log=False).fit(y[:480])
    inside = []
    for start in range(480, 640, 8):
        low, high = net.predict_interval(8, 0.8, history=y[:start])
        inside.append((low <= y[start : start + 8]) & (y[start : start + 8] <= high))
    assert 0.7 < np.mean(inside) < 0.93


@pytest.mark.parametrize("loss", ["gaussian", "quantile", "poisson"])
def test_levels_are_those_of_a_back_test(loss, tmp_path):
    """A net that was trained for long on little is too sure; Poisson counts have too little spread for these."""
    inside = []
    for seed in range(4):
        rng, t = np.random.default_rng(seed), np.arange(300)
        wave = np.sin(2 * np.pi * t / 12)
        y = 20 + np.cumsum(rng.normal(0, 0.3, 300)) + 3 * wave + rng.standard_t(4, 300)
        if loss == "poisson":
            mean = np.exp(1.5 + 0.8 * wave)
            y = rng.negative_binomial(3, 3 / (3 + mean)).astype(float)
        net = Forecaster(loss=loss, random_state=0).fit(y[:240])
        found = net.model_.recalibration
        for row, each in enumerate((found, None)):
            net.model_.recalibration = each
            ends = [net.predict_interval(12, 0.9, history=y[:at]) for at in range(240, 300, 12)]
            low, high = np.hstack(ends)
            inside.append([row, np.mean((low <= y[240:]) & (y[240:] <= high))])
    shares = [np.mean([share for row, share in inside if row == each]) for each in (0, 1)]
    assert shares[0] > 0.78 and shares[0] > shares[1] + 0.08
    net.model_.recalibration = found
    assert (np.diff(found.levels) >= 0).all() and found.levels[0] == 0 and found.levels[-1] <= 1
    pylstm.save(tmp_path / "f", net)
    np.testing.assert_array_equal(pylstm.load(tmp_path / "f").predict_interval(6), net.predict_interval(6))
    few, many = np.array(net.sample(4, 5)), np.array(net.sample(4, 1000))
    np.testing.assert_array_equal(few, many[:5])


@pytest.mark.filterwarnings("error")
def test_a_better_naive_forecast_is_announced():
    walk = np.cumsum(np.random.default_rng(0).normal(size=120))
    with pytest.warns(UserWarning, match="in the back-test the naive forecast was better than the net"):
        net = Forecaster(loss="gaussian", difference=0, season=0, **SMALL | {"epochs": 1}).fit(walk)
    assert net.method_ == ["net, naive was better in the back-test"]
    wave = 5 * np.sin(np.arange(120) * 2 * np.pi / 8)
    assert Forecaster(loss="gaussian", cycle=0, **SMALL | {"epochs": 40}).fit(wave).method_ == ["net"]


@pytest.mark.parametrize("loss", [*VALUES, *COUNTS], ids=str)
def test_a_forecaster_is_saved_and_pickled(loss, tmp_path):
    net = forecaster(loss, epochs=2)
    pylstm.save(tmp_path / "net", net)
    for copy in (pickle.loads(pickle.dumps(net)), pylstm.load(tmp_path / "net")):
        assert list(copy.loss) == list(loss)
        np.testing.assert_array_equal(copy.predict_interval(6), net.predict_interval(6))
        np.testing.assert_array_equal(clone(copy).fit(series(loss)).predict(6), net.predict(6))


def test_series_side_by_side_have_their_own_scale():
    rng = np.random.default_rng(1)
    y = rng.poisson([3.0, 400.0], size=(120, 2)).astype(float)
    for joint in (False, True):
        net = Forecaster("gru", loss="poisson", joint=joint, **SMALL | {"epochs": 30}, learning_rate=0.02).fit(y)
        np.testing.assert_allclose(net.predict_mean(6).mean(axis=0), [3, 400], rtol=0.35)
        other = Forecaster("gru", loss="gaussian", joint=joint, **SMALL, difference=0, season=0, log=False).fit(y)
        np.testing.assert_allclose(other.predict(6).mean(axis=0), [3, 400], rtol=0.4)
        assert net.predict_quantiles(6, [0.9])[0].shape == (6, 2)


def test_logarithms_and_differences_come_back():
    t = np.arange(120)
    y = np.exp(0.03 * t + 0.02 * np.random.default_rng(0).normal(size=120)) * 100
    net = Forecaster("gru", loss="gaussian", log=True, difference=1, season=0, **SMALL).fit(y[:110])
    low, high = net.predict_interval(10, 0.95)
    assert ((low > 0) & (low < high)).all() and ((low <= y[110:]) & (y[110:] <= high)).mean() >= 0.6
    assert (net.predict_mean(10) > 0).all()


def test_what_a_forecaster_refuses():
    y = series("gaussian")
    for wrong in (-np.rint(y), y):
        with pytest.raises(ValueError, match="loss='negative_binomial' needs counts, whole numbers from 0, but y has"):
            Forecaster(loss="negative_binomial", epochs=1).fit(wrong)
    for option in ({"log": True}, {"season": 8}, {"difference": 1}):
        with pytest.raises(ValueError, match="loss='poisson' is of counts as they are: log, season and difference"):
            Forecaster(loss="poisson", epochs=1, **option).fit(np.rint(y))
    with pytest.raises(ValueError, match="combine=True makes intervals of errors: take combine=False"):
        Forecaster(loss="gaussian", epochs=1, combine=True).fit(y)
    net = forecaster("poisson", epochs=1)
    with pytest.raises(ValueError, match="but history has -1"):
        net.predict(2, history=np.array([3.0, -1.0, 2.0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        plain = Forecaster("gru", 3, epochs=1, random_state=0).fit(y)
    with pytest.raises(ValueError, match="loss='mean_squared_error' has no means"):
        plain.predict_mean(3)
