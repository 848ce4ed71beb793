"""Random generators after a call that was refused or failed: they are where they were."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm.layers import initialisers, regularisers
from pylstm.training.divergence import TrainingDiverged

X = np.random.default_rng(0).normal(size=(6, 3, 2))
DROPS = {
    "layers": lambda: pylstm.LSTM(2, 4, num_layers=3, dropout=0.4, dtype="float64", seed=0),
    "two directions": lambda: pylstm.LSTM(2, 4, num_layers=2, bidirectional=True, dropout=0.4, dtype="float64", seed=0),
}


def state_of(rng):
    return rng.bit_generator.state


@pytest.mark.parametrize("kind", DROPS)
@pytest.mark.parametrize(
    "given",
    [
        {"x": X[..., :1]},
        {"lengths": [7, 1, 1]},
        {"initial": [None, {"h": np.zeros((3, 9))}, None]},
        {"aux": [None, {"nothing": X}, None]},
        {"checkpoint": "root"},
    ],
)
def test_a_refused_call_of_a_stack(kind, given):
    stack = DROPS[kind]()
    given = {name: value[: len(stack.layers)] if isinstance(value, list) and name != "lengths" else value
             for name, value in given.items()}  # fmt: skip
    before = state_of(stack.rng)
    with pytest.raises((TypeError, ValueError)):
        stack(given.pop("x", X), **given)
    assert state_of(stack.rng) == before
    stack(X)
    assert state_of(stack.rng) != before


def model():
    return pylstm.SequenceModel("gru", 2, 4, 1, num_layers=2, dropout=0.4, dtype="float64", seed=0)


@pytest.mark.parametrize("y", [np.zeros((3, 2)), np.zeros(2), np.array(["a", "b", "c"]), None])
def test_gradients_that_fail_in_the_loss(y):
    net, x = model(), X.swapaxes(0, 1)
    before = state_of(net.rng)
    with pytest.raises((TypeError, ValueError)):
        net.gradients(x, y)
    assert state_of(net.rng) == before
    net.gradients(x, np.zeros(3))
    assert state_of(net.rng) != before


def test_a_step_that_diverges():
    net, x = model(), X.swapaxes(0, 1)
    net.head.params.flat[...] = 1e200
    trainer = pylstm.Trainer(net, (x, np.ones(3)))
    before = state_of(net.rng)
    with pytest.raises(TrainingDiverged), np.errstate(all="ignore"):
        trainer.run()
    assert state_of(net.rng) == before


def test_a_window_whose_loss_fails():
    stack = DROPS["layers"]()
    before = state_of(stack.rng)

    def loss(y, steps):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        next(pylstm.truncated_bptt(stack, X, loss, 3))
    assert state_of(stack.rng) == before


RATES = {"h": 0.5, "c": 1.5}


def drop_connect(layer, rng):
    with regularisers.drop_connect(layer, 1.0, ["weight_h", "weight_x"], seed=rng):
        pass


@pytest.mark.parametrize(
    "call",
    [
        lambda layer, rng: regularisers.zoneout(layer, X, RATES, seed=rng),
        lambda layer, rng: regularisers.state_dropout(layer, X, RATES, seed=rng),
        lambda layer, rng: regularisers.input_dropout(layer, X, 1.5, seed=rng),
        drop_connect,
        lambda layer, rng: initialisers.chrono(layer, 9, "nothing", seed=rng),
        lambda layer, rng: initialisers.orthogonal(layer, "nothing", seed=rng),
        lambda layer, rng: initialisers.glorot_uniform(layer, ["h", "nothing"], seed=rng),
        lambda layer, rng: initialisers.uniform(layer, np.inf, seed=rng),
    ],
)
def test_a_refused_draw_from_a_generator_of_the_caller(call):
    layer, rng = pylstm.LSTM(2, 4, dtype="float64", seed=0), np.random.default_rng(5)
    before, values = state_of(rng), layer.params.flat.copy()
    with pytest.raises((TypeError, ValueError, KeyError, OverflowError)):
        call(layer, rng)
    assert state_of(rng) == before and np.array_equal(layer.params.flat, values)
