"""Cells for irregular times, clocks and attention: per-step inputs (aux) and the layer's `pre` and `blend`."""

from __future__ import annotations

from pylstm.cells import Cell, Stage, exp, log, sigmoid, softplus, tanh

E = 2.718281828459045


class TimeAwareLSTM(Cell):
    """T-LSTM: the short-term part of c fades with the elapsed time dt (aux).

    q = tanh(W_d c- + b_d), c* = (c- - q) + q / log(e + dt), then the LSTM with c* in place of c-. The paper offers
    1 / dt and 1 / log(e + dt), the second for long times.
    """

    name = "time_aware_lstm"
    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h", "short": "c"}
    aux = ("dt",)
    domain = {"dt": (0, None)}
    reference = "Baytas, Xiao, Zhang, Wang, Jain & Zhou (2017), Patient subtyping via time-aware LSTM networks"

    def forward(z, prev, u):
        short = tanh(z.short)
        adjusted = prev.c - short + short / log(E + u.dt)
        c = sigmoid(z.f) * adjusted + sigmoid(z.i) * tanh(z.g)
        return dict(h=sigmoid(z.o) * tanh(c), c=c)


class GRUD(Cell):
    """The cell of GRU-D: a GRU, reset before the product; h is decayed by the layer's `pre`.

    h* = gamma h- (``pre={"h": gamma}``), r = s(z_r), u = s(z_u), h = (1 - u) h* + u tanh(W x + U (r h*) + b). Give
    imputed values and mask side by side as x (the paper's V m is then a part of W x);
    `pylstm_zoo.modifiers.gru_d_decay` gives gamma and its pull-back, `gru_d_impute` the values.
    """

    name = "gru_d"
    states = ("h",)
    gates = {"r": "x+h", "u": "x+h", "n": "x+rh"}
    stages = (Stage("reset", gates=("r",), emits=("rh",)), Stage("update", gates=("u", "n")))
    reference = "Che, Purushotham, Cho, Sontag & Liu (2018), Recurrent networks for time series with missing values"

    def forward_reset(z, prev):
        return dict(rh=sigmoid(z.r) * prev.h)

    def forward_update(z, prev):
        u = sigmoid(z.u)
        return dict(h=(1 - u) * prev.h + u * tanh(z.n))


class PhasedLSTM(Cell):
    """The cell of the phased LSTM: an LSTM with peepholes; the time gate k is the layer's `blend` of both states.

    c = k c' + (1 - k) c-, h = k h' + (1 - k) h-, where c', h' are the step of the LSTM: ``blend={"h": k, "c": k}``
    with k from `pylstm_zoo.modifiers.phased_openness`, which also gives the gradients of its periods.
    """

    name = "phased_lstm"
    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h"}
    params = ("p_i", "p_f", "p_o")
    reference = "Neil, Pfeiffer & Liu (2016), Phased LSTM: accelerating recurrent network training for long sequences"

    def forward(z, prev, p):
        f = sigmoid(z.f + p.p_f * prev.c)
        c = f * prev.c + sigmoid(z.i + p.p_i * prev.c) * tanh(z.g)
        return dict(h=sigmoid(z.o + p.p_o * c) * tanh(c), c=c)


class Clockwork(Cell):
    """The cell of the clockwork RNN: h = tanh(W x + U h- + b); its clocks are the layer's `blend`.

    A module of period P moves when t mod P = 0: ``blend={"h": k}`` with k from `pylstm_zoo.modifiers.clockwork_clock`;
    slow modules do not see fast ones: multiply ``weight_h`` and its gradient by `clockwork_mask`.
    """

    name = "clockwork_rnn"
    states = ("h",)
    gates = {"a": "x+h"}
    reference = "Koutník, Greff, Gomez & Schmidhuber (2014), A clockwork RNN"

    def forward(z):
        return dict(h=tanh(z.a))


class AUGRU(Cell):
    """GRU with attentional update gate: the aux input `attention` (a number per step) scales the update gate.

    r = s(z_r), u = attention s(z_u), h = (1 - u) h- + u tanh(W x + r (U h-) + b): reset after the product, as in the
    paper. oneDNN writes (1 - attention) u for the gate that keeps h.
    """

    states = ("h",)
    gates = {"r": "x+h", "u": "x+h", "m": "h", "n": "x"}
    biased = ("r", "u", "n")
    aux = ("attention",)
    reference = "Zhou, Mou, Fan, Pi et al. (2019), Deep interest evolution network for click-through rate prediction"

    def forward(z, prev, u):
        update = u.attention * sigmoid(z.u)
        return dict(h=(1 - update) * prev.h + update * tanh(z.n + sigmoid(z.r) * z.m))


class GRUODE(Cell):
    """One Euler step of length dt (aux) of GRU-ODE, here with an input.

    r = s(z_r), u = s(z_u), n = tanh(W x + U (r h-) + b), h = h- + dt (1 - u) (n - h-). The paper's equation between
    observations has no x: pass zeros.
    """

    name = "gru_ode"
    states = ("h",)
    gates = {"r": "x+h", "u": "x+h", "n": "x+rh"}
    aux = ("dt",)
    domain = {"dt": (0, None)}
    stages = (Stage("reset", gates=("r",), emits=("rh",)), Stage("move", gates=("u", "n")))
    reference = "De Brouwer, Simm, Arany & Moreau (2019), GRU-ODE-Bayes"

    def forward_reset(z, prev):
        return dict(rh=sigmoid(z.r) * prev.h)

    def forward_move(z, prev, u):
        return dict(h=prev.h + u.dt * (1 - sigmoid(z.u)) * (tanh(z.n) - prev.h))


class NeuralHawkes(Cell):
    """Continuous-time LSTM: between events c decays from its value towards a target; dt (aux) since the last event.

    c(t) = bar- + (c- - bar-) exp(-delta- dt), h(t) = o- tanh(c(t)); at the event all gates see h(t):
    c = f c(t) + i g, bar = f2 bar- + i2 g, g = 2 s(z_g) - 1, delta = softplus(z_d). Many codes have tanh(z_g) for
    g = tanh(z_g / 2). o is carried as the state `out`; h and all states are those just after the event.
    """

    name = "neural_hawkes"
    states = ("h", "c", "bar", "delta", "out")
    gates = {gate: "x+h_t" for gate in ("i", "f", "i2", "f2", "g", "o", "d")}
    aux = ("dt",)
    domain = {"dt": (0, None), "delta": (0, None)}
    stages = (
        Stage("decay", emits=("c_t", "h_t")),
        Stage("event", gates=("i", "f", "i2", "f2", "g", "o", "d")),
    )
    reference = "Mei & Eisner (2017), The neural Hawkes process: a neurally self-modulating multivariate point process"

    def forward_decay(prev, u):
        c_t = prev.bar + (prev.c - prev.bar) * exp(-prev.delta * u.dt)
        return dict(c_t=c_t, h_t=prev.out * tanh(c_t))

    def forward_event(z, prev, e):
        g, o = tanh(0.5 * z.g), sigmoid(z.o)
        c = sigmoid(z.f) * e.c_t + sigmoid(z.i) * g
        bar = sigmoid(z.f2) * prev.bar + sigmoid(z.i2) * g
        return dict(h=o * tanh(c), c=c, bar=bar, delta=softplus(z.d), out=o)
