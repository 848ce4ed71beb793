"""Mistakes of users of PyTorch, Keras and scikit-learn, and the cure that each message must name."""

from __future__ import annotations

import copy
import inspect
import operator
import pickle
import warnings

import numpy as np
import pytest

import pylstm
from pylstm.hints import HINTS, Hint

T, B, I, H = 5, 2, 3, 4
rng = np.random.default_rng(0)
X, H0 = rng.normal(size=(T, B, I)).astype("float32"), rng.normal(size=(B, H)).astype("float32")
LSTM, STACK, HEAD = pylstm.LSTM(I, H, seed=0), pylstm.LSTM(I, H, 2, seed=0), pylstm.Linear(H, 1, seed=0)
RUN, DEEP = LSTM(X), STACK(X)
GRADS = RUN.backward(RUN.y)
MODEL = pylstm.SequenceModel("lstm", I, H, 1, seed=0)
ADAM = pylstm.Adam(LSTM.params)
ROWS = X.swapaxes(0, 1)
HISTORY = pylstm.History()


def unpack():
    _y, (_h, _c) = LSTM(X)


def set_optimiser():
    pylstm.fit(MODEL, (ROWS, np.zeros(B)), optimiser="adam")


MISTAKES = [
    # PyTorch: layers
    (lambda: pylstm.Adam(LSTM.parameters()), AttributeError, "pylstm.Adam(layer.params)"),
    (lambda: pylstm.Adam(LSTM), TypeError, "got LSTM: pass its params"),
    (lambda: pylstm.Adam([LSTM, HEAD]), TypeError, "got LSTM: pass its params"),
    (lambda: pylstm.SGD(MODEL, lr=0.1), TypeError, "got SequenceModel: pass its params"),
    (lambda: LSTM.train(), AttributeError, "the same in training and evaluation"),
    (lambda: LSTM.eval(), AttributeError, "the same in training and evaluation"),
    (lambda: HEAD.train(), AttributeError, "the same in training and evaluation"),
    (lambda: LSTM.to("cuda"), AttributeError, "computes on the CPU"),
    (lambda: STACK.to("cpu"), AttributeError, "dtype='float64'"),
    (lambda: LSTM.cuda(), AttributeError, "computes on the CPU"),
    (lambda: LSTM.double(), AttributeError, "dtype='float64'"),
    (lambda: LSTM.zero_grad(), AttributeError, "gradients do not accumulate"),
    (lambda: LSTM.state_dict(), AttributeError, "pylstm.interop.torch.state_dict(layer)"),
    (lambda: STACK.load_state_dict({}), AttributeError, "pylstm.interop.torch.load_state_dict(layer, state_dict)"),
    (lambda: LSTM.forward(X), AttributeError, "run = layer(x)"),
    (lambda: LSTM.backward(), AttributeError, "grads = run.backward(dy)"),
    (lambda: LSTM.weight_ih_l0, AttributeError, "params['weight_x']"),
    (lambda: LSTM.weight, AttributeError, "layer.params['weight_x']"),
    (lambda: LSTM.named_parameters(), AttributeError, "params.items()"),
    (lambda: LSTM.flatten_parameters(), AttributeError, "leave it out"),
    (lambda: LSTM.requires_grad_(False), AttributeError, "layer.params.freeze()"),
    (lambda: LSTM(X, (H0[None], H0[None])), TypeError, "{'h': ..., 'c': ...}"),
    (lambda: LSTM(X, H0), TypeError, "initial must be a dict by name"),
    (lambda: LSTM(X, {"h": H0[None]}), ValueError, "one layer has no leading axis of layers"),
    (lambda: LSTM(X, {"h": H0, "c": H0[None]}), ValueError, "pass h0[0]"),
    (lambda: LSTM(X.astype("float64")), TypeError, "dtype='float32'"),
    (lambda: pylstm.LSTM(I, H, device="cuda"), TypeError, "computes on the CPU"),
    (lambda: pylstm.LSTM(I, H, n_layers=2), TypeError, "num_layers="),
    # PyTorch: runs
    (unpack, TypeError, "run.final['h']"),
    (lambda: RUN[0], TypeError, "run.y is the output"),
    (lambda: DEEP[1], TypeError, "run.y is the output"),
    (lambda: HEAD(RUN.y)[0], TypeError, "run.y is the output"),
    (lambda: HEAD(RUN), TypeError, "run.y is the output"),
    (lambda: pylstm.mean_squared_error(RUN, X), TypeError, "run.y is the output"),
    (lambda: RUN.h_n, AttributeError, "run.final['h']"),
    (lambda: DEEP.c_n, AttributeError, "run.final['c']"),
    (lambda: RUN.shape, AttributeError, "run.y.shape"),
    (lambda: RUN.detach(), AttributeError, "run.y is a NumPy array"),
    (lambda: RUN.grad, AttributeError, "grads = run.backward(dy)"),
    (lambda: RUN.backward(), ValueError, "needs a cotangent: dy"),
    # PyTorch: gradients, optimisers, losses
    (lambda: ADAM.step(), TypeError, "optimiser.step(grads.params)"),
    (lambda: ADAM.step(GRADS), TypeError, "got Gradients: pass its params"),
    (lambda: ADAM.step([GRADS]), TypeError, "got Gradients: pass its params"),
    (lambda: ADAM.zero_grad(), AttributeError, "gradients do not accumulate"),
    (lambda: ADAM.param_groups, AttributeError, "optimiser.lr"),
    (lambda: pylstm.clip_by_norm(GRADS, 1.0), TypeError, "got Gradients: pass its params"),
    (lambda: GRADS["weight_x"], TypeError, "grads.params['weight_x']"),
    (lambda: GRADS + GRADS, TypeError, "a.params + b.params"),
    (lambda: GRADS * 0.5, TypeError, "a.params * 0.5"),
    (lambda: sum([GRADS, GRADS]), TypeError, "a.params + b.params"),
    (lambda: GRADS.flat, AttributeError, "grads.params.flat"),
    (lambda: LSTM.params + GRADS, TypeError, "add its params"),
    (lambda: LSTM.params + HEAD.params, ValueError, "Parameters of different layouts cannot be added"),
    (lambda: LSTM.params * LSTM.params, TypeError, "Parameters can only be multiplied by a number"),
    (lambda: np.asarray(LSTM.params), TypeError, "params.flat has all values"),
    (lambda: LSTM.params.grad, AttributeError, "grads = run.backward(dy)"),
    (lambda: LSTM.params.numel(), AttributeError, "params.size"),
    (lambda: LSTM.params["weight_ih_l0"], KeyError, "weight_x, weight_h, bias"),
    (lambda: setattr(LSTM, "params", GRADS.params), AttributeError, "layer.params[name] = array"),
    (lambda: pylstm.nn.LSTM(I, H), AttributeError, "pylstm.LSTM"),
    (lambda: pylstm.CrossEntropyLoss(), AttributeError, "pylstm.softmax_cross_entropy"),
    (lambda: pylstm.MSELoss(), AttributeError, "pylstm.mean_squared_error"),
    (lambda: pylstm.LSTMCell(I, H), AttributeError, "stream.step(x_t)"),
    (lambda: pylstm.no_grad(), AttributeError, "tape=False"),
    (lambda: pylstm.manual_seed(0), AttributeError, "seed=0"),
    # Keras
    (lambda: pylstm.LSTM(units=H, input_shape=(T, I)), TypeError, "hidden_size"),
    (lambda: pylstm.LSTM(H), TypeError, "hidden_size"),
    (lambda: pylstm.LSTM(I, H, return_sequences=True), TypeError, "run.y is the output of every step"),
    (lambda: pylstm.GRU(I, H, stateful=True), TypeError, "initial=run.final"),
    (lambda: pylstm.RNN(I, H, activation="relu"), TypeError, "nonlinearity="),
    (lambda: pylstm.LSTM(I, H, 2, recurrent_dropout=0.1), TypeError, "layer(x, **state_dropout(layer, x, {'h': 0.2}))"),
    (lambda: LSTM.weights, AttributeError, "layer.params['weight_x']"),
    (lambda: LSTM.get_weights(), AttributeError, "pylstm.interop.keras.get_weights(layer)"),
    (lambda: STACK.set_weights([]), AttributeError, "pylstm.interop.keras.load_weights(layer, weights)"),
    (lambda: LSTM.compile("adam"), AttributeError, "pylstm.fit(model, (x, y))"),
    (lambda: LSTM.predict(X), AttributeError, "run = layer(x, tape=False)"),
    (lambda: LSTM.reset_states(), AttributeError, "stream.reset()"),
    (lambda: MODEL.compile(loss="mse"), AttributeError, "SequenceModel(..., loss=)"),
    (lambda: MODEL.fit(ROWS, H0), AttributeError, "pylstm.fit(model, (x, y), epochs=10)"),
    (lambda: MODEL.evaluate(ROWS, H0), AttributeError, "model.loss(x, y)"),
    (lambda: MODEL.layers, AttributeError, "model.parts"),
    (lambda: MODEL.save("m"), AttributeError, "pylstm.save(path, it)"),
    (lambda: MODEL(ROWS), TypeError, "model.predict(x)"),
    (lambda: HISTORY.history["loss"], AttributeError, "history.validation_loss"),
    (lambda: HISTORY["loss"], TypeError, "history.loss"),
    (lambda: pylstm.Dense(3), AttributeError, "pylstm.Linear(in_features, out_features)"),
    (lambda: pylstm.Sequential([]), AttributeError, "pylstm.Stack"),
    (lambda: pylstm.SequenceModel("lstm", I, H, 1, loss="mse"), ValueError, "mean_squared_error"),
    (lambda: pylstm.SequenceModel("lstm", I, H, 1, read="first"), ValueError, "last, every, mean, max"),
    (set_optimiser, TypeError, "pylstm.Adam(model.params)"),
    (lambda: pylstm.fit(MODEL, (ROWS, H0[:, :1]), schedule="plateau"), TypeError, "pylstm.optim: const"),
    (lambda: pylstm.fit(MODEL, ROWS, H0), TypeError, "pylstm.fit(model, (x, y))"),
    (lambda: pylstm.fit(MODEL, ROWS), TypeError, "pylstm.fit(model, (x, y))"),
    (lambda: pylstm.fit(LSTM, (ROWS, H0)), TypeError, "pylstm.SequenceModel.of(layer, output_size)"),
    (lambda: STACK(X, (H0, H0)), TypeError, "{'h': ..., 'c': ...}, of arrays (2, B, width)"),
    (lambda: pylstm.Stack(LSTM), TypeError, "got LSTM(3, 4, dtype='float32'): Stack([layer, ...])"),
    (lambda: pylstm.LSTM(I, H, dropout=2), ValueError, "dropout must be in 0..1"),
    (lambda: RUN.backward(1.0), ValueError, "dy must have shape (5, 2, 4), got the number 1.0"),
    (lambda: LSTM.final, AttributeError, "run.final['h']"),
    (lambda: LSTM.params.weight_x, AttributeError, "params[name] is an array, and list(params) are the names"),
    (lambda: pylstm.Adam([]), ValueError, "pass layer.params"),
    (lambda: pylstm.Adam(LSTM.params, lr="0.1"), TypeError, "lr must be a number, got '0.1'"),
    (lambda: pylstm.Adam(LSTM.params, learning_rate=0.1), TypeError, "lr= is the rate"),
    (lambda: pylstm.Adam(LSTM.params, weight_decay=0.1), TypeError, "pylstm.AdamW"),
    (lambda: pylstm.RMSProp(LSTM.params, rho=0.9), TypeError, "alpha="),
    (lambda: pylstm.fit(MODEL, (ROWS, H0), optimizer="adam"), TypeError, "optimiser=pylstm.Adam(model.params)"),
    (lambda: pylstm.fit(MODEL, (ROWS, H0), verbose=1), TypeError, "progress=True"),
    (lambda: pylstm.fit(MODEL, (ROWS, H0), validation_split=0.2), TypeError, "validation=0.2"),
    (lambda: pylstm.fit(MODEL, (ROWS, H0), lr=0.1), TypeError, "pylstm.Adam(model.params, lr=0.01)"),
    (lambda: pylstm.Trainer(MODEL, (ROWS, H0), callbacks=print), TypeError, "callbacks=[function]"),
    (
        lambda: pylstm.SequenceModel("lstm", I, H, 1, optimizer="adam"),
        TypeError,
        "pylstm.fit(model, (x, y), optimiser=",
    ),
    (lambda: pylstm.truncated_bptt(MODEL, X, None, 3), TypeError, "such as model.layer, got SequenceModel"),
    (lambda: pylstm.softmax_cross_entropy(np.zeros((2, 3)), np.eye(3)[:2]), ValueError, "targets.argmax(-1)"),
    (lambda: pylstm.softmax_cross_entropy(np.zeros((2, 3)), np.array(["a", "b"])), TypeError, "return_inverse=True"),
    # scikit-learn
    (lambda: MODEL.score(ROWS, H0), AttributeError, "model.loss(x, y)"),
    (lambda: MODEL.predict_proba(ROWS), AttributeError, "pylstm.SequenceClassifier"),
    (lambda: MODEL.partial_fit(ROWS, H0), AttributeError, "epochs=1"),
    (lambda: pylstm.LSTM(I, H, random_state=0), TypeError, "seed="),
    (lambda: pylstm.Trainer(MODEL, (ROWS, H0[:, :1])).fit(), AttributeError, "trainer.run()"),
    (lambda: pylstm.Recurrent("lstmm", I, H), LookupError, "lstm"),
    (lambda: LSTM.initialise("xavier"), ValueError, "glorot_uniform"),
]


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_a_mistake_gets_its_cure(number):
    make, error, cure = MISTAKES[number]
    with pytest.raises(error) as caught:
        make()
    assert cure in str(caught.value)


