"""What a newcomer writes in the first hour: each message names the argument, and its cure is the right one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import pylstm
from pylstm.layers.regularisers import input_dropout
from pylstm.optim.schedules import Plateau, step_decay, warm_up

N, T, I, H = 10, 5, 3, 4
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(N, T, I)).astype("float32"), rng.normal(size=(N, 1)).astype("float32")
LABELS = rng.integers(0, 3, N)
LAYER, STACK = pylstm.LSTM(I, H, seed=0), pylstm.LSTM(I, H, 2, seed=0)
MODEL = pylstm.SequenceModel("lstm", I, H, 1, seed=0)
RUN = LAYER(X.swapaxes(0, 1))
LOSS = pylstm.squared_error(RUN.y, np.zeros_like(RUN.y))


class Loader:
    """As PyTorch's: batches of pairs."""

    def __iter__(self):
        return ((X[k : k + 4], Y[k : k + 4]) for k in range(0, N, 4))


class BFloat16:
    """As a tensor that NumPy has no dtype for."""

    def __array__(self, *_, **__):
        raise TypeError("Got unsupported ScalarType BFloat16")


class OnATape:
    """As a tensor that requires a gradient."""

    def __array__(self, *_, **__):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


class StepLR:
    """As PyTorch's, made or not."""

    __module__ = "torch.optim.lr_scheduler"

    def __init__(self, optimiser, step_size):
        pass


def fit(data=(X, Y), model=MODEL, **options):
    return pylstm.fit(model, data, **({"epochs": 1} | options))


def classes(y, **options):
    return fit((X, y), pylstm.SequenceModel("gru", I, H, 3, loss="softmax_cross_entropy", seed=0, **options))


def model(**options):
    return pylstm.SequenceModel("lstm", I, H, 1, **options)


def delete_state():
    del LAYER.stream().state


