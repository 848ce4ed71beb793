"""Saturation counted in the time loop is what the tape shows: every cell, dtype, kind of run and number of threads."""

import re

import numpy as np
import pytest

import pylstm
from pylstm import plugins
from pylstm.diagnostics import saturation
from pylstm.layers.inputs.saturated import Counts

BUNDLED = {entry.cell.name: entry.cell for entry in plugins.registry().entries()}


def same(counted, shown):
    assert list(counted) == list(shown)
    for gate, each in counted.items():
        assert each.ends == shown[gate].ends
        for one, other in ((each.low, shown[gate].low), (each.high, shown[gate].high)):
            np.testing.assert_allclose(one, other, rtol=1e-14, atol=0)


def wide(layer, factor=4):
    layer.params.flat[...] *= factor
    return layer


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_every_cell(name, dtype):
    cell = BUNDLED[name]
    sizes = {each: 4 for each, usual in cell.contract.sizes.items() if usual is None}
    layer = pylstm.Recurrent(cell, 3, 8, dtype=dtype, seed=0, certified=False, **sizes)
    rng = np.random.default_rng(1)
    aux = {n: rng.uniform(0.1, 1, (9, 3, layer.widths[n])).astype(dtype) for n in cell.contract.aux if n != "x"}
    x = (4 * rng.normal(size=(9, 3, 3))).astype(dtype)
    plain = layer(x, aux=aux or None)
    for options in ({}, {"tape": False}):
        run = layer(x, aux=aux or None, saturation=0.1, **options)
        assert (run.y == plain.y).all()
        same(saturation(run), saturation(plain, 0.1))


# chunks of rows, of one step, of units that threads share, of columns: (T, B, H)
SIZES = [(70, 1, 300), (300, 3, 130), (70, 40, 33), (3, 300, 17), (7, 5, 5), (0, 2, 3), (3, 0, 3)]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", ["lstm", "gru", "mingru"])
@pytest.mark.parametrize("threads", [1, 2])
def test_however_the_work_is_shared(sizes, kind, threads):
    T, B, H = sizes
    layer = wide(pylstm.Recurrent(kind, 6, H, seed=0))
    x = np.random.default_rng(0).normal(size=(T, B, 6)).astype("float32")
    lengths = np.random.default_rng(1).integers(0, T + 1, B)
    before = pylstm.get_num_threads()
    pylstm.set_num_threads(threads)
    try:
        plain, ragged = saturation(layer(x)), saturation(layer(x, lengths=lengths))
        for options in ({}, {"tape": False}):
            same(saturation(layer(x, saturation=True, **options)), plain)
            same(saturation(layer(x, saturation=True, lengths=lengths, **options)), ragged)
        reset = np.arange(T)[:, None] % 5 + np.zeros((1, B)) == 0
        same(saturation(layer(x, reset=reset, tape=False, saturation=True)), saturation(layer(x, reset=reset)))
    finally:
        pylstm.set_num_threads(before)


def test_a_checkpointed_run_counts_each_step_once():
    layer = wide(pylstm.LSTM(3, 5, seed=0))
    x = np.random.default_rng(0).normal(size=(3000, 3)).astype("float32")
    run = layer(x, checkpoint="sqrt", saturation=True)
    assert run.segments > 2
    same(saturation(run), saturation(layer(x)))
    run.backward(run.y)
    same(saturation(run), saturation(layer(x)))
    assert (run.backward(run.y).params.flat == layer(x).backward(run.y).params.flat).all()


@pytest.mark.parametrize("batch_first", [False, True])
def test_stacks_and_both_directions(batch_first):
    stack = wide(pylstm.LSTM(3, 6, num_layers=2, bidirectional=True, batch_first=batch_first, seed=0))
    x = np.random.default_rng(0).normal(size=(8, 5, 3)).astype("float32")
    lengths = np.full(8 if batch_first else 5, 3)
    plain, run = stack(x, lengths=lengths), stack(x, lengths=lengths, tape=False, saturation=0.2)
    assert (run.y == plain.y).all()
    for part, other in zip(run.layers, plain.layers):
        for one, two in zip(part.layers, other.layers):
            same(saturation(one), saturation(two, 0.2))