def test_the_table_is_long():
    assert len(MISTAKES) >= 60


def test_a_loss_is_a_number_and_has_no_backward():
    pair = pylstm.mean_squared_error(RUN.y, np.zeros_like(RUN.y))
    with pytest.raises(AttributeError, match=r"run\.backward\(dy\)"):
        pair.backward()
    with pytest.raises(AttributeError, match=r"run\.backward\(dy\)"):
        pair[0].backward()


def test_dropout_that_does_nothing_warns():
    with pytest.warns(UserWarning, match="with num_layers=1 it does nothing") as caught:
        pylstm.LSTM(I, H, num_layers=1, dropout=0.5)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="with num_layers=1 it does nothing") as caught:
        pylstm.SequenceModel("lstm", I, H, 1, dropout=0.5)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pylstm.LSTM(I, H, num_layers=2, dropout=0.5)


HINTED = {
    "layer": [
        LSTM,
        HEAD,
        pylstm.MLP(I, (4,), 1),
        pylstm.Embedding(3, 4),
        pylstm.Bidirectional(pylstm.LSTM(I, H), pylstm.GRU(I, H)),
    ],
    "run": [RUN, DEEP, LSTM(X, lengths=[3, 5]), LSTM(X, checkpoint="sqrt")],
    "output": [RUN, DEEP, HEAD(RUN.y)],
    "gradients": [GRADS, DEEP.backward(DEEP.y), HEAD(RUN.y).backward(HEAD(RUN.y).y)],
    "parameters": [LSTM.params],
    "optimiser": [ADAM, pylstm.SGD(LSTM.params, 0.1)],
    "model": [MODEL],
    "history": [HISTORY],
}


