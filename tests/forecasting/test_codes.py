"""Numbers that stand for missing values are told of, and others are not."""

import warnings

import numpy as np
import pytest

from pylstm.forecasting.series import warn_of_codes


def said(*columns):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        warn_of_codes([np.array(each, "float64").reshape(len(each), -1) for each in columns])
    return [str(each.message) for each in found]


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
