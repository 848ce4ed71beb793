"""Training time of rows of different lengths: against the dense batch, against rows of one length, against PyTorch.

Run: ``python -P benchmarks/ragged.py [THREADS]``. Lengths are drawn from T/10 to T, one of them T. Prints medians,
measured in turn (PyTorch apart, in turn with ragged): of CPU time with one thread, which counts less of what else the
machine does, else of wall time.

- ragged: milliseconds of forward + backward with ``lengths``; share: sum of the lengths / (T B);
- cost: ragged / (dense x share), 1 if the cost is that of the sum of the lengths (bar: 1.25);
- equal: ``lengths`` all equal to T / dense (bar: 1.1);
- torch: packed training of PyTorch on the same rows / ragged (bar: 5 at T=200, B=32, H=64), if it is installed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from contest.choices import whole

import pylstm

# cell, T, B, I and H
CASES = [
    ("lstm", 200, 32, 64),
    ("gru", 200, 32, 64),
    ("lstm", 200, 8, 128),
    ("lstm", 200, 64, 32),
    ("lstm", 200, 32, 16),
    ("lstm", 100, 128, 64),
]
SECONDS = 3.0


class Training:
    """For asv: seconds of a forward and backward pass, of the rows up to T or up to their ends."""

    params = [["dense", "ragged", "equal"], CASES]
    param_names = ["lengths", "cell,T,B,H"]

    def setup(self, lengths, case):
        self.train = ours(*case)[lengths]
        self.train()

    def time_training(self, lengths, case):
        self.train()


def problem(T, B, H):
    """Lengths, input and cotangent."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(T // 10, T + 1, B)
    lengths[0] = T
    return lengths, rng.standard_normal((T, B, H), "float32"), rng.standard_normal((T, B, H), "float32")


def ours(cell, T, B, H):
    """Name -> a forward and backward pass."""
    lengths, x, dy = problem(T, B, H)
    layer = pylstm.Recurrent(cell, H, H, seed=0)

    def training(lengths):
        def train():
            run = layer(x, lengths=lengths)
            return run.y, run.backward(dy).x

        return train

    return {"dense": training(None), "ragged": training(lengths), "equal": training([T] * B)}


def of_torch(torch, cell, T, B, H):
    """PyTorch's forward and backward pass of the same rows, packed; dx included."""
    lengths, x, dy = problem(T, B, H)
    layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](H, H)
    lengths, x, dy = torch.from_numpy(lengths), torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)
    pack, unpack = torch.nn.utils.rnn.pack_padded_sequence, torch.nn.utils.rnn.pad_packed_sequence

    def train():
        layer.zero_grad()
        x.grad = None
        y, _ = unpack(layer(pack(x, lengths, enforce_sorted=False))[0])
        y.backward(dy)
        return y, x.grad

    return train


def medians(calls, clock):
    """Seconds of each call, measured in turn."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times["ragged"]) < 5:
        for name, call in calls.items():
            start = clock()
            call()
            times[name].append(clock() - start)
    return {name: float(np.median(found)) for name, found in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("threads", metavar="THREADS", nargs="?", type=whole(), default=1)
    threads = parser.parse_args().threads
    pylstm.set_num_threads(threads)
    try:
        import torch

        torch.set_num_threads(threads)
    except ModuleNotFoundError:
        torch = None
    print("cell  T    B    H    dense ms  ragged ms  share   cost   equal  torch")
    for case in CASES:
        clock = time.process_time if threads == 1 else time.perf_counter
        calls = ours(*case)
        found = medians(calls, clock)
        share = problem(*case[1:])[0].sum() / (case[1] * case[2])
        dense, ragged = found["dense"], found["ragged"]
        peer = "     -"
        if torch:
            both = medians({"ragged": calls["ragged"], "torch": of_torch(torch, *case)}, clock)
            peer = f"{both['torch'] / both['ragged']:6.2f}"
        print(
            f"{case[0]:<5} {case[1]:<4} {case[2]:<4} {case[3]:<4} {dense * 1e3:8.3f} {ragged * 1e3:10.3f} {share:6.3f} "
            f"{ragged / dense / share:6.3f} {found['equal'] / dense:7.3f} {peer}",
            flush=True,
        )


if __name__ == "__main__":
    main()
