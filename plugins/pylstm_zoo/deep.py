"""Cells with several dependent products in one step, or with products of pre-activations."""

from __future__ import annotations

from pylstm.cells import Cell, Stage, relu, sigmoid, tanh


class LSTM1997(Cell):
    """The original LSTM: no forget gate, logistic functions scaled to [-2, 2] and [-1, 1].

    i = s(z_i), o = s(z_o), c = c- + i (4 s(z_g) - 2), h = o (2 s(c) - 1); 4 s(x) - 2 = 2 tanh(x / 2). Libraries have
    plain tanh instead.
    """

    name = "lstm_1997"
    states = ("h", "c")
    gates = {"i": "x+h", "g": "x+h", "o": "x+h"}
    reference = "Hochreiter & Schmidhuber (1997), Long short-term memory"

    def forward(z, prev):
        c = prev.c + sigmoid(z.i) * (2 * tanh(0.5 * z.g))
        return dict(h=sigmoid(z.o) * tanh(0.5 * c), c=c)


class LSTMP(Cell):
    """LSTM with a recurrent projection, as PyTorch (``proj_size``) and oneDNN have it: h = P (o tanh(c)), no peepholes.

    Size `proj_size`: of h; must be given.
    """

    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h", "p": "m"}
    biased = ("i", "f", "g", "o")
    sizes = {"proj_size": None}
    widths = {"h": "proj_size", "p": "proj_size"}
    stages = (Stage("cell", gates=("i", "f", "g", "o"), emits=("m", "c_new")), Stage("project", gates=("p",)))
    reference = (
        "Sak, Senior & Beaufays (2014), Long short-term memory recurrent network architectures, without peepholes"
    )

    def forward_cell(z, prev):
        c = sigmoid(z.f) * prev.c + sigmoid(z.i) * tanh(z.g)
        return dict(m=sigmoid(z.o) * tanh(c), c_new=c)

    def forward_project(z, e):
        return dict(h=z.p, c=e.c_new)


class LSTMPPeephole(Cell):
    """LSTM with a recurrent projection as published: `lstmp` with peepholes (i and f see c-, o sees c)."""

    name = "lstmp_peephole"
    states = ("h", "c")
    gates = LSTMP.gates
    biased = LSTMP.biased
    params = ("p_i", "p_f", "p_o")
    sizes = {"proj_size": None}
    widths = LSTMP.widths
    stages = LSTMP.stages
    reference = "Sak, Senior & Beaufays (2014), Long short-term memory recurrent neural network architectures"

    def forward_cell(z, prev, p):
        f = sigmoid(z.f + p.p_f * prev.c)
        c = f * prev.c + sigmoid(z.i + p.p_i * prev.c) * tanh(z.g)
        return dict(m=sigmoid(z.o + p.p_o * c) * tanh(c), c_new=c)

    def forward_project(z, e):
        return dict(h=z.p, c=e.c_new)


class ResLSTM(Cell):
    """Residual LSTM: h = o (P tanh(c) + V x), the shortcut from the input inside the output gate.

    i = s(z_i + p_i c-), f = s(z_f + p_f c-), c = f c- + i tanh(z_g), o = s(z_o + p_o c). The paper has x for V x where
    the widths agree.
    """

    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h", "m": "x+r"}
    biased = ("i", "f", "g", "o")
    params = ("p_i", "p_f", "p_o")
    stages = (Stage("cell", gates=("i", "f", "g", "o"), emits=("r", "c_new", "o_new")), Stage("out", gates=("m",)))
    reference = "Kim, El-Khamy & Lee (2017), Residual LSTM: design of a deep recurrent architecture"

    def forward_cell(z, prev, p):
        f = sigmoid(z.f + p.p_f * prev.c)
        c = f * prev.c + sigmoid(z.i + p.p_i * prev.c) * tanh(z.g)
        return dict(r=tanh(c), c_new=c, o_new=sigmoid(z.o + p.p_o * c))

    def forward_out(z, e):
        return dict(h=e.o_new * z.m, c=e.c_new)


