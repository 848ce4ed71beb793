"""Cells that normalise or order their units: means, norms and sums across all units of a row."""

from __future__ import annotations

from pylstm.cells import Cell, cumsum, repeat, row_mean, sigmoid, softmax, sqrt, tanh

EPSILON = 1e-5
GATES = "ifgo"


def standard(*parts):
    """The parts of one vector, less its mean, divided by its standard deviation."""
    mean = sum(row_mean(part) for part in parts) / len(parts)
    centred = [part - mean for part in parts]
    deviation = sqrt(sum(row_mean(part * part) for part in centred) / len(parts) + EPSILON)
    return [part / deviation for part in centred]


def by_root(*parts):
    """The parts of one vector, divided by the root of its mean square."""
    size = sqrt(sum(row_mean(part * part) for part in parts) / len(parts) + EPSILON)
    return [part / size for part in parts]


def named(space, pattern, names=GATES):
    """What is called `pattern` with each of the `names` in it."""
    return [getattr(space, pattern.format(name)) for name in names]


def lstm_of(a, prev, last):
    """h and c from the normalised i, f, g, o, and what becomes of c before its tanh."""
    i, f, g, o = a
    c = sigmoid(f) * prev.c + sigmoid(i) * tanh(g)
    return dict(h=sigmoid(o) * tanh(last(c)), c=c)


class LNLSTM(Cell):
    """LSTM with layer normalisation, of the products with x and with h each as one vector of 4 H, and of c.

    (i, f, g, o) = a_h n(U h-) + a_x n(W x) + b, c = s(f) c- + s(i) tanh(g), h = s(o) tanh(a_c n(c) + b_c), n(v) =
    (v - mean v) / sqrt(var v + 1e-5). The shifts of both norms are in b. Many libraries normalise gate by gate.
    """

    name = "ln_lstm"
    states = ("h", "c")
    gates = {f"{gate}_{source}": source for source in "xh" for gate in GATES}
    biased = ()
    params = (*(f"a_{gate}_{source}" for source in "xh" for gate in GATES), *(f"b_{k}" for k in "ifgoc"), "a_c")
    initial_values = {name: 1.0 if name[0] == "a" else 0.0 for name in params}
    reference = "Ba, Kiros & Hinton (2016), Layer normalization, arXiv:1607.06450"

    def forward(z, prev, p):
        x, h = standard(*named(z, "{}_x")), standard(*named(z, "{}_h"))
        a_x, a_h, b = named(p, "a_{}_x"), named(p, "a_{}_h"), named(p, "b_{}")
        a = [a_x[k] * x[k] + a_h[k] * h[k] + b[k] for k in range(4)]
        return lstm_of(a, prev, lambda c: p.a_c * standard(c)[0] + p.b_c)


class RMSNormLSTM(Cell):
    """LSTM with RMS normalisation: `ln_lstm` without the means, n(v) = v / sqrt(mean v^2 + 1e-5).

    (i, f, g, o) = a_h n(U h-) + a_x n(W x) + b, c = s(f) c- + s(i) tanh(g), h = s(o) tanh(a_c n(c)). The paper's
    recurrent experiments normalise the products of a GRU in this way.
    """

    name = "rmsnorm_lstm"
    states = ("h", "c")
    gates = LNLSTM.gates
    biased = ()
    params = tuple(name for name in LNLSTM.params if name != "b_c")
    initial_values = {name: 1.0 if name[0] == "a" else 0.0 for name in params}
    reference = "Zhang & Sennrich (2019), Root mean square layer normalization, arXiv:1910.07467"

    def forward(z, prev, p):
        x, h = by_root(*named(z, "{}_x")), by_root(*named(z, "{}_h"))
        a_x, a_h, b = named(p, "a_{}_x"), named(p, "a_{}_h"), named(p, "b_{}")
        a = [a_x[k] * x[k] + a_h[k] * h[k] + b[k] for k in range(4)]
        return lstm_of(a, prev, lambda c: p.a_c * by_root(c)[0])


class LNGRU(Cell):
    """GRU with layer normalisation, reset after the product.

    (u, r) = a_h n((U_u h-, U_r h-)) + a_x n((W_u x, W_r x)) + b, n = tanh(a_n n(W_n x) + s(r) (a_m n(U_n h-) + b_m) +
    b_n), h = (1 - s(u)) h- + s(u) n; n(v) as in `ln_lstm`.
    """

    name = "ln_gru"
    states = ("h",)
    gates = {"u_x": "x", "r_x": "x", "n": "x", "u_h": "h", "r_h": "h", "m": "h"}
    biased = ()
    params = ("a_u_x", "a_r_x", "a_n", "a_u_h", "a_r_h", "a_m", "b_u", "b_r", "b_n", "b_m")
    initial_values = {name: 1.0 if name[0] == "a" else 0.0 for name in params}
    reference = LNLSTM.reference

    def forward(z, prev, p):
        (u_x, r_x), (u_h, r_h) = standard(z.u_x, z.r_x), standard(z.u_h, z.r_h)
        u = sigmoid(p.a_u_x * u_x + p.a_u_h * u_h + p.b_u)
        r = sigmoid(p.a_r_x * r_x + p.a_r_h * r_h + p.b_r)
        (n,), (m,) = standard(z.n), standard(z.m)
        return dict(h=(1 - u) * prev.h + u * tanh(p.a_n * n + p.b_n + r * (p.a_m * m + p.b_m)))


class ONLSTM(Cell):
    """Ordered neurons: master gates, sums of a softmax over the units, erase and write units in their order.

    F = cumsum softmax(z_F), I = 1 - cumsum softmax(z_I), w = F I, f' = f w + (F - w), i' = i w + (I - w), c = f' c- +
    i' tanh(z_g), h = o tanh(c). Size `chunk_size`: units that share one of the H master gates; h has H of them.
    """

    name = "on_lstm"
    states = ("h", "c")
    gates = {name: "x+h" for name in ("master_f", "master_i", "i", "f", "g", "o")}
    sizes = {"chunk_size": 1}
    widths = dict.fromkeys(("i", "f", "g", "o", "h", "c"), "hidden_size * chunk_size")
    reference = (
        "Shen, Tan, Sordoni & Courville (2019), Ordered neurons: integrating tree structures into recurrent neural "
        "networks, arXiv:1810.09536"
    )

    def forward(z, prev):
        wide = "hidden_size * chunk_size"
        F, I = repeat(cumsum(softmax(z.master_f)), wide), repeat(1 - cumsum(softmax(z.master_i)), wide)
        w = F * I
        c = (sigmoid(z.f) * w + F - w) * prev.c + (sigmoid(z.i) * w + I - w) * tanh(z.g)
        return dict(h=sigmoid(z.o) * tanh(c), c=c)
