"""Cells with a matrix as memory: linear attention, decays and gates of it, and delta rules.

S is a matrix of keys by values for each of `heads` heads: written by products k v', read by q S. Where the block of a
paper goes on after the memory (a norm, a gate, an output matrix) or begins with a convolution or a token shift, that is
outside the cell unless its docstring says otherwise. Sizes `heads`, `key` and `value`, of one head; h has heads * value
units.
"""

from __future__ import annotations

import numpy as np

from pylstm.cells import (
    Cell,
    Stage,
    absolute,
    contract,
    cos,
    exp,
    maximum,
    outer,
    repeat,
    row_mean,
    row_sum,
    sigmoid,
    sin,
    softplus,
    sqrt,
    tanh,
)

KEY, VALUE, MATRIX = "heads * key", "heads * value", "heads * key * value"
SIZES = {"heads": 1, "key": "hidden_size", "value": "hidden_size"}
WIDTHS = {"q": KEY, "k": KEY, "v": VALUE, "h": VALUE, "S": MATRIX}
E = 2.718281828459045
ZERO = 1e-6
"""Added to squares of lengths, as in the codes of the delta rules."""


def silu(x):
    return x * sigmoid(x)


def unit(x):
    """x / |x| in each head."""
    return x / repeat(sqrt(row_sum(x * x, "heads") + ZERO), KEY)


class MLSTM(Cell):
    """Matrix LSTM of the xLSTM: exponential input gate, a matrix S in place of c, normaliser n, stabiliser m.

    m = max(log f + m-, z_i, 0), i = exp(z_i - m), f' = exp(log f + m- - m), k scaled by 1 / sqrt(key), S = f' S- +
    i k v', n = f' n- + i k, h = s(z_o) q S / max(|n q|, exp(-m)), log f = -softplus(-z_f). m only scales S and n; with
    0 in its maximum, which the paper does not have, exp(-m) stays finite.
    """

    name = "mlstm"
    states = ("h", "S", "n", "m")
    sizes = SIZES
    widths = WIDTHS | {"n": KEY, "o": VALUE, "i": "heads", "f": "heads", "m": "heads"}
    gates = {"q": "x", "k": "x", "v": "x", "i": "x", "f": "x", "o": "x"}
    reference = "Beck, Pöppel, Spanring, Auer et al. (2024), xLSTM: extended long short-term memory, arXiv:2405.04517"

    def forward(z, prev, size):
        old = prev.m - softplus(-z.f)
        m = maximum(maximum(old, z.i), 0)
        f, k = exp(old - m), repeat(exp(z.i - m), KEY) * z.k * size.key**-0.5
        S = repeat(f, MATRIX) * prev.S + outer(k, z.v, "heads")
        n = repeat(f, KEY) * prev.n + k
        least = maximum(absolute(row_sum(n * z.q, "heads")), exp(-m))
        return dict(h=sigmoid(z.o) * contract(z.q, S, "heads") / repeat(least, VALUE), S=S, n=n, m=m)


def decays(size):
    return 1 - 2.0 ** (-5 - np.arange(size.heads))


def angles(size):
    return np.tile(10000.0 ** -np.linspace(0, 1, size.pairs), size.heads)


class RetNet(Cell):
    """Retention: a fixed decay for each head, and keys that turn with time.

    S = g exp(i theta) S- + k* v', h = Re(q S) / sqrt(key), g = 1 - 2^(-5 - head), theta = 10000^(-j / (pairs - 1)) for
    pair j. q and k are complex, in two real gates, so that a key has 2 `pairs` numbers: what the paper writes as a
    rotation of both by their position.
    """

    name = "retnet"
    states = ("h", "S_re", "S_im")
    sizes = {"heads": 1, "pairs": "hidden_size", "value": "hidden_size"}
    widths = dict.fromkeys(("q_re", "q_im", "k_re", "k_im", "angle"), "heads * pairs")
    widths |= dict.fromkeys(("S_re", "S_im"), "heads * pairs * value") | {"v": VALUE, "h": VALUE, "decay": "heads"}
    gates = {"q_re": "x", "q_im": "x", "k_re": "x", "k_im": "x", "v": "x"}
    biased = ()
    constants = {"decay": decays, "angle": angles}
    reference = (
        "Sun, Dong, Huang, Ma, Xia, Xue, Wang & Wei (2023), Retentive network: a successor to transformer for large "
        "language models, arXiv:2307.08621"
    )

    def forward(z, prev, p, size):
        matrix = "heads * pairs * value"
        decay = repeat(p.decay, matrix)
        turn_re, turn_im = decay * repeat(cos(p.angle), matrix), decay * repeat(sin(p.angle), matrix)
        S_re = turn_re * prev.S_re - turn_im * prev.S_im + outer(z.k_re, z.v, "heads")
        S_im = turn_re * prev.S_im + turn_im * prev.S_re - outer(z.k_im, z.v, "heads")
        read = contract(z.q_re, S_re, "heads") - contract(z.q_im, S_im, "heads")
        return dict(h=read * (2 * size.pairs) ** -0.5, S_re=S_re, S_im=S_im)