class WMCLSTM(Cell):
    """Working memory connections: the gates see the cell through a matrix and a tanh, in place of peepholes.

    i = s(z_i + tanh(M_i c-)), f = s(z_f + tanh(M_f c-)), c = f c- + i tanh(z_g), o = s(z_o + tanh(M_o c)),
    h = o tanh(c).
    """

    name = "wmc_lstm"
    states = ("h", "c")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h", "m_i": "c", "m_f": "c", "m_o": "c_new"}
    biased = ("i", "f", "g", "o")
    stages = (Stage("cell", gates=("i", "f", "g", "m_i", "m_f"), emits=("c_new",)), Stage("out", gates=("o", "m_o")))
    reference = "Landi, Baraldi, Cornia & Cucchiara (2021), Working memory connections for LSTM"

    def forward_cell(z, prev):
        f = sigmoid(z.f + tanh(z.m_f))
        return dict(c_new=f * prev.c + sigmoid(z.i + tanh(z.m_i)) * tanh(z.g))

    def forward_out(z, e):
        return dict(h=sigmoid(z.o + tanh(z.m_o)) * tanh(e.c_new), c=e.c_new)


class NestedLSTM(Cell):
    """Nested LSTM: the cell state is computed by an inner LSTM with the memory n.

    a = i tanh(z_g) is the inner input and b = f c- the inner hidden state; inner gates see both:
    n = f2 n- + i2 tanh(z_g2), c = o2 tanh(n), h = o tanh(c). A well-known implementation takes the identity for the
    outer tanh(z_g); the paper, followed here, has the block input of an LSTM in both.
    """

    name = "nested_lstm"
    states = ("h", "c", "n")
    gates = {"i": "x+h", "f": "x+h", "g": "x+h", "o": "x+h", "i2": "a+b", "f2": "a+b", "g2": "a+b", "o2": "a+b"}
    stages = (
        Stage("outer", gates=("i", "f", "g"), emits=("a", "b")),
        Stage("inner", gates=("o", "i2", "f2", "g2", "o2")),
    )
    reference = "Moniz & Krueger (2017), Nested LSTMs"

    def forward_outer(z, prev):
        return dict(a=sigmoid(z.i) * tanh(z.g), b=sigmoid(z.f) * prev.c)

    def forward_inner(z, prev):
        n = sigmoid(z.f2) * prev.n + sigmoid(z.i2) * tanh(z.g2)
        c = sigmoid(z.o2) * tanh(n)
        return dict(h=sigmoid(z.o) * tanh(c), c=c, n=n)


class MultiplicativeLSTM(Cell):
    """Multiplicative LSTM (in other libraries mLSTM): the gates see m = (W_m x) (U_m h-) in place of h-.

    The LSTM equations with z = W x + V m + b.
    """

    name = "multiplicative_lstm"
    states = ("h", "c")
    gates = {"m_x": "x", "m_h": "h", "i": "x+m", "f": "x+m", "g": "x+m", "o": "x+m"}
    biased = ("i", "f", "g", "o")
    stages = (Stage("mix", gates=("m_x", "m_h"), emits=("m",)), Stage("cell", gates=("i", "f", "g", "o")))
    reference = "Krause, Lu, Murray & Renals (2016), Multiplicative LSTM for sequence modelling"

    def forward_mix(z):
        return dict(m=z.m_x * z.m_h)

    def forward_cell(z, prev):
        c = sigmoid(z.f) * prev.c + sigmoid(z.i) * tanh(z.g)
        return dict(h=sigmoid(z.o) * tanh(c), c=c)


class MultiplicativeRNN(Cell):
    """Multiplicative RNN: m = (W_m x) (U_m h-), h = tanh(W x + V m + b)."""

    name = "multiplicative_rnn"
    states = ("h",)
    gates = {"m_x": "x", "m_h": "h", "a": "x+m"}
    biased = ("a",)
    stages = (Stage("mix", gates=("m_x", "m_h"), emits=("m",)), Stage("update", gates=("a",)))
    reference = "Sutskever, Martens & Hinton (2011), Generating text with recurrent neural networks"

    def forward_mix(z):
        return dict(m=z.m_x * z.m_h)

    def forward_update(z):
        return dict(h=tanh(z.a))


MI = "Wu, Zhang, Zhang, Bengio & Salakhutdinov (2016), On multiplicative integration with recurrent neural networks"


