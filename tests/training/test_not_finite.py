"""NaN and infinity in the data of a fit: excluded by weights and lengths, otherwise named, never blamed on the rate."""

import numpy as np
import pytest

import pylstm
from pylstm.data.finite import not_finite
from pylstm.data.sequences import Sequences
from pylstm.layers.named import Recurrent
from pylstm.models.sequence_model import SequenceModel
from pylstm.training.divergence import TrainingDiverged
from pylstm.training.fitting import fit
from pylstm.training.lbfgs import fit_lbfgs
from pylstm.training.tbptt import truncated_bptt
from pylstm.training.trainer import Trainer

RNG = np.random.default_rng(31)
N, T, I = 9, 6, 3
X = RNG.normal(size=(N, T, I))
ROWS, STEPS = RNG.normal(size=N), RNG.normal(size=(N, T))
LENGTHS = np.array([6, 2, 5, 1, 6, 3, 4, 6, 2])
BODIES = {
    "one layer": {},
    "two layers": {"num_layers": 2, "dropout": 0.3},
    "two directions": {"bidirectional": True},
    "an MLP": {"head_sizes": (5,)},
}
bad = pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])


def model_of(read="last", cell="gru", dtype="float64", **options):
    return SequenceModel(cell, I, 4, 1, read=read, dtype=dtype, seed=2, **options)


def gradients(model, *batch):
    if model.rng is not None:
        model.rng = np.random.default_rng(5)
    loss, grads = model.gradients(*batch)
    return loss, np.concatenate([each.flat for each in grads])


def replaced(array, at, value):
    array = array.copy()
    array[at] = value
    return array


@bad
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("read", ["last", "mean", "max", "stats", "every"])
def test_a_row_without_weight_has_no_effect(read, body, value):
    model = model_of(read, **BODIES[body])
    y, weights = STEPS if read == "every" else ROWS, np.where(np.arange(N) % 3 == 1, 0.0, 0.7)
    expected, gradient = gradients(model, X, y, weights)
    out = weights == 0
    loss, got = gradients(model, replaced(X, out, value), replaced(y, out, value), weights)
    assert loss == expected and np.isfinite(expected)
    np.testing.assert_array_equal(got, gradient)
    assert model.loss(replaced(X, out, value), replaced(y, out, value), weights) == model.loss(X, y, weights)


@bad
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("ragged", [False, True])
def test_steps_without_weight_have_no_effect(body, ragged, value):
    """A mask over padding does what lengths do, where no later output is looked at."""
    model = model_of("every", **BODIES[body])
    weights = RNG.uniform(0.2, 1.0, (N, T)) * (np.arange(T) < LENGTHS[:, None]) * (np.arange(T) != 1)
    weights[4] = 0
    out = weights == 0
    unseen = ~np.logical_or.accumulate(~out[:, ::-1], axis=1)[:, ::-1]
    if body == "two directions":  # the reverse one reads what stands behind
        unseen = np.repeat(out.all(axis=1)[:, None], T, axis=1)
    assert unseen.any() and (unseen != out).any()
    give = (lambda each: Sequences(each, LENGTHS)) if ragged else (lambda each: each)
    expected, gradient = gradients(model, give(X), STEPS, weights)
    loss, got = gradients(model, give(replaced(X, unseen, value)), replaced(STEPS, out, value), weights)
    assert loss == expected and np.isfinite(expected)
    np.testing.assert_array_equal(got, gradient)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("read", ["last", "every"])
@pytest.mark.parametrize("ragged", [False, True])
def test_what_counts_is_what_changes_the_loss(read, body, ragged, monkeypatch):
    """Every input in turn, moved, where nothing is left out: those and no others count that change the loss."""
    model = model_of(read, **BODIES[body]).eval()
    monkeypatch.setattr(model, "_counted", lambda x, y, weights: x)
    y = STEPS if read == "every" else ROWS
    weights = (RNG.random(y.shape) > 0.6).astype("float64")
    weights[0], weights[1] = 0, 1
    give = (lambda each: Sequences(each, LENGTHS)) if ragged else (lambda each: each)
    mask = np.broadcast_to(model.counting(give(X), y, weights)[0].reshape(N, -1), (N, T))
    loss = model.loss(give(X), y, weights)
    for at in np.ndindex(N, T):
        assert (model.loss(give(replaced(X, at, X[at] + 0.5)), y, weights) != loss) == mask[at], at
    assert mask.any() and not mask.all()


@bad
@pytest.mark.parametrize("read", ["last", "mean", "max", "stats", "every"])
def test_ends_of_rows_have_no_effect(read, value):
    model, beyond = model_of(read, num_layers=2), np.arange(T) >= LENGTHS[:, None]
    y = STEPS if read == "every" else ROWS
    expected, gradient = gradients(model, Sequences(X, LENGTHS), y)
    spoilt = replaced(y, beyond, value) if read == "every" else y
    loss, got = gradients(model, Sequences(replaced(X, beyond, value), LENGTHS), spoilt)
    assert loss == expected
    np.testing.assert_array_equal(got, gradient)


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "sigmoid_cross_entropy", "huber", "gaussian_likelihood"])
def test_targets_without_weight_may_be_anything(name):
    K = {"softmax_cross_entropy": 3, "gaussian_likelihood": 2}.get(name, 1)
    model = SequenceModel("gru", I, 4, K, read="every", loss=name, dtype="float64", seed=2)
    y = RNG.integers(2, size=(N, T)) if "entropy" in name else RNG.normal(size=(N, T, 1))
    weights = (RNG.random((N, T)) > 0.4).astype("float64")
    expected, gradient = gradients(model, X, y, weights)
    loss, got = gradients(model, X, replaced(y, weights == 0, -100 if y.dtype.kind == "i" else np.nan), weights)
    assert loss == expected
    np.testing.assert_array_equal(got, gradient)


