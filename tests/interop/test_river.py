"""`pylstm.interop.river`: against the loop by hand, River's own checks, and what is refused."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import pylstm

pytest.importorskip("river")

from river import checks, evaluate, metrics, preprocessing

from pylstm.interop.river import OnlineClassifier, OnlineRegressor

NAMES = ("b", "a", "c")
OPTIMISERS = {"adam": pylstm.Adam, "adamw": pylstm.AdamW, "rmsprop": pylstm.RMSProp, "sgd": pylstm.SGD}


def rows(count, seed=0):
    """Dicts whose order of names changes, and targets that depend on the row before."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, len(NAMES)))
    targets = 0.7 * np.roll(values[:, 0], 1) - 0.4 * values[:, 2] + 0.2
    return [
        ({NAMES[k]: float(value[k]) for k in rng.permutation(len(NAMES))}, float(y))
        for value, y in zip(values, targets)
    ]


def by_hand(cell, online, optimiser, clip, stream_of_rows):
    """Predictions and the net of a loop of step, head, learn and optimiser."""
    rng = np.random.default_rng(3)
    layer = pylstm.Recurrent(cell, len(NAMES), 6, dtype="float64", seed=rng)
    head = pylstm.Linear(6, 1, dtype="float64", seed=rng)
    stream, steps = layer.stream(online=online), OPTIMISERS[optimiser]([layer.params, head.params], lr=0.02)
    predictions = []
    for x, y in stream_of_rows:
        run = head(stream.step(np.array([x[name] for name in sorted(NAMES)])))
        predictions.append(run.y[0])
        back = run.backward(run.y - y)
        grads = [stream.learn(back.x), back.params]
        if clip is not None:
            pylstm.clip_by_norm(grads, clip)
        steps.step(grads)
    return predictions, layer, head


@pytest.mark.parametrize(
    ("cell", "online", "optimiser", "clip"),
    [
        ("gru", "snap1", "adam", 1.0),
        ("lstm", "eprop", "rmsprop", None),
        ("lstm", "rtrl", "sgd", 0.3),
        ("mingru", "rtrl", "adamw", 0.3),
        ("lru", "rtrl", "adam", None),
    ],
)
def test_a_regressor_is_the_loop_by_hand(cell, online, optimiser, clip):
    given = rows(60)
    model = OnlineRegressor(
        cell, 6, online=online, optimiser=optimiser, lr=0.02, clip=clip, dtype="float64", seed=np.random.default_rng(3)
    )
    found = []
    for x, y in given:
        found.append(model.predict_one(x))
        model.learn_one(x, y)
    wanted, layer, head = by_hand(cell, online, optimiser, clip, given)
    assert found[0] == 0 and np.allclose(found[1:], wanted[1:], rtol=0, atol=1e-12)
    assert (model.layer.params.flat == layer.params.flat).all() and (model.head.params.flat == head.params.flat).all()


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_a_classifier_is_the_loop_by_hand(optimiser):
    """Classes appear at steps 0, 1 and 5: the head grows by rows of zeros, the averages of the others stay."""
    labels = ["x", "y", "x", "x", "y", "z", *np.random.default_rng(1).choice(list("xyz"), 30).tolist()]
    model = OnlineClassifier("gru", 6, optimiser=optimiser, lr=0.02, clip=0.5, dtype="float64", seed=3)
    layer = pylstm.Recurrent("gru", 3, 6, dtype="float64", seed=np.random.default_rng(3))
    stream, head, steps, seen = layer.stream(online="snap1"), None, None, []
    for (x, _), label in zip(rows(len(labels)), labels):
        if label not in seen:
            seen.append(label)
            before, old = head, steps
            head = pylstm.Linear(6, len(seen), dtype="float64")
            head.params.flat[...] = 0
            steps = OPTIMISERS[optimiser]([layer.params, head.params], lr=0.02)
            if before is not None:
                state = old.state_dict()
                for name in [each for each in state if each.endswith(".1")]:
                    was, now = head.params.zeros_like(), before.params.copy()
                    now.flat[...] = state[name]
                    for key in ("weight", "bias"):
                        was[key][:-1] = now[key]
                        head.params[key][:-1] = before.params[key]
                    state[name] = was.flat.copy()
                steps.load_state_dict(state)
        run = head(stream.step(np.array([x[name] for name in sorted(NAMES)])))
        shares = np.exp(run.y) / np.exp(run.y).sum()
        found = model.predict_proba_one(x)
        assert (
            not found
            or np.allclose([found.get(each, shares[k]) for k, each in enumerate(seen)], shares)
            or (len(found) < len(seen))
        )
        model.learn_one(x, label)
        back = run.backward(shares - np.eye(len(seen))[seen.index(label)])
        grads = [stream.learn(back.x), back.params]
        pylstm.clip_by_norm(grads, 0.5)
        steps.step(grads)
        assert np.allclose(model.layer.params.flat, layer.params.flat, rtol=0, atol=1e-12)
        assert np.allclose(model.head.params.flat, head.params.flat, rtol=0, atol=1e-12)
    assert list(model.predict_proba_one(x)) == ["x", "y", "z"]


