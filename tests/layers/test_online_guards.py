"""Streams that learn, when two threads use one, or a call is interrupted."""

import pickle
import threading

import numpy as np
import pytest

import pylstm

T, B, I, H = 6, 2, 3, 4


def problem(cell):
    draw = np.random.default_rng(0).normal
    return pylstm.Recurrent(cell, I, H, dtype="float64", seed=1), draw(size=(T, B, I)), draw(size=(T, B, H))


def learned(stream, x, dy):
    """The sum of the gradients of all steps."""
    total = stream.layer.params.zeros_like()
    for t in range(len(x)):
        stream.step(x[t])
        total += stream.learn(dy[t])
    return total


class Meddler:
    """An input whose conversion to an array has another thread use the stream."""

    def __init__(self, call):
        self.call, self.said = call, []

    def __array__(self, dtype=None, copy=None):
        thread = threading.Thread(target=self.try_call)
        thread.start()
        thread.join()
        return np.ones(I)

    def try_call(self):
        try:
            self.call()
        except RuntimeError as error:
            self.said.append(str(error))


@pytest.mark.parametrize(("cell", "online"), [("mingru", "rtrl"), ("lstm", "rtrl"), ("lru", "snap1")])
def test_one_thread_at_a_time(cell, online):
    layer, x, dy = problem(cell)
    stream = layer.stream(online=online)
    stream.step(x[0, 0])
    kept = stream.state_dict()
    for call in (
        lambda: stream.step(x[0, 0]),
        lambda: stream.learn(dy[0, 0]),
        stream.reset,
        stream.state_dict,
        lambda: stream.load_state_dict(kept),
        lambda: stream.state,
    ):
        meddler = Meddler(call)
        stream.step(meddler)
        assert meddler.said == ["this stream is at work in another thread: give every thread a stream of its own"]
        stream.learn(dy[0, 0])


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("cells", "online"), [(("mingru", "lru"), "rtrl"), (("lstm", "gru"), "rtrl"), (("lru",), "snap1")]
)
def test_an_interrupted_step_is_not_gone_on_from(cells, online, monkeypatch):
    layers = [pylstm.Recurrent(c, I if k == 0 else H, H, dtype="float64", seed=k) for k, c in enumerate(cells)]
    stack, (_, x, dy) = pylstm.Stack(layers), problem("lru")
    truth = learned(stack.stream(B, online=online), x, dy)
    stream = stack.stream(B, online=online)
    stream.step(x[0])
    kept = stream.state_dict()
    with monkeypatch.context() as patch:
        patch.setattr(stream._rule, "after_step", interrupt)
        with pytest.raises(KeyboardInterrupt):
            stream.step(np.asfortranarray(x[1]))  # not just so: the way through Python
    for call in (
        lambda: stream.step(x[0]),
        lambda: stream.learn(dy[0]),
        lambda: stream.reset([0]),
        stream.state_dict,
        lambda: stream.state,
        lambda: pickle.dumps(stream),
    ):
        with pytest.raises(RuntimeError, match=r"was interrupted.*stream\.reset\(\)"):
            call()
    stream.load_state_dict(kept)
    first = stream.learn(dy[0]).copy()
    assert np.allclose(first.flat + learned(stream, x[1:], dy[1:]).flat, truth.flat, rtol=1e-12, atol=1e-13)
    stream._chain.begin()
    stream.reset()
    assert (learned(stream, x, dy).flat == truth.flat).all()


@pytest.mark.parametrize(("cell", "online"), [("lstm", "rtrl"), ("lru", "rtrl")])
def test_after_an_interrupted_gradient_the_stream_goes_on(cell, online, monkeypatch):
    layer, x, dy = problem(cell)
    streams = [layer.stream(B, online=online) for _ in range(2)]
    for stream in streams:
        learned(stream, x, dy)
    with monkeypatch.context() as patch:
        patch.setattr(streams[0]._rule, "learn", interrupt)
        with pytest.raises(KeyboardInterrupt):
            streams[0].learn(np.asfortranarray(dy[1]))
    assert (streams[0].learn(dy[1]).flat == streams[1].learn(dy[1]).flat).all()
    assert (learned(streams[0], x, dy).flat == learned(streams[1], x, dy).flat).all()
