"""What a run promises whatever the arrays look like: layouts, empty axes, no aliasing, reuse of memory, threads."""

from __future__ import annotations

import copy
import gc
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import pylstm
from pylstm import _core
from pylstm.cells import Cell, sigmoid, tanh
from pylstm.cells.auditing import reference

T, B, I, H = 6, 5, 3, 7
RNG = np.random.default_rng(30)
CELLS = ["lstm", "gru", "gru_reset_before", "peephole", "rnn_tanh"]
DTYPES = ["float32", "float64"]


def draw(*shape, dtype="float32"):
    return RNG.uniform(-1, 1, shape).astype(dtype)


def flatten(run, grads):
    """Everything that comes out of a run, in one list."""
    groups = (run.final, run.states, run.gates, run.emissions, run.kept, grads.initial, grads.params, grads.pre)
    return [run.y, grads.x, *(np.array(array) for group in groups for array in group.values())]


def everything(layer, x, dy, initial=None, **given):
    run = layer(x, initial, **given)
    return [array.copy() for array in flatten(run, run.backward(dy))]


def same(ours, theirs):
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(ours, theirs, strict=True))


def spread(array):
    """The same values at every other place of a larger array, backwards."""
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    wide[..., ::-2] = array
    return wide[..., ::-2]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def unaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)
    out = np.frombuffer(raw.data, array.dtype, array.size, 1).reshape(array.shape)
    out[...] = array
    assert not out.flags.aligned
    return out


