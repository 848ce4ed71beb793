"""Gradients by lag and by row, Jacobians of steps, Lyapunov exponents and fixed points, beside their definitions."""

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, Stage, tanh
from pylstm.diagnostics import fixed_points, gradient_by_lag, jacobians, lyapunov_spectrum, row_gradients
from run_problems import FORMS, NAMES, B, H, I, T, draw, problem


@pytest.mark.parametrize("cell", NAMES)
def test_lags_of_every_cell_add_up(cell):
    layer, x, call, dy = problem(cell)
    run = layer(x, **call)
    found, grads = gradient_by_lag(run, dy), run.backward(dy)
    truth = grads.params.flat
    scale = max(1.0, np.abs(found.params).max())
    assert np.abs(found.params.sum(axis=0) - truth).max() <= 1e-12 * scale
    assert found.sent[0] == found.direct[0] > 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_reset_before"])
def test_a_lag_is_what_one_loss_sends_so_far(cell, form):
    layer, x, call, dy = problem(cell)
    call |= FORMS[form]
    run = layer(x, **call)
    found = gradient_by_lag(run, dy)
    lengths = call.get("lengths", [T] * B)
    truth = np.zeros_like(found.params)
    for t in range(T):
        alone = np.zeros_like(dy)
        alone[t] = dy[t]
        after = np.zeros_like(truth[0])
        for first in range(t, -1, -1):  # of the steps from `first` on alone
            kept = {name: value[first : t + 1] for name, value in call.items() if name == "reset"}
            kept |= {
                kind: {n: v[first : t + 1] for n, v in call[kind].items()} for kind in ("pre", "blend") if kind in call
            }
            if "lengths" in call:
                kept["lengths"] = [max(0, min(n, t + 1) - first) for n in lengths]
            start = {name: run.states[name][first] for name in layer.cell.contract.states}
            part = layer(x[first : t + 1], start, **kept).backward(alone[first : t + 1]).params.flat
            truth[t - first] += part - after
            after = part
    assert np.allclose(found.params, truth, rtol=1e-9, atol=1e-11)
    few = gradient_by_lag(run, dy, 2)
    assert np.array_equal(few.params, found.params[:2]) and list(few.lags) == [0, 1]
    whole = found.params.sum(axis=0)
    assert np.isclose(found.truncation_bias(2), np.linalg.norm(whole - few.params.sum(axis=0)) / np.linalg.norm(whole))


def test_the_direct_path_of_an_lstm_is_its_forget_gate():
    layer, x, call, _ = problem("lstm")
    run = layer(x, **call)
    dy = np.zeros((T, B, H))
    dy[-1] = 1
    found = gradient_by_lag(run, dy)
    o, c, f = run.gates["o"], run.states["c"], run.gates["f"]
    sent = o[-1] * (1 - np.tanh(c[-1]) ** 2) * f[-1]
    for lag in range(1, T):
        assert np.isclose(found.direct[lag], np.sqrt((sent**2).sum() / (2 * T * B * H)), rtol=1e-12)
        sent = sent * f[-1 - lag]
    assert abs(found.direct[-1] - found.sent[-1]) > 1e-6


