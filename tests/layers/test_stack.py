"""Stacks and directions: against torch, by differences, and their parameters as one buffer."""

import copy
import math
import pickle
import re

import numpy as np
import pytest

import pylstm
from numeric import difference
from pylstm.interop.torch import load_state_dict, state_dict
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import GRU, LSTM, RNN, Recurrent
from pylstm.layers.stack import Stack

T, B, I, H = 6, 3, 4, 5
MAKERS = {"lstm": LSTM, "gru": GRU, "rnn_tanh": RNN}


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def close(ours, theirs, tolerance=1e-11):
    theirs = np.asarray(theirs.detach() if hasattr(theirs, "detach") else theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(np.abs(theirs).max(), 1e-3))


def theirs_and_ours(torch, cell, layers, both, bias, batch_first):
    torch.manual_seed(layers + 10 * both)
    kinds = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn_tanh": torch.nn.RNN}
    options = {"num_layers": layers, "bidirectional": both, "bias": bias, "batch_first": batch_first}
    theirs = kinds[cell](I, H, dtype=torch.float64, **options)
    ours = MAKERS[cell](I, H, dtype="float64", **options)
    load_state_dict(ours, theirs.state_dict())
    return theirs, ours


@pytest.mark.parametrize("cell", MAKERS)
@pytest.mark.parametrize(("layers", "both"), [(1, True), (2, False), (2, True), (3, False), (3, True), (4, True)])
@pytest.mark.parametrize(("bias", "batch_first"), [(True, False), (True, True), (False, False)])
def test_outputs_and_gradients_are_those_of_torch(cell, layers, both, bias, batch_first):
    torch = pytest.importorskip("torch")
    theirs, ours = theirs_and_ours(torch, cell, layers, both, bias, batch_first)
    states, count = ours.state_names, layers * (1 + both)
    lead = (B, T) if batch_first else (T, B)
    x, dy = draw(1, *lead, I), draw(2, *lead, H * (1 + both))
    initial = {name: draw(3 + k, count, B, H) for k, name in enumerate(states)}
    dfinal = {name: draw(7 + k, count, B, H) for k, name in enumerate(states)}

    x_t, *first = (torch.from_numpy(a.copy()).requires_grad_() for a in (x, *initial.values()))
    y_t, last = theirs(x_t, tuple(first) if len(first) > 1 else first[0])
    last = last if len(first) > 1 else (last,)
    torch.autograd.backward([y_t, *last], [torch.from_numpy(a) for a in (dy, *dfinal.values())])

    run = ours(x, initial)
    grads = run.backward(dy, dfinal=dfinal)
    close(run.y, y_t, 1e-12)
    close(grads.x, x_t.grad)
    for name, end, start in zip(states, last, first):
        close(run.final[name], end, 1e-12)
        close(grads.initial[name], start.grad)
    as_theirs = copy.deepcopy(ours)
    as_theirs.params.flat[...] = grads.params.flat
    for key, array in state_dict(as_theirs).items():
        if not key.startswith("bias_hh"):
            close(array, getattr(theirs, key).grad)
        elif cell == "gru":
            close(array[2 * H :], getattr(theirs, key).grad[2 * H :])


def test_a_single_sequence_is_as_in_torch():
    torch = pytest.importorskip("torch")
    theirs, ours = theirs_and_ours(torch, "lstm", 2, True, True, True)
    x, h, c = draw(1, T, I), draw(2, 4, H), draw(3, 4, H)
    y_t, (h_t, c_t) = theirs(*(torch.from_numpy(x), tuple(map(torch.from_numpy, (h, c)))))
    run = ours(x, {"h": h, "c": c})
    close(run.y, y_t, 1e-12)
    close(run.final["h"], h_t, 1e-12)
    close(run.final["c"], c_t, 1e-12)
    assert run.backward(np.ones_like(run.y)).x.shape == (T, I)


def mixed(**options):
    """Different cells, widths and directions."""
    first = Bidirectional(
        Recurrent("lstm", I, 3, dtype="float64", seed=1), Recurrent("peephole", I, 2, dtype="float64", seed=2)
    )
    second = Recurrent("gru", 5, 5, dtype="float64", seed=3)
    third = Recurrent("cifg", 5, 5, dtype="float64", seed=4)
    return Stack([first, second, third], **options)