BATCHES = "pylstm.fit(model, (x, y), batch_size=32) makes the batches"
SEED = "seed must be an integer of 0 or more, got"
MISTAKES = {
    # a loss where its cotangent is wanted
    "backward of a loss": (lambda: RUN.backward(LOSS), ValueError, "value, dy = loss(run.y, target); run.backward(dy)"),
    "of a stack": (lambda: STACK(X.swapaxes(0, 1)).backward(LOSS), ValueError, "value, dy = loss("),
    "of a head": (lambda: pylstm.Linear(I, H)(X).backward(tuple(LOSS)), ValueError, "value, dy = loss("),
    "backward of a value": (lambda: RUN.backward(LOSS[0]), ValueError, "value, dy = loss("),
    # data
    "a loader of dicts": (lambda: fit([{"x": X, "y": Y}].__iter__), TypeError, "yield (batch['x'], batch['y'])"),
    "pairs": (lambda: fit(list(zip(X, Y))), TypeError, BATCHES),
    "pairs of equal shapes": (lambda: fit(list(zip(X, X))), ValueError, "batch 0: batch[0]: x must have shape (N"),
    "zip": (lambda: fit(zip(X, Y)), TypeError, BATCHES),
    "a generator": (lambda: fit(iter(Loader()), epochs=2), ValueError, "a function that makes it, such as lambda: "),
    "a share of a loader": (lambda: fit(Loader(), validation=0.1), ValueError, "validation must be data of its own"),
    "a word to validate": (lambda: fit(validation="x"), TypeError, "validation must be a tuple of arrays"),
    "a dict": (lambda: fit({"x": X, "y": Y}), TypeError, "got a dict: pylstm.fit(model, (data['x'], data['y']))"),
    "pairs for L-BFGS": (lambda: pylstm.fit_lbfgs(MODEL, list(zip(X, Y))), TypeError, "data must be a tuple of arrays"),
    # targets
    "-100": (lambda: classes(np.where(LABELS > 0, LABELS, -100)), ValueError, "weights = targets != -100"),
    "-1": (lambda: classes(np.where(LABELS > 0, LABELS, -1)), ValueError, "weights = targets != -1"),
    "-100 of steps": (lambda: classes(np.full((N, T), -100), read="every"), ValueError, "weights = targets != -100"),
    "-100 alone": (
        lambda: pylstm.softmax_cross_entropy(np.zeros((N, 3)), LABELS - 100), ValueError, "weights = targets != -"
    ),
    "too few outputs": (lambda: classes(LABELS + 1), ValueError, "output_size, here 3, must be the number of classes"),
    "a column of labels": (lambda: classes(LABELS[:, None]), ValueError, "take y[..., 0]"),
    "of steps": (lambda: classes(np.zeros((N, T, 1), int), read="every"), ValueError, "take y[..., 0]"),
    "a column, in a loss": (
        lambda: pylstm.softmax_cross_entropy(np.zeros((N, 3)), LABELS[:, None]), ValueError, "take targets[..., 0]"
    ),
    "two values": (lambda: fit((X, np.zeros((N, 2), "f4"))), ValueError, "output_size=2"),
    "values of steps": (lambda: fit((X, np.zeros((N, T), "f4"))), ValueError, "read='every'"),
    "columns of steps": (lambda: fit((X, np.zeros((N, T, 1), "f4"))), ValueError, "read='every'"),
    # options of other libraries
    "sequences": (lambda: model(return_sequences=True), TypeError, "read='every'"),
    "states": (lambda: model(return_state=True), TypeError, "model.layer(x) returns the states"),
    "initialiser": (lambda: model(kernel_initializer="zeros"), TypeError, "model.layer.initialise("),
    **{
        name: (lambda name=name: fit(**{name: 1}), TypeError, f"unknown option {name}=: {cure}")
        for name, cure in {
            "steps_per_epoch": "an epoch is all rows", "device": "pylstm computes on the CPU",
            "num_workers": "", "weights": "weights are the third array",
        }.items()
    },
    "amsgrad": (lambda: pylstm.Adam(LAYER.params, amsgrad=True), TypeError, "unknown option amsgrad=: "),
    **{
        f"plateau {name}": (lambda name=name: Plateau(1.0, **{name: 1}), TypeError, f"unknown option {name}=: {cure}")
        for name, cure in {
            "verbose": "", "min_delta": "threshold=", "monitor": "a fit observes the validation loss", "optimizer": "",
        }.items()
    },
    "plateau by position": (lambda: Plateau(1.0, "min"), TypeError, "options go by name: Plateau(0.01, mode='min'"),
    # a loss, a schedule, a model
    "a function": (lambda: model(loss=pylstm.huber), TypeError, "pass its name: loss='huber'"),
    "not ours": (lambda: model(loss=lambda y, t: 0), TypeError, "loss must be one of mean_squared_error, "),
    "a class of torch": (lambda: fit(schedule=StepLR), TypeError, "schedule must be", "step_decay(0.01, every=1000)"),
    "of torch": (lambda: fit(schedule=StepLR(0, 1)), TypeError, "schedule must be", "step_decay(0.01, every=1000)"),
    "Plateau": (lambda: fit(schedule=Plateau), TypeError, "schedule must be an instance, Plateau(...), got the class"),
    "cosine": (lambda: fit(schedule=pylstm.optim.cosine), TypeError, "schedule must be a function of the step"),
    "of nothing": (lambda: fit(schedule=lambda: 1), TypeError, "schedule must be a function of the step"),
    "of a schedule": (lambda: warm_up(3, 4), TypeError, "schedule must be a function of the step"),
    "a class": (lambda: fit(model=pylstm.SequenceModel), TypeError, "model must be an instance, SequenceModel(...)"),
    "params": (lambda: setattr(MODEL, "params", 1), AttributeError, "params cannot be replaced"),
    "no params": (lambda: setattr(MODEL, "params", None), AttributeError, "params cannot be replaced"),
    "called": (lambda: pylstm.Adam(LAYER.params()), TypeError, "params is not a method: leave out the brackets"),
    "called, of a model": (lambda: pylstm.Adam(MODEL.params()), TypeError, "params is not a method: leave out the"),
    # arrays and sizes
    "bfloat16": (lambda: LAYER(BFloat16()), TypeError, "x: NumPy cannot make an array of a BFloat16", ".float()"),
    "on a tape": (lambda: MODEL.predict(OnATape()), TypeError, "x: NumPy cannot make an array", "tensor.detach()"),
    "a stream of all": (lambda: LAYER.stream(2**62), ValueError, "batch_size must be at most 2**40, got"),
    "of more": (lambda: STACK.stream(2**64), ValueError, "batch_size must be at most 2**40, got"),
    "del": (delete_state, AttributeError, "state cannot be deleted: stream.reset()"),
    # numbers
    **{
        f"observe {loss!r}": (lambda loss=loss: Plateau(1.0).observe(loss), TypeError, "loss must be a number, got")
        for loss in ("a", None, np.zeros(2), LOSS)
    },
    "patience": (lambda: Plateau(1.0, patience=1.5), TypeError, "patience must be an integer, got 1.5"),
    "cooldown": (lambda: Plateau(1.0, cooldown="a"), TypeError, "cooldown must be an integer, got 'a'"),
    "factor": (lambda: Plateau(1.0, factor="a"), TypeError, "factor must be a number, got 'a'"),
    "steps": (lambda: step_decay(1.0, every="a"), TypeError, "every must be a number, got 'a'"),
    "clip": (lambda: fit(clip="a"), TypeError, "clip must be a number, got 'a'"),
    "iterations": (lambda: pylstm.fit_lbfgs(MODEL, (X, Y), iterations="a"), TypeError, "iterations must be an integer"),
    "memory": (lambda: pylstm.fit_lbfgs(MODEL, (X, Y), memory=1.5), TypeError, "memory must be an integer, got 1.5"),
    "tolerance": (
        lambda: pylstm.fit_lbfgs(MODEL, (X, Y), loss_tolerance="a"), TypeError, "loss_tolerance must be a number"
    ),
    "every": (lambda: fit(every=-1), ValueError, "every must be 0 or more"),
    "every, a word": (lambda: fit(every="a"), TypeError, "every must be a number, got 'a'"),
    "shuffle": (lambda: fit(shuffle="yes"), TypeError, "shuffle must be True or False, got 'yes'"),
    "progress": (lambda: fit(progress="x"), TypeError, "progress must be True or False, got 'x'"),
    "resume": (lambda: fit(resume="x"), TypeError, "resume must be True or False, got 'x'"),
    "both directions": (lambda: pylstm.LSTM(I, H, bidirectional="x"), TypeError, "bidirectional must be True or"),
    "dropout": (lambda: pylstm.LSTM(I, H, 2, dropout="x"), TypeError, "dropout must be a number, got 'x'"),
    "activation": (lambda: model(activation="gelu"), ValueError, "activation must be one of relu, tanh, got 'gelu'"),
    # seeds
    **{
        f"seed {seed!r} of {name}": (lambda call=call, seed=seed: call(seed), TypeError, SEED)
        for seed in (1.5, "a")
        for name, call in {
            "a layer": lambda seed: pylstm.LSTM(I, H, seed=seed),
            "a stack": lambda seed: pylstm.LSTM(I, H, 2, seed=seed),
            "a model": lambda seed: model(seed=seed),
            "a head": lambda seed: pylstm.SequenceModel.of(LAYER, 1, seed=seed),
            "an MLP": lambda seed: pylstm.MLP(I, (2,), 1, seed=seed),
            "an embedding": lambda seed: pylstm.Embedding(I, H, seed=seed),
            "an initialiser": lambda seed: pylstm.LSTM(I, H).initialise("orthogonal", seed=seed),
            "a regulariser": lambda seed: input_dropout(LAYER, X, 0.1, seed=seed),
            "a reset": lambda seed: pylstm.LSTM(I, H, 2).reset_parameters(seed),
            "a generator": lambda seed: pylstm.LSTM(I, H, 2).reseed(seed),
            "a fit": lambda seed: fit(seed=seed, shuffle=False),
        }.items()
    },
    "seed -1 of a layer": (lambda: pylstm.GRU(I, H, seed=-1), ValueError, SEED),
    "seed -1 of a model": (lambda: model(seed=-1), ValueError, SEED),
    "seed -1 of a fit": (lambda: fit(seed=-1), ValueError, SEED),
    "seed None of a fit": (lambda: fit(seed=None), TypeError, SEED),
    # names
    **{
        f"{type(run).__name__}.{name}": (lambda run=run, name=name: getattr(run, name), AttributeError, cure)
        for run in (RUN, STACK(X.swapaxes(0, 1)))
        for name, cure in {"h": "run.final['h']", "c": "run.final['c']", "loss": "loss(run.y, target)"}.items()
    },
    **{
        f"{room}.{name}": (lambda room=room, name=name: getattr(room_of(room), name), AttributeError, cure)
        for room, name, cure in (
            ("", "Masking", "lengths="), ("", "TimeDistributed", "read='every'"), ("", "to_categorical", "integers"),
            ("", "optimizers", "pylstm.Adam"), ("", "lr_scheduler", "pylstm.optim has"),
            ("optim", "lr_scheduler", "pylstm.optim has"), ("optim", "ReduceLROnPlateau", "pylstm.optim.Plateau"),
            ("optim", "StepLR", "pylstm.optim.step_decay"), ("optim.schedules", "StepLR", "pylstm.optim.step_decay"),
            ("losses", "CrossEntropyLoss", "pylstm.softmax_cross_entropy"), ("layers", "Dense", "pylstm.Linear"),
            ("layers", "Linear", "pylstm.Linear"), ("training", "EarlyStopping", "patience=5"),
            ("data", "DataLoader", "batch_size=32"), ("models", "Sequential", "pylstm.Stack"),
        )
    },
}  # fmt: skip


