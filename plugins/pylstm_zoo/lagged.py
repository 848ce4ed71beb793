"""Cells that see their output of several steps ago: h2 is h of two steps before, and so on, zeros at the beginning.

Each is made for its delays by a function, `dilated_gru`, `tau_gru` and `mist`; what they make for others than the
registered ones is used as a class.
"""

from __future__ import annotations

from typing import Any

from pylstm.cells import Cell, Stage, exp, maximum, sigmoid, tanh


def earlier(most: int) -> tuple[str, ...]:
    """The states that hold h of two to `most` steps before."""
    return tuple(f"h{k}" for k in range(2, most + 1))


def of(delay: int) -> str:
    """The state that is h of `delay` steps before."""
    return "h" if delay == 1 else f"h{delay}"


def shifted(prev: Any, most: int) -> dict[str, Any]:
    """New values of `earlier`."""
    return {of(k): getattr(prev, of(k - 1)) for k in range(2, most + 1)}


def dilated_gru(dilation: int = 4) -> type[Cell]:
    """GRU (reset after the product) that sees h of `dilation` steps before, at least 2, at most 32, in place of h-."""
    then = of(dilation)

    def forward(z, prev):
        u = sigmoid(z.u)
        h = (1 - u) * getattr(prev, then) + u * tanh(z.n + sigmoid(z.r) * z.m)
        return {"h": h} | shifted(prev, dilation)

    body = {
        "__doc__": f"""Dilated GRU: h of {dilation} steps before in place of h- (`dilated_gru` makes others).

        r = s(W_r x + U_r g + b_r), u = s(W_u x + U_u g + b_u), n = tanh(W_n x + b_n + r (U_n g + b_m)), h = (1 - u) g +
        u n, g = h of {dilation} steps before. The paper stacks layers of dilations 1, 2, 4, ...
        """,
        "__module__": __name__,
        "name": "dilated_gru",
        "states": ("h", *earlier(dilation)),
        "gates": {"r": f"x+{then}", "u": f"x+{then}", "n": "x", "m": then},
        "reference": (
            "Chang, Zhang, Han, Yu, Guo, Tan, Cui, Witbrock, Hasegawa-Johnson & Huang (2017), Dilated recurrent neural "
            "networks, arXiv:1710.02224"
        ),
        "forward": forward,
    }
    return type("DilatedGRU", (Cell,), body)


def tau_gru(delay: int = 4) -> type[Cell]:
    """GRU with feedback from `delay` steps before, at least 2, at most 32."""
    then = of(delay)

    def forward(z, prev, o):
        g = sigmoid(z.g)
        new = o.beta * tanh(z.u) + o.alpha * sigmoid(z.a) * tanh(z.z)
        return {"h": (1 - g) * prev.h + g * new} | shifted(prev, delay)

    body = {
        "__doc__": f"""GRU with weighted feedback from {delay} steps before (`tau_gru` makes others).

        u = tanh(W_1 h- + U_1 x + b_1), z = tanh(W_2 h_d + U_2 x + b_2), g = s(W_3 h- + U_3 x + b_3), a = s(W_4 h- +
        U_4 x + b_4), h = (1 - g) h- + g (beta u + alpha a z), h_d = h of {delay} steps before. Options alpha, beta = 1.
        A published code lets a see what z sees, and both the x of that step.
        """,
        "__module__": __name__,
        "name": "tau_gru",
        "states": ("h", *earlier(delay)),
        "gates": {"u": "x+h", "z": f"x+{then}", "g": "x+h", "a": "x+h"},
        "options": {"alpha": 1.0, "beta": 1.0},
        "reference": (
            "Erichson, Lim & Mahoney (2025), Gated recurrent neural networks with weighted time-delay feedback, "
            "arXiv:2212.00228"
        ),
        "forward": forward,
    }
    return type("TauGRU", (Cell,), body)


def mist(count: int = 4) -> type[Cell]:
    """Mixed-history RNN of `count` delays, 1, 2, 4 and so on, at most 6."""
    most = 2 ** (count - 1)

    def forward_mix(z, prev):
        scores = [getattr(z, f"a{k}") for k in range(count)]
        largest = scores[0]
        for score in scores[1:]:
            largest = maximum(largest, score)
        weights = [exp(score - largest) for score in scores]
        mixed = sum(weights[k] * getattr(prev, of(2**k)) for k in range(count))
        return {"mixed": sigmoid(z.r) * mixed / sum(weights)}

    def forward_move(z, prev):
        return {"h": tanh(z.n)} | shifted(prev, most)

    body = {
        "__doc__": f"""Mixed history: what recurs is a mean of h of 1, 2, 4 ... {most} steps before (also `mist`).

        a = softmax(W_a x + U_a h- + b_a), a number for each delay 2^k, r = s(W_r x + U_r h- + b_r), h = tanh(W x +
        U (r sum a_k h_k) + b), h_k = h of 2^k steps before. The paper has 8 delays.
        """,
        "__module__": __name__,
        "name": "mist",
        "states": ("h", *earlier(most)),
        "gates": {f"a{k}": "x+h" for k in range(count)} | {"r": "x+h", "n": "x+mixed"},
        "widths": {f"a{k}": 1 for k in range(count)},
        "stages": (Stage("mix", (*(f"a{k}" for k in range(count)), "r"), ("mixed",)), Stage("move", ("n",))),
        "reference": (
            "DiPietro, Rupprecht, Navab & Hager (2017), Analyzing and exploiting NARX recurrent neural networks for "
            "long-term dependencies, arXiv:1702.07805"
        ),
        "forward_mix": forward_mix,
        "forward_move": forward_move,
    }
    return type("MIST", (Cell,), body)


DilatedGRU, TauGRU, MIST = dilated_gru(), tau_gru(), mist()