def cotangents(run):
    """Of everything that can have one, with the loss that they are the gradient of."""
    dy = draw(20, *run.y.shape)
    dfinal = [[{"c": draw(21, B, 3)}, {"h": draw(22, B, 2)}], None, {"c": draw(23, B, 5)}]
    dstates = [[None, {"c": draw(24, T, B, 2)}], {"h": draw(25, T, B, 5)}, None]
    return dy, dfinal, dstates


def loss_of(run):
    dy, dfinal, dstates = cotangents(run)
    first, second, third = run.layers
    return (
        (dy * run.y).sum()
        + (dfinal[0][0]["c"] * first.forward.final["c"]).sum()
        + (dfinal[0][1]["h"] * first.reverse.final["h"]).sum()
        + (dfinal[2]["c"] * third.final["c"]).sum()
        + (dstates[0][1]["c"] * first.reverse.states["c"][:0:-1]).sum()
        + (dstates[1]["h"] * second.states["h"][1:]).sum()
    )


def check_by_differences(stack, **given):
    x = draw(10, T, B, I)
    initial = [[{"h": draw(11, B, 3)}, {"c": draw(12, B, 2)}], {"h": draw(13, B, 5)}, None]
    reset = draw(14, T, B) > 1

    def loss():
        stack.reseed(5)  # the same dropout every time
        return loss_of(stack(x, initial, reset=reset, **given))

    stack.reseed(5)
    run = stack(x, initial, reset=reset, **given)
    dy, dfinal, dstates = cotangents(run)
    grads = run.backward(dy, dfinal=dfinal, dstates=dstates)
    rng = np.random.default_rng(15)
    pairs = [
        (x, grads.x),
        (initial[0][0]["h"], grads.layers[0].layers[0].initial["h"]),
        (initial[0][1]["c"], grads.layers[0].layers[1].initial["c"]),
        (initial[1]["h"], grads.layers[1].initial["h"]),
        *((stack.params[name], grads.params[name]) for name in stack.params),
    ]
    for kind, values in given.items():
        pairs.append((values[0][1]["c"], getattr(grads.layers[0].layers[1], kind)["c"]))
        pairs.append((values[1]["h"], getattr(grads.layers[1], kind)["h"]))
    for array, gradient in pairs:
        assert array.shape == gradient.shape and np.abs(gradient).max() > 0
        for _ in range(3):
            index = tuple(rng.integers(n) for n in array.shape)
            assert gradient[index] == pytest.approx(difference(loss, array, index), rel=1e-7, abs=1e-8)


@pytest.mark.parametrize(
    "options",
    [{}, {"dropout": 0.4}, {"residual": [False, True, True]}, {"dropout": 0.3, "residual": True}],
    ids=str,
)
def test_gradients_of_mixed_stacks(options):
    check_by_differences(mixed(**options))


@pytest.mark.parametrize("kind", ["pre", "blend"])
def test_gradients_of_modifiers_by_layer(kind):
    values = [[None, {"c": 0.5 + draw(1, T, B, 2) ** 2}], {"h": 0.5 + draw(2, T, B, 5) ** 2}, None]
    check_by_differences(mixed(), **{kind: values})


def test_resets_cut_a_sequence_in_both_directions():
    stack = LSTM(I, H, num_layers=2, bidirectional=True, dtype="float64", seed=0)
    x, reset = draw(1, T, B, I), np.zeros((T, B), bool)
    reset[4] = True
    cut = stack(x, reset=reset)
    np.testing.assert_array_equal(cut.y, np.concatenate([stack(x[:4]).y, stack(x[4:]).y]))


def test_the_layers_of_a_stack_are_those_layers():
    first, second = (Recurrent("lstm", n, H, dtype="float64", seed=n) for n in (I, H))
    x = draw(1, T, B, I)
    expected = second(first(x).y).y
    stack = Stack([first, second])
    np.testing.assert_array_equal(stack(x).y, expected)
    np.testing.assert_array_equal(stack(x, tape=False).y, expected)
    assert stack.layers[0] is first and stack.input_size == I and stack.output_size == H
    residual = Stack([copy.deepcopy(first), copy.deepcopy(second)], residual=True)
    np.testing.assert_array_equal(residual(x).y, expected + first(x).y)