@pytest.mark.parametrize("first", [True, False], ids=["batch first", "one sequence"])
def test_as_the_caller_has_them(first):
    layer, x, call, dy = problem("gru")
    other = pylstm.GRU(I, H, dtype="float64", batch_first=first)
    other.params.update(layer.params)
    bring = (lambda a: a.swapaxes(0, 1)) if first else (lambda a: a[:, 1])
    truth = layer(x, **call)
    start = {name: value if first else value[1] for name, value in call["initial"].items()}
    run = other(bring(x), start)
    one = slice(None) if first else slice(1, 2)
    assert np.allclose(jacobians(run), bring(jacobians(truth)), rtol=1e-12)
    assert np.allclose(row_gradients(run, bring(dy))["weight_h"], row_gradients(truth, dy)["weight_h"][one])
    by_lag = gradient_by_lag(run, bring(dy)).params
    alone = layer(x[:, one], {name: value[one] for name, value in call["initial"].items()})
    assert np.allclose(by_lag, gradient_by_lag(alone, dy[:, one]).params, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cell", ["lstm", "gru", "mgu", "ln_gru"])
def test_jacobians(cell):
    layer, x, call, _ = problem(cell)
    run = layer(x, **call)
    found, names = jacobians(run), layer.cell.contract.states
    for t in (0, 3):
        columns = []
        for name in names:
            for unit in range(layer.widths[name]):
                sides = []
                for by in (1e-5, -1e-5):
                    start = {each: run.states[each][t].copy() for each in names}
                    start[name][:, unit] += by
                    sides.append(np.concatenate([layer(x[t : t + 1], start).final[each] for each in names], -1))
                columns.append((sides[0] - sides[1]) / 2e-5)
        assert np.allclose(found[t], np.stack(columns, -1), rtol=1e-6, atol=1e-9)
    assert np.abs(found).max() > 1e-2


class Linear(Cell):
    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return {"h": z.a}


def test_the_spectrum_of_a_linear_net():
    """Of a normal matrix: the logarithms of its singular values."""
    layer = pylstm.Recurrent(Linear, 2, 5, dtype="float64", seed=0)
    Q = np.linalg.qr(draw(5, 5))[0]
    values = np.array([0.3, 0.5, 0.7, 0.9, 1.1])
    layer.params["weight_h"][...] = Q @ np.diag(values) @ Q.T
    found = lyapunov_spectrum(layer(draw(400, 2, 2) / 1e3), skip=250)
    assert np.allclose(found, np.sort(np.log(values))[::-1], rtol=0, atol=1e-12)
    few = lyapunov_spectrum(layer(draw(400, 2, 2) / 1e3), exponents=2, skip=250)
    assert few.shape == (2, 2) and np.allclose(few, found[:, :2], atol=1e-12)


def test_lags_of_a_stack_of_two_directions_layer_by_layer():
    stack = pylstm.LSTM(I, 3, num_layers=2, bidirectional=True, dtype="float64", seed=0)
    run = stack(draw(T, B, I))
    dy, parts = draw(*run.y.shape, seed=1), []
    whole = run.backward(dy).params.flat
    for both in reversed(run.layers):
        there, back = np.split(dy, 2, axis=-1)
        found = gradient_by_lag(both.forward, there), gradient_by_lag(both.reverse, back[::-1])
        parts, dy = [*(each.params.sum(axis=0) for each in found), *parts], both.backward(dy).x
    assert np.allclose(np.concatenate(parts), whole, rtol=0, atol=1e-14 * np.abs(whole).max())


class Rates(Cell):
    """dh/dt = -h + J tanh(h), by Euler's steps."""

    states, gates, biased, options = ("h",), {"a": "phi"}, (), {"dt": 0.1}
    stages = (Stage("rates", emits=("phi",)), Stage("flow", gates=("a",)))

    def forward_rates(prev):
        return {"phi": tanh(prev.h)}

    def forward_flow(z, prev, o):
        return {"h": prev.h + o.dt * (z.a - prev.h)}


def test_the_spectrum_of_a_chaotic_net():
    """Engelken, Wolf and Abbott (2023): symmetric about its mean, -1/tau, and most of it below 0."""
    units, dt, strength = 100, 0.05, 4
    layer = pylstm.Recurrent(Rates.with_options(dt=dt), 1, units, dtype="float64", seed=0)
    layer.params["weight_phi"][...] = strength / np.sqrt(units) * draw(units, units)
    run = layer(np.zeros((1200, 1, 1)), {"h": draw(1, units, seed=1)})
    rates = lyapunov_spectrum(run, skip=300)[0] / dt
    mean = rates.mean()
    assert rates[0] > 0.03 and (rates > 0).mean() < 0.2
    assert np.log(1 - dt) / dt - 0.15 < mean < -1  # of Euler's steps
    assert np.corrcoef(rates, -rates[::-1])[0, 1] > 0.97
    J = jacobians(run)[400, 0]
    exact = np.eye(units) * (1 - dt) + dt * layer.params["weight_phi"] * (1 - np.tanh(run.states["h"][400, 0]) ** 2)
    assert np.allclose(J, exact, atol=1e-13)


@pytest.mark.once
@pytest.mark.parametrize(
    ("strength", "largest", "dimension"), [(2, (0.0125, 0.006), (2.55, 0.15)), (4, (0.163, 0.04), (6.35, 0.5))]
)
def test_the_spectrum_of_the_published_program(strength, largest, dimension):
    """What rate_Lyapunov_spectra(100, g, 0.1, 1e3, 100, 1, 1, 1, 1) of the authors of that paper returns (2023).

    Of its net and first state, drawn with its seeds: the largest exponent, per time constant, and the Kaplan-Yorke
    dimension. It has run for 1000 time constants, this for 500; each with the wander of a chaotic run of that length.
    """
    units, dt = 100, 0.1
    J = strength / np.sqrt(units) * np.random.RandomState(1).randn(units, units)
    layer = pylstm.Recurrent(Rates.with_options(dt=dt), 1, units, dtype="float64", seed=0)
    layer.params["weight_phi"][...] = J - np.diag(np.diag(J))
    first = (strength - 1) * np.random.RandomState(1).randn(1, units)
    rates = lyapunov_spectrum(layer(np.zeros((7000, 1, 1)), {"h": first}), exponents=12, skip=2000)[0] / dt
    sums = rates.cumsum()
    whole = np.flatnonzero(sums > 0)[-1] + 1
    assert rates[0] == pytest.approx(largest[0], abs=largest[1])
    assert whole + sums[whole - 1] / -rates[whole] == pytest.approx(dimension[0], abs=dimension[1])


@pytest.mark.parametrize("first", [True, False])
def test_the_direct_path_of_a_step(first):
    layer = pylstm.LSTM(I, 3, dtype="float64", seed=0, batch_first=first)
    x = draw(B, T, I) if first else draw(T, B, I)
    reset = np.zeros(x.shape[:2], bool)
    reset[(1, 2) if first else (2, 1)] = True
    run = layer(x, reset=reset)
    J, f = jacobians(run, direct=True), run.gates["f"]
    names = list(run.states)
    at = {name: slice(3 * k, 3 * k + 3) for k, name in enumerate(names)}
    diagonal = f * ~reset[..., None]
    assert np.allclose(J[:, :, at["c"], at["c"]], diagonal[..., None] * np.eye(3), rtol=1e-14, atol=0)
    assert not J[:, :, :, at["h"]].any() and J[:, :, at["h"], at["c"]].any()
    assert not np.allclose(J, jacobians(run), atol=1e-3)
    with pytest.raises(TypeError, match="direct must be"):
        jacobians(run, direct="h")


def test_fixed_points():
    layer = pylstm.RNN(1, 1, bias=False, dtype="float64", seed=0)
    layer.params["weight_h"][...] = 2.0
    states, change, J = fixed_points(layer, {"h": np.array([[2.0], [-2.0], [0.1]])})
    h = states["h"][:, 0]
    assert np.allclose(np.tanh(2 * h), h, atol=1e-12) and (change < 1e-10).all()
    assert np.allclose(h, [0.9575040240772687, -0.9575040240772687, 0.0], atol=1e-9)
    assert np.allclose(J[:, 0, 0], 2 * (1 - h**2))
    x = np.array([0.3])
    moved = fixed_points(pylstm.LSTM(1, 4, dtype="float64", seed=3), {"h": np.zeros((1, 4)), "c": np.zeros((1, 4))}, x)
    layer = pylstm.LSTM(1, 4, dtype="float64", seed=3)
    again = layer(x[None, None], moved[0])
    assert np.allclose(again.final["c"], moved[0]["c"], atol=1e-10) and np.abs(moved[0]["c"]).max() > 1e-3


def test_what_is_refused():
    layer, x, call, dy = problem("lstm")
    stack = pylstm.LSTM(I, H, num_layers=2, dtype="float64")(x)
    for function in (lambda run: gradient_by_lag(run, dy), jacobians, lambda run: row_gradients(run, dy)):
        with pytest.raises(TypeError, match=r"run of one layer.*got StackRun"):
            function(stack)
        with pytest.raises(RuntimeError, match="tape=False"):
            function(layer(x, tape=False))
    with pytest.raises(ValueError, match="dy must have shape"):
        gradient_by_lag(layer(x, **call), dy[1:])
    with pytest.raises(ValueError, match=r"0 steps of 3 rows"):
        gradient_by_lag(layer(x[:0]), dy[:0])
    with pytest.raises(ValueError, match="rows of one length"):
        lyapunov_spectrum(layer(x, lengths=[6, 2, 1]))
    with pytest.raises(ValueError, match="skip must leave a step of 6"):
        lyapunov_spectrum(layer(x), skip=6)


@pytest.mark.parametrize("reset", [False, True])
def test_learned_initial_states_have_their_lag(reset):
    layer, x, _, dy = problem("lstm", learn_initial=True)
    run = layer(x, **(FORMS["reset"] if reset else {}))
    found, truth = gradient_by_lag(run, dy).params, run.backward(dy).params
    assert np.allclose(found.sum(axis=0), truth.flat, rtol=1e-12, atol=1e-13)
    assert np.abs(truth["initial_c"]).max() > 1e-3


def test_a_step_that_stays_wherever_it_starts():
    class Keeps(Cell):
        states = ("h",)
        gates = {"a": "x"}

        def forward(z, prev):
            return {"h": prev.h + z.a}

    layer = pylstm.Recurrent(Keeps, 1, 2, bias=False, dtype="float64")
    states, change, _ = fixed_points(layer, {"h": np.ones((1, 2))})
    assert np.array_equal(states["h"], np.ones((1, 2))) and change == 0


def test_starts_and_counts_that_do_not_fit():
    layer, x, call, dy = problem("lstm")
    run = layer(x, **call)
    zeros = {"h": np.zeros((2, H)), "c": np.zeros((2, H))}
    for starts, message in (
        ({"h": zeros["h"]}, "starts has no c: pass arrays"),
        (zeros | {"c": np.zeros((2, H + 1))}, r"starts\['c'\] must have shape \(2, 5\)"),
        ({"h": np.zeros(H), "c": np.zeros(H)}, r"starts\['h'\] must have shape \(B, 5\)"),
        (zeros | {"s": 1}, "starts"),
    ):
        with pytest.raises(ValueError, match=message):
            fixed_points(layer, starts)
    with pytest.raises(ValueError, match=r"x must have shape \(4,\)"):
        fixed_points(layer, zeros, np.zeros(3))
    with pytest.raises(TypeError, match=r"one layer, such as stack\.layers\[0\], got Stack"):
        fixed_points(pylstm.LSTM(I, H, num_layers=2), zeros)
    with pytest.raises(ValueError, match="lags must be at least 1, got -1"):
        gradient_by_lag(run, dy, -1)
    with pytest.raises(ValueError, match="exponents must be at least 1, got 0"):
        lyapunov_spectrum(run, exponents=0)
    with pytest.raises(TypeError, match="skip must be an integer"):
        lyapunov_spectrum(run, skip="a")


@pytest.mark.parametrize("form", FORMS)
def test_parameters_that_have_changed_since(form):
    layer, x, call, dy = problem("lstm")
    run = layer(x, **call, **FORMS[form])
    layer.params["weight_h"] *= 1.5
    for function in (lambda run: gradient_by_lag(run, dy), jacobians):
        with pytest.raises(RuntimeError, match="parameters have changed since this run"):
            function(run)


@pytest.mark.parametrize("steps, rows", [(0, 3), (6, 0)])
def test_no_steps_or_no_rows(steps, rows):
    layer, x, _, _ = problem("lstm")
    assert jacobians(layer(x[:steps, :rows])).shape == (steps, rows, 2 * H, 2 * H)


def test_a_start_that_is_nan_and_none():
    layer, *_ = problem("gru")
    starts = draw(3, H)
    starts[1] = np.nan
    _, change, jacobian = fixed_points(layer, {"h": starts})
    assert (change[[0, 2]] < 1e-10).all() and np.isnan(change[1]) and np.isfinite(jacobian[[0, 2]]).all()
    assert fixed_points(layer, {"h": starts[:0]})[2].shape == (0, H, H)


def test_the_run_of_a_direction():
    run = pylstm.LSTM(I, H, dtype="float64", bidirectional=True)(draw(T, B, I)).layers[0]
    with pytest.raises(TypeError, match=r"such as run\.forward \(its dy: dy\[\.\.\., :5\]\); got BidirectionalRun"):
        jacobians(run)
    assert jacobians(run.forward).shape == (T, B, 2 * H, 2 * H)
