"""Formula cells on the expression machine: certified, the same bits everywhere, as the bundled LSTM; planted faults."""

from __future__ import annotations

import gc
import importlib
import importlib.util

import numpy as np
import pytest

import formula_cells as fc
import pylstm
import row_cells as rc
from formula_cells import FormulaLSTM
from pylstm import Cell, sigmoid, tanh
from pylstm.cells.auditing import reference
from pylstm.cells.certification.certificate import CertificationError
from pylstm.cells.certification.certify import certify
from pylstm.cells.formula import derive, fusion, machine
from pylstm.cells.kernels import load_kernel
from pylstm.engine import levels

pytestmark = pytest.mark.once

LEVELS = levels.LEVELS[: levels.LEVELS.index(levels.level) + 1]
GRADIENTS = {"float64": 1e-11, "float32": 1e-5}
every_cell = pytest.mark.parametrize("cell", [*fc.CELLS, *fc.WRITTEN_OUT, *rc.CELLS], ids=lambda cell: cell.name)
every_dtype = pytest.mark.parametrize("dtype", GRADIENTS)


def fresh(cell):
    """A class of its own, without the kernel that `cell` has got by now."""
    return type(cell.__name__, (cell,), {"name": cell.name})


@pytest.mark.parametrize("level", LEVELS)
@every_cell
def test_formulas_are_certified_on_the_machine(cell, level, monkeypatch):
    monkeypatch.setattr(machine, "engine", importlib.import_module(f"pylstm.engine.machine_{level}"))
    certificate = certify(fresh(cell))
    assert certificate.ok
    assert {"kernel float32", "kernel float64"} <= {path.form for path in certificate.paths}
    assert any("expression machine" in note for note in certificate.notes)


def test_only_cells_of_formulas_run_on_the_machine():
    class Mixed(fc.ResetBefore):
        def forward_reset(z, prev):
            return dict(r=sigmoid(z.r), rh=sigmoid(z.r) * prev.h)

        def backward_reset(d, y, prev):
            return dict(r=d.rh * prev.h * y.r * (1 - y.r), h=d.rh * y.r)

    assert load_kernel(fc.ResetBefore) is not None
    assert load_kernel(Mixed) is None
    assert certify(Mixed).ok


def test_the_twin_is_not_called():
    cell = fresh(FormulaLSTM)
    layer = pylstm.Recurrent(cell, 3, 4, seed=0)
    cell.forward = cell.backward = None
    x = np.ones((5, 2, 3), "float32")
    assert np.isfinite(layer(x).backward(np.ones((5, 2, 4), "float32")).x).all()


