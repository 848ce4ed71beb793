"""A derivation with row vectors: equations 16 to 38 with the two missing ones put in, its shapes, every delta."""

import numpy as np
import pytest

import pylstm

T, I, H = 9, 3, 5
NAMES = ("i", "f", "c", "o")


@pytest.fixture
def net():
    """A layer on one sequence from random states, and the text's W (h, h), U (i, h) per gate."""
    rng = np.random.default_rng(11)

    class Net:
        layer = pylstm.LSTM(I, H, dtype="float64", seed=12)
        x, dy = rng.normal(size=(T, I)), rng.normal(size=(T, H))
        initial = {name: rng.normal(size=H) for name in ("h", "c")}
        dfinal = {name: rng.normal(size=H) for name in ("h", "c")}

    Net.layer.params["bias"] = rng.normal(size=4 * H)
    Net.run = Net.layer(Net.x, Net.initial)
    Net.W = {k: block.T for k, block in zip(NAMES, np.split(Net.layer.params["weight_h"], 4))}
    Net.U = {k: block.T for k, block in zip(NAMES, np.split(Net.layer.params["weight_x"], 4))}
    return Net


def equations(net):
    """Deltas of the gates (T, H) each, of the inputs, and of the first states."""
    gates, c = dict(zip(NAMES, net.run.gates.values())), net.run.states["c"]
    dz, dx = {k: np.zeros((T, H)) for k in NAMES}, np.zeros((T, I))
    dh_next, dc_next = net.dfinal["h"], net.dfinal["c"]
    for t in reversed(range(T)):
        i, f, a, o = (gates[k][t] for k in NAMES)
        dh = net.dy[t] + dh_next  # 16
        dc = dh * o * (1 - np.tanh(c[t + 1]) ** 2) + dc_next  # 17
        dz["o"][t] = dh * np.tanh(c[t + 1]) * o * (1 - o)  # 18
        dz["c"][t] = dc * i * (1 - a**2)  # 19
        dz["i"][t] = dc * a * i * (1 - i)  # 20
        dz["f"][t] = dc * c[t] * f * (1 - f)  # 21
        dh_next = sum(dz[k][t] @ net.W[k].T for k in NAMES)  # 37
        dx[t] = sum(dz[k][t] @ net.U[k].T for k in NAMES)  # 38
        dc_next = dc * f
    return dz, dx, dh_next, dc_next


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_every_delta_of_the_gates(net, gate_deltas):
    dz, *_ = equations(net)
    found = gate_deltas(net.layer, net.x, net.dy, initial=net.initial, dfinal=net.dfinal)
    for ours, theirs in zip("ifgo", NAMES):
        close(found[ours], dz[theirs])


def test_gradients(net):
    dz, dx, dh, dc = equations(net)
    grads = net.run.backward(net.dy, dfinal=net.dfinal)
    h = net.run.states["h"][:-1]
    close(grads.params["weight_h"], np.vstack([(h.T @ dz[k]).T for k in NAMES]))
    close(grads.params["weight_x"], np.vstack([(net.x.T @ dz[k]).T for k in NAMES]))
    close(grads.params["bias"], np.hstack([dz[k].sum(axis=0) for k in NAMES]))
    close(grads.x, dx)
    close(grads.initial["h"], dh)
    close(grads.initial["c"], dc)


def test_equation_37_at_every_step(net, gate_deltas):
    """What a run from step t on sends back is equation 37 of the deltas of step t."""
    deltas = gate_deltas(net.layer, net.x, net.dy, initial=net.initial, dfinal=net.dfinal)
    for t in range(T):
        start = {name: net.run.states[name][t] for name in ("h", "c")}
        back = net.layer(net.x[t:], start).backward(net.dy[t:], dfinal=net.dfinal).initial["h"]
        close(back, sum(deltas[ours][t] @ net.W[theirs].T for ours, theirs in zip("ifgo", NAMES)))


def test_shapes(net):
    h, x = net.run.states["h"][:-1], net.x
    for n, k in enumerate(NAMES):
        assert net.W[k].shape == (H, H) and net.U[k].shape == (I, H)
        z = h @ net.W[k] + x @ net.U[k] + np.split(net.layer.params["bias"], 4)[n]
        close(net.run.gates["ifgo"[n]], np.tanh(z) if k == "c" else 1 / (1 + np.exp(-z)))
    for weights, rows in ((net.layer.params["weight_h"], "h"), (net.layer.params["weight_x"], "x")):
        name = next(name for name in net.layer.params if net.layer.params[name] is weights)
        swapped = np.zeros((4 * H, I if rows == "h" else H))
        with pytest.raises(ValueError, match=f"{name}.*must have shape"):
            net.layer.params[name] = swapped
