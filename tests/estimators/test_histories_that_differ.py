"""Histories, inputs and later values that differ from the fit: other columns, other steps, other dates."""

import numpy as np
import pytest

pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.filterwarnings("ignore:in the back-test nothing was better", "ignore:.*known inputs")

from pylstm import Forecaster, SequenceRegressor  # noqa: E402
from pylstm.forecasting import backtest  # noqa: E402

SMALL = {"hidden_size": 2, "epochs": 1, "random_state": 0}
T = 60
VALUES = 10 + 0.1 * np.arange(T) + np.random.default_rng(0).normal(size=T)
DAYS = pd.date_range("2024-01-01", periods=T + 10)
Y = pd.Series(VALUES, DAYS[:T], name="y")
X = pd.DataFrame({"p": np.arange(T + 10) % 7.0, "q": np.arange(T + 10) % 3.0}, DAYS)
TABLE = pd.DataFrame({"t": DAYS[:T], "y": VALUES, "p": X["p"].to_numpy()[:T], "kind": "x", "id": "a"})


@pytest.fixture(scope="module")
def shop():
    columns = {"time": "t", "id": "id", "target": "y", "known": ["p"], "static": ["kind"]}
    return Forecaster(**columns, **SMALL).fit(pd.concat([TABLE, TABLE.assign(id="b", kind="z")]))


@pytest.mark.parametrize("name", ["t", "y", "p", "kind", "id"])
def test_a_column_that_a_history_lacks(shop, name):
    history = pd.concat([TABLE.tail(5), TABLE.tail(5).assign(id="b", kind="z")])
    ahead = pd.concat([pd.DataFrame({"id": own, "t": DAYS[T : T + 2], "p": 1.0}) for own in "ab"])
    assert len(shop.predict(2, ahead, history=history[history.columns[::-1]].assign(more=1))) == 4
    with pytest.raises(ValueError, match=f"the table must have the columns of the fit, '{name}' is missing .it has"):
        shop.predict(2, ahead, history=history.drop(columns=name))
    if name in ("p", "id"):
        with pytest.raises(ValueError, match=f"X must have the columns of the fit, '{name}' is missing"):
            shop.predict(2, ahead.drop(columns=name), history=history)
    with pytest.raises(ValueError, match="the column 't' of X has no time in row 0: write it there"):
        shop.predict(2, ahead.assign(t=[None, *ahead["t"][1:]]), history=history)


def test_what_is_no_table():
    net = Forecaster(time="t", **SMALL).fit(TABLE[["t", "y"]])
    series = TABLE.set_index("t")["y"]
    with pytest.raises(TypeError, match=r"is needed, got a Series \(60,\): y.reset_index\(\) makes one"):
        net.predict(1, history=series)
    assert len(net.predict(1, history=series.reset_index())) == 1
    with pytest.raises(
        TypeError, match="is needed, got a list of DataFrames: put them below each other, with a column"
    ):
        Forecaster(time="t", **SMALL).fit([TABLE[["t", "y"]], TABLE[["t", "y"]]])


def test_three_rows_of_another_step_are_not_absent_ones():
    net = Forecaster(time="t", **SMALL).fit(TABLE[["t", "y"]])
    weekly = pd.DataFrame({"t": DAYS[:T:7][:3], "y": VALUES[:3]})
    with pytest.raises(ValueError, match="history must have steps of a day, as the fit, got steps of a week: rescale"):
        net.predict(1, history=weekly)
    assert net.predict(1, history=weekly, rescale=True)["t"][0] == DAYS[21]
    gap = TABLE[["t", "y"]].tail(4).drop(index=[58])
    with pytest.raises(ValueError, match=r"1 step \(of day\) is absent, the first 2024-02-28"):
        net.predict(1, history=gap)
    assert net.set_params(fill="linear").predict(1, history=gap)["t"][0] == DAYS[T]


@pytest.mark.parametrize("form", ["series", "list", "table", "months"])
def test_a_score_of_other_steps_is_refused(form):
    index = (
        DAYS if form != "months" else pd.Index(pd.period_range("2020-01", periods=T + 10, freq="M").strftime("%Y%m"))
    )
    y, split = pd.Series(VALUES, index[:T], name="y"), 50
    if form == "table":
        y = y.rename_axis("t").reset_index()
    net = Forecaster(time="t" if form == "table" else None, **SMALL)
    several = (lambda each: [each, each]) if form == "list" else lambda each: each
    net.fit(several(y.iloc[:split]))
    assert np.isfinite(net.score(several(y.iloc[split:])))
    with pytest.raises(
        ValueError, match=r"(y must begin one step after the series|dates of y must be those after the series)"
    ):
        net.score(several(y.iloc[split - 5 : split + 5]))
    if form != "table":
        assert np.isfinite(net.score(several(y.iloc[split - 5 : split + 5].to_numpy())))


