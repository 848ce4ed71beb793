"""The adapters for sktime: all of its own checks, dates, horizons with gaps, inputs, and that nothing is imported."""

import importlib.util
import subprocess
import sys
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("sktime")
pd = pytest.importorskip("pandas")

from pylstm import Forecaster, SequenceClassifier  # noqa: E402
from pylstm.estimators.sktime import SktimeClassifier, SktimeForecaster  # noqa: E402

Y = pd.Series(
    10 + 0.1 * np.arange(60) + np.sin(np.arange(60.0)) + 0.1 * np.random.default_rng(0).normal(size=60),
    index=pd.period_range("2001-01", periods=60, freq="M"),
    name="flow",
)
SMALL = {"hidden_size": 3, "epochs": 1, "random_state": 0}


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [SktimeClassifier, SktimeForecaster])
def test_the_checks_of_sktime(adapter):
    from sktime.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sktime and of the short series of its tests
        found = check_estimator(adapter, raise_exceptions=False, verbose=False)
    assert len(found) > 200
    assert {name: result for name, result in found.items() if result != "PASSED"} == {}


@pytest.mark.filterwarnings("ignore:in the back-test", "ignore:an interval of level")
def test_forecasts_are_those_of_the_forecaster_at_their_dates():
    net = SktimeForecaster(Forecaster("gru", **SMALL)).fit(Y, fh=[2, 5])
    plain = Forecaster("gru", **SMALL).fit(Y.to_numpy())
    found = net.predict()
    assert found.name == "flow" and found.index.astype(str).tolist() == ["2006-02", "2006-05"]
    np.testing.assert_array_equal(found, plain.predict(5)[[1, 4]])
    quantiles = net.predict_quantiles(alpha=[0.1, 0.5])
    np.testing.assert_array_equal(quantiles.to_numpy().T, np.array(plain.predict_quantiles(5, [0.1, 0.5]))[:, [1, 4]])
    ends = net.predict_interval(coverage=0.8).to_numpy()
    np.testing.assert_array_equal(ends.T, np.array(plain.predict_interval(5, 0.8))[:, [1, 4]])
    assert net.get_params()["forecaster__hidden_size"] == 3
    assert net.set_params(forecaster__hidden_size=5).forecaster.hidden_size == 5


@pytest.mark.filterwarnings("ignore:in the back-test")
def test_inputs_of_the_steps_to_come():
    X = pd.DataFrame({"price": np.random.default_rng(1).normal(size=60)}, index=Y.index)
    net = SktimeForecaster(Forecaster("gru", **SMALL)).fit(Y[:50], X[:50], fh=[1, 3])
    plain = Forecaster("gru", **SMALL).fit(Y[:50].to_numpy(), X[:50].to_numpy())
    known = X[50:53].to_numpy().copy()
    np.testing.assert_array_equal(net.predict(X=X[50:53]), plain.predict(3, known)[[0, 2]])
    known[1] = known[0]  # a step that nobody asks for, and nothing says
    np.testing.assert_array_equal(net.predict(X=X.iloc[[50, 52]]), plain.predict(3, known)[[0, 2]])


def test_classes():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 2, 9)), np.array(["up", "down"])[np.arange(30) % 2]
    x[y == "up"] += 1
    net = SktimeClassifier(SequenceClassifier("gru", 4, epochs=20, random_state=0)).fit(x, y)
    plain = SequenceClassifier("gru", 4, epochs=20, random_state=0).fit(x.swapaxes(1, 2), y)
    np.testing.assert_array_equal(net.predict(x), plain.predict(x.swapaxes(1, 2)))
    np.testing.assert_array_equal(net.predict_proba(x), plain.predict_proba(x.swapaxes(1, 2)))
    assert (net.predict(x) == y).mean() > 0.8


def test_importing_pylstm_imports_no_sktime():
    code = "import sys, pylstm, pylstm.estimators, pylstm.forecasting; sys.exit('sktime' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code]).returncode == 0


def test_without_sktime_a_sentence(monkeypatch):
    find = importlib.util.find_spec
    absent = {"sktime"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in absent else find(name, *more))
    monkeypatch.delitem(sys.modules, "pylstm.estimators.sktime")
    with pytest.raises(ModuleNotFoundError, match=r"needs sktime: pip install 'pylstm\[sktime\]'"):
        importlib.import_module("pylstm.estimators.sktime")


@pytest.mark.filterwarnings("ignore:in the back-test", "ignore:an interval of level")
@pytest.mark.parametrize("inputs", [False, True])
def test_an_update_without_a_fit_forecasts_from_its_end(inputs):
    rng, index = np.random.default_rng(2), pd.period_range("2001-01", periods=72, freq="M")
    X = pd.DataFrame({"price": rng.normal(size=72)}, index)
    y = pd.Series(50 + 8 * np.sin(2 * np.pi * np.arange(72) / 12) + 3 * X["price"] + 0.1 * rng.normal(size=72), index)
    known = (lambda part: {"X": X[part]}) if inputs else (lambda part: {})
    y = y if inputs else y - 3 * X["price"]
    net = SktimeForecaster(Forecaster("gru", 4, epochs=1, random_state=0)).fit(y[:50], **known(slice(50)))
    net.update(y[50:62], update_params=False, **known(slice(50, 62)))
    own = net.forecaster_.predict(4, X[:66].to_numpy() if inputs else None, history=y[:62].to_numpy())
    found = net.predict([1, 3, 4], **known(slice(62, 66)))
    np.testing.assert_array_equal(found, own[[0, 2, 3]])
    np.testing.assert_allclose(found, y.iloc[[62, 64, 65]], atol=1.5)
    low, high = net.predict_interval([1, 3, 4], **known(slice(62, 66)), coverage=0.9).to_numpy().T
    assert (low <= found).all() and (found <= high).all()
    fitted = net.update(y[55:66], **known(slice(55, 66))).predict([1], **known(slice(66, 67)))
    anew = SktimeForecaster(Forecaster("gru", 4, epochs=1, random_state=0)).fit(y[:66], **known(slice(66)))
    np.testing.assert_array_equal(fitted, anew.predict([1], **known(slice(66, 67))))
