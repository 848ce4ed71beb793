"""The kernel of the coupled input and forget gate against its formula."""

import numpy as np
from pylstm_cifg import CIFG

from pylstm.cells.lstm import LSTM


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_step_and_derivatives(check):
    def reference(z, prev, p):
        f = logistic(z["f"])
        c = f * prev["c"] + (1 - f) * np.tanh(z["g"])
        return {"h": logistic(z["o"]) * np.tanh(c), "c": c}

    check(CIFG, reference)


def test_it_is_the_lstm_whose_input_gate_is_tied_to_its_forget_gate(one_step, close):
    """1 - sigmoid(z) = sigmoid(-z): an LSTM with z_i = -z_f is this cell, and df is the difference of its two."""
    cifg, lstm = one_step(CIFG), one_step(LSTM, seed=1)
    for name in ("f", "g", "o"):
        lstm.gates[name][:] = cifg.gates[name]
    lstm.gates["i"][:] = -cifg.gates["f"]
    for kind in ("prev", "dstates", "dprev"):
        for name, block in getattr(lstm, kind).items():
            block[:] = getattr(cifg, kind)[name]
    for step in (cifg, lstm):
        step.forward()
        step.backward()
    for name in ("h", "c"):
        close(cifg.states[name], lstm.states[name], 1e-12, name)
    close(cifg.dgates["f"], lstm.dgates["f"] - lstm.dgates["i"], 1e-11, "df")
    close(cifg.dprev["c"], lstm.dprev["c"], 1e-11, "dc")


def test_the_cell_state_stays_between_its_old_value_and_the_candidate(one_step):
    step = one_step(CIFG)
    step.forward()
    old, g, new = step.prev["c"], step.gates["g"], step.states["c"]
    assert (new >= np.minimum(old, g)).all() and (new <= np.maximum(old, g)).all()


def test_three_gates_are_three_quarters_of_the_parameters():
    assert len(CIFG.contract.gates) * 4 == len(LSTM.contract.gates) * 3
