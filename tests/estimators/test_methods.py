"""Classifiers that choose their net: random and trained ones, what they say of it, files, the read-out, views."""

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

import pylstm
from pylstm import SequenceClassifier, Sequences
from pylstm.data.stored import Stored
from pylstm.data.views import VIEWS, seen
from pylstm.estimators.methods.asked import asked
from pylstm.estimators.methods.calibration import calibration_error, temperature_of
from pylstm.estimators.methods.choosing import merged
from pylstm.estimators.methods.random_net import features_of, random_net
from pylstm.estimators.methods.readout import fit_readout
from pylstm.estimators.sequences.scaling import scale_steps
from pylstm.models.classify_model import log_probabilities

RNG = np.random.default_rng(3)
LENGTHS = RNG.integers(8, 15, 40)
SIDES = np.arange(40) % 2
X = [np.cumsum(RNG.normal(0.4 * side, 1, (T, 2)), axis=0) for T, side in zip(LENGTHS, SIDES)]
LABELS = np.array(["down", "up"])[SIDES]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def scaled(x, factors):
    return [each * factor for each, factor in zip(x, factors)]


def test_the_default_is_random_and_says_so(capsys):
    net = SequenceClassifier(random_state=0, verbose=True).fit(X, LABELS)
    assert net.method_ == "random" and 0.7 < net.scores_["random"] < 1 and net.score(X, LABELS) > 0.8
    assert net.n_iter_ == 0 and net.loss_curve_ == [] and net.validation_scores_ is None
    said = f"method: random (accuracy on sequences left out: random {net.scores_['random']:.3f})"
    assert said in capsys.readouterr().out
    assert net.settings_["penalty"] > 0 and net.settings_["view"] in VIEWS and net.temperature_ != 1


@pytest.mark.parametrize(
    "given", [{"cell": "gru"}, {"epochs": 2}, {"head_sizes": [4]}, {"clip": None}, {"read": "max"}]
)
def test_a_parameter_of_training_trains(given):
    assert asked(SequenceClassifier(**given)) == "trained" and asked(SequenceClassifier(head_sizes=[])) == "auto"
    net = SequenceClassifier(**({"epochs": 1, "random_state": 0, "hidden_size": 3} | given)).fit(X, LABELS)
    assert net.method_ == "trained" and net.settings_ == {"view": "steps", "penalty": None} and net.n_iter_ >= 1
    assert net.model_.layer.cell.name == given.get("cell", "lstm")
    with pytest.raises(ValueError, match=f"method='random' has no effect for {next(iter(given))}: leave it out"):
        SequenceClassifier(**given, method="random").fit(X, LABELS)


def test_other_methods():
    with pytest.raises(ValueError, match="method must be one of auto, random, trained, got 'ridge'"):
        SequenceClassifier(method="ridge").fit(X, LABELS)
    assert SequenceClassifier(method="trained", random_state=0).fit(X[:6], LABELS[:6]).n_iter_ == 50


def test_a_trained_net_where_it_is_better(rng):
    x = rng.normal(size=(400, 3, 1))
    y = (x[:, 0, 0] > 0) ^ (x[:, 2, 0] > 0)
    net = SequenceClassifier(hidden_size=4, random_state=0).fit(x, y)
    assert net.method_ == "trained" and net.scores_["trained"] > net.scores_["random"] + 0.05
    assert net.n_iter_ == 40 and net.score(x, y) > 0.9
    assert SequenceClassifier(hidden_size=4, method="random", random_state=0).fit(x, y).method_ == "random"


@pytest.mark.parametrize("factors", [np.ones(40), np.exp(RNG.normal(0, 4, 40))], ids=["alike", "of all sizes"])
def test_files_pickles_and_the_task_model(factors, tmp_path):
    x = scaled(X, factors)
    net = SequenceClassifier(random_state=0).fit(x, LABELS)
    assert net.settings_["view"] == ("differences" if (factors == 1).all() else "normalised")
    pylstm.save(tmp_path / "net.safetensors", net)
    again = pylstm.load(tmp_path / "net.safetensors")
    for other in (again, pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other.predict_proba(x), net.predict_proba(x))
        assert other.get_params() == net.get_params() and other.method_ == net.method_
        assert (other.scores_, other.settings_, other.temperature_) == (net.scores_, net.settings_, net.temperature_)
    np.testing.assert_allclose(net.task_model.probabilities(x), net.predict_proba(x), rtol=1e-4, atol=1e-6)
    pylstm.save(tmp_path / "task.safetensors", net.task_model)
    task = pylstm.load(tmp_path / "task.safetensors")
    np.testing.assert_array_equal(task.probabilities(x), net.task_model.probabilities(x))


