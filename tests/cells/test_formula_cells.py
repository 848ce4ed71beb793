"""A formula is a full cell: certified, run and trained by the loop, compiled on request."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import formula_cells as fc
import pylstm
from pylstm import Cell, tanh
from pylstm.cells import Stage, functions
from pylstm.cells.certification.certificate import CertificationError
from pylstm.cells.certification.certify import certify


@pytest.mark.parametrize("cell", fc.CELLS, ids=lambda cell: cell.name)
def test_certified(cell):
    assert certify(cell).failures == []


def test_a_wrong_given_backward_is_refused():
    class Wrong(Cell):
        states = ("h",)
        gates = dict(a="x+h")

        def forward(z):
            return dict(h=tanh(z.a))

        def backward(d, y):
            return dict(a=d.h * (1 - y.h))

    with pytest.raises(CertificationError, match="d h / d gate a"):
        certify(Wrong)


def sizes(cell):
    return {"proj_size": 4} if cell.sizes else {}


@pytest.mark.parametrize("cell", fc.CELLS, ids=lambda cell: cell.name)
def test_gradients_of_a_layer(cell):
    """Directional derivative of a run over several steps, by central differences in float64."""
    rng = np.random.default_rng(5)
    layer = pylstm.Recurrent(cell, input_size=3, hidden_size=4, dtype="float64", seed=1, **sizes(cell))
    for name in cell.params:
        layer.params[name] = rng.uniform(0.3, 0.9, layer.params[name].shape)
    steps = 2 if cell is fc.Everything else 5  # its poles make longer runs chaotic
    x = rng.uniform(-1, 1, (steps, 2, 3))
    initial = {name: rng.uniform(0.5, 1, (2, layer.widths[name])) for name in cell.states}
    aux = {name: rng.uniform(0.5, 1, (steps, 2, layer.widths[name])) for name in cell.aux} or None
    run = layer(x, initial, aux=aux)
    dy = rng.standard_normal(run.y.shape)
    grads = run.backward(dy)
    direction = rng.standard_normal(layer.params.size)
    flat, step, values = layer.params.flat.copy(), 1e-5, []
    for sign in (1, -1):
        layer.params.flat[:] = flat + sign * step * direction
        values.append(np.sum(dy * layer(x, initial, aux=aux).y))
    wanted = (values[0] - values[1]) / (2 * step)
    assert abs(np.sum(grads.params.flat * direction) - wanted) <= 1e-6 * max(abs(wanted), 1)


def test_gates_show_the_activation():
    layer = pylstm.Recurrent(fc.FormulaPeephole, input_size=3, hidden_size=4, seed=0)
    run = layer(np.ones((5, 2, 3), "float32"))
    for gate in "ifo":
        assert np.all((run.gates[gate] > 0) & (run.gates[gate] < 1))
    np.testing.assert_allclose(run.states["h"][1:], run.gates["o"] * np.tanh(run.states["c"][1:]), rtol=1e-6)


def test_the_lstm_as_formula_is_the_lstm():
    x = np.random.default_rng(0).standard_normal((6, 2, 3)).astype("float32")
    runs = [pylstm.Recurrent(cell, 3, 4, seed=7)(x) for cell in (fc.FormulaLSTM, "lstm")]
    np.testing.assert_allclose(runs[0].y, runs[1].y, rtol=0, atol=2e-6)
    grads = [run.backward(np.ones_like(run.y)) for run in runs]
    np.testing.assert_allclose(grads[0].params.flat, grads[1].params.flat, rtol=0, atol=1e-5 * 8)


def test_relu_keeps_nan_as_the_kernels_do():
    values = np.array([-1.0, 0.0, 2.0, np.nan])
    np.testing.assert_array_equal(functions.relu(values), [0, 0, 2, np.nan])
    np.testing.assert_array_equal(functions.drelu_from_y(values), [0, 0, 1, np.nan])
    assert functions.drelu_from_y(values.astype("float32")).dtype == np.float32


def test_a_formula_is_traced_under_a_profiler():
    import cProfile

    class Profiled(Cell):
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z):
            return {"h": tanh(z.a)}

    profile = cProfile.Profile()
    profile.enable()
    try:
        assert Profiled.contract.gates == ("a",)
        assert certify(Profiled).ok
    finally:
        profile.disable()
    assert sys.getprofile() is None


def test_a_cell_of_one_stage_derived_from_one_of_two():
    """Nothing of the parent has been used; its hooks are not the child's."""

    class Two(Cell):
        states = ("h",)
        gates = {"a": "x+h", "b": "x+e"}
        stages = (Stage("one", gates=("a",), emits=("e",)), Stage("two", gates=("b",)))

        def forward_one(z, prev):
            return dict(e=tanh(z.a) * prev.h)

        def forward_two(z, prev):
            return dict(h=tanh(z.b))

    class One(Two):
        gates = {"a": "x+h"}
        stages = ()

        def forward(z, prev):
            return dict(h=tanh(z.a) + 0.5 * prev.h)

    assert hasattr(One, "backward") and not hasattr(One, "backward_one") and hasattr(Two, "backward_one")
    assert certify(One).failures == [] and certify(Two).failures == []
    assert pylstm.Recurrent(One, 2, 3)(np.ones((4, 1, 2), "f")).backward(np.ones((4, 1, 3), "f")).x.all()
