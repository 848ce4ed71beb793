"""`plot_lags`, `plot_saturation`, `plot_exponents`, `plot_eigenvalues`: what `pylstm.diagnostics` finds."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.checks import as_array, quoted
from pylstm.diagnostics.lags import LagGradients
from pylstm.diagnostics.saturated import GateSaturation
from pylstm.hints import explained
from pylstm.plots.panels import COLOURS, one_axes
from pylstm.plots.steps import draw_sizes


@explained()
def plot_lags(found: LagGradients, *, ax: Any = None) -> Any:
    """Draw what arrives from a loss some steps later: the gradient of the parameters, and of the states by both paths.

    Parameters
    ----------
    found : LagGradients
        As `pylstm.diagnostics.gradient_by_lag` returns it.
    ax : matplotlib axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        Something else in place of `found`.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.diagnostics import gradient_by_lag
    >>> from pylstm.plots import plot_lags
    >>> run = pylstm.LSTM(2, 5, seed=0)(np.ones((30, 1, 2), "float32"))
    >>> [line.get_label() for line in plot_lags(gradient_by_lag(run, run.y)).lines]
    ['parameters', 'states', 'states, direct path']
    """
    if not isinstance(found, LagGradients):
        raise TypeError(f"plot_lags takes what gradient_by_lag(run, dy) returns, got {quoted(found)}")
    ax = one_axes(ax)
    lines = {"parameters": found.norms, "states": found.sent, "states, direct path": found.direct}
    for number, (label, sizes) in enumerate(lines.items()):
        draw_sizes(ax, found.lags, sizes, label, number)
    ax.set_yscale("log")
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.set(title="gradient by lag", xlabel="lag, steps from the loss back", ylabel="norm; root mean square of states")
    ax.legend()
    return ax


@explained()
def plot_saturation(found: dict[str, GateSaturation], *, ax: Any = None) -> Any:
    """Draw for every gate how much of the time its units are at the lower end of its range, and at the upper.

    Parameters
    ----------
    found : dict of str to GateSaturation
        As `pylstm.diagnostics.saturation` returns it.
    ax : matplotlib axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError
        Something else in place of `found`.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> from pylstm.diagnostics import saturation
    >>> from pylstm.plots import plot_saturation
    >>> run = pylstm.LSTM(2, 5, seed=0)(np.ones((30, 1, 2), "float32"))
    >>> [label.get_text() for label in plot_saturation(saturation(run)).get_yticklabels()]
    ['i, 0 to 1', 'f, 0 to 1', 'g, -1 to 1', 'o, 0 to 1']
    """
    if not isinstance(found, dict) or not all(isinstance(each, GateSaturation) for each in found.values()):
        raise TypeError(f"plot_saturation takes what saturation(run) returns, got {quoted(found)}")
    ax = one_axes(ax, 7.0, 1.2 + 0.5 * len(found))
    at, each = np.arange(len(found)), list(found.values())
    low, high = ([100 * float(np.mean(getattr(one, end))) for one in each] for end in ("low", "high"))
    ax.barh(at, low, color=COLOURS[0], label="at the lower end")
    ax.barh(at, high, left=100 - np.array(high), color=COLOURS[1], label="at the upper end")
    ax.set_yticks(at, [f"{name}, {one.ends[0]:g} to {one.ends[1]:g}" for name, one in found.items()])
    ax.set_ylim(max(len(found), 1) - 0.5, -0.5)
    ax.set_xlim(0, 100)
    ax.set_title("saturation of the gates" if found else "saturation: no gate of this cell has a range")
    ax.set_xlabel("share of units and steps, %")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return ax


@explained()
def plot_exponents(exponents: Any, *, ax: Any = None) -> Any:
    """Draw a spectrum of Lyapunov exponents, a line for each row; above 0 small differences grow.

    Parameters
    ----------
    exponents : array_like, shape (B, N) or (N,)
        As `pylstm.diagnostics.lyapunov_spectrum` returns it; what is -inf is left out.
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
    >>> from pylstm.plots import plot_exponents
    >>> plot_exponents([[-0.1, -0.5, -2.0]]).get_ylabel()
    'Lyapunov exponent, 1/step'
    """
    rows = np.atleast_2d(as_array("exponents", exponents))
    if rows.ndim != 2:
        raise ValueError(f"exponents must have shape (B, N), got {rows.shape}")
    ax = one_axes(ax)
    for values in rows:
        shown = np.where(np.isfinite(values), values, np.nan)
        ax.plot(np.arange(1, len(values) + 1), shown, color=COLOURS[0], marker=".", linewidth=0.8, alpha=0.7)
    ax.axhline(0, color="0.5", linestyle="--", linewidth=1)
    ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    ax.set(title="Lyapunov spectrum", xlabel="number", ylabel="Lyapunov exponent, 1/step")
    return ax


@explained()
def plot_eigenvalues(jacobian: Any, *, ax: Any = None) -> Any:
    """Draw the eigenvalues of Jacobians of a step beside the unit circle; inside of it a direction decays.

    Parameters
    ----------
    jacobian : array_like, shape (..., N, N)
        Such as one step of `pylstm.diagnostics.jacobians`, or those of `fixed_points`.
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
    >>> import numpy as np
    >>> from pylstm.plots import plot_eigenvalues
    >>> plot_eigenvalues(np.diag([0.5, 0.9])).get_xlabel()
    'real part'
    """
    matrices = as_array("jacobian", jacobian)
    if matrices.ndim < 2 or matrices.shape[-1] != matrices.shape[-2]:
        raise ValueError(f"jacobian must have shape (..., N, N), got {matrices.shape}")
    values = np.linalg.eigvals(matrices).ravel()
    ax = one_axes(ax, 4.8, 4.8)
    turn = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(turn), np.sin(turn), color="0.5", linestyle="--", linewidth=1, label="unit circle")
    ax.plot(values.real, values.imag, linestyle="", marker="o", markersize=4, color=COLOURS[1], label="eigenvalues")
    ax.set_aspect("equal")
    ax.set(title="eigenvalues of a step", xlabel="real part", ylabel="imaginary part")
    return ax