@pytest.mark.parametrize("steps", [1, 7, 200])
def test_streams(steps):
    stack = wide(pylstm.GRU(3, 6, num_layers=2, seed=0))
    x = np.random.default_rng(0).normal(size=(200, 4, 3)).astype("float32")
    run, stream, plain = stack(x), stack.stream(4, saturation=True), stack.stream(4)
    for t in range(0, 200, steps):
        assert (stream.feed(x[t : t + steps]) == plain.feed(x[t : t + steps])).all()
    for each, layer in zip(stream.layers, run.layers):
        same(saturation(each), saturation(layer))
    before = saturation(stream.layers[0])
    stream.fork().feed(x)
    same(saturation(stream.layers[0]), before)


def test_counts_of_a_stream_outlive_its_states():
    layer, x = wide(pylstm.LSTM(3, 6, seed=0)), np.random.default_rng(0).normal(size=(20, 2, 3)).astype("float32")
    stream = layer.stream(2, saturation=True)
    snapshot = stream.snapshot()
    stream.feed(x)
    once = saturation(stream)
    for start in (stream.reset, lambda: stream.restore(snapshot)):
        start()
        same(saturation(stream), once)
        stream.feed(x)  # the same once more: the same shares
        same(saturation(stream), once)
    stream.reset()
    stream.feed(-x)
    plain = saturation(layer(-x))
    for gate, each in saturation(stream).items():
        np.testing.assert_allclose(each.low, (3 * once[gate].low + plain[gate].low) / 4, rtol=1e-12)


def test_what_is_no_number_is_at_no_end():
    layer = pylstm.LSTM(2, 4, dtype="float64", seed=0)
    x = np.zeros((4, 2, 2))
    x[:, 1] = np.nan
    found = saturation(layer(x, tape=False, saturation=True))
    assert not any(each.low.any() or each.high.any() for each in found.values())
    same(found, saturation(layer(x)))


def test_more_rows_than_are_held_at_a_time():
    layer = wide(pylstm.RNN(1, 300, seed=0))
    x = np.random.default_rng(0).normal(size=(2, 9001, 1)).astype("float32")
    same(saturation(layer(x, tape=False, saturation=True)), saturation(layer(x)))


def test_what_is_refused():
    layer, x = pylstm.LSTM(2, 4), np.ones((3, 1, 2), "float32")
    with pytest.raises(ValueError, match=r"saturation must be between 0 and 0\.5, got 0\.7"):
        layer(x, saturation=0.7)
    for given in ("yes", 1, 0, None, np.int64(1)):
        with pytest.raises(TypeError, match=r"saturation must be True, False or a threshold between 0 and 0\.5, got "):
            layer(x, saturation=given)
        with pytest.raises(TypeError, match="saturation must be True, False or a threshold"):
            layer.stream(saturation=given)
    assert saturation(layer(x, tape=False, saturation=np.float32(0.25)), 0.25) and layer(x, saturation=np.bool_(True))
    with pytest.raises(ValueError, match="a stream that learns does not count"):
        layer.stream(online="snap1", saturation=True)
    with pytest.raises(ValueError, match="a stream that learns does not count"):
        pylstm.LSTM(2, 4, num_layers=2).stream(online="snap1", saturation=True)
    with pytest.raises(RuntimeError, match=r"this stream does not count.*layer.stream\(1, saturation=0\.05\)"):
        saturation(layer.stream())
    with pytest.raises(RuntimeError, match="tape=False"):
        saturation(layer(x, tape=False), threshold=0.2)
    for counting, kind, cure in (
        (layer.stream(2, saturation=True), "stream counts at 0.05", "layer.stream(2, saturation=0.2)"),
        (layer(x, tape=False, saturation=0.1), "run counts at 0.1", "layer(x, saturation=0.2)"),
        (
            layer(np.ones((3000, 2), "float32"), checkpoint="sqrt", saturation=0.1),
            "run counts at 0.1",
            "layer(x, saturation=0.2)",
        ),
    ):
        with pytest.raises(ValueError, match=f"threshold is 0.2, but this {kind}: leave out.*{re.escape(cure)}"):
            saturation(counting, 0.2)
    assert saturation(layer(x, saturation=0.1), 0.2)  # from the tape
    assert Counts.of(layer, False) is None and Counts.of(layer, 0.3).threshold == 0.3
