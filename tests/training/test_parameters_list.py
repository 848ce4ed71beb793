"""Parameters and gradients of a model add, subtract and scale as those of a layer do."""

import copy
import pickle

import numpy as np
import pytest

import pylstm
from pylstm.datasets import Vocabulary
from pylstm.parameters import Parameters
from pylstm.text.char_model import CharModel

rng = np.random.default_rng(5)
X = rng.normal(size=(8, 5, 2))
Y = rng.normal(size=(8, 1))


@pytest.fixture
def model():
    return pylstm.SequenceModel("gru", 2, 3, 1, dtype="float64", seed=0)


def flat(several):
    return np.concatenate([each.flat for each in several])


@pytest.fixture
def two(model):
    return model.gradients(X[:3], Y[:3])[1], model.gradients(X[3:], Y[3:])[1]


def test_arithmetic(two):
    a, b = two
    A, B = flat(a), flat(b)
    for got, expected in {
        "a + b": A + B, "a - b": A - B, "a * 2": A * 2, "2 * a": A * 2, "np.float64(3) * a": A * 3, "-a": -A,
        "a / 4": A / 4, "sum([a, b]) / 2": (A + B) / 2, "a + list(b)": A + B, "list(a) + b": A + B,
        "list(a) - b": A - B, "a[:1] + b[:1]": A[: a[0].size] + B[: a[0].size], "a.zeros_like()": A * 0,
        "a + tuple(b)": A + B,
    }.items():  # fmt: skip
        result = eval(got)
        assert np.array_equal(flat(result), expected), got
        assert not any(np.shares_memory(each.flat, own.flat) for each in result for own in [*a, *b])
    assert np.array_equal(flat(a), A) and np.array_equal(flat(b), B) and len(a + b) == 2


def test_in_place(two):
    a, b = two
    A, B = flat(a), flat(b)
    buffers = [each.flat for each in a]
    kept = a
    a += b
    a -= list(b)
    a *= 3
    a /= 2
    assert a is kept and all(each.flat is buffer for each, buffer in zip(a, buffers))
    np.testing.assert_allclose(flat(a), A * 1.5, rtol=1e-14)
    assert np.array_equal(flat(b), B)


def test_accumulated_batches_are_the_whole(model, two):
    whole = model.gradients(X, Y)[1]
    np.testing.assert_allclose(flat(3 / 8 * two[0] + 5 / 8 * two[1]), flat(whole), rtol=1e-12)
    for make in (pylstm.SGD, pylstm.Adam):
        ours, theirs = copy.deepcopy(model), copy.deepcopy(model)
        make(ours.params, lr=0.1).step(sum(two))
        make(list(theirs.params), lr=0.1).step([*(sum(two))])
        assert np.array_equal(flat(ours.params), flat(theirs.params))
    own, before = model.params, flat(model.params)
    model.params -= 0.1 * whole
    assert model.params == own and np.array_equal(flat(own), before - 0.1 * flat(whole))
    with pytest.raises(AttributeError, match="params cannot be replaced"):
        model.params = own.copy()
    with pytest.raises(AttributeError, match="params cannot be replaced"):
        model.params = own[:1]
    moved = model.params - 0.1 * whole
    assert np.array_equal(flat(moved), flat(model.params) - 0.1 * flat(whole))


def test_of_a_text():
    char = CharModel(Vocabulary.of("to be or not to be", min_count=1), "gru", 4, embedding_size=2)
    step = char.chunk(np.ones((3, 1), int), np.ones((3, 1), int))
    assert len(step.grads + step.grads) == len(char.params * 2) == 3


def test_refusals(two, model):
    a, _ = two
    before = flat(a)
    other = pylstm.SequenceModel("gru", 2, 4, 1, dtype="float64").params
    mixed = [a[0], other[1]]
    for wrong in (other, a[:1], mixed, [1, 2], [*a, *a]):
        with pytest.raises(ValueError, match=r"same layouts add.*\[\*one, \*other\] puts both into one list"):
            a += wrong
    for wrong in (1, "ab", a[0], np.zeros(3), None):
        with pytest.raises(TypeError, match=r"adds to another|multiplied by a number|layout"):
            a + wrong
    for wrong in ("ab", None, a, [2]):
        with pytest.raises(TypeError):
            a * wrong
    assert np.array_equal(flat(a), before)


def test_it_is_a_list(two):
    a, _ = two
    assert isinstance(a, list) and isinstance(a[0], Parameters) and [*a][1] is a[1]
    for again in (copy.deepcopy(a), pickle.loads(pickle.dumps(a)), a.copy()):
        assert type(again) is type(a) and np.array_equal(flat(again), flat(a))
        assert not np.shares_memory(again[0].flat, a[0].flat)
