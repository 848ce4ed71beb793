"""Checkpointed runs: every bit as of the plain run, in the memory of the budget."""

import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm.layers.runs.checkpointed import CheckpointedRun, parse_checkpoint
from pylstm.plugins import registry
from sample_cells import TwinOnly

pytestmark = pytest.mark.once


def problem(cell, T, B, H, dtype, modified, **options):
    """A layer, its input and keyword arguments, and cotangents: random, nothing zero; positive for cells with logs."""
    rng = np.random.default_rng(T + B)
    contract = (registry().get(cell) if isinstance(cell, str) else cell).contract
    sizes = {name: H - 1 for name, default in contract.sizes.items() if default is None}
    layer = pylstm.Recurrent(cell, 3, H, dtype=dtype, seed=1, **options, **sizes)
    states, widths = contract.states, layer.widths

    def draw(*shape):
        return rng.uniform(0.5, 1.5, shape).astype(dtype)

    call = {"initial": {s: draw(B, widths[s]) for s in states}}
    if set(contract.aux) - {"x"}:
        call["aux"] = {name: draw(T, B, widths[name]) for name in contract.aux if name != "x"}
    if modified:
        call["pre"] = {s: draw(T, B, widths[s] if k else 1) for k, s in enumerate(states)}
        call["blend"] = {states[-1]: rng.choice([0.0, 1.0, 0.3], size=(T, B, 1)).astype(dtype)}
        call["reset"] = rng.random((T, B)) < 0.1
    back = {
        "dy": draw(T, B, layer.output_size) - 1,
        "dfinal": {s: draw(B, widths[s]) - 1 for s in states},
        "dstates": {states[-1]: draw(T, B, widths[states[-1]]) - 1},
    }
    return layer, draw(T, B, 3) - 1, call, back


def arrays(run, back):
    """All that comes out of a run and its backward pass, by name."""
    grads = run.backward(**back)
    groups = {"final": run.final, "initial": grads.initial, "params": dict(grads.params)}
    groups |= {kind: getattr(grads, kind) for kind in ("aux", "pre", "blend")}
    found = {f"{kind} {name}": array for kind, group in groups.items() for name, array in group.items()}
    return {name: array.copy() for name, array in (found | {"y": run.y, "x": grads.x}).items()}


def assert_same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype and array.shape == theirs[name].shape
        assert array.tobytes() == theirs[name].tobytes(), name


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"])
def threads(request):
    before = pylstm.get_num_threads()
    pylstm.set_num_threads(request.param)
    yield request.param
    pylstm.set_num_threads(before)


@pytest.mark.parametrize("modified", [False, True], ids=["plain", "pre, blend, reset"])
@pytest.mark.parametrize("cell", registry().names())
def test_the_bits_of_the_plain_run(cell, modified):
    layer, x, call, back = problem(cell, 70, 17, 6, "float32", modified)
    run = layer(x, **call, checkpoint="sqrt")
    assert run.segments == 5 and type(run) is CheckpointedRun
    assert_same_bits(arrays(run, back), arrays(layer(x, **call), back))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru_reset_before", "lstmp"])
