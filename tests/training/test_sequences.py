"""`Sequences`: rows of different lengths, and fits on them."""

import numpy as np
import pytest

import pylstm
from pylstm import Sequences
from pylstm.data.batches import batches_of, check_data, digest_of, split
from pylstm.models.targets import loss_of_steps

RNG = np.random.default_rng(8)
LENGTHS = [4, 0, 7, 1, 3, 7]
ROWS = [RNG.normal(size=(n, 2)) for n in LENGTHS]


def test_rows_come_back():
    several = Sequences.of(ROWS)
    assert several.padded.shape == several.shape == (6, 7, 2) and len(several) == 6
    assert several.lengths.tolist() == LENGTHS and several.dtype == np.float64
    for row, expected in zip(several.rows(), ROWS, strict=True):
        np.testing.assert_array_equal(row, expected)
    assert several.inside.sum(axis=1).tolist() == LENGTHS and several.inside[0].tolist() == [True] * 4 + [False] * 3
    assert repr(several) == "Sequences(6 rows of 0..7 steps, (2,), float64)"


@pytest.mark.parametrize("rows", [[3, 0, 1], np.array([3, 3, 4]), slice(3, 5), np.array(LENGTHS) < 4, [1], slice(0, 0)])
def test_pieces_are_cut_to_their_longest_row(rows):
    piece, expected = Sequences.of(ROWS)[rows], [ROWS[k] for k in np.arange(6)[rows]]
    assert piece.padded.shape[1] == max(map(len, expected), default=0)
    for row, one in zip(piece.rows(), expected, strict=True):
        np.testing.assert_array_equal(row, one)


def test_padding_that_is_given_is_not_copied_and_can_be_cut():
    padded = RNG.normal(size=(3, 9, 2))
    several = Sequences(padded, [4, 2, 6])
    assert several.padded is padded and several.cut().padded.shape == (3, 6, 2)
    labels = Sequences.of([[1, 2, 3], [], [4]], dtype="int32")
    assert labels.padded.shape == (3, 3) and labels.dtype == np.int32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Sequences.of([]), ValueError, "at least one sequence"),
        (lambda: Sequences.of([np.ones((3, 2)), np.ones((3, 4))]), ValueError, r"sequence 1 has shape \(3, 4\)"),
        (lambda: Sequences.of([np.ones((3, 2)), np.ones((3, 2), "f4")]), TypeError, "sequence 1 has dtype float32"),
        (lambda: Sequences.of([[1, 2], []]), TypeError, "pass dtype="),
        (lambda: Sequences.of([np.float64(3)]), ValueError, "sequence 0 must have shape"),
        (lambda: Sequences.of([["a"]]), TypeError, "floats, integers or bool, got <U1"),
        (lambda: Sequences(np.ones(3), [1, 1, 1]), ValueError, r"\(N, T, ...\), got \(3,\)"),
        (lambda: Sequences(np.ones((2, 3, 1)), [1]), ValueError, r"lengths must have shape \(2,\)"),
        (lambda: Sequences(np.ones((2, 3, 1)), [1, 4]), ValueError, r"lengths must be in 0\.\.3"),
        (lambda: Sequences(np.ones((2, 3, 1)), [1.0, 2.0]), TypeError, "lengths must be integers"),
        (lambda: Sequences.of(ROWS)[2], TypeError, "rows must be a slice, a list of numbers or a mask"),
        (lambda: check_data("data", Sequences.of(ROWS)), TypeError, "tuple of arrays"),
        (lambda: check_data("data", (Sequences.of(ROWS), np.ones(5))), ValueError, r"\(6, 7, 2\), \(5,\)"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_data_of_a_fit():
    data = check_data("data", (Sequences.of(ROWS), np.arange(6)))
    train, held = split(data, 0.4, 0)
    assert sorted([*train[1], *held[1]]) == list(range(6))
    for part in (train, held):
        for row, number in zip(part[0].rows(), part[1], strict=True):
            np.testing.assert_array_equal(row, ROWS[number])
    assert [len(x) for x, _ in batches_of(data, 4)] == [4, 2]


def test_the_digest_is_that_of_the_steps_within_the_rows():
    several = Sequences.of(ROWS)
    same = Sequences(np.where(several.inside[:, :, None], several.padded, 9.0), LENGTHS)
    assert digest_of((several,)) == digest_of((same,))
    same.padded[0, 3, 1] += 1e-9
    assert digest_of((several,)) != digest_of((same,))
    assert digest_of((Sequences(np.ones((2, 3)), [3, 2]),)) != digest_of((Sequences(np.ones((2, 3)), [2, 3]),))


def long_task(N=60):
    rng = np.random.default_rng(1)
    x = Sequences.of([rng.normal(size=(n, 2)).astype("f4") for n in rng.integers(0, 12, size=N)])
    return x, np.array([row[:, 0].sum() for row in x.rows()], "f4")


def deep(seed=3):
    return pylstm.SequenceModel(
        "gru", 2, 12, 1, num_layers=2, bidirectional=True, dropout=0.3, head_sizes=(6,), read="mean", seed=seed
    )


def test_fit_learns_from_ragged_rows():
    x, y = long_task()
    model = deep()
    optimiser = pylstm.Adam(model.params, lr=0.02)
    history = pylstm.fit(model, (x, y), optimiser=optimiser, epochs=40, batch_size=16, validation=0.2)
    assert history.loss[-1] < 0.3 * history.loss[0] and len(history.validation_loss) == 40
    assert model.training


def test_resume_with_sequences_and_dropout_has_the_same_bits(tmp_path):
    def trainer():
        return pylstm.Trainer(deep(), long_task(), epochs=3, batch_size=16, validation=0.3)

    whole = trainer()
    expected = whole.run()
    cut = trainer()
    for _ in range(2):
        cut._train_step()
    cut.save_checkpoint(tmp_path / "c")
    resumed = trainer()
    resumed.model.gradients(*long_task())  # another place in the dropout, which resume must set right
    resumed.resume(tmp_path / "c")
    assert resumed.run() == expected
    for one, two in zip(resumed.params, whole.params, strict=True):
        np.testing.assert_array_equal(one.flat, two.flat)
    x, y = long_task()
    with pytest.raises(ValueError, match="data was"):
        pylstm.Trainer(deep(), (x, y + 1), epochs=3, batch_size=16, validation=0.3).resume(tmp_path / "c")


@pytest.mark.parametrize("weighted", [False, True])
def test_steps_beyond_the_ends_are_in_no_loss(weighted):
    """The mean is over the steps that there are; what stands beyond may be NaN."""
    lengths, out = np.array([2, 5, 0]), RNG.normal(size=(5, 3, 2))
    y, weights = RNG.normal(size=(3, 5, 2)), RNG.uniform(0.5, 2, size=(3, 5))
    inside = np.arange(5) < lengths[:, None]
    y[~inside] = np.nan
    value, dout = loss_of_steps("mean_squared_error", out, lengths, y, weights if weighted else None, {})
    off, w = (out.swapaxes(0, 1) - y)[inside], (weights if weighted else np.ones_like(weights))[inside, None]
    assert value == pytest.approx((w * off**2).sum() / (2 * w.sum()), rel=1e-12)
    expected = np.zeros((3, 5, 2))
    expected[inside] = w * off / w.sum()
    np.testing.assert_allclose(dout.swapaxes(0, 1), expected, rtol=0, atol=1e-12)
