"""What surrounds the layer in a step (heads, embeddings, losses, clipping, optimisers): the same bits on any number of
threads, and a row the same bits in any batch.
"""

import gc
import tracemalloc

import numpy as np
import pytest

import pylstm
from pylstm.feedforward import MLP
from pylstm.parameters import Parameters

THREADS = (1, 2, 3, 4)
SIZES = [(1, 5, 3), (16, 7, 33), (37, 130, 65), (2048, 3, 16), (3, 2500, 4500), (1031, 131, 257)]
"""The last two are shared by four threads, their columns or their rows."""

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("same_number_of_threads")]


def on_each(function):
    """What `function` returns on each number of threads, as bytes, three times each."""
    out = []
    for threads in THREADS * 2:
        pylstm.set_num_threads(threads)
        out.append([np.asarray(each).tobytes() for each in function()])
    return out


def all_alike(found):
    assert all(each == found[0] for each in found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rows", "outputs", "inputs"), SIZES)
class TestLinear:
    def test_values(self, rows, outputs, inputs, dtype):
        rng = np.random.default_rng(0)
        layer = pylstm.Linear(inputs, outputs, dtype=dtype, seed=1)
        x, dy = (rng.normal(size=(rows, n)).astype(dtype) for n in (inputs, outputs))
        run = layer(x)
        grads = run.backward(dy)
        W, b = (layer.params[name].astype("float64") for name in ("weight", "bias"))
        X, D = x.astype("float64"), dy.astype("float64")
        eps = np.finfo(dtype).eps
        for found, true, size in [
            (run.y, X @ W.T + b, abs(X) @ abs(W.T) + abs(b)),
            (grads.x, D @ W, abs(D) @ abs(W)),
            (grads.params["weight"], D.T @ X, abs(D.T) @ abs(X)),
            (grads.params["bias"], D.sum(0), abs(D).sum(0)),
        ]:
            terms = 2 + max(rows, inputs, outputs)
            assert (abs(found - true) <= size * eps * np.sqrt(terms) * 4).all()

    def test_threads(self, rows, outputs, inputs, dtype):
        rng = np.random.default_rng(2)
        layer = pylstm.Linear(inputs, outputs, dtype=dtype, seed=1)
        x, dy = (rng.normal(size=(rows, n)).astype(dtype) for n in (inputs, outputs))

        def step():
            run = layer(x)
            grads = run.backward(dy)
            return run.y, grads.x, grads.params.flat

        all_alike(on_each(step))

    def test_rows(self, rows, outputs, inputs, dtype):
        rng = np.random.default_rng(3)
        layer = pylstm.Linear(inputs, outputs, dtype=dtype, seed=1)
        x, dy = (rng.normal(size=(rows, n)).astype(dtype) for n in (inputs, outputs))
        run = layer(x)
        dx = run.backward(dy).x
        for k in {0, rows // 2, rows - 1}:
            alone = layer(x[k])
            assert alone.y.tobytes() == run.y[k].tobytes()
            assert alone.backward(dy[k]).x.tobytes() == dx[k].tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("outputs", "inputs"), [(1, 1), (7, 33), (100, 256), (300, 700)])
def test_packed_rows(outputs, inputs, bias, dtype):
    layer = pylstm.Linear(inputs, outputs, bias=bias, dtype=dtype, seed=1)
    packed, x = layer.packed(), np.random.default_rng(0).normal(size=(3, inputs)).astype(dtype)
    true = layer(x).y
    layer.params.flat[:] = np.nan  # it has the parameters of before
    for row, y in zip(x, true):
        assert packed(row, np.empty(outputs, dtype)).tobytes() == y.tobytes()
    with pytest.raises(ValueError, match="a buffer of"):
        packed(x[0, 1:].copy(), np.empty(outputs, dtype))


def test_the_memory_of_a_large_head_returns():
    tracemalloc.start()
    try:
        layer, x = pylstm.Linear(2100, 2100, seed=0), np.ones((3, 2100), "float32")
        for _ in range(3):
            layer(x).backward(layer(x).y)
        layer.packed()(x[0], np.empty(2100, "float32"))
        size = layer.params.flat.nbytes
        del layer
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < size / 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_of_no_rows(dtype, bias):
    layer = pylstm.Linear(3, 2, bias=bias, dtype=dtype, seed=0)
    run = layer(np.zeros((4, 0, 3), dtype))
    grads = run.backward(np.zeros((4, 0, 2), dtype))
    assert run.y.shape == (4, 0, 2) and grads.x.shape == (4, 0, 3)
    assert not grads.params.flat.any()


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_mlp(activation):
    rng = np.random.default_rng(4)
    head = MLP(70, (900, 40), 33, activation, seed=0)
    x, dy = (rng.normal(size=(700, n)).astype("float32") for n in (70, 33))

    def step():
        run = head(x)
        grads = run.backward(dy)
        return run.y, grads.x, grads.params.flat

    all_alike(on_each(step))
    assert head(x[17]).y.tobytes() == head(x).y[17].tobytes()


def test_a_linear_run_keeps_its_input_but_one_over_it_does_not():
    layer, x = pylstm.Linear(3, 2, dtype="float64", seed=0), np.ones((4, 3))
    kept, over = layer(x), layer.over(x)
    x *= 2
    first, second = (run.backward(np.ones((4, 2))).params["weight"] for run in (kept, over))
    assert (second == 2 * first).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("count", "rows", "features"), [(3, 11, 5), (7, 5000, 64), (50, 9000, 500)])
