"""Liquid cells: neurons with conductances, whose time constants depend on what they see."""

from __future__ import annotations

from pylstm.cells import Cell, Stage, fold, repeat, sigmoid, softplus, tanh

PAIRS, INPUTS = "hidden_size * hidden_size", "input_size * hidden_size"


def strengths(rng, shape):
    return rng.uniform(0.001, 1, shape)


def centres(rng, shape):
    return rng.uniform(0.3, 0.8, shape)


def slopes(rng, shape):
    return rng.uniform(3, 8, shape)


def signs(rng, shape):
    return rng.choice([-1.0, 1.0], shape)


def rests(rng, shape):
    return rng.uniform(-0.2, 0.2, shape)


def capacities(rng, shape):
    return rng.uniform(0.4, 0.6, shape)


class LTC(Cell):
    """Liquid time-constant neurons: a synapse from each neuron and each input to each neuron, `unfolds` implicit steps.

    v = (c v + g_leak e_leak + sum w s e) / (c + g_leak + sum w s), s = sigmoid(sigma (v_pre - mu)) of the synapse, c =
    capacity unfolds / dt, again `unfolds` times; w, g_leak and capacity pass a softplus. dt (aux) is the time since the
    last step. A parameter of synapses has the rows of `before`, so ``sigma`` [j H + i] is that of j to i. The paper's
    neurons as the library ncps has them, all connected, its maps of inputs and outputs left to layers.
    """

    name = "ltc"
    states = ("v",)
    gates = {}
    params = ("w", "mu", "sigma", "e", "w_in", "mu_in", "sigma_in", "e_in", "g_leak", "e_leak", "capacity")
    aux = ("x", "dt")
    domain = {"dt": (1e-3, None)}
    options = {"unfolds": 6}
    widths = dict.fromkeys(("w", "mu", "sigma", "e"), PAIRS)
    widths |= dict.fromkeys(("w_in", "mu_in", "sigma_in", "e_in"), INPUTS)
    initial_values = (
        dict.fromkeys(("w", "w_in", "g_leak"), strengths)
        | dict.fromkeys(("mu", "mu_in"), centres)
        | dict.fromkeys(("sigma", "sigma_in"), slopes)
        | dict.fromkeys(("e", "e_in"), signs)
        | {"e_leak": rests, "capacity": capacities}
    )
    reference = "Hasani, Lechner, Amini, Rus & Grosu (2021), Liquid time-constant networks, arXiv:2006.04439"

    def forward(prev, p, u, o):
        def currents(v, pairs, w, mu, sigma, e):
            open_ = softplus(w) * sigmoid(sigma * (repeat(v, pairs) - mu))
            return fold(open_ * e, "hidden_size"), fold(open_, "hidden_size")

        driven, leaked = currents(u.x, INPUTS, p.w_in, p.mu_in, p.sigma_in, p.e_in)
        g, c = softplus(p.g_leak), softplus(p.capacity) * o.unfolds / u.dt
        v = prev.v
        for _ in range(o.unfolds):
            inner, open_ = currents(v, PAIRS, p.w, p.mu, p.sigma, p.e)
            v = (c * v + g * p.e_leak + inner + driven) / (c + g + open_ + leaked)
        return dict(v=v)


class LrcSSM(Cell):
    """Liquid resistance and capacitance with a diagonal Jacobian: a state-space model that is not linear in its state.

    h = h- + dt e (b - a h-), a = s(g + A q + w_a p), b = e_leak tanh(g + B q + w_b p), p = s(sigma (h- - mu)),
    q = s(sigma_in (x - mu_in)), elastance e = s(k h- + l). Options dt = 1 and symmetric = False; with it
    e = s(k h- + l + m) - s(k h- + l - m).
    """

    name = "lrcssm"
    states = ("h",)
    gates = {"a": "q", "b": "q"}
    biased = ()
    params = ("sigma", "mu", "w_a", "w_b", "g", "e_leak", "k", "l", "m", "sigma_in", "mu_in")
    aux = ("x",)
    options = {"dt": 1.0, "symmetric": False}
    domain = {"dt": (1e-6, 1)}
    widths = dict.fromkeys(("q", "sigma_in", "mu_in"), "input_size")
    stages = (Stage("sense", emits=("q",)), Stage("move", gates=("a", "b")))
    reference = (
        "Farsang, Hasani, Rus & Grosu (2025), Scaling up liquid-resistance liquid-capacitance networks for efficient "
        "sequence modeling, arXiv:2505.21717"
    )

    def forward_sense(p, u):
        return dict(q=sigmoid(p.sigma_in * (u.x - p.mu_in)))

    def forward_move(z, prev, p, o):
        open_ = sigmoid(p.sigma * (prev.h - p.mu))
        a, b = sigmoid(p.g + z.a + p.w_a * open_), p.e_leak * tanh(p.g + z.b + p.w_b * open_)
        charge = p.k * prev.h + p.l
        e = sigmoid(charge + p.m) - sigmoid(charge - p.m) if o.symmetric else sigmoid(charge) + 0 * p.m
        return dict(h=prev.h + o.dt * e * (b - a * prev.h))
