"""`Forecaster`: the estimator around `ForecastModel`, with data frames, pickles and files."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
pytest.importorskip("polars")

import pandas as pd
import polars as pl
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import ParameterGrid

import pylstm
from pylstm import Forecaster

T = np.arange(132)
ONE = 0.1 * T + np.sin(2 * np.pi * T / 12) + 0.05 * np.random.default_rng(0).normal(size=132)
TWO = np.stack([ONE, 100 - 3 * ONE], axis=1)
SMALL = {"cell": "gru", "hidden_size": 6, "season": 12, "epochs": 5, "random_state": 0, "window": 24}
NET = {**SMALL, "combine": False}


def test_it_learns_and_is_scored():
    net = Forecaster(hidden_size=16, random_state=0).fit(ONE[:108])
    assert net.score(ONE[108:]) == r2_score(ONE[108:], net.predict(24)) > 0.98
    low, high = net.predict_interval(24, 0.8)
    assert ((low <= ONE[108:]) & (ONE[108:] <= high)).mean() > 0.7
    assert net.n_iter_ == len(net.loss_curve_) == len(net.validation_loss_curve_) <= 100
    assert net.settings_ == {"cycle": 12, "log": False, "season": 12, "difference": 0, "window": 40}


@pytest.mark.filterwarnings("ignore:in the back-test")
def test_what_is_given_is_not_chosen():
    given = {"window": 20, "season": 6, "difference": 1, "log": True, "cycle": 3}
    net = Forecaster("gru", 3, epochs=1, random_state=0, **given).fit(ONE[:108] + 5)
    assert net.settings_ == given
    ready = net.model_.preparation
    assert (ready.season, ready.difference, ready.log, net.model_.window, net.model_.cycle) == (6, 1, True, 20, 3)
    alone = Forecaster("gru", 3, epochs=1, random_state=0, combine=False, **given).fit(ONE[:108] + 5)
    assert alone.method_ == ["net"] and alone.model_.blend is None
    parts = net.method_[0].split(" + ")
    assert sum(float(each.split()[0]) for each in parts) == pytest.approx(1, abs=0.02)
    assert {each.split()[1] for each in parts} <= {"net", "smoothing", "naive", "seasonal"}


FORMS = {
    "array": (lambda y: y, lambda y: y[:, 0]),
    "pandas": (lambda y: pd.DataFrame(y, columns=["a", "b"]), lambda y: pd.Series(y[:, 0], name="a")),
    "polars": (lambda y: pl.DataFrame(y, schema=["a", "b"], orient="row"), lambda y: pl.Series("a", y[:, 0])),
    "list": (lambda y: list(y.T), lambda y: y[:, 0].tolist()),
    "list of Series": (lambda y: [pd.Series(each) for each in y.T], lambda y: y[:, 0]),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form):
    two, one = FORMS[form]
    expected = Forecaster(**SMALL).fit(TWO[:108]), Forecaster(**SMALL).fit(ONE[:108])
    net = Forecaster(**SMALL).fit(two(TWO[:108]))
    forecast = np.stack(net.predict(24), axis=1) if form.startswith("list") else net.predict(24)
    np.testing.assert_array_equal(forecast, expected[0].predict(24))
    assert net.score(two(TWO[108:])) == pytest.approx(expected[0].score(TWO[108:]), rel=1e-12)
    single = Forecaster(**SMALL).fit(one(TWO[:108]))
    np.testing.assert_array_equal(single.predict(5), expected[1].predict(5))
    np.testing.assert_array_equal(single.predict(5, history=one(TWO[:120])), expected[1].predict(5, history=ONE[:120]))


@pytest.mark.filterwarnings("ignore:in the back-test:UserWarning")
def test_exogenous_frames():
    extra = np.random.default_rng(1).normal(size=(120, 2))
    frame = pd.DataFrame(extra, columns=["price", "heat"])
    net, plain = (Forecaster(**SMALL).fit(ONE[:108], X) for X in (frame[:108], extra[:108]))
    np.testing.assert_array_equal(net.predict(12, frame[108:]), plain.predict(12, extra[108:]))
    np.testing.assert_array_equal(
        net.predict_interval(12, 0.5, frame[108:], paths=9), plain.predict_interval(12, 0.5, extra[108:], paths=9)
    )
    with pytest.raises(ValueError, match="exogenous is missing"):
        net.predict(12)


def test_early_stopping_pickles_and_files(tmp_path):
    sizes = {name: np.int64(value) for name, value in {"season": 12, "window": 24, "hidden_size": 6}.items()}
    net = Forecaster(
        **{**SMALL, **sizes, "epochs": 500, "learning_rate": 0.05, "n_iter_no_change": 2}, early_stopping=True
    )
    with pytest.raises(NotFittedError):
        net.predict(3)
    net = clone(net).fit(TWO)
    assert net.n_iter_ < 500
    pylstm.save(tmp_path / "net.safetensors", net)
    for copy in (pickle.loads(pickle.dumps(net)), pylstm.load(tmp_path / "net.safetensors")):
        assert isinstance(copy, Forecaster) and copy.get_params() == net.get_params()
        assert copy.loss_curve_ == net.loss_curve_ and copy.n_iter_ == net.n_iter_
        np.testing.assert_array_equal(copy.predict(9), net.predict(9))
        np.testing.assert_array_equal(copy.predict_interval(9), net.predict_interval(9))
        np.testing.assert_array_equal(clone(copy).fit(TWO).predict(9), net.predict(9))


def test_what_is_held_out_and_intervals_from_there():
    net = Forecaster(**NET, difference=0, validation_fraction=0.25).fit(ONE[:112])
    assert len(net.model_.residuals) == 25  # a quarter of what has a season before it
    trained = Forecaster(**NET, early_stopping=False, validation_fraction=0).fit(ONE)
    assert trained.validation_loss_curve_ == []
    with pytest.raises(ValueError, match=r"validation_fraction=0\.2"):
        trained.predict_interval(5)
    with pytest.raises(ValueError, match="combine=True needs steps for its back-test"):
        Forecaster(**SMALL, early_stopping=False, validation_fraction=0).fit(ONE)
    later = net.predict_interval(5, 0.8, history=pd.Series(ONE), paths=9)
    np.testing.assert_array_equal(later, net.predict_interval(5, 0.8, history=ONE, paths=9))
    assert not np.array_equal(later, net.predict_interval(5, 0.8, paths=9))


def test_a_sweep():
    grid = ParameterGrid({"season": [0, 12], "cell": ["gru", "rnn_tanh"]})
    options = {**NET, "difference": 0, "epochs": 40}
    scores = [Forecaster(**{**options, **point}).fit(ONE[:108]).score(ONE[108:]) for point in grid]
    assert list(grid)[int(np.argmax(scores))]["season"] == 12


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("season", "yes", "season must be an integer, got 'yes'"),
        ("season", 1.5, "season must be an integer, got 1.5"),
        ("difference", "step", "difference must be an integer, got 'step'"),
        ("cycle", [12], r"cycle must be an integer, got \[12\]"),
        ("window", 0, "window must be at least 1, got 0"),
        ("log", 2, "log must be True or False, got 2"),
    ],
)
def test_settings_are_checked_before_any_is_chosen(name, value, says):
    with pytest.raises((TypeError, ValueError), match=says):
        Forecaster(**{name: value}, epochs=1).fit(ONE)
