"""Derivatives along a direction of stacks and two directions, beside differences of five points."""

import numpy as np
import pytest

import pylstm

T, B, UNITS, STEP = 6, 3, 4, 3e-5


def made(cell, inputs, units=UNITS, *more, **options):
    return pylstm.Recurrent(cell, inputs, units, *more, dtype="float64", seed=len(cell), **options)


MAKE = {
    "three layers": lambda **o: made("lstm", 3, UNITS, 3, **o),
    "with dropout": lambda **o: made("lstm", 3, UNITS, 2, bidirectional=True, dropout=0.4, **o),
    "residual": lambda **o: made("gru", UNITS, UNITS, 3, residual=True, **o),
    "two directions": lambda **o: pylstm.Bidirectional(made("rnn_tanh", 3, **o), made("rnn_tanh", 3, **o)),
    "of two cells": lambda **o: pylstm.Stack([made("janet", 3, 5, **o), made("lstm", 5, **o)]),
}
FORMS = ["plain", "batch first", "one sequence", "ragged", "reset"]


def problem(make, form):
    """A layer, the options of its call, and draws of the shape of a name."""
    rng = np.random.default_rng(7)
    layer = MAKE[make](batch_first=form == "batch first")
    rows = (B,) if form != "one sequence" else ()
    steps = (B, T) if form == "batch first" else (T, *rows)
    shapes = {"x": (*steps, layer.input_size), "y": (*steps, layer.output_size)}
    shapes |= {"params": (layer.params.size,)}
    widths = [(name, each.widths[name]) for each in layer.recurrents[:1] for name in layer.state_names]
    shapes |= {name: (len(layer.recurrents), *rows, width) for name, width in widths}
    call = {"lengths": [T, 2, 0]} if form == "ragged" else {}
    if form == "reset":
        call = {"reset": rng.random((T, B)) < 0.3}
    return layer, call, lambda *names: [rng.normal(size=shapes[name]) for name in names]


def again(layer):
    """The same dropout at every call."""
    if isinstance(layer, pylstm.Stack):
        layer.reseed(11)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("make", MAKE)
def test_of_layers_made_of_layers(make, form):
    layer, call, draw = problem(make, form)
    names = layer.state_names
    x, dx, dy, ddy, flat, moved_flat = draw("x", "x", "y", "y", "params", "params")
    initial, dinitial, dfinal, ddfinal = (dict(zip(names, draw(*names))) for _ in range(4))
    layer.params.flat[...] += 0.3 * flat
    start, dparams = layer.params.flat.copy(), layer.params.zeros_like()
    dparams.flat[...] = 0.3 * moved_flat

    def at(by):
        again(layer)
        layer.params.flat[...] = start + by * dparams.flat
        run = layer(x + by * dx, {n: v + by * dinitial[n] for n, v in initial.items()}, **call)
        grads = run.backward(dy + by * ddy, dfinal={n: v + by * ddfinal[n] for n, v in dfinal.items()})
        layer.params.flat[...] = start
        return [run.y.copy(), grads.x, grads.params.flat, *grads.initial.values()]

    points = [at(k * STEP) for k in (-2, -1, 1, 2)]
    truth = [(a - 8 * b + 8 * c - d) / (12 * STEP) for a, b, c, d in zip(*points)]
    again(layer)
    run = layer(x, initial, **call)
    direction = {"dx": dx, "dinitial": dinitial, "dparams": dparams}
    along = run.jvp(**direction)
    found = run.hvp(dy, dfinal=dfinal, direction=direction, moved={"dy": ddy, "dfinal": ddfinal})
    for ours, theirs in zip([along.y, found.x, found.params.flat, *found.initial.values()], truth, strict=True):
        assert np.abs(ours - theirs).max() < 1e-9 * (1 + np.abs(theirs).max())
        assert np.abs(theirs).max() > 1e-3
    if make == "three layers":
        assert (along.layers[-1].y == along.y).all()


def test_states_of_every_layer_move_the_loss():
    layer, _, draw = problem("two directions", "plain")
    x, dx, d, dd = draw("x", "x", "y", "y")
    run = layer(x)
    inner = [{"h": d[..., :UNITS]}, {"h": d[..., UNITS:]}]
    other = [{"h": dd[..., :UNITS]}, {"h": dd[..., UNITS:]}]
    by_states = run.hvp(dstates=inner, direction={"dx": dx}, moved={"dstates": other})
    by_output = run.hvp(d, direction={"dx": dx}, moved={"dy": dd})
    np.testing.assert_allclose(by_states.x, by_output.x, rtol=0, atol=1e-12)
    np.testing.assert_allclose(by_states.params.flat, by_output.params.flat, rtol=0, atol=1e-12)


def test_a_direction_of_one_layer_moves_those_above():
    layer, _, draw = problem("three layers", "plain")
    x, dy = draw("x", "y")
    run = layer(x)
    dparams = {"1.bias": np.ones(4 * UNITS)}
    along, flat = run.jvp(dparams=dparams), layer.params.zeros_like()
    flat["1.bias"][...] = 1
    assert not along.layers[0].y.any() and along.layers[2].y.all()
    np.testing.assert_allclose((along.y * dy).sum(), run.backward(dy).params.flat @ flat.flat, rtol=1e-9)


def test_what_is_refused():
    layer, _, draw = problem("three layers", "plain")
    x, dy = draw("x", "y")
    run = layer(x)
    with pytest.raises(ValueError, match="a direction needs dx, dinitial or dparams"):
        run.jvp()
    with pytest.raises(ValueError, match="dx must have shape"):
        run.jvp(dy)
    with pytest.raises(ValueError, match="dparams"):
        run.jvp(dparams={"weight_x": np.ones((16, 3))})
    with pytest.raises(ValueError, match="hvp needs a cotangent"):
        run.hvp(direction={"dx": x})
    with pytest.raises(ValueError, match=r"moved\['dy'\]"):
        run.hvp(dy, direction={"dx": x}, moved={"dy": x})
    with pytest.raises(RuntimeError, match="tape=False"):
        layer(x, tape=False).jvp(x)
    with pytest.raises(RuntimeError, match="hvp: this run was made with checkpoint"):
        layer(x := np.tile(x, (30, 1, 1)), checkpoint="sqrt").hvp(np.tile(dy, (30, 1, 1)), direction={"dx": x})
    with pytest.raises(AttributeError, match=r"each layer of grads\.layers has its own"):
        run.backward(dy, steps=True).gates  # noqa: B018
