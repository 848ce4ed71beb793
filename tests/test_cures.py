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
    (lambda: pylstm.SequenceModel(LSTM, pylstm.Linear(H, 1)), TypeError, "SequenceModel.of(layer, output_size)"),
    (lambda: pylstm.SequenceModel("lstm", 3, 8), TypeError, "needs output_size: SequenceModel(cell, input_size, hid"),
    (lambda: pylstm.load_model("a"), AttributeError, "pylstm.load(path) reads what pylstm.save(path, model) wrote"),
    (lambda: pylstm.set_seed(0), AttributeError, "pylstm.LSTM(3, 8, seed=0)"),
    (lambda: LSTM.count_params(), AttributeError, "layer.params.flat.size is the number"),
    (lambda: LSTM.call(X), AttributeError, "run = layer(x); run.y"),
    (lambda: pylstm.save("", LSTM), ValueError, "path must be the name of a file, got ''"),
    (lambda: pylstm.load("a\0b"), ValueError, r"path must be the name of a file, got 'a\x00b'"),
    (lambda: pylstm.fit(None, None, epoch=3), TypeError, "fit has no option epoch=: it takes model, data, val"),
    (lambda: pylstm.fit(None, None, epoch=3), TypeError, "did you mean epochs=?"),
    (
        lambda: pylstm.Stack(LSTM, LSTM),
        TypeError,
        "Stack takes one list of layers, got 2 arguments: Stack([layer, ...])",
    ),
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
            "ReduceLROnPlateau": "pylstm.optim.Plateau",
            "EarlyStopping": "patience=",
            "ModelCheckpoint": "checkpoint=",
            "StepLR": "pylstm.optim.step_decay(0.01, every=1000)",
            "CosineAnnealingLR": "pylstm.optim.cosine(0.01, steps=1000)",
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
    (lambda: pylstm.optim.Plateau(ADAM), TypeError, "got an optimiser: pass the rate"),
    (lambda: pylstm.optim.cosine(ADAM, 10), TypeError, "got an optimiser: pass the rate"),
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


UNKNOWN = {
    "optimiser": (
        lambda **options: pylstm.Adam(LSTM.params, **options),
        {"beta1": "betas=(0.9, 0.999)", "fused": "leave it out", "foo": "it takes params, lr, betas, eps"},
    ),
    "SGD": (
        lambda **options: pylstm.SGD(LSTM.params, **options),
        {"dampening": "leave it out", "foo": "SGD has no option foo=: it takes params, lr, momentum"},
    ),
    **{
        loss.__name__: (
            lambda loss=loss, **options: loss(np.zeros((2, 2)), np.zeros((2, 2)), **options),
            {"sample_weight": "weights=", "foo": f"{loss.__name__} has no option foo="},
        )
        for loss in (
            pylstm.mean_squared_error, pylstm.squared_error, pylstm.huber, pylstm.gaussian_likelihood,
            pylstm.quantile_loss, pylstm.ctc_loss,
        )
    },
    "squared_error of a mean": (
        lambda **options: pylstm.squared_error(X, X, **options),
        {"reduction": "factor=1 / y.size the mean"},
    ),
    **{
        type(net).__name__: (
            lambda net=net, **options: net(X).backward(X, **options),
            {"retain_graph": "same result: leave it out", "foo": "backward has no argument foo="},
        )
        for net in (LSTM, STACK, BOTH, pylstm.Linear(I, 2), pylstm.MLP(I, (4,), 2))
    },
    "Embedding": (
        lambda **options: pylstm.Embedding(3, 2)(np.zeros(2, "i8")).backward(X, **options),
        {"retain_graph": "leave it out", "foo": "backward has no argument foo="},
    ),
    "checkpointed": (
        lambda **options: LSTM(X, checkpoint="sqrt").backward(X, **options),
        {"retain_graph": "leave it out"},
    ),
    "ragged": (
        lambda **options: LSTM(X, lengths=[5, 3]).backward(X, **options),
        {"retain_graph": "leave it out"},
    ),
    "layer": (lambda **options: pylstm.LSTM(3, 4, **options), {"name": "a dict has them", "trainable": ".freeze()"}),
    "stack": (lambda **options: pylstm.LSTM(3, 4, 2, **options), {"name": "a dict has them"}),
    "head": (
        lambda **options: pylstm.Linear(3, 4, **options),
        {"name": "a dict has them", "use_bias": "bias=False", "foo": "it takes in_features, out_features, bias"},
    ),
    "cosine": (
        lambda **options: pylstm.optim.cosine(0.1, **options),
        {"T_max": "steps=", "eta_min": "final=", "foo": "cosine has no option foo=: it takes lr, steps, final"},
    ),
    "step_decay": (
        lambda **options: pylstm.optim.step_decay(0.1, **options),
        {"step_size": "every=", "gamma": "factor="},
    ),
}  # fmt: skip
UNKNOWN_OPTIONS = [(kind, name) for kind, (_, cures) in UNKNOWN.items() for name in cures]


