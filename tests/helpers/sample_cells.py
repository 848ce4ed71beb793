"""Test-only cells. Together they use every feature of the cell contract."""

from __future__ import annotations

from pylstm.cells import LSTM, Cell, Stage, exp, sigmoid, tanh
from pylstm.cells.functions import dsigmoid_from_y, dtanh_from_y


class Elman(Cell):
    """The smallest cell: one gate, one state."""

    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return dict(h=tanh(z.a))

    def backward(d, y):
        return dict(a=d.h * dtanh_from_y(y.h))


class Everything(Cell):
    r"""Two stages, unequal widths, emissions and several states as sources, per-unit parameters, three aux inputs.

    Stage one emits the scaled vector q (width q_size) and a softmax over the units w, which couples them.
    Stage two makes m and the output h; its gates read x, both previous states, and both emissions.
    """

    states = ("m", "h")
    output = "h"
    gates = {"r": "h+m", "s": "x", "a": "x+q", "b": "w+m+h"}
    biased = ("a", "r")
    params = ("decay", "tilt")
    aux = ("dt", "drive", "x")
    keep = ("norm", "fade")
    sizes = {"q_size": 4}
    widths = {"r": "q_size", "q": "q_size", "norm": 1, "drive": "hidden_size", "m": "m_size", "decay": "m_size"}
    widths |= {"fade": "m_size", "a": "m_size"}
    sizes |= {"m_size": "input_size"}
    stages = (Stage("mix", gates=("r", "s"), emits=("q", "w")), Stage("update", gates=("a", "b")))

    def forward_mix(z, prev, p, u):
        r = sigmoid(z.r)
        q = r * u.dt + prev.h.mean(axis=-1, keepdims=True)  # (1)
        score = exp(z.s * p.tilt + prev.h)  # (2)
        norm = score.sum(axis=-1, keepdims=True)
        return dict(r=r, q=q, w=score / norm, norm=norm)  # (3)

    def backward_mix(d, y, prev, p, u):
        units = prev.h.shape[-1]
        dscore = y.w * (d.w - (d.w * y.w).sum(axis=-1, keepdims=True))  # of (3), (2)
        dq = d.q.sum(axis=-1, keepdims=True)
        return dict(
            r=d.q * u.dt * dsigmoid_from_y(y.r),  # of (1)
            s=dscore * p.tilt,
            tilt=dscore * y.s,
            h=dscore + dq / units,
            dt=(d.q * y.r).sum(axis=-1, keepdims=True),
        )

    def forward_update(z, prev, e, p, u):
        fade = exp(-p.decay * u.dt)  # (1)
        m = fade * prev.m + tanh(z.a) * u.x  # (2)
        b = tanh(z.b + u.drive)  # (3)
        h = b * e.w + prev.h * e.q.sum(axis=-1, keepdims=True)  # (4)
        return dict(a=tanh(z.a), b=b, fade=fade, m=m, h=h)

    def backward_update(d, y, prev, e, p, u):
        db = d.h * e.w * dtanh_from_y(y.b)  # of (4), (3)
        dfade = d.m * prev.m * y.fade  # of (2), (1)
        return dict(
            a=d.m * u.x * dtanh_from_y(y.a),
            b=db,
            drive=db,
            x=d.m * y.a,
            m=d.m * y.fade,
            decay=-dfade * u.dt,
            dt=-(dfade * p.decay).sum(axis=-1, keepdims=True),
            h=d.h * e.q.sum(axis=-1, keepdims=True),
            w=d.h * y.b,
            q=(d.h * prev.h).sum(axis=-1, keepdims=True) + 0 * e.q,
        )


class Chain(Cell):
    """Three stages: an emission that the next stage reads as a source, and the one after that in its hook."""

    states = ("h", "n")
    gates = {"a": "x+h", "b": "ea", "c": "eb+n", "n_in": "x"}
    biased = ("b",)
    params = ("scale",)
    stages = (
        Stage("one", gates=("a",), emits=("ea",)),
        Stage("two", gates=("b",), emits=("eb",)),
        Stage("three", gates=("c", "n_in")),
    )

    def forward_one(z, prev):
        return dict(ea=z.a * prev.n)

    def backward_one(d, y, prev):
        return dict(a=d.ea * prev.n, n=d.ea * y.a)

    def forward_two(z, e, p):
        return dict(b=sigmoid(z.b), eb=sigmoid(z.b) * e.ea * p.scale)

    def backward_two(d, y, e, p):
        return dict(
            b=d.eb * e.ea * p.scale * dsigmoid_from_y(y.b),
            ea=d.eb * y.b * p.scale,
            scale=d.eb * y.b * e.ea,
        )

    def forward_three(z, prev, e):
        h = tanh(z.c) * e.ea + e.eb
        return dict(c=tanh(z.c), h=h, n=0.5 * prev.n + z.n_in * prev.h)

    def backward_three(d, y, prev, e):
        return dict(
            c=d.h * e.ea * dtanh_from_y(y.c),
            ea=d.h * y.c,
            eb=d.h,
            n=0.5 * d.n,
            n_in=d.n * prev.h,
            h=d.n * y.n_in,
        )


class Leaky(Cell):
    """A formula with every kind of option."""

    states = ("h",)
    gates = {"a": "x+h"}
    options = {"rate": 0.5, "rounds": 1, "gated": False}

    def forward(z, prev, o):
        h = prev.h
        for _ in range(o.rounds):
            h = h + o.rate * (tanh(z.a) - h)
        return {"h": sigmoid(z.a) * h if o.gated else h}


class TwinOnly(LSTM):
    """Runs through the Python row hooks."""

    name = "twin_only"
    kernel = None
