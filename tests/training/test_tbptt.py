"""Truncated BPTT against the sum of its terms, one loss at a time, from the NumPy executor."""

import numpy as np
import pytest

import pylstm
from pylstm.cells.auditing import reference
from pylstm.training.tbptt import states_at, truncated_bptt, windows

T, B, I, H = 23, 3, 4, 5


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def close(ours, theirs, tolerance=1e-11):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def terms(k1, k2):
    """(t, start) of every loss: step t = 0, 1, ... is back-propagated to step `start`."""
    for t in range(T):
        yield t, max(0, t // k1 * k1 - (k2 - k1))


def sum_of_terms(layers, x, initial, dy, k1, k2):
    """Gradients of the parameters by layer, and of x: each loss alone, each layer by the NumPy executor."""
    params = [{name: np.zeros_like(array) for name, array in layer.params.items()} for layer in layers]
    dx, inputs, tapes = np.zeros_like(x), [x], []
    for layer, first in zip(layers, initial):
        tapes.append(reference.forward(layer.cell, dict(layer.params), inputs[-1], first, sizes=layer.sizes))
        inputs.append(tapes[-1].y)
    for t, start in terms(k1, k2):
        d = np.zeros_like(dy[start : t + 1])
        d[-1] = dy[t]
        for k in reversed(range(len(layers))):
            states = {name: array[start] for name, array in tapes[k].states.items()}
            tape = reference.forward(
                layers[k].cell, dict(layers[k].params), inputs[k][start : t + 1], states, sizes=layers[k].sizes
            )
            grads = reference.backward(tape, d)
            d = grads.x
            for name, array in grads.params.items():
                params[k][name] += array
        dx[start : t + 1] += d
    return params, dx


CUTS = [(5, 5), (5, 9), (1, 1), (1, 6), (4, 8), (7, 23), (23, 23), (30, 40), (3, 100)]


@pytest.mark.parametrize(("k1", "k2"), CUTS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "peephole", "lstmp"])
def test_the_sum_of_the_truncated_terms(cell, k1, k2):
    sizes = {"proj_size": 3} if cell == "lstmp" else {}
    layer = pylstm.Recurrent(cell, I, H, dtype="float64", seed=0, **sizes)
    x, dy = draw(1, T, B, I), draw(2, T, B, layer.output_size)
    first = {name: draw(3, B, layer.widths[name]) for name in layer.cell.contract.states}
    params, dx, value = layer.params.zeros_like(), np.zeros_like(x), 0.0
    steps = []
    for step in truncated_bptt(layer, x, lambda y, s: ((y * dy[s]).sum(), dy[s]), k1, k2, first):
        params.flat[...] += step.grads.params.flat
        dx[step.window.start : step.window.end] += step.grads.x
        value += step.value
        steps.append(step)
    expected, expected_dx = sum_of_terms([layer], x, [first], dy, k1, k2)
    for name, array in expected[0].items():
        close(params[name], array)
    close(dx, expected_dx)
    whole = layer(x, first)
    assert value == pytest.approx((whole.y * dy).sum(), rel=1e-12)
    assert [s.window.first for s in steps] == list(range(0, T, k1))
    for name, array in steps[-1].final.items():
        close(array, whole.final[name], 1e-12)


