"""The gradient of each row of a batch by itself, of every cell, beside that of the row alone."""

import numpy as np
import pytest

import pylstm
import structured_cells
from pylstm.diagnostics import row_gradients
from run_problems import FORMS, NAMES, B, H, I, T, problem


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn_tanh", "gru_reset_before"])
def test_row_gradients(cell, form):
    layer, x, call, dy = problem(cell)
    call |= FORMS[form]
    layer.params.freeze("weight_x")
    run = layer(x, **call)
    found, whole = row_gradients(run, dy), run.backward(dy).params
    assert found.keys() == whole.keys() and not found["weight_x"].any()
    for b in range(B):
        n = call.get("lengths", [T] * B)[b]
        kept = {"reset": call["reset"][:n, b]} if "reset" in call else {}
        for kind in ("pre", "blend") if "pre" in call else ():
            kept[kind] = {name: value[:n, b] for name, value in call[kind].items()}
        start = {name: value[b] for name, value in call["initial"].items()}
        alone = layer(x[:n, b], start, **kept).backward(dy[:n, b]).params
        for name, rows in found.items():
            assert np.allclose(rows[b], alone[name], rtol=1e-12, atol=1e-14), name
            assert np.allclose(rows.sum(axis=0), whole[name], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("learned", [False, True], ids=["given", "learned"])
@pytest.mark.parametrize("cell", NAMES)
def test_row_gradients_of_every_cell(cell, learned):
    layer, x, call, dy = problem(cell, learn_initial=learned)
    reset = FORMS["reset"]["reset"]
    if learned:
        call.pop("initial")
        rng = np.random.default_rng(5)
        for name in layer.params:
            if name.startswith("initial_"):
                layer.params[name][...] = rng.uniform(0.1, 0.5, layer.params[name].shape)
    run = layer(x, reset=reset, **call)
    found, whole = row_gradients(run, dy), run.backward(dy).params
    assert found.keys() == whole.keys()
    for b in range(B):
        one = slice(b, b + 1)
        aux = {name: value[:, one] for name, value in call.get("aux", {}).items()}
        start = {name: value[one] for name, value in call.get("initial", {}).items()}
        alone = layer(x[:, one], start or None, reset=reset[:, one], aux=aux or None).backward(dy[:, one]).params
        for name, rows in found.items():
            scale = max(1e-3, np.abs(whole[name]).max())
            assert np.abs(rows[b] - alone[name]).max() <= 1e-11 * scale, name
            assert np.abs(rows.sum(axis=0) - whole[name]).max() <= 1e-11 * scale, name


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["low rank", "orthogonal", "diagonal"])
def test_row_gradients_of_structured_matrices(kind, form):
    cell = structured_cells.structured(kind)
    layer = pylstm.Recurrent(cell, I, H, dtype="float64", seed=1, heads=1, learn_initial=["c"])
    layer.params["initial_c"][...] = 0.3
    _, x, call, dy = problem("lstm")
    call = {"initial": {"h": call["initial"]["h"]}} | FORMS[form]
    run = layer(x, **call)
    found, whole = row_gradients(run, dy), run.backward(dy).params
    for b in range(B):
        alone = np.zeros_like(dy)
        alone[:, b] = dy[:, b]
        for name, each in run.backward(alone).params.items():
            assert np.allclose(found[name][b], each, rtol=1e-11, atol=1e-13), name
    assert all(np.abs(found[name]).max() > 1e-4 and whole[name].shape == found[name].shape[1:] for name in found)
    layer.params["bias"][0] += 1
    with pytest.raises(RuntimeError, match="the parameters have changed since this run"):
        row_gradients(run, dy)


def test_row_gradients_of_no_steps():
    layer = pylstm.LSTM(I, H, learn_initial=True, seed=0)
    run = layer(np.zeros((0, B, I), "float32"))
    found = row_gradients(run, run.y)
    assert found["initial_h"].shape == (B, H) and not any(each.any() for each in found.values())
