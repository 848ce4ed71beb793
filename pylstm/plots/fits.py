"""Plots of a training run: losses, forecasts beside the true values, confusions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pylstm.hints import explained
from pylstm.plots.comparison import smooth
from pylstm.plots.panels import check_axes, new_canvas


@explained()
def new_figure(panels: int) -> tuple[Any, list[Any]]:
    """A figure and its axes side by side; no window is opened.

    Examples
    --------
    >>> from pylstm.plots import new_figure
    >>> figure, axes = new_figure(2)
    >>> len(axes), len(figure.axes)
    (2, 2)
    """
    figure = new_canvas(5.5 * panels, 4.5)
    return figure, list(figure.subplots(1, panels, squeeze=False)[0])


@explained()
def draw_losses(
    axes: Any, steps: Sequence[float], *, per_epoch: int, validation: Sequence[float] = (), unit: str
) -> None:
    """Losses of all steps, faint, their running mean, and the validation losses at the ends of the epochs.

    Examples
    --------
    >>> from pylstm.plots import draw_losses, new_figure
    >>> figure, (axes,) = new_figure(1)
    >>> draw_losses(axes, [1.0, 0.5, 0.4, 0.3], per_epoch=2, validation=[0.6, 0.5], unit="bits")
    >>> [line.get_label() for line in axes.lines if line.get_label()[0] != "_"]
    ['training', 'validation']
    """
    number = np.arange(1, len(steps) + 1)
    axes.plot(number, steps, color="C0", alpha=0.25, linewidth=0.8)
    axes.plot(number, smooth(steps, max(1, len(steps) // 25)), color="C0", label="training")
    if len(validation):
        ends = per_epoch * np.arange(1, len(validation) + 1)
        axes.plot(ends, validation, color="C1", label="validation")
    if len(steps) and min(steps) > 0:
        axes.set_yscale("log")
    axes.set(xlabel="steps", ylabel=unit)
    axes.legend()


@explained()
def draw_forecast(
    axes: Any, values: np.ndarray, hold_out: int, forecasts: Mapping[str, np.ndarray], name: str, times: Sequence[str]
) -> None:
    """The end of a series, the hold-out shaded, and forecasts of it by name; the first is drawn strongest.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.plots import draw_forecast, new_figure
    >>> figure, (axes,) = new_figure(1)
    >>> draw_forecast(axes, np.arange(20.0), 2, {"model": np.array([18.1, 18.9])}, "flow", list(map(str, range(20))))
    >>> [line.get_label() for line in axes.lines]
    ['measured', 'model']
    """
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
    """The end of a series and what is forecast to follow, with its interval where `ends` are low and high.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.plots import draw_future, new_figure
    >>> figure, (axes,) = new_figure(1)
    >>> ends = np.array([[19.0, 20.0], [21.0, 22.0]])
    >>> draw_future(axes, np.arange(20.0), np.array([20.0, 21.0]), ends, "flow", list(map(str, range(22))))
    >>> [line.get_label() for line in axes.lines]
    ['measured', 'forecast']
    """
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
    """Counts by true class (rows) and predicted one (columns).

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.plots import draw_confusion, new_figure
    >>> figure, (axes,) = new_figure(1)
    >>> draw_confusion(axes, np.array([[8, 1], [0, 9]]), ["down", "up"])
    >>> [text.get_text() for text in axes.texts]
    ['8', '1', '9']
    """
    check_axes(axes, "axes")
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=max(1, matrix.max(initial=0)))
    if len(classes) <= 20:
        for row, column in np.argwhere(matrix > 0):
            light = matrix[row, column] > matrix.max() / 2  # of the scale, which begins at 0
            text = {"ha": "center", "va": "center", "fontsize": 8, "color": "white" if light else "black"}
            axes.text(column, row, str(matrix[row, column]), **text)
        axes.set_xticks(range(len(classes)), classes, rotation=90 if max(map(len, classes)) > 2 else 0)
        axes.set_yticks(range(len(classes)), classes)
    axes.set(xlabel="predicted", ylabel="true")


@explained()
def write(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure of `new_figure`; the suffix of `path` is the format: png, svg, pdf.

    Examples
    --------
    >>> import os, tempfile
    >>> from pylstm.plots import new_figure, write
    >>> figure, (axes,) = new_figure(1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(figure, os.path.join(folder, "losses.png"))
    ...     os.listdir(folder)
    ['losses.png']
    """
    if not hasattr(figure, "savefig"):
        raise TypeError(f"figure must be a figure, as new_figure returns, got {type(figure).__name__}")
    figure.savefig(path)
