"""Formulas that together use every operation of the formula language; `evaluate` and `gradients` check them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from pylstm.cells import (
    Cell,
    Stage,
    abs2,
    absolute,
    conj,
    cos,
    exp,
    expm1,
    lag,
    log,
    log1p,
    maximum,
    minimum,
    relu,
    sigmoid,
    sin,
    softplus,
    sqrt,
    tanh,
    where,
)
from pylstm.cells.contracts.stages import hook_name


class FormulaPeephole(Cell):
    states = ("h", "c")
    gates = dict(i="x+h", f="x+h", g="x+h", o="x+h")
    params = ("p_i", "p_f", "p_o")

    def forward(z, prev, p):
        i = sigmoid(z.i + p.p_i * prev.c)
        f = sigmoid(z.f + p.p_f * prev.c)
        c = f * prev.c + i * tanh(z.g)
        o = sigmoid(z.o + p.p_o * c)
        return dict(h=o * tanh(c), c=c)


class ResetBefore(Cell):
    states = ("h",)
    gates = dict(r="x+h", u="x+h", n="x+rh")
    stages = (Stage("reset", gates=("r",), emits=("rh",)), Stage("update", gates=("u", "n")))

    def forward_reset(z, prev):
        return dict(rh=sigmoid(z.r) * prev.h)

    def forward_update(z, prev, e):
        u = sigmoid(z.u + 0.1 * e.rh)
        return dict(h=u * prev.h + (1 - u) * tanh(z.n))


class ExponentialGates(Cell):
    """sLSTM with its stabiliser."""

    states = ("h", "c", "n", "m")
    gates = dict(i="x+h", f="x+h", g="x+h", o="x+h")

    def forward(z, prev):
        log_f = -softplus(-z.f)
        m = maximum(log_f + prev.m, z.i)
        i, f = exp(z.i - m), exp(log_f + prev.m - m)
        c = f * prev.c + i * tanh(z.g)
        n = f * prev.n + i
        return dict(h=sigmoid(z.o) * c / n, c=c, n=n, m=m)


class Timed(Cell):
    """Narrow parameter and aux, conditions, powers."""

    states = ("h",)
    gates = dict(a="x+h", b="x+h", ta="x+h", tb="x+h")
    params = ("alpha", "w")
    aux = ("dt",)
    widths = {"alpha": 1}

    def forward(z, prev, p, u):
        s = sigmoid(z.tb - z.ta * u.dt)
        rate = sigmoid(p.alpha) * exp(-u.dt)
        far = (prev.h > p.w) & ~(z.a >= 0.5) | (prev.h <= -1)
        return dict(h=tanh(z.a) * (1 - s) + s * rate * tanh(z.b) + where(far, prev.h**3, 0.5 * absolute(prev.h)))


class Everything(Cell):
    """Every function, divisions, powers, a condition as a factor."""

    states = ("h", "s")
    gates = dict(a="x+h", b="x", c="h", d="x+s")
    params = ("v",)

    def forward(z, prev, p):
        q = exp(-absolute(z.a)) + expm1(0.3 * z.b) + log(2 + sin(z.c)) + log1p(z.d**2) + sqrt(1 + z.a**4)
        r = relu(z.a) + softplus(z.b - z.c) + cos(z.d) * minimum(z.a, p.v) / (1.5 + tanh(prev.s)) + maximum(q, 0.2)
        s = 2.0**z.b - (1 + sigmoid(z.c)) ** -1.5 + abs_of(z.d) ** p.v * (prev.h < 0.1) - 1 / q
        return dict(h=tanh(r) + q * prev.h / 7 + (prev.s != 0), s=s)


def abs_of(x):
    return 0.5 + absolute(x)


class Linear(Cell):
    """Gates without activation; one that nobody uses; a constant state."""

    states = ("h", "k")
    gates = dict(a="x", b="x+h", unused="x")
    params = ("u",)

    def forward(z, prev, p):
        return dict(h=z.a * z.b + p.u * prev.h, k=3)


class Projected(Cell):
    """Widths of three sizes; the narrow gate scales the row."""

    states = ("h", "c")
    gates = dict(i="x+h", g="x+h", scale="x+h", q="m")
    stages = (Stage("cell", gates=("i", "g", "scale"), emits=("m", "c_new")), Stage("project", gates=("q",)))
    sizes = {"proj_size": 2}
    widths = {"h": "proj_size", "q": "proj_size", "scale": 1}

    def forward_cell(z, prev):
        i = sigmoid(z.i)
        c_new = (1 - i) * prev.c + i * tanh(z.g) * exp(z.scale)
        return dict(m=tanh(c_new), c_new=c_new)

    def forward_project(z, e):
        return dict(h=z.q, c=e.c_new)


class Near(Cell):
    """A condition is the cheapest value to keep."""

    states = ("h", "s")
    gates = dict(a="x", b="x")

    def forward(z, prev):
        near = z.a * z.a - z.b > prev.s
        return dict(h=where(near, tanh(z.a), 0) + where(~near, tanh(z.b), 0), s=prev.s + 1)


class Lagging(Cell):
    """States of several steps ago, of a formula and of its gates."""

    states = ("h", "c")
    gates = dict(a="x+lag(h, 4)", b="c+lag(h, 2)")

    def forward(z, prev):
        c = tanh(z.b) - 0.5 * lag("c", 3)
        return dict(h=tanh(z.a + c) + 0.3 * lag("h", 5), c=c)


class Spinning(Cell):
    """Complex values, some of several steps ago."""

    states = ("h", "s")
    complex = ("s", "u", "turn")
    gates = dict(u="x+h+lag(s, 2)")
    params = ("turn",)

    def forward(z, prev, p):
        s = exp(1j * p.turn.real - 0.5) * prev.s + z.u / (1 + abs2(z.u)) + 0.2 * lag("s", 3) * conj(p.turn)
        return dict(h=tanh(s.real - s.imag), s=s)


class FormulaLSTM(Cell):
    """The LSTM, as anybody would write it."""

    states = ("h", "c")
    gates = dict(i="x+h", f="x+h", g="x+h", o="x+h")

    def forward(z, prev):
        c = sigmoid(z.f) * prev.c + sigmoid(z.i) * tanh(z.g)
        return dict(h=sigmoid(z.o) * tanh(c), c=c)


WRITTEN_OUT = [Lagging, Spinning]
"""Cells whose declarations are written out (`contracts.expansion`): their formulas do not run on plain blocks."""

CELLS = [Near, FormulaPeephole, ResetBefore, ExponentialGates, Timed, Everything, Linear, Projected]

ROWS, WIDTHS = 3, {"hidden_size": 5, "input_size": 4, "proj_size": 2}


def draw(cell, stage, seed=0, dtype=np.float64):
    """Inputs of one stage, no term of which vanishes: kind -> name -> array."""
    rng = np.random.default_rng(seed)
    contract = cell.contract
    earlier = contract.stages[: contract.stages.index(stage)]
    names = {
        "z": stage.gates,
        "prev": contract.states,
        "e": [name for each in earlier for name in each.emits],
        "p": contract.params,
        "u": contract.aux,
        "d": contract.states if stage is contract.stages[-1] else stage.emits,
    }
    spaces = {}
    for kind, block in names.items():
        spaces[kind] = {}
        for name in block:
            width = contract.widths.get(name, "hidden_size")
            width = WIDTHS.get(width, width)
            value = rng.uniform(0.2, 1.2, (width,) if kind == "p" else (ROWS, width))
            sign = rng.choice([-1.0, 1.0], value.shape) if kind in ("z", "prev", "d") and name != "n" else 1.0
            spaces[kind][name] = (value * sign).astype(dtype)
    return spaces


def call(function, spaces):
    """Call a hook with the namespaces that it asks for."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return function(*(SimpleNamespace(**spaces[name]) for name in names))


