"""Dates as people write them, their steps, and what is absent among them."""

import numpy as np
import pytest

from pylstm.data.calendar import UnevenTimes, steps_of
from pylstm.data.frequency import steps_every
from pylstm.data.panel import RowError, grouped_rows, panel_of
from pylstm.data.timestamps import FORMS, DateError, DateForm, looks_like_date, read_dates, read_times, written

EVERY = np.array(["2003-11-29T13:05:09", "2001-01-31T00:00:00", "1999-12-05T12:30:00"], "M8[us]")


def packed(texts):
    return np.array(texts, "S")


@pytest.mark.parametrize(
    ("form", "padded"), [(form, padded) for form in FORMS for padded in (True, False) if padded or form != "%Y%m%d"]
)
def test_what_is_written_is_read(form, padded):
    texts = DateForm(form, padded).write(EVERY)
    dates, found = read_times(packed(texts), form)
    assert (found.pattern, found.write(dates)) == (form, texts)
    unit = "D" if "%d" in form else "W" if "%V" in form else "M"
    if "%q" not in form and "%V" not in form:
        assert (dates.astype(f"M8[{unit}]") == EVERY.astype(f"M8[{unit}]")).all()
    if "%S" in form:
        assert (dates == EVERY).all()
    assert all(looks_like_date(text) or text.isdecimal() for text in texts)


@pytest.mark.parametrize("text", ["2001", "3.5", "12:30", "2001-13-40x", "may be", "", "1,5", "10 000"])
def test_what_is_not_a_date(text):
    assert not looks_like_date(text)


@pytest.mark.parametrize(
    ("texts", "pattern", "expected"),
    [
        (["2001-02-03 04:05:06.25", "2001-02-03 04:05:06.75"], "%Y-%m-%d %H:%M:%S", "2001-02-03T04:05:07.25"),
        (["2001-02-03T04:05:06.5Z", "2001-02-03T04:05:07.5Z"], "%Y-%m-%dT%H:%M:%S", "2001-02-03T04:05:08.5"),
        (["3 Sept 2001", "4 Sep 2001"], "%d %b %Y", "2001-09-05"),
        (["february 2001", "march 2001"], "%b %Y", "2001-04"),
        (["12:00 AM", "1:00 AM"], None, None),
        (["1/31/2001 12:30 AM", "1/31/2001 1:30 AM"], "%m/%d/%Y %I:%M %p", "2001-01-31T02:30"),
    ],
)
def test_forms(texts, pattern, expected):
    if pattern is None:
        with pytest.raises(DateError):
            read_dates(packed(texts))
        return
    dates, form = read_dates(packed(texts))
    assert form.pattern == pattern and form.write(dates) == (texts if "Sept" not in texts[0] else form.write(dates))
    assert steps_of(dates).at([2])[0] == np.datetime64(expected)


def test_days_of_a_place_stay_such_where_the_clocks_change():
    texts = ["2020-03-27 00:00:00+01:00", "2020-03-28 00:00:00+01:00", "2020-03-29 00:00:00+01:00"]
    texts += ["2020-03-30 00:00:00+02:00", "2020-03-31 00:00:00+02:00"]
    dates, form = read_dates(packed(texts), utc=True)
    steps = steps_of(dates)
    assert str(steps) == "day" and form.write(steps.at([5])) == ["2020-04-01 00:00:00+02:00"]
    with pytest.raises(DateError, match="has another offset"):
        read_dates(packed(texts))
    hours = ["2020-03-29 01:00:00+01:00", "2020-03-29 03:00:00+02:00", "2020-03-29 04:00:00+02:00"]
    dates, form = read_dates(packed(hours), utc=True)
    assert str(steps_of(dates)) == "hour" and form.write(dates)[0] == "2020-03-29 00:00:00Z"


def test_zones_must_be_one():
    with pytest.raises(DateError, match=r"has another offset than .*: utc=True \(--utc\) takes") as caught:
        read_dates(packed(["2001-01-01T00:00+01:00", "2001-01-01T01:00+02:00"]))
    assert caught.value.row == 1
    with pytest.raises(DateError, match=r"has another offset than .*: write one to each"):
        read_dates(packed(["2001-01-01T00:00+01:00", "2001-01-01T01:00"]), utc=True)


def test_offsets_are_applied_where_all_are_of_utc():
    texts = ["2001-01-01T00:00:00.25+01:00", "2001-01-01T01:30:00.50+02:30", "2000-12-31T20:30:00.75-0330"]
    dates, form = read_dates(packed([*texts, "2001-01-01T02:00:01.00Z"]), utc=True)
    expected = ["2000-12-31T23:00:00.25", "2000-12-31T23:00:00.50", "2001-01-01T00:00:00.75", "2001-01-01T02:00:01.00"]
    assert dates.tolist() == np.array(expected, "M8[us]").tolist()
    assert form.write(dates[:1]) == ["2000-12-31T23:00:00.25Z"]
    same, form = read_dates(packed(["2001-01-01T00:00+01:00", "2001-01-02T00:00+01:00"]), utc=True)
    assert form.write(same) == ["2000-12-31T23:00Z", "2001-01-01T23:00Z"]
    plain, form = read_dates(packed(["2001-01-01T00:00", "2001-01-02T00:00"]), utc=True)
    assert form.zone == "" and str(plain[0]) == "2001-01-01T00:00:00.000000"


