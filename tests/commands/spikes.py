"""Cells with a backward by hand, that `test_new_cell_keeps.py` makes packages of."""

import math

import numpy as np

from pylstm import Cell, exp, sigmoid, tanh, where
from pylstm.cells import Stage

SHARP = 4.0
WIDTH = 0.8
rate = [1, 2]  # also the name of a parameter below
TABLE = np.arange(3.0)


def scaled(function):
    def inner(v):
        return 0.9 * function(v)

    inner.__wrapped__ = function
    return inner


def bump(v, width=WIDTH) -> np.ndarray:
    """Of a spike: no derivative, a bump."""
    return width / (1 + (SHARP * math.pi * v) ** 2)


class Spike(Cell):
    """A leaky neuron that fires above 0 and is set back, with a "surrogate" of its spike."""

    states = ("s", "v")
    gates = {"a": "x+s"}
    params = ("rate",)
    aux = ("dt",)
    domain = {"dt": (0.1, 2), "rate": (0.2, None)}
    initial_values = {"rate": 0.7, "bias": 0.2}
    options = {"threshold": 0.4}
    reference = "none"

    def forward(z, prev, p, u, o):
        v = prev.v * exp(-u.dt * p.rate) * (1 - prev.s) + z.a
        return dict(v=v, s=where(v > o.threshold, 1.0, 0.0))

    def backward(d, y, prev, p, u, o):
        dv = d.v + d.s * bump(y.v - o.threshold)
        left = exp(-u.dt * p.rate)
        dleft = dv * prev.v * (1 - prev.s) * left
        dt = -(dleft * p.rate).sum(axis=-1, keepdims=True)  # one for all units of a row
        return dict(a=dv, v=dv * left * (1 - prev.s), s=-dv * left * prev.v, rate=-dleft * u.dt, dt=dt)


class Rounded(Cell):
    """Straight through a rounding, which is no formula."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z, prev):
        a = np.tanh(z.a)
        return dict(a=a, h=0.5 * prev.h + np.round(SHARP * a.real) / SHARP)

    def backward(d, y):
        return dict(a=d.h * (1 - y.a**2), h=0.5 * d.h)


class Two(Cell):
    """A stage that is a formula, and one with a backward that clips."""

    states = ("h",)
    gates = {"a": "x+h", "b": "e"}
    keep = ("k",)
    widths = {"k": "hidden_size"}
    stages = (Stage("one", gates=("a",), emits=("e",)), Stage("two", gates=("b",)))

    def forward_one(z, prev):
        return dict(e=sigmoid(z.a) * prev.h + z.a)

    def forward_two(z, prev, e):
        b = tanh(z.b)
        return dict(b=b, k=1 - b, h=prev.h * 0.3 + b * e.e)

    def backward_two(d, y, e):
        return dict(b=np.clip(d.h * e.e, -1, 1) * y.k * (2 - y.k), e=d.h * y.b, h=0.3 * d.h)


@scaled
def straight(v):
    return 2 * v


class Decorated(Rounded):
    """Its forward is that of its parent; its backward calls what is decorated."""

    @staticmethod
    def backward(d, y):
        return dict(a=straight(d.h), h=0.5 * d.h)


class Numeric(Cell):
    """Right, and not a formula."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return dict(h=np.tanh(z.a))

    def backward(d, y):
        return dict(a=d.h * (1 - y.h) * (1 + y.h))


class OfItself(Rounded):
    slope = 0.5

    def backward(d, y):
        return dict(a=d.h * OfItself.slope, h=0.5 * d.h)


class OfTable(Rounded):
    def backward(d, y):
        return dict(a=d.h * TABLE[1], h=0.5 * d.h)


def factory(derivative):
    class OfFactory(Rounded):
        def backward(d, y):
            return dict(a=d.h * derivative(y.a), h=0.5 * d.h)

    return OfFactory


OfFactory = factory(bump)
OfNothing = type("OfNothing", (Rounded,), {"backward": eval("lambda d, y: dict(a=d.h, h=0.5 * d.h)")})
