"""Diagonal recurrences: no unit sees the past of another, and the loop has no recurrent product.

The strongly typed cells with a memory of x multiply the previous x in the loop, the LRU multiplies its states for its
output.
"""

from __future__ import annotations

from pylstm.cells import Cell, Stage, cos, exp, expm1, log, relu, sigmoid, sin, softplus, sqrt, tanh, where


class IndRNN(Cell):
    """Independently recurrent network: h = relu(W x + w h- + b), w a vector."""

    states = ("h",)
    gates = {"a": "x"}
    params = ("w",)
    reference = "Li, Li, Cook, Zhu & Gao (2018), Independently recurrent neural network (IndRNN)"

    def forward(z, prev, p):
        return dict(h=relu(z.a + p.w * prev.h))


class SRU(Cell):
    """Simple recurrent unit.

    f = s(W_f x + v_f c- + b_f), r = s(W_r x + v_r c- + b_r), c = f c- + (1 - f) (W x), h = r c + (1 - r) (V x). The
    paper has x in place of V x where I = H (set the rows of `skip` in ``weight_x`` to the identity); its library maps x
    where the widths differ, as here. The first version (2017) had no v_f, v_r.
    """

    states = ("h", "c")
    gates = {"f": "x", "r": "x", "content": "x", "skip": "x"}
    biased = ("f", "r")
    params = ("v_f", "v_r")
    reference = "Lei, Zhang, Wang, Dai & Artzi (2018), Simple recurrent units for highly parallelizable recurrence"

    def forward(z, prev, p):
        f = sigmoid(z.f + p.v_f * prev.c)
        r = sigmoid(z.r + p.v_r * prev.c)
        c = f * prev.c + (1 - f) * z.content
        return dict(h=r * c + (1 - r) * z.skip, c=c)


QRNN = "Bradbury, Merity, Xiong & Socher (2017), Quasi-recurrent neural networks"


class QRNNf(Cell):
    """QRNN with f-pooling: f = s(W_f x), h = f h- + (1 - f) tanh(W_z x).

    The convolution of width k is the product of these matrices with k inputs side by side: pass x in that form.
    """

    name = "qrnn_f"
    states = ("h",)
    gates = {"z": "x", "f": "x"}
    reference = QRNN

    def forward(z, prev):
        f = sigmoid(z.f)
        return dict(h=f * prev.h + (1 - f) * tanh(z.z))


class QRNNfo(Cell):
    """QRNN with fo-pooling: c = f c- + (1 - f) tanh(W_z x), h = s(W_o x) c; x as in `qrnn_f`."""

    name = "qrnn_fo"
    states = ("h", "c")
    gates = {"z": "x", "f": "x", "o": "x"}
    reference = QRNN

    def forward(z, prev):
        f = sigmoid(z.f)
        c = f * prev.c + (1 - f) * tanh(z.z)
        return dict(h=sigmoid(z.o) * c, c=c)


class QRNNifo(Cell):
    """QRNN with ifo-pooling: c = f c- + i tanh(W_z x), h = s(W_o x) c; x as in `qrnn_f`."""

    name = "qrnn_ifo"
    states = ("h", "c")
    gates = {"z": "x", "i": "x", "f": "x", "o": "x"}
    reference = QRNN

    def forward(z, prev):
        c = sigmoid(z.f) * prev.c + sigmoid(z.i) * tanh(z.z)
        return dict(h=sigmoid(z.o) * c, c=c)


class MinGRU(Cell):
    """Minimal GRU without recurrent product: u = s(W_u x + b_u), h = (1 - u) h- + u (W_n x + b_n).

    The form of the paper's section 3.1; its log-space form passes the candidate through a positive function g.
    """

    states = ("h",)
    gates = {"u": "x", "n": "x"}
    reference = "Feng, Tung, Ahmed, Bengio & Hajimirsadeghi (2024), Were RNNs all we needed?"

    def forward(z, prev):
        u = sigmoid(z.u)
        return dict(h=(1 - u) * prev.h + u * z.n)


class MinLSTM(Cell):
    """Minimal LSTM without recurrent product, its gates normalised to sum 1.

    f = s(W_f x + b_f), i = s(W_i x + b_i), h = (f h- + i (W_n x + b_n)) / (f + i). The shares f / (f + i) and
    i / (f + i) are computed as s(log f - log i) and s(log i - log f), which hold where f and i are too small to be
    numbers, and where one share is so near to 1 that 1 less it would keep no digits of the other.
    """

    states = ("h",)
    gates = {"f": "x", "i": "x", "n": "x"}
    reference = MinGRU.reference

    def forward(z, prev):
        log_ratio = softplus(-z.i) - softplus(-z.f)  # log f - log i
        return dict(h=sigmoid(log_ratio) * prev.h + sigmoid(-log_ratio) * z.n)


