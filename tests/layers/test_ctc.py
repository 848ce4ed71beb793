"""CTC against the sum over all alignments, written out; ragged rows, weights, models, refusals."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

import pylstm
from pylstm import Sequences, ctc_best_path, ctc_loss

RNG = np.random.default_rng(7)
V = 4


def spelt(path, blank):
    """What an alignment spells: without repetitions, then without blanks."""
    return [label for label, _ in itertools.groupby(path) if label != blank]


def enumerated(logits, labels, blank):
    """Loss of one row, (T, V), and its cotangent, from all V^T alignments."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    total, share = 0.0, np.zeros_like(p)
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        if spelt(path, blank) == list(labels):
            probability = np.prod([p[t, k] for t, k in enumerate(path)])
            total += probability
            for t, k in enumerate(path):
                share[t, k] += probability
    # d -log(sum of paths) / d logit = softmax - share of the paths that pass
    return -np.log(total), p - share / total


CASES = [(5, [1, 2]), (4, [3, 3]), (3, [2]), (0, []), (4, []), (1, [1]), (5, [2, 2, 1]), (5, [1, 3, 1, 2])]
"""Steps and labels, blank 0."""


def batch(blank, dtype="float64"):
    T, shift = 5, (lambda label: (label + blank) % V)
    logits = (2 * RNG.normal(size=(T, len(CASES), V))).astype(dtype)
    targets = np.full((len(CASES), 4), 99)
    for row, (_, labels) in enumerate(CASES):
        targets[row, : len(labels)] = [shift(label) for label in labels]
    return logits, targets, np.array([n for n, _ in CASES]), np.array([len(labels) for _, labels in CASES])


