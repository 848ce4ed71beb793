"""`plot` of a comparison: loss against time and against steps."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from pylstm.comparing.comparison import Result
from pylstm.comparing.tasks import Task
from pylstm.hints import explained
from pylstm.plots.panels import line_of, side_by_side


def smooth(values: Any, width: int) -> np.ndarray:
    """Mean of the last `width` values, of fewer at the beginning.

    Examples
    --------
    >>> smooth([4.0, 2.0, 0.0, 2.0], 2).tolist()
    [4.0, 3.0, 1.0, 1.0]
    """
    sums = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(sums))
    start = np.maximum(end - width, 0)
    means: np.ndarray = (sums[end] - sums[start]) / (end - start)
    return means


def curves(result: Result) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seconds (N,), smoothed losses (seeds, N) and steps (N,), as far as all seeds went."""
    steps = min((len(trace.losses) for trace in result.traces), default=0)
    losses = [smooth(trace.losses[:steps], max(1, steps // 25)) for trace in result.traces]
    seconds = [trace.seconds[:steps] for trace in result.traces]
    return np.mean(seconds, axis=0), np.array(losses), np.arange(1, steps + 1)


@explained()
def plot(results: list[Result], task: Task, path: str | os.PathLike[str]) -> None:
    """Write the figure: a line per cell, the mean over seeds, and a band from the smallest to the largest.

    Parameters
    ----------
    results : list of Result
    task : Task
    path : path
        The suffix is the format: png, svg, pdf.

    Examples
    --------
    >>> import os, tempfile
    >>> from pylstm.comparing import Settings, adding, compare
    >>> from pylstm.plots import plot
    >>> task = adding(10)
    >>> results = compare(["lstm", "gru"], task, Settings(params=500, steps=3, seeds=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     plot(results, task, os.path.join(folder, "adding.svg"))
    ...     os.listdir(folder)
    ['adding.svg']
    """
    plot_comparison(results, task)[0].figure.savefig(path)


@explained()
def plot_comparison(results: list[Result], task: Task, *, ax: Any = None) -> list[Any]:
    """Draw the losses of a comparison against time and against steps: a line per cell, and a band over the seeds.

    Parameters
    ----------
    results : list of Result
    task : Task
    ax : two matplotlib axes, optional

    Returns
    -------
    list of matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        `ax` is not two axes.

    Examples
    --------
    >>> from pylstm.comparing import Settings, adding, compare
    >>> from pylstm.plots import plot_comparison
    >>> task = adding(10)
    >>> results = compare(["lstm", "gru"], task, Settings(params=500, steps=3, seeds=1))
    >>> [axes.get_xlabel() for axes in plot_comparison(results, task)]
    ['seconds of training', 'steps']
    """
    by_time, by_step = side_by_side(ax, 2)
    for number, result in enumerate(results):
        if not result.traces or not all(trace.losses for trace in result.traces):
            continue
        seconds, losses, steps = curves(result)
        label = result.cell if result.status == "ok" else f"{result.cell} (diverged)"
        for axes, x in ((by_time, seconds), (by_step, steps)):
            style = line_of(number)
            axes.plot(x, losses.mean(axis=0), label=label, **style)
            axes.fill_between(x, losses.min(axis=0), losses.max(axis=0), color=style["color"], alpha=0.2, linewidth=0)
    for axes, unit in ((by_time, "seconds of training"), (by_step, "steps")):
        axes.axhline(task.baseline, color="0.5", linestyle="--", linewidth=1, label=task.trivial)
        axes.set_xlabel(unit)
    by_time.set_ylabel(f"training loss, {task.unit}")
    by_step.legend()
    if ax is None:
        by_time.figure.suptitle(f"{task.name}: equal numbers of parameters")
    return [by_time, by_step]
