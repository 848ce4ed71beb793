"""Rows of different lengths, over many chunks and in threads: the bits of every row are those of the row alone."""

import itertools

import numpy as np
import pytest

import pylstm
import sample_cells as samples
from pylstm.cells import Cell, tanh
from pylstm.cells.functions import dtanh_from_y
from pylstm.engine import packing as _packing
from pylstm.layers.named import Recurrent
from pylstm.plugins import registry

pytestmark = pytest.mark.once

T, B, I, H = 60, 45, 7, 20
LENGTHS = np.random.default_rng(0).integers(0, T - 1, B)
LENGTHS[[3, 7, 40]] = 0, T - 2, T - 2  # two end last, and nobody has the last two steps
KERNELS = [entry.cell.name for entry in registry().entries() if entry.cell.kernel is not None]
CELLS = [*KERNELS, "mgu", samples.Everything, samples.Chain]  # compiled, on the expression machine, in Python


def draw(seed, *shape, dtype="f8"):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)


def problem(cell, dtype, modifiers):
    """A layer, and the arguments of a call and of its backward pass, by kind."""
    layer = Recurrent(cell, I, H, dtype=dtype, seed=0)
    states, w = layer.cell.contract.states, layer.widths
    x = draw(1, T, B, I, dtype=dtype)
    given = {"initial": {name: draw(2 + k, B, w[name], dtype=dtype) / 5 for k, name in enumerate(states)}}
    aux = {n: draw(9 + k, T, B, w[n], dtype=dtype) / 5 for k, n in enumerate(layer.cell.contract.aux) if n != "x"}
    if aux:
        given["aux"] = aux
    if modifiers:
        given["reset"] = np.random.default_rng(5).random((T, B)) < 0.1
        given["pre"] = {name: draw(6 + k, T, B, w[name], dtype=dtype) for k, name in enumerate(states)}
        given["blend"] = {states[-1]: draw(8, T, B, 1, dtype=dtype)}
    back = {
        "dy": draw(20, T, B, layer.output_size, dtype=dtype),
        "dfinal": {name: draw(21 + k, B, w[name], dtype=dtype) for k, name in enumerate(states)},
        "dstates": {states[-1]: draw(25, T, B, w[states[-1]], dtype=dtype)},
    }
    return layer, x, given, back


def of_row(values, row, length):
    """What of the arguments belongs to a row."""
    if isinstance(values, dict):
        return {name: of_row(each, row, length) for name, each in values.items()}
    return values[:length, row : row + 1] if values.shape[:2] == (T, B) else values[row : row + 1]


def same(ours, alone, row, length):
    """The row's part has the same bits, and nothing stands beyond its end."""
    if isinstance(alone, dict):
        assert ours.keys() == alone.keys()
        for name in alone:
            same(ours[name], alone[name], row, length)
    elif ours.ndim == 2:
        np.testing.assert_array_equal(ours[row], alone[0])
    else:
        end = len(alone)
        assert end in (length, length + 1)
        np.testing.assert_array_equal(ours[:end, row], alone[:, 0])
        assert not ours[end:, row].any()


@pytest.mark.parametrize("modifiers", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_every_row_has_the_bits_of_the_row_alone(cell, dtype, modifiers):
    layer, x, given, back = problem(cell, dtype, modifiers)
    run = layer(x, **given, lengths=LENGTHS)
    grads = run.backward(**back)
    brief = layer(x, **given, lengths=LENGTHS, tape=False)
    np.testing.assert_array_equal(brief.y, run.y)
    total = layer.params.zeros_like()
    for row, length in enumerate(LENGTHS):
        one = layer(x[:length, row : row + 1], **of_row(given, row, length))
        alone = one.backward(**of_row(back, row, length))
        for kind in ("y", "final", "states", "gates", "emissions", "kept"):
            same(getattr(run, kind), getattr(one, kind), row, length)
        same(brief.final, one.final, row, length)
        for kind in ("x", "initial", "aux", "pre", "blend"):
            same(getattr(grads, kind), getattr(alone, kind), row, length)
        total.flat[...] += alone.params.flat
    tolerance = 1e-11 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(grads.params.flat, total.flat, rtol=0, atol=tolerance * np.abs(total.flat).max())


@pytest.mark.parametrize("rows", [9, 16, 45])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "gru_reset_before"])
def test_threads_change_no_bit(cell, rows):
    layer = Recurrent(cell, 64, 96, seed=0)
    lengths = np.random.default_rng(1).integers(0, T, rows)
    x, dy = draw(1, T, rows, 64, dtype="f4"), draw(2, T, rows, 96, dtype="f4")
    before, found = pylstm.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            pylstm.set_num_threads(threads)
            run = layer(x, lengths=lengths)
            grads = run.backward(dy)
            brief = layer(x, lengths=lengths, tape=False)
            found.append([run.y, *run.final.values(), brief.y, *brief.final.values(), grads.x, grads.params.flat])
    finally:
        pylstm.set_num_threads(before)
    for arrays in found[1:]:
        for one, several in zip(found[0], arrays):
            np.testing.assert_array_equal(one, several)


