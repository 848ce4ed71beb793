"""Functions across the units of a row where values are very large, very small, or NaN."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, certify, repeat, row_max, row_norm

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_norm_neither_overflows_nor_vanishes(dtype, groups):
    class Norm(Cell):
        states = ("h",)
        gates = {"a": "x"}

        def forward(z):
            return {"h": repeat(row_norm(z.a, groups), "hidden_size")}

    assert certify(Norm).ok
    layer = pylstm.Recurrent(Norm, 6, 6, dtype=dtype)
    layer.params["weight_x"][:], layer.params["bias"][:] = np.eye(6), 0
    x = RNG.normal(size=(1, 4, 6)).astype(dtype)
    parts = x.reshape(4, groups, -1)
    norm = np.linalg.norm(parts, axis=-1, keepdims=True)
    for factor in np.sqrt(np.finfo(dtype).max) * 2.0, np.sqrt(np.finfo(dtype).tiny) / 2**20, 1.0:
        run = layer(x * np.asarray(factor, dtype))
        tolerance = {"rtol": 1e-5 if dtype == "float32" else 1e-12}
        expected = np.repeat(norm * factor, 6 // groups, axis=-1).reshape(1, 4, 6)
        np.testing.assert_allclose(run.y, expected, **tolerance)
        np.testing.assert_allclose(row_norm(x * factor, groups), norm[None, ..., 0] * factor, **tolerance)
        wanted = (6 // groups * parts / norm).reshape(1, 4, 6)
        np.testing.assert_allclose(run.backward(np.ones_like(run.y)).x, wanted, **tolerance)
    layer.params["bias"][0] = np.inf
    run = layer(x)
    assert (run.y[..., 0] == np.inf).all() and not np.isnan(run.y).any()
    rows = np.array([[np.inf, 1], [np.nan, 1], [-3, 4], [0, 0]], dtype)
    np.testing.assert_array_equal(row_norm(rows), np.array([[np.inf], [np.nan], [5], [0]], dtype))


def test_the_largest_of_units_with_nan_has_derivative_nan():
    class Largest(Cell):
        states = ("h",)
        gates = {"a": "x"}

        def forward(z):
            return {"h": repeat(row_max(z.a, 3), "hidden_size")}

    layer = pylstm.Recurrent(Largest, 2, 6, dtype="float64")
    layer.params["weight_x"][:] = 0
    layer.params["bias"][:] = [1, np.nan, 2, 2, -np.inf, np.inf]
    grads = layer(np.ones((1, 1, 2))).backward(np.ones((1, 1, 6)))
    np.testing.assert_array_equal(grads.params["bias"], [np.nan, np.nan, 1, 1, 0, 2])
