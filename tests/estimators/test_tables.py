"""Tables in long format: ids, times, known inputs, static columns; frames back, with dates, also after a file."""

import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

import pylstm  # noqa: E402
from pylstm import Forecaster  # noqa: E402

RNG = np.random.default_rng(3)
T = {"b": 50, "a": 60}
DAYS = np.arange("2001-01-01", "2001-04-01", dtype="M8[D]")
SMALL = {"hidden_size": 3, "epochs": 1, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore:in the back-test", "ignore:an interval of level")


def columns(known=False, static=False, ahead=0):
    rows = {name: [] for name in ("shop", "day", "sold", "lost")}
    rng = np.random.default_rng(7)
    for shop, steps in T.items():
        rows["shop"] += [shop] * (steps + ahead)
        rows["day"].append(DAYS[: steps + ahead])
        for name in ("sold", "lost"):
            rows[name].append(np.r_[20 + 0.3 * np.arange(steps) + rng.normal(size=steps), [np.nan] * ahead])
    found = {"shop": np.array(rows["shop"], object)} | {n: np.concatenate(rows[n]) for n in ("day", "sold", "lost")}
    N = len(found["day"])
    found |= {"price": rng.normal(size=N)} if known else {}
    if static:
        found["size"] = np.where(found["shop"] == "a", 3.0, 8.0)
        found["town"] = np.where(found["shop"] == "a", "Rome", "Oslo").astype(object)
    return found


MAKE = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "dict": dict}


def net(table, **options):
    return Forecaster("gru", **SMALL, **({"id": "shop", "time": "day"} | options)).fit(table)


def series(name="sold", table=None):
    table = columns() if table is None else table
    return [table[name][table["shop"] == shop] for shop in T]


@pytest.mark.parametrize("kind", MAKE)
def test_forecasts_are_those_of_the_series_with_their_days(kind, tmp_path):
    table = columns()
    shuffled = RNG.permutation(len(table["day"]))
    shuffled = np.r_[shuffled[table["shop"][shuffled] == "b"], shuffled[table["shop"][shuffled] == "a"]]
    fitted = net(MAKE[kind]({name: each[shuffled] for name, each in table.items()}), target="sold")
    plain = Forecaster("gru", **SMALL).fit(series())
    found = fitted.predict(3)
    assert type(found) is type(MAKE[kind](table))
    assert list(getattr(found, "columns", found)) == ["shop", "day", "sold"]
    assert list(found["shop"]) == ["b"] * 3 + ["a"] * 3
    np.testing.assert_array_equal(np.asarray(found["sold"]), np.concatenate(plain.predict(3)))
    days = np.asarray(found["day"]).astype("M8[D]")
    np.testing.assert_array_equal(days, np.r_[DAYS[50:53], DAYS[60:63]])
    if kind == "polars":
        assert found.schema["day"] == pl.Date
    low, high = fitted.predict_interval(3, 0.5)
    assert (np.asarray(low["sold"]) <= np.asarray(found["sold"])).all() and list(high["shop"]) == list(found["shop"])
    for each in (*fitted.predict_quantiles(3, [0.2, 0.9]), *fitted.sample(3, 2)):
        assert type(each) is type(found) and len(np.asarray(each["sold"])) == 6
    pylstm.save(tmp_path / "f", fitted)
    for copy in (pickle.loads(pickle.dumps(fitted)), pylstm.load(tmp_path / "f")):
        again = copy.predict(3)
        assert type(again) is type(found) and copy.get_params() == fitted.get_params()
        for name in ("shop", "day", "sold"):
            assert list(again[name]) == list(found[name])


@pytest.mark.parametrize("joint", [False, True])
def test_several_targets(joint):
    fitted = net(pd.DataFrame(columns()), joint=joint)
    found = fitted.predict(2)
    assert list(found.columns) == ["shop", "day", "sold", "lost"]
    if joint:
        plain = Forecaster("gru", **SMALL, joint=True).fit(
            [np.stack(pair, axis=1) for pair in zip(series(), series("lost"))]
        )
        np.testing.assert_array_equal(found[["sold", "lost"]], np.concatenate(plain.predict(2)))
    else:
        plain = Forecaster("gru", **SMALL).fit([each for pair in zip(series(), series("lost")) for each in pair])
        b_sold, b_lost, a_sold, a_lost = plain.predict(2)
        np.testing.assert_array_equal(found["sold"], np.r_[b_sold, a_sold])
        np.testing.assert_array_equal(found["lost"], np.r_[b_lost, a_lost])


