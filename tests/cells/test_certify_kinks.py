"""Kinks whose sides differ by little, conditions that rounding decides, cotangents of 0: what passes, what does not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pylstm.cells import Cell, exp, maximum, relu, sigmoid, tanh, where
from pylstm.cells.certification.certify import certify

ONE, TWO = {"a": "x+h"}, {"a": "x+h", "b": "x+h"}


def make(forward, backward=None, states=("h",), gates=None, params=()):
    body = {"name": "kink", "states": states, "gates": gates or TWO, "params": params, "forward": forward}
    return type(Cell)("Kink", (Cell,), body | ({} if backward is None else {"backward": backward}))


FORMULAS = {
    "tanh of a ratio": lambda z, prev: {"h": tanh(z.a / (abs(prev.h) + 0.1)) + 0 * z.b},
    "a small jump on a large slope": lambda z, prev: {"h": tanh(z.a / (abs(prev.h) + 0.1) + z.b)},
    "sigmoid of a ratio": lambda z, prev: {"h": 0.5 * prev.h + sigmoid(z.a / (abs(prev.h) + 0.1) + z.b)},
    "bell": lambda z, prev: {"h": exp(-((z.a / (abs(prev.h) + 0.1)) ** 2)) + 0 * z.b},
    "decay": lambda z, prev: {"h": exp(-abs(z.b / (abs(prev.h) + 0.1))) + tanh(z.a)},
    "relu in a ratio": lambda z, prev: {"h": tanh(z.a / (relu(prev.h) + 0.1) + z.b)},
    "maximum in a ratio": lambda z, prev: {"h": tanh(z.a / (maximum(prev.h, -0.5 * prev.h) + 0.1) + z.b)},
    "a condition in a ratio": lambda z, prev: {"h": tanh(z.a / (where(prev.h > 0, prev.h, 0) + 0.1) + z.b)},
    "a tie of saturated values": lambda z, prev: {
        "h": tanh(z.a) + 0.5 * relu(where(tanh(z.b) > tanh(prev.h), prev.h, z.a))
    },
    "a tie of sums": lambda z, prev: {"h": where(1 + sigmoid(z.a) > 1 + sigmoid(z.b), 0.5 * prev.h, tanh(z.a))},
}
OF_PARAMETERS = {
    "maximum with 1": lambda z, p: {"h": tanh(z.a) * maximum(1.0, 1.0 + p.r)},
    "abs of what cancels": lambda z, p: {"h": tanh(z.a) * abs(1 + p.r - 1.0)},
}


@pytest.mark.parametrize("case", FORMULAS)
def test_a_right_formula_passes(case):
    certificate = certify(make(FORMULAS[case]), raise_=False)
    assert certificate.ok, certificate.message()


@pytest.mark.parametrize("case", OF_PARAMETERS)
def test_a_dtype_that_follows_in_no_row_is_noted(case):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        certificate = certify(make(OF_PARAMETERS[case], gates=ONE, params=("r",)), raise_=False)
    assert certificate.ok, certificate.message()
    assert "kernel float32: not certified where params are tiny: its roundings are too large there" in certificate.notes


def test_a_tie_of_values_that_float32_rounds_to_one_passes():
    def forward(z, prev):
        return {"h": tanh(z.a), "c": 0.5 * prev.c + relu(where(tanh(z.b) > tanh(prev.c), prev.h, z.a))}

    certificate = certify(make(forward, states=("h", "c")), raise_=False)
    assert certificate.ok, certificate.message()


def decided(z, prev):
    b, c = np.tanh(z.b), np.tanh(prev.h)
    return dict(h=np.where(b > c, prev.h, 0.5 * np.tanh(z.a)), b=b)


def decided_backward(d, y, prev):
    larger = y.b > np.tanh(prev.h)
    return dict(a=d.h * np.where(larger, 0, 0.5 * (1 - np.tanh(y.a) ** 2)), b=0 * d.h, h=d.h * np.where(larger, 1.0, 0))


def test_a_twin_by_hand_whose_condition_float32_decides_otherwise_passes():
    certificate = certify(make(decided, decided_backward), raise_=False)
    assert certificate.ok, certificate.message()


def test_a_condition_that_is_wrong_in_float32_alone_is_refused():
    def forward(z, prev):
        b, c = np.tanh(z.b), np.tanh(prev.h)
        larger = b + (0.2 if np.result_type(b) == np.float32 else 0) > c
        return dict(h=np.where(larger, prev.h, 0.5 * np.tanh(z.a)), b=b)

    assert not certify(make(forward, decided_backward), raise_=False).ok


def ratio(slope_at_0):
    """h = tanh(a / (|h| + 0.1) + b), and its derivative by h at h = 0 as a multiple of that to the right."""

    def forward(z, prev):
        size = np.where(prev.h.real < 0, -prev.h, prev.h) + 0.1
        return dict(h=np.tanh(z.a / size + z.b))

    def backward(d, y, prev):
        size, da = np.abs(prev.h) + 0.1, d.h * (1 - y.h**2)
        sign = np.where(prev.h == 0, slope_at_0, np.sign(prev.h))
        return dict(a=da / size, b=da, h=-da * y.a / size**2 * sign)

    return make(forward, backward)


@pytest.mark.parametrize("slope", [-1, -0.3, 0, 0.8, 1])
def test_every_slope_between_the_sides_passes(slope):
    certificate = certify(ratio(slope), raise_=False)
    assert certificate.ok, certificate.message()


@pytest.mark.parametrize("slope", [-1.2, 1.1, 3, 1e3])
def test_a_slope_beyond_the_sides_is_refused(slope):
    certificate = certify(ratio(slope), raise_=False)
    assert [path.name for path in certificate.failures if path.form == "twin"] == ["d h / d previous h"]


def smooth(off):
    """h = tanh(a + b) + 0.25 h^2: no kink at 0, where backward is off by `off`."""

    def forward(z, prev):
        return dict(h=np.tanh(z.a + z.b) + 0.25 * prev.h**2)

    def backward(d, y, prev):
        da = d.h * (1 - np.tanh(y.a + y.b) ** 2)
        return dict(a=da, b=da, h=d.h * (0.5 * prev.h + np.where(prev.h == 0, off, 0)))

    return make(forward, backward)


@pytest.mark.parametrize("off", [1e-12, -1e-9, 1e-6, 1e-3])
def test_where_there_is_no_kink_no_slope_but_one_passes(off):
    assert certify(smooth(0), raise_=False).ok
    assert not certify(smooth(off), raise_=False).ok


def of_d(change):
    def forward(z):
        return dict(h=np.tanh(z.a))

    def backward(d, y):
        return dict(a=change(d.h) * (1 - y.h**2))

    return make(forward, backward, gates=ONE)


WRONG_AT_0 = {
    "an offset": lambda d: d + np.where(d == 0, 5.0, 0.0),
    "a small offset": lambda d: d + np.where(d == 0, 1e-9, 0.0),
    "0 / 0": lambda d: d * d / d,
    "an offset in rows of 0": lambda d: d + np.where((d == 0).all(axis=1, keepdims=True), 5.0, 0.0),
    "an offset where all is 0": lambda d: d + 5.0 * (d == 0).all(),
    "an offset in rows that are 0 in places": lambda d: d + (d == 0).any(axis=1, keepdims=True) * (d != 0),
    "normalised": lambda d: d / np.abs(d) * np.abs(d),
}


@pytest.mark.parametrize("case", WRONG_AT_0)
def test_a_backward_that_is_wrong_for_cotangents_of_0_is_refused(case):
    assert certify(of_d(lambda d: 1.0 * d), raise_=False).ok
    with np.errstate(all="ignore"):
        failures = certify(of_d(WRONG_AT_0[case]), raise_=False).failures
    assert {path.name for path in failures} == {"d all outputs / d gate a, cotangents of 0 in places"}
