"""A step of a net in C, from `pylstm.export.c`, beside `stream.feed` and RTNeural in one run: one input, float32.

Usage: python benchmarks/exported.py [--cells lstm gru] [--units 8 32] [--rtneural FOLDER] [--compilers gcc clang]

The C file is compiled with ``-std=c11 -O3`` by every compiler of `--compilers` that there is, and fed all steps in one
call from Python, as RTNeural is (`contest/of_rtneural.py`, which says what ``--rtneural`` takes). Outputs are compared
first.
"""

from __future__ import annotations

import argparse
import ctypes
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from contest import of_rtneural
from contest.choices import whole
from contest.measure import Effort, in_turn
from contest.problem import Contestant

import pylstm

STEPS = 1000
EFFORT = Effort(seconds=2.0, least=21, most=401, sample=1e-3)


class Problem:
    """What `of_rtneural` and the C file are given."""

    def __init__(self, cell: str, units: int) -> None:
        self.cell, self.H, self.B, self.I, self.T, self.dtype = cell, units, 1, 1, STEPS, "float32"
        self.layer = pylstm.Recurrent(cell, 1, units, seed=0)
        self.x = np.random.default_rng(0).standard_normal((STEPS, 1), "float32")


def exported(problem: Problem, compiler: str, folder: Path) -> Contestant:
    """The C file, compiled."""
    source, library = folder / "net.c", folder / f"{problem.cell}{problem.H}{compiler}.so"
    pylstm.export.c(problem.layer, source)
    subprocess.run([compiler, "-std=c11", "-O3", "-shared", "-fPIC", source, "-o", library], check=True)
    net = ctypes.CDLL(str(library))
    state, y = np.zeros(1 << 16, "uint8"), np.empty((STEPS, problem.H), "float32")
    pointer = ctypes.c_void_p
    assert net.net_init(pointer(state.ctypes.data)) == 0
    arguments = [state.ctypes.data, problem.x.ctypes.data, STEPS, y.ctypes.data]
    net.net_run.argtypes = [pointer, pointer, ctypes.c_size_t, pointer]

    def call() -> Any:
        net.net_run(*arguments)
        return y

    def results(_: Any) -> dict[str, Any]:
        net.net_reset(pointer(state.ctypes.data))
        return {"y": call().copy()}

    return Contestant(call, results)


def fed(problem: Problem) -> Contestant:
    """`stream.feed`."""
    stream, y = problem.layer.stream(), np.empty((STEPS, problem.H), "float32")

    def results(_: Any) -> dict[str, Any]:
        stream.reset()
        return {"y": stream.feed(problem.x).copy()}

    return Contestant(lambda: stream.feed(problem.x, y), results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", choices=("lstm", "gru"), default=["lstm"])
    parser.add_argument("--units", nargs="+", type=whole(), default=[8])
    parser.add_argument("--compilers", nargs="+", default=["gcc", "clang"])
    parser.add_argument("--rtneural", type=of_rtneural.sources, metavar="FOLDER", help="RTNeural's sources")
    options = parser.parse_args()
    if options.rtneural:
        print(of_rtneural.prepare(options.rtneural, options.units), flush=True)
    for cell in options.cells:
        for units in options.units:
            compare(Problem(cell, units), options)


def compare(problem: Problem, options: argparse.Namespace) -> None:
    """One row a contestant: ns of a step, and the largest difference from `stream.feed`."""
    with tempfile.TemporaryDirectory() as folder:
        entrants = {"stream.feed": fed(problem)}
        for compiler in filter(shutil.which, options.compilers):
            entrants[f"C file, {compiler}"] = exported(problem, compiler, Path(folder))
        if options.rtneural and (peer := of_rtneural.feed(problem)):
            entrants[f"RTNeural, {peer.note}"] = peer
        right = entrants["stream.feed"].results(None)["y"]
        off = {
            name: np.abs(each.results(None)["y"].reshape(right.shape) - right).max() for name, each in entrants.items()
        }
        times = in_turn(entrants, EFFORT)
    print(f"\n{problem.cell}, 1 -> {problem.H}, ns a step (median of samples of {STEPS} steps)")
    for name in entrants:
        print(f"  {name:<24}{times[name]['median'] / STEPS * 1e9:8.1f}   off by {off[name]:.1e}")


if __name__ == "__main__":
    main()