def hooks(cell, stage):
    return [getattr(cell, hook_name(way, stage.name)) for way in ("forward", "backward")]


def forward_and_backward(cell, stage, spaces):
    """Results of the twin's two functions."""
    forward, backward = hooks(cell, stage)
    out = call(forward, {kind: spaces[kind] for kind in ("z", "prev", "e", "p", "u")})
    tape = {name: spaces["z"][name] for name in stage.gates} | out
    return out, call(backward, {kind: spaces[kind] for kind in ("prev", "e", "p", "u", "d")} | {"y": tape})


def complex_steps(function, spaces, step=1e-30):
    """Cotangents of all inputs of `function`, a forward hook, by complex steps: name -> array."""
    result = {}
    for kind in ("z", "prev", "e", "p", "u"):
        for name, value in spaces[kind].items():
            shifted = {k: dict(v) for k, v in spaces.items()}
            shifted[kind][name] = value + step * 1j
            out = call(function, shifted)
            total = np.zeros(np.broadcast_shapes(value.shape, (ROWS, 1)))
            for output, d in spaces["d"].items():
                part = np.broadcast_to(d * np.imag(out[output]) / step, d.shape)
                if part.shape[-1] != value.shape[-1]:
                    part = part.sum(axis=-1, keepdims=True) if value.shape[-1] == 1 else 0 * total
                total = total + part
            result[name] = total
    return result
