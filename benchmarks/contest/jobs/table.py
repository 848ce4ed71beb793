"""Rows of jobs as Markdown tables, and what they come to together."""

from __future__ import annotations

from math import exp, log
from typing import Any

from ..table import markdown, milliseconds, number

WANTED = {None: (2.3, 1.35), 1: (2.1, 1.05)}
"""Geometric mean and least of the ratio of a training step that are to be reached: by threads, None for the default."""
EXCEPTION = ("wide-text", "lstm", 1.15)
"""A row of less, on default threads: nearly all of it are large products, where everybody is near the peak."""


def row_wanted(threads: int | None, kind: str, task: str, cell: str) -> float | None:
    """The least ratio that a row is to have."""
    if kind != "train" or threads not in WANTED:
        return None
    return EXCEPTION[2] if threads is None and (task, cell) == EXCEPTION[:2] else WANTED[threads][1]


def reached(rows: list[dict[str, Any]], mean_wanted: float | None, label: str = "best / pylstm") -> dict[str, Any]:
    """Geometric mean and least of the ratios; None where there is none."""
    ratios = {row["size"]: row["ratios"][0] for row in rows if row["ratios"][0] is not None}
    mean = exp(sum(map(log, ratios.values())) / len(ratios)) if ratios else None
    at = min(ratios, key=ratios.__getitem__) if ratios else None
    kept = [row["ratios"][0] >= row["wanted"] for row in rows if row["size"] in ratios and row["wanted"]]
    met = None
    if kept:
        met = all(kept) and (mean_wanted is None or mean >= mean_wanted)
    return {
        "label": label,
        "mean": mean,
        "worst": ratios.get(at),
        "worst_size": at,
        "wanted_mean": mean_wanted,
        "met": met,
    }


def work_table(work: dict[str, Any]) -> str:
    """Tasks down; milliseconds of each contestant, the ratio, what it should be, and megabytes across."""
    names = list(dict.fromkeys(name for row in work["rows"] for name in row["contestants"]))
    head = ["task", *(f"{name} ms" for name in names), "best / pylstm", "target", *(f"{name} MB" for name in names)]
    body = []
    for row in work["rows"]:
        found = [row["contestants"].get(name) for name in names]
        wanted = "" if row["wanted"] is None else f">= {row['wanted']:g}"
        body.append([row["size"], *map(milliseconds, found), number(row["ratios"][0]), wanted, *map(_megabytes, found)])
    return f"## {work['title']}\n\n{markdown(head, body)}"


def summary(works: list[dict[str, Any]], together: dict[str, Any]) -> str:
    """A line for each cell, and one for all of them."""
    verdicts = {True: "yes", False: "NO", None: ""}
    head = ["work", "geometric mean", "target", "least", "at", "met"]
    body = []
    for name, found in [*((work["name"], work["targets"][0]) for work in works), ("all", together)]:
        wanted = "" if found["wanted_mean"] is None else f">= {found['wanted_mean']:g}"
        least = [number(found["worst"]), found["worst_size"] or ""]
        body.append([name, number(found["mean"]), wanted, *least, verdicts[found["met"]]])
    return f"## Best peer's time divided by pylstm's\n\n{markdown(head, body)}"


def ends_table(results: list[dict[str, Any]]) -> str:
    """Seconds, what was done in one, how good the model is, and megabytes."""
    head = ["job", "training s", "process s", "in a second", "came to", "MB"]
    body = [
        [
            found["name"],
            f"{found['seconds']:.2f}",
            f"{found['process_seconds']:.2f}",
            f"{found['rate']:,.{0 if found['rate'] >= 100 else 2}f} {found['rate_unit'].removesuffix(' a second')}",
            f"{found['quality']:.3f} {found['quality_unit']}",
            _megabytes(found),
        ]
        for found in results
    ]
    return f"## From end to end\n\n{markdown(head, body)}"


def _megabytes(times: dict[str, Any] | None) -> str:
    return f"{times['peak_bytes'] / 1e6:.0f}" if times and times["peak_bytes"] else ""