@pytest.mark.parametrize("kind", HINTED)
def test_hints_are_not_attributes(kind):
    for thing in HINTED[kind]:
        for name in HINTS[kind]:
            if not hasattr(thing, name):
                with pytest.raises(AttributeError, match=name):
                    getattr(thing, name)
                assert getattr(thing, name, 7) == 7 and name not in dir(thing)
        hinted = [name for name in HINTS[kind] if isinstance(inspect.getattr_static(thing, name, None), Hint)]
        assert len(hinted) >= len(HINTS[kind]) // 2, (kind, type(thing))
        assert not {name for name, _ in inspect.getmembers(thing)} & set(hinted)


@pytest.mark.parametrize("thing", [LSTM, STACK, HEAD, GRADS, LSTM.params, ADAM, MODEL, HISTORY], ids=repr)
def test_hinted_things_copy_and_pickle(thing):
    for other in (copy.copy(thing), copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))):
        assert type(other) is type(thing)
    assert not hasattr(thing, "no such name")


def test_a_subclass_may_have_the_names():
    class Mine(pylstm.LSTM):
        def train(self):
            return "mine"

    layer = Mine(I, H)
    layer.device = "own"
    assert layer.train() == "mine" and layer.device == "own" and {"train", "device"} <= set(dir(layer))


