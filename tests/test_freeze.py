"""Frozen parameters: no optimiser, clipping, penalty or fit touches them; files, pickles and copies say which."""

import copy
import pickle

import numpy as np
import pytest

import pylstm
from pylstm.layers.regularisers import drop_connect, l2_penalty
from pylstm.optim import SGD, Adam, AdamW, RMSProp, clip_by_norm
from pylstm.parameters import Parameters
from pylstm.training import fit, fit_lbfgs
from pylstm.training.trainer import Trainer

OPTIMISERS = {
    "sgd": lambda params: SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda params: Adam(params, lr=0.1),
    "adamw": lambda params: AdamW(params, lr=0.1, weight_decay=0.5),
    "rmsprop": lambda params: RMSProp(params, lr=0.1, momentum=0.5),
}


def data(rows=24, seed=0, dtype="float64"):
    x = np.random.default_rng(seed).normal(size=(rows, 5, 2)).astype(dtype)
    return x, x.sum(axis=(1, 2))


def model(dtype="float64"):
    return pylstm.SequenceModel("lstm", 2, 4, 1, num_layers=2, dtype=dtype, seed=0)


def values(params):
    return {f"{k}.{name}": each[name].copy() for k, each in enumerate(params) for name in each}


def changed(before, params):
    return {name for name, array in values(params).items() if (array != before[name]).any()}


def test_names():
    layer = pylstm.LSTM(3, 5, num_layers=2)
    params = layer.params
    params.freeze("weight_h")
    assert params.frozen == ("0.weight_h", "1.weight_h")
    assert "frozen: 0.weight_h, 1.weight_h" in repr(params)
    params.unfreeze("1")
    assert params.frozen == ("0.weight_h",) == tuple(f"0.{name}" for name in layer.layers[0].params.frozen)
    layer.layers[1].params.freeze("bias")
    assert params.frozen == ("0.weight_h", "1.bias")
    params.freeze()
    assert params.frozen == params.names and params.trained_size == 0
    params.unfreeze()
    assert params.frozen == () and params.trained_size == params.size
    with pytest.raises(KeyError, match="unknown parameter 'weigth_h'"):
        params.freeze("weigth_h")
    with pytest.raises(TypeError, match=r"params.freeze\(\*names\)"):
        params.freeze(["weight_h"])


def test_names_of_a_model():
    net = model()
    net.params.freeze("weight_x", "1")
    assert net.params.frozen == ("0.0.weight_x", "0.1.weight_x", "1.weight", "1.bias")
    net.params.unfreeze("1.weight")
    assert net.head.params.frozen == ("bias",)
    with pytest.raises(KeyError, match="unknown parameter 'w'"):
        net.params.freeze("w")
    assert "frozen" in net.summary() and "trained" in net.summary()


@pytest.mark.parametrize("copied", ["pickle", "deepcopy", "file", "moved"])
def test_copies_and_files(tmp_path, copied):
    layer = pylstm.Stack([pylstm.GRU(3, 5), pylstm.Bidirectional(pylstm.GRU(5, 4), pylstm.GRU(5, 4))])
    layer.params.freeze("0.bias", "1.reverse.weight_x")
    if copied == "file":
        pylstm.save(tmp_path / "layer", layer)
    made = {
        "pickle": lambda: pickle.loads(pickle.dumps(layer)),
        "deepcopy": lambda: copy.deepcopy(layer),
        "file": lambda: pylstm.load(tmp_path / "layer"),
        "moved": lambda: pylstm.Stack([copy.deepcopy(each) for each in layer.layers]),
    }[copied]()
    assert made.params.frozen == layer.params.frozen == ("0.bias", "1.reverse.weight_x")
    assert made.layers[1].reverse.params.frozen == ("weight_x",)
    made.layers[1].reverse.params.freeze("bias")
    assert made.params.frozen == ("0.bias", "1.reverse.weight_x", "1.reverse.bias")
    assert layer.params.frozen == ("0.bias", "1.reverse.weight_x")


def test_files_of_maps_and_models(tmp_path):
    net = pylstm.SequenceModel("gru", 2, 4, 1, head_sizes=[3], seed=0)
    net.head.params.freeze("0.weight")
    assert net.head.layers[0].params.frozen == ("weight",)
    pylstm.save(tmp_path / "net", net)
    assert pylstm.load(tmp_path / "net").params.frozen == ("1.0.weight",)
    copied = net.params.copy()
    assert copied.frozen == ("1.0.weight",)


