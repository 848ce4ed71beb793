"""Two recursions of delta h of an LSTM: one that loses a path, one that is back-propagation through time."""

import numpy as np
import pytest

import pylstm
from pylstm.feedforward.linear import Linear
from pylstm.losses.classification import softmax_cross_entropy

H, I, CLASSES = 4, 3, 5
ROWS_F = slice(H, 2 * H)


class Net:
    """A random LSTM with forget bias 1 and a softmax head, on one random sequence."""

    def __init__(self, T, seed, *, initial=False):
        rng = np.random.default_rng([T, seed])
        self.layer, self.head = pylstm.LSTM(I, H, dtype="float64"), Linear(H, CLASSES, dtype="float64")
        for params in (self.layer.params, self.head.params):
            params.flat[...] = rng.normal(size=params.size)
        self.layer.params["bias"][ROWS_F] += 1
        self.x, self.targets = rng.normal(size=(T, I)), rng.integers(CLASSES, size=T)
        self.initial = {name: rng.normal(size=H) for name in ("h", "c")} if initial else None
        self.run = self.layer(self.x, self.initial)
        self.dy = self.loss_from(self.run.y, self.targets)[1]
        self.U = dict(zip("ifgo", np.split(self.layer.params["weight_h"], 4)))

    def loss_from(self, y, targets):
        """Value and V'(y^ - y)."""
        logits = self.head(y)
        value, dlogits = softmax_cross_entropy(logits.y, targets, reduction="sum")
        return value, logits.backward(dlogits).x

    def loss(self):
        return self.loss_from(self.layer(self.x, self.initial).y, self.targets)[0]


def jacobian_claimed(net, t):
    """d h(t+1) / d h(t) as the text has it: four terms, C(t) held fixed."""
    i, f, a, o = (net.run.gates[k][t + 1] for k in "ifgo")
    before, after = net.run.states["c"][t + 1 : t + 3]
    dC = o * (1 - np.tanh(after) ** 2)
    rows = {"o": o * (1 - o) * np.tanh(after), "f": dC * f * (1 - f) * before, "g": dC * i * (1 - a**2)}
    rows["i"] = dC * a * i * (1 - i)
    return sum(np.diag(rows[k]) @ net.U[k] for k in "ofgi")


def claimed(net):
    """delta_h, delta_C (T, H) by the text's recursion."""
    T, gates, c = len(net.x), net.run.gates, net.run.states["c"][1:]
    dh, dc = net.dy.copy(), np.zeros((T, H))
    for t in reversed(range(T)):
        if t + 1 < T:
            dh[t] += jacobian_claimed(net, t).T @ dh[t + 1]
            dc[t] = dc[t + 1] * gates["f"][t + 1]
        dc[t] += dh[t] * gates["o"][t] * (1 - np.tanh(c[t]) ** 2)
    return dh, dc


def local(net, t):
    """d c_t / d z_k of one step, k = i, f, g; row t of the gates."""
    i, f, g, _ = (net.run.gates[k][t] for k in "ifgo")
    return {"i": g * i * (1 - i), "f": net.run.states["c"][t] * f * (1 - f), "g": i * (1 - g**2)}


def correct(net, *, missing=None):
    """The claim's recursion with the full delta c; `missing` (T, H) takes what the claim loses at every step."""
    T, gates, c = len(net.x), net.run.gates, net.run.states["c"][1:]
    dh, dc = net.dy.copy(), np.zeros((T, H))
    for t in reversed(range(T)):
        if t + 1 < T:
            later = dc[t + 2] * gates["f"][t + 2] if t + 2 < T else np.zeros(H)
            lost = sum(net.U[k].T @ (d * later) for k, d in local(net, t + 1).items())
            dh[t] += jacobian_claimed(net, t).T @ dh[t + 1] + lost
            dc[t] = dc[t + 1] * gates["f"][t + 1]
            if missing is not None:
                missing[t] = lost
        dc[t] += dh[t] * gates["o"][t] * (1 - np.tanh(c[t]) ** 2)
    return dh, dc


def forget_weights(net, dc):
    f, c, h = net.run.gates["f"], net.run.states["c"][:-1], net.run.states["h"][:-1]
    return (dc * c * f * (1 - f)).T @ h


def sent_back(net, t):
    """delta h of step t by the layer: what the steps after t send back, plus the loss of step t."""
    if t + 1 == len(net.x):
        return net.dy[t]
    start = {name: net.run.states[name][t + 1] for name in ("h", "c")}
    return net.dy[t] + net.layer(net.x[t + 1 :], start).backward(net.dy[t + 1 :]).initial["h"]


