"""Cells that discretise a differential equation.

A number which the paper fixes by hand (a step, a damping) is an option: ``pylstm.Recurrent("cornn", 8, 64, dt=0.01)``.
`cornn`, `unicornn` and so on return the cell with options of yours.
"""

from __future__ import annotations

from pylstm.cells import Cell, Stage, absolute, exp, relu, sigmoid, tanh, where

STEP, STRENGTH = (1e-6, 1), (0, 1000)
"""Legal steps, 0 < step <= 1 in the papers, and legal stiffness and damping, not below 0."""


class CoRNN(Cell):
    """Coupled oscillators, one implicit-explicit Euler step.

    v = v- + dt (tanh(W x + U y- + V v- + b) - gamma y- - epsilon v-), y = y- + dt v. Options dt = 0.1, gamma = 1,
    epsilon = 1. The damping is explicit, as in the paper's equation 3 with n-bar = n - 1.
    """

    name = "cornn"
    states = ("y", "v")
    gates = {"a": "x+y+v"}
    options = {"dt": 0.1, "gamma": 1.0, "epsilon": 1.0}
    domain = {"dt": STEP, "gamma": STRENGTH, "epsilon": STRENGTH}
    reference = "Rusch & Mishra (2021), Coupled oscillatory recurrent neural network (coRNN)"

    def forward(z, prev, o):
        v = prev.v + o.dt * (tanh(z.a) - o.gamma * prev.y - o.epsilon * prev.v)
        return dict(y=prev.y + o.dt * v, v=v)


def cornn(dt: float = 0.1, gamma: float = 1.0, epsilon: float = 1.0) -> type[Cell]:
    """The cell `CoRNN` with this step, frequency and damping."""
    return CoRNN.with_options(dt=dt, gamma=gamma, epsilon=epsilon)


class UnICORNN(Cell):
    """Undamped independent controlled oscillators: no recurrent product.

    v = v- - dt s(k) (tanh(w y- + W x + b) + alpha y-), y = y- + dt s(k) v; w and k are vectors. Options dt = 0.1,
    alpha = 1.
    """

    name = "unicornn"
    states = ("y", "v")
    gates = {"a": "x"}
    params = ("w", "k")
    options = {"dt": 0.1, "alpha": 1.0}
    domain = {"dt": STEP, "alpha": STRENGTH}
    reference = "Rusch & Mishra (2021), UnICORNN: a recurrent model for learning very long time dependencies"

    def forward(z, prev, p, o):
        step = o.dt * sigmoid(p.k)
        v = prev.v - step * (tanh(p.w * prev.y + z.a) + o.alpha * prev.y)
        return dict(y=prev.y + step * v, v=v)


def unicornn(dt: float = 0.1, alpha: float = 1.0) -> type[Cell]:
    """The cell `UnICORNN` with this step and stiffness."""
    return UnICORNN.with_options(dt=dt, alpha=alpha)


class LEM(Cell):
    """Long expressive memory: two states with time steps of their own.

    d1 = dt s(W_1 x + U_1 y- + b_1), d2 = dt s(W_2 x + U_2 y- + b_2),
    v = (1 - d1) v- + d1 tanh(W_v x + U_v y- + b_v),
    y = (1 - d2) y- + d2 tanh(W_y x + U_y v + b_y): y sees the new v. Option dt = 1.
    """

    name = "lem"
    states = ("y", "v")
    gates = {"d1": "x+y", "d2": "x+y", "a": "x+y", "n": "x+v_new"}
    stages = (Stage("memory", gates=("d1", "d2", "a"), emits=("v_new", "step")), Stage("hidden", gates=("n",)))
    options = {"dt": 1.0}
    domain = {"dt": STEP}
    reference = "Rusch, Mishra, Erichson & Mahoney (2022), Long expressive memory for sequence modeling"

    def forward_memory(z, prev, o):
        step = o.dt * sigmoid(z.d1)
        return dict(v_new=(1 - step) * prev.v + step * tanh(z.a), step=o.dt * sigmoid(z.d2))

    def forward_hidden(z, prev, e):
        return dict(y=(1 - e.step) * prev.y + e.step * tanh(z.n), v=e.v_new)


def lem(dt: float = 1.0) -> type[Cell]:
    """The cell `LEM` with this step."""
    return LEM.with_options(dt=dt)


class AntisymmetricRNN(Cell):
    """One Euler step of an equation whose Jacobian has eigenvalues near the imaginary axis.

    h = h- + epsilon tanh(W x + U h- + b), option epsilon = 0.1. The paper's U = M - M^T - gamma I is made outside the
    step: `pylstm_zoo.modifiers.antisymmetric_weight` gives U and the gradient of M.
    """

    name = "antisymmetric_rnn"
    states = ("h",)
    gates = {"a": "x+h"}
    options = {"epsilon": 0.1}
    domain = {"epsilon": STEP}
    reference = "Chang, Chen, Haber & Chi (2019), AntisymmetricRNN: a dynamical system view on recurrent networks"

    def forward(z, prev, o):
        return dict(h=prev.h + o.epsilon * tanh(z.a))


