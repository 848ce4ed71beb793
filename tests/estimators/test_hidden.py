"""Values that are no numbers, though NumPy makes numbers of them: those under a mask, dates and durations."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
from pylstm import SequenceClassifier, SequenceRegressor

X = np.random.default_rng(0).normal(size=(20, 5, 2))
Y = np.arange(20) % 2
FORMS = {
    "steps": (lambda x: x, r"X contains masked values, first at index \(3, 1, 0\): fill them, or"),
    "rows": (lambda x: x.reshape(len(x), -1), r"X contains masked values, first at index \(3, 2\): fill them, or"),
    "list": (list, r"X\[3\] contains masked values, first at index \(1, 0\): fill them, or"),
    "ragged": (lambda x: [each[: 3 + k % 2] for k, each in enumerate(x)], r"X\[3\] contains masked values, first"),
}


def masked(values, *at):
    """`values` with 1e20 under a mask at one place, as files of netCDF have it."""
    found = np.ma.masked_array(values.astype("float64"), mask=np.zeros(values.shape, bool))
    found.data[at] = 1e20
    found.mask[at] = True
    return found


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor])
@pytest.mark.parametrize("form", FORMS)
def test_masked_inputs(kind, form):
    make, words = FORMS[form]
    given = make(masked(X, 3, 1, 0))
    with pytest.raises(ValueError, match=words):
        kind(epochs=1).fit(given, Y)
    net = kind(hidden_size=4, epochs=1, random_state=0).fit(make(X), Y)
    with pytest.raises(ValueError, match=words):
        net.predict(given)


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor])
def test_masked_targets_and_weights(kind):
    with pytest.raises(ValueError, match=r"^y contains masked values, first at index 7: leave such sequences out"):
        kind(epochs=1).fit(X, masked(Y, 7))
    words = "^sample_weight contains masked values, first at index 7: leave such sequences out"
    with pytest.raises(ValueError, match=words):
        kind(epochs=1).fit(X, Y, sample_weight=masked(np.ones(20), 7))


def test_a_mask_that_hides_nothing():
    given = np.ma.masked_array(X, mask=False)
    net = SequenceRegressor(hidden_size=4, epochs=1, random_state=0)
    assert np.array_equal(net.fit(given, np.ma.masked_array(Y)).predict(given), net.fit(X, Y).predict(X))


def test_masked_where_the_weight_is_0():
    weights = (np.arange(20) != 3).astype("float64")
    net = SequenceRegressor(hidden_size=4, epochs=1, random_state=0)
    hidden = net.fit(masked(X, 3, 1, 0), masked(Y, 3), sample_weight=weights).predict(X)
    assert np.array_equal(hidden, net.fit(X, Y, sample_weight=weights).predict(X))


@pytest.mark.parametrize("unit", ["datetime64[D]", "timedelta64[D]"])
def test_times(unit):
    words = r"must be numbers, got {}: pass numbers that say it, such as days since a date"
    times = np.arange(200).reshape(20, 5, 2).astype(unit)
    for given in (times, times.reshape(20, 10)):
        with pytest.raises(TypeError, match=r"^X " + words.format(unit).replace("[", r"\[")):
            SequenceClassifier(epochs=1).fit(given, Y)
    with pytest.raises(TypeError, match=r"^X\[0\] must be numbers"):
        SequenceClassifier(epochs=1).fit(list(times), Y)
    with pytest.raises(TypeError, match=r"^y " + words.format(unit).replace("[", r"\[")):
        SequenceRegressor(epochs=1).fit(X, times[:, 0, 0])
    with pytest.raises(ValueError, match=r"^y holds dates or durations, .*: y.astype\(str\) makes texts of them$"):
        SequenceClassifier(epochs=1).fit(X, times[Y, 0, 0])


def test_columns_of_times():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": X[:, 0, 0], "on": pd.date_range("2020", periods=20)})
    with pytest.raises(TypeError, match=r"^X\['on'\] must be numbers, got datetime64\[.s\]: pass numbers"):
        SequenceClassifier(epochs=1).fit(frame, Y)
