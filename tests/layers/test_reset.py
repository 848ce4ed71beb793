"""`reset`: a row starts anew from what the layer starts with, never from the states that were passed in.

So a sequence may be cut anywhere: y, final and the gradients keep their bits. And an episode has those of a run alone.
"""

import itertools

import numpy as np
import pytest

import pylstm
from pylstm import Bidirectional, Recurrent
from pylstm.layers.regularisers import state_dropout, zoneout
from pylstm.layers.runs.checkpointed import CheckpointedRun
from pylstm.plugins import registry

pytestmark = pytest.mark.once

CELLS = registry().names()
TOLERANCES = {"float64": 1e-11, "float32": 3e-5}
KINDS = ("aux", "pre", "blend")


def start(layer, rng):
    """Give the learned states of `layer` values: positive, since some cells divide by a state."""
    for leaf in getattr(layer, "recurrents", [layer]):
        for name in leaf.learn_initial:
            leaf.params[f"initial_{name}"][...] = rng.uniform(0.5, 1.5, leaf.widths[name])
    return layer


def problem(cell, T, B, dtype, *, learn=True, modified=True, seed=0, **options):
    """A layer, x, the first states, per-step inputs, and cotangents; resets at a quarter of the steps."""
    rng = np.random.default_rng(seed)
    contract = registry().get(cell).contract
    sizes = {name: 4 for name, default in contract.sizes.items() if default is None}
    layer = start(Recurrent(cell, 3, 5, dtype=dtype, seed=1, learn_initial=learn, **options, **sizes), rng)
    widths = layer.widths

    def draw(*shape, low=None):
        return (rng.normal(size=shape) if low is None else rng.uniform(low, 1.5, shape)).astype(dtype)

    initial = {name: draw(B, widths[name], low=0.5) for name in contract.states}
    given = {"reset": rng.random((T, B)) < 0.25}
    given["reset"][0, : B // 2] = True
    if set(contract.aux) - {"x"}:
        given["aux"] = {name: draw(T, B, widths[name], low=0.5) for name in contract.aux if name != "x"}
    if modified:
        given["pre"] = {name: draw(T, B, widths[name] if k else 1, low=0.5) for k, name in enumerate(contract.states)}
        given["blend"] = {contract.states[-1]: rng.choice([0.0, 1.0, 0.3], size=(T, B, 1)).astype(dtype)}
    back = {"dy": draw(T, B, layer.output_size), "dfinal": {name: draw(B, widths[name]) for name in contract.states}}
    return layer, draw(T, B, 3), initial, given, back


def steps_of(given, first, last):
    """Steps first .. last - 1 of what comes with every step, batch first or not."""
    return {
        kind: values[first:last] if kind == "reset" else {name: array[first:last] for name, array in values.items()}
        for kind, values in given.items()
    }


def pieces(layer, x, initial, given, back, borders, lengths=None):
    """Forward and backward piece by piece: what one run over all steps gives, but for the sums of the parameters."""
    runs, states = [], initial
    for first, last in itertools.pairwise(borders):
        call = steps_of(given, first, last)
        if lengths is not None:
            call["lengths"] = np.clip(lengths - first, 0, last - first)
        runs.append(layer(x[first:last], states, **call))
        states = runs[-1].final
    d, grads = back["dfinal"], []
    for run, (first, last) in reversed(list(zip(runs, itertools.pairwise(borders)))):
        grads.append(run.backward(back["dy"][first:last], dfinal=d))
        d = grads[-1].initial
    grads.reverse()
    found = {"y": np.concatenate([run.y for run in runs]), "x": np.concatenate([each.x for each in grads])}
    found |= {f"final {name}": array for name, array in runs[-1].final.items()}
    found |= {f"initial {name}": array for name, array in d.items()}
    for kind in KINDS:
        for name in getattr(grads[0], kind):
            found[f"{kind} {name}"] = np.concatenate([getattr(each, kind)[name] for each in grads])
    return found, sum(each.params.flat.astype("float64") for each in grads)


def whole_run(layer, x, initial, given, back, **options):
    run = layer(x, initial, **given, **options)
    grads = run.backward(back["dy"], dfinal=back["dfinal"])
    found = {"y": run.y, "x": grads.x}
    found |= {f"final {name}": array for name, array in run.final.items()}
    found |= {f"initial {name}": array for name, array in grads.initial.items()}
    found |= {f"{kind} {name}": a for kind in KINDS for name, a in getattr(grads, kind).items()}
    return found, grads.params, run


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype and np.isfinite(array).all(), name
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def close(params, total, dtype):
    for name, array in params.items():
        expected = params.around(total.astype(dtype))[name]
        assert np.abs(array - expected).max() <= TOLERANCES[dtype] * max(1, np.abs(expected).max()), name


def test_passed_states_belong_to_step_0_alone():
    layer = pylstm.LSTM(3, 4, dtype="float64", seed=0)
    x, reset = np.random.default_rng(0).normal(size=(9, 1, 3)), np.zeros((9, 1), bool)
    reset[5] = True
    whole = layer(x, reset=reset).y
    for cut in range(1, 9):
        first = layer(x[:cut], reset=reset[:cut])
        np.testing.assert_array_equal(whole[cut:], layer(x[cut:], first.final, reset=reset[cut:]).y)
    np.testing.assert_array_equal(whole[5:], layer(x[5:]).y)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("cell", CELLS)
def test_a_cut_changes_no_bit(cell, dtype):
    layer, x, initial, given, back = problem(cell, 11, 5, dtype)
    found, params, _ = whole_run(layer, x, initial, given, back)
    assert any(f"initial_{name}" in params for name in initial)
    for cuts in np.random.default_rng(3).permuted(np.tile(np.arange(1, 11), (3, 1)), axis=1):
        again, total = pieces(layer, x, initial, given, back, [0, *sorted(cuts[:2]), 11])
        assert_same(again, found)
        close(params, total, dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("cell", CELLS)
def test_a_cut_of_ragged_rows_changes_no_bit(cell, dtype):
    layer, x, initial, given, back = problem(cell, 11, 5, dtype, seed=1)
    for lengths in (np.array([7, 0, 11, 3, 8]), np.full(5, 8)):  # equal ones lie as in a dense batch
        found, params, _ = whole_run(layer, x, initial, given, back, lengths=lengths)
        for cut in (2, 7, 9):
            again, total = pieces(layer, x, initial, given, back, [0, cut, 11], lengths)
            assert_same(again, found)
            close(params, total, dtype)


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("cell", CELLS)
def test_a_cut_of_a_checkpointed_run_changes_no_bit(cell, dtype):
    layer, x, initial, given, back = problem(cell, 70, 17, dtype, seed=2, modified=cell in CELLS[::3])
    found, params, run = whole_run(layer, x, initial, given, back, checkpoint="sqrt")
    assert type(run) is CheckpointedRun and run.segments > 2
    again, total = pieces(layer, x, initial, given, back, [0, 33, 70])
    assert_same(again, found)
    close(params, total, dtype)
    plain = layer(x, initial, **given).backward(back["dy"], dfinal=back["dfinal"])
    np.testing.assert_array_equal(params.flat, plain.params.flat)


@pytest.mark.parametrize("first", ["given", "learned", "zero"])
@pytest.mark.parametrize("lengths", [None, [9, 4, 0, 7]], ids=["dense", "ragged"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole", "gru_reset_before", "phased_lstm", "slstm"])
def test_an_episode_is_as_if_alone(cell, lengths, first):
    """Also the gradients: the learned states get theirs from step 0 where no state was given, and from every reset."""
    layer, x, initial, given, back = problem(cell, 9, 4, "float64", learn=first != "zero", seed=4)
    initial = initial if first == "given" else None
    run = layer(x, initial, **given, lengths=lengths)
    grads, total = run.backward(back["dy"], dfinal=back["dfinal"]), layer.params.zeros_like()
    for row, end in enumerate([9] * 4 if lengths is None else lengths):
        borders = [0, *(t for t in range(1, end) if given["reset"][t, row]), end]
        for t, after in itertools.pairwise(borders):
            part = np.s_[t:after, row : row + 1]
            call = {kind: {n: a[part] for n, a in given[kind].items()} for kind in KINDS if kind in given}
            passed = t == 0 and end and not given["reset"][0, row] and initial is not None
            one = layer(x[part], {n: a[row : row + 1] for n, a in initial.items()} if passed else None, **call)
            np.testing.assert_array_equal(run.y[part], one.y)
            d = {name: array[row : row + 1] for name, array in back["dfinal"].items()} if after == end else None
            alone = one.backward(back["dy"][part], dfinal=d)
            total.flat[...] += alone.params.flat if end else 0
            np.testing.assert_array_equal(grads.x[part], alone.x)
            for kind in KINDS:
                for name, array in getattr(alone, kind).items():
                    np.testing.assert_array_equal(getattr(grads, kind)[name][part], array)
            if t == 0 and end:
                for name, array in grads.initial.items():
                    expected = 0 if given["reset"][0, row] else alone.initial[name][0]
                    np.testing.assert_array_equal(array[row], expected)
        if not end:  # a row without steps: its final states are its initial ones
            for name in () if initial is not None else layer.learn_initial:
                total[f"initial_{name}"] += back["dfinal"][name][row]
    close(grads.params, total.flat, "float64")
    assert all(grads.params[f"initial_{name}"].all() for name in layer.learn_initial)


@pytest.mark.parametrize("checkpoint", [None, "sqrt"])
def test_after_a_reset_at_step_0_the_passed_states_have_no_effect(checkpoint):
    layer, x, initial, given, back = problem("lstm", 70, 17, "float32", learn=["c"])
    given["reset"][0] = True
    found, params, _ = whole_run(layer, x, initial, given, back, checkpoint=checkpoint)
    broken = {name: np.full_like(array, value) for (name, array), value in zip(initial.items(), (np.nan, np.inf))}
    again, same, _ = whole_run(layer, x, broken, given, back, checkpoint=checkpoint)
    assert_same(again, found)
    np.testing.assert_array_equal(same.flat, params.flat)
    assert not found["initial h"].any() and not found["initial c"].any() and params["initial_c"].all()


def test_states_that_were_nan_end_at_the_reset():
    layer, x, initial, given, _ = problem("gru", 6, 2, "float64", modified=False)
    x[1, 0], given["reset"][...] = np.nan, False
    given["reset"][3, 0] = True
    y = layer(x, initial, **given).y
    assert np.isnan(y[1:3, 0]).all() and np.isfinite(y[3:]).all() and np.isfinite(y[:, 1]).all()


def gradients_by_differences(layer, x, initial, given, back):
    """Of the parameters and of the passed-in states, along a random direction each."""
    run = layer(x, initial, **given)
    grads, rng = run.backward(back["dy"], dfinal=back["dfinal"]), np.random.default_rng(7)

    def value():
        again = layer(x, initial, **given)
        return np.vdot(again.y, back["dy"]) + sum(np.vdot(again.final[n], d) for n, d in back["dfinal"].items())

    for array, gradient in [
        (layer.params.flat, grads.params.flat),
        *((layer.params[f"initial_{n}"], grads.params[f"initial_{n}"]) for n in layer.learn_initial),
        *((initial[n], grads.initial[n]) for n in initial),
    ]:
        before, direction, values = array.copy(), rng.normal(size=array.shape), []
        for step in (1e-6, -1e-6):
            array[...] = before + step * direction
            values.append(value())
        array[...] = before
        assert gradient.any()
        assert np.vdot(gradient, direction) == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("some", [[], ["h"], ["c"], ["h", "c"]], ids=str)
@pytest.mark.parametrize("options", [{}, {"lengths": [7, 0, 4, 2]}], ids=str)
def test_gradients_of_learned_and_of_passed_states(some, options):
    layer, x, initial, given, back = problem("lstm", 7, 4, "float64", seed=5)
    gradients_by_differences(layer, x, {name: initial[name] for name in some}, given | options, back)


def test_learned_states_are_those_of_the_forward_pass():
    """A reset starts from, and its factor `pre` is differentiated at, the values at the time of the run."""
    for options in ({}, {"checkpoint": "sqrt"}):
        layer, x, initial, given, back = problem("lstm", 70, 17, "float64", seed=6)
        _, expected, _ = whole_run(layer, x, initial, given, back, **options)
        run = layer(x, initial, **given, **options)
        pre = layer(x, initial, **given).backward(back["dy"], dfinal=back["dfinal"]).pre["h"]
        layer.params.flat[...] *= -2
        grads = run.backward(back["dy"], dfinal=back["dfinal"])
        np.testing.assert_array_equal(grads.params.flat, expected.flat)
        np.testing.assert_array_equal(grads.pre["h"], pre)


@pytest.mark.parametrize("sizes", [(30, 37, 67, 70), (6, 5, 509, 512)], ids=str)
def test_any_number_of_threads_gives_the_same_bits(sizes):
    T, B, I, H = sizes
    rng = np.random.default_rng(0)
    layer = start(Recurrent("peephole", I, H, seed=1, learn_initial=True), rng)
    x, reset = rng.normal(size=(T, B, I)).astype("f4"), rng.random((T, B)) < 0.3
    dy, found, before = rng.normal(size=(T, B, H)).astype("f4"), [], pylstm.get_num_threads()
    try:
        for n in (1, 2, 3):
            pylstm.set_num_threads(n)
            run = layer(x, reset=reset)
            grads = run.backward(dy)
            found.append([run.y.copy(), grads.params.flat.copy(), grads.initial["c"].copy()])
    finally:
        pylstm.set_num_threads(before)
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(
    "options", [{}, {"dropout": 0.3}, {"residual": True}, {"dropout": 0.3, "residual": True}], ids=str
)
@pytest.mark.parametrize("cell", ["lstm", "gru", "mingru"])
def test_a_cut_of_a_stack_changes_no_bit(cell, options, dtype):
    rng, T, B = np.random.default_rng(8), 12, 4
    stack = start(Recurrent(cell, 5, 5, 2, dtype=dtype, seed=1, learn_initial=True, **options), rng)
    x, dy = (rng.normal(size=(T, B, 5)).astype(dtype) for _ in range(2))
    reset = rng.random((T, B)) < 0.3
    initial = {name: rng.uniform(0.5, 1.5, (2, B, 5)).astype(dtype) for name in stack.state_names}
    stack.reseed(3)
    whole = stack(x, initial, reset=reset)
    expected = whole.backward(dy)
    for cut in (1, 5, 10):
        stack.reseed(3)
        first = stack(x[:cut], initial, reset=reset[:cut])
        second = stack(x[cut:], first.final, reset=reset[cut:])
        late = second.backward(dy[cut:])
        early = first.backward(dy[:cut], dfinal=late.initial)
        np.testing.assert_array_equal(np.concatenate([first.y, second.y]), whole.y)
        np.testing.assert_array_equal(np.concatenate([early.x, late.x]), expected.x)
        for name in stack.state_names:
            np.testing.assert_array_equal(second.final[name], whole.final[name])
            np.testing.assert_array_equal(early.initial[name], expected.initial[name])
        close(expected.params, early.params.flat.astype("f8") + late.params.flat, dtype)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [None, [9, 5, 0, 7]], ids=["dense", "ragged"])
@pytest.mark.parametrize("learn", [False, True])
def test_both_directions_respect_the_border(learn, lengths, batch_first):
    """An episode has what it has alone; passed states are the forward direction's first, the reverse one's last."""
    rng, T, B = np.random.default_rng(9), 9, 4
    options = {"dtype": "float64", "batch_first": batch_first, "learn_initial": learn}
    both = start(
        Bidirectional(Recurrent("lstm", 3, 5, seed=0, **options), Recurrent("gru", 3, 4, seed=1, **options)), rng
    )

    def turn(array):
        return array.swapaxes(0, 1) if batch_first else array

    x, dy, reset = rng.normal(size=(T, B, 3)), rng.normal(size=(T, B, 9)), rng.random((T, B)) < 0.3
    reset[:, 3] = False
    reset[0, 0] = reset[5, 1] = reset[7, 3] = True  # at the start, and at the ends of the ragged rows
    initial = [{n: rng.normal(size=(B, 5)) for n in "hc"}, {"h": rng.normal(size=(B, 4))}]
    run = both(turn(x), initial, reset=turn(reset), lengths=lengths)
    grads, total = run.backward(turn(dy)), both.params.zeros_like()
    for row, end in enumerate([T] * B if lengths is None else lengths):
        for t, after in itertools.pairwise([0, *(t for t in range(1, end) if reset[t, row]), end]):
            part, one = np.s_[t:after, row : row + 1], slice(row, row + 1)
            passed = [
                {n: a[one] for n, a in initial[0].items()} if t == 0 and not reset[0, row] else None,
                {"h": initial[1]["h"][one]} if after == end else None,
            ]
            alone = both(turn(x[part]), passed)
            back = alone.backward(turn(dy[part]))
            total.flat[...] += back.params.flat if end else 0
            np.testing.assert_array_equal(turn(run.y)[part], turn(alone.y))
            np.testing.assert_array_equal(turn(grads.x)[part], turn(back.x))
            if t == 0 and end:
                np.testing.assert_array_equal(run.reverse.final["h"][row], alone.reverse.final["h"][0])
                expected = 0 if reset[0, row] else back.layers[0].initial["c"][0]
                np.testing.assert_array_equal(grads.layers[0].initial["c"][row], expected)
            if after == end and end:
                np.testing.assert_array_equal(run.forward.final["h"][row], alone.forward.final["h"][0])
                np.testing.assert_array_equal(grads.layers[1].initial["h"][row], back.layers[1].initial["h"][0])
    close(grads.params, total.flat, "float64")


def test_stacks_of_both_directions_respect_the_border():
    rng, T, B = np.random.default_rng(10), 10, 3
    stack = start(pylstm.GRU(3, 4, 2, bidirectional=True, dtype="float64", seed=0, learn_initial=True), rng)
    x, reset = rng.normal(size=(T, B, 3)), np.zeros((T, B), bool)
    reset[[0, 4, 9]] = True
    initial = {"h": rng.normal(size=(4, B, 4))}
    run = stack(x, initial, reset=reset)
    first = [[None, None], [None, None]]
    last = [[None, {"h": initial["h"][1]}], [None, {"h": initial["h"][3]}]]
    parts = [stack(x[:4], first), stack(x[4:9], first), stack(x[9:], last)]
    np.testing.assert_array_equal(run.y, np.concatenate([part.y for part in parts]))


@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm"])
def test_with_regularisers_of_states(cell):
    layer, x, initial, given, back = problem(cell, 11, 5, "float64", modified=False, seed=11)
    given |= zoneout(layer, x, {layer.cell.contract.states[0]: 0.4}, seed=1)
    given |= state_dropout(layer, x, {layer.cell.contract.states[-1]: 0.4}, seed=2)
    given["pre"] = {n: np.broadcast_to(a, (11, *a.shape[1:])) for n, a in given["pre"].items()}
    found, params, _ = whole_run(layer, x, initial, given, back)
    for cut in (1, 6, 10):
        again, total = pieces(layer, x, initial, given, back, [0, cut, 11])
        assert_same(again, found)
        close(params, total, "float64")


def test_no_steps_and_no_rows():
    layer, x, initial, given, back = problem("lstm", 5, 3, "float64", modified=False)
    empty = layer(x[:0], initial, reset=given["reset"][:0])
    for name, array in initial.items():
        np.testing.assert_array_equal(empty.final[name], array)
        np.testing.assert_array_equal(empty.backward(dfinal=back["dfinal"]).initial[name], back["dfinal"][name])
    none = layer(x[:, :0], reset=given["reset"][:, :0])
    assert not none.backward(back["dy"][:, :0]).params.flat.any()
    both = pylstm.GRU(3, 4, bidirectional=True, dtype="float64", seed=0)
    assert both(x[:0], reset=given["reset"][:0]).y.shape == (0, 3, 8)
