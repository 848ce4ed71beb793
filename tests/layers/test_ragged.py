"""Rows of different lengths: each is as if it were run alone; gradients too."""

import numpy as np
import pytest

from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import Recurrent
from pylstm.layers.stack import Stack

T, I, H = 9, 3, 4
LENGTHS = np.array([4, 9, 0, 1, 9, 6, 4])
B = len(LENGTHS)
CELLS = ["lstm", "gru", "gru_reset_before", "peephole", "cifg", "rnn_tanh", "lstm_linear_output"]


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def close(ours, theirs, tolerance=1e-11):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(np.abs(theirs).max(initial=0), 1e-3))


def padded(array, lengths=LENGTHS):
    """NaN beyond the ends: nobody may look there."""
    array = array.copy()
    for row, length in enumerate(lengths):
        array[length:, row] = np.nan
    return array


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_every_row_is_as_if_alone(cell, batch_first):
    layer = Recurrent(cell, I, H, dtype="float64", seed=0, batch_first=batch_first)
    states = layer.cell.contract.states

    def turn(array):
        return array.swapaxes(0, 1) if batch_first else array

    x, dy = padded(draw(1, T, B, I)), padded(draw(2, T, B, layer.output_size))
    initial = {name: draw(3 + k, B, layer.widths[name]) for k, name in enumerate(states)}
    dfinal = {name: draw(6 + k, B, layer.widths[name]) for k, name in enumerate(states)}
    dstates = {name: padded(draw(9 + k, T, B, layer.widths[name])) for k, name in enumerate(states)}
    pre, blend = ({name: padded(0.5 + draw(s, T, B, w) ** 2) for name in states} for s, w in ((12, 1), (13, H)))
    blend = {name: blend[name] if layer.widths[name] == H else pre[name] for name in states}
    given = {"pre": {n: turn(a) for n, a in pre.items()}, "blend": {n: turn(a) for n, a in blend.items()}}
    run = layer(turn(x), initial, **given, lengths=LENGTHS)
    grads = run.backward(turn(dy), dfinal=dfinal, dstates={n: turn(a) for n, a in dstates.items()})
    total = layer.params.zeros_like()
    for row, length in enumerate(LENGTHS):
        part = np.s_[:length, row : row + 1]
        one = layer(
            turn(x[part]),
            {name: array[row : row + 1] for name, array in initial.items()},
            pre={n: turn(a[part]) for n, a in pre.items()},
            blend={n: turn(a[part]) for n, a in blend.items()},
        )
        back = one.backward(
            turn(dy[part]),
            dfinal={name: array[row : row + 1] for name, array in dfinal.items()},
            dstates={n: turn(a[part]) for n, a in dstates.items()},
        )
        total.flat[...] += back.params.flat
        close(turn(run.y)[part], turn(one.y), 1e-12)
        close(turn(grads.x)[part], turn(back.x))
        assert not turn(run.y)[length:, row].any() and not turn(grads.x)[length:, row].any()
        for name in states:
            close(run.final[name][row], one.final[name][0], 1e-12)
            close(grads.initial[name][row], back.initial[name][0])
            for kind in ("pre", "blend"):
                close(turn(getattr(grads, kind)[name])[part], turn(getattr(back, kind)[name]))
    close(grads.params.flat, total.flat)


@pytest.mark.parametrize("residual", [False, True])
def test_stacks_of_two_directions(residual):
    layers = [
        Bidirectional(
            Recurrent("lstm", I, 2, dtype="float64", seed=1), Recurrent("gru", I, 3, dtype="float64", seed=2)
        ),
        Bidirectional(Recurrent("gru", 5, 2, dtype="float64", seed=3), Recurrent("gru", 5, 3, dtype="float64", seed=4)),
    ]
    stack = Stack(layers, residual=residual)
    x, dy, initial = padded(draw(1, T, B, I)), padded(draw(2, T, B, 5)), [None, [{"h": draw(3, B, 2)}, None]]
    dfinal, dstates = [[None, {"h": draw(4, B, 3)}], None], None
    run = stack(x, initial, lengths=LENGTHS)
    grads = run.backward(dy, dfinal=dfinal, dstates=dstates)
    total = stack.params.zeros_like()
    for row, length in enumerate(LENGTHS):
        part = np.s_[:length, row : row + 1]
        one = stack(x[part], [None, [{"h": initial[1][0]["h"][row : row + 1]}, None]])
        back = one.backward(dy[part], dfinal=[[None, {"h": dfinal[0][1]["h"][row : row + 1]}], None])
        total.flat[...] += back.params.flat
        close(run.y[part], one.y, 1e-12)
        assert not run.y[length:, row].any() and not grads.x[length:, row].any()
        close(grads.x[part], back.x)
        close(run.layers[1].reverse.final["h"][row], one.layers[1].reverse.final["h"][0], 1e-12)
        close(grads.layers[1].layers[0].initial["h"][row], back.layers[1].layers[0].initial["h"][0])
    close(grads.params.flat, total.flat)