LAYOUTS = {
    "spread": spread,
    "read-only": read_only,
    "fortran": np.asfortranarray,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "swapped bytes": lambda a: a.astype(a.dtype.newbyteorder()),
    "unaligned": unaligned,
    "subclass": lambda a: a.view(type("Other", (np.ndarray,), {})),
    "memmap-like": lambda a: np.asarray(memoryview(a)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_any_layout_gives_the_same(layout, dtype, batch_first):
    layer = pylstm.LSTM(I, H, dtype=dtype, seed=0, batch_first=batch_first)
    lay = LAYOUTS[layout]
    x, dy, pre, h = (draw(*shape, dtype=dtype) for shape in ((T, B, I), (T, B, H), (T, B, 1), (T, H)))
    if batch_first:
        h = h[:T]
    h = draw(B if not batch_first else T, H, dtype=dtype)
    expected = everything(layer, x, dy, {"h": h}, pre={"h": pre})
    assert same(everything(layer, lay(x), lay(dy), {"h": lay(h)}, pre={"h": lay(pre)}), expected)
    layer.params.update({name: lay(array.copy()) for name, array in layer.params.items()})
    assert same(everything(layer, x, dy, {"h": h}, pre={"h": pre}), expected)


@pytest.mark.parametrize("tape", [True, False])
def test_the_loop_gets_aligned_arrays(monkeypatch, tape):
    """Some machines trap at a number that is not on an address of its size; those of this test may not."""
    layer, right, found = pylstm.LSTM(I, H, seed=0), _core.forward, []

    def forward(plan, buffer, flat, x, *rest, **options):
        found.append(x.flags.aligned)
        return right(plan, buffer, flat, x, *rest, **options)

    monkeypatch.setattr(_core, "forward", forward)
    layer(unaligned(draw(T, B, I)), tape=tape)
    assert found == [True]


class Unequal(Cell):
    states = ("h",)
    gates = {"s": "x", "a": "x+h"}
    widths = {"s": 1}

    def forward(z, prev):
        return dict(h=prev.h + sigmoid(z.s) * (tanh(z.a) - prev.h))


def test_gates_of_unequal_widths():
    layer, x = pylstm.Recurrent(Unequal, I, H, dtype="float64", seed=0), draw(T, B, I, dtype="float64")
    run, tape = layer(x), reference.forward(Unequal, dict(layer.params), x)
    assert {name: array.shape[-1] for name, array in run.gates.items()} == {"s": 1, "a": H}
    for name, array in tape.gates.items():
        np.testing.assert_allclose(run.gates[name], array, rtol=0, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_steps(cell, dtype):
    layer = pylstm.Recurrent(cell, I, H, dtype=dtype, seed=0)
    first = layer.cell.contract.states[0]
    h, dh = draw(B, H, dtype=dtype), draw(B, H, dtype=dtype)
    for tape in (False, True):
        run = layer(np.empty((0, B, I), dtype), {first: h}, tape=tape)
        assert run.y.shape == (0, B, H) and np.array_equal(run.final[first], h)
    assert run.states[first].shape == (1, B, H)
    grads = run.backward(dfinal={first: dh})
    assert grads.x.shape == (0, B, I)
    assert np.array_equal(grads.initial[first], dh) and not grads.params.flat.any()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_rows(cell, dtype):
    layer = pylstm.Recurrent(cell, I, H, dtype=dtype, seed=0)
    for tape in (False, True):
        run = layer(np.empty((T, 0, I), dtype), tape=tape)
        assert run.y.shape == (T, 0, H) and all(final.shape == (0, H) for final in run.final.values())
    assert all(states.shape == (T + 1, 0, H) for states in run.states.values())
    grads = run.backward(np.empty((T, 0, H), dtype))
    assert grads.x.shape == (T, 0, I) and not grads.params.flat.any()


@pytest.mark.parametrize("cell", CELLS)
def test_nan_stays_in_its_row(cell):
    layer = pylstm.Recurrent(cell, I, H, seed=0)
    first = layer.cell.contract.states[0]
    for rows in (2, 5, 9, 40):
        x, dy, h = draw(T, rows, I), draw(T, rows, H), draw(rows, H)
        run = layer(x, {first: h})
        clean, grads = run.y.copy(), run.backward(dy)
        for bad in (np.nan, np.inf, -np.inf):
            for row in {0, rows // 2, rows - 1}:
                others = np.arange(rows) != row
                wrong_x, wrong_h, wrong_dy = x.copy(), h.copy(), dy.copy()
                wrong_x[2, row, 1] = wrong_h[row, 0] = wrong_dy[3, row, 2] = bad
                run = layer(wrong_x, {first: wrong_h})
                wrong = run.backward(wrong_dy)
                assert np.array_equal(run.y[:, others], clean[:, others])
                assert np.array_equal(wrong.x[:, others], grads.x[:, others])
                assert np.array_equal(wrong.initial[first][others], grads.initial[first][others])
                if np.isnan(bad):
                    assert np.isnan(run.y[2:, row]).any() and np.isnan(wrong.params.flat).any()


@pytest.mark.parametrize("cell", CELLS)
def test_backward_is_of_the_forward_pass(cell):
    layer = pylstm.Recurrent(cell, I, H, seed=0)
    first = layer.cell.contract.states[0]
    given = {"x": draw(T, B, I), "h": draw(B, H), "pre": draw(T, B, 1), "blend": draw(T, B, H)}
    reset, dy = RNG.random((T, B)) < 0.2, draw(T, B, H)
    reset[1, 0] = True

    def call():
        modifiers = {"pre": {first: given["pre"]}, "blend": {first: given["blend"]}, "reset": reset}
        return layer(given["x"], {first: given["h"]}, **modifiers)

    run = call()
    expected = [array.copy() for array in flatten(run, run.backward(dy))]
    assert same(flatten(run, run.backward(dy)), expected)  # twice
    layer.params.flat[...] = draw(layer.params.size)
    for array in given.values():
        array[...] = np.nan
    reset[...] = ~reset
    assert not np.shares_memory(run.y, given["x"])
    assert same(flatten(run, run.backward(dy)), expected)  # after all that went in has changed
    for array in given.values():
        array[...] = 0.5
    run.layer(np.ones((T, B, I), np.float32)).backward(dy)
    assert same(flatten(run, run.backward(dy)), expected)  # after another run of the layer


def test_backward_is_of_the_aux_inputs_of_the_forward_pass():
    layer = pylstm.Recurrent("cfc", I, H, seed=0)
    (name,) = set(layer.cell.contract.aux) - {"x"}
    x, dy, aux = draw(T, B, I), draw(T, B, H), {name: draw(T, B, layer.widths[name]) + 2}
    run = layer(x, aux=aux)
    expected = run.backward(dy).params.flat.copy()
    aux[name][...] = np.nan
    assert same([run.backward(dy).params.flat], [expected])


def test_results_are_read_only_or_the_callers():
    layer, x, h, dy = pylstm.LSTM(I, H, seed=0), draw(T, B, I), draw(B, H), draw(T, B, H)
    run = layer(x, {"h": h})
    tape = [run.y, *run.final.values(), *run.states.values(), *run.gates.values(), *run.kept.values()]
    assert not any(array.flags.writeable for array in tape)
    with pytest.raises(ValueError, match="read-only"):
        run.y[0, 0, 0] = 1
    grads, more = run.backward(dy), run.backward(dy)
    for ours, others in ((grads.x, more.x), (grads.initial["h"], more.initial["h"])):
        assert ours.flags.writeable and not np.shares_memory(ours, others)
    assert not any(np.shares_memory(array, given) for array in (*tape, grads.x) for given in (x, h, dy))
    empty = layer(x[:0], {"h": h})
    assert not np.shares_memory(empty.final["h"], h)
    assert not np.shares_memory(empty.backward(dfinal={"h": h}).initial["h"], h)


@pytest.mark.parametrize("take", ["y", "final", "states", "gates"])
@pytest.mark.parametrize("tape", [True, False])
def test_results_outlive_their_run(take, tape):
    if not tape and take in ("states", "gates"):
        return
    layer = pylstm.LSTM(I, H, seed=0)
    kept = []
    for k in range(8):
        run = layer(draw(T + k % 3, B, I), tape=tape)
        result = getattr(run, take)
        array = result if take == "y" else next(iter(result.values()))
        part = array[-1:]  # a view of a view
        kept.append((part, part.copy()))
        del run, result, array, part
        gc.collect(1)  # what is as young as the run
        layer(draw(T, B, I), tape=tape)
    assert all(np.array_equal(view, value) for view, value in kept)


def test_memory_is_used_again():
    layer, x = pylstm.LSTM(I, 64, seed=0), draw(50, 16, I)
    places = set()
    for _ in range(20):
        run = layer(x)
        places.add(run.y.__array_interface__["data"][0])
        del run
    assert len(places) == 1
    held = [layer(x) for _ in range(6)]
    assert len({run.y.__array_interface__["data"][0] for run in held}) == 6


@pytest.mark.parametrize("cell", ["lstm", "gru_reset_before"])
def test_threads(cell):
    layer = pylstm.Recurrent(cell, I, 24, seed=0)
    inputs = [(draw(20 + k % 5, 4 + k % 7, I), k) for k in range(24)]
    cotangents = [draw(*x.shape[:2], 24) for x, _ in inputs]
    expected = [everything(layer, x, dy) for (x, _), dy in zip(inputs, cotangents)]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(10):
            found = list(pool.map(lambda k: everything(layer, inputs[k][0], cotangents[k]), range(24)))
            assert all(same(ours, theirs) for ours, theirs in zip(found, expected))


def test_threads_on_one_run():
    layer, x = pylstm.LSTM(8, 32, seed=0), draw(60, 16, 8)
    run = layer(x)
    cotangents = [draw(60, 16, 32) for _ in range(6)]
    expected = [run.backward(dy).params.flat for dy in cotangents]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(30):
            found = list(pool.map(lambda dy: run.backward(dy).params.flat, cotangents))
            assert same(found, expected)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("copy_of", [copy.deepcopy, copy.copy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_of_layers(cell, copy_of):
    layer = pylstm.Recurrent(cell, I, H, seed=0, batch_first=True, bias=False)
    x, dy = draw(B, T, I), draw(B, T, H)
    expected = everything(layer, x, dy)
    other = copy_of(layer)
    assert repr(other) == repr(layer) and other.batch_first
    assert same(everything(other, x, dy), expected)
    other.params["weight_x"][...] = 0.25
    assert same(everything(layer, x, dy), expected)  # whichever way, its parameters are its own
    assert np.array_equal(other.params.flat[: other.params["weight_x"].size], other.params["weight_x"].ravel())


def test_runs_are_not_copied():
    run = pylstm.GRU(I, H, seed=0)(draw(T, B, I))
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="take its arrays, or pickle the layer"):
            make(run)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_run_unpacked_like_torchs_pair_says_where_things_are(layers):
    with pytest.raises(TypeError, match=r"run\.y is the output, run\.final"):
        _y, (_h, _c) = pylstm.LSTM(2, 3, layers)(np.ones((4, 1, 2), "float32"))
