"""Twin, expression machine and emitted C agree over the whole range: every function of the formula language.

The values at 0, -0, subnormal, saturated, infinite and NaN, and the local derivatives on one and the same tape; powers
also against PyTorch's rules.
"""

import ctypes
import shutil
import subprocess
from pathlib import Path

import mpmath
import numpy as np
import pytest

import pylstm
from pylstm import building
from pylstm.cells import Cell
from pylstm.cells._hooks import run_stage
from pylstm.cells.formula.derivation import derive
from pylstm.cells.formula.emission import c as emission
from pylstm.cells.kernels import load_kernel
from pylstm.cells.twin import call, hook

COMPILER = shutil.which("cc") or shutil.which("gcc")
INCLUDE = Path(pylstm.__file__).parent / "include"
NUMBERS = [0, 1e-45, 1e-30, 1e-8, 0.3, 0.5, 1, 1.5, 2, 3, 8, 17, 17.4, 20, 40, 87.4, 88.5, 89, 103.2, 104, 110]
NUMBERS += [700.2, 709, 711, 745.1, 750, 1e4, 1e30, np.inf, 0.99999994, 1.0000001]
UNARY = {
    "exp": pylstm.cells.exp,
    "expm1": pylstm.cells.expm1,
    "log": pylstm.cells.log,
    "log1p": pylstm.cells.log1p,
    "sqrt": pylstm.cells.sqrt,
    "sigmoid": pylstm.cells.sigmoid,
    "tanh": pylstm.cells.tanh,
    "softplus": pylstm.cells.softplus,
    "relu": pylstm.cells.relu,
    "sin": pylstm.cells.sin,
    "cos": pylstm.cells.cos,
    "absolute": pylstm.cells.absolute,
    "neg": lambda a: -a,
    "log_sigmoid": lambda a: pylstm.cells.log(pylstm.cells.sigmoid(a)),
    "log_not_sigmoid": lambda a: pylstm.cells.log(1 - pylstm.cells.sigmoid(a)),
    "log1p_minus_sigmoid": lambda a: pylstm.cells.log1p(-pylstm.cells.sigmoid(a)),
    "log_softplus": lambda a: pylstm.cells.log(pylstm.cells.softplus(a)),
    "log1p_exp": lambda a: pylstm.cells.log1p(pylstm.cells.exp(a)),
    "log_exp": lambda a: pylstm.cells.log(pylstm.cells.exp(a)),
    "not_positive": lambda a: pylstm.cells.where(~(a > 0), 2.0, a),
}
EXPONENTS = [0, 1, 2, 3, 4, 7, 0.5, 1.5, 2.5, 0.3, 1 / 3, -1, -2, -3, -0.5, -1.5]
POWERS = {f"power_{k}": (lambda a, p=p: a**p) for k, p in enumerate(EXPONENTS)}
BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "maximum": pylstm.cells.maximum,
    "minimum": pylstm.cells.minimum,
    "power": lambda a, b: a**b,
    **{
        name: (lambda a, b, compare=compare: pylstm.cells.where(compare(a, b), a, 2 * b))
        for name, compare in {
            "lt": lambda a, b: a < b,
            "le": lambda a, b: a <= b,
            "gt": lambda a, b: a > b,
            "ge": lambda a, b: a >= b,
            "eq": lambda a, b: a == b,
            "ne": lambda a, b: a != b,
            "and": lambda a, b: (a > 0) & (b > 0),
            "or": lambda a, b: (a > 0) | (b > 0),
        }.items()
    },
}


def cell_of(name, function, binary):
    forward = (lambda z: dict(h=function(z.a, z.b))) if binary else (lambda z: dict(h=function(z.a)))
    body = {"states": ("h",), "gates": {"a": "x", "b": "x"} if binary else {"a": "x"}, "forward": forward}
    return type(name, (Cell,), body | {"name": f"values_{name}"})


CELLS = {name: cell_of(name, function, False) for name, function in (UNARY | POWERS).items()}
CELLS |= {name: cell_of(name, function, True) for name, function in BINARY.items()}
every_cell = pytest.mark.parametrize("name", CELLS)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def inputs(name, dtype):
    """Gates, (1, width) each: all numbers of either sign and NaN, for two operands all pairs."""
    with np.errstate(over="ignore"):
        numbers = np.array([*NUMBERS, *(-each for each in map(float, NUMBERS)), np.nan], dtype)
    pairs = np.meshgrid(numbers, numbers) if name in BINARY else [numbers]
    return [np.ascontiguousarray(each.reshape(1, -1)) for each in pairs]


def run(capsule, cell, gates):
    """The tape of a forward hook: gates, keep and states, by name."""
    contract, like = cell.contract, gates[0]
    tape = {
        "gates": [each.copy() for each in gates],
        "prev": [np.zeros_like(like)],
        "keep": [np.zeros_like(like) for _ in contract.keep],
        "states": [np.zeros_like(like)],
    }
    run_stage(capsule, 0, False, tape)
    return tape


