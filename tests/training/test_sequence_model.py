"""`SequenceModel`: gradients by differences for every way of reading and every loss, masks, files, refusals."""

import numpy as np
import pytest

import pylstm
from pylstm.models.sequence_model import LOSSES, SequenceModel
from pylstm.models.targets import OF_COUNTS, PARTS

RNG = np.random.default_rng(4)
X = RNG.normal(size=(5, 6, 3))
K = 4


def target_of(loss, read):
    rows = (5, 6) if read == "every" else (5,)
    if loss == "softmax_cross_entropy":
        return RNG.integers(K, size=rows)
    if loss == "quantile_loss":
        return RNG.normal(size=rows)
    if loss == "sigmoid_cross_entropy":
        return RNG.random(size=(*rows, K))
    if loss in OF_COUNTS:
        return RNG.poisson(2.0, size=(*rows, K // PARTS.get(loss, 1))).astype(float)
    return RNG.normal(size=(*rows, K // PARTS.get(loss, 1)))


def make(loss, read, **options):
    extra = {"quantiles": [0.1, 0.4, 0.5, 0.9]} if loss == "quantile_loss" else {}
    outputs = K // PARTS.get(loss, 1) * PARTS.get(loss, 1)
    return SequenceModel(
        "gru", 3, 7, outputs, read=read, loss=loss, loss_options=extra, dtype="float64", seed=2, **options
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("read", ["last", "every", "mean"])
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_differences(loss, read, weighted):
    model, y = make(loss, read), target_of(loss, read)
    weights = RNG.random(size=(5, 6) if read == "every" else (5,)) if weighted else None
    value, grads = model.gradients(X, y, weights)
    assert value == pytest.approx(model.loss(X, y, weights), rel=1e-13)
    for params, grad in zip(model.params, grads):
        for at in RNG.choice(params.size, 6, replace=False):
            before, values = params.flat[at], []
            for moved in (before + 1e-6, before - 1e-6):
                params.flat[at] = moved
                values.append(model.loss(X, y, weights))
            params.flat[at] = before
            assert grad.flat[at] == pytest.approx((values[0] - values[1]) / 2e-6, abs=2e-8)


def test_what_the_head_sees():
    every, last, mean = (make("mean_squared_error", read) for read in ("every", "last", "mean"))
    out = every.predict(X)
    assert out.shape == (5, 6, K)
    np.testing.assert_allclose(last.predict(X), out[:, -1], rtol=0, atol=1e-14)
    np.testing.assert_allclose(mean.predict(X), out.mean(axis=1), rtol=0, atol=1e-14)


def test_a_mask_leaves_steps_out():
    model, y = make("softmax_cross_entropy", "every"), target_of("softmax_cross_entropy", "every")
    mask = np.arange(6) < RNG.integers(1, 6, size=(5, 1))
    other = np.where(mask, y, (y + 1) % K)
    (value, grads), (same, dsame) = model.gradients(X, y, mask), model.gradients(X, other, mask)
    assert value == same != model.loss(X, y)
    for one, two in zip(grads, dsame):
        np.testing.assert_array_equal(one.flat, two.flat)


@pytest.mark.parametrize("read", ["last", "every"])
def test_weights_of_rows_weigh_all_their_elements(read):
    model, y = make("mean_squared_error", read), target_of("mean_squared_error", read)
    weights = RNG.random(size=y.shape[:-1])
    squares = (model.predict(X) - y) ** 2
    assert model.loss(X, y, weights) == pytest.approx(np.average(squares.mean(axis=-1), weights=weights), rel=1e-13)
    full = RNG.random(size=y.shape)
    assert model.loss(X, y, full) == pytest.approx(np.average(squares, weights=full), rel=1e-13)


def test_single_outputs_take_flat_targets():
    model = SequenceModel("rnn_tanh", 3, 4, 1, dtype="float64", seed=0)
    y = RNG.normal(size=5)
    assert model.loss(X, y) == model.loss(X, y[:, None]) == pytest.approx(np.mean((model.predict(X)[:, 0] - y) ** 2))


def test_a_saved_model_comes_back(tmp_path):
    model = make("quantile_loss", "every")
    pylstm.save(tmp_path / "m", model)
    again = pylstm.load(tmp_path / "m")
    y = target_of("quantile_loss", "every")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.loss(X, y) == model.loss(X, y) and repr(again) == repr(model)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make("huber", "first"), ValueError, "read must be one of last, every, mean, max, stats, got 'first'"),
        (lambda: make("l2", "last"), ValueError, "loss must be one of mean_squared_error, .* got 'l2'"),
        (lambda: make("huber", "last").predict(X[0]), ValueError, r"x must have shape \(N, T, 3\)"),
        (lambda: make("huber", "last").predict(X[:, :0]), ValueError, "T >= 1"),
        (lambda: make("huber", "last").predict(X.astype("f4")), TypeError, "float64"),
        (
            lambda: make("huber", "last").loss(X, RNG.normal(size=(5, 3))),
            ValueError,
            r"y must have shape \(5, 4\), one for each sequence, got \(5, 3\)",
        ),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_options_that_the_loss_does_not_have_are_refused():
    with pytest.raises(ValueError, match=r"loss_options: huber has no sigma \(known: .*delta"):
        SequenceModel("gru", 2, 3, 1, loss="huber", loss_options={"sigma": 2.0})
