"""Streams that learn: every rule beside back-propagation through time, or beside its definition in NumPy."""

import pickle
import tracemalloc

import numpy as np
import pytest

import pylstm
from pylstm.cells import sigmoid
from pylstm.cells.influence import unit_influence
from pylstm.plugins import registry

NAMES = registry().names()
FOUND = {name: unit_influence(registry().get(name)) for name in NAMES}
DIAGONAL = [name for name, each in FOUND.items() if not each.dense and not each.apart]
BY_UNIT = [name for name, each in FOUND.items() if not each.apart]
T, B, I, H = 6, 2, 3, 4


def draw(*shape, seed=0, low=None):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) if low is None else rng.uniform(low, 1.5, size=shape)


def problem(cell, dtype="float64", **options):
    contract = (registry().get(cell) if isinstance(cell, str) else cell).contract
    sizes = {name: H - 1 for name, default in contract.sizes.items() if default is None}
    layer = pylstm.Recurrent(cell, I, H, dtype=dtype, seed=1, **sizes, **options)
    aux = {name: draw(T, B, layer.widths[name], low=0.5) for name in contract.aux if name != "x"}
    return layer, draw(T, B, I).astype(dtype), draw(T, B, layer.output_size, seed=9).astype(dtype), aux or None


def at(aux, t):
    return {name: value[t] for name, value in aux.items()} if aux else None


def learned(stream, x, dy, aux=None, reset=None):
    total, ys = stream.layer.params.zeros_like(), []
    for t in range(len(x)):
        ys.append(stream.step(x[t], aux=at(aux, t), reset=None if reset is None else reset[t]))
        total += stream.learn(dy[t])
    return total, np.stack(ys)


def check(found, truth, tolerance=1e-12):
    assert np.abs(truth).max() > 1e-3
    assert np.abs(found - truth).max() <= tolerance * max(1, np.abs(truth).max())


@pytest.mark.parametrize("cell", NAMES)
def test_rtrl_is_back_propagation_through_time(cell):
    layer, x, dy, aux = problem(cell)
    total, y = learned(layer.stream(B, online="rtrl"), x, dy, aux)
    run = layer(x, aux=aux)
    check(y, run.y)
    check(total.flat, run.backward(dy).params.flat)


@pytest.mark.parametrize("cell", DIAGONAL)
def test_units_that_see_themselves_are_learned_by_units(cell):
    layer, x, dy, aux = problem(cell, learn_initial=FOUND[cell].states)
    for name in layer.learn_initial:
        layer.params[f"initial_{name}"] = draw(layer.widths[name], low=0.3)
    reset = np.random.default_rng(3).random((T, B)) < 0.4
    run = layer(x, aux=aux, reset=reset)
    truth = run.backward(dy).params.flat
    for online in ("rtrl", "snap1"):
        stream = layer.stream(B, online=online)
        assert stream._parts[0].online.influence.shape == (B, len(FOUND[cell].states), layer.params.size)
        total, y = learned(stream, x, dy, aux, reset)
        check(y, run.y)
        check(total.flat, truth)


def test_learned_initial_states_of_any_cell():
    layer, x, dy, _ = problem("lstm", learn_initial=("h", "c"))
    for name in layer.learn_initial:
        layer.params[f"initial_{name}"] = draw(layer.widths[name], low=0.3)
    reset = np.random.default_rng(3).random((T, B)) < 0.4
    truth = layer(x, reset=reset).backward(dy).params
    total, _ = learned(layer.stream(B, online="rtrl"), x, dy, None, reset)
    assert np.abs(truth["initial_c"]).max() > 0.01 < np.abs(truth["initial_h"]).max()
    check(total.flat, truth.flat)


@pytest.mark.parametrize("cell", ["sru", "mingru", "lru", "rwkv4"])
def test_float32(cell):
    layer, x, dy, aux = problem(cell, "float32")
    total, _ = learned(layer.stream(B, online="rtrl"), x, dy, aux)
    check(total.flat, layer(x).backward(dy).params.flat, 2e-5)


class Leak(pylstm.Cell):
    """What comes in is added as it is."""

    states = ("h",)
    gates = {"f": "x"}
    aux = ("x",)
    widths = {"h": "input_size", "f": "input_size"}

    def forward(z, prev, u):
        return dict(h=sigmoid(z.f) * prev.h + u.x)