def test_a_damaged_entry(tmp_path, monkeypatch):
    layer = pylstm.GRU(2, 3)
    monkeypatch.setattr("pylstm.kinds.frozen_in", lambda params: {"frozen": ["bxas"]})
    pylstm.save(tmp_path / "layer", layer)
    with pytest.raises(ValueError, match=r"frozen must hold parameters \(weight_x"):
        pylstm.load(tmp_path / "layer")


@pytest.mark.parametrize("name", OPTIMISERS)
def test_steps_are_those_of_an_optimiser_without_them(name):
    """What is frozen from step 3 to 5 goes on from its own averages and its own count of steps."""
    net, x = pylstm.GRU(2, 4, dtype="float64", seed=0), data()[0].swapaxes(0, 1)
    params, optimiser = net.params, OPTIMISERS[name](net.params)
    alone = {each: Parameters({each: shape}, "float64") for each, shape in params.shapes.items()}
    others = {each: OPTIMISERS[name](piece) for each, piece in alone.items()}
    for each, piece in alone.items():
        piece[each] = params[each]
    for step in range(8):
        params.unfreeze()
        if 3 <= step < 6:
            params.freeze("weight_h")
        run = net(x)
        grads = run.backward(run.y).params
        assert (grads["weight_h"] == 0).all() == (3 <= step < 6)
        optimiser.step(grads)
        for each, piece in alone.items():
            if each not in params.frozen:
                gradient = piece.zeros_like()
                gradient[each] = grads[each]
                others[each].step(gradient)
        if step == 4:  # also in the midst
            again = OPTIMISERS[name](params)
            again.load_state_dict(optimiser.state_dict())
            optimiser = again
            assert "held" in repr(optimiser)
    for each, piece in alone.items():
        np.testing.assert_array_equal(piece[each], params[each])


def test_a_wrong_state_is_refused():
    params = Parameters({"w": (2,), "b": (1,)})
    optimiser = Adam(params)
    for wrong in ([], {"0.v": 1}, {"0.w": -1}, {"0.w": 5}):
        with pytest.raises(ValueError, match="idle"):
            optimiser.load_state_dict(optimiser.state_dict() | {"idle": wrong})


@pytest.mark.parametrize("without", ["weight_x", "0", "1", "0.0", "0.1.bias"])
def test_fit(without):
    net = model()
    net.params.freeze(without)
    held, before = set(net.params.frozen), values(net.params)
    fit(net, data(), epochs=2, optimiser=AdamW(net.params, lr=0.05, weight_decay=0.5), progress=False)
    assert changed(before, net.params) == before.keys() - held


def test_lbfgs():
    pytest.importorskip("scipy")
    net = model()
    net.params.freeze("weight_h")
    before = values(net.params)
    history = fit_lbfgs(net, data(), iterations=3)
    assert changed(before, net.params) == {name for name in before if not name.endswith("weight_h")}
    assert history.loss[-1] < history.steps[0]


@pytest.mark.parametrize("train", [fit, pytest.param(fit_lbfgs, marks=pytest.mark.filterwarnings("default"))])
def test_nothing_to_train(train):
    if train is fit_lbfgs:
        pytest.importorskip("scipy")
    net = model()
    net.params.freeze()
    with pytest.raises(ValueError, match="all parameters are frozen"):
        train(net, data())


def test_a_model_of_ones_own_need_not_know():
    """Its gradients are of all parameters; clipping counts those that are trained."""

    class Own:
        def __init__(self):
            self.params = Parameters({"w": (2,), "b": (1,)}, "float64")

        def gradients(self, x):
            grads = self.params.zeros_like()
            grads.flat[:] = 3, 4, 1000
            return 1.0, grads

    own = Own()
    own.params.freeze("b")
    history = fit(own, (np.ones((4, 1)),), epochs=1, batch_size=4, optimiser=SGD(own.params, lr=1.0), progress=False)
    assert history.norms == [5.0]
    np.testing.assert_allclose(own.params.flat, [-0.6, -0.8, 0])


