"""How many sunspots next year, and in each of the ten years after it?

    pip install '.[data]'           # in a clone of pylstm
    python examples/forecast_sunspots.py [--quick]

309 yearly numbers, 1700 to 2008 (statsmodels). The last 55 years are forecast 11 at a time, each time from what was
known then. The mean error of the forecaster, fitted in 0.3 s, is 21.2; of an autoregression of 9 years (statsmodels)
23.4, of the numbers 11 years before 28.6, of the last number 59.2.
"""

import argparse
import time

import numpy as np
from statsmodels.tsa.ar_model import AutoReg

import pylstm
from pylstm.datasets import sunspots
from pylstm.forecasting import backtest

HELD_OUT, HORIZON = 55, 11


def main(quick: bool) -> None:
    """Back-test, then a forecast with its interval."""
    y = sunspots().values

    start = time.perf_counter()
    net = pylstm.Forecaster(epochs=40 if quick else "auto", random_state=0).fit(y[:-HELD_OUT])
    took = time.perf_counter() - start
    test = backtest(net, y, hold_out=HELD_OUT, horizon=HORIZON, season=11)

    regression = []
    for origin in range(len(y) - HELD_OUT, len(y), HORIZON):
        fitted = AutoReg(y[:origin], 9).fit()
        regression.append(np.abs(fitted.forecast(HORIZON) - y[origin : origin + HORIZON]))
    print(f"{test.table()}\nAutoReg(9)           {np.mean(regression):.2f}\n")
    print(f"model: {', '.join(net.method_)}; fitted in {took:.1f} s")

    low, high = net.predict_interval(HORIZON, level=0.5, history=y)
    for year, each in enumerate(zip(net.predict(HORIZON, history=y), low, high), 2009):
        print("{}  {:4.0f}  ({:.0f} to {:.0f})".format(year, *each))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at small scale")
    main(parser.parse_args().quick)
