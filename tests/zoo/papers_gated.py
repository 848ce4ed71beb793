"""One step of every cell of `ablations` and `gated`, written from the papers for one row: no pylstm here.

Each function takes L, p, x, s, u: L(gate, source=vector, ...) is the sum of the products with the vectors plus the
bias, p the per-unit parameters, x the input, s the previous states, u the aux inputs. It returns the new states.
"""

from numpy import exp, maximum, tanh


def sig(v):
    return 1 / (1 + exp(-v))


def vanilla(L, p, x, s, no="", act_in=tanh, act_out=tanh, coupled=False):
    """Greff et al., section III, with a part taken away."""
    y, c = s.h, s.c
    block = act_in(L("g", x=x, h=y))
    i = 1 if "i" in no else sig(L("i", x=x, h=y) + p.p_i * c)
    f = 1 - i if coupled else 1 if "f" in no else sig(L("f", x=x, h=y) + p.p_f * c)
    new = block * i + c * f
    o = 1 if "o" in no else sig(L("o", x=x, h=y) + p.p_o * new)
    return dict(h=act_out(new) * o, c=new)


def lstm_nig(L, p, x, s, u):
    return vanilla(L, p, x, s, no="i")


def lstm_nfg(L, p, x, s, u):
    return vanilla(L, p, x, s, no="f")


def lstm_nog(L, p, x, s, u):
    return vanilla(L, p, x, s, no="o")


def lstm_niaf(L, p, x, s, u):
    return vanilla(L, p, x, s, act_in=lambda v: v)


def lstm_noaf(L, p, x, s, u):
    return vanilla(L, p, x, s, act_out=lambda v: v)


def cifg_peephole(L, p, x, s, u):
    return vanilla(L, p, x, s, coupled=True)


def lstm_fgr(L, p, x, s, u):
    gates = dict(s_i=s.s_i, s_f=s.s_f, s_o=s.s_o)
    i = sig(L("i", x=x, h=s.h, **gates) + p.p_i * s.c)
    f = sig(L("f", x=x, h=s.h, **gates) + p.p_f * s.c)
    c = tanh(L("g", x=x, h=s.h)) * i + s.c * f
    o = sig(L("o", x=x, h=s.h, **gates) + p.p_o * c)
    return dict(h=tanh(c) * o, c=c, s_i=i, s_f=f, s_o=o)


def mgu(L, p, x, s, u):
    f = sig(L("f", x=x, h=s.h))
    candidate = tanh(L("n", x=x, fh=f * s.h))
    return dict(h=(1 - f) * s.h + f * candidate)


def mgu_after(L, p, x, s, u):
    f = sig(L("f", x=x, h=s.h))
    n = tanh(L("n", x=x) + f * L("m", h=s.h))
    return dict(h=(1 - f) * n + f * s.h)


def ugrnn(L, p, x, s, u):
    c, g = tanh(L("n", x=x, h=s.h)), sig(L("u", x=x, h=s.h))
    return dict(h=g * s.h + (1 - g) * c)


def janet(L, p, x, s, u):
    a = L("f", x=x, h=s.h)
    return dict(h=sig(a) * s.h + (1 - sig(a - 1)) * tanh(L("n", x=x, h=s.h)))


def ligru(L, p, x, s, u):
    z = sig(L("u", x=x, h=s.h))
    return dict(h=z * s.h + (1 - z) * maximum(L("n", x=x, h=s.h), 0))


def minimalrnn(L, p, x, s, u):
    z = tanh(L("phi", x=x))
    gate = sig(L("u", h=s.h, a=z))
    return dict(h=gate * s.h + (1 - gate) * z)


def ran(L, p, x, s, u):
    i, f = sig(L("i", x=x, h=s.h)), sig(L("f", x=x, h=s.h))
    c = i * L("content", x=x) + f * s.c
    return dict(h=tanh(c), c=c)


def cfn(L, p, x, s, u):
    theta, eta = sig(L("theta", x=x, h=s.h)), sig(L("eta", x=x, h=s.h))
    return dict(h=theta * tanh(s.h) + eta * tanh(L("v", x=x)))


def atr(L, p, x, s, u):
    a, b = L("p", x=x), L("q", h=s.h)
    return dict(h=sig(a + b) * a + sig(a - b) * s.h)


def fastrnn(L, p, x, s, u):
    return dict(h=sig(p.alpha) * tanh(L("a", x=x, h=s.h)) + sig(p.beta) * s.h)


def fastgrnn(L, p, x, s, u):
    pre = L("a", x=x, h=s.h)
    z, candidate = sig(pre + p.b_z), tanh(pre + p.b_h)
    return dict(h=(sig(p.zeta) * (1 - z) + sig(p.nu)) * candidate + z * s.h)


def mut1(L, p, x, s, u):
    z, r = sig(L("u", x=x)), sig(L("r", x=x, h=s.h))
    return dict(h=tanh(L("n", rh=r * s.h) + tanh(L("v", x=x))) * z + s.h * (1 - z))


def mut2(L, p, x, s, u):
    z, r = sig(L("u", x=x, h=s.h)), sig(L("r", x=x, h=s.h))
    return dict(h=tanh(L("n", rh=r * s.h, x=x)) * z + s.h * (1 - z))


def mut3(L, p, x, s, u):
    z, r = sig(L("u", x=x, th=tanh(s.h))), sig(L("r", x=x, h=s.h))
    return dict(h=tanh(L("n", rh=r * s.h, x=x)) * z + s.h * (1 - z))


def star(L, p, x, s, u):
    z, k = tanh(L("n", x=x)), sig(L("k", x=x, h=s.h))
    return dict(h=tanh((1 - k) * s.h + k * z))


def sgrn(L, p, x, s, u):
    f = sig(L("p", x=x) + L("q", h=s.h))
    return dict(h=tanh((1 - f) * L("p", x=x) + f * s.h))


def lightru(L, p, x, s, u):
    f = sig(L("f", x=x, h=s.h))
    return dict(h=(1 - f) * s.h + f * tanh(L("n", x=x)))


def brc(L, p, x, s, u):
    a = 1 + tanh(L("a", x=x) + p.w_a * s.h)
    c = sig(L("c", x=x) + p.w_c * s.h)
    return dict(h=c * s.h + (1 - c) * tanh(L("n", x=x) + a * s.h))


def nbrc(L, p, x, s, u):
    a, c = 1 + tanh(L("a", x=x, h=s.h)), sig(L("c", x=x, h=s.h))
    return dict(h=c * s.h + (1 - c) * tanh(L("n", x=x) + a * s.h))


def intersection_rnn(L, p, x, s, u):
    y_in, h_in = maximum(0, L("y_in", x=x, h=s.h)), tanh(L("h_in", x=x, h=s.h))
    g_y, g_h = sig(L("g_y", x=x, h=s.h)), sig(L("g_h", x=x, h=s.h))
    return dict(y=g_y * x + (1 - g_y) * y_in, h=g_h * s.h + (1 - g_h) * h_in)


NO_BIAS = dict(ran="content", cfn="v", atr="q", fastgrnn="a", mut1="v", sgrn="p", lightru="n", brc="n", nbrc="n")
