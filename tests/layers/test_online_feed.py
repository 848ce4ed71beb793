"""A stream that learns as the ordinary one: many steps at once, snapshots, forks; the bits of single steps."""

import pickle
import threading
import tracemalloc

import numpy as np
import pytest

import pylstm

pytestmark = pytest.mark.once
T = 7
NETS = {
    "mingru": (lambda **o: pylstm.Recurrent("mingru", 3, 5, **o), "rtrl"),
    "full": (lambda **o: pylstm.LSTM(3, 4, **o), "rtrl"),
    "snap1": (lambda **o: pylstm.LSTM(3, 4, learn_initial=True, **o), "snap1"),
    "eprop": (lambda **o: pylstm.GRU(3, 4, **o), "eprop"),
    "orthogonal": (lambda **o: pylstm.Recurrent(type("Turned", (pylstm.RNN(1, 1).cell,), TURNED), 3, 4, **o), "rtrl"),
    "stack": (lambda **o: pylstm.Recurrent("mingru", 3, 5, num_layers=2, **o), "rtrl"),
    "stack of others": (lambda **o: pylstm.GRU(3, 4, 2, **o), "snap1"),
}
TURNED = {"name": "turned", "structure": {"h": "orthogonal"}}


def drawn(B, width, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    x, dy = rng.normal(size=(T, B, 3)).astype(dtype), rng.normal(size=(B, width)).astype(dtype)
    return x, dy, rng.random((T, B)) < 0.2


def rows_first(layer, array):
    return array.swapaxes(0, 1) if layer.batch_first else array


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("options", [{}, {"batch_first": True, "dtype": "float64"}])
@pytest.mark.parametrize("B", [1, 2])
def test_feed_has_the_bits_of_steps(kind, options, B):
    make, online = NETS[kind]
    layer = make(seed=0, **options)
    x, dy, reset = drawn(B, layer.output_size, layer.dtype)
    stepped, fed = (layer.stream(B, online=online) for _ in range(2))
    y = np.stack([stepped.step(x[t], reset=reset[t]) for t in range(T)])
    out = fed.feed(rows_first(layer, x[:4]), reset=rows_first(layer, reset[:4]))
    assert fed.feed(rows_first(layer, x[:0])).size == 0
    room = np.empty(rows_first(layer, y[4:]).shape, layer.dtype)
    assert fed.feed(rows_first(layer, x[4:]), room, reset=rows_first(layer, reset[4:])) is room
    assert (np.concatenate([rows_first(layer, out), rows_first(layer, room)]) == y).all()
    assert (stepped.learn(dy).flat == fed.learn(dy).flat).all() and (stepped.dx == fed.dx).all()
    assert stepped.grads.flat.any()


def test_one_row_needs_no_axis_of_rows():
    layer = pylstm.Recurrent("mingru", 3, 5, seed=0, batch_first=True)
    x, dy, reset = drawn(1, 5)
    one, other = layer.stream(online="rtrl"), layer.stream(online="rtrl")
    y = one.feed(x[:, 0], reset=reset[:, 0])
    assert y.shape == (T, 5) and (y == other.feed(x.swapaxes(0, 1), reset=reset.T)[0]).all()
    assert (one.learn(dy[0]).flat == other.learn(dy).flat).all()
    held = np.ones((T, 3), "float32")
    square = pylstm.Recurrent("mingru", 3, 3, seed=0)
    expected = square.stream(online="rtrl").feed(held)
    assert (square.stream(online="rtrl").feed(held, held) == expected).all()  # `out` is the input itself


@pytest.mark.parametrize("stacked", [False, True])
def test_what_comes_with_the_steps(stacked):
    timed = pylstm.Recurrent("cfc", 3, 4, dtype="float64", seed=0)
    layer = pylstm.Stack([timed, pylstm.GRU(4, 3, dtype="float64", seed=1)]) if stacked else timed
    x, dy, _ = drawn(2, layer.output_size, "float64")
    dt = np.random.default_rng(1).uniform(0.1, 1, (T, 2, 1))
    one, other = layer.stream(2, online="rtrl"), layer.stream(2, online="rtrl")
    aux = [({"dt": each}, [{"dt": each}, None])[stacked] for each in (dt, *dt)]
    y = one.feed(x, aux=aux[0])
    assert (y == np.stack([other.step(x[t], aux=aux[1 + t]) for t in range(T)])).all()
    assert (one.learn(dy).flat == other.learn(dy).flat).all()
    before = one.snapshot().states
    dt[-1] = -1
    for wrong in (None, aux[0]):
        with pytest.raises(ValueError, match="dt"):
            one.feed(x, aux=wrong)
    assert one.snapshot().states == before


@pytest.mark.parametrize("kind", NETS)
def test_forks_and_snapshots(kind):
    make, online = NETS[kind]
    layer = make(seed=0, dtype="float64")
    x, dy, _ = drawn(2, layer.output_size, "float64")
    stream = layer.stream(2, online=online)
    stream.feed(x[:3])
    kept, fork = pickle.loads(pickle.dumps(stream.snapshot())), stream.fork()
    learned = stream.learn(dy).flat.copy()
    assert (fork.learn(dy).flat == learned).all() and fork.grads is not stream.grads
    expected = stream.feed(x[3:]), stream.learn(dy).flat.copy()
    assert (fork.learn(dy).flat == learned).all()  # what the other did is nothing to it
    for again in (fork, stream):
        again.restore(kept)
        assert (again.learn(dy).flat == learned).all()
        assert (again.feed(x[3:]) == expected[0]).all() and (again.learn(dy).flat == expected[1]).all()
    before = layer.stream(2, online=online).snapshot()
    stream.restore(before)
    with pytest.raises(RuntimeError, match="learn needs a step before it"):
        stream.learn(dy)


def test_snapshots_of_others_are_refused():
    layer = pylstm.LSTM(3, 4, seed=0)
    stream = layer.stream(online="snap1")
    stream.step(np.ones(3, "float32"))
    before = stream.snapshot().states
    for other in (
        layer.stream(online="eprop").snapshot(),
        layer.stream(2, online="snap1").snapshot(),
        layer.stream().snapshot(),
        pylstm.LSTM(3, 4, dtype="float64").stream(online="snap1").snapshot(),
        pylstm.LSTM(3, 5).stream(online="snap1").snapshot(),
        pylstm.Recurrent("peephole", 3, 4).stream(online="snap1").snapshot(),
    ):
        with pytest.raises(ValueError, match=r"this snapshot is one of \(.*, the stream is \('snap1', 'float32'"):
            stream.restore(other)
    with pytest.raises(TypeError, match=r"stream.snapshot\(\) returns, got dict"):
        stream.restore(stream.state_dict())
    assert stream.snapshot().states == before


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"chunk": np.ones((T, 2, 4), "float32")}, ValueError, "chunk must have shape"),
        ({"chunk": np.ones((T, 2, 3))}, TypeError, "chunk must be float32"),
        ({"reset": np.ones((T, 2))}, TypeError, "reset must be an array of bool"),
        ({"reset": np.ones((T, 1), bool)}, ValueError, "reset must have shape"),
        ({"out": np.ones((T, 2, 3), "float32")}, ValueError, "out must have shape"),
        ({"aux": {"dt": 1}}, ValueError, "dt"),
    ],
)
def test_what_feed_refuses_leaves_the_stream_as_it_was(given, error, says):
    stream = pylstm.LSTM(3, 4, seed=0).stream(2, online="snap1")
    stream.feed(np.ones((2, 2, 3), "float32"))
    before = stream.snapshot().states
    with pytest.raises(error, match=says):
        stream.feed(**({"chunk": np.ones((T, 2, 3), "float32")} | given))
    assert stream.snapshot().states == before


