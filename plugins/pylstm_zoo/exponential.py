"""Cells with exponential gates and a running maximum that keeps them finite."""

from __future__ import annotations

from pylstm.cells import Cell, exp, maximum, sigmoid, softplus, tanh


class SLSTM(Cell):
    """Scalar LSTM of the xLSTM: exponential input gate, sigmoid forget gate, normaliser n, stabiliser m.

    m = max(log f + m-, z_i), i = exp(z_i - m), f' = exp(log f + m- - m), c = f' c- + i tanh(z_g), n = f' n- + i,
    h = s(z_o) c / n, log f = -softplus(-z_f). The heads of the paper are a block-diagonal U, outside the step; its
    other forget gate is log f = z_f.
    """

    states = ("h", "c", "n", "m")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h"}
    reference = "Beck, Pöppel, Spanring, Auer et al. (2024), xLSTM: extended long short-term memory"

    def forward(z, prev):
        log_f = -softplus(-z.f)
        m = maximum(log_f + prev.m, z.i)
        i, f = exp(z.i - m), exp(log_f + prev.m - m)
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
        top = maximum(prev.m, p.bonus + z.k)
        old, now = exp(prev.m - top), exp(p.bonus + z.k - top)
        y = sigmoid(z.r) * (old * prev.a + now * z.v) / (old * prev.b + now)
        faded = prev.m - exp(p.decay)
        m = maximum(faded, z.k)
        old, now = exp(faded - m), exp(z.k - m)
        return dict(y=y, a=old * prev.a + now * z.v, b=old * prev.b + now, m=m)
