"""One step of every cell of `normalised`, `lagged`, `liquid`, `hydrology`, `spiking` (see `papers_gated`).

Checked against mlech26l/ncps (``torch/ltc_cell.py``), MoniFarsang/LrcSSM (``experiments/lrc_ssm/LRC_diagmat.py``),
neuralhydrology (``modelzoo/mclstm.py``) and supercell's ``HyperLSTMCell``.
"""

from numpy import abs, concatenate, cumsum, exp, log, maximum, mean, sign, sqrt, tanh

GATES = "ifgo"


def sig(v):
    return 1 / (1 + exp(-v))


def softplus(v):
    return log(1 + exp(v))


def softmax(v):
    return exp(v) / exp(v).sum()


def norm(v):
    return (v - mean(v)) / sqrt(mean((v - mean(v)) ** 2) + 1e-5)


def rms(v):
    return v / sqrt(mean(v * v) + 1e-5)


def step_of(v):
    return (1 + sign(v)) * abs(sign(v)) / 2


def ea_lstm(L, p, x, s, u):
    i, f, o = sig(L("i", given=u.static)), sig(L("f", x=x, h=s.h)), sig(L("o", x=x, h=s.h))
    c = f * s.c + i * tanh(L("g", x=x, h=s.h))
    return dict(h=o * tanh(c), c=c)


def mc_lstm(L, p, x, s, u):
    given = dict(x=x, share=s.c / (s.c.sum() + 1e-5))
    o = sig(L("o", **given))
    moves = [softmax(row) for row in L("r", **given).reshape(len(o), -1)]
    m = sum(mass * row for mass, row in zip(s.c, moves)) + softmax(L("i", **given)) * u.mass
    return dict(h=o * m, c=m - o * m)


def lstm_of_norms(L, p, x, s, normal, last):
    wx, uh = (normal(concatenate([L(f"{k}_{n}", **{n: value}) for k in GATES])) for n, value in (("x", x), ("h", s.h)))
    gain = {n: concatenate([getattr(p, f"a_{k}_{n}") for k in GATES]) for n in "xh"}
    bias = concatenate([p.b_i, p.b_f, p.b_g, p.b_o])
    i, f, g, o = (gain["h"] * uh + gain["x"] * wx + bias).reshape(4, -1)
    c = sig(f) * s.c + sig(i) * tanh(g)
    return dict(h=sig(o) * tanh(last(c)), c=c)


def ln_lstm(L, p, x, s, u):
    return lstm_of_norms(L, p, x, s, norm, lambda c: p.a_c * norm(c) + p.b_c)


def rmsnorm_lstm(L, p, x, s, u):
    return lstm_of_norms(L, p, x, s, rms, lambda c: p.a_c * rms(c))


def ln_gru(L, p, x, s, u):
    wx = norm(concatenate([L("u_x", x=x), L("r_x", x=x)])).reshape(2, -1)
    uh = norm(concatenate([L("u_h", h=s.h), L("r_h", h=s.h)])).reshape(2, -1)
    z = sig(p.a_u_x * wx[0] + p.a_u_h * uh[0] + p.b_u)
    r = sig(p.a_r_x * wx[1] + p.a_r_h * uh[1] + p.b_r)
    n = tanh(p.a_n * norm(L("n", x=x)) + p.b_n + r * (p.a_m * norm(L("m", h=s.h)) + p.b_m))
    return dict(h=(1 - z) * s.h + z * n)


def on_lstm(L, p, x, s, u):
    master_f, master_i, i, f, o = (L(k, x=x, h=s.h) for k in ("master_f", "master_i", "i", "f", "o"))
    chunk = len(i) // len(master_f)
    forget, put = cumsum(softmax(master_f)).repeat(chunk), (1 - cumsum(softmax(master_i))).repeat(chunk)
    overlap = forget * put
    c = (sig(f) * overlap + (forget - overlap)) * s.c + (sig(i) * overlap + (put - overlap)) * tanh(L("g", x=x, h=s.h))
    return dict(h=sig(o) * tanh(c), c=c)


