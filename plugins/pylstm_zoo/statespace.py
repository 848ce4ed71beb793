"""State-space cells: linear recurrences with a diagonal matrix, real or complex, that see x through a product.

Complex states are two real ones. The paper's unit sees its own input where V is the identity; what goes on after it (a
GELU, a gated linear unit, an output matrix) is outside the cell.
"""

from __future__ import annotations

import numpy as np

from pylstm.cells import Cell, Stage, contract, cos, exp, log, outer, relu, repeat, row_sum, sigmoid, sin, softplus

CHANNELS = "hidden_size * state_size"


def turning(decay, phase):
    """exp(-decay + i phase) in two parts."""
    return exp(-decay) * cos(phase), exp(-decay) * sin(phase)


def held(step_re, step_im, decay, phase):
    """(exp(dt a) - 1) / a in two parts, of a = -decay + i phase: what an input held for dt adds."""
    square = decay * decay + phase * phase
    return (step_im * phase - (step_re - 1) * decay) / square, -((step_re - 1) * phase + step_im * decay) / square


def log_steps(rng, shape):
    """Logarithms of steps from 0.001 to 0.1."""
    return rng.uniform(log(0.001), log(0.1), shape)


def half_turns(size):
    """pi n for state n of each unit."""
    return np.tile(np.pi * np.arange(size.state_size), size.hidden_size)


class S4D(Cell):
    """Diagonal S4: each unit filters its own input by `state_size` complex states, held for a step dt of its own.

    s = exp(dt a) s- + u, y = 2 Re sum c (exp(dt a) - 1) / a s + d u, u = V x, a = -exp(log_decay) + i (pi n + shift),
    dt = exp(log_dt). New layers have the S4D-Lin of the paper, a_n = -1/2 + i pi n.
    """

    name = "s4d"
    states = ("y", "re", "im")
    gates = {"u": "x"}
    biased = ()
    params = ("log_dt", "log_decay", "shift", "c_re", "c_im", "d")
    sizes = {"state_size": 8}
    widths = dict.fromkeys(("re", "im", "log_decay", "shift", "c_re", "c_im", "turn"), CHANNELS)
    constants = {"turn": half_turns}
    initial_values = {"log_dt": log_steps, "log_decay": float(log(0.5)), "shift": 0.0}
    reference = (
        "Gu, Gupta, Goel & Ré (2022), On the parameterization and initialization of diagonal state space models, "
        "arXiv:2206.11893"
    )

    def forward(z, prev, p):
        dt, decay, phase = repeat(exp(p.log_dt), CHANNELS), exp(p.log_decay), p.turn + p.shift
        a_re, a_im = turning(dt * decay, dt * phase)
        re = a_re * prev.re - a_im * prev.im + repeat(z.u, CHANNELS)
        im = a_re * prev.im + a_im * prev.re
        b_re, b_im = held(a_re, a_im, decay, phase)
        w_re, w_im = p.c_re * b_re - p.c_im * b_im, p.c_re * b_im + p.c_im * b_re
        y = 2 * row_sum(w_re * re - w_im * im, "hidden_size") + p.d * z.u
        return dict(y=y, re=re, im=im)


def hippo_phase(rng, shape):
    """The positive halves of the spectrum of the normal part of the HiPPO matrix, which has -1/2 + i of them."""
    k = np.arange(2 * shape[0])
    root = np.sqrt((2 * k[:, None] + 1) * (2 * k + 1)) / 2
    return np.sort(np.linalg.eigvals(np.triu(root, 1) - np.tril(root, -1)).imag)[shape[0] :]


class S5(Cell):
    """Simplified state-space layer: `state_size` complex states that all of x drives, held for a step of each.

    s = exp(dt a) s- + (exp(dt a) - 1) / a (B x), y = Re(C s) + D x, a = -exp(log_decay) + i phase, dt = exp(log_dt).
    The factor 2 of its conjugate pairs is in C; the paper's D is diagonal. New layers have the HiPPO spectrum.
    """

    name = "s5"
    states = ("y", "re", "im")
    gates = {"b_re": "x", "b_im": "x", "out": "x+s_re+s_im"}
    biased = ()
    params = ("log_dt", "log_decay", "phase")
    sizes = {"state_size": "hidden_size"}
    widths = dict.fromkeys(("re", "im", "b_re", "b_im", "s_re", "s_im", *params), "state_size")
    stages = (Stage("recur", gates=("b_re", "b_im"), emits=("s_re", "s_im")), Stage("read", gates=("out",)))
    initial_values = {"log_dt": log_steps, "log_decay": float(log(0.5)), "phase": hippo_phase}
    reference = (
        "Smith, Warrington & Linderman (2023), Simplified state space layers for sequence modeling, arXiv:2208.04933"
    )

    def forward_recur(z, prev, p):
        dt, decay = exp(p.log_dt), exp(p.log_decay)
        a_re, a_im = turning(dt * decay, dt * p.phase)
        b_re, b_im = held(a_re, a_im, decay, p.phase)
        s_re = a_re * prev.re - a_im * prev.im + b_re * z.b_re - b_im * z.b_im
        return dict(s_re=s_re, s_im=a_re * prev.im + a_im * prev.re + b_re * z.b_im + b_im * z.b_re)

    def forward_read(z, e):
        return dict(y=z.out, re=e.s_re, im=e.s_im)


