"""Matrices with a structure: the bits of the layer with the whole matrix, the gradients of what is stored."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

import pylstm
import structured_cells as sc
from pylstm import Bidirectional, Recurrent, Stack
from pylstm.cells import LSTM, Cell, tanh
from pylstm.engine.threads import set_num_threads

ALL, MADE, NATIVE, Staged, structured, whole = sc.ALL, sc.MADE, sc.NATIVE, sc.Staged, sc.structured, sc.whole

SIZES = {  # T, B, inputs, units
    "one row": (9, 1, 4, 8),
    "few rows": (9, 6, 8, 16),
    "many rows": (40, 37, 16, 32),
    "units": (300, 1, 64, 64),
    "wide": (60, 2, 64, 128),
}


def drawn(shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def pulled(layer, gradients):
    """The gradients of what is stored, from those of the whole matrices."""
    contract, found = layer.cell.contract, dict(gradients.params)
    for source, matrix in contract.matrices(layer.widths).items():
        found |= matrix.pull(found.pop(f"weight_{source}"), layer.params)
    return found


@pytest.fixture(params=[1, 2])
def threads(request):
    before = pylstm.get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("where", ["h", "x"])
@pytest.mark.parametrize("kind", NATIVE)
def test_what_the_loop_multiplies_has_the_bits_of_the_whole_matrix(kind, where, size, threads):
    T, B, inputs, units = SIZES[size]
    inputs = units if where == "x" and ("diagonal" in kind or kind == "rectangles") else inputs
    for dtype in ("float32", "float64"):
        layer = Recurrent(structured(kind, where), inputs, units, dtype=dtype, seed=1)
        plain = whole(layer, LSTM)
        x, dy = drawn((T, B, inputs), dtype), drawn((T, B, units), dtype, 1)
        run, other = layer(x), plain(x)
        assert (run.y == other.y).all()
        assert (layer(x, tape=False).y == other.y).all()
        ours, theirs = run.backward(dy), other.backward(dy)
        assert (ours.x == theirs.x).all()
        for name, value in pulled(layer, theirs).items():
            np.testing.assert_allclose(ours.params[name], value, rtol=0, atol=1e-4 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize(
    ("base", "where"), [(LSTM, ("h",)), (LSTM, ("x", "h")), (Staged, ("rh",)), (Staged, ("x", "h"))]
)
def test_gradients_are_those_of_differences(kind, base, where):
    layer = Recurrent(structured(kind, where, base), 8, 8, dtype="float64", seed=1, learn_initial=True)
    layer.params.flat[:] += 0.3 * drawn(layer.params.size, seed=2)
    x, dy = drawn((5, 3, 8)), drawn((5, 3, 8), seed=1)
    found, flat = layer(x).backward(dy).params.flat, layer.params.flat
    for k in np.random.default_rng(3).choice(flat.size, 30, replace=False):
        kept, values = flat[k], []
        for step in (1e-5, -1e-5):
            flat[k] = kept + step
            values.append((layer(x).y * dy).sum())
        flat[k] = kept
        assert found[k] == pytest.approx((values[0] - values[1]) / 2e-5, abs=3e-8)
    assert (found != 0).mean() > 0.3


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("base", [LSTM, Staged])
def test_every_way_to_run_agrees_with_the_whole_matrix(kind, base, threads):
    layer = Recurrent(structured(kind, ("x", "h", "rh")[: 2 + (base is Staged)], base), 8, 8, dtype="float64", seed=1)
    plain = whole(layer, base)
    x, dy = drawn((23, 5, 8)), drawn((23, 5, 8), seed=1)
    lengths, reset = np.array([23, 7, 0, 11, 23]), np.random.default_rng(5).random((23, 5)) < 0.2
    for options in (
        {},
        {"lengths": lengths},
        {"checkpoint": "sqrt"},
        {"reset": reset},
        {"lengths": lengths, "reset": reset},
    ):
        run, other = layer(x, **options), plain(x, **options)
        assert (run.y == other.y).all()
        layer.params.flat[:] *= 2  # a run keeps the weights that it had
        ours = run.backward(dy)
        layer.params.flat[:] /= 2
        theirs = other.backward(dy)
        assert (ours.x == theirs.x).all()
        for name, value in pulled(layer, theirs).items():
            np.testing.assert_allclose(ours.params[name], value, rtol=0, atol=1e-11)
    stream = layer.stream(5)
    assert all((stream.step(x[t]) == run.y[t]).all() for t in range(23)) or "reset" in options
    stream, other = layer.stream(5), plain(x)
    for t in range(23):
        assert (stream.step(x[t]) == other.y[t]).all()


@pytest.mark.parametrize("kind", ALL)
def test_composed_saved_copied(kind, tmp_path, monkeypatch):
    cell = structured(kind, ("h",))
    first, second, back = (Recurrent(cell, n, 8, seed=k) for k, n in enumerate((3, 16, 3)))
    net = Stack([Bidirectional(first, back), second])
    x, dy = drawn((7, 2, 3), "float32"), drawn((7, 2, 8), "float32", 1)
    run = net(x)
    grads = run.backward(dy)
    assert all(array.any() for array in grads.params.values())
    pylstm.save(tmp_path / "net.pylstm", net)
    loaded = pylstm.load(tmp_path / "net.pylstm", cell=cell)
    assert (loaded(x).y == run.y).all()
    assert loaded.params.shapes == net.params.shapes


def test_pickled_and_copied():
    from copy import deepcopy

    layer = Recurrent(Named, 3, 8, seed=0)
    x = drawn((7, 2, 3), "float32")
    for other in (pickle.loads(pickle.dumps(layer)), deepcopy(layer)):
        assert (other(x).y == layer(x).y).all()
        other.params.flat[:] = 0
        assert layer.params.flat.any()


class Named(LSTM):
    name = "named_structure"
    structure = {"h": "orthogonal"}


def test_orthogonal_is_orthogonal_and_stays_so():
    layer = Recurrent(structured("orthogonal"), 3, 8, dtype="float64", seed=0)
    optimiser = pylstm.Adam(layer.params, lr=0.1)
    x, dy = drawn((7, 2, 3)), drawn((7, 2, 8), seed=1)
    for _ in range(20):
        optimiser.step(layer(x).backward(dy).params)
    for gate in np.split(layer.matrix("h"), 4):
        np.testing.assert_allclose(gate @ gate.T, np.eye(8), atol=1e-13)


def test_structures_are_what_they_say():
    found = {kind: Recurrent(structured(kind), 3, 8, seed=0) for kind in ALL}
    matrices = {kind: layer.matrix("h").reshape(4, 8, 8) for kind, layer in found.items()}
    assert not matrices["blocks"][:, :4, 4:].any()
    assert not (matrices["diagonal"] * (1 - np.eye(8))).any()
    assert not np.tril(matrices["rectangles"][0], -2).any()
    assert (matrices["tied"] == matrices["tied"][:1]).all()
    assert (matrices["antisymmetric"] == -matrices["antisymmetric"].swapaxes(1, 2)).all()
    assert np.linalg.matrix_rank(matrices["low rank"].reshape(32, 8)) == 4
    assert {kind: layer.params["weight_h"].shape for kind, layer in found.items()} == {
        "blocks": (32, 4), "as many blocks as heads": (32, 2), "diagonal": (32, 1), "rectangles": (32, 8),
        "tied": (8, 8), "tied blocks": (8, 4), "tied diagonal": (8, 1), "scattered": (32, 8), "low rank": (32, 4),
        "antisymmetric": (32, 8), "orthogonal": (32, 8), "tied low rank": (8, 3), "tied orthogonal": (8, 8),
    }  # fmt: skip
    assert found["low rank"].params["factor_h"].shape == (4, 8)


def test_a_low_rank_starts_with_the_variance_of_a_whole_matrix():
    cell = type("Low", (LSTM,), {"structure": {"h": "low_rank(16)"}})
    assert Recurrent(cell, 3, 256, seed=0).matrix("h").std() == pytest.approx((1 / (3 * 256)) ** 0.5, rel=0.1)


def test_initialisers_know_the_blocks():
    layer = Recurrent(structured("blocks"), 3, 8, dtype="float64", seed=0).initialise("orthogonal", seed=1)
    for gate in np.split(layer.matrix("h"), 4):
        np.testing.assert_allclose(gate @ gate.T, np.eye(8), atol=1e-13)
    for kind in ("blocks", "diagonal", "orthogonal", "tied"):
        layer = Recurrent(structured(kind), 3, 8, seed=0).initialise("identity")
        if kind == "orthogonal":
            continue
        assert (layer.matrix("h") == np.tile(np.eye(8), (4, 1))).all(), kind


def test_what_a_mask_takes_away_is_zero_and_stays_so():
    for kind in ("rectangles", "scattered"):
        layer = Recurrent(structured(kind), 3, 8, seed=0)
        mask = np.tile(ALL[kind](SimpleNamespace(hidden_size=8)), (4, 1))
        for how in ("uniform", "glorot_uniform", "orthogonal"):
            layer.initialise(how, seed=0)
            assert not layer.params["weight_h"][~mask].any()
        optimiser = pylstm.AdamW(layer.params, lr=0.1)
        x, dy = drawn((7, 2, 3), "float32"), drawn((7, 2, 8), "float32", 1)
        for _ in range(3):
            optimiser.step(layer(x).backward(dy).params)
        assert not layer.params["weight_h"][~mask].any()
        assert layer.params["weight_h"][mask].all()
        layer.params["weight_h"][~mask] = 5  # is not read
        assert (layer(x).y == whole(layer, LSTM)(x).y).all()
        assert not layer.matrix("h")[~mask].any()


def test_a_mask_for_each_gate(threads):
    """The input gate sees the first half of a source, the forget gate the second, the others all and nothing."""
    half = np.repeat([[1, 0]], 8, axis=0).repeat(4, axis=1)
    mask = np.concatenate([half, 1 - half, np.ones_like(half), np.zeros_like(half)]).astype(bool)
    for dtype in ("float32", "float64"):
        for where in (("h",), ("x", "h")):
            cell = type("Own", (LSTM,), {"name": "own", "structure": dict.fromkeys(where, mask)})
            layer = Recurrent(cell, 8, 8, dtype=dtype, seed=1)
            assert not layer.params["weight_h"][~mask].any() and layer.params["weight_h"][mask].all()
            x, dy = drawn((40, 5, 8), dtype), drawn((40, 5, 8), dtype, 1)
            run, other = layer(x), whole(layer, LSTM)(x)
            assert (run.y == other.y).all()
            ours, theirs = run.backward(dy), other.backward(dy)
            assert (ours.x == theirs.x).all()
            for name, value in pulled(layer, theirs).items():
                np.testing.assert_allclose(ours.params[name], value, rtol=0, atol=1e-4 if dtype == "float32" else 1e-12)
    with pytest.raises(TypeError, match="one below the other"):
        type("Wrong", (LSTM,), {"name": "wrong", "structure": {"h": "all"}}).contract  # noqa: B018


def test_constants_of_a_structure():
    class Held(Cell):
        states = ("h",)
        gates = {"a": "x+h", "b": "h"}
        structure = {"h": "diagonal"}
        constants = {"weight_h.b": np.full((8, 1), 0.5)}

        def forward(z, prev):
            return {"h": tanh(z.a) + 0.5 * tanh(z.b)}

    layer = Recurrent(Held, 3, 8, seed=0)
    assert (layer.params["weight_h"][8:] == 0.5).all()
    grads = layer(drawn((7, 2, 3), "float32")).backward(drawn((7, 2, 8), "float32", 1))
    assert grads.params["weight_h"][:8].all()
    assert not grads.params["weight_h"][8:].any()
    with pytest.raises(TypeError, match="the gates of weight_h are tied: only 'weight_h' can be a constant"):
        type("Both", (Held,), {"structure": {"h": "tied diagonal"}})
    tied = type("All", (Held,), {"structure": {"h": "tied diagonal"}, "constants": {"weight_h": 0.25}})
    assert (Recurrent(tied, 3, 8).matrix("h") == np.tile(np.eye(8) / 4, (2, 1))).all()


@pytest.mark.parametrize("kind", MADE)
def test_gradients_of_inputs_alone(kind):
    layer = Recurrent(structured(kind), 3, 8, seed=0)
    x, dy = drawn((7, 2, 3), "float32"), drawn((7, 2, 8), "float32", 1)
    assert not layer(x).backward(dy, without=("params",)).params.flat.any()
    layer.params.freeze("weight_h")
    assert not layer(x).backward(dy).params["weight_h"].any()


def test_pytorch_onnx_and_c_have_the_numbers(tmp_path):
    torch, onnxruntime = pytest.importorskip("torch"), pytest.importorskip("onnxruntime")
    import pylstm.interop.onnx
    import pylstm.torch

    for kind in ALL:
        cell = structured(kind)
        module = pylstm.torch.Recurrent(cell, 3, 8)
        layer = module.to_pylstm()
        x = drawn((7, 2, 3), "float32")
        y = module(torch.tensor(x))[0]
        assert (y.detach().numpy() == layer(x).y).all(), kind
        y.sum().backward()
        grads = layer(x).backward(np.ones((7, 2, 8), "float32"))
        (weight,) = (each.grad.numpy() for name, each in module.named_parameters() if name.startswith("weight_h"))
        np.testing.assert_allclose(weight, grads.params["weight_h"], rtol=1e-5, atol=1e-6)
        pylstm.interop.onnx.export(layer, tmp_path / "net.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
        out = session.run(None, {session.get_inputs()[0].name: x})
        np.testing.assert_allclose(out[0], layer(x).y, atol=1e-5, err_msg=kind)


def test_a_file_knows_the_structure(tmp_path):
    layer, path = Recurrent(structured("rectangles"), 3, 8, seed=0), tmp_path / "net.pylstm"
    pylstm.save(path, layer)
    other = type("Other", (LSTM,), {"name": layer.cell.name, "sizes": {"heads": 4}})
    with pytest.raises(ValueError, match=r"structure was h=mask [0-9a-f]{8}, now none"):
        pylstm.load(path, cell=other)
    moved = type("Moved", (other,), {"name": layer.cell.name, "structure": {"h": lambda size: sc.wiring(size).T}})
    with pytest.raises(ValueError, match=r"structure was h=mask [0-9a-f]{8}, now h=mask"):
        pylstm.load(path, cell=moved)


def test_compared_with_the_parameters_that_it_has():
    from pylstm.comparing import adding
    from pylstm.comparing.sizing import count_params, hidden_size_for

    cell = structured("as many blocks as heads")
    size = hidden_size_for(cell, adding(), 10_000)
    assert size % 4 == 0
    assert count_params(cell, adding(), size) == pytest.approx(10_000, rel=0.05)


def test_the_oracle_knows_the_structure():
    """`audit` and certification look at nets made by the reference, whose gradients are those of the loop."""
    from pylstm.cells.auditing import reference

    for kind in ALL:
        layer = Recurrent(structured(kind, ("rh", "h"), Staged), 3, 8, dtype="float64", seed=0)
        x, dy = drawn((5, 2, 3)), drawn((5, 2, 8), seed=1)
        tape = reference.forward(layer.cell, dict(layer.params.items()), x)
        run, grads = layer(x), reference.backward(tape, dy)
        np.testing.assert_allclose(run.y, tape.y, atol=1e-13)
        for name, array in run.backward(dy).params.items():
            np.testing.assert_allclose(array, grads.params[name], atol=1e-12, err_msg=f"{kind} {name}")


def test_audited():
    class Plain(Cell):
        states = ("h",)
        gates = {"a": "x+h"}
        structure = {"h": "antisymmetric"}

        def forward(z):
            return {"h": tanh(z.a)}

    def claimed(steps, factor=1.0):
        dh, U = steps.dy.copy(), steps.weight("a", "h")
        for t in reversed(range(steps.T - 1)):
            dh[t] += factor * dh[t + 1] * (1 - steps.states["h"][t + 2] ** 2) @ U
        return {"h": dh}

    assert pylstm.audit(Plain, claimed).findings["h"].wrong_from is None
    assert pylstm.audit(Plain, lambda steps: claimed(steps, 0.9)).findings["h"].wrong_from == 2


def test_a_page_names_the_structure():
    from pylstm.cells import derivation_page, derive

    page = derivation_page(derive(structured("orthogonal", ("rh", "h"), Staged)))
    assert "weight_h: 2 gates, orthogonal" in page and "weight_rh: 1 gates, orthogonal" in page


def test_initialisers_of_two_factors():
    layer = Recurrent(structured("low rank"), 3, 16, dtype="float64", seed=0).initialise("orthogonal", seed=1)
    for gate in np.split(layer.matrix("h"), 4):
        np.testing.assert_allclose(np.linalg.svd(gate)[1][:4], 1, rtol=1e-12)
    with pytest.raises(ValueError, match=r"weight_h of .* is antisymmetric: it cannot be the identity"):
        Recurrent(structured("antisymmetric"), 3, 8).initialise("identity")


@pytest.mark.parametrize("how", ["orthogonal", "glorot_uniform", "identity"])
def test_a_gain_counts_once_for_two_factors(how):
    """The whole matrix is gain times that of gain 1; where the first factor is a constant, the second has the gain."""
    held = {"constants": {"weight_h": lambda size: np.ones((4 * size.hidden_size, 6))}}
    for more in ({}, held):
        cell = type("Low", (LSTM,), {"structure": {"h": "low_rank(6)"}} | more)
        layers = [Recurrent(cell, 3, 8, dtype="float64") for _ in range(2)]
        for layer, gain in zip(layers, (1.0, 3.0)):
            layer.initialise(how, "all", gain=gain, **({} if how == "identity" else {"seed": 0}))
        np.testing.assert_allclose(layers[1].matrix("h"), 3 * layers[0].matrix("h"), rtol=1e-13)
        np.testing.assert_allclose(layers[1].params["weight_x"], 3 * layers[0].params["weight_x"], rtol=1e-13)
        assert layers[0].matrix("h").any()
    for layer in layers:  # of numbers on both sides of 0 the sign of the bound is none
        layer.initialise("uniform", -0.1).initialise("glorot_uniform", gain=-1.0)
        assert 0 < abs(layer.params["bias"]).max() <= 0.1


def test_a_factor_can_be_constant_or_begin_where_the_cell_says():
    values = {"structure": {"h": "low_rank(2)"}, "constants": {"factor_h": lambda size: np.eye(2, size.hidden_size)}}
    layer = Recurrent(type("Held", (Staged,), values), 3, 6, seed=0)
    assert (layer.params["factor_h"] == np.eye(2, 6)).all() and layer.params.constants == ("factor_h",)
    grads = layer(drawn((3, 2, 3), "float32")).backward(drawn((3, 2, 6), "float32"))
    assert grads.params["weight_h"].any() and not grads.params["factor_h"].any()
    begun = type("Begun", (Staged,), {"structure": {"h": "low_rank(2)"}, "initial_values": {"factor_h": 0.5}})
    assert (Recurrent(begun, 3, 6).params["factor_h"] == 0.5).all()
    with pytest.raises(TypeError, match="'factor_h' is not a matrix of this cell"):
        type("None", (Staged,), {"constants": {"factor_h": 0.5}})


def test_names_as_they_were_written():
    class Late(Cell):
        states = ("h",)
        gates = {"a": "x+lag(h, 3)"}
        structure = {"lag(h, 3)": "diagonal"}

        def forward(z):
            return {"h": tanh(z.a)}

    assert Recurrent(Late, 3, 6).params["weight_h_lag3"].shape == (6, 1)


def test_a_page_in_latex_names_the_structure():
    from pylstm.cells import derive
    from pylstm.cells.formula.emission import latex

    text = latex.document(derive(structured("orthogonal", ("rh", "h"), Staged)))
    assert "% The matrix of rh has a structure: orthogonal" in text