def antisymmetric(epsilon: float = 0.1) -> type[Cell]:
    """The cell `AntisymmetricRNN` with this step."""
    return AntisymmetricRNN.with_options(epsilon=epsilon)


class GatedAntisymmetricRNN(Cell):
    """As `antisymmetric_rnn`, with a gate that shares the recurrent product.

    q = U h-, h = h- + epsilon s(W_g x + q + b_g) tanh(W_a x + q + b_a); U, epsilon as in `antisymmetric_rnn`.
    """

    name = "gated_antisymmetric_rnn"
    states = ("h",)
    gates = {"g": "x", "a": "x", "q": "h"}
    biased = ("g", "a")
    options = {"epsilon": 0.1}
    domain = {"epsilon": STEP}
    reference = "Chang, Chen, Haber & Chi (2019), AntisymmetricRNN: a dynamical system view on recurrent networks"

    def forward(z, prev, o):
        return dict(h=prev.h + o.epsilon * sigmoid(z.g + z.q) * tanh(z.a + z.q))


def gated_antisymmetric(epsilon: float = 0.1) -> type[Cell]:
    """The cell `GatedAntisymmetricRNN` with this step."""
    return GatedAntisymmetricRNN.with_options(epsilon=epsilon)


class LipschitzRNN(Cell):
    """One Euler step of a linear part plus a Lipschitz one.

    h = h- + epsilon (A h- + tanh(W x + U h- + b)), option epsilon = 0.1. The paper builds A and U as
    (1 - beta) (M + M^T) + beta (M - M^T) - gamma I outside the step.
    """

    name = "lipschitz_rnn"
    states = ("h",)
    gates = {"linear": "h", "a": "x+h"}
    biased = ("a",)
    options = {"epsilon": 0.1}
    domain = {"epsilon": STEP}
    reference = "Erichson, Azencot, Queiruga, Hodgkinson & Mahoney (2021), Lipschitz recurrent neural networks"

    def forward(z, prev, o):
        return dict(h=prev.h + o.epsilon * (z.linear + tanh(z.a)))


def lipschitz(epsilon: float = 0.1) -> type[Cell]:
    """The cell `LipschitzRNN` with this step."""
    return LipschitzRNN.with_options(epsilon=epsilon)


class LeakyRNN(Cell):
    """Leaky integrator units, the rate learned per unit.

    h = (1 - r) h- + r tanh(W x + U h- + b), r = s(rate). The reservoirs of the paper have one fixed r.
    """

    name = "leaky_rnn"
    states = ("h",)
    gates = {"a": "x+h"}
    params = ("rate",)
    reference = (
        "Jaeger, Lukoševičius, Popovici & Siewert (2007), Optimization and applications of leaky-integrator neurons"
    )

    def forward(z, prev, p):
        r = sigmoid(p.rate)
        return dict(h=(1 - r) * prev.h + r * tanh(z.a))


class MomentumLSTM(Cell):
    """LSTM whose inputs have momentum: what x adds to a gate stays, less and less, for the steps after it.

    v = mu v- + step (W x) for each gate, z = v + U h- + b, then the LSTM. Options mu = 0.6, step = 0.6. The authors'
    code has a bias inside v, too.
    """

    name = "momentum_lstm"
    states = ("h", "c", "v_i", "v_f", "v_g", "v_o")
    gates = {f"{gate}_x": "x" for gate in "ifgo"} | {gate: "h" for gate in "ifgo"}
    biased = ("i", "f", "g", "o")
    options = {"mu": 0.6, "step": 0.6}
    domain = {"mu": (0, 1), "step": (0, 1)}
    reference = (
        "Nguyen, Baraniuk, Bertozzi, Osher & Wang (2020), MomentumRNN: integrating momentum into recurrent neural "
        "networks, arXiv:2006.06919"
    )

    def forward(z, prev, o):
        v_i, v_f = o.mu * prev.v_i + o.step * z.i_x, o.mu * prev.v_f + o.step * z.f_x
        v_g, v_o = o.mu * prev.v_g + o.step * z.g_x, o.mu * prev.v_o + o.step * z.o_x
        c = sigmoid(v_f + z.f) * prev.c + sigmoid(v_i + z.i) * tanh(v_g + z.g)
        return dict(h=sigmoid(v_o + z.o) * tanh(c), c=c, v_i=v_i, v_f=v_f, v_g=v_g, v_o=v_o)


