"""Streams whose rows start anew: `reset(rows)`, and `reset=` of `step` and `feed`, as `reset=` of a run."""

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, tanh
from pylstm.cells.functions import dtanh_from_y
from pylstm.plugins import registry

pytestmark = pytest.mark.once

RNG = np.random.default_rng(0)


class Brittle(Cell):
    """Counts down in its hook: fails at the step that `Brittle.fails` says."""

    name = "brittle"
    states = ("h",)
    gates = {"a": "x+h"}
    fails = -1

    def forward(z):
        Brittle.fails -= 1
        if Brittle.fails == 0:
            raise RuntimeError("the hook fails")
        a = tanh(z.a)
        return dict(a=a, h=a)

    def backward(d, y):
        return dict(a=d.h * dtanh_from_y(y.a))


def start(layer):
    """The layer, with learned states that are not 0."""
    for leaf in getattr(layer, "recurrents", [layer]):
        for name in leaf.learn_initial:
            leaf.params[f"initial_{name}"][...] = RNG.uniform(0.5, 1.5, leaf.widths[name])
    return layer


def given(layer, T, B):
    """x, per-step inputs and resets of T steps."""
    x = RNG.normal(size=(T, B, layer.input_size)).astype(layer.dtype)
    widths, aux = layer.widths, [name for name in layer.cell.contract.aux if name != "x"]
    inputs = {name: RNG.uniform(0.5, 1.5, (T, B, widths[name])).astype(layer.dtype) for name in aux}
    return x, inputs or None, RNG.random((T, B)) < 0.2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", registry().names())
def test_the_bits_of_a_run(cell, dtype):
    T, B = 30, 3
    sizes = {name: 4 for name, default in registry().get(cell).contract.sizes.items() if default is None}
    layer = start(pylstm.Recurrent(cell, 3, 5, dtype=dtype, seed=1, learn_initial=True, **sizes))
    x, aux, reset = given(layer, T, B)
    reset[0, 0] = reset[11, 1] = reset[29] = True
    state = {n: RNG.uniform(0.5, 1.5, (B, layer.widths[n])).astype(dtype) for n in layer.cell.contract.states}
    run, stream = layer(x, state, aux=aux, reset=reset), layer.stream(B)
    stream.state, pieces, t = state, [], 0
    for steps in (7, 0, 1, 13, 1, 5, 2, 1):
        cut = aux and {name: array[t : t + steps] for name, array in aux.items()}
        if steps == 1:
            once = cut and {name: array[0] for name, array in cut.items()}
            pieces.append(stream.step(x[t], aux=once, reset=reset[t])[None])
        else:
            pieces.append(stream.feed(x[t : t + steps], aux=cut, reset=reset[t : t + steps]))
        t += steps
    np.testing.assert_array_equal(np.concatenate(pieces), run.y)
    for name, array in run.final.items():
        np.testing.assert_array_equal(stream.state[name], array)
    stream.state, pieces = state, []
    for t in range(T):  # by hand
        stream.reset(reset[t] if t % 2 else np.flatnonzero(reset[t]))
        pieces.append(stream.step(x[t], aux=aux and {name: array[t] for name, array in aux.items()}))
    np.testing.assert_array_equal(np.stack(pieces), run.y)


def test_more_steps_than_are_computed_at_a_time():
    layer = start(pylstm.LSTM(3, 5, seed=0, learn_initial=True))
    x, _, reset = given(layer, 1000, 2)
    reset &= RNG.random(reset.shape) < 0.1  # also long stretches without any
    out = np.empty((1000, 2, 5), "float32")
    assert layer.stream(2).feed(x, out, reset=reset) is out
    np.testing.assert_array_equal(out, layer(x, reset=reset).y)
    none = np.zeros_like(reset)
    np.testing.assert_array_equal(layer.stream(2).feed(x, reset=none), layer(x).y)


def test_layouts():
    layer, turned = (pylstm.GRU(3, 5, seed=0, batch_first=b, learn_initial=True) for b in (False, True))
    turned.params.flat[...] = start(layer).params.flat
    x, _, reset = given(layer, 9, 4)
    expected = layer(x, reset=reset).y
    rows_first, flags = x.swapaxes(0, 1), reset.T
    for each in (flags, flags.tolist(), np.ascontiguousarray(flags)):
        np.testing.assert_array_equal(turned.stream(4).feed(rows_first, reset=each), expected.swapaxes(0, 1))
        np.testing.assert_array_equal(turned(rows_first, reset=each).y, expected.swapaxes(0, 1))
    np.testing.assert_array_equal(turned.stream(4).feed(rows_first), layer(x).y.swapaxes(0, 1))
    alone, flags = layer.stream(), reset[:, 1]
    y = np.concatenate([alone.feed(x[:5, 1], reset=flags[:5]), [alone.step(x[5, 1], reset=flags[5])]])
    np.testing.assert_array_equal(y, expected[:6, 1])
    np.testing.assert_array_equal(alone.step(x[6, 1:2], reset=flags[6:7]), expected[6, 1:2])
    np.testing.assert_array_equal(alone.step(x[7, 1], reset=bool(flags[7])), expected[7, 1])


