"""Right cells that are hard to certify: jumps, ties, kinks, sums that cancel, domains. None is refused."""

from __future__ import annotations

import numpy as np
import pytest

from pylstm.cells import Cell, sqrt, tanh
from pylstm.cells.certification.certify import certify


class OneGate(Cell):
    """h = tanh(a) + f(h_prev), with f and its derivative given by subclasses."""

    states = ("h",)
    gates = {"a": "x"}

    @classmethod
    def of(cls, name, f, df):
        def forward(z, prev):
            return dict(h=np.tanh(z.a) + f(prev.h))

        def backward(d, y, prev):
            return dict(a=d.h * (1 - np.tanh(y.a) ** 2), h=d.h * df(prev.h))

        return type(cls)(name, (cls,), {"forward": forward, "backward": backward})


def step(h):
    return np.where(h.real > 0, 1.0, np.where(h.real < 0, 0.0, 0.3))


def tie(h):
    return np.where(h.real == 0, 0 * h.real, h)


WAVES = 5e6

RIGHT = {
    "a jump": (step, lambda h: 0 * h),
    "waves as short as the steps": (lambda h: np.sin(WAVES * h) / WAVES, lambda h: np.cos(WAVES * h)),
    "a tie at 0": (tie, np.ones_like),
    "a backward that float32 rounds": (lambda h: 0.5 * h * h, lambda h: (h + 100) - 100),
    "absolute values of complex numbers": (
        lambda h: np.tanh(8 * np.abs(h)),
        lambda h: 8 * np.sign(h) * (1 - np.tanh(8 * np.abs(h)) ** 2),
    ),
}


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_cell_passes(case):
    assert certify(OneGate.of("Right", *RIGHT[case])).ok


def test_a_tie_does_not_end_complex_steps():
    assert not any("differences" in note for note in certify(OneGate.of("Tie", *RIGHT["a tie at 0"])).notes)


def test_no_step_crosses_0():
    """Below 0 there is no root: with steps that do not shrink nothing would be known of the smallest states."""
    assert certify(OneGate.of("Root", np.sqrt, lambda h: 0.5 / np.sqrt(h))).ok

    def wrong(h):
        smallest = (h < 1e-7) & (h.max(axis=-1, keepdims=True) < 1e-2) & (h.shape[-1] > 1)
        return np.where(smallest, 0.9, 1) * 0.5 / np.sqrt(h)

    assert not certify(OneGate.of("Root", np.sqrt, wrong), raise_=False).ok


class Underflow(Cell):
    """Its derived backward is infinity times 0 where the state is small."""

    states = ("h",)
    gates = {"a": "x"}

    def forward(z, prev):
        return dict(h=tanh(z.a) + sqrt(prev.h**50))


def test_a_derived_backward_that_is_not_finite():
    certificate = certify(Underflow)
    assert any("d h / d previous h is not finite where previous zero" in note for note in certificate.notes)


class Cancels(Cell):
    """Complex steps lose what the sum loses; in long double they do not."""

    states = ("h",)
    gates = {"a": "x"}

    def forward(z, prev):
        q = 1e-3 * prev.h
        return dict(h=(q + z.a) ** 5 - (q - z.a) ** 5)

    def backward(d, y, prev):
        q, a = 1e-3 * prev.h, y.a
        return dict(a=10 * d.h * (q**4 + 6 * q * q * a * a + a**4), h=0.04 * d.h * q * a * (q * q + a * a))


def test_sums_that_cancel():
    assert certify(Cancels).ok


class Bordered(Cell):
    """NaN below the domain of dt."""

    states = ("h",)
    gates = {"a": "x"}
    aux = ("dt",)
    domain = {"dt": (0.5, None)}

    def forward(z, prev, u):
        return dict(h=tanh(z.a) * (u.dt - 0.5) ** 1.5 + prev.h)

    def backward(d, y, prev, u):
        t = np.tanh(y.a)
        return dict(
            a=d.h * (1 - t * t) * (u.dt - 0.5) ** 1.5,
            h=d.h,
            dt=(1.5 * d.h * t * (u.dt - 0.5) ** 0.5).sum(axis=-1, keepdims=True),
        )


def test_the_border_of_a_domain_is_looked_at():
    """Numbers that are rounded there stay inside: else forward would be NaN, and everything be granted."""
    assert certify(Bordered).ok

    def wrong(d, y, prev, u):
        out = Bordered.backward(d, y, prev, u)
        border = (u.dt < 0.5 + 1e-9) & (y.a == 0) & (prev.h == 0)
        return out | {"a": out["a"] + np.where(border, 0.1, 0) * d.h}

    assert not certify(type(Cell)("Bordered", (Bordered,), {"backward": wrong}), raise_=False).ok