class CTRNN(Cell):
    """Continuous-time RNN, one Euler step of the length dt (aux).

    v = v- + dt exp(-log_tau) (W x + U tanh(v-) + b - v-): tau v' = -v + U tanh(v) + W x + b.
    """

    name = "ct_rnn"
    states = ("v",)
    gates = {"a": "x+rate"}
    params = ("log_tau",)
    aux = ("dt",)
    domain = {"dt": (0, None)}
    stages = (Stage("fire", emits=("rate",)), Stage("move", gates=("a",)))
    reference = "Funahashi & Nakamura (1993), Approximation of dynamical systems by continuous time recurrent networks"

    def forward_fire(prev):
        return dict(rate=tanh(prev.v))

    def forward_move(z, prev, p, u):
        return dict(v=prev.v + u.dt * exp(-p.log_tau) * (z.a - prev.v))


class CfC(Cell):
    """Closed-form continuous-time cell: three heads on a backbone, dt (aux) the time since the last step.

    b = 1.7159 tanh(2/3 (W x + U h- + b_b)), s = sigmoid(-f dt), h = s tanh(g) + (1 - s) tanh(n), where f, g, n are
    linear in b. The library ncps gives f a second head as an offset: t = sigmoid(f_a dt + f_b); it and the authors'
    code write 0.666 for 2/3, which is LeCun's value (1.7159 tanh(2/3) = 1) and followed here. Size `backbone_size`:
    of b.
    """

    states = ("h",)
    gates = {"backbone": "x+h", "f": "b", "g": "b", "n": "b"}
    aux = ("dt",)
    domain = {"dt": (0, None)}
    sizes = {"backbone_size": "hidden_size"}
    widths = {"backbone": "backbone_size", "b": "backbone_size"}
    stages = (Stage("map", gates=("backbone",), emits=("b",)), Stage("heads", gates=("f", "g", "n")))
    reference = "Hasani, Lechner, Amini, Liebenwein et al. (2022), Closed-form continuous-time neural networks"

    def forward_map(z):
        return dict(b=1.7159 * tanh(2 / 3 * z.backbone))

    def forward_heads(z, u):
        s = sigmoid(-z.f * u.dt)
        return dict(h=s * tanh(z.g) + (1 - s) * tanh(z.n))


class LMU(Cell):
    """Legendre memory unit.

    s = e_x x + e_h h- + e_m m- (one number), m = A m- + B s, h = tanh(W x + U h- + V m). Size `memory_size`: of m.
    A and B are constants in the paper: `pylstm_zoo.modifiers.legendre` computes them; put them into the rows of
    `linear` in ``weight_m`` and into ``B``, and zero their gradients. Recent versions of keras-lmu leave e_h, e_m out.
    """

    states = ("h", "m")
    gates = {"s": "x+h+m", "linear": "m", "a": "x+h+m_new"}
    biased = ()
    params = ("B",)
    sizes = {"memory_size": "hidden_size"}
    widths = {"m": "memory_size", "m_new": "memory_size", "linear": "memory_size", "B": "memory_size", "s": 1}
    stages = (Stage("memory", gates=("s", "linear"), emits=("m_new",)), Stage("hidden", gates=("a",)))
    reference = "Voelker, Kajić & Eliasmith (2019), Legendre memory units"

    def forward_memory(z, p):
        return dict(m_new=z.linear + p.B * z.s)

    def forward_hidden(z, e):
        return dict(h=tanh(z.a), m=e.m_new)


def modrelu(a, b):
    """sign(a) relu(|a| + b)."""
    return where(a < 0, -1.0, 1.0) * relu(absolute(a) + b)


class ModReLURNN(Cell):
    """RNN with the activation of the unitary networks, for an orthogonal U.

    h = sign(a) relu(|a| + beta), a = W x + U h-. U is made orthogonal outside the step (Cayley transform, exponential).
    """

    name = "modrelu_rnn"
    states = ("h",)
    gates = {"a": "x+h"}
    biased = ()
    params = ("beta",)
    reference = "Arjovsky, Shah & Bengio (2016), Unitary evolution RNNs; Helfrich, Willmott & Ye (2018), scoRNN"

    def forward(z, p):
        return dict(h=modrelu(z.a, p.beta))


class GORU(Cell):
    """Gated orthogonal recurrent unit: a GRU, reset after the product, with modReLU; U_n orthogonal outside the step.

    r = s(W_r x + U_r h- + b_r), u = s(W_u x + U_u h- + b_u), h = u h- + (1 - u) modrelu(W_n x + r (U_n h-), beta).
    One published code adds 0.001 to the modulus inside modReLU against a division by 0; the paper, followed here, does
    not, and the real modReLU needs none: it is sign(a) relu(|a| + beta).
    """

    states = ("h",)
    gates = {"r": "x+h", "u": "x+h", "m": "h", "n": "x"}
    biased = ("r", "u")
    params = ("beta",)
    reference = "Jing, Gulcehre, Peurifoy, Shen, Tegmark, Soljačić & Bengio (2019), Gated orthogonal recurrent units"

    def forward(z, prev, p):
        u = sigmoid(z.u)
        return dict(h=u * prev.h + (1 - u) * modrelu(z.n + sigmoid(z.r) * z.m, p.beta))
