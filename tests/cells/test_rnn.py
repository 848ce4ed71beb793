"""The Elman kernels against their formulas."""

import numpy as np
from pylstm_rnn import RNNLinear, RNNReLU, RNNTanh


def test_tanh(check):
    check(RNNTanh, lambda z, prev, p: {"h": np.tanh(z["a"])})


def test_relu(check):
    check(RNNReLU, lambda z, prev, p: {"h": np.where(z["a"].real > 0, z["a"], 0)})


def test_linear(check):
    check(RNNLinear, lambda z, prev, p: {"h": z["a"]})


def test_relu_has_slope_zero_at_zero_as_torch(one_step):
    step = one_step(RNNReLU)
    step.gates["a"][:, ::2] = 0.0
    step.forward()
    step.backward()
    assert not step.dgates["a"][:, ::2].any()
    assert (step.states["h"][:, ::2] == 0).all()


def test_the_linear_net_is_a_sum_of_powers_of_its_matrix(one_step, close):
    """seeds/002 before activations: h_T = sum over t of U^(T - t) W x_t."""
    rng = np.random.default_rng(1)
    T, I, H, B = 6, 3, 5, 4
    W, U, x = rng.normal(size=(H, I)), rng.normal(size=(H, H)), rng.normal(size=(T, B, I))
    h = np.zeros((B, H))
    for t in range(T):
        step = one_step(RNNLinear, rows=B, width=H)
        step.gates["a"][:] = x[t] @ W.T + h @ U.T
        step.forward()
        h = step.states["h"]
    expected = sum(x[t] @ (np.linalg.matrix_power(U, T - 1 - t) @ W).T for t in range(T))
    close(h, expected, 1e-12, "last state")
