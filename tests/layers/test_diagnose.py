"""`diagnose`: each finding on a net made to show it, none on a healthy one, and what it advises helps."""

import re

import numpy as np
import pytest

import pylstm
from pylstm import plugins
from pylstm.cells import Cell, sigmoid
from pylstm.diagnostics import Finding, diagnose, gradient_by_lag
from pylstm.diagnostics.keepers import keeper

T, B, I, H = 60, 3, 2, 16


def data(seed=0, steps=T):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(steps, B, I)), rng.normal(size=(steps, B, H))


def net(cell="lstm", **options):
    return pylstm.Recurrent(cell, I, H, dtype="float64", seed=0, **options)


def kinds(layer, x=None, dy=None, **options):
    own, cotangents = data()
    found = diagnose(layer(own if x is None else x, **options), cotangents if dy is None else dy)
    return [each.kind for each in found], " ".join(map(str, found))


def healthy():
    return net().initialise("gate_bias", "f", 3.5)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_said_of_a_healthy_net(seed):
    x, dy = data(seed)
    assert diagnose(healthy()(x), dy) == []
    gru = net("gru").initialise("gate_bias", "z", 3.0)
    assert diagnose(gru(x, lengths=np.array([60, 3, 45])), dy) == []
    assert diagnose(net("rnn_tanh").initialise("orthogonal", seed=seed)(0.1 * x), dy) == []


@pytest.mark.parametrize("end", [0, 1])
def test_a_gate_at_an_end(end):
    layer = healthy().initialise("gate_bias", "o", [9.0, -9.0][1 - end])
    (kind,), text = kinds(layer)
    assert kind == "saturated"
    assert text.startswith(
        f"gate o of the layer is saturated at {end} for 100 % of the units, at 9 of 10 steps or more"
    )
    assert f"its biases are {18 * end - 9} in the mean: set them nearer 0" in text
    assert kinds(layer.initialise("gate_bias", "o", 0.0)) == ([], "")  # as it says


def test_a_forget_gate_that_never_forgets():
    """A bias of 4 is near 1, and as it should be; one of 12 forgets nothing in the whole run."""
    assert kinds(healthy().initialise("gate_bias", "f", 4.0)) == ([], "")
    found, text = kinds(healthy().initialise("gate_bias", "f", 12.0))
    assert found == ["saturated"] and "gate f of the layer is saturated at 1 for 100 % of the units" in text


def test_a_gate_of_some_units_and_one_of_few():
    layer = healthy()
    bias = layer.params["bias"].reshape(4, H)
    bias[3, :6] = 9
    assert "for 38 % of the units" in kinds(layer)[1]
    bias[3, 3:6] = 0
    assert kinds(layer)[0] == []


def test_weights_that_are_too_large():
    layer = healthy()
    layer.params["weight_x"].reshape(4, H, I)[3, :8] = 300
    layer.params["bias"].reshape(4, H)[0] = 0.5
    found = diagnose(layer(np.abs(data()[0])))
    assert [each.kind for each in found] == ["saturated"] and "The weights are the cause" in str(found[0])


def test_an_input_that_is_not_standardised():
    x = data()[0] * [1.0, 40.0] + [0.0, 300.0]
    found, text = kinds(net(), x)
    assert found[:2] == ["input", "saturated"]
    mean, deviation = x[..., 1].mean(), x[..., 1].std()
    assert (
        f"input 1 of the layer is large, {mean:.3g} in the mean with a deviation of {deviation:.3g}: subtract" in text
    )
    assert "The large input is the likely cause" in text and "biases" not in text
    assert kinds(healthy(), (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))) == ([], "")


def test_values_that_are_not_finite():
    x = data()[0]
    x[7, 1, 0] = np.nan
    found, text = kinds(healthy(), x)
    assert found == ["not finite"]  # and nothing of what follows from it
    assert text.startswith("the input of the layer is NaN or infinite from step 7 of row 1 on (1 steps): fill the gaps")
    layer = net("rnn_relu")
    layer.params["weight_h"][...] = 1e30
    with np.errstate(all="ignore"):
        found, text = kinds(layer)
    assert found == ["not finite"] and "state h of the layer is NaN or infinite from step" in text
    assert "the input is finite: look at the parameters" in text
    beyond = data()[0]
    beyond[50:, 1] = np.nan
    assert kinds(healthy(), beyond, lengths=np.array([60, 50, 60])) == ([], "")


