"""`plot_run`, `plot_deltas`: what a run, or its backward pass, has at every step of a sequence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from pylstm.checks import check_names, check_size
from pylstm.diagnostics.checks import by_step, check_run, input_of
from pylstm.diagnostics.saturated import ranges
from pylstm.hints import explained
from pylstm.plots.panels import POSITIVE, SIGNED, line_of, marker_of, one_axes, several_axes

LINE = 0.25
"""Inches of a line of a legend."""
MOST_LINES = 3
"""Inputs that are drawn as lines; more of them as a heat map."""


@explained()
def plot_run(run: Any, *, row: int = 0, names: Iterable[str] | None = None, ax: Any = None) -> list[Any]:
    """Draw the input of one sequence, and below it every gate and state as a heat map: units by steps.

    Parameters
    ----------
    run : Run
        Of one layer, with a tape.
    row : int
        Which sequence of the batch.
    names : iterable of str, optional
        Gates, states and emissions to draw, in this order; default all gates, then all states.
    ax : sequence of axes, optional
        One for the input and one for each name; default those of a new figure.

    Returns
    -------
    list of matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        The run of a stack; a row or a name that it does not have; another number of axes.
    RuntimeError
        A run without a tape.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.plots import plot_run
    >>> run = pylstm.LSTM(2, 5, seed=0)(np.ones((30, 1, 2), "float32"))
    >>> [axes.get_title() for axes in plot_run(run, names=["f", "c"])]
    ['input', 'gate f', 'state c']
    """
    check_run(run)
    T = steps_of(run, row)
    found = {name: ("gate", by_step(run, run.gates[name])) for name in run.gates}
    found |= {name: ("state", by_step(run, run.states[name], 1)[1:]) for name in run.states}
    emitted = {name: ("emission", by_step(run, run.emissions[name])) for name in run.emissions}
    chosen = list(found) if names is None else list(names)
    found |= emitted
    check_names("names", dict.fromkeys(chosen), tuple(found))
    panels = several_axes(ax, [1.0] + [1.1] * len(chosen))
    draw_input(panels[0], input_of(run)[:T, row])
    ends = ranges(run.layer.cell)
    for axes, name in zip(panels[1:], chosen):
        kind, values = found[name]
        draw_units(axes, values[:T, row], f"{kind} {name}", ends.get(name) if kind == "gate" else None)
    panels[-1].set_xlabel("step")
    panels[-1].xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    return panels


def steps_of(run: Any, row: Any) -> int:
    """Steps of one row, if there is such a row."""
    if not run._B:
        raise ValueError("the run has no rows: run at least one sequence")
    if check_size("row", row, 0) >= run._B:
        raise ValueError(f"row must be below {run._B}, the rows of the run, got {row}")
    lengths = getattr(run, "lengths", None)
    T = run._T if lengths is None else int(lengths[row])
    if T == 0:
        raise ValueError(f"row {row} has no steps")
    return int(T)


def draw_input(axes: Any, x: np.ndarray) -> None:
    """An input (T, I): lines where they are few, else a heat map."""
    if x.shape[1] > MOST_LINES:
        draw_units(axes, x, "input")
        axes.set_ylabel("input")
        return
    for number, values in enumerate(x.T):
        axes.plot(values, label=f"{number}", linewidth=1, marker=marker_of(values), **line_of(number))
    axes.set_xlim(-0.5, len(x) - 0.5)
    axes.set_title("input", fontsize="medium")
    axes.set_ylabel("value")
    if x.shape[1] > 1:
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.95), ncols=MOST_LINES, fontsize="small", frameon=False)


def draw_units(axes: Any, values: np.ndarray, title: str, ends: tuple[float, float] | None = None) -> None:
    """A heat map of values (T, units), over the range of an activation where it is finite."""
    low, high = (0.0, 1.0) if ends is None else ends
    if ends is None or not np.isfinite(high - low):
        size = float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) or 1.0
        low, high = (0.0 if (values >= 0).all() else -size), size
    image = axes.imshow(
        values.T, aspect="auto", interpolation="nearest", vmin=low, vmax=high, cmap=SIGNED if low < 0 else POSITIVE
    )
    axes.figure.colorbar(image, ax=axes, pad=0.01)
    axes.set_title(title, fontsize="medium")
    axes.set_ylabel("unit")
    axes.yaxis.get_major_locator().set_params(integer=True, nbins=4, min_n_ticks=1)


@explained()
def plot_deltas(run: Any, grads: Any, *, row: int | None = None, ax: Any = None) -> Any:
    """Draw how large the gradient of every gate and state is at each step.

    Parameters
    ----------
    run : Run
        Of one layer.
    grads : Gradients
        Of that run, ``run.backward(dy, steps=True)``.
    row : int, optional
        One sequence of the batch; default the root mean square over all.
    ax : matplotlib axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    AttributeError
        Gradients without ``steps=True``.
    TypeError, ValueError, RuntimeError
        As `plot_run`.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.plots import plot_deltas
    >>> run = pylstm.GRU(2, 5, seed=0)(np.ones((30, 1, 2), "float32"))
    >>> axes = plot_deltas(run, run.backward(np.ones_like(run.y), steps=True))
    >>> [line.get_label() for line in axes.lines]
    ['gate r', 'gate z', 'gate m', 'gate n', 'state h']
    """
    check_run(run)
    T = run._T if row is None else steps_of(run, row)
    found = {f"gate {name}": by_step(run, value) for name, value in grads.gates.items()}
    found |= {f"state {name}": by_step(run, value, 1)[1:] for name, value in grads.states.items()}
    ax = one_axes(ax, height=max(4.0, 1 + LINE * len(found)))
    for number, (label, values) in enumerate(found.items()):
        sizes = np.sqrt((values[:T] ** 2).mean(axis=(1, 2)) if row is None else (values[:T, row] ** 2).mean(axis=1))
        draw_sizes(ax, np.arange(T), sizes, label, number)
    ax.set_yscale("log")
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.set(title="gradient by step", xlabel="step", ylabel="root mean square")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return ax


def draw_sizes(axes: Any, at: np.ndarray, sizes: np.ndarray, label: str, number: int) -> None:
    """A line of sizes; those that are 0, which a logarithm has not, are left out."""
    shown = np.where(sizes > 0, sizes, np.nan)
    axes.plot(at, shown, label=label, marker=marker_of(shown), **line_of(number))