def test_few_wide_rows_in_threads():
    """So few rows that the threads share the columns of the products."""
    layer = Recurrent("lstm", 64, 384, seed=0)
    x, dy, lengths = draw(1, 12, 4, 64, dtype="f4"), draw(2, 12, 4, 384, dtype="f4"), [5, 11, 0, 7]
    before, found = pylstm.get_num_threads(), []
    try:
        for threads in (1, 2):
            pylstm.set_num_threads(threads)
            run = layer(x, lengths=lengths)
            grads = run.backward(dy)
            found.append([run.y, run.final["c"], layer(x, lengths=lengths, tape=False).y, grads.x, grads.params.flat])
    finally:
        pylstm.set_num_threads(before)
    for one, several in zip(*found):
        np.testing.assert_array_equal(one, several)


class Counted(Cell):
    """Counts the rows of its steps."""

    states = ("h",)
    gates = {"a": "x+h"}
    seen = {"forward": [], "backward": []}

    def forward(z):
        Counted.seen["forward"].append(len(z.a))
        return dict(h=tanh(z.a))

    def backward(d, y):
        Counted.seen["backward"].append(len(d.h))
        return dict(a=d.h * dtanh_from_y(y.h))


def test_no_row_is_computed_beyond_its_end():
    layer = Recurrent(Counted, I, H, seed=0)
    run = layer(np.zeros((8, 5, I), "f4"), lengths=[3, 7, 7, 0, 5])
    assert Counted.seen["forward"][-7:] == [4, 4, 4, 3, 3, 2, 2]
    run.backward(run.y)
    assert Counted.seen["backward"][-7:] == [2, 2, 3, 3, 4, 4, 4]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_resets_of_ragged_rows(bidirectional, batch_first):
    """Each part of a row is as if it had been run alone, in both directions."""
    layer = pylstm.GRU(I, H, bidirectional=bidirectional, batch_first=batch_first, dtype="float64", seed=0)

    def turn(array):
        return array.swapaxes(0, 1) if batch_first else array

    x, dy = draw(1, 9, 3, I), draw(2, 9, 3, layer.output_size)
    lengths, reset = [5, 9, 8], np.zeros((9, 3), bool)
    reset[2, 0] = reset[[3, 7], 1] = reset[0, 2] = reset[8, 2] = reset[7, 0] = True  # the last two: beyond or at an end
    run = layer(turn(x), lengths=lengths, reset=turn(reset))
    grads = run.backward(turn(dy))
    for row, borders in enumerate([(0, 2, 5), (0, 3, 7, 9), (0, 8)]):
        for first, last in itertools.pairwise(borders):
            part = np.s_[first:last, row : row + 1]
            one = layer(turn(x[part]))
            np.testing.assert_array_equal(turn(run.y)[part], turn(one.y))
            np.testing.assert_array_equal(turn(grads.x)[part], turn(one.backward(turn(dy[part])).x))


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("T_given", [6, 9])
def test_equal_lengths_are_a_batch_like_any_other(T_given, batch_first):
    layer = pylstm.LSTM(I, H, batch_first=batch_first, seed=0)

    def turn(array):
        return array.swapaxes(0, 1) if batch_first else array

    x, dy = draw(1, T_given, 4, I, dtype="f4"), draw(2, T_given, 4, H, dtype="f4")
    run, one = layer(turn(x), lengths=[6] * 4), layer(turn(x[:6]))
    grads, alone = run.backward(turn(dy)), one.backward(turn(dy[:6]))
    np.testing.assert_array_equal(turn(run.y)[:6], turn(one.y))
    np.testing.assert_array_equal(turn(run.states["c"])[:7], turn(one.states["c"]))
    np.testing.assert_array_equal(turn(grads.x)[:6], turn(alone.x))
    np.testing.assert_array_equal(grads.params.flat, alone.params.flat)
    assert turn(run.y).shape == (T_given, 4, H) and turn(run.states["c"]).shape == (T_given + 1, 4, H)
    assert not turn(run.y)[6:].any() and not turn(grads.x)[6:].any()