class GLA(Cell):
    """Gated linear attention: a decay for each key, from x.

    S = a S- + k v', a = s(z_a)^(1 / tau) for each row of S, h = q S / sqrt(key). Option tau = 16. The paper makes z_a
    by two matrices with 16 numbers between them.
    """

    name = "gla"
    states = ("h", "S")
    sizes = SIZES
    widths = WIDTHS | {"a": KEY}
    gates = {"q": "x", "k": "x", "v": "x", "a": "x"}
    biased = ("a",)
    options = {"tau": 16.0}
    domain = {"tau": (1, 1000)}
    reference = (
        "Yang, Wang, Shen, Panda & Kim (2024), Gated linear attention transformers with hardware-efficient training, "
        "arXiv:2312.06635"
    )

    def forward(z, prev, o, size):
        S = repeat(exp(-softplus(-z.a) / o.tau), MATRIX) * prev.S + outer(z.k, z.v, "heads")
        return dict(h=contract(z.q * size.key**-0.5, S, "heads"), S=S)


class HGRN2(Cell):
    """Second hierarchically gated recurrent network: the forget gate of each key is also what is not written.

    f = g + (1 - g) s(z_f), S = f S- + (1 - f) v', h = q S, q = silu(z_q), g = s(lower). The paper ties the bounds g of
    all layers by a cumulative softmax.
    """

    name = "hgrn2"
    states = ("h", "S")
    sizes = SIZES
    widths = {"q": KEY, "f": KEY, "lower": KEY, "v": VALUE, "h": VALUE, "S": MATRIX}
    gates = {"q": "x", "f": "x", "v": "x"}
    params = ("lower",)
    reference = (
        "Qin, Yang, Sun, Shen, Li, Sun & Zhong (2024), HGRN2: gated linear RNNs with state expansion, arXiv:2404.07904"
    )

    def forward(z, prev, p):
        k = sigmoid(-p.lower) * sigmoid(-z.f)
        S = repeat(1 - k, MATRIX) * prev.S + outer(k, z.v, "heads")
        return dict(h=contract(silu(z.q), S, "heads"), S=S)


class DeltaNet(Cell):
    """Delta rule: what the memory has for a key is replaced by a part b of the new value.

    S = S- + b k (v - k S-)', h = q S / sqrt(key), b = s(z_b), q and k of length 1 after a silu. The first delta rule
    had other features, of sum 1. 1 / sqrt(key) is that of the code of the second paper; so is the 1e-6 that is added to
    the squares of a length.
    """

    name = "deltanet"
    states = ("h", "S")
    sizes = SIZES
    widths = WIDTHS | {"b": "heads"}
    gates = {"q": "x", "k": "x", "v": "x", "b": "x"}
    reference = (
        "Yang, Wang, Zhang, Shen & Kim (2024), Parallelizing linear transformers with the delta rule over sequence "
        "length, arXiv:2406.06484; Schlag, Irie & Schmidhuber (2021), Linear transformers are secretly fast weight "
        "programmers, arXiv:2102.11174"
    )

    def forward(z, prev, size):
        k = unit(silu(z.k))
        new = repeat(sigmoid(z.b), VALUE) * (z.v - contract(k, prev.S, "heads"))
        S = prev.S + outer(k, new, "heads")
        return dict(h=contract(unit(silu(z.q)) * size.key**-0.5, S, "heads"), S=S)


