"""What a fit cannot use is refused before its first step, by the name of the array and the row."""

import numpy as np
import pytest

import pylstm
from pylstm import Sequences

N, T, I, K = 9, 5, 3, 4
rng = np.random.default_rng(7)
X = rng.normal(size=(N, T, I)).astype("float32")
LABELS = rng.integers(K, size=N)
STEP_LABELS = rng.integers(K, size=(N, T))
VALUES = rng.normal(size=(N, K)).astype("float32")


def classifier(read="last", K=K):
    return pylstm.SequenceModel("gru", I, 4, K, read=read, loss="softmax_cross_entropy", seed=1)


def with_one(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def refused(model, data, message, error=ValueError, **options):
    before = [each.flat.copy() for each in model.params]
    calls = []
    with pytest.raises(error, match=message):
        pylstm.fit(model, data, callbacks=options.pop("callbacks", [calls.append]), **options)
    assert not calls and all(np.array_equal(a, b.flat) for a, b in zip(before, model.params))


OTHER = {
    "width": ((X[..., :2], LABELS), ValueError, r"\[0\]: x must have shape \(N, T, 3\) with T >= 1, got \(9, 5, 2\)"),
    "dtype": ((X.astype("float64"), LABELS), TypeError, r"\[0\]: x must be float32, got float64: convert it with"),
    "axes": ((X[0], LABELS[:T]), ValueError, r"\[0\]: x must have shape \(N, T, 3\)"),
    "range": ((X, with_one(LABELS, 6, K)), ValueError, r"\[1\]: y, row 6: targets must be in 0..3, got 4"),
    "below": ((X, with_one(LABELS, 0, -1)), ValueError, r"\[1\]: y, row 0: targets must be in 0..3, got -1"),
    "floats": ((X, LABELS.astype("float64")), TypeError, r"\[1\]: y: targets must be integers, got float64"),
    "shape": ((X, STEP_LABELS), ValueError, r"\[1\]: y must have shape \(9,\), one for each sequence, got \(9, 5\)"),
    "weight": ((X, LABELS, with_one(np.ones(N, "float32"), 3, -2)), ValueError, r"\[2\]: weights, row 3: must be 0"),
    "weights": ((X, LABELS, np.ones((N, T), "float32")), ValueError, r"\[2\]: weights must have shape \(9,\)"),
    "one": ((X,), TypeError, r" must be a tuple of arrays for \w+\(x, y, weights\), got 1"),
    "four": ((X, LABELS, LABELS, LABELS), TypeError, r" must be a tuple of arrays for \w+\(x, y, weights\), got 4"),
}


@pytest.mark.parametrize("case", OTHER)
@pytest.mark.parametrize("batch_size", [2, 32])
def test_validation_and_data(case, batch_size):
    data, error, message = OTHER[case]
    refused(classifier(), (X, LABELS), "validation" + message, error, validation=data, batch_size=batch_size)
    refused(classifier(), data, "data" + message, error, batch_size=batch_size)


def test_a_label_of_a_step_and_of_many_rows():
    wrong = with_one(STEP_LABELS, (7, 2), 9)
    refused(classifier("every"), (X, wrong), r"data\[1\]: y, row 7: targets must be in 0..3, got 9")
    ragged = Sequences(X, [5, 3, 1, 5, 5, 2, 5, 3, 4])
    refused(classifier("every"), (ragged, wrong), r"data\[1\]: y, row 7: targets must be in 0..3, got 9")
    pylstm.fit(classifier("every"), (ragged, with_one(STEP_LABELS, (2, 1), 9)), epochs=1)  # beyond the end
    many, labels = np.zeros((3000, 2, I), "float32"), np.zeros(3000, int)
    refused(classifier(), (many, with_one(labels, 2500, 4)), r"data\[1\]: y, row 2500: targets must be in 0..3, got 4")
    refused(classifier(), (many, labels.reshape(-1, 1)), r"y must have shape \(3000,\), one for each")


def test_what_has_no_effect_is_allowed():
    weights = np.arange(N) != 3
    pylstm.fit(classifier(), (X, with_one(LABELS, 3, -100), weights), epochs=1, validation=(X, LABELS))


@pytest.mark.parametrize("read", ["last", "every"])
@pytest.mark.parametrize(
    "loss", ["mean_squared_error", "gaussian_likelihood", "quantile_loss", "sigmoid_cross_entropy"]
)
def test_other_losses(read, loss):
    options = {"loss_options": {"quantiles": (0.2, 0.4, 0.6, 0.8)}} if loss == "quantile_loss" else {}
    model = pylstm.SequenceModel("gru", I, 4, K, read=read, loss=loss, seed=1, **options)
    lead = (N, T) if read == "every" else (N,)
    shape = {"gaussian_likelihood": (*lead, 2), "quantile_loss": lead}.get(loss, (*lead, K))
    y = rng.random(shape).astype("float32")
    pylstm.fit(model, (X, y), epochs=1, validation=(X, y))
    refused(model, (X, y), r"validation\[1\]: y must have shape", validation=(X, y[..., None, None]))
    refused(model, (X, y), r"validation\[1\]: y: targets? must be float32", TypeError, validation=(X, y.astype("f8")))
    if loss == "sigmoid_cross_entropy":
        refused(model, (X, with_one(y, (4,), 1.5)), r"data\[1\]: y, row 4: targets must be in 0..1")


@pytest.mark.parametrize(
    "callbacks", [[1], ["EarlyStopping"], [lambda: 0], [print, None], [lambda trainer, more: 0], "EarlyStopping", print]
)
def test_callbacks(callbacks):
    refused(classifier(), (X, LABELS), r"callbacks(\[[01]\])? must be a", TypeError, callbacks=callbacks)


class Own:
    """A model without `check_batch`."""

    def __init__(self):
        self.params = pylstm.Linear(I, 1, seed=0).params

    def gradients(self, x, y):
        return 0.0, self.params.zeros_like()


def test_a_model_of_ones_own():
    pylstm.fit(Own(), (X, LABELS), epochs=1)
    with pytest.raises(TypeError, match=r"data must be a tuple of arrays for gradients\(x, y\), got 1"):
        pylstm.fit(Own(), (X,), epochs=1)
    for validation in (0.25, (X, LABELS)):
        with pytest.raises(TypeError, match=r"validation needs a method loss\(\*batch\), which Own does not have"):
            pylstm.fit(Own(), (X, LABELS), epochs=1, validation=validation)
    own = Own()
    own.loss = lambda x, y: 0.0
    pylstm.fit(own, (X, LABELS), epochs=1, validation=(X, LABELS))
    with pytest.raises(TypeError, match=r"validation must be a tuple of arrays for loss\(x, y\), got 3"):
        pylstm.fit(own, (X, LABELS), epochs=1, validation=(X, LABELS, LABELS))


def test_the_targets_of_ctc():
    model = pylstm.SequenceModel("gru", I, 4, K, read="every", loss="ctc", seed=1)
    labels = Sequences.of([[1, 2]] * N, dtype="int64")
    pylstm.fit(model, (X, labels), epochs=1, validation=(X, labels))
    wrong = Sequences.of([[1, 2]] * 5 + [[1, K]] + [[3]] * 3, dtype="int64")
    refused(model, (X, wrong), r"data\[1\]: y, row 5: ")
    model.check_batch(X, [[1, 2]] * N)


Y_SHAPES = {
    "softmax_cross_entropy": [(N,), (N, T, 1), (N, T, K), (T, N)],
    "mean_squared_error": [(N,), (N, K), (N, T), (T, N, K)],
}


@pytest.mark.parametrize("loss", Y_SHAPES)
@pytest.mark.parametrize("call", ["loss", "gradients", "check_batch"])
def test_the_shape_that_a_user_has_to_give(loss, call):
    """By sequence and step, as the caller has them; not as the layer does."""
    model = pylstm.SequenceModel("gru", I, 4, K, read="every", loss=loss, seed=1)
    right = (N, T) if loss == "softmax_cross_entropy" else (N, T, K)
    for shape in Y_SHAPES[loss]:
        y = np.zeros(shape, "int64" if loss == "softmax_cross_entropy" else "float32")
        with pytest.raises(ValueError) as caught:
            getattr(model, call)(X, y)
        cures = {(N, T, K): ": of one-hot rows take y.argmax(-1)", (N, T, 1): ": take y[..., 0]"}
        cure = cures.get(shape, "")
        assert str(caught.value) == (
            f"y must have shape {right}, by sequence and step (read='every'), got {shape}{cure}"
        )
    getattr(model, call)(X, np.zeros(right, y.dtype))
    for shape in [(T,), (T, N), (N, T, 2)]:
        with pytest.raises(ValueError, match=r"weights must have shape \(9,\), one for each sequence, or \(9, 5\)"):
            getattr(model, call)(X, np.zeros(right, y.dtype), np.ones(shape, "float32"))


@pytest.mark.parametrize("call", ["loss", "gradients", "check_batch"])
def test_the_weights_of_sequences(call):
    model = pylstm.SequenceModel("gru", I, 4, 1, seed=1)
    for shape in [(N, T), (T,), (N, 2)]:
        with pytest.raises(ValueError, match=r"weights must have shape \(9,\), one for each sequence"):
            getattr(model, call)(X, np.zeros(N, "float32"), np.ones(shape, "float32"))
    for target in (np.zeros((N, T, 1), "float32"), np.zeros((N, T), "float32")):
        with pytest.raises(ValueError, match=r"y must have shape \(9,\).*targets of every step need read='every'"):
            getattr(model, call)(X, target)
    with pytest.raises(TypeError, match="y are Sequences: targets of every step need read='every'"):
        getattr(model, call)(X, Sequences(np.zeros((N, T), "float32"), [T] * N))


def test_the_input_of_a_model():
    model = pylstm.SequenceModel("gru", I, 4, 1, seed=1)
    for call in (model.predict, lambda x: model.loss(x, np.zeros(N)), lambda x: model.gradients(x, np.zeros(N))):
        for x in (X[..., :2], Sequences(X[..., :2], [T] * N)):
            with pytest.raises(ValueError, match=r"x must have shape \(N, T, 3\) with T >= 1, got \(9, 5, 2\)"):
                call(x)
        with pytest.raises(TypeError, match=r"x must be float32, got float64.*make the model with dtype='float64'"):
            call(X.astype("float64"))
        with pytest.raises(TypeError, match=r"x must be float32, got int64: convert it with x.astype\('float32'\)$"):
            call(X.astype("int64"))
    assert np.array_equal(model.predict(X.astype(">f4")), model.predict(X))
