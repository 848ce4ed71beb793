"""Few rows, of which threads share the columns of every product: the bits of one thread, for any contract."""

import itertools
import os

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, Stage, sigmoid, tanh
from pylstm.layers.named import Recurrent
from pylstm.plugins import registry

FROM_X = 0
DTYPES = ("float32", "float64")

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("same_number_of_threads")]


# --- cells ---------------------------------------------------------------------------------------------------------


class SeesCell(Cell):
    """An LSTM of which two gates see the cell through a matrix."""

    states = ("h", "c")
    gates = {"i": "x+h+c", "f": "x+h+c", "g": "x+h", "o": "x+h"}

    def forward(z, prev):
        c = sigmoid(z.f) * prev.c + sigmoid(z.i) * tanh(z.g)
        return dict(h=sigmoid(z.o) * tanh(c), c=c)


class ThreeStates(Cell):
    """Products of three widths that cover the same columns."""

    states = ("s", "a", "b")
    gates = {"k": "x+a", "l": "x+a+b", "m": "b+s", "n": "x+s"}

    def forward(z, prev):
        a = 0.5 * prev.a + tanh(z.k)
        return dict(s=sigmoid(z.n) * tanh(a) + 0.3 * prev.s, a=a, b=tanh(z.l) * sigmoid(z.m))


def random_cell(seed):
    """One to four states of two widths, one to three stages; sources, their gates and the order of these are drawn."""
    rng = np.random.default_rng(seed)
    states = dict.fromkeys("abcd"[: rng.integers(1, 5)])
    for name in states:
        states[name] = rng.choice(["hidden_size", "other_size"]) if name != "a" else "hidden_size"
    widths, gates, stages, available = dict(states), {}, [], list(states)
    param = {"p": states["a"]} if rng.random() < 0.4 else {}
    for j in range(rng.integers(1, 4)):
        own, used = [], sorted(set(states.values()))
        for width, _ in itertools.product(used, range(rng.integers(1, 4))):
            name = f"z{j}{len(own)}"
            some = rng.permutation(available)[: rng.integers(1, len(available) + 1)]
            first = ["a"] if not gates and "a" not in some else []
            gates[name] = "+".join([*(["x"] if rng.random() < 0.7 else []), *first, *some])
            widths[name] = width
            own.append(name)
        emitted = {f"e{j}{k}": width for k, width in enumerate(used)}
        stages.append((tuple(own), emitted))
        available += emitted
        widths |= emitted
    widths |= param
    declared = [Stage(f"s{j}", own, tuple(emitted)) for j, (own, emitted) in enumerate(stages[:-1])]
    declared.append(Stage("last", stages[-1][0]))
    widths = {name: width for name, width in widths.items() if name not in stages[-1][1]}
    order = [str(name) for name in rng.permutation(list(gates))]
    hooks = {f"forward_{s.name}": hook(s, widths, states, param) for s in declared}
    namespace = dict(
        states=tuple(states), gates={name: gates[name] for name in order}, stages=tuple(declared), widths=widths,
        sizes={"other_size": 40}, params=tuple(param), name=f"random{seed}",
    )  # fmt: skip
    return type(f"Random{seed}", (Cell,), namespace | hooks)


def hook(stage, widths, states, param):
    """All gates, previous states, emissions and parameters of a width, in every value of that width."""

    def mixed(name, z, prev, e, p):
        width, total, factor = widths[name], 0.1, 0.9
        for k, gate in enumerate(g for g in stage.gates if widths[g] == width):
            total = total + (0.7 - 0.3 * k) * z(gate)
            factor = factor * (1.1 - 0.4 * sigmoid(z(gate)))
        for state in (s for s in states if states[s] == width):
            total = total + (0.6 if state == name else 0.2) * prev(state)
        for emission in (n for n in e.names if widths[n] == width):
            total = total + 0.4 * e(emission)
        for each in (n for n in param if widths[n] == width):
            total = total * (1 + 0.3 * p(each))
        return factor * tanh(total)

    def forward(z, prev, e, p):
        spaces = [lambda name, space=space: getattr(space, name) for space in (z, prev, e, p)]
        earlier = [n for n in widths if n[0] == "e" and n[1:2] != stage.name[1:2]]
        spaces[2].names = [n for n in earlier if stage.name == "last" or n[1] < stage.name[1]]
        return {name: mixed(name, *spaces) for name in stage.emits or states}

    return forward