def test_embedding(count, rows, features, dtype):
    rng = np.random.default_rng(5)
    table = pylstm.Embedding(count, features, dtype=dtype, seed=0)
    at, dy = rng.integers(0, count, rows), rng.normal(size=(rows, features)).astype(dtype)

    def step():
        run = table(at)
        return run.y, run.backward(dy).params.flat

    all_alike(on_each(step))
    assert (table(at).y == table.params["weight"][at]).all()
    true = np.zeros((count, features), dtype)
    for k in range(rows):
        true[at[k]] += dy[k]
    assert table(at).backward(dy).params["weight"].tobytes() == true.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("rows", "classes"), [(1, 1), (5, 3), (300, 17), (5000, 110), (3, 5000)])
def test_cross_entropy(rows, classes, smoothing, dtype):
    rng = np.random.default_rng(6)
    logits = (rng.normal(size=(rows, classes)) * 4).astype(dtype)
    targets, weights = rng.integers(0, classes, rows), (rng.random(rows) + 0.1).astype(dtype)

    def step(rows=slice(None), **how):
        return pylstm.softmax_cross_entropy(
            logits[rows], targets[rows], weights=weights[rows], smoothing=smoothing, **how
        )

    all_alike(on_each(step))
    value, d = step()
    z = logits.astype("float64")
    z -= z.max(-1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    q = (1 - smoothing) * np.eye(classes)[targets] + smoothing / classes
    w = weights.astype("float64")
    losses = np.log(np.exp(z).sum(-1)) - (q * z).sum(-1)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(value, (w * losses).sum() / w.sum(), rtol=20 * eps, atol=20 * eps)
    np.testing.assert_allclose(d, (p - q) * w[:, None] / w.sum(), rtol=20 * eps, atol=20 * eps * w.max() / w.sum())
    for k in {0, rows // 2, rows - 1}:
        alone = step(slice(k, k + 1), reduction="sum")[1]
        assert alone.tobytes() == step(reduction="sum")[1][k : k + 1].tobytes()


def test_what_has_no_weight_is_not_looked_at():
    rng = np.random.default_rng(7)
    logits, targets = rng.normal(size=(4, 5)), np.array([1, -100, 2, 7])
    logits[1], logits[3, 2] = np.nan, np.inf
    value, d = pylstm.softmax_cross_entropy(logits, targets, weights=np.array([1.0, 0.0, 2.0, 0.0]))
    assert np.isfinite(value) and not d[[1, 3]].any() and d[[0, 2]].all()


OPTIMISERS = {
    "sgd": lambda p: pylstm.SGD(p, 0.1),
    "momentum": lambda p: pylstm.SGD(p, 0.1, 0.9),
    "nesterov": lambda p: pylstm.SGD(p, 0.1, 0.9, nesterov=True),
    "adam": lambda p: pylstm.Adam(p, 0.01),
    "adamw": lambda p: pylstm.AdamW(p, 0.01, weight_decay=0.3),
    "rmsprop": lambda p: pylstm.RMSProp(p, 0.01, momentum=0.5),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMISERS)
@pytest.mark.parametrize("size", [1, 1023, 1025, 600_001])
def test_optimisers(name, size, dtype):
    rng = np.random.default_rng(8)
    start, grads = Parameters({"w": (size,)}, dtype), Parameters({"w": (size,)}, dtype)
    start.flat[...] = rng.normal(size=size)

    def steps():
        params = start.copy()
        optimiser, norms = OPTIMISERS[name](params), []
        for k in range(3):
            grads.flat[...] = np.random.default_rng(k).normal(size=size)
            norms.append(pylstm.clip_by_norm(grads, size**0.5 / 2))
            optimiser.step(grads)
        return params.flat, norms, *(each[0] for each in optimiser._slots.values())

    all_alike(on_each(steps))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clipping(dtype):
    start = Parameters({"w": (2_200_001,)}, dtype)
    start.flat[...] = np.random.default_rng(9).normal(size=start.size)
    true = float(np.sqrt(np.square(start.flat, dtype="float64").sum()))

    def clip():
        grads = start.copy()
        return pylstm.clip_by_norm(grads, 100.0), grads.flat

    all_alike(on_each(clip))
    norm, clipped = clip()
    assert norm == pytest.approx(true, rel=1e-12)
    np.testing.assert_allclose(clipped, start.flat * (100 / true), rtol=4 * np.finfo(dtype).eps)