def test_arrays_of_any_strides():
    layer = Recurrent("lstm", I, H, seed=0)
    wide, lengths = draw(1, 2 * T, B, 2 * I, dtype="f4"), LENGTHS
    run = layer(np.ascontiguousarray(wide[::-2, :, :I]), lengths=lengths)
    dy = np.broadcast_to(draw(2, H, dtype="f4"), run.y.shape)
    grads = run.backward(np.ascontiguousarray(dy))
    for x in (wide[::-2, :, :I], np.asfortranarray(wide[::-2, :, :I])):
        again = layer(x, lengths=lengths)
        np.testing.assert_array_equal(again.y, run.y)
        np.testing.assert_array_equal(again.backward(dy).x, grads.x)
    flat = np.broadcast_to(np.float32(0.5), run.y.shape)  # no stride is not 0
    np.testing.assert_array_equal(run.backward(flat).x, run.backward(flat.copy()).x)


def test_unpacking_clears_what_a_row_does_not_have():
    order, counts = np.array([2, 0, 1]), np.array([3, 1])
    packed, out = np.arange(1.0, 9.0).reshape(4, 2), np.full((3, 3, 2), np.nan)
    _packing.unpack_rows(packed, order, counts, out)
    np.testing.assert_array_equal(out[0], packed[[1, 2, 0]])
    np.testing.assert_array_equal(out[1], [[0, 0], [0, 0], packed[3]])
    assert not out[2].any()


def test_chunks_of_ragged_rows_are_no_larger_than_others():
    """Two steps of 100 rows are two chunks; without a tape a workspace holds the gates of one."""
    core, size = Recurrent("lstm", I, H)._core, 4
    one = core.plan(1, 100, False, counts=np.array([100])).nbytes
    two = core.plan(2, 100, False, counts=np.array([100, 99])).nbytes
    assert two - one <= size * (99 * I + 99 * H + 100 * H) + 64 * 20  # x, h, y; each array on a line of its own


def test_what_does_not_fit_is_refused_before_the_loop():
    core = Recurrent("lstm", I, H)._core
    with pytest.raises(ValueError, match="step 1 has 5 rows, the one before 4"):
        core.plan(2, 4, counts=np.array([4, 5]))
    with pytest.raises(ValueError, match="step 1 has 0 rows"):
        core.plan(2, 4, counts=np.array([4, 0]))
    with pytest.raises(ValueError, match="1 counts for 2 steps"):
        core.plan(2, 4, counts=np.array([4]))
    order, counts = np.array([1, 0]), np.array([2, 1])
    with pytest.raises(ValueError, match="a row has 3 of 2 steps"):
        _packing.sort_rows(np.array([3, 1]), order.copy(), order.copy(), counts.copy())
    for bad_order, bad_counts, rows in ((order + 1, counts, 3), (order, counts + 1, 5), (order, counts, 4)):
        with pytest.raises(ValueError, match="order and counts do not fit 2 steps of 2 rows"):
            _packing.pack_rows(np.zeros((2, 2, 3)), bad_order, bad_counts, np.zeros((rows, 3)))
        with pytest.raises(ValueError, match="order and counts do not fit 2 steps of 2 rows"):
            _packing.unpack_rows(np.zeros((rows, 3)), bad_order, bad_counts, np.zeros((2, 2, 3)))
