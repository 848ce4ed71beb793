"""Forecasts of frames: columns by their names, dates by the frequency of their index."""

import numpy as np
import pytest

pytest.importorskip("sklearn")
pd = pytest.importorskip("pandas")

import pylstm  # noqa: E402
from pylstm import Forecaster  # noqa: E402
from pylstm.forecasting import backtest  # noqa: E402

Y = 3 + np.sin(np.arange(80) * np.pi / 6) + 0.05 * np.arange(80)
TWO = pd.DataFrame({"a": 1000 * Y, "b": Y})


def make(**options):
    return Forecaster("gru", 4, epochs=1, random_state=0, **options)


@pytest.fixture(scope="module")
def fitted():
    return make(combine=False).fit(TWO)


@pytest.mark.parametrize("way", ["predict", "predict_interval", "predict_quantiles", "sample"])
def test_a_history_is_read_by_the_names_of_its_columns(fitted, way):
    more = {"predict_quantiles": ([0.2, 0.5],)}.get(way, ())
    of = getattr(fitted, way)
    found, wanted = (of(2, *more, history=each) for each in (TWO[["b", "a"]], TWO))
    pairs = [(found, wanted)] if way == "predict" else list(zip(found, wanted))
    for one, other in pairs:
        pd.testing.assert_frame_equal(one, other)
        assert list(one.columns) == ["a", "b"] and (one["a"] > 100 * one["b"]).all()


def test_a_history_of_other_columns_is_refused_unless_it_is_rescaled(fitted):
    other = TWO.rename(columns={"a": "z"})
    with pytest.raises(ValueError, match=r"columns of the fit, 'a', 'b'; got 'z', 'b': rescale=True"):
        fitted.predict(2, history=other)
    assert list(fitted.predict(2, history=other, rescale=True).columns) == ["z", "b"]


def test_a_backtest_reads_columns_by_name(fitted):
    one, other = (backtest(fitted, each, hold_out=4, horizon=2) for each in (TWO, TWO[["b", "a"]]))
    assert one.errors() == other.errors() and one.errors()["model"]["mae"] > 0


def test_an_id_that_the_fit_does_not_know_is_refused():
    times = list(pd.date_range("2001-01-01", periods=80, freq="D"))
    table = pd.DataFrame({"id": ["a"] * 80 + ["b"] * 80, "t": times * 2, "v": np.concatenate([1000 * Y, Y])})
    forecaster = make(id="id", time="t", combine=False).fit(table)
    moved = table.replace({"id": {"a": "q"}})
    with pytest.raises(ValueError, match=r"ids of the fit, 'a', 'b'; got 'b', 'q'|got 'q', 'b'"):
        forecaster.predict(2, history=moved)
    assert set(forecaster.predict(2, history=moved, rescale=True)["id"]) == {"b", "q"}
    shuffled = table.sample(frac=1, random_state=0)
    found = forecaster.predict(2, history=shuffled)
    assert found[found["id"] == "a"]["v"].min() > 100 * found[found["id"] == "b"]["v"].max()


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (pd.bdate_range("2001-01-01", periods=80), None),
        (pd.bdate_range("2001-01-01", periods=5), ["2001-01-08", "2001-01-09"]),
        (pd.date_range("2001-01-31", periods=80, freq="BME"), ["2007-09-28", "2007-10-31"]),
        (pd.date_range("2001-01-31", periods=80, freq="W-WED"), None),
        (pd.date_range("2001-10-20", periods=200, freq="h", tz="Europe/Berlin"), None),
    ],
)
@pytest.mark.parametrize("stored", [False, True])
def test_the_dates_to_come_have_the_frequency_of_the_index(index, expected, stored, tmp_path):
    series = pd.Series(np.resize(Y, len(index)), index, name="v")
    forecaster = make(window=2, combine=False).fit(series)
    if stored:
        pylstm.save(tmp_path / "f.safetensors", forecaster)
        forecaster = pylstm.load(tmp_path / "f.safetensors")
    found = forecaster.predict(2).index
    wanted = pd.date_range(index[-1], periods=3, freq=index.freq)[1:]
    assert list(found) == list(wanted) and found.dtype == index.dtype
    assert expected is None or [str(each.date()) for each in found] == expected


def test_a_frequency_that_is_asked_for_comes_first():
    series = pd.Series(Y, pd.date_range("2001-01-01", periods=80, freq="D"))
    assert str(make(freq="D").fit(series).predict(1).index[0].date()) == "2001-03-22"


def test_several_levels_of_an_index_are_refused():
    levels = pd.MultiIndex.from_product([["a", "b"], range(40)])
    with pytest.raises(ValueError, match=r"2 levels: y\.reset_index\(\) .*id="):
        make().fit(pd.Series(Y, levels))


@pytest.mark.parametrize("fill", ["none", "mean", 0])
def test_fills_that_a_table_does_not_have_are_refused(fill):
    times = pd.date_range("2001-01-01", periods=81).delete(5)
    table = pd.DataFrame({"t": times, "v": Y})
    with pytest.raises(ValueError, match="fill must be one of linear, previous, zero or None"):
        make(time="t", fill=fill).fit(table)
    with pytest.raises(ValueError, match="absent") as error:
        make(time="t").fit(table)
    assert "none" not in str(error.value)
