"""Layers with the parameters of Flax' cells against these cells, and trees that do not fit."""

import numpy as np
import pytest

from pylstm.interop import flax
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack

T, B, I, H = 7, 3, 4, 5
LINEN = {
    "LSTMCell": ("lstm", {}),
    "OptimizedLSTMCell": ("lstm", {}),
    "GRUCell": ("gru", {}),
    "SimpleCell": ("rnn_tanh", {}),
    "MGUCell": ("mgu_after", {}),
    "MGUCell without reset": ("ugrnn", {"reset_gate": False}),
}
NNX = {"LSTMCell": "lstm", "OptimizedLSTMCell": "lstm", "GRUCell": "gru", "SimpleCell": "rnn_tanh"}


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def drawn(tree, seed=0):
    """The same tree with other numbers, of which no bias is 0."""
    if not hasattr(tree, "items"):
        drawn.count += 1
        return draw(100 * seed + drawn.count, *np.shape(tree)) * np.float32(0.6)
    return {key: drawn(entry, seed) for key, entry in tree.items()}


drawn.count = 0


def linen_cell(name):
    """A cell, its tree and a function that runs it."""
    library, jax = pytest.importorskip("flax.linen"), pytest.importorskip("jax")
    cell = getattr(library, name.split()[0])(features=H, **LINEN[name][1])
    rnn, key = library.RNN(cell, time_major=True), jax.random.PRNGKey(0)
    tree = drawn(rnn.init(key, np.zeros((T, B, I), "float32")))
    return tree, lambda tree, x: np.asarray(rnn.apply(tree, x))


@pytest.mark.parametrize("name", LINEN)
def test_cells_of_linen(name):
    tree, apply = linen_cell(name)
    layer, x = Recurrent(LINEN[name][0], I, H, seed=0), draw(9, T, B, I)
    expected = apply(tree, x)
    flax.load_params(layer, tree, check=(x, expected))
    np.testing.assert_allclose(layer(x).y, expected, rtol=0, atol=2e-6)
    back = flax.params(layer)
    for key, entry in tree["params"]["cell"].items():
        assert {*entry} == {*back[key]}
        for part, array in entry.items():
            np.testing.assert_array_equal(back[key][part], array)
    np.testing.assert_array_equal(apply({"params": {"cell": back}}, x), expected)


@pytest.mark.parametrize("name", NNX)
def test_cells_of_nnx(name):
    nnx = pytest.importorskip("flax.nnx")
    cell = getattr(nnx, name)(I, H, rngs=nnx.Rngs(0))
    nnx.update(cell, drawn(nnx.to_pure_dict(nnx.state(cell, nnx.Param))))
    x, layer = draw(8, T, B, I), Recurrent(NNX[name], I, H, seed=0)
    carry, expected = cell.initialize_carry((B, I), nnx.Rngs(0)), []
    for x_t in x:
        carry, y = cell(carry, x_t)
        expected.append(np.asarray(y))
    for tree in (nnx.state(cell, nnx.Param), nnx.to_pure_dict(nnx.state(cell, nnx.Param))):
        flax.load_params(Recurrent(NNX[name], I, H), tree, check=(x, np.array(expected)))
        flax.load_params(layer, tree)
    np.testing.assert_allclose(layer(x).y, expected, rtol=0, atol=2e-6)
    back = flax.params(layer, layout="linen" if name == "LSTMCell" else "nnx")
    for key, entry in nnx.to_pure_dict(nnx.state(cell, nnx.Param)).items():
        for part, array in entry.items():
            np.testing.assert_array_equal(back[key.removesuffix("_")][part], array)


def test_the_tree_of_a_msgpack_file(tmp_path):
    serialization = pytest.importorskip("flax.serialization")
    tree, apply = linen_cell("GRUCell")
    (tmp_path / "net.msgpack").write_bytes(serialization.to_bytes(tree))
    read = serialization.msgpack_restore((tmp_path / "net.msgpack").read_bytes())
    layer, x = Recurrent("gru", I, H), draw(5, T, B, I)
    flax.load_params(layer, read, check=(x, apply(tree, x)))


def test_two_directions_of_linen():
    library, jax = pytest.importorskip("flax.linen"), pytest.importorskip("jax")
    rnns = [library.RNN(library.GRUCell(features=H)) for _ in range(2)]
    both, x = library.Bidirectional(*rnns, time_major=True), draw(6, T, B, I)
    tree = drawn(both.init(jax.random.PRNGKey(0), x))
    layer = Bidirectional(Recurrent("gru", I, H), Recurrent("gru", I, H))
    flax.load_params(layer, tree, check=(x, both.apply(tree, x)))
    again = Bidirectional(Recurrent("gru", I, H), Recurrent("gru", I, H))
    flax.load_params(again, flax.params(layer))
    np.testing.assert_array_equal(again.params.flat, layer.params.flat)


@pytest.mark.parametrize("cell", [*dict.fromkeys(cell for cell, _ in LINEN.values()), "rnn_relu"])
@pytest.mark.parametrize("layout", flax.LAYOUTS)
def test_round_trips_of_stacks(cell, layout):
    one, two = (Stack([Recurrent(cell, n, H, seed=k) for n in (I, H)]) for k in range(2))
    if cell == "gru" and layout == "nnx":
        with pytest.raises(ValueError, match="no bias of the candidate's recurrent part"):
            flax.params(one, layout=layout)
        for leaf in one.layers:
            leaf.params["bias"][2 * H : 3 * H] = 0  # r, z, m, n
    if cell in ("mgu_after", "ugrnn") and layout == "nnx":
        with pytest.raises(TypeError, match=f"no cell that computes '{cell}': layout='linen' has MGUCell"):
            flax.params(one, layout=layout)
        return
    flax.load_params(two, flax.params(one, layout=layout))
    np.testing.assert_array_equal(two.params.flat, one.params.flat)


