"""Cells with one to three gates and a single state that recurs (with RAN and the intersection RNN, which have two)."""

from __future__ import annotations

from pylstm.cells import Cell, Stage, relu, sigmoid, tanh


class MGU(Cell):
    """Minimal gated unit: the forget gate scales the state before the recurrent product.

    f = s(W_f x + U_f h- + b_f), n = tanh(W_n x + U_n (f h-) + b_n), h = (1 - f) h- + f n.
    """

    name = "mgu"
    states = ("h",)
    gates = {"f": "x+h", "n": "x+fh"}
    stages = (Stage("forget", gates=("f",), emits=("f_out", "fh")), Stage("update", gates=("n",)))
    reference = "Zhou, Wu, Zhang & Zhou (2016), Minimal gated unit for recurrent neural networks"

    def forward_forget(z, prev):
        f = sigmoid(z.f)
        return dict(f_out=f, fh=f * prev.h)

    def forward_update(z, prev, e):
        return dict(h=(1 - e.f_out) * prev.h + e.f_out * tanh(z.n))


class MGUAfter(Cell):
    """Minimal gated unit with the gate after the product (as Flax has it): one recurrent product per step.

    f = s(W_f x + U_f h- + b_f), n = tanh(W_n x + b_n + f (U_n h- + b_m)), h = (1 - f) n + f h-. Unlike in `mgu`, f
    keeps the old state, as in Flax.
    """

    name = "mgu_after"
    states = ("h",)
    gates = {"f": "x+h", "m": "h", "n": "x"}
    reference = "Zhou et al. (2016), Minimal gated unit; gate after the product as in flax.linen.MGUCell"

    def forward(z, prev):
        f = sigmoid(z.f)
        return dict(h=(1 - f) * tanh(z.n + f * z.m) + f * prev.h)


class UGRNN(Cell):
    """Update gate RNN.

    u = s(W_u x + U_u h- + b_u), n = tanh(W_n x + U_n h- + b_n), h = u h- + (1 - u) n.
    """

    states = ("h",)
    gates = {"u": "x+h", "n": "x+h"}
    reference = "Collins, Sohl-Dickstein & Sussillo (2017), Capacity and trainability in recurrent neural networks"

    def forward(z, prev):
        u = sigmoid(z.u)
        return dict(h=u * prev.h + (1 - u) * tanh(z.n))


class JANET(Cell):
    """Just another network: an LSTM with only the forget gate.

    z_f = W_f x + U_f h- + b_f, h = s(z_f) h- + (1 - s(z_f - beta)) tanh(W_n x + U_n h- + b_n), beta = 1. Libraries
    often leave beta out (then it is `ugrnn`). One published code returns tanh(c); the paper, followed here, h = c: it
    drops the output gate together with its tanh.
    """

    states = ("h",)
    gates = {"f": "x+h", "n": "x+h"}
    reference = "van der Westhuizen & Lasenby (2018), The unreasonable effectiveness of the forget gate"

    def forward(z, prev):
        beta = 1.0
        return dict(h=sigmoid(z.f) * prev.h + (1 - sigmoid(z.f - beta)) * tanh(z.n))


class LiGRU(Cell):
    """Light GRU: no reset gate, ReLU candidate.

    u = s(W_u x + U_u h-), n = relu(W_n x + U_n h-), h = u h- + (1 - u) n. The paper's batch normalisation acts on
    W x, hence outside the step; its shift is the bias. RecurrentLayers.jl has tanh in place of the ReLU.
    """

    states = ("h",)
    gates = {"u": "x+h", "n": "x+h"}
    reference = "Ravanelli, Brakel, Omologo & Bengio (2018), Light gated recurrent units for speech recognition"

    def forward(z, prev):
        u = sigmoid(z.u)
        return dict(h=u * prev.h + (1 - u) * relu(z.n))


class MinimalRNN(Cell):
    """Minimal RNN: the input is first mapped into the latent space, a = tanh(W x + b).

    u = s(U_h h- + U_a a + b_u), h = u h- + (1 - u) a.
    """

    states = ("h",)
    gates = {"phi": "x", "u": "h+a"}
    stages = (Stage("map", gates=("phi",), emits=("a",)), Stage("update", gates=("u",)))
    reference = "Chen (2017), MinimalRNN: toward more interpretable and trainable recurrent neural networks"

    def forward_map(z):
        return dict(a=tanh(z.phi))

    def forward_update(z, prev, e):
        u = sigmoid(z.u)
        return dict(h=u * prev.h + (1 - u) * e.a)


class RAN(Cell):
    """Recurrent additive network: the content is linear in x and does not see h.

    i = s(W_i x + U_i h- + b_i), f = s(W_f x + U_f h- + b_f), c = i (W_c x) + f c-, h = tanh(c).
    """

    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "content": "x"}
    biased = ("i", "f")
    reference = "Lee, Levy & Zettlemoyer (2017), Recurrent additive networks"

    def forward(z, prev):
        c = sigmoid(z.i) * z.content + sigmoid(z.f) * prev.c
        return dict(h=tanh(c), c=c)


