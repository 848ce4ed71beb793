"""Derivatives along a direction, of runs and of gradients: beside differences, and each other's transposes."""

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, Stage, sigmoid, softmax, tanh
from pylstm.plugins import registry

NAMES = registry().names()
SURROGATES = ("lif", "alif", "snu")  # whose declared derivative is not that of the value
SIZES = (5, 3, 4, 6)


def draw(rng, *shape, low=None):
    return rng.normal(size=shape) if low is None else rng.uniform(low, 1.5, size=shape)


def problem(cell, *, seed=0, **options):
    """A layer, its input and arguments, and a direction of everything."""
    rng = np.random.default_rng(seed)
    contract = (registry().get(cell) if isinstance(cell, str) else cell).contract
    T, B, inputs, units = SIZES
    sizes = {name: units - 1 for name, default in contract.sizes.items() if default is None}
    layer = pylstm.Recurrent(cell, inputs, units, dtype="float64", seed=1, **sizes, **options)
    widths = layer.widths
    call = {"initial": {name: draw(rng, B, widths[name], low=0.5) for name in contract.states}}
    if set(contract.aux) - {"x"}:
        call["aux"] = {name: draw(rng, T, B, widths[name], low=0.5) for name in contract.aux if name != "x"}
    direction = {
        "dx": draw(rng, T, B, inputs),
        "dinitial": {name: draw(rng, B, widths[name]) for name in contract.states},
        "dparams": {
            name: 0.3 * draw(rng, *value.shape)
            for name, value in layer.params.items()
            if name not in layer.params.constants
        },
    }
    return layer, draw(rng, T, B, inputs), call, direction, draw(rng, T, B, layer.output_size)


def moved(layer, x, call, direction, by):
    """The call after a step along the direction; the layer's parameters are set back."""
    before = layer.params.flat.copy()
    for name, value in (direction.get("dparams") or {}).items():
        layer.params[name] += by * value
    start = direction.get("dinitial") or {}
    initial = {name: value + by * start.get(name, 0) for name, value in call["initial"].items()}
    run = layer(x + by * direction.get("dx", 0), **{**call, "initial": initial})
    return run, lambda: layer.params.flat.__setitem__(slice(None), before)


def differences(layer, x, call, direction, dy, step=5e-5):
    """Of five points: the error is that of step ** 4."""
    found = []
    for by in (-2 * step, -step, step, 2 * step):
        run, back = moved(layer, x, call, direction, by)
        grads = run.backward(dy)
        found.append([run.y.copy(), grads.x, grads.params.flat, *grads.initial.values()])
        back()
    return [(a - 8 * b + 8 * c - d) / (12 * step) for a, b, c, d in zip(*found)]


def close(found, truth, tolerance):
    return np.abs(found - truth).max() <= tolerance * (1e-3 + np.abs(truth).max())


def inner(grads, direction):
    """The gradient along the direction."""
    total = (grads.x * direction["dx"]).sum()
    total += sum((grads.initial[name] * value).sum() for name, value in direction["dinitial"].items())
    return total + sum((grads.params[name] * value).sum() for name, value in direction["dparams"].items())


@pytest.mark.parametrize("cell", NAMES)
def test_every_cell(cell):
    layer, x, call, direction, dy = problem(cell)
    run = layer(x, **call)
    along = run.jvp(**direction)
    # the transpose of backward, declared derivatives included
    assert np.isclose((along.y * dy).sum(), inner(run.backward(dy), direction), rtol=1e-9, atol=1e-12)
    curved = run.hvp(dy, direction=direction)
    if cell not in SURROGATES:
        y, *rest = differences(layer, x, call, direction, dy)
        assert close(along.y, y, 1e-6)
        for found, truth in zip([curved.x, curved.params.flat, *curved.initial.values()], rest, strict=True):
            assert close(found, truth, 1e-6)
        other = problem(cell, seed=5)[3]
        assert np.isclose(inner(curved, other), inner(run.hvp(dy, direction=other), direction), rtol=1e-7, atol=1e-9)


class Odd(Cell):
    """Options, groups, an emission, a gate without x, one without a product, a bias of some."""

    states = ("s", "h")
    gates = {"a": "x+h", "b": "e", "c": "x"}
    biased = ("a", "c")
    params = ("p",)
    options = {"rate": 0.3}
    output = "h"
    stages = (Stage("first", gates=("a",), emits=("e",)), Stage("last", gates=("b", "c")))

    def forward_first(z, prev, p, o):
        return {"e": softmax(z.a * p.p, 2) * o.rate + sigmoid(prev.s)}

    def forward_last(z, prev, e):
        return {"s": abs(prev.s - z.c) ** 1.5, "h": tanh(z.b) * e.e + prev.h * prev.s}


FORMS = {
    "reset": {"reset": np.random.default_rng(3).random(SIZES[:2]) < 0.4},
    "ragged": {"lengths": [5, 2, 0]},
    "both": {"lengths": [3, 5, 4], "reset": np.random.default_rng(3).random(SIZES[:2]) < 0.4},
    "factors": {},
}


