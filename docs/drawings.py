"""What the site draws when it is built, from figures that are kept: jobs on a narrow page, benchmarks over the commits.

    python -P docs/drawings.py [FOLDER]

FOLDER is ``docs/drawn`` by default. Drawings are generated: they are not committed.
"""

from __future__ import annotations

import argparse
import json
import sys
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "benchmarks"))

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 330, 176, 22, 30, 40, 40
"""Of a panel, in pixels: of all, and around the points."""


def jobs(folder: Path) -> None:
    """The chart of the README for a telephone: its panels one below the other."""
    from contest.jobs import bars

    found = json.loads((HERE / "jobs.json").read_text(encoding="utf-8"))
    for name, dark in (("jobs-narrow.svg", False), ("jobs-narrow-dark.svg", True)):
        bars.draw(found["works"], found["machine"], str(folder / name), dark=dark, narrow=True)


def number(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def label(date: str) -> tuple[str, str]:
    """``29 November 2026 21:13`` in two lines."""
    day, month, _, time = date.split()
    return f"{day} {month[:3]}", time


def panel(benchmark: dict[str, Any], commits: list[dict[str, Any]]) -> str:
    """One benchmark as an SVG that takes the colours of the page: a point for each commit, its value above it."""
    values = benchmark["values"]
    there = [(k, value) for k, value in enumerate(values) if value is not None]
    most, step = max(value for _, value in there), (WIDTH - LEFT - RIGHT) / max(len(values) - 1, 1)
    places = [(LEFT + k * step, TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most), value) for k, value in there]
    told = ", ".join(f"{commits[k]['date']}: {number(value)}" for k, value in there)
    name, unit = escape(benchmark["what"]), escape(benchmark["unit"])
    floor = HEIGHT - BOTTOM
    return "\n".join(
        [
            f'<svg role="img" viewBox="0 0 {WIDTH} {HEIGHT}" aria-label="{name}, {unit}, by commit: {told}">',
            f'<text class="what" x="0" y="14">{name}, {unit}</text>',
            f'<line x1="0" y1="{floor}" x2="{WIDTH}" y2="{floor}"/>',
            f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y, _ in places)}"/>',
            *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y, _ in places),
            *(f'<text class="value" x="{x:.1f}" y="{y - 9:.1f}">{number(value)}</text>' for x, y, value in places),
            *(
                f'<text class="date" x="{LEFT + k * step:.1f}" y="{floor + 14 * line}">{word}</text>'
                for k, each in enumerate(commits)
                for line, word in enumerate(label(each["date"]), 1)
            ),
            "</svg>",
        ]
    )


def history(folder: Path) -> None:
    """The panels of ``docs/history.json``."""
    found = json.loads((HERE / "history.json").read_text(encoding="utf-8"))
    panels = "\n".join(panel(each, found["commits"]) for each in found["benchmarks"])
    rows = "\n".join(
        f"<tr><td>{each['date']}</td><td><code>{each['hash']}</code></td><td>{escape(each['subject'])}</td></tr>"
        for each in found["commits"]
    )
    head = "<tr><th>date</th><th>commit</th><th>its subject</th></tr>"
    table = f'<table class="table">\n<thead>{head}</thead>\n<tbody>\n{rows}\n</tbody></table>'
    told = f"<p>On {escape(found['machine'])}.</p>"
    text = f'<div class="history">\n{panels}\n</div>\n{told}\n<div class="commits">\n{table}\n</div>\n'
    (folder / "history.html").write_text(text, encoding="utf-8")


def write(folder: Path) -> None:
    """Everything."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs(folder)
    history(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw what the site shows from figures that are kept.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "drawn")
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
