"""Cells that `test_new_cell.py` makes packages of."""

import math

from pylstm import sigmoid as squash
from pylstm.cells import Cell, Stage, stop_gradient, surrogate, tanh

SCALE = 0.5


def mixed(a, b, k):
    return SCALE * math.pi / 3 * (k * a + (1 - k) * b)


class Leaf(Cell):
    """A projected one, of 70 % "noise" and \alpha."""

    name = "leaf_of_a_file"
    states = ("h", "m")
    gates = {"f": "x+m", "a": "x+m"}
    params = ("rate",)
    widths = {"m": "memory"}
    sizes = {"memory": None}
    stages = (Stage("gates", gates=("f", "a"), emits=("e",)), Stage("last"))
    aux = ("dt",)
    reference = 'a "file"'

    def forward_gates(z, u):
        return dict(e=mixed(tanh(z.a), squash(z.f), u.dt))

    def forward_last(prev, e, p):
        return dict(h=2 * tanh(e.e * p.rate) + 0.1 * prev.h, m=0.5 * prev.m)


def closed(k):
    class Closed(Cell):
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z):
            return dict(h=k * tanh(z.a))

    return Closed


Closed, Given = closed(3.0), closed([3.0])


def layered(depth, unused):
    def layer(k):
        def forward(z, prev, e):
            """Of layer k."""
            before = prev.h if k == 1 else getattr(e, f"h{k - 1}")
            new = before + 1 / k * tanh(getattr(z, f"a{k}"))
            return {"h" if k == depth else f"h{k}": new}

        return forward

    class Layered(Cell):
        states = ("h",)
        gates = {"a1": "x+h", "a2": "h1"}
        stages = (Stage("one", gates=("a1",), emits=("h1",)), Stage("two", gates=("a2",)))
        forward_one, forward_two = layer(1), layer(2)

    return Layered


Layered = layered(2, 5.0)
TABLE = {1: 2.0}


class Table(Cell):
    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return dict(h=TABLE[1] * tanh(z.a))


class Branches(Cell):
    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return dict(h=z.a if z.a > 0 else 2 * z.a)


SHARPNESS = 10


def slope(v):
    return 1 / (1 + SHARPNESS * abs(v)) ** 2


spike = surrogate(lambda v: v > 0, slope)


class Spiking(Cell):
    """Leaky integrate and fire."""

    states = ("s", "v")
    gates = {"i": "x+s"}

    def forward(z, prev):
        v = 0.9 * prev.v * (1 - stop_gradient(prev.s)) + z.i
        return {"s": spike(v - 0.2), "v": v}


class Listed(Cell):
    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return {"h": hidden(z.a)}


(hidden,) = [spike]