def test_clipping_and_penalties_leave_them_out():
    layer = pylstm.LSTM(3, 5, dtype="float64", seed=0)
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    run = layer(x)
    whole = run.backward(run.y).params
    layer.params.freeze("weight_h")
    grads = run.backward(run.y).params
    expected = np.sqrt(sum((whole[name] ** 2).sum() for name in ("weight_x", "bias")))
    assert clip_by_norm(grads, 1e9) == pytest.approx(expected, rel=1e-14)
    value, gradient = l2_penalty(layer.params, 0.5)
    assert value == pytest.approx(0.5 * sum((layer.params[name] ** 2).sum() for name in ("weight_x", "bias")))
    assert (gradient["weight_h"] == 0).all() and (gradient["bias"] == layer.params["bias"]).all()
    before = layer.params["weight_h"].copy()
    with drop_connect(layer, 0.5, ("weight_h", "weight_x"), seed=0) as factors:
        assert (layer.params["weight_h"] == before).all() and (factors["weight_h"] == 1).all()
        assert (factors["weight_x"] == 0).any()


def test_a_layer_that_is_frozen_as_a_whole_passes_its_cotangents_on():
    layer = pylstm.LSTM(3, 5, seed=0, num_layers=2, dtype="float64")
    x = np.random.default_rng(0).normal(size=(4, 2, 3))
    run = layer(x)
    whole = run.backward(run.y)
    layer.params.freeze("1")
    grads = run.backward(run.y)
    np.testing.assert_array_equal(grads.x, whole.x)
    np.testing.assert_array_equal(grads.params["0.weight_h"], whole.params["0.weight_h"])
    assert not grads.params["1.weight_h"].any()


def test_checkpoints(tmp_path):
    """A callback that unfreezes after the second epoch; a run that is resumed there, or before, has the same bits."""

    def run(epochs, resume=False):
        net = model()
        if not resume:
            net.params.freeze("0.0")
        free = [lambda trainer: trainer.epoch == 2 and net.params.unfreeze() and None]
        options = {"optimiser": Adam(net.params, lr=0.05), "callbacks": free, "progress": False, "batch_size": 8}
        fit(net, data(), epochs=epochs, checkpoint=tmp_path / "run", resume=resume, **options)
        return net

    straight = run(4)
    (tmp_path / "run").unlink()
    for epochs in (1, 3):
        run(epochs)
        again = run(4, resume=True)
        assert again.params.frozen == ()
        for one, other in zip(straight.params, again.params):
            np.testing.assert_array_equal(one.flat, other.flat)
        (tmp_path / "run").unlink()


@pytest.mark.parametrize("wrong", [["0.bias"], [["0.bxas"], []], {}, [[]]])
def test_a_damaged_checkpoint(tmp_path, monkeypatch, wrong):
    net = model()
    monkeypatch.setattr("pylstm.training.loop.frozen_of", lambda params: wrong)
    fit(net, data(), epochs=1, checkpoint=tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match="frozen must hold"):
        Trainer(net, data(), epochs=1, progress=False).resume(tmp_path / "run")


def test_estimators(tmp_path):
    pytest.importorskip("sklearn")
    x, y = data(40, dtype="float32")
    labels = (y > 0).astype(int)
    found = pylstm.estimators.SequenceClassifier(hidden_size=4, epochs=1, random_state=0)
    found.partial_fit(x, labels, classes=[0, 1])
    found.model_.params.freeze("weight_x")
    before = values(found.model_.params)
    found.partial_fit(x, labels)
    assert changed(before, found.model_.params) == {name for name in before if not name.endswith("weight_x")}
    pylstm.save(tmp_path / "found", found)
    assert pylstm.load(tmp_path / "found").model_.params.frozen == found.model_.params.frozen != ()


def test_torch():
    torch = pytest.importorskip("torch")
    import pylstm.torch

    module = pylstm.torch.LSTM(3, 5, num_layers=2)
    module.weight_ih_l0.requires_grad_(False)
    module.bias_ih_l1.requires_grad_(False)  # its other half is trained
    assert module.to_pylstm().params.frozen == ("0.weight_x",)
    module.bias_hh_l1.requires_grad_(False)
    assert module.to_pylstm().params.frozen == ("0.weight_x", "1.bias")
    own = pylstm.torch.Recurrent("peephole", 3, 5)
    own.requires_grad_(False)
    assert own.to_pylstm().params.frozen == own.to_pylstm().params.names
    assert torch.is_tensor(own(torch.ones(2, 1, 3))[0])