@pytest.mark.parametrize("kind", MAKE)
def test_known_inputs_and_static_columns(kind, tmp_path):
    table = columns(known=True, static=True, ahead=4)
    options = {"target": "sold", "known": "price", "static": ["size", "town"], "combine": False}
    whole = net(MAKE[kind](table), **options)
    there = ~np.isnan(table["sold"])
    cut = net(MAKE[kind]({name: each[there] for name, each in table.items()}), **options)
    past = [np.nonzero((table["shop"] == shop) & there)[0] for shop in T]
    future = [np.nonzero((table["shop"] == shop) & ~there)[0] for shop in T]
    static = {"b": [8.0, 1.0, 0.0], "a": [3.0, 0.0, 1.0]}
    X = [
        [np.c_[table["price"][rows], np.tile(static[shop], (len(rows), 1))] for shop, rows in zip(T, part)]
        for part in (past, future)
    ]
    plain = Forecaster("gru", **SMALL, combine=False).fit([table["sold"][rows] for rows in past], X[0])
    expected = np.concatenate(plain.predict(4, X[1]))
    ahead = MAKE[kind]({name: table[name][~there][::-1] for name in ("shop", "day", "price")})
    for found in (whole.predict(4), cut.predict(4, ahead), whole.predict(4, ahead)):
        np.testing.assert_array_equal(np.asarray(found["sold"]), expected)
    pylstm.save(tmp_path / "f", whole)
    np.testing.assert_array_equal(np.asarray(pylstm.load(tmp_path / "f").predict(4)["sold"]), expected)
    np.testing.assert_array_equal(np.asarray(pylstm.load(tmp_path / "f").predict(4, ahead)["sold"]), expected)
    with pytest.raises(ValueError, match=r"price: 5 steps to come are needed of 'b', got 4: predict\(n, X\)"):
        whole.predict(5)
    with pytest.raises(ValueError, match="price: 1 steps to come are needed of 'b', got 0"):
        cut.predict(1)
    late = {
        name: np.asarray(each)[1:] for name, each in {n: table[n][~there] for n in ("shop", "day", "price")}.items()
    }
    with pytest.raises(ValueError, match=r"X must begin one step after .*: 2001-02-20.* is needed, got 2001-02-21"):
        cut.predict(3, MAKE[kind](late))
    newer = {name: each[there] for name, each in table.items()}
    history = MAKE[kind](
        {name: np.r_[each, each[-1:]] if name != "day" else np.r_[each, DAYS[60]] for name, each in newer.items()}
    )
    assert (
        np.asarray(
            cut.predict(2, MAKE[kind]({**{n: table[n][~there] for n in ("shop", "price")}}), history=history)["day"]
        )[-1]
        == DAYS[62]
    )


def test_wide_tables_have_times_alone():
    table = pd.DataFrame({"month": pd.date_range("2001-01-31", periods=60, freq="ME"), "flow": series()[1]})
    found = Forecaster("gru", **SMALL, time="month").fit(table).predict(2)
    assert found["month"].tolist() == list(pd.date_range("2006-01-31", periods=2, freq="ME"))
    plain = Forecaster("gru", **SMALL).fit(table["flow"])
    np.testing.assert_array_equal(found["flow"], plain.predict(2))
    later = pd.DataFrame({"month": found["month"], "flow": [1.0, 2.0]})
    fitted = Forecaster("gru", **SMALL, time="month").fit(table)
    assert fitted.score(later) == pytest.approx(plain.score(np.array([1.0, 2.0])))


TIMES = {
    "texts": ([f"{d}.{m}.2001" for m in (1, 2) for d in range(1, 29 if m == 2 else 32)], ["1.3.2001", "2.3.2001"]),
    "numbers": (list(range(1900, 1959)), [1959, 1960]),
    "periods": (pd.period_range("2001Q1", periods=59, freq="Q"), list(pd.period_range("2015Q4", periods=2, freq="Q"))),
    "zones": (
        pd.date_range("2001-01-01", periods=59, freq="h", tz="Asia/Tokyo"),
        list(pd.date_range("2001-01-03 11:00", periods=2, freq="h", tz="Asia/Tokyo")),
    ),
}


@pytest.mark.parametrize("form", TIMES)
def test_times_are_written_as_they_came(form, tmp_path):
    times, after = TIMES[form]
    table = pd.DataFrame({"when": times, "flow": series()[1][:59]})
    fitted = Forecaster("gru", **SMALL, time="when").fit(table)
    pylstm.save(tmp_path / "f", fitted)
    for each in (fitted, pylstm.load(tmp_path / "f")):
        assert each.predict(2)["when"].tolist() == after


