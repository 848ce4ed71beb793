"""The GRU kernels against the formulas of PyTorch and of Cho et al. (2014)."""

import numpy as np
import pytest
from pylstm_gru import GRU, GRUResetBefore

import pylstm


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_step_and_derivatives(check):
    def reference(z, prev, p):
        update = logistic(z["z"])
        n = np.tanh(z["n"] + logistic(z["r"]) * z["m"])
        return {"h": (1 - update) * n + update * prev["h"]}

    check(GRU, reference)


def drawn(B, I, H):
    """Input, state, and PyTorch's parameters of one GRU step, rows in PyTorch's order r, z, n."""
    rng = np.random.default_rng(3)
    shapes = {"x": (B, I), "h": (B, H), "w_ih": (3 * H, I), "w_hh": (3 * H, H), "b_ih": (3 * H,), "b_hh": (3 * H,)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def kernel_step(one_step, v):
    """The kernel on the pre-activations that those parameters give: biases of r and z summed, of the candidate not."""
    B, H = v["h"].shape
    from_x, from_h = np.split(v["x"] @ v["w_ih"].T + v["b_ih"], 3, 1), np.split(v["h"] @ v["w_hh"].T + v["b_hh"], 3, 1)
    step = one_step(GRU, rows=B, width=H)
    step.prev["h"][:] = v["h"]
    step.gates["r"][:], step.gates["z"][:] = from_x[0] + from_h[0], from_x[1] + from_h[1]
    step.gates["m"][:], step.gates["n"][:] = from_h[2], from_x[2]
    step.forward()
    return step


def test_one_step_of_the_formula_that_pytorch_documents(one_step, close):
    v = drawn(4, 3, 5)
    W_ir, W_iz, W_in = np.split(v["w_ih"], 3)
    W_hr, W_hz, W_hn = np.split(v["w_hh"], 3)
    b_ir, b_iz, b_in = np.split(v["b_ih"], 3)
    b_hr, b_hz, b_hn = np.split(v["b_hh"], 3)
    for b in range(4):
        x, h = v["x"][b], v["h"][b]
        r = logistic(W_ir @ x + b_ir + W_hr @ h + b_hr)
        z = logistic(W_iz @ x + b_iz + W_hz @ h + b_hz)
        n = np.tanh(W_in @ x + b_in + r * (W_hn @ h + b_hn))
        close(kernel_step(one_step, v).states["h"][b], (1 - z) * n + z * h, 1e-12, f"row {b}")


def test_one_step_of_torch(one_step, close):
    torch = pytest.importorskip("torch")
    v = {name: torch.tensor(array) for name, array in drawn(4, 3, 5).items()}
    theirs = torch.gru_cell(v["x"], v["h"], v["w_ih"], v["w_hh"], v["b_ih"], v["b_hh"]).numpy()
    close(kernel_step(one_step, drawn(4, 3, 5)).states["h"], theirs, 1e-12, "h")


def test_the_tape_keeps_the_recurrent_part_of_the_candidate_as_it_came(one_step):
    step = one_step(GRU)
    step.forward()
    np.testing.assert_array_equal(step.gates["m"], step.z["m"])


def test_h_fed_gates_and_x_fed_gates_share_r_and_z():
    assert GRU.contract.gates_of("h") == ("r", "z", "m")
    assert GRU.contract.gates_of("x") == ("r", "z", "n")


@pytest.mark.parametrize("dtype, tolerance, d_tolerance", [("float32", 2e-6, 1e-5), ("float64", 1e-12, 1e-11)])
def test_reset_before_resets_the_state_before_the_product(one_step, close, dtype, tolerance, d_tolerance):
    """Both stages with the product between them, against complex steps of the whole formula."""
    step = one_step(GRUResetBefore, dtype=dtype)
    U_n = np.random.default_rng(5).normal(size=(step.width, step.width)) / 6

    def reference(z_r, z_z, x_n, h):
        n = np.tanh(x_n + (logistic(z_r) * h) @ U_n.T)
        return (1 - logistic(z_z)) * n + logistic(z_z) * h

    at = [np.array(a, complex) for a in (step.z["r"], step.z["z"], step.z["n"], step.prev["h"])]
    step.forward(0)
    step.gates["n"] += step.emissions["rh"] @ U_n.T
    step.forward(1)
    close(step.states["h"], reference(*at).real, tolerance, "h")

    direct = step.dprev["h"].copy()
    step.backward(1)
    step.demissions["rh"][:] = step.dgates["n"] @ U_n
    step.backward(0)
    rng = np.random.default_rng(6)
    results = (step.dgates["r"], step.dgates["z"], step.dgates["n"], step.dprev["h"] - direct)
    for name, k, result in zip(("r", "z", "n", "h"), range(4), results):
        directions = [rng.normal(size=at[0].shape) if k == j else 0 for j in range(4)]
        slope = reference(*(a + 1e-30j * v for a, v in zip(at, directions))).imag / 1e-30
        expected, scale = np.sum(step.dstates["h"] * slope), np.sum(np.abs(step.dstates["h"] * slope))
        assert abs(np.sum(result * directions[k]) - expected) <= d_tolerance * scale, name


def test_reset_before_and_after_differ_only_in_where_the_reset_gate_acts(one_step, close):
    """With U = identity and no bias the two candidates agree."""
    after, before = one_step(GRU, seed=8), one_step(GRUResetBefore, seed=9)
    before.prev["h"][:] = after.prev["h"]
    after.gates["m"][:] = after.prev["h"]
    for gate in ("r", "z", "n"):
        before.gates[gate][:] = after.gates[gate]
    before.forward(0)
    before.gates["n"] += before.emissions["rh"]
    before.forward(1)
    after.forward()
    close(before.states["h"], after.states["h"], 1e-12, "h")


@pytest.mark.parametrize(("reset_after", "cell"), [(True, "gru"), (False, "gru_reset_before")])
def test_where_the_reset_acts_is_an_option_of_the_layer(reset_after, cell):
    x = np.random.default_rng(0).normal(size=(6, 2, 3)).astype("float32")
    ours = pylstm.GRU(3, 4, num_layers=2, bidirectional=True, reset_after=reset_after, seed=0)
    theirs = pylstm.Recurrent(cell, 3, 4, num_layers=2, bidirectional=True, seed=0)
    np.testing.assert_array_equal(ours(x).y, theirs(x).y)
