"""The oracle itself: its gradients against complex steps of its own forward, its LSTM against an independent one."""

from __future__ import annotations

import numpy as np
import pytest

import sample_cells as samples
from pylstm.cells.auditing import reference
from pylstm.cells.lstm import LSTM

CELLS = (LSTM, samples.Elman, samples.Everything, samples.Chain)
T, B, I, H = 4, 3, 2, 5
STEP = 1e-30


def problem(cell, modified, seed=0, dtype=float):
    """Random arguments of `reference.forward` and cotangents for `reference.backward`: no zeros, no ones."""
    random = np.random.default_rng(seed)
    contract = cell.contract
    widths = contract.resolve(I, H)

    def draw(*shape):
        return (random.uniform(0.2, 0.9, shape) * random.choice([-1.0, 1.0], shape)).astype(dtype)

    arguments = {
        "params": {name: draw(*shape) for name, shape in contract.parameter_shapes(widths).items()},
        "x": draw(T, B, I),
        "initial": {name: draw(B, widths[name]) for name in contract.states},
        "aux": {name: draw(T, B, widths[name]) for name in contract.aux if name != "x"},
    }
    if modified:
        first, last = contract.states[0], contract.states[-1]
        arguments |= {
            "pre": {first: draw(T, B, 1), last: draw(T, B, widths[last])},
            "blend": {last: draw(T, B, 1)} | ({first: draw(T, B, widths[first])} if first != last else {}),
            "reset": random.uniform(size=(T, B)) < 0.4,
        }
    cotangents = {
        "dy": draw(T, B, widths[contract.output]),
        "dfinal": {name: draw(B, widths[name]) for name in contract.states},
        "dstates": {contract.states[-1]: draw(T, B, widths[contract.states[-1]])},
    }
    return arguments, cotangents


def value(tape, dy, dfinal, dstates):
    """The scalar of which backward gives the gradient."""
    total = (tape.y * dy).sum() + sum((tape.final[name] * d).sum() for name, d in dfinal.items())
    return total + sum((tape.states[name][1:] * d).sum() for name, d in dstates.items())


def leaves(arguments):
    """(name, array) of every differentiable argument; `x` is the only one that is not in a dict."""
    for name, argument in arguments.items():
        if name == "x":
            yield "x", None, argument
        elif name != "reset":
            yield from ((name, key, array) for key, array in argument.items())


