"""Clocks, decays and structured weights: values from the papers, pull-backs through a layer against differences."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from pylstm_zoo import modifiers

import pylstm

T, B, H = 7, 2, 4


@pytest.fixture
def random():
    return np.random.default_rng(11)


def difference(loss, arrays, name, step=1e-6):
    """Gradient of `loss(arrays)` with respect to one of them, by central differences."""
    grad = np.zeros_like(arrays[name])
    for index in np.ndindex(grad.shape):
        values = []
        for sign in (1, -1):
            moved = arrays[name].copy()
            moved[index] += sign * step
            values.append(loss(arrays | {name: moved}))
        grad[index] = (values[0] - values[1]) / (2 * step)
    return grad


def test_examples_run():
    result = doctest.testmod(modifiers)
    assert result.attempted > 10 and result.failed == 0


def test_phased_openness_has_the_values_of_the_paper():
    t = np.array([0.0, 0.5, 1.0, 1.5, 3.0, 4.5, -3.5])[:, None]
    k, _ = modifiers.phased_openness(t, np.array([4.0]), np.array([0.0]), np.array([0.5]), leak=0.1)
    np.testing.assert_allclose(k[:, 0, 0], [0, 0.5, 1, 0.5, 0.1 * 0.75, 0.5, 0.5], atol=1e-15)


def test_gradients_of_the_phases_go_through_the_layer(random):
    layer = pylstm.Recurrent("phased_lstm", 3, H, dtype="float64", seed=3)
    x, weight = random.uniform(-1, 1, (T, B, 3)), random.standard_normal((T, B, H))
    t = np.cumsum(random.uniform(0.2, 1.7, (T, B)), axis=0)
    arrays = dict(tau=random.uniform(2, 6, H), shift=random.uniform(0.1, 1, H), ratio=random.uniform(0.4, 0.8, H))

    def loss(arrays):
        k, _ = modifiers.phased_openness(t, **arrays, leak=0.01)
        return np.sum(weight * layer(x, blend={"h": k, "c": k}).y)

    k, pull = modifiers.phased_openness(t, **arrays, leak=0.01)
    rising = k > 0.01
    assert rising.any() and not rising.all()
    blend = layer(x, blend={"h": k, "c": k}).backward(weight).blend
    grads = pull(blend["h"] + blend["c"])
    for name in arrays:
        np.testing.assert_allclose(grads[name], difference(loss, arrays, name), rtol=0, atol=1e-8, err_msg=name)


def test_a_closed_unit_does_not_move(random):
    layer = pylstm.Recurrent("phased_lstm", 3, H, dtype="float64", seed=3)
    t = np.linspace(2.2, 3.8, T)[:, None] + np.zeros((T, B))
    k, _ = modifiers.phased_openness(t, np.full(H, 4.0), np.zeros(H), np.full(H, 0.5), leak=0.0)
    c0 = random.standard_normal((B, H))
    run = layer(random.standard_normal((T, B, 3)), {"c": c0}, blend={"h": k, "c": k})
    np.testing.assert_array_equal(run.final["c"], c0)


def test_clockwork_is_the_network_of_its_paper(random):
    periods = np.array([1, 1, 2, 4])
    layer = pylstm.Recurrent("clockwork_rnn", 3, H, dtype="float64", seed=3)
    layer.params["weight_h"] = layer.params["weight_h"] * modifiers.clockwork_mask(periods, "float64")
    x = random.standard_normal((T, B, 3))
    k = np.repeat(modifiers.clockwork_clock(T, periods, "float64"), B, axis=1)
    run = layer(x, blend={"h": k})
    W, U, b = (layer.params[name] for name in ("weight_x", "weight_h", "bias"))
    h = np.zeros((B, H))
    for t in range(T):
        new = h.copy()
        for unit, period in enumerate(periods):
            if t % period == 0:
                seen = [j for j in range(H) if periods[j] >= period]
                new[:, unit] = np.tanh(x[t] @ W[unit] + h[:, seen] @ U[unit, seen] + b[unit])
        h = new
        np.testing.assert_allclose(run.y[t], h, rtol=0, atol=1e-12)


def test_gru_d_is_the_network_of_its_paper(random):
    layer = pylstm.Recurrent("gru_d", 6, H, dtype="float64", seed=3)
    x, mask = random.standard_normal((T, B, 3)), random.integers(0, 2, (T, B, 3)).astype(float)
    gaps = np.ones((T, B, 3))
    for t in range(1, T):
        gaps[t] = 1 + gaps[t - 1] * (1 - mask[t - 1])
    arrays = dict(weight=random.uniform(-0.5, 1, (H, 3)), bias=random.uniform(-0.5, 1, H))
    mean, input_decay = random.standard_normal(3), np.exp(-0.4 * gaps)
    given = modifiers.gru_d_impute(x, mask, input_decay, mean)

    def network(arrays):
        """Che et al., section 2.4, row by row."""
        (W, U, b), ys = (layer.params[name] for name in ("weight_x", "weight_h", "bias")), np.zeros((T, B, H))
        r_, z_, n_ = (slice(k * H, (k + 1) * H) for k in range(3))
        for row in range(B):
            h, last = np.zeros(H), mean
            for t in range(T):
                m = mask[t, row]
                last = m * x[t, row] + (1 - m) * last
                decay = input_decay[t, row]
                value = np.concatenate([m * x[t, row] + (1 - m) * (decay * last + (1 - decay) * mean), m])
                h = np.exp(-np.maximum(0, arrays["weight"] @ gaps[t, row] + arrays["bias"])) * h
                r = 1 / (1 + np.exp(-(W[r_] @ value + U[r_] @ h + b[r_])))
                z = 1 / (1 + np.exp(-(W[z_] @ value + U[z_] @ h + b[z_])))
                n = np.tanh(W[n_] @ value + layer.params["weight_rh"] @ (r * h) + b[n_])
                h = (1 - z) * h + z * n
                ys[t, row] = h
        return ys

    gamma, pull = modifiers.gru_d_decay(gaps, **arrays)
    run = layer(given, pre={"h": gamma})
    np.testing.assert_allclose(run.y, network(arrays), rtol=0, atol=1e-12)
    weight = random.standard_normal((T, B, H))
    grads = pull(run.backward(weight).pre["h"])
    for name in arrays:
        wanted = difference(lambda moved: np.sum(weight * network(moved)), arrays, name)
        np.testing.assert_allclose(grads[name], wanted, rtol=0, atol=1e-8, err_msg=name)


def test_antisymmetric_weight(random):
    m, weight = random.standard_normal((H, H)), random.standard_normal((T, B, H))
    layer = pylstm.Recurrent("antisymmetric_rnn", 3, H, dtype="float64", seed=3)
    x = random.standard_normal((T, B, 3))

    def loss(arrays):
        layer.params["weight_h"], _ = modifiers.antisymmetric_weight(arrays["m"], gamma=0.3)
        return np.sum(weight * layer(x).y)

    u, pull = modifiers.antisymmetric_weight(m, gamma=0.3)
    np.testing.assert_allclose(np.linalg.eigvals(u).real, -0.3)
    wanted = difference(loss, {"m": m}, "m")
    loss({"m": m})
    grads = layer(x).backward(weight)
    np.testing.assert_allclose(pull(grads.params["weight_h"])["m"], wanted, rtol=0, atol=1e-8)


@pytest.mark.parametrize("order, theta", [(1, 3.0), (6, 20.0), (24, 100.0)])
def test_legendre_is_the_zero_order_hold(order, theta):
    signal = pytest.importorskip("scipy.signal")
    a, b = np.zeros((order, order)), np.zeros((order, 1))
    for i in range(order):
        b[i] = (2 * i + 1) * (-1.0) ** i / theta
        for j in range(order):
            a[i, j] = (2 * i + 1) / theta * (-1 if i < j else (-1.0) ** (i - j + 1))
    wanted = signal.cont2discrete((a, b, np.eye(order), np.zeros((order, 1))), 1.0)
    A, B_ = modifiers.legendre(order, theta)
    np.testing.assert_allclose(A, wanted[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(B_, wanted[1][:, 0], rtol=0, atol=1e-12)


def test_the_memory_of_the_lmu_is_a_window(random):
    """The Legendre coefficients of a ramp: its value theta steps ago is read from them (equation 3 of the paper)."""
    order, theta = 8, 30.0
    layer = pylstm.Recurrent("lmu", 1, 3, memory_size=order, dtype="float64", seed=0)
    A, B_ = modifiers.legendre(order, theta)
    layer.params["weight_m"] = np.concatenate([np.zeros((1, order)), A])
    layer.params["B"] = B_
    layer.params["weight_h"][0] = 0
    layer.params["weight_x"][0] = 1
    x = np.linspace(0, 2, 100)[:, None, None]
    m = layer(x).final["m"][0]
    oldest, newest = m.sum(), (m * (-1.0) ** np.arange(order)).sum()
    assert newest == pytest.approx(x[-1, 0, 0], abs=0.05)
    assert oldest == pytest.approx(x[-1 - int(theta), 0, 0], abs=0.05)
