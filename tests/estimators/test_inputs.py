"""Every form of X that the estimators take gives the same net; and what they refuse, they refuse with a reason."""

from contextlib import nullcontext

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
pytest.importorskip("polars")

import pandas as pd
import polars as pl
from sklearn.preprocessing import StandardScaler

import pylstm
from pylstm import SequenceClassifier, SequenceRegressor
from pylstm.data.sequences import Sequences
from pylstm.estimators.sequences.scaling import fit_scaler

RNG = np.random.default_rng(5)
X = RNG.normal(size=(40, 6, 2)) * [1, 100] + [0, 3000]
Y = np.where(X[:, -1, 0] > 0, "high", "low")
NAMES = [f"{name}{t}" for t in range(6) for name in "ab"]
RAGGED = [each[: RNG.integers(3, 7)] for each in X]


def net(**options):
    return SequenceClassifier("gru", 5, **({"epochs": 3, "random_state": 0, "features_per_step": 2} | options))


FORMS = {
    "3-D": lambda: X,
    "nested lists": lambda: X.tolist(),
    "Fortran order": lambda: np.asfortranarray(X),
    "read-only": lambda: np.frombuffer(X.tobytes()).reshape(X.shape),
    "flat rows": lambda: X.reshape(40, 12),
    "objects": lambda: X.reshape(40, 12).astype(object),
    "list of arrays": lambda: list(X),
    "tuple of arrays": lambda: tuple(X),
    "Sequences": lambda: Sequences(X, np.full(40, 6)),
    "pandas": lambda: pd.DataFrame(X.reshape(40, 12), columns=NAMES),
    "polars": lambda: pl.DataFrame(X.reshape(40, 12), schema=NAMES, orient="row"),
    "list of pandas": lambda: [pd.DataFrame(each, columns=["a", "b"]) for each in X],
    "list of polars": lambda: [pl.DataFrame(each, schema=["a", "b"], orient="row") for each in X],
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_give_the_same_net(form):
    expected = net().fit(X, Y)
    fitted = net().fit(FORMS[form](), Y)
    np.testing.assert_array_equal(fitted.predict_proba(FORMS[form]()), expected.predict_proba(X))
    flat = form in ("flat rows", "objects", "pandas", "polars")
    assert fitted.n_features_in_ == (12 if flat else 2) and fitted.n_step_features_ == 2
    assert fitted.input_form_ == ("rows" if flat else "steps")
    named = {"pandas": NAMES, "polars": NAMES, "list of pandas": ["a", "b"], "list of polars": ["a", "b"]}
    assert list(getattr(fitted, "feature_names_in_", [])) == named.get(form, [])


def padded(rows, fill):
    out = np.full((len(rows), 9, 2), fill)
    for row, each in zip(out, rows):
        row[: len(each)] = each
    return Sequences(out, [len(each) for each in rows])


@pytest.mark.parametrize("read", ["last", "mean", "max", "stats"])
def test_ragged_sequences(read):
    fitted = net(read=read).fit(RAGGED, Y)
    expected = fitted.predict_proba(RAGGED)
    for fill in (0.0, 1e9):  # what stands beyond the ends is not looked at
        again = net(read=read).fit(padded(RAGGED, fill), Y)
        np.testing.assert_array_equal(again.predict_proba(padded(RAGGED, fill)), expected)
    np.testing.assert_allclose(again.x_mean_, np.concatenate(RAGGED).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(again.x_scale_, np.concatenate(RAGGED).std(axis=0), rtol=1e-12)
    weights = RNG.integers(1, 4, size=40)
    twice = [each for each, weight in zip(RAGGED, weights) for _ in range(weight)]
    np.testing.assert_allclose(net().fit(RAGGED, Y, weights).x_mean_, np.concatenate(twice).mean(axis=0), rtol=1e-12)
    alone = np.concatenate([fitted.predict_proba([each]) for each in RAGGED])
    np.testing.assert_allclose(alone, expected, atol=1e-6)


def test_rows_of_different_lengths():
    rows = [each.ravel() for each in RAGGED]
    np.testing.assert_array_equal(net().fit(rows, Y).predict_proba(rows), net().fit(RAGGED, Y).predict_proba(RAGGED))
    objects = np.empty(40, dtype=object)
    objects[:] = RAGGED
    np.testing.assert_array_equal(
        net().fit(objects, Y).predict_proba(objects), net().fit(RAGGED, Y).predict_proba(RAGGED)
    )


def test_other_forms_may_be_predicted():
    expected = net().fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(net().fit(X, Y).predict_proba(X.reshape(40, 12)), expected)
    np.testing.assert_array_equal(net().fit(X.reshape(40, 12), Y).predict_proba(X), expected)
    other = net().fit(X, Y)
    assert other.predict(X[:, :4]).shape == (40,)  # fewer steps


@pytest.mark.parametrize("estimator", [SequenceClassifier, SequenceRegressor])
def test_standardisation_makes_scale_and_shift_of_the_input_irrelevant(estimator):
    y = Y if estimator is SequenceClassifier else X[:, -1, 0]
    options = {"hidden_size": 5, "epochs": 3, "random_state": 0, "dtype": "float64"}
    out = []
    for factor, shift in ((1, 0), (1024, 0), (1, 1e3)):
        fitted = estimator(**options).fit(factor * X + shift, y)
        out.append(fitted._out(factor * X + shift))
    np.testing.assert_allclose(out[1], out[0], rtol=1e-9)
    np.testing.assert_allclose(out[2], out[0], rtol=1e-6)
    raw = estimator(**options, standardise=False).fit(X, y)
    assert (raw.x_mean_ == 0).all() and (raw.x_scale_ == 1).all()


def test_a_fit_forgets_the_features_of_the_one_before():
    fitted = net().fit(FORMS["pandas"](), Y).fit(X[:, :, :1], Y)
    assert not hasattr(fitted, "feature_names_in_")
    assert (fitted.n_features_in_, fitted.n_step_features_, fitted.input_form_) == (1, 1, "steps")
    assert fitted.fit(X.reshape(40, 12), Y).n_features_in_ == 12


def test_constant_features_do_no_harm():
    x = X.copy()
    x[:, :, 1] = 0.1
    fitted = net().fit(x, Y)
    assert np.isfinite(fitted.predict_proba(x)).all() and fitted.x_scale_[1] == 1


@pytest.mark.parametrize("value", [0.1, -3.870474634273504, 28.396677351979204, 1e8])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e13])
def test_constant_features_are_known_for_what_they_are_with_weights_of_any_unit(value, unit):
    x, weights = np.concatenate([X] * 10), np.random.default_rng(3).uniform(0.1, 2, 400)
    expected = net().fit(x, np.resize(Y, 400), weights).x_scaler_
    x[:, :, 1] = value
    found = net().fit(x, np.resize(Y, 400), unit * weights).x_scaler_
    assert found.scale_[1] == 1 and found.mean_[1] == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose([found.mean_[0], found.scale_[0]], [expected.mean_[0], expected.scale_[0]], rtol=1e-13)


