"""Works to results: plain dicts and lists, as they are written to JSON.

A work's result has ``name``, ``title``, ``threads``, ``rows`` (one a size: ``size``, ``contestants`` with what
`measure.in_turn` gives, ``ratios`` one a target, and ``notes`` by contestant if there are any) and ``targets``
(``label``, ``mean``, ``worst``, ``worst_size``, ``wanted_mean``, ``wanted_worst``, ``at_most``, ``met``).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from dataclasses import replace
from math import exp, log
from typing import Any

from .machine import installed
from .measure import FULL, PAUSE, QUICK, Disagreement, check_agreement, in_turn
from .problem import Contestant, Problem, Size
from .works import LIBRARIES, Target, Work


def prepare(threads: int) -> tuple[str, ...]:
    """Import what is installed, to run on `threads` threads; gives the names."""
    there = tuple(name for name in LIBRARIES if installed(name))
    for name in there:
        importlib.import_module(f".of_{name}", __package__).prepare(threads)
    return there


def run_works(
    works: Iterable[Work], there: tuple[str, ...], sizes: list[Size] | None, quick: bool
) -> Iterable[dict[str, Any]]:
    """The result of each work, as soon as it is there."""
    for work in works:
        rows = []
        for size in work.chosen(sizes, quick):
            _show(f"{work.name} {label(work, size)}")
            row = _run_size(work, size, there, quick)
            if row:
                rows.append(row)
        _show("")
        yield {
            "name": work.name,
            "title": work.title,
            "threads": work.threads,
            "rows": rows,
            "targets": [_reached(target, k, rows) for k, target in enumerate(work.targets)],
        }


def _show(what: str) -> None:
    """What is being measured, on a line of a terminal that the next one overwrites."""
    if sys.stderr.isatty():
        print(f"{what:60}", end="\r", file=sys.stderr, flush=True)


def label(work: Work, size: Size) -> str:
    """What distinguishes a size in its work."""
    return f"H={size.H}" if work.of_size else ",".join(map(str, size))


def entrants(work: Work, size: Size, there: tuple[str, ...]) -> dict[str, Contestant]:
    """The contestants of a size, without those that are not installed or cannot do it."""
    found = {}
    for name, (module, function, fields) in work.entrants.items():
        library = module.removeprefix("of_")
        if library in LIBRARIES and library not in there:
            continue
        problem = Problem(**{"size": size, **work.of_problem, **fields})
        contestant = getattr(importlib.import_module(f".{module}", __package__), function)(problem)
        if contestant is not None:
            found[name] = contestant
    return found


def _run_size(work: Work, size: Size, there: tuple[str, ...], quick: bool) -> dict[str, Any] | None:
    """None where pylstm itself has nothing to run yet."""
    contestants = entrants(work, size, there)
    if any(target.under not in contestants for target in work.targets):
        return None
    if work.agree:
        try:
            check_agreement(contestants)
        except Disagreement as error:
            raise Disagreement(f"{work.name} {label(work, size)}: {error}") from None
    effort = QUICK if quick else FULL
    times = in_turn(contestants, replace(effort, pause=PAUSE if work.threads > 1 else 0.0))
    notes = {name: contestant.note for name, contestant in contestants.items() if contestant.note}
    return {
        "size": label(work, size),
        "contestants": times,
        "ratios": [_ratio(target, times) for target in work.targets],
        **({"notes": notes} if notes else {}),
    }


def _ratio(target: Target, times: dict[str, dict[str, Any]]) -> float | None:
    over = [times[name]["median"] for name in target.over if name in times]
    return min(over) / times[target.under]["median"] if over else None


def _reached(target: Target, k: int, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Geometric mean and worst of the `k`-th ratio; None where there is none."""
    ratios = {row["size"]: row["ratios"][k] for row in rows if row["ratios"][k] is not None}
    mean = exp(sum(map(log, ratios.values())) / len(ratios)) if ratios else None
    at = (max if target.at_most else min)(ratios, key=ratios.__getitem__) if ratios else None
    worst = None if at is None else ratios[at]
    met = at is not None and target.meets(mean, target.mean) and target.meets(worst, target.worst)
    return {
        "label": target.label,
        "mean": mean,
        "worst": worst,
        "worst_size": at,
        "wanted_mean": target.mean,
        "wanted_worst": target.worst,
        "at_most": target.at_most,
        "met": met if ratios else None,
    }
