"""One step of every cell of `elementwise` and `dynamical`, written from the papers for one row (see `papers_gated`)."""

from numpy import abs, exp, maximum, sign, sqrt, tanh, where


def sig(v):
    return 1 / (1 + exp(-v))


def indrnn(L, p, x, s, u):
    return dict(h=maximum(0, L("a", x=x) + p.w * s.h))


def sru(L, p, x, s, u):
    f = sig(L("f", x=x) + p.v_f * s.c)
    c = f * s.c + (1 - f) * L("content", x=x)
    r = sig(L("r", x=x) + p.v_r * s.c)
    return dict(h=r * c + (1 - r) * L("skip", x=x), c=c)


def qrnn_f(L, p, x, s, u):
    z, f = tanh(L("z", x=x)), sig(L("f", x=x))
    return dict(h=f * s.h + (1 - f) * z)


def qrnn_fo(L, p, x, s, u):
    z, f, o = tanh(L("z", x=x)), sig(L("f", x=x)), sig(L("o", x=x))
    c = f * s.c + (1 - f) * z
    return dict(h=o * c, c=c)


def qrnn_ifo(L, p, x, s, u):
    z, i, f, o = tanh(L("z", x=x)), sig(L("i", x=x)), sig(L("f", x=x)), sig(L("o", x=x))
    c = f * s.c + i * z
    return dict(h=o * c, c=c)


def mingru(L, p, x, s, u):
    z = sig(L("u", x=x))
    return dict(h=(1 - z) * s.h + z * L("n", x=x))


def minlstm(L, p, x, s, u):
    f, i = sig(L("f", x=x)), sig(L("i", x=x))
    return dict(h=f / (f + i) * s.h + i / (f + i) * L("n", x=x))


def positive(v):
    return where(v >= 0, v + 0.5, sig(v))


def mingru_log(L, p, x, s, u):
    z = sig(L("u", x=x))
    return dict(h=(1 - z) * s.h + z * positive(L("n", x=x)))


def minlstm_log(L, p, x, s, u):
    f, i = sig(L("f", x=x)), sig(L("i", x=x))
    return dict(h=f / (f + i) * s.h + i / (f + i) * positive(L("n", x=x)))


def paragru(L, p, x, s, u):
    """As in ``gru_diag_mh.py`` of apple/ml-pararnn, with one head."""
    z, r = sig(p.a_u * s.h + L("u", x=x)), sig(p.a_r * s.h + L("r", x=x))
    return dict(h=(1 - z) * s.h + z * tanh(p.a_n * (s.h * r) + L("n", x=x)))


def paralstm(L, p, x, s, u):
    """As in ``lstm_cifg_diag_mh.py`` of apple/ml-pararnn, with one head."""
    f = sig(p.a_f * s.h + L("f", x=x) + p.p_f * s.c)
    c = f * s.c + (1 - f) * tanh(p.a_g * s.h + L("g", x=x))
    return dict(h=sig(p.a_o * s.h + L("o", x=x) + p.p_o * c) * tanh(c), c=c)


def rg_lru(L, p, x, s, u):
    r, i = sig(L("r", x=x)), sig(L("i", x=x))
    a = sig(p.lam) ** (8 * r)
    return dict(h=a * s.h + sqrt(1 - a**2) * (i * L("v", x=x)))


def trnn(L, p, x, s, u):
    f = sig(L("f", x=x))
    return dict(h=f * s.h + (1 - f) * L("v", x=x))


def tgru(L, p, x, s, u):
    both = dict(x=x, x_prev=s.x_prev)
    z, f, o = L("v", **both), sig(L("f", **both)), tanh(L("o", **both))
    return dict(h=f * s.h + z * o, x_prev=x)


def tlstm(L, p, x, s, u):
    both = dict(x=x, x_prev=s.x_prev)
    z, f, o = L("v", **both), sig(L("f", **both)), tanh(L("o", **both))
    c = f * s.c + (1 - f) * z
    return dict(h=c * o, c=c, x_prev=x)


def hgrn(L, p, x, s, u):
    gamma, mu, v = sig(p.lower), sig(L("f", x=x)), L("v", x=x)
    keep = gamma + (1 - gamma) * mu
    c = keep * s.c + (1 - keep) * v / (1 + exp(-v))
    return dict(h=sig(L("o", x=x)) * c, c=c)


