"""The compiled time loop against the NumPy executor, for every registered cell, and the promise of the same bits."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

import pylstm
from pylstm.cells.auditing import reference
from pylstm.cells.lstm import LSTM
from pylstm.engine.cpu import machine_level
from pylstm.engine.levels import LEVELS
from pylstm.plugins import registry
from sample_cells import TwinOnly

pytestmark = pytest.mark.once

KERNELS = [entry.cell.name for entry in registry().entries() if entry.cell.kernel is not None]
FORMULAS = [name for name in registry().names() if name not in KERNELS]
CELLS = KERNELS + FORMULAS
TOLERANCES = {"float64": (1e-12, 1e-11), "float32": (2e-6, 1e-5)}
# Backward in one chunk, in chunks of an even and of an odd number of steps (150; 37); no steps; no rows.
SIZES = [(7, 3, 4, 5), (1, 1, 3, 2), (40, 17, 9, 33), (300, 2, 3, 6), (111, 7, 3, 6), (0, 2, 3, 4), (5, 0, 3, 4)]


def problem(cell, T, B, I, H, dtype, modified, seed=0):
    """A layer, its input and keyword arguments, and cotangents: random, nothing zero.

    Initial states and aux inputs are positive: some cells divide by a state or take the logarithm of a time.
    """
    rng = np.random.default_rng(seed)
    contract = (registry().get(cell) if isinstance(cell, str) else cell).contract
    sizes = {name: H - 1 for name, default in contract.sizes.items() if default is None}
    layer = pylstm.Recurrent(cell, I, H, dtype=dtype, seed=1, **sizes)

    def draw(*shape, low=None):
        values = rng.normal(size=shape) if low is None else rng.uniform(low, 1.5, size=shape)
        return values.astype(dtype)

    states, widths = layer.cell.contract.states, layer.widths
    call = {"initial": {s: draw(B, widths[s], low=0.5) for s in states}}
    if set(contract.aux) - {"x"}:
        call["aux"] = {name: draw(T, B, widths[name], low=0.5) for name in contract.aux if name != "x"}
    if modified:
        call["pre"] = {s: draw(T, B, widths[s] if k else 1, low=0.5) for k, s in enumerate(states)}
        call["blend"] = {states[-1]: rng.choice([0.0, 1.0, 0.3], size=(T, B, 1)).astype(dtype)}
        call["reset"] = rng.random((T, B)) < 0.3
    back = {
        "dy": draw(T, B, layer.output_size),
        "dfinal": {s: draw(B, widths[s]) for s in states},
        "dstates": {s: draw(T, B, widths[s]) for s in states},
    }
    return layer, draw(T, B, I), call, back


def close(a, b, tolerance):
    # A lone number may be a difference of larger ones: its error is that of the larger.
    scale = max(np.abs(b).max(initial=0), 0.1 if a.dtype == np.float32 else 1e-3)
    return a.shape == b.shape and np.abs(a - b).max(initial=0) <= tolerance * scale


@pytest.mark.parametrize("modified", [False, True], ids=["plain", "pre, blend, reset"])
@pytest.mark.parametrize(
    ("cell", "dtype"),
    # Not every formula cell is well conditioned: their float32 is certified step by step, not over a sequence.
    [(c, d) for c in [*KERNELS, TwinOnly] for d in TOLERANCES] + [(c, "float64") for c in FORMULAS],
)
def test_as_the_numpy_executor(cell, dtype, modified):
    outputs, gradients = TOLERANCES[dtype]
    for sizes in SIZES if cell not in FORMULAS else [s for s in SIZES if s[0] < 10]:
        layer, x, call, back = problem(cell, *sizes, dtype, modified)
        wide = {name: array.astype("float64") for name, array in layer.params.items()}
        up = lambda tree: {n: a if a.dtype == bool else a.astype("float64") for n, a in tree.items()}  # noqa: E731
        call64 = {n: v if n == "reset" else up(v) for n, v in call.items()}
        tape = reference.forward(layer.cell, wide, x.astype("float64"), **call64, sizes=layer.sizes)
        run = layer(x, **call)
        for kind in ("states", "gates", "emissions"):
            for name, array in getattr(run, kind).items():
                assert close(array, getattr(tape, kind)[name], outputs), (sizes, kind, name)
        truth = reference.backward(tape, back["dy"].astype("float64"), up(back["dfinal"]), up(back["dstates"]))
        found = run.backward(**back, steps=True)
        assert close(found.x, truth.x, gradients), (sizes, "x")
        for kind in ("initial", "params", "pre", "blend", "gates", "states", "emissions"):
            for name, array in getattr(found, kind).items():
                if name not in layer.params.constants:  # which have no gradient in a layer
                    assert close(array, getattr(truth, kind)[name], gradients), (sizes, kind, name)


@pytest.mark.parametrize("cell", CELLS)
def test_backward_again_and_without_a_tape(cell):
    layer, x, call, back = problem(cell, 40, 5, 3, 11, "float32", True)
    run = layer(x, **call)
    first, second = run.backward(**back), run.backward(**back)
    assert np.array_equal(first.params.flat, second.params.flat)
    assert np.array_equal(first.x, second.x)
    bare = layer(x, **call, tape=False)
    assert np.array_equal(bare.y, run.y)
    for state, value in run.final.items():
        assert np.array_equal(bare.final[state], value)


def results(layer, x, call, back):
    run = layer(x, **call)
    grads = run.backward(**back)
    rows = [run.y, *run.states.values(), grads.x, *grads.pre.values(), *grads.blend.values()]
    return rows, [*grads.initial.values()], grads.params.flat


def row(tree, b):
    """Row b alone of per-step arrays (T, B, ...) or per-row arrays (B, width)."""
    if isinstance(tree, dict):
        return {name: row(value, b) for name, value in tree.items()}
    return tree[b : b + 1] if tree.ndim == 2 and tree.dtype != bool else tree[:, b : b + 1]


def piece(call, start, stop):
    """The keyword arguments of a chunk of steps."""
    return {kind: {name: a[start:stop] for name, a in call[kind].items()} for kind in call if kind != "initial"}


@pytest.mark.parametrize("modified", [False, True], ids=["plain", "pre, blend, reset"])
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("cell", CELLS)
def test_a_row_has_the_same_bits_alone(cell, dtype, modified):
    layer, x, call, back = problem(cell, 9, 19, 5, 37, dtype, modified)
    steps, rows, _ = results(layer, x, call, back)
    for b in (0, 7, 18):
        alone_steps, alone_rows, _ = results(layer, row(x, b), row(call, b), row(back, b))
        assert all(np.array_equal(a[:, 0], full[:, b]) for a, full in zip(alone_steps, steps))
        assert all(np.array_equal(a[0], full[b]) for a, full in zip(alone_rows, rows))


@pytest.mark.parametrize("modified", [False, True], ids=["plain", "pre, blend, reset"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before", "peephole"])
def test_a_row_of_a_large_run_has_the_same_bits_alone(cell, modified):
    """Products of a run of more than 2 MB bring near what follows them; those of a row alone do not."""
    layer, x, call, back = problem(cell, 70, 27, 33, 72, "float32", modified)
    assert layer(x, **call)._buffer.nbytes > 2 << 20
    steps, rows, _ = results(layer, x, call, back)
    for b in (0, 9, 26):
        alone_steps, alone_rows, _ = results(layer, row(x, b), row(call, b), row(back, b))
        assert all(np.array_equal(a[:, 0], full[:, b]) for a, full in zip(alone_steps, steps))
        assert all(np.array_equal(a[0], full[b]) for a, full in zip(alone_rows, rows))


@pytest.mark.parametrize("cell", CELLS)
def test_chunks_have_the_same_bits_as_the_whole(cell):
    layer, x, call, _ = problem(cell, 50, 3, 5, 37, "float32", False)
    whole = layer(x, **call)
    states, parts, ends = call["initial"], [], [0, 1, 4, 29, 30, 50]
    for start, stop in itertools.pairwise(ends):
        run = layer(x[start:stop], states, **piece(call, start, stop))
        states = run.final
        parts.append(run.y)
    assert np.array_equal(np.concatenate(parts), whole.y)


# Sizes large enough for a team: rows shared (48), rows that do not divide (37), columns shared (1, 5).
@pytest.mark.parametrize("sizes", [(40, 48, 61, 64), (30, 37, 67, 70), (6, 1, 597, 600), (6, 5, 509, 512)], ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before", "peephole"])
def test_any_number_of_threads_gives_the_same_bits(cell, sizes):
    layer, x, call, back = problem(cell, *sizes, "float32", sizes[1] in (37, 5))
    before, found = pylstm.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            pylstm.set_num_threads(n)
            steps, rows, params = results(layer, x, call, back)
            found.append([*(a.copy() for a in steps), *rows, params])
    finally:
        pylstm.set_num_threads(before)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other))


def test_nan_stays_in_its_row():
    for cell in CELLS:
        layer, x, call, back = problem(cell, 6, 9, 5, 37, "float32", False)
        clean, _, _ = results(layer, x, call, back)
        x[2, 4] = np.nan
        dirty, _, _ = results(layer, x, call, back)
        others = [b for b in range(9) if b != 4]
        assert any(np.isnan(each[2:, 4]).any() for each in dirty[:-1]), cell  # a spike of NaN is none, its potential is
        assert all(np.array_equal(a[:, others], b[:, others]) for a, b in zip(clean, dirty)), cell


LEVEL_SCRIPT = """
import numpy as np, pylstm
from pylstm.plugins import registry
out = {}
for cell in (entry.cell.name for entry in registry().entries() if entry.cell.kernel is not None):
    for dtype in ("float32", "float64"):
        layer = pylstm.Recurrent(cell, 19, 37, dtype=dtype, seed=3)
        x = np.random.default_rng(5).normal(size=(20, 6, 19)).astype(dtype)
        run = layer(x)
        grads = run.backward(np.cos(np.arange(run.y.size)).reshape(run.y.shape).astype(dtype))
        out[f"{cell}.{dtype}.y"], out[f"{cell}.{dtype}.d"] = run.y, grads.params.flat
