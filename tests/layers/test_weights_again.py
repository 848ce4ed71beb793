"""A call without a tape finds the packed weights of the call before, and packs anew after any change of them."""

import threading

import numpy as np
import pytest

import pylstm
from pylstm.engine.levels import load


def digest(array):
    return load("pylstm.engine.tiles").digest_of(np.ascontiguousarray(array).reshape(-1).view(np.uint8))


def numbers(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def fresh(layer, x, **more):
    """What a layer with these parameters, which has never run, returns."""
    other = pylstm.Recurrent(layer.cell, layer.input_size, layer.hidden_size, dtype=layer.dtype)
    other.params.flat[...] = layer.params.flat
    return other(x, tape=False, **more).y


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole", "mingru", "rnn_tanh"])
@pytest.mark.parametrize(("B", "H"), [(1, 5), (3, 70), (40, 33)])
def test_after_every_change(B, H, cell, dtype, threads):
    layer, x = pylstm.Recurrent(cell, 7, H, dtype=dtype, seed=1), numbers(2, 9, B, 7, dtype=dtype)
    before = pylstm.get_num_threads()
    pylstm.set_num_threads(threads)
    try:
        for name in layer.params:
            for _ in range(2):
                assert np.array_equal(layer(x, tape=False).y, fresh(layer, x))
            layer.params[name].flat[-1] += 1
            assert np.array_equal(layer(x, tape=False).y, fresh(layer, x)), name
            layer.params[name].flat[0] = -layer.params[name].flat[0]
            assert np.array_equal(layer(x, tape=False).y, fresh(layer, x)), name
            layer(x[:2]).backward(np.ones_like(layer(x[:2]).y))  # tape or gradients take the block
            assert np.array_equal(layer(x, tape=False).y, fresh(layer, x)), name
    finally:
        pylstm.set_num_threads(before)


def test_other_sizes_and_modes_in_between():
    """Other plans use the same block; runs that are alive have blocks of their own."""
    layer, held = pylstm.GRU(6, 20, seed=1), []
    for k, (T, B) in enumerate([(9, 3), (9, 3), (5, 3), (9, 3), (9, 1), (9, 3), (30, 8), (9, 3)] * 3):
        x = numbers(k, T, B, 6)
        run = layer(x, tape=False)
        assert np.array_equal(run.y, fresh(layer, x))
        if k % 3 == 0:
            held.append((run, run.y.copy()))
        if k % 4 == 1:
            other = layer(x, checkpoint="sqrt")
            other.backward(np.ones_like(other.y))
        if k % 5 == 2:
            layer.params.flat[k::7] *= -1.25
        if k % 6 == 1:
            lengths = np.array([T, *[max(T - 2, 0)] * (B - 1)])
            assert np.array_equal(layer(x, lengths=lengths, tape=False).y[:, 0], fresh(layer, x)[:, 0])
    assert all(np.array_equal(run.y, y) for run, y in held)


def test_a_call_that_fails_leaves_no_weights_behind():
    """An exception in a hook, between packing and the end."""

    class Failing(pylstm.Cell):
        name = "failing_once"
        states = ("h",)
        gates = {"a": "x+h"}
        fail = False

        @staticmethod
        def forward(z):
            if Failing.fail:
                raise KeyError("now")
            return {"h": np.tanh(z.a)}

        @staticmethod
        def backward(d, z):
            return {"a": d.h / np.cosh(z.a) ** 2}

    layer, x = pylstm.Recurrent(Failing, 3, 4, seed=1, certified=False), numbers(1, 5, 2, 3)
    first = layer(x, tape=False).y.copy()
    layer.params.flat[...] *= 2
    Failing.fail = True
    with pytest.raises(KeyError):
        layer(x, tape=False)
    Failing.fail = False
    second = layer(x, tape=False).y.copy()
    layer.params.flat[...] *= 0.5
    assert np.array_equal(layer(x, tape=False).y, first) and not np.array_equal(first, second)


def test_threads_of_the_user():
    layer, x = pylstm.LSTM(4, 16, seed=1), numbers(1, 6, 2, 4)
    weights = [layer.params.flat * scale for scale in (1, -0.5)]
    wanted, wrong = layer(x).y, []

    def call():
        for _ in range(300):
            if not np.array_equal(layer(x, tape=False).y, wanted):
                wrong.append(1)

    workers = [threading.Thread(target=call) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert not wrong
    layer.params.flat[...] = weights[1]
    assert np.array_equal(layer(x, tape=False).y, fresh(layer, x))


@pytest.mark.parametrize("nbytes", [0, 1, 4, 127, 128, 129, 1000, 4096 + 12])
def test_digest_of_bytes(nbytes):
    data = np.random.default_rng(nbytes).integers(0, 256, nbytes).astype(np.uint8)
    found = {digest(data)}
    for k in range(nbytes):
        for bit in (1, 128):
            other = data.copy()
            other[k] ^= bit
            found.add(digest(other))
    assert len(found) == 1 + 2 * nbytes


def test_digest_of_weights():
    """Rows exchanged, elements exchanged, signs: what users do to weights, and what weaker digests do not see."""
    weight = numbers(1, 128, 64)
    found = [digest(weight), digest(-weight), digest(weight[::-1].copy()), digest(weight * 0), digest(weight + 0.0)]
    assert found[0] == found.pop()
    for rows in (1, 2, 32, 64):
        found.append(digest(np.roll(weight, rows, 0)))
    for step in (1, 2, 16, 32, 64, 2048, 4096):
        for one in (0, 5):
            other = weight.copy()
            other.flat[[one, one + step]] = other.flat[[one + step, one]]
            found.append(digest(other))
            other = weight.copy()
            other.flat[[one, one + step]] *= -1
            found.append(digest(other))
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("threads", [1, 2])
def test_another_thread_changes_the_weights_during_a_call_and_puts_them_back(threads):
    """That call may see either; the next ones see those that are there."""
    layer, x = pylstm.LSTM(64, 512, seed=0), np.ones((1, 1, 64), "float32")
    weights, before = layer.params.flat.copy(), pylstm.get_num_threads()
    wanted = fresh(layer, x)
    pylstm.set_num_threads(threads)
    try:
        for k in range(150):
            gate = threading.Barrier(2)

            def change(gate=gate, scale=0.5 + k / 500):
                gate.wait()
                np.multiply(weights, np.float32(scale), out=layer.params.flat)

            other = threading.Thread(target=change)
            other.start()
            gate.wait()
            layer(x, tape=False)
            other.join()
            layer.params.flat[...] = weights
            assert np.array_equal(layer(x, tape=False).y, wanted), k
    finally:
        pylstm.set_num_threads(before)