def test_parameters_are_one_buffer():
    stack = mixed()
    names = list(stack.params)
    assert names[:3] == ["0.weight_x", "0.weight_h", "0.bias"]
    assert "0.reverse.weight_h" in names and "2.bias" in names
    assert stack.params.size == sum(leaf.params.size for leaf in stack.recurrents)
    stack.params.flat[...] = np.arange(stack.params.size)
    at = 0
    for leaf in stack.recurrents:
        np.testing.assert_array_equal(leaf.params.flat, np.arange(at, at + leaf.params.size))
        at += leaf.params.size
    stack.layers[0].reverse.params["bias"] = np.full(8, -1.0)
    assert (stack.params["0.reverse.bias"] == -1).all() and (stack.layers[0].params["reverse.bias"] == -1).all()
    grads = stack(draw(1, T, B, I)).backward(np.ones((T, B, 5)))
    assert grads.params.same_layout(stack.params)
    assert np.shares_memory(grads.layers[0].layers[1].params.flat, grads.params.flat)
    np.testing.assert_array_equal(grads.layers[0].layers[1].params["bias"], grads.params["0.reverse.bias"])


def test_an_optimiser_trains_all_layers():
    stack = GRU(I, H, num_layers=2, bidirectional=True, dropout=0.1, dtype="float64", seed=0)
    before, optimiser = stack.params.copy(), pylstm.Adam(stack.params, lr=0.05)
    x, target = draw(1, T, B, I), 0.3 * draw(2, T, B, 2 * H)
    values = []
    for _ in range(30):
        run = stack(x)
        value, dy = pylstm.squared_error(run.y, target)
        values.append(value)
        optimiser.step(run.backward(dy).params)
    assert values[-1] < 0.5 * values[0]
    assert all((stack.params[name] != before[name]).all() for name in before)


def test_dropout_is_seeded_and_off_in_evaluation():
    x = draw(1, 50, 8, I)
    one, two = (LSTM(I, 40, num_layers=2, dropout=0.25, dtype="float64", seed=3) for _ in range(2))
    np.testing.assert_array_equal(one(x).y, two(x).y)
    assert (one(x).y != one(x).y).any()  # anew in each run
    one.reseed(7)
    two.reseed(7)
    run = one(x)
    np.testing.assert_array_equal(run.y, two(x).y)
    mask = run._masks[0]
    assert abs((mask == 0).mean() - 0.25) < 0.02 and set(np.unique(mask)) == {0, 1 / 0.75}
    for axis in range(3):  # anew at every step, for every row and every unit
        assert (mask != mask.take([0], axis)).any(axis).mean() > 0.5
    plain = Stack([copy.deepcopy(layer) for layer in one.layers])
    assert one.training and one.eval() is one and not one.training
    np.testing.assert_array_equal(one(x).y, plain(x).y)
    assert one.train().training
    one.dropout = 1.0
    np.testing.assert_array_equal(one(x).y, one.layers[1](np.zeros((50, 8, 40))).y)


def test_backward_again_gives_the_same():
    run = mixed(dropout=0.5, seed=1)(draw(1, T, B, I))
    first, second = run.backward(np.ones_like(run.y)), run.backward(np.ones_like(run.y))
    np.testing.assert_array_equal(first.params.flat, second.params.flat)
    np.testing.assert_array_equal(first.x, second.x)


@pytest.mark.parametrize("twice", [copy.copy, copy.deepcopy, lambda stack: pickle.loads(pickle.dumps(stack))])
def test_copies_own_their_parameters(twice):
    stack = mixed(dropout=0.2, residual=True, seed=1).eval()
    x = draw(1, T, B, I)
    expected = stack(x).y
    other = twice(stack)
    assert not other.training and other.dropout == 0.2 and other.residual == stack.residual
    np.testing.assert_array_equal(other(x).y, expected)
    other.params.flat[...] *= 2
    assert np.shares_memory(other.layers[0].reverse.params["bias"], other.params.flat)
    assert (other(x).y != expected).any()
    np.testing.assert_array_equal(stack(x).y, expected)


