"""Workspaces: memory comes back when the last array of a run is gone, never before, and only so much of it stays."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import pylstm
from pylstm.engine.memory import Workspaces

pytestmark = pytest.mark.serial

T, B, H = 50, 2, 16


def draw(seed, T=T):
    return np.random.default_rng(seed).normal(size=(T, B, H)).astype("float32")


def traced():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.fixture
def layer():
    """A layer that has run, so that what is made once is there; with allocations traced."""
    made = pylstm.LSTM(H, H, seed=0)
    made(draw(0)).backward(draw(1))
    tracemalloc.start()
    yield made
    tracemalloc.stop()


HOLD = {
    "y": lambda layer, x: layer(x).y,
    "run": lambda layer, x: layer(x),
    "gradients": lambda layer, x: layer(x).backward(x).x,
    "inference": lambda layer, x: layer(x, tape=False).final,
    "ragged": lambda layer, x: layer(x, lengths=[T, T // 2]).y,
    "checkpointed": lambda layer, x: layer(x, checkpoint=400_000).y,
}


@pytest.mark.parametrize("what", HOLD)
def test_memory_returns_when_the_runs_are_gone(layer, what):
    steps = 400 if what == "checkpointed" else T
    x, block = draw(2, steps), layer.workspace_bytes(steps, B)
    held = [HOLD[what](layer, x) for _ in range(5)]
    del held
    before = traced()
    held = [HOLD[what](layer, x) for _ in range(200)]
    assert traced() - before > 100 * steps * B * H * 4
    del held
    assert traced() - before < 4 * block


def test_the_past_of_a_layer_leaves_three_blocks(layer):
    block = layer.workspace_bytes(T, B)
    before = traced()
    for _ in range(10):
        held = [layer(draw(0)).y for _ in range(100)]
        del held
    assert traced() - before < 3.5 * block


class Foreign:
    """Something of another library that holds an array."""

    def __init__(self, array):
        self.array, self.__array_interface__ = array, array.__array_interface__


LAST = {
    "a step": lambda run: run.y[3:4, 0],
    "final": lambda run: run.final["c"],
    "gate": lambda run: run.gates["f"][2:, 0],
    "memoryview": lambda run: memoryview(run.y),
    "reversed": lambda run: run.y[::-1].T,
    "initial": lambda run: run.states["h"][0],
    "run": lambda run: run,
    "foreign": lambda run: np.asarray(Foreign(run.y)),
}


@pytest.mark.parametrize("what", LAST)
def test_no_run_writes_where_an_array_is_alive(what):
    layer = pylstm.LSTM(H, H, seed=0)
    last = LAST[what](layer(draw(3)))
    before = np.array(last.y if what == "run" else last)
    for seed in range(8):
        layer(draw(seed)).backward(draw(seed))
    gc.collect()
    layer(draw(9))
    assert np.array_equal(last.y if what == "run" else last, before)


def test_gradients_are_not_written_to_while_one_of_them_is_alive():
    layer = pylstm.LSTM(H, H, seed=0)
    for pick in (lambda g: g.x[0], lambda g: g.params["bias"], lambda g: g.initial["c"]):
        last = pick(layer(draw(3)).backward(draw(4)))
        before = last.copy()
        for seed in range(6):
            layer(draw(seed)).backward(draw(seed))
        assert np.array_equal(last, before)


def test_a_block_in_a_cycle_returns_with_it():
    layer = pylstm.LSTM(H, H, seed=0)
    cycle = [layer(draw(0))]
    cycle.append(cycle)
    address = cycle[0].y.ctypes.data
    del cycle
    gc.collect()
    assert layer(draw(1)).y.ctypes.data == address


def test_the_smallest_block_that_fits_is_lent_but_none_that_is_much_larger():
    pool = Workspaces()
    sizes = [1_000_000, 200_000, 400_000]
    blocks = [pool.take(size) for size in sizes]
    assert [block.nbytes for block in blocks] == sizes
    del blocks
    assert pool.take(150_000).nbytes == 200_000
    small, middle = pool.take(190_000), pool.take(201_000)
    assert (small.nbytes, middle.nbytes) == (200_000, 400_000)
    assert pool.take(234_000).nbytes == 1_000_000  # at most four times as large, and 64 kB
    assert pool.take(233_000).nbytes == 233_000
    pool = Workspaces()
    pool.take(10_000_000)
    assert pool.take(1000).nbytes == 1000


def test_a_giant_is_freed_when_it_has_not_been_needed_for_long():
    pool = Workspaces()
    tracemalloc.start()
    try:
        pool.take(50_000_000)
        for _ in range(1000):
            pool.take(1000)
        assert traced() > 50_000_000
        for _ in range(10):
            pool.take(1000)
        assert traced() < 100_000
    finally:
        tracemalloc.stop()


def test_what_cannot_be_had_is_named_and_leaves_the_layer_as_it_was():
    pool = Workspaces()
    address = np.frombuffer(pool.take(1000), np.uint8).ctypes.data
    for nbytes in (1 << 60, 1 << 70):
        with pytest.raises(MemoryError, match=rf"the run needs a workspace of {nbytes:,} bytes"):
            pool.take(nbytes)
    with pytest.raises(MemoryError, match="workspace of"):
        pool.arrays(np.dtype("float64"), (1 << 40, 1 << 30))
    assert np.frombuffer(pool.take(1000), np.uint8).ctypes.data == address


def test_arrays_are_apart_and_on_lines_of_their_own():
    pool = Workspaces()
    for _ in range(3):
        arrays = pool.arrays(np.dtype("float32"), (3, 5), (), (0, 4), (17,))
        assert [array.shape for array in arrays] == [(3, 5), (), (0, 4), (17,)]
        assert all(array.ctypes.data % 64 == 0 for array in arrays if array.size)
        for k, array in enumerate(arrays):
            array[...] = k
        assert [float(array.sum()) for array in arrays] == [0, 1, 0, 51]


def test_a_layer_may_go_before_its_runs():
    layer = pylstm.LSTM(H, H, seed=0)
    run = layer(draw(0))
    y, expected = run.y, run.y.copy()
    del layer, run
    gc.collect()
    assert np.array_equal(y, expected)
    del y


def test_copies_of_a_layer_have_workspaces_of_their_own():
    layer = pylstm.LSTM(H, H, seed=0)
    expected = layer(draw(0)).y
    for other in (copy.copy(layer), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert other.workspaces is not layer.workspaces
        assert np.array_equal(other(draw(0)).y, expected)


def test_threads_never_share_a_block():
    pool, wrong = Workspaces(), []

    def use(number):
        rng = np.random.default_rng(number)
        for _ in range(3000):
            held = [np.frombuffer(pool.take(int(n)), np.uint8) for n in rng.integers(100, 3000, rng.integers(1, 4))]
            for array in held:
                array[...] = number
            wrong.extend(1 for array in held if (array != number).any())

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_has_a_copy():
    """In a process of its own: other libraries, once imported, warn of every fork."""
    script = """
import os, numpy as np, pylstm
layer = pylstm.LSTM(16, 16, seed=0)
x, later = np.random.default_rng(0).normal(size=(2, 50, 2, 16)).astype("float32")
y, expected = layer(x).y, layer(later).y.copy()
before, child = y.copy(), os.fork()
if child == 0:
    os._exit(0 if np.array_equal(layer(later).y, expected) and np.array_equal(y, before) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert np.array_equal(layer(later).y, expected)
"""
    subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", script], check=True, timeout=60)
