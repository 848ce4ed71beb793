"""Cotangents of every step: each is the gradient of something that only that step had."""

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, Stage, sigmoid, tanh

pytestmark = pytest.mark.usefixtures("same_number_of_threads")


class Staged(Cell):
    """An emission that two later gates read, and the second stage too."""

    states = ("h", "c")
    gates = {"a": "x+h", "n": "x+e", "m": "e"}
    stages = (Stage("first", gates=("a",), emits=("e",)), Stage("last", gates=("n", "m")))

    def forward_first(z, prev):
        return {"e": sigmoid(z.a) * (1 + prev.c)}

    def forward_last(z, prev, e):
        return {"h": tanh(z.n) * e.e, "c": 0.5 * prev.c + tanh(z.m)}


def drawn(*shape, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    return (rng.uniform(0.2, 1, shape) * rng.choice([-1, 1], shape)).astype(dtype)


MODES = {
    "plain": {},
    "ragged": {"lengths": [9, 4, 0, 7, 9]},
    "reset": {"reset": np.random.default_rng(1).random((9, 5)) < 0.3},
    "both": {"lengths": [3, 9, 8, 9, 1], "reset": np.random.default_rng(1).random((9, 5)) < 0.3},
    "checkpoint": {"checkpoint": 1},
}


def gates_by_inputs(layer, x, options, dy):
    """The cotangents of the gates that read x: gradients of a weight whose input is 1 at one step of one row."""
    T, B, inputs = x.shape
    wide = pylstm.Recurrent(layer.cell, inputs + T * B, layer.hidden_size, dtype="float64")
    for name, value in layer.params.items():
        if name == "weight_x":
            wide.params[name][...] = 0
            wide.params[name][:, :inputs] = value
        else:
            wide.params[name][...] = value
    marks = np.eye(T * B).reshape(T, B, T * B)
    grads = wide(np.concatenate([x, marks], 2), **options).backward(dy)
    found = grads.params["weight_x"][:, inputs:].reshape(-1, T, B).transpose(1, 2, 0)
    names = layer.cell.contract.gates_of("x")
    ends = np.cumsum([layer.widths[name] for name in names])
    return {name: found[..., end - layer.widths[name] : end] for name, end in zip(names, ends)}


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "checkpoint"])
@pytest.mark.parametrize("cell", [Staged, "lstm", "gru", "gru_reset_before", "peephole"])
def test_gates_are_the_gradient_of_an_input_of_one_step(cell, mode):
    layer = pylstm.Recurrent(cell, 3, 4, dtype="float64", seed=1)
    x, dy = drawn(9, 5, 3), drawn(9, 5, 4, seed=2)
    run = layer(x, **MODES[mode])
    grads = run.backward(dy, steps=True)
    truth = gates_by_inputs(layer, x, MODES[mode], dy)
    assert truth and grads.gates.keys() == run.gates.keys()
    for name, value in truth.items():
        assert np.allclose(grads.gates[name], value, rtol=1e-12, atol=1e-14), name
        assert abs(value).max() > 1e-3


@pytest.mark.parametrize("cell", [Staged, "lstm", "gru", "peephole"])
def test_states_are_the_gradient_of_where_the_rest_starts(cell):
    layer = pylstm.Recurrent(cell, 3, 4, dtype="float64", seed=1)
    x, dy, inner = drawn(9, 5, 3), drawn(9, 5, 4, seed=2), drawn(9, 5, 4, seed=3)
    run = layer(x)
    states = layer.cell.contract.states
    other = {states[-1]: inner}
    grads = run.backward(dy, dstates=other, steps=True)
    for t in range(1, 9):
        rest = layer(x[t:], {name: run.states[name][t] for name in states})
        back = rest.backward(dy[t:], dstates={name: array[t:] for name, array in other.items()})
        for name in states:
            truth = back.initial[name] + (dy[t - 1] if name == layer.cell.contract.output else 0)
            truth = truth + (other[name][t - 1] if name in other else 0)
            assert np.allclose(grads.states[name][t], truth, rtol=1e-12, atol=1e-14)
    for name in states:
        assert np.array_equal(grads.states[name][0], grads.initial[name])
        assert grads.states[name].shape == run.states[name].shape


