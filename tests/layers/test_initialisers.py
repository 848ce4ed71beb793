"""Initialisers: what they set, what they leave alone, for cells of all kinds and for stacks."""

import numpy as np
import pytest

from pylstm.cells import Cell, sigmoid, tanh
from pylstm.layers.initialisers import (
    bias_of,
    chrono,
    gate_bias,
    glorot_uniform,
    identity,
    orthogonal,
    uniform,
    weight_blocks,
)
from pylstm.layers.named import Recurrent

I, H = 3, 5
CELLS = ["lstm", "gru", "gru_reset_before", "peephole", "cifg", "rnn_relu"]


def layer(cell, **options):
    return Recurrent(cell, I, H, dtype="float64", seed=0, **options)


def changed(each, before):
    return {name for name in each.params if (each.params[name] != before[name]).any()}


@pytest.mark.parametrize("cell", CELLS)
def test_orthogonal_by_gate(cell):
    each = layer(cell)
    before = each.params.copy()
    orthogonal(each, gain=2.0, seed=1)
    blocks = list(weight_blocks(each, "recurrent"))
    assert sum(block.size for block in blocks) == sum(
        each.params[name].size for name in each.params if name.startswith("weight_") and name != "weight_x"
    )
    for block in blocks:
        np.testing.assert_allclose(block @ block.T, 4 * np.eye(H), atol=1e-12)
    assert not (blocks[0] == blocks[-1]).all() or len(blocks) == 1
    assert "weight_x" not in changed(each, before) and "bias" not in changed(each, before)
    orthogonal(each, "x", seed=1)
    for block in weight_blocks(each, "x"):
        np.testing.assert_allclose(block.T @ block, np.eye(I), atol=1e-12)


def test_orthogonal_matrices_are_uniform():
    signs = []
    for seed in range(200):
        each = Recurrent("rnn_tanh", 1, 2, dtype="float64", seed=0)
        orthogonal(each, seed=seed)
        signs.append(each.params["weight_h"][0, 0] > 0)
    assert 0.4 < np.mean(signs) < 0.6


@pytest.mark.parametrize("cell", CELLS)
def test_glorot(cell):
    each = Recurrent(cell, 30, 50, dtype="float64", seed=0)
    before = each.params.copy()
    glorot_uniform(each, seed=1)
    limit = np.sqrt(6 / 80)
    for block in weight_blocks(each, "x"):
        assert 0.98 * limit < np.abs(block).max() < limit
    assert changed(each, before) == {"weight_x"}
    glorot_uniform(each, "all", gain=3.0, seed=1)
    for block in weight_blocks(each, "recurrent"):
        assert 0.98 * 3 * np.sqrt(6 / 100) < np.abs(block).max() < 3 * np.sqrt(6 / 100)


def test_identity_and_uniform():
    each = layer("lstm")
    identity(each, ["h"], gain=0.5)
    np.testing.assert_array_equal(each.params["weight_h"], np.tile(0.5 * np.eye(H), (4, 1)))
    uniform(each, 0.25, seed=1)
    assert 0.2 < np.abs(each.params.flat).max() < 0.25
    uniform(each, seed=7)
    np.testing.assert_array_equal(each.params.flat, Recurrent("lstm", I, H, dtype="float64", seed=7).params.flat)


@pytest.mark.parametrize(("cell", "gate"), [("lstm", "f"), ("peephole", "f"), ("gru", "n"), ("gru_reset_before", "z")])
def test_the_bias_of_a_gate(cell, gate):
    each = layer(cell)
    before, first = each.params.copy(), each.cell.contract.biased.index(gate) * H
    gate_bias(each, gate, 1.5)
    assert (each.params["bias"][first : first + H] == 1.5).all()
    assert np.count_nonzero(each.params.flat != before.flat) == H
    x = np.random.default_rng(0).normal(size=(1, 1, I))
    np.testing.assert_array_equal(bias_of(each, gate), each.params["bias"][first : first + H])
    z = each.params["weight_x"][each.cell.contract.gates_of("x").index(gate) * H :][:H] @ x[0, 0] + 1.5
    activated = {"f": 1 / (1 + np.exp(-z)), "z": 1 / (1 + np.exp(-z))}
    if gate in activated:
        np.testing.assert_allclose(each(x).gates[gate][0, 0], activated[gate], rtol=1e-12)


def test_chrono():
    each = Recurrent("lstm", I, 4000, dtype="float64", seed=0)
    chrono(each, 100, seed=1)
    times = np.exp(bias_of(each, "f"))
    assert times.min() >= 1 and times.max() <= 99 and abs(times.mean() - 50) < 2
    np.testing.assert_array_equal(bias_of(each, "i"), -bias_of(each, "f"))
    gru = layer("gru")
    before = gru.params.copy()
    chrono(gru, 10, "z", None, seed=1)
    assert np.count_nonzero(gru.params.flat != before.flat) == H