def lru(L, p, x, s, u):
    eigenvalue = exp(-exp(p.nu) + 1j * exp(p.theta))
    gamma = sqrt(1 - abs(eigenvalue) ** 2)
    state = eigenvalue * (s.re + 1j * s.im) + gamma * (L("b_re", x=x) + 1j * L("b_im", x=x))
    return dict(y=L("out", x=x, s_re=state.real, s_im=state.imag), re=state.real, im=state.imag)


def cornn(L, p, x, s, u):
    dt, gamma, epsilon = 0.1, 1.0, 1.0
    v = s.v + dt * tanh(L("a", x=x, y=s.y, v=s.v)) - dt * gamma * s.y - dt * epsilon * s.v
    return dict(y=s.y + dt * v, v=v)


def unicornn(L, p, x, s, u):
    step = 0.1 * (0.5 + 0.5 * tanh(p.k / 2))
    v = s.v - step * (tanh(p.w * s.y + L("a", x=x)) + 1.0 * s.y)
    return dict(y=s.y + step * v, v=v)


def lem(L, p, x, s, u):
    step_v, step_y = sig(L("d1", x=x, y=s.y)), sig(L("d2", x=x, y=s.y))
    v = (1 - step_v) * s.v + step_v * tanh(L("a", x=x, y=s.y))
    return dict(y=(1 - step_y) * s.y + step_y * tanh(L("n", x=x, v_new=v)), v=v)


def antisymmetric_rnn(L, p, x, s, u):
    return dict(h=s.h + 0.1 * tanh(L("a", x=x, h=s.h)))


def gated_antisymmetric_rnn(L, p, x, s, u):
    recurrent = L("q", h=s.h)
    gate = sig(recurrent + L("g", x=x))
    return dict(h=s.h + 0.1 * gate * tanh(recurrent + L("a", x=x)))


def lipschitz_rnn(L, p, x, s, u):
    return dict(h=s.h + 0.1 * L("linear", h=s.h) + 0.1 * tanh(L("a", x=x, h=s.h)))


def leaky_rnn(L, p, x, s, u):
    rate = sig(p.rate)
    return dict(h=s.h + rate * (tanh(L("a", x=x, h=s.h)) - s.h))


def ct_rnn(L, p, x, s, u):
    tau = exp(p.log_tau)
    slope = (-s.v + L("a", x=x, rate=tanh(s.v))) / tau
    return dict(v=s.v + u.dt * slope)


def momentum_lstm(L, p, x, s, u):
    """As in ``momentumnet.py`` of minhtannguyen/MomentumRNN, one bias."""
    v = {k: 0.6 * getattr(s, f"v_{k}") + 0.6 * L(f"{k}_x", x=x) for k in "ifgo"}
    i, f, g, o = (v[k] + L(k, h=s.h) for k in "ifgo")
    c = sig(f) * s.c + sig(i) * tanh(g)
    return dict(h=sig(o) * tanh(c), c=c, **{f"v_{k}": v[k] for k in "ifgo"})


def cfc(L, p, x, s, u):
    b = 1.7159 * tanh(0.666666666666666666 * L("backbone", x=x, h=s.h))
    f, g, h = L("f", b=b), tanh(L("g", b=b)), tanh(L("n", b=b))
    return dict(h=sig(-f * u.dt) * g + (1 - sig(-f * u.dt)) * h)


def lmu(L, p, x, s, u):
    m = L("linear", m=s.m) + p.B * L("s", x=x, h=s.h, m=s.m)
    return dict(h=tanh(L("a", x=x, h=s.h, m_new=m)), m=m)


def modrelu_rnn(L, p, x, s, u):
    a = L("a", x=x, h=s.h)
    return dict(h=sign(a) * maximum(0, abs(a) + p.beta))


def goru(L, p, x, s, u):
    r, z = sig(L("r", x=x, h=s.h)), sig(L("u", x=x, h=s.h))
    a = L("n", x=x) + r * L("m", h=s.h)
    return dict(h=z * s.h + (1 - z) * sign(a) * maximum(0, abs(a) + p.beta))


NO_BIAS = dict(
    sru="content skip",
    rg_lru="v",
    trnn="v",
    lru="b_re b_im out",
    gated_antisymmetric_rnn="q",
    lipschitz_rnn="linear",
    lmu="s linear a",
    modrelu_rnn="a",
    goru="m n",
    momentum_lstm="i_x f_x g_x o_x",
)
