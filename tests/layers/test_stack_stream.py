"""Streams of stacks: the bits of the whole sequence."""

import tracemalloc

import numpy as np
import pytest

import pylstm
from pylstm import Cell
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack

T, B, I, H = 9, 3, 4, 5


def stack_of(**options):
    cells = [("lstm", I), ("gru", H), ("peephole", H)]
    layers = [Recurrent(cell, n, H, seed=k, **options) for k, (cell, n) in enumerate(cells)]
    return Stack(layers, dropout=0.5, residual=True)


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


@pytest.mark.parametrize("batch_first", [False, True])
def test_the_bits_of_the_whole_sequence(batch_first):
    stack, x = stack_of(batch_first=batch_first).eval(), draw(T, B, I)

    def turn(array):
        return array.swapaxes(0, 1) if batch_first else array

    whole, stream = stack(turn(x)), stack.stream(B)
    y = np.empty((4, B, H), "float32")
    parts = [stream.step(x[0])[None], turn(stream.feed(turn(x[1:5]))), turn(stream.feed(turn(x[5:]), turn(y)))]
    np.testing.assert_array_equal(np.concatenate(parts), turn(whole.y))
    np.testing.assert_array_equal(turn(whole.y)[5:], y)
    for state, run in zip(stream.state, whole.layers):
        for name, array in run.final.items():
            np.testing.assert_array_equal(state[name], array)


def test_states_forks_and_snapshots():
    stack, x = stack_of().train(), draw(T, I)
    stream = stack.stream()
    first = stream.feed(x[:4])
    mark, fork = stream.snapshot(), stream.fork()
    then = stream.feed(x[4:])
    np.testing.assert_array_equal(fork.feed(x[4:]), then)
    stream.restore(mark)
    np.testing.assert_array_equal(stream.feed(x[4:]), then)
    stream.reset()
    np.testing.assert_array_equal(stream.feed(x[:4]), first)  # no dropout, though the stack is in training mode
    other = stack.stream()
    other.state = stream.state
    np.testing.assert_array_equal(other.feed(x[4:]), then)
    stack.params.flat[...] *= 2
    stream.reset()
    np.testing.assert_array_equal(stream.feed(x[:4]), first)
    stream.refresh()
    assert (stream.feed(x[4:]) != then).any()


def test_the_final_states_of_a_run_start_a_stream():
    stack = Recurrent("gru", I, H, num_layers=2, seed=0)
    x, stream = draw(T, B, I), stack.stream(B)
    stream.state = stack(x[:4]).final
    np.testing.assert_array_equal(stream.feed(x[4:]), stack(x).y[4:])
    before = stream.state
    with pytest.raises(ValueError, match="unknown name 'c'"):
        stream.state = {"c": np.zeros((2, B, H), "float32")}
    with pytest.raises(ValueError, match="one entry for each of 2 layers, got 1"):
        stream.state = before[:1]
    with pytest.raises(ValueError):
        stream.state = [{"h": 1 + before[0]["h"]}, {"h": np.zeros((B, 7), "float32")}]
    for ours, theirs in zip(stream.state, before):
        np.testing.assert_array_equal(ours["h"], theirs["h"])


def test_two_directions_cannot_be_streamed():
    with pytest.raises(TypeError, match="layer 0 has two directions"):
        Recurrent("gru", I, H, bidirectional=True).stream()
    with pytest.raises(ValueError, match="out must have shape"):
        stack_of().stream().step(draw(I), np.empty(3, "float32"))


@pytest.mark.parametrize("batch_first", [False, True])
def test_per_step_inputs(batch_first):
    cells = [("gru", I), ("time_aware_lstm", H), ("augru", H), ("mogrifier_lstm", H)]
    stack = Stack([Recurrent(cell, n, H, seed=k, batch_first=batch_first) for k, (cell, n) in enumerate(cells)])
    rng = np.random.default_rng(1)
    x, dt, attention = (rng.uniform(0.1, 1.0, (T, B, n)).astype("float32") for n in (I, 1, 1))

    def turn(array):
        return array.swapaxes(0, 1) if batch_first else array

    def given(*piece, whole=True):
        one = turn if whole else np.asarray
        return [None, {"dt": one(dt[piece])}, {"attention": one(attention[piece])}, None]

    run, stream = stack(turn(x), aux=given()), stack.stream(B)
    parts = [stream.step(x[t], aux=given(t, whole=False)) for t in range(3)]
    out = turn(np.empty((T - 5, B, H), "float32"))
    parts += [*turn(stream.feed(turn(x[3:5]), aux=given(slice(3, 5))))]
    mark, fork = stream.snapshot(), stream.fork()
    parts += [*turn(stream.feed(turn(x[5:]), out, aux=given(slice(5, None))))]
    np.testing.assert_array_equal(np.array(parts), turn(run.y))
    np.testing.assert_array_equal(turn(out), turn(run.y)[5:])
    np.testing.assert_array_equal(fork.feed(turn(x[5:]), aux=given(slice(5, None))), out)
    assert (stream.state[1]["c"] != mark_state(stack, mark)[1]["c"]).any()


