"""Histories of a row or two, too few to say their step, go on with the steps of the fit: frames, lists, back-tests."""

import numpy as np
import pytest

pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.filterwarnings("ignore:in the back-test nothing was better")

from pylstm import Forecaster, load, save  # noqa: E402
from pylstm.forecasting import backtest  # noqa: E402

SMALL = {"hidden_size": 2, "epochs": 1, "random_state": 0}
T = 60
VALUES = 10 + 0.1 * np.arange(T) + np.random.default_rng(0).normal(size=T)
MONTHS = pd.period_range("2001-01", periods=T + 3, freq="M")


def stored(index):
    """Dates without the frequency that pandas keeps beside them."""
    return pd.DatetimeIndex(index.to_numpy())


INDICES = {
    "range": pd.RangeIndex(0, 2 * (T + 3), 2),
    "counter": pd.Index(np.arange(7, 7 + 5 * (T + 3), 5)),
    "float": pd.Index(np.arange(T + 3) * 0.5),
    "days": stored(pd.date_range("2001-01-01", periods=T + 3)),
    "with a frequency": pd.date_range("2001-01-01", periods=T + 3, freq="W-WED"),
    "month ends": stored(pd.date_range("2001-01-31", periods=T + 3, freq="ME")),
    "the 30th": pd.DatetimeIndex(
        [min(each.end_time.floor("D"), each.start_time + pd.Timedelta("29D")) for each in MONTHS]
    ),
    "business days": stored(pd.bdate_range("2001-01-01", periods=T + 3)),
    "business month ends": stored(pd.date_range("2001-01-31", periods=T + 3, freq="BME")),
    "third Fridays": stored(pd.date_range("2001-01-01", periods=T + 3, freq="WOM-3FRI")),
    "days in Berlin": pd.DatetimeIndex(list(pd.date_range("2001-02-01", periods=T + 3, tz="Europe/Berlin"))),
    "hours in Berlin": pd.DatetimeIndex(list(pd.date_range("2001-03-23", periods=T + 3, freq="h", tz="Europe/Berlin"))),
    "periods": MONTHS,
    "periods of two": pd.period_range("2001-01", periods=T + 3, freq="2M"),
    "texts": pd.Index(MONTHS.astype(str)),
    "German texts": pd.Index(pd.date_range("2001-01-01", periods=T + 3).strftime("%d.%m.%Y")),
    "dates of Python": pd.Index([each.date() for each in pd.date_range("2001-01-01", periods=T + 3)]),
    "times since a start": stored(pd.date_range("2001-01-01", periods=T + 3, freq="2h")) - pd.Timestamp("2001-01-01"),
    "months as numbers": pd.Index(MONTHS.strftime("%Y%m").astype(int)),
    "months as floats": pd.Index(MONTHS.strftime("%Y%m").astype(float)),
    "months as digits": pd.Index(MONTHS.strftime("%Y%m")),
    "days as numbers": pd.Index(pd.date_range("2001-01-01", periods=T + 3).strftime("%Y%m%d").astype(int)),
}


@pytest.mark.parametrize("name", INDICES)
def test_an_index_of_few_rows_goes_on_as_that_of_the_fit(name, tmp_path):
    index = INDICES[name]
    y = pd.Series(VALUES, index[:T], name="flow")
    net = Forecaster(**SMALL).fit(y)
    save(tmp_path / "net", net)
    for own in (net, load(tmp_path / "net")):
        for rows in (1, 2, 3, 7):
            found = own.predict(3, history=y.iloc[-rows:])
            assert list(found.index) == list(index[T:]) and found.index.dtype == index.dtype, rows


@pytest.mark.parametrize("name", ["range", "days", "months as floats", "business days"])
def test_frames_and_lists_do_as_series_do(name):
    index = INDICES[name]
    frame = pd.DataFrame({"a": VALUES, "b": VALUES[::-1]}, index[:T])
    assert list(Forecaster(**SMALL).fit(frame).predict(3, history=frame.iloc[-1:]).index) == list(index[T:])
    several = [frame["a"], frame["b"].iloc[:-10]]
    found = Forecaster(**SMALL).fit(several).predict(3, history=[each.iloc[-1:] for each in several])
    assert [list(each.index) for each in found] == [list(index[T:]), list(index[T - 10 : T - 7])]


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame, dict])
@pytest.mark.parametrize("kind", ["M8[D]", "M8[ms]", "float", "text"])
def test_tables_of_any_library_do_too(library, kind):
    days = np.datetime64("2001-01-31") + np.arange(T + 3)
    if kind == "float":
        times = np.arange(T + 3) * 0.25
    else:
        times = days.astype(str).astype(object) if kind == "text" else days.astype(kind)
    table = {"t": times[:T], "y": VALUES}
    net = Forecaster(time="t", **SMALL).fit(library(table))
    found = net.predict(3, history=library({name: values[-1:] for name, values in table.items()}))
    assert np.asarray(found["t"]).astype(times.dtype).tolist() == times[T:].tolist()