def test_emissions_by_their_only_gate():
    layer = pylstm.Recurrent("gru_reset_before", 3, 4, dtype="float64", seed=1)
    run = layer(drawn(9, 5, 3))
    grads = run.backward(drawn(9, 5, 4, seed=2), steps=True)
    (name,) = grads.emissions  # r h
    r, h = run.gates["r"], run.states["h"][:-1]
    assert np.allclose(grads.gates["r"], grads.emissions[name] * h * r * (1 - r), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("T, B, H", [(9, 5, 4), (300, 2, 24), (60, 40, 64), (320, 1, 136), (0, 2, 4), (3, 0, 4)])
@pytest.mark.parametrize("cell", [Staged, "lstm", "mingru", "indrnn"])
def test_the_rest_and_the_bits_stay(cell, T, B, H, dtype):
    """With 1 and 2 threads, again, and in segments."""
    layer = pylstm.Recurrent(cell, 3, H, dtype=dtype, seed=1)
    x, dy = drawn(T, B, 3, dtype=dtype), drawn(T, B, H, dtype=dtype)
    found = []
    for threads in (1, 2):
        pylstm.set_num_threads(threads)
        for options in ({}, {"checkpoint": "sqrt"}):
            run = layer(x, **options)
            bare = run.backward(dy)
            for _ in range(2):
                grads = run.backward(dy, steps=True)
                assert grads.params.flat.tobytes() == bare.params.flat.tobytes()
                assert grads.x.tobytes() == bare.x.tobytes()
                kinds = (grads.gates, grads.states, grads.emissions)
                found.append([np.ascontiguousarray(a).tobytes() for kind in kinds for a in kind.values()])
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("form", ["batch first", "one sequence", "ragged, batch first"])
def test_as_the_caller_has_them(form):
    dtype, first = "float64", "first" in form
    layer = pylstm.LSTM(3, 4, dtype=dtype, seed=1, batch_first=first)
    plain = pylstm.LSTM(3, 4, dtype=dtype, seed=1)
    x, dy = drawn(9, 5, 3), drawn(9, 5, 4, seed=2)
    options = MODES["ragged"] if "ragged" in form else {}
    truth = plain(x, **options).backward(dy, steps=True)
    if first:
        grads = layer(x.swapaxes(0, 1), **options).backward(dy.swapaxes(0, 1), steps=True)
        bring = lambda array: array.swapaxes(0, 1)  # noqa: E731
    else:
        grads = layer(x[:, 1], **options).backward(dy[:, 1], steps=True)
        truth = plain(x[:, 1:2]).backward(dy[:, 1:2], steps=True)
        bring = lambda array: array[:, None]  # noqa: E731
    for kind in ("gates", "states"):
        for name, array in getattr(grads, kind).items():
            assert np.array_equal(bring(array), getattr(truth, kind)[name]), (kind, name)
    for name, array in grads.states.items():
        assert np.array_equal(bring(array)[0], truth.initial[name])


def test_rows_that_end_early():
    layer, lengths = pylstm.GRU(3, 4, dtype="float64", seed=1), MODES["ragged"]["lengths"]
    x, dy, last = drawn(9, 5, 3), drawn(9, 5, 4, seed=2), {"h": drawn(5, 4, seed=3)}
    grads = layer(x, lengths=lengths).backward(dy, dfinal=last, steps=True)
    for b, n in enumerate(lengths):
        alone = layer(x[:n, b]).backward(dy[:n, b], dfinal={"h": last["h"][b]}, steps=True)
        for name, array in alone.gates.items():
            assert np.array_equal(grads.gates[name][:n, b], array)
            assert not grads.gates[name][n:, b].any()
        assert np.array_equal(grads.states["h"][: n + 1, b], alone.states["h"])
        assert not grads.states["h"][n + 1 :, b].any()


def test_stacks_and_directions():
    net = pylstm.LSTM(3, 4, num_layers=2, bidirectional=True, dtype="float64", seed=1)
    x, dy = drawn(9, 5, 3), drawn(9, 5, 8, seed=2)
    run = net(x)
    grads = run.backward(dy, steps=True)
    above = grads.layers[1]
    reverse = net.layers[1].reverse(run.layers[0].y[::-1]).backward(dy[::-1, :, 4:], steps=True)
    for name, array in reverse.gates.items():
        assert np.allclose(above.layers[1].gates[name], array, rtol=1e-13, atol=1e-15)
    for part, inner in ((run.layers[0].forward, grads.layers[0].layers[0]), (run.layers[1].reverse, above.layers[1])):
        for name, array in part.states.items():
            assert inner.states[name].shape == array.shape


@pytest.mark.parametrize("options", [{}, {"num_layers": 2}])
def test_not_asked_for(options):
    run = pylstm.LSTM(3, 4, seed=1, **options)(drawn(9, 5, 3, dtype="float32"))
    grads = run.backward(run.y)
    grads = grads.layers[0] if options else grads
    for kind in ("gates", "states", "emissions"):
        with pytest.raises(AttributeError, match=rf"{kind}: .* run.backward\(dy, steps=True\)"):
            getattr(grads, kind)
    assert "_" not in repr(grads).replace("weight_", "")
    with pytest.raises(TypeError, match="steps"):
        run.backward(run.y, steps=5)
