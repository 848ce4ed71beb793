"""Estimators on iterables of batches: statistics in a pass of its own, then scaled and encoded by batch."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

import pylstm
from pylstm import SequenceClassifier, SequenceRegressor

RNG = np.random.default_rng(0)
X = 3 + 2 * RNG.normal(size=(90, 7, 3))
LABELS = np.where(X.sum(axis=(1, 2)) > X.sum(axis=(1, 2)).mean() + 2, "up", "down")
VALUES = np.stack([X.sum(axis=(1, 2)), X[:, -1, 0]], axis=1)
WEIGHTS = RNG.uniform(0.5, 2, size=90)
STARTS = range(0, 90, 8)
ONE = {"hidden_size": 4, "epochs": 4, "random_state": 0, "dtype": "float64", "batch_size": 90}


def batches(*arrays, size=8):
    return [tuple(each[k : k + size] for each in arrays) for k in range(0, 90, size)]


def same(net, other, rtol=1e-9):
    """Up to the rounding of sums of other orders."""
    assert np.allclose(net.x_mean_, other.x_mean_, rtol=1e-13) and np.allclose(net.x_scale_, other.x_scale_, rtol=1e-13)
    assert np.allclose(net.loss_curve_, other.loss_curve_, rtol=rtol)
    out = "predict_proba" if hasattr(net, "classes_") else "predict"
    assert np.allclose(getattr(net, out)(X), getattr(other, out)(X), rtol=1e3 * rtol)


@pytest.mark.parametrize("options", [{}, {"standardise": False}, {"schedule": "plateau"}])
@pytest.mark.parametrize("weights", [(), (WEIGHTS,), (np.where(np.arange(90) % 7 == 3, 0, WEIGHTS),)])
def test_as_arrays(options, weights):
    """One batch of all rows, whose order does not matter."""
    for net, y in ((SequenceClassifier, LABELS), (SequenceRegressor, VALUES), (SequenceRegressor, VALUES[:, 0])):
        found = net("gru", **ONE, **options).fit([(X, y, *weights)])
        same(found, net("gru", **ONE, **options).fit(X, y, *weights))


@pytest.mark.parametrize("weight", ["balanced", {"up": 3, "down": 0.5}, {"up": 2, "down": 0}])
def test_class_weights(weight):
    options = ONE | {"class_weight": weight}
    found = SequenceClassifier("gru", **options).fit([(X, LABELS, WEIGHTS)])
    same(found, SequenceClassifier("gru", **options).fit(X, LABELS, WEIGHTS))


def test_several_batches():
    """Statistics are those of all rows, and steps those of `pylstm.fit` on what is scaled by hand."""
    found = SequenceClassifier("gru", **ONE, optimiser="sgd", schedule=None).fit(lambda: iter(batches(X, LABELS)))
    z = (X - X.mean(axis=(0, 1))) / X.std(axis=(0, 1))
    assert np.allclose(found.x_mean_, X.mean(axis=(0, 1)), rtol=1e-13) and found.n_iter_ == 4
    assert found.classes_.tolist() == ["down", "up"] and found.validation_scores_ is None
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    model = pylstm.SequenceModel("gru", 3, 4, 2, loss="softmax_cross_entropy", dtype="float64", seed=seed)
    optimiser = pylstm.SGD(model.params, lr=found.learning_rate)
    history = pylstm.fit(model, batches(z, (LABELS == "up").astype(int)), epochs=4, optimiser=optimiser, seed=seed)
    assert np.allclose(found.loss_curve_, history.loss, rtol=1e-10)
    assert np.allclose(found.decision_function(X), np.diff(model.predict(z))[:, 0], rtol=1e-8)


@pytest.mark.parametrize("weight", [None, {"up": 2, "down": 0.5}])
def test_a_batch_of_no_weight_is_left_out(weight):
    weights, options = np.where(np.arange(90) < 8, 0, WEIGHTS), ONE | {"class_weight": weight}
    found = SequenceClassifier("gru", **options).fit(batches(X, LABELS, weights))
    expected = SequenceClassifier("gru", **options).fit(batches(X, LABELS, WEIGHTS)[1:])
    assert found.loss_curve_ == expected.loss_curve_
    numbers = SequenceRegressor("gru", **ONE).fit(batches(X, VALUES, weights))
    assert numbers.loss_curve_ == SequenceRegressor("gru", **ONE).fit(batches(X, VALUES, WEIGHTS)[1:]).loss_curve_


def test_rows_of_several_lengths_and_flat_rows():
    ragged = pylstm.Sequences(X, RNG.integers(1, 8, size=90))
    net = SequenceRegressor("gru", **ONE).fit(batches(ragged, VALUES))
    assert np.allclose(net.x_mean_, X[ragged.inside].mean(axis=0), rtol=1e-13)
    net = SequenceRegressor("gru", **ONE, features_per_step=3).fit(batches(X.reshape(90, -1), VALUES))
    assert net.n_features_in_ == 21 and np.allclose(net.x_mean_, X.mean(axis=(0, 1)), rtol=1e-13)


def test_a_loader_of_torch():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy((LABELS == "up").astype(int)))
    loader = torch.utils.data.DataLoader(data, batch_size=8, shuffle=True, generator=torch.manual_seed(0))
    net = SequenceClassifier("gru", hidden_size=8, epochs=15, random_state=0).fit(loader)
    assert net.score(X, (LABELS == "up").astype(int)) > 0.9


def test_warm_start():
    net = SequenceRegressor("gru", **ONE, warm_start=True).fit(batches(X, VALUES))
    scale, first = net.x_mean_, net.loss_curve_
    net.fit(batches(X + 1, VALUES))
    assert net.x_mean_ is scale and net.loss_curve_[0] != first[0]
    with pytest.raises(ValueError, match="warm_start needs the same net and data"):
        net.fit(batches(X[:, :, :2], VALUES))
    assert net.x_mean_ is scale


GAP = X.copy()
GAP[12, 4, 1] = np.nan


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (
            iter(batches(X, LABELS)),
            ValueError,
            "X can be read once, as it is a list_iterator, but it",
        ),
        (batches(X), ValueError, r"X, batch 0: a batch must be \(x, y\) or \(x, y, sample_weight\), got 1 arrays"),
        (batches(GAP, LABELS), ValueError, "X, batch 1: X contains NaN, first at index"),
        ([*batches(X, LABELS), (X[:, :, :2], LABELS)], ValueError, "X, batch 12: X has 2 features at a step, but Seq"),
        (batches(X, LABELS, -WEIGHTS), ValueError, "X, batch 0: sample_weight must be 0 or more"),
        (batches(X, LABELS, 0 * WEIGHTS), ValueError, "all sample weights are zero"),
        (lambda: [], ValueError, "X holds no batch"),
        (X, ValueError, "requires y to be passed"),
        ([X], ValueError, "requires y to be passed"),
    ],
)
def test_refusals(data, error, message):
    net = SequenceClassifier("gru", **ONE)
    with pytest.raises(error, match=message):
        net.fit(data)
    assert not hasattr(net, "model_")


def test_refusals_of_options_and_labels():
    with pytest.raises(ValueError, match="early_stopping holds out rows, which cannot be drawn of batches"):
        SequenceClassifier(early_stopping=True).fit(batches(X, LABELS))
    others = iter([LABELS, np.where(np.arange(90) == 12, "new", LABELS)])
    with pytest.raises(ValueError, match="X, batch 1: y must hold labels of the pass before only"):
        SequenceClassifier("gru", **ONE).fit(lambda: batches(X, next(others)))
