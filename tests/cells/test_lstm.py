"""The LSTM kernel against its formula."""

import numpy as np

from pylstm.cells.lstm import LSTM


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_step_and_derivatives(check):
    def reference(z, prev, p):
        c = logistic(z["f"]) * prev["c"] + logistic(z["i"]) * np.tanh(z["g"])
        return {"h": logistic(z["o"]) * np.tanh(c), "c": c}

    check(LSTM, reference)


def test_saturated_gates_carry_the_cell_state_unchanged(one_step):
    step = one_step(LSTM)
    step.gates["f"][:], step.gates["i"][:] = 800.0, -800.0
    step.forward()
    np.testing.assert_array_equal(step.states["c"], step.prev["c"])
    step.dstates["h"][:] = 0
    before = step.dprev["c"].copy()
    step.backward()
    np.testing.assert_array_equal(step.dprev["c"], before + step.dstates["c"])
