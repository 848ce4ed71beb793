"""Labels at every step, one pass at a time, and temperatures of trained classifiers."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

import pylstm
from pylstm import SequenceClassifier, Sequences
from pylstm.estimators.methods.calibration import calibration_error
from pylstm.models.classify_model import log_probabilities

EVERY = {"cell": "gru", "hidden_size": 8, "read": "every", "epochs": 40, "learning_rate": 0.03, "random_state": 0}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def signs(x):
    """Of the sums so far."""
    return np.where(np.cumsum(x[..., 0], axis=-1) > 0, "above", "below")


def test_labels_of_an_array(rng):
    x = rng.normal(size=(60, 7, 1))
    y = signs(x)
    net = SequenceClassifier(**EVERY).fit(x, y)
    assert net.predict(x).shape == (60, 7) and net.predict_proba(x).shape == (60, 7, 2)
    assert net.score(x, y) == np.mean(net.predict(x) == y) > 0.95
    np.testing.assert_allclose(net.predict_proba(x).sum(axis=-1), 1, rtol=1e-12)
    np.testing.assert_allclose(
        1 / (1 + np.exp(-net.decision_function(x))), net.predict_proba(x)[..., 1], rtol=1e-9, atol=1e-12
    )
    weights = np.arange(60.0)
    by_hand = np.average((net.predict(x) == y).mean(axis=1), weights=weights)
    assert net.score(x, y, weights) == pytest.approx(by_hand)


def test_ragged_labels(rng, tmp_path):
    x = [rng.normal(size=(T, 1)) for T in rng.integers(3, 10, 60)]
    y = [signs(each) for each in x]
    net = SequenceClassifier(**EVERY, early_stopping=True).fit(x, y)
    found = net.predict(x)
    assert [each.shape for each in found] == [(len(each),) for each in x]
    assert net.score(x, y) == np.mean(np.concatenate(found) == np.concatenate(y)) > 0.9
    assert net.predict_proba(x)[3].shape == (len(x[3]), 2) and len(net.validation_scores_) == net.n_iter_
    assert 0.8 < max(net.validation_scores_) <= 1
    same = SequenceClassifier(**EVERY, early_stopping=True).fit(Sequences.of(x), [each.tolist() for each in y])
    np.testing.assert_array_equal(same.decision_function(x)[0], net.decision_function(x)[0])
    pylstm.save(tmp_path / "net.safetensors", net)
    for other in (pylstm.load(tmp_path / "net.safetensors"), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(np.concatenate(other.predict(x)), np.concatenate(found))


def test_weights_of_steps(rng):
    x = rng.normal(size=(60, 7, 1))
    y = (x[..., 0] + rng.normal(size=(60, 7)) > 0.8).astype(int)
    plain, even, own = (
        SequenceClassifier(**EVERY, class_weight=weight).fit(x, y)
        for weight in (None, "balanced", {0: len(y[y == 1]), 1: len(y[y == 0])})
    )
    shares = [np.mean(net.predict(x)) for net in (plain, even)]
    assert shares[0] < np.mean(y) < shares[1]
    np.testing.assert_allclose(own.predict_proba(x), even.predict_proba(x), rtol=1e-3, atol=1e-4)
    left, some = SequenceClassifier(**EVERY), SequenceClassifier(**EVERY).fit(x[30:], y[30:])
    left.fit(x, y, np.r_[np.zeros(30), np.ones(30)])
    np.testing.assert_array_equal(left.predict_proba(x), some.predict_proba(x))


@pytest.mark.parametrize(
    "x, y, said",
    [
        (np.ones((2, 3, 1)), [[0, 1], [0, 1]], r"y\[0\] must have a label for each of the 3 steps of X\[0\], got 2"),
        ([np.ones((2, 1)), np.ones((3, 1))], [[0, 1], [0, 1]], r"y\[1\] must have a label for each of the 3 steps"),
        (np.ones((2, 3, 1)), [0, 1], r"y must have one label for each step, \(N, T\) or lists"),
        (np.ones((2, 3, 1)), [[0, 1, 1]], "inconsistent numbers of samples"),
    ],
)
def test_labels_that_do_not_fit(x, y, said):
    with pytest.raises(ValueError, match=said):
        SequenceClassifier(**EVERY).fit(x, y)


def test_the_score_refuses_other_labels(rng):
    x = rng.normal(size=(6, 3, 1))
    net = SequenceClassifier(**{**EVERY, "epochs": 1}).fit(x, signs(x))
    with pytest.raises(ValueError, match="y must have as many labels as X has steps"):
        net.score(x, signs(x)[:, :2])


def test_one_pass_at_a_time(rng):
    x = rng.normal(size=(120, 5, 1))
    y = np.where(x.sum(axis=(1, 2)) > 0, "up", "down")
    options = {"cell": "gru", "hidden_size": 6, "learning_rate": 0.03, "random_state": 0, "batch_size": 16}
    net = SequenceClassifier(**options)
    for step in range(12):
        part = slice(40 * (step % 3), 40 * (step % 3) + 40)
        before = None if not step else net.model_
        assert net.partial_fit(x[part], y[part], classes=["up", "down", "level"] if not step else None) is net
        assert net.model_ is not before
    assert net.n_iter_ == len(net.loss_curve_) == 12 and net.classes_.tolist() == ["down", "level", "up"]
    assert net.loss_curve_[-1] < 0.5 * net.loss_curve_[0] and net.score(x, y) > 0.9
    np.testing.assert_allclose(net.x_mean_, x[:40].mean(axis=(0, 1)))


def test_the_optimiser_goes_on(rng):
    """Three passes over one batch are three steps of a fit without a schedule."""
    x, y = rng.normal(size=(20, 5, 1)), np.arange(20) % 2
    options = {"cell": "gru", "hidden_size": 4, "random_state": 0, "batch_size": 20, "dtype": "float64"}
    whole = SequenceClassifier(**options, epochs=3, schedule=None).fit(x, y)
    net = SequenceClassifier(**options)
    for _ in range(3):
        net = pickle.loads(pickle.dumps(net.partial_fit(x, y, classes=[0, 1])))
    np.testing.assert_allclose(net.decision_function(x), whole.decision_function(x), rtol=1e-9, atol=1e-12)


def test_a_pass_after_a_fit(rng):
    x, y = rng.normal(size=(40, 5, 1)), np.arange(40) % 2
    net = SequenceClassifier(random_state=0).fit(x, y)
    before = net.predict_proba(x)
    net.partial_fit(x, y)
    assert net.method_ == "trained" and net.n_iter_ == 1
    assert np.abs(net.predict_proba(x) - before).max() > 1e-3
    assert net.fit(x, y).n_iter_ == 0


def test_what_a_pass_refuses(rng):
    x, y = rng.normal(size=(20, 5, 1)), np.arange(20) % 2
    net = SequenceClassifier("gru", 4, random_state=0)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        net.partial_fit(x, y)
    with pytest.raises(ValueError, match=r"y holds labels that are not in classes: \[1\]"):
        net.partial_fit(x, y, classes=[0, 2])
    assert not hasattr(net, "model_") and not hasattr(net, "classes_")
    net.partial_fit(x, y, classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes must be those of the first call, \[0, 1\], got \[0, 1, 2\]"):
        net.partial_fit(x, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="X has 2 features at a step"):
        net.partial_fit(np.ones((4, 5, 2)), y[:4])
    with pytest.raises(ValueError, match="class_weight='balanced' needs all labels at once"):
        SequenceClassifier(class_weight="balanced").partial_fit(x, y, classes=[0, 1])
    assert net.n_iter_ == 1


def test_what_batches_and_a_warm_start_do_not_take(rng):
    x, y = rng.normal(size=(20, 5, 1)), np.arange(20) % 2
    for options, said in (
        ({"method": "random"}, "method='random' does not take batches"),
        ({"read": "every"}, "read='every' does not take batches"),
        ({"calibrate": True}, "calibrate holds out rows, which cannot be drawn of batches"),
    ):
        with pytest.raises(ValueError, match=said):
            SequenceClassifier(**options).fit([(x, y)])
    net = SequenceClassifier(epochs=1).fit([(x, y)])
    assert net.method_ == SequenceClassifier().set_params(epochs=50).fit([(x[:4], y[:4])]).method_ == "trained"
    net = SequenceClassifier(random_state=0).fit(x, y).set_params(warm_start=True)
    with pytest.raises(ValueError, match="warm_start needs the same net and data as the previous fit"):
        net.fit(x, y)
    assert net.method_ == "random"


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("head_sizes", [(), (5,)])
def test_the_temperature_of_a_trained_net(every, head_sizes, rng, monkeypatch):
    x = rng.normal(size=(300, 4, 1))
    noisy = (x[..., 0] if every else x.sum(axis=(1, 2))) + 1.5 * rng.normal(size=(300, 4) if every else 300)
    y = (noisy > 0).astype(int)
    options = {"cell": "gru", "hidden_size": 32, "epochs": 90, "random_state": 0, "head_sizes": head_sizes}
    options |= {"read": "every", "learning_rate": 0.03} if every else {}
    net = SequenceClassifier(**options, calibrate=True, validation_fraction=0.3).fit(x[:100], y[:100])
    assert net.temperature_ > 1.2 and net.validation_scores_ is not None and net.n_iter_ == 90
    odds, right = net.predict_proba(x[100:]).reshape(-1, 2), y[100:].ravel()
    raw = np.exp(log_probabilities(np.log(odds) * net.temperature_))
    assert calibration_error(odds, right) < calibration_error(raw, right)
    monkeypatch.setattr("pylstm.estimators.classifier.cool", lambda model, temperature: None)
    warm = SequenceClassifier(**options, calibrate=True, validation_fraction=0.3).fit(x[:100], y[:100])
    decision = net.decision_function(x) * net.temperature_
    np.testing.assert_allclose(decision, warm.decision_function(x), rtol=1e-3, atol=1e-3)
