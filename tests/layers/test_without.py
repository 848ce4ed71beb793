"""`without`: gradients of x and of the parameters that nobody needs; what is computed has the same bits."""

import numpy as np
import pytest

import pylstm
from pylstm.layers.runs.composite import single
from pylstm.plugins import registry

pytestmark = pytest.mark.once

T, B, I, H = 9, 4, 3, 5
RNG = np.random.default_rng(3)
LEFT_OUT = (("x",), ("params",), ("x", "params"))


def draw(*shape):
    return RNG.uniform(0.2, 0.8, shape)


def arrays(grads):
    """All gradients but those of x and of the parameters."""
    kinds = ("initial",) if hasattr(grads, "layers") else ("initial", "aux", "pre", "blend")
    return [array for kind in kinds for array in getattr(grads, kind).values()]


def check(run, without, **cotangents):
    whole, part = run.backward(**cotangents), run.backward(**cotangents, without=without)
    for name, full, got in (("x", whole.x, part.x), ("params", whole.params.flat, part.params.flat)):
        assert np.abs(full).max() > 0
        assert (got == (0 if name in without else full)).all()
        assert got.shape == full.shape
    for full, got in zip(arrays(whole), arrays(part), strict=True):
        assert (got == full).all()


def layer_of(cell, **options):
    sizes = {"proj_size": 2} if "proj_size" in cell.contract.sizes else {}
    return pylstm.Recurrent(cell, I, H, dtype="float64", seed=1, **sizes, **options)


@pytest.mark.parametrize("without", LEFT_OUT)
@pytest.mark.parametrize("cell", [entry.cell for entry in registry().entries()], ids=lambda cell: cell.name)
def test_of_every_cell(cell, without):
    layer = layer_of(cell)
    aux = {name: draw(T, B, layer.widths[name]) for name in cell.contract.aux if name != "x"}
    run = layer(draw(T, B, I), {name: draw(B, layer.widths[name]) for name in cell.contract.states}, aux=aux or None)
    check(run, without, dy=draw(*run.y.shape), dfinal={name: draw(*each.shape) for name, each in run.final.items()})


WAYS = {
    "lengths": ({}, {"lengths": [9, 1, 5, 3]}),
    "reset": ({"learn_initial": True}, {"reset": np.arange(T * B).reshape(T, B) % 5 == 0}),
    "checkpoint": ({}, {"checkpoint": 40_000}),
    "stack": ({"num_layers": 3}, {}),
    "two directions": ({"num_layers": 2, "bidirectional": True}, {"lengths": [9, 1, 5, 3]}),
    "batch first": ({"batch_first": True}, {}),
}


@pytest.mark.parametrize("without", LEFT_OUT)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", [pylstm.LSTM, pylstm.GRU])
def test_of_every_kind_of_run(kind, threads, way, without):
    made, called = WAYS[way]
    layer = kind(I, H, dtype="float64", seed=2, **made)
    x = draw(B, T, I) if "batch_first" in made else draw(T, B, I)
    before = pylstm.get_num_threads()
    pylstm.set_num_threads(threads)
    try:
        run = layer(x, **called)
        check(run, without, dy=draw(*run.y.shape))
    finally:
        pylstm.set_num_threads(before)


@pytest.mark.parametrize("without", ["x", ("y",), ["params", "dx"], None])
def test_other_names_are_refused(without):
    for layer in (pylstm.GRU(I, H), pylstm.GRU(I, H, 2)):
        run = layer(np.ones((T, B, I), "f"))
        with pytest.raises(ValueError, match='without must be a tuple or set of "x" and "params"'):
            run.backward(run.y, without=without)


FROZEN = {  # what the single layers leave out, and so said
    False: ([{"x", "params"}, set(), {"params"}], [["x", "params"], (), ("params", "x")]),
    True: (
        [{"x"}, {"x", "params"}, set(), {"params"}, {"params"}, {"params"}],
        [[["x"], ["x", "params"]], [(), ("params", "x")], ("params",)],
    ),
}


@pytest.mark.parametrize("bidirectional", FROZEN)
def test_of_some_layers(bidirectional):
    net = pylstm.GRU(I, H, num_layers=3, bidirectional=bidirectional, dtype="float64", seed=1)
    run = net(draw(T, B, I))
    left_out, without = FROZEN[bidirectional]
    dy = draw(*run.y.shape)
    whole, part = run.backward(dy), run.backward(dy, without=without)
    for names, full, got in zip(left_out, single(whole.layers), single(part.layers), strict=True):
        assert (got.params.flat == (0 if "params" in names else full.params.flat)).all()
    assert (part.x == 0).all() and (whole.x != 0).all()
    assert np.array_equal(part.initial["h"], whole.initial["h"])
    assert np.array_equal(part.params.flat, np.concatenate([each.params.flat for each in single(part.layers)]))


def test_other_lists_are_refused():
    run = pylstm.GRU(I, H, num_layers=2, dtype="float64")(draw(T, B, I))
    with pytest.raises(ValueError, match=r"without has 1 entries for 2 layers, got \[\['x'\]\]"):
        run.backward(run.y, without=[["x"]])
    for wrong in ([["x"], ["y"]], [["x"], None], [["x"], "params"]):
        with pytest.raises(ValueError, match='without must be a tuple or set of "x" and "params"'):
            run.backward(run.y, without=wrong)