@pytest.mark.parametrize("part", ["dx", "dinitial", "dparams", "all"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cell", [Odd, "lstm", "gru"])
def test_what_comes_with_the_steps(cell, form, part):
    layer, x, call, direction, dy = problem(cell, learn_initial=True)
    call |= FORMS[form]
    if form == "factors":
        rng = np.random.default_rng(4)
        states = layer.cell.contract.states
        call |= {
            "pre": {states[0]: draw(rng, 5, 3, 1, low=0.5)},
            "blend": {states[-1]: draw(rng, 5, 3, layer.widths[states[-1]], low=0.1)},
        }
    call["initial"] = {name: value for k, (name, value) in enumerate(call["initial"].items()) if k == 0}
    direction["dinitial"] = {name: value for name, value in direction["dinitial"].items() if name in call["initial"]}
    direction = direction if part == "all" else {part: direction[part]}
    run = layer(x, **call)
    along, curved = run.jvp(**direction), run.hvp(dy, direction=direction)
    y, dx, params, *initial = differences(layer, x, call, direction, dy)
    assert abs(y).max() > 1e-3
    assert close(along.y, y, 1e-7) and close(curved.x, dx, 1e-7) and close(curved.params.flat, params, 1e-7)
    for found, truth in zip(curved.initial.values(), initial, strict=True):
        assert close(found, truth, 1e-7)
    for name, state in along.states.items():
        assert state.shape == run.states[name].shape and along.final[name].shape == run.final[name].shape


@pytest.mark.parametrize("first", [True, False], ids=["batch first", "one sequence"])
def test_as_the_caller_has_them(first):
    layer, x, call, direction, dy = problem("lstm")
    other = pylstm.LSTM(4, 6, dtype="float64", seed=1, batch_first=first)
    other.params.update(layer.params)
    bring = (lambda a: a.swapaxes(0, 1)) if first else (lambda a: a[:, 1])
    rows = (lambda a: a) if first else (lambda a: a[1])
    truth = layer(x, **call).jvp(**direction)
    dinitial = {name: rows(value) for name, value in direction["dinitial"].items()}
    run = other(bring(x), {name: rows(value) for name, value in call["initial"].items()})
    along = run.jvp(bring(direction["dx"]), dinitial, direction["dparams"])
    assert np.allclose(along.y, bring(truth.y), rtol=1e-12, atol=1e-14)
    assert np.allclose(along.states["c"], bring(truth.states["c"]), rtol=1e-12, atol=1e-14)
    curved = run.hvp(bring(dy), direction={"dx": bring(direction["dx"])})
    if first:
        assert np.allclose(curved.x, bring(layer(x, **call).hvp(dy, direction={"dx": direction["dx"]}).x), atol=1e-13)


def test_a_loss_that_curves():
    """The Hessian of the squared error: cotangents move with y; final and inner states have theirs."""
    layer, x, call, direction, target = problem("lstm")
    run = layer(x, **call)
    along = run.jvp(**direction)
    moving = {"dy": along.y, "dfinal": {"c": along.final["c"]}, "dstates": {"h": along.states["h"][1:]}}
    found = run.hvp(
        run.y - target,
        dfinal={"c": run.final["c"]},
        dstates={"h": run.states["h"][1:]},
        direction=direction,
        moved=moving,
    )
    sides = []
    for by in (1e-5, -1e-5):
        each, back = moved(layer, x, call, direction, by)
        inner_states = {"h": each.states["h"][1:]}
        sides.append(each.backward(each.y - target, dfinal={"c": each.final["c"]}, dstates=inner_states).params.flat)
        back()
    assert close(found.params.flat, (sides[0] - sides[1]) / 2e-5, 1e-7)


KINDS = ["blocks(2)", "diagonal", "antisymmetric", "low_rank(2)", "orthogonal", "tied"]


@pytest.mark.parametrize("kind", [*KINDS, *(f"tied {kind}" for kind in KINDS[:-1])])
def test_structured_matrices(kind):
    class Shaped(pylstm.cells.LSTM):
        kernel = None
        structure = {"h": kind, "x": "low_rank(2)"} if "rank" in kind else {"h": kind}

        def forward(z, prev):
            c = sigmoid(z.f) * prev.c + sigmoid(z.i) * tanh(z.g)
            return {"h": sigmoid(z.o) * tanh(c), "c": c}

    layer, x, call, direction, dy = problem(Shaped)
    if "orthogonal" in kind:
        layer.params["weight_h"][...] = 0.4 * draw(np.random.default_rng(5), *layer.params["weight_h"].shape)
    run = layer(x, **call)
    y, dx, params, *_ = differences(layer, x, call, direction, dy)
    assert close(run.jvp(**direction).y, y, 1e-7)
    curved = run.hvp(dy, direction=direction)
    assert close(curved.x, dx, 1e-7) and close(curved.params.flat, params, 1e-7)
    for name in layer.params:  # alone, the others stay
        alone = {"dparams": {name: direction["dparams"][name]}}
        y, dx, params, *_ = differences(layer, x, call, alone, dy)
        curved = run.hvp(dy, direction=alone)
        assert close(run.jvp(**alone).y, y, 1e-7)
        assert close(curved.x, dx, 1e-7) and close(curved.params.flat, params, 1e-7)


def test_float32_is_near():
    layer, x, call, direction, _ = problem("gru")
    small = pylstm.GRU(4, 6, seed=1)
    small.params.update({name: value.astype("float32") for name, value in layer.params.items()})
    run = small(x.astype("float32"), {name: value.astype("float32") for name, value in call["initial"].items()})
    down = lambda tree: {name: value.astype("float32") for name, value in tree.items()}  # noqa: E731
    along = run.jvp(direction["dx"].astype("float32"), down(direction["dinitial"]), down(direction["dparams"]))
    assert along.y.dtype == np.float32
    assert np.allclose(along.y, layer(x, **call).jvp(**direction).y, rtol=1e-4, atol=1e-5)


def test_what_is_refused():
    layer, x, call, direction, dy = problem("lstm")
    run = layer(x, **call)
    with pytest.raises(ValueError, match="direction needs dx, dinitial or dparams"):
        run.jvp()
    with pytest.raises(ValueError, match="dx must have shape"):
        run.jvp(direction["dx"][1:])
    with pytest.raises(TypeError, match="float64"):
        run.jvp(direction["dx"].astype("float32"))
    with pytest.raises(ValueError, match=r"dparams.*weight_y"):
        run.jvp(dparams={"weight_y": dy})
    with pytest.raises(ValueError, match=r"direction.*x"):
        run.hvp(dy, direction={"x": dy})
    with pytest.raises(RuntimeError, match="tape=False"):
        layer(x, tape=False).jvp(direction["dx"])
    layer.params["weight_h"][...] *= 1.5
    with pytest.raises(RuntimeError, match="parameters have changed since this run"):
        run.jvp(direction["dx"])


def test_held_parameters_have_no_second_derivative():
    layer, x, call, direction, dy = problem("lstm")
    layer.params.freeze("weight_x")
    curved = layer(x, **call).hvp(dy, direction=direction)
    assert not curved.params["weight_x"].any() and curved.params["weight_h"].any()


@pytest.mark.parametrize("form", [{}, {"lengths": [5, 0, 3]}])
def test_parameters_of_a_layer_with_the_batch_first(form):
    layer, x, call, direction, dy = problem("lstm")
    other = pylstm.LSTM(4, 6, dtype="float64", batch_first=True)
    other.params.update(layer.params)
    turned = {name: direction[name] for name in ("dinitial", "dparams")} | {"dx": direction["dx"].swapaxes(0, 1)}
    truth = layer(x, **call, **form).hvp(dy, direction=direction)
    found = other(x.swapaxes(0, 1), **call, **form).hvp(dy.swapaxes(0, 1), direction=turned)
    assert close(found.x, truth.x.swapaxes(0, 1), 1e-13) and close(found.params.flat, truth.params.flat, 1e-13)


@pytest.mark.parametrize("first", [True, False])
def test_a_direction_that_is_nan_beyond_the_end_of_a_row(first):
    layer, x, _, direction, dy = problem("lstm", batch_first=first)
    x, dx, dy = (array.swapaxes(0, 1) if first else array for array in (x, direction["dx"], dy))
    run, dparams, dirty = layer(x, lengths=[5, 0, 3]), direction["dparams"], dx.copy()
    (dirty.swapaxes(0, 1) if first else dirty)[3:, 2] = np.nan
    truth, found = (run.hvp(dy, direction={"dx": each, "dparams": dparams}) for each in (dx, dirty))
    assert np.array_equal(found.params.flat, truth.params.flat) and np.array_equal(found.x, truth.x)
    assert np.array_equal(run.jvp(dirty).y, run.jvp(dx).y)


@pytest.mark.parametrize("hidden_by", ["a row that is NaN", "a reset at the last step"])
def test_changed_parameters_are_seen(hidden_by):
    layer, x, _, direction, _ = problem("lstm")
    if reset := hidden_by.startswith("a reset"):
        run = layer(x, reset=np.arange(len(x))[:, None] + np.zeros((1, x.shape[1]), int) == len(x) - 1)
    else:
        x[1, 0, 0] = np.nan
        run = layer(x)
    assert run.jvp(direction["dx"]).y.shape == run.y.shape and reset == np.isfinite(run.y).all()
    layer.params["weight_h"] *= 1.5
    with pytest.raises(RuntimeError, match="parameters have changed since this run"):
        run.jvp(direction["dx"])


def test_what_is_no_direction_by_name():
    layer, x, call, direction, dy = problem("lstm")
    run = layer(x, **call)
    with pytest.raises(TypeError, match="dinitial must be a dict by name"):
        run.jvp(dinitial=np.ones((3, 6)))
    with pytest.raises(TypeError, match="dparams must be a dict by name"):
        run.jvp(dparams=layer.params.flat)
    for what in ("dfinal", "dstates"):
        for options in ({what: {"q": dy}}, {"moved": {what: {"q": dy}}}):
            with pytest.raises(ValueError, match=rf"{what}.*unknown name 'q'"):
                run.hvp(direction={"dx": direction["dx"]}, **options)