@pytest.mark.parametrize("blank", [0, V - 1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_against_all_alignments(reduction, weighted, blank):
    pytest.importorskip("torch")
    logits, targets, steps, labels = batch(blank)
    weights = RNG.random(len(CASES)) if weighted else None
    value, dlogits = ctc_loss(logits, targets, steps, labels, blank=blank, weights=weights, reduction=reduction)
    factors = np.ones(len(CASES)) if weights is None else weights
    factors = factors / factors.sum() if reduction == "mean" else factors
    expected = 0.0
    for row, factor in enumerate(factors):
        loss, d = enumerated(logits[: steps[row], row], targets[row, : labels[row]], blank)
        expected += factor * loss
        np.testing.assert_allclose(dlogits[: steps[row], row], factor * d, rtol=0, atol=1e-13)
        assert not dlogits[steps[row] :, row].any()
    assert value == pytest.approx(expected, rel=1e-13)


def test_padding_is_not_looked_at_and_float32_stays():
    pytest.importorskip("torch")
    logits, targets, steps, labels = batch(0)
    expected, dexpected = ctc_loss(logits, targets, steps, labels)
    dirty = logits.copy()
    dirty[np.arange(5)[:, None] >= steps] = np.nan
    value, dlogits = ctc_loss(dirty, targets, steps, labels)
    assert value == expected
    np.testing.assert_array_equal(dlogits, dexpected)
    value, dlogits = ctc_loss(logits.astype("f4"), targets, steps, labels)
    assert value == pytest.approx(expected, rel=1e-6) and dlogits.dtype == np.float32
    np.testing.assert_allclose(dlogits, dexpected, rtol=0, atol=1e-6)


def test_rows_that_cannot_be_spelt():
    pytest.importorskip("torch")
    logits, targets = RNG.normal(size=(3, 3, V)), np.array([[1, 2, 3], [1, 1, 2], [3, 2, 3]])
    with pytest.raises(ValueError, match="row 1: 3 steps are too few for its 3 labels"):
        ctc_loss(logits, targets)
    value, dlogits = ctc_loss(logits, targets, reduction="sum", zero_infinity=True)
    assert value == pytest.approx(ctc_loss(logits[:, [0, 2]], targets[[0, 2]], reduction="sum")[0], rel=1e-13)
    assert not dlogits[:, 1].any() and dlogits[:, 0].all()


def test_nothing_to_compute():
    assert ctc_loss(np.zeros((0, 2, V)), np.zeros((2, 0), int))[0] == 0
    value, dlogits = ctc_loss(np.zeros((3, 0, V)), np.zeros((0, 2), int), [], [])
    assert value == 0 and dlogits.shape == (3, 0, V)


def test_the_best_path():
    path = [[0, 1, 1, 0, 1, 2], [2, 2, 3, 3, 0, 0], [3, 3, 3, 3, 3, 3]]
    found = ctc_best_path(np.eye(V)[path], [6, 3, 0])
    assert [each.tolist() for each in found] == [[1, 1, 2], [2, 3], []]
    assert [each.tolist() for each in ctc_best_path(np.eye(V)[path], blank=3)] == [[0, 1, 0, 1, 2], [2, 0], []]


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_model_learns_labels_that_are_not_aligned(bidirectional):
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    labels = [rng.integers(1, V, size=n) for n in rng.integers(1, 4, size=24)]
    rows = [np.concatenate([np.eye(V)[[label, 0]] for label in each]) for each in labels]
    x, y = Sequences.of([np.repeat(row, 2, axis=0) for row in rows]), Sequences.of(labels)
    model = pylstm.SequenceModel(
        "gru", V, 12, V, read="every", loss="ctc", bidirectional=bidirectional, dtype="float64", seed=0
    )
    value, grads = model.gradients(x, y)
    assert value == model.loss(x, list(labels)) == model.loss(x, y)
    rng, before, values = np.random.default_rng(1), [each.flat.copy() for each in model.params], []
    directions = [rng.normal(size=each.shape) for each in before]
    for step in (1e-6, -1e-6):
        for each, start, direction in zip(model.params, before, directions):
            each.flat[...] = start + step * direction
        values.append(model.loss(x, y))
    slope = sum(np.vdot(grad.flat, direction) for grad, direction in zip(grads, directions))
    assert slope == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-7)
    optimiser = pylstm.Adam(model.params, lr=0.03)
    pylstm.fit(model, (x, y), optimiser=optimiser, epochs=40, batch_size=8, validation=0.25)
    found = ctc_best_path(model.predict(x), x.lengths)
    assert [each.tolist() for each in found] == [each.tolist() for each in labels]


def test_models_refuse_and_come_back(tmp_path):
    with pytest.raises(ValueError, match="loss='ctc' needs read='every', got 'last'"):
        pylstm.SequenceModel("gru", 2, 3, V, loss="ctc")
    model = pylstm.SequenceModel("gru", 2, 3, V, read="every", loss="ctc", loss_options={"blank": 2})
    pylstm.save(tmp_path / "m", model)
    assert pylstm.load(tmp_path / "m").metadata == model.metadata


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"logits": np.zeros((5, V))}, ValueError, r"logits must have shape \(T, N, V\)"),
        ({"logits": np.zeros((5, 2, V), int)}, TypeError, "logits must be float32 or float64"),
        ({"targets": np.zeros(2, int)}, ValueError, r"targets must have shape \(2, S\)"),
        ({"targets": np.array([[1, 0], [2, 1]])}, ValueError, "must not hold the blank, 0"),
        ({"targets": np.array([[1, 4], [2, 1]])}, ValueError, r"targets must be in 0\.\.3, got 4"),
        ({"targets": np.ones((2, 2))}, TypeError, "targets must be integers"),
        ({"input_lengths": [5, 6]}, ValueError, r"input_lengths must be in 0\.\.5, got 6"),
        ({"input_lengths": [5]}, ValueError, r"input_lengths must have shape \(2,\)"),
        ({"target_lengths": [2, 3]}, ValueError, r"target_lengths must be in 0\.\.2, got 3"),
        ({"blank": 4}, ValueError, r"blank must be in 0\.\.3, got 4"),
        ({"weights": np.array([1.0, -1.0])}, ValueError, "weights must be 0 or more"),
    ],
)
def test_refusals(change, error, message):
    with pytest.raises(error, match=message):
        ctc_loss(**({"logits": np.zeros((5, 2, V)), "targets": np.array([[1, 2], [3, 1]])} | change))


def test_without_torch_the_extra_is_named():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np, pylstm\n"
        "try: pylstm.ctc_loss(np.zeros((2, 1, 3)), np.array([[1]]))\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "ctc_loss needs torch: pip install 'pylstm[torch]'", done.stderr