def test_repr_says_how_a_layer_was_made():
    cases = {
        "LSTM(3, 4, dtype='float32')": pylstm.LSTM(3, 4),
        "LSTM(3, 4, proj_size=2, bias=False, batch_first=True, dtype='float64')": pylstm.LSTM(
            3, 4, proj_size=2, bias=False, batch_first=True, dtype="float64"
        ),
        "GRU(3, 4, reset_after=False, dtype='float32')": pylstm.GRU(3, 4, reset_after=False),
        "RNN(3, 4, nonlinearity='relu', learn_initial=('h',), dtype='float32')": pylstm.RNN(
            3, 4, nonlinearity="relu", learn_initial=True
        ),
        "Recurrent('peephole', 3, 4, dtype='float32')": pylstm.Recurrent("peephole", 3, 4),
        "Stack([LSTM(3, 4, dtype='float32'), LSTM(4, 4, dtype='float32')], dropout=0.5)": pylstm.LSTM(
            3, 4, 2, dropout=0.5
        ),
    }
    for text, layer in cases.items():
        assert repr(layer) == text
        again = eval(text, vars(pylstm))
        assert repr(again) == text and again.params.shapes == layer.params.shapes
    adam = pylstm.AdamW(LSTM.params, lr=0.5, weight_decay=0.25)
    assert repr(adam) == "AdamW(lr=0.5, betas=(0.9, 0.999), eps=1e-08, weight_decay=0.25; 128 parameters, 0 steps)"
    assert repr(GRADS).startswith("Gradients(x=(5, 2, 3), initial={h: (2, 4), c: (2, 4)}, params=Parameters(weight_x")
    assert "array" not in repr(DEEP.backward(DEEP.y)) and len(repr(DEEP)) < 200