def test_a_constant_column_never_warns():
    rng = np.random.default_rng(4)
    for n in rng.integers(1, 300, size=200):  # some have a variance that rounds to below 0
        column = np.full((n, 1), rng.normal() * 10.0 ** rng.integers(-6, 6))
        scaler = fit_scaler(column, rng.uniform(0.1, 2, n))
        assert scaler.scale_.tolist() == [1.0] and scaler.mean_[0] == pytest.approx(column[0, 0], rel=1e-14)


def test_scalers_are_those_of_scikit_learn_and_outlive_a_file(tmp_path):
    weights = np.random.default_rng(3).uniform(0.1, 2, 40)
    y = np.stack([[each.sum(), -5.0, each[-1, 0]] for each in RAGGED])
    fitted = SequenceRegressor(hidden_size=4, epochs=1, random_state=0, dtype="float64").fit(RAGGED, y, weights)
    steps, of_steps = np.concatenate(RAGGED), np.repeat(weights, [len(each) for each in RAGGED])
    pylstm.save(tmp_path / "net", fitted)
    for each in (fitted, pylstm.load(tmp_path / "net")):
        for scaler, values, by in ((each.x_scaler_, steps, of_steps), (each.y_scaler_, y, weights)):
            assert type(scaler) is StandardScaler
            expected = StandardScaler().fit(values, sample_weight=by)
            np.testing.assert_allclose(scaler.mean_, expected.mean_, rtol=1e-13)
            np.testing.assert_allclose(scaler.scale_, expected.scale_, rtol=1e-13)
            np.testing.assert_allclose(scaler.transform(values), expected.transform(values), atol=1e-12)
        assert np.array_equal(each.x_mean_, fitted.x_scaler_.mean_) and each.y_scale_[1] == 1
        assert np.array_equal(each.y_mean_, fitted.y_scaler_.mean_)
        assert np.array_equal(each.predict(RAGGED), fitted.predict(RAGGED))
        assert np.isfinite(each.predict([np.zeros((0, 2))] * 3)).all()


