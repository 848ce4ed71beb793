"""`backtest`: what a model may see before each forecast, refits, intervals, the table."""

import numpy as np
import pytest

from pylstm.forecasting import Backtest, ForecastModel, backtest, naive, seasonal_naive

VALUES = np.random.default_rng(3).normal(size=40).cumsum()


class Model:
    """Forecasts the mean of what it sees, or of what it was fitted on."""

    fits = 0

    def fit(self, y, bias=0.0):
        self.y, self.bias, self.fits = np.array(y), bias, self.fits + 1

    def predict(self, n, history=None):
        return np.full(n, (self.y if history is None else history).mean() + self.bias)

    def predict_interval(self, n, level, history=None):
        middle = self.predict(n, history=history)
        return middle - 2 * level, middle + 2 * level


def fitted(bias=0.0):
    model = Model()
    model.fit(VALUES[:20], bias)
    return model


def blocks(first):
    """Mean of what is seen before each of three forecasts."""
    return np.concatenate([np.full(n, VALUES[first(begin) : begin].mean()) for begin, n in ((28, 5), (33, 5), (38, 2))])


def test_an_expanding_and_a_sliding_window():
    given = {"hold_out": 12, "horizon": 5, "season": 4}
    wide, narrow = (backtest(fitted(), VALUES, **given, sliding=sliding) for sliding in (None, 6))
    np.testing.assert_allclose(wide.forecasts["model"], blocks(lambda begin: 0))
    np.testing.assert_allclose(narrow.forecasts["model"], blocks(lambda begin: begin - 6))
    for test in (wide, narrow):
        for name, expected in {
            "naive": [naive(VALUES[:28], 5), naive(VALUES[:33], 5), naive(VALUES[:38], 2)],
            "seasonal naive": [seasonal_naive(VALUES[:b], n, 4) for b, n in ((28, 5), (33, 5), (38, 2))],
        }.items():
            np.testing.assert_array_equal(test.forecasts[name], np.concatenate(expected))
    assert wide.ends is None and wide.coverage is None


@pytest.mark.parametrize("sliding", [None, 6])
def test_a_refit_sees_what_was_measured_before(sliding):
    model = fitted()
    test = backtest(model, VALUES, hold_out=12, horizon=5, refit=True, sliding=sliding, fit_options={"bias": 0.5})
    expected = blocks(lambda begin: begin - sliding if sliding else 0) + 0.5
    np.testing.assert_allclose(test.forecasts["model"], expected)
    assert model.fits == 1 and len(model.y) == 20


def test_intervals_are_counted():
    test = backtest(fitted(), VALUES, hold_out=12, horizon=5, level=0.75)
    np.testing.assert_allclose(test.ends, test.forecasts["model"] + np.array([[-1.5], [1.5]]))
    inside = np.abs(test.forecasts["model"] - VALUES[28:]) <= 1.5
    assert test.coverage == inside.mean() and 0 < test.coverage < 1
    assert f"{100 * inside.mean():.1f} % of 12 values within the intervals" in test.table()


def test_progress_and_the_table(capsys):
    test = backtest(fitted(), VALUES, hold_out=12, horizon=5, season=4, progress=True)
    assert capsys.readouterr().err == "\rforecast 1 of 3\rforecast 2 of 3\rforecast 3 of 3\n"
    lines = test.table().splitlines()
    assert [line[:16].strip() for line in lines] == ["forecast", "model", "naive", "seasonal naive"]
    errors, ratios = test.errors(), test.ratios()
    assert float(lines[1].split()[1]) == pytest.approx(errors["model"]["mae"], rel=1e-3)
    assert float(lines[3].split()[-1]) == pytest.approx(ratios["seasonal naive"], abs=1e-3)
    assert isinstance(test, Backtest)


def test_a_real_model():
    model = ForecastModel("gru", 3, window=8, seed=0)
    model.fit(VALUES[:28], epochs=1, validation=0.2)
    test = backtest(model, VALUES, hold_out=12, horizon=5, level=0.5)
    np.testing.assert_array_equal(test.forecasts["model"][5:10], model.predict(5, history=VALUES[:33]))
    again = backtest(
        model, VALUES, hold_out=12, horizon=12, refit=True, fit_options={"epochs": 1, "validation": 0.2}, level=0.5
    )
    np.testing.assert_array_equal(again.forecasts["model"], model.predict(12))


@pytest.mark.parametrize(("options", "message"), [
    ({"fit_options": {"bias": 1}}, "fit_options needs refit=True"),
    ({"sliding": 3, "season": 4}, "sliding must be at least the season, 4, got 3"),
    ({"sliding": 0}, "sliding must be at least 1"),
    ({"hold_out": 40}, "a series of 40 steps has 0 before the hold-out of 40; at least 1 are needed"),
])  # fmt: skip
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        backtest(fitted(), VALUES, **{"hold_out": 12, "horizon": 5} | options)


