"""Histories of new rows go on from the series of the fit, where their times say so; others warn of what they lack."""

import warnings

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from pylstm import Forecaster  # noqa: E402

N, CUT, END = 120, 96, 108
STEPS = np.arange(N)
VALUES = 100 + 10 * np.sin(STEPS * np.pi / 6) + np.random.default_rng(0).normal(size=N)
OTHER = 50 + 5 * np.cos(STEPS * np.pi / 6) + np.random.default_rng(1).normal(size=N)
MONTHS = pd.date_range("2010-01-01", periods=N, freq="MS")
INPUT = np.random.default_rng(2).normal(size=(N, 1))
INDEXES = {
    "months": MONTHS,
    "business days": pd.date_range("2010-01-04", periods=N, freq="B"),
    "periods": MONTHS.to_period("M"),
    "hours in a zone": pd.date_range("2010-01-01", periods=N, freq="h", tz="UTC"),
    "numbers": pd.RangeIndex(N),
    "every second": pd.RangeIndex(7, 7 + 2 * N, 2),
}


def fitted(y, X=None, **options):
    return Forecaster("gru", 4, epochs=1, random_state=0, window=12, **options).fit(y, X)


def numbers(found):
    return np.asarray(found, "float64").ravel()


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("kind", INDEXES)
def test_new_rows_follow_the_series_of_the_fit(kind, quiet):
    y = pd.Series(VALUES, INDEXES[kind])
    net = fitted(y[:CUT])
    whole = net.predict(3, history=y[:END])
    for begin in (1, CUT - 20, CUT - 1, CUT):
        found = net.predict(3, history=y[begin:END])
        np.testing.assert_array_equal(found, whole)
        assert (found.index == whole.index).all()
    low, high = net.predict_interval(3, 0.5, history=y[CUT:END])
    for one, other in zip((low, high), net.predict_interval(3, 0.5, history=y[:END])):
        np.testing.assert_array_equal(one, other)


def test_values_of_the_fit_that_are_given_anew_are_replaced(quiet):
    y = pd.Series(VALUES, MONTHS)
    net = fitted(y[:CUT])
    revised = y.copy()
    revised[CUT - 5 : CUT] += 3
    np.testing.assert_array_equal(net.predict(3, history=revised[CUT - 5 : CUT]), net.predict(3, history=revised[:CUT]))
    earlier = net.predict(3, history=y[CUT - 30 : CUT - 10])  # nothing after its end is read
    np.testing.assert_array_equal(earlier, net.predict(3, history=y[: CUT - 10]))


@pytest.mark.parametrize("joint", [False, True])
def test_columns_and_inputs_follow_theirs(joint, quiet):
    y = pd.DataFrame({"a": VALUES + 3 * INPUT[:, 0], "b": OTHER - 4 * INPUT[:, 0]}, MONTHS)
    X = pd.DataFrame(INPUT, MONTHS, columns=["price"])
    net = fitted(y[:CUT], X[:CUT], joint=joint)
    whole = net.predict(3, X[: END + 3], history=y[:END])
    np.testing.assert_array_equal(net.predict(3, X[CUT - 2 : END + 3], history=y[CUT - 2 : END]), whole)


def test_each_series_of_a_list_follows_its_own(quiet):
    rows = [pd.Series(VALUES, MONTHS), pd.Series(OTHER, MONTHS)]
    net = fitted([each[:CUT] for each in rows])
    whole = net.predict(3, history=[rows[0][:END], rows[1][: END - 4]])
    found = net.predict(3, history=[rows[0][CUT:END], rows[1][CUT - 9 : END - 4]])
    np.testing.assert_array_equal(found, whole)


def test_rows_of_a_table_follow_theirs(quiet):
    table = pd.DataFrame({"shop": ["a"] * N + ["b"] * N, "month": [*MONTHS] * 2, "price": np.tile(INPUT[:, 0], 2)})
    table["sold"], table["size"] = np.hstack([VALUES, OTHER]) - 4 * table.price, np.repeat([1.0, 2.0], N)
    net = fitted(table[table.month < MONTHS[CUT]], id="shop", time="month", known="price", static="size")
    history, ahead = table[table.month < MONTHS[END]], table[table.month >= MONTHS[END]].drop(columns="sold")
    whole = net.predict(3, ahead, history=history)
    found = net.predict(3, ahead, history=history[history.month >= MONTHS[CUT]])
    pd.testing.assert_frame_equal(found, whole)


def test_a_history_that_is_too_short_for_the_season_says_so():
    y = pd.Series(VALUES, MONTHS)
    net = fitted(y[:CUT])
    with pytest.warns(UserWarning, match=r"^the history has 1 step, and the forecast, .*\(12\), needs 24 to be"):
        net.predict(2, history=VALUES[CUT : CUT + 1])
    with pytest.warns(UserWarning, match="^the history has 11 steps"):  # a gap lies before it
        net.predict(2, history=y[CUT + 1 : END])
    with pytest.warns(UserWarning, match="^the history of series 1 has 23 steps"):
        fitted([VALUES[:CUT], OTHER[:CUT]]).predict(2, history=[VALUES[:24], OTHER[:23]])
