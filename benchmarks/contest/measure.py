"""Contestants in turn, in many short rounds: what happens on the machine happens to all of them."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from itertools import repeat
from math import ceil
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np

from .problem import Contestant

TOLERANCE = {np.dtype("float32"): 1e-4, np.dtype("float64"): 1e-10}
"""Largest difference between two libraries, relative to the largest element of the array."""


@dataclass(frozen=True)
class Effort:
    """How long one size is measured.

    Attributes
    ----------
    seconds : float
        In all, if that gives at least `least` rounds.
    least, most : int
        Rounds: samples of each contestant.
    sample : float
        Seconds that a sample lasts at least: small works are called several times.
    pause : float
        Seconds before a sample of several threads, because those of the last contestant may still be spinning; then
        comes a call that is not timed, because those of this one may be asleep.
    """

    seconds: float
    least: int
    most: int
    sample: float
    pause: float = 0.0


FULL = Effort(seconds=2.0, least=7, most=101, sample=1e-3)
QUICK = Effort(seconds=0.2, least=3, most=31, sample=3e-4)
PAUSE = 0.02


class Disagreement(RuntimeError):
    """Two contestants do not compute the same: their times say nothing."""


def check_agreement(contestants: dict[str, Contestant]) -> int:
    """Compare the results of all contestants that have any with those of the first; gives how many were compared.

    Raises
    ------
    Disagreement
        Naming the array, the largest difference and the tolerance.
    """
    found = {
        name: contestant.results(contestant.call()) for name, contestant in contestants.items() if contestant.results
    }
    (first, expected), *others = found.items() if found else [("", {})]
    for name, results in others:
        if results.keys() != expected.keys():
            raise Disagreement(f"{first} gives {', '.join(expected)}, {name} gives {', '.join(results)}")
        for key, array in results.items():
            _compare(f"{key} of {name} and {first}", array, expected[key])
    return len(found)


def _compare(what: str, array: np.ndarray, expected: np.ndarray) -> None:
    if array.shape != expected.shape:
        raise Disagreement(f"{what}: shapes {array.shape} and {expected.shape}")
    tolerance = max(TOLERANCE[array.dtype], TOLERANCE[expected.dtype])
    largest = np.abs(expected).max()
    difference = np.abs(array.astype("f8") - expected).max() / largest if largest else np.inf
    if not difference <= tolerance:
        raise Disagreement(f"{what} differ by {difference:.1e} of the largest element, allowed is {tolerance:.0e}")


def in_turn(contestants: dict[str, Contestant], effort: Effort) -> dict[str, dict[str, Any]]:
    """Measure A B C A B C ...; seconds a call by name: ``median``, ``minimum``, and how many ``samples`` of ``calls``.

    One call of each goes before, as a warm-up.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        calls = {name: _calls(each, effort.sample) for name, each in contestants.items()}
        turn = sum(_sample(each, calls[name], effort.pause) * calls[name] for name, each in contestants.items())
        turn += effort.pause * len(contestants)
        rounds = min(effort.most, max(effort.least, int(effort.seconds / turn)))
        samples: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in repeat(None, rounds):
            for name, contestant in contestants.items():
                samples[name].append(_sample(contestant, calls[name], effort.pause))
    finally:
        if collecting:
            gc.enable()
    return {
        name: {
            "median": median(found) * contestants[name].scale,
            "minimum": min(found) * contestants[name].scale,
            "samples": rounds,
            "calls": calls[name],
        }
        for name, found in samples.items()
    }


def _sample(contestant: Contestant, calls: int, pause: float) -> float:
    """Seconds a call, not scaled."""
    call = contestant.call
    if pause:
        sleep(pause)
    if pause or calls == 1:  # what the contestant before has left in the caches is not this one's cost
        call()
    start = perf_counter()
    for _ in repeat(None, calls):
        call()
    return (perf_counter() - start) / calls


def _calls(contestant: Contestant, span: float) -> int:
    """How many calls fill `span` seconds, once the contestant is warm."""
    _sample(contestant, 1, 0.0)
    calls = 1
    while True:
        seconds = _sample(contestant, calls, 0.0)
        if seconds * calls > span / 4:
            return max(1, ceil(span / seconds))
        calls *= 4
