"""A `SequenceModel` of indices: an embedding before the body."""

import numpy as np
import pytest

import pylstm
from pylstm.models.sequence_model import SequenceModel
from pylstm.text import CharModel

rng = np.random.default_rng(5)
X = rng.integers(7, size=(6, 9))
LENGTHS = np.array([9, 4, 1, 0, 7, 9])


def make(read="every", loss="softmax_cross_entropy", **options):
    options = {"vocabulary": 7, "read": read, "loss": loss, "dtype": "float64", "seed": 3} | options
    return SequenceModel("lstm", 4, 5, 3, **options)


BODIES = {
    "plain": {},
    "stack": {"num_layers": 2, "bidirectional": True, "head_sizes": (4,)},
    "last": {"read": "last"},
}


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("body", BODIES)
def test_gradients_are_those_of_differences(body, ragged):
    model = make(**BODIES[body])
    x = pylstm.Sequences(X, LENGTHS) if ragged else X
    y = rng.integers(3, size=6 if body == "last" else (6, 9))
    value, grads = model.gradients(x, y)
    assert value == pytest.approx(model.loss(x, y), rel=1e-12) and len(grads) == 3
    assert isinstance(model.embedding, pylstm.Embedding) and model.params[0] is model.embedding.params
    for params, grad in zip(model.params, grads):
        for k in range(0, params.size, 7):
            before, values = params.flat[k], []
            for step in (1e-5, -1e-5):
                params.flat[k] = before + step
                values.append(model.loss(x, y))
            params.flat[k] = before
            assert (values[0] - values[1]) / 2e-5 == pytest.approx(grad.flat[k], rel=1e-5, abs=1e-9)


def test_what_stands_beyond_the_end_or_has_no_weight_has_no_effect():
    model, y = make(), rng.integers(3, size=(6, 9))
    wild = np.where(np.arange(9) < LENGTHS[:, None], X, -1)
    for one, other in zip(
        model.gradients(pylstm.Sequences(X, LENGTHS), y)[1], model.gradients(pylstm.Sequences(wild, LENGTHS), y)[1]
    ):
        np.testing.assert_array_equal(one.flat, other.flat)
    np.testing.assert_array_equal(
        model.predict(pylstm.Sequences(X, LENGTHS)), model.predict(pylstm.Sequences(wild, LENGTHS))
    )
    weights = np.array([1.0, 0, 1, 1, 0, 1])
    wild = np.where(weights[:, None] > 0, X, 10**6)
    model.check_batch(wild, y, weights)
    assert model.gradients(wild, y, weights)[0] == model.gradients(X, y, weights)[0]


def test_a_fit_learns_and_its_file_has_the_embedding(tmp_path):
    model, y = make("last"), X[:, -1] % 3
    history = pylstm.fit(model, (X, y), epochs=80, optimiser=pylstm.Adam(model.params, lr=0.03), validation=(X, y))
    assert history.loss[-1] < 0.2 * history.loss[0]
    pylstm.save(tmp_path / "m", model)
    again = pylstm.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert repr(again) == repr(model) and list(again.parts) == [
        "embedding",
        "layer",
        "head",
    ]


def test_a_character_model_is_one(tmp_path):
    text = "to be or not to be"
    model = CharModel(pylstm.datasets.Vocabulary.of(text, min_count=1), "gru", 6, embedding_size=3, seed=1)
    indices = model.vocabulary.encode(text)[None]
    assert isinstance(model, SequenceModel)
    np.testing.assert_array_equal(model.predict(indices)[0], model.logits(indices[0][:, None])[0][:, 0])
    value, grads = model.gradients(indices[:, :-1], indices[:, 1:])
    step = model.chunk(indices[0, :-1, None], indices[0, 1:, None])
    assert step.bits * np.log(2) == pytest.approx(value, rel=1e-6)
    for one, other in zip(grads, step.grads):
        np.testing.assert_allclose(one.flat, other.flat, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (X + 0.5, TypeError, "integers, got float64"),
        (X[:, :, None], ValueError, r"x must have shape \(N, T\) with T >= 1, got \(6, 9, 1\)"),
        (X[:, :0], ValueError, r"x must have shape \(N, T\) with T >= 1"),
        (X + 1, ValueError, r"data\[0\]: x must be in 0\.\.6, got 7"),
    ],
)
def test_refusals(x, error, message):
    with pytest.raises(error, match=message):
        pylstm.fit(make(), (x, rng.integers(3, size=(6, 9))), epochs=1)


def test_parts_that_do_not_fit():
    parts, metadata = make().parts, make().metadata
    for embedding in (pylstm.Embedding(7, 3, dtype="float64"), pylstm.Embedding(7, 4), pylstm.Linear(7, 4)):
        with pytest.raises(ValueError, match=r"parts.embedding must return 4 values of float64"):
            SequenceModel.from_parts(parts | {"embedding": embedding}, metadata)
