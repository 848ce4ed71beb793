"""`pylstm.Forecaster` as it comes on the airline passengers: MASE and coverage beside seasonal naive and AutoETS.

Run: ``python -P benchmarks/airline.py [--years 5]``. The series (144 months, 1949 to 1960) is that which sktime or aeon
ships. Each of the last years is forecast from what was measured before, by a new fit with the seed 0; AutoETS
(statsforecast, where it is installed) is told the season, the forecaster is not. MASE is the mean absolute error over
that of the seasonal naive forecast inside the training steps.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

SEASON = 12
LEVELS = (0.5, 0.8, 0.95)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=5, help="how many of the last years are forecast (5)")
    found = measure(passengers(), parser.parse_args(arguments).years)
    levels = "".join(f"{f'in {100 * level:.0f} %':>9}" for level in LEVELS)
    print(f"{'':16}{'MASE':>8}{levels}   MASE of each year")
    for name, each in found.items():
        shares = "".join(f"{100 * share:8.1f} " for share in each["inside"]) or " " * 9 * len(LEVELS)
        print(f"{name:16}{np.mean(each['mase']):8.3f}{shares}   {' '.join(f'{value:.2f}' for value in each['mase'])}")
    return 0


def passengers() -> np.ndarray:
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    from forecast_series import of_sktime

    found = [each.values for each in of_sktime() if "irline" in each.name]
    if not found:
        raise ModuleNotFoundError("the series is in sktime and aeon: pip install 'pylstm[data]'", name="aeon")
    return np.asarray(found[0], "float64")


def measure(y: np.ndarray, years: int) -> dict[str, dict[str, Any]]:
    """MASE of each year, and the shares of its values within intervals, by forecast."""
    found: dict[str, dict[str, Any]] = {}
    for back in range(years, 0, -1):
        end = len(y) - SEASON * back
        before, true = y[:end], y[end : end + SEASON]
        scale = np.abs(before[SEASON:] - before[:-SEASON]).mean()
        for name, (point, ends) in forecasts(before).items():
            each = found.setdefault(name, {"mase": [], "inside": []})
            each["mase"].append(float(np.abs(point - true).mean() / scale))
            if ends is not None:
                each["inside"].append([float(np.mean((low <= true) & (true <= high))) for low, high in ends])
    for each in found.values():
        each["inside"] = np.mean(each["inside"], axis=0).tolist() if each["inside"] else []
    return found


def forecasts(y: np.ndarray) -> dict[str, tuple[np.ndarray, Any]]:
    """Point and intervals of each level, by name."""
    from pylstm import Forecaster, seasonal_naive

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        net = Forecaster(random_state=0).fit(y)
        ends = [net.predict_interval(SEASON, level) for level in LEVELS]
    found: dict[str, tuple[np.ndarray, Any]] = {"Forecaster()": (net.predict(SEASON), ends)}
    found["seasonal naive"] = seasonal_naive(y, SEASON, SEASON), None
    try:
        from statsforecast.models import AutoETS
    except ImportError:
        return found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = [round(100 * level) for level in LEVELS]
        out = AutoETS(season_length=SEASON).forecast(y, SEASON, level=names)
    found["AutoETS"] = np.asarray(out["mean"]), [(out[f"lo-{k}"], out[f"hi-{k}"]) for k in names]
    return found


if __name__ == "__main__":
    sys.exit(main())
