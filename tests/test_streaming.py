"""Streams: the bits of a whole run, states that can be read, set, forked and rolled back, and no allocation."""

from __future__ import annotations

import doctest
import importlib
import itertools
import pickle
import sys
import tracemalloc
import warnings

import numpy as np
import pytest

import pylstm
from pylstm import plugins
from pylstm.cells import Cell, tanh
from pylstm.cells.functions import dtanh_from_y

pytestmark = pytest.mark.once

with warnings.catch_warnings():
    warnings.simplefilter("ignore", RuntimeWarning)  # a broken plugin of somebody else is not ours to test
    CELLS = [entry.cell for entry in plugins.registry().entries()]


class Driven(Cell):
    """Two stages, two states of unequal widths, per-unit parameters, two aux inputs and the input itself; no kernel."""

    name = "driven"
    states = ("m", "h")
    output = "h"
    gates = {"a": "x+h", "b": "q+m"}
    params = ("tilt",)
    aux = ("dt", "x", "drive")
    sizes = {"m_size": "input_size"}
    widths = {"m": "m_size", "dt": "hidden_size", "drive": 1, "q": "m_size"}
    stages = (pylstm.Stage("one", gates=("a",), emits=("q",)), pylstm.Stage("two", gates=("b",)))

    def forward_one(z, prev, u):
        return dict(a=tanh(z.a), q=prev.m * u.x)

    def backward_one(d, y, prev, u):
        return dict(a=0 * y.a, m=d.q * u.x, x=d.q * prev.m)

    def forward_two(z, prev, e, p, u):
        b = tanh(z.b + u.dt * p.tilt)
        return dict(b=b, h=b + e.q.mean(axis=-1, keepdims=True) * u.drive, m=0.5 * prev.m + e.q)

    def backward_two(d, y, prev, e, p, u):
        db = d.h * dtanh_from_y(y.b)
        return dict(
            b=db,
            tilt=db * u.dt,
            dt=db * p.tilt,
            drive=d.h.sum(axis=-1, keepdims=True) * e.q.mean(axis=-1, keepdims=True),
            m=0.5 * d.m,
            q=d.m + (d.h * u.drive).sum(axis=-1, keepdims=True) / e.q.shape[-1],
        )


class Slow(Cell):
    """Counts down in its hook: fails at the step that `Slow.fails` says, after a call of what is in `Slow.before`."""

    name = "slow"
    states = ("h",)
    gates = {"a": "x+h"}
    fails = -1
    before = []

    def forward(z):
        Slow.fails -= 1
        if Slow.fails == 0:
            for call in Slow.before:
                call()
            raise ArithmeticError("this step")
        return dict(h=tanh(z.a))

    def backward(d, y):
        return dict(a=d.h * dtanh_from_y(y.h))


def make(cell, dtype="float32", I=3, H=5, seed=1, **options):
    sizes = {name: 4 for name, default in cell.sizes.items() if default is None}
    layer = pylstm.Recurrent(cell, I, H, dtype=dtype, seed=seed, **sizes, **options)
    layer.params.flat[...] += 0.1
    return layer


def inputs(layer, T, B, seed=2):
    """x and aux of T steps and B rows, none of them 0."""
    random = np.random.default_rng(seed)

    def draw(*shape):
        return (random.uniform(0.3, 0.9, shape) * random.choice([-1, 1], shape)).astype(layer.dtype)

    aux = {name: draw(T, B, layer.widths[name]) for name in layer.cell.contract.aux if name != "x"}
    aux |= {name: abs(aux[name]) for name in aux if name in layer.cell.domain}
    return draw(T, B, layer.input_size), aux or None


def part(aux, where):
    return aux and {name: array[where] for name, array in aux.items()}


ALL = pytest.mark.parametrize("cell", [*CELLS, Driven, Slow], ids=lambda cell: cell.name)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


