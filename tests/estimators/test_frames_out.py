"""Frames in, frames out: kind, names and index of the series, with the dates of the steps to come."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
from pylstm import Forecaster  # noqa: E402

VALUES = np.sin(np.arange(60.0)) + 0.1 * np.arange(60)


def fitted(y, X=None):
    return Forecaster(hidden_size=3, epochs=1, random_state=0).fit(y, X)


@pytest.mark.parametrize(
    ("index", "after"),
    [
        (pd.date_range("2001-01-31", periods=60, freq="ME", name="month"), ["2006-01-31", "2006-02-28"]),
        (pd.date_range("2001-01-01", periods=60, freq="MS"), ["2006-01-01", "2006-02-01"]),
        (pd.date_range("2001-01-01", periods=60, freq="D"), ["2001-03-02", "2001-03-03"]),
        (pd.DatetimeIndex(list(pd.date_range("2001-01-01", periods=60, freq="B"))), ["2001-03-26", "2001-03-27"]),
        (pd.date_range("2001-01-01", periods=60, freq="6h", tz="Asia/Tokyo"), ["2001-01-16", "2001-01-16 06:00"]),
        (pd.period_range("2001Q1", periods=60, freq="Q"), ["2016Q1", "2016Q2"]),
        (pd.RangeIndex(60), [60, 61]),
        (pd.Index(range(1900, 1960), name="year"), [1960, 1961]),
    ],
)  # fmt: skip
def test_a_series_of_pandas(index, after):
    y = pd.Series(VALUES, index=index, name="flow")
    net = fitted(y)
    forecast, arrays = net.predict(2), fitted(VALUES).predict(2)
    assert isinstance(forecast, pd.Series) and forecast.name == "flow" and forecast.index.name == index.name
    assert forecast.tolist() == arrays.tolist()
    if isinstance(index, pd.DatetimeIndex):
        after = [pd.Timestamp(each, tz=index.tz) for each in after]
    elif isinstance(index, pd.PeriodIndex):
        after = [pd.Period(each) for each in after]
    assert forecast.index.tolist() == after
    low, high = net.predict_interval(2, 0.5)
    assert low.index.equals(forecast.index) and (low.to_numpy() <= high.to_numpy()).all()
    more = net.predict(1, history=y[:-1])
    assert more.index.tolist() == [index[-1]]


def test_a_frame_of_pandas():
    y = pd.DataFrame({"a": VALUES, "b": -VALUES}, index=pd.date_range("2001-01-01", periods=60, freq="W"))
    forecast = fitted(y).predict(3)
    assert list(forecast.columns) == ["a", "b"] and forecast.index[0] == pd.Timestamp("2002-03-03")
    assert forecast.to_numpy().tolist() == fitted(y.to_numpy()).predict(3).tolist()


def test_frames_of_polars():
    forecast = fitted(pl.Series("flow", VALUES)).predict(2)
    assert isinstance(forecast, pl.Series) and forecast.name == "flow" and len(forecast) == 2
    forecast = fitted(pl.DataFrame({"a": VALUES, "b": -VALUES})).predict(2)
    assert isinstance(forecast, pl.DataFrame) and forecast.columns == ["a", "b"] and forecast.shape == (2, 2)


def test_a_list_of_series():
    y = [pd.Series(VALUES[:T], index=pd.date_range("2001-01-01", periods=T, freq="MS")) for T in (60, 48)]
    first, second = fitted(y).predict(1)
    assert first.index[0] == pd.Timestamp("2006-01-01") and second.index[0] == pd.Timestamp("2005-01-01")


def test_arrays_stay_arrays():
    assert isinstance(fitted(VALUES).predict(2), np.ndarray) and isinstance(fitted([VALUES, VALUES]).predict(2), list)
    net = fitted(pd.Series(VALUES))
    assert isinstance(net.predict(2, history=VALUES), np.ndarray)
    assert isinstance(net.fit(VALUES).predict(2), np.ndarray)


def test_an_index_that_is_not_even():
    index = pd.date_range("2001-01-01", periods=60)
    with pytest.raises(ValueError, match=r"the index of y must have equal steps: 2001-02-28 .*sort the rows"):
        fitted(pd.Series(VALUES, index=index[::-1]))
    with pytest.raises(ValueError, match=r"1 steps \(of day\) are absent from the index of y, the first 2001-01-11"):
        fitted(pd.Series(VALUES, index=index).drop(index[10]))
