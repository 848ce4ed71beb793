"""Inputs beside series: by their dates and names, never by position where these say otherwise."""

import warnings

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

import pylstm  # noqa: E402
from pylstm import Forecaster  # noqa: E402

DAYS = pd.date_range("2024-02-20", periods=70)
RNG = np.random.default_rng(4)
X = pd.DataFrame({"price": RNG.normal(size=70), "heat": RNG.normal(size=70)}, index=DAYS)
Y = pd.Series(5 * X["price"] - 2 * X["heat"] + 0.1 * RNG.normal(size=70), name="sold")
SMALL = {"cell": "gru", "hidden_size": 4, "epochs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def net():
    return Forecaster(**SMALL).fit(Y[:60], X[:60])


def test_columns_of_inputs_are_found_by_name(net, tmp_path):
    expected = net.predict(10, X[60:])
    np.testing.assert_allclose(expected, Y[60:], atol=0.6)
    pylstm.save(tmp_path / "net.safetensors", net)
    for each in (net, pylstm.load(tmp_path / "net.safetensors")):
        pd.testing.assert_series_equal(each.predict(10, X.loc[DAYS[60:], ["heat", "price"]]), expected)
        low, high = each.predict_interval(10, 0.8, X.loc[DAYS[60:], ["heat", "price"]])
        assert (low <= expected).all() and (expected <= high).all()
        with pytest.raises(
            ValueError, match="X must have the columns of the fit, 'price', 'heat'; got 'price', 'cold'"
        ):
            each.predict(10, X[60:].rename(columns={"heat": "cold"}))
    np.testing.assert_array_equal(net.predict(10, X[60:].to_numpy()), expected)


def test_inputs_of_more_dates_than_are_asked_for(net):
    expected = net.predict(4, X[60:64])
    for more in (X, X[60:], X.sample(frac=1, random_state=0)):
        pd.testing.assert_series_equal(net.predict(4, more), expected)
    low, high = net.predict_interval(4, 0.8, X)
    assert (low <= expected).all() and (expected <= high).all()
    with pytest.raises(ValueError, match=r"must have shape \(4, 2\), got \(62, 2\)"):  # the last of the four is absent
        net.predict(4, X[:62])
    with pytest.raises(ValueError, match=r"must have shape \(4, 2\), got \(80, 2\)"):  # two rows of a date
        net.predict(4, pd.concat([X, X[60:]]))


def test_inputs_of_other_dates_are_refused(net):
    with pytest.raises(ValueError, match="the dates of X must be those of y: row 0 must be that of 2024-02-20"):
        Forecaster(**SMALL).fit(Y[:60], X[10:])
    with pytest.raises(ValueError, match="the dates of X must be those of y"):
        Forecaster(**SMALL).fit([Y[:60], Y[:60]], [X[:60], X[10:]])
    with pytest.raises(ValueError, match="those of the steps to come: row 0 must be that of 2024-04-20"):
        net.predict(4, X[61:65])
    with pytest.raises(ValueError, match="row 2 must be that of 2024-04-22"):
        net.predict(4, X.iloc[[60, 61, 63, 62]])
    with pytest.raises(ValueError, match="those of history and of the steps to come"):
        net.predict(2, X[:67], history=Y[:65].iloc[:65].set_axis(DAYS[2:67]))
    zoned = X.tz_localize("Europe/Berlin")
    with pytest.raises(ValueError, match="the dates of X"):
        net.predict(4, zoned[60:64])


def test_inputs_without_dates_stand_in_their_order(net):
    expected = net.predict(4, X[60:64])
    for known in (X[60:64].reset_index(drop=True), X[60:64].to_numpy(), X[60:64].to_numpy().tolist()):
        np.testing.assert_array_equal(net.predict(4, known), expected)
    later = net.predict(2, X[:68], history=Y[:66])
    np.testing.assert_allclose(later, Y[66:68], atol=0.6)
    np.testing.assert_array_equal(net.predict(2, X[:68].to_numpy(), history=Y[:66].to_numpy()), later)


def test_names_differ_from_series_to_series():
    with pytest.raises(ValueError, match="X must have the columns of the fit"):
        Forecaster(**SMALL).fit([Y[:60], Y[:60]], [X[:60], X[:60].rename(columns={"heat": "cold"})])


@pytest.mark.parametrize(
    "numbers, message, following",
    [
        (range(60, 0, -1), "numbers that do not rise, 59 after 60", [0, 1, 2]),
        ([*range(30), *range(30)], "numbers that do not rise, 0 after 29", [0, 1, 2]),
        ([*range(1960, 1990), *range(1991, 2021)], "numbers with uneven steps, 1991 after 1989", [2021, 2022, 2023]),
    ],
)
def test_uneven_numbers_of_an_index_are_told_of(numbers, message, following):
    y = pd.Series(np.arange(60) + RNG.normal(size=60), index=list(numbers))
    with pytest.warns(UserWarning, match=message):
        net = Forecaster(**SMALL).fit(y)
    assert net.predict(3).index.tolist() == following


@pytest.mark.parametrize("numbers", [range(5, 65), range(5, 125, 2), np.arange(60, dtype="uint8"), 0.1 * np.arange(60)])
def test_even_numbers_of_an_index_are_not(numbers):
    y = pd.Series(np.arange(60) + 0.1 * np.arange(60) % 3, index=pd.Index(numbers))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Forecaster(**SMALL).fit(y).predict(2).index
    np.testing.assert_allclose(found, numbers[-1] + (numbers[-1] - float(numbers[-2])) * np.array([1, 2]))


def test_sktime_inputs_of_other_times_are_refused():
    pytest.importorskip("sktime")
    from pylstm.estimators.sktime import SktimeForecaster

    net = SktimeForecaster(Forecaster(**SMALL)).fit(Y[:60].asfreq("D"), X=X[:60].asfreq("D"), fh=[1, 2])
    np.testing.assert_allclose(net.predict(X=X[60:62]), Y[60:62], atol=0.6)
    with pytest.raises(ValueError, match="X must have a row at every time that is asked for, none at 2024-04-20"):
        net.predict(X=X[61:63])
    more = SktimeForecaster(Forecaster(**SMALL)).fit(Y[5:60].asfreq("D"), X=X.asfreq("D"), fh=[1, 2])
    np.testing.assert_allclose(more.predict(X=X), Y[60:62], atol=0.6)


def test_inputs_of_other_numbers_are_refused():
    years = pd.RangeIndex(1950, 2020)
    x, y = X.set_axis(years), Y.set_axis(years)
    net = Forecaster(**SMALL).fit(y[:60], x[:60])
    expected = net.predict(4, x[60:64])
    assert list(expected.index) == [2010, 2011, 2012, 2013]
    np.testing.assert_array_equal(net.predict(4, x[60:64].reset_index(drop=True)), expected)
    for wrong in (x[:60][::-1], x[1:61], x[:60].sample(frac=1, random_state=0)):
        with pytest.raises(ValueError, match="the numbers of X must be those of y: row 0 must be that of 1950"):
            Forecaster(**SMALL).fit(y[:60], wrong)
    with pytest.raises(ValueError, match="those of the steps to come: row 0 must be that of 2010, got 2011"):
        net.predict(4, x[61:65])
    plain = Forecaster(**SMALL).fit(Y[:60].reset_index(drop=True), X[:60].reset_index(drop=True))
    np.testing.assert_allclose(plain.predict(4, X.reset_index(drop=True)[60:64]), expected)
    with pytest.raises(ValueError, match="the numbers of X must be those of y: row 0 must be that of 0, got 5"):
        Forecaster(**SMALL).fit(Y[:60].reset_index(drop=True), X.reset_index(drop=True)[5:65])
