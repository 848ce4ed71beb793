"""Forecasting of series: the model, the naive baselines, back-tests."""

from typing import TYPE_CHECKING

from pylstm.forecasting.backtesting import Backtest, backtest
from pylstm.forecasting.baselines import naive, seasonal_naive
from pylstm.forecasting.forecast_model import ForecastModel
from pylstm.hints import absent

__all__ = [
    "Backtest",
    "ForecastModel",
    "backtest",
    "naive",
    "seasonal_naive",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
