"""The linear recurrent net: back-propagation against formulas written out, and against polynomials."""

import numpy as np
import pytest

import pylstm
from pylstm.feedforward.linear import Linear
from pylstm.losses.regression import squared_error

I, H, O = 4, 3, 2


@pytest.fixture
def three_steps():
    """Everything about three steps with an L2 loss on V s_3."""
    rng = np.random.default_rng(3)
    layer = pylstm.RNN(I, H, nonlinearity="linear", bias=False, dtype="float64", seed=4)
    head = Linear(H, O, bias=False, dtype="float64", seed=5)
    x, s0, y = rng.normal(size=(3, I)), rng.normal(size=H), rng.normal(size=O)

    class Net:
        W, U, V = layer.params["weight_x"], layer.params["weight_h"], head.params["weight"]
        run = layer(x, {"h": s0})
        out = head(run.final["h"])
        E, dout = squared_error(out.y, y, factor=0.5)
        dhead = out.backward(dout)
        grads = run.backward(dfinal={"h": dhead.x})

    net = Net()
    net.layer, net.x, net.s0, net.y = layer, x, s0, y
    net.e = net.V @ net.run.final["h"] - y
    return net


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def test_the_states_are_powers_of_the_matrix(three_steps):
    n = three_steps
    W, U, (x1, x2, x3), s0 = n.W, n.U, n.x, n.s0
    close(n.run.y[0], W @ x1 + U @ s0)
    close(n.run.y[1], W @ x2 + U @ W @ x1 + U @ U @ s0)
    close(n.run.y[2], W @ x3 + U @ W @ x2 + U @ U @ W @ x1 + U @ U @ U @ s0)
    np.testing.assert_allclose(n.E, 0.5 * np.sum(n.e**2), rtol=1e-13)


def test_inputs_and_first_state(three_steps):
    n = three_steps
    W, U, Ve = n.W, n.U, n.V.T @ n.e
    close(n.grads.x[2], W.T @ Ve)
    close(n.grads.x[1], W.T @ U.T @ Ve)
    close(n.grads.x[0], W.T @ U.T @ U.T @ Ve)
    close(n.grads.initial["h"], U.T @ U.T @ U.T @ Ve)


def test_weights(three_steps):
    n = three_steps
    U, Ve, (s0, s1, s2, s3) = n.U, n.V.T @ n.e, n.run.states["h"]
    by_step = [U.T @ U.T @ Ve, U.T @ Ve, Ve]
    close(n.dhead.params["weight"], np.outer(n.e, s3))
    close(n.grads.params["weight_h"], sum(np.outer(d, s) for d, s in zip(by_step, (s0, s1, s2))))
    close(n.grads.params["weight_x"], sum(np.outer(d, x) for d, x in zip(by_step, n.x)))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_every_state(three_steps, k):
    """d E / d s_k, which a run that starts from s_k sends back."""
    n = three_steps
    expected = np.linalg.matrix_power(n.U.T, 3 - k) @ n.V.T @ n.e
    if k == 3:
        return close(n.dhead.x, expected)
    rest = n.layer(n.x[k:], {"h": n.run.states["h"][k]})
    close(rest.backward(dfinal={"h": n.dhead.x}).initial["h"], expected)


@pytest.mark.parametrize("T", [1, 2, 3, 8])
def test_one_unit_is_a_polynomial_in_its_weight(T):
    rng = np.random.default_rng(T)
    w, u, v, y, s0 = rng.normal(size=5)
    x = rng.normal(size=T)
    layer = pylstm.RNN(1, 1, nonlinearity="linear", bias=False, dtype="float64")
    layer.params.update({"weight_x": np.array([[w]]), "weight_h": np.array([[u]])})
    state = np.polynomial.Polynomial([*(w * x[::-1]), s0])
    run = layer(x[:, None], {"h": np.array([s0])})
    np.testing.assert_allclose(run.final["h"][0], state(u), rtol=1e-12)
    error = v * state(u) - y
    grads = run.backward(dfinal={"h": np.array([v * error])})
    np.testing.assert_allclose(grads.params["weight_h"][0, 0], v * error * state.deriv()(u), rtol=1e-11)
    np.testing.assert_allclose(grads.x[:, 0], v * error * w * u ** np.arange(T)[::-1], rtol=1e-12)