@pytest.mark.parametrize(
    "function",
    [uniform, glorot_uniform, orthogonal, lambda each, seed: chrono(each, 10, seed=seed)],
    ids=["uniform", "glorot", "orthogonal", "chrono"],
)
def test_seeds_and_stacks(function):
    one, two, three = (layer("lstm", num_layers=2, bidirectional=True) for _ in range(3))
    before = one.params.copy()
    function(one, seed=1)
    function(two, seed=1)
    function(three, seed=2)
    np.testing.assert_array_equal(one.params.flat, two.params.flat)
    assert (one.params.flat != three.params.flat).any()
    names = changed(one, before)
    assert {name.rpartition(".")[0] for name in names} == {"0", "0.reverse", "1", "1.reverse"}
    assert (one.recurrents[0].params.flat != one.recurrents[1].params.flat).any()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: gate_bias(layer("gru"), "f", 1), ValueError, "'gru' has no gate 'f'"),
        (lambda: gate_bias(layer("lstm", bias=False), "f", 1), ValueError, "has no bias"),
        (lambda: orthogonal(layer("lstm"), ["y"]), ValueError, "no source 'y'"),
        (lambda: chrono(layer("lstm"), 1), ValueError, "longest must be at least 2"),
        (lambda: uniform(3), TypeError, "layer must be a Recurrent, Stack or Bidirectional, got int"),
    ],
)
def test_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()


class Declared(Cell):
    """Every kind of entry of `initial_values`."""

    states = ("h",)
    gates = {"r": "x+h", "a": "x+h"}
    biased = ("r", "a")
    params = ("tau", "usual")
    initial_values = {
        "weight_h": lambda rng, shape: np.eye(*shape),
        "bias": -1.0,
        "bias.a": 2.0,
        "tau": lambda rng, shape: rng.uniform(5, 9, shape),
    }

    def forward(z, p):
        return {"h": sigmoid(z.r) * tanh(z.a) / p.tau + p.usual}


def test_a_cell_declares_initial_values():
    one, two, other = (Recurrent(Declared, I, H, dtype="float64", seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.params["weight_h"], np.eye(2 * H, H))
    np.testing.assert_array_equal(one.params["bias"], [-1] * H + [2] * H)
    assert (one.params["tau"] >= 5).all() and (abs(one.params["usual"]) <= H**-0.5).all()
    np.testing.assert_array_equal(one.params.flat, two.params.flat)
    assert (one.params["tau"] != other.params["tau"]).all() and (
        one.params["weight_x"] != other.params["weight_x"]
    ).all()
    one.reset_parameters(1)
    np.testing.assert_array_equal(one.params.flat, other.params.flat)
    without = Recurrent(Declared, I, H, bias=False, seed=0)
    assert "bias" not in without.params and (without.params["tau"] >= 5).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"bias.f": 1.0},
            "'bias.f' in initial_values is not a parameter .*tau, usual, weight_x, weight_h, bias, bias.r",
        ),
        ({"h": 1.0}, "'h' in initial_values is not a parameter"),
        ({"tau": "ones"}, "must be a number or a function"),
    ],
)
def test_declarations_that_are_none(values, message):
    with pytest.raises(TypeError, match=message):
        type("Wrong", (Declared,), {"initial_values": values})


def test_cells_of_the_zoo_begin_as_their_papers_say():
    decay = Recurrent("rg_lru", I, 500, dtype="float64", seed=0).params["lam"]
    a = (1 / (1 + np.exp(-decay))) ** 8
    assert 0.9 <= a.min() < 0.905 and 0.994 < a.max() <= 0.999 and a.mean() == pytest.approx(0.9495, abs=0.005)
    ring = np.exp(-np.exp(Recurrent("lru", I, 500, dtype="float64", seed=0).params["nu"]))
    assert 0.9 <= ring.min() < 0.905 and 0.994 < ring.max() <= 0.999


def test_initialise_by_name_and_by_function():
    by_name, expected = layer("lstm"), layer("lstm")
    assert by_name.initialise("orthogonal", "all", gain=2.0, seed=3).initialise("gate_bias", "f", 1.0) is by_name
    orthogonal(expected, "all", gain=2.0, seed=3)
    gate_bias(expected, "f", 1.0)
    np.testing.assert_array_equal(by_name.params.flat, expected.params.flat)
    stack = Recurrent("lstm", I, H, num_layers=2, bidirectional=True, seed=0).initialise("gate_bias", "f", 3.0)
    assert all((bias_of(each, "f") == 3).all() for each in stack.recurrents)
    seen = []
    assert stack.initialise(lambda *given, **options: seen.append((given, options)), 1, seed=2) is stack
    assert seen == [((stack, 1), {"seed": 2})]
    with pytest.raises(ValueError, match=r"initialiser must be one of uniform, glorot_uniform, .* got 'glorot'"):
        by_name.initialise("glorot")
