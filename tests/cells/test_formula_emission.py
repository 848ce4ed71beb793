"""Emitted kernels compile and agree with the derived twin; what is printed is what was derived."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig

import numpy as np
import pytest

import formula_cells as fc
import row_cells as rc
from pylstm import building
from pylstm.cells import LSTM, Cell
from pylstm.cells._hooks import run_stage
from pylstm.cells.certification.certify import certify
from pylstm.cells.formula import derive
from pylstm.cells.formula.emission import c, cython, numpy
from pylstm.cells.kernels import load_kernel

COMPILER = shutil.which("cc") or shutil.which("gcc")
TOLERANCE = {np.float64: (1e-12, 1e-11), np.float32: (2e-6, 1e-5)}
STRICT = ["-Wdouble-promotion", "-Werror=double-promotion"]  # float32 is computed in float32
pytestmark = [pytest.mark.once, pytest.mark.skipif(COMPILER is None, reason="this machine has no C compiler")]


def compile_c(source, name, folder, *flags):
    """Extension module `name` from C source."""
    file = folder / f"{name}.c"
    file.write_text(source)
    target = folder / (name + sysconfig.get_config_var("EXT_SUFFIX"))
    include = f"-I{sysconfig.get_paths()['include']}"
    command = [COMPILER, "-shared", "-fPIC", "-std=gnu11", include, *building.compile_args(), "-O0", *STRICT, *flags]
    done = subprocess.run([*command, file, "-o", target, "-lm"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loader = importlib.util.spec_from_file_location(name, target)
    module = importlib.util.module_from_spec(loader)
    loader.loader.exec_module(module)
    return getattr(module, name)


def compile_cython(source, name, folder):
    (folder / f"{name}.pyx").write_text(source)
    command = [sys.executable, "-m", "cython", *building.cython_args(), f"{name}.pyx"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return compile_c((folder / f"{name}.c").read_text(), name, folder, "-Wno-unused-function")


def blocks_of(cell, stage, spaces, out):
    """Arrays of all kinds for `run_stage`, filled with what the loop would have put there."""
    contract, last = cell.contract, stage is cell.contract.stages[-1]
    dtype = next(iter(spaces["prev"].values())).dtype
    widths = {
        n: fc.WIDTHS.get(w, w)
        for n in sum(contract.blocks.values(), ())
        for w in [contract.widths.get(n, "hidden_size")]
    }
    found = {**spaces["e"], **spaces["p"], **spaces["u"], **out}
    blocks = {}
    for kind, names in contract.blocks.items():
        shape = (lambda name: (widths[name],)) if kind == "params" else (lambda name: (fc.ROWS, widths[name]))
        blocks[kind] = [np.array(found.get(name, np.full(shape(name), 7)), dtype) for name in names]
        if kind == "gates":
            blocks[kind] = [np.array(spaces["z"].get(name, b), dtype) for name, b in zip(names, blocks[kind])]
        if kind in ("keep", "states"):
            blocks[kind] = [np.full_like(block, np.nan) for block in blocks[kind]]
        blocks[f"d{kind}"] = [np.full_like(block, 0.25) for block in blocks[kind]]
    blocks["prev"] = [spaces["prev"][name].copy() for name in contract.states]
    blocks["dprev"] = [np.full_like(block, 0.25) for block in blocks["prev"]]
    names = contract.states if last else contract.emissions
    for name, d in spaces["d"].items():
        blocks["dstates" if last else "demissions"][names.index(name)][:] = d
    del blocks["dkeep"]
    return blocks


def agree(cell, capsule):
    """Every block after both hooks of every stage is what the twin says."""
    contract = cell.contract
    for number, stage in enumerate(contract.stages):
        for dtype, (output, gradient) in TOLERANCE.items():
            spaces = fc.draw(cell, stage, seed=3, dtype=dtype)
            out, back = fc.forward_and_backward(cell, stage, spaces)
            blocks = blocks_of(cell, stage, spaces, {})
            run_stage(capsule, number, False, {kind: b for kind, b in blocks.items() if not kind.startswith("d")})
            for kind in ("gates", "keep", "states", "emissions"):
                for name, block in zip(contract.blocks[kind], blocks[kind]):
                    wanted = out.get(name, spaces["z"].get(name))
                    if wanted is not None:
                        assert_close(block, wanted, output, name)
            run_stage(capsule, number, True, blocks)
            own = {"dprev": contract.states} | {f"d{k}": contract.blocks[k] for k in ("gates", "params", "aux")}
            if number:
                own["demissions"] = contract.emissions
            for kind, names in own.items():
                for name, block in zip(names, blocks[kind]):
                    if kind == "dgates" and name not in stage.gates:
                        continue
                    wanted = back.get(name, 0.0)
                    wanted = np.sum(wanted, axis=0) if kind == "dparams" and np.ndim(wanted) else wanted
                    assert_close(block - (0.25 if kind != "dgates" else 0), wanted, gradient, f"{kind} {name}")


def assert_close(actual, wanted, tolerance, name):
    scale = max(np.max(np.abs(wanted)), 1)
    assert np.max(np.abs(actual - wanted)) <= tolerance * scale, name


def certify_compiled(cell, capsule):
    """The cell with this kernel is certified, kernel included."""
    compiled = type(cell.__name__, (cell,), {"kernel": capsule})
    assert load_kernel(compiled) is capsule
    forms = {path.form for path in certify(compiled).paths}
    assert {"twin", "kernel float32", "kernel float64"} <= forms


def test_the_comparison_can_fail():
    kernel = load_kernel(LSTM)
    agree(LSTM, kernel)

    class Changed(LSTM):
        keep = LSTM.keep

        def forward(z, prev):
            return LSTM.forward(z, prev)

        def backward(d, y, prev):
            right = LSTM.backward(d, y, prev)
            return right | {"c": right["c"] * 1.00001}

    with pytest.raises(AssertionError, match="dprev c"):
        agree(Changed, kernel)


@pytest.mark.parametrize("cell", fc.CELLS, ids=lambda cell: cell.name)
def test_emitted_c_agrees(cell, tmp_path):
    source = c.kernel_source(derive(cell))
    capsule = compile_c(source, cell.name, tmp_path, "-DPYLSTM_PYTHON_MODULE", "-Wall", "-Werror")
    agree(cell, capsule)
    certify_compiled(cell, capsule)


@pytest.mark.parametrize("cell", [*rc.CELLS, *fc.WRITTEN_OUT], ids=lambda cell: cell.name)
def test_emitted_c_is_certified(cell, tmp_path):
    source = c.kernel_source(derive(cell))
    certify_compiled(cell, compile_c(source, cell.name, tmp_path, "-DPYLSTM_PYTHON_MODULE", "-Wall", "-Werror"))


@pytest.mark.skipif(importlib.util.find_spec("Cython") is None, reason="needs Cython")
@pytest.mark.parametrize(
    "cell",
    [rc.Memory, *(pytest.param(cell, marks=pytest.mark.slow) for cell in (*rc.CELLS[:3], *fc.WRITTEN_OUT))],
    ids=lambda cell: cell.name,
)
def test_emitted_cython_is_certified(cell, tmp_path):
    certify_compiled(cell, compile_cython(cython.kernel_source(derive(cell)), cell.name, tmp_path))


SOME = [fc.FormulaPeephole, *(pytest.param(cell, marks=pytest.mark.slow) for cell in fc.CELLS[1:])]


@pytest.mark.skipif(importlib.util.find_spec("Cython") is None, reason="needs Cython")
@pytest.mark.parametrize("cell", SOME, ids=lambda cell: cell.name)
def test_emitted_cython_agrees(cell, tmp_path):
    capsule = compile_cython(cython.kernel_source(derive(cell)), cell.name, tmp_path)
    agree(cell, capsule)
    certify_compiled(cell, capsule)


def test_emitted_numpy_reads_like_one_written_by_hand():
    source = numpy.stage_source(derive(LSTM).stages[""])
    assert source.splitlines() == [
        "def forward(z, prev):",
        "    i = sigmoid(z.i)",
        "    f = sigmoid(z.f)",
        "    g = tanh(z.g)",
        "    o = sigmoid(z.o)",
        "    c = f * prev.c + i * g",
        "    tanh_c = tanh(c)",
        "    h = o * tanh_c",
        "    return dict(i=i, f=f, g=g, o=o, tanh_c=tanh_c, h=h, c=c)",
        "",
        "",
        "def backward(d, y, prev):",
        "    dc = d.c + d.h * y.o * dtanh_from_y(y.tanh_c)",
        "    do = d.h * y.tanh_c * dsigmoid_from_y(y.o)",
        "    dg = dc * y.i * dtanh_from_y(y.g)",
        "    df = dc * prev.c * dsigmoid_from_y(y.f)",
        "    di = dc * y.g * dsigmoid_from_y(y.i)",
        "    return dict(i=di, f=df, g=dg, o=do, c=dc * y.f)",
    ]


def test_sums_keep_their_order():
    """a + (b + c) is another rounding than a + b + c."""

    class Sums(Cell):
        states = ("h",)
        gates = dict(a="x", b="x", c="h")

        def forward(z):
            return dict(h=(z.a + (z.b + z.c)) * (z.a - (z.b - z.c)) / (z.b * (z.a / z.c)))

    line = numpy.stage_source(derive(Sums).stages[""])
    assert "(z.a + (z.b + z.c)) * (z.a - (z.b - z.c)) / (z.b * (z.a / z.c))" in line


def test_one_value_per_row_is_computed_outside_the_loop():
    source = c.kernel_source(derive(fc.Timed))
    for loop in re.findall(r"for \(ptrdiff_t k = 0.*?\n    }", source, re.S):
        assert "alpha" not in loop
        assert "MATH(exp)" not in loop
    assert source.count("MATH(exp)(-dt[0])") == 2


def test_every_emission_is_stable():
    for printer in (c, cython):
        assert printer.kernel_source(derive(fc.Everything)) == printer.kernel_source(derive(fc.Everything))
