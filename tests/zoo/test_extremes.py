"""Every cell of the zoo for pre-activations of any size: the papers' formulas in 60 digits, from zeros and resets.

The steps are those of `papers_*.py`, run on numbers of mpmath in place of NumPy's: exp(1e4) is a number there.
"""

import warnings
from pathlib import Path
from types import SimpleNamespace

import mpmath
import numpy as np
import pylstm_zoo
import pytest

import pylstm

pytestmark = pytest.mark.once

CELLS = {cell.name: cell for cell in pylstm_zoo.CELLS}
T, B, I, H = 5, 4, 2, 3
CUT = 2
SCALES = (1e2, 1e3, 1e4)
DIGITS = 60
mp = mpmath.mp.clone()
mp.dps = DIGITS
number = np.frompyfunc(lambda v: v if isinstance(v, mp.mpf) else mp.mpf(float(v)), 1, 1)
FUNCTIONS = {name: np.frompyfunc(getattr(mp, name), 1, 1) for name in ("exp", "log", "sqrt", "tanh", "sign")}
FUNCTIONS |= {"abs": np.abs, "maximum": np.frompyfunc(max, 2, 1), "e": mp.e, "pi": mp.pi}
FUNCTIONS |= {name: np.frompyfunc(lambda v, part=name: getattr(v, part), 1, 1) for name in ("real", "imag")}
FUNCTIONS |= {name: getattr(np, name) for name in ("arange", "concatenate", "cumsum", "mean", "where")}
GAUGED = {"slstm": ("c", "n", "m"), "rwkv4": ("a", "b", "m"), "mlstm": ("S", "n", "m")}
"""Sum, normaliser and running maximum, which may be any: only the sums times exp(maximum) are those of the paper."""


def lru(L, p, x, s, u):
    """As in `papers_flows`, without complex numbers."""
    size = [mp.exp(-mp.exp(nu)) for nu in p.nu]
    a = np.array([r * mp.cos(mp.exp(theta)) for r, theta in zip(size, p.theta)])
    b = np.array([r * mp.sin(mp.exp(theta)) for r, theta in zip(size, p.theta)])
    gamma = np.array([mp.sqrt(1 - r**2) for r in size])
    re = a * s.re - b * s.im + gamma * L("b_re", x=x)
    im = a * s.im + b * s.re + gamma * L("b_im", x=x)
    return dict(y=L("out", x=x, s_re=re, s_im=im), re=re, im=im)


STEPS = {}
for file in sorted(Path(__file__).parent.glob("papers_*.py")):
    lines = [line for line in file.read_text().splitlines() if not line.startswith("from numpy import")]
    space = dict(FUNCTIONS)
    exec(compile("\n".join(lines), str(file), "exec"), space)
    STEPS |= {name: step for name, step in space.items() if name in CELLS}
STEPS["lru"] = lru


def drawn(name, scale, dtype):
    """A layer and inputs that are exact in float32; pre-activations up to 1.5 `scale`, of either sign."""
    random = np.random.default_rng(len(name) + int(scale))
    cell = CELLS[name]
    sizes = {key: 4 + k for k, key in enumerate(cell.contract.sizes)}
    layer = pylstm.Recurrent(cell, input_size=I, hidden_size=H, dtype=dtype, seed=1, **sizes)
    fixed = {each: layer.params[each].copy() for each in layer.params.constants}
    layer.params.flat[:] = random.choice([-0.75, -0.5, -0.25, 0.25, 0.5, 0.75], layer.params.size)
    for each, values in fixed.items():
        layer.params[each][...] = values
    x = (scale * np.array([1.0, 0.3125]) * random.choice([-1.0, 1.0], (T, B, I))).astype(dtype)
    shapes = {key: (T, B, layer.widths[key]) for key in cell.aux if key != "x"}
    aux = {key: random.choice([0.25, 0.5, 1.25], shape).astype(dtype) for key, shape in shapes.items()}
    reset = np.zeros((T, B), bool)
    reset[CUT, ::2] = True
    return layer, x, aux, reset