def test_times_of_polars():
    when = pl.datetime_range(
        pl.datetime(2001, 1, 1), pl.datetime(2001, 1, 3, 10), "1h", time_zone="Asia/Tokyo", eager=True
    )
    table = pl.DataFrame({"when": when, "flow": series()[1][:59]})
    found = Forecaster("gru", **SMALL, time="when").fit(table).predict(2)
    assert found.schema["when"] == table.schema["when"]
    assert found["when"][1] - table["when"][-1] == np.timedelta64(2, "h").item()


@pytest.mark.parametrize("kind", ["pandas", "polars"])
@pytest.mark.parametrize(
    ("start", "freq"),
    [("2003-10-24 12:00", "h"), ("2003-03-28 12:00", "30min"), ("2003-09-15", "D"), ("2003-02-10", "D")],
)
def test_columns_of_a_zone_whose_clock_is_changed(kind, start, freq, tmp_path):
    every = pd.date_range(start, periods=61, freq=freq, tz="Europe/Berlin")
    table = pd.DataFrame(
        {"shop": ["a"] * 59 + ["b"] * 59, "when": list(every[:59]) * 2, "flow": np.tile(series()[1][:59], 2)}
    )
    if kind == "polars":
        when = pl.Series(every[:59].tz_convert("UTC").tz_localize(None).to_numpy()).dt.replace_time_zone("UTC")
        when = when.dt.convert_time_zone("Europe/Berlin")
        table = pl.DataFrame(
            {"shop": list(table["shop"]), "when": pl.concat([when] * 2), "flow": table["flow"].to_numpy()}
        )
    else:
        table = table.sample(frac=1, random_state=0)
    fitted = Forecaster("gru", **SMALL, id="shop", time="when").fit(table)
    pylstm.save(tmp_path / "f", fitted)
    for each in (fitted, pylstm.load(tmp_path / "f")):
        assert pd.DatetimeIndex(each.predict(2)["when"].to_list()).tolist() == list(every[59:]) * 2


def test_absent_business_days_may_be_holidays():
    every = pd.date_range("2001-01-01", periods=62, freq=pd.offsets.CustomBusinessDay(holidays=["2001-01-15"]))
    table = pd.DataFrame({"when": list(every[:59]), "flow": series()[1][:59]})
    with pytest.raises(ValueError, match=r"1 step .of business day. is absent, the first 2001-01-15.*freq='C' takes"):
        Forecaster("gru", **SMALL, time="when").fit(table)
    fitted = Forecaster("gru", **SMALL, time="when", freq="C").fit(table)
    assert fitted.predict(3)["when"].tolist() == list(every[59:])


def test_times_since_a_start():
    table = pd.DataFrame({"since": pd.timedelta_range("1D", periods=59, freq="6h"), "flow": series()[1][:59]})
    for each in (table, pl.from_pandas(table), {name: table[name].to_numpy() for name in table}):
        found = Forecaster("gru", **SMALL, time="since").fit(each).predict(2)["since"]
        assert pd.TimedeltaIndex(found).tolist() == [pd.Timedelta("15D 18h"), pd.Timedelta("16D")]
    with pytest.raises(ValueError, match=r"column 'since': 1 step .* is absent, the first 2 days"):
        Forecaster("gru", **SMALL, time="since").fit(table.drop(4))


FREQUENCIES = [
    ("MS", "2001-01-01", ["2001-02-01", "2001-03-01"]),
    ("ME", "2001-01-31", ["2001-02-28", "2001-03-31"]),
    ("ME", "2001-02-28", ["2001-03-31", "2001-04-30"]),
    ("MS", "2001-02-28", ["2001-03-28", "2001-04-28"]),
    ("QE-DEC", "2001-03-31", ["2001-06-30", "2001-09-30"]),
    ("2W", "2001-01-01", ["2001-01-15", "2001-01-29"]),
    ("B", "2001-01-05", ["2001-01-08", "2001-01-09"]),
    ("15min", "2001-01-01", ["2001-01-01 00:15", "2001-01-01 00:30"]),
]