def error(found, exact):
    return np.linalg.norm(found - exact) / np.linalg.norm(exact)


@pytest.mark.parametrize("T", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("seed", range(3))
def test_the_correct_recursion_is_what_the_layer_sends_back(T, seed):
    net = Net(T, seed, initial=True)
    dh, dc = correct(net)
    for t in range(T):
        assert error(dh[t], sent_back(net, t)) < 1e-12
    assert error(forget_weights(net, dc), net.run.backward(net.dy).params["weight_h"][ROWS_F]) < 1e-12


@pytest.mark.parametrize("T", [3, 6])
def test_the_layer_agrees_with_differences_of_the_loss(T):
    net, step = Net(T, 1), 1e-5
    gradient = net.run.backward(net.dy).params["weight_h"][ROWS_F]
    weights = net.layer.params["weight_h"][ROWS_F]
    differences = np.empty((H, H))
    for at in np.ndindex(H, H):
        value = weights[at]
        ends = []
        for weights[at] in (value - step, value + step):
            ends.append(net.loss())
        weights[at] = value
        differences[at] = (ends[1] - ends[0]) / (2 * step)
    assert error(gradient, differences) < 1e-7
    wrong = error(forget_weights(net, claimed(net)[1]), differences)
    assert (wrong < 1e-7) == (T <= 3)


@pytest.mark.parametrize("seed", range(5))
def test_the_claim_is_exact_for_two_steps_and_for_the_last_two_of_any_number(seed):
    for T in (1, 2, 10):
        net = Net(T, seed)
        (wrong, _), (right, _) = claimed(net), correct(net)
        for t in range(max(T - 2, 0), T):
            assert error(wrong[t], right[t]) < 1e-13
            assert error(wrong[t], sent_back(net, t)) < 1e-12


@pytest.mark.parametrize("seed", range(20))
def test_the_claim_is_wrong_from_three_steps_on(seed):
    net = Net(3, seed)
    exact = sent_back(net, 0)
    assert error(claimed(net)[0][0], exact) > 1e-3
    assert error(forget_weights(net, claimed(net)[1]), net.run.backward(net.dy).params["weight_h"][ROWS_F]) < 1e-12
    behind_a_state = Net(3, seed, initial=True)
    exact = behind_a_state.run.backward(behind_a_state.dy).params["weight_h"][ROWS_F]
    assert error(forget_weights(behind_a_state, claimed(behind_a_state)[1]), exact) > 1e-4
    net = Net(4, seed)
    exact = net.run.backward(net.dy).params["weight_h"][ROWS_F]
    assert error(forget_weights(net, claimed(net)[1]), exact) > 1e-4


@pytest.mark.parametrize("seed", range(5))
def test_what_is_missing_is_the_path_from_the_cell_state_after_next(seed):
    net = Net(3, seed)
    missing = np.zeros((3, H))
    correct(net, missing=missing)
    assert not missing[1:].any()
    assert error(claimed(net)[0][0] + missing[0], sent_back(net, 0)) < 1e-13


def test_without_that_path_in_the_net_the_claim_is_exact():
    """A forget gate that is shut cuts c_{t+1} -> c_{t+2}: nothing else is missing."""
    net = Net(10, 0)
    net.layer.params["bias"][ROWS_F] = -800
    net.run = net.layer(net.x)
    assert not net.run.gates["f"].any()
    net.dy = net.loss_from(net.run.y, net.targets)[1]
    for t in range(10):
        assert error(claimed(net)[0][t], sent_back(net, t)) < 1e-12


def test_the_size_of_the_error():
    median = {}
    for T in (2, 3, 4, 10, 50):
        nets = [Net(T, seed) for seed in range(40)]
        first, weights = [], []
        for net in nets:
            (wrong, dc), exact = claimed(net), net.run.backward(net.dy).params["weight_h"][ROWS_F]
            first.append(error(wrong[0], sent_back(net, 0)))
            weights.append(error(forget_weights(net, dc), exact))
        median[T] = np.median(first), np.median(weights)
    assert max(median[2]) < 1e-13
    assert 0.05 < median[3][0] < 0.3 and median[3][1] < 1e-13
    assert 0.003 < median[4][1] < 0.06
    assert 0.06 < median[10][1] < 0.25
    assert 0.12 < median[50][1] < 0.45
