"""`lag`: states several steps ago, in formulas and as sources of gates."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, FormulaError, Stage, certify, derive, lag, sigmoid, tanh
from pylstm.scaffold import source


class Lagged(Cell):
    """Two lags of a gate's sources, three of the formula."""

    states = ("h", "c")
    gates = {"a": "x+lag(h, 4)", "b": "h + lag(c,2)", "m": "c"}
    widths = {"c": "memory", "b": "memory"}
    sizes = {"memory": "hidden_size"}
    domain = {"c": (-3, 3)}

    def forward(z, prev):
        c = tanh(z.b) + 0.3 * lag("c", 1) - 0.2 * lag("c", 3)
        return {"h": tanh(z.a) * sigmoid(z.m + lag("h", 2)) + 0.5 * lag("h", 6), "c": c}


class ByHand(Cell):
    states = ("h", "c", "h2", "h3", "h4", "h5", "h6", "c2", "c3")
    gates = {"a": "x+h4", "b": "h+c2", "m": "c"}

    def forward(z, prev):
        c = tanh(z.b) + 0.3 * prev.c - 0.2 * prev.c3
        h = tanh(z.a) * sigmoid(z.m + prev.h2) + 0.5 * prev.h6
        h_before = dict(h2=prev.h, h3=prev.h2, h4=prev.h3, h5=prev.h4, h6=prev.h5)
        return dict(h=h, c=c, **h_before, c2=prev.c, c3=prev.c2)


class Dilated(Cell):
    """An emission and the lag are sources of one gate; the lag is deeper than its formula reads."""

    states = ("h",)
    gates = {"r": "x+lag(h,3)", "n": "x+rh"}
    stages = (Stage("reset", gates=("r",), emits=("rh",)), Stage("update", gates=("n",)))

    def forward_reset(z):
        return {"rh": sigmoid(z.r) * lag("h", 3)}

    def forward_update(z, e):
        return {"h": tanh(z.n) + 0.4 * lag("h", 2)}


def layer(cell, seed=0, **more):
    return pylstm.Recurrent(cell, 3, 4, dtype="float64", seed=seed, **more)