def test_units_that_are_dead():
    layer = net("rnn_relu").initialise("orthogonal", seed=0)
    layer.params["bias"][:8] = -50
    found, text = kinds(layer)
    assert "gate a of the layer is 0 for 56 % of the units, at every step" in text
    assert re.search(r"its biases are -4\d.\d in the mean: set them nearer 0", text)
    assert "9 of 16 outputs of the layer are the same at every step of every row" in text
    assert found[:2] == ["saturated", "silent"]
    layer.params["bias"][:8] = -1
    layer.params["weight_x"][:8] = layer.params["weight_h"][:8] = 0
    assert "What goes in is never above 0" in kinds(layer)[1]


def test_a_gradient_that_is_lost():
    x, dy = data()
    layer = net()
    (found,) = diagnose(layer(x), dy)
    sent = gradient_by_lag(layer(x), dy).sent
    ratio = sent[50] / sent[1] * np.sqrt(59 / 10)
    assert found.kind == "vanishing" and f"at lag 50 it is {ratio:.0e} of that at lag 1" in found.text and ratio < 1e-6
    reach = int(re.search(r"beyond (\d+) steps less than a hundredth", found.text)[1])
    assert 2 < reach < 20 and "Longer chunks or windows will not help" in found.text
    bias = float(re.search(r'initialise\("gate_bias", "f", ([\d.]+)\)', found.text)[1])
    assert diagnose(layer.initialise("gate_bias", "f", bias)(x), dy) == []
    plain = net("rnn_tanh")
    plain.params["weight_h"] *= 0.3
    found, text = kinds(plain)
    assert found == ["vanishing"] and text.endswith("such as lstm or gru, or a leaky one")
    assert kinds(plain, *data(steps=8)) == ([], "")  # too short to tell


def test_a_gradient_that_explodes():
    layer = net("rnn_relu").initialise("orthogonal", gain=1.6, seed=0)
    layer.params["bias"][...] = 1.0
    x, dy = data()
    found = [each for each in diagnose(layer(0.1 * x), dy) if each.kind == "exploding"]
    assert len(found) == 1 and "grows on its way back" in found[0].text and "clip=1" in found[0].text
    assert 1.2 < float(re.search(r"([\d.]+) times a step", found[0].text)[1]) < 1.6
    layer.initialise("orthogonal", seed=0)
    assert "exploding" not in kinds(layer, 0.1 * x, dy)[0]


def test_what_is_given_and_what_is_refused():
    x, dy = data()
    run = net()(x)
    known = gradient_by_lag(run, dy)
    assert diagnose(run, by_lag=known, name="layer 0") == [
        Finding(each.kind, each.text.replace("the layer", "layer 0")) for each in diagnose(run, dy)
    ]
    assert [each.kind for each in diagnose(run)] == []  # without a loss nothing of gradients
    with pytest.raises(TypeError, match="run of one layer"):
        diagnose(pylstm.LSTM(I, H, num_layers=2, dtype="float64")(x))
    assert diagnose(net()(x[:0]), dy[:0]) == []


def test_the_gate_that_keeps():
    class Reversed(Cell):
        name, states = "other_way_round", ("h",)
        gates = {"a": "x+h", "k": "x"}

        def forward(z, prev):
            return {"h": (1 - sigmoid(z.k)) * prev.h + sigmoid(z.k) * z.a}

    assert keeper(Reversed) is None  # a larger bias would forget
    found = {entry.cell.name: keeper(entry.cell) for entry in plugins.registry().entries()}
    assert (found["lstm"], found["gru"], found["peephole"], found["rnn_tanh"]) == ("f", "z", "f", None)
