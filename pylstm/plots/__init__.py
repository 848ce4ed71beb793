"""Figures by matplotlib (extra `plot`): `plot_*` draw what they are given in one call, `draw_*` on axes of a figure.

Without matplotlib, those that make a figure raise `ModuleNotFoundError`, which says how to install it.
"""

from typing import TYPE_CHECKING

from pylstm.hints import absent
from pylstm.plots.comparison import plot, plot_comparison
from pylstm.plots.curves import plot_confusion, plot_fan, plot_losses
from pylstm.plots.fits import draw_confusion, draw_forecast, draw_future, draw_losses, new_figure, write
from pylstm.plots.gradients import plot_eigenvalues, plot_exponents, plot_lags, plot_saturation
from pylstm.plots.steps import plot_deltas, plot_run

__all__ = [
    "draw_confusion",
    "draw_forecast",
    "draw_future",
    "draw_losses",
    "new_figure",
    "plot",
    "plot_comparison",
    "plot_confusion",
    "plot_deltas",
    "plot_eigenvalues",
    "plot_exponents",
    "plot_fan",
    "plot_lags",
    "plot_losses",
    "plot_run",
    "plot_saturation",
    "write",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
