"""`pylstm.export` of cells in whose formulas units of a row meet: the bits of `stream.step`."""

import ctypes
import importlib.machinery
import importlib.util
import sysconfig

import numpy as np
import pytest

import pylstm
import row_cells as rc
from pylstm import building, export
from pylstm.cells import Cell, Stage, derive, row_sum, sigmoid, sqrt, tanh
from pylstm.cells.formula.emission.c import kernel_source


class Summed(Cell):
    """Sums of whole rows go to states and emissions of width 1 only: its code is that of no sizes."""

    states = ("h", "mean", "norm", "last")
    gates = {"a": "x+h+norm", "b": "x+size"}
    widths = {"mean": 1, "norm": 1, "last": 1, "size": 1}
    stages = (Stage("sums", ("a",), ("size",)), Stage("cell", ("b",)))

    def forward_sums(z, prev):
        return {"size": tanh(0.1 * row_sum(tanh(z.a) * prev.h) - 0.2 * prev.norm)}

    def forward_cell(z, prev, e):
        total = row_sum(z.b)
        norm = sqrt(row_sum(z.b * z.b) + 0.1 * e.size * e.size)
        h = tanh(z.b) * prev.mean + 0.3 * prev.h
        return {"h": h, "mean": 0.01 * total, "norm": norm - 0.01 * prev.last, "last": row_sum(prev.h)}


class Twice(Cell):
    """Old states are read after the new ones are there, by loops and by functions."""

    states = ("h", "n", "s")
    widths = {"n": 1}
    gates = {"a": "x+h", "b": "x"}
    params = ("w",)

    def forward(z, prev, p):
        n = sigmoid(row_sum(p.w * prev.s * z.a))
        s = prev.s * n + tanh(z.b)
        h = tanh(rc.cumsum(s) * row_sum(prev.s * prev.h)) + 0.25 * prev.h * prev.n
        return {"h": h, "n": n + 0.5 * prev.n, "s": rc.cumsum(prev.s + 0.1 * prev.h, reverse=True) * 0.1 + s}


def with_weights(layer, scale=0.6):
    layer.params.flat[...] = np.random.default_rng(5).standard_normal(layer.params.size) * scale
    return layer


def layers(dtype, cells=(*rc.CELLS, Summed, Twice)):
    made = {}
    for cell in cells:
        size = 4 if cell is rc.Product else 19
        layer = pylstm.Recurrent(cell, 3, size, dtype=dtype, certified=False, seed=1, learn_initial=True)
        made[cell.__name__.lower()] = with_weights(layer)
    return made


@pytest.mark.parametrize("build", ["gcc float32 -O2", "gcc float64 -O3", "clang float32 -O3", "clang float64 -O1"])
def test_a_cell_has_the_bits_of_a_stream(kit, fused, tmp_path, build):
    compiler, dtype, level = build.split()
    made = layers(dtype)
    library = kit.Built(kit.write_all(made, tmp_path), kit.compiler(compiler), level)
    for name, layer in made.items():
        right = kit.expected(layer)
        assert 1e-3 < np.abs(right).max() < np.inf
        assert kit.same(library.outputs(layer, name), right), name
        with np.errstate(all="ignore"):  # exp overflows here and there
            right = kit.expected(layer, scale=30.0)
        assert kit.same(library.outputs(layer, name, scale=30.0), right), name


def test_a_header_and_the_sanitizer(kit, fused, tmp_path):
    made = layers("float32")
    flags = ["-O1", "-mfma", "-fsanitize=undefined", "-fno-sanitize-recover"]
    library = kit.Built(kit.write_all(made, tmp_path, "header"), kit.compiler("gcc"), *flags)
    library.end = "_"
    assert [n for n, layer in made.items() if not kit.same(library.outputs(layer, n), kit.expected(layer))] == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sum_of_more_units_than_the_machine_takes_at_once(kit, fused, tmp_path, dtype):
    """In pieces, of as many as the machine takes: one sum of all has other bits."""
    layer = with_weights(pylstm.Recurrent(Summed, 3, 2100, dtype=dtype, certified=False, seed=1), 0.03)
    export.c(layer, tmp_path / "net.c", weights=tmp_path / "net.bin")
    text = (tmp_path / "net.c").read_text()
    assert "net_sum_in(net->scratch.sum0, 2100, " in text
    (tmp_path / "all.c").write_text('#include "net.c"\n')
    library = kit.Built(tmp_path / "all.c", kit.compiler("gcc"), "-O2")
    library.memory = np.full(1 << 19, 255, np.uint8)
    weights = np.fromfile(tmp_path / "net.bin", np.uint8)
    assert library.start("net", kit.at(weights), ctypes.c_size_t(len(weights))) == 0
    x, _ = kit.inputs(layer, 4)
    right = kit.expected(layer, 4)
    assert kit.same(library.feed(x, np.empty((4, 2100), dtype)), right)


class Plain(Summed):
    """As a kernel that is compiled from its own C file."""

    name = "summed_here"


def test_a_compiled_kernel_adds_units_one_after_another(kit, fused, tmp_path):
    source = kernel_source(derive(Plain))
    (tmp_path / "summed_here.c").write_text(source)
    target = tmp_path / "summed_here.so"
    includes = [f"-I{sysconfig.get_paths()['include']}", f"-I{building.get_include()}"]
    flags = ["-O2", "-mavx2", "-mfma", "-ffp-contract=off", "-shared", "-fPIC", "-DPYLSTM_PYTHON_MODULE"]
    kit.run([*kit.compiler("gcc"), *flags, *includes, tmp_path / "summed_here.c", "-o", target, "-lm"])
    loader = importlib.machinery.ExtensionFileLoader("summed_here", str(target))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("summed_here", loader))
    loader.exec_module(module)
    Plain.kernel = module.summed_here
    layer = with_weights(pylstm.Recurrent(Plain, 3, 43, certified=False, seed=1))
    twin = with_weights(pylstm.Recurrent(Summed, 3, 43, certified=False, seed=1))
    right = kit.expected(layer)
    assert not kit.same(right, kit.expected(twin))
    library = kit.Built(kit.write_all({"net": layer}, tmp_path), kit.compiler("gcc"), "-O2")
    assert kit.same(library.outputs(layer), right)


def test_models_and_stacks_of_such_cells(kit, fused, tmp_path):
    """Layers share the scratch, whose arrays have the room of the larger."""
    layer = pylstm.Stack([layers("float32", [rc.Memory])["memory"], pylstm.Recurrent(rc.LayerNorm, 8, 8, seed=2)])
    library = kit.Built(kit.write_all({"net": layer}, tmp_path), kit.compiler("gcc"), "-O2")
    x = np.random.default_rng(0).standard_normal((30, 3)).astype("float32")
    assert library.start() == 0
    assert kit.same(library.feed(x, np.empty((30, 8), "float32")), layer.stream().feed(x))


def test_no_library_is_needed(kit, tmp_path):
    """No copies by the C library, unless a compiler makes them."""
    made = layers("float64")
    kit.write_all(made, tmp_path)
    for name in made:
        assert "memcpy" not in (tmp_path / f"{name}.c").read_text()
        assert "math.h" not in (tmp_path / f"{name}.c").read_text()
