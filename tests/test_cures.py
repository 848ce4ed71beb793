"""More mistakes of users of other libraries: arguments, names and shapes, and the cure that each message must name."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import pylstm

T, B, I, H = 5, 2, 3, 4
rng = np.random.default_rng(0)
X, H0 = rng.normal(size=(T, B, I)).astype("float32"), rng.normal(size=(B, H)).astype("float32")
LSTM, STACK = pylstm.LSTM(I, H, seed=0), pylstm.LSTM(I, H, 2, seed=0)
BOTH = pylstm.Bidirectional(pylstm.LSTM(I, H, seed=0), pylstm.LSTM(I, H, seed=1))
MODEL = pylstm.SequenceModel("lstm", I, H, 1, seed=0)
ADAM = pylstm.Adam(LSTM.params)
ROWS = X.swapaxes(0, 1)


def softmax(classes, **options):
    return pylstm.SequenceModel("gru", I, H, classes, loss="softmax_cross_entropy", seed=0, **options)


MISTAKES = [
    # sizes, places and names of a layer
    (lambda: pylstm.LSTM(units=8), TypeError, "LSTM(input_size, hidden_size)"),
    (lambda: pylstm.LSTM(8), TypeError, "input_size and hidden_size: LSTM(3, 8)"),
    (lambda: pylstm.GRU(hidden_size=8), TypeError, "GRU(3, 8)"),
    (lambda: pylstm.Recurrent("lstm", 8), TypeError, "Recurrent('lstm', 3, 8)"),
    (lambda: pylstm.LSTM(3, 8, 2, True, True), TypeError, "LSTM(3, 8, bidirectional=True, batch_first=True)"),
    (lambda: pylstm.LSTM(3, 8, nonlinearity="relu"), TypeError, "RNN has nonlinearity="),
    (lambda: pylstm.Recurrent(pylstm.LSTM, 3, 8), TypeError, "LSTM(3, 8), or Recurrent('lstm', 3, 8)"),
    (lambda: pylstm.Recurrent(3, 8), TypeError, "got 3: write Recurrent('lstm', 3, 8)"),
    (lambda: pylstm.Stack(LSTM, LSTM), TypeError, "got 2 arguments: Stack([LSTM(...), ...])"),
    (lambda: pylstm.LSTM(I, H, go_backwards=True), TypeError, "with batch_first=True x[:, ::-1]"),
    (lambda: pylstm.LSTM(I, H, recurrent_dropout=0.1), TypeError, "pylstm.layers.regularisers.state_dropout"),
    # calls
    *((lambda net=net: net(X, initial_state=[H0]), TypeError, "layer(x, {'h': h0, 'c': c0})") for net in (LSTM, STACK)),
    (lambda: BOTH(X, hx=H0), TypeError, "layer(x, {'h': h0, 'c': c0})"),
    (lambda: LSTM(X, mask=X[..., 0] > 0), TypeError, "lengths= are the steps of each row"),
    (lambda: STACK(X, training=True), TypeError, "stack.train() and stack.eval()"),
    (lambda: LSTM(X, foo=1), TypeError, "no argument foo="),
    (lambda: LSTM([X[:3, 0], X[:2, 0]]), ValueError, "pylstm.Sequences.of(list_of_arrays)"),
    (lambda: MODEL.predict([X[:3, 0], X[:2, 0]]), ValueError, "pylstm.Sequences.of(list_of_arrays)"),
    (lambda: LSTM(pylstm.Sequences(ROWS, [T] * B)), TypeError, "lengths=sequences.lengths"),
    (lambda: STACK(pylstm.Sequences(ROWS, [T] * B)), TypeError, "a SequenceModel takes them"),
    (
        lambda: STACK(X, {"h": H0, "c": H0}),
        ValueError,
        "initial['h'] must have shape (2, 2, 4), by layer, row and unit",
    ),
    (
        lambda: STACK(X, {"h": np.zeros((2, 3, H), "f4")}),
        ValueError,
        "shape (2, 2, 4), by layer, row and unit, got (2, 3",
    ),
    (lambda: BOTH(X, {"h": H0[None]}), ValueError, "initial['h'] must have shape (2, 2, 4)"),
    (lambda: STACK(X, H0), TypeError, "of arrays (2, B, width); got an array"),
    # names of the module
    *(
        (lambda name=name: getattr(pylstm, name), AttributeError, cure)
        for name, cure in {
            "ReduceLROnPlateau": "pylstm.optim.schedules.Plateau",
            "EarlyStopping": "patience=",
            "ModelCheckpoint": "checkpoint=",
            "StepLR": "schedules.step_decay(0.01, every=1000)",
            "CosineAnnealingLR": "schedules.cosine(0.01, steps=1000)",
            "LBFGS": "pylstm.fit_lbfgs",
            "HuberLoss": "pylstm.huber",
        }.items()
    ),
    # models and fits
    (lambda: MODEL.named_parameters(), AttributeError, "model.parts['layer'].params.items()"),
    (lambda: MODEL.double(), AttributeError, "SequenceModel(..., dtype='float64')"),
    (lambda: MODEL.to("cpu"), AttributeError, "SequenceModel(..., dtype='float64')"),
    (lambda: MODEL.zero_grad(), AttributeError, "model.gradients(x, y)"),
    (lambda: MODEL.backward(), AttributeError, "loss, grads = model.gradients(x, y)"),
    (
        lambda: pylstm.fit(MODEL, (ROWS, H0[:, :1]), optimiser=pylstm.Adam),
        TypeError,
        "pylstm.Adam(model.params), got the class",
    ),
    *(
        (lambda name=name: pylstm.fit(MODEL, (ROWS, H0[:, :1]), **{name: 1}), TypeError, cure)
        for name, cure in {
            "n_epochs": "epochs=",
            "num_epochs": "epochs=",
            "nb_epoch": "epochs=",
            "batch": "batch_size=",
            "class_weight": "class_weights[y]",
            "grad_clip": "clip=",
            "restore_best_weights": "patience=",
        }.items()
    ),
    *(
        (lambda name=name: pylstm.SequenceModel("gru", I, H, 2, loss=name), ValueError, f"{name!r}: take {cure}")
        for name, cure in {
            "mse": "mean_squared_error",
            "mae": "quantile_loss",
            "bce": "sigmoid_cross_entropy",
            "cross_entropy": "softmax_cross_entropy",
            "categorical_crossentropy": "softmax_cross_entropy",
        }.items()
    ),
    *(
        (lambda name=name: softmax(2, loss_options={name: 0.1}), TypeError, cure)
        for name, cure in {"label_smoothing": "smoothing=", "weight": "weights=", "ignore_index": "weight of 0"}.items()
    ),
    *(
        (lambda name=name, loss=loss: loss(np.zeros((2, 2)), np.zeros(2, "i8"), **{name: 1}), TypeError, cure)
        for name, cure in {"label_smoothing": "smoothing=", "weight": "weights=", "foo": "has no option foo="}.items()
        for loss in (pylstm.softmax_cross_entropy, pylstm.sigmoid_cross_entropy)
    ),
    (lambda: softmax(1).loss(ROWS, np.array([0, 1])), ValueError, "output_size, here 1, must be the number of classes"),
    (lambda: pylstm.optim.schedules.Plateau(ADAM), TypeError, "got an optimiser: pass the rate"),
    (lambda: pylstm.optim.schedules.cosine(ADAM, 10), TypeError, "got an optimiser: pass the rate"),
    (
        lambda: pylstm.ForecastModel().fit([1.0, 2.0], validation=0.1),
        ValueError,
        "3 are needed to train and to validate",
    ),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_a_mistake_gets_its_cure(number):
    make, error, cure = MISTAKES[number]
    with pytest.raises(error) as caught:
        make()
    assert cure in str(caught.value)


ESTIMATORS = ("SequenceClassifier", "SequenceRegressor", "Forecaster")
PARAMETERS = {
    "max_iter": "epochs=", "hidden_layer_sizes": "hidden_size=", "solver": "Adam", "alpha": "dropout=",
    "units": "hidden_size=",
}  # fmt: skip


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_estimators_of_others_have(name):
    sklearn = pytest.importorskip("sklearn.base")
    kind = getattr(pylstm, name)
    for parameter, cure in PARAMETERS.items():
        with pytest.raises(TypeError, match=f"unknown option {parameter}=: .*{cure}"):
            kind(**{parameter: 1})
    with pytest.raises(AttributeError, match=r"has no partial_fit: .*pylstm\.fit"):
        kind().partial_fit(X, H0)
    for other in (sklearn.clone(kind(hidden_size=3)), pickle.loads(pickle.dumps(kind(hidden_size=3)))):
        assert other.hidden_size == 3 and not hasattr(other, "partial_fit")


def test_a_subclass_may_have_other_arguments():
    class Square(pylstm.LSTM):
        def __init__(self, size):
            super().__init__(size, size)

    assert Square(3).hidden_size == 3
    for layer in (LSTM, pylstm.RNN(I, H, nonlinearity="relu"), pylstm.Recurrent("gru", I, H)):
        assert pickle.loads(pickle.dumps(layer)).hidden_size == H
    assert isinstance(pylstm.RNN(I, H, 2, nonlinearity="relu"), pylstm.Stack)


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (pylstm.LSTM(I, H), ("input_size", "hidden_size", "output_size", "bias", "batch_first", "dtype", "cell")),
        (pylstm.Recurrent("gru", I, H), ("input_size", "hidden_size", "certified", "learn_initial", "widths", "sizes")),
        (pylstm.Linear(I, H), ("in_features", "out_features", "bias")),
    ],
    ids=repr,
)
def test_what_a_layer_is_made_of_cannot_be_set(layer, names):
    """A call would fail, or a file hold what the layer does not compute."""
    for made in (layer, pickle.loads(pickle.dumps(layer))):
        for name in names:
            before = getattr(made, name)
            with pytest.raises(AttributeError, match=f"{name} cannot be set after the constructor: make a new"):
                setattr(made, name, 9)
            assert getattr(made, name) == before
        assert made(X).y.shape == (T, B, H)