def test_trees_of_half_precision_are_converted_and_it_is_said():
    jnp, jax = pytest.importorskip("jax.numpy"), pytest.importorskip("jax")
    tree = jax.tree_util.tree_map(lambda array: jnp.asarray(array, jnp.bfloat16), linen_cell("GRUCell")[0])
    for dtype in ("float32", "float64"):
        layer = Recurrent("gru", I, H, dtype=dtype)
        with pytest.warns(UserWarning, match=f"tree: 10 arrays converted from bfloat16 to {dtype}"):
            flax.load_params(layer, tree)
        kernel = np.asarray(tree["params"]["cell"]["hz"]["kernel"].astype(jnp.float32))
        np.testing.assert_array_equal(layer.params["weight_h"][H : 2 * H], kernel.T)


def tree_of(cell, **changes):
    tree = flax.params(Recurrent(cell, I, H, seed=3)) | changes
    return {key: entry for key, entry in tree.items() if entry is not None}


BIAS = {"bias": np.zeros(H, "f4")}


@pytest.mark.parametrize(
    ("cell", "tree", "error", "message"),
    [
        ("lstm", tree_of("gru"), ValueError, "tree is of a GRUCell, but the layer has the cell 'lstm'"),
        ("rnn_tanh", tree_of("lstm"), ValueError, "tree is of an LSTMCell, but the layer has the cell 'rnn_tanh'"),
        ("gru", tree_of("mgu_after"), ValueError, "tree is of an MGUCell, but the layer has the cell 'gru'"),
        ("gru", tree_of("rnn_tanh"), ValueError, "tree is of a SimpleCell, but the layer has the cell 'gru'"),
        ("ugrnn", tree_of("mgu_after"), ValueError, "MGUCell with reset_gate=True.*with the cell 'mgu_after'"),
        ("mgu_after", tree_of("ugrnn"), ValueError, "MGUCell with reset_gate=False.*with the cell 'ugrnn'"),
        ("lstm", tree_of("lstm", hf=None), ValueError, r"missing entries \['hf.bias', 'hf.kernel'\], unexpected"),
        ("lstm", tree_of("lstm", ii=tree_of("lstm")["ii"] | BIAS), ValueError, r"unexpected entries \['ii.bias'\]"),
        ("gru", flax.params(Recurrent("lstm", I, H), layout="nnx"), ValueError, "tree is of an LSTM .*is a GRU"),
        ("lstm", {"a": tree_of("lstm"), "b": tree_of("lstm")}, ValueError, r"such as tree\['params'\]\['cell'\]"),
        ("lstm", [tree_of("lstm")] * 2, ValueError, "must be 1 trees in a list, .*got 2"),
        ("lstm", np.zeros(3), TypeError, r"the tree of one Flax cell.*pass nnx.state\(cell, nnx.Param\)"),
        ("peephole", {}, TypeError, "flax has no layer with the cell 'peephole'"),
        ("lstm", flax.params(Recurrent("lstm", I, H, dtype="float64")), TypeError, "must be float32, got float64"),
        (
            "lstm",
            flax.params(Recurrent("lstm", 3, H)),
            ValueError,
            r"'kernel'\] must have shape \(4, 5\), got \(3, 5\)",
        ),
    ],
)
def test_trees_that_do_not_fit(cell, tree, error, message):
    layer = Recurrent(cell, I, H, seed=0)
    before = layer.params.flat.copy()
    with pytest.raises(error, match=message):
        flax.load_params(layer, tree)
    np.testing.assert_array_equal(layer.params.flat, before)


def test_a_layer_without_bias():
    layer = Recurrent("lstm", I, H, bias=False, seed=0)
    with pytest.raises(ValueError, match="was made with bias=False"):
        flax.load_params(layer, tree_of("lstm"))
    back = flax.params(layer)
    assert not back["hf"]["bias"].any() and back["hf"]["bias"].shape == (H,)


@pytest.mark.parametrize("option", ["residual", "relu"])
def test_what_a_tree_does_not_say_is_found_by_numbers(option):
    library, jax = pytest.importorskip("flax.linen"), pytest.importorskip("jax")
    cell = library.SimpleCell(
        features=H, **({"residual": True} if option == "residual" else {"activation_fn": jax.nn.relu})
    )
    rnn, x = library.RNN(cell, time_major=True), draw(5, T, B, I)
    tree = drawn(rnn.init(jax.random.PRNGKey(0), x))
    layer = Recurrent("rnn_tanh", I, H, seed=0)
    before = layer.params.flat.copy()
    with pytest.raises(ValueError, match=r"the outputs differ from y by .* so the layer was left as it was"):
        flax.load_params(layer, tree, check=(x, rnn.apply(tree, x)))
    np.testing.assert_array_equal(layer.params.flat, before)
    if option == "relu":
        flax.load_params(Recurrent("rnn_relu", I, H), tree, check=(x, rnn.apply(tree, x)))


def test_another_layout():
    with pytest.raises(ValueError, match="layout must be 'linen' or 'nnx', got 'haiku'"):
        flax.params(Recurrent("lstm", I, H), layout="haiku")
