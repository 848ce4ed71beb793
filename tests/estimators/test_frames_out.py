"""Frames in, frames out: kind, names and index of the series, with the dates of the steps to come."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
import pylstm  # noqa: E402
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
    with pytest.raises(ValueError, match=r"1 step \(of day\) is absent from the index of y, the first 2001-01-11"):
        fitted(pd.Series(VALUES, index=index).drop(index[10]))


HOLIDAYS = ["2001-01-15", "2001-02-19", "2001-03-28"]
BERLIN = {"tz": "Europe/Berlin"}


def bare(index):
    """The same dates without a frequency."""
    return type(index)(list(index), name=index.name)


@pytest.mark.parametrize(
    ("every", "freq"),
    [
        (pd.date_range("2001-01-31", periods=62, freq="BME", name="month"), None),
        (pd.date_range("2001-01-31", periods=62, freq="BMS"), None),
        (pd.date_range("2001-01-31", periods=62, freq="BQE-NOV"), None),
        (pd.date_range("2001-01-31", periods=62, freq="BME"), "BME"),
        (pd.date_range("2001-01-31", periods=62, freq="WOM-3FRI"), None),
        (pd.date_range("2001-01-31", periods=62, freq="WOM-3FRI"), "WOM-3FRI"),
        (pd.date_range("2001-01-01", periods=62, freq=pd.offsets.CustomBusinessDay(holidays=HOLIDAYS)), "C"),
        (pd.date_range("2003-09-30", periods=62, freq="MS", **BERLIN), None),
        (pd.date_range("2003-10-24 12:00", periods=62, freq="h", **BERLIN), None),
        (pd.date_range("2003-03-28 12:00", periods=62, freq="h", **BERLIN), None),
        (pd.date_range("2003-10-24", periods=62, freq="h", **BERLIN), "h"),
        (pd.date_range("2003-10-24 22:30", periods=62, freq="30min", **BERLIN), None),  # the last are of the change
        (pd.date_range("2003-01-29", periods=62, freq="D", **BERLIN), None),  # the clock is changed behind the end
        (pd.date_range("2003-09-01", periods=62, freq="D", **BERLIN), None),
        (pd.date_range("2003-09-01", periods=62, freq="B", **BERLIN), None),
        (pd.timedelta_range("0h", periods=62, freq="15min", name="since"), None),
        (pd.timedelta_range("3D", periods=62, freq="D"), "D"),
        (pd.Index(0.25 * np.arange(62), name="seconds"), None),
        (pd.Index(pd.date_range("2001-01", periods=62, freq="MS").strftime("%Y-%m"), name="month"), None),
        (pd.Index(list(pd.date_range("2001-01", periods=62, freq="D").date)), None),
    ],
)  # fmt: skip
def test_an_index_without_a_frequency(every, freq, tmp_path):
    index = bare(every)
    y = pd.Series(VALUES, index=index[:60])
    net = Forecaster(hidden_size=3, epochs=1, random_state=0, freq=freq).fit(y)
    after = net.predict(2).index
    wanted = list(every[60:])
    if freq == "C":  # of the holiday that came after the series nothing is known
        assert pd.Timestamp(HOLIDAYS[-1]) > y.index[-1]
        wanted = [pd.Timestamp("2001-03-28"), pd.Timestamp("2001-03-29")]
    assert list(after) == wanted and type(after) is type(index) and after.name == index.name
    assert after.dtype == index.dtype
    pylstm.save(tmp_path / "f", net)
    assert list(pylstm.load(tmp_path / "f").predict(2).index) == wanted


@pytest.mark.parametrize("offset", ["CustomBusinessDay", "CustomBusinessMonthEnd", "CustomBusinessMonthBegin"])
@pytest.mark.parametrize("asked", [False, True])
def test_business_days_of_a_calendar(offset, asked):
    holidays = ["2001-01-31", "2001-02-19", "2001-03-28", "2001-03-29", "2005-12-30", "2006-02-01"]
    freq = getattr(pd.offsets, offset)(holidays=holidays, weekmask="Mon Tue Wed Thu Fri Sat")
    every = pd.date_range("2001-01-02", periods=62, freq=freq)
    y = pd.Series(VALUES, index=bare(every[:60]) if asked else every[:60])
    net = Forecaster(hidden_size=3, epochs=1, random_state=0, freq=freq if asked else None).fit(y)
    assert list(net.predict(2).index) == list(every[60:])


def test_hours_that_are_absent_where_the_clock_is_changed():
    y = pd.Series(VALUES, index=pd.date_range("2003-10-24 12:00", periods=60, freq="h", **BERLIN)).drop(
        pd.Timestamp("2003-10-25 12:00", **BERLIN)
    )
    with pytest.raises(ValueError, match=r"1 step \(of hour\) is absent from the index of y, the first 2003-10-25"):
        fitted(y)


def test_texts_that_are_not_dates_have_no_dates_to_come():
    assert list(fitted(pd.Series(VALUES, index=[f"row {k}" for k in range(60)])).predict(2).index) == [0, 1]


@pytest.mark.parametrize("library", [pd, pl])
def test_columns_of_dates_or_texts_are_no_series(library):
    days = np.arange("2001-01-01", "2001-03-02", dtype="M8[D]").astype("M8[us]")
    for column, message in (
        (days, r"the column 'd' of y holds dates: Forecaster\(time='d'\)"),
        (days.astype(str), "texts"),
    ):
        with pytest.raises(TypeError, match=message):
            fitted(library.DataFrame({"d": column, "y": VALUES}))


def test_periods_must_follow_each_other():
    every = pd.period_range("2001-01", periods=61, freq="M")
    for index in (every.delete(5), every[:60][::-1]):
        with pytest.raises(ValueError, match="the index of y must have every period once, in order: "):
            fitted(pd.Series(VALUES, index=index))


def test_other_refusals():
    days = pd.date_range("2001-01-01", periods=60)
    with pytest.raises(ValueError, match="the index of y has no time in row 3"):
        fitted(pd.Series(VALUES, index=days.where(np.arange(60) != 3)))
    halves = pd.DataFrame({"t": pd.date_range("2001-01-01", periods=60, freq="SMS"), "y": VALUES})
    with pytest.raises(ValueError, match=r"most others 2 weeks: say which, freq=\.\.\., or leave the times out"):
        Forecaster(time="t").fit(halves)
    with pytest.raises(TypeError, match="a LazyFrame of polars has no rows yet"):
        Forecaster(time="t").fit(pl.from_pandas(halves).lazy())


def test_an_offset_as_frequency_is_saved_by_its_name(tmp_path):
    y = pd.Series(VALUES, index=bare(pd.date_range("2001-01", periods=60, freq="BME")))
    net = Forecaster(hidden_size=3, epochs=1, random_state=0, freq=pd.offsets.BusinessMonthEnd()).fit(y)
    pylstm.save(tmp_path / "f", net)
    assert pylstm.load(tmp_path / "f").freq in ("BME", "BM")
    assert list(pylstm.load(tmp_path / "f").predict(2).index) == list(net.predict(2).index)
    days = pd.offsets.CustomBusinessDay(holidays=["2001-01-15"])
    net = Forecaster(hidden_size=3, epochs=1, random_state=0, freq=days).fit(
        pd.Series(VALUES, index=pd.date_range("2001-01-01", periods=60, freq=days))
    )
    with pytest.raises(ValueError, match="with days of its own cannot stand in a file: freq='C' takes"):
        pylstm.save(tmp_path / "f", net)


@pytest.mark.filterwarnings("ignore:the history")
@pytest.mark.parametrize("ids", [[], ["a", "b"]])
def test_a_history_of_one_row_goes_on_with_the_steps_of_the_fit(ids):
    months = pd.DataFrame({"t": pd.date_range("2001-01-01", periods=60, freq="MS"), "y": VALUES})
    later = pd.DataFrame({"t": [pd.Timestamp("2006-02-01")], "y": [1.0]})
    if ids:
        months, later = (pd.concat([each.assign(id=own) for own in ids]) for each in (months, later))
    net = Forecaster(hidden_size=3, epochs=1, random_state=0, time="t", id="id" if ids else None).fit(months)
    found = net.predict(2, history=later)["t"].dt.strftime("%Y-%m-%d").tolist()
    assert found == ["2006-03-01", "2006-04-01"] * max(1, len(ids))
    numbered = months.assign(t=np.tile(np.arange(0, 120, 2), max(1, len(ids))))
    net = Forecaster(hidden_size=3, epochs=1, random_state=0, time="t", id="id" if ids else None).fit(numbered)
    assert net.predict(2, history=later.assign(t=200))["t"].tolist() == [202, 204] * max(1, len(ids))
