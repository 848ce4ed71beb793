"""The numbers of optimisers and schedules are checked whenever they are set, and a refused one moves nothing."""

import copy
import math
import pickle

import numpy as np
import pytest

import pylstm
from pylstm.optim.schedules import Plateau, warm_up
from pylstm.parameters import Parameters

BAD_RATES = [math.nan, math.inf, -math.inf, -1, -1e-9, "0.1", None, [0.1], np.array([0.1]), 1j]
MAKERS = {
    "SGD": lambda p: pylstm.SGD(p, 0.1, 0.5, nesterov=True),
    "Adam": pylstm.Adam,
    "AdamW": pylstm.AdamW,
    "RMSProp": pylstm.RMSProp,
}
BAD = {
    "lr": BAD_RATES,
    "momentum": [1, -0.1, math.nan, "x", None],
    "nesterov": ["no", 2, None],
    "betas": [0.9, (0.9,), (0.9, 1.0), (0.9, math.nan), ("a", "b"), "ab", None],
    "eps": [0, -1, math.nan, math.inf, "x"],
    "weight_decay": BAD_RATES,
    "alpha": [1.0, -0.1, math.nan, "x", None],
}


def params_of(seed=0):
    params = Parameters({"w": (3,), "b": (2,)}, "float64")
    params.flat[:] = np.random.default_rng(seed).normal(size=5)
    return params


@pytest.mark.parametrize("kind", MAKERS)
def test_a_number_that_is_set(kind):
    params = params_of()
    optimiser = MAKERS[kind](params)
    optimiser.step(params_of(1))
    before, state = params.flat.copy(), optimiser.state_dict()
    for name in optimiser.settings:
        for value in BAD[name]:
            with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
                setattr(optimiser, name, value)
            with pytest.raises((TypeError, ValueError), match=name):
                optimiser.load_state_dict(state | {name: value})
            with pytest.raises((TypeError, ValueError)):
                type(optimiser)(params, **({"lr": 0.1} | {name: value}))
    assert optimiser.state_dict().keys() == state.keys() and np.array_equal(before, params.flat)
    assert all(np.array_equal(value, state[name]) for name, value in optimiser.state_dict().items())
    optimiser.lr = np.float32(0.5)
    assert optimiser.lr == 0.5 and type(optimiser.lr) is float
    for again in (copy.deepcopy(optimiser), pickle.loads(pickle.dumps(optimiser))):
        assert again.lr == 0.5 and again.steps == 1


@pytest.mark.parametrize("value", [-1, 1.5, "3", None, True])
def test_the_steps_of_a_state(value):
    adam = pylstm.Adam(params_of())
    with pytest.raises(ValueError, match="'steps' must be an integer of 0 or more"):
        adam.load_state_dict(adam.state_dict() | {"steps": value, "lr": 0.5})
    assert (adam.lr, adam.steps) == (1e-3, 0)
    for state in (None, [1], "state"):
        with pytest.raises(TypeError, match=r"must be the dict that state_dict\(\) returned"):
            adam.load_state_dict(state)


def test_the_same_parameters_twice():
    net = pylstm.LSTM(2, 3, num_layers=2)
    for several in ([net.params, net.params], [net.layers[1].params, net.params]):
        with pytest.raises(ValueError, match=r"params\[0\] and params\[1\] are the same parameters"):
            pylstm.Adam(several)
    pylstm.Adam([layer.params for layer in net.layers])


def test_the_name_of_another_library():
    adam = pylstm.Adam(params_of())
    with pytest.raises(AttributeError, match=r"Adam has no learning_rate: optimiser\.lr is the rate"):
        adam.learning_rate = 5.0
    with pytest.raises(AttributeError, match="learning_rate"):
        del adam.learning_rate

    class Own(pylstm.Adam):
        pass

    own = Own(params_of())
    own.learning_rate = 5.0
    assert own.learning_rate == 5.0
    del own.learning_rate
    with pytest.raises(AttributeError, match="lr is the rate"):
        own.learning_rate  # noqa: B018


X = np.random.default_rng(0).normal(size=(8, 4, 2)).astype("float32")
Y = X.sum(axis=(1, 2))


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: warm_up(s, 3)], ids=["plain", "warm up"])
@pytest.mark.parametrize("bad", BAD_RATES, ids=repr)
def test_a_rate_of_a_schedule(bad, wrap):
    model, whole = (pylstm.SequenceModel("gru", 2, 3, 1, seed=0) for _ in range(2))
    adam = pylstm.Adam(model.params)
    schedule = wrap(lambda step: bad if step == 3 else 0.01)
    with pytest.raises((TypeError, ValueError), match="the rate that the schedule returned for step 3 must be"):
        pylstm.fit(model, (X, Y), optimiser=adam, schedule=schedule, batch_size=4, shuffle=False)
    assert adam.steps == 3
    right = pylstm.Adam(whole.params)
    for step in range(3):
        right.lr = wrap(lambda step: 0.01)(step)
        grads = whole.gradients(X[step % 2 * 4 :][:4], Y[step % 2 * 4 :][:4])[1]
        pylstm.clip_by_norm(grads, 1.0)
        right.step(grads)
    assert all(np.array_equal(a.flat, b.flat) for a, b in zip(model.params, whole.params))


@pytest.mark.parametrize(
    "entry", [{"lr": math.nan}, {"lr": "x"}, {"best": "x"}, {"waited": -1}, {"cooling": 0.5}, {"more": 1}], ids=repr
)
def test_the_state_of_a_plateau(entry):
    plateau = Plateau(1.0)
    with pytest.raises((TypeError, ValueError), match=f"{next(iter(entry))} must be|must be what state_dict"):
        plateau.load_state_dict(plateau.state_dict() | entry)
    assert plateau.state_dict() == Plateau(1.0).state_dict()