def problem(cell, T, B, I, H, dtype, seed=0):
    """A layer, its input, keyword arguments and cotangents: random, within the domain of all formulas."""
    rng = np.random.default_rng(seed)
    sizes = {"proj_size": max(1, H // 2)} if "proj_size" in cell.sizes else {}
    layer = pylstm.Recurrent(cell, I, H, dtype=dtype, seed=1, **sizes)
    states, widths = layer.cell.contract.states, layer.widths
    call = {"initial": {s: rng.uniform(0.5, 1, (B, widths[s])).astype(dtype) for s in states}}
    if cell.aux:
        call["aux"] = {name: rng.uniform(0.3, 0.9, (T, B, widths[name])).astype(dtype) for name in cell.aux}
    back = {"dy": rng.normal(size=(T, B, layer.output_size)).astype(dtype)}
    back["dfinal"] = {s: rng.normal(size=(B, widths[s])).astype(dtype) for s in states}
    return layer, rng.normal(size=(T, B, I)).astype(dtype), call, back


# Groups of rows, rows in pieces (of 1024 at most), one unit, no rows.
@pytest.mark.parametrize("sizes", [(3, 300, 3, 6), (2, 2, 3, 1100), (1, 1, 2, 1), (4, 0, 3, 5)], ids=str)
@every_cell
def test_as_the_numpy_executor(cell, sizes):
    layer, x, call, back = problem(cell, *sizes, "float64")
    tape = reference.forward(layer.cell, dict(layer.params.items()), x, **call, sizes=layer.sizes)
    truth = reference.backward(tape, back["dy"], back["dfinal"])
    run = layer(x, **call)
    grads = run.backward(**back)
    pairs = [(run.states[name], tape.states[name]) for name in layer.cell.contract.states]
    pairs += [(grads.x, truth.x)] + [(grads.params[name], truth.params[name]) for name in layer.params]
    pairs += [(grads.aux[name], truth.aux[name]) for name in layer.cell.aux]
    for got, expected in pairs:
        scale = np.abs(expected).max(initial=1e-300)
        np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=1e-9)


def results(layer, x, call, back):
    run = layer(x, **call)
    grads = run.backward(**back)
    steps = [run.y, *run.states.values(), *run.gates.values(), grads.x, *grads.aux.values()]
    return [each.copy() for each in steps], [each.copy() for each in grads.initial.values()], grads.params.flat.copy()


def row(tree, b):
    if isinstance(tree, dict):
        return {name: row(value, b) for name, value in tree.items()}
    return tree[b : b + 1] if tree.ndim == 2 else tree[:, b : b + 1]


@every_dtype
@every_cell
def test_a_row_has_the_same_bits_alone(cell, dtype):
    for H in (5, 37):
        layer, x, call, back = problem(cell, 3, 19, 5, H, dtype)
        steps, rows, _ = results(layer, x, call, back)
        for b in (0, 7, 18):
            alone_steps, alone_rows, _ = results(layer, row(x, b), row(call, b), row(back, b))
            assert all(np.array_equal(a[:, 0], whole[:, b], True) for a, whole in zip(alone_steps, steps))
            assert all(np.array_equal(a[0], whole[b], True) for a, whole in zip(alone_rows, rows))


# Rows shared by the threads, rows that do not divide, columns shared.
@pytest.mark.parametrize("sizes", [(4, 48, 61, 64), (3, 37, 67, 70), (2, 5, 509, 512)], ids=str)
@every_cell
def test_any_number_of_threads_gives_the_same_bits(cell, sizes):
    layer, x, call, back = problem(cell, *sizes, "float32")
    before, found = pylstm.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            pylstm.set_num_threads(n)
            steps, rows, params = results(layer, x, call, back)
            found.append([*steps, *rows, params])
    finally:
        pylstm.set_num_threads(before)
    for other in found[1:]:
        assert all(np.array_equal(a, b, True) for a, b in zip(found[0], other))


@every_dtype
@pytest.mark.parametrize(("B", "H"), [(1, 8), (3, 37), (32, 64), (5, 600)])
def test_the_lstm_agrees_with_the_bundled_kernel(B, H, dtype):
    """Forward within 4 ulp after one step; over many steps rounding may differ, a little."""
    x = np.random.default_rng(0).standard_normal((30, B, 7)).astype(dtype)
    initial = {s: np.random.default_rng(1).uniform(-1, 1, (B, H)).astype(dtype) for s in "hc"}
    layers = [pylstm.Recurrent(cell, 7, H, dtype=dtype, seed=7) for cell in (FormulaLSTM, "lstm")]
    for steps in (1, 30):
        ours, bundled = (layer(x[:steps], initial) for layer in layers)
        for state in "hc":
            np.testing.assert_array_max_ulp(ours.states[state], bundled.states[state], 4)
        dy = np.ones_like(ours.y)
        ours, bundled = (run.backward(dy).params.flat for run in (ours, bundled))
        assert np.abs(ours - bundled).max() <= GRADIENTS[dtype] * np.abs(bundled).max()


MISTAKES = [
    (FormulaLSTM, "mul_add_mul", "mul_sub_mul"),
    (FormulaLSTM, "tanh", "sigmoid"),
    (FormulaLSTM, "mul_mul_dsigmoid", "mul_mul_dtanh"),
    (FormulaLSTM, "mul_mul_dtanh_add", "mul_add_mul"),
    (fc.Timed, "ge", "lt"),
    (fc.Timed, "fill", "copy"),
    (fc.Everything, "cos", "sin"),
    (fc.Projected, "row_sum", None),
]


@pytest.mark.parametrize(("cell", "right", "wrong"), MISTAKES, ids=lambda each: getattr(each, "name", each))
def test_a_mistake_in_the_code_is_found(cell, right, wrong, monkeypatch):
    encode, changed = machine.encode, []

    def planted(*args):
        program = encode(*args)
        for k, (name, *rest) in enumerate(program["code"]):
            if name == right and not changed:
                changed.append(k)
                program["code"][k] = (wrong or name, *rest)
                if wrong is None:  # into a register that nobody reads
                    program["slots"].append(("narrow register", program["registers"], 0))
                    program["registers"] += 1
                    program["code"][k] = (name, rest[0], len(program["slots"]) - 1, rest[2])
        return program

    monkeypatch.setattr(machine, "encode", planted)
    with pytest.raises(CertificationError, match="kernel float"):
        certify(fresh(cell))
    assert changed


def test_a_result_that_is_written_instead_of_added_is_found(monkeypatch):
    encode = machine.encode

    def planted(*args):
        program = encode(*args)
        program["code"] = [(name, adds and name != "mul", *rest) for name, adds, *rest in program["code"]]
        return program

    monkeypatch.setattr(machine, "encode", planted)
    with pytest.raises(CertificationError, match="written, not added"):
        certify(fresh(FormulaLSTM))


def operations(cell):
    """All operations in the code of a cell."""
    derivation = derive(cell)
    programs = [program for stage in derivation.stages.values() for program in (stage.forward, stage.backward)]
    codes = [machine.encode(program, derivation.contract)["code"] for program in programs]
    return [name for code in codes for name, *_ in code]


def test_the_lstm_is_thirteen_instructions():
    assert len(operations(FormulaLSTM)) == 13


TERMS = [
    lambda a, b, c, e: a * b + c * e,
    lambda a, b, c, e: a * b - c * e,
    lambda a, b, c, e: a * b + (1 - a) * c,
    lambda a, b, c, e: a * (1 - b),
    lambda a, b, c, e: c - a * b,
    lambda a, b, c, e: a * b - c,
    lambda a, b, c, e: pylstm.where(a > b, c, e),
    lambda a, b, c, e: pylstm.maximum(a, b) * c,
    lambda a, b, c, e: tanh(a * b + c),
    lambda a, b, c, e: sigmoid(a + b) * (c - e),
    lambda a, b, c, e: a / (1.5 + tanh(b)),
    lambda a, b, c, e: pylstm.sin(a) * b * c,
]


def random_formula(seed):
    """A cell whose formula is a random expression of bounded values; one gate and one parameter are narrow."""
    rng = np.random.default_rng(seed)

    def forward(z, prev, p):
        pool = [sigmoid(z.a), tanh(z.b), prev.h, prev.s, z.n, p.v, sigmoid(p.w)]
        for choice in rng.integers(0, len(TERMS), 9):
            pool.append(TERMS[choice](*(pool[k] for k in rng.integers(0, len(pool), 4))))
        narrow = 0.1 * z.n
        return dict(h=tanh(pool[-1] + pool[-2] + narrow), s=sigmoid(pool[-3] - pool[-1] - narrow))

    body = {"states": ("h", "s"), "gates": dict(a="x+h", b="x+s", n="x"), "params": ("v", "w")}
    return type("Random", (Cell,), body | {"widths": {"n": 1, "w": 1}, "forward": forward})


def test_random_formulas():
    used = set(operations(fc.Everything)) | set(operations(FormulaLSTM))
    for seed in range(60):
        cell = random_formula(seed)
        certificate = certify(cell, raise_=False)
        assert certificate.ok, (seed, str(certificate.failures)[:500])
        used.update(operations(cell))
    assert {name for name, _, _ in fusion.PATTERNS} <= used


def test_gates_may_change_places():
    """Slots filled with the contents of others, which are overwritten as well."""

    class Swap(Cell):
        states = ("h",)
        gates = dict(a="x+h", b="x+h")

        def forward(z, prev):
            return dict(a=z.b, b=z.a, h=tanh(z.a) * z.b + prev.h)

    assert certify(Swap).ok


def test_a_large_formula_is_refused_with_a_cure():
    class Large(Cell):
        states = ("h",)
        gates = dict(a="x+h")

        def forward(z, prev):
            terms = [z.a + 0.001 * k for k in range(330)]
            return dict(h=tanh(sum(terms[:-1], terms[-1])))

    with pytest.raises(ValueError, match=r"at most 512.*stages"):
        load_kernel(Large)
    heading = r"^cell 'large' cannot run: a formula of \d+ blocks, .* at most 512.*several stages.*compiled kernel$"
    with pytest.raises(ValueError, match=heading):
        pylstm.Recurrent(Large, 2, 3)
    certificate = certify(Large, raise_=False)
    assert [path.name for path in certificate.paths] == ["blocks and ABI"] and not certificate.ok


def test_a_capsule_keeps_its_programs():
    x = np.random.default_rng(0).standard_normal((6, 2, 3)).astype("float32")
    expected = pylstm.Recurrent(FormulaLSTM, 3, 4, seed=0)(x).y
    for _ in range(6):
        cell = fresh(FormulaLSTM)
        layer = pylstm.Recurrent(cell, 3, 4, seed=0)
        del cell._machine_kernels
        gc.collect()
        assert np.array_equal(layer(x).y, expected)
