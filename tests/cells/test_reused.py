"""Helper functions of formulas: called twice, each call is its own; what is equal is computed once."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, Stage, certify, derive, lag, row_mean, sigmoid, sqrt, tanh


def gated(a, b, scale=1.0):
    """A helper with names of its own: `h` and `c` are not those of the cell."""
    h = tanh(a * scale)
    c = sigmoid(b) * h
    return c + h


def power(x, n):
    return x if n == 1 else x * power(x, n - 1)


class Reusing(Cell):
    states = ("h", "c")
    gates = {"a": "x+h", "b": "x", "n": "x+e"}
    stages = (Stage("one", gates=("a", "b"), emits=("e",)), Stage("two", gates=("n",)))

    def forward_one(z, prev):
        return {"e": gated(z.a, z.b) - gated(z.b, z.a, 0.5) * gated(prev.h, z.a)}

    def forward_two(z, prev, e):
        h = gated(z.n, e.e)
        return {"h": h + gated(prev.c, h), "c": power(h, 3) - gated(z.n, e.e) * 0.5}


def test_certified_and_as_written_out():
    assert certify(Reusing).ok
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((5, 2, 3)), rng.standard_normal((5, 2, 4))
    layer = pylstm.Recurrent(Reusing, 3, 4, dtype="float64", seed=0)
    direction, step = rng.standard_normal(x.shape), 1e-6
    wanted = np.sum(dy * (layer(x + step * direction).y - layer(x - step * direction).y)) / (2 * step)
    assert np.sum(layer(x).backward(dy).x * direction) == pytest.approx(wanted, rel=1e-7)


def test_equal_calls_are_computed_once():
    def twice(z):
        return {"h": gated(z.a, z.b) * gated(z.a, z.b)}

    def once(z):
        value = gated(z.a, z.b)
        return {"h": value * value}

    def differs(z):
        return {"h": gated(z.a, z.b) * gated(z.a, z.b, 2.0)}

    counts = []
    for forward in (twice, once, differs):
        cell = type("Short", (Cell,), {"states": ("h",), "gates": {"a": "x+h", "b": "x"}, "forward": forward})
        assert certify(cell).ok
        counts.append(derive(cell).counts("forward"))
    assert counts[0] == counts[1]
    assert (counts[1]["tanh"], counts[2]["tanh"], counts[2]["sigmoid"]) == (1, 2, 1)


def test_a_helper_reads_lags_and_units():
    def normed(state, steps):
        x = lag(state, steps)
        return (x - row_mean(x)) / sqrt(row_mean(x * x) + 1)

    def forward(z):
        return {"h": tanh(z.a) + normed("h", 1) - normed("h", 3)}

    cell = type("Normed", (Cell,), {"states": ("h",), "gates": {"a": "x+h"}, "forward": forward})
    assert cell.contract.states == ("h", "h_lag2", "h_lag3")
    assert certify(cell).ok
