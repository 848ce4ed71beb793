"""Classifier and regressor: labels, weights, early stopping, going on, pickles and files."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.class_weight import compute_sample_weight

import pylstm
from pylstm import SequenceClassifier, SequenceRegressor
from pylstm.data.sequences import Sequences

RNG = np.random.default_rng(6)
X = RNG.normal(size=(60, 5, 2))
SUMS = X.sum(axis=(1, 2))
THREE = np.digitize(SUMS, [-2, 1])
SMALL = {"cell": "gru", "hidden_size": 6, "epochs": 4, "random_state": 0, "dtype": "float64"}


def flat(estimator):
    return np.concatenate([params.flat for params in estimator.model_.params])


LABELS = {
    "str": np.array(["low", "middle", "high"]),
    "object": np.array(["low", "middle", "high"], dtype=object),
    "int": np.array([7, -3, 0]),
    "float": np.array([7.0, -3.0, 0.0]),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels(kind):
    y = LABELS[kind][THREE]
    net = SequenceClassifier(**{**SMALL, "epochs": 40, "learning_rate": 0.03}).fit(X, y)
    assert net.classes_.tolist() == sorted(LABELS[kind].tolist())
    assert net.score(X, y) > 0.9
    proba = net.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(net.classes_[proba.argmax(axis=1)], net.predict(X))
    np.testing.assert_allclose(np.log(proba), net.predict_log_proba(X), rtol=1e-9, atol=1e-12)
    logits = net.decision_function(X)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), proba, rtol=1e-9)


def test_two_classes_and_one():
    y = np.array([False, True])[(SUMS > 0).astype(int)]
    net = SequenceClassifier(**SMALL).fit(X, y)
    decision, proba = net.decision_function(X), net.predict_proba(X)
    assert decision.shape == (60,) and proba.shape == (60, 2) and net.predict(X).dtype == bool
    np.testing.assert_allclose(1 / (1 + np.exp(-decision)), proba[:, 1], rtol=1e-9)
    one = SequenceClassifier(**SMALL).fit(X, np.full(60, "only"))
    assert set(one.predict(X)) == {"only"} and (one.predict_proba(X) == 1).all()


@pytest.mark.parametrize("columns", [None, 1, 3])
def test_targets_come_back_in_their_scale_and_shape(columns):
    y = SUMS if columns is None else np.stack([SUMS * 10**k + 7 for k in range(columns)], axis=1)
    net = SequenceRegressor(**{**SMALL, "epochs": 60, "learning_rate": 0.03}).fit(X, y)
    assert net.predict(X).shape == y.shape and net.score(X, y) > 0.95
    np.testing.assert_allclose(net.y_mean_, np.atleast_1d(y.mean(axis=0)), rtol=1e-12)
    shifted = SequenceRegressor(**{**SMALL, "epochs": 60, "learning_rate": 0.03}).fit(X, 64 * y - 3)
    np.testing.assert_allclose(shifted.predict(X), 64 * net.predict(X) - 3, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("estimator", [SequenceClassifier, SequenceRegressor])
def test_a_weight_of_two_is_the_sample_twice_and_of_zero_none(estimator):
    y = THREE if estimator is SequenceClassifier else SUMS
    options = {**SMALL, "batch_size": 1000}
    weights = RNG.integers(0, 3, size=60)
    rows = np.repeat(np.arange(60), weights)
    weighted = estimator(**options).fit(X, y, weights)
    np.testing.assert_allclose(flat(weighted), flat(estimator(**options).fit(X[rows], y[rows])), rtol=1e-7, atol=1e-9)
    assert not np.allclose(flat(weighted), flat(estimator(**options).fit(X, y)))
    spoiled = X.copy()
    spoiled[weights == 0] = 1e6
    np.testing.assert_array_equal(flat(estimator(**options).fit(spoiled, y, weights)), flat(weighted))
    batches, ones = estimator(**SMALL, batch_size=16), (weights > 0).astype(float)
    np.testing.assert_array_equal(
        flat(batches.fit(X, y, ones)), flat(clone(batches).fit(X[weights > 0], y[weights > 0]))
    )
    with pytest.raises(ValueError, match=r"[Ss]ample.weight"):
        estimator(**options).fit(X, y, np.zeros(60))


@pytest.mark.parametrize("form", ["array", "rows", "list", "Sequences", "frame"])
@pytest.mark.parametrize("estimator", [SequenceClassifier, SequenceRegressor])
def test_a_sample_of_weight_zero_may_be_anything(estimator, form):
    pandas = pytest.importorskip("pandas")
    weights, x, target = np.where(np.arange(60) % 4 == 2, 0.0, 1.5), np.array(X), np.arange(60) % 3
    y = target if estimator is SequenceClassifier else target + 0.25
    spoilt, wrong = x.copy(), y.astype("float64")
    spoilt[weights == 0], wrong[weights == 0] = np.nan, np.nan
    give = {
        "array": lambda each: each,
        "rows": lambda each: each.reshape(60, -1),
        "list": list,
        "Sequences": lambda each: Sequences(each, np.arange(60) % x.shape[1] + 1),
        "frame": lambda each: pandas.DataFrame(each.reshape(60, -1)).add_prefix("c"),
    }[form]
    options = SMALL | {"features_per_step": x.shape[2], "dropout": 0.0}
    got = estimator(**options).fit(give(spoilt), wrong, weights)
    expected = estimator(**options).fit(give(x), y, weights)
    np.testing.assert_array_equal(flat(got), flat(expected))
    if estimator is SequenceRegressor:
        assert np.isfinite(got.loss_curve_).all()


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 5.0, 2: 0.5}])
def test_class_weights_are_sample_weights(class_weight):
    plain = SequenceClassifier(**SMALL).fit(X, THREE, compute_sample_weight(class_weight, THREE))
    np.testing.assert_array_equal(
        flat(SequenceClassifier(**SMALL, class_weight=class_weight).fit(X, THREE)), flat(plain)
    )
    assert not np.allclose(flat(SequenceClassifier(**SMALL).fit(X, THREE)), flat(plain))


def test_a_class_of_weight_zero_is_left_out():
    net, first = SequenceClassifier(**SMALL, class_weight={0: 0.0, 1: 2.0, 2: 1.0}), np.flatnonzero(THREE == 0)[0]
    few = np.flatnonzero((THREE != 0) | (np.arange(60) == first))  # one is there, for its number
    np.testing.assert_array_equal(flat(clone(net).fit(X, THREE)), flat(clone(net).fit(X[few], THREE[few])))


@pytest.mark.parametrize("estimator", [SequenceClassifier, SequenceRegressor])
def test_early_stopping_takes_the_best_epoch(estimator):
    y = THREE if estimator is SequenceClassifier else SUMS + RNG.normal(size=60)
    options = SMALL | {"learning_rate": 0.1, "schedule": None, "early_stopping": True, "validation_fraction": 0.25}
    net = estimator(**{**options, "epochs": 300, "n_iter_no_change": 3}).fit(X, y)
    scores = net.validation_scores_
    assert 4 <= net.n_iter_ == len(net.loss_curve_) == len(scores) < 300 and len(set(scores)) > 1
    best = estimator(**{**options, "epochs": net.n_iter_ - 3}).fit(X, y)
    np.testing.assert_array_equal(flat(net), flat(best))
    _, (x, target) = net._split((X, net._take_targets(y)), np.random.RandomState(0).randint(2**31 - 1))
    held = net.classes_[target] if estimator is SequenceClassifier else target[:, 0]
    assert len(x) == 15 and net.score(x, held) == pytest.approx(scores[-4], rel=1e-9)
    assert estimator(**SMALL).fit(X, y).validation_scores_ is None


def test_what_is_held_out_has_all_classes():
    y = np.repeat([0, 1, 2], [40, 15, 5])
    net = SequenceClassifier(**SMALL, early_stopping=True, validation_fraction=0.2)
    net.fit(X, y)
    _, held = net._split((X, y), 0)
    assert np.bincount(held[1]).tolist() == [8, 3, 1]
    rare = np.where(np.arange(60) == 3, 9, y)  # one sample of a class: it cannot be on both sides
    assert net.fit(X, rare).classes_.tolist() == [0, 1, 2, 9]


def test_warm_start_goes_on():
    once = SequenceClassifier(**SMALL, schedule=None, optimiser="sgd").fit(X, THREE)
    before = flat(once).copy()
    cold = once.set_params(random_state=1).fit(X, THREE)
    assert not np.array_equal(flat(cold), before)
    net = SequenceClassifier(**SMALL, schedule=None, optimiser="sgd", warm_start=True).fit(X, THREE)
    first = net.loss_curve_
    scale = net.x_mean_.copy()
    net.fit(X[:50], THREE[:50])
    assert net.loss_curve_[0] < first[-1] + 0.05 and net.loss_curve_[-1] < first[-1]
    assert net.loss_curve_[0] < first[0]
    np.testing.assert_array_equal(net.x_mean_, scale)
    for change in ({"hidden_size": 7}, {"read": "mean"}):
        with pytest.raises(ValueError, match="warm_start needs the same net and data as the previous fit"):
            clone_fitted(net).set_params(**change).fit(X, THREE)
    with pytest.raises(ValueError, match="warm_start needs"):
        clone_fitted(net).fit(X, THREE + 1)


def clone_fitted(net):
    return pickle.loads(pickle.dumps(net))


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "rmsprop", "sgd"])
@pytest.mark.parametrize("schedule", ["cosine", "plateau", None])
def test_optimisers_and_schedules(optimiser, schedule):
    net = SequenceRegressor(**SMALL, optimiser=optimiser, schedule=schedule, learning_rate=0.01).fit(X, SUMS)
    assert net.loss_curve_[-1] < net.loss_curve_[0]
    assert net.n_iter_ == 4


OPTIONS = [
    {},
    {"num_layers": 2, "bidirectional": True, "dropout": 0.3, "residual": True, "head_sizes": (5, 4), "read": "max"},
    {"cell": "lstm", "standardise": False, "dtype": "float32", "activation": "tanh", "head_sizes": [3], "read": "mean"},
    {"cell": "mogrifier_lstm"},
    {
        "cell": "lstmp",
        "cell_options": {"proj_size": np.int64(3)},
        "hidden_size": np.int64(5),
        "head_sizes": (np.int64(4),),
    },
]


def cases():
    for options in OPTIONS:
        yield SequenceClassifier(**{**SMALL, **options, "class_weight": {"a": 2.0, "b": 1.0, "c": 1.0}}), LETTERS
        yield SequenceRegressor(**{**SMALL, **options}), SUMS
    yield SequenceRegressor(**SMALL), np.stack([SUMS, -SUMS], axis=1)
    yield SequenceClassifier(**SMALL, early_stopping=True), THREE
    yield SequenceClassifier(**SMALL), np.array(["x", "yy", "z"], dtype=object)[THREE]


LETTERS = np.array(["a", "b", "c"])[THREE]


@pytest.mark.parametrize(("net", "y"), list(cases()), ids=lambda each: getattr(each, "cell", ""))
def test_pickles_and_files(net, y, tmp_path):
    with pytest.raises(NotFittedError):
        net.predict(X)
    with pytest.raises(NotFittedError):
        pylstm.save(tmp_path / "net.safetensors", net)
    net = clone(net).fit(X, y)
    expected = net.predict(X)
    pylstm.save(tmp_path / "net.safetensors", net)
    for copy in (pickle.loads(pickle.dumps(net)), pylstm.load(tmp_path / "net.safetensors")):
        assert type(copy) is type(net)
        np.testing.assert_array_equal(copy.predict(X), expected)
        assert copy.predict(X).dtype == expected.dtype and copy.score(X, y) == net.score(X, y)
        for name in ("n_features_in_", "n_iter_", "loss_curve_", "validation_scores_"):
            assert getattr(copy, name) == getattr(net, name)
        mine, theirs = net.get_params(), copy.get_params()
        assert {k: tuple(v) if k == "head_sizes" else v for k, v in mine.items()} == {
            k: tuple(v) if k == "head_sizes" else v for k, v in theirs.items()
        }
        np.testing.assert_array_equal(clone(copy).fit(X, y).predict(X), expected)


def test_the_names_of_the_columns_are_in_the_file(tmp_path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X.reshape(60, 10), columns=[f"step {k}" for k in range(10)])
    net = SequenceClassifier(**SMALL, features_per_step=2).fit(frame, THREE)
    pylstm.save(tmp_path / "net.safetensors", net)
    read = pylstm.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(read.predict_proba(frame), net.predict_proba(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        read.predict(frame[frame.columns[::-1]])
    pylstm.save(tmp_path / "again.safetensors", read)
    assert pylstm.load(tmp_path / "again.safetensors").feature_names_in_.tolist() == frame.columns.tolist()


def test_equal_seeds_give_equal_nets():
    net = SequenceClassifier(**SMALL)
    assert np.array_equal(flat(net.fit(X, THREE)), flat(clone(net).fit(X, THREE)))
    other = SequenceClassifier(**{**SMALL, "random_state": 1}).fit(X, THREE)
    assert not np.array_equal(flat(net), flat(other))
    state = np.random.RandomState(3)
    first, second = (SequenceClassifier(**{**SMALL, "random_state": state}).fit(X, THREE) for _ in range(2))
    assert not np.array_equal(flat(first), flat(second))


def test_a_summary_of_the_fitted_net():
    X, y = np.zeros((6, 7, 3), "float32"), np.arange(6) % 2
    fitted = SequenceClassifier("gru", 4, epochs=1, random_state=0).fit(X, y)
    lines = fitted.summary((6, 7, 3)).splitlines()
    assert lines[1].split() == ["SequenceClassifier", "(6,", "2)", "110"] and lines[-1].startswith("110 parameters")
    assert "(N, 7, 4)" in fitted.summary((None, 7, None)).splitlines()[2]
    with pytest.raises(ValueError, match=r"input_shape must be \(N, T, 3\)"):
        fitted.summary((6, 7, 4))
    with pytest.raises(NotFittedError):
        SequenceClassifier().summary()
