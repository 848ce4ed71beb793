"""`pylstm.export`: every bundled cell has the bits of `stream.step`, by every compiler."""

import numpy as np
import pytest

import pylstm
from pylstm import export
from pylstm.cells import (
    Cell,
    Stage,
    cos,
    exp,
    expm1,
    log,
    log1p,
    maximum,
    minimum,
    relu,
    sigmoid,
    sin,
    softplus,
    sqrt,
    tanh,
    where,
)
from pylstm.plugins import registry

pytestmark = pytest.mark.once

CELLS = registry().names()
BUILDS = {"gcc float32": ["-O2"], "clang float64": ["-O3"]}
UNFUSED = {"gcc float32 header": ["-O1"]}
SOME = ["lstm", "gru", "peephole", "mgu", "rg_lru", "slstm", "rwkv4", "ct_rnn", "mogrifier_lstm", "lmu"]


def nets_of(kit, words, folder, flags):
    """The layers, and all of them compiled."""
    name, dtype, *form = words.split()
    layers = kit.layers("float32" if form else dtype)
    source = kit.write_all(layers, folder, *form)
    return layers, kit.Built(source, kit.compiler(name), *flags)


@pytest.fixture(scope="module", params=BUILDS)
def built(request, kit, fused, tmp_path_factory):
    return nets_of(kit, request.param, tmp_path_factory.mktemp("fused"), BUILDS[request.param])


@pytest.fixture(scope="module", params=UNFUSED)
def built_unfused(request, kit, tmp_path_factory):
    flags = UNFUSED[request.param] + [f"-D{name.upper()}_FUSED=0" for name in CELLS]
    return nets_of(kit, request.param, tmp_path_factory.mktemp("unfused"), flags)


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_has_the_bits_of_a_stream(built, kit, cell):
    layers, library = built
    assert kit.same(library.outputs(layers[cell], cell), kit.expected(layers[cell]))


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_without_fused_products_has_the_bits_of_v1(built_unfused, unfused, kit, cell):
    layers, library = built_unfused
    right = unfused[layers[cell].dtype.name][cell]
    assert np.abs(right).max() > 1e-3
    assert kit.same(library.outputs(layers[cell], cell), right)


