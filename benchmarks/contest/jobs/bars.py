"""Jobs as bars: each peer's time divided by pylstm's, a panel for each cell, a row of panels for each kind of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..machine import sentence
from ..plot import COLOURS

KINDS = {"train": "a training step", "infer": "inference of a batch"}
HEIGHT, GAP = 0.17, 0.1
"""Of a bar and above a job, in inches."""
NEAR, FAR = 0.55, 2.2
"""How far the axis goes beyond the least and the largest ratio: room for their numbers."""


@dataclass(frozen=True)
class Ink:
    """Colours of what is not a bar."""

    text: str
    quiet: str
    behind: str


LIGHT, DARK = Ink("#1f2328", "#6e7781", "#cf222e18"), Ink("#e6edf3", "#9198a1", "#ff7b7230")


def draw(
    works: Sequence[dict[str, Any]], machine: dict[str, Any], path: str, dark: bool = False, narrow: bool = False
) -> None:
    """Write the picture to `path`, without a background, in ink for a light page or for a dark one.

    A narrow one has its panels one below the other.
    """
    from textwrap import fill

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    kinds = [kind for kind in KINDS if any(_kind(work) == kind and work["rows"] for work in works)]
    cells = list(dict.fromkeys(_cell(work) for work in works))
    if not kinds:
        return
    found = {(_kind(work), _cell(work)): work for work in works}
    ink, lines = DARK if dark else LIGHT, [[(kind, cell) for cell in cells] for kind in kinds]
    if narrow:
        lines = [[each] for line in lines for each in line]
    heights = [_height([work for work in works if _kind(work) == line[0][0]]) for line in lines]
    columns = len(lines[0])
    size = (3.0 * columns + 0.8, sum(heights) + 0.6 * len(lines) + 0.5)
    with matplotlib.rc_context({"svg.hashsalt": "jobs", "svg.fonttype": "none", "text.color": ink.text}):
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(lines), columns, squeeze=False, height_ratios=heights)
        for line, row in zip(lines, panels):
            for each, panel in zip(line, row):
                _panel(panel, found.get(each), _limits(works), ink)
            _names(row[0], found.get(line[0]), KINDS[line[0][0]], ink)
        _legend(figure, works, ink, 2 if narrow else None)
        figure.supxlabel(
            fill(sentence(machine), 64 if narrow else 50 * columns), fontsize=7.5, color=ink.quiet, x=0.01, ha="left"
        )
        dated = {"metadata": {"Date": None}} if path.lower().endswith(".svg") else {}
        figure.savefig(path, dpi=150, transparent=True, **dated)


def bars(work: dict[str, Any]) -> list[tuple[str, str, float]]:
    """Job, peer, and the time of the peer divided by that of pylstm."""
    return [
        (row["size"], name, times["median"] / row["contestants"]["pylstm"]["median"])
        for row in work["rows"]
        for name, times in row["contestants"].items()
        if name != "pylstm"
    ]


def number(ratio: float) -> str:
    """As it stands at the end of its bar."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.3g}"


def _kind(work: dict[str, Any]) -> str:
    return work["name"].partition("-")[2]


def _cell(work: dict[str, Any]) -> str:
    return work["name"].partition("-")[0]


def _height(works: Sequence[dict[str, Any]]) -> float:
    """Of a row of panels, in inches."""
    return max([HEIGHT + GAP, *(len(bars(work)) * HEIGHT + len(work["rows"]) * GAP for work in works)])


def _limits(works: Sequence[dict[str, Any]]) -> tuple[float, float]:
    ratios = [ratio for work in works for _, _, ratio in bars(work)] or [1.0]
    return min(NEAR, min(ratios) * NEAR), max(ratios) * FAR


def places(work: dict[str, Any]) -> dict[str, list[float]]:
    """Where the bars of each job are, from the top down."""
    found: dict[str, list[float]] = {row["size"]: [] for row in work["rows"]}
    for number, job in enumerate(found):
        for job_of_bar, *_ in bars(work):
            if job_of_bar == job:
                found[job].append(sum(map(len, found.values())) * HEIGHT + number * GAP)
    return found


def _panel(panel: Any, work: dict[str, Any] | None, limits: tuple[float, float], ink: Ink) -> None:
    """The bars of a work begin at 1, where pylstm is: to the right a peer is slower, to the left faster."""
    panel.set(xscale="log", xlim=limits)
    _axes(panel, ink)
    if work is None:
        panel.set_axis_off()
        return
    there = places(work)
    for job, name, ratio in bars(work):
        place = there[job].pop(0)
        panel.barh(place, ratio - 1, HEIGHT, left=1, color=COLOURS.get(name), edgecolor="none")
        _number(panel, place, ratio, ink)
    panel.set_ylim(_height([work]) - GAP - HEIGHT / 2, -HEIGHT / 2 - GAP / 2)
    panel.axvspan(limits[0], 1, color=ink.behind, linewidth=0)
    panel.axvline(1, color=COLOURS["pylstm"], linewidth=1.6)
    panel.set_title(work["title"].partition(", ")[0], fontsize=9.5, loc="left")


def _number(panel: Any, place: float, ratio: float, ink: Ink) -> None:
    """The ratio behind the end of its bar; bold where the peer is ahead."""
    ahead = ratio < 1
    panel.annotate(
        number(ratio),
        (ratio, place),
        ((-3, 0) if ahead else (3, 0)),
        textcoords="offset points",
        ha="right" if ahead else "left",
        va="center",
        fontsize=7.5,
        fontweight="bold" if ahead else "normal",
        color=ink.text,
    )


def _names(panel: Any, work: dict[str, Any] | None, kind: str, ink: Ink) -> None:
    """Of the jobs, beside the first panel of a row, and of what is measured in it."""
    there = {job: mine for job, mine in places(work).items() if mine} if work else {}
    panel.set_yticks([sum(mine) / len(mine) for mine in there.values()], [job.replace("-", " ") for job in there])
    panel.tick_params(axis="y", labelsize=9, labelcolor=ink.text)
    panel.set_ylabel(kind, fontsize=9.5, fontweight="bold", color=ink.text)


def _axes(panel: Any, ink: Ink) -> None:
    """Plain numbers, and no frame."""
    from matplotlib.ticker import FixedLocator, NullLocator

    low, high = panel.get_xlim()
    panel.xaxis.set_major_locator(FixedLocator([tick for tick in (0.5, 1, 2, 5, 10, 20, 50, 100) if low < tick < high]))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter("{x:g}")
    panel.set_yticks([])
    panel.tick_params(length=0, labelsize=8, colors=ink.quiet)
    panel.grid(True, axis="x", linewidth=0.4, color=ink.quiet, alpha=0.4)
    panel.set_axisbelow(True)
    for spine in panel.spines.values():
        spine.set_visible(False)


def _legend(figure: Any, works: Sequence[dict[str, Any]], ink: Ink, columns: int | None) -> None:
    """What the colours and the line are; in one line if nothing is said."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    names = list(dict.fromkeys(name for work in works for _, name, _ in bars(work)))
    handles = [Line2D([], [], color=COLOURS["pylstm"], linewidth=1.6, label="pylstm, 1")]
    handles += [Patch(color=COLOURS.get(name), label=name) for name in names]
    handles.append(Patch(color=ink.behind, label="the peer is faster"))
    figure.legend(
        handles=handles,
        loc="outside upper left",
        ncols=columns or len(handles),
        frameon=False,
        title="time divided by that of pylstm: longer is slower",
        title_fontsize=10,
        alignment="left",
        fontsize=9,
    )