class MIRNN(Cell):
    """RNN with multiplicative integration: h = tanh(alpha (W x) (U h-) + beta_x (W x) + beta_h (U h-) + b)."""

    name = "mi_rnn"
    states = ("h",)
    gates = {"a_x": "x", "a_h": "h"}
    biased = ()
    params = ("alpha", "beta_x", "beta_h", "b")
    reference = MI

    def forward(z, p):
        return dict(h=tanh(p.alpha * z.a_x * z.a_h + p.beta_x * z.a_x + p.beta_h * z.a_h + p.b))


class MILSTM(Cell):
    """LSTM whose four pre-activations are those of `mi_rnn`, each with its own alpha, beta_x, beta_h, b."""

    name = "mi_lstm"
    states = ("h", "c")
    gates = {f"{gate}_{source}": source for gate in "ifgo" for source in "xh"}
    biased = ()
    params = tuple(f"{kind}_{gate}" for gate in "ifgo" for kind in ("alpha", "beta_x", "beta_h", "b"))
    reference = MI

    def forward(z, prev, p):
        def mixed(gate):
            x, h = getattr(z, f"{gate}_x"), getattr(z, f"{gate}_h")
            alpha, beta_x, beta_h, b = (getattr(p, f"{kind}_{gate}") for kind in ("alpha", "beta_x", "beta_h", "b"))
            return alpha * x * h + beta_x * x + beta_h * h + b

        c = sigmoid(mixed("f")) * prev.c + sigmoid(mixed("i")) * tanh(mixed("g"))
        return dict(h=sigmoid(mixed("o")) * tanh(c), c=c)


class NAS(Cell):
    """The cell that was found by architecture search: a tree of eight products, as in the authors' TensorFlow code.

    a_k = W_k x, b_k = U_k h-; six pairs are added, pair 3 is multiplied; see the formula. It has no biases.
    """

    states = ("h", "c")
    gates = {**{f"a{k}": "x+h" for k in (0, 1, 2, 4, 5, 6, 7)}, "x3": "x", "h3": "h"}
    biased = ()
    reference = "Zoph & Le (2017), Neural architecture search with reinforcement learning"

    def forward(z, prev):
        left = tanh(tanh(sigmoid(z.a0) * relu(z.a1)) + prev.c)
        right = tanh(sigmoid(z.a2) + relu(z.x3 * z.h3))
        c = left * right
        out = tanh(tanh(tanh(z.a4) * sigmoid(z.a5)) + sigmoid(tanh(z.a6) + sigmoid(z.a7)))
        return dict(h=tanh(c * out), c=c)


def rhn(depth: int) -> type[Cell]:
    """Recurrent highway network of `depth` layers per step, carry gate 1 - t.

    Parameters
    ----------
    depth : int
        At least 2. The first layer sees x and the state, the others the layer before.
    """
    layers = range(1, depth + 1)

    def layer(k):
        def forward(z, prev, e):
            before = prev.s if k == 1 else getattr(e, f"s{k - 1}")
            t = sigmoid(getattr(z, f"t{k}"))
            s = tanh(getattr(z, f"n{k}")) * t + before * (1 - t)
            return {"s" if k == depth else f"s{k}": s}

        return forward

    body = {
        "__doc__": f"""Recurrent highway network, {depth} layers per step (`rhn` makes others).

        s_0 = s-, s_l = tanh(z_n) t + s_(l-1) (1 - t), t = s(z_t); z sees x in the first layer only. The variant of the
        paper with the coupled carry gate c = 1 - t.
        """,
        "__module__": __name__,
        "name": f"rhn{depth}",
        "states": ("s",),
        "gates": {f"{kind}{k}": "x+s" if k == 1 else f"s{k - 1}" for k in layers for kind in "nt"},
        "stages": tuple(Stage(f"layer{k}", (f"n{k}", f"t{k}"), (f"s{k}",) if k < depth else ()) for k in layers),
        "reference": "Zilly, Srivastava, Koutník & Schmidhuber (2017), Recurrent highway networks",
        **{f"forward_layer{k}": layer(k) for k in layers},
    }
    return type(f"RHN{depth}", (Cell,), body)


RHN2, RHN3 = rhn(2), rhn(3)


