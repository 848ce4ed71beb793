"""Functions across the units of a row: values, gradients, what is refused, and cells of them wherever cells go."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest

import pylstm
import row_cells as rc
from pylstm.cells import (
    Cell,
    CertificationError,
    audit,
    certify,
    contract,
    cumsum,
    derivation_page,
    derive,
    fold,
    logsumexp,
    outer,
    repeat,
    row_max,
    row_mean,
    row_norm,
    row_sum,
    softmax,
    tanh,
    tile,
)
from pylstm.cells._hooks import run_stage
from pylstm.cells.formula import machine, rules
from pylstm.cells.kernels import load_kernel
from pylstm.cells.widths import evaluated, product, quotient

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 12)) * 4
PARTS = X.reshape(3, 2, 6)
every_cell = pytest.mark.parametrize("cell", rc.CELLS, ids=lambda cell: cell.name)


def test_values():
    e = np.exp(PARTS)
    for got, wanted in (
        (row_sum(X, 2), PARTS.sum(-1)),
        (row_mean(X, 2), PARTS.mean(-1)),
        (row_max(X, 2), PARTS.max(-1)),
        (row_norm(X, 2), np.linalg.norm(PARTS, axis=-1)),
        (logsumexp(X, 2), np.log(e.sum(-1))),
        (softmax(X, 2), (e / e.sum(-1, keepdims=True)).reshape(3, 12)),
        (cumsum(X, 2), PARTS.cumsum(-1).reshape(3, 12)),
        (cumsum(X, 2, reverse=True), PARTS[..., ::-1].cumsum(-1)[..., ::-1].reshape(3, 12)),
        (repeat(X, 36), X.repeat(3, axis=-1)),
        (tile(X, 36, 2), np.tile(PARTS, (1, 1, 3)).reshape(3, 36)),
        (fold(X, 4, 2), PARTS.reshape(3, 2, 3, 2).sum(2).reshape(3, 4)),
        (row_sum(X), X.sum(-1, keepdims=True)),
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-13)


def test_matrices_and_vectors():
    a, b = RNG.normal(size=(3, 6)), RNG.normal(size=(3, 8))
    u, v = a.reshape(3, 2, 3), b.reshape(3, 2, 4)
    M = outer(a, b, 2)
    np.testing.assert_allclose(M.reshape(3, 2, 3, 4), np.einsum("bgi,bgj->bgij", u, v))
    np.testing.assert_allclose(contract(M, b, 2), np.einsum("bgij,bgj->bgi", M.reshape(3, 2, 3, 4), v).reshape(3, 6))
    np.testing.assert_allclose(contract(a, M, 2), np.einsum("bgij,bgi->bgj", M.reshape(3, 2, 3, 4), u).reshape(3, 8))


def test_nothing_overflows():
    far = np.array([[1e4, 1e4 - 1, -1e4, 0.0]])
    for dtype in ("float32", "float64"):
        assert np.isfinite(softmax(far.astype(dtype))).all()
        assert logsumexp(far.astype(dtype))[0, 0] == pytest.approx(1e4 + np.log1p(np.exp(-1)), rel=1e-6)
    layer = pylstm.Recurrent(rc.Ordered, 3, 8, seed=0)
    run = layer(np.full((4, 2, 3), 1e4, "float32"))
    assert np.isfinite(run.y).all()
    assert np.isfinite(run.backward(np.ones_like(run.y)).params.flat).all()


@every_cell
def test_certified(cell):
    certificate = certify(cell)
    assert {"twin", "kernel float32", "kernel float64"} <= {path.form for path in certificate.paths}


def planted(op, change):
    """The rules with another one for `op`."""
    return {**rules.RULES, op: (change,)}


@pytest.mark.parametrize(
    ("cell", "op", "change"),
    [
        (rc.LayerNorm, "row_sum", lambda c, y, a: 1.001 * c.across("fill", a.width)),
        (rc.Ordered, "softmax", lambda c, y, a: y * c),
        (rc.Ordered, "cumsum", lambda c, y, a: c.across("cumsum", a.width, y.groups)),
        (rc.Ordered, "rcumsum", lambda c, y, a: c.across("rcumsum", a.width, y.groups)),
        (rc.Heads, "row_max", lambda c, y, a: c.across("fill", a.width)),
        (rc.Heads, "logsumexp", lambda c, y, a: c.across("fill", a.width)),
        (rc.Heads, "fill", lambda c, y, a: c if a.width == 1 else 2 * c.across("row_sum", a.width)),
        (rc.Product, "tile", lambda c, y, a: c.across("row_sum", a.width)),
        (rc.Memory, "fold", lambda c, y, a: c.across("tile", a.width)),
    ],
    ids=lambda each: getattr(each, "name", each if isinstance(each, str) else "wrong"),
)
def test_a_wrong_rule_is_found(cell, op, change, monkeypatch):
    monkeypatch.setattr(rules, "RULES", planted(op, change))
    with pytest.raises(CertificationError):
        certify(type(cell.__name__, (cell,), {"name": cell.name}))


def test_units_that_are_equal_share_the_derivative():
    class Largest(Cell):
        states = ("h",)
        gates = {"a": "x"}

        def forward(z):
            return {"h": z.a * 0 + row_max(z.a)}

    layer = pylstm.Recurrent(Largest, 4, 4, dtype="float64")
    layer.params["weight_x"][:] = np.eye(4)
    layer.params["bias"][:] = 0
    run = layer(np.array([[[1.0, 3, 3, 2]]]))
    np.testing.assert_array_equal(run.backward(np.ones((1, 1, 4))).x, [[[0, 2, 2, 0]]])


def test_a_product_of_sizes_is_one_divisor():
    class Mean(Cell):
        states = ("h", "M")
        gates = {"a": "x"}
        sizes = {"heads": 3, "dim": 2}
        widths = {"M": "heads * dim"}

        def forward(z, prev):
            return {"h": z.a + row_mean(prev.M), "M": 0.5 * prev.M}

    assert certify(Mean).ok


def test_the_norm_of_nothing_has_derivative_0():
    class Norm(Cell):
        states = ("h",)
        gates = {"a": "x"}

        def forward(z):
            return {"h": z.a + row_norm(z.a)}

    layer = pylstm.Recurrent(Norm, 2, 2, dtype="float64", bias=False)
    grads = layer(np.zeros((1, 1, 2))).backward(np.ones((1, 1, 2)))
    np.testing.assert_allclose(grads.x, [[np.ones(2) @ layer.params["weight_x"]]])


@pytest.mark.parametrize("where", ["stream", "bidirectional", "ragged", "checkpoint", "stack", "pickle", "file"])
@every_cell
def test_cells_go_everywhere(cell, where, tmp_path):
    layer = pylstm.Recurrent(cell, 3, 6, seed=0, dtype="float64")
    x = RNG.normal(size=(9, 4, 3))
    y = layer(x).y
    if where == "stream":
        stream = layer.stream(4)
        got = np.stack([stream.step(step).copy() for step in x])
    elif where == "bidirectional":
        both = pylstm.Recurrent(cell, 3, 6, seed=0, dtype="float64", bidirectional=True)
        (pair,) = both.layers
        pair.forward.params.flat[:] = layer.params.flat
        got = both(x).y[..., : y.shape[-1]]
    elif where == "ragged":
        lengths = [9, 4, 9, 1]
        got = layer(x, lengths=lengths).y
        y = np.where(np.arange(9)[:, None, None] < np.array(lengths)[:, None], y, 0)
    elif where == "checkpoint":
        run = layer(x, checkpoint="sqrt")
        np.testing.assert_array_equal(
            run.backward(np.ones_like(y)).params.flat, layer(x).backward(np.ones_like(y)).params.flat
        )
        got = run.y
    elif where == "stack":
        stack = pylstm.Recurrent(cell, 3, 6, 2, seed=0, dtype="float64")
        first, second = stack.recurrents
        got, y = stack(x).y, second(first(x).y).y
    elif where == "pickle":
        got = pickle.loads(pickle.dumps(layer.params)).flat
        y = layer.params.flat
    else:
        pylstm.save(tmp_path / "a.safetensors", layer)
        got = pylstm.load(tmp_path / "a.safetensors", cell=cell)(x).y
    np.testing.assert_array_equal(got, y)


@every_cell
def test_other_sizes_of_one_cell(cell):
    """Each layer runs the code for its own sizes."""
    sizes = [{name: 1 + k for name in cell.sizes} for k in range(3)]
    layers = [pylstm.Recurrent(cell, 3, 5 + k, seed=0, **each) for k, each in enumerate(sizes)]
    for layer in [*layers, *layers[::-1]]:
        run = layer(RNG.normal(size=(3, 2, 3)).astype("float32"))
        assert run.y.shape[-1] == layer.output_size
        assert np.isfinite(run.backward(np.ones_like(run.y)).x).all()


def test_gradients_of_a_memory_are_those_of_torch():
    torch = pytest.importorskip("torch")
    layer = pylstm.Recurrent(rc.Memory, 3, 6, seed=0, dtype="float64")
    x = RNG.normal(size=(7, 2, 3))
    run = layer(x)
    dy = RNG.normal(size=run.y.shape)
    ours = run.backward(dy)
    params = {name: torch.tensor(np.array(value), requires_grad=True) for name, value in layer.params.items()}
    xs = torch.tensor(x, requires_grad=True)
    W = dict(zip("kifqvo", params["weight_x"].split([6, 2, 2, 6, 8, 8])))
    U = dict(zip("ifo", params["weight_h"].split([2, 2, 8])))
    B = dict(zip("kifqvo", params["bias"].split([6, 2, 2, 6, 8, 8])))
    h, S, n = (
        torch.zeros(2, 8, dtype=xs.dtype),
        torch.zeros(2, 2, 3, 4, dtype=xs.dtype),
        torch.zeros(2, 2, 3, dtype=xs.dtype),
    )
    loss = 0
    for t in range(7):
        z = {g: xs[t] @ W[g].T + B[g] + (h @ U[g].T if g in U else 0) for g in "kifqvo"}
        q, k, v = (z[g].reshape(2, 2, -1) for g in "qkv")
        write = k * 3**-0.5 * z["i"].exp()[..., None]
        decay = z["f"].sigmoid()[..., None]
        S = decay[..., None] * S + write[..., None] * v[..., None, :]
        n = decay * n + write
        read = torch.einsum("bgij,bgi->bgj", S, q) / (n * q).sum(-1, keepdim=True).abs().clamp(min=1)
        h = z["o"].sigmoid() * read.reshape(2, 8)
        loss = loss + (h * torch.tensor(dy[t])).sum()
    loss.backward()
    for name, value in params.items():
        np.testing.assert_allclose(ours.params[name], value.grad, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(ours.x, xs.grad, rtol=1e-10, atol=1e-11)


@every_cell
def test_in_onnx(cell, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from pylstm.interop import onnx

    layer = pylstm.Recurrent(cell, 3, 6, seed=0)
    x = RNG.normal(size=(9, 4, 3)).astype("float32")
    onnx.export(layer, tmp_path / "a.onnx")
    session = runtime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    got = session.run(None, {session.get_inputs()[0].name: x})[0]
    np.testing.assert_allclose(got, layer(x).y, rtol=2e-5, atol=2e-6)


def codes(cell):
    """The operations in the code of a cell."""
    contract = cell.contract
    sizes = contract.resolve(3, 6).sizes
    programs = [each for stage in derive(cell).stages.values() for each in (stage.forward, stage.backward)]
    return [{op for op, *_ in machine.encode(each, contract, sizes)["code"]} for each in programs]


def test_products_are_not_made_before_they_are_summed():
    _, keys, forward, backward = codes(rc.Memory)
    assert {"outer", "vecmat", "row_dot"} <= forward and not {"tile", "fold"} & forward
    assert {"matvec", "outer", "vecmat"} <= backward | keys
    assert "matvec" in codes(rc.Product)[0]


def test_the_bits_are_those_of_products_that_are_made(monkeypatch):
    layer = pylstm.Recurrent(rc.Memory, 3, 6, seed=0)
    x = RNG.normal(size=(7, 2, 3)).astype("float32")
    run = layer(x)
    monkeypatch.setattr(machine, "fuse_rows", lambda values, stored: values)
    plain = pylstm.Recurrent(type("Plain", (rc.Memory,), {"name": "memory"}), 3, 6, seed=0)
    other = plain(x)
    np.testing.assert_array_equal(run.y, other.y)
    dy = np.ones_like(run.y)
    np.testing.assert_array_equal(run.backward(dy).params.flat, other.backward(dy).params.flat)


@every_cell
def test_pages_show_them(cell):
    page = derivation_page(derive(cell))
    assert "units" in page or "operatorname{cumsum}" in page
    maths = "".join(page.split("$$")[1::2])
    assert maths.count("{") == maths.count("}")
    assert not re.search(r"\^\{[^{}]*\}\^", maths)  # two exponents


def test_audits_follow_the_paths_within_a_step():
    layer = rc.LayerNorm

    def backward(d, y, prev):
        return {"f": 0 * d.c}

    assert audit(layer, backward).faults


def test_a_file_of_groups_that_do_not_divide_three_units(tmp_path):
    """A file holds what its cell computes at a few units."""

    class Four(Cell):
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z):
            return {"h": softmax(z.a, 4) + tanh(z.a)}

    layer = pylstm.Recurrent(Four, 3, 8, seed=0)
    pylstm.save(tmp_path / "f", layer)
    x = RNG.normal(size=(5, 2, 3)).astype("float32")
    np.testing.assert_array_equal(pylstm.load(tmp_path / "f", cell=Four)(x).y, layer(x).y)


def test_a_size_alone_in_a_formula():
    class Scaled(Cell):
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z, prev, size):
            return {"h": tanh(z.a * size.hidden_size**-0.5) + 0.5 * prev.h}

    assert certify(Scaled).ok and not Scaled.contract.elementwise
    layer, x = pylstm.Recurrent(Scaled, 3, 256, seed=0), RNG.normal(size=(20, 1, 3)).astype("float32")
    before, found = pylstm.get_num_threads(), []
    try:
        for threads in (1, 2):
            pylstm.set_num_threads(threads)
            run = layer(x)
            found.append((run.y.copy(), run.backward(np.ones_like(run.y)).params.flat.copy()))
    finally:
        pylstm.set_num_threads(before)
    assert all(np.array_equal(one, two) for one, two in zip(*found))


def test_logsumexp_of_infinities():
    inf = np.inf
    x = np.array([[-inf, -inf, -inf, 0], [inf, 0, -inf, -inf]])
    wanted = [[-inf, 0], [inf, -inf]]
    with np.errstate(divide="ignore"):  # the logarithm of 0
        np.testing.assert_array_equal(logsumexp(x, 2), wanted)

    class Logs(Cell):
        states = ("h",)
        gates = {"a": "x"}
        widths = {"a": 4, "h": 2}

        def forward(z):
            return {"h": logsumexp(z.a, 2)}

    for dtype in ("float32", "float64"):
        layer = pylstm.Recurrent(Logs, 4, 4, dtype=dtype, bias=False, certified=False)
        layer.params["weight_x"][:] = 0
        pre = np.where(np.isnan(x), 0, x).astype(dtype)
        stage = derive(Logs).stages[""]
        blocks = {"gates": [pre.copy()], "prev": [np.zeros((2, 2), dtype)], "states": [np.empty((2, 2), dtype)]}
        blocks["keep"] = [np.empty((2, layer.widths[name]), dtype) for name in stage.keep]
        run_stage(load_kernel(Logs, layer.widths.sizes), 0, False, blocks)
        np.testing.assert_array_equal(blocks["states"][0], wanted)


def test_products_of_sizes():
    assert product("b", 2, "a * 3") == "6 * a * b"
    assert quotient("6 * a * b", "2 * b") == "3 * a"
    assert quotient("a", "a") == 1
    assert quotient("a", 2) is None
    assert evaluated("2 * a * a", {"a": 3}) == 18
    assert pylstm.Recurrent(rc.Memory, 3, 4, heads=3, key=2, value=5).widths["S"] == 30


def test_a_sum_across_a_row_is_added_to_a_parameter_and_an_aux_input():
    """Rows share their cotangents: one that went straight to its block replaced what the row before had left."""

    class Scaled(Cell):
        states = ("h", "S")
        widths = dict(S="hidden_size * hidden_size", scale=1)
        gates = dict(a="x+h")
        params = ("scale", "turn")
        aux = ("dt",)

        def forward(z, prev, p, u):
            wide = "hidden_size * hidden_size"
            scale, dt = repeat(p.scale, wide), repeat(u.dt, wide)
            written = tile(tanh(z.a), wide)
            S = scale * repeat(p.turn, wide) * prev.S - scale * written + dt * prev.S + dt * tanh(written)
            return dict(h=contract(S, z.a), S=S)

    assert certify(Scaled).ok