@pytest.mark.parametrize(
    ("texts", "row"),
    [
        (["2001-02-27", "2001-02-28", "2001-02-30"], 2),
        (["1.2.2001", "2.2.2001", "x"], 2),
        (["2001-01-01 10:00", "2001-01-01 24:00"], 1),
        (["1", "nan"], 1),
        (["2001-01-01", "2001-01-02 10:00"], 1),
    ],
)
def test_the_row_that_is_wrong(texts, row):
    with pytest.raises(DateError) as caught:
        read_times(packed(texts))
    assert caught.value.row == row


def test_a_form_that_has_no_such_letter():
    with pytest.raises(ValueError, match="got %x in '%x'"):
        read_dates(packed(["a"]), "%x")


@pytest.mark.parametrize(
    ("times", "step", "absent", "after"),
    [
        ([1.0, 2, 3, 5], "1", 1, 6.0),
        ([0.1, 0.2, 0.30000000000000004, 0.4], "0.1", 0, 0.5),
        (["2000-01-31", "2000-02-29", "2000-03-31", "2000-04-30"], "month", 0, "2000-05-31"),
        (["2000-02-29", "2001-02-28", "2002-02-28"], "year", 0, "2003-02-28"),
        (["2000-01-15", "2000-04-15", "2000-10-15"], "quarter", 1, "2001-01-15"),
        (["2000-01-03", "2000-01-10", "2000-01-17", "2000-01-31"], "week", 1, "2000-02-07"),
        (["2000-01-01T00:00", "2000-01-01T00:15", "2000-01-01T00:30"], "15 min", 0, "2000-01-01T00:45"),
        (["2000-01-01", "2000-01-03", "2000-01-05"], "2 days", 0, "2000-01-07"),
        (
            ["2000-01-05", "2000-01-06", "2000-01-07", "2000-01-10", "2000-01-11", "2000-01-12"],
            "business day",
            0,
            "2000-01-13",
        ),
    ],
)
def test_steps(times, step, absent, after):
    found = np.array(times, "M8[us]" if isinstance(times[0], str) else float)
    steps = steps_of(found)
    assert (str(steps), steps.absent) == (step, absent)
    ahead = steps.at([len(times) + absent])[0]
    assert ahead == (np.datetime64(after) if isinstance(after, str) else pytest.approx(after))
    kept = range(len(times) + absent) if not absent else steps.positions
    assert (np.abs((steps.at(kept) - found).astype(float)) < 1e-9).all()


@pytest.mark.parametrize(("times", "row"), [([1.0, 2, 2], 2), ([3.0, 2], 1), ([1.0, 2, 3, 3.5, 4.5], 3)])
def test_times_that_do_not_rise_evenly(times, row):
    with pytest.raises(UnevenTimes) as caught:
        steps_of(np.array(times))
    assert caught.value.row == row


def test_jitter_does_not_make_steps_absent():
    rng = np.random.default_rng(0)
    steps = steps_of(10.0 * np.arange(500) + rng.uniform(-0.4, 0.4, 500))
    assert steps.absent == 0 and steps.step == pytest.approx(10, rel=1e-3)


def test_numbers_are_written_shortly():
    assert written(np.array([1871.0, 0.1 + 0.2]), None) == ["1871", "0.3"]


@pytest.mark.parametrize("owner", [np.array([b"x", b"y", b"x", b"y"]), np.array([None, 3, None, 3], object)])
def test_ids_of_any_kind(owner):
    found = grouped_rows(owner, np.array([2.0, 1.0, 1.0, 2.0]), sort=True)
    assert [rows.tolist() for rows in found.rows] == [[2, 0], [1, 3]] and found.ids.tolist() == owner[:2].tolist()
    with pytest.raises(RowError, match=r"not after the time of the row before of .*: sort=True") as caught:
        grouped_rows(owner, np.array([2.0, 1.0, 1.0, 2.0]))
    assert (caught.value.row, caught.value.column) == (2, -1)


def test_gaps_are_filled_within_one_series():
    values, owner = np.array([[1.0], [np.nan], [3.0], [10.0], [np.nan], [30.0]]), np.repeat([0, 1], 3)
    panel = panel_of(values, owner=owner, interpolate=True)
    assert [each.ravel().tolist() for each in panel.values] == [[1, 2, 3], [10, 20, 30]] and panel.missing == 2
    with pytest.raises(RowError, match="at an end") as caught:
        panel_of(values, owner=np.array([0, 0, 1, 1, 1, 1]), interpolate=True)
    assert (caught.value.row, caught.value.column) == (1, 0)