def nan_at(array, at):
    array = np.array(array, dtype="float64")
    array[at] = np.nan
    return array


REFUSED = {
    "X contains NaN": lambda: net().fit(nan_at(X, (0, 0, 0)), Y),
    "X contains infinity": lambda: net().fit(X.reshape(40, 12) / 0.0, Y),
    r"X\[3] contains NaN": lambda: net().fit([*RAGGED[:3], nan_at(RAGGED[3], 0), *RAGGED[4:]], Y),
    "Complex data not supported": lambda: net().fit(X * 1j, Y),
    "X must be numbers, but holds text, such as 'a'": lambda: net().fit(np.full((40, 4), "a", dtype=object), Y),
    "Found input variables with inconsistent numbers of samples": lambda: net().fit(X, Y[:-1]),
    "must be a multiple of features_per_step=5": lambda: net(features_per_step=5).fit(X.reshape(40, 12), Y),
    r"the sequences must be \(T, I\) with one I": lambda: net().fit([X[0], X[1][:, :1], *X[2:]], Y),
    "all data frames must have the same columns": lambda: net().fit(
        [pd.DataFrame(X[0], columns=["a", "b"]), pd.DataFrame(X[1], columns=["b", "a"])], Y[:2]
    ),
    "X has no sequences": lambda: net().fit(X[:0], Y[:0]),
    "requires y to be passed": lambda: net().fit(X, None),
    "Expected 2D array, got 1D array": lambda: net().fit(X[:, 0, 0], Y),
    "Unknown label type: continuous": lambda: net().fit(X, X[:, 0, 0]),
    "sample_weight must be 0 or more": lambda: net().fit(X, Y, -np.ones(40)),
    "hidden_size must be an integer of at least 1": lambda: net().set_params(hidden_size=0).fit(X, Y),
    "epochs must be an integer of at least 1, got 1.5": lambda: net(epochs=1.5).fit(X, Y),
    "learning_rate must be above 0": lambda: net(learning_rate=0).fit(X, Y),
    "optimiser must be one of": lambda: net(optimiser="newton").fit(X, Y),
    "schedule must be": lambda: net(schedule="none").fit(X, Y),
    "validation_fraction must be between": lambda: net(validation_fraction=1).fit(X, Y),
    "loss must be one of": lambda: SequenceRegressor(loss="l1").fit(X, X[:, 0, 0]),
    "y contains NaN": lambda: SequenceRegressor().fit(X, nan_at(X[:, 0, 0], 3)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refusals(message):
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        REFUSED[message]()


def test_refusals_of_a_fitted_net():
    flat, steps = net().fit(FORMS["pandas"](), Y), net().fit(FORMS["list of pandas"](), Y)
    for message, call in {
        "X has 10 features, but SequenceClassifier is expecting 12": lambda: flat.predict(X.reshape(40, 12)[:, :10]),
        "The feature names should match": lambda: flat.predict(FORMS["pandas"]()[NAMES[::-1]]),
        "X has 1 features at a step, but SequenceClassifier is expecting 2": lambda: steps.predict(X[:, :, :1]),
        "feature names should match those that were": lambda: steps.predict([pd.DataFrame(X[0], columns=["b", "a"])]),
    }.items():
        nameless = pytest.warns(UserWarning, match="valid feature names") if "12" in message else nullcontext()
        with pytest.raises(ValueError, match=message), nameless:
            call()


LONG = {
    "who": np.repeat([7, 3, 5], [3, 2, 4]),
    "t": np.array([2, 0, 1, 5, 4, 0, 1, 3, 2]),
    "a": np.arange(9.0),
    "b": -np.arange(9.0),
}


@pytest.mark.parametrize("frame", [dict, pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("shuffled", [False, True])
def test_long_tables(frame, shuffled):
    order = np.array([8, 0, 4, 1, 5, 2, 7, 3, 6]) if shuffled else np.arange(9)
    grouped = pylstm.sequences_from_frame(
        frame({name: values[order] for name, values in LONG.items()}), id="who", time="t"
    )
    assert grouped.ids.tolist() == ([5, 7, 3] if shuffled else [7, 3, 5])
    found = {who: each[:, 0].tolist() for who, each in zip(grouped.ids.tolist(), grouped.sequences)}
    assert found == {7: [1, 2, 0], 3: [4, 3], 5: [5, 6, 8, 7]}
    assert all((each[:, 1] == -each[:, 0]).all() for each in grouped.sequences)
    only = pylstm.sequences_from_frame(frame(LONG), id="who", columns=["b"])
    assert [each.shape for each in only.sequences] == [(3, 1), (2, 1), (4, 1)]
    np.testing.assert_array_equal(np.concatenate(only.sequences)[:, 0], LONG["b"])


def test_long_tables_that_are_refused():
    with pytest.raises(KeyError, match=r"unknown column 'when' \(known: who, t, a, b"):
        pylstm.sequences_from_frame(LONG, id="who", time="when")
    with pytest.raises(ValueError, match="two rows of 7 have the same time 1"):
        pylstm.sequences_from_frame(LONG | {"t": np.array([1, 0, 1, 5, 4, 0, 1, 3, 2])}, id="who", time="t")
    with pytest.raises(ValueError, match="at least one row and one column of values, got 0 and 2"):
        pylstm.sequences_from_frame({name: values[:0] for name, values in LONG.items()}, id="who", time="t")


def in_an_array(rows):
    found = np.empty(len(rows), object)
    found[:] = rows
    return found


@pytest.mark.parametrize("held", ["list", "objects", "Series", "Series of lists"])
def test_sequences_one_by_one_are_of_any_length_though_those_of_the_fit_have_one(held):
    rows = list(np.random.default_rng(3).normal(size=(24, 9)))
    labels = (np.mean(rows, axis=1) > 0).astype(int)
    made = {
        "list": list, "objects": in_an_array, "Series": pd.Series,
        "Series of lists": lambda rows: pd.Series([each.tolist() for each in rows]),
    }[held]  # fmt: skip
    net = SequenceClassifier("gru", 3, epochs=2, random_state=0).fit(made(rows), labels)
    cube = SequenceClassifier("gru", 3, epochs=2, random_state=0).fit(np.array(rows)[..., None], labels)
    np.testing.assert_array_equal(net.predict_proba(made(rows)), cube.predict_proba(np.array(rows)[..., None]))
    for shorter in ([each[:5] for each in rows], [each[: 3 + k % 4] for k, each in enumerate(rows)]):
        expected = [cube.predict_proba(each[None, :, None])[0] for each in shorter]
        np.testing.assert_allclose(net.predict_proba(made(shorter)), expected, rtol=1e-5)