def test_summary_is_a_table_of_all_parameters(capsys):
    text = pylstm.LSTM(2, 3, bias=False).summary()
    assert (
        str(text)
        == repr(text)
        == (
            "layer                                    output shape  parameters\n"
            "LSTM(2, 3, bias=False, dtype='float32')  (T, B, 3)             60\n"
            "  weight_x                               (12, 2)               24\n"
            "  weight_h                               (12, 3)               36\n"
            "60 parameters, 240 bytes"
        )
    )
    model = pylstm.SequenceModel("lstm", I, H, 1, head_sizes=(5,))
    lines = model.summary().splitlines()
    count = sum(each.size for each in model.params)
    assert [line.split("  ")[0] for line in lines if line[0] != " "] == [
        "layer",
        "SequenceModel",
        "layer: LSTM(3, 4, dtype='float32')",
        "read: last",
        "head: MLP(4, (5,), 1, 'relu', dtype='float32')",
        f"{count} parameters, {4 * count} bytes",
    ]
    assert sum(int(line.split()[-1].replace(",", "")) for line in lines if line[0] == " ") == count


def test_dir_has_public_names_only():
    names = {name for name in dir(pylstm) if not name.startswith("__")}
    assert names == {*pylstm.__all__, *pylstm._ESTIMATORS, *pylstm._ROOMS}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_add_and_scale(dtype):
    layer, several = pylstm.GRU(I, H, dtype=dtype, seed=1), []
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(T, seed + 1, I)).astype(dtype)
        run = layer(x)
        several.append(run.backward(run.y).params)
    a, b, c = (each.flat.copy() for each in several)
    half = a.dtype.type(0.5)
    for got, expected in [
        (several[0] + several[1], a + b),
        (several[0] - several[1], a - b),
        (several[0] * 0.5, a * half),
        (np.float64(0.5) * several[0], a * half),
        (np.float32(0.5) * several[0], a * half),
        (several[0] / 2, a / a.dtype.type(2)),
        (-several[0], -a),
        (sum(several), a + b + c),
        (sum(several) / 3, (a + b + c) / a.dtype.type(3)),
    ]:
        assert isinstance(got, pylstm.Parameters) and got.names == several[0].names
        assert got.flat.dtype == dtype and np.array_equal(got.flat, expected)
        assert all(not np.shares_memory(got.flat, each.flat) for each in several)
    total = several[0].copy()
    buffer = total.flat
    total += several[1]
    total -= several[2]
    total *= 2
    total /= 4
    assert total.flat is buffer and np.allclose(buffer, (a + b - c) / 2, rtol=1e-6)
    assert all(np.array_equal(each.flat, old) for each, old in zip(several, (a, b, c)))