def test_inputs_of_steps_to_come():
    values = np.array([[1.0], [2.0], [4.0], [np.nan], [np.nan]])
    known, times = np.arange(5.0)[:, None], np.array([1.0, 2, 4, 5, 6])
    panel = panel_of(values, known=known, times=times, fill="linear")
    assert panel.values[0].ravel().tolist() == [1, 2, 3, 4]
    assert panel.known[0].ravel().tolist() == [0, 1, 1.5, 2, 3, 4]
    with pytest.raises(RowError, match="a missing value") as caught:
        panel_of(values, known=np.array([[0.0], [1], [2], [3], [np.nan]]), times=times, fill="linear")
    assert (caught.value.row, caught.value.column) == (4, 1)


DAYS = {
    "last business days": ["2000-12-29", "2001-01-31", "2001-02-28", "2001-03-30", "2001-04-30", "2001-05-31"],
    "first business days": ["2001-01-01", "2001-02-01", "2001-03-01", "2001-04-02", "2001-05-01", "2001-06-01"],
    "the 15th or the Monday after": ["2001-04-16", "2001-05-15", "2001-06-15", "2001-07-16", "2001-08-15"],
    "ends of quarters": ["2000-09-29", "2000-12-29", "2001-03-30", "2001-06-29"],
}


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("last business days", ["2001-06-29", "2001-07-31"]),
        ("first business days", ["2001-07-02", "2001-08-01"]),
        ("the 15th or the Monday after", ["2001-09-17", "2001-10-15"]),
        ("ends of quarters", ["2001-09-28", "2001-12-31"]),
    ],
)
def test_days_of_months_that_are_business_days(kind, after):
    times = np.array(DAYS[kind], "M8[us]")
    steps = steps_of(times)
    assert (steps.kind, steps.absent, steps.at(np.arange(len(times))).tolist()) == ("month", 0, times.tolist())
    assert steps.at([len(times), len(times) + 1]).astype("M8[D]").astype(str).tolist() == after
    without = steps_of(np.delete(times, 1))
    assert without.absent == 1 and without.at([1])[0] == times[1]


def test_a_holiday_at_the_end_of_a_month():
    months = np.arange("2020-01", "2022-01", dtype="M8[M]")
    ends = np.busday_offset((months + 1).astype("M8[D]") - 1, 0, "backward")
    ends[ends == np.datetime64("2021-05-31")] = np.datetime64("2021-05-28")
    steps = steps_of(ends.astype("M8[us]"))
    assert (steps.kind, steps.roll, steps.at([24])[0]) == ("month", "backward", np.datetime64("2022-01-31"))
    asked = steps_every("CBME", ends.astype("M8[us]"))
    assert asked.holidays == (np.datetime64("2021-05-31"),) and asked.at([24])[0] == np.datetime64("2022-01-31")
    with pytest.raises(UnevenTimes, match="not at a step of month"):
        steps_every("BME", ends.astype("M8[us]"))


def test_business_days_with_holidays():
    every = np.arange("2001-01-01", "2001-03-01", dtype="M8[D]")
    days = every[np.is_busday(every, holidays=["2001-01-15", "2001-02-19"])].astype("M8[us]")
    assert steps_of(days).absent == 2
    steps = steps_every("C", days)
    assert steps.absent == 0 and [str(each) for each in steps.holidays] == ["2001-01-15", "2001-02-19"]
    assert steps.at(np.arange(len(days))).tolist() == days.tolist()
    assert steps.at([len(days), len(days) + 1]).astype("M8[D]").astype(str).tolist() == ["2001-03-01", "2001-03-02"]
    with pytest.raises(UnevenTimes, match="not a business day"):
        steps_every("C", np.array(["2001-01-05", "2001-01-06"], "M8[us]"))


@pytest.mark.parametrize(
    "times",
    [
        ["2001-03-15", "2001-03-31", "2001-04-15", "2001-04-30", "2001-05-15", "2001-05-31"],  # half months
        ["2001-03-01", "2001-03-31", "2001-04-30", "2001-05-31", "2001-06-30", "2001-07-31"],
    ],
)
def test_whole_days_have_no_jitter(times):
    with pytest.raises(UnevenTimes, match="after the time before, most others"):
        steps_of(np.array(times, "M8[us]"))


def test_steps_after_times_that_drift():
    seconds = np.cumsum(np.where(np.arange(5000) % 5 < 3, 600, 603))  # a median of 600, a mean of 601.2
    times = np.datetime64("2001-01-01", "us") + seconds.astype("m8[s]")
    steps = steps_of(times)
    assert steps.absent == 0 and steps.at([5000])[0] == times[-1] + np.timedelta64(600, "s")