@pytest.mark.parametrize(("T", "B", "H"), [(3001, 1, 7), (700, 1, 200), (129, 40, 70)])
def test_sizes_threads_and_budgets(cell, T, B, H, dtype, threads):
    layer, x, call, back = problem(cell, T, B, H, dtype, B > 1)
    plain = layer(x, **call)
    expected = arrays(plain, back)
    counts, least = [], layer(x, **call, checkpoint="sqrt").nbytes
    more = max(0, plain._buffer.nbytes - least)
    for checkpoint in ("sqrt", least + more // 4, least + more // 2):
        run = layer(x, **call, checkpoint=checkpoint)
        assert_same_bits(arrays(run, back), expected)
        assert checkpoint == "sqrt" or run.nbytes <= checkpoint
        counts.append(run.segments)
    assert counts[0] >= counts[1] >= counts[2] > 1
    assert type(layer(x, **call, checkpoint=least + 2 * more + 10**7)) is pylstm.Run


def test_python_hooks():
    layer, x, call, back = problem(TwinOnly, 40, 40, 4, "float64", True)
    assert_same_bits(arrays(layer(x, **call, checkpoint="sqrt"), back), arrays(layer(x, **call), back))


def test_layouts():
    layer = pylstm.LSTM(3, 6, seed=0, batch_first=True)
    rng = np.random.default_rng(0)
    for shape in ((17, 90, 3), (1000, 3)):
        x = rng.normal(size=shape).astype("float32")
        plain, run = layer(x), layer(x, checkpoint="sqrt")
        assert run.segments > 3
        back = {"dy": rng.normal(size=plain.y.shape).astype("float32")}
        assert_same_bits(arrays(run, back), arrays(plain, back))


def test_learned_initial_states():
    layer, x, _, back = problem("peephole", 200, 17, 6, "float32", False, learn_initial=True)
    layer.params["initial_c"] = np.linspace(-1, 1, 6, dtype="float32")
    run = layer(x, checkpoint="sqrt")
    found = arrays(run, back)
    assert_same_bits(found, arrays(layer(x), back))
    np.testing.assert_allclose(found["params initial_c"], found["initial c"].sum(axis=0), rtol=1e-5)


def test_backward_again_whatever_has_changed():
    layer, x, call, back = problem("peephole", 200, 5, 6, "float32", True)
    expected = arrays(layer(x, **call), back)
    run = layer(x, **call, checkpoint="sqrt")
    for array in (x, *call["initial"].values(), *call["pre"].values(), *call["blend"].values(), call["reset"]):
        array[...] = array == 0
    layer.params.flat[...] = 7
    layer(x, checkpoint="sqrt").backward(back["dy"])  # in the workspace of the first
    assert_same_bits(arrays(run, back), expected)
    layer(x, **call, checkpoint="sqrt").backward(back["dy"])  # leaves its weights in the workspace that is used again
    assert_same_bits(arrays(run, back), expected)
    half = {"dy": back["dy"]}
    first, second = arrays(run, half), arrays(run, half)
    assert_same_bits(first, second)
    assert not np.array_equal(first["x"], expected["x"])


def test_results_are_not_to_be_changed_and_live_on():
    layer, x, call, back = problem("gru", 300, 2, 6, "float32", False)
    run = layer(x, **call, checkpoint="sqrt")
    with pytest.raises(ValueError, match="read-only"):
        run.y[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        run.final["h"][0] = 1
    y, final, grads = run.y, run.final["h"], run.backward(**back)
    copies = y.copy(), final.copy(), grads.x.copy()
    del run
    for _ in range(5):
        layer(x + 1, checkpoint="sqrt").backward(**back)
    for ours, theirs in zip((y, final, grads.x), copies):
        assert np.array_equal(ours, theirs)


def test_a_constant_input_is_not_copied():
    layer, x = pylstm.LSTM(3, 4), np.ones((2000, 1, 3), "float32")
    assert not np.shares_memory(layer(x, checkpoint="sqrt")._x, x)
    x.flags.writeable = False
    assert np.shares_memory(layer(x, checkpoint="sqrt")._x, x)
    y = layer(x, checkpoint="sqrt").y
    with pytest.raises(ValueError, match="WRITEABLE"):
        y.flags.writeable = True
    above = pylstm.LSTM(4, 4)
    assert np.shares_memory(above(y, checkpoint="sqrt")._x, y)  # so in a stack
    view = np.ones((2000, 1, 3), "float32")[:]
    view.flags.writeable = False
    assert not np.shares_memory(layer(view, checkpoint="sqrt")._x, view)  # what it is a view of can be changed
    owner = np.ones((2000, 1, 3), "float32")
    view = owner[:]
    owner.flags.writeable = False
    assert view.flags.writeable  # it was made before
    assert not np.shares_memory(layer(view, checkpoint="sqrt")._x, view)


@pytest.mark.parametrize("batch_first", [False, True])
def test_stacks_of_both_directions(batch_first):
    stack = pylstm.GRU(3, 8, 3, bidirectional=True, dropout=0.2, seed=0, batch_first=batch_first)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(9, 220, 3) if batch_first else (220, 9, 3)).astype("float32")
    back = {
        "dy": rng.normal(size=(*x.shape[:2], 16)).astype("float32"),
        "dfinal": {"h": rng.normal(size=(6, 9, 8)).astype("float32")},
    }
    reset = rng.random(x.shape[:2]) < 0.05
    found = []
    for checkpoint in (None, "sqrt", "1 MB"):
        stack.reseed(5)
        run = stack(x, reset=reset, checkpoint=checkpoint)
        grads = run.backward(**back)
        leaves = [leaf for layer in run.layers for leaf in layer.layers]
        assert all((type(leaf) is CheckpointedRun) == (checkpoint is not None) for leaf in leaves)
        if checkpoint == "1 MB":
            assert sum(leaf.nbytes for leaf in leaves) <= 1_000_000
        found.append({"y": run.y, "h": run.final["h"], "x": grads.x, "0": grads.initial["h"], "p": grads.params.flat})
    assert_same_bits(found[1], found[0])
    assert_same_bits(found[2], found[0])


def test_the_least_budget_is_the_least():
    layer = pylstm.LSTM(3, 16, seed=0)
    x = np.ones((30_000, 1, 3), "float32")
    with pytest.raises(ValueError, match=r"a budget of 5,000 bytes for LSTM\(3, 16.* 30000 steps") as info:
        layer(x, checkpoint=5000)
    least = int(str(info.value).split("least possible is ")[1].removesuffix(" bytes").replace(",", ""))
    assert layer(x, checkpoint=least).nbytes == least
    with pytest.raises(ValueError, match="too small"):
        layer(x, checkpoint=least - 1)
    segments = layer(x, checkpoint="sqrt")._segments
    for steps in range(segments._chunk, 30_000, segments._chunk):  # no other cut needs less
        assert segments._nbytes(steps, -(-30_000 // steps)) >= least


@pytest.mark.parametrize(
    ("checkpoint", "expected"),
    [
        ("sqrt", None),
        (1, 1),
        (np.int64(7), 7),
        ("64 MB", 64_000_000),
        ("1.5kib", 1536),
        ("2 GiB", 2**31),
        ("3 B", 3),
        ("7 kB", 7000),
    ],
)
def test_budgets_are_read(checkpoint, expected):
    assert parse_checkpoint(checkpoint) == expected


@pytest.mark.parametrize(
    ("checkpoint", "error", "message"),
    [
        ("cbrt", ValueError, "unknown checkpoint='cbrt': pass \"sqrt\""),
        ("64", ValueError, "unknown checkpoint="),
        ("64 parsec", ValueError, "unknown checkpoint="),
        (0, ValueError, "at least 1 byte, got 0"),
        (-5, ValueError, "at least 1 byte"),
        (True, TypeError, "must be an int or a str, got True"),
        (1.5, TypeError, "must be an int or a str"),
    ],
)
def test_what_is_no_budget(checkpoint, error, message):
    for layer in (pylstm.LSTM(3, 4), pylstm.LSTM(3, 4, 2, bidirectional=True)):
        for x in (np.ones((5, 2, 3), "float32"), np.ones((0, 2, 3), "float32")):
            with pytest.raises(error, match=message):
                layer(x, checkpoint=checkpoint)


def test_what_a_checkpointed_run_has_not():
    layer, x = pylstm.LSTM(3, 4), np.ones((900, 2, 3), "float32")
    with pytest.raises(ValueError, match="checkpoint and lengths cannot be combined"):
        layer(x, lengths=[3, 900], checkpoint="sqrt")
    with pytest.raises(ValueError, match="with tape=False there is nothing to compute again"):
        layer(x, tape=False, checkpoint="sqrt")
    run = layer(x, checkpoint="sqrt")
    for name in ("states", "gates", "emissions", "kept"):
        with pytest.raises(RuntimeError, match=f"{name}: this run was made with checkpoint=..., which keeps only y"):
            getattr(run, name)
    with pytest.raises(ValueError, match="needs a cotangent"):
        run.backward()
    with pytest.raises(ValueError, match=r"dy must have shape \(900, 2, 4\)"):
        run.backward(np.ones((5, 2, 4), "float32"))
    with pytest.raises(TypeError, match="cannot be copied or pickled"):
        pickle.dumps(run)
    assert "segments" in repr(run)


def test_no_steps_and_no_rows():
    layer = pylstm.LSTM(3, 4)
    for T, B in ((0, 2), (5, 0), (0, 0)):
        grads = layer(np.ones((T, B, 3), "float32"), checkpoint="sqrt").backward(np.ones((T, B, 4), "float32"))
        assert grads.x.shape == (T, B, 3) and not grads.params.flat.any()


@pytest.mark.parametrize("checkpoint", ["sqrt", "5 MB"])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(("T", "B", "I", "H"), [(50_000, 1, 4, 16), (4000, 16, 4, 32), (1500, 1, 4, 170)])
def test_peak_of_a_training_step(cell, checkpoint, T, B, I, H):
    layer, other = (pylstm.Recurrent(cell, I, H, seed=0) for _ in range(2))
    x, dy = np.ones((T, B, I), "float32"), np.ones((T, B, H), "float32")
    other(x, checkpoint="sqrt").backward(dy)
    tracemalloc.start()
    try:
        run = layer(x, checkpoint=checkpoint)
        run.backward(dy)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    named = run.y.nbytes + 2 * x.nbytes  # y, the copy of x, dx
    assert 0.97 * run.nbytes < peak - named < 1.01 * run.nbytes + 30_000
    assert checkpoint == "sqrt" or run.nbytes <= parse_checkpoint(checkpoint)


SCRIPT = """
import re, numpy as np, pylstm
peak = lambda: 1024 * int(re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())[1])
layer = pylstm.LSTM({I}, 32, seed=0)
x, dy = (np.random.default_rng(0).standard_normal((1_000_000, 1, n), "float32") for n in ({I}, 32))
x.flags.writeable = False
short = np.ones((3000, 1, {I}), "float32")
layer(short, checkpoint="sqrt").backward(np.ones((3000, 1, 32), "float32"))
before = peak()
run = layer(x, checkpoint={checkpoint!r})
grads = run.backward(dy)
assert np.isfinite(grads.params.flat).all() and np.abs(grads.params["weight_h"]).max() > 0
print(peak() - before, run.y.nbytes + grads.x.nbytes, run.nbytes, run.segments)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("I", "checkpoint"), [(1, "sqrt"), (8, "sqrt"), (1, "4 MB"), (8, "200 MB")])
def test_a_million_steps_in_the_budget(I, checkpoint):
    """The peak is the kernel's of this process: that of `getrusage` begins with the size of pytest."""
    if not Path("/proc/self/status").exists():
        pytest.skip("this machine has no /proc")
    script = SCRIPT.format(I=I, checkpoint=checkpoint)
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    grown, named, nbytes, segments = map(int, done.stdout.split())
    assert segments > 100 and (checkpoint == "sqrt" or nbytes <= parse_checkpoint(checkpoint))
    assert 0.9 * named < grown <= named + nbytes + 3_000_000  # what Python itself and the allocator take
    tape = pylstm.LSTM(I, 32).workspace_bytes(1_000_000, 1)
    assert nbytes < tape / 4 and (checkpoint != "sqrt" or nbytes < tape / 500)
