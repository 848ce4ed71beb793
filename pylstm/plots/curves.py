"""`plot_losses` of several fits, `plot_fan` of a forecast, `plot_confusion`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pylstm.checks import as_array, quoted
from pylstm.hints import explained
from pylstm.plots.fits import draw_confusion
from pylstm.plots.panels import COLOURS, line_of, marker_of, one_axes

FEW = 3
"""Fits whose legend stands within the axes; that of more is beside them."""


@explained()
def plot_losses(histories: Any, *, unit: str = "loss", ax: Any = None) -> Any:
    """Draw the losses of one fit or several by epoch: training as a line, validation dashed, the best epoch marked.

    Parameters
    ----------
    histories : History, or dict of str to History
        As `pylstm.fit` returns it; of several fits by name.
    unit : str
        What the loss is measured in.
    ax : matplotlib axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        Something else in place of `histories`.

    Examples
    --------
    >>> from pylstm.plots import plot_losses
    >>> from pylstm.training import History
    >>> fast = History(loss=[1.0, 0.3], validation_loss=[1.1, 0.6], best_epoch=1)
    >>> axes = plot_losses({"lr 0.01": fast, "lr 0.001": History(loss=[1.0, 0.8])})
    >>> [line.get_label() for line in axes.lines if line.get_label()[0] != "_"]
    ['lr 0.01', 'lr 0.01, validation', 'lr 0.001']
    """
    several = dict(histories) if isinstance(histories, Mapping) else {"training": histories}
    for name, each in several.items():
        if not hasattr(each, "loss") or not hasattr(each, "validation_loss"):
            raise TypeError(f"histories must be a History, or a dict by name of them, got {quoted(each)} for {name!r}")
    ax = one_axes(ax, 9.0 if len(several) > FEW else 7.0, max(4.0, 1 + 0.5 * len(several)))
    for number, (name, each) in enumerate(several.items()):
        colour = line_of(number)["color"]
        ax.plot(np.arange(1, len(each.loss) + 1), each.loss, color=colour, marker=marker_of(each.loss), label=name)
        if len(each.validation_loss):
            judged, label = each.validation_loss, f"{name}, validation" if len(several) > 1 else "validation"
            ax.plot(np.arange(1, len(judged) + 1), judged, color=colour, linestyle="--", label=label)
            if each.best_epoch >= 0:
                ax.plot([each.best_epoch + 1], [judged[each.best_epoch]], color=colour, marker="o", label="_best")
    values = [value for each in several.values() for value in (*each.loss, *each.validation_loss)]
    if values and min(values) > 0:
        ax.set_yscale("log")
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.set(title="losses", xlabel="epoch", ylabel=unit)
    beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}
    ax.legend(**(beside if len(several) > FEW else {}))
    return ax


@explained()
def plot_fan(
    values: Any,
    forecast: Any,
    intervals: Mapping[float, Any] | None = None,
    *,
    unit: str = "value",
    ax: Any = None,
) -> Any:
    """Draw the end of a series and the forecast that follows it, with its intervals as a fan.

    Parameters
    ----------
    values : array_like, shape (T,)
        What was measured.
    forecast : array_like, shape (n,)
        Of the steps after it.
    intervals : dict of float to (low, high), optional
        Level -> ends of its interval, (n,) each: ``{0.5: ..., 0.9: ...}``.
    unit : str
        What the values are measured in.
    ax : matplotlib axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        A level that is not between 0 and 1; another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.plots import plot_fan
    >>> fan = {0.9: ([19.0, 19.5], [21.0, 23.0]), 0.5: ([19.6, 20.3], [20.4, 21.7])}
    >>> axes = plot_fan(np.arange(20.0), [20.0, 21.0], fan, unit="flow, m3/s")
    >>> axes.get_legend_handles_labels()[1]
    ['measured', '90 % interval', '50 % interval', 'forecast']
    """
    values, forecast = (np.asarray(as_array(name, each)) for name, each in (("values", values), ("forecast", forecast)))
    for name, each in (("values", values), ("forecast", forecast)):
        if each.ndim != 1:
            raise ValueError(f"{name} must be one series, (steps,), got shape {each.shape}")
    T, n = len(values), len(forecast)
    at, shown, levels = np.arange(T, T + n), max(0, T - 4 * n - 10), sorted(intervals or {}, reverse=True)
    if wrong := [level for level in levels if not 0 < level < 1]:
        raise ValueError(f"a level of intervals must be between 0 and 1, got {wrong[0]!r}")
    ax = one_axes(ax)
    ax.plot(np.arange(shown, T), values[shown:], color="0.2", marker=marker_of(values[shown:]), label="measured")
    for level in levels:
        low, high = (np.asarray(as_array(f"intervals[{level}]", each)) for each in (intervals or {})[level])
        if low.shape != (n,) or high.shape != (n,):
            raise ValueError(f"intervals[{level}] must be two arrays of shape ({n},), got {low.shape}, {high.shape}")
        style = {"color": COLOURS[0], "alpha": 0.22, "linewidth": 0}
        ax.fill_between(at, low, high, label=f"{100 * level:g} % interval", **style)
    ax.plot(at, forecast, color=COLOURS[0], linewidth=2, marker=marker_of(forecast), label="forecast")
    ax.set_title("forecast", pad=24)
    ax.set(xlabel="step", ylabel=unit)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize="small", frameon=False)
    return ax


@explained()
def plot_confusion(matrix: Any, classes: Sequence[str], *, ax: Any = None) -> Any:
    """Draw how often each class was taken for each other.

    Parameters
    ----------
    matrix : array_like of int, shape (K, K)
        Counts by true class (row) and predicted one (column).
    classes : sequence of str
        Their names.
    ax : matplotlib axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        Another shape.

    Examples
    --------
    >>> from pylstm.plots import plot_confusion
    >>> plot_confusion([[8, 1], [0, 9]], ["down", "up"]).get_title()
    'confusion: 17 of 18 right'
    """
    counts, names = np.asarray(matrix), list(map(str, classes))
    if counts.shape != (len(names), len(names)) or counts.dtype.kind not in "iu":
        raise ValueError(
            f"matrix must be counts of shape ({len(names)}, {len(names)}), one row for each class, got {counts.dtype} "
            f"of shape {counts.shape}"
        )
    side = 2.5 + 0.35 * min(len(names), 20)
    ax = one_axes(ax, side + 0.5, side)
    draw_confusion(ax, counts, names)
    ax.set_title(f"confusion: {int(np.trace(counts))} of {int(counts.sum())} right")
    return ax