class CFN(Cell):
    """Chaos-free network.

    t = s(W_t x + U_t h- + b_t), e = s(W_e x + U_e h- + b_e), h = t tanh(h-) + e tanh(W x).
    """

    states = ("h",)
    gates = {"theta": "x+h", "eta": "x+h", "v": "x"}
    biased = ("theta", "eta")
    reference = "Laurent & von Brecht (2016), A recurrent neural network without chaos"

    def forward(z, prev):
        return dict(h=sigmoid(z.theta) * tanh(prev.h) + sigmoid(z.eta) * tanh(z.v))


class ATR(Cell):
    """Addition-subtraction twin-gated network: two matrices give two gates and the content.

    p = W x + b, q = U h-, i = s(p + q), f = s(p - q), h = i p + f h-. The paper writes no bias (``bias=False``).
    """

    states = ("h",)
    gates = {"p": "x", "q": "h"}
    biased = ("p",)
    reference = "Zhang, Xiong, Su, Lin & Zhang (2018), Simplifying neural machine translation with ATR"

    def forward(z, prev):
        return dict(h=sigmoid(z.p + z.q) * z.p + sigmoid(z.p - z.q) * prev.h)


class FastRNN(Cell):
    """RNN with a weighted residual connection: two more numbers than a plain RNN.

    h = s(alpha) tanh(W x + U h- + b) + s(beta) h-. alpha and beta are scalars; the paper keeps the two weights between
    0 and 1, its authors' code by the sigmoid (begin with alpha = -3, beta = 3). Some libraries use them as they are.
    """

    states = ("h",)
    gates = {"a": "x+h"}
    params = ("alpha", "beta")
    widths = {"alpha": 1, "beta": 1}
    reference = "Kusupati, Singh, Bhatia, Kumar, Jain & Varma (2018), FastGRNN"

    def forward(z, prev, p):
        return dict(h=sigmoid(p.alpha) * tanh(z.a) + sigmoid(p.beta) * prev.h)


class FastGRNN(Cell):
    """One product, two non-linearities: gate and candidate share W and U and differ by their biases.

    a = W x + U h-, u = s(a + b_z), n = tanh(a + b_h), h = (s(zeta) (1 - u) + s(nu)) n + u h-; zeta and nu are scalars.
    """

    states = ("h",)
    gates = {"a": "x+h"}
    biased = ()
    params = ("b_z", "b_h", "zeta", "nu")
    widths = {"zeta": 1, "nu": 1}
    reference = "Kusupati, Singh, Bhatia, Kumar, Jain & Varma (2018), FastGRNN"

    def forward(z, prev, p):
        u = sigmoid(z.a + p.b_z)
        return dict(h=(sigmoid(p.zeta) * (1 - u) + sigmoid(p.nu)) * tanh(z.a + p.b_h) + u * prev.h)


class MUT1(Cell):
    """First of the three cells found by mutation.

    u = s(W_u x + b_u), r = s(W_r x + U_r h- + b_r), h = u tanh(U_n (r h-) + tanh(V x) + b_n) + (1 - u) h-. The paper
    writes tanh(x) for tanh(V x), which needs I = H: set the rows of v in ``weight_x`` to the identity.
    """

    states = ("h",)
    gates = {"r": "x+h", "u": "x", "v": "x", "n": "rh"}
    biased = ("r", "u", "n")
    stages = (Stage("reset", gates=("r",), emits=("rh",)), Stage("update", gates=("u", "v", "n")))
    reference = "Jozefowicz, Zaremba & Sutskever (2015), An empirical exploration of recurrent network architectures"

    def forward_reset(z, prev):
        return dict(rh=sigmoid(z.r) * prev.h)

    def forward_update(z, prev):
        u = sigmoid(z.u)
        return dict(h=u * tanh(z.n + tanh(z.v)) + (1 - u) * prev.h)


class MUT2(Cell):
    """Second of the three cells found by mutation.

    u = s(W_u x + U_u h- + b_u), r = s(V x + U_r h- + b_r), h = u tanh(U_n (r h-) + W_n x + b_n) + (1 - u) h-. The
    paper writes x for V x, which needs I = H: set the rows of r in ``weight_x`` to the identity.
    """

    states = ("h",)
    gates = {"r": "x+h", "u": "x+h", "n": "x+rh"}
    stages = (Stage("reset", gates=("r",), emits=("rh",)), Stage("update", gates=("u", "n")))
    reference = MUT1.reference

    def forward_reset(z, prev):
        return dict(rh=sigmoid(z.r) * prev.h)

    def forward_update(z, prev):
        u = sigmoid(z.u)
        return dict(h=u * tanh(z.n) + (1 - u) * prev.h)


