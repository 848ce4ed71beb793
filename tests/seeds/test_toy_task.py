"""Four numbers learned by `lstm_linear_output`, against a NumPy program written one matrix per gate."""

import numpy as np
import pytest

import pylstm
from pylstm.losses.regression import squared_error
from pylstm.optim.optimisers import SGD

H, I = 100, 50
SIGNED, UNSIGNED = [-0.5, 0.2, 0.1, -0.5], [0.5, 0.2, 0.1, 0.5]


def drawn(again):
    """One gate's weights (H, I + H), bias, and inputs; `again`: the seed is set before every array."""
    stream = np.random.RandomState(0)
    weights = [stream.uniform(-0.1, 0.1, (H, I + H)) for _ in range(1 if again else 4)]
    if again:
        stream = np.random.RandomState(0)
    biases = [stream.uniform(-0.1, 0.1, H) for _ in weights]
    repeats = 4 // len(weights)
    return weights * repeats, biases * repeats, stream.uniform(size=(4, I))


def layer_of(weights, biases):
    """The program's order is g, i, f, o; the layer's is i, f, g, o."""
    layer = pylstm.Recurrent("lstm_linear_output", I, H, dtype="float64")
    order = (1, 2, 0, 3)
    layer.params["weight_x"] = np.vstack([weights[k][:, :I] for k in order])
    layer.params["weight_h"] = np.vstack([weights[k][:, I:] for k in order])
    layer.params["bias"] = np.hstack([biases[k] for k in order])
    return layer


def reference_step(weights, biases, x, targets):
    """Loss, and one step of descent in place: concatenated inputs, one matrix per gate (g, i, f, o)."""
    h, c, loss, tape = np.zeros(H), np.zeros(H), 0.0, []
    for x_t, y_t in zip(x, targets):
        before = np.concatenate([x_t, h]), c
        z = [w @ before[0] + b for w, b in zip(weights, biases)]
        gates = [np.tanh(z[0]), *(1 / (1 + np.exp(-v)) for v in z[1:])]
        c = gates[2] * c + gates[1] * gates[0]
        h = gates[3] * c
        loss += (h[0] - y_t) ** 2
        tape.append((*before, gates, c, h[0] - y_t))
    dweights, dbiases = [np.zeros_like(w) for w in weights], [np.zeros_like(b) for b in biases]
    dh, dc = np.zeros(H), np.zeros(H)
    for inputs, c_before, (g, i, f, o), c, off in reversed(tape):
        dh[0] += 2 * off
        dc = dc + dh * o
        dz = [dc * i * (1 - g**2), dc * g * i * (1 - i), dc * c_before * f * (1 - f), dh * c * o * (1 - o)]
        for dw, db, d in zip(dweights, dbiases, dz):
            dw += np.outer(d, inputs)
            db += d
        dh, dc = sum(w[:, I:].T @ d for w, d in zip(weights, dz)), dc * f
    for array, gradient in zip([*weights, *biases], [*dweights, *dbiases]):
        array -= 0.1 * gradient
    return loss


def train(layer, x, targets, steps):
    descent, losses, dy = SGD(layer.params, lr=0.1), [], np.zeros((4, H))
    for _ in range(steps):
        run = layer(x)
        loss, dy[:, :1] = squared_error(run.y[:, :1], np.array(targets)[:, None])
        losses.append(loss)
        descent.step(run.backward(dy).params)
    return losses


@pytest.mark.parametrize(
    ("targets", "first", "last"), [(SIGNED, 0.7535, 3e-6), (UNSIGNED, 0.3395, 8e-7)], ids=["signed", "unsigned"]
)
def test_a_hundred_iterations(targets, first, last):
    weights, biases, x = drawn(again=True)
    layer = layer_of(weights, biases)
    losses = train(layer, x, targets, 100)
    assert losses[0] == pytest.approx(first, abs=5e-5)
    assert 0 < losses[-1] < last
    assert losses[-1] == pytest.approx(min(losses), rel=1e-3)
    np.testing.assert_allclose(layer(x).y[:, 0], targets, rtol=0, atol=3e-3)


@pytest.mark.parametrize("again", [True, False], ids=["one-stream-per-array", "one-stream"])
def test_every_loss_is_that_of_the_program(again):
    weights, biases, x = drawn(again)
    losses = train(layer_of(weights, biases), x, SIGNED, 20)
    weights, biases = [w.copy() for w in weights], [b.copy() for b in biases]
    expected = [reference_step(weights, biases, x, SIGNED) for _ in range(20)]
    np.testing.assert_allclose(losses, expected, rtol=1e-9)


def test_with_one_stream_for_all_arrays_the_known_losses_do_not_come_out():
    weights, biases, x = drawn(again=False)
    for targets, first in ((SIGNED, 0.7535), (UNSIGNED, 0.3395)):
        assert abs(train(layer_of(weights, biases), x, targets, 1)[0] - first) > 0.005


def test_the_output_is_the_cell_state_times_its_gate_without_tanh():
    weights, biases, x = drawn(again=True)
    layer = layer_of(weights, biases)
    run = layer(10 * x)
    np.testing.assert_array_equal(run.y, run.gates["o"] * run.states["c"][1:])
    assert np.abs(run.y - run.gates["o"] * np.tanh(run.states["c"][1:])).max() > 0.01