def positive(x):
    """g of the paper: x + 1/2 from 0 on, the sigmoid below."""
    return where(x < 0, sigmoid(x), x + 0.5)


class MinGRULog(Cell):
    """`mingru` with a positive candidate, as its log-space form needs: h = (1 - u) h- + u g(W_n x + b_n).

    u = s(W_u x + b_u), g(v) = v + 1/2 from 0 on, s(v) below. The paper sums logarithms in parallel; here the same h.
    """

    name = "mingru_log"
    states = ("h",)
    gates = {"u": "x", "n": "x"}
    domain = {"h": (0, None)}
    reference = "Feng, Tung, Ahmed, Bengio & Hajimirsadeghi (2024), Were RNNs all we needed?, appendix B"

    def forward(z, prev):
        return dict(h=sigmoid(-z.u) * prev.h + sigmoid(z.u) * positive(z.n))


class MinLSTMLog(Cell):
    """`minlstm` with a positive candidate, as its log-space form needs: h = (f h- + i g(W_n x + b_n)) / (f + i).

    g as in `mingru_log`, the shares of f and i as in `minlstm`.
    """

    name = "minlstm_log"
    states = ("h",)
    gates = {"f": "x", "i": "x", "n": "x"}
    domain = {"h": (0, None)}
    reference = MinGRULog.reference

    def forward(z, prev):
        log_ratio = softplus(-z.i) - softplus(-z.f)  # log f - log i
        return dict(h=sigmoid(log_ratio) * prev.h + sigmoid(-log_ratio) * positive(z.n))


PARARNN = (
    "Danieli, Rodriguez, Sarabia, Suau & Zappella (2025), ParaRNN: unlocking parallel training of nonlinear RNNs for "
    "large language models, arXiv:2510.21450"
)


class ParaGRU(Cell):
    """GRU with vectors in place of its recurrent matrices, so that Newton's method can solve it in parallel.

    r = s(W_r x + a_r h- + b_r), u = s(W_u x + a_u h- + b_u), n = tanh(W_n x + a_n h- r + b_n), h = (1 - u) h- + u n.
    The paper's W are block-diagonal.
    """

    states = ("h",)
    gates = {"r": "x", "u": "x", "n": "x"}
    params = ("a_r", "a_u", "a_n")
    reference = PARARNN

    def forward(z, prev, p):
        r, u = sigmoid(z.r + p.a_r * prev.h), sigmoid(z.u + p.a_u * prev.h)
        return dict(h=(1 - u) * prev.h + u * tanh(z.n + p.a_n * prev.h * r))


class ParaLSTM(Cell):
    """LSTM with vectors in place of its recurrent matrices, peepholes, and i = 1 - f.

    f = s(W_f x + a_f h- + p_f c- + b_f), c = f c- + (1 - f) tanh(W_g x + a_g h- + b_g),
    o = s(W_o x + a_o h- + p_o c + b_o), h = o tanh(c). The paper's W are block-diagonal.
    """

    states = ("h", "c")
    gates = {"f": "x", "g": "x", "o": "x"}
    params = ("a_f", "a_g", "a_o", "p_f", "p_o")
    reference = PARARNN

    def forward(z, prev, p):
        f = sigmoid(z.f + p.a_f * prev.h + p.p_f * prev.c)
        c = f * prev.c + (1 - f) * tanh(z.g + p.a_g * prev.h)
        return dict(h=sigmoid(z.o + p.a_o * prev.h + p.p_o * c) * tanh(c), c=c)


def slow_lam(rng, shape):
    return -log(rng.uniform(0.9, 0.999, shape) ** -0.125 - 1)


class RGLRU(Cell):
    """Real-gated linear recurrent unit of Griffin and Hawk.

    r = s(W_r x + b_r), i = s(W_i x + b_i), a = s(lam)^(8 r), h = a h- + sqrt(1 - a^2) i (V x). V is the linear map
    before the unit (the paper's unit sees its own input, V the identity). Computed as log a = -8 r softplus(-lam); the
    paper's appendix has softplus(lam), which is the sigmoid of -lam and contradicts its main text. New layers have
    s(lam)^8 uniform in 0.9..0.999, as the paper. The authors' code leaves out sqrt(1 - a^2) at the first step of a
    segment; the paper, followed here, has one formula for all steps, so that a step does not depend on where it stands.
    """

    name = "rg_lru"
    states = ("h",)
    gates = {"r": "x", "i": "x", "v": "x"}
    biased = ("r", "i")
    params = ("lam",)
    initial_values = {"lam": slow_lam}
    reference = (
        "De, Smith, Fernando, Botev et al. (2024), Griffin: mixing gated linear recurrences with local attention"
    )

    def forward(z, prev, p):
        log_a = -8 * sigmoid(z.r) * softplus(-p.lam)
        rest = -expm1(2 * log_a)
        taken = where(rest > 0, sqrt(where(rest > 0, rest, 1)), 0)  # where r is 0, its gradient is 0, not 0 / 0
        return dict(h=exp(log_a) * prev.h + taken * sigmoid(z.i) * z.v)


