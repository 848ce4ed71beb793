"""The peephole kernel against its formula."""

import numpy as np
from pylstm_peephole import Peephole


def logistic(x):
    return 1 / (1 + np.exp(-x))


def test_step_and_derivatives(check):
    def reference(z, prev, p):
        i = logistic(z["i"] + p["p_i"] * prev["c"])
        f = logistic(z["f"] + p["p_f"] * prev["c"])
        c = f * prev["c"] + i * np.tanh(z["g"])
        return {"h": logistic(z["o"] + p["p_o"] * c) * np.tanh(c), "c": c}

    check(Peephole, reference)


def test_the_output_gate_sees_the_new_cell_state_and_the_others_the_old_one(one_step, close):
    step = one_step(Peephole)
    step.forward()
    c_old, c_new = step.prev["c"], step.states["c"]
    for gate, seen in (("i", c_old), ("f", c_old), ("o", c_new)):
        close(step.gates[gate], logistic(step.z[gate] + step.params["p_" + gate] * seen), 1e-12, gate)
    wrong = logistic(step.z["o"] + step.params["p_o"] * c_old)
    assert np.max(np.abs(step.gates["o"] - wrong)) > 0.1


def test_without_peepholes_it_is_the_lstm(one_step, close):
    from pylstm.cells.lstm import LSTM

    peephole, lstm = one_step(Peephole), one_step(LSTM, seed=1)
    for name in peephole.params:
        peephole.params[name][:] = 0
    for kind in ("gates", "prev"):
        for name, block in getattr(lstm, kind).items():
            block[:] = getattr(peephole, kind)[name]
    peephole.forward()
    lstm.forward()
    close(peephole.states["h"], lstm.states["h"], 1e-12, "h")


def test_the_cotangent_of_the_cell_state_passes_through_all_three_peepholes(one_step):
    """Zeroing one weight changes the cotangent of c_{t-1}: no path is missing."""
    for name in ("p_i", "p_f", "p_o"):
        with_it, without = one_step(Peephole), one_step(Peephole)
        with_it.forward()
        without.forward()
        without.params[name][:] = 0
        with_it.backward()
        without.backward()
        assert np.min(np.max(np.abs(with_it.dprev["c"] - without.dprev["c"]), axis=1)) > 1e-3, name


def test_cotangents_of_the_peepholes_accumulate_over_rows_and_calls(one_step, close):
    step = one_step(Peephole)
    step.forward()
    first = {name: block.copy() for name, block in step.dparams.items()}
    step.backward()
    step.backward()
    c_old, c_new = step.prev["c"], step.states["c"]
    for name, seen in (("p_i", c_old), ("p_f", c_old), ("p_o", c_new)):
        expected = first[name] + 2 * (step.dgates[name[2:]] * seen).sum(axis=0)
        close(step.dparams[name], expected, 1e-12, name)
