"""Back-tests of a `Forecaster`: of frames, tables in long format and inputs, as it is or fitted anew."""

import numpy as np
import pytest

pd = pytest.importorskip("pandas")
pytest.importorskip("sklearn")

from pylstm import Forecaster  # noqa: E402
from pylstm.forecasting import backtest  # noqa: E402

SMALL = {"cell": "gru", "hidden_size": 4, "epochs": 1, "random_state": 0}
NAMES = {"id": "shop", "time": "day", "target": "sold", "known": ["promo"], "static": ["city"]}


def shops():
    rng, parts = np.random.default_rng(5), []
    for number, (shop, steps) in enumerate((("b", 70), ("a", 60))):
        promo = (rng.random(steps) < 0.3).astype(float)
        parts.append(
            pd.DataFrame(
                {
                    "shop": shop,
                    "day": pd.date_range("2024-02-01", periods=steps),
                    "promo": promo,
                    "city": "Rome" if number else "Oslo",
                    "sold": 20 * (1 + number) + 10 * promo + rng.normal(size=steps),
                }
            )
        )
    return pd.concat(parts)


@pytest.mark.parametrize("refit", [False, True])
def test_a_table_with_known_inputs(refit):
    table = shops()
    model = Forecaster(**SMALL, **NAMES)
    if not refit:
        model.fit(table[(table.groupby("shop").cumcount(ascending=False) >= 6)])
    shuffled = table.sample(frac=1, random_state=1) if not refit else table
    test = backtest(model, shuffled, hold_out=6, horizon=3, refit=refit, level=0.9)
    expected = np.stack([table["sold"][table["shop"] == shop][-6:] for shop in "ba"], axis=1)
    np.testing.assert_array_equal(test.measured, expected)
    assert test.errors()["model"]["mae"] < 2 < test.errors()["naive"]["mae"] and test.ends.shape == (2, 6, 2)
    assert model.id == "shop" and hasattr(model, "model_") != refit
    with pytest.raises(ValueError, match="inputs are columns of the table"):
        backtest(model, table, np.zeros((70, 1)), hold_out=6, horizon=3)


def test_frames_with_inputs_in_another_order():
    rng, days = np.random.default_rng(6), pd.date_range("2024-02-01", periods=70)
    X = pd.DataFrame(rng.normal(size=(70, 2)), columns=["price", "heat"], index=days)
    y = pd.Series(5 * X["price"] - 2 * X["heat"] + 0.1 * rng.normal(size=70), name="sold")
    model = Forecaster(**SMALL).fit(y[:60], X[:60])
    plain = backtest(model, y, X, hold_out=10, horizon=5)
    assert plain.errors()["model"]["mae"] < 0.5
    turned = backtest(model, y, X[["heat", "price"]], hold_out=10, horizon=5)
    np.testing.assert_array_equal(plain.forecasts["model"], turned.forecasts["model"])
    np.testing.assert_array_equal(plain.forecasts["model"][:5], model.predict(5, X[60:65]))
    with pytest.raises(ValueError, match="the dates of X must be those of y"):
        backtest(model, y[:60], X[10:], hold_out=10, horizon=5)


def test_the_season_of_an_unfitted_forecaster_is_found_before_the_hold_out():
    y = np.sin(np.arange(96) * np.pi / 6) * 5 + np.random.default_rng(1).normal(size=96)
    test = backtest(Forecaster(**SMALL), y, hold_out=12, horizon=12, refit=True)
    np.testing.assert_array_equal(test.forecasts["seasonal naive"], y[72:84])


@pytest.mark.filterwarnings("ignore:column 1 of the known inputs never varies")  # one shop, one city
def test_tables_of_other_series_are_refused():
    table = shops()
    model = Forecaster(**SMALL, **NAMES).fit(table)
    for wrong in (table.assign(shop=table["shop"].replace("b", "c")), table[table["shop"] == "a"]):
        with pytest.raises(ValueError, match=r"values must have the ids of the fit, 'b', 'a'; got .*refit=True"):
            backtest(model, wrong, hold_out=4, horizon=2)
    found = backtest(Forecaster(**SMALL, **NAMES), wrong, hold_out=4, horizon=2, refit=True)
    assert found.errors()