@pytest.mark.parametrize("kind", [OnlineRegressor, OnlineClassifier])
def test_a_prediction_changes_nothing(kind):
    asked, silent = kind(seed=0), kind(seed=0)
    for x, y in rows(20):
        y = y if kind is OnlineRegressor else y > 0
        before = pickle.dumps(asked)
        assert asked.predict_one(x) == asked.predict_one(x) and pickle.dumps(asked) == before
        asked.learn_one(x, y)
        silent.learn_one(x, y)
    assert (asked.layer.params.flat == silent.layer.params.flat).all()


@pytest.mark.parametrize("kind", [OnlineRegressor, OnlineClassifier])
def test_pickles_go_on_and_clones_begin_anew(kind):
    given = [(x, y if kind is OnlineRegressor else y > 0) for x, y in rows(40)]
    model = kind("lru", 5, online="rtrl", seed=0)
    for x, y in given[:20]:
        model.learn_one(x, y)
    again, clone = pickle.loads(pickle.dumps(model)), model.clone({"hidden_size": 7})
    assert clone.layer is None and clone.head is None and (clone.cell, clone.hidden_size, clone.seed) == ("lru", 7, 0)
    for x, y in given[20:]:
        assert again.predict_one(x) == model.predict_one(x)
        model.learn_one(x, y)
        again.learn_one(x, y)
    assert (again.layer.params.flat == model.layer.params.flat).all()
    assert (again.head.params.flat == model.head.params.flat).all()


def test_a_regressor_learns_what_was_before():
    given = rows(3000)
    model = preprocessing.StandardScaler() | OnlineRegressor("gru", 12, seed=0)
    error = mean = plain = 0.0
    for t, (x, y) in enumerate(given):
        error += (model.predict_one(x) - y) ** 2 * (t >= 2000)
        plain += (mean - y) ** 2 * (t >= 2000)
        mean += (y - mean) / (t + 1)
        model.learn_one(x, y)
    assert error < 0.2 * plain


def test_a_classifier_learns_what_was_before():
    """River's own evaluation: accuracy over all steps, the first ones too."""
    given = [(x, before["b"] > 0) for (before, _), (x, _) in zip(rows(3000), rows(3000)[1:])]
    score = evaluate.progressive_val_score(given, OnlineClassifier("gru", 12, seed=0), metrics.Accuracy())
    assert score.get() > 0.85


@pytest.mark.parametrize(
    "model",
    [
        OnlineRegressor(hidden_size=4),
        OnlineRegressor("lru", 4, online="rtrl", optimiser="sgd", dtype="float64"),
        OnlineClassifier(hidden_size=4),
        OnlineClassifier("lstm", 4, online="eprop", clip=None),
    ],
    ids=["gru", "lru", "gru classes", "lstm classes"],
)
def test_the_checks_of_river(model):
    checks.check_estimator(model)


def test_absent_names_are_zero_and_reset_starts_anew():
    model = OnlineRegressor(features=["b", "a"], dtype="float64", seed=0)
    assert model.predict_one({"b": 1.0}) == 0
    model.learn_one({"b": 1.0}, 2.0)
    assert model.layer.input_size == 2
    first = model.predict_one({"a": 0.5})
    assert first == model.predict_one({"a": 0.5, "b": 0}) != model.predict_one({"a": 0.5, "b": 1})
    model.reset()
    x_t = np.array([[[0.0, 0.5]]])
    assert model.predict_one({"a": 0.5}) == model.head(model.layer(x_t).y).y.item() != first


