"""After an error at a bad moment everything is as it was: streams of stacks, runs, workers, what failed for memory."""

from __future__ import annotations

import random
import signal
import subprocess
import sys

import numpy as np
import pytest

import pylstm
from pylstm.cells.twin import twin_kernel
from pylstm.layers.named import Recurrent

pytestmark = pytest.mark.serial


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


class Stop(BaseException):
    """What Ctrl-C is to the code that it interrupts."""


def nth(n, function, error=Stop):
    """`function`, whose call number n raises."""
    calls = []

    def call(*arguments, **options):
        calls.append(1)
        if len(calls) == n:
            raise error("stopped")
        return function(*arguments, **options)

    return call


def stack_of(**options):
    return pylstm.LSTM(4, 4, num_layers=3, seed=0, **options)


def test_a_layer_that_was_stepped_alone_stays_where_it_is_when_the_stack_fails():
    stream, x = stack_of().stream(), draw(6, 4)
    stream.feed(x)
    stream.layers[0].step(x[0])
    before = [each.states for each in stream.snapshot()]
    for call in (lambda: stream.step(x[0, :2]), lambda: stream.step(x[0], np.empty(3)), lambda: stream.feed(x, [])):
        with pytest.raises((TypeError, ValueError)):
            call()
        assert [each.states for each in stream.snapshot()] == before


@pytest.mark.parametrize(
    ("how", "n"),
    [
        *((how, n) for how in ("reset", "refresh", "state", "restore") for n in (1, 2, 3)),
        *((how, n) for how in ("step", "feed") for n in (1, 2)),  # after the two layers that are residual
    ],
)
def test_what_is_interrupted_between_two_layers_moves_none(how, n, monkeypatch):
    stack = stack_of(residual=True)
    stream, other, x = stack.stream(), stack.stream(), draw(6, 4)
    for each in (stream, other):
        each.feed(x)
    before, state = other.snapshot(), other.state
    expected = other.feed(x)
    zero = [{name: array * 0 for name, array in each.items()} for each in state]
    empty = stack.stream().snapshot()
    if how == "refresh":
        stack.params.flat[...] *= 2
        monkeypatch.setattr(Recurrent, "params", property(nth(n, Recurrent.params.fget)))
    elif how in ("state", "restore"):
        target, name = {
            "state": ("pylstm.engine.stream", "pack_states"),
            "restore": ("pylstm.engine.stream", "Snapshot"),
        }[how]
        if how == "restore":
            empty[n - 1] = None  # refused by that layer
        else:
            monkeypatch.setattr(f"{target}.{name}", nth(n, getattr(sys.modules[target], name)))
    elif how == "reset":
        monkeypatch.setattr(
            "pylstm.layers.recurrent.first_states", nth(n, sys.modules["pylstm.layers.recurrent"].first_states)
        )
    else:
        monkeypatch.setattr(np, "add", nth(n, np.add))
    call = {
        "step": lambda: stream.step(x[0]),
        "feed": lambda: stream.feed(x),
        "reset": stream.reset,
        "refresh": stream.refresh,
        "state": lambda: setattr(stream, "state", zero),
        "restore": lambda: stream.restore(empty),
    }[how]
    with pytest.raises((Stop, TypeError)):
        call()
    monkeypatch.undo()
    assert [each.states for each in stream.snapshot()] == [each.states for each in before]
    assert np.array_equal(stream.feed(x), expected)


def test_a_read_only_out_is_refused_before_the_stream_moves():
    layer = pylstm.LSTM(3, 4, batch_first=True, seed=0)
    stream, x = layer.stream(2), draw(2, 5, 3)
    stream.feed(x)
    out, before = np.empty((2, 5, 4), "float32"), stream.snapshot().states
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out must be writable"):
        stream.feed(x, out)
    assert stream.snapshot().states == before


class Angry(pylstm.Cell):
    states = ("h",)
    gates = {"a": "x+h"}
    steps = 0

    def forward(z):
        Angry.steps -= 1
        if Angry.steps == 0:
            raise Stop("in a row hook")
        return {"h": np.tanh(z.a)}

    def backward(d, y):
        return {"a": d.h * (1 - y.h * y.h)}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("as_kernel", [False, True])
