"""A training step right after somebody else's large product, in one process, on one thread and on two.

    python benchmarks/beside.py [--tasks NAME,...] [--neighbours NAME,...] [--cell NAME] [--rounds N]

Threads of NumPy's BLAS, and of PyTorch, go on spinning for a while after a product: the step that follows finds a core
taken. Each task of `jobs.py` runs in two processes, with one thread of pylstm and with two; in turn, each makes a
product of 1000 x 1000 matrices and times the step after it. Numbers are medians; above 1.05 a second thread costs more
than it may.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from contest.choices import chosen, whole
from contest.jobs.child import Child
from contest.jobs.tasks import CELLS, TASK, Job
from contest.machine import installed

NEIGHBOURS = ("nobody", "numpy", "torch", "scikit-learn")
PACKAGES = {"torch": "torch", "scikit-learn": "sklearn"}


def product_of(neighbour: str) -> Any:
    """A function that does the neighbour's work once."""
    import numpy as np

    a = np.random.default_rng(0).normal(size=(1000, 1000)).astype(np.float32)
    if neighbour == "numpy":
        return lambda: a @ a
    if neighbour == "torch":
        import torch

        t = torch.from_numpy(a)
        return lambda: t @ t
    if neighbour == "scikit-learn":
        from sklearn.cluster import KMeans

        return lambda: KMeans(8, n_init=1, max_iter=5, random_state=0).fit(a)
    return lambda: None


def serve(path: str, neighbour: str, threads: int) -> None:
    """The child: a line in, the seconds of a step out."""
    from contest.jobs.of_pylstm import train

    import pylstm

    pylstm.set_num_threads(threads)
    step, product = train(Job.read(path)), product_of(neighbour)
    product()
    step(2)
    for _ in sys.stdin:
        product()
        start = perf_counter()
        step(1)
        print(perf_counter() - start, flush=True)


def measure(path: Path, neighbour: str, rounds: int) -> list[float]:
    """Median seconds of a step on one thread and on two."""
    command = [sys.executable, "-P", __file__, "--serve", str(path), neighbour]
    children = [Child(f"{threads} threads", [*command, str(threads)], None) for threads in (1, 2)]
    try:
        found: list[list[float]] = [[], []]
        for _ in range(rounds):
            for child, seconds in zip(children, found):
                seconds.append(child.ask("step"))
        return [median(seconds[2:]) for seconds in found]
    finally:
        for child in children:
            child.close()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", help=f"of {', '.join(TASK)}")
    parser.add_argument("--neighbours", help=f"of {', '.join(NEIGHBOURS)}")
    parser.add_argument("--cell", default="lstm", choices=tuple(CELLS))
    parser.add_argument("--rounds", type=whole(3), default=25, help="the first two do not count")
    args = parser.parse_args(arguments)
    tasks = chosen(parser, "--tasks", args.tasks, tuple(TASK))
    neighbours = chosen(parser, "--neighbours", args.neighbours, NEIGHBOURS)
    print("| after | task | one thread, ms | two threads, ms | two / one |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name in tasks:
            path = Path(folder) / f"{name}.npz"
            Job.drawn(TASK[name], args.cell).write(path)
            for neighbour in neighbours:
                if neighbour in PACKAGES and not installed(PACKAGES[neighbour]):
                    continue
                one, two = measure(path, neighbour, args.rounds)
                print(f"| {neighbour} | {name} | {one * 1e3:.3g} | {two * 1e3:.3g} | {two / one:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        raise SystemExit(main())