def learned(kind=OnlineRegressor, **options):
    model = kind(**options)
    model.learn_one({"a": 1.0, "b": True}, 1)
    return model


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: learned().learn_one({"a": 1, "z": 2}, 1), ValueError, r"feature 'z' is new.*features=\[\.\.\.\]"),
        (lambda: learned().predict_one({"z": 2}), ValueError, r"feature 'z' is new"),
        (lambda: learned(OnlineClassifier).learn_one({"z": 2}, 2), ValueError, r"feature 'z' is new"),
        (lambda: learned().learn_one({"a": "red"}, 1), TypeError, "feature 'a' must be a number.*OneHotEncoder"),
        (lambda: learned().learn_one({"a": [1.0]}, 1), TypeError, "feature 'a' must be a number"),
        (lambda: learned().predict_one({"a": np.nan}), ValueError, "feature 'a' must be finite, got nan.*StatImputer"),
        (lambda: learned().predict_one({"a": None}), ValueError, "feature 'a' must be finite, got None"),
        (
            lambda: learned().predict_one({"a": 1e39}),
            ValueError,
            "^feature 'a' is too large for float32, got 1e.*float64",
        ),
        (
            lambda: learned().learn_one({"a": 10**400}, 1),
            ValueError,
            "^feature 'a' is too large for float64, got 10.*scale",
        ),
        (
            lambda: learned().learn_one({"a": 1}, -1e39),
            ValueError,
            "^y is too large for float32, got -1e.*scale it, or",
        ),
        (lambda: learned().learn_one({"a": 1}, np.inf), ValueError, "y must be finite, got inf: leave the step out"),
        (lambda: learned().learn_one({"a": 1}, "red"), TypeError, "y must be a number, got 'red'$"),
        (lambda: learned(OnlineClassifier).learn_one({"a": 1}, None), ValueError, "y must be a label, got None"),
        (lambda: learned(OnlineClassifier).learn_one({"a": 1}, np.nan), ValueError, "y must be a label, got nan"),
        (lambda: OnlineRegressor().learn_one({}, 1), ValueError, "one at least"),
        (lambda: OnlineRegressor().learn_one([1.0], 1), TypeError, "x must be a dict of feature to number, got list"),
        (lambda: OnlineRegressor(features=["a", "a"]), ValueError, "names that differ"),
        (lambda: OnlineRegressor(online="bptt"), ValueError, "online must be one of rtrl, snap1, eprop"),
        (lambda: OnlineRegressor(optimiser="lbfgs"), ValueError, "optimiser must be one of adam, adamw, rmsprop, sgd"),
        (lambda: OnlineRegressor(clip=0), ValueError, "clip must be above 0"),
        (lambda: OnlineRegressor(lr=-1), ValueError, "lr must be above 0"),
        (lambda: OnlineRegressor("grue"), LookupError, "did you mean .gru."),
    ],
)
def test_what_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_what_is_refused_changes_nothing():
    model, whole = learned(OnlineClassifier, seed=0), learned(OnlineClassifier, seed=0)
    for x, y in (({"z": 2.0}, 2), ({"a": np.nan}, 1), ({"a": 1.0}, None)):
        with pytest.raises(ValueError):
            model.learn_one(x, y)
    model.learn_one({"a": 0.5}, 2)
    whole.learn_one({"a": 0.5}, 2)
    assert model.predict_proba_one({"a": 1.0}) == whole.predict_proba_one({"a": 1.0})


@pytest.mark.parametrize("cell", ["lru", "mingru"])
def test_a_step_that_is_not_finite_is_not_taken(cell):
    """A model that met such a step goes on as one that never did."""
    model, other = (OnlineRegressor(cell, 6, online="rtrl", seed=0) for _ in range(2))
    for each in (model, other):
        for t in range(20):
            each.learn_one({"a": float(t % 3)}, float(t % 2))
    with pytest.raises(FloatingPointError, match="StandardScaler"), np.errstate(over="ignore", invalid="ignore"):
        model.learn_one({"a": 3e38}, 1.0)
    for each in (model, other):
        for t in range(5):
            each.learn_one({"a": float(t % 3)}, float(t % 2))
    assert (model.layer.params.flat == other.layer.params.flat).all()
    assert model.predict_one({"a": 1.0}) == other.predict_one({"a": 1.0}) != 0


@pytest.mark.parametrize(("cell", "online"), [("mingru", "rtrl"), ("gru", "snap1"), ("lstm", "eprop")])
@pytest.mark.parametrize("again", [lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy])
def test_a_stack_is_the_loop_by_hand_and_a_copy_goes_on_alone(cell, online, again):
    given = rows(40)
    rng = np.random.default_rng(3)
    options = {"online": online, "lr": 0.02, "clip": None, "dtype": "float64"}
    model = OnlineRegressor(cell, 6, num_layers=2, seed=np.random.default_rng(3), **options)
    stack = pylstm.Recurrent(cell, len(NAMES), 6, num_layers=2, dtype="float64", seed=int(rng.integers(2**63)))
    head = pylstm.Linear(6, 1, dtype="float64", seed=rng)
    stream, adam = stack.stream(online=online), pylstm.Adam([stack.params, head.params], lr=0.02)
    for k, (x, y) in enumerate(given):
        found = model.predict_one(x)
        run = head(stream.step(np.array([x[name] for name in sorted(NAMES)])))
        assert k == 0 or abs(found - run.y[0]) < 1e-12
        back = run.backward(run.y - y)
        adam.step([stream.learn(back.x), back.params])
        model.learn_one(x, y)
        if k == 20:
            other = again(model)
    ahead = model.predict_one(given[0][0])
    for x, y in given[21:]:
        other.learn_one(x, y)
    assert len(model.layer.layers) == 2 and (other.layer.params.flat == model.layer.params.flat).all()
    assert other.predict_one(given[0][0]) == ahead != OnlineRegressor(cell, 6, num_layers=2).predict_one(given[0][0])
    other.learn_one(*given[0])
    assert model.predict_one(given[0][0]) == ahead


def test_a_clone_of_a_stack_begins_anew():
    model = OnlineClassifier("mingru", 5, num_layers=2, online="rtrl", seed=7)
    given = [(x, y > 0.2) for x, y in rows(30)]
    for x, y in given:
        model.learn_one(x, y)
    new = model.clone()
    assert new.layer is None and new.num_layers == 2 and new.predict_proba_one(given[0][0]) == {}
    for x, y in given:
        new.learn_one(x, y)
    assert new.predict_proba_one(given[0][0]) == model.predict_proba_one(given[0][0])
    assert model.clone({"num_layers": 3}).num_layers == 3
    with pytest.raises(ValueError, match="num_layers"):
        OnlineClassifier("mingru", 5, num_layers=0)