def test_save_and_load(tmp_path):
    stack = mixed(dropout=0.2, residual=True)
    pylstm.save(tmp_path / "stack", stack)
    pylstm.save(tmp_path / "dict", {"net": stack, "both": Bidirectional(LSTM(2, 3, seed=0), GRU(2, 4, seed=1))})
    loaded, net = pylstm.load(tmp_path / "stack"), pylstm.load(tmp_path / "dict")
    assert repr(loaded) == repr(net["net"]) and net["both"].output_size == 7
    assert [each.cell for each in loaded.recurrents] == [each.cell for each in stack.recurrents]
    assert loaded.residual == stack.residual and loaded.dropout == stack.dropout
    for each in (loaded, net["net"]):
        assert each.params.same_layout(stack.params)
        np.testing.assert_array_equal(each.params.flat, stack.params.flat)
        np.testing.assert_array_equal(each.eval()(draw(1, T, B, I)).y, stack.eval()(draw(1, T, B, I)).y)


def test_the_familiar_arguments():
    assert type(LSTM(I, H)) is LSTM and type(GRU(I, H, 1)) is GRU and isinstance(RNN(I, H), Recurrent)
    stack = RNN(I, H, 3, nonlinearity="relu", bias=False, batch_first=True, dtype="float64")
    assert isinstance(stack, Stack) and stack.batch_first and stack.dtype == "float64"
    assert [leaf.cell.name for leaf in stack.recurrents] == ["rnn_relu"] * 3 and "0.bias" not in stack.params
    peephole = Recurrent("peephole", I, H, num_layers=2, bidirectional=True, residual=[False, False], seed=0)
    assert peephole.output_size == 2 * H and peephole(np.ones((T, B, I), "f4")).final["c"].shape == (4, B, H)
    assert isinstance(LSTM(I, H, bidirectional=True), Stack)
    one, two = LSTM(I, H, 2, seed=1), LSTM(I, H, 2, seed=1)
    np.testing.assert_array_equal(one.params.flat, two.params.flat)
    assert len(np.unique(one.params.flat)) > 0.99 * one.params.size  # no layer is another's twin
    before = one.params.flat.copy()
    one.reset_parameters(2)
    assert (one.params.flat != before).all()
    with pytest.warns(UserWarning, match="with num_layers=1 it does nothing"):
        LSTM(I, H, dropout=0.5)
    with pytest.raises(ValueError, match="num_layers must be at least 1"):
        LSTM(I, H, num_layers=0)


def layer(name="lstm", inputs=I, hidden=H, **options):
    return Recurrent(name, inputs, hidden, **options)


def taken():
    inner = layer()
    Stack([inner])
    return inner


