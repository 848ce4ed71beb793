"""Training on a mapped file beside the same array in memory: private memory on top of the data, and steps per second.

Run: ``python -P benchmarks/mapped.py [MEGABYTES]``. Makes a .npy file of that size (default 2048) in a temporary
folder, which is removed at the end, and trains a GRU of 16 units for an epoch of shuffled batches of 256, each case in
a process of its own. Those of a map begin with a file that is not in the page cache, where the system allows that.

- on top: most megabytes of anonymous memory (``RssAnon``, without the pages of the map) above those before the fit;
- steps/s: of the optimiser, over the fit, what precedes its first step included;
- reading: rows read in the same order, and nothing else: what the disk takes.

Bars: 500 MB on top of a map; seconds of a map at most those in memory and those of the disk, and a tenth.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from contest.choices import whole

import pylstm

T, I, B, H = 100, 64, 256, 16
CASES = ("model", "model, validation=0.1", "estimator", "estimator, early_stopping")


class Peak:
    """Most anonymous memory of this process while the block runs, in MB above that at its begin."""

    def __enter__(self):
        self.most, self._ended, self._before = 0.0, threading.Event(), anonymous()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._ended.wait(0.005):
            self.most = max(self.most, anonymous() - self._before)

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


def anonymous():
    """Megabytes of private memory."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon")) / 1024


def make(folder, megabytes):
    """The file of x (N, T, I); y is the sign of a sum."""
    N = max(2 * B, megabytes * 2**20 // (4 * T * I))
    x = np.lib.format.open_memmap(folder / "x.npy", mode="w+", dtype="float32", shape=(N, T, I))
    rng, y = np.random.default_rng(0), np.empty(N, int)
    for start in range(0, N, 1000):
        piece = rng.standard_normal(x[start : start + 1000].shape, "float32")
        x[start : start + 1000], y[start : start + 1000] = piece, piece[:, :, 0].sum(axis=1) > 0
    x.flush()
    np.save(folder / "y.npy", y)
    return N


def evict(path):
    """Take a file out of the page cache."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def train(case, x, y):
    """One epoch; the steps."""
    if case.startswith("model"):
        model = pylstm.SequenceModel("gru", I, H, 2, loss="softmax_cross_entropy", seed=0)
        held = 0.1 if "validation" in case else None
        return len(pylstm.fit(model, (x, y), epochs=1, batch_size=B, validation=held, progress=False).steps)
    early = "early" in case
    net = pylstm.SequenceClassifier("gru", hidden_size=H, epochs=1, batch_size=B, random_state=0, early_stopping=early)
    net.fit(x, y)
    return -(-len(y) * (9 if early else 10) // 10 // B)


def measure(case, folder, mapped, results):
    """In a process of its own: steps, seconds, megabytes on top."""
    x, y = np.load(folder / "x.npy", mmap_mode="r" if mapped else None), np.load(folder / "y.npy")
    train("model" if case == "reading" else case, np.array(x[: 2 * B]), y[: 2 * B])  # what is imported late
    if mapped:
        evict(folder / "x.npy")
    with Peak() as peak:
        start = time.perf_counter()
        if case == "reading":
            order = np.random.default_rng([0, 0]).permutation(len(x))
            steps = sum(x[order[k : k + B]].any() for k in range(0, len(x), B))
        else:
            steps = train(case, x, y)
        seconds = time.perf_counter() - start
    results.put((int(steps), seconds, peak.most))


def apart(*given):
    """`measure` in a new process."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=measure, args=(*given, results))
    process.start()
    found = results.get()
    process.join()
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("megabytes", metavar="MEGABYTES", nargs="?", type=whole(), default=2048)
    megabytes = parser.parse_args().megabytes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        N = make(folder, megabytes)
        disk = apart("reading", folder, True)[1]
        print(f"{N} rows of {T} steps of {I} float32, {megabytes} MB; reading {disk:.1f} s")
        print(f"{'':<27}{'in memory':^26}{'mapped':^26}")
        print(f"{'':<27}" + 2 * f"{'s':>7}{'steps/s':>9}{'on top':>8}  ")
        for case in CASES:
            both = [apart(case, folder, mapped) for mapped in (False, True)]
            shown = "".join(f"{s:7.1f}{steps / s:9.1f}{most:8.0f}  " for steps, s, most in both)
            print(f"{case:<27}{shown}", flush=True)


if __name__ == "__main__":
    main()