@pytest.mark.parametrize("options", [{}, {"residual": True}], ids=str)
def test_stacks(options):
    stack = start(pylstm.LSTM(5, 5, 2, seed=0, learn_initial=True, **options))
    x, reset = RNG.normal(size=(9, 3, 5)).astype("f4"), RNG.random((9, 3)) < 0.3
    expected = stack(x, reset=reset).y
    stream, out = stack.stream(3), np.empty((5, 3, 5), "float32")
    y = [stream.feed(x[:5], out, reset=reset[:5]), stream.step(x[5], reset=reset[5])[None]]
    stream.reset(np.flatnonzero(reset[6]))
    y += [stream.step(x[6])[None], stream.feed(x[7:], reset=reset[7:])]
    np.testing.assert_array_equal(np.concatenate(y), expected)


def test_learned_states_are_those_of_now():
    layer = start(pylstm.LSTM(3, 5, seed=0, learn_initial=True))
    x, stream = RNG.normal(size=(2, 3)).astype("f4"), layer.stream(2)
    stream.step(x)
    layer.params["initial_h"][...] = 0.25
    fork = stream.fork()
    stream.reset(1)
    fork.step(x, reset=[False, True])
    stream.step(x)
    np.testing.assert_array_equal(stream.state["c"], fork.state["c"])
    stream.reset()
    assert (stream.state["h"] == 0.25).all()


@pytest.mark.parametrize("steps", [1, 3, 300])
def test_after_a_failure_the_states_are_those_before(steps):
    layer = start(pylstm.Recurrent(Brittle, 3, 5, seed=0, learn_initial=True))
    stream, x = layer.stream(2), RNG.normal(size=(steps, 2, 3)).astype("f4")
    stream.feed(x)
    before, Brittle.fails = stream.state["h"], steps
    with pytest.raises(RuntimeError, match="the hook fails"):
        stream.feed(x, reset=np.ones((steps, 2), bool))
    np.testing.assert_array_equal(stream.state["h"], before)
    Brittle.fails = -1
    np.testing.assert_array_equal(stream.feed(x), layer(x, {"h": before}).y)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s, x: s.step(x[0], reset=True), ValueError, r"reset must have shape \(2,\), got \(\)"),
        (lambda s, x: s.step(x[0], reset=[0, 1]), TypeError, "reset must be an array of bool, got int64"),
        (lambda s, x: s.feed(x, reset=[True, False]), ValueError, r"reset must have shape \(4, 2\), got \(2,\)"),
        (lambda s, x: s.feed(x, reset=np.ones((2, 4), bool)), ValueError, r"reset must have shape \(4, 2\)"),
        (lambda s, x: s.reset(2), ValueError, r"rows must be in 0\.\.1, got 2\.\.2"),
        (lambda s, x: s.reset([-1, 0]), ValueError, r"rows must be in 0\.\.1, got -1\.\.0"),
        (lambda s, x: s.reset([True]), ValueError, r"rows as a mask must have shape \(2,\), got \(1,\)"),
        (lambda s, x: s.reset([0.0]), TypeError, "rows must be integers, or a mask of bool, got float64"),
    ],
)
@pytest.mark.parametrize("layers", [1, 2])
def test_refusals_change_nothing(layers, call, error, message):
    stream, x = pylstm.GRU(3, 5, layers, seed=0).stream(2), np.ones((4, 2, 3), "float32")
    stream.feed(x)
    before = stream.snapshot()
    with pytest.raises(error, match=message):
        call(stream, x)
    after = stream.snapshot()
    assert [s.states for s in np.atleast_1d(after)] == [s.states for s in np.atleast_1d(before)]


def test_no_rows_named():
    stream = pylstm.GRU(3, 5, seed=0).stream(2)
    stream.step(np.ones((2, 3), "float32"))
    stream.reset([])
    stream.reset(np.zeros(2, bool))
    assert stream.state["h"].any(axis=1).all()
    stream.reset(np.int64(1))
    assert stream.state["h"].any(axis=1).tolist() == [True, False]