@pytest.mark.parametrize(("kind", "name"), UNKNOWN_OPTIONS)
def test_an_option_that_does_not_exist(kind, name):
    call, cures = UNKNOWN[kind]
    with pytest.raises(TypeError) as caught:
        call(**{name: 1})
    assert f"{name}=" in str(caught.value) and cures[name] in str(caught.value)


MISSING = [
    (lambda: pylstm.Adam(lr=0.1), "Adam needs params: Adam(params); those to train, layer.params or model.params"),
    (lambda: pylstm.SGD(momentum=0.9), "SGD needs params and lr: SGD(params, lr); those to train"),
    (lambda: pylstm.Linear(5), "Linear needs out_features: Linear(in_features, out_features); the last axis"),
    (lambda: pylstm.Linear(bias=False), "Linear needs in_features and out_features"),
    (lambda: pylstm.MLP(5), "MLP needs sizes and out_features: MLP(in_features, sizes, out_features)"),
    (lambda: pylstm.Embedding(5), "Embedding needs features"),
    (lambda: BOTH.__class__(LSTM), "Bidirectional needs reverse: Bidirectional(forward, reverse)"),
    (lambda: BOTH.__class__(pylstm.LSTM), "LSTM(3, 8, bidirectional=True) makes both"),
    (lambda: BOTH.__class__(pylstm.LSTM, pylstm.LSTM), "got the class LSTM: make a layer, such as LSTM(3, 8)"),
    (lambda: pylstm.optim.cosine(0.1), "cosine needs steps: cosine(lr, steps)"),
    (lambda: pylstm.optim.step_decay(0.1), "step_decay needs every: step_decay(lr, every)"),
    (lambda: pylstm.fit(MODEL), "fit needs data: fit(model, data); arrays as model.gradients takes them"),
    (lambda: pylstm.load(LSTM), "path must be a str, bytes or path, got LSTM: pylstm.save(path, model) writes"),
    (lambda: pylstm.save(3, LSTM), "path must be a str, bytes or path, got int"),
    (lambda: pylstm.saving.read_about(None), "path must be a str, bytes or path, got NoneType"),
    (lambda: pylstm.Stack([pylstm.LSTM(3, 4), pylstm.Linear(4, 2)]), "got Linear: pylstm.SequenceModel.of(stack,"),
    (
        lambda: pylstm.Stack([pylstm.LSTM(3, 4), "relu"]),
        "got 'relu': pass layers, such as LSTM(3, 8); each cell has its own activations",
    ),
    (lambda: pylstm.Stack([pylstm.LSTM, 3]), "got the class LSTM"),
    (lambda: ADAM.step(LSTM(X)), "got Run: grads = run.backward(dy) returns the gradients, grads.params those"),
]


@pytest.mark.parametrize("number", range(len(MISSING)))
def test_an_argument_that_is_missing_or_another_thing(number):
    call, cure = MISSING[number]
    with pytest.raises(TypeError) as caught:
        call()
    assert cure in str(caught.value)


def test_a_layer_of_a_user_may_have_any_arguments():
    class Gate(pylstm.Linear):
        def __init__(self, width, *more, scale=2.0, **rest):
            super().__init__(width, width, **rest)

    assert Gate(3, 4, 5, scale=1.0, bias=False).in_features == 3
    with pytest.raises(TypeError, match=r"Gate needs width: Gate\(width\)$"):
        Gate(scale=3)
    for layer in (pylstm.Linear(3, 2), pylstm.MLP(3, (2,), 1), pylstm.Embedding(3, 2), ADAM):
        assert repr(pickle.loads(pickle.dumps(layer))) == repr(layer)


NAMES = {
    pylstm: {
        "Plateau": "pylstm.optim.Plateau", "Flatten": "read='last'", "LayerNorm": "standardise the inputs",
        "softmax": "predict_proba", "GridSearchCV": "sklearn.model_selection",
    },
    pylstm.optim: {"ExponentialLR": "schedule=lambda step", "OneCycleLR": "warm_up"},
    LSTM: {
        "register_forward_hook": "run.states", "modules": "stack.layers", "build": "leave it out",
        "num_layers": "len(stack.layers)", "share_memory": "pickle", "hidden": "run.final['h']",
    },
}  # fmt: skip


