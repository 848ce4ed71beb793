"""HyperLSTM: a small LSTM scales the weights of another."""

from __future__ import annotations

from pylstm.cells import Cell, Stage, contract, sigmoid, tanh
from pylstm_zoo.normalised import GATES, lstm_of, named, standard

SMALL = tuple(f"v_{k}" for k in GATES)
EMBEDDED = tuple(f"{source}_{k}" for source in "xhb" for k in GATES)
SCALED = EMBEDDED[:8]
"""The products with x and with h of each gate; ``b``: its bias."""
NORMED = (*GATES, "c", *SMALL, "v_c")


def pieces(pattern, names, of):
    """`pattern` with each of the `names` in it -> `of`."""
    return dict.fromkeys((pattern.format(name) for name in names), of)


WIDTHS = (
    pieces("{}", ("v", "v_c", "v_new", "v_c_new", *SMALL), "hyper_size")
    | pieces("gain_{}", (*SMALL, "v_c"), "hyper_size")
    | pieces("shift_{}", (*SMALL, "v_c"), "hyper_size")
    | pieces("z_{}", EMBEDDED, "embedding_size")
    | pieces("e_{}", EMBEDDED, "embedding_size")
    | pieces("d_b_{}", GATES, "hidden_size * embedding_size")
)


def first_gain(rng, shape):
    """A gain is 0.1 where its embedding is 1, as it begins."""
    return 0.1 / shape[-1]


def normal(values, p, which):
    """n(v) of the four gates."""
    gains, shifts = named(p, f"gain_{which}"), named(p, f"shift_{which}")
    return [gain * standard(value)[0] + shift for gain, value, shift in zip(gains, values, shifts)]


class HyperLSTM(Cell):
    """LSTM whose weights are scaled row by row at every step, by a small LSTM that sees x and h-.

    n(v) = gain (v - mean v) / sqrt(var v + 1e-5) + shift. Each gate of the small LSTM is n(W x + V h- + U v- + b), its
    output v = s(o) tanh(n(c)). For each gate k of the main one y_k = n(d_h (U_k h-) + d_x (W_k x) + d_b), d_h = D_h
    (Z_h v + z_h), d_x = D_x (Z_x v + z_x), d_b = D_b (Z_b v) + b_k; c = s(y_f) c- + s(y_i) tanh(y_g), h = s(y_o)
    tanh(n(c)). Sizes `hyper_size`: of v, `embedding_size`: of Z v. D_b is the vector ``d_b_i`` and so on, by rows.
    """

    name = "hyper_lstm"
    states = ("h", "c", "v", "v_c")
    gates = (
        pieces("{}", SMALL, "x+h+v")
        | pieces("z_{}", EMBEDDED, "v_new")
        | {f"d_{name}": f"e_{name}" for name in SCALED}
        | {name: name[0] for name in SCALED}
    )
    biased = (*SMALL, *pieces("z_{}", SCALED, None))
    params = tuple(pieces("d_b_{}", GATES, 0) | pieces("b_{}", GATES, 0) | pieces("gain_{}", NORMED, 0))
    params += tuple(pieces("shift_{}", NORMED, 0))
    sizes = {"hyper_size": 16, "embedding_size": 4}
    widths = WIDTHS
    stages = (
        Stage("small", SMALL, ("v_new", "v_c_new")),
        Stage("embed", tuple(pieces("z_{}", EMBEDDED, 0)), tuple(pieces("e_{}", EMBEDDED, 0))),
        Stage("main", (*pieces("d_{}", SCALED, 0), *SCALED)),
    )
    initial_values = dict.fromkeys(params, 0.0) | pieces("gain_{}", NORMED, 1.0)
    initial_values |= pieces("bias.z_{}", SCALED, 1.0) | pieces("weight_e_{}", SCALED, first_gain)
    reference = "Ha, Dai & Le (2016), HyperNetworks, arXiv:1609.09106"

    def forward_small(z, prev, p):
        a = normal(named(z, "v_{}"), p, "v_{}")
        c = sigmoid(a[1]) * prev.v_c + sigmoid(a[0]) * tanh(a[2])
        return dict(v_new=sigmoid(a[3]) * tanh(p.gain_v_c * standard(c)[0] + p.shift_v_c), v_c_new=c)

    def forward_embed(z):
        return {f"e_{source}_{k}": getattr(z, f"z_{source}_{k}") for source in "xhb" for k in GATES}

    def forward_main(z, prev, e, p):
        x = [d * product for d, product in zip(named(z, "d_x_{}"), named(z, "x_{}"))]
        h = [d * product for d, product in zip(named(z, "d_h_{}"), named(z, "h_{}"))]
        b = [contract(d, v) + b for d, v, b in zip(named(p, "d_b_{}"), named(e, "e_b_{}"), named(p, "b_{}"))]
        a = normal([sum(terms) for terms in zip(x, h, b)], p, "{}")
        return lstm_of(a, prev, lambda c: p.gain_c * standard(c)[0] + p.shift_c) | dict(v=e.v_new, v_c=e.v_c_new)
