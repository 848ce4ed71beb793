"""Figures by matplotlib (extra `plot`)."""

from typing import TYPE_CHECKING

from pylstm.hints import absent
from pylstm.plots.comparison import plot
from pylstm.plots.fits import draw_confusion, draw_forecast, draw_future, draw_losses, new_figure, write

__all__ = [
    "draw_confusion",
    "draw_forecast",
    "draw_future",
    "draw_losses",
    "new_figure",
    "plot",
    "write",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
