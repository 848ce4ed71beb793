"""The machine as a contestant: its peak of multiply-adds, measured in turn with the others; and its name."""

from __future__ import annotations

import importlib
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .problem import Contestant, Problem

RTNEURAL_PEAK = 104e9
"""Multiply-add peak (operations a second, float32, one thread) of the machine on which RTNeural was measured."""
RTNEURAL = {
    "lstm": {8: 56e-9, 16: 80e-9, 32: 165e-9, 64: 742e-9, 128: 2680e-9},
    "gru": {8: 48e-9, 16: 71e-9, 32: 154e-9, 64: 557e-9, 128: 1950e-9},
}
"""Seconds a step of RTNeural there: C++, one input, batch 1, sizes known to the compiler, the best of its backends."""


def lstm_training_at_peak(problem: Problem) -> Contestant:
    """The products of LSTM training at the peak.

    Six of them: W x and U h forward, their two cotangents of x and h, their two of W and U backward. Each takes a
    multiplication and an addition for every step, row, unit of the four gates, and input or state.
    """
    each = 2 * problem.T * problem.B * 4 * problem.H
    return _at_peak(3 * each * (problem.I + problem.H), problem.dtype)


def rtneural(problem: Problem) -> Contestant | None:
    """RTNeural's published figures at this machine's speed: as many operations at the peak as it took there.

    None: not measured there. RTNeural itself is in `of_rtneural`.
    """
    seconds = RTNEURAL[problem.cell].get(problem.H)
    return seconds and _at_peak(seconds * problem.T * RTNEURAL_PEAK, "float32")


def _at_peak(operations: float, dtype: str) -> Contestant:
    """A loop of multiply-adds in registers, its time scaled to `operations`."""
    from pylstm.engine.levels import level

    tiles = importlib.import_module(f"pylstm.engine.tiles_{level}")
    out, steps = np.zeros(64, dtype), 1000
    while tiles.peak(out, steps) < 5e7:  # half a millisecond at 100 GFLOP/s
        steps *= 2
    return Contestant(lambda: tiles.peak(out, steps), scale=operations / tiles.peak(out, steps))


def peak(seconds: float = 0.05) -> float:
    """Float32 operations a second of this core, the best of several short loops."""
    from time import perf_counter

    contestant, best, end = _at_peak(1.0, "float32"), np.inf, perf_counter() + seconds
    while perf_counter() < end:
        start = perf_counter()
        contestant.call()
        best = min(best, perf_counter() - start)
    return 1 / (best * contestant.scale)


def pin(threads: int) -> list[int]:
    """Keep this process and its threads to `threads` cores; the cores, or none where that cannot be asked for."""
    if not hasattr(os, "sched_setaffinity"):
        return []
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    os.sched_setaffinity(0, cores)
    return cores


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def installed(library: str) -> bool:
    """Whether `library` is there, and onnx, too, where its models are built with that."""
    needed = (library, "onnx") if library in ("onnxruntime", "openvino") else (library,)
    return all(find_spec(name) is not None for name in needed)


def describe(libraries: tuple[str, ...]) -> dict[str, Any]:
    """What a figure depends on."""
    from pylstm.engine.levels import level

    versions = {}
    for name in (*libraries, "numpy"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "level": level,
        "versions": versions,
        "peak_gflops_float32": round(peak() / 1e9, 1),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def sentence(machine: dict[str, Any]) -> str:
    """`describe` in a line."""
    versions = ", ".join(f"{name} {found}" for name, found in machine["versions"].items() if found)
    return (
        f"{machine['cpu']}, {machine['cores']} cores, level {machine['level']}, "
        f"{machine['peak_gflops_float32']:.0f} GFLOP/s float32 on one; {versions}, Python {machine['python']}"
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