SAME = layer("rnn_tanh", H, H)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Stack([]), ValueError, "at least one layer"),
        (lambda: Stack([layer(), "gru"]), TypeError, "must be Recurrent or Bidirectional, got 'gru': pass layers"),
        (lambda: Stack([layer(), layer()]), ValueError, "layer 1 has input_size 4, but layer 0 returns width 5"),
        (lambda: Stack([SAME, SAME]), ValueError, "same layer twice"),
        (lambda: Stack([layer(), layer("gru", H, dtype="float64")]), ValueError, "'1' has dtype='float64'"),
        (lambda: Stack([layer(), layer("gru", H, batch_first=True)]), ValueError, "batch_first=True"),
        (lambda: Stack([taken()]), ValueError, "part of another stack"),
        (lambda: Stack([layer()], dropout=1.5), ValueError, "dropout must be in"),
        (
            lambda: Stack([layer()], residual=[True]),
            ValueError,
            "residual: layer 0 must return as many values as it takes, 4, got 5",
        ),
        (lambda: Stack([layer()], residual=[True, False]), ValueError, "one value for each of 1 layers, got 2"),
        (lambda: Bidirectional(layer(), layer("gru", 3)), ValueError, "must have the same input_size, got 4 and 3"),
        (lambda: Bidirectional(layer(), Stack([layer()])), TypeError, "two Recurrent layers, got Stack"),
        (lambda: LSTM(I, H, 2)(np.ones((T, B, I))), TypeError, "x must be float32"),
    ],
)
def test_what_does_not_fit(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s, x: s(x, {"h": np.ones((3, B, H))}), ValueError, r"by layer, row and unit"),
        (lambda s, x: s(x, {"q": np.ones((4, B, H))}), ValueError, "unknown name 'q'"),
        (lambda s, x: s(x, [None]), ValueError, "one entry for each of 2 layers, got 1"),
        (lambda s, x: s(x, pre={"h": x}), TypeError, "pre must be a list with one entry for each layer, got dict"),
        (
            lambda s, x: s(x, pre={"h": x}),
            TypeError,
            r"dict: pre=\[\[\{'h': ..., 'c': ...\}, \{'h': ..., 'c': ...\}\], \[\{",
        ),
        (
            lambda s, x: s(x, blend=[{"h": x}] * 2),
            TypeError,
            r"^blend\[0\] must be .* each direction, got dict: blend=\[\[\{'h': ..., 'c': ...\}, \{",
        ),
        (lambda s, x: s(x, aux={"dt": x}), TypeError, r"got dict: aux=\[\[None, None\], \[None, None\]\]$"),
        (
            lambda s, x: s(x, pre=[[{}, None], [None, [{}]]]),
            TypeError,
            r"^pre\[1\]\[1\] must be a dict by name, got list",
        ),
        (lambda s, x: s(x).backward(), ValueError, "needs a cotangent"),
        (lambda s, x: s(x).backward(np.ones((T, B, H))), ValueError, r"dy must have shape \(6, 3, 10\)"),
        (lambda s, x: s(x, tape=False).backward(np.ones((T, B, 2 * H))), RuntimeError, "tape=True"),
        (lambda s, x: pickle.dumps(s(x)), TypeError, "a run cannot be copied or pickled"),
    ],
)
def test_bad_calls(call, error, message):
    with pytest.raises(error, match=message):
        call(LSTM(I, H, 2, bidirectional=True, dtype="float64"), draw(1, T, B, I))


def test_no_steps_and_no_rows():
    stack = LSTM(I, H, 2, bidirectional=True, dtype="float64")
    assert stack(np.zeros((0, B, I))).y.shape == (0, B, 2 * H)
    grads = (run := stack(np.zeros((T, 0, I)))).backward(np.zeros_like(run.y))
    assert grads.x.shape == (T, 0, I) and not grads.params.flat.any()


@pytest.mark.parametrize("rate", [2.5, -0.1, math.nan, math.inf, "0.5", None, [0.5], True])
def test_a_dropout_that_is_set_is_checked(rate):
    stack = pylstm.LSTM(2, 3, num_layers=2, dropout=0.25, seed=0)
    with pytest.raises((TypeError, ValueError), match="dropout must be"):
        stack.dropout = rate
    with pytest.raises((TypeError, ValueError), match="dropout must be"):
        pylstm.Stack([pylstm.LSTM(2, 3), pylstm.GRU(3, 3)], dropout=rate)
    assert stack.dropout == 0.25
    stack.dropout = np.float32(0.5)
    assert stack.dropout == 0.5 and "dropout=0.5" in repr(stack) and stack.drops
    assert copy.deepcopy(stack).dropout == 0.5


def test_the_form_that_an_error_shows_is_taken():
    layer = Recurrent("ltc", I, H, bidirectional=True, seed=0)
    x, dt = draw(0, T, B, I).astype("float32"), np.full((T, B, 1), 0.3, "float32")
    form = re.escape("aux=[[{'dt': ...}, {'dt': ...}]]") + "$"
    for wrong, place in [
        (None, r"aux\[0\]\[0\]"),
        ([{"dt": dt}], r"aux\[0\]"),
        ([{"dt": dt}] * 2, "aux"),
        ({"dt": dt}, "aux"),
    ]:
        with pytest.raises((TypeError, ValueError), match=f"^{place} must have|^{place} must be") as said:
            layer(x, aux=wrong)
        assert re.search(form, str(said.value))
    layer(x, aux=[[{"dt": dt}, {"dt": dt}]])
