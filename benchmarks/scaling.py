"""Cost is linear in the number of steps and of rows: training time for each step and row, at growing T and B.

Run: ``python -P benchmarks/scaling.py [CELL]``. Prints medians in nanoseconds for each step and row of forward +
backward, every size once a round, and each by the smallest of its line. In T the figures are flat once the packing of
the weights does not count, from some hundred steps on; in B once the rows fill the tiles of the products, from 16 on.
One thread, float32.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import pylstm

H = 32
STEPS = [(T, 1) for T in (10, 100, 1_000, 10_000, 100_000)]
ROWS = [(100, B) for B in (1, 4, 16, 64, 256, 1024)]
SECONDS = 4.0


class Training:
    """For asv: seconds of a forward and backward pass."""

    params = [STEPS[:-1] + ROWS[1:-1]]
    param_names = ["T,B"]

    def setup(self, size):
        self.train = training("lstm", *size)

    def time_training(self, size):
        self.train()


def training(cell, T, B):
    """A forward and backward pass to be timed; one has been done."""
    layer = pylstm.Recurrent(cell, H, H, seed=0)
    x = np.random.default_rng(0).standard_normal((T, B, H), "float32")
    dy = np.ones_like(x)

    def train():
        layer(x).backward(dy)

    train()
    return train


def nanoseconds(cell, sizes):
    """Median nanoseconds for each step and row of each size, measured in turn."""
    trainings, times = [training(cell, *size) for size in sizes], [[] for _ in sizes]
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times[0]) < 5:
        for train, (T, B), found in zip(trainings, sizes, times):
            calls = max(1, 20_000 // (T * B))
            start = time.perf_counter()
            for _ in range(calls):
                train()
            found.append((time.perf_counter() - start) / calls / T / B * 1e9)
    return [float(np.median(found)) for found in times]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cell", metavar="CELL", nargs="?", choices=pylstm.plugins.registry().names(), default="lstm")
    cell = parser.parse_args().cell
    pylstm.set_num_threads(1)
    for sizes, name, k in ((STEPS, "T", 0), (ROWS, "B", 1)):
        found = nanoseconds(cell, sizes)
        print(f"{cell}, H = {H}, " + ("B = 1" if name == "T" else "T = 100"))
        for size, value in zip(sizes, found):
            print(f"  {name} = {size[k]:<8,} {value:8.1f} ns a step and row   {value / min(found):5.2f}", flush=True)


if __name__ == "__main__":
    main()
