"""`ClassifyModel`: standardisation, ragged rows, files, refusals."""

import numpy as np
import pytest

import pylstm
from pylstm import ClassifyModel
from pylstm.models.classify_model import confusion


def sequences(rows=40, seed=0):
    """Ragged rows of 2 features whose class is the sign of the sum of the first."""
    rng = np.random.default_rng(seed)
    x = [rng.normal(size=(rng.integers(2, 7), 2)) for _ in range(rows)]
    return x, np.array([int(each[:, 0].sum() > 0) for each in x])


def test_it_learns_from_features_of_any_scale():
    x, y = sequences(120)
    far = [each * [1e-3, 1e4] + [5.0, -1e6] for each in x]  # float32 keeps nothing of that unless it is standardised
    model = ClassifyModel(["neg", "pos"], "gru", 8, seed=0)
    model.fit(far, y, epochs=40)
    assert (model.predict(far) == y).mean() > 0.95
    steps = np.concatenate(far)
    assert np.allclose(model.scale, [steps.mean(axis=0), steps.std(axis=0)], rtol=1e-9)


def test_a_row_does_not_depend_on_the_others():
    x, y = sequences()
    model = ClassifyModel(["neg", "pos"], "lstm", 5, dtype="float64", seed=0)
    model.fit(x, y, epochs=1)
    together = model.probabilities(x)
    alone = np.concatenate([model.probabilities([each]) for each in x])
    assert np.allclose(together, alone, rtol=1e-13)  # but for the product of the head
    assert np.allclose(together.sum(axis=1), 1) and (together > 0).all()
    assert np.array_equal(model.predict(x), together.argmax(axis=1))
    assert np.array_equal(model.probabilities(pylstm.Sequences.of(x)), together)


def test_an_array_is_rows_of_one_length():
    x = np.random.default_rng(0).normal(size=(10, 4, 3))
    model = ClassifyModel(["a", "b"], "rnn_tanh", 4, seed=0)
    model.fit(x, np.arange(10) % 2, epochs=1)
    assert np.array_equal(model.probabilities(x), model.probabilities(list(x)))


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "read": "max", "head_sizes": (4,)}])
def test_a_file_brings_it_back(tmp_path, options):
    x, y = sequences()
    model = ClassifyModel(["no", "yes"], "gru", 6, dtype="float64", seed=1, **options)
    model.fit(x, y, epochs=2)
    pylstm.save(tmp_path / "m", model)
    again = pylstm.load(tmp_path / "m")
    assert (again.classes, again.cell, again.hidden_size, again.dtype) == (("no", "yes"), "gru", 6, "float64")
    assert np.array_equal(again.probabilities(x), model.probabilities(x))
    for each in (model, again):  # trained anew, it is the same net
        each.fit(x, y, epochs=1)
    assert np.array_equal(again.probabilities(x), model.probabilities(x))


def test_refusals():
    x, y = sequences(6)
    for classes in (["a"], ["a", "a"], []):
        with pytest.raises(ValueError, match="at least two different classes"):
            ClassifyModel(classes)
    with pytest.raises(ValueError, match="read must be last, mean, max or stats"):
        ClassifyModel(["a", "b"], read="every")
    model = ClassifyModel(["a", "b"], "gru", 3, seed=0)
    with pytest.raises(RuntimeError, match="call fit first"):
        model.predict(x)
    with pytest.raises(ValueError, match="call fit before saving it"):
        pylstm.save("m", model)
    for wrong, message in [
        (y[:-1], "shape"),
        (y.astype(float), "integers"),
        (y + 1, r"in 0\.\.1"),
        (y - 1, r"in 0\.\.1"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.fit(x, wrong)
    with pytest.raises(ValueError, match=r"sequence 1 contains NaN or infinity, first at index \(1, 0\)"):
        model.fit([x[0], np.array([[0.5, 1.0], [np.nan, np.inf]])], [0, 1])
    with pytest.raises(ValueError, match="sequence 1 must have shape"):
        model.fit([x[0], np.zeros((2, 3))], [0, 1])
    with pytest.raises(ValueError, match="at least one sequence"):
        model.fit([], [])
    model.fit(x, y, epochs=1)
    with pytest.raises(ValueError, match="must have 2 features at a step, got 3"):
        model.predict(np.zeros((1, 2, 3)))


def test_confusion_counts_truth_in_rows():
    assert confusion(np.array([0, 0, 2]), np.array([1, 1, 2]), 3).tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize(("batch_size", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError)])
def test_impossible_batches(batch_size, error):
    x, y = sequences()
    with pytest.raises(error, match="batch_size must be"):
        ClassifyModel(["neg", "pos"], "gru", 4).fit(x, y, batch_size=batch_size)
    with pytest.raises(error, match="batch_size must be"):
        pylstm.ForecastModel("gru", 4).fit(np.sin(np.arange(90.0)), batch_size=batch_size)


def test_an_estimator_is_the_model_of_its_task():
    pytest.importorskip("sklearn")
    x = np.random.default_rng(0).normal(3, 2, size=(20, 4, 2))
    labels = np.where(x.sum(axis=(1, 2)) > 24, 7, 3)
    estimator = pylstm.SequenceClassifier("gru", 4, epochs=2, random_state=0).fit(x, labels)
    model = estimator.task_model
    assert (model.task, model.classes, model.net) == ("classify", ("3", "7"), estimator.model_)
    np.testing.assert_allclose(model.probabilities(x), estimator.predict_proba(x), rtol=1e-6)
    forecaster = pylstm.Forecaster("gru", 4, epochs=1, window=8, random_state=0).fit(np.arange(30.0))
    assert forecaster.task_model is forecaster.model_ and forecaster.task_model.task == "forecast"


@pytest.mark.parametrize("kind", ["classify", "forecast"])
def test_the_rate_falls_to_0_unless_the_user_has_a_schedule(kind):
    if kind == "classify":
        model, data = ClassifyModel(["a", "b"], "gru", 3, seed=0), (np.ones((6, 3, 1)), [0, 1] * 3)
    else:
        model, data = pylstm.ForecastModel("gru", 3, window=8, seed=0), (np.arange(30.0),)
    falling = model.fit(*data, epochs=3, lr=0.02).lr
    assert 0.02 >= falling[0] > falling[1] > falling[2] > 0
    assert model.fit(*data, epochs=2, schedule=lambda step: 0.5).lr == [0.5, 0.5]