def test_an_error_in_a_row_hook_comes_out_whatever_thread_would_run_it(threads, as_kernel):
    cell = type("AngryKernel", (Angry,), {"kernel": twin_kernel(Angry)}) if as_kernel else Angry
    number = pylstm.get_num_threads()
    pylstm.set_num_threads(threads)
    try:
        layer, x = Recurrent(cell, 48, 48, seed=0), draw(20, 64, 48)
        assert not layer._compiled  # else a worker may meet the error, and keep it
        expected = layer(x).y.copy()
        for steps in (1, 2, 7, 19, 20):
            Angry.steps = steps
            with pytest.raises(Stop, match="in a row hook"):
                layer(x)
            assert np.array_equal(layer(x).y, expected)
    finally:
        Angry.steps = 0
        pylstm.set_num_threads(number)


RUNS = {"plain": {}, "ragged": {"lengths": np.arange(64) * 2 + 3}, "checkpointed": {"checkpoint": "sqrt"}}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", RUNS)
def test_backward_of_the_same_run_after_an_interrupted_one(kind, threads):
    def raise_(number, frame):
        raise Stop

    number, handler = pylstm.get_num_threads(), signal.signal(signal.SIGALRM, raise_)
    pylstm.set_num_threads(threads)
    try:
        rng, x = random.Random(threads), draw(130, 64, 32)
        run = pylstm.LSTM(32, 32, seed=0)(x, **RUNS[kind])
        expected = run.backward(x)
        inside = 0
        while inside < 12:
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(5e-4, 8e-3))
                run.backward(x)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Stop:
                inside += 1
            grads = run.backward(x)
            assert np.array_equal(grads.x, expected.x)
            assert np.array_equal(grads.params.flat, expected.params.flat)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        pylstm.set_num_threads(number)


MAKERS = ("empty", "zeros", "array", "ascontiguousarray", "empty_like", "zeros_like", "concatenate", "stack", "add")
GIVEN = {
    "plain": {},
    "ragged": {"lengths": np.arange(32) * 2 + 3},
    "checkpointed": {"checkpoint": "sqrt"},
    "stack": {},
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", [*GIVEN, "stream", "stack stream", "step"])
def test_no_memory_for_any_one_array(kind, threads, monkeypatch):
    """Each function that makes arrays fails once at every one of its calls."""
    layer = pylstm.LSTM(16, 16, seed=0, num_layers=2 if "stack" in kind or kind == "step" else 1)
    x, stream = draw(90, 32, 16), layer.stream(32)
    start = stream.snapshot()

    def train():
        run = layer(x, **GIVEN[kind])
        return run.y.tobytes(), run.backward(x).params.flat.tobytes()

    other = np.asfortranarray(x)  # what a stream must copy
    call = {"step": lambda: stream.step(other[0]).tobytes()}.get(kind, lambda: stream.feed(other).tobytes())
    call = train if kind in GIVEN else call
    states = lambda: [each.states for each in np.atleast_1d(stream.snapshot())]  # noqa: E731
    number, failed = pylstm.get_num_threads(), 0
    pylstm.set_num_threads(threads)
    try:
        expected = call()
        stream.restore(start)
        before = states()
        for maker in MAKERS:
            for n in range(1, 100):
                with monkeypatch.context() as patch:
                    patch.setattr(np, maker, nth(n, getattr(np, maker), MemoryError))
                    try:
                        call()
                        break
                    except MemoryError:
                        failed += 1
                assert states() == before
                assert call() == expected
                stream.restore(start)
            stream.restore(start)
        assert failed >= (1 if "stream" in kind or kind == "step" else 2)
    finally:
        pylstm.set_num_threads(number)


TERMINATED = """
import os, signal, sys, numpy as np, pylstm
def callback(trainer):
    os.kill(os.getpid(), signal.SIGTERM)
    raise ValueError("a callback fails after SIGTERM has come")
x = np.ones((8, 3, 2), "float32")
try:
    pylstm.fit(pylstm.SequenceModel("gru", 2, 4, 1, seed=0), (x, x[:, 0, :1].sum(1)), epochs=3, callbacks=[callback])
except ValueError:
    print("still there")
"""


def test_a_sigterm_is_not_lost_to_an_error():
    done = subprocess.run([sys.executable, "-P", "-c", TERMINATED], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, ""), done.stderr[-2000:]
