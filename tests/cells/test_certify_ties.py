"""Right cells with ties, views and matrices pass; what is wrong at one point only, and written by hand, does not."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, exp, expm1, log1p, maximum, minimum, relu, sqrt, tanh, where
from pylstm.cells.certification.certify import certify


def cell(forward, **body):
    return type(Cell)("Tied", (Cell,), {"states": ("h",), "gates": {"a": "x+h"}, "forward": forward} | body)


TIES = {
    "stable softplus": lambda z: {"h": maximum(z.a, 0) + log1p(exp(-abs(z.a)))},
    "elu": lambda z: {"h": maximum(z.a, 0) + expm1(minimum(z.a, 0))},
    "mean of maximum and minimum": lambda z, prev: {"h": 0.5 * (maximum(z.a, prev.h) + minimum(z.a, prev.h))},
    "signed logarithm": lambda z: {"h": log1p(abs(z.a)) * where(z.a > 0, 1.0, -1.0)},
}


@pytest.mark.parametrize("case", TIES)
def test_ties_of_a_formula_that_cancel_are_a_note(case):
    certificate = certify(cell(TIES[case]))
    assert any("at the tie where" in note and "gate zero" in note for note in certificate.notes), certificate.notes
    pylstm.Recurrent(cell(TIES[case]), 3, 4)


def test_a_plain_kink_needs_no_note():
    assert not any("tie" in note for note in certify(cell(lambda z: {"h": relu(z.a)})).notes)


def test_the_same_derivative_by_hand_is_refused():
    def forward(z):
        return {"h": np.logaddexp(0, z.a)}

    def backward(d, y):
        return {"a": d.h * np.where(y.a == 0, 1.0, 1 / (1 + np.exp(-y.a)))}

    (failure, *_) = certify(cell(forward, backward=backward), raise_=False).failures
    assert failure.name == "d h / d gate a" and "gate zero" in failure.detail


def test_a_derived_gradient_that_is_not_finite_is_a_note():
    certificate = certify(cell(lambda z: {"h": sqrt(relu(z.a))}))
    assert any("is not finite where" in note for note in certificate.notes)


class Views(Cell):
    """Everything that it returns is a view of what it is given."""

    states = ("h", "c")
    gates = {"a": "x+h", "b": "x+c"}
    keep = ("k",)

    def forward(z, prev):
        return dict(a=z.b, b=z.a, k=z.a[:, :], h=z.b, c=z.a[...])

    def backward(d):
        return dict(a=d.c, b=d.h)


class Kept(Cell):
    states = ("h",)
    gates = {"a": "x+h"}
    keep = ("k",)

    def forward(z):
        return dict(a=np.exp(-(z.a**2)), k=z.a, h=np.exp(-(z.a**2)))

    def backward(d, y):
        return dict(a=-2 * y.k * y.a * d.h)


class Overwritten(Cell):
    states = ("h",)
    gates = {"a": "x"}

    def forward(z):
        return dict(a=np.tanh(z.a), h=z.a)

    def backward(d):
        return dict(a=d.h)


@pytest.mark.parametrize("Aliased", [Views, Kept, Overwritten])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_returned_may_be_a_view(Aliased, dtype):
    assert certify(Aliased).ok
    layer = pylstm.Recurrent(Aliased, 3, 4, dtype=dtype, seed=0)
    run = layer(np.random.default_rng(0).normal(size=(1, 2, 3)).astype(dtype))
    if Aliased is Views:
        assert np.array_equal(run.states["h"][-1], run.gates["a"][-1])
        assert np.array_equal(run.states["c"][-1], run.gates["b"][-1])
        assert not np.array_equal(run.gates["a"], run.gates["b"])
    elif Aliased is Overwritten:
        np.testing.assert_allclose(run.gates["a"][-1], np.tanh(run.states["h"][-1]), rtol=1e-6)


def test_a_backward_may_return_views_of_the_cotangents():
    class Swapped(Cell):
        states = ("h", "c")
        gates = {"a": "x", "b": "x"}

        def forward(z, prev):
            return dict(h=z.a + prev.c, c=z.b + prev.h)

        def backward(d):
            return dict(a=d.h, b=d.c, h=d.c, c=d.h)

    assert certify(Swapped).ok


MIX = np.random.default_rng(5).normal(size=(64, 64)) / 8


class Mixed(Cell):
    """A constant matrix of 5, 1, 16 and 35 units: BLAS sums in another order for other numbers of rows."""

    states = ("h",)
    gates = {"a": "x"}

    def forward(z, prev):
        C = MIX[: z.a.shape[1], : z.a.shape[1]].astype(z.a.dtype)
        t = np.tanh(z.a + prev.h @ C)
        return dict(a=t, h=t)

    def backward(d, y):
        C = MIX[: y.a.shape[1], : y.a.shape[1]].astype(y.a.dtype)
        da = d.h * (1 - y.a**2)
        return dict(a=da, h=da @ C.T)


def test_the_rounding_of_a_product_with_a_constant_matrix_is_no_fault():
    certificate = certify(Mixed, hidden_size=48, raise_=False)
    assert not [path for path in certificate.failures if "rows" in path.name], certificate.message()
    assert certificate.ok, certificate.message()


def test_a_mean_over_the_rows_is_still_refused():
    class Mean(Cell):
        states = ("h",)
        gates = {"a": "x"}

        def forward(z, prev):
            return dict(h=np.tanh(z.a) + 1e-4 * prev.h.mean(axis=0))

        def backward(d, y, prev):
            return dict(a=d.h * (1 - np.tanh(y.a) ** 2), h=np.full_like(d.h, 0))

    faults = {path.fault for path in certify(Mean, raise_=False).failures}
    assert "the rows are not kept apart" in faults


@pytest.mark.parametrize("border", [0.5, 0.0, -2.0])
@pytest.mark.parametrize("key", ["a", "h", "dt"])
def test_what_is_wrong_at_a_border_only_is_refused(border, key):
    class Bordered(Cell):
        states = ("h",)
        gates = {"a": "x"}
        aux = ("dt",)
        widths = {"dt": "hidden_size"}
        domain = {"dt": (border, None)}

        def forward(z, prev, u):
            return dict(h=tanh(z.a) * u.dt + prev.h * (1 + u.dt * u.dt))

        def backward(d, y, prev, u):
            t = np.tanh(y.a)
            return dict(a=d.h * (1 - t * t) * u.dt, h=d.h * (1 + u.dt**2), dt=d.h * (t + 2 * prev.h * u.dt))

    assert certify(Bordered).ok

    def wrong(d, y, prev, u):
        out = Bordered.backward(d, y, prev, u)
        return out | {key: out[key] * np.where(u.dt == border, 1.1, 1.0)}

    if border or key != "a":  # at dt = 0 the cotangent of a is 0
        failures = certify(cell(Bordered.forward, **{
            "backward": wrong, "gates": {"a": "x"}, "aux": ("dt",), "widths": {"dt": "hidden_size"},
            "domain": {"dt": (border, None)},
        }), raise_=False).failures  # fmt: skip
        assert any(path.name.endswith(key) and path.form == "twin" for path in failures), failures
