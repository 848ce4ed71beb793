"""What a message says of a wrong argument: the value, cut where it is long, and what to do."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm import files
from pylstm.cells import Cell, tanh
from pylstm.cells.certification.certificate import CertificationError
from pylstm.cells.certification.certify import certify


def cell(forward, **body):
    return type(Cell)("Ours", (Cell,), {"states": ("h",), "gates": {"a": "x+h"}, "forward": forward} | body)


def beyond(value):
    return value * (1 / 0)


def by_hand(d):
    return {"a": d.h}


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda z: {"h": z.a.sum(1)}, r"test_messages\.py:\d+: .*has no sum: a formula works on one unit"),
        (lambda z: {"h": z.a.T}, r"test_messages\.py:\d+: .*has no T: use operators"),
        (lambda z: {"h": z.a.real}, r"has no real: leave it out"),
        (lambda self, z: {"h": tanh(z.a)}, r"unknown argument 'self': remove it, .*static.*o \(options\)"),
        (lambda z, q: {"h": tanh(z.a)}, r"unknown argument 'q': a formula may ask for z .*o \(options\)"),
        (lambda z: {"h": absent(z.a)}, r"test_messages\.py:\d+: .*: the formula raises NameError: name 'absent'"),  # noqa: F821
        (lambda z: {"h": tanh(z.a) + [][0]}, r"test_messages\.py:\d+: .*raises IndexError: list index out of range"),
        (lambda z: {"h": beyond(z.a)}, r"raises ZeroDivisionError: division by zero"),
    ],
)
def test_formulas(forward, message):
    with pytest.raises(TypeError, match=message) as caught:
        certify(cell(forward))
    assert type(caught.value).__name__ == "FormulaError"


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (
            lambda self, z: {"h": z.a},
            "asks for self: remove self: the functions of a cell are static.*z, prev, .*, o",
        ),
        (lambda z, o: {"h": z.a}, "asks for o: it declares no `options`"),
        (lambda z, q: {"h": z.a}, "asks for q: it may ask for z, prev, e, p, u, o"),
    ],
)
def test_twins(forward, message):
    with pytest.raises(CertificationError, match=message):
        certify(cell(forward, backward=by_hand))


LONG = "y" * 5000


@pytest.mark.parametrize(
    "call",
    [
        lambda: pylstm.Recurrent(LONG, 3, 4),
        lambda: pylstm.Recurrent([LONG], 3, 4),
        lambda: pylstm.LSTM(3, LONG),
        lambda: pylstm.LSTM(3, 4, dtype=LONG),
        lambda: pylstm.Recurrent("cornn", 3, 4, dt=LONG),
        lambda: pylstm.Recurrent("cornn", 3, 4, num_layers=LONG),
        lambda: certify(LONG),
        lambda: certify([LONG]),
    ],
)
def test_long_values_are_cut(call):
    with pytest.raises((TypeError, LookupError)) as caught:
        call()
    assert "yyy..." in str(caught.value) and len(str(caught.value)) < 1000


def test_a_missing_folder_is_named_as_it_was_given(tmp_path):
    for folder in ("gone", "file"):
        (tmp_path / "file").write_text("")
        path = tmp_path / folder / "net.safetensors"
        with pytest.raises(OSError, match=r"net\.safetensors'$") as caught:
            pylstm.save(path, pylstm.LSTM(3, 4))
        assert caught.value.filename == str(path)


def test_a_size_beyond_all_memory(tmp_path):
    path = tmp_path / "net.safetensors"
    pylstm.save(path, pylstm.LSTM(3, 4))
    header, tensors = files.read_file(path)
    header["parts"][""]["arguments"]["hidden_size"] = 10**18
    files.write_file(path, header, tensors)
    message = r"hidden_size must be an integer of at least 1 and at most 2\*\*40, got 10{18}"
    with pytest.raises(ValueError, match=message):
        pylstm.load(path)


class Aged(Cell):
    states = ("h",)
    gates = {"a": "x+h"}
    aux = ("dt",)
    domain = {"dt": (0, None)}

    def forward(z, prev, u):
        return {"h": tanh(z.a) + prev.h * (1 + u.dt)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("domain", [(0, None), (None, 0), (-1, 1)])
def test_nan_is_outside_of_a_domain(dtype, domain):
    bounded = type(Cell)("Bounded", (Cell,), dict(vars(Aged), domain={"dt": domain}, forward=Aged.formulas[""]))
    layer = pylstm.Recurrent(bounded, 3, 4, dtype=dtype)
    x, dt = np.ones((5, 2, 3), dtype), np.zeros((5, 2, 1), dtype)
    dt[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"aux\['dt'\] must be at .*got nan at \(3, 1, 0\)"):
        layer(x, aux={"dt": dt})
    with pytest.raises(ValueError, match=r"aux\['dt'\] must be at"):
        layer.stream(2).step(x[3], aux={"dt": dt[3]})
    ends = layer(x, aux={"dt": dt}, lengths=[5, 3])  # beyond the end of its row
    assert np.isfinite(ends.y).all()


@pytest.mark.parametrize("formula", [True, False])
def test_a_function_that_is_assigned_is_certified(formula):
    def forward(z, prev):
        return {"h": tanh(z.a) + 0.5 * prev.h}

    def right(d, y):
        return {"a": d.h * (1 - np.tanh(y.a) ** 2), "h": 0.5 * d.h}

    def wrong(d, y):
        return {"a": d.h * (1 - np.tanh(y.a) ** 2), "h": 0.4 * d.h}

    M = cell(forward, **({} if formula else {"backward": right}))
    first = pylstm.Recurrent(M, 3, 4, seed=0)
    kept, M.backward = M.backward, staticmethod(wrong)
    with pytest.raises(CertificationError, match="previous h"):
        pylstm.Recurrent(M, 3, 4)
    M.backward = staticmethod(kept)
    again = pylstm.Recurrent(M, 3, 4, seed=0)
    x = np.ones((3, 2, 3), "f4")
    dy = np.ones((3, 2, 4), "f4")
    assert np.array_equal(first(x).backward(dy).x, again(x).backward(dy).x)


def test_uncertified_layers_run_what_was_assigned():
    M = cell(lambda z: {"h": np.tanh(z.a)}, backward=lambda d, y: {"a": d.h * (1 - np.tanh(y.a) ** 2)})
    x, dy = np.ones((1, 2, 3), "f4"), np.ones((1, 2, 4), "f4")
    before = pylstm.Recurrent(M, 3, 4, seed=0)(x).backward(dy).x
    M.backward = staticmethod(lambda d, y: {"a": 2 * d.h * (1 - np.tanh(y.a) ** 2)})
    after = pylstm.Recurrent(M, 3, 4, seed=0, certified=False)(x).backward(dy).x
    np.testing.assert_allclose(after, 2 * before, rtol=1e-6)
