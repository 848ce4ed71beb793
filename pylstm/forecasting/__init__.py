"""Forecasting of series: the model, the naive baselines, back-tests."""

from pylstm.forecasting.backtest import Backtest, backtest
from pylstm.forecasting.baselines import naive, seasonal_naive
from pylstm.forecasting.forecast_model import ForecastModel

__all__ = [
    "Backtest",
    "ForecastModel",
    "backtest",
    "naive",
    "seasonal_naive",
]
