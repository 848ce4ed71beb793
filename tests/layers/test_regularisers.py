"""Regularisers: seeds, means, and exact gradients through all of them."""

import numpy as np
import pytest

from numeric import difference
from pylstm.layers.named import Recurrent
from pylstm.layers.regularisers import (
    activation_penalty,
    drop_connect,
    input_dropout,
    l2_penalty,
    state_dropout,
    zoneout,
)

T, B, I, H = 6, 3, 4, 5
CELLS = ["lstm", "gru", "gru_reset_before", "peephole", "rnn_tanh"]


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def layer(cell="lstm", **options):
    return Recurrent(cell, I, H, dtype="float64", seed=0, **options)


def check(loss, pairs):
    rng = np.random.default_rng(3)
    for array, gradient in pairs:
        for _ in range(6):
            index = tuple(rng.integers(n) for n in array.shape)
            assert gradient[index] == pytest.approx(difference(loss, array, index), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_through_all_of_them(cell):
    each, x, dy = layer(cell), draw(1, T, B, I), draw(2, T, B, H)

    def forward():
        states = each.cell.contract.states
        factors_x = input_dropout(each, x, 0.3, seed=4)
        noise = zoneout(each, x, dict.fromkeys(states, 0.4), seed=5) | state_dropout(each, x, {"h": 0.3}, seed=6)
        recurrent = [name for name in each.params if name.startswith("weight_") and name != "weight_x"]
        with drop_connect(each, 0.4, recurrent, seed=7) as factors:
            run = each(x * factors_x, **noise)
        penalty, dpenalty = activation_penalty(run.y, 2.0, 3.0)
        weights, dweights = l2_penalty(each.params, 0.1)
        return run, factors_x, factors, penalty, dpenalty, weights, dweights

    def loss():
        run, _, _, penalty, _, weights, _ = forward()
        return (dy * run.y).sum() + penalty + weights

    run, factors_x, factors, _, dpenalty, _, dweights = forward()
    assert (factors_x == 0).any() and (factors.flat == 0).any()
    grads = run.backward(dy + dpenalty)
    grads.params.flat[...] = grads.params.flat * factors.flat + dweights.flat
    check(loss, [(x, grads.x * factors_x), *((each.params[name], grads.params[name]) for name in each.params)])


@pytest.mark.parametrize("cell", CELLS)
def test_zoneout_keeps_previous_states(cell):
    each, x = layer(cell), draw(1, 40, 20, I)
    rates = dict.fromkeys(each.cell.contract.states, 0.3)
    noise = zoneout(each, x, rates, seed=2)
    states = each(x, **noise).states
    for name in rates:
        kept = states[name][1:] == states[name][:-1]
        np.testing.assert_array_equal(kept, noise["blend"][name] == 0)
        assert abs(kept.mean() - 0.3) < 0.03
    first = each(x, **zoneout(each, x, rates, training=False)).states
    plain = each(x)
    for name in rates:  # from initial states of 0
        np.testing.assert_allclose(first[name][1], 0.7 * plain.states[name][1], rtol=1e-12)


def test_zoneout_of_one_state_leaves_the_others():
    each, x = layer(), draw(1, T, B, I)
    states = each(x, **zoneout(each, x, {"c": 1.0}, seed=2)).states
    assert not states["c"].any()
    states = each(x, **zoneout(each, x, {"h": 1.0}, seed=2)).states
    assert not states["h"].any() and states["c"][1:].all()


@pytest.mark.parametrize(
    ("batch_first", "shape", "once"),
    [(False, (T, B, I), (1, B)), (True, (B, T, I), (B, 1)), (True, (T, I), (1,)), (False, (T, I), (1,))],
)
def test_variational_dropout_is_the_same_at_every_step(batch_first, shape, once):
    each, x = layer(batch_first=batch_first), draw(1, *shape)
    factors = input_dropout(each, x, 0.5, seed=1)
    assert factors.shape == (*once, I) and set(np.unique(factors)) <= {0.0, 2.0}
    pre = state_dropout(each, x, {"h": 0.5}, seed=1)["pre"]["h"]
    assert pre.shape == (*shape[:-1], H) and set(np.unique(pre)) == {0.0, 2.0}
    axis = 1 if once == (B, 1) else 0
    np.testing.assert_array_equal(pre, np.repeat(np.take(pre, [0], axis), T, axis))
    assert each(x * factors, pre={"h": pre}).y.shape == (*shape[:-1], H)


def test_state_dropout_of_the_lstm_masks_the_recurrent_product_only():
    each, x = layer(), draw(1, T, 1, I)
    noise = state_dropout(each, x, {"h": 0.5}, seed=1)
    masked = Recurrent("lstm", I, H, dtype="float64", seed=0)
    masked.params["weight_h"] = each.params["weight_h"] * noise["pre"]["h"][0, 0]
    np.testing.assert_allclose(each(x, **noise).y, masked(x).y, rtol=1e-12)


def test_drop_connect_masks_and_restores():
    stack = layer("gru", num_layers=2, bidirectional=True)
    before, x = stack.params.copy(), draw(1, T, B, I)
    with drop_connect(stack, 0.5, seed=1) as factors:
        for name in stack.params:
            np.testing.assert_array_equal(stack.params[name], before[name] * factors[name])
            assert (set(np.unique(factors[name])) == {0.0, 2.0}) == name.endswith("weight_h")
        run = stack(x)
    np.testing.assert_array_equal(stack.params.flat, before.flat)
    assert (run.y != stack(x).y).any()
    with drop_connect(stack, 0.5, seed=1) as again:
        np.testing.assert_array_equal(factors.flat, again.flat)
    with pytest.raises(ZeroDivisionError), drop_connect(stack, 0.5, seed=1):
        raise ZeroDivisionError
    np.testing.assert_array_equal(stack.params.flat, before.flat)


def test_seeds_and_evaluation():
    each, x = layer(), draw(1, T, B, I)
    for function, rates in ((zoneout, {"h": 0.5, "c": 0.2}), (state_dropout, {"h": 0.5}), (input_dropout, 0.5)):
        one, two, three = (function(each, x, rates, seed=seed) for seed in (1, 1, 2))
        flat = [next(iter(a.values()))["h"] if isinstance(a, dict) else a for a in (one, two, three)]
        np.testing.assert_array_equal(flat[0], flat[1])
        assert (flat[0] != flat[2]).any()
    assert (input_dropout(each, x, 0.5, training=False) == 1).all()
    plain = each(x).y
    np.testing.assert_array_equal(each(x, **state_dropout(each, x, {"h": 0.5}, training=False)).y, plain)
    with drop_connect(each, 0.5, training=False) as factors:
        assert (factors.flat == 1).all()
        np.testing.assert_array_equal(each(x).y, plain)


def test_penalties_of_layouts_and_names():
    y = draw(1, T, B, H)
    value, gradient = activation_penalty(y, 0.5, 0.25)
    expected = 0.5 * np.mean(y**2) + 0.25 * np.mean((y[1:] - y[:-1]) ** 2)
    assert value == pytest.approx(expected, rel=1e-12)
    other, turned = activation_penalty(y.swapaxes(0, 1), 0.5, 0.25, batch_first=True)
    assert other == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(turned.swapaxes(0, 1), gradient, rtol=1e-12)
    assert activation_penalty(y[:1], 0.0, 1.0)[0] == 0 and activation_penalty(y[:0], 1.0, 1.0)[0] == 0
    each = layer()
    value, grads = l2_penalty(each.params, 2.0, ["weight_h"])
    assert value == pytest.approx(2 * (each.params["weight_h"] ** 2).sum(), rel=1e-12)
    assert not grads["bias"].any() and not grads["weight_x"].any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e, x: zoneout(e, x, {"q": 0.1}), "no state 'q'"),
        (lambda e, x: zoneout(e, x, {"h": 1.1}), "rate of 'h' must be in 0..1, got 1.1"),
        (lambda e, x: state_dropout(e, x, {"h": 1.0}), "must be in 0..1 and below 1"),
        (lambda e, x: input_dropout(e, x, -0.1), "rate of 'x'"),
        (lambda e, x: drop_connect(e, 0.5, ["weight_q"]).__enter__(), "unknown parameter weight_q"),
    ],
)
def test_what_does_not_fit(call, message):
    each = layer()
    before = each.params.flat.copy()
    with pytest.raises(ValueError, match=message):
        call(each, draw(1, T, B, I))
    np.testing.assert_array_equal(each.params.flat, before)