class Linear:
    """L(gate, source=vector, ...) of a layer, in numbers of mpmath."""

    def __init__(self, layer):
        contract, self.maps, self.bias = layer.cell.contract, {}, {}
        for kind in (*contract.sources, "bias"):
            gates = contract.biased if kind == "bias" else contract.gates_of(kind)
            rows = np.cumsum([0] + [layer.widths[gate] for gate in gates])
            matrix = number(layer.params["bias"] if kind == "bias" else layer.matrix(kind)) if gates else None
            for gate, first, last in zip(gates, rows, rows[1:]):
                (self.bias if kind == "bias" else self.maps)[gate, kind] = matrix[first:last]

    def __call__(self, gate, **sources):
        products = [self.maps[gate, source] @ vector for source, vector in sources.items()]
        return sum(products) + self.bias.get((gate, "bias"), 0)


def of_paper(name, layer, x, aux, reset):
    """State -> (T, B, width) of mpmath numbers; `true`: what has no running maximum."""
    linear, params = Linear(layer), SimpleNamespace(**{n: number(layer.params[n]) for n in layer.cell.contract.params})
    out = {}
    for row in range(x.shape[1]):
        for t in range(len(x)):
            if t == 0 or reset[t, row]:
                states = {state: number(np.zeros(layer.widths[state])) for state in layer.cell.contract.states}
            u = SimpleNamespace(**{key: number(value[t, row]) for key, value in aux.items()})
            states = STEPS[name](linear, params, number(x[t, row]), SimpleNamespace(**states), u)
            for state, value in states.items():
                out[state, t, row] = value
    return out


def expected_of(name, layer, x, aux, reset):
    """Pairs of what the run has and what the paper says, both of shape (T, B, width)."""
    found = of_paper(name, layer, x, aux, reset)
    gauge = GAUGED.get(name, ())

    def collect(get):
        rows = [[get(found, t, row) for row in range(x.shape[1])] for t in range(len(x))]
        return np.array([[[float(v) for v in each] for each in step] for step in rows])

    pairs = [(lambda run, s=s: run.states[s][1:], collect(lambda f, t, row, s=s: f[s, t, row]))
             for s in layer.cell.contract.states if s not in gauge]  # fmt: skip
    if gauge and name != "mlstm":  # whose sums are matrices: its h says enough
        c, n, m = gauge
        pairs.append((lambda run: run.states[c][1:] / run.states[n][1:],
                      collect(lambda f, t, row: f["true", t, row][0] / f["true", t, row][1])))  # fmt: skip
        pairs.append((lambda run: np.log(run.states[n][1:]) + run.states[m][1:],
                      collect(lambda f, t, row: FUNCTIONS["log"](f["true", t, row][1]))))  # fmt: skip
    return pairs


