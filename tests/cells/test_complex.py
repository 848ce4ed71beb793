"""Complex values of formulas: pairs of blocks, arithmetic on pairs, exact gradients."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, FormulaError, Stage, abs2, certify, conj, cos, derive, exp, lag, sin, sqrt, tanh, where
from pylstm.scaffold import source


class Rotation(Cell):
    """LRU (Orvieto et al. 2023): s = lam s- + sqrt(1 - |lam|^2) B x, h = Re(C s) + D x."""

    states = ("h", "s")
    complex = ("s", "new", "u")
    gates = {"u": "x", "y": "new+x"}
    biased = ()
    params = ("nu", "theta")
    sizes = {"modes": 4}
    widths = dict.fromkeys(("s", "new", "u", "nu", "theta"), "modes")
    initial_values = {"nu": -1.0, "theta": 0.5}
    stages = (Stage("turn", gates=("u",), emits=("new",)), Stage("read", gates=("y",)))

    def forward_turn(z, prev, p):
        lam = exp(-exp(p.nu) + 1j * exp(p.theta))
        return {"new": lam * prev.s + sqrt(1 - abs2(lam)) * z.u}

    def forward_read(z, e):
        return {"h": z.y, "s": e.new}


class ByHand(Cell):
    states = ("h", "s_re", "s_im")
    gates = {"u_re": "x", "u_im": "x", "y": "new_re+new_im+x"}
    biased = ()
    params = ("nu", "theta")
    sizes = {"modes": 4}
    widths = dict.fromkeys(("s_re", "s_im", "new_re", "new_im", "u_re", "u_im", "nu", "theta"), "modes")
    stages = (
        Stage("turn", gates=("u_re", "u_im"), emits=("new_re", "new_im")),
        Stage("read", gates=("y",)),
    )

    def forward_turn(z, prev, p):
        size = exp(-exp(p.nu))
        re, im = size * cos(exp(p.theta)), size * sin(exp(p.theta))
        scale = sqrt(1 - (re * re + im * im))
        new_re = re * prev.s_re - im * prev.s_im + scale * z.u_re
        return {"new_re": new_re, "new_im": re * prev.s_im + im * prev.s_re + scale * z.u_im}

    def forward_read(z, e):
        return {"h": z.y, "s_re": e.new_re, "s_im": e.new_im}


def turns(size):
    return np.exp(1j * np.arange(size.hidden_size))


class Everything(Cell):
    """Every operation, complex states of two steps ago, a complex constant, complex aux."""

    states = ("h", "s")
    complex = ("s", "a", "q", "w")
    gates = {"a": "x+h+s", "g": "x+lag(s, 2)"}
    params = ("q",)
    constants = {"w": turns}

    def forward(z, prev, p):
        turned = (p.q * prev.s - 2j + p.w) / (3 + conj(z.a) * z.a + abs(p.q)) + lag("s", 3).conj() * 0.3
        s = (turned**2 - z.g * turned + 1j * z.g) * 0.3 - exp(0.2j * z.g) + exp(z.a * 0.1) / 4 + turned**-1 * 0
        s = where(z.g > 0, s, 0.5j * s)
        s = s / (1 + abs2(s)) + (z.g + (0.1 - 0.2j)) - (1 - s) * np.complex128(0.1j) + +s * np.float64(0.1)
        return {"h": tanh(s.real - 0.5 * s.imag) + abs(s), "s": -s}


def test_blocks():
    contract = Rotation.contract
    assert contract.states == ("h", "s_re", "s_im")
    assert contract.gate_sources == {"u_re": ("x",), "u_im": ("x",), "y": ("new_re", "new_im", "x")}
    assert contract.emissions == ("new_re", "new_im")
    assert contract.widths["u_im"] == "modes"
    assert Everything.contract.gate_sources["a_im"] == ("x", "h", "s_re", "s_im")
    assert Everything.contract.states[3:] == ("s_re_lag2", "s_re_lag3", "s_im_lag2", "s_im_lag3")
    assert Everything.contract.constants == ("w_re", "w_im")


@pytest.mark.parametrize("cell", [Rotation, Everything], ids=lambda cell: cell.name)
def test_certified(cell):
    certificate = certify(cell)
    assert certificate.ok
    assert {"kernel float32", "kernel float64"} <= {path.form for path in certificate.paths}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_numbers_of_pairs_by_hand(dtype):
    layers = [pylstm.Recurrent(cell, 3, 5, modes=6, dtype=dtype, seed=2) for cell in (Rotation, ByHand)]
    layers[1].params.update(dict(layers[0].params))
    rng = np.random.default_rng(0)
    x, dy = (rng.standard_normal((8, 2, n)).astype(dtype) for n in (3, 5))
    runs = [layer(x) for layer in layers]
    grads = [run.backward(dy) for run in runs]
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(runs[0].y, runs[1].y, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(grads[0].params.flat, grads[1].params.flat, rtol=tolerance, atol=10 * tolerance)


def test_a_loop_of_complex_arrays():
    layer = pylstm.Recurrent(Rotation, 3, 5, modes=6, dtype="float64", seed=2)
    x, p = np.random.default_rng(1).standard_normal((7, 2, 3)), layer.params
    B = p["weight_x"][:6] + 1j * p["weight_x"][6:12]
    lam = np.exp(-np.exp(p["nu"]) + 1j * np.exp(p["theta"]))
    s, run = np.zeros((2, 6), complex), layer(x)
    for t in range(7):
        s = lam * s + np.sqrt(1 - np.abs(lam) ** 2) * (x[t] @ B.T)
        h = s.real @ p["weight_new_re"].T + s.imag @ p["weight_new_im"].T + x[t] @ p["weight_x"][12:].T
        np.testing.assert_allclose(run.y[t], h, rtol=1e-12)
        np.testing.assert_allclose(run.states["s_re"][t + 1] + 1j * run.states["s_im"][t + 1], s, rtol=1e-12)


def test_complex_states_in_and_out():
    """By the complex name or by its two parts, of layers, streams and stacks; gradients in the parts, too."""
    layer, rng = pylstm.Recurrent(Rotation, 3, 5, modes=6, dtype="float64", seed=2), np.random.default_rng(1)
    x, dy = rng.standard_normal((7, 2, 3)), rng.standard_normal((7, 2, 5))
    s, ds = (rng.standard_normal((2, 6)) + 1j * rng.standard_normal((2, 6)) for _ in range(2))
    parts = {"s_re": s.real, "s_im": s.imag}
    one, other = layer(x, initial={"s": s}), layer(x, initial=parts)
    np.testing.assert_array_equal(one.y, other.y)
    assert one.final["s"].dtype == complex and one.states["s"].shape == (8, 2, 6)
    np.testing.assert_array_equal(one.final["s"], other.final["s_re"] + 1j * other.final["s_im"])
    grads = one.backward(dy, dfinal={"s": ds}), other.backward(dy, dfinal={"s_re": ds.real, "s_im": ds.imag})
    np.testing.assert_array_equal(grads[0].params.flat, grads[1].params.flat)
    assert grads[0].initial["s"].imag.all() and (grads[0].initial["s"].real == grads[1].initial["s_re"]).all()
    stream = layer.stream(batch_size=2)
    stream.state = {"h": np.zeros((2, 5)), "s": s}
    np.testing.assert_array_equal(stream.state["s"], s)
    np.testing.assert_allclose(stream.step(x[0]), one.y[0], rtol=1e-13)
    stack = pylstm.Stack([layer, pylstm.Recurrent(Rotation, 5, 5, modes=6, dtype="float64", seed=3)])
    both = stack(x, initial={"s": np.stack([s, 2 * s])}), stack(x, initial=[{"s": s}, {"s": 2 * s}])
    np.testing.assert_array_equal(both[0].y, both[1].y)
    np.testing.assert_array_equal(stack(x, initial=[parts, None]).y, stack(x, initial=[{"s": s}, None]).y)
    narrow = pylstm.Recurrent(Rotation, 3, 5, modes=6, seed=2)
    run = narrow(x.astype("float32"), initial={"s": s.astype("complex64")})
    assert run.final["s"].dtype == "complex64"
    for wrong, message in (
        ({"s": s} | parts, "initial has both 's' and 's_re'"),
        ({"s": "abc"}, r"initial\['s'\] must be a complex array, got str"),
        ({"s": s[:1]}, r"initial\['s_re'\] must have shape \(2, 6\), got \(1, 6\)"),
        ({"t": s}, "unknown name 't'"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            layer(x, initial=wrong)
    with pytest.raises(KeyError, match="unknown name 't'"):
        one.final["t"]


def test_the_formula_on_complex_arrays(monkeypatch):
    """The formula is plain NumPy too: on complex arrays it computes what its twin does on the parts."""
    rng = np.random.default_rng(3)

    def draw(names):
        return {name: rng.standard_normal((2, 4)) for name in names}

    z, prev = draw(("a_re", "a_im", "g")), draw(Everything.contract.states)
    p = draw(("q_re", "q_im", "w_re", "w_im"))
    wanted = Everything.forward(*(SimpleNamespace(**each) for each in (z, prev, p)))
    for each, names in ((z, ("a",)), (prev, ("s", "s_lag3")), (p, ("q", "w"))):
        for name in names:
            re, im = (f"s_{part}_lag3" if name == "s_lag3" else f"{name}_{part}" for part in ("re", "im"))
            each[name] = each[re] + 1j * each[im]
    monkeypatch.setitem(globals(), "lag", lambda name, steps: prev["s_lag3"])
    out = Everything.formulas[""](*(SimpleNamespace(**each) for each in (z, prev, p)))
    np.testing.assert_allclose(out["h"], wanted["h"], rtol=1e-12)
    np.testing.assert_allclose(out["s"], wanted["s_re"] + 1j * wanted["s_im"], rtol=1e-12)


def test_a_constant_is_cut_into_its_parts():
    layer = pylstm.Recurrent(Everything, 2, 3)
    np.testing.assert_allclose(layer.params["w_re"] + 1j * layer.params["w_im"], np.exp(1j * np.arange(3)), rtol=1e-6)
    assert set(layer.params.constants) == {"w_re", "w_im"}


@pytest.mark.parametrize("cell", [Rotation, Everything], ids=lambda cell: cell.name)
def test_a_package(cell):
    twins = source.twin_source(derive(cell), cell, "complex_twin", "package")
    scope = {"np": np}
    exec("\n".join([*twins[0], twins[1]]).replace('kernel = "', '_kernel = "'), scope)
    twin = scope["ComplexTwin"]
    assert twin.contract.blocks == cell.contract.blocks
    assert certify(twin).ok


def test_the_modulus_of_zero():
    """Its derivative is 0, as that of `row_norm`: the first step of every sequence is there."""

    class Modulus(Cell):
        states = ("h", "s")
        complex = ("s", "a")
        gates = {"a": "x"}

        def forward(z, prev):
            return {"h": abs(prev.s) + prev.h, "s": z.a + 0.5 * prev.s}

    assert certify(Modulus).ok
    layer = pylstm.Recurrent(Modulus, 2, 3, dtype="float64", seed=0)
    x = np.random.default_rng(0).standard_normal((3, 1, 2))
    grads = layer(x).backward(np.ones((3, 1, 3)))
    assert np.isfinite(grads.x).all()
    assert grads.x[:2].all()
    assert not grads.x[2].any()
    assert not layer(x[:1]).backward(np.ones((1, 1, 3))).initial["s_re"].any()


def test_no_operation_for_nothing():
    """A real value times a complex one is two products, a conjugate none."""

    class Small(Cell):
        states = ("s", "h")
        complex = ("s",)
        output = "h"
        gates = {"a": "x+h"}

        def forward(z, prev):
            return {"s": z.a * conj(conj(prev.s)), "h": (1j * prev.s).real}

    assert derive(Small).counts("forward") == {"mul": 2, "neg": 1}


def of(**body):
    return type("Wrong", (Cell,), {"states": ("h", "s"), "complex": ("s",), "gates": {"a": "x+h"}, **body})


@pytest.mark.parametrize(
    ("forward", "says"),
    [
        (lambda z, prev: {"h": z.a * prev.s, "s": prev.s}, "h is real, and is returned complex: return its .real"),
        (lambda z, prev: {"h": z.a * 1j, "s": prev.s}, "h is real, and is returned complex"),
        (lambda z, prev: {"h": tanh(prev.s), "s": prev.s}, "a complex value has no tanh: complex values know"),
        (
            lambda z, prev: {"h": z.a, "s": pylstm.where(prev.s > 0, prev.s, 0)},
            "a complex value cannot be used so",
        ),
        (lambda z, prev: {"h": pylstm.maximum(z.a, prev.s), "s": 0}, "complex values have no order"),
        (lambda z, prev: {"h": z.a, "s": prev.s**0.5}, "the exponent of a complex value is not a whole number"),
        (lambda z, prev: {"h": z.a, "s": prev.s * [1, 2]}, "a complex value meets one of type list"),
        (lambda z, prev: {"h": z.a, "s": pylstm.cells.row_sum(prev.s)}, "complex values know"),
        (lambda z, prev: {"h": z.a.real, "s": prev.s}, "this value is real; complex ones are declared"),
        (lambda z, prev: {"h": z.a}, "without s: the new states are h, s$"),
    ],
)
def test_refused_in_formulas(forward, says):
    with pytest.raises(FormulaError, match=says):
        derive(of(forward=forward))


def test_refused_in_declarations():
    with pytest.raises(TypeError, match="'q' in complex is not a block of this cell"):
        of(complex=("q",))
    with pytest.raises(TypeError, match="the output 's' is complex: let a real state be the output"):
        of(states=("s", "h"))
    with pytest.raises(TypeError, match=r"complex must be a tuple of names: complex = \('s',\)"):
        of(complex="s")
