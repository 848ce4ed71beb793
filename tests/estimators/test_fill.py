"""`Forecaster(fill=)` for a Series or DataFrame with dates; histories of another step."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
import pandas as pd

from pylstm import Forecaster

DAYS = pd.date_range("2001-01-01", periods=60, freq="D")
VALUES = 20 + np.random.default_rng(0).normal(size=60).cumsum()
SMALL = {"hidden_size": 4, "epochs": 2, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:in the back-test:UserWarning")


def gapped(index):
    return pd.Series(VALUES, index, name="sold").drop(index[[10, 11, 30]])


@pytest.mark.parametrize(
    "index",
    [
        DAYS,
        DAYS.tz_localize("Europe/Rome"),
        DAYS.strftime("%d.%m.%Y"),
        pd.period_range("2001-01", periods=60, freq="M"),
        pd.date_range("2001-01-31", periods=60, freq="ME"),
    ],
    ids=["days", "zone", "texts", "periods", "months"],
)
@pytest.mark.parametrize(("fill", "place"), [("linear", 1 / 3), ("previous", 0), ("zero", None)])
def test_absent_steps_are_put_in(index, fill, place):
    full = pd.Series(VALUES, index, name="sold")
    full.iloc[[10, 11]] = 0 if place is None else VALUES[9] + np.array([1, 2]) * place * (VALUES[12] - VALUES[9])
    full.iloc[30] = 0 if place is None else VALUES[29] + (place > 0) * 0.5 * (VALUES[31] - VALUES[29])
    found, other = (
        Forecaster("gru", fill=each, **SMALL).fit(y).predict(3) for each, y in ((fill, gapped(index)), (None, full))
    )
    pd.testing.assert_series_equal(found, other, check_freq=False)


def test_frames_lists_inputs_and_histories_are_filled():
    y, X = gapped(DAYS), gapped(DAYS).rename("price") / 10
    options = {"fill": "linear", **SMALL}
    frame = pd.DataFrame({"a": y, "b": 2 * y})
    several = Forecaster("gru", **options).fit(frame).predict(2)
    assert several.index[0] == DAYS[-1] + DAYS.freq and list(several.columns) == ["a", "b"]
    first, second = Forecaster("gru", **options).fit([y, y[20:]]).predict(2)
    assert first.index[0] == second.index[0] == DAYS[-1] + DAYS.freq
    net = Forecaster("gru", **options).fit(y, X)
    ahead = np.ones((2, 1))
    pd.testing.assert_series_equal(
        net.predict(2, np.vstack([X.asfreq("D").interpolate().to_numpy()[:, None], ahead]), history=y),
        net.predict(2, ahead),
    )


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"absent from the index of y, .*: Forecaster\(fill='linear'\) puts them in"):
        Forecaster("gru", **SMALL).fit(gapped(DAYS))
    with pytest.raises(ValueError, match="fill needs dates, which say what is absent"):
        Forecaster("gru", fill="linear", **SMALL).fit(VALUES)
    with pytest.raises(ValueError, match="fill must be one of linear, previous, zero, got 'mean'"):
        Forecaster("gru", fill="mean", **SMALL).fit(gapped(DAYS))
    with pytest.raises(ValueError, match="the index of y must have equal steps"):
        Forecaster("gru", fill="linear", **SMALL).fit(gapped(DAYS)[::-1])


@pytest.mark.parametrize("kind", ["series", "offsets", "periods", "table"])
def test_a_history_of_another_step_is_refused(kind):
    work = pd.bdate_range("2001-01-01", periods=60)
    if kind == "table":
        net = Forecaster("gru", time="day", **SMALL).fit(pd.DataFrame({"day": DAYS, "y": VALUES}))
        same, other = (pd.DataFrame({"day": each, "y": VALUES}) for each in (DAYS + DAYS.freq, work))
    else:
        index = {"series": pd.DatetimeIndex(DAYS.to_numpy()), "offsets": DAYS, "periods": DAYS.to_period("D")}[kind]
        if kind == "series":
            work = pd.DatetimeIndex(work.to_numpy())
        net = Forecaster("gru", **SMALL).fit(pd.Series(VALUES, index))
        same, other = pd.Series(VALUES, index + (1 if kind == "periods" else DAYS.freq)), pd.Series(VALUES, work)
    net.predict(1, history=same)
    with pytest.raises(ValueError, match="history must have steps of a day, as the fit, got steps of a business day"):
        net.predict(1, history=other)
    net.predict(1, history=other, rescale=True)
    if kind in ("series", "table"):  # a week of days, or of business days
        net.predict(1, history=other.head(5))


def test_a_missing_value_of_a_table_and_fill():
    table = {"day": DAYS[:40], "sold": VALUES[:40].copy()}
    table["sold"][7] = np.nan
    with pytest.raises(ValueError, match="row 7, column 'sold': a missing value: leave the row out, and fill='"):
        Forecaster(time="day", fill="linear", **SMALL).fit(table)
    with pytest.raises(ValueError, match="row 7, column 'sold': a missing value: fill it, or leave the row out"):
        Forecaster(time="day", **SMALL).fit(table)
    without = pd.DataFrame(table).drop(index=7)
    assert len(Forecaster(time="day", fill="linear", **SMALL).fit(without).predict(2)) == 2
