"""The auditor: the errata of the texts, planted mistakes of every kind, and its own recursion against the oracle."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

import pylstm
from pylstm import plugins
from pylstm.cells import LSTM, Cell, sigmoid, tanh
from pylstm.cells.auditing import reference
from pylstm.cells.auditing.net import World
from pylstm.cells.auditing.recursion import Formula

pytestmark = pytest.mark.once

CELLS = plugins.registry().names()


class Chain(Cell):
    """Three states, each computed from the one before in the same step."""

    states = ("h", "n", "c")
    gates = {"a": "x+h", "f": "x+h+c"}

    def forward(z, prev):
        c = sigmoid(z.f) * prev.c + tanh(z.a)
        n = 0.5 * prev.n + c * prev.h
        return dict(h=tanh(n) + 0.3 * c, n=n, c=c)


def gates_of(run):
    i, f, g, o = (run.gates[name] for name in "ifgo")
    return i, f, g, o, run.states["c"], np.tanh(run.states["c"])


def lstm_recursion(run, claimed):
    """delta_h, delta_c, and dW_f of seeds/000 (`claimed`) or of seeds/004, equations 16 to 37."""
    i, f, g, o, c, tanh_c = gates_of(run)
    dh, dc = run.dy.copy(), np.zeros_like(run.dy)
    for t in reversed(range(run.T)):
        if t + 1 < run.T:
            n = t + 1
            via_c = dh[n] * o[n] * (1 - tanh_c[n + 1] ** 2) if claimed else dc[n]
            dh[t] += dh[n] * tanh_c[n + 1] * o[n] * (1 - o[n]) @ run.weight("o", "h")
            dh[t] += via_c * f[n] * (1 - f[n]) * c[n] @ run.weight("f", "h")
            dh[t] += via_c * i[n] * (1 - g[n] ** 2) @ run.weight("g", "h")
            dh[t] += via_c * g[n] * i[n] * (1 - i[n]) @ run.weight("i", "h")
            dc[t] = dc[n] * f[n]
        dc[t] += dh[t] * o[t] * (1 - tanh_c[t + 1] ** 2)
    return {"h": dh, "c": dc, "f": dc * c[:-1] * f * (1 - f)}


def test_pinards_recursion_of_delta_h():
    """docs/derivations/delta-h.md: what reaches c(t+1) from t+2 on is lost."""
    found = pylstm.audit(LSTM, lambda run: lstm_recursion(run, claimed=True))
    assert not found.exact and found.wrong_from == 3
    assert found.findings["h"].paths == ("c(t+1) <- c(t+2)",)
    assert found.findings["c"].follows == ("h",) and not found.findings["c"].paths
    assert found.findings["f"].wrong_from == 3
    text = str(pylstm.audit(LSTM, lambda run: {"h": lstm_recursion(run, claimed=True)["h"]}))
    assert text.startswith("wrong from T = 3 on, missing path c(t+1) <- c(t+2), error ")
    assert text.endswith(" % at T = 10")


def test_pinards_error_is_that_of_the_oracle():
    claims = {}

    def claim(run):
        claims[run.T] = run, lstm_recursion(run, claimed=True)["h"]
        return {"h": claims[run.T][1]}

    error = pylstm.audit(LSTM, claim, lengths=(2, 6)).findings["h"].error
    run, dh = claims[6]
    layer = pylstm.LSTM(3, 4, dtype="float64")
    layer.params.update(run.params)
    initial = {name: states[0] for name, states in run.states.items()}
    truth = np.empty_like(dh)
    for t in range(6):  # what a run that starts after step t sends back to its initial h, plus what the loss sends
        start = {name: states[t + 1] for name, states in run.states.items()}
        truth[t] = run.dy[t] + layer(run.x[t + 1 :], start).backward(run.dy[t + 1 :]).initial["h"]
    np.testing.assert_allclose(layer(run.x, initial).y, run.states["h"][1:], rtol=1e-12)
    assert error == pytest.approx(np.linalg.norm(dh - truth) / np.linalg.norm(truth), rel=1e-9)
    assert error > 0.05


def test_the_product_of_forget_gates():
    """docs/derivations/product-of-gates.md: dC_j/dC_{j-1} = f with h_{j-1} held fixed."""

    def product(run):
        dc = run.dstates["c"].copy()
        for t in reversed(range(run.T - 1)):
            dc[t] += dc[t + 1] * run.gates["f"][t + 1]
        return {"c": dc}

    found = pylstm.audit(LSTM, product, loss={"c": "last"})
    assert found.wrong_from == 2
    assert found.paths == ("c(t) <- h(t)", "h(t) <- i(t+1), f(t+1), g(t+1), o(t+1)")


def test_equation_37_is_right():
    """docs/derivations/lstm-equations.md: with the full cotangent of c."""
    found = pylstm.audit(LSTM, lambda run: lstm_recursion(run, claimed=False))
    assert found.exact and str(found) == "exact" and found.wrong_from is None and found.paths == ()


def test_equation_16_as_printed():
    def truncated(run):
        _, f, _, o, _, tanh_c = gates_of(run)
        dc = run.dy * o * (1 - tanh_c[1:] ** 2)
        for t in reversed(range(run.T - 1)):
            dc[t] += dc[t + 1] * f[t + 1]
        return {"h": run.dy, "c": dc}

    found = pylstm.audit(LSTM, truncated)
    assert found.paths == ("h(t) <- i(t+1), f(t+1), g(t+1), o(t+1)",)
    assert all(finding.paths for finding in found.findings.values())


@pytest.mark.parametrize("state", ["h", "n", "c"])
@pytest.mark.parametrize("convention", ["full", "handed"])
def test_both_meanings_of_a_cotangent(state, convention):
    worlds = {T: World(Chain, 6, None, 0, {}) for T in range(1, 7)}
    claim = lambda run: {state: getattr(worlds[run.T].recursion(run.T), convention)[state]}  # noqa: E731
    assert pylstm.audit(Chain, claim, lengths=range(1, 7)).exact


@pytest.mark.parametrize("name", CELLS)
def test_its_recursion_is_that_of_the_oracle(name):
    cell = plugins.registry().get(name)
    world = World(cell, 5, {state: "every" for state in cell.contract.states}, 1, {})
    tape, dstates = world.run(5)
    expected, got = reference.backward(tape, dstates=dstates), world.recursion(5)
    for param, grad in expected.params.items():
        np.testing.assert_allclose(got.params[param], grad, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(got.x, expected.x, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", [*CELLS, "chain"])
def test_the_true_recursion_is_exact_and_every_cut_is_found(name):
    from pylstm.cells.auditing.audit import _candidates

    cell = Chain if name == "chain" else plugins.registry().get(name)
    world = World(cell, 4, None, 0, {})
    true = world.recursion(4)
    assert pylstm.audit(cell, lambda run: world.recursion(run.T).named, lengths=(2, 4)).exact
    some = [s for s in true.full if np.abs(true.full[s]).max() > 1e-6]  # what only scales, as m of mlstm, has none

    def counts(cut):
        moved = world.recursion(4, cut=cut).full
        return any(np.abs(moved[s] - true.full[s]).max() > 1e-6 for s in some)

    cuts = _candidates(world)
    if len(cuts) > 300:  # of hyper_lstm, which would take half a minute
        return
    if os.environ.get("PYLSTM_NIGHTLY") == "1":
        chosen = [cut for cut in cuts if counts(cut)][:6]
    else:
        orders = (cuts, cuts[::-1])[: 1 if len(cuts) > 60 else 2]  # an audit tries all cuts
        chosen = list(dict.fromkeys(next(cut for cut in order if counts(cut)) for order in orders))
    assert chosen
    for cut in chosen:
        found = pylstm.audit(cell, lambda run, cut=cut: world.recursion(run.T, cut=cut).full, lengths=(2, 3, 4))
        (_, to, _) = next(iter(cut))
        assert any(path.startswith(f"{to}(t") for path in found.paths), (cut, str(found))


def test_what_a_chain_of_states_owes_to_itself():
    formula = Formula(Chain)
    assert set(formula.pairs) == {("n", "h"), ("c", "h"), ("c", "n")}
    assert Formula(plugins.registry().get("gru")).pairs == ()


@pytest.mark.parametrize(
    ("claimed", "path"),
    [
        (lambda d, y, prev: {"c": 0 * d.c}, "c(t) <- c(t+1)"),
        (lambda d, y: {"o": 0 * d.h}, "o(t) <- h(t)"),
        (lambda d: {"i": 0 * d.h}, "i(t) <- c(t)"),
    ],
)
def test_a_local_derivative_that_is_missing(claimed, path):
    found = pylstm.audit(LSTM, claimed)
    assert found.paths == (path,) and found.wrong_from == (2 if path.startswith("c") else 1)
    assert any("missing?" in fault for fault in found.faults)


def test_a_local_derivative_with_another_fault():
    found = pylstm.audit(
        LSTM, lambda d, y, prev: {"f": -(d.c + d.h * y.o * (1 - y.tanh_c**2)) * prev.c * y.f * (1 - y.f)}
    )
    assert not found.exact and found.paths == ()
    (fault,) = [fault for fault in found.faults if fault.startswith("d c / d gate f: ")]
    claimed, true = map(float, re.match(r".*claimed (\S+), complex steps (\S+) at .*\(sign\)", fault).groups())
    assert claimed == -true
    assert "no single missing path explains it" in str(found)


def test_right_local_derivatives_of_each_stage():
    cell = plugins.registry().get("gru_reset_before")
    for stage in cell.contract.stages:
        claimed = getattr(cell, f"backward_{stage.name}")
        assert str(pylstm.audit(cell, claimed, stage=stage.name)) == "exact"
    with pytest.raises(ValueError, match="pass stage="):
        pylstm.audit(cell, claimed)


def test_local_derivatives_of_a_formula():
    assert pylstm.audit(Chain, Chain.backward).exact
    found = pylstm.audit(Chain, lambda d: {"n": 0 * d.n})
    assert found.wrong_from == 2 and found.paths == ("n(t) <- n(t+1)",)


def test_a_claim_about_parameters():
    def factor(run):
        world = World(LSTM, 10, None, 0, {}).recursion(run.T)
        return {"weight_h": 1.2 * world.params["weight_h"], "bias": world.params["bias"]}

    found = pylstm.audit(LSTM, factor)
    assert found.findings["bias"].exact and found.findings["weight_h"].error == pytest.approx(0.2)
    assert "weight_h: wrong from T = 1 on, no single missing path explains it, error 20 % at T = 10" in str(found)


@pytest.mark.parametrize(
    ("claimed", "error", "message"),
    [
        (lambda run: None, TypeError, "must return a dict"),
        (lambda run: {"q": run.dy}, ValueError, r"returned 'q', which does not exist \(known: h, c"),
        (lambda run: {"h": run.dy[1:]}, ValueError, r"shape \(1, 4, 4\) at T = 1, got \(0, 4, 4\)"),
    ],
)
def test_claims_that_are_none(claimed, error, message):
    with pytest.raises(error, match=message):
        pylstm.audit(LSTM, claimed)


def test_nan_is_wrong():
    found = pylstm.audit(LSTM, lambda run: {"h": run.dy * np.nan})
    assert found.wrong_from == 1 and found.findings["h"].error == np.inf


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="loss must map states"):
        pylstm.audit(LSTM, lambda run: {}, loss={"c": "first"})
    with pytest.raises(ValueError, match="lengths"):
        pylstm.audit(LSTM, lambda run: {}, lengths=())
    with pytest.raises(TypeError, match="a subclass of"):
        pylstm.audit("lstm", lambda run: {})


def test_a_wrong_cell_is_refused():
    class Wrong(LSTM):
        states, gates, keep = LSTM.states, LSTM.gates, LSTM.keep
        forward = LSTM.forward

        def backward(d, y, prev):
            return LSTM.backward(d, y, prev) | {"c": d.c}

    with pytest.raises(pylstm.CertificationError):
        pylstm.audit(Wrong, lambda run: {"h": run.dy})
