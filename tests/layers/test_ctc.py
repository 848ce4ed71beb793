"""CTC against the sum over all alignments, torch and mpmath; ragged rows, weights, models, refusals."""

import itertools

import mpmath
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
    logits, targets = RNG.normal(size=(3, 3, V)), np.array([[1, 2, 3], [1, 1, 2], [3, 2, 3]])
    with pytest.raises(ValueError, match="row 1: 3 steps are too few for its 3 labels"):
        ctc_loss(logits, targets)
    value, dlogits = ctc_loss(logits, targets, reduction="sum", zero_infinity=True)
    assert value == pytest.approx(ctc_loss(logits[:, [0, 2]], targets[[0, 2]], reduction="sum")[0], rel=1e-13)
    assert not dlogits[:, 1].any() and dlogits[:, 0].all()


def drawn(rng, dtype):
    """Arguments of a call that may hold anything legal: repetitions, rows without labels, without steps, too short."""
    T, N, V = rng.integers(1, 13), rng.integers(1, 5), rng.integers(2, 7)
    blank, S = int(rng.integers(V)), rng.integers(1, 6)
    targets = rng.integers(V - 1, size=(N, S))
    targets += targets >= blank
    logits = (rng.normal(size=(T, N, V)) * 10.0 ** rng.uniform(-1, 1.5)).astype(dtype)
    return logits, targets, rng.integers(T + 1, size=N), rng.integers(S + 1, size=N), blank