@pytest.mark.parametrize(
    "cells",
    [
        ("mingru", "mingru"),
        ("sru", "lru", "qrnn_fo"),
        ("lstm", "indrnn"),
        ("gru", "gru"),
        ("mingru", "tgru"),  # its state x_prev has no parameter of its own, and those of the layer below
        ("indrnn", "tlstm", "mingru"),
        ("mingru", Leak),
    ],
)
def test_a_stack_is_back_propagation_through_time(cells):
    layers = [pylstm.Recurrent(c, I if k == 0 else H, H, dtype="float64", seed=k) for k, c in enumerate(cells)]
    stack = pylstm.Stack(layers, residual=True)
    x, dy, reset = draw(T, B, I), draw(T, B, H, seed=1), np.random.default_rng(3).random((T, B)) < 0.4
    run = stack(x, reset=reset)
    total, y = learned(stack.stream(B, online="rtrl"), x, dy, None, reset)
    check(y, run.y)
    check(total.flat, run.backward(dy).params.flat)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(
    "cells",
    [
        ("mingru", "lru"),
        ("sru", "paralstm", "rwkv4", "unicornn"),
        ("unicornn", "rwkv4", "indrnn"),
    ],
)
def test_a_stack_of_units_is_exact_without_products_of_all_states(cells, residual):
    layers = [
        pylstm.Recurrent(c, I if k == 0 else H, H, dtype="float64", seed=k, learn_initial=FOUND[c].states)
        for k, c in enumerate(cells)
    ]
    for layer in layers:
        for name in layer.learn_initial:
            layer.params[f"initial_{name}"] = draw(layer.widths[name], low=0.3)
    stack = pylstm.Stack(layers, residual=residual)
    stream = stack.stream(B, online="rtrl")
    assert len(stream._chain.across) == len(cells) * (len(cells) - 1) // 2  # of every layer on those above
    x, dy, reset = draw(T, B, I), draw(T, B, H, seed=1), np.random.default_rng(3).random((T, B)) < 0.3
    run = stack(x, reset=reset)
    truth = run.backward(dy)
    half, ys = T // 2, []
    total, y = learned(stream, x[:half], dy[:half], None, reset[:half])
    ys.append(y)
    more, y = learned(pickle.loads(pickle.dumps(stream)), x[half:], dy[half:], None, reset[half:])
    check(np.concatenate([*ys, y]), run.y)
    check(total.flat + more.flat, truth.params.flat)


@pytest.mark.parametrize("cells", [("mingru", "mingru"), ("gru", "gru")])
@pytest.mark.parametrize("online", ["rtrl", "snap1"])
def test_the_cotangent_of_the_input_is_that_of_the_last_step(cells, online):
    stack = pylstm.Stack(
        [pylstm.Recurrent(c, H, H, dtype="float64", seed=k) for k, c in enumerate(cells)], residual=True
    )
    x, dy = draw(3, 1, H), draw(1, H)
    stream = stack.stream(online=online)
    for t in range(3):
        before = stream.state
        stream.step(x[t])
    stream.learn(dy)
    check(stream.dx, stack(x[2:], initial=before).backward(dy[None]).x[0])


def by_definition(layer, x, dy, direct):
    """SnAp-1, or with `direct` e-prop, of one row: every parameter on the states of its own unit.

    A and D of a unit are taken from backward passes of single steps, the influence of each parameter follows alone.
    """
    contract = layer.cell.contract
    states, gates = contract.states, contract.gates
    units = {name: np.zeros((1, H)) for name in states}
    E = {(s, g): np.zeros((H, I + H + 1)) for s in states for g in gates}
    V = {(s, p): np.zeros(H) for s in states for p in contract.params}
    total = layer.params.zeros_like()
    for t in range(len(x)):
        run = layer(x[t][None, None], units)
        D, A, P = {}, {}, {}
        for s in states:
            one = {s: np.ones((1, H))}
            back = run.backward(dfinal=one, steps=True)
            for g in gates:
                D[s, g] = back.gates[g][0, 0]
            for r in states:
                A[s, r] = back.initial[r][0] - crossing(layer, s, r, D, direct)
            for p in contract.params:
                P[s, p] = back.params[p]
        seen = {g: np.concatenate([x[t], units["h"][0] * ("h" in contract.gate_sources[g]), [1.0]]) for g in gates}
        E = {
            (s, g): sum(A[s, r][:, None] * E[r, g] for r in states) + D[s, g][:, None] * seen[g]
            for s in states
            for g in gates
        }
        V = {(s, p): sum(A[s, r] * V[r, p] for r in states) + P[s, p] for s in states for p in contract.params}
        for k, g in enumerate(gates):
            found = dy[t][:, None] * E[contract.output, g]
            rows = slice(k * H, (k + 1) * H)
            total["weight_x"][rows] += found[:, :I]
            total["weight_h"][rows] += found[:, I : I + H]
            total["bias"][rows] += found[:, -1]
        for p in contract.params:
            total[p][...] += dy[t] * V[contract.output, p]
        units = {name: run.final[name] for name in states}
    return total


def crossing(layer, s, r, D, direct):
    """What units have of others, or with `direct` of any unit, by the products from state r to the gates of state s."""
    found = np.zeros(H)
    for gate in layer.cell.contract.gates_of(r) if r in layer.cell.contract.sources else ():
        U = block(layer, r, gate)
        found += (U if direct else U - np.diag(np.diag(U))).T @ D[s, gate]
    return found


def block(layer, source, gate):
    gates = layer.cell.contract.gates_of(source)
    k = gates.index(gate)
    return layer.matrix(source)[k * H : (k + 1) * H]


@pytest.mark.parametrize("online", ["snap1", "eprop"])
@pytest.mark.parametrize("cell", ["lstm", "peephole", "rnn_tanh", "ugrnn"])
def test_the_approximations_are_their_definitions(cell, online):
    layer, x, dy, _ = problem(cell)
    found, _ = learned(layer.stream(online=online), x[:, :1], dy[:, :1])
    check(found.flat, by_definition(layer, x[:, 0], dy[:, 0], online == "eprop").flat)