def test_what_a_residual_layer_passes_on():
    stack = Stack([Recurrent("gru", I, I, dtype="float64", seed=0)], residual=[True])
    x, dy = padded(draw(1, T, B, I)), padded(draw(2, T, B, I))
    run = stack(x, lengths=LENGTHS)
    grads = run.backward(dy)
    for row, length in enumerate(LENGTHS):
        one = stack(x[:length, row : row + 1])
        close(run.y[:length, row], one.y[:, 0], 1e-12)
        close(grads.x[:length, row], one.backward(dy[:length, row : row + 1]).x[:, 0])
        assert not run.y[length:, row].any() and not grads.x[length:, row].any()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("both", [False, True])
def test_packed_sequences_of_torch(cell, both):
    torch = pytest.importorskip("torch")
    from pylstm.interop.torch import load_state_dict

    torch.manual_seed(0)
    lengths = np.maximum(LENGTHS, 1)  # torch has no rows without steps
    options = {"num_layers": 2, "bidirectional": both, "batch_first": True}
    theirs = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](I, H, dtype=torch.float64, **options)
    ours = Recurrent(cell, I, H, dtype="float64", **options)
    load_state_dict(ours, theirs.state_dict())
    x, dy = draw(1, B, T, I), draw(2, B, T, H * (1 + both))
    x_t = torch.from_numpy(x.copy()).requires_grad_()
    pack, unpack = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence
    packed, last = theirs(pack(x_t, torch.from_numpy(lengths), batch_first=True, enforce_sorted=False))
    y_t, _ = unpack(packed, batch_first=True)
    y_t.backward(torch.from_numpy(dy))
    run = ours(x, lengths=lengths)
    close(run.y, y_t.detach().numpy(), 1e-12)
    close(run.backward(dy).x, x_t.grad.numpy())
    for name, array in zip(ours.state_names, last if cell == "lstm" else (last,)):
        close(run.final[name], array.detach().numpy(), 1e-12)


def test_equal_lengths_have_the_bits_of_the_padded_run():
    layer = Recurrent("gru", I, H, seed=0)
    x = draw(1, T, B, I).astype("f4")
    one, two = layer(x), layer(x, lengths=[T] * B)
    np.testing.assert_array_equal(one.y, two.y)
    dy = draw(2, T, B, H).astype("f4")
    np.testing.assert_array_equal(one.backward(dy).params.flat, two.backward(dy).params.flat)


def test_rows_without_steps_only():
    layer = Recurrent("lstm", I, H, dtype="float64", seed=0)
    h = draw(1, 2, H)
    run = layer(np.full((3, 2, I), np.nan), {"h": h}, lengths=[0, 0])
    np.testing.assert_array_equal(run.final["h"], h)
    grads = run.backward(dfinal={"h": 2 * h})
    np.testing.assert_array_equal(grads.initial["h"], 2 * h)
    assert not grads.params.flat.any() and not run.y.any()
    assert layer(np.zeros((3, 0, I)), lengths=[]).y.shape == (3, 0, H)


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([1.0, 2.0], TypeError, "lengths must be integers, got float64"),
        ([1, 2, 3], ValueError, r"lengths must have shape \(2,\), one for each row, got \(3,\)"),
        ([1, 4], ValueError, r"lengths must be in 0..3, the steps of x, got 1..4"),
        ([-1, 2], ValueError, "got -1..2"),
    ],
)
def test_lengths_that_do_not_fit(lengths, error, message):
    x = np.zeros((3, 2, I), "f4")
    for layer in (Recurrent("lstm", I, H), Recurrent("lstm", I, H, num_layers=2, bidirectional=True)):
        with pytest.raises(error, match=message):
            layer(x, lengths=lengths)


def test_what_cannot_be_combined():
    layer, x = Recurrent("lstm", I, H), np.zeros((3, 2, I), "f4")
    with pytest.raises(ValueError, match="x must have 3 axes"):
        layer(x[:, 0], lengths=[1])
    with pytest.raises(ValueError, match="needs a cotangent"):
        layer(x, lengths=[1, 2]).backward()
    with pytest.raises(RuntimeError, match="tape=True"):
        layer(x, lengths=[1, 2], tape=False).backward(np.zeros((3, 2, H), "f4"))
    with pytest.raises(TypeError, match="x must be float32"):
        layer(x.astype("f8"), lengths=[1, 2])
