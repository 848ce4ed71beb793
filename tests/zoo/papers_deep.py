"""One step of every cell of `deep`, `exponential` and `timed`, from the papers, for one row (see `papers_gated`)."""

from numpy import e, exp, log, maximum, tanh


def sig(v):
    return 1 / (1 + exp(-v))


def lstm(L, c, p=None, **sources):
    """o tanh(c) and c of an LSTM; p: with peepholes."""
    peep = {k: 0 if p is None else getattr(p, f"p_{k}") for k in "ifo"}
    i, f = sig(L("i", **sources) + peep["i"] * c), sig(L("f", **sources) + peep["f"] * c)
    c = f * c + i * tanh(L("g", **sources))
    return sig(L("o", **sources) + peep["o"] * c), c


def lstm_1997(L, p, x, s, u):
    c = s.c + sig(L("i", x=x, h=s.h)) * (4 * sig(L("g", x=x, h=s.h)) - 2)
    return dict(h=sig(L("o", x=x, h=s.h)) * (2 * sig(c) - 1), c=c)


def lstmp(L, p, x, s, u):
    o, c = lstm(L, s.c, x=x, h=s.h)
    return dict(h=L("p", m=o * tanh(c)), c=c)


def lstmp_peephole(L, p, x, s, u):
    o, c = lstm(L, s.c, p, x=x, h=s.h)
    return dict(h=L("p", m=o * tanh(c)), c=c)


def reslstm(L, p, x, s, u):
    o, c = lstm(L, s.c, p, x=x, h=s.h)
    return dict(h=o * L("m", r=tanh(c), x=x), c=c)


def wmc_lstm(L, p, x, s, u):
    i = sig(L("i", x=x, h=s.h) + tanh(L("m_i", c=s.c)))
    f = sig(L("f", x=x, h=s.h) + tanh(L("m_f", c=s.c)))
    c = f * s.c + i * tanh(L("g", x=x, h=s.h))
    o = sig(L("o", x=x, h=s.h) + tanh(L("m_o", c_new=c)))
    return dict(h=o * tanh(c), c=c)


def nested_lstm(L, p, x, s, u):
    i, f, o = (sig(L(k, x=x, h=s.h)) for k in "ifo")
    inner_h, inner_x = f * s.c, i * tanh(L("g", x=x, h=s.h))
    i2, f2, o2 = (sig(L(k, a=inner_x, b=inner_h)) for k in ("i2", "f2", "o2"))
    inner_c = f2 * s.n + i2 * tanh(L("g2", a=inner_x, b=inner_h))
    c = o2 * tanh(inner_c)
    return dict(h=o * tanh(c), c=c, n=inner_c)


def multiplicative_lstm(L, p, x, s, u):
    o, c = lstm(L, s.c, x=x, m=L("m_x", x=x) * L("m_h", h=s.h))
    return dict(h=o * tanh(c), c=c)


def multiplicative_rnn(L, p, x, s, u):
    return dict(h=tanh(L("a", x=x, m=L("m_x", x=x) * L("m_h", h=s.h))))


def integration(L, p, x, h, prefix, suffix=""):
    a, b = L(f"{prefix}_x", x=x), L(f"{prefix}_h", h=h)
    alpha, beta_h, beta_x, bias = (getattr(p, f"{k}{suffix}") for k in ("alpha", "beta_h", "beta_x", "b"))
    return alpha * a * b + beta_h * b + beta_x * a + bias


def mi_rnn(L, p, x, s, u):
    return dict(h=tanh(integration(L, p, x, s.h, "a")))


def mi_lstm(L, p, x, s, u):
    i, f, g, o = (integration(L, p, x, s.h, k, f"_{k}") for k in "ifgo")
    c = sig(f) * s.c + sig(i) * tanh(g)
    return dict(h=sig(o) * tanh(c), c=c)


def nas(L, p, x, s, u):
    a = {k: L(f"a{k}", x=x, h=s.h) for k in (0, 1, 2, 4, 5, 6, 7)}
    first = [
        sig(a[0]),
        maximum(a[1], 0),
        sig(a[2]),
        maximum(L("x3", x=x) * L("h3", h=s.h), 0),
        tanh(a[4]),
        sig(a[5]),
        tanh(a[6]),
        sig(a[7]),
    ]
    second = [
        tanh(first[0] * first[1]),
        tanh(first[2] + first[3]),
        tanh(first[4] * first[5]),
        sig(first[6] + first[7]),
    ]
    second[0] = tanh(second[0] + s.c)
    c = second[0] * second[1]
    return dict(h=tanh(c * tanh(second[2] + second[3])), c=c)


def highway(depth):
    def step(L, p, x, s, u):
        state = s.s
        for k in range(1, depth + 1):
            sources = dict(x=x, s=state) if k == 1 else {f"s{k - 1}": state}
            h, t = tanh(L(f"n{k}", **sources)), sig(L(f"t{k}", **sources))
            state = h * t + state * (1 - t)
        return dict(s=state)

    return step


rhn2, rhn3 = highway(2), highway(3)