def test_inputs_that_are_no_numbers_are_named():
    texts = X.assign(q="warm")
    with pytest.raises(TypeError, match="the column 'q' of X holds texts, the first 'warm': leave it out"):
        Forecaster(**SMALL).fit(Y, texts[:T])
    with pytest.raises(TypeError, match=r"the column 'q' of X\[1\] holds texts"):
        Forecaster(**SMALL).fit([Y, Y], [X[:T], texts[:T]])
    net = Forecaster(**SMALL).fit(Y, X[:T])
    with pytest.raises(TypeError, match="the column 'q' of X holds texts"):
        net.predict(2, texts[T : T + 2])
    with pytest.raises(
        ValueError, match="X must have the inputs of history and of the 2 steps to come, 7 rows, got 2: put"
    ):
        net.predict(2, X[T : T + 2], history=Y[-5:])
    assert len(net.predict(2, X[T - 5 : T + 2], history=Y[-5:])) == 2


def test_inputs_of_months_are_taken_by_their_months():
    months = pd.Index(pd.period_range("2020-01", periods=T + 10, freq="M").strftime("%Y%m").astype(int))
    y, inputs = Y.set_axis(months[:T]), X.set_axis(months)
    net = Forecaster(**SMALL).fit(y, inputs[:T])
    assert (net.predict(3, inputs) == net.predict(3, inputs[T : T + 3])).all()
    with pytest.raises(
        ValueError, match="the dates of X must be those of the steps to come: row 0 must be that of 202501"
    ):
        net.predict(3, inputs[:3])


def test_frequencies_and_fills_of_numbers():
    y = Y.reset_index(drop=True)
    assert Forecaster(freq=2, **SMALL).fit(y.set_axis(range(0, 2 * T, 2))).predict(1).index.tolist() == [2 * T]
    with pytest.raises(ValueError, match="freq of times that are numbers must be a number above 0, got 'D'"):
        Forecaster(freq="D", **SMALL).fit(y)
    assert Forecaster(fill="linear", **SMALL).fit(y.drop(5)).predict(1).index.tolist() == [T]
    with pytest.raises(
        ValueError, match=r"1 step \(of 1\) is absent from the index of y, the first 5: Forecaster\(fill"
    ):
        Forecaster(freq=1, **SMALL).fit(y.drop(5))
    with pytest.raises(
        ValueError, match="is not at a step of month after the first time; leave freq out, name another"
    ):
        Forecaster(freq="MS", **SMALL).fit(Y)
    daily = Forecaster(freq="D", **SMALL).fit(Y)
    assert daily.predict(1, history=y).index.tolist() == [T]


def test_messages_name_what_is_wrong():
    net = Forecaster(**SMALL).fit(Y)
    with pytest.raises(
        ValueError, match=r"the index of history must have equal steps: .* sort the rows \(history.sort_ind"
    ):
        net.predict(1, history=Y[::-1])
    with pytest.raises(
        ValueError, match=r"the index of values must have equal steps: .* sort the rows \(values.sort_ind"
    ):
        backtest(net, Y[::-1], hold_out=4, horizon=2)
    with pytest.raises(TypeError, match=r"history\[1\], 'y', holds texts"):
        net.predict(1, history=[Y, Y.astype(str)], rescale=True)


def test_periods_longer_than_the_steps_of_the_fit():
    net = Forecaster(time="t", **SMALL).fit(TABLE[["t", "y"]])
    with pytest.raises(
        ValueError, match="history must have steps of a day, as the fit, got periods of M: rescale=True"
    ):
        net.predict(1, history=pd.DataFrame({"t": pd.PeriodIndex(["2024-03"], freq="M"), "y": [1.0]}))
    days = pd.DataFrame({"t": pd.PeriodIndex(["2024-03-01"], freq="D"), "y": [1.0]})
    assert str(net.predict(1, history=days)["t"][0]) == "2024-03-02"


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_lists_of_frames_as_sequences(library):
    frames = [library({"a": np.arange(5.0) + k, "b": np.arange(5.0) % 3}) for k in range(30)]
    target = np.arange(30.0)
    texts = library({"a": ["u"] * 5, "b": np.arange(5.0)})
    dates = library({"a": DAYS[:5], "b": np.arange(5.0)})
    net = SequenceRegressor(hidden_size=2, epochs=1, random_state=0)
    with pytest.raises(
        ValueError, match=r"X\[7\]: the column 'a' holds text, such as 'u': leave it out, or make numbers"
    ):
        net.fit([*frames[:7], texts, *frames[8:]], target)
    with pytest.raises(TypeError, match=r"X\[7\]\['a'\] must be numbers, got .*atetime.*: pass numbers that say it"):
        net.fit([*frames[:7], dates, *frames[8:]], target)
    turned = frames[7][["b", "a"]]
    with pytest.raises(ValueError, match=r"got \['b', 'a'\] in X\[7\]: X\[7\]\[\['a', 'b'\]\] has them in this order"):
        net.fit([*frames[:7], turned, *frames[8:]], target)
    net.fit(frames, target)
    with pytest.raises(ValueError, match=r"got \['b', 'a'\]: each\[\['a', 'b'\]\] has them in this order"):
        net.predict([turned])
    assert net.predict([turned[["a", "b"]]]) == net.predict(frames[7:8])