@pytest.mark.parametrize("flat", [False, True])
def test_onnx(flat, tmp_path, rng):
    onnx = pytest.importorskip("pylstm.interop.onnx")
    runtime = pytest.importorskip("onnxruntime")
    x = rng.normal(size=(30, 8)) if flat else rng.normal(size=(30, 8, 2))
    y = np.abs(x).reshape(30, -1).sum(axis=1) > (6 if flat else 12)
    net = SequenceClassifier(random_state=0).fit(x, y)
    assert net.view_ == "differences"
    onnx.export(net, tmp_path / "net.onnx")
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"))
    name = session.get_inputs()[0].name
    found = session.run(None, {name: x})
    assert any(
        np.allclose(each, net.predict_proba(x), rtol=1e-3, atol=1e-4) for each in found if np.shape(each) == (30, 2)
    )


def test_onnx_of_normalised_sequences(tmp_path, rng):
    onnx = pytest.importorskip("pylstm.interop.onnx")
    net = SequenceClassifier(random_state=0).fit(scaled(X, np.exp(rng.normal(0, 4, 40))), LABELS)
    with pytest.raises(TypeError, match="normalises every sequence, which an ONNX file of it cannot do: export"):
        onnx.export(net, tmp_path / "net.onnx")


def test_weights_are_repetitions_and_their_unit_does_not_matter(rng):
    counts = rng.integers(1, 4, 40)
    rows = rng.permutation(np.repeat(np.arange(40), counts))
    by_weight = SequenceClassifier(random_state=0).fit(X, LABELS, counts)
    repeated = SequenceClassifier(random_state=0).fit([X[row] for row in rows], LABELS[rows])
    np.testing.assert_array_equal(by_weight.predict_proba(X), repeated.predict_proba(X))
    scaled_weights = SequenceClassifier(random_state=0).fit(X, LABELS, counts * 0.125)
    np.testing.assert_allclose(scaled_weights.predict_proba(X), by_weight.predict_proba(X), rtol=1e-4)
    plain = SequenceClassifier(random_state=0).fit(X, LABELS)
    assert np.abs(plain.predict_proba(X) - by_weight.predict_proba(X)).max() > 1e-3


def test_class_weights(rng):
    y = np.array([0] * 30 + [1] * 10)
    x = rng.normal(size=(40, 6, 1)) + 0.3 * y[:, None, None]
    shares = {
        str(weight): SequenceClassifier(random_state=0, class_weight=weight).fit(x, y).predict_proba(x)[:, 1].mean()
        for weight in (None, "balanced", {0: 1.0, 1: 9.0})
    }
    assert shares["None"] < shares["balanced"] < shares["{0: 1.0, 1: 9.0}"]


@pytest.mark.parametrize("rows, width", [(25, 5), (25, 40), (12, 5), (12, 40)])
def test_what_is_left_out_is_a_fit_without_it(rows, width, rng):
    features, targets = rng.normal(size=(rows, width)) * 3, rng.integers(0, 3, rows)
    weights = rng.uniform(0.5, 2, rows)
    found = fit_readout(features, targets, 3, weights)
    wanted = np.where(np.arange(3) == targets[:, None], 1.0, -1.0)
    unit = weights / weights.mean()
    mean = np.average(features, axis=0, weights=unit)
    z = (features - mean) / np.sqrt(np.average((features - mean) ** 2, axis=0, weights=unit))

    def fit(kept):
        root = np.sqrt(unit[kept])[:, None]
        design = root * np.hstack([z[kept], np.ones((len(kept), 1))])
        penalty = np.diag([found.penalty] * width + [0.0])
        return np.linalg.solve(design.T @ design + penalty, design.T @ (root * wanted[kept]))

    everything = np.hstack([z, np.ones((rows, 1))])
    np.testing.assert_allclose(
        (features @ found.weight.T + found.bias) * found.temperature, everything @ fit(np.arange(rows)), atol=1e-9
    )
    for row in (0, rows - 1):
        np.testing.assert_allclose(
            found.left_out[row], everything[row] @ fit(np.delete(np.arange(rows), row)), atol=1e-9
        )