TYPED = "Balduzzi & Ghifary (2016), Strongly-typed recurrent neural networks"


class TRNN(Cell):
    """Strongly typed RNN: f = s(V x + b), h = f h- + (1 - f) (W x)."""

    states = ("h",)
    gates = {"f": "x", "v": "x"}
    biased = ("f",)
    reference = TYPED

    def forward(z, prev):
        f = sigmoid(z.f)
        return dict(h=f * prev.h + (1 - f) * z.v)


class TGRU(Cell):
    """Strongly typed GRU: its gates see x and the previous x, which is a state.

    v = W_v x + V_v x- + b_v, f = s(...), o = tanh(...) of the same two inputs, h = f h- + v o.
    """

    states = ("h", "x_prev")
    gates = {"v": "x+x_prev", "f": "x+x_prev", "o": "x+x_prev"}
    aux = ("x",)
    widths = {"x_prev": "input_size"}
    reference = TYPED

    def forward(z, prev, u):
        return dict(h=sigmoid(z.f) * prev.h + z.v * tanh(z.o), x_prev=u.x)


class TLSTM(Cell):
    """Strongly typed LSTM (the time-aware LSTM is `time_aware_lstm`).

    v = W_v x + V_v x- + b_v, f = s(...), o = tanh(...) of the same two inputs, c = f c- + (1 - f) v, h = c o.
    """

    states = ("h", "c", "x_prev")
    gates = {"v": "x+x_prev", "f": "x+x_prev", "o": "x+x_prev"}
    aux = ("x",)
    widths = {"x_prev": "input_size"}
    reference = TYPED

    def forward(z, prev, u):
        f = sigmoid(z.f)
        c = f * prev.c + (1 - f) * z.v
        return dict(h=c * tanh(z.o), c=c, x_prev=u.x)


class HGRN(Cell):
    """Hierarchically gated recurrent network, with real states: forget gates have a lower bound g = s(lower).

    f = g + (1 - g) s(W_f x + b_f), c = f c- + (1 - f) silu(W_v x + b_v), h = s(W_o x + b_o) c. The paper ties the
    bounds of all layers by a cumulative softmax, rotates the (complex) state by a phase, here 0, and normalises c.
    """

    states = ("h", "c")
    gates = {"f": "x", "v": "x", "o": "x"}
    params = ("lower",)
    reference = "Qin, Yang & Zhong (2023), Hierarchically gated recurrent neural network for sequence modeling"

    def forward(z, prev, p):
        g = sigmoid(p.lower)
        f = g + (1 - g) * sigmoid(z.f)
        c = f * prev.c + (1 - f) * (z.v * sigmoid(z.v))
        return dict(h=sigmoid(z.o) * c, c=c)


def ring_nu(rng, shape):
    return log(-0.5 * log(rng.uniform(0.9**2, 0.999**2, shape)))


def circle_theta(rng, shape):
    return log(rng.uniform(1e-3, 6.283, shape))


class LRU(Cell):
    """Linear recurrent unit: a diagonal complex recurrence, in two real states.

    s = l s- + g (B x), l = exp(-exp(nu) + i exp(theta)), g = sqrt(1 - |l|^2) (the value at which the paper starts its
    trained gamma), y = Re(C s) + D x. The product with C makes the output; it does not recur. New layers have l uniform
    over the ring from 0.9 to 0.999, as the paper's for long sequences.
    """

    states = ("y", "re", "im")
    gates = {"b_re": "x", "b_im": "x", "out": "x+s_re+s_im"}
    biased = ()
    params = ("nu", "theta")
    initial_values = {"nu": ring_nu, "theta": circle_theta}
    stages = (Stage("recur", gates=("b_re", "b_im"), emits=("s_re", "s_im")), Stage("read", gates=("out",)))
    reference = "Orvieto, Smith, Gu, Fernando et al. (2023), Resurrecting recurrent neural networks for long sequences"

    def forward_recur(z, prev, p):
        decay, phase = exp(p.nu), exp(p.theta)
        l_re, l_im = exp(-decay) * cos(phase), exp(-decay) * sin(phase)
        g = sqrt(-expm1(-2 * decay))
        s_re = l_re * prev.re - l_im * prev.im + g * z.b_re
        return dict(s_re=s_re, s_im=l_re * prev.im + l_im * prev.re + g * z.b_im)

    def forward_read(z, e):
        return dict(y=z.out, re=e.s_re, im=e.s_im)
