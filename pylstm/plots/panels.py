"""Axes to draw on: those of the caller, or a new figure's; colours that colour-blind readers tell apart."""

from __future__ import annotations

import sys
from typing import Any

from pylstm.checks import quoted

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito (2008), Color universal design."""
STYLES = ("-", "--", "-.", ":")
"""Styles of lines: the next one when all colours are used."""
SIGNED, POSITIVE = "RdBu_r", "cividis"
"""Maps of colours, for values on both sides of 0 and for others."""


def line_of(number: int) -> dict[str, Any]:
    """Colour and style of a line.

    Examples
    --------
    >>> line_of(0), line_of(8)
    ({'color': '#0072B2', 'linestyle': '-'}, {'color': '#D55E00', 'linestyle': '--'})
    """
    turn, colour = divmod(number, len(COLOURS))
    return {"color": COLOURS[colour], "linestyle": STYLES[turn % len(STYLES)]}


def marker_of(values: Any) -> str:
    """A dot where a line would not show a value: it stands alone.

    Examples
    --------
    >>> marker_of([1.0]), marker_of([1.0, 2.0]), marker_of([1.0, float("nan"), 2.0])
    ('.', '', '.')
    """
    shown = [False, *(value == value for value in values), False]
    alone = any(shown[k] and not shown[k - 1] and not shown[k + 1] for k in range(1, len(shown) - 1))
    return "." if alone else ""


def new_canvas(width: float, height: float) -> Any:
    """An empty figure of so many inches, which nothing shows.

    Raises
    ------
    ModuleNotFoundError
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("a plot needs matplotlib: pip install 'pylstm[plot]'", name="matplotlib") from error
    return Figure(figsize=(width, height), layout="constrained")


def figure_of(width: float, height: float) -> Any:
    """The same, but a notebook and ``pyplot.show()`` show it where `matplotlib.pyplot` has been imported."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return new_canvas(width, height)
    return pyplot.figure(figsize=(width, height), layout="constrained")


def check_axes(axes: Any, name: str = "ax") -> Any:
    """`axes`, if they are axes of matplotlib.

    Raises
    ------
    TypeError
        Something else.
    """
    if not hasattr(axes, "imshow"):
        raise TypeError(f"{name} must be axes of a figure, figure.subplots(), got {quoted(axes)}")
    return axes


def one_axes(ax: Any, width: float = 7.0, height: float = 4.0) -> Any:
    """`ax`, or the axes of a new figure."""
    return figure_of(width, height).subplots() if ax is None else check_axes(ax)


def several_axes(ax: Any, heights: list[float], width: float = 8.0) -> list[Any]:
    """The axes of `ax`, or those of a new figure, one below the other.

    Raises
    ------
    TypeError, ValueError
        Not axes; another number of them than of `heights`.
    """
    if ax is None:
        figure = figure_of(width, sum(heights) + 0.5)
        return list(figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    return _given(ax, len(heights))


def side_by_side(ax: Any, count: int) -> list[Any]:
    """The axes of `ax`, or those of a new figure, one beside the other on one scale; errors as `several_axes`."""
    if ax is None:
        return list(figure_of(5.5 * count, 4.5).subplots(1, count, sharey=True, squeeze=False)[0])
    return _given(ax, count)


def _given(ax: Any, count: int) -> list[Any]:
    given = [ax] if hasattr(ax, "imshow") else list(getattr(ax, "flat", ax))
    for each in given:
        check_axes(each)
    if len(given) != count:
        raise ValueError(f"ax must be {count} axes, one for each picture, got {len(given)}")
    return given
