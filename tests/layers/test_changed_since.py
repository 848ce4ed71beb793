"""`run.backward` returns the gradients of its forward pass, whatever has happened to the layer's parameters since."""

import numpy as np
import pytest

import pylstm
import structured_cells as sc
from pylstm import plugins

pytestmark = pytest.mark.once

BUNDLED = {entry.cell.name: entry.cell for entry in plugins.registry().entries()}
X = np.random.default_rng(0).normal(size=(9, 3, 4))


def check(layer, x, **options):
    run = layer(x, **options)
    before, dy = run.backward(np.ones_like(run.y)), np.ones_like(run.y)
    run = layer(x, **options)
    layer.params.flat[...] = layer.params.flat * 1.7 + 0.3
    after, again = run.backward(dy), run.backward(dy)
    assert (after.x == before.x).all() and (after.params.flat == before.params.flat).all()
    assert (again.params.flat == before.params.flat).all()


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_every_cell(name):
    cell = BUNDLED[name]
    sizes = {each: 4 for each, usual in cell.contract.sizes.items() if usual is None}
    for options in ({}, {"learn_initial": True}):
        layer = pylstm.Recurrent(cell, 4, 8, dtype="float64", seed=0, certified=False, **sizes, **options)
        aux = {n: np.full((9, 3, layer.widths[n]), 0.5) for n in cell.contract.aux if n != "x"}
        check(layer, X, aux=aux or None)


@pytest.mark.parametrize("options", [{"lengths": [9, 2, 0]}, {"checkpoint": "sqrt"}, {"reset": np.eye(9, 3) > 0}])
def test_every_kind_of_run(options):
    x = np.random.default_rng(0).normal(size=(3000, 1, 4)) if "checkpoint" in options else X
    check(pylstm.LSTM(4, 5, dtype="float64", seed=0, learn_initial=True), x, **options)
    check(pylstm.GRU(4, 5, num_layers=2, bidirectional=True, dtype="float64", seed=0), x, **options)


@pytest.mark.parametrize("kind", sorted(sc.ALL))
def test_matrices_that_are_made_of_parameters(kind):
    check(pylstm.Recurrent(sc.structured(kind), 4, 8, dtype="float64", seed=0), X)