@ALL
@DTYPES
@pytest.mark.parametrize("B", [1, 3])
def test_steps_have_the_bits_of_the_run(cell, dtype, B):
    layer = make(cell, dtype)
    x, aux = inputs(layer, 7, B)
    run = layer(x, aux=aux)
    stream = layer.stream(B)
    out = np.full((B, layer.output_size), np.nan, layer.dtype)
    for t in range(7):
        y = stream.step(x[t], out if t % 2 else None, aux=part(aux, t))
        assert (y is out) == bool(t % 2)
        np.testing.assert_array_equal(y, run.y[t])
        for name, state in stream.state.items():
            np.testing.assert_array_equal(state, run.states[name][t + 1])


@ALL
@DTYPES
@pytest.mark.parametrize("B", [1, 3])
def test_uneven_chunks_have_the_bits_of_the_run(cell, dtype, B):
    layer = make(cell, dtype)
    cuts = [0, 1, 1, 18, 20, 300, 301]
    x, aux = inputs(layer, cuts[-1], B)
    run = layer(x, aux=aux, tape=False)
    stream = layer.stream(B)
    out = np.full((cuts[-1], B, layer.output_size), np.nan, layer.dtype)
    for start, end in itertools.pairwise(cuts):
        given = out[start:end] if start % 2 == 0 else None
        y = stream.feed(x[start:end], given, aux=part(aux, slice(start, end)))
        assert given is None or y is given
        out[start:end] = y
    np.testing.assert_array_equal(out, run.y)
    for name, state in stream.state.items():
        np.testing.assert_array_equal(state, run.final[name])


@pytest.mark.parametrize("sizes", [(1, 8), (1, 32), (1, 128), (5, 200)], ids=str)
@pytest.mark.parametrize("B", [1, 2, 9, 200])
@pytest.mark.parametrize("name", ["lstm", "gru_reset_before"])
def test_sizes_have_the_bits_of_the_run(name, sizes, B):
    layer = make(plugins.registry().get(name), I=sizes[0], H=sizes[1])
    x, _ = inputs(layer, 40, B)
    stream = layer.stream(B)
    y = layer(x).y
    np.testing.assert_array_equal(stream.step(x[0]), y[0])
    np.testing.assert_array_equal(stream.feed(x[1:]), y[1:])


def test_one_row_needs_no_axis_of_rows():
    layer = pylstm.LSTM(3, 5, seed=0)
    x, _ = inputs(layer, 6, 1)
    y = layer(x).y
    stream, again = layer.stream(), layer.stream()
    assert stream.step(x[0, 0]).shape == (5,)
    assert again.step(x[0]).shape == (1, 5)
    assert stream.feed(x[1:4, 0]).shape == (3, 5)
    assert again.feed(x[1:4]).shape == (3, 1, 5)
    np.testing.assert_array_equal(stream.feed(x[4:, 0]), y[4:, 0])
    np.testing.assert_array_equal(again.feed(x[4:]), y[4:])
    assert stream.feed(x[:0, 0]).shape == (0, 5)
    assert stream.feed(x[:0]).shape == (0, 1, 5)


def test_what_needs_a_copy_is_copied():
    layer = pylstm.GRU(3, 5, dtype="float64", seed=0)
    x, _ = inputs(layer, 4, 2)
    y = layer(x).y
    stream = layer.stream(2)
    np.testing.assert_array_equal(stream.step(x[0].tolist()), y[0])
    np.testing.assert_array_equal(stream.step(np.asfortranarray(x[1])), y[1])
    np.testing.assert_array_equal(stream.step(x[2].astype(">f8")), y[2])
    x.flags.writeable = False
    np.testing.assert_array_equal(stream.step(x[3]), y[3])


def test_out_may_be_the_input():
    layer = pylstm.LSTM(5, 5, seed=0)
    x, _ = inputs(layer, 300, 1)
    y = layer(x).y
    buffer = x.copy()
    np.testing.assert_array_equal(layer.stream().feed(buffer, buffer), y)
    memory = np.zeros(301 * 5, "float32")
    memory[:1500] = x.ravel()
    late = memory[5:].reshape(300, 1, 5)
    np.testing.assert_array_equal(layer.stream().feed(memory[:1500].reshape(300, 1, 5), late), y)
    row = x[0].copy()
    np.testing.assert_array_equal(layer.stream().step(row, row), y[0])


