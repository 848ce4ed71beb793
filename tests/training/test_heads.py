"""Heads of `SequenceModel` on any body: gradients by differences, ragged rows, torch, dropout, files."""

import numpy as np
import pytest

import pylstm
from pylstm import SequenceModel, Sequences
from pylstm.models.sequence_model import LOSSES, READS
from pylstm.models.statistics import STATISTICS
from pylstm.models.targets import OF_COUNTS, PARTS

K = 4
LENGTHS = [6, 0, 3, 1, 6]
LAST_STEPS = {True: [5, -1, 2, 0, 5], False: [5] * 5}
OPTIONS = {"quantile_loss": {"quantiles": [0.1, 0.4, 0.5, 0.9]}, "huber": {"delta": 0.7}}


def data(loss, read, ragged, seed=0):
    """x, y and weights; what stands beyond the ends is NaN, or not a class."""
    rng = np.random.default_rng(seed)
    x, steps = rng.normal(size=(5, 6, 3)), (5, 6) if read == "every" else (5,)
    shapes = {"quantile_loss": steps, "softmax_cross_entropy": steps}
    y = rng.random(shapes.get(loss, (*steps, K // PARTS.get(loss, 1))))
    y = np.floor(9 * y) if loss in OF_COUNTS else y
    y = (y * K).astype(int) if loss == "softmax_cross_entropy" else y
    weights = rng.random(steps)
    if not ragged:
        return x, y, weights
    beyond = np.arange(6) >= np.array(LENGTHS)[:, None]
    x[beyond] = np.nan
    if read == "every":
        y[beyond] = -100 if loss == "softmax_cross_entropy" else np.nan
        weights[beyond] = np.nan
    return Sequences(x, LENGTHS), y, weights


def make(loss="mean_squared_error", read="last", **options):
    options = {"cell": "gru", "dtype": "float64", "seed": 2} | options
    outputs = K // PARTS.get(loss, 1) * PARTS.get(loss, 1)
    return SequenceModel(
        options.pop("cell"), 3, 7, outputs, read=read, loss=loss, loss_options=OPTIONS.get(loss), **options
    )


def check_gradients(model, *batch):
    """Along random directions of all parameters together."""
    value, grads = model.gradients(*batch)
    assert value == pytest.approx(model.loss(*batch), rel=1e-13) and np.isfinite(value)
    rng, before = np.random.default_rng(1), [each.flat.copy() for each in model.params]
    for _ in range(3):
        directions, values = [rng.normal(size=each.shape) for each in before], []
        for step in (1e-6, -1e-6):
            for each, start, direction in zip(model.params, before, directions):
                each.flat[...] = start + step * direction
            values.append(model.loss(*batch))
        slope = sum(np.vdot(grad.flat, direction) for grad, direction in zip(grads, directions))
        assert slope == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-8)
    for each, start in zip(model.params, before):
        each.flat[...] = start


BODIES = {
    "one": {},
    "both directions": {"bidirectional": True},
    "deep": {"num_layers": 2, "bidirectional": True, "residual": True, "head_sizes": (6, 5), "activation": "tanh"},
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_differences(loss, read, ragged, body):
    x, y, weights = data(loss, read, ragged)
    model = make(loss, read, **BODIES[body])
    check_gradients(model, x, y)
    check_gradients(model, x, y, weights)


@pytest.mark.parametrize("cell", ["lstm", "rnn_relu", "indrnn"])
@pytest.mark.parametrize("batch_first", [False, True])
def test_bodies_of_your_own(cell, batch_first):
    layers = [pylstm.Recurrent(cell, 3, 6, batch_first=batch_first, dtype="float64", seed=0)]
    layers.append(
        pylstm.Bidirectional(
            pylstm.GRU(6, 5, batch_first=batch_first, dtype="float64", seed=1),
            pylstm.LSTM(6, 2, batch_first=batch_first, dtype="float64", seed=2),
        )
    )
    model = SequenceModel.of(pylstm.Stack(layers), K, head_sizes=(8,), read="last", loss="huber")
    x, y, weights = data("huber", "last", True)
    check_gradients(model, x, y, weights)
    run = model.layer(x.padded if batch_first else x.padded.swapaxes(0, 1), lengths=x.lengths)
    both = [run.layers[1].forward.final["h"], run.layers[1].reverse.final["h"]]
    expected = np.where(np.array(LENGTHS)[:, None] > 0, np.concatenate(both, axis=1), 0)
    np.testing.assert_allclose(model.predict(x), model.head(expected).y, rtol=0, atol=1e-14)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("body", BODIES)
def test_what_the_head_sees(body, ragged):
    x, *_ = data("mean_squared_error", "last", ragged)
    array, lengths = (x.padded, LENGTHS) if ragged else (x, [6] * 5)
    layer = make(**BODIES[body]).layer
    out = {read: make(read=read, **BODIES[body]) for read in READS}
    for row, n in enumerate(lengths):
        alone = layer(array[row, :n, None]).y[:, 0]
        width = 7 if body != "one" else layer.output_size
        last = np.concatenate([alone[-1, :width], alone[0, width:]]) if n else np.zeros(layer.output_size)
        expected = {
            "last": last,
            "mean": alone.sum(axis=0) / max(n, 1),
            "max": alone.max(axis=0) if n else np.zeros(layer.output_size),
        }
        for read, features in expected.items():
            y = out[read].head(features[None]).y[0]
            np.testing.assert_allclose(out[read].predict(x)[row], y, rtol=0, atol=1e-14)
        every = out["every"].predict(x)[row]
        np.testing.assert_allclose(every[:n], out["every"].head(alone).y, rtol=0, atol=1e-14)
        assert not every[n:].any() and every.shape == (6, K)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_batch_of_ragged_rows_is_the_sum_of_its_rows(loss):
    x, y, weights = data(loss, "every", True)
    model = make(loss, "every", bidirectional=True)
    model.loss_options["reduction"] = "sum"
    value, grads = model.gradients(x, y, weights)
    alone = [
        model.gradients(x.padded[k : k + 1, :n], y[k : k + 1, :n], weights[k : k + 1, :n])
        for k, n in enumerate(LENGTHS)
        if n
    ]
    assert value == pytest.approx(sum(each for each, _ in alone), rel=1e-12)
    for k, grad in enumerate(grads):
        total = sum(each[k].flat for _, each in alone)
        np.testing.assert_allclose(grad.flat, total, rtol=0, atol=1e-12 * np.abs(total).max())


def test_targets_may_be_sequences_and_longer_than_the_rows():
    x, y, _ = data("softmax_cross_entropy", "every", True)
    model = make("softmax_cross_entropy", "every")
    expected = model.loss(x, y)
    assert model.loss(x, Sequences(y, LENGTHS)) == expected
    assert model.loss(Sequences(np.pad(x.padded, ((0, 0), (0, 3), (0, 0))), LENGTHS), y) == expected
    rows = [1, 2, 3]
    assert model.loss(x[rows], y[rows]) == model.loss(x[rows], Sequences(y, LENGTHS)[rows])
    with pytest.raises(ValueError, match="y are Sequences: x must be, too, with the same lengths"):
        model.loss(x, Sequences(y, [6, 0, 3, 2, 6]))
    with pytest.raises(ValueError, match="y are Sequences"):
        model.loss(np.zeros((5, 6, 3)), Sequences(y, LENGTHS))


def test_weights_of_rows_count_for_all_their_steps():
    x, y, _ = data("mean_squared_error", "every", True)
    model, weights = make(read="every"), np.array([1.0, 2.0, 0.0, 3.0, 0.5])
    steps = np.repeat(weights[:, None], 6, axis=1)
    assert model.loss(x, y, weights) == model.loss(x, y, steps) != model.loss(x, y)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("read", READS)
def test_a_row_has_the_bits_that_it_has_alone(read, units, dtype):
    """One unit, too: its outputs are one column, which NumPy would sum in pairs."""
    x = np.random.default_rng(3).normal(size=(30, 60, 3)).astype(dtype)
    model = SequenceModel("gru", 3, units, 4, read=read, loss="softmax_cross_entropy", dtype=dtype, seed=0)
    for rows in (x, Sequences.of([row[: 20 + n] for n, row in enumerate(x)])):
        together, alone = model.predict(rows), model.predict(rows, batch_size=1)
        assert together.tobytes() == alone.tobytes()


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("read", READS)
def test_prediction_in_pieces(read, size):
    x, *_ = data("huber", read, True)
    model = make("huber", read, bidirectional=True)
    np.testing.assert_allclose(model.predict(x, batch_size=size), model.predict(x), rtol=0, atol=1e-15)
    assert model.predict(x[:0]).shape == ((0, 0, K) if read == "every" else (0, K))
    assert model.predict(np.zeros((0, 6, 3))).shape == ((0, 6, K) if read == "every" else (0, K))


@pytest.mark.parametrize("read", READS)
def test_rows_without_a_single_step(read):
    model = make("huber", read, bidirectional=True, head_sizes=(5,))
    x = Sequences(np.full((2, 6, 3), np.nan), [0, 0])
    y = np.ones((2, 6, K) if read == "every" else (2, K))
    check_gradients(model, x, y)
    bias = model.head(np.zeros((2, model.head.in_features))).y
    np.testing.assert_array_equal(model.predict(x), np.zeros((2, 6, K)) if read == "every" else bias)


def test_the_first_of_equal_maxima_gets_the_gradient():
    layer = pylstm.Recurrent("rnn_relu", 1, 1, dtype="float64")
    layer.params.update({"weight_x": [[1.0]], "weight_h": [[0.0]], "bias": [0.0]})
    model = SequenceModel.of(layer, 1, read="max")
    model.head.params.flat[...] = 1, 0
    # y = max(2, 2) = 2; d/d weight_x of (y - 0)^2 = 4 * 2, and of the recurrent weight, which only step 1 has, nothing
    _, (grads, _) = model.gradients(np.array([[[2.0], [2.0]]]), np.zeros(1))
    assert grads["weight_x"] == 8 and grads["weight_h"] == 0


def test_dropout_acts_in_gradients_of_training_mode_only():
    x, y, _ = data("huber", "last", True)
    model = make("huber", "last", num_layers=2, dropout=0.5)
    assert model.training and model.rng is model.layer.rng
    state = model.rng.bit_generator.state
    expected = model.loss(x, y)
    assert model.loss(x, y) == expected and model.rng.bit_generator.state == state and model.training
    drawn = [model.gradients(x, y)[0] for _ in range(3)]
    assert len({*drawn, expected}) == 4
    assert model.eval() is model and model.gradients(x, y)[0] == pytest.approx(expected, rel=1e-13)
    assert not model.training and model.train().gradients(x, y)[0] not in (*drawn, expected)
    again = np.random.default_rng()
    again.bit_generator.state = state
    model.rng = again
    assert [model.gradients(x, y)[0] for _ in range(3)] == drawn
    check_gradients(model.eval(), x, y)


def test_seeds():
    a, b, c = (make(num_layers=2, dropout=0.5, head_sizes=(4,), seed=seed) for seed in (1, 1, 2))
    for one, two, three in zip(a.params, b.params, c.params):
        np.testing.assert_array_equal(one.flat, two.flat)
        assert not (one.flat == three.flat).any()
    assert a.rng.random() == b.rng.random() != c.rng.random()


@pytest.mark.parametrize("body", [*BODIES, "dropout"])
def test_saved_models_come_back(tmp_path, body):
    x, y, _ = data("quantile_loss", "max", True)
    model = make("quantile_loss", "max", **BODIES.get(body, {"num_layers": 3, "dropout": 0.4}))
    model.gradients(x, y)
    pylstm.save(tmp_path / "m", model)
    again = pylstm.load(tmp_path / "m")
    assert repr(again) == repr(model) and again.loss(x, y) == model.loss(x, y)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    value, grads = model.gradients(x, y)
    same, dsame = again.gradients(x, y)  # the dropout goes on where it was
    assert value == same
    for one, two in zip(grads, dsame):
        np.testing.assert_array_equal(one.flat, two.flat)


def features_of_torch(torch, read, out, last, inside):
    def mean(values):
        return values.sum(1) / inside.sum(1)

    def spread():
        return (mean(torch.where(inside, (out - mean(out)[:, None]) ** 2, 0.0)) + 1e-6).sqrt()

    how = {
        "last": lambda: last,
        "mean": lambda: mean(out),
        "deviation": spread,
        "max": lambda: out.masked_fill(~inside, -torch.inf).amax(1),
        "min": lambda: out.masked_fill(~inside, torch.inf).amin(1),
        "every": lambda: out,
    }
    return torch.cat([how[each]() for each in STATISTICS], 1) if read == "stats" else how[read]()


@pytest.mark.parametrize("read", ["last", "mean", "max", "stats", "every"])
def test_against_torch(read):
    torch = pytest.importorskip("torch")
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    from pylstm.interop.torch import load_state_dict, state_dict

    torch.manual_seed(0)
    lstm = torch.nn.LSTM(3, 5, num_layers=2, bidirectional=True, batch_first=True, dtype=torch.float64)
    linear = torch.nn.Linear(50 if read == "stats" else 10, K, dtype=torch.float64)
    lengths, rng = [6, 2, 4, 1], np.random.default_rng(3)
    x, y = rng.normal(size=(4, 6, 3)), rng.normal(size=(4, 6, K) if read == "every" else (4, K))
    packed = pack_padded_sequence(torch.tensor(x), torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    out, (h, _) = lstm(packed)
    out, _ = pad_packed_sequence(out, batch_first=True)
    inside = (torch.arange(6) < torch.tensor(lengths)[:, None])[:, :, None]
    features = features_of_torch(torch, read, out, torch.cat([h[-2], h[-1]], 1), inside)
    theirs = linear(features)
    squares = (theirs - torch.tensor(y)) ** 2
    loss = squares[inside.expand_as(squares)].mean() if read == "every" else squares.mean()
    loss.backward()

    model = SequenceModel("lstm", 3, 5, K, num_layers=2, bidirectional=True, read=read, dtype="float64")
    load_state_dict(model.layer, {name: each.detach().numpy() for name, each in lstm.named_parameters()})
    model.head.params.update({name: each.detach().numpy() for name, each in linear.named_parameters()})
    value, (dlayer, dhead) = model.gradients(Sequences(x, lengths), y)
    assert value == pytest.approx(loss.item(), rel=1e-10)
    expected = (theirs * inside if read == "every" else theirs).detach().numpy()
    np.testing.assert_allclose(model.predict(Sequences(x, lengths)), expected, rtol=0, atol=1e-10)
    for name, each in linear.named_parameters():
        np.testing.assert_allclose(dhead[name], each.grad.numpy(), rtol=0, atol=1e-10)
    model.layer.params.flat[...] = dlayer.flat
    ours = state_dict(model.layer)
    for name, each in lstm.named_parameters():
        if "bias_hh" not in name:  # torch gives the gradient of a sum of two biases to both
            np.testing.assert_allclose(ours[name], each.grad.numpy(), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: make(head_sizes=(0,)), ValueError, "at least 1"),
        (lambda: make(head_sizes=(3,), activation="gelu"), ValueError, "activation must be one of relu, tanh"),
        (lambda: make(num_layers=2, residual=[True, True]), ValueError, "residual: layer 0"),
        (lambda: SequenceModel.of(pylstm.Linear(3, 4), 2), TypeError, "Recurrent, Stack or Bidirectional, got Linear"),
        (lambda: make().predict(Sequences.of([np.ones(3)])), ValueError, r"x must have shape \(N, T, 3\)"),
        (lambda: make().predict(Sequences.of([np.ones((3, 3), "f4")])), TypeError, "float64"),
        (lambda: make().predict(np.ones((2, 3, 3)), batch_size=0), ValueError, "batch_size must be at least 1"),
        (lambda: make(read="every").loss(data("huber", "every", True)[0], np.ones((5, 5, K))), ValueError, "shape"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_dropout_that_does_nothing_is_warned_of():
    with pytest.warns(UserWarning, match="with num_layers=1 it does nothing"):
        make(dropout=0.5)
