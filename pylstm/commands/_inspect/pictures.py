"""Pictures of a layer for the page, as SVG within the page."""

from __future__ import annotations

import base64
import io
from contextlib import suppress
from html import escape
from typing import Any

import numpy as np

WIDTH = 5.6
"""Inches: letters have about their size on a telephone, too."""
MOST_UNITS = 64
"""Most states of which Lyapunov exponents are computed: a backward pass for each."""


def pictures_of(look: Any) -> list[tuple[str, str]]:
    """Captions and images of a layer, HTML."""
    from pylstm.diagnostics import saturation
    from pylstm.plots import plot_deltas, plot_lags, plot_run, plot_saturation
    from pylstm.plots.panels import new_canvas
    from pylstm.plots.steps import LINE

    run, found = look.run, []
    panels = 1 + len(run.gates) + len(run.states)
    figure = new_canvas(WIDTH, 1.15 * panels + 0.4)
    plot_run(run, row=_longest(run), ax=figure.subplots(panels, 1, sharex=True))
    found.append(("What the first of the longest sequences does to it: the input, every gate and every state.", figure))
    gates = saturation(run)
    if gates:
        figure = new_canvas(WIDTH, 1.5 + 0.45 * len(gates))
        ax = plot_saturation(gates, ax=figure.subplots())
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.12), ncols=2, frameon=False)
        found.append(
            ("How much of the time the gates stand at an end of their range, where no gradient passes.", figure)
        )
    if look.by_lag is not None:
        figure = new_canvas(WIDTH, 3.6)
        plot_lags(look.by_lag, ax=figure.subplots())
        found.append(
            ("What a loss at a step sends to the steps before it (a loss of random signs at every step).", figure)
        )
        figure = new_canvas(WIDTH, max(3.6, 1 + LINE * (len(run.gates) + len(run.states))))
        plot_deltas(run, run.backward(look.dy, steps=True), ax=figure.subplots())
        found.append(("The gradient that arrives at each step.", figure))
        found += _spectrum(run)
    return [(caption, _image(each, f"{look.name}: {caption}")) for caption, each in found]


def results_of(model: Any, data: Any, about: dict[str, Any]) -> list[tuple[str, str]]:
    """Captions and images of what the model makes of the data: which classes it takes for which, or a forecast."""
    from pylstm.plots import plot_confusion, plot_fan
    from pylstm.plots.panels import new_canvas

    found = []
    if data.confusion is not None:
        side = 2.8 + 0.12 * len(model.classes)
        figure = new_canvas(WIDTH, min(side, WIDTH))
        plot_confusion(data.confusion, model.classes, ax=figure.subplots())
        found.append(("What the model takes for what: true classes in rows, predicted ones in columns.", figure))
    if data.series is not None and not data.series.known[0].shape[1]:
        from pylstm.commands._shared.judging import forecast_all, intervals

        n, read, ends = int(about.get("horizon", 12)), data.series, {}
        with suppress(ValueError):  # a model without intervals
            ends = {level: intervals(model, read, n, level)[0] for level in (0.5, 0.9)}
        figure = new_canvas(WIDTH, 3.6)
        first = read.series[0]
        plot_fan(first.values, forecast_all(model, read, n)[0], ends, unit=read.names()[0], ax=figure.subplots())
        found.append((f"The end of the first series, {read.names()[0]}, and what the model expects to follow.", figure))
    return [(caption, _image(each, caption)) for caption, each in found]


def _longest(run: Any) -> int:
    lengths = getattr(run, "lengths", None)
    return 0 if lengths is None else int(np.argmax(lengths))


def _spectrum(run: Any) -> list[tuple[str, Any]]:
    from pylstm.diagnostics import lyapunov_spectrum
    from pylstm.plots import plot_exponents
    from pylstm.plots.panels import new_canvas

    units = sum(each.shape[-1] for each in run.states.values())
    if units > MOST_UNITS or run._T < 20 or getattr(run, "lengths", None) is not None:
        return []
    figure = new_canvas(WIDTH, 3.6)
    plot_exponents(lyapunov_spectrum(run, skip=5), ax=figure.subplots())
    caption = (
        "Mean rates at which small differences of the states grow: above 0 the net is chaotic, far below 0 it forgets."
    )
    return [(caption, figure)]


def _image(figure: Any, caption: str) -> str:
    """The figure as an image within the page; vectors, but for heat maps."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "pylstm"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{escape(caption)}" src="data:image/svg+xml;base64,{data}">'
