"""Cells that see their output of several steps ago."""

from __future__ import annotations

from pylstm.cells import Cell, Stage, exp, lag, maximum, sigmoid, tanh


class DilatedGRU(Cell):
    """GRU, reset after the product, with g = h of 4 steps ago in place of h- (`dilated_gru` makes others).

    r = s(W_r x + U_r g + b_r), u = s(W_u x + U_u g + b_u), n = tanh(W_n x + b_n + r (U_n g + b_m)), h = (1 - u) g +
    u n. The paper stacks layers of dilations 1, 2, 4, ...
    """

    name = "dilated_gru"
    states = ("h",)
    gates = {"r": "x+lag(h, 4)", "u": "x+lag(h, 4)", "n": "x", "m": "lag(h, 4)"}
    reference = (
        "Chang, Zhang, Han, Yu, Guo, Tan, Cui, Witbrock, Hasegawa-Johnson & Huang (2017), Dilated recurrent neural "
        "networks, arXiv:1710.02224"
    )

    def forward(z):
        u = sigmoid(z.u)
        return dict(h=(1 - u) * lag("h", 4) + u * tanh(z.n + sigmoid(z.r) * z.m))


def dilated_gru(dilation: int) -> type[Cell]:
    """The cell `DilatedGRU` with another dilation, 1 to 32."""

    def forward(z):
        u = sigmoid(z.u)
        return dict(h=(1 - u) * lag("h", dilation) + u * tanh(z.n + sigmoid(z.r) * z.m))

    gates = {gate: source.replace("4", str(dilation)) for gate, source in DilatedGRU.gates.items()}
    body = {"__module__": __name__, "name": f"dilated_gru_{dilation}", "gates": gates, "forward": forward}
    return type("DilatedGRU", (DilatedGRU,), body)


class TauGRU(Cell):
    """GRU with weighted feedback from 4 steps ago (`tau_gru` makes others).

    u = tanh(W_1 h- + U_1 x + b_1), z = tanh(W_2 g + U_2 x + b_2), k = s(W_3 h- + U_3 x + b_3), a = s(W_4 h- + U_4 x +
    b_4), h = (1 - k) h- + k (beta u + alpha a z), g = h of 4 steps ago. Options alpha, beta = 1. A published code lets
    a see what z sees, and both the x of that step.
    """

    name = "tau_gru"
    states = ("h",)
    gates = {"u": "x+h", "z": "x+lag(h, 4)", "k": "x+h", "a": "x+h"}
    options = {"alpha": 1.0, "beta": 1.0}
    domain = {"alpha": (0, 1), "beta": (0, 1)}
    reference = (
        "Erichson, Lim & Mahoney (2025), Gated recurrent neural networks with weighted time-delay feedback, "
        "arXiv:2212.00228"
    )

    def forward(z, prev, o):
        k = sigmoid(z.k)
        return dict(h=(1 - k) * prev.h + k * (o.beta * tanh(z.u) + o.alpha * sigmoid(z.a) * tanh(z.z)))


def tau_gru(delay: int) -> type[Cell]:
    """The cell `TauGRU` with another delay, 1 to 32."""
    gates = TauGRU.gates | {"z": f"x+lag(h, {delay})"}
    return type("TauGRU", (TauGRU,), {"__module__": __name__, "name": f"tau_gru_{delay}", "gates": gates})


class MIST(Cell):
    """Mixed history: what recurs is a mean of h of 1, 2, 4 and 8 steps ago.

    a = softmax(W_a x + U_a h- + b_a), a number for each delay 2^k, r = s(W_r x + U_r h- + b_r), h = tanh(W x +
    U (r sum a_k h_k) + b), h_k = h of 2^k steps ago. The paper has 8 delays, up to 128.
    """

    name = "mist"
    states = ("h",)
    gates = {f"a{k}": "x+h" for k in range(4)} | {"r": "x+h", "n": "x+mixed"}
    widths = dict.fromkeys(("a0", "a1", "a2", "a3"), 1)
    stages = (Stage("mix", ("a0", "a1", "a2", "a3", "r"), ("mixed",)), Stage("move", ("n",)))
    reference = (
        "DiPietro, Rupprecht, Navab & Hager (2017), Analyzing and exploiting NARX recurrent neural networks for "
        "long-term dependencies, arXiv:1702.07805"
    )

    def forward_mix(z, prev):
        most = maximum(maximum(z.a0, z.a1), maximum(z.a2, z.a3))
        a0, a1, a2, a3 = (exp(score - most) for score in (z.a0, z.a1, z.a2, z.a3))
        mixed = a0 * prev.h + a1 * lag("h", 2) + a2 * lag("h", 4) + a3 * lag("h", 8)
        return dict(mixed=sigmoid(z.r) * mixed / (a0 + a1 + a2 + a3))

    def forward_move(z):
        return dict(h=tanh(z.n))