class Adds(Model):
    """Forecasts the last value and adds the input of each step."""

    def fit(self, y, exogenous, bias=0.0):
        assert len(y) == len(exogenous)
        super().fit(y, bias)

    def predict(self, n, history=None, exogenous=None):
        last = self.y[-1] if history is None else history[-1]
        assert len(exogenous) == n + (0 if history is None else len(history))
        return last + exogenous[-n:, 0]


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("sliding", [None, 6])
def test_known_inputs_are_those_of_the_steps(refit, sliding):
    inputs = np.random.default_rng(4).normal(size=(40, 2))
    model = Adds()
    model.fit(VALUES, inputs)
    test = backtest(model, VALUES, inputs, hold_out=12, horizon=5, refit=refit, sliding=sliding)
    expected = np.concatenate([VALUES[b - 1] + inputs[b : b + n, 0] for b, n in ((28, 5), (33, 5), (38, 2))])
    np.testing.assert_array_equal(test.forecasts["model"], expected)
    with pytest.raises(ValueError, match="exogenous must have as many steps as values"):
        backtest(model, VALUES, inputs[1:], hold_out=12, horizon=5)


@pytest.mark.parametrize("refit", [False, True])
def test_series_of_any_lengths(refit):
    first, second = VALUES, VALUES[:25] + 7
    model = ForecastModel("gru", 3, window=6, seed=1)
    model.fit([first[:28], second[:13]], epochs=1)
    options = {"refit": True, "fit_options": {"epochs": 1}} if refit else {}
    test = backtest(model, [first, second], hold_out=12, horizon=5, **options)
    assert test.measured.shape == (12, 2)
    np.testing.assert_array_equal(test.measured, np.stack([first[-12:], second[-12:]], axis=1))
    np.testing.assert_array_equal(test.forecasts["naive"][:, 1], np.repeat(second[[12, 17, 22]], [5, 5, 2]))
    if not refit:
        np.testing.assert_array_equal(
            test.forecasts["model"][5:10], np.stack(model.predict(5, history=[first[:33], second[:18]]), axis=1)
        )


def test_columns_are_counted_each():
    model = ForecastModel("gru", 3, window=6, seed=1)
    both = np.stack([VALUES, VALUES[::-1]], axis=1)
    model.fit(both[:28], epochs=1, validation=0.2)
    test = backtest(model, both, hold_out=12, horizon=6, level=0.8)
    assert test.table().endswith("of 24 values within the intervals") and test.ends.shape == (2, 12, 2)


def test_the_season_is_that_of_the_model():
    wave = np.sin(np.arange(60) * np.pi / 3) + 0.1 * VALUES[np.arange(60) % 40]
    model = ForecastModel("gru", 3, window=6, season=6, seed=1)
    model.fit(wave[:48], epochs=1)
    found = backtest(model, wave, hold_out=12, horizon=6)
    np.testing.assert_array_equal(found.forecasts["seasonal naive"], wave[42:54])
    assert "seasonal naive" not in backtest(model, wave, hold_out=12, horizon=6, season=0).forecasts
    other = fitted()
    other.cycle = 6
    for sliding in (None, 5, 6):
        names = backtest(other, VALUES, hold_out=12, horizon=6, sliding=sliding).forecasts
        assert ("seasonal naive" in names) == (sliding != 5)


def test_a_history_that_is_too_short():
    with pytest.raises(ValueError, match=r"^history must have shape \(T,\) or \(T, K\), got the number 3\.0$"):
        naive(3.0, 2)
    with pytest.raises(ValueError, match=r"^history must have at least 3 steps, a season, got 1$"):
        seasonal_naive([1.0], 2, 3)


def test_what_does_not_forecast_is_refused():
    given = {"hold_out": 4, "horizon": 2}
    for model, says in (("naive", "str"), (Model, "the class Model"), (3, "int")):
        with pytest.raises(TypeError, match=f"^model must be a fitted ForecastModel or Forecaster, got {says}$"):
            backtest(model, VALUES, **given)
    with pytest.raises(TypeError, match=r"^fit_options must be a dict such as"):
        backtest(fitted(), VALUES, **given, refit=True, fit_options=["bias"])
    for season in ("year", None):
        with pytest.raises(TypeError, match=f"^season must be 'auto' or an integer, 0 for none, got {season!r}$"):
            backtest(fitted(), VALUES, **given, season=season)


def test_series_and_inputs_of_another_number_than_in_the_fit_are_refused():
    y, x = VALUES + 10, np.arange(40.0)[:, None]
    plain, reads = (ForecastModel("gru", 2, window=6, combine=False) for _ in range(2))
    plain.fit(y[:30], epochs=1), reads.fit(y[:30], x[:30], epochs=1)
    given = {"hold_out": 8, "horizon": 4, "season": 0}
    two, listed = np.stack([y, y], axis=1), [y, y]
    for values in (two, listed):
        with pytest.raises(ValueError, match=r"the model was fitted on 1 series, and values have 2: .*refit=True"):
            backtest(plain, values, **given)
    with pytest.raises(ValueError, match="the model was fitted without known inputs: leave it out, or pass refit=True"):
        backtest(plain, y, x, **given)
    for refit in (False, True):
        with pytest.raises(ValueError, match="exogenous is missing: the model was fitted with 1 known inputs"):
            backtest(reads, y, **given, refit=refit)
    assert backtest(plain, two, **given, refit=True, fit_options={"epochs": 1}).measured.shape == (8, 2)
    assert backtest(reads, y, x, **given).measured.shape == (8,)