TOLERANCE = {"float32": 1e-4, "float64": 1e-11}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", CELLS)
def test_the_limit_of_the_formula(name, scale, dtype):
    layer, x, aux, reset = drawn(name, scale, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = layer(x, aux=aux or None, reset=reset)
        for got, expected in expected_of(name, layer, x, aux, reset):
            size = max(1, np.abs(expected).max())
            np.testing.assert_allclose(got(run), expected, rtol=0, atol=TOLERANCE[dtype] * size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", CELLS)
def test_gradients_are_finite(name, scale, dtype):
    layer, x, aux, reset = drawn(name, scale, dtype)
    run = layer(x, aux=aux or None, reset=reset)
    grads = run.backward(np.random.default_rng(1).uniform(-1, 1, run.y.shape).astype(dtype))
    for key, value in {"x": grads.x, **grads.initial, **grads.params}.items():
        assert np.isfinite(value).all(), key


@pytest.mark.parametrize("scale", [1.0, *SCALES])
@pytest.mark.parametrize("name", ["slstm", "rwkv4", "minlstm", "rg_lru"])
def test_gradients_are_those_of_the_formula(name, scale):
    """Against differences in 60 digits, whose step of 1e-25 leaves nothing to round."""
    layer, x, aux, reset = drawn(name, scale, "float64")
    x, reset = x[:, :1], reset[:, :1]
    run = layer(x, reset=reset)
    dy = np.random.default_rng(1).uniform(0.2, 1, run.y.shape)
    got, step = run.backward(dy).x, mp.mpf("1e-25")

    def loss(x):
        found = of_paper(name, layer, x, aux, reset)
        return sum((number(dy[t, 0]) * found[layer.cell.states[0], t, 0]).sum() for t in range(T))

    for at in np.ndindex(x.shape):
        ends = []
        for sign in (1, -1):
            moved = number(x)
            moved[at] += sign * step
            ends.append(loss(moved))
        expected = float((ends[0] - ends[1]) / (2 * step))
        assert got[at] == pytest.approx(expected, rel=1e-9, abs=1e-11), at
    assert scale > 1 or np.abs(got).min() > 1e-4


SATURATED = {
    "slstm": (dict(i=-1e4, f=0.5, g=0.7, o=0.2), 0.3323019),
    "rwkv4": (dict(k=-1e4, r=0.2, v=0.5), 0.2749170),
    "minlstm": (dict(f=-1e4, i=-1e4, n=0.9), 0.45),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SATURATED)
def test_the_first_step_of_saturated_gates(name, dtype):
    """One unit whose pre-activations are these: the examples of the reports."""
    gates, expected = SATURATED[name]
    layer = pylstm.Recurrent(name, input_size=len(gates), hidden_size=1, dtype=dtype, seed=0)
    layer.params.flat[:] = 0.25
    for row, gate in enumerate(layer.cell.contract.gates_of("x")):
        layer.params["weight_x"][row] = np.array([gate == each for each in gates])
    if layer.cell.contract.biased:
        layer.params["bias"][:] = 0
    x = np.array([[list(gates.values())]] * 2, dtype)
    reset = np.array([[False], [True]])
    for run in (layer(x[:1]), layer(x, reset=reset)):
        np.testing.assert_allclose(run.y[-1, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("f", "i"), [(0.0, -17.0), (10.0, -10.0), (-17.0, 0.0), (-10.0, 10.0), (40.0, -30.0)])
def test_a_small_share_keeps_its_digits(f, i, dtype):
    """Of minlstm: h = (f h- + i n) / (f + i), where one of both gates is far below the other: its term alone."""
    layer = pylstm.Recurrent("minlstm", 3, 1, dtype=dtype, seed=0)
    layer.params.flat[:] = 0
    layer.params["weight_x"] = np.eye(3, dtype=dtype)
    n, state = (0.75, 0.0) if i < f else (0.0, 0.75)
    run = layer(np.array([[f, i, n]], dtype), {"h": np.full(1, state, dtype)})
    grads = run.backward(np.ones_like(run.y))
    sf, si = (1 / (1 + mp.exp(-mp.mpf(each))) for each in (f, i))
    by_ratio = (n - state) * sf * si / (sf + si) ** 2
    expected = [(sf * state + si * n) / (sf + si), -by_ratio * (1 - sf), by_ratio * (1 - si), si / (sf + si)]
    got = [run.y[0, 0], *grads.x[0], grads.initial["h"][0]]
    rtol = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(got, [float(each) for each in [*expected, sf / (sf + si)]], rtol=rtol)


@pytest.mark.parametrize("name", ["slstm", "rwkv4", "minlstm", "rg_lru"])
def test_they_are_certified(name):
    assert pylstm.certify(CELLS[name]).ok


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["lif", "alif", "snu"])
def test_spikes_of_what_is_not_a_number_are_none(name, dtype):
    """NaN goes through, in its own row, where a comparison alone would make a 0 of it; infinities do not."""
    x = np.ones((T, B, I), dtype)
    x[2, 1], x[:, 2], x[:, 3] = np.nan, np.inf, -np.inf
    layer = pylstm.Recurrent(name, I, H, dtype=dtype, seed=0)
    layer.params["weight_x"][...] = 1
    layer.params["weight_" + layer.cell.states[0]][...] = 0
    y = layer(x).y
    assert np.isnan(y[2:, 1]).all() and np.isfinite(y[:2, 1]).all() and np.isfinite(y[:, 0]).all()
    assert (y[0, 2] == 1).all() and (y[0, 3] == 0).all()
