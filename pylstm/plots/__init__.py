"""Figures by matplotlib (extra `plot`)."""

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
