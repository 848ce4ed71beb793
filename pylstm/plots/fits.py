"""Plots of a training run: losses, forecasts beside the true values, confusions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pylstm.checks import quoted
from pylstm.hints import explained
from pylstm.plots.comparison import smooth


@explained()
def new_figure(panels: int) -> tuple[Any, list[Any]]:
    """A figure and its axes side by side; no window is opened.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a plot needs matplotlib: pip install 'pylstm[plot]'", name="matplotlib") from error
    figure = Figure(figsize=(5.5 * panels, 4.5), layout="constrained")
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


@explained()
def draw_losses(
    axes: Any, steps: Sequence[float], *, per_epoch: int, validation: Sequence[float] = (), unit: str
) -> None:
    """Losses of all steps, faint, their running mean, and the validation losses at the ends of the epochs."""
    number = np.arange(1, len(steps) + 1)
    axes.plot(number, steps, color="C0", alpha=0.25, linewidth=0.8)
    axes.plot(number, smooth(steps, max(1, len(steps) // 25)), color="C0", label="training")
    if len(validation):
        ends = per_epoch * np.arange(1, len(validation) + 1)
        axes.plot(ends, validation, color="C1", label="validation")
    if len(steps) and min(steps) > 0:
        axes.set_yscale("log")
    axes.set_xlabel("steps")
    axes.set_ylabel(unit)
    axes.legend()


@explained()
def draw_forecast(
    axes: Any, values: np.ndarray, hold_out: int, forecasts: Mapping[str, np.ndarray], name: str, times: Sequence[str]
) -> None:
    """The end of a series, the hold-out shaded, and forecasts of it by name; the first is drawn strongest."""
    start = len(values) - hold_out
    shown = max(0, start - 4 * hold_out)
    axes.axvspan(start - 0.5, len(values) - 0.5, color="0.93", zorder=0)
    axes.plot(np.arange(shown, len(values)), values[shown:], color="0.2", label="measured")
    for number, (label, forecast) in enumerate(forecasts.items()):
        strong = {"linewidth": 2} if number == 0 else {"linewidth": 1, "linestyle": "--"}
        axes.plot(np.arange(start, start + len(forecast)), forecast, color=f"C{number}", label=label, **strong)
    _finish_series(axes, name, times, shown)


@explained()
def draw_future(
    axes: Any, values: np.ndarray, forecast: np.ndarray, ends: Any, name: str, times: Sequence[str]
) -> None:
    """The end of a series and what is forecast to follow, with its interval where `ends` are low and high."""
    n, T = len(forecast), len(values)
    shown, at = max(0, T - 4 * n - 10), np.arange(T, T + n)
    axes.plot(np.arange(shown, T), values[shown:], color="0.2", label="measured")
    axes.plot(at, forecast, color="C0", linewidth=2, label="forecast")
    if ends is not None:
        axes.fill_between(at, *ends, color="C0", alpha=0.2, linewidth=0)
    _finish_series(axes, name, times, shown)


def _finish_series(axes: Any, name: str, times: Sequence[str], shown: int) -> None:
    ticks = np.unique(np.linspace(shown, len(times) - 1, 5).astype(int))
    axes.set_xticks(ticks, [times[tick] for tick in ticks])
    axes.set_ylabel(name)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False)


@explained()
def draw_confusion(axes: Any, matrix: np.ndarray, classes: Sequence[str]) -> None:
    """Counts by true class (rows) and predicted one (columns)."""
    if not hasattr(axes, "imshow"):
        raise TypeError(f"axes must be those of a figure, figure.subplots(), got {quoted(axes)}")
    axes.imshow(matrix, cmap="Blues")
    if len(classes) <= 20:
        for row, column in np.argwhere(matrix > 0):
            light = matrix[row, column] > matrix.max() / 2
            text = {"ha": "center", "va": "center", "fontsize": 8, "color": "white" if light else "black"}
            axes.text(column, row, str(matrix[row, column]), **text)
        axes.set_xticks(range(len(classes)), classes, rotation=90 if max(map(len, classes)) > 2 else 0)
        axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")


@explained()
def write(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure of `new_figure`; the suffix of `path` is the format: png, svg, pdf."""
    if not hasattr(figure, "savefig"):
        raise TypeError(f"figure must be a figure, as new_figure returns, got {type(figure).__name__}")
    figure.savefig(path)