def test_calls_and_directions_are_refused():
    with pytest.raises(TypeError, match=r"an? OnlineStream is not callable: stream.step\(x_t\) makes one step"):
        pylstm.GRU(3, 4).stream(online="snap1")(np.ones(3, "float32"))
    both = pylstm.layers.Bidirectional(pylstm.GRU(3, 4), pylstm.GRU(3, 4))
    for options in ({}, {"online": "rtrl"}, {"saturation": True}):
        with pytest.raises(TypeError, match="cannot be streamed: its reverse direction needs the whole sequence"):
            both.stream(**options)
    with pytest.raises(TypeError, match="layer 0 has two directions"):
        pylstm.GRU(3, 4, bidirectional=True).stream(online="snap1")


def test_another_thread_is_refused_while_it_is_fed():
    layer = pylstm.LSTM(3, 16, seed=0)
    stream, refused, going = layer.stream(online="snap1"), [], threading.Event()
    original = stream._rule.after_step

    def slow():
        if not going.is_set():
            going.set()
            other.join(10)
        original()

    def intrude():
        going.wait(10)
        for call in (lambda: stream.step(np.ones(3, "float32")), stream.snapshot, stream.fork):
            try:
                call()
            except RuntimeError as error:
                refused.append(str(error))

    other = threading.Thread(target=intrude)
    stream._rule.after_step = slow
    other.start()
    stream.feed(np.ones((5, 3), "float32"))
    assert len(refused) == 3 and all("at work in another thread" in each for each in refused)
    expected = layer.stream(online="snap1")
    expected.feed(np.ones((5, 3), "float32"))
    assert (expected.learn(np.ones(16, "float32")).flat == stream.learn(np.ones(16, "float32")).flat).all()


def test_feeding_keeps_nothing():
    layer = pylstm.Recurrent("mingru", 3, 8, num_layers=2, seed=0)
    stream, chunk = layer.stream(online="rtrl"), np.ones((50, 3), "float32")
    stream.feed(chunk)
    tracemalloc.start()
    try:
        for _ in range(3):
            stream.feed(chunk)
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(40):
            stream.feed(chunk)
        assert tracemalloc.get_traced_memory()[0] - before < 2000
    finally:
        tracemalloc.stop()