import sys
np.savez(sys.argv[1], **out)
"""


def test_every_level_agrees(tmp_path):
    """Bits may differ between instruction sets, by rounding only."""
    found = {}
    for level in LEVELS[: LEVELS.index(machine_level()) + 1]:
        path = tmp_path / f"{level}.npz"
        subprocess.run(
            [sys.executable, "-P", "-c", LEVEL_SCRIPT, path], check=True, env={**os.environ, "PYLSTM_CPU": level}
        )
        found[level] = np.load(path)
    base = found.pop("v1")
    for other in found.values():
        for name in base.files:
            outputs, gradients = TOLERANCES[name.split(".")[1]]
            assert close(other[name], base[name], outputs if name.endswith("y") else gradients), name


def test_a_failing_twin_stops_the_run_and_its_error_arrives():
    class Failing(LSTM):
        name = "failing"
        kernel = None

        def forward(z, prev):
            raise ZeroDivisionError("in the hook")

        backward = LSTM.backward

    layer = pylstm.Recurrent(Failing, 2, 3, certified=False)
    with pytest.raises(ZeroDivisionError, match="in the hook"):
        layer(np.ones((4, 2, 2), "float32"))


def test_after_a_fork_the_threads_start_anew():
    script = """
import os, numpy as np, pylstm
pylstm.set_num_threads(2)
layer = pylstm.LSTM(64, 64, seed=0)
x = np.ones((50, 64, 64), "float32")
before = layer(x).y.copy()
pid = os.fork()
if pid == 0:
    os._exit(0 if np.array_equal(layer(x).y, before) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-P", "-W", "ignore", "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_ctrl_c_interrupts_a_long_run(threads):
    script = """
import os, signal, threading, numpy as np, pylstm
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us with SIGINT ignored
layer = pylstm.LSTM(64, 64, seed=0)
x = np.zeros((200_000, 8, 64), "float32")
layer(x[:100])
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    layer(x, tape=False)
    print("finished")
except KeyboardInterrupt:
    print("interrupted")
assert np.isfinite(layer(x[:100]).y).all()
"""
    env = {**os.environ, "PYLSTM_NUM_THREADS": threads}
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, env=env, timeout=60)
    assert done.stdout.strip() == "interrupted", done.stdout + done.stderr