def train(way, model, data, **options):
    if way == "fit":
        return fit(model, data, epochs=2, batch_size=4, **options)
    pytest.importorskip("scipy")
    return fit_lbfgs(model, data, iterations=2)


@bad
@pytest.mark.parametrize("way", ["fit", "lbfgs"])
def test_the_array_and_the_index_are_named_before_the_first_step(way, value):
    cases = [
        ((replaced(X, (7, 2, 1), value), ROWS), rf"^data\[0\] \(x\) holds {value} at index \(7, 2, 1\): fill it"),
        ((X, replaced(ROWS, 5, value)), rf"^data\[1\] \(y\) holds {value} at index \(5,\)"),
        ((X, ROWS, replaced(np.ones(N), 3, value)), rf"^data\[2\] \(weights\) holds {value} at index \(3,\)"),
        (
            (Sequences(replaced(X, (7, slice(1, 3)), value), LENGTHS), ROWS),
            rf"^data\[0\] \(x\) holds {value} at index \(7, 1, 0\)",
        ),
    ]
    for data, message in cases:
        model = model_of()
        before = [each.flat.copy() for each in model.params]
        with pytest.raises(ValueError, match=message):
            train(way, model, data)
        for each, flat in zip(model.params, before):
            np.testing.assert_array_equal(each.flat, flat)


def test_many_rows_are_looked_at_in_pieces(monkeypatch):
    monkeypatch.setattr("pylstm.data.finite.PIECE", 400)
    data = (replaced(X, (8, 5, 2), np.nan), ROWS)
    assert not_finite("data", data, model_of()) == "data[0] (x) holds nan at index (8, 5, 2)"
    weights = replaced(np.ones(N), 8, 0)
    assert not_finite("data", (*data, weights), model_of()) == ""
    shuffled = not_finite("data", data, model_of(), np.array([3, 8, 1]))
    assert shuffled == "data[0] (x) holds nan at index (8, 5, 2)"


@pytest.mark.parametrize("way", ["fit", "lbfgs"])
def test_what_is_excluded_is_not_refused(way):
    weights = replaced(np.ones(N), [2, 7], 0)
    x, y = replaced(X, 7, np.nan), replaced(ROWS, 2, np.nan)
    model, other = model_of(), model_of()
    got, expected = train(way, model, (x, y, weights)), train(way, other, (X, ROWS, weights))
    assert got.loss == expected.loss and np.isfinite(got.loss).all()
    beyond = np.arange(T) >= LENGTHS[:, None]
    train(way, model_of(), (Sequences(replaced(X, beyond, np.nan), LENGTHS), ROWS))
    train(way, model_of("every"), (Sequences(X, LENGTHS), replaced(STEPS, beyond, np.nan)))


def test_validation_data_are_looked_at_too():
    with pytest.raises(ValueError, match=r"^validation\[0\] \(x\) holds nan at index \(1, 3, 0\)"):
        Trainer(model_of(), (X, ROWS), validation=(replaced(X[:4], (1, 3, 0), np.nan), ROWS[:4]))


class Imputing:
    """A model of a user's, which has a use for NaN; it diverges when there are more than `most`."""

    def __init__(self, most):
        self.params, self.most = pylstm.Parameters({"w": (1,)}, "float64"), most

    def gradients(self, x, y):
        grads = self.params.zeros_like()
        return (float("nan") if np.isnan(x).sum() > self.most else 1.0), grads


def test_a_model_of_ones_own_may_take_nan_and_is_told_where_it_was():
    x = replaced(X, (6, 0, 0), np.nan)
    assert fit(Imputing(1), (x, ROWS), epochs=2, batch_size=4).stopped == "epochs"
    with pytest.raises(TrainingDiverged, match=r"data\[0\] \(x\) holds nan at index \(6, 0, 0\).*not the cause"):
        fit(Imputing(0), (x, ROWS), epochs=2, batch_size=4, shuffle=True)


def test_parameters_that_are_not_finite_are_named():
    model = model_of()
    model.head.params["bias"][0] = np.nan
    with pytest.raises(TrainingDiverged, match="the parameter bias was not finite before this step"):
        fit(model, (X, ROWS))


@pytest.mark.parametrize("way", ["fit", "lbfgs"])
def test_the_first_step_is_not_the_learning_rates(way):
    data = (X.astype("float32"), np.full(N, 1e30, "float32"))
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(TrainingDiverged, match="no step was made before, so it is not the learning rate: scale"),
    ):
        train(way, model_of(dtype="float32"), data)


@bad
@pytest.mark.parametrize("batch_first", [False, True])
def test_truncated_bptt_names_the_step(batch_first, value):
    layer = Recurrent("gru", I, 4, dtype="float64", batch_first=batch_first, seed=0)
    x = replaced(X, (2, 4, 1), value) if batch_first else replaced(X.swapaxes(0, 1), (4, 2, 1), value)
    index = r"\(2, 4, 1\)" if batch_first else r"\(4, 2, 1\)"
    steps = truncated_bptt(layer, x, lambda y, steps: pylstm.squared_error(y, np.zeros_like(y)), 2, 3)
    if np.isinf(value):  # gates saturate
        for step in steps:
            assert np.isfinite(step.value)
        return
    assert np.isfinite(next(steps).value) and np.isfinite(next(steps).value)
    with pytest.raises(ValueError, match=f"x holds nan at index {index}"):
        next(steps)
