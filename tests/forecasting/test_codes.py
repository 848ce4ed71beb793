"""Numbers that stand for missing values are told of, and others are not."""

import warnings

import numpy as np
import pytest

from pylstm.forecasting.series import warn_of_codes, warn_of_values


def said(*columns, warn=warn_of_codes):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warn([np.array(each, "float64").reshape(len(each), -1) for each in columns])
    return [str(each.message) for each in found]


def ended(*columns):
    return said(*columns, warn=warn_of_values)


@pytest.mark.parametrize("code", [-999, -9999.0, 9999, -99.9, -32768, 1e20, np.float32(1e20), -1e30])
def test_codes_far_from_all_others_are_told_of(code):
    y = 20 + np.random.default_rng(0).normal(size=40)
    y[[7, 30]] = code
    (text,) = said(y)
    assert f"2 of 40 values are {float(code):g}, the first at step 7, and all others from" in text
    assert f"--missing {float(code):g} --interpolate" in text
    (text,) = said(np.ones(30), np.column_stack([np.arange(40), y]))
    assert "of series 1, column 1," in text


@pytest.mark.parametrize("y", [
    np.linspace(-1200, 900, 22), np.arange(960, 1002), np.full(40, -999.0), [1, 2, -999], np.r_[np.ones(20), 3],
    np.random.default_rng(1).normal(size=50) * 1e20, np.r_[np.arange(900.0), 999],
])  # fmt: skip
def test_other_values_are_not(y):
    assert said(y) == []


def test_a_fit_says_so():
    pytest.importorskip("sklearn")
    import pylstm

    y = 20 + np.sin(np.arange(60.0))
    y[9] = -999
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        pylstm.Forecaster("gru", 2, epochs=1).fit(y)
    (own,) = (each for each in found if "-999" in str(each.message))
    assert own.filename == __file__


def test_a_last_value_far_from_all_others_is_told_of():
    y = 82 + np.random.default_rng(0).normal(size=60)
    assert ended(y) == [] and ended(np.r_[y, 90]) == []
    assert ended(np.r_[y[:5], 500]) == []  # five values say little
    (text,) = ended(np.r_[y, 500])
    assert text.startswith("the last value, 500, is 41") and "if it is an error, leave it out" in text
    (text,) = ended(y, np.r_[y, -500])
    assert text.startswith("the last value of series 1, column 0, -500, is 58")


def test_values_whose_squares_are_0_are_refused():
    from pylstm.forecasting import ForecastModel

    y = 10 + np.sin(np.arange(60.0))
    with pytest.raises(ValueError, match=r"magnitude of y must be at least 1e-140, got 1.1e-299: multiply it"):
        ForecastModel("gru", 2).fit(1e-300 * y, epochs=1)
    ForecastModel("gru", 2).fit(1e-130 * y, epochs=1)
    ForecastModel("gru", 2).fit(np.zeros(60), epochs=1)


@pytest.mark.parametrize("constant", [0, 5, -1e9, 5 + 1e-12 * np.random.default_rng(0).normal(size=40)])
def test_a_last_value_after_a_constant_is_told_of(constant):
    y = np.full(40, constant)
    (text,) = ended(np.r_[y, 50])
    assert text.startswith(f"the last value, 50, differs from all 40 before it, which are {y[0]:g}: if it is an error")
    (text,) = ended(y, np.column_stack([np.r_[y, y[0]], np.r_[y, -7]]))
    assert "of series 1, column 1, -7, differs" in text


@pytest.mark.parametrize("y", [
    np.full(40, 5.0), np.zeros(40), np.r_[np.full(39, 1e9), 1e9 + 1e-3], np.r_[np.full(15, 5), 50], np.arange(40),
    np.where(np.arange(40) == 20, 50, 5), np.where(np.isin(np.arange(40), (20, 39)), 50, 5),
    np.r_[5 + 1e-15 * np.arange(39), 5.0000000001],
])  # fmt: skip
def test_constants_and_values_that_came_before_are_not_told_of(y):
    assert ended(y) == []