@pytest.mark.parametrize(("k1", "k2"), CUTS)
def test_stacks(k1, k2):
    cells = [("lstm", I), ("gru", H), ("peephole", H)]
    layers = [pylstm.Recurrent(cell, n, H, dtype="float64", seed=k) for k, (cell, n) in enumerate(cells)]
    stack = pylstm.Stack(layers)
    x, dy = draw(1, T, B, I), draw(2, T, B, H)
    first = [{name: draw(3 + k, B, H) for name in e.cell.contract.states} for k, e in enumerate(layers)]
    params, dx = stack.params.zeros_like(), np.zeros_like(x)
    for step in truncated_bptt(stack, x, lambda y, s: ((y * dy[s]).sum(), dy[s]), k1, k2, first):
        params.flat[...] += step.grads.params.flat
        dx[step.window.start : step.window.end] += step.grads.x
    expected, expected_dx = sum_of_terms(layers, x, first, dy, k1, k2)
    for k, group in enumerate(expected):
        for name, array in group.items():
            close(params[f"{k}.{name}"], array)
    close(dx, expected_dx)
    for ours, theirs in zip(step.final, stack(x, first).layers):
        for name, array in theirs.final.items():
            close(ours[name], array, 1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_window_is_full_bptt(dtype):
    layer = pylstm.LSTM(I, H, dtype=dtype, seed=0)
    x, dy = draw(1, T, B, I).astype(dtype), draw(2, T, B, H).astype(dtype)
    (step,) = truncated_bptt(layer, x, lambda y, s: (0.0, dy[s]), T, T)
    grads = layer(x).backward(dy)
    assert np.array_equal(step.grads.params.flat, grads.params.flat) and np.array_equal(step.grads.x, grads.x)


@pytest.mark.parametrize(("k1", "k2"), [(4, 4), (4, 10)])
def test_updates_on_the_way(k1, k2):
    """Each window is the layer at the parameters of then, from a state that the window before went through."""
    layer, other = (pylstm.LSTM(I, H, dtype="float64", seed=0) for _ in range(2))
    x, target = draw(1, T, B, I), draw(2, T, B, H)
    one, two = pylstm.SGD(layer.params, lr=0.1), pylstm.SGD(other.params, lr=0.1)
    for step in truncated_bptt(layer, x, lambda y, s: pylstm.squared_error(y, target[s]), k1, k2):
        one.step(step.grads.params)
    states = {0: None}
    for end in [*range(k1, T, k1), T]:
        first = (end - 1) // k1 * k1
        start = max(0, first + k1 - k2)
        run = other(x[start:end], states[start])
        states |= {start + t: {name: run.states[name][t] for name in run.states} for t in range(1, end - start + 1)}
        dy = np.zeros_like(run.y)
        dy[first - start :] = 2 * (run.y[first - start :] - target[first:end])
        two.step(run.backward(dy).params)
    np.testing.assert_array_equal(layer.params.flat, other.params.flat)


def test_layouts_and_per_step_inputs():
    plain, turned = (pylstm.LSTM(I, H, 2, dtype="float64", seed=0, batch_first=b) for b in (False, True))
    x, dy = draw(1, T, B, I), draw(2, T, B, H)
    pre = [{"c": draw(3, T, B, H)}, None]
    over = list(truncated_bptt(plain, x, lambda y, s: (y.sum(), dy[s]), 4, 9, pre=pre))
    swapped = [{"c": pre[0]["c"].swapaxes(0, 1)}, None]
    back = dy.swapaxes(0, 1)
    also = list(truncated_bptt(turned, x.swapaxes(0, 1), lambda y, s: (y.sum(), back[:, s]), 4, 9, pre=swapped))
    for ours, theirs in zip(also, over, strict=True):
        np.testing.assert_array_equal(ours.grads.params.flat, theirs.grads.params.flat)
        np.testing.assert_array_equal(ours.final[1]["c"], theirs.final[1]["c"])
    row = list(
        truncated_bptt(plain, x[:, 0], lambda y, s: (y.sum(), dy[s, 0]), 4, 9, pre=[{"c": pre[0]["c"][:, 0]}, None])
    )
    one = list(
        truncated_bptt(plain, x[:, :1], lambda y, s: (y.sum(), dy[s, :1]), 4, 9, pre=[{"c": pre[0]["c"][:, :1]}, None])
    )
    for ours, theirs in zip(row, one, strict=True):
        np.testing.assert_array_equal(ours.grads.params.flat, theirs.grads.params.flat)
    timed = pylstm.Recurrent("time_aware_lstm", I, H, dtype="float64", seed=0)
    dt = {"dt": 0.5 + draw(4, T, B, 1) ** 2}
    (whole,) = truncated_bptt(timed, x, lambda y, s: (0.0, dy[s]), T, aux=dt)
    np.testing.assert_array_equal(whole.grads.aux["dt"], timed(x, aux=dt).backward(dy).aux["dt"])
    *_, last = truncated_bptt(timed, x, lambda y, s: (0.0, dy[s]), 4, 9, aux=dt)
    assert last.grads.aux["dt"].shape == (8, B, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("k1", "k2"), CUTS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm"])
def test_resets_are_those_of_one_run(cell, k1, k2, dtype):
    """The bits of y and of the final states; and what resets at all borders keep from being truncated is exact."""
    layer = pylstm.Recurrent(cell, I, H, dtype=dtype, seed=0, learn_initial=True)
    for name in layer.learn_initial:
        layer.params[f"initial_{name}"][...] = np.abs(draw(4, H)) + 0.5
    x, dy = draw(1, T, B, I).astype(dtype), draw(2, T, B, H).astype(dtype)
    first = {name: (np.abs(draw(3, B, H)) + 0.5).astype(dtype) for name in layer.cell.contract.states}
    for reset in (draw(5, T, B) > 0.7, np.arange(T)[:, None].repeat(B, 1) % k1 == 0):
        reset[0, 0] = True
        whole, params, ys = layer(x, first, reset=reset), layer.params.zeros_like(), []

        def loss(y, s, ys=ys):
            ys.append(y.copy())
            return 0.0, dy[s]

        for step in truncated_bptt(layer, x, loss, k1, k2, first, reset=reset):
            params.flat[...] += step.grads.params.flat
            if reset[step.window.start].all():
                assert not any(array.any() for array in step.grads.initial.values())
        np.testing.assert_array_equal(np.concatenate(ys), whole.y)
        for name, array in whole.final.items():
            np.testing.assert_array_equal(step.final[name], array)
    expected = whole.backward(dy).params
    for name, array in params.items():  # a loss that would be truncated ends at its reset before
        close(array, expected[name], 1e-11 if dtype == "float64" else 3e-5)


def test_resets_in_layouts_and_stacks():
    options = {"dtype": "float64", "seed": 0, "learn_initial": True, "residual": True}
    plain, turned = (pylstm.LSTM(I, H, 2, batch_first=b, **options) for b in (False, True))
    x, dy, reset = draw(1, T, B, I), draw(2, T, B, H), draw(5, T, B) > 0.7
    over = list(truncated_bptt(plain, x, lambda y, s: (y.sum(), dy[s]), 4, 9, reset=reset))
    back, rows = dy.swapaxes(0, 1), reset.T
    for given in (rows, rows.tolist()):
        also = truncated_bptt(turned, x.swapaxes(0, 1), lambda y, s: (y.sum(), back[:, s]), 4, 9, reset=given)
        for ours, theirs in zip(also, over, strict=True):
            np.testing.assert_array_equal(ours.grads.params.flat, theirs.grads.params.flat)
            np.testing.assert_array_equal(ours.final[1]["c"], theirs.final[1]["c"])
    alone = truncated_bptt(plain, x[:, 1], lambda y, s: (y.sum(), dy[s, 1]), 4, 9, reset=reset[:, 1])
    for ours, theirs in zip(alone, over, strict=True):
        np.testing.assert_array_equal(ours.grads.x, theirs.grads.x[:, 1])
    final = plain(x, reset=reset).layers[1].final["c"]
    np.testing.assert_array_equal(over[-1].final[1]["c"], final)
    assert np.abs(final - plain(x).layers[1].final["c"]).max() > 1e-3


@pytest.mark.parametrize("shape", [(T + 1, B), (T, B + 1), (T,), (B, T), (T, B, 1)])
def test_resets_of_another_shape_are_refused(shape):
    layer = pylstm.LSTM(I, H, seed=0)
    with pytest.raises(ValueError, match=r"reset must have shape \(23, 3\), as the steps and rows of x, got"):
        truncated_bptt(layer, np.zeros((T, B, I), "f4"), lambda y, steps: None, 4, reset=np.zeros(shape, bool))
    with pytest.raises(TypeError, match="reset must be an array of bool, got int64"):
        next(truncated_bptt(layer, np.zeros((T, B, I), "f4"), lambda y, steps: None, 4, reset=np.zeros((T, B), int)))


def test_only_windows_are_read(tmp_path):
    x, layer = draw(1, T, B, I), pylstm.GRU(I, H, dtype="float64", seed=0)
    np.save(tmp_path / "x.npy", x)
    stored = np.load(tmp_path / "x.npy", mmap_mode="r")
    found, expected = (
        [step.grads.params.flat for step in truncated_bptt(layer, each, lambda y, s: (0.0, y), 6)]
        for each in (stored, x)
    )
    np.testing.assert_array_equal(found, expected)


def test_learned_initial_states_learn_from_windows_that_start_there():
    layer, x = pylstm.LSTM(I, H, dtype="float64", seed=0, learn_initial="c"), draw(1, T, B, I)
    layer.params["initial_c"] = draw(2, H)
    steps = list(truncated_bptt(layer, x, lambda y, s: (y.sum(), np.ones_like(y)), 4, 9))
    reach = [step.grads.params["initial_c"].any() for step in steps]
    assert reach == [step.window.start == 0 for step in steps] and reach[1] and not reach[2]
    np.testing.assert_allclose(steps[0].grads.params["initial_c"], steps[0].grads.initial["c"].sum(axis=0), rtol=1e-12)
    assert sum(step.value for step in steps) == pytest.approx(layer(x).y.sum(), rel=1e-12)


def test_states_of_a_run():
    stack, x = pylstm.LSTM(I, H, 2, dtype="float64", seed=0), draw(1, T, B, I)
    half = states_at(stack(x), 11)
    for ours, theirs in zip(half, stack(x[:11]).layers):
        np.testing.assert_array_equal(ours["c"], theirs.final["c"])
    np.testing.assert_array_equal(stack(x[11:], half).y, stack(x).y[11:])


@pytest.mark.parametrize("batch_first", [False, True])
def test_states_of_a_run_are_copies(batch_first):
    """A view would keep the tape of its window alive, and could not be written to."""
    layer = pylstm.LSTM(I, H, dtype="float64", seed=0, batch_first=batch_first)
    run = layer(draw(1, T, B, I))
    before = run.states["c"].copy()
    states = states_at(run, 3)
    assert not np.shares_memory(states["c"], run.states["c"])
    states["c"][...] = 0
    np.testing.assert_array_equal(run.states["c"], before)


def test_what_does_not_fit():
    layer, x = pylstm.LSTM(I, H, dtype="float64"), draw(1, T, B, I)
    with pytest.raises(ValueError, match="k2 must be at least k1=4"):
        truncated_bptt(layer, x, pylstm.mean_squared_error, 4, 3)
    with pytest.raises(ValueError, match="k1 must be at least 1"):
        list(windows(T, 0))
    with pytest.raises(TypeError, match="k1 must be an integer"):
        truncated_bptt(layer, x, None, 2.5)
    with pytest.raises(TypeError, match="a reverse direction starts at the end"):
        truncated_bptt(pylstm.LSTM(I, H, bidirectional=True), x, None, 4)
    with pytest.raises(TypeError, match="a reverse direction starts at the end"):
        truncated_bptt(pylstm.LSTM(I, H, bidirectional=True).layers[0], x, None, 4)
    with pytest.raises(ValueError, match=r"the cotangent must have the shape of y, \(4, 3, 5\), got \(3, 5\)"):
        list(truncated_bptt(layer, x, lambda y, s: (0.0, y[0]), 4))
    assert list(truncated_bptt(layer, x[:0], lambda y, s: (0.0, y), 4)) == []


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("more", [-1, 1, 4])
@pytest.mark.parametrize("kind", ["aux", "pre", "blend"])
@pytest.mark.parametrize("stacked", [False, True])
def test_per_step_inputs_of_another_length_are_refused(stacked, kind, more, batch_first):
    layer = pylstm.Recurrent("augru", 2, 3, num_layers=1 + stacked, batch_first=batch_first, dtype="float64", seed=0)
    name = "attention" if kind == "aux" else "h"

    def turned(steps, width):
        array = np.full((steps, 2, width), 0.5)
        return array.swapaxes(0, 1) if batch_first else array

    def run(steps):
        given = {"aux": {"attention": turned(9, 1)}}
        given[kind] = {name: turned(steps, 1 if kind == "aux" else 3)}
        given = {key: [values, values] if stacked else values for key, values in given.items()}
        return pylstm.truncated_bptt(layer, turned(9, 2), lambda y, steps: (0.0, y * 0), 4, 6, **given)

    assert len(list(run(9))) == 3
    with pytest.raises(ValueError, match=rf"{kind}.*\['{name}'\] must have the 9 steps of x, got {9 + more}"):
        run(9 + more)