class MUT3(Cell):
    """Third of the three cells found by mutation: the update gate sees tanh(h-).

    u = s(W_u x + U_u tanh(h-) + b_u), r = s(W_r x + U_r h- + b_r), h = u tanh(U_n (r h-) + W_n x + b_n) + (1 - u) h-.
    """

    states = ("h",)
    gates = {"r": "x+h", "u": "x+th", "n": "x+rh"}
    stages = (Stage("reset", gates=("r",), emits=("rh", "th")), Stage("update", gates=("u", "n")))
    reference = MUT1.reference

    def forward_reset(z, prev):
        return dict(rh=sigmoid(z.r) * prev.h, th=tanh(prev.h))

    def forward_update(z, prev):
        u = sigmoid(z.u)
        return dict(h=u * tanh(z.n) + (1 - u) * prev.h)


class STAR(Cell):
    """Stackable recurrent cell.

    n = tanh(W_n x + b_n), k = s(W_k x + U_k h- + b_k), h = tanh((1 - k) h- + k n). One published code has the
    shift beta of `janet` in 1 - k; the paper, followed here, has one gate k on both terms.
    """

    states = ("h",)
    gates = {"k": "x+h", "n": "x"}
    reference = (
        "Turkoglu, D'Aronco, Wegner & Schindler (2021), Gating revisited: deep multi-layer RNNs that can be trained"
    )

    def forward(z, prev):
        k = sigmoid(z.k)
        return dict(h=tanh((1 - k) * prev.h + k * tanh(z.n)))


class SGRN(Cell):
    """Simple gated recurrent network: one product of x and one of h.

    f = s(W x + U h- + b), h = tanh((1 - f) (W x) + f h-).
    """

    states = ("h",)
    gates = {"p": "x", "q": "h"}
    biased = ("q",)
    reference = "Zu & Wei (2020), A simple gated recurrent network for detection of power quality disturbances"

    def forward(z, prev):
        f = sigmoid(z.p + z.q)
        return dict(h=tanh((1 - f) * z.p + f * prev.h))


class LightRU(Cell):
    """Light recurrent unit: the candidate does not see h.

    f = s(W_f x + U_f h- + b_f), h = (1 - f) h- + f tanh(W_n x). The paper's candidate has no bias.
    """

    states = ("h",)
    gates = {"f": "x+h", "n": "x"}
    biased = ("f",)
    reference = (
        "Ye et al. (2024), Light recurrent unit: towards an interpretable RNN for modeling long-range dependency"
    )

    def forward(z, prev):
        f = sigmoid(z.f)
        return dict(h=(1 - f) * prev.h + f * tanh(z.n))


class BRC(Cell):
    """Bistable recurrent cell: no unit sees another, hence no recurrent product.

    a = 1 + tanh(W_a x + w_a h-), c = s(W_c x + w_c h-), h = c h- + (1 - c) tanh(W x + a h-), w_a and w_c vectors. The
    paper writes no biases (``bias=False``); its code has those of a and c.
    """

    states = ("h",)
    gates = {"a": "x", "c": "x", "n": "x"}
    biased = ("a", "c")
    params = ("w_a", "w_c")
    reference = "Vecoven, Ernst & Drion (2021), A bio-inspired bistable recurrent cell allows for long-lasting memory"

    def forward(z, prev, p):
        a = 1 + tanh(z.a + p.w_a * prev.h)
        c = sigmoid(z.c + p.w_c * prev.h)
        return dict(h=c * prev.h + (1 - c) * tanh(z.n + a * prev.h))


class NBRC(Cell):
    """Recurrently neuromodulated bistable recurrent cell: as `brc`, with matrices in place of w_a and w_c.

    a = 1 + tanh(W_a x + U_a h-), c = s(W_c x + U_c h-), h = c h- + (1 - c) tanh(W x + a h-). RecurrentLayers.jl adds
    the input part twice and never sees h- in a and c.
    """

    states = ("h",)
    gates = {"a": "x+h", "c": "x+h", "n": "x"}
    biased = ("a", "c")
    reference = BRC.reference

    def forward(z, prev):
        a, c = 1 + tanh(z.a), sigmoid(z.c)
        return dict(h=c * prev.h + (1 - c) * tanh(z.n + a * prev.h))


class IntersectionRNN(Cell):
    """+RNN: gates in time and in depth; the output y mixes the raw input with a new value and does not recur.

    y = g_y x + (1 - g_y) relu(W_y x + U_y h- + b_y), h = g_h h- + (1 - g_h) tanh(W_h x + U_h h- + b_h), both gates
    sigmoids of x and h-. The width of y is `input_size`. RecurrentLayers.jl uses g_h where the paper has g_y.
    """

    name = "intersection_rnn"
    states = ("y", "h")
    gates = {"y_in": "x+h", "h_in": "x+h", "g_y": "x+h", "g_h": "x+h"}
    aux = ("x",)
    widths = {"y": "input_size", "y_in": "input_size", "g_y": "input_size"}
    reference = UGRNN.reference

    def forward(z, prev, u):
        g_y, g_h = sigmoid(z.g_y), sigmoid(z.g_h)
        y = g_y * u.x + (1 - g_y) * relu(z.y_in)
        return dict(y=y, h=g_h * prev.h + (1 - g_h) * tanh(z.h_in))