def test_out_may_be_the_aux():
    layer = make(Driven)
    x, aux = inputs(layer, 300, 1)
    y = layer(x, aux=aux).y
    memory = np.zeros(301 * 5, "float32")
    memory[:1500] = aux["dt"].ravel()
    aux["dt"] = memory[:1500].reshape(300, 1, 5)
    np.testing.assert_array_equal(layer.stream().feed(x, memory[5:].reshape(300, 1, 5), aux=aux), y)


def test_batch_first():
    layer = make(Driven, batch_first=True)
    x, aux = (inputs(layer, 6, 3)[0], inputs(layer, 6, 3)[1])
    x, aux = np.swapaxes(x, 0, 1), {name: np.swapaxes(array, 0, 1) for name, array in aux.items()}
    y = layer(x, aux=aux).y
    stream = layer.stream(3)
    np.testing.assert_array_equal(stream.step(x[:, 0], aux=part(aux, (slice(None), 0))), y[:, 0])
    rest = part(aux, (slice(None), slice(1, None)))
    start = stream.snapshot()
    np.testing.assert_array_equal(stream.feed(x[:, 1:], aux=rest), y[:, 1:])
    stream.restore(start)
    out = np.empty((3, 5, 5), "float32")
    assert stream.feed(x[:, 1:], out, aux=rest) is out
    np.testing.assert_array_equal(out, y[:, 1:])
    with pytest.raises(ValueError, match=r"shape \(3, 'T', 3\)|\(3, T, 3\)"):
        stream.feed(np.swapaxes(x, 0, 1))


def test_state_is_a_copy_and_can_be_set():
    layer = pylstm.LSTM(3, 5, seed=0)
    x, _ = inputs(layer, 6, 2)
    run = layer(x)
    stream = layer.stream(2)
    stream.feed(x[:3])
    state = stream.state
    np.testing.assert_array_equal(state["c"], run.states["c"][3])
    state["c"][...] = 7
    np.testing.assert_array_equal(stream.state["c"], run.states["c"][3])
    other = layer.stream(2)
    other.state = stream.state
    np.testing.assert_array_equal(other.feed(x[3:]), run.y[3:])
    other.state = layer(x[:3]).final
    np.testing.assert_array_equal(other.step(x[3]), run.y[3])
    other.reset()
    assert not any(array.any() for array in other.state.values())
    np.testing.assert_array_equal(other.feed(x), run.y)


def test_state_of_one_row_needs_no_axis_of_rows():
    layer = pylstm.LSTM(3, 5, seed=0)
    x, _ = inputs(layer, 6, 1)
    stream = layer.stream()
    stream.state = layer(x[:4, 0]).final
    np.testing.assert_array_equal(stream.step(x[4, 0]), layer(x).y[4, 0])


def test_fork_goes_its_own_way():
    layer = pylstm.LSTM(3, 5, seed=0)
    x, _ = inputs(layer, 9, 2)
    y = layer(x).y
    stream = layer.stream(2)
    stream.feed(x[:4])
    fork = stream.fork()
    fork.feed(-x)
    np.testing.assert_array_equal(stream.feed(x[4:6]), y[4:6])
    later = stream.fork()
    del stream
    np.testing.assert_array_equal(later.feed(x[6:]), y[6:])
    assert later.batch_size == 2 and later.layer is layer


def test_snapshot_and_restore():
    layer = pylstm.LSTM(3, 5, seed=0)
    x, _ = inputs(layer, 9, 2)
    y = layer(x).y
    stream = layer.stream(2)
    stream.feed(x[:4])
    start = stream.snapshot()
    stream.feed(-x)
    for again in (start, pickle.loads(pickle.dumps(start))):
        stream.restore(again)
        np.testing.assert_array_equal(stream.feed(x[4:]), y[4:])
    twin = layer.stream(2)
    twin.restore(start)
    np.testing.assert_array_equal(twin.step(x[4]), y[4])


