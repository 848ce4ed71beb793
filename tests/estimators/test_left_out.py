"""Samples of weight 0, of scores and of classes too, do not count; a fit that fails keeps the one before."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

import pylstm
from pylstm import Forecaster, SequenceClassifier, SequenceRegressor
from pylstm.data.sequences import Sequences

RNG = np.random.default_rng(8)
X = RNG.normal(size=(40, 5, 2))
Y = X.sum(axis=(1, 2))
LABELS = np.where(Y > 0, "up", "down")
SMALL = {"cell": "gru", "hidden_size": 5, "epochs": 3, "random_state": 0, "dtype": "float64"}
COUNTS = np.arange(40) % 4 != 0


def spoilt(values):
    values = values.copy()
    values[::8], values[4::8] = np.nan, np.inf
    return values


FORMS = {
    "array": lambda x: x,
    "list": list,
    "ragged": lambda x: [row[: 3 + k % 3] for k, row in enumerate(x)],
    "Sequences": lambda x: Sequences(x, np.arange(len(x)) % 3 + 3),
    "rows": lambda x: x.reshape(len(x), -1),
}


def kept(x):
    return [row for row, counts in zip(x, COUNTS) if counts] if isinstance(x, list) else x[COUNTS]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [SequenceRegressor, SequenceClassifier])
def test_the_score_leaves_samples_of_weight_0_out(kind, form):
    y = LABELS if kind is SequenceClassifier else Y
    options = SMALL | ({"features_per_step": 2} if form == "rows" else {})
    net = kind(**options).fit(FORMS[form](X), y)
    weights = np.where(COUNTS, RNG.uniform(0.5, 2, 40), 0)
    bad_y = spoilt(Y) if kind is SequenceRegressor else y
    expected = net.score(kept(FORMS[form](X)), y[COUNTS], weights[COUNTS])
    assert net.score(FORMS[form](spoilt(X)), bad_y, weights) == expected
    assert net.score(FORMS[form](spoilt(X)), bad_y, sample_weight=weights.tolist()) == expected
    assert expected != net.score(FORMS[form](X), y)


@pytest.mark.parametrize("kind", [SequenceRegressor, SequenceClassifier])
def test_a_score_of_nothing_is_refused(kind):
    y = LABELS if kind is SequenceClassifier else Y
    net = kind(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="all sample weights are zero: at least one must be above 0"):
        net.score(X, y, np.zeros(40))
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        net.score(spoilt(X), y, np.ones(40))


@pytest.mark.parametrize("form", FORMS)
def test_sequences_of_a_class_of_weight_0_do_not_count(form):
    labels = np.where(COUNTS, LABELS, "broken")
    options = SMALL | {"class_weight": {"broken": 0, "up": 2.0, "down": 1.0}}
    options |= {"features_per_step": 2} if form == "rows" else {}
    clean = SequenceClassifier(**options).fit(FORMS[form](X), labels)
    net = SequenceClassifier(**options).fit(FORMS[form](spoilt(X)), labels)
    assert list(net.classes_) == list(clean.classes_) == ["broken", "down", "up"]
    assert all(np.array_equal(a.flat, b.flat) for a, b in zip(net.model_.params, clean.model_.params))
    assert np.array_equal(net.x_mean_, clean.x_mean_)
    weights = RNG.uniform(0.5, 1, 40)
    one, two = (SequenceClassifier(**options).fit(FORMS[form](x), labels, weights) for x in (X, spoilt(X)))
    assert one.loss_curve_ == two.loss_curve_ != clean.loss_curve_
    others = np.where(COUNTS, weights, RNG.uniform(5, 6, 40))  # go with the samples that are left out
    assert SequenceClassifier(**options).fit(FORMS[form](X), labels, others).loss_curve_ == one.loss_curve_


class Hook:
    def __init__(self, after):
        self.after = after

    @pylstm.hookimpl
    def pylstm_on_step_end(self, trainer):
        if trainer.step == self.after:
            raise ZeroDivisionError


@pytest.fixture
def failing(monkeypatch):
    from pylstm import plugins

    own = plugins.Plugins()
    monkeypatch.setattr(plugins, "_plugins", own)
    own.load()
    return lambda: own.manager.register(Hook(2))


def forecast_model():
    return pylstm.ForecastModel("gru", 4, window=8, seed=0)


def classify_model():
    return pylstm.ClassifyModel(["down", "up"], "gru", 4, seed=0)


NUMBERS = (Y > 0).astype(int)
SERIES = np.sin(np.arange(40.0)) + 0.3 * np.arange(40)
FITS = {
    "regressor": (lambda: SequenceRegressor(**SMALL), (X, Y), (X[:, :, :1], Y[:, None]), lambda e: e.predict(X)),
    "warm": (lambda: SequenceRegressor(**SMALL, warm_start=True), (X, Y), (X, -Y), lambda e: e.predict(X)),
    "classifier": (
        lambda: SequenceClassifier(**SMALL), (X, LABELS), (X[:, :, :1], NUMBERS + 5), lambda e: e.predict_proba(X),
    ),
    "forecaster": (
        lambda: Forecaster("gru", 4, window=8, epochs=2, random_state=0), (SERIES,), (10 * SERIES[:36],),
        lambda e: e.predict(3),
    ),
    "forecast model": (forecast_model, (SERIES,), ([10 * SERIES[:33]] * 2,), lambda e: e.predict(3)),
    "classify model": (classify_model, (X, NUMBERS), (X[:, :, :1] * 9, NUMBERS), lambda e: e.probabilities(X)),
}  # fmt: skip


@pytest.mark.parametrize("kind", FITS)
def test_a_refit_that_fails_keeps_the_fit_before(kind, failing, tmp_path):
    make, first, second, use = FITS[kind]
    net, fresh = make(), make()
    net.fit(*first)
    expected, names, model = use(net), sorted(vars(net)), {**vars(net)}
    failing()
    with pytest.raises(ZeroDivisionError):
        net.fit(*second)
    assert sorted(vars(net)) == names and np.array_equal(use(net), expected)
    assert all(vars(net)[name] is value for name, value in model.items())
    pylstm.save(tmp_path / "m", net)
    assert np.array_equal(use(pylstm.load(tmp_path / "m")), expected)
    before = sorted(vars(fresh))
    with pytest.raises(ZeroDivisionError):
        fresh.fit(*first)
    assert sorted(vars(fresh)) == before
    with pytest.raises((ValueError, RuntimeError, AttributeError), match="fit"):
        use(fresh)