def test_each_id_has_steps_of_its_own():
    days = pd.DataFrame({"id": "d", "t": pd.date_range("2001-01-01", periods=T), "y": VALUES})
    months = pd.DataFrame({"id": "m", "t": pd.date_range("2001-01-31", periods=T, freq="ME"), "y": VALUES})
    net = Forecaster(time="t", id="id", **SMALL).fit(pd.concat([days, months]))
    found = net.predict(1, history=pd.concat([days.tail(1), months.tail(1)]))
    assert found["t"].astype(str).tolist() == ["2001-03-02", "2006-01-31"]


def test_few_rows_at_other_steps_are_refused():
    index = INDICES["range"]
    net = Forecaster(**SMALL).fit(pd.Series(VALUES, index[:T]))
    later = pd.Series([1.0, 2.0], [200, 203])
    with pytest.raises(ValueError, match="must have numbers that rise by 2, as the fit, got numbers that rise by 3"):
        net.predict(1, history=later)
    with pytest.warns(UserWarning, match="the history has 2 steps"):
        assert net.predict(1, history=later.to_numpy()).shape == (1,)
    assert net.predict(1, history=later, rescale=True).shape == (1,)
    net = Forecaster(**SMALL).fit(pd.Series(VALUES, INDICES["days"][:T]))
    with pytest.raises(ValueError, match="history must have steps of a day, as the fit, got steps of 12 hours"):
        net.predict(1, history=pd.Series([1.0, 2.0], pd.date_range("2001-04-01", periods=2, freq="12h")))
    with pytest.raises(ValueError, match=r"1 step \(of day\) is absent from the index of"):
        net.predict(1, history=pd.Series([1.0, 2.0], pd.to_datetime(["2001-04-01", "2001-04-03"])))
    with pytest.raises(ValueError, match="history must have steps of a day, as the fit, got months"):
        net.predict(1, history=pd.Series([1.0], ["2001-04"]))


def test_a_weekend_is_no_business_day():
    net = Forecaster(**SMALL).fit(pd.Series(VALUES, INDICES["business days"][:T]))
    with pytest.raises(ValueError, match="2001-03-24 00:00:00 is not a business day"):
        net.predict(1, history=pd.Series([1.0], pd.to_datetime(["2001-03-24"])))


def test_rows_that_are_numbered_from_0_say_no_times():
    y = pd.Series(VALUES, INDICES["days"][:T])
    assert Forecaster(**SMALL).fit(y).predict(2, history=y.reset_index(drop=True)).index.tolist() == [T, T + 1]
    found = Forecaster(**SMALL).fit(y.reset_index(drop=True)).predict(1, history=y)
    assert found.index.tolist() == [INDICES["days"][T]]


def test_a_history_in_another_time_zone_has_the_same_days():
    index = INDICES["days in Berlin"]
    net = Forecaster(**SMALL).fit(pd.Series(VALUES, index[:T]))
    elsewhere = pd.Series(VALUES, index[:T].tz_convert("UTC"))
    for rows in (1, 2, T):
        assert list(net.predict(3, history=elsewhere.iloc[-rows:]).index) == list(index[T:])
    table = pd.DataFrame({"t": index[:T], "y": VALUES})
    net = Forecaster(time="t", **SMALL).fit(table)
    later = table.assign(t=table["t"].dt.tz_convert("UTC")).tail(2)
    bare = pl.DataFrame({"t": later["t"].dt.tz_localize(None).to_numpy(), "y": later["y"].to_numpy()})
    for each in (later, bare.with_columns(pl.col("t").dt.replace_time_zone("UTC"))):
        assert [pd.Timestamp(day) for day in net.predict(3, history=each)["t"].to_list()] == list(index[T:])


def test_a_backtest_reads_times_as_a_forecast_does():
    days = INDICES["days"]
    net = Forecaster(**SMALL).fit(pd.Series(VALUES, days[:T]))
    gap = pd.Series(VALUES, days[:T]).drop(days[30])
    with pytest.raises(ValueError, match="is absent from the index of values"):
        backtest(net, gap, hold_out=4, horizon=2)
    weekly = pd.Series(VALUES, pd.date_range("2001-01-03", periods=T, freq="W"))
    with pytest.raises(ValueError, match="must have steps of a day, as the fit, got steps of a week"):
        backtest(net, weekly, hold_out=4, horizon=2)
    table = pd.DataFrame({"t": days[:T], "y": VALUES})
    net = Forecaster(time="t", **SMALL).fit(table)
    with pytest.raises(ValueError, match="must have steps of a day, as the fit, got steps of a week"):
        backtest(net, table.assign(t=weekly.index), hold_out=4, horizon=2)