def hyper_lstm(L, p, x, s, u):
    def gated(values, which, c):
        gain, shift = ([getattr(p, f"{kind}_{which}{k}") for k in "ifgoc"] for kind in ("gain", "shift"))
        i, f, g, o = (gain[j] * norm(values[j]) + shift[j] for j in range(4))
        c = sig(f) * c + sig(i) * tanh(g)
        return sig(o) * tanh(gain[4] * norm(c) + shift[4]), c

    v, v_c = gated([L(f"v_{k}", x=x, h=s.h, v=s.v) for k in GATES], "v_", s.v_c)
    values = []
    for k in GATES:
        e_x, e_h, e_b = (L(f"z_{source}_{k}", v_new=v) for source in "xhb")
        d_x, d_h = L(f"d_x_{k}", **{f"e_x_{k}": e_x}), L(f"d_h_{k}", **{f"e_h_{k}": e_h})
        d_b = getattr(p, f"d_b_{k}").reshape(len(s.h), -1) @ e_b + getattr(p, f"b_{k}")
        values.append(d_x * L(f"x_{k}", x=x) + d_h * L(f"h_{k}", h=s.h) + d_b)
    h, c = gated(values, "", s.c)
    return dict(h=h, c=c, v=v, v_c=v_c)


def ltc(L, p, x, s, u):
    def synapses(v, w, mu, sigma, e):
        w, mu, sigma, e = (each.reshape(len(v), -1) for each in (w, mu, sigma, e))
        active = softplus(w) * sig(sigma * (v[:, None] - mu))
        return (active * e).sum(0), active.sum(0)

    sensed, closed = synapses(x, p.w_in, p.mu_in, p.sigma_in, p.e_in)
    leak, c, v = softplus(p.g_leak), softplus(p.capacity) / (u.dt / 6), s.v
    for _ in range(6):
        top, bottom = synapses(v, p.w, p.mu, p.sigma, p.e)
        v = (c * v + leak * p.e_leak + top + sensed) / (c + leak + bottom + closed)
    return dict(v=v)


def lrcssm(L, p, x, s, u):
    sensed = sig(p.sigma_in * (x - p.mu_in))
    synapse = sig(p.sigma * (s.h - p.mu))
    A = -sig(p.g + L("a", q=sensed) + p.w_a * synapse)
    B = p.e_leak * tanh(p.g + L("b", q=sensed) + p.w_b * synapse)
    return dict(h=s.h + sig(p.k * s.h + p.l) * (s.h * A + B))


def lif(L, p, x, s, u):
    v = 0.95 * s.v + L("i", x=x, s=s.s) - s.s * 1.0
    return dict(s=step_of(v - 1.0), v=v)


def alif(L, p, x, s, u):
    v, a = 0.95 * s.v + L("i", x=x, s=s.s) - s.s * 1.0, 0.99 * s.a + s.s
    return dict(s=step_of(v - (1.0 + 0.07 * a)), v=v, a=a)


def snu(L, p, x, s, u):
    m = maximum(L("i", x=x, y=s.y) + 0.8 * s.m * (1 - s.y), 0)
    return dict(y=step_of(m + p.b), m=m)


def history(s, h, most):
    """The states of the next step: each what the one before it was."""
    past = [s.h] + [getattr(s, f"h_lag{k}") for k in range(2, most)]
    return dict(h=h) | {f"h_lag{k}": past[k - 2] for k in range(2, most + 1)}


def dilated_gru(L, p, x, s, u):
    g = s.h_lag4
    r, z = sig(L("r", x=x, h_lag4=g)), sig(L("u", x=x, h_lag4=g))
    return history(s, (1 - z) * g + z * tanh(L("n", x=x) + r * L("m", h_lag4=g)), 4)


def tau_gru(L, p, x, s, u):
    new, gate, weight = tanh(L("u", x=x, h=s.h)), sig(L("k", x=x, h=s.h)), sig(L("a", x=x, h=s.h))
    return history(s, (1 - gate) * s.h + gate * (new + weight * tanh(L("z", x=x, h_lag4=s.h_lag4))), 4)


def mist(L, p, x, s, u):
    """As ``MISTLayer`` of rdipietro/mist-rnns."""
    a = softmax(concatenate([L(f"a{k}", x=x, h=s.h) for k in range(4)]))
    mixed = a[0] * s.h + a[1] * s.h_lag2 + a[2] * s.h_lag4 + a[3] * s.h_lag8
    return history(s, tanh(L("n", x=x, mixed=sig(L("r", x=x, h=s.h)) * mixed)), 8)


NO_BIAS = dict(
    ln_lstm=" ".join(f"{k}_{n}" for n in "xh" for k in GATES),
    rmsnorm_lstm=" ".join(f"{k}_{n}" for n in "xh" for k in GATES),
    ln_gru="u_x r_x n u_h r_h m",
    hyper_lstm=" ".join([f"{n}_{k}" for n in ("z_b", "d_x", "d_h", "x", "h") for k in GATES]),
    lrcssm="a b",
    lif="i",
    alif="i",
    snu="i",
)