class MogrifierLSTM(Cell):
    """Mogrifier LSTM, 5 rounds: x and h- scale each other before the LSTM sees them.

    x1 = 2 s(Q1 h-) x, h2 = 2 s(R2 x1) h-, x3 = 2 s(Q3 h2) x1, h4 = 2 s(R4 x3) h2, x5 = 2 s(Q5 h4) x3, then the LSTM of
    x5 and h4. Q and R have full rank, and no bias, as in the equations of the paper; the authors' published code
    adds biases to both.
    """

    name = "mogrifier_lstm"
    states = ("h", "c")
    gates = {"q1": "h", "r2": "x1", "q3": "h2", "r4": "x3", "q5": "h4", **{gate: "x5+h4" for gate in "ifgo"}}
    biased = ("i", "f", "g", "o")
    aux = ("x",)
    widths = {name: "input_size" for name in ("q1", "x1", "q3", "x3", "q5", "x5")}
    stages = (
        *(
            Stage(out, (gate,), (out,))
            for gate, out in zip(("q1", "r2", "q3", "r4", "q5"), ("x1", "h2", "x3", "h4", "x5"))
        ),
        Stage("cell", gates=("i", "f", "g", "o")),
    )
    reference = "Melis, Kočiský & Blunsom (2020), Mogrifier LSTM"

    def forward_x1(z, u):
        return dict(x1=2 * sigmoid(z.q1) * u.x)

    def forward_h2(z, prev):
        return dict(h2=2 * sigmoid(z.r2) * prev.h)

    def forward_x3(z, e):
        return dict(x3=2 * sigmoid(z.q3) * e.x1)

    def forward_h4(z, e):
        return dict(h4=2 * sigmoid(z.r4) * e.h2)

    def forward_x5(z, e):
        return dict(x5=2 * sigmoid(z.q5) * e.x3)

    def forward_cell(z, prev):
        c = sigmoid(z.f) * prev.c + sigmoid(z.i) * tanh(z.g)
        return dict(h=sigmoid(z.o) * tanh(c), c=c)


class SCRN(Cell):
    """Structurally constrained network: a slow context s beside the hidden units.

    s = 0.05 B x + 0.95 s-, h = sigmoid(P s + A x + R h-), no biases; size `context_size`: of s. The output of the
    paper, f(U h + V s), is a head on both states.
    """

    states = ("h", "s")
    gates = {"slow": "x", "a": "x+h+s_new"}
    biased = ()
    sizes = {"context_size": "hidden_size"}
    widths = {"s": "context_size", "slow": "context_size", "s_new": "context_size"}
    stages = (Stage("context", gates=("slow",), emits=("s_new",)), Stage("hidden", gates=("a",)))
    reference = "Mikolov, Joulin, Chopra, Mathieu & Ranzato (2014), Learning longer memory in recurrent neural networks"

    def forward_context(z, prev):
        return dict(s_new=0.05 * z.slow + 0.95 * prev.s)

    def forward_hidden(z, e):
        return dict(h=sigmoid(z.a), s=e.s_new)


class JordanRNN(Cell):
    """Jordan network: what recurs is the output, y = sigmoid(V h + b_y), h = sigmoid(W x + U y- + b_h).

    Size `y_size`: of y.
    """

    name = "jordan_rnn"
    states = ("y", "h")
    gates = {"a": "x+y", "out": "h_new"}
    sizes = {"y_size": "hidden_size"}
    widths = {"y": "y_size", "out": "y_size"}
    stages = (Stage("hidden", gates=("a",), emits=("h_new",)), Stage("out", gates=("out",)))
    reference = "Jordan (1986), Serial order: a parallel distributed processing approach"

    def forward_hidden(z):
        return dict(h_new=sigmoid(z.a))

    def forward_out(z, e):
        return dict(y=sigmoid(z.out), h=e.h_new)


class DeepTransitionRNN(Cell):
    """Deep transition: two layers between one state and the next, h = tanh(V tanh(W x + U h- + b_1) + b_2)."""

    name = "deep_transition_rnn"
    states = ("h",)
    gates = {"a": "x+h", "b": "mid"}
    stages = (Stage("first", gates=("a",), emits=("mid",)), Stage("second", gates=("b",)))
    reference = "Pascanu, Gulcehre, Cho & Bengio (2014), How to construct deep recurrent neural networks"

    def forward_first(z):
        return dict(mid=tanh(z.a))

    def forward_second(z):
        return dict(h=tanh(z.b))