def by_columns(cell):
    """The same cell, of which threads share whole products only: the units of others are in test_thread_units.py."""
    return type(Cell)(cell.__name__, (cell,), {"name": cell.name, "elementwise": False})


# --- runs ----------------------------------------------------------------------------------------------------------


def draw(rng, dtype, *shape):
    return (rng.uniform(0.2, 1, shape) * rng.choice([-1, 1], shape)).astype(dtype)


STEPS = 12


def wide_layer(cell, dtype, B, threads, sizes):
    """The narrowest of some layers whose runs of B rows share columns among so many threads; None: no layer does.

    With one row or two, narrow products have narrower panels than wide ones."""
    cell = by_columns(cell)
    for H in sizes:
        options = {name: H // 2 + 7 if B > 2 else 11 for name in cell.contract.sizes}
        layer = Recurrent(cell, 33, H, dtype=dtype, seed=0, certified=False, **options)
        plan = layer._core.plan(STEPS, B, True, 0, 0, threads)
        if plan.columns and plan.threads == threads:
            return layer
        if all(source == FROM_X for source, *_ in plan.parts()):
            break
    return None


def problem(layer, rng, T, B, *, modifiers=False, ragged=False):
    """Arguments of a call and of its backward pass; nothing in them is 0."""
    contract, w, dtype = layer.cell.contract, layer.widths, layer.dtype
    given = {"initial": {name: draw(rng, dtype, B, w[name]) / 2 for name in contract.states}}
    aux = {name: abs(draw(rng, dtype, T, B, w[name])) for name in contract.aux if name != "x"}
    if aux:
        given["aux"] = aux
    if modifiers:
        given["reset"] = rng.random((T, B)) < 0.2
        given["pre"] = {name: draw(rng, dtype, T, B, w[name]) for name in contract.states[1:]}
        given["blend"] = {contract.states[-1]: abs(draw(rng, dtype, T, B, 1))}
    if ragged:
        given["lengths"] = rng.integers(1, T + 1, B)
    x = draw(rng, dtype, T, B, layer.input_size)
    dy, dfinal = draw(rng, dtype, T, B, layer.output_size), {n: draw(rng, dtype, B, w[n]) for n in contract.states}
    return (x, given), dict(dy=dy, dfinal=dfinal)


def bits(layer, call, back, **options):
    """All that a run and its backward pass compute, in bytes."""
    run = layer(call[0], **call[1], **options)
    grads = run.backward(**back)
    arrays = [run.y, *run.final.values(), grads.x, *grads.initial.values(), grads.params.flat]
    for more in (grads.aux, grads.pre, grads.blend):
        arrays += [more[name] for name in sorted(more or ())]
    return [array.tobytes() for array in arrays]


def check_bits(layer, call, back, counts, times, **options):
    """So many calls nightly; of a commit, which comes after many others, a fourth."""
    times = times if os.environ.get("PYLSTM_NIGHTLY") == "1" else -(-times // 4)
    pylstm.set_num_threads(1)
    expected = bits(layer, call, back, **options)
    for threads in counts:
        pylstm.set_num_threads(threads)
        different = sum(bits(layer, call, back, **options) != expected for _ in range(times))
        assert different == 0, f"{different} of {times} calls differ with {threads} threads"


@pytest.mark.parametrize(
    ("cell", "sizes", "B", "threads"),
    [
        ("lstm_fgr", (33, 64), 16, 2),
        ("lmu", (33, 500), 2, 3),
        (SeesCell, (33, 230), 2, 2),
        (ThreeStates, (33, 250), 2, 2),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_products_that_overlap(cell, sizes, B, threads, dtype):
    cell = by_columns(registry().get(cell) if isinstance(cell, str) else cell)
    layer = Recurrent(cell, *sizes, dtype=dtype, seed=0)
    assert (plan := layer._core.plan(STEPS, B, True, 0, 0, threads)).columns and plan.threads == threads
    check_bits(layer, *problem(layer, np.random.default_rng(1), STEPS, B), [threads], 20)


@pytest.mark.parametrize("seed", range(20))
def test_any_contract(seed):
    rng = np.random.default_rng(seed)
    cell, dtype, T = random_cell(seed), DTYPES[seed % 2], STEPS + int(rng.integers(0, 3))
    B = int(rng.integers(3, 17) if seed % 3 and cell.params else rng.integers(1, 3))
    layer = wide_layer(cell, dtype, B, 2, range(48 + seed, 900, 8))
    assert layer is not None
    modifiers, ragged = seed % 4 == 1, seed % 5 == 2
    call, back = problem(layer, rng, T, B, modifiers=modifiers, ragged=ragged)
    check_bits(layer, call, back, [2, 3, *([4] if seed % 4 == 0 else [])], 16)


@pytest.mark.parametrize("cell", [entry.cell for entry in registry().entries()], ids=lambda cell: cell.name)
def test_registered_cells(cell):
    dtype, B = DTYPES[sum(map(ord, cell.name)) % 2], 16 if cell.params else 2
    layer = wide_layer(cell, dtype, B, 3, (64, 100, 180, 260, 420))
    if layer is not None:
        check_bits(layer, *problem(layer, np.random.default_rng(0), STEPS, B), [2, 3], 3)


def test_segments():
    """Those without a tape use the weights that the first has packed."""
    layer = wide_layer(ThreeStates, "float32", 2, 3, range(65, 500, 5))
    call, back = problem(layer, np.random.default_rng(2), 150, 2, modifiers=True)
    plain = bits(layer, call, back)
    check_bits(layer, call, back, [3], 3, checkpoint="sqrt")
    assert bits(layer, call, back, checkpoint="sqrt") == plain


# --- who adds to which column --------------------------------------------------------------------------------------


def owners(products, size, groups):
    """Thread of each column of each group, -1 where no product adds; it fails where two threads add to one column."""
    found = {}
    for product, group in zip(products, groups):
        owner = found.setdefault(group, np.full(size, -1))
        for thread, first, n, _ in runs(product[-1]):
            assert n >= 0
            assert np.isin(owner[first : first + n], (-1, thread)).all(), f"two threads add to a column of {group}"
            owner[first : first + n] = thread
    return found


def runs(parts):
    """(thread, first, n, packed) of each run of columns of a product."""
    return [(thread, *run) for thread, part in enumerate(parts) for run in part]


def check_room(products, terms, itemsize):
    """Packed weights of the threads lie on cache lines of their own."""
    end = 0
    for (*_, parts), K in zip(products, terms):
        for _, _, n, packed in runs(parts):
            assert packed >= end and packed * itemsize % 64 == 0
            end = packed + n * K


@pytest.mark.parametrize("threads", [2, 3, 4, 7])
@pytest.mark.parametrize("seed", range(24))
def test_every_column_has_one_owner(seed, threads):
    """Between two meetings: before the hook of each stage, and backward for each source."""
    cell, B = random_cell(seed), 2 if seed % 3 else 1
    layer = wide_layer(cell, DTYPES[seed % 2], B, threads, (150, 301, 520, 901, 1500))
    plan, w, itemsize = layer._core.plan(STEPS, B, True, 0, 0, threads), layer.widths, layer.dtype.itemsize
    assert plan.columns and plan.threads == threads
    kinds = [("x",), layer.cell.contract.states, layer.cell.contract.emissions]
    forth, back = plan.parts(), plan.parts(back=True)
    widths = [w[kinds[source][index]] for source, index, *_ in forth]
    columns = [sum(n for _, _, n, _ in runs(parts)) for *_, parts in forth]
    check_room(forth, widths, itemsize)
    check_room(back, columns, itemsize)
    for (*_, parts), width in zip(back, widths):
        assert parts[0][0][0] == 0 and sum(n for _, _, n, _ in runs(parts)) == width
    steps = [k for k, (source, *_) in enumerate(forth) if source != FROM_X]
    total = sum(w[gate] for gate in layer.cell.contract.gates)
    stages = [max(forth[k][2], 0) for k in steps]
    covered = owners([forth[k] for k in steps], total, stages)
    owners([back[k] for k in steps], max(w.values()), [back[k][:2] for k in steps])
    for stage, owner in covered.items():  # and the work is shared
        work = np.zeros(threads)
        for k in (k for k, at in zip(steps, stages) if at == stage):
            first, n = forth[k][-1][0][0][0], columns[k]
            work += np.bincount(owner[first : first + n], minlength=threads) * widths[k]
        most = 64 * sum(widths[k] for k, at in zip(steps, stages) if at == stage)
        assert work.max() <= work.sum() / threads + most
