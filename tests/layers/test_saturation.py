"""`saturation`: shares at the ends of the range of the activation of each gate."""

import numpy as np
import pytest

import pylstm
from pylstm import plugins
from pylstm.cells import Cell, derive, maximum, minimum, sigmoid, tanh, where
from pylstm.cells.formula.ranges import range_of, ranges
from pylstm.diagnostics import GateSaturation, diagnose, saturation

BUNDLED = {entry.cell.name: entry.cell for entry in plugins.registry().entries()}


@pytest.mark.parametrize("options", [{}, {"batch_first": True}])
def test_shares_are_counted_over_steps_and_rows(options):
    rng = np.random.default_rng(0)
    layer = pylstm.LSTM(3, 5, dtype="float64", seed=0, **options)
    layer.params.flat[...] *= 4
    x = 3 * rng.normal(size=(6, 4, 3))
    lengths = np.array([6, 2, 0, 5])
    run = layer(np.ascontiguousarray(x.swapaxes(0, 1)) if options else x, lengths=lengths)
    found = saturation(run, threshold=0.1)
    inside = np.arange(6)[:, None] < lengths
    for name, (low, high) in {"f": (0.1, 0.9), "g": (-0.8, 0.8)}.items():
        values = run.gates[name].swapaxes(0, 1)[inside] if options else run.gates[name][inside]
        assert (values <= low).mean() > 0.05 and np.array_equal(found[name].low, (values <= low).mean(axis=0))
        assert (values >= high).mean() > 0.05 and np.array_equal(found[name].high, (values >= high).mean(axis=0))
    single = saturation(layer(x[:, 0]))
    assert single["o"].low.shape == (5,)


def test_a_relu_is_at_its_end_where_it_is_0():
    layer = pylstm.Recurrent("indrnn", 2, 4, dtype="float64", seed=0)
    run = layer(np.random.default_rng(0).normal(size=(50, 1, 2)))
    (found,) = saturation(run).values()
    assert found.ends == (0, np.inf) and not found.high.any()
    assert np.array_equal(found.low, (run.gates["a"][:, 0] == 0).mean(axis=0)) and 0.2 < found.low.mean() < 0.8


def test_a_relu_that_is_0_at_some_steps_is_counted_and_is_not_stuck():
    """Half of the steps at 0 are what a relu is for: `diagnose` speaks of those that are 0 at every step alone."""
    rng = np.random.default_rng(0)
    layer = pylstm.Recurrent("rnn_relu", 2, 16, seed=0).initialise("orthogonal", seed=0)
    x = rng.normal(size=(60, 3, 2)).astype("float32")
    for run in (layer(x), layer(x, tape=False, saturation=True)):
        found = saturation(run)["a"]
        assert 0.2 < found.low.mean() < 0.8 and not found.high.any() and found.stuck(0, share=1.0) == 0
    assert not [each for each in diagnose(layer(x)) if each.kind == "saturated"]
    layer.params["weight_x"][:8] = layer.params["weight_h"][:8] = 0
    layer.params["bias"][:8] = -1
    run = layer(x)
    dead = (run.gates["a"] == 0).all(axis=(0, 1))
    assert 8 <= dead.sum() < 16 and dead[:8].all() and saturation(run)["a"].stuck(0, share=1.0) == dead.mean()
    (said,) = [each.text for each in diagnose(run) if each.kind == "saturated"]
    assert f"gate a of the layer is 0 for {100 * dead.mean():.0f} % of the units, at every step" in said


def test_units_that_are_stuck():
    found = GateSaturation((0.0, 1.0), np.array([0.95, 0.2, 0.0, 0.0]), np.array([0.0, 0.5, 0.9, 1.0]))
    assert found.stuck(0) == 0.25 and found.stuck(1) == 0.5 and found.stuck(1, share=0.5) == 0.75


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_no_value_is_beyond_its_range(name):
    """Of every cell; an interval that is too narrow would call values saturated that are not."""
    cell = BUNDLED[name]
    known, sizes = ranges(cell), {each: 4 for each, usual in cell.contract.sizes.items() if usual is None}
    layer = pylstm.Recurrent(cell, 3, 8, dtype="float64", seed=0, certified=False, **sizes)
    rng = np.random.default_rng(1)
    aux = {each: rng.uniform(0.1, 1, (9, 2, layer.widths[each])) for each in cell.contract.aux if each != "x"}
    run = layer(4 * rng.normal(size=(9, 2, 3)), aux=aux or None)
    for gate, (low, high) in known.items():
        values = run.gates[gate]
        assert low <= values.min() and values.max() <= high, gate


def test_ranges_of_composed_activations():
    class Ends(Cell):
        name, states = "many_ends", ("h", "b", "c", "d", "e")
        gates = {"a": "x+h"}

        def forward(z, prev):
            return {
                "h": minimum(maximum(0.2 * z.a + 0.5, 0), 1),
                "b": 1 - sigmoid(z.a),
                "c": 2 * tanh(z.a) - 1,
                "d": where(z.a > 0, tanh(z.a), -sigmoid(z.a)),
                "e": 0.5 * z.a + tanh(z.a),
            }

    found = derive(Ends).stages[""].traced.results
    ends = {name: range_of(found[name]) for name in Ends.states}
    assert ends == {"h": (0, 1), "b": (0, 1), "c": (-3, 1), "d": (-1, 1), "e": (-np.inf, np.inf)}


def test_what_is_refused():
    layer = pylstm.LSTM(2, 4)
    x = np.ones((3, 1, 2), "float32")
    with pytest.raises(TypeError, match="run of one layer"):
        saturation(pylstm.LSTM(2, 4, bidirectional=True)(x))
    with pytest.raises(RuntimeError, match="tape=False"):
        saturation(layer(x, tape=False))
    for wrong in (0, 0.5, -1):
        with pytest.raises(ValueError, match=r"threshold must be between 0 and 0\.5"):
            saturation(layer(x), threshold=wrong)