@pytest.mark.parametrize(("thing", "name"), [(thing, name) for thing, names in NAMES.items() for name in names])
def test_a_name_of_others_gets_its_cure(thing, name):
    assert not hasattr(thing, name)
    with pytest.raises(AttributeError) as caught:
        getattr(thing, name)
    assert NAMES[thing][name] in str(caught.value)


SHAPES = [
    (
        lambda: LSTM.stream().step(X[0]),
        ValueError,
        "must have shape (1, 3), got (2, 3): a stream of 2 rows is layer.stream(",
    ),
    (
        lambda: STACK.stream(3).step(X[0]),
        ValueError,
        "(3, 3), got (2, 3): a stream of 2 rows is layer.stream(batch_size=2)",
    ),
    (lambda: pylstm.fit(MODEL, (ROWS,)), TypeError, "for gradients(x, y, weights), got 1: pass (x, y)"),
    (lambda: LSTM(X, reset=np.zeros((T, B))), TypeError, "got float64: pass reset.astype(bool)"),
    (lambda: pylstm.Linear(5, 3)(X), ValueError, "x must have shape (..., 5), got (5, 2, 3)"),
    (lambda: pylstm.Linear(5, 3)(X[0, 0]), ValueError, "x must have shape (5,), got (3,)"),
    (
        lambda: pylstm.softmax_cross_entropy(np.zeros((2, 5)), np.array([0, 5])),
        ValueError,
        "got 5: the last axis of logits, here 5, must be the number of classes",
    ),
    (
        lambda: LSTM(X, lengths=[5, 3], checkpoint="sqrt"),
        ValueError,
        "checkpoint and lengths cannot be combined: run rows of one length together",
    ),
]


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_an_array_of_another_form(number):
    call, error, cure = SHAPES[number]
    with pytest.raises(error) as caught:
        call()
    assert cure in str(caught.value)


ESTIMATORS = ("SequenceClassifier", "SequenceRegressor", "Forecaster")
PARAMETERS = {
    "max_iter": "epochs=", "hidden_layer_sizes": "hidden_size=", "solver": "Adam", "alpha": "dropout=",
    "units": "hidden_size=", "hidden": "hidden_size=",
}  # fmt: skip


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_estimators_of_others_have(name):
    sklearn = pytest.importorskip("sklearn.base")
    kind = getattr(pylstm, name)
    for parameter, cure in PARAMETERS.items():
        with pytest.raises(TypeError, match=f"unknown option {parameter}=: .*{cure}"):
            kind(**{parameter: 1})
    learns = name == "SequenceClassifier"
    text = "classes must be" if learns else r"no partial_fit: .*pylstm\.fit"
    with pytest.raises(ValueError if learns else AttributeError, match=text):
        kind().partial_fit(X, H0)
    for other in (sklearn.clone(kind(hidden_size=3)), pickle.loads(pickle.dumps(kind(hidden_size=3)))):
        assert other.hidden_size == 3 and hasattr(other, "partial_fit") == learns


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_fits_of_estimators_do_not_take(name):
    pytest.importorskip("sklearn.base")
    kind, y = getattr(pylstm, name), np.arange(B) % 2
    with pytest.raises(TypeError, match=r"has no option foo=: it takes cell, hidden_size"):
        kind(foo=3)
    for option, cure in {
        "epochs": "are set when the estimator is made",
        "callbacks": "pylstm.fit",
        "foo": "fit has no",
    }.items():
        with pytest.raises(TypeError, match=cure):
            kind().fit(ROWS, y, **{option: 2})
    for wrong in ("x", -1, True, 2**40):
        with pytest.raises(ValueError, match=rf"random_state must be an integer in 0\.\.2\*\*32 - 1.*, got {wrong!r}"):
            kind(random_state=wrong, epochs=1).fit(
                np.arange(90.0) if name == "Forecaster" else ROWS, *[y] * (name != "Forecaster")
            )
    if name != "Forecaster":
        with pytest.raises(ValueError, match=r"requires y to be passed.* fit\(X, y\); one target for each sequence"):
            kind().fit(ROWS)


def test_labels_given_to_a_regressor():
    pytest.importorskip("sklearn.base")
    for y in (["a", "b"], [["a"], ["b"]]):
        with pytest.raises(ValueError, match=r"y must be numbers, .*'a'.*: labels are for pylstm\.SequenceClassifier"):
            pylstm.SequenceRegressor().fit(ROWS, y)


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
