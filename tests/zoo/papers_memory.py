"""One step of every cell of `memory` and `statespace`, from the papers, for one row (see `papers_gated`).

A memory is cut into one matrix for each head. Checked against the recurrent forms in fla-org/flash-linear-attention
(``ops/gla/naive.py``, ``ops/rwkv7/recurrent_naive.py``, ``layers/hgrn2.py``, ``layers/rwkv7.py``).
"""

from numpy import abs, arange, concatenate, exp, imag, log, maximum, mean, pi, real, sqrt, tanh


def sig(v):
    return 1 / (1 + exp(-v))


def silu(v):
    return v * sig(v)


def softplus(v):
    return log(1 + exp(v))


def length(v):
    return sqrt((v * v).sum() + 1e-6)


def by_head(memory, k, v):
    """S as (heads, key, value), and what cuts a vector into heads."""
    value = len(memory) // len(k)
    heads = len(v) // value
    return memory.reshape(heads, len(k) // heads, value), lambda vector: vector.reshape(heads, -1)


def written(h, S):
    return dict(h=concatenate(h), S=concatenate([each.reshape(-1) for each in S]))


def mlstm(L, p, x, s, u):
    """Without the stabiliser: S and n of the paper's equations are those of the cell times exp(m)."""
    q, k, v, i, f, o = (L(gate, x=x) for gate in "qkvifo")
    key = len(k) // len(i)
    before = s.true if hasattr(s, "true") else None

    def cut(vector):
        return vector.reshape(len(i), -1)

    if before is None:
        scale = exp(s.m)[:, None]
        before = cut(s.S) * scale, cut(s.n) * scale, s.m
    S, n, h = [], [], []
    for head in range(len(i)):
        gate, keep, K = exp(i[head]), sig(f[head]), cut(k)[head] / sqrt(key)
        C = keep * before[0][head].reshape(key, -1) + gate * K[:, None] * cut(v)[head]
        N = keep * before[1][head] + gate * K
        Q = cut(q)[head]
        h.append(sig(cut(o)[head]) * (Q @ C) / maximum(abs(N @ Q), 1))
        S, n = [*S, C.reshape(-1)], [*n, N]
    m = maximum(maximum(log(sig(f)) + before[2], i), 0)
    down = [exp(-each) for each in m]
    return dict(
        h=concatenate(h),
        S=concatenate([each * scale for each, scale in zip(S, down)]),
        n=concatenate([each * scale for each, scale in zip(n, down)]),
        m=m,
        true=(S, n, m),
    )


def retnet(L, p, x, s, u):
    q, k = (L(f"{name}_re", x=x) + 1j * L(f"{name}_im", x=x) for name in "qk")
    v = L("v", x=x)
    S, cut = by_head(s.S_re + 1j * s.S_im, k, v)
    pairs = S.shape[1]
    theta = exp(-log(10000.0) * arange(pairs) / (pairs - 1))
    h, new = [], []
    for head in range(len(S)):
        turn = (1 - 2.0 ** (-5 - head)) * exp(1j * theta)
        state = turn[:, None] * S[head] + cut(k)[head].conj()[:, None] * cut(v)[head]
        h, new = [*h, real(cut(q)[head] @ state) / sqrt(2.0 * pairs)], [*new, state.reshape(-1)]
    new = concatenate(new)
    return dict(h=concatenate(h), S_re=real(new), S_im=imag(new))


def gla(L, p, x, s, u):
    q, k, v, a = (L(gate, x=x) for gate in "qkva")
    S, cut = by_head(s.S, k, v)
    decay = cut(exp(log(sig(a)) / 16))
    S = [decay[j][:, None] * S[j] + cut(k)[j][:, None] * cut(v)[j] for j in range(len(S))]
    return written([cut(q)[j] @ S[j] / sqrt(1.0 * len(S[j])) for j in range(len(S))], S)


def hgrn2(L, p, x, s, u):
    q, v = silu(L("q", x=x)), L("v", x=x)
    f = sig(p.lower) + (1 - sig(p.lower)) * sig(L("f", x=x))
    S, cut = by_head(s.S, f, v)
    S = [cut(f)[j][:, None] * S[j] + (1 - cut(f)[j])[:, None] * cut(v)[j] for j in range(len(S))]
    return written([cut(q)[j] @ S[j] for j in range(len(S))], S)


def delta(L, x, s, decay):
    q, k, v, b = (L(gate, x=x) for gate in "qkvb")
    S, cut = by_head(s.S, k, v)
    h, new = [], []
    for j in range(len(S)):
        Q, K = (silu(cut(each)[j]) / length(silu(cut(each)[j])) for each in (q, k))
        beta = sig(b[j])
        state = S[j] * decay[j]
        state = state - beta * K[:, None] * (K @ state) + beta * K[:, None] * cut(v)[j]
        h, new = [*h, Q @ state / sqrt(1.0 * len(K))], [*new, state]
    return written(h, new)


def deltanet(L, p, x, s, u):
    return delta(L, x, s, [1] * len(L("b", x=x)))


def gated_deltanet(L, p, x, s, u):
    return delta(L, x, s, exp(-exp(p.rate) * softplus(L("a", x=x))))


def rwkv7(L, p, x, s, u):
    r, k, v, a = L("r", x=x), L("k", x=x), L("v", x=x), sig(L("a", x=x))
    w = exp(-exp(-0.5 + 0 * a) * sig(L("w", d_new=tanh(L("d", x=x)))))
    S, cut = by_head(s.S, k, v)
    removed, new = p.key_scale * k, k * (1 + (a - 1) * p.rate_scale)
    g, h, states = L("g", e_new=sig(L("e", x=x))), [], []
    for j in range(len(S)):
        unit = cut(removed)[j] / length(cut(removed)[j])
        state = cut(w)[j][:, None] * S[j] - (cut(a)[j] * unit)[:, None] * (unit @ S[j])
        state = state + cut(new)[j][:, None] * cut(v)[j]
        out = cut(r)[j] @ state
        out = (out - mean(out)) / sqrt(mean((out - mean(out)) ** 2) + 1e-5 * len(out))
        bonus = (cut(r)[j] * cut(p.bonus)[j] * cut(new)[j]).sum() * cut(v)[j]
        h, states = [*h, cut(p.gain)[j] * out + cut(p.shift)[j] + bonus], [*states, state]
    return written([g * concatenate(h)], states)


def s4d(L, p, x, s, u):
    v = L("u", x=x)
    states = len(s.re) // len(v)
    turn = concatenate([pi * arange(states)] * len(v))
    a = -exp(p.log_decay) + 1j * (turn + p.shift)
    step = exp(exp(p.log_dt).repeat(states) * a)
    state = step * (s.re + 1j * s.im) + v.repeat(states)
    read = real((p.c_re + 1j * p.c_im) * (step - 1) / a * state).reshape(len(v), states).sum(1)
    return dict(y=2 * read + p.d * v, re=real(state), im=imag(state))


def s5(L, p, x, s, u):
    a = -exp(p.log_decay) + 1j * p.phase
    step = exp(exp(p.log_dt) * a)
    state = step * (s.re + 1j * s.im) + (step - 1) / a * (L("b_re", x=x) + 1j * L("b_im", x=x))
    return dict(y=L("out", x=x, s_re=real(state), s_im=imag(state)), re=real(state), im=imag(state))


def linoss_im(L, p, x, s, u):
    """Equations of the paper with M^-1 and its Schur complement."""
    dt, a, f = sig(p.step), maximum(p.a, 0), L("u", x=x)
    schur = 1 / (1 + dt**2 * a)
    v = (1 - dt**2 * a * schur) * s.v - dt * a * schur * s.y + (1 - dt**2 * a * schur) * dt * f
    y = dt * schur * s.v + schur * s.y + dt * schur * dt * f
    return dict(h=L("out", x=x, y_new=y), y=y, v=v)


def linoss_imex(L, p, x, s, u):
    dt, a, f = sig(p.step), maximum(p.a, 0), L("u", x=x)
    v = s.v - dt * a * s.y + dt * f
    y = dt * s.v + (1 - dt**2 * a) * s.y + dt**2 * f
    return dict(h=L("out", x=x, y_new=y), y=y, v=v)


def mamba(L, p, x, s, u):
    v, b, c = (L(gate, x=x) for gate in "ubc")
    dt = softplus(L("dt", low=L("r", x=x)))
    S, A = s.S.reshape(len(v), -1), -exp(p.log_rate).reshape(len(v), -1) * (1.0 + arange(len(b)))
    S = exp(dt[:, None] * A) * S + dt[:, None] * v[:, None] * b
    return dict(y=S @ c + p.d * v, S=S.reshape(-1))


NO_BIAS = dict(
    retnet="q_re q_im k_re k_im v",
    gla="q k v",
    rwkv7="d e r k v g",
    s4d="u",
    s5="b_re b_im out",
    linoss_im="out",
    linoss_imex="out",
    mamba="r u b c",
)
