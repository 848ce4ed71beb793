"""Cells with exponential gates and a running maximum that keeps them finite.

Sums c and n are held divided by exp(m), m the running maximum of the exponents. A sequence begins with n = 0, a sum of
nothing, for which the m of its state means nothing: the maximum is then that of the first exponent. Otherwise n is at
least 1, or what it was: one of the two exponentials of a step is 1, the other at most that.
"""

from __future__ import annotations

from pylstm.cells import Cell, absolute, exp, maximum, minimum, sigmoid, softplus, tanh, where

NOTHING = 1e-30
MOST = 60.0
"""Largest exponent of what is kept, reached only by a sum of nothing: 0 exp(MOST) is 0 where exp could be infinite."""


def merged(n, old, new):
    """The maximum m of the exponents `old`, of a sum with the normaliser `n`, and `new`; exp(old - m), exp(new - m)."""
    m = where(absolute(n) < NOTHING, new, maximum(old, new))
    return m, exp(minimum(old - m, MOST)), exp(new - m)


class SLSTM(Cell):
    """Scalar LSTM of the xLSTM: exponential input gate, sigmoid forget gate, normaliser n, stabiliser m.

    m = max(log f + m-, z_i), z_i alone while n- is 0, i = exp(z_i - m), f' = exp(log f + m- - m), c = f' c- +
    i tanh(z_g), n = f' n- + i, h = s(z_o) c / n, log f = -softplus(-z_f). The paper's other forget gate is log f = z_f.
    Sizes `heads` and `head_size`: U has a block for each of the heads, which do not see each other.
    """

    states = ("h", "c", "n", "m")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h"}
    sizes = {"heads": 1, "head_size": "hidden_size"}
    widths = dict.fromkeys((*gates, *states), "heads * head_size")
    structure = {"h": "blocks(heads)"}
    reference = "Beck, Pöppel, Spanring, Auer et al. (2024), xLSTM: extended long short-term memory"

    def forward(z, prev):
        m, f, i = merged(prev.n, prev.m - softplus(-z.f), z.i)
        c = f * prev.c + i * tanh(z.g)
        n = f * prev.n + i
        return dict(h=sigmoid(z.o) * c / n, c=c, n=n, m=m)


class RWKV4(Cell):
    """Time mixing of RWKV-4: a decaying weighted mean of values, no recurrent product.

    y = s(r) (a- + exp(bonus + k) v) / (b- + exp(bonus + k)), a = exp(-w) a- + exp(k) v, b = exp(-w) b- + exp(k), w =
    exp(decay). a and b are held divided by exp(m), m the running maximum of the exponents. r, k, v are linear in x; the
    token shift of the paper is a change of x, and its output matrix a head.
    """

    states = ("y", "a", "b", "m")
    gates = {"r": "x", "k": "x", "v": "x"}
    biased = ()
    params = ("decay", "bonus")
    reference = "Peng, Alcaide, Anthony, Albalak et al. (2023), RWKV: reinventing RNNs for the transformer era"

    def forward(z, prev, p):
        _, old, now = merged(prev.b, prev.m, p.bonus + z.k)
        y = sigmoid(z.r) * (old * prev.a + now * z.v) / (old * prev.b + now)
        m, old, now = merged(prev.b, prev.m - exp(p.decay), z.k)
        return dict(y=y, a=old * prev.a + now * z.v, b=old * prev.b + now, m=m)
