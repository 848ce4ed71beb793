"""`run.jacobians`, of every kind of run, and of some steps at a time."""

import tracemalloc

import numpy as np
import pytest

import pylstm
from pylstm.diagnostics import jacobians, lyapunov_spectrum, spectra
from pylstm.layers.runs.steps import jacobians_of

pytestmark = pytest.mark.once
T, B, I, H = 7, 3, 2, 4
X = np.random.default_rng(0).normal(size=(T, B, I))
FORMS = {
    "plain": {},
    "reset": {"reset": np.random.default_rng(3).random((T, B)) < 0.4},
    "ragged": {"lengths": [7, 2, 0]},
    "pre": {
        "pre": {"h": np.random.default_rng(4).uniform(0.5, 1.5, (T, B, 1))},
        "blend": {"c": np.random.default_rng(5).uniform(0.2, 1, (T, B, H))},
    },
}


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_of_a_run_and_of_some_of_its_steps(form, direct, batch_first):
    layer, options = pylstm.LSTM(I, H, dtype="float64", seed=0, batch_first=batch_first), FORMS[form]
    turn = (lambda array: np.ascontiguousarray(np.swapaxes(array, 0, 1))) if batch_first else np.asarray
    given = {
        name: value if name == "lengths" else turn(value) if name == "reset" else {n: turn(v) for n, v in value.items()}
        for name, value in options.items()
    }
    run = layer(turn(X), **given)
    J = run.jacobians(direct=direct)
    assert J.shape[:2] == run.y.shape[:2] and (jacobians(run, direct=direct) == J).all()
    J = J.swapaxes(0, 1) if batch_first else J
    assert J.shape == (T, B, 2 * H, 2 * H)
    for first, count in ((0, 3), (2, 1), (3, 4), (5, 9)):
        part = jacobians_of(run, direct=direct, first=first, count=count)
        assert part.shape[0] == min(count, T - first) and np.allclose(
            part, J[first : first + count], rtol=1e-12, atol=1e-15
        )
    if direct or form == "ragged":
        return
    tangents, width = {"h": slice(0, H), "c": slice(H, None)}, 1e-6
    for name, columns in tangents.items():  # the first step, by differences
        start = {each: np.zeros((B, H)) for each in tangents}
        ends = []
        for sign in (1, -1):
            start[name][:, 1] = sign * width
            ends.append(np.concatenate(list(layer(turn(X), start, **given).states.values()), -1))
        ends = [np.swapaxes(each, 0, 1)[1] if batch_first else each[1] for each in ends]
        assert np.allclose((ends[0] - ends[1]) / (2 * width), J[0, :, :, columns.start + 1], atol=1e-8)


def test_of_a_stack_and_of_both_directions():
    run = pylstm.GRU(I, H, num_layers=2, bidirectional=True, dtype="float64", seed=0)(X)
    found = run.jacobians(direct=True)
    for parts, layer in zip(found, run.layers):
        for J, one in zip(parts, layer.layers):
            assert (jacobians(one, direct=True) == J).all() and J.shape == (T, B, H, H)
    assert len(found) == 2 and len(found[0]) == 2


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("sizes", [(0, 3), (4, 0), (0, 0)])
def test_of_no_steps_and_of_no_rows(sizes, direct, batch_first):
    layer = pylstm.LSTM(I, H, dtype="float64", batch_first=batch_first)
    x = np.zeros((*(sizes[::-1] if batch_first else sizes), I))
    for options in ({}, {"reset": np.zeros(x.shape[:2], bool)}):
        assert layer(x, **options).jacobians(direct=direct).shape == (*x.shape[:2], 2 * H, 2 * H)
    if sizes == (4, 0):
        return
    x = np.zeros((3, 4, I) if batch_first else (4, 3, I))
    ended = layer(x, lengths=[0, 0, 0]).jacobians(direct=direct)
    assert ended.shape == (*x.shape[:2], 2 * H, 2 * H) and not ended.any()


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("direct", [False, True])
def test_of_a_single_sequence_there_is_no_axis_of_rows(direct, batch_first):
    """In layers, stacks and both directions, as of its other arrays."""
    whole, alone = X.swapaxes(0, 1) if batch_first else X, X[:, 1]
    row = (lambda J: J[1]) if batch_first else (lambda J: J[:, 1])
    options = {"dtype": "float64", "seed": 0, "batch_first": batch_first}
    for layer in (pylstm.LSTM(I, H, **options), pylstm.Recurrent("indrnn", I, H, **options)):
        run = layer(alone)
        J = run.jacobians(direct=direct)
        assert J.shape[:-2] == run.y.shape[:-1] == (T,) and (jacobians(run, direct=direct) == J).all()
        assert np.allclose(J, row(layer(whole).jacobians(direct=direct)), rtol=1e-13)
    stack = pylstm.GRU(I, H, num_layers=2, bidirectional=True, **options)
    parts = zip(stack(alone).jacobians(direct=direct), stack(whole).jacobians(direct=direct))
    for one, all_ in ((one, all_) for layers in parts for one, all_ in zip(*layers)):
        assert one.shape == (T, H, H) and np.allclose(one, row(all_), rtol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["lstm", "gru", "peephole", "rnn_tanh", "mingru", "indrnn"])
def test_the_direct_path_is_0_where_no_path_is(name, form, dtype):
    """Not the difference of two numbers that are nearly the same: of other units there is nothing."""
    layer, options = pylstm.Recurrent(name, I, H, dtype=dtype, seed=0), dict(FORMS[form])
    states = layer.cell.contract.states
    for kind in options.keys() & {"pre", "blend"}:
        (array,) = options[kind].values()
        options[kind] = dict.fromkeys(states, array.astype(dtype))
    J = layer(X.astype(dtype), **options).jacobians(direct=True)
    by_unit = J.reshape(T, B, len(states), H, len(states), H).swapaxes(3, 4)
    assert not by_unit[..., ~np.eye(H, dtype=bool)].any()
    if form != "pre":  # whose blend lets the state before through
        assert J.any() == (name != "rnn_tanh")
        assert name != "lstm" or not J[..., :H].any()


def test_the_direct_path_keeps_a_matrix_times_what_is_made_within_the_step():
    layer = pylstm.Recurrent("gru_reset_before", I, H, dtype="float64", seed=0)
    run = layer(X)
    z, n, r, h = run.gates["z"], run.gates["n"], run.gates["r"], np.concatenate([np.zeros((1, B, H)), run.y[:-1]])
    inner = layer.params["weight_rh"][None, None] * r[:, :, None, :]
    found, dn = run.jacobians(direct=True), (1 - z) * (1 - n**2)
    assert np.allclose(found, z[..., None] * np.eye(H) + dn[..., None] * inner, atol=1e-14) and h.any()


def test_a_run_without_a_tape():
    layer = pylstm.GRU(I, H, dtype="float64")
    for run in (layer(X, tape=False), pylstm.GRU(I, H, num_layers=2, dtype="float64")(X, tape=False)):
        with pytest.raises(RuntimeError, match="jacobians: this run was made with tape=False"):
            run.jacobians()


def test_a_spectrum_holds_the_jacobians_of_some_steps(monkeypatch):
    layer = pylstm.RNN(1, 16, dtype="float64", seed=0)
    run = layer(np.random.default_rng(0).normal(size=(1500, 2, 1)))
    whole = lyapunov_spectrum(run, skip=7)
    monkeypatch.setattr(spectra, "AT_ONCE", 11 * 2 * 16 * 16)
    tracemalloc.start()
    found = lyapunov_spectrum(run, skip=7)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found == whole).all()
    assert peak < run.jacobians().nbytes / 4
