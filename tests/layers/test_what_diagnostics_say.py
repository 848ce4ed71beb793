"""Messages of tangents and diagnostics: they name what was given, and a cure that works."""

import numpy as np
import pytest

import pylstm
from pylstm.diagnostics import lyapunov_spectrum, row_gradients, saturation

X = np.random.default_rng(0).normal(size=(7, 2, 3))


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ({"num_layers": 2}, "run.layers[0] (its dy: run.backward(dy).layers[1].x)"),
        ({"bidirectional": True}, "run.layers[0].forward (its dy: dy[..., :4])"),
        (
            {"num_layers": 2, "bidirectional": True},
            "run.layers[0].forward (its dy: run.backward(dy).layers[1].x[..., :4])",
        ),
    ],
)
def test_an_inner_run_is_named_down_to_one_layer_and_so_is_its_dy(form, path):
    layer = pylstm.LSTM(3, 4, dtype="float64", seed=0, **form)
    run = layer(X)
    dy = np.ones_like(run.y)
    with pytest.raises(TypeError) as raised:
        row_gradients(run, dy)
    assert f"such as {path}; got StackRun" in str(raised.value)
    inner, inner_dy = (eval(each, {"run": run, "dy": dy}) for each in path[:-1].split(" (its dy: "))
    rows, first = row_gradients(inner, inner_dy)["weight_x"], next(iter(layer.params))
    assert np.allclose(rows.sum(axis=0), run.backward(dy).params[first], atol=1e-12)


def test_cotangents_of_hvp_are_called_as_they_were_given():
    run, wrong = pylstm.LSTM(3, 4, dtype="float64", seed=0)(X), {"c": np.ones((9, 2, 4))}
    for what in ("dstates", "dfinal"):
        with pytest.raises(ValueError, match=rf"^{what}\['c'\] must have"):
            run.hvp(**{what: wrong}, direction={"dx": X})
        with pytest.raises(ValueError, match=rf"^moved\['{what}'\]\['c'\] must have"):
            run.hvp(np.ones_like(run.y), direction={"dx": X}, moved={what: wrong})
    held = run.hvp(dstates={"h": np.ones((7, 2, 4)), "c": None}, direction={"dx": X})
    assert held.x.any()


def test_a_direction_of_none():
    run = pylstm.LSTM(3, 4, dtype="float64", seed=0)(X)
    for nothing in ({"dparams": {}}, {"dparams": {"bias": None}}, {"dinitial": {"h": None}}):
        with pytest.raises(ValueError, match="direction needs dx, dinitial or dparams"):
            run.jvp(**nothing)
    assert (run.jvp(X, dparams={"bias": None}).y == run.jvp(X).y).all()


def test_more_exponents_than_units():
    run = pylstm.LSTM(3, 4, dtype="float64", seed=0)(X)
    with pytest.raises(ValueError, match="exponents must be at most 8, the units of the states, got 9"):
        lyapunov_spectrum(run, exponents=9)
    assert lyapunov_spectrum(run, exponents=8).shape == (2, 8)


def test_what_did_not_count():
    layer = pylstm.LSTM(3, 4, dtype="float64", seed=0)
    with pytest.raises(RuntimeError, match=r"tape=True, or with saturation=0\.05$"):
        saturation(layer(X, tape=False))
    with pytest.raises(RuntimeError, match=r"without it, or with saturation=0\.1$"):
        saturation(layer(np.ones((4000, 1, 3)), checkpoint="sqrt"), 0.1)
    stream = layer.stream(2, saturation=True)
    stream.feed(X)
    stream = stream.fork()
    with pytest.raises(RuntimeError, match="nor does a fork") as raised:
        saturation(stream)
    other = layer.stream(2, saturation=0.05)
    other.restore(stream.snapshot())
    assert "other = layer.stream(2, saturation=0.05); other.restore(stream.snapshot())" in str(raised.value)
    assert (other.feed(X) == stream.feed(X)).all() and saturation(other)["f"].low.shape == (4,)


def test_a_picture_of_no_rows():
    pytest.importorskip("matplotlib")
    from pylstm.plots import plot_run

    with pytest.raises(ValueError, match="the run has no rows"):
        plot_run(pylstm.LSTM(3, 4, seed=0)(np.zeros((5, 0, 3), "float32")))