@pytest.mark.parametrize(("freq", "start", "after"), FREQUENCIES)
def test_a_frequency_that_is_asked_for(freq, start, after):
    from pylstm.data.frequency import steps_every

    first = np.array([start], "M8[us]")
    np.testing.assert_array_equal(steps_every(freq, first).at([1, 2]), np.array(after, "M8[us]"))
    index = pd.DatetimeIndex(steps_every(freq, first).at(np.arange(60)))
    found = Forecaster("gru", **SMALL, freq=freq).fit(pd.Series(series()[1], index=index)).predict(2)
    np.testing.assert_array_equal(found.index.to_numpy(), steps_every(freq, first).at([60, 61]))
    table = pd.DataFrame({"t": index, "y": series()[1]})
    assert Forecaster("gru", **SMALL, time="t", freq=freq).fit(table).predict(1)["t"][0] == found.index[0]


def test_frequencies_that_do_not_fit():
    y = pd.Series(VALUES := series()[1], index=pd.date_range("2001-01-01", periods=60, freq="D"))
    with pytest.raises(ValueError, match="freq must be one of s, S, second"):
        Forecaster(freq="fortnight").fit(y)
    with pytest.raises(ValueError, match=r"the index of y must have equal steps: 2001-01-02 .*not at a step of month"):
        Forecaster(freq="MS").fit(y)
    with pytest.raises(ValueError, match=r"60 steps \(of 12 hours\) are absent|59 steps"):
        Forecaster(freq="12h").fit(y)
    with pytest.raises(ValueError, match="freq of times that are numbers must be a number above 0, got 'D'"):
        Forecaster(time="t", freq="D").fit({"t": np.arange(60), "y": VALUES})
    found = Forecaster("gru", **SMALL, time="t", freq=2).fit({"t": 2 * np.arange(60), "y": VALUES}).predict(2)
    assert found["t"].tolist() == [120, 122]


def test_absent_days_are_filled_or_refused():
    table = {name: np.delete(each, 10) for name, each in columns().items()}
    with pytest.raises(ValueError, match=r"row 10, column 'day': 1 step \(of day\) is absent, the first 2001-01-11"):
        net(table)
    filled = columns()["sold"].copy()
    filled[10] = (filled[9] + filled[11]) / 2
    expected = Forecaster("gru", **SMALL).fit([filled[:50], filled[50:]]).predict(2)
    found = net(table, target="sold", fill="linear").predict(2)
    np.testing.assert_allclose(found["sold"], np.concatenate(expected), rtol=1e-9)
    assert found["day"][0] == DAYS[50]


