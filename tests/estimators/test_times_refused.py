"""Months as numbers, and times that are none, missing or of several kinds: right, or refused with a cure."""

import datetime

import numpy as np
import pytest

pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.filterwarnings("ignore:in the back-test nothing was better", "ignore:the history has")

from pylstm import Forecaster  # noqa: E402

SMALL = {"hidden_size": 2, "epochs": 1, "random_state": 0}
T = 60
VALUES = 10 + 0.1 * np.arange(T) + np.random.default_rng(0).normal(size=T)
MONTHS = np.array([100 * year + month for year in range(2020, 2025) for month in range(1, 13)])
DAYS = pd.date_range("2020-01-01", periods=T)


def fit(times, form, fill=None, freq=None):
    """A forecaster of `times` in a column or an index, and the times of its forecast."""
    if form == "index":
        net = Forecaster(fill=fill, freq=freq, **SMALL).fit(pd.Series(VALUES[: len(times)], pd.Index(times)))
        return net, net.predict(2).index
    net = Forecaster(time="t", fill=fill, freq=freq, **SMALL)
    net.fit(pd.DataFrame({"t": times, "y": VALUES[: len(times)]}))
    return net, net.predict(2)["t"]


def asked(net, times, form, **options):
    """A forecast after a history of these times."""
    y = VALUES[: len(times)]
    history = pd.Series(y, pd.Index(times)) if form == "index" else pd.DataFrame({"t": times, "y": y})
    return net.predict(1, history=history, **options)


@pytest.mark.parametrize("form", ["column", "index"])
@pytest.mark.parametrize("kind", [int, float, str])
@pytest.mark.parametrize("fill", [None, "linear"])
def test_months_of_any_type(form, kind, fill):
    times = MONTHS.astype(kind).astype(object if kind is str else kind)
    if fill is None:
        with pytest.raises(ValueError, match=r"2 steps \(of month\) are absent.*the first 202109"):
            fit(np.delete(times, [20, 21]), form)
    else:
        times = np.delete(times, [20, 21])
    assert fit(times, form, fill)[1].tolist() == [kind(202501), kind(202502)]


@pytest.mark.parametrize("form", ["column", "index"])
@pytest.mark.parametrize("kind", [int, float, str])
@pytest.mark.parametrize(("row", "wrong"), [(12, 202013), (12, 2021), (0, 202000), (59, 202413), (30, -5)])
def test_a_month_that_is_none_is_named(form, kind, row, wrong):
    times = MONTHS.copy()
    times[row] = wrong
    with pytest.raises(ValueError, match=f"row {row}: '{wrong}' is not a month, as '20[0-9]*' is: correct it, or"):
        fit(times.astype(kind).astype(object if kind is str else kind), form)


def test_a_day_that_is_none_is_named():
    times = DAYS.strftime("%Y%m%d").astype(int).to_numpy().copy()
    times[59] = 20200230
    with pytest.raises(ValueError, match="row 59: '20200230' is not a day, as '20200101' is"):
        fit(times, "column")


@pytest.mark.parametrize("form", ["column", "index"])
def test_numbers_that_look_like_months_and_count_steps(form):
    times = np.arange(202001, 202015)
    with pytest.raises(ValueError, match=r"'202013' is not a month.* where these numbers count steps, pass freq=1"):
        fit(times, form)
    assert fit(times, form, freq=1)[1].tolist() == [202015, 202016]
    assert fit(np.arange(202001, 202001 + T), form)[1].tolist() == [202061, 202062]  # most are no months


@pytest.mark.parametrize("form", ["column", "index"])
def test_a_history_of_other_times_is_refused(form):
    months, counter = fit(MONTHS, form)[0], fit(np.arange(1, T + 1), form)[0]
    where = "the column 't'" if form == "column" else "the index of history"
    for times in ([1, 2, 3], [7], [0.5, 1.0]):
        with pytest.raises(ValueError, match=f"{where} must hold months such as 202401, as in the fit, got numbers"):
            asked(months, times, form)
        assert len(asked(months, times, form, rescale=True)) == 1
    for times, what in ((MONTHS[:10], "months such as 202401"), (DAYS, "dates"), (MONTHS[:1], "months")):
        with pytest.raises(ValueError, match=f"{where} must hold numbers, as in the fit, got {what}"):
            asked(counter, times, form)
    assert len(asked(months, list(DAYS[:1]), form)) == 1  # the first of a month
    with pytest.raises(ValueError, match="history must have steps of a month, as the fit, got steps of a day"):
        asked(months, DAYS[:3], form)


def test_texts_in_a_list_of_frames_are_named():
    good, names = pd.DataFrame({"x": VALUES}), ["u"] * T
    for library in (pd.DataFrame, pl.DataFrame):
        other = library({"x": VALUES, "shop": names})
        with pytest.raises(TypeError, match=r"the column 'shop' of y\[1\] holds texts, the first 'u': leave it out"):
            Forecaster(**SMALL).fit([good, other])
    mixed = good.assign(shop=[None, *VALUES[2:], "n/a"])
    with pytest.raises(TypeError, match="the column 'shop' of y holds texts, the first 'n/a'"):
        Forecaster(**SMALL).fit(mixed)
    with pytest.raises(TypeError, match=r"y\[1\], 'shop', holds texts"):
        Forecaster(**SMALL).fit([good["x"], pd.Series(names, name="shop")])
    with pytest.raises(TypeError, match=r"the column 'when' of y\[1\] holds dates: Forecaster\(time='when'\)"):
        Forecaster(**SMALL).fit([good, good.assign(when=DAYS)])
    with pytest.raises(ValueError, match=r"the index of y\[1\] must have equal steps: 2020-02-28.* sort the rows"):
        Forecaster(**SMALL).fit([good, good.set_index(DAYS[::-1])])