def pulled(capsule, cell, tape):
    """Cotangents of the gates for that of h = 0.75, from a tape."""
    like = tape["states"][0]
    blocks = {kind: [each.copy() for each in arrays] for kind, arrays in tape.items()}
    blocks |= {f"d{kind}": [np.zeros_like(like) for _ in tape[kind]] for kind in ("gates", "prev")}
    run_stage(capsule, 0, True, blocks | {"dstates": [np.full_like(like, 0.75)]})
    return blocks["dgates"]


def twin(cell, gates):
    z = dict(zip(cell.contract.gates, gates))
    with np.errstate(all="ignore"):
        return call(hook(cell, "forward", ""), z=z, prev={"h": np.zeros_like(gates[0])}, e={}, p={}, u={})


def twin_pulled(cell, gates, tape):
    y = dict(zip(cell.contract.gates, tape["gates"])) | dict(zip(cell.contract.keep, tape["keep"]))
    y["h"] = tape["states"][0]
    like = gates[0]
    spaces = dict(prev={"h": np.zeros_like(like)}, e={}, p={}, u={})
    with np.errstate(all="ignore"):
        out = call(hook(cell, "backward", ""), d={"h": np.full_like(like, 0.75)}, y=y, **spaces)
    return [np.broadcast_to(out[gate], like.shape) for gate in cell.contract.gates]


FLOOR = {"log_sigmoid": 4}
"""Epsilons that count as 0, where a formula cancels."""


def assert_same(got, expected, gates, floor=0, ulps=16):
    """Equal up to `ulps`, relative to each number; the same infinities and the same NaN."""
    info = np.finfo(expected.dtype)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - expected) <= ulps * info.eps * np.abs(expected) + max(
            floor * info.eps, 4 * info.smallest_subnormal
        )
    right = near | (got == expected) | (np.isnan(got) & np.isnan(expected))
    if not right.all():
        at = int((~right).argmax())
        where = [each.flat[at] for each in gates]
        raise AssertionError(f"{(~right).sum()} differ, first at {where}: {got.flat[at]!r}, {expected.flat[at]!r}")


