"""Lists, nested lists, Series of arrays, frames of Series, ragged or not: the same sequences, the same net."""

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")
from pylstm import Forecaster, SequenceClassifier, sequences_from_frame  # noqa: E402
from pylstm.estimators.sequences.inputs import take  # noqa: E402

RAGGED = [[1.5, 2.0, 3.0], [1.0, 2.5], [4.0, 5.0, 6.0, 7.5], [1.0, 2.0, 2.0]] * 3
LABELS = [0, 1, 0, 1] * 3


def taken(X):
    found = take(SequenceClassifier(), X, reset=True)
    return [each.tolist() for each in (found if isinstance(found, np.ndarray) else found.rows())]


def forms(frames):
    pd, pl = frames
    arrays = [np.array(each) for each in RAGGED]
    return {
        "lists": RAGGED,
        "tuples": tuple(map(tuple, RAGGED)),
        "nested lists": [[[value] for value in each] for each in RAGGED],
        "arrays": arrays,
        "lists and arrays": [RAGGED[0], *arrays[1:]],
        "object array": np.array([*arrays, None], object)[:-1],
        "Series of arrays": pd.Series(arrays),
        "Series of lists": pd.Series(RAGGED),
        "frame of Series": pd.DataFrame({"a": [pd.Series(each) for each in RAGGED]}),
        "polars lists": pl.Series(RAGGED),
        "polars frame": pl.DataFrame({"a": RAGGED}),
    }


@pytest.fixture
def frames():
    return pytest.importorskip("pandas"), pytest.importorskip("polars")


def test_ragged_forms_are_one(frames):
    expected = [[[value] for value in each] for each in RAGGED]
    for name, X in forms(frames).items():
        assert taken(X) == expected, name
        fitted = SequenceClassifier(hidden_size=3, epochs=1, random_state=0).fit(X, LABELS)
        assert fitted.n_step_features_ == 1 and fitted.input_form_ == "steps", name
        assert fitted.predict(X).shape == (12,), name


def test_a_frame_of_several_columns(frames):
    pd, _ = frames
    frame = pd.DataFrame({name: [pd.Series(each) * k for each in RAGGED] for k, name in enumerate("ab", 1)})
    assert taken(frame) == [[[value, 2 * value] for value in each] for each in RAGGED]
    frame["b"] = [pd.Series(each[:-1]) for each in RAGGED]
    with pytest.raises(ValueError, match=r"the cells of row 0 must have one length, got \[3, 2\] steps"):
        taken(frame)


def test_numbers_of_one_length_are_rows_and_arrays_are_sequences():
    for X, form in (([[1.0, 2], [3, 4]], "rows"), ([np.array([1.0, 2]), np.array([3.0, 4])], "steps")):
        estimator = SequenceClassifier()
        assert take(estimator, X, reset=True).shape == (2, 2, 1) and estimator.input_form_ == form


def test_a_sequence_whose_steps_differ():
    with pytest.raises(ValueError, match=r"X\[1\] must have shape \(T,\) or \(T, I\), but its steps differ"):
        taken([[[1.0], [2.0]], [[1.0], [2.0, 3.0]]])


@pytest.mark.filterwarnings("ignore:in the back-test the known inputs did not lower")  # they have no share
def test_inputs_of_each_series():
    y, X = [np.arange(40.0), np.arange(30.0) ** 1.1], [np.arange(42.0) % 3, np.arange(32.0) % 5]
    inputs = [each[:-2] for each in X]
    one = Forecaster(hidden_size=3, epochs=1, random_state=0).fit(y, inputs)
    two = Forecaster(hidden_size=3, epochs=1, random_state=0).fit(y, [each[:, None] for each in inputs])
    ahead = [each[-2:] for each in X]
    for a, b in zip(one.predict(2, ahead), two.predict(2, [each[:, None] for each in ahead])):
        assert a.tolist() == b.tolist()


def test_frames_with_names_that_are_numbers(frames):
    pd, _ = frames
    found = sequences_from_frame(pd.DataFrame({0: ["a", "b", "a"], 1: [1.0, 2, 3], 2: [9, 8, 7]}), id=0, time=2)
    assert [each.ravel().tolist() for each in found.sequences] == [[3, 1], [2]]


def test_ids_of_several_types(frames):
    pd, _ = frames
    table = {"who": pd.Series(["a", 1, "a"]), "x": [1.0, 2, 3]}
    found = sequences_from_frame(table, id="who")
    assert found.ids.tolist() == ["a", 1] and found.sequences[0].ravel().tolist() == [1, 3]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"who": ["a", None, "a"]}, "the column 'who' has no value in row 1: each row needs an id"),
        ({"t": [1.0, np.nan, 3.0]}, "the column 't' has no value in row 1: each row needs a time"),
        ({"t": np.array(["2001-01-01", "NaT", "NaT"], "M8[D]")}, "has no value in row 1: each row needs a time"),
    ],
)
def test_ids_and_times_that_are_missing(column, message):
    table = {"who": ["a", "a", "a"], "t": [1, 2, 3], "x": [1.0, 2, 3]} | column
    with pytest.raises(ValueError, match=message):
        sequences_from_frame(table, id="who", time="t")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array(["2001-01-01", "2001-01-02"], "M8[D]"), r"holds dates: time='t' puts .*, columns=\[\.\.\.\] leaves"),
        (np.array(["one", "two"]), r"the column 't' must hold numbers, got .*'one'.*: name those to read"),
    ],
)
def test_dates_and_text_are_no_features(values, message):
    with pytest.raises(TypeError, match=message):
        sequences_from_frame({"who": ["a", "a"], "t": values, "x": [1.0, 2]}, id="who")