WRONG = {
    "unknown column 'shops'": (columns(), {"id": "shops"}),
    "the column 'sold' is named twice": (columns(), {"target": "sold", "known": "sold"}),
    "the column 'town' must hold numbers": (columns(static=True), {}),
    "the static column 'price' must have one value in a series, it changes in that of 'b'": (
        columns(known=True), {"target": "sold", "static": "price"},
    ),
    "known is for tables: name a column": (series()[0], {"id": None, "time": None, "known": "price"}),
    "a DataFrame or a dict of columns is needed": (series()[0], {}),
    "the column 'day' holds dates: time='day'": (columns(), {"time": None}),
    r"row 7, column 'sold': a missing value: fill it": (
        {n: np.where(np.arange(110) == 7, np.nan, e) if n == "sold" else e for n, e in columns().items()},
        {"target": "sold"},
    ),
    "the same time of 'b'": ({n: np.r_[e[:1], e] for n, e in columns().items()}, {"target": "sold"}),
    "no column is left": ({n: columns()[n] for n in ("shop", "day")}, {}),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_what_is_refused(message):
    table, options = WRONG[message]
    with pytest.raises((ValueError, TypeError), match=message):
        net(table, **options)


def test_other_refusals():
    fitted = net(columns(), target="sold")
    with pytest.raises(ValueError, match=r"inputs are columns of the table, known=\[...\]"):
        Forecaster(id="shop", time="day").fit(columns(), np.zeros(3))
    with pytest.raises(ValueError, match="X has known inputs, but there are none"):
        fitted.predict(2, columns())
    towns = net(columns(static=True), target="sold", static="town")
    other = columns(static=True)
    other["town"] = np.where(other["shop"] == "a", "Rome", "Bonn")
    with pytest.raises(ValueError, match="the static column 'town' must have values that the fit had, got 'Bonn'"):
        towns.predict(2, history=other)


@pytest.mark.parametrize(
    "y",
    [
        pd.Series(series()[1], index=pd.date_range("2001-01-01", periods=60, freq="MS", name="m"), name="flow"),
        pd.DataFrame({"a": series()[1], "b": -series()[1]}, index=pd.period_range("2001-01", periods=60, freq="M")),
        pd.Series(series()[1], index=range(1900, 2020, 2)),
        pd.Series(series()[1], index=list("ab" * 30)),
        pl.Series("flow", series()[1]),
        pl.DataFrame({"a": series()[1], "b": -series()[1]}),
        [pd.Series(series()[1], name=0), pd.Series(series()[0], index=pd.date_range("2001", periods=50, tz="UTC"))],
    ],
    ids=["months", "periods", "numbers", "texts", "polars Series", "polars frame", "list"],
)
def test_a_file_remembers_the_frame(y, tmp_path):
    fitted = Forecaster("gru", **SMALL).fit(y)
    pylstm.save(tmp_path / "f", fitted)
    read = pylstm.load(tmp_path / "f")
    pairs = [(fitted.predict(3), read.predict(3)), *zip(fitted.predict_interval(3), read.predict_interval(3))]
    pairs += zip(fitted.predict_quantiles(3, [0.2]), read.predict_quantiles(3, [0.2]))
    pairs += zip(fitted.sample(3, 2), read.sample(3, 2))
    for one, other in pairs:
        for a, b in zip(one, other) if isinstance(y, list) else [(one, other)]:
            assert type(a) is type(b) is type(y[0] if isinstance(y, list) else y)
            assert a.equals(b)
            if hasattr(a, "index"):
                assert a.index.equals(b.index) and a.index.name == b.index.name
    numbers = pd.Series(series()[1], index=range(1900, 2020, 2))
    assert Forecaster("gru", **SMALL).fit(numbers).predict(2).index.tolist() == [2020, 2022]


def test_names_that_a_file_cannot_hold_are_forgotten(tmp_path):
    fitted = Forecaster("gru", **SMALL).fit(pd.DataFrame({("a", 1): series()[1]}))
    pylstm.save(tmp_path / "f", fitted)
    assert isinstance(pylstm.load(tmp_path / "f").predict(2), np.ndarray)
    assert fitted.predict(2).columns.tolist() == [("a", 1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pickle.dumps(fitted)


def test_static_columns_without_a_value_and_ids_in_an_index():
    table = pd.DataFrame({"id": ["a"] * 20 + ["b"] * 20, "t": [*range(20)] * 2, "y": np.arange(40.0), "size": 3.0})
    model = Forecaster("gru", 4, epochs=1, id="id", time="t", target="y", static="size")
    table.loc[25, "size"] = np.nan
    with pytest.raises(ValueError, match="row 25, column 'size': a missing value: a static column needs all"):
        model.fit(table)
    with pytest.raises(
        ValueError, match=r"unknown column 'id' .*: frame.reset_index\(\) makes a column of the index 'id'"
    ):
        model.fit(table.set_index(["id", "t"]))


@pytest.mark.parametrize("kind", ["pandas", "polars", "dict"])
def test_a_table_of_steps_to_come_that_is_wrong(kind):
    options = {"id": "shop", "time": "day", "target": "sold", "known": ["price"]}
    table = {name: values for name, values in columns(known=True).items() if name != "lost"}
    net = Forecaster("gru", **SMALL, **options).fit(MAKE[kind](table))
    days = [*(DAYS[50:52]), *(DAYS[60:62])]
    ahead = {"shop": np.array(["b", "b", "a", "a"], object), "day": np.array(days), "price": np.array([1.0, 2, 3, 4])}
    assert list(net.predict(2, MAKE[kind](ahead))["shop"]) == ["b", "b", "a", "a"]
    other = {name: np.concatenate([each, each[:1]]) for name, each in ahead.items()} | {
        "shop": np.array([*ahead["shop"], "A"], object)
    }
    with pytest.raises(ValueError, match="X has rows of the series 'A', which the fit did not have: leave them out"):
        net.predict(2, MAKE[kind](other))
    gap = ahead | {"price": np.array([1.0, 2, np.nan, 4])}
    with pytest.raises(ValueError, match="row 2 of X, column 'price': a missing value: fill it"):
        net.predict(2, MAKE[kind](gap))


def test_rows_and_arrow_are_told_what_makes_a_table():
    net = Forecaster("gru", **SMALL, id="shop", time="day", target="sold")
    table = columns()
    rows = [dict(zip(table, each)) for each in zip(*table.values())]
    with pytest.raises(TypeError, match=r"pandas.DataFrame\(rows\) makes one"):
        net.fit(rows)
    frame = pd.DataFrame(table)
    arrow = SimpleNamespace(column_names=list(table), to_pandas=lambda: frame)  # what is known of a Table of pyarrow
    with pytest.raises(TypeError, match=r"pass table.to_pandas\(\)"):
        net.fit(arrow)