def mogrifier_lstm(L, p, x, s, u):
    h = s.h
    names = ["h", "x1", "h2", "x3", "h4"]
    for k in range(1, 6):
        if k % 2:
            x = 2 * sig(L(f"q{k}", **{names[k - 1]: h})) * x
        else:
            h = 2 * sig(L(f"r{k}", **{names[k - 1]: x})) * h
    o, c = lstm(L, s.c, x5=x, h4=h)
    return dict(h=o * tanh(c), c=c)


def scrn(L, p, x, s, u):
    slow = (1 - 0.95) * L("slow", x=x) + 0.95 * s.s
    return dict(h=sig(L("a", x=x, h=s.h, s_new=slow)), s=slow)


def jordan_rnn(L, p, x, s, u):
    h = sig(L("a", x=x, y=s.y))
    return dict(y=sig(L("out", h_new=h)), h=h)


def deep_transition_rnn(L, p, x, s, u):
    return dict(h=tanh(L("b", mid=tanh(L("a", x=x, h=s.h)))))


def slstm(L, p, x, s, u):
    """Without the stabiliser: c and n of the paper's equations are those of the cell times exp(m)."""
    true = s.true if hasattr(s, "true") else (s.c * exp(s.m), s.n * exp(s.m), s.m)
    i, f = exp(L("i", x=x, h=s.h)), sig(L("f", x=x, h=s.h))
    c = f * true[0] + i * tanh(L("g", x=x, h=s.h))
    n = f * true[1] + i
    m = maximum(log(f) + true[2], log(i))
    return dict(h=sig(L("o", x=x, h=s.h)) * c / n, c=c / exp(m), n=n / exp(m), m=m, true=(c, n, m))


def rwkv4(L, p, x, s, u):
    """Without the stabiliser, the running sums of the paper."""
    a, b, m = s.true if hasattr(s, "true") else (s.a * exp(s.m), s.b * exp(s.m), s.m)
    k, v = L("k", x=x), L("v", x=x)
    w = exp(p.decay)
    y = sig(L("r", x=x)) * (a + exp(p.bonus + k) * v) / (b + exp(p.bonus + k))
    a, b, m = exp(-w) * a + exp(k) * v, exp(-w) * b + exp(k), maximum(m - w, k)
    return dict(y=y, a=a / exp(m), b=b / exp(m), m=m, true=(a, b, m))


def time_aware_lstm(L, p, x, s, u):
    short = tanh(L("short", c=s.c))
    long = s.c - short
    o, c = lstm(L, long + short / log(e + u.dt), x=x, h=s.h)
    return dict(h=o * tanh(c), c=c)


def gru_d(L, p, x, s, u):
    r, z = sig(L("r", x=x, h=s.h)), sig(L("u", x=x, h=s.h))
    return dict(h=(1 - z) * s.h + z * tanh(L("n", x=x, rh=r * s.h)))


def phased_lstm(L, p, x, s, u):
    o, c = lstm(L, s.c, p, x=x, h=s.h)
    return dict(h=o * tanh(c), c=c)


def clockwork_rnn(L, p, x, s, u):
    return dict(h=tanh(L("a", x=x, h=s.h)))


def augru(L, p, x, s, u):
    r, z = sig(L("r", x=x, h=s.h)), u.attention * sig(L("u", x=x, h=s.h))
    return dict(h=(1 - z) * s.h + z * tanh(L("n", x=x) + r * L("m", h=s.h)))


def gru_ode(L, p, x, s, u):
    r, z = sig(L("r", x=x, h=s.h)), sig(L("u", x=x, h=s.h))
    g = tanh(L("n", x=x, rh=r * s.h))
    return dict(h=s.h + u.dt * (1 - z) * (g - s.h))


def neural_hawkes(L, p, x, s, u):
    c_t = s.bar + (s.c - s.bar) * exp(-s.delta * u.dt)
    h_t = s.out * (2 * sig(2 * c_t) - 1)
    i, f, i2, f2, o = (sig(L(k, x=x, h_t=h_t)) for k in ("i", "f", "i2", "f2", "o"))
    z = 2 * sig(L("g", x=x, h_t=h_t)) - 1
    c, bar = f * c_t + i * z, f2 * s.bar + i2 * z
    return dict(h=o * (2 * sig(2 * c) - 1), c=c, bar=bar, delta=log(1 + exp(L("d", x=x, h_t=h_t))), out=o)


NO_BIAS = dict(
    lstmp="p",
    lstmp_peephole="p",
    reslstm="m",
    wmc_lstm="m_i m_f m_o",
    multiplicative_lstm="m_x m_h",
    multiplicative_rnn="m_x m_h",
    mi_rnn="a_x a_h",
    mi_lstm="i_x i_h f_x f_h g_x g_h o_x o_h",
    nas="a0 a1 a2 a4 a5 a6 a7 x3 h3",
    mogrifier_lstm="q1 r2 q3 r4 q5",
    scrn="slow a",
    rwkv4="r k v",
    augru="m",
)
