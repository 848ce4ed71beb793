"""The airline passengers, a series that everybody knows: the default forecaster beside seasonal naive and AutoETS."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
if not any(importlib.util.find_spec(each) for each in ("sktime", "aeon")):
    pytest.skip("the series is in sktime and aeon", allow_module_level=True)

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def airline():
    sys.path.insert(0, str(FOLDER))
    try:
        import airline

        yield airline
    finally:
        sys.path.remove(str(FOLDER))


def test_the_default_forecaster_on_the_last_five_years(airline, capsys):
    y = airline.passengers()
    assert len(y) == 144 and y[0] == 112 and y[-1] == 432
    found = airline.measure(y, 5)
    mase = {name: np.mean(each["mase"]) for name, each in found.items()}
    assert mase["Forecaster()"] < 0.75  # 0.62 when this was written; seasonal naive 1.33, AutoETS 1.10
    assert mase["Forecaster()"] < 0.6 * mase["seasonal naive"]
    assert mase["Forecaster()"] < 0.8 * mase.get("AutoETS", 10)
    for level, inside in zip(airline.LEVELS, found["Forecaster()"]["inside"]):
        assert abs(inside - level) < 0.15
    assert airline.main(["--years", "1"]) == 0
    assert "Forecaster()" in capsys.readouterr().out