def test_weights_are_those_of_the_creation_until_refresh():
    layer = pylstm.LSTM(3, 5, seed=0)
    x, _ = inputs(layer, 6, 1)
    before = layer(x).y.copy()
    stream = layer.stream()
    fork = stream.fork()
    layer.params.flat[...] *= 0.5
    after = layer(x).y
    np.testing.assert_array_equal(stream.feed(x), before)
    stream.reset()
    stream.refresh()
    np.testing.assert_array_equal(stream.feed(x), after)
    np.testing.assert_array_equal(stream.fork().feed(x), stream.feed(x))
    np.testing.assert_array_equal(fork.feed(x), before)
    assert not np.array_equal(before, after)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("what", ["step", "feed"])
def test_no_allocation_with_out(what, single):
    layer = pylstm.LSTM(3, 32, seed=0)
    stream = layer.stream()
    call = getattr(stream, what)
    lead = (() if what == "step" else (200,)) + (() if single else (1,))
    x, out = np.ones((*lead, 3), "float32"), np.empty((*lead, 32), "float32")

    def calls(n):
        for _ in range(n):
            call(x, out)

    calls(10)
    blocks = sys.getallocatedblocks()
    calls(1000)
    assert abs(sys.getallocatedblocks() - blocks) <= 3
    tracemalloc.start()
    calls(10)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    calls(1000)
    now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert now - before <= 256  # the frame and the counter of this loop
    assert peak - before <= 512  # NumPy describes a buffer that is looked at for a moment


def test_a_failing_hook_leaves_the_state():
    layer = make(Slow)
    x, _ = inputs(layer, 400, 1)
    Slow.fails = -1
    y = layer(x).y
    stream = layer.stream()
    stream.feed(x[:5])
    for fails, call in (
        (1, lambda: stream.step(x[5])),
        (3, lambda: stream.feed(x[5:9])),
        (300, lambda: stream.feed(x)),
    ):
        Slow.fails = fails
        with pytest.raises(ArithmeticError, match="this step"):
            call()
        Slow.fails = -1
        np.testing.assert_array_equal(stream.state["h"], y[4])
    np.testing.assert_array_equal(stream.feed(x[5:]), y[5:])


def test_a_failing_hook_leaves_the_state_whatever_its_fork_does_meanwhile(monkeypatch):
    layer = make(Slow)
    x, _ = inputs(layer, 400, 1)
    y = layer(x).y
    stream = layer.stream()
    stream.feed(x[:5])
    fork = stream.fork()
    fork.feed(-x)
    monkeypatch.setattr(Slow, "before", [lambda: fork.feed(-x)])
    Slow.fails = 300
    with pytest.raises(ArithmeticError, match="this step"):
        stream.feed(x)
    np.testing.assert_array_equal(stream.state["h"], y[4])
    np.testing.assert_array_equal(stream.feed(x[5:]), y[5:])


def test_errors_of_aux():
    layer = make(Driven)
    x, aux = inputs(layer, 4, 2)
    stream = layer.stream(2)
    with pytest.raises(ValueError, match=r"'driven' needs aux\['dt'\] at every step: shape \(2, 5\)"):
        stream.step(x[0])
    with pytest.raises(ValueError, match=r"aux\['drive'\].*\(4, 2, 1\)"):
        stream.feed(x, aux={**aux, "drive": aux["dt"]})


def test_rows_do_not_touch():
    layer = pylstm.GRU(3, 5, seed=0)
    x, _ = inputs(layer, 6, 3)
    y = layer.stream(3).feed(x)
    for b in range(3):
        np.testing.assert_array_equal(layer.stream().feed(x[:, b]), y[:, b])


def test_subclasses_of_arrays_as_out(tmp_path):
    layer = pylstm.GRU(3, 5, seed=0)
    x, _ = inputs(layer, 6, 1)
    out = np.memmap(tmp_path / "y", "float32", "w+", shape=(6, 1, 5))
    assert layer.stream().feed(x, out) is out
    np.testing.assert_array_equal(out, layer(x).y)


def test_examples_of_the_docstrings_run():
    module = importlib.import_module("pylstm.engine.stream")
    example = doctest.DocTestParser().get_doctest(module.Stream.__doc__, {}, "Stream", None, 0)
    assert len(example.examples) > 5
    assert doctest.DocTestRunner().run(example).failed == 0