def of_torch(logits, targets, steps, labels, blank):
    """Losses of the rows, and the gradient of their sum, in float64; of impossible rows 0."""
    torch = pytest.importorskip("torch")
    z = torch.from_numpy(logits.astype("float64")).requires_grad_()
    rows = [torch.from_numpy(each) for each in (targets, steps, labels)]
    losses = torch.nn.functional.ctc_loss(z.log_softmax(2), *rows, blank, reduction="none", zero_infinity=True)
    losses.sum().backward()
    return losses.detach().numpy(), np.where(np.arange(len(logits))[:, None, None] < steps[:, None], z.grad.numpy(), 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_against_torch(dtype):
    rng, rtol = np.random.default_rng(11), {"float32": 1e-6, "float64": 1e-12}[dtype]
    seen = 0
    for reduction in ["mean", "sum"] * 100:
        logits, targets, steps, labels, blank = drawn(rng, dtype)
        losses, d = of_torch(logits, targets, steps, labels, blank)
        seen += (losses > 0).sum()
        weights = rng.choice([0, 0.5, 2], size=len(losses)).astype(dtype)
        factors = weights / (weights.sum() or 1) if reduction == "mean" else weights
        value, dlogits = ctc_loss(
            logits, targets, steps, labels, blank=blank, weights=weights, reduction=reduction, zero_infinity=True
        )
        assert value == pytest.approx((factors * losses).sum(), rel=rtol, abs=1e-12)
        assert dlogits.dtype == dtype
        np.testing.assert_allclose(dlogits, factors[:, None] * d, rtol=0, atol=max(1, factors.max()) * rtol)
    assert seen > 200


def exact(logits, labels, blank):
    """Loss of one row and its cotangent by the recursions of the paper, in 60 digits, with any exponent."""
    with mpmath.workdps(60):
        y = [[mpmath.exp(mpmath.mpf(float(value))) for value in step] for step in logits]
        y = [[value / sum(step) for value in step] for step in y]
        states = [blank, *itertools.chain.from_iterable((label, blank) for label in labels)]
        alpha, beta = passes(y, states, blank), passes(y[::-1], states[::-1], blank)[::-1]
        p = alpha[-1][-1] + (alpha[-1][-2] if labels else 0)
        d = [[float(value) for value in step] for step in y]
        for t, step in enumerate(y):
            for s, k in enumerate(states):
                d[t][k] -= float(alpha[t][s] * beta[t][-1 - s] / step[k] / p)
        return float(-mpmath.log(p)), np.array(d)


def passes(y, states, blank):
    """alpha_t(s) of Graves et al. (2006), eq. 6 and 7; of the reversed sequence beta_t(s), eq. 10 and 11."""
    alpha = [[y[0][k] if s < 2 else mpmath.mpf(0) for s, k in enumerate(states)]]
    for step in y[1:]:
        last = [mpmath.mpf(0), mpmath.mpf(0), *alpha[-1]]
        alpha.append([])
        for s, k in enumerate(states):
            skip = last[s] if s > 1 and k not in (blank, states[s - 2]) else 0
            alpha[-1].append((last[s + 2] + last[s + 1] + skip) * step[k])
    return alpha


@pytest.mark.parametrize(
    ("T", "labels", "scale"),
    [
        (2000, [1, 3, 3, 2], 3.0),  # p = exp(-12000): below the smallest float64
        (900, [], 1.0),
        (12, [2, 1, 1, 3], 1e4),  # states that the row needs are exp(-1e4) less probable than those that lead nowhere
        (7, [1, 2, 2, 3, 1], 3e3),
    ],
)
def test_nothing_underflows(T, labels, scale):
    logits = scale * np.random.default_rng(T).normal(size=(T, 1, V))
    value, dlogits = ctc_loss(logits, np.array([labels], dtype=int).reshape(1, -1))
    expected, d = exact(logits[:, 0], labels, 0)
    assert value == pytest.approx(expected, rel=1e-13) and expected > 15
    np.testing.assert_allclose(dlogits[:, 0], d, rtol=0, atol=1e-11)


def test_the_gradient_is_the_slope():
    rng = np.random.default_rng(3)
    logits, targets = rng.normal(size=(30, 3, 9)), rng.integers(1, 9, size=(3, 8))
    targets[:, 3] = targets[:, 2]
    call = lambda z: ctc_loss(z, targets, [30, 21, 14], [8, 7, 6], weights=np.array([1.0, 0.5, 3.0]))  # noqa: E731
    _, dlogits = call(logits)
    for _ in range(5):
        direction = rng.normal(size=logits.shape)
        slope = (call(logits + 1e-5 * direction)[0] - call(logits - 1e-5 * direction)[0]) / 2e-5
        assert slope == pytest.approx(np.vdot(dlogits, direction), rel=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_of_a_row_are_its_own(dtype):
    rng = np.random.default_rng(5)
    logits = (3 * rng.normal(size=(40, 6, 11))).astype(dtype)
    targets, steps, labels = rng.integers(1, 11, size=(6, 9)), rng.integers(20, 41, size=6), rng.integers(10, size=6)
    value, dlogits = ctc_loss(logits, targets, steps, labels, reduction="sum")
    total = 0.0
    for row in range(6):
        one = logits[: steps[row], row : row + 1], targets[row : row + 1, : labels[row]]
        alone, d = ctc_loss(*one)
        np.testing.assert_array_equal(dlogits[: steps[row], row], d[:, 0])
        total += alone
    assert value == pytest.approx(total, rel=1e-15)


def test_float32_is_computed_in_float64():
    logits, targets, steps, labels = batch(0, "float32")
    value, dlogits = ctc_loss(logits, targets, steps, labels)
    expected, d = ctc_loss(logits.astype("float64"), targets, steps, labels)
    assert value == expected and dlogits.dtype == np.float32
    np.testing.assert_allclose(dlogits, d, rtol=0, atol=6e-8)


def test_any_layout_of_the_arguments():
    logits, targets, steps, labels = batch(0)
    value, dlogits = ctc_loss(logits, targets, steps, labels)
    doubled = np.repeat(logits, 2, axis=1)[:, ::2]
    frozen = logits.copy()
    frozen.flags.writeable = False
    for z in (np.asfortranarray(logits), doubled, frozen, logits.astype(">f8"), logits.tolist()):
        for few in (np.repeat(steps, 2)[::2], steps.astype("u1"), steps.tolist()):
            again, d = ctc_loss(z, np.asfortranarray(targets), few, labels.astype(">i4"))
            assert again == value and d.flags.c_contiguous and np.array_equal(d, dlogits)
    assert np.array_equal(logits, frozen)


def test_a_logit_of_minus_infinity_is_a_class_that_cannot_come():
    logits = np.random.default_rng(2).normal(size=(5, 2, V))
    logits[[0, 1, 3], 0, [0, 2, 1]] = -np.inf
    targets = np.array([[1, 2], [1, 2]])
    value, dlogits = ctc_loss(logits, targets, reduction="sum")
    of_rows = [enumerated(logits[:, row], targets[row], 0) for row in range(2)]
    assert value == pytest.approx(sum(loss for loss, _ in of_rows), rel=1e-13)
    np.testing.assert_allclose(dlogits, np.stack([d for _, d in of_rows], axis=1), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_labels_without_probability(dtype):
    logits = RNG.normal(size=(4, 3, V)).astype(dtype)
    targets, steps = np.array([[1], [2], [3]]), [4, 3, 4]
    logits[:, 1, 2] = -np.inf
    value, dlogits = ctc_loss(logits, targets, steps)
    assert value == np.inf and np.isnan(dlogits[:3, 1]).all() and not dlogits[3, 1].any()
    expected, d = ctc_loss(logits[:, [0, 2]], targets[[0, 2]], reduction="sum")
    for weights in (None, np.array([True, False, True])):
        value, dlogits = ctc_loss(
            logits, targets, steps, weights=weights, reduction="sum", zero_infinity=weights is None
        )
        assert value == expected and not dlogits[:, 1].any()
        np.testing.assert_array_equal(dlogits[:, [0, 2]], d)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("step", [0, 2, 3])
def test_nan_stays_in_its_row(step, bad):
    logits = RNG.normal(size=(4, 2, V))
    expected, d = ctc_loss(logits, np.array([[1, 3], [2, 2]]), reduction="sum", weights=np.array([True, False]))
    logits[step, 1, 1] = bad
    value, dlogits = ctc_loss(logits, np.array([[1, 3], [2, 2]]), reduction="sum", zero_infinity=True)
    assert np.isnan(value) and np.isnan(dlogits[:, 1]).all()
    np.testing.assert_array_equal(dlogits[:, 0], d[:, 0])
    value, dlogits = ctc_loss(logits, np.array([[1, 3], [2, 2]]), reduction="sum", weights=np.array([1.0, 0.0]))
    assert value == expected and np.array_equal(dlogits, d)


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
        ({"targets": np.array([[1, 0], [2, 1]])}, ValueError, "must not contain the blank, 0"),
        ({"targets": np.array([[1, 4], [2, 1]])}, ValueError, r"targets must be in 0\.\.3, got 4"),
        ({"targets": np.ones((2, 2))}, TypeError, "targets must be integers"),
        ({"input_lengths": [5, 6]}, ValueError, r"input_lengths must be in 0\.\.5, got 6"),
        ({"input_lengths": [5]}, ValueError, r"input_lengths must have shape \(2,\)"),
        ({"target_lengths": [2, 3]}, ValueError, r"target_lengths must be in 0\.\.2, got 3"),
        ({"blank": 4}, ValueError, r"blank must be in 0\.\.3, got 4"),
        ({"blank": -1}, ValueError, r"blank must be in 0\.\.3, got -1"),
        ({"blank": 1.0}, TypeError, "blank must be integers, got float64"),
        ({"reduction": "none"}, ValueError, "reduction must be 'mean' or 'sum', got 'none'"),
        ({"weights": np.array([1.0, -1.0])}, ValueError, "weights must be 0 or more"),
    ],
)
def test_refusals(change, error, message):
    with pytest.raises(error, match=message):
        ctc_loss(**({"logits": np.zeros((5, 2, V)), "targets": np.array([[1, 2], [3, 1]])} | change))