@pytest.mark.parametrize("modified", [False, True], ids=["plain", "pre-blend-reset"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_gradients_are_those_of_complex_steps(cell, modified):
    arguments, cotangents = problem(cell, modified)
    grads = reference.backward(reference.forward(cell, **arguments), **cotangents)
    for name, key, array in leaves(arguments):
        gradient = grads.x if key is None else getattr(grads, name)[key]
        assert gradient.shape == array.shape
        expected = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            stepped = array.astype(complex)
            stepped[index] += STEP * 1j
            moved = arguments | {name: stepped if key is None else arguments[name] | {key: stepped}}
            expected[index] = value(reference.forward(cell, **moved), **cotangents).imag / STEP
        assert np.abs(expected).max() > 1e-3, f"{name} {key}: the draw tests nothing"
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12 * np.abs(expected).max(), err_msg=f"{key}")


def test_lstm_is_an_independent_lstm():
    arguments, _ = problem(LSTM, modified=False)
    tape = reference.forward(LSTM, **arguments)

    W, U, bias = (arguments["params"][name] for name in ("weight_x", "weight_h", "bias"))
    for b in range(B):
        h, c = arguments["initial"]["h"][b], arguments["initial"]["c"][b]
        for t in range(T):
            i, f, g, o = (W @ arguments["x"][t, b] + U @ h + bias).reshape(4, H)
            i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
            c = f * c + i * np.tanh(g)
            h = o * np.tanh(c)
            np.testing.assert_allclose(tape.y[t, b], h, rtol=1e-13)
            np.testing.assert_allclose(tape.states["c"][t + 1, b], c, rtol=1e-13)
            np.testing.assert_allclose(tape.gates["f"][t, b], f, rtol=1e-13)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_modifiers_that_change_nothing(cell):
    arguments, cotangents = problem(cell, modified=False)
    plain = reference.forward(cell, **arguments)
    ones = {name: np.ones((T, B, 1)) for name in cell.contract.states}
    same = reference.forward(cell, **arguments, pre=ones, blend=ones, reset=np.zeros((T, B), bool))
    np.testing.assert_allclose(same.y, plain.y, rtol=1e-12)
    expected, got = reference.backward(plain, **cotangents), reference.backward(same, **cotangents)
    np.testing.assert_allclose(got.x, expected.x, rtol=1e-10)


def test_blend_of_zero_holds_the_state_and_reset_starts_again():
    arguments, _ = problem(samples.Chain, modified=False)
    hold = {name: np.zeros((T, B, 1)) for name in samples.Chain.contract.states}
    tape = reference.forward(samples.Chain, **arguments, blend=hold)
    np.testing.assert_array_equal(tape.final["n"], arguments["initial"]["n"])

    reset = np.zeros((T, B), bool)
    reset[2, 1] = True
    tape = reference.forward(samples.Chain, **arguments, reset=reset)
    tail = reference.forward(samples.Chain, **arguments | {"x": arguments["x"][2:], "initial": None})
    np.testing.assert_array_equal(tape.y[2:, 1], tail.y[:, 1])
    assert np.abs(tape.y[2:, 0] - tail.y[:, 0]).max() > 1e-3


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
@pytest.mark.parametrize("steps, rows", [(0, B), (T, 0), (0, 0)])
def test_empty(cell, steps, rows):
    arguments, _ = problem(cell, modified=True)
    cut = {name: {k: v[:steps, :rows] for k, v in arguments[name].items()} for name in ("aux", "pre", "blend")}
    cut |= {"initial": {k: v[:rows] for k, v in arguments["initial"].items()}}
    cut |= {name: arguments[name][:steps, :rows] for name in ("x", "reset")}
    tape = reference.forward(cell, **arguments | cut)
    ds = {name: np.full(state.shape, 2.5) for name, state in tape.final.items()}
    grads = reference.backward(tape, dy=np.ones_like(tape.y), dfinal=ds)
    assert tape.y.shape == (steps, rows, tape.widths[cell.contract.output])
    assert all(not gradient.any() for gradient in grads.params.values())
    if steps == 0:
        for name, state in tape.final.items():
            np.testing.assert_array_equal(state, cut["initial"][name])
            np.testing.assert_array_equal(grads.initial[name], ds[name])


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_float32_stays_float32_and_agrees(cell):
    arguments, cotangents = problem(cell, modified=True, dtype=np.float32)
    tape = reference.forward(cell, **arguments)
    grads = reference.backward(tape, **cotangents)
    assert tape.y.dtype == grads.x.dtype == np.float32
    arguments, cotangents = problem(cell, modified=True)
    exact = reference.forward(cell, **arguments)
    for name, state in exact.states.items():
        assert np.abs(tape.states[name] - state).max() <= 5e-6 * np.abs(state).max()
    dx = reference.backward(exact, **cotangents).x
    assert np.abs(grads.x - dx).max() <= 1e-5 * np.abs(dx).max()


def test_no_bias_and_other_sizes():
    contract = samples.Everything.contract
    widths = contract.resolve(I, H, q_size=7, m_size=I)
    shapes = contract.parameter_shapes(widths, bias=False)
    assert "bias" not in shapes and shapes["weight_q"] == (I, 7)
    params = {name: np.full(shape, 0.3) for name, shape in shapes.items()}
    aux = {"dt": np.full((T, B, 1), 0.5), "drive": np.full((T, B, H), 0.1)}
    tape = reference.forward(samples.Everything, params, np.ones((T, B, I)), aux=aux, sizes={"q_size": 7})
    assert tape.emissions["q"].shape == (T, B, 7)
    with pytest.raises(ValueError, match="no hidden_size"):
        reference.forward(samples.Everything, params, np.ones((T, B, I)), aux=aux)


def test_a_cell_without_backward_has_no_gradients():
    class Half(samples.Elman):
        backward = None

    arguments, cotangents = problem(Half, modified=False)
    with pytest.raises(TypeError, match="has no backward"):
        reference.backward(reference.forward(Half, **arguments), **cotangents)