LINOSS = "Rusch & Rus (2025), Oscillatory state-space models, arXiv:2410.03943"


def stiffness(rng, shape):
    return rng.uniform(0, 1, shape)


class LinOSSIM(Cell):
    """Linear oscillators y'' = -A y + B x + b, by an implicit step that damps: `linoss_im`.

    v = S (v- + dt (B x + b - A y-)), y = y- + dt v, S = 1 / (1 + dt^2 A), A = relu(a), dt = s(step), h = C y + D x. A
    and dt are of each oscillator, of which there are `state_size`; the paper's D is diagonal.
    """

    name = "linoss_im"
    states = ("h", "y", "v")
    gates = {"u": "x", "out": "x+y_new"}
    biased = ("u",)
    params = ("a", "step")
    sizes = {"state_size": "hidden_size"}
    widths = dict.fromkeys(("y", "v", "u", "y_new", "v_new", "a", "step"), "state_size")
    stages = (Stage("oscillate", gates=("u",), emits=("y_new", "v_new")), Stage("read", gates=("out",)))
    initial_values = {"a": stiffness, "step": stiffness}
    reference = LINOSS

    def forward_oscillate(z, prev, p):
        dt, a = sigmoid(p.step), relu(p.a)
        v = (prev.v + dt * (z.u - a * prev.y)) / (1 + dt * dt * a)
        return dict(y_new=prev.y + dt * v, v_new=v)

    def forward_read(z, e):
        return dict(h=z.out, y=e.y_new, v=e.v_new)


class LinOSSIMEX(Cell):
    """Linear oscillators as in `linoss_im`, by an explicit step of v and an implicit one of y, which keeps energy.

    v = v- + dt (B x + b - A y-), y = y- + dt v.
    """

    name = "linoss_imex"
    states = LinOSSIM.states
    gates = LinOSSIM.gates
    biased = LinOSSIM.biased
    params = LinOSSIM.params
    sizes = LinOSSIM.sizes
    widths = LinOSSIM.widths
    stages = LinOSSIM.stages
    initial_values = LinOSSIM.initial_values
    reference = LINOSS

    def forward_oscillate(z, prev, p):
        dt = sigmoid(p.step)
        v = prev.v + dt * (z.u - relu(p.a) * prev.y)
        return dict(y_new=prev.y + dt * v, v_new=v)

    def forward_read(z, e):
        return dict(h=z.out, y=e.y_new, v=e.v_new)


def mamba_bias(rng, shape):
    """What softplus makes steps from 0.001 to 0.1 of."""
    steps = np.exp(log_steps(rng, shape))
    return steps + np.log(-np.expm1(-steps))


def whole_numbers(size):
    """n + 1 for state n of each unit."""
    return np.tile(1.0 + np.arange(size.state_size), size.hidden_size)


class Mamba(Cell):
    """Selective state space (S6) of Mamba: `state_size` states for each unit, whose step and weights come from x.

    S = exp(dt A) S- + dt u b', y = S c + d u, dt = softplus(W r + bias), u = V x, A = -exp(log_rate) (n + 1) for state
    n; b, c and r, with `rank` numbers, are linear in x. The paper's unit has V the identity, after a convolution and a
    silu.
    """

    name = "mamba"
    states = ("y", "S")
    gates = {"r": "x", "u": "x", "b": "x", "c": "x", "dt": "low"}
    biased = ("dt",)
    params = ("log_rate", "d")
    sizes = {"state_size": 16, "rank": 4}
    widths = {"r": "rank", "low": "rank", "b": "state_size", "c": "state_size", "S": CHANNELS, "log_rate": CHANNELS}
    widths |= {"spectrum": CHANNELS}
    constants = {"spectrum": whole_numbers}
    stages = (Stage("step", gates=("r",), emits=("low",)), Stage("select", gates=("u", "b", "c", "dt")))
    initial_values = {"log_rate": 0.0, "d": 1.0, "bias.dt": mamba_bias}
    reference = "Gu & Dao (2024), Mamba: linear-time sequence modeling with selective state spaces, arXiv:2312.00752"

    def forward_step(z):
        return dict(low=z.r)

    def forward_select(z, prev, p):
        dt = softplus(z.dt)
        S = exp(-repeat(dt, CHANNELS) * exp(p.log_rate) * p.spectrum) * prev.S + outer(dt * z.u, z.b)
        return dict(y=contract(S, z.c) + p.d * z.u, S=S)