def mark_state(stack, mark):
    other = stack.stream(B)
    other.restore(mark)
    return other.state


def test_what_a_layer_refuses_leaves_the_stream_where_it_was():
    stack = Stack([Recurrent("gru", I, H, seed=0), Recurrent("time_aware_lstm", H, H, seed=1)])
    x, dt = draw(B, I), np.ones((B, 1), "float32")
    stream = stack.stream(B)
    stream.step(x, aux=[None, {"dt": dt}])
    before = stream.state
    for aux, error, message in [
        (
            None,
            ValueError,
            r"aux\[1\] must have 'dt' at every step for cell 'time_aware_lstm': aux=\[None, {'dt': ...}\]",
        ),
        ([None, {"dt": dt[:, 0]}], ValueError, r"aux\['dt'\] must have shape"),
        ([None, {"dt": dt.astype("float64")}], TypeError, r"aux\['dt'\] must be float32"),
        ([{"dt": dt}, {"dt": dt}], ValueError, "unknown name 'dt'"),
        ([{"dt": dt}], ValueError, "aux must have one entry for each of 2 layers, got 1"),
        ({"dt": dt}, TypeError, "aux must be a list with one entry for each layer, got dict"),
    ]:
        with pytest.raises(error, match=message):
            stream.step(x, aux=aux)
    with pytest.raises(ValueError, match=r"out must have shape \(3, 5\) and dtype float32, got \(4, 5\)"):
        stream.step(x, np.empty((4, H), "float32"), aux=[None, {"dt": dt}])
    for ours, theirs in zip(stream.state, before):
        for name, array in theirs.items():
            np.testing.assert_array_equal(ours[name], array)


@pytest.mark.parametrize("residual", [(False, True, False), (False, True, True), (True, True, True)])
def test_out_takes_no_further_arrays(residual):
    stack = Stack([Recurrent("gru", H, H, seed=k) for k in range(3)], residual=residual)
    x, whole = draw(300, H), stack.stream()
    y = whole.feed(x)
    stream, out = stack.stream(), np.empty((300, H), "float32")
    assert stream.feed(x, out) is out
    np.testing.assert_array_equal(out, y)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(3):
            stream.feed(x, out)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < x.nbytes / 2
    stream, other = stack.stream(), stack.stream()
    fork, inplace = stream.fork(), x.copy()
    np.testing.assert_array_equal(stream.feed(inplace, inplace), y)
    assert (fork.feed(x, out) == y).all() and (other.feed(x, np.empty((300, 2 * H), "float32")[:, ::2]) == y).all()


def frozen(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        ([0.0] * H, TypeError, "out must be a numpy.ndarray, got list"),
        (np.empty(H), ValueError, "dtype float32, got .* float64"),
        (frozen(np.empty(H, "float32")), ValueError, "out must be writable"),
    ],
)
def test_a_refused_out_leaves_the_stream_where_it_was(out, error, message):
    stream, x = stack_of().stream(), draw(T, I)
    stream.feed(x)
    before = stream.state
    with pytest.raises(error, match=message):
        stream.step(x[0], out)
    for ours, theirs in zip(stream.state, before):
        for name, array in theirs.items():
            np.testing.assert_array_equal(ours[name], array)


def test_a_hook_that_fails_in_a_later_layer_leaves_the_stream_where_it_was():
    class Failing(Cell):
        name, states, gates = "failing", ("h",), {"a": "x+h"}

        def forward(z):
            if z.a.max() > 50:
                raise ZeroDivisionError("too large")
            return {"h": z.a}

        def backward(d):
            return {"a": d.h}

    stack = Stack([Recurrent("rnn_linear", H, H, seed=0), Recurrent(Failing, H, H, seed=1, certified=False)])
    stream, x = stack.stream(), draw(T, H)
    stream.feed(x)
    before = stream.state
    for go, each in ((stream.step, x[0]), (stream.feed, x)):
        with pytest.raises(ZeroDivisionError):
            go(each + np.float32(1e4))
        for ours, theirs in zip(stream.state, before):
            np.testing.assert_array_equal(ours["h"], theirs["h"])


def test_what_a_stream_is_of_cannot_be_set():
    stack = pylstm.LSTM(2, 3, num_layers=2, seed=0)
    for stream in (stack.stream(2), stack.stream(2).fork()):
        with pytest.raises(AttributeError):
            stream.batch_size = 9
        with pytest.raises(AttributeError):
            stream.layer = None
        assert stream.batch_size == 2 and stream.layer is stack
        assert stream.step(np.ones((2, 2), "float32")).shape == (2, 3)