@every_dtype
@every_cell
def test_twin_and_machine_agree(name, dtype):
    cell, gates = CELLS[name], inputs(name, dtype)
    capsule = load_kernel(cell)
    tape = run(capsule, cell, gates)
    assert_same(twin(cell, gates)["h"], tape["states"][0], gates, FLOOR.get(name, 0))
    for got, expected in zip(twin_pulled(cell, gates, tape), pulled(capsule, cell, tape)):
        assert_same(got, expected, gates)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """All cells as emitted C, in one library: name -> capsule; none without a compiler."""
    if COMPILER is None:
        yield {}
        return
    folder = tmp_path_factory.mktemp("values")
    files = []
    for name, cell in CELLS.items():
        files.append(folder / f"{name}.c")
        files[-1].write_text(emission.kernel_source(derive(cell)))
    library = folder / "values.so"
    command = [COMPILER, "-shared", "-fPIC", "-std=gnu11", f"-I{INCLUDE}", *building.compile_args(), "-O1"]
    done = subprocess.run([*command, *files, "-o", library, "-lm"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(library))
    make = ctypes.pythonapi.PyCapsule_New
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    kind = b"pylstm.cell.v1"
    yield {
        name: make(ctypes.addressof(ctypes.c_char.in_dll(loaded, f"pylstm_cell_values_{name}")), kind, None)
        for name in CELLS
    }


@pytest.mark.skipif(COMPILER is None, reason="this machine has no C compiler")
@every_dtype
@every_cell
def test_emitted_c_and_machine_agree(name, dtype, compiled):
    cell, gates = CELLS[name], inputs(name, dtype)
    capsule = load_kernel(cell)
    tape = run(capsule, cell, gates)
    assert_same(run(compiled[name], cell, gates)["states"][0], tape["states"][0], gates)
    for got, expected in zip(pulled(compiled[name], cell, tape), pulled(capsule, cell, tape)):
        assert_same(got, expected, gates)


@every_dtype
def test_the_sigmoid_of_a_twin_does_not_underflow(dtype):
    x = np.array([[-20.0, -88.0, -50.5, -3.0, 0.0]], dtype)
    exact = [float(-mpmath.log1p(mpmath.exp(-v))) for v in x[0].tolist()]
    cell = CELLS["log_sigmoid"]
    for got in (twin(cell, [x])["h"], run(load_kernel(cell), cell, [x])["states"][0]):
        np.testing.assert_allclose(got[0], exact, rtol=1e-6)


def forms(compiled, name):
    yield "machine", load_kernel(CELLS[name])
    if COMPILER:
        yield "C", compiled[name]


def paired(name, gates, compiled):
    """(form, h, cotangents of the gates) of twin, machine and C."""
    cell = CELLS[name]
    for form, capsule in forms(compiled, name):
        tape = run(capsule, cell, gates)
        yield form, tape["states"][0], pulled(capsule, cell, tape)
    yield "twin", twin(cell, gates)["h"], twin_pulled(cell, gates, tape)


@every_dtype
@pytest.mark.parametrize("number", range(len(EXPONENTS)))
def test_powers_are_those_of_pytorch(number, dtype, compiled):
    torch = pytest.importorskip("torch")
    p, name = EXPONENTS[number], f"power_{number}"
    x = np.array([[0.0, 1e-3, 0.25, 0.7, 1.0, 3.0, 50.0, np.inf, -0.5, -2.0, -7.0, -0.0, -np.inf]], dtype)
    leaf = torch.tensor(x, requires_grad=True)
    y = leaf**p
    y.backward(torch.full_like(leaf, 0.75))
    values = y.detach().numpy().copy()
    if p == -0.5:  # theirs is 1 / sqrt(x), -inf at -0 and NaN at -inf; ours that of C's pow
        values[0, -2:] = np.inf, 0
    for form, h, (da,) in paired(name, [x], compiled):
        np.testing.assert_allclose(h, values, rtol=1e-5 if dtype == "float32" else 1e-13, err_msg=form)
        np.testing.assert_allclose(da, leaf.grad.numpy(), rtol=1e-5 if dtype == "float32" else 1e-13, err_msg=form)


@every_dtype
def test_powers_of_symbols_are_those_of_pytorch(dtype, compiled):
    torch = pytest.importorskip("torch")
    x, p = (
        each.reshape(1, -1).astype(dtype)
        for each in np.meshgrid([0.0, 0.25, 1.0, 3.0, -0.5, -2.0], [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, -1.0, -2.0, -0.5])
    )
    base, exponent = torch.tensor(x, requires_grad=True), torch.tensor(p, requires_grad=True)
    y = base**exponent
    y.backward(torch.full_like(base, 0.75))
    for form, h, (da, db) in paired("power", [x, p], compiled):
        for got, expected in ((h, y.detach()), (da, base.grad), (db, exponent.grad)):
            np.testing.assert_allclose(
                got, expected.numpy(), rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-30, err_msg=form
            )


def softplus(z):
    return mpmath.log1p(mpmath.exp(z))


LOGARITHMS = {
    "log_sigmoid": (lambda z: -softplus(-z), lambda z: 1 / (1 + mpmath.exp(z))),
    "log_not_sigmoid": (lambda z: -softplus(z), lambda z: -1 / (1 + mpmath.exp(-z))),
    "log1p_minus_sigmoid": (lambda z: -softplus(z), lambda z: -1 / (1 + mpmath.exp(-z))),
    "log_softplus": (lambda z: mpmath.log(softplus(z)), lambda z: 1 / (1 + mpmath.exp(-z)) / softplus(z)),
    "log1p_exp": (softplus, lambda z: 1 / (1 + mpmath.exp(-z))),
    "log_exp": (lambda z: z, lambda z: mpmath.mpf(1)),
}


@every_dtype
@pytest.mark.parametrize("name", LOGARITHMS)
def test_logarithms_have_the_limits_of_their_formulas(name, dtype, compiled):
    """Where sigmoid, softplus and exp are 0, subnormal or infinite, their logarithm and its derivative are not."""
    numbers = [0, 0.3, 1, 5, 17, 39.5, 40, 40.5, 88, 95, 103, 104, 300, 700, 709.5, 710, 720, 744, 746, 1e4]
    z = np.array([[*numbers, *(-each for each in numbers)]], dtype)
    with mpmath.workdps(60):
        values, slopes = ([float(f(mpmath.mpf(float(each)))) for each in z[0]] for f in LOGARITHMS[name])
    for form, h, (da,) in paired(name, [z], compiled):
        tiny = {"rtol": 2e-6 if dtype == "float32" else 1e-14, "atol": float(np.finfo(dtype).tiny), "err_msg": form}
        np.testing.assert_allclose(h[0], values, **tiny)
        np.testing.assert_allclose(da[0], 0.75 * np.array(slopes), **tiny)


def test_a_state_may_be_raised_to_a_power():
    """Every sequence begins with a state of 0."""

    class Powered(Cell):
        states = ("h",)
        gates = dict(a="x+h")
        params = ("p",)

        def forward(z, prev, p):
            return dict(h=pylstm.cells.sigmoid(z.a) + 0.3 * prev.h**1.5 + 0.1 * prev.h ** (1 + pylstm.cells.exp(p.p)))

    assert pylstm.certify(Powered).ok
    layer = pylstm.Recurrent(Powered, 2, 3, dtype="float64", seed=0)
    run = layer(np.random.default_rng(0).normal(size=(4, 2, 2)))
    grads = run.backward(np.ones_like(run.y))
    for array in (grads.x, grads.params.flat, grads.initial["h"]):
        assert np.isfinite(array).all()


def test_powers_are_printed_as_such():
    from pylstm.cells.formula.emission import latex, numpy

    def of(function):
        stage = derive(cell_of("printed", function, True)).stages[""]
        return numpy.stage_source(stage), latex.forward_equations(stage)[-1][1]

    source, text = of(lambda a, b: (-a) ** 1.5 + (a**b) ** 0.3 + (a - b) ** (a + b))
    assert "b = (z.a - z.b) ** (z.a + z.b)" in source and "h = (-z.a) ** 1.5 + a ** 0.3 + b" in source
    assert r"^{1.5}" in text and r"^{0.3}" in text
    assert "pow" not in text
