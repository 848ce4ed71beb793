"""Few rows of an elementwise cell, whose units threads share: who does what, and the bits of one thread."""

import itertools
import time

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, Stage, sigmoid, tanh
from pylstm.layers.named import Recurrent
from pylstm.plugins import registry

FROM_X = 0
DTYPES = ("float32", "float64")

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("same_number_of_threads")]


class TwoStages(Cell):
    """A gate without x, a parameter, an emission that feeds the next stage, two states with products of their own."""

    states = ("h", "c")
    gates = {"a": "h", "b": "x+c", "n": "x+e"}
    params = ("p",)
    stages = (Stage("first", gates=("a", "b"), emits=("e",)), Stage("last", gates=("n",)))

    def forward_first(z, prev):
        return {"e": sigmoid(z.a) * prev.c + tanh(z.b)}

    def forward_last(z, prev, e, p):
        return {"h": tanh(z.n) * sigmoid(e.e), "c": 0.5 * prev.c + p.p * e.e}


def shares_units(cell):
    contract = cell.contract
    if not contract.elementwise or None in contract.sizes.values():
        return False
    widths = contract.resolve(96, 132)
    return {widths[name] for names in contract.blocks.values() for name in names} == {132}


ELEMENTWISE = [entry.cell for entry in registry().entries() if shares_units(entry.cell)]


def layer_and_steps(cell, dtype, B, threads, *sizes):
    """A layer of which threads share the units, and the steps of a run that is long enough for it."""
    for H in sizes:
        layer = Recurrent(cell, H, H, dtype=dtype, seed=0)
        for T in (80, 160, 320, 640, 1280):
            plan = layer._core.plan(T, B, True, 0, 0, threads)
            if plan.units and plan.threads == threads:
                assert plan.columns
                return layer, T
    raise AssertionError(f"threads never share the units of {cell.name}")


def problem(layer, T, B):
    rng = np.random.default_rng(0)
    contract, w, dtype = layer.cell.contract, layer.widths, layer.dtype

    def draw(*shape):
        return (rng.uniform(0.2, 1, shape) * rng.choice([-1, 1], shape)).astype(dtype)

    given = {"initial": {name: draw(B, w[name]) / 2 for name in contract.states}}
    aux = {name: abs(draw(T, B, w[name])) for name in contract.aux if name != "x"}
    if aux:
        given["aux"] = aux
    back = {"dy": draw(T, B, layer.output_size), "dfinal": {n: draw(B, w[n]) for n in contract.states}}
    back["dstates"] = {name: draw(T, B, w[name]) for name in contract.states}
    return draw(T, B, layer.input_size), given, back


def bits(layer, x, given, back, **options):
    run = layer(x, **given, **options)
    grads = run.backward(**back, steps=True)
    arrays = [run.y, *run.final.values(), grads.x, *grads.initial.values(), grads.params.flat]
    arrays += [grads.aux[name] for name in sorted(grads.aux or ())]
    arrays += [*grads.gates.values(), *grads.states.values(), *grads.emissions.values()]
    free = layer(x, **given, tape=False)
    arrays += [free.y, *free.final.values()]
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def check(layer, T, B, counts, **options):
    arguments = problem(layer, T, B)
    pylstm.set_num_threads(1)
    expected = bits(layer, *arguments, **options)
    assert all(np.isfinite(np.frombuffer(each, layer.dtype)).all() for each in expected)
    for threads in counts:
        pylstm.set_num_threads(threads)
        assert bits(layer, *arguments, **options) == expected, f"{threads} threads"


def test_most_cells_are_elementwise():
    names = {cell.name for cell in ELEMENTWISE}
    assert {"lstm", "gru", "gru_reset_before", "peephole", "rnn_tanh", "mingru", "sru", "slstm"} <= names


@pytest.mark.parametrize("cell", [TwoStages, *ELEMENTWISE], ids=lambda cell: cell.name)
def test_same_bits(cell):
    dtype, B = DTYPES[sum(map(ord, cell.name)) % 2], 1 + sum(map(ord, cell.name)) % 3
    layer, T = layer_and_steps(cell, dtype, B, 3, 200, 312, 456)
    check(layer, T, B, (2, 3, 4))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("H", [96, 132])
@pytest.mark.parametrize("B", [2, 5, 11, 40])
@pytest.mark.parametrize("cell", ["mingru", "sru"])
def test_cells_without_recurrent_products(cell, B, H, dtype):
    """They never meet in a step, whatever the number of rows."""
    layer, T = layer_and_steps(cell, dtype, B, 2, H)
    check(layer, T, B, (2, 3))
    x = problem(layer, T, B)[0]
    alone = layer(np.ascontiguousarray(x[:, 1:2])).y
    assert alone.tobytes() == np.ascontiguousarray(layer(x).y[:, 1:2]).tobytes()