ZONED = [each.tz_localize("UTC" if k % 2 else "Asia/Tokyo") for k, each in enumerate(DAYS)]
MISSING = {
    "dates": DAYS,
    "texts": DAYS.astype(str).to_numpy(object),
    "dates of Python": np.array([each.date() for each in DAYS], object),
    "floats": np.arange(T, dtype=float),
    "periods": DAYS.to_period("D"),
    "zoned": DAYS.tz_localize("Asia/Tokyo"),
    "since": DAYS - DAYS[0],
}


@pytest.mark.parametrize("form", ["column", "index"])
@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("row", [0, 5, T - 1])
def test_a_missing_time_and_its_cure(form, kind, row):
    times = pd.Series(MISSING[kind], copy=True)
    times[row] = None
    with pytest.raises(ValueError, match=f"has no time in row {row}: write it there, or leave the row out") as found:
        fit(times, form)
    frame = pd.DataFrame({"t": times, "y": VALUES})
    if form == "index":
        y = frame.set_index("t")["y"]
        assert "y[y.index.notna()]" in str(found.value)
        if kind != "floats":  # absent numbers are warned of
            assert len(Forecaster(fill="linear", **SMALL).fit(y[y.index.notna()]).predict(1)) == 1
    else:
        assert "frame.dropna(subset=['t'])" in str(found.value)
        assert len(Forecaster(time="t", fill="linear", **SMALL).fit(frame.dropna(subset=["t"])).predict(1)) == 1


@pytest.mark.parametrize("times", [[pd.NaT] * T, [None] * T, [np.nan] * T, [""] * T])
def test_no_time_at_all(times):
    with pytest.raises(ValueError, match=r"the column 't' has no time in any row: name another, time=..., or leave"):
        fit(times, "column")
    with pytest.raises(ValueError, match=r"the index of y has no time in any row: y.reset_index\(drop=True\)"):
        fit(times, "index")


def test_missing_times_of_polars():
    for times in ([None, *DAYS[1:]], [None, *DAYS[1:].astype(str)], [None, *range(1, T)]):
        frame = pl.DataFrame({"t": times, "y": VALUES})
        with pytest.raises(ValueError, match=r"no time in row 0: .*: frame.drop_nulls\('t'\)"):
            Forecaster(time="t", **SMALL).fit(frame)
        assert len(Forecaster(time="t", **SMALL).fit(frame.drop_nulls("t")).predict(1)) == 1


@pytest.mark.parametrize("form", ["column", "index"])
@pytest.mark.parametrize(
    ("times", "text"),
    [
        (
            ZONED,
            "row 1: 2020-01-02 00:00:00.00:00 has another time zone than 2020-01-01 00:00:00.09:00: pandas.to_datet",
        ),
        ([DAYS[0], *ZONED[1:]], "row 0: 2020-01-01 00:00:00 has no time zone, and 2020-01-02 00:00:00.00:00 has one"),
        ([np.inf, *range(1, T)], "row 0: inf is not a time: correct it, or leave the row out"),
    ],
)
def test_times_of_several_kinds(form, times, text):
    with pytest.raises(ValueError, match=text):
        fit(pd.Series(times), form)
    if "UTC" in text:
        assert fit(pd.to_datetime(pd.Series(times), utc=True), form)


def test_dates_of_python_in_a_dict():
    zone = datetime.timezone(datetime.timedelta(hours=2))
    table = {"t": [each.to_pydatetime().replace(tzinfo=zone) for each in DAYS], "y": VALUES}
    with pytest.raises(ValueError, match=r"is a date of Python with a time zone: pandas.to_datetime"):
        Forecaster(time="t", **SMALL).fit(table)
    table["t"] = pd.to_datetime(table["t"], utc=True)
    assert str(Forecaster(time="t", **SMALL).fit(table).predict(1)["t"][0])[:13] == "2020-02-29T22"
    with pytest.raises(TypeError, match="the column 't' must hold dates or numbers that rise, got False"):
        Forecaster(time="t", **SMALL).fit({"t": np.arange(T) > 5, "y": VALUES})


def test_times_in_another_order_or_twice():
    down = pd.Series(VALUES, DAYS[::-1])
    with pytest.raises(ValueError, match=r"is not after the time before; sort the rows \(y.sort_index\(\)\)"):
        Forecaster(**SMALL).fit(down)
    assert Forecaster(**SMALL).fit(down.sort_index()).predict(1).index[0] == DAYS[-1] + DAYS.freq
    twice = pd.Series(VALUES, [*DAYS[:30], *DAYS[29:-1]])
    with pytest.raises(ValueError, match=r"is not after the time before; keep one of them, y\[~y.index.duplicated"):
        Forecaster(**SMALL).fit(twice)
    assert Forecaster(**SMALL).fit(twice[~twice.index.duplicated()]).predict(1).index[0] == DAYS[-1]
    months = pd.Series(
        VALUES, pd.PeriodIndex([*pd.period_range("2001-01", periods=T - 1, freq="M"), "2001-02"], freq="M")
    )
    with pytest.raises(ValueError, match="2001-02 is after 2005-11; sort the rows"):
        Forecaster(**SMALL).fit(months)
    with pytest.raises(ValueError, match=r"keep one of them, y\[~y.index.duplicated"):
        Forecaster(**SMALL).fit(months.sort_index())