class GatedDeltaNet(Cell):
    """Gated delta rule: `deltanet` with a decay a of the whole memory, from x.

    S = a S- + b k (v - k a S-)', h = q S / sqrt(key), a = exp(-exp(rate) softplus(z_a)), b = s(z_b), q and k of length
    1 after a silu, with 1e-6 added to the squares of a length.
    """

    name = "gated_deltanet"
    states = ("h", "S")
    sizes = SIZES
    widths = WIDTHS | {"a": "heads", "b": "heads", "rate": "heads"}
    gates = {"q": "x", "k": "x", "v": "x", "a": "x", "b": "x"}
    params = ("rate",)
    reference = (
        "Yang, Kautz & Hatamizadeh (2025), Gated delta networks: improving Mamba2 with delta rule, arXiv:2412.06464"
    )

    def forward(z, prev, p, size):
        k, decay = unit(silu(z.k)), exp(-exp(p.rate) * softplus(z.a))
        S = repeat(decay, MATRIX) * prev.S
        new = repeat(sigmoid(z.b), VALUE) * (z.v - contract(k, S, "heads"))
        S = S + outer(k, new, "heads")
        return dict(h=contract(unit(silu(z.q)) * size.key**-0.5, S, "heads"), S=S)


class RWKV7(Cell):
    """Time mixing of RWKV-7: a generalised delta rule, with a decay w and a rate a for each key.

    S = w S- - (a u) (u S-)' + k' v', w = exp(-exp(-1/2) s(D tanh(d))), a = s(z_a), u = key_scale k of length 1,
    k' = k (1 + (a - 1) rate_scale), h = (G s(e)) (norm(r S) + (sum r bonus k') v). The norm is that of each head, with
    `gain` and `shift`. Size `rank`: of d and e. The token shift of the paper is a change of x, its output matrix a
    head; it makes z_a, too, by two matrices with few numbers between them, and mixes v with that of the first layer.
    """

    name = "rwkv7"
    states = ("h", "S")
    sizes = SIZES | {"rank": 8}
    widths = dict.fromkeys(("r", "k", "w", "a", "key_scale", "rate_scale", "bonus"), KEY) | {"S": MATRIX}
    widths |= dict.fromkeys(("v", "g", "h", "gain", "shift"), VALUE)
    widths |= dict.fromkeys(("d", "e", "d_new", "e_new"), "rank")
    gates = {"d": "x", "e": "x", "r": "x", "k": "x", "v": "x", "w": "d_new", "a": "x", "g": "e_new"}
    biased = ("w", "a")
    params = ("key_scale", "rate_scale", "bonus", "gain", "shift")
    initial_values = {"key_scale": 0.85, "rate_scale": 1.0, "gain": 1.0, "shift": 0.0}
    stages = (
        Stage("small", gates=("d", "e"), emits=("d_new", "e_new")),
        Stage("mix", gates=("r", "k", "v", "w", "a", "g")),
    )
    reference = (
        "Peng, Zhang, Goldstein, Alcaide et al. (2025), RWKV-7 Goose with expressive dynamic state evolution, "
        "arXiv:2503.14456"
    )

    def forward_small(z):
        return dict(d_new=tanh(z.d), e_new=sigmoid(z.e))

    def forward_mix(z, prev, p, size):
        w, a = exp(-(E**-0.5) * sigmoid(z.w)), sigmoid(z.a)
        u, k = unit(p.key_scale * z.k), z.k * (1 + (a - 1) * p.rate_scale)
        S = repeat(w, MATRIX) * prev.S - outer(a * u, contract(u, prev.S, "heads"), "heads") + outer(k, z.v, "heads")
        read = contract(z.r, S, "heads")
        read = read - repeat(row_mean(read, "heads"), VALUE)
        deviation = sqrt(row_mean(read * read, "heads") + 1e-5 * size.value)
        extra = repeat(row_sum(z.r * p.bonus * k, "heads"), VALUE) * z.v
        return dict(h=z.g * (p.gain * read / repeat(deviation, VALUE) + p.shift + extra), S=S)