@pytest.mark.parametrize(
    "layer",
    [pylstm.LSTM(I, H), pylstm.LSTM(I, H, 2, bidirectional=True), HEAD, pylstm.MLP(2, (3,), 1), pylstm.Embedding(3, 2)],
    ids=repr,
)
def test_parameters_of_a_layer_change_in_place(layer):
    before, buffer, name = layer.params.flat.copy(), layer.params.flat, layer.params.names[-1]
    view = layer.params[name]
    layer.params *= 0.5
    layer.params += layer.params.copy()
    layer.params -= layer.params * 0.25
    assert layer.params.flat is buffer and np.allclose(buffer, 0.75 * before) and np.shares_memory(view, buffer)
    for leaf in getattr(layer, "recurrents", getattr(layer, "layers", [])):
        assert np.shares_memory(leaf.params.flat, buffer)
    with pytest.raises(AttributeError, match="cannot be replaced"):
        layer.params = layer.params * 2


@pytest.mark.parametrize("grads", [GRADS, DEEP.backward(DEEP.y), HEAD(RUN.y).backward(HEAD(RUN.y).y)])
def test_gradients_scale_in_place(grads):
    before = grads.params.flat.copy()
    grads.params *= 0.5
    assert np.array_equal(grads.params.flat, before * np.float32(0.5))


def test_a_refused_sum_changes_nothing():
    params, before = pylstm.LSTM(I, H, seed=0).params, LSTM.params.flat.copy()
    other = pylstm.LSTM(I, H, dtype="float64").params
    for act, wrong in [
        (operator.iadd, other),
        (operator.isub, 1),
        (operator.imul, "2"),
        (operator.imul, 1j),
        (operator.iadd, HEAD.params),
    ]:
        with pytest.raises((TypeError, ValueError), match="Parameters"):
            act(params, wrong)
    assert np.array_equal(params.flat, before)