@pytest.mark.parametrize("scale", [1e4, 1e-20, np.inf], ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru", "rwkv4", "slstm", "lmu", "rg_lru"])
def test_saturation(built, kit, cell, scale):
    layers, library = built
    with np.errstate(all="ignore"):
        right = kit.expected(layers[cell], scale=scale)
    assert kit.same(library.outputs(layers[cell], cell, scale=scale), right)


@pytest.mark.parametrize("build", ["gcc float32 header", "clang float32 header"])
def test_a_header_on_a_processor_that_fuses(kit, fused, tmp_path, build):
    layers = {name: layer for name, layer in kit.layers("float32").items() if name in SOME}
    library = kit.Built(kit.write_all(layers, tmp_path, "header"), kit.compiler(build.split()[0]), "-O3", "-mfma")
    assert [n for n, layer in layers.items() if not kit.same(library.outputs(layer, n), kit.expected(layer))] == []


@pytest.mark.parametrize("form", ["c", "header"])
def test_nothing_is_undefined(kit, unfused, tmp_path, form):
    """To the sanitizer, with numbers that overflow and that are not finite."""
    layers = {name: layer for name, layer in kit.layers("float32").items() if name in SOME}
    flags = ["-O1", "-fsanitize=undefined", "-fno-sanitize-recover", *(f"-D{name.upper()}_FUSED=0" for name in layers)]
    library = kit.Built(kit.write_all(layers, tmp_path, form), kit.compiler("gcc"), *flags)
    assert [n for n, layer in layers.items() if not kit.same(library.outputs(layer, n), unfused["float32"][n])] == []
    for scale in (1e4, 1e38, np.inf):
        for name, layer in layers.items():
            with np.errstate(all="ignore"):
                library.outputs(layer, name, scale=scale)


def test_vectors_without_fused_products(kit, unfused, tmp_path):
    layers = {name: layer for name, layer in kit.layers("float64").items() if name in SOME}
    flags = ["-O2", *(f"-D{name.upper()}_FUSED=0" for name in layers)]
    library = kit.Built(kit.write_all(layers, tmp_path), kit.compiler("clang"), *flags)
    wrong = [n for n, layer in layers.items() if not kit.same(library.outputs(layer, n), unfused["float64"][n])]
    assert wrong == []


class Everything(Cell):
    """Every operation of a formula, values of width 1, two stages, old states that are read late, options."""

    states = ("h", "c", "count", "late", "flag")
    gates = {"a": "x+h", "b": "c+x", "m": "h", "n": "x+e+first", "q": "late"}
    biased = ("a", "m", "n", "q")
    params = ("w", "rate")
    widths = {"count": 1, "rate": 1, "q": 1}
    options = {"low": -0.25, "most": 3.0}
    stages = (Stage("first_stage", ("a", "b"), ("e", "first")), Stage("last", ("m", "n", "q")))

    def forward_first_stage(z, prev, p, o):
        e = expm1(0.01 * z.a) * 50 + log1p(0.01 * softplus(z.b)) * p.rate
        return {"e": e, "first": p.w * sigmoid(z.a) + o.low}

    def forward_last(z, prev, e, p, o):
        inside = (z.m > 0.1) & (z.n <= 2.0) | ~(prev.h >= 0) & (z.n != 0)
        h = where(inside, tanh(z.m), relu(z.n) / (1 + abs(z.n))) * p.rate + maximum(sigmoid(e.e), 0.3)
        h = h + prev.count * z.m  # which has its new value by then
        power = exp(-z.m * z.m) * sqrt(1.5 + z.n * z.n) - log(2.5 + 0.1 * sin(z.n) * cos(z.m))
        c = minimum(power - 0.1 * prev.c + prev.late * p.w, o.most)
        count = 0.5 + tanh(z.q)
        return {"h": h, "c": c, "count": count, "late": prev.h * z.m - prev.c * z.n, "flag": z.n > 0}


@pytest.mark.parametrize("size", [1, 5, 8, 13])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_operation_and_width(kit, fused, tmp_path, dtype, size):
    layer = pylstm.Recurrent(Everything, 3, size, dtype=dtype, low=0.125, certified=False, seed=0)
    layer.params.flat[...] = np.random.default_rng(1).standard_normal(layer.params.size) * 0.7
    library = kit.Built(kit.write_all({"net": layer}, tmp_path), kit.compiler("gcc"), "-O2")
    assert kit.same(library.outputs(layer), kit.expected(layer))


def test_an_option_is_in_the_file(tmp_path):
    texts = []
    for dt in (0.25, 0.5):
        export.c(pylstm.Recurrent("lem", 3, 4, dt=dt, seed=0), tmp_path / "net.c")
        texts.append((tmp_path / "net.c").read_text())
    assert texts[0] != texts[1] and "dt = 0.25" in texts[0]


@pytest.mark.parametrize("flags", [("gcc", "-O2"), ("gcc", "-O3"), ("clang", "-O2"), ("clang", "-O3")], ids=" ".join)
def test_a_hundred_thousand_steps(kit, fused, tmp_path, flags):
    nets = {"lstm": pylstm.LSTM(1, 8, seed=0), "gru": pylstm.GRU(2, 13, seed=1, dtype="float64")}
    library = kit.Built(kit.write_all(nets, tmp_path), kit.compiler(flags[0]), *flags[1:])
    for name, layer in nets.items():
        x, _ = kit.inputs(layer, 100_000)
        stream = layer.stream()
        right = np.array([stream.step(x_t) for x_t in x])
        assert kit.same(library.outputs(layer, name, 100_000), right)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matrices_with_a_structure(kit, fused, tmp_path, dtype):
    kinds = {
        "blocks": "blocks(2)",
        "diagonal": "diagonal",
        "tied": "tied blocks(4)",
        "cayley": "orthogonal",
        "low": "low_rank(3)",
    }
    cells = {name: type(name, (pylstm.cells.LSTM,), {"structure": {"h": kind}}) for name, kind in kinds.items()}
    nets = {name: pylstm.Recurrent(cell, 3, 8, dtype=dtype, seed=0) for name, cell in cells.items()}
    library = kit.Built(kit.write_all(nets, tmp_path), kit.compiler("gcc"), "-O2")
    for name, layer in nets.items():
        assert kit.same(library.outputs(layer, name), kit.expected(layer)), name
