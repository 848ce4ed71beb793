"""Memory: what the documentation says per step, row and unit is what a run takes."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm.plugins import registry

pytestmark = pytest.mark.serial

# Numbers on the tape per step and row, in units of H, besides the I of the input: as docs/memory.md has them.
TAPE = {
    "lstm": 7,  # i f g o, h c, tanh c
    "cifg": 6,
    "peephole": 7,
    "lstm_linear_output": 6,
    "gru": 5,  # r z m n, h
    "gru_reset_before": 5,  # r z n, h, rh
    "rnn_tanh": 2,
    "rnn_relu": 2,
    "rnn_linear": 2,
}


@pytest.mark.parametrize("cell", TAPE)
def test_tape_width(cell):
    layer = pylstm.Recurrent(cell, 3, 10)
    assert layer.tape_width() == 3 + 10 * TAPE[cell]
    more = layer.workspace_bytes(30_000, 4) - layer.workspace_bytes(20_000, 4)
    assert abs(more / (10_000 * 4 * 4) - layer.tape_width()) < 0.01


def test_every_bundled_cell_is_in_the_table():
    bundled = {e.cell.name for e in registry().entries() if e.cell.kernel is not None}
    assert bundled == set(TAPE)


def test_without_a_tape_only_the_output_grows():
    layer = pylstm.LSTM(3, 10)
    more = layer.workspace_bytes(30_000, 4, tape=False) - layer.workspace_bytes(20_000, 4, tape=False)
    assert abs(more / (10_000 * 4 * 4) - 10) < 0.2


@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole", "gru_reset_before"])
@pytest.mark.parametrize(("T", "B", "H"), [(100, 32, 64), (2000, 1, 32), (100, 64, 128)])
def test_peak_of_a_training_step(cell, T, B, H):
    layer = pylstm.Recurrent(cell, H, H, seed=0)
    x = np.ones((T, B, H), "float32")
    layer(x[:1]).backward(x[:1])
    documented = 4 * (T * B * (layer.tape_width() + layer.input_size) + 3 * layer.params.size)
    tracemalloc.start()
    try:
        layer(x).backward(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert documented < peak <= 1.3 * documented


def test_the_second_identical_call_allocates_nothing():
    layer = pylstm.LSTM(32, 64, seed=0)
    x, dy = np.ones((100, 16, 32), "float32"), np.ones((100, 16, 64), "float32")
    grads = layer(x).backward(dy)
    grads = layer(x).backward(dy)  # a training loop: the gradients of the step before are alive
    tracemalloc.start()
    try:
        for _ in range(3):
            grads = layer(x).backward(dy)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert grads.x.shape == x.shape
    assert peak < 20_000  # Python objects; an array of the run would be 200 kB


def test_results_survive_later_runs():
    layer = pylstm.LSTM(4, 6, seed=0)
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(9, 2, 4)).astype("float32") for _ in range(6)]
    kept, copies = [], []
    for x in inputs:
        run = layer(x)
        grads = run.backward(run.y)
        kept += [run.y, run.final["c"], run.gates["f"][2:, 0], grads.x, grads.params["bias"]]
        copies += [array.copy() for array in kept[-5:]]
        del run, grads
    for array, copy in zip(kept, copies):
        assert np.array_equal(array, copy)


SCRIPT = """
import re, numpy as np, pylstm
layer = pylstm.LSTM(32, 64, seed=0)
x = np.ones(({T}, 8, 32), "float32")
for _ in range(20):
    layer(x, tape=False).final
print(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
"""


def test_many_calls_do_not_pile_up():
    """The peak is the kernel's of each process: that of `getrusage` begins with the size of pytest."""
    if not Path("/proc/self/status").exists():
        pytest.skip("this machine has no /proc")
    sizes = [
        int(subprocess.run([sys.executable, "-P", "-c", SCRIPT.format(T=T)], check=True, capture_output=True).stdout)
        for T in (100, 10_000)
    ]
    workspace = pylstm.LSTM(32, 64).workspace_bytes(10_000, 8, tape=False) + 10_000 * 8 * 32 * 4
    assert 0.5 * workspace < (sizes[1] - sizes[0]) * 1024 < 1.5 * workspace