def data(T=9, B=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((T, B, 3)), rng.standard_normal((T, B, 4))


def test_states_and_sources():
    assert Lagged.contract.states == ("h", "c", *(f"h_lag{k}" for k in range(2, 7)), "c_lag2", "c_lag3")
    assert Lagged.contract.sources == ("x", "h_lag4", "h", "c_lag2", "c")
    assert Lagged.contract.widths["c_lag3"] == "memory"
    assert Lagged.contract.domain["c_lag2"] == (-3, 3)
    assert Dilated.contract.states == ("h", "h_lag2", "h_lag3")


@pytest.mark.parametrize("cell", [Lagged, Dilated], ids=lambda cell: cell.name)
def test_certified(cell):
    certificate = certify(cell)
    assert certificate.ok
    assert {"kernel float32", "kernel float64"} <= {path.form for path in certificate.paths}


def test_the_bits_of_states_by_hand():
    short, long = layer(Lagged), layer(ByHand)
    long.params.update({name: short.params[name.replace("4", "_lag4").replace("c2", "c_lag2")] for name in long.params})
    x, dy = data()
    runs = short(x), long(x)
    np.testing.assert_array_equal(runs[0].y, runs[1].y)
    grads = [run.backward(dy) for run in runs]
    np.testing.assert_array_equal(grads[0].x, grads[1].x)
    for one, other in zip(grads[0].params.values(), grads[1].params.values()):
        np.testing.assert_array_equal(one, other)


def test_what_a_lag_is():
    """The state before the first steps is zero, and h_lag4 of a step is h three steps earlier."""
    run = layer(Lagged)(data()[0])
    for k in range(2, 7):
        np.testing.assert_array_equal(run.states[f"h_lag{k}"][k - 1 :], run.states["h"][: -(k - 1)])
        assert not run.states[f"h_lag{k}"][: k - 1].any()


@pytest.mark.parametrize("cell", [Lagged, Dilated], ids=lambda cell: cell.name)
def test_cut_streamed_reset_ragged_and_checkpointed(cell):
    net = layer(cell)
    x, dy = data()
    run = net(x)
    y, grads = run.y, run.backward(dy)
    first = net(x[:4])
    np.testing.assert_array_equal(np.concatenate([first.y, net(x[4:], first.final).y]), y)
    stream = net.stream(batch_size=3)
    np.testing.assert_array_equal(np.stack([stream.step(x_t).copy() for x_t in x]), y)
    reset = np.zeros((9, 3), bool)
    reset[5, 1] = True
    np.testing.assert_array_equal(net(x, reset=reset).y[5:, 1], net(x[5:, 1:2]).y[:, 0])
    np.testing.assert_array_equal(net(x, lengths=[9, 4, 7]).y[:4, 1], y[:4, 1])
    again = net(x, checkpoint=40000).backward(dy)
    np.testing.assert_array_equal(again.x, grads.x)
    np.testing.assert_array_equal(again.params.flat, grads.params.flat)


def test_initial_states_are_the_past():
    """What was before the first step may be given, by the names of the states."""
    net, (x, _) = layer(Lagged), data()
    run = net(x)
    past = {name: run.states[name][5] for name in Lagged.contract.states}
    np.testing.assert_array_equal(net(x[5:], past).y, run.y[5:])
    learned = layer(Lagged, learn_initial=True)
    assert any("h_lag6" in name for name in learned.params)


def test_a_file_and_a_package(tmp_path):
    """A layer is saved and read with its lags; the derived twin says its states itself."""
    net, (x, _) = layer(Lagged), data()
    pylstm.save(tmp_path / "lagged.safetensors", net)
    np.testing.assert_array_equal(pylstm.load(tmp_path / "lagged.safetensors", cell=Lagged)(x).y, net(x).y)
    imports, text = source.twin_source(derive(Lagged), Lagged, "lagged_twin", "package")
    scope = {}
    exec("\n".join([*imports, text]).replace('kernel = "', '_kernel = "'), scope)
    twin = scope["LaggedTwin"]
    assert twin.contract.states == Lagged.contract.states
    assert certify(twin).ok
    np.testing.assert_allclose(layer(twin)(x).y, net(x).y, rtol=1e-12)


def of(**body):
    return type("Wrong", (Cell,), {"states": ("h",), "gates": {"a": "x+h"}, **body})


@pytest.mark.parametrize(
    ("forward", "says"),
    [
        (lambda z: {"h": z.a + lag("c", 2)}, r"lag\('c', 2\): 'c' is not a state: the states are h"),
        (lambda z: {"h": z.a + lag("h", 0)}, "steps must be a whole number of 1 or more, got 0"),
        (lambda z: {"h": z.a + lag("h", 2.5)}, "steps must be a whole number"),
        (lambda z, prev: {"h": z.a + lag(prev.h, 2)}, "state must be the name of a state"),
        (lambda z: {"h": z.a + lag("h", 400)}, "400 states .* at most 128 are possible"),
    ],
)
def test_refused_in_formulas(forward, says):
    with pytest.raises(TypeError, match=says):
        derive(of(forward=forward))


def test_refused_in_declarations():
    with pytest.raises(FormulaError, match=r"without h: the new states are h$"):
        derive(of(forward=lambda z: {}, gates={"a": "x+lag(h,3)"}))
    with pytest.raises(TypeError, match=r"source 'c_lag3' is neither x, nor a state"):
        of(gates={"a": "x+lag(c,3)"}, forward=lambda z: {"h": z.a})
    with pytest.raises(TypeError, match=r"source 'lag\(h,0\)' is neither x, nor a state"):
        of(gates={"a": "x+lag(h,0)"}, forward=lambda z: {"h": z.a})
    with pytest.raises(TypeError, match="the name 'h_lag2' is used twice"):
        of(gates={"a": "x+lag(h,3)"}, params=("h_lag2",), forward=lambda z: {"h": z.a})
    with pytest.raises(TypeError, match=r"lag\(...\) in gates needs a formula as the last stage"):
        of(gates={"a": "x+lag(h,3)"}, forward=lambda z: {"h": z.a}, backward=lambda d: {"a": d.h})
    with pytest.raises(TypeError, match="is for the formula of a cell"):
        lag("h", 2)