def test_a_constant_feature_and_one_row(rng):
    features = np.hstack([rng.normal(size=(9, 2)), np.full((9, 1), 0.5)])
    found = fit_readout(features, np.arange(9) % 2, 2, np.ones(9))
    assert (found.weight[:, 2] == 0).all() and (found.weight[:, :2] != 0).all()
    one = fit_readout(features[:1], np.array([1]), 2, np.ones(1))
    assert (one.weight == 0).all() and one.bias.argmax() == 1


def test_the_temperature_is_that_of_the_lowest_cross_entropy(rng):
    true = rng.normal(size=(4000, 3)) * 2
    odds = np.exp(log_probabilities(true))
    targets = (odds.cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    for factor in (0.01, 1.0, 30.0):
        assert temperature_of(true * factor, targets) == pytest.approx(factor, rel=0.1)
    before = calibration_error(np.exp(log_probabilities(true * 5)), targets)
    after = calibration_error(np.exp(log_probabilities(true * 5 / temperature_of(true * 5, targets))), targets)
    assert before > 0.1 and after < 0.03
    assert temperature_of(np.zeros((5, 2)), np.zeros(5, int)) == 1 == temperature_of(np.ones((5, 1)), np.zeros(5, int))


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_that_of_each_sequence_alone(view, rng):
    x = Sequences.of([rng.normal(size=(T, 2)) for T in (4, 1, 6)])
    x.padded[1, 1:] = np.nan
    found = seen(x, view)
    for whole, row in zip(found.rows(), x.rows()):
        np.testing.assert_allclose(whole, seen(row, view), rtol=0, atol=1e-14)
        assert whole.shape[1] == 2 * VIEWS[view]
    array = rng.normal(size=(3, 5, 2))
    np.testing.assert_allclose(seen(array, view)[1], seen(array[1], view), rtol=0, atol=1e-14)


def test_a_map_is_classified_as_the_array(rng, tmp_path):
    x = rng.normal(size=(30, 6, 2)) * np.exp(rng.normal(0, 4, size=(30, 1, 1)))
    np.save(tmp_path / "x.npy", x)
    net = SequenceClassifier(random_state=0).fit(x, np.arange(30) % 2)
    stored = Stored(np.load(tmp_path / "x.npy", mmap_mode="r"))
    for view in VIEWS:
        np.testing.assert_array_equal(seen(stored, view).read(), seen(x, view))
    found = scale_steps(net.x_scaler_, seen(stored, net.view_), "float32")
    np.testing.assert_array_equal(net.model_.predict(found), net.model_.predict(net._inputs(x)))
    np.testing.assert_allclose(net.task_model.probabilities(stored), net.predict_proba(x), rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match="method='random' needs the sequences in memory"):
        asked(SequenceClassifier(method="random"), stored)
    assert asked(SequenceClassifier(), stored) == "trained"


def test_views_by_hand():
    x = np.array([[1.0, 5.0], [3.0, 5.0]])
    np.testing.assert_array_equal(seen(x, "normalised"), [[1, 5, -1, 0, 0, 0, 0, 0], [3, 5, 1, 0, 2, 0, 2, 0]])


def test_merged_keeps_what_differs():
    x = Sequences.of([np.ones((2, 1)), np.ones((3, 1)), np.ones((2, 1)), np.ones((2, 1))])
    found, targets, weights = merged(x, np.array([0, 0, 0, 1]), np.array([1.0, 2.0, 4.0, 8.0]))
    assert found.lengths.tolist() == [2, 2, 3] and targets.tolist() == [0, 1, 0] and weights.tolist() == [5, 8, 2]


def test_features_do_not_depend_on_how_many_rows_are_run(monkeypatch, rng):
    net = random_net(2, 4, 3, 6.0, "float64", 1)
    x = Sequences.of([rng.normal(size=(T, 2)) for T in (4, 1, 6, 5, 2)])
    whole = features_of(net, x)
    monkeypatch.setattr("pylstm.estimators.methods.random_net.VALUES", 1)
    np.testing.assert_allclose(features_of(net, x), whole, rtol=0, atol=1e-14)
    np.testing.assert_allclose(
        whole @ net.head.params["weight"].T + net.head.params["bias"], net.predict(x), atol=1e-12
    )