@pytest.mark.parametrize("cell", BY_UNIT)
def test_snap1_of_the_first_step_is_exact(cell):
    layer, x, dy, aux = problem(cell)
    first = {name: value[:1] for name, value in aux.items()} if aux else None
    found, _ = learned(layer.stream(B, online="snap1"), x[:1], dy[:1], first)
    truth = layer(x[:1], aux=first).backward(dy[:1]).params.flat
    assert np.abs(found.flat - truth).max() <= 1e-13 * max(1, np.abs(truth).max())


@pytest.mark.parametrize("online", ["rtrl", "snap1", "eprop"])
def test_a_stream_is_pickled_and_goes_on(online):
    layer, x, dy, _ = problem("lstm")
    stream = layer.stream(B, online=online)
    learned(stream, x, dy)
    other = pickle.loads(pickle.dumps(stream))
    again = layer.stream(B, online=online)
    again.load_state_dict(stream.state_dict())
    truth = learned(stream, x, dy)
    for each in (other, again):
        found = learned(each, x, dy)
        assert (found[0].flat == truth[0].flat).all() and (found[1] == truth[1]).all()


@pytest.mark.parametrize("online", ["rtrl", "snap1", "eprop"])
@pytest.mark.parametrize("cell", ["mingru", "lstm"])
def test_memory_does_not_grow(cell, online):
    layer, x, dy, _ = problem(cell, "float32")
    stream = layer.stream(B, online=online)
    tracemalloc.start()
    taken = []
    for count in (50, 1000):
        for _ in range(count):
            stream.step(x[0])
            layer.params.flat[...] -= stream.learn(dy[0]).flat * np.float32(1e-4)
        taken.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert taken[1] - taken[0] < 2000


def test_rows_learn_as_they_do_alone():
    layer, x, dy, _ = problem("sru")
    total, _ = learned(layer.stream(B, online="rtrl"), x, dy)
    parts = [learned(layer.stream(online="rtrl"), x[:, [b]], dy[:, [b]])[0].flat for b in range(B)]
    check(sum(parts), total.flat, 1e-15)


def test_reset_and_state():
    layer, x, dy, _ = problem("minlstm")
    stream = layer.stream(B, online="rtrl")
    learned(stream, x, dy)
    stream.reset(0)
    states = stream.state
    assert not states["h"][0].any() and states["h"][1].any()
    total, y = learned(stream, x, dy)
    truth = layer(x[:, :1]).backward(dy[:, :1]).params.flat
    stream.state = {"h": states["h"]}
    after, again = learned(stream, x, dy)
    assert (again == y).all()
    check(after.flat, layer(x, states).backward(dy).params.flat)
    assert np.abs(total.flat - after.flat).max() > 1e-3 < np.abs(truth).max()


def test_frozen_parameters_and_constants_have_no_gradient():
    layer, x, dy, _ = problem("sru")
    layer.params.freeze("weight_x")
    total, _ = learned(layer.stream(B, online="rtrl"), x, dy)
    assert not total["weight_x"].any() and total["bias"].any()


def test_an_optimiser_between_steps_brings_the_loss_down():
    layer = pylstm.Recurrent("mingru", 1, 8, seed=0)
    optimiser = pylstm.Adam(layer.params, lr=0.01)
    stream, rng, errors = layer.stream(online="rtrl"), np.random.default_rng(0), []
    mean = 0.0
    for _ in range(3000):
        x = rng.normal(size=1).astype("float32")
        mean = 0.9 * mean + 0.4 * x[0]
        r = stream.step(x)[0] - mean
        dy = np.zeros(8, "float32")
        dy[0] = r
        optimiser.step(stream.learn(dy))
        errors.append(float(r) ** 2)
    assert np.mean(errors[-500:]) < 0.1 * np.mean(errors[:200])


def test_what_cannot_be_is_refused():
    layer = pylstm.LSTM(3, 4)
    with pytest.raises(ValueError, match="online must be one of rtrl, snap1, eprop, got 'bptt'"):
        layer.stream(online="bptt")
    with pytest.raises(RuntimeError, match="learn needs a step"):
        layer.stream(online="snap1").learn(np.zeros(4, "float32"))
    with pytest.raises(ValueError, match="within the step"):
        pylstm.Recurrent("gru_reset_before", 3, 4).stream(online="snap1")
    with pytest.raises(ValueError, match="pass online='snap1'"):
        pylstm.LSTM(64, 256).stream(online="rtrl")
    with pytest.raises(TypeError, match="two directions"):
        pylstm.LSTM(3, 4, num_layers=2, bidirectional=True).stream(online="snap1")
    with pytest.raises(TypeError, match="float32"):
        layer.stream(online="snap1").step(np.zeros(3))
    with pytest.raises(ValueError, match="another stream"):
        layer.stream(online="snap1").load_state_dict(layer.stream(2, online="snap1").state_dict())
