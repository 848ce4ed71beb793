"""d c_t / d c_k of an LSTM against the product of its forget gates."""

import numpy as np
import pytest

import pylstm

I, H, T = 8, 32, 60


class Net:
    """A layer as it is created, with forget bias 1, `warm` steps into a random sequence."""

    def __init__(self, seed, *, warm=20):
        self.layer = pylstm.LSTM(I, H, dtype="float64", seed=seed)
        self.layer.params["bias"][H : 2 * H] = 1
        self.x = np.random.default_rng(seed).normal(size=(warm + T, I))
        self.before, self.x = self.layer(self.x[:warm]), self.x[warm:]
        self.U = dict(zip("ifgo", np.split(self.layer.params["weight_h"], 4)))

    def jacobians(self, lag, start=None):
        """d c_t / d h_k and d c_t / d c_k (H, H), each with the other held fixed."""
        start = start or self.before.final
        run = self.layer(
            np.repeat(self.x[:lag, None], H, axis=1), {name: np.tile(state, (H, 1)) for name, state in start.items()}
        )
        back = run.backward(dfinal={"c": np.eye(H)}).initial
        return back["h"], back["c"]

    def true(self, lag):
        """d c_t / d c_k with h_k = o_k tanh(c_k) following."""
        by_h, by_c = self.jacobians(lag)
        return by_c + by_h * (self.before.gates["o"][-1] * (1 - np.tanh(self.before.final["c"]) ** 2))

    def product(self, lag):
        return self.layer(self.x[:lag], self.before.final).gates["f"].prod(axis=0)


def test_with_h_held_fixed_one_step_is_the_forget_gate():
    net = Net(0)
    _, by_c = net.jacobians(1)
    np.testing.assert_allclose(by_c, np.diag(net.product(1)), rtol=0, atol=1e-15)
    assert np.abs(net.true(1) - by_c).max() > 0.01


def test_one_step_is_the_gate_and_the_path_through_h():
    net = Net(1)
    run, c = net.layer(net.x[:1], net.before.final), net.before.final["c"]
    i, f, g, _ = (run.gates[k][0] for k in "ifgo")
    rows = {"f": c * f * (1 - f), "i": g * i * (1 - i), "g": i * (1 - g**2)}
    by_h = sum(np.diag(rows[k]) @ net.U[k] for k in rows)
    dh_dc = net.before.gates["o"][-1] * (1 - np.tanh(c) ** 2)
    np.testing.assert_allclose(net.true(1), np.diag(f) + by_h @ np.diag(dh_dc), rtol=0, atol=1e-14)


@pytest.mark.parametrize("lag", [1, 5, 20])
def test_the_jacobian_agrees_with_differences(lag):
    net, step = Net(2), 1e-5
    o, c = net.before.gates["o"][-1], net.before.final["c"]
    ends = []
    for sign in (1, -1):
        moved = c + sign * step * np.eye(H)
        run = net.layer(np.repeat(net.x[:lag, None], H, axis=1), {"c": moved, "h": o * np.tanh(moved)})
        ends.append(run.final["c"])
    differences = ((ends[0] - ends[1]) / (2 * step)).T
    np.testing.assert_allclose(net.true(lag), differences, rtol=0, atol=1e-8)


def test_two_steps_are_no_product_of_one_step_jacobians_of_c():
    """o_{k+1} depends on h_k as well: the pair (h, c) has to be carried."""
    net = Net(3)
    second = Net(3)
    second.before, second.x = net.layer(net.x[:1], net.before.final), net.x[1:]
    off = np.abs(second.true(1) @ net.true(1) - net.true(2)).max()
    assert off > 1e-4
    both = [np.block([[*_of_both(each)[0]], [*_of_both(each)[1]]]) for each in (second, net)]
    start = net.before.gates["o"][-1] * (1 - np.tanh(net.before.final["c"]) ** 2)
    chained = both[0] @ both[1] @ np.vstack([np.diag(start), np.eye(H)])
    np.testing.assert_allclose(chained[H:], net.true(2), rtol=0, atol=1e-14)


def _of_both(net):
    """One step's Jacobian of (h, c) with respect to (h, c), as rows of blocks."""
    run = net.layer(
        np.repeat(net.x[:1, None], H, axis=1), {name: np.tile(s, (H, 1)) for name, s in net.before.final.items()}
    )
    of_h = run.backward(dfinal={"h": np.eye(H)}).initial
    of_c = run.backward(dfinal={"c": np.eye(H)}).initial
    return (of_h["h"], of_h["c"]), (of_c["h"], of_c["c"])


def test_the_product_falls_behind_by_orders_of_magnitude():
    lags = (5, 10, 20, 40, 60)
    ratios = np.array(
        [[np.linalg.norm(net.true(n), 2) / net.product(n).max() for n in lags] for net in map(Net, range(8))]
    )
    assert (np.diff(ratios, axis=1) > 0).all()
    median = dict(zip(lags, np.median(ratios, axis=0)))
    assert 1.2 < median[5] < 4
    assert 2 < median[10] < 10
    assert 8 < median[20] < 80
    assert 50 < median[40] < 2000
    assert 500 < median[60] < 50_000


def test_without_recurrent_weights_the_product_is_the_gradient():
    net = Net(4)
    net.layer.params["weight_h"] = np.zeros((4 * H, H))
    np.testing.assert_allclose(net.true(20), np.diag(net.product(20)), rtol=1e-12, atol=0)