def room_of(name):
    found = pylstm
    for each in filter(None, name.split(".")):
        found = getattr(found, each)
    return found


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_and_cured(mistake):
    make, error, *texts = MISTAKES[mistake]
    with pytest.raises(error) as caught:
        make()
    for text in texts:
        assert text in str(caught.value)


def test_a_wrong_cure_is_not_given():
    for mistake, wrong in {
        "backward of a loss": "Sequences", "pairs": "Sequences", "zip": "Sequences", "-100": "output_size",
        "a column of labels": "read='every'", "two values": "read='every'", "values of steps": "output_size",
        "sequences": "run.y", "too few outputs": "weights",
    }.items():  # fmt: skip
        make, error, *_ = MISTAKES[mistake]
        with pytest.raises(error) as caught:
            make()
        assert wrong not in str(caught.value), mistake


def test_rows_of_unequal_lengths_keep_their_cure():
    with pytest.raises(ValueError, match=r"x: rows of unequal lengths .*Sequences\.of"):
        MODEL.predict([X[0], X[0, :3]])
    with pytest.raises(ValueError, match=r"data\[0\]: rows of unequal lengths .*Sequences\.of"):
        fit(([X[0], X[0, :3]], Y[:2]))


def test_what_was_right_still_is():
    plateau = Plateau(1.0, patience=np.int64(0), threshold=0)
    for loss in (np.float32(3), np.array(2.0), SimpleNamespace(item=lambda: 1.0, ndim=0), 1):
        plateau.observe(loss)
    assert plateau.lr < 1 and plateau.best == 1
    for seed in (3, np.int64(3), [1, 2], np.random.SeedSequence(3), np.random.default_rng(3)):
        pylstm.LSTM(I, H, seed=seed)
    fit(seed=np.int64(2), shuffle=np.True_, every=np.inf)
    assert not hasattr(pylstm.optim, "__path_of_nothing__") and pylstm.optim.cosine


def test_a_seed_of_numpy_is_a_setting_like_another(tmp_path):
    for seed in (np.int64(1), np.int64(2)):
        options = {"checkpoint": tmp_path / "c", "seed": seed, "clip": np.float32(1 + seed)}
        if seed == 1:
            fit(**options)
        else:
            with pytest.raises(ValueError, match=r"clip was 2\.0, now 3\.0; seed was 1, now 2"):
                fit(resume=True, **options)
