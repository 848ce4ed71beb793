"""What ``pylstm inspect`` shows is of the right gate, lag, row and steps, and nothing of it is read as HTML."""

import numpy as np
import pytest

import pylstm
from inspect_page import normal
from pylstm.diagnostics import diagnose, gradient_by_lag

pytest.importorskip("matplotlib")

from pylstm import plots
from pylstm.commands._inspect import looks, pictures
from pylstm.commands._inspect.page import page_of


def forgetful(seed=0):
    layer = pylstm.LSTM(2, 8, dtype="float64", seed=seed).initialise("gate_bias", "f", 0.0)
    return layer.initialise("gate_bias", "i", 1.5)  # gates differ


@pytest.mark.parametrize("seed", [0, 1])
def test_the_numbers_of_a_lost_gradient(seed):
    run = forgetful(seed)(normal(80, 2, 2))
    by_lag = gradient_by_lag(run, normal(80, 2, 8, seed=1))
    (text,) = [each.text for each in diagnose(run, by_lag=by_lag) if each.kind == "vanishing"]
    assert f"Gate f keeps {run.gates['f'].mean():.2f} of the state" in text
    assert abs(run.gates["f"].mean() - run.gates["i"].mean()) > 0.05
    size = by_lag.sent / np.sqrt(2.0 * (80 - by_lag.lags))  # of the steps that have a loss so much later
    reach = max(lag for lag in by_lag.lags if size[lag] >= 0.01 * size[1])
    assert f"at lag 50 it is {size[50] / size[1]:.0e} of that at lag 1" in text and f"beyond {reach} steps" in text


def test_pictures_are_of_the_longest_row_and_of_the_gradients_on_the_page(monkeypatch):
    drawn = {}

    def recorded(name):
        original = getattr(plots, name)
        monkeypatch.setattr(plots, name, lambda *a, **k: drawn.update({name: (a, k)}) or original(*a, **k))

    for name in ("plot_run", "plot_deltas", "plot_lags"):
        recorded(name)
    monkeypatch.setattr(pictures, "_image", lambda figure, caption: "")
    (look,), _ = looks.looks_at(forgetful(), [normal(5, 2), normal(30, 2, seed=1), normal(9, 2, seed=2)])
    pictures.pictures_of(look)
    assert drawn["plot_run"][0][0] is look.run and drawn["plot_run"][1]["row"] == 1
    run, grads = drawn["plot_deltas"][0]
    assert run is look.run and drawn["plot_lags"][0][0] is look.by_lag
    assert (grads.params.flat == run.backward(look.dy).params.flat).all()
    assert np.allclose(look.by_lag.params.sum(axis=0), grads.params.flat, atol=1e-9)


def test_the_first_steps_of_the_first_sequences_are_run():
    x = [normal(looks.STEPS + 9, 2, seed=k) for k in range(looks.ROWS + 2)]
    x.insert(1, x[0][:0])
    layer = pylstm.RNN(2, 2, dtype="float64", seed=0)
    (look,), rows = looks.looks_at(layer, x)
    shown = [each for each in x if len(each)][: looks.ROWS]
    assert all((a == b[: looks.STEPS]).all() for a, b in zip(rows, shown, strict=True))
    assert (look.run.y == layer(np.stack([each[: looks.STEPS] for each in shown], axis=1)).y).all()


def test_nothing_is_read_as_html():
    bad = "<script>1</script>&"
    page = page_of(
        f"title {bad}", f"lead {bad}", "", [(f"caption {bad}", "")], [(f"name {bad}", [f"found {bad}"], "", [])]
    )
    assert "<script" not in page and page.count("&lt;script&gt;1&lt;/script&gt;&amp;") == 6