@pytest.mark.parametrize("cell", [TwoStages, "lstm", "mingru"])
def test_segments_and_call_after_call(cell):
    layer, T = layer_and_steps(cell, "float32", 2, 3, 136)
    for budget in ("sqrt", max(layer.workspace_bytes(8 * T, 2) * 3 // 4, 4_500_000)):  # the last segment is a short one
        check(layer, 8 * T, 2, (2, 3), checkpoint=budget)
    for _ in range(4):
        check(layer, T, 2, (2, 3))


def test_stacks_and_both_directions():
    net = pylstm.LSTM(128, 128, num_layers=2, bidirectional=True, seed=0)
    x = np.random.default_rng(0).normal(size=(200, 2, 128)).astype("float32")
    found = []
    for threads in (1, 2, 3):
        pylstm.set_num_threads(threads)
        run = net(x)
        grads = run.backward(np.ones_like(run.y))
        found.append([run.y.tobytes(), grads.x.tobytes(), *(grads.params[name].tobytes() for name in grads.params)])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("threads", [2, 3, 4])
@pytest.mark.parametrize("cell", [TwoStages, "lstm", "peephole", "mingru"])
def test_every_unit_has_one_owner(cell, threads):
    """In every gate, and of every source backward; no two threads write to one cache line of a row."""
    layer, T = layer_and_steps(cell, "float32", 2, threads, 200)
    plan = layer._core.plan(T, 2, True, 0, 0, threads)
    start = plan.parts()[0][-1][0][0][0]
    ranges = [(pieces[0][0] - start, pieces[0][1]) for pieces in plan.parts()[0][-1]]
    assert sum(n for _, n in ranges) == 200 and all(first % 16 == 0 and n > 0 for first, n in ranges)
    for source, *_, parts in plan.parts(back=True):
        assert source == FROM_X or [(first, n) for [(first, n, _)] in parts] == ranges
    for *_, parts in plan.parts():
        gates = len(parts[0])
        start = parts[0][0][0]
        for (first, n), pieces in zip(ranges, parts):
            assert [(at - start, size) for at, size, _ in pieces] == [(first + 200 * g, n) for g in range(gates)]
    packed = [(at, n) for *_, parts in plan.parts() for pieces in parts for _, n, at in pieces]
    assert all(after >= at + n for (at, n), (after, _) in itertools.pairwise(packed))


@pytest.mark.parametrize("dtype", DTYPES)
def test_without_a_tape_threads_write_pages_apart(dtype):
    layer, T = layer_and_steps(pylstm.LSTM(1, 1).cell, dtype, 2, 2, 64)
    plan, taped = (layer._core.plan(T, 2, tape, 0, 0, 2) for tape in (False, True))
    z, c, kept = plan.offset("z"), plan.offset("states", 1), plan.offset("keep")
    first, last = min(z, c, kept), max(z, c, kept)
    assert plan.units and plan.apart >= last - first + 4096 and plan.apart % 4096 == 0
    assert last + plan.apart < plan.nbytes
    assert plan.offset("states", 0) < first  # of the output all threads read all
    assert taped.apart == 0


@pytest.mark.parametrize("threads", [2, 3])
def test_shares_that_another_thread_begins(threads):
    layer, T = layer_and_steps(pylstm.LSTM(1, 1).cell, "float32", 2, threads, 64, 96)
    x, given, _ = problem(layer, T, 2)
    pylstm.set_num_threads(1)
    expected = layer(x, **given, tape=False)
    expected = [array.copy() for array in (expected.y, *expected.final.values())]
    pylstm.set_num_threads(threads)
    for _ in range(5):
        time.sleep(0.02)  # the others fall asleep: thread 0 does the first steps for all
        run = layer(x, **given, tape=False)
        for array, wanted in zip((run.y, *run.final.values()), expected, strict=True):
            np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize(
    "given",
    [
        lambda T, B: {"reset": np.arange(T * B).reshape(T, B) % 7 == 3},
        lambda T, B: {"blend": {"c": np.full((T, B, 1), 0.5, "float32")}},
        lambda T, B: {"lengths": np.arange(B) * 10 + T - 20},
    ],
)
def test_what_needs_whole_rows_shares_columns(given):
    layer, (T, B) = pylstm.LSTM(128, 128, seed=0), (60, 3)
    x, found = np.random.default_rng(0).normal(size=(T, B, 128)).astype("float32"), []
    for threads in (1, 2, 3):
        pylstm.set_num_threads(threads)
        run = layer(x, **given(T, B))
        grads = run.backward(np.ones_like(run.y))
        found.append([run.y.tobytes(), grads.x.tobytes(), grads.params.flat.tobytes()])
    assert found[0] == found[1] == found[2]


def test_a_hand_written_kernel_shares_columns_unless_it_says_otherwise():
    class Same(pylstm.cells.LSTM):
        kernel = pylstm.cells.LSTM.kernel

    class Says(pylstm.cells.LSTM):
        kernel, elementwise = pylstm.cells.LSTM.kernel, True

    plans = [Recurrent(cell, 256, 256)._core.plan(80, 1, True, 0, 0, 2) for cell in (Same, Says)]
    assert [(plan.columns, plan.units) for plan in plans] == [(True, False), (True, True)]
