"""A task with a cell to a row: contestants started, compared, then measured in turn."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np

from ..machine import installed
from ..measure import Disagreement
from .child import Child
from .tasks import CELLS, COMPARED, Job, Task

ENTRANTS = {"train": ("pylstm", "torch", "jax", "keras"), "infer": ("pylstm", "torch", "jax", "keras", "onnxruntime")}
FIRST, LATER, OUTPUTS = 1e-5, 1e-3, 1e-4
"""Largest relative differences: of the first loss, of those after it, of the outputs by their largest element."""
SLOW = 5
PAUSE = 0.05
"""Seconds before a turn: threads of the contestant before may still be spinning."""


@dataclass(frozen=True)
class Effort:
    """How long a row is measured: seconds of a sample, of a row, and how many rounds at least and at most."""

    sample: float
    seconds: float
    least: int
    most: int


FULL, QUICK = Effort(0.1, 8.0, 5, 15), Effort(0.02, 0.5, 3, 3)


def there(kind: str, peers: Iterable[str] | None = None) -> tuple[str, ...]:
    """The contestants that are installed, and among `peers` where these are given."""
    wanted = ENTRANTS[kind] if peers is None else ("pylstm", *peers)
    found = [name for name in ENTRANTS[kind] if name in wanted and installed(name)]
    return tuple(name for name in found if name != "keras" or installed("torch"))


def run_row(task: Task, cell: str, kind: str, names: Iterable[str], effort: Effort, threads: int | None) -> Any:
    """The result of a row: ``size``, ``contestants`` (seconds a step, bytes) and ``ratios``."""
    job = Job.drawn(task, cell)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        path = Path(folder) / "job.npz"
        job.write(path)
        children = {name: start(name, kind, path, threads) for name in names}
        for child in children.values():
            stack.callback(child.close)
        try:
            compare(children, kind, Path(folder))
        except Disagreement as error:
            raise Disagreement(f"{task.name}, {cell}: {error}") from None
        found = in_turn(children, effort)
        for name, child in children.items():
            found[name]["peak_bytes"] = child.ask("memory")
    peers = [times["median"] for name, times in found.items() if name != "pylstm"]
    ratio = min(peers) / found["pylstm"]["median"] if peers else None
    return {"size": task.name, "contestants": found, "ratios": [ratio]}


def start(name: str, kind: str, path: Path, threads: int | None) -> Child:
    """The process of a contestant: `benchmarks/jobs.py --child`."""
    script = Path(__file__).resolve().parents[2] / "jobs.py"
    return Child(name, [sys.executable, str(script), "--child", name, kind, str(path)], threads)


def compare(children: dict[str, Child], kind: str, folder: Path) -> None:
    """Refuse contestants that do not compute the same.

    Raises
    ------
    Disagreement
        Naming both, what differs, and by how much.
    """
    for name, child in children.items():  # they start all at once
        child.send("losses" if kind == "train" else "outputs", steps=COMPARED, path=str(folder / f"{name}.npy"))
    answers = {name: child.answer() for name, child in children.items()}
    (first, expected), *others = answers.items()
    for name, found in others:
        if kind == "train":
            check_losses(name, found, first, expected)
        else:
            check_outputs(name, np.load(found), first, np.load(expected))


def check_losses(name: str, found: list[float], first: str, expected: list[float]) -> None:
    for step, (loss, wanted) in enumerate(zip(found, expected, strict=True)):
        difference, allowed = abs(loss - wanted) / abs(wanted), LATER if step else FIRST
        if not difference <= allowed:
            raise Disagreement(
                f"the losses of {name} and {first} at step {step}, {loss:.6g} and {wanted:.6g}, differ by "
                f"{difference:.1e} of the latter, allowed is {allowed:.0e}"
            )


def check_outputs(name: str, found: np.ndarray, first: str, expected: np.ndarray) -> None:
    if found.shape != expected.shape:
        raise Disagreement(f"the outputs of {name} and {first} have shapes {found.shape} and {expected.shape}")
    difference = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not difference <= OUTPUTS:
        raise Disagreement(
            f"the outputs of {name} and {first} differ by {difference:.1e} of the largest element, allowed is "
            f"{OUTPUTS:.0e}"
        )


def in_turn(children: dict[str, Child], effort: Effort) -> dict[str, dict[str, Any]]:
    """Measure A B C A B C ...; of each ``median`` and ``minimum`` seconds a step, ``samples``, ``calls`` in a sample.

    Who takes `SLOW` times as long as the fastest is in the first two rounds only.
    """
    calls = {name: _calls(child, effort.sample) for name, child in children.items()}
    samples: dict[str, list[float]] = {name: [] for name in children}
    begun = perf_counter()
    for number in range(effort.most):
        if number >= effort.least and perf_counter() - begun > effort.seconds:
            break
        slow = SLOW * min((median(each) for each in samples.values() if each), default=np.inf)
        for name, child in children.items():
            if number < 2 or median(samples[name]) < slow:
                samples[name].append(_turn(child, calls[name]))
    return {
        name: {"median": median(each), "minimum": min(each), "samples": len(each), "calls": calls[name]}
        for name, each in samples.items()
    }


def _calls(child: Child, seconds: float) -> int:
    """How many steps fill a sample, at least 3 unless a step alone is long."""
    calls, step = 1, _turn(child, 1)
    while calls * step < seconds / 4:
        calls *= 4
        step = _turn(child, calls)
    return 1 if step > 10 * seconds else max(3, ceil(seconds / step))


def _turn(child: Child, steps: int) -> float:
    sleep(PAUSE)
    return child.ask("time", steps=steps)


def titles(kind: str) -> dict[str, str]:
    """Of the tables, by cell."""
    what = "a training step" if kind == "train" else "inference of a batch"
    return {cell: f"{name}, {what}" for cell, name in CELLS.items()}
