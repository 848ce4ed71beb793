"""The kernel of the LSTM with a linear output against its formula."""

import numpy as np
from pylstm_lstm_linear_output import LSTMLinearOutput

from pylstm.cells.lstm import LSTM


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_step_and_derivatives(check):
    def reference(z, prev, p):
        c = logistic(z["f"]) * prev["c"] + logistic(z["i"]) * np.tanh(z["g"])
        return {"h": logistic(z["o"]) * c, "c": c}

    check(LSTMLinearOutput, reference)


def test_same_cell_state_as_the_lstm_and_an_output_without_tanh(one_step, close):
    linear, lstm = one_step(LSTMLinearOutput), one_step(LSTM, seed=1)
    for kind in ("gates", "prev"):
        for name, block in getattr(lstm, kind).items():
            block[:] = getattr(linear, kind)[name]
    linear.forward()
    lstm.forward()
    close(linear.states["c"], lstm.states["c"], 1e-12, "c")
    np.testing.assert_array_equal(linear.states["h"], linear.gates["o"] * linear.states["c"])
    close(lstm.states["h"], linear.gates["o"] * np.tanh(linear.states["c"]), 1e-12, "h of the LSTM")


def test_the_output_may_leave_the_interval_of_tanh(one_step):
    step = one_step(LSTMLinearOutput)
    step.prev["c"][:], step.gates["f"][:], step.gates["o"][:] = 7.0, 40.0, 40.0
    step.forward()
    assert (step.states["h"] > 5).all()
