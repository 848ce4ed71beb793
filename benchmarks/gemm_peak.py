"""How much of the multiply-add peak of one core the products of `pylstm/engine/tiles.pyx` reach, shape by shape.

    python benchmarks/gemm_peak.py [--dtype float32] [--level v4] [--kind step back input outer] [--quick]

Each shape is timed in turn with the peak (a loop of multiply-adds in registers) and with `np.matmul(out=)`
on one thread, several times, in seconds of this thread's processor time: other work on the machine does not
count, though it does share the caches. The columns are the best of each in GFLOP/s; the share is ours by
the peak.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import importlib  # noqa: E402

import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parent))
from contest.choices import whole  # noqa: E402

from pylstm.engine.levels import LEVELS, level  # noqa: E402

SIZES = (8, 16, 32, 64, 128, 256, 512)
KINDS = ("step", "back", "input", "outer", "pack")


def aligned(shape, dtype, rng):
    """Uniform numbers on a 64-byte boundary."""
    size = int(np.prod(shape))
    raw = np.empty(size * np.dtype(dtype).itemsize + 64, np.uint8)
    start = -raw.ctypes.data % 64
    out = raw[start : start + size * np.dtype(dtype).itemsize].view(dtype).reshape(shape)
    out[...] = rng.uniform(-1, 1, shape)
    return out


def packed(tiles, U, panel):
    out = aligned(tiles.packed_size(*U.shape, U.itemsize), U.dtype, np.random.default_rng(0))
    tiles.pack(U, out, panel=panel)
    return out


def shapes(kind, sizes):
    """(M, N, K) of an LSTM of H units: forward step, backward step, inputs, weight gradients, packing."""
    for H in sizes:
        if kind == "step":
            yield from ((B, 4 * H, H) for B in (1, 4, 16, 32, 64))
        elif kind == "back":
            yield from ((B, H, 4 * H) for B in (1, 4, 16, 32, 64))
        elif kind == "input":
            yield (256, 4 * H, H)
        elif kind == "outer":
            yield from ((4 * H, H, R) for R in (64, 512))
        else:
            yield (1, 4 * H, H)


def work(tiles, kind, M, N, K, dtype):
    """(ours, theirs, operations): functions of a number of repetitions."""
    rng = np.random.default_rng(0)
    C = aligned((M, N), dtype, rng)
    if kind == "outer":
        A, B = aligned((K, M), dtype, rng), aligned((K, N), dtype, rng)
        scratch = aligned(tiles.outer_scratch(M, N, K, A.itemsize), dtype, rng)
        return lambda n: tiles.outer(A, B, C, scratch, n), lambda: np.matmul(A.T, B, out=C), 2 * M * N * K
    A, U = aligned((M, K), dtype, rng), aligned((K, N), dtype, rng)
    panel = tiles.panel(M, U.nbytes)
    P = packed(tiles, U, panel)
    if kind == "pack":
        W = np.ascontiguousarray(U.T)
        return lambda n: tiles.pack(W, P, True, n), lambda: np.copyto(U, W.T), 2 * N * K
    return lambda n: tiles.product(A, P, C, 0, None, n, panel), lambda: np.matmul(A, U, out=C), 2 * M * N * K


def seconds(function, *arguments):
    start = time.thread_time()
    function(*arguments)
    return time.thread_time() - start


def repeats(function, span):
    """How many calls fill `span` seconds."""
    n = 1
    while True:
        taken = seconds(function, n)
        if taken > span / 4:
            return max(1, round(n * span / taken))
        n *= 4


def measure(tiles, case, dtype, span, rounds):
    """Best rates of ours, np.matmul and the peak, in GFLOP/s."""
    ours, theirs, operations = case
    out = np.zeros(64, dtype)

    def loop(n):
        for _ in range(n):
            theirs()

    n, n_theirs = repeats(ours, span), repeats(loop, span)
    steps = repeats(lambda n: tiles.peak(out, n), span)
    rates = []
    for _ in range(rounds):
        peak = tiles.peak(out, 1) * steps / seconds(tiles.peak, out, steps)
        rates.append((n * operations / seconds(ours, n), n_theirs * operations / seconds(loop, n_theirs), peak))
    return np.max(rates, axis=0) / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", nargs="*", default=["float32", "float64"])
    parser.add_argument("--level", default=level, choices=LEVELS)
    parser.add_argument("--kind", nargs="*", default=KINDS[:4], choices=KINDS)
    parser.add_argument("--size", nargs="*", type=whole(), default=SIZES, help="units H")
    parser.add_argument("--quick", action="store_true", help="a third of the time, noisier")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    tiles = importlib.import_module(f"pylstm.engine.tiles_{options.level}")
    span, rounds = (5e-4, 7) if options.quick else (1e-3, 15)
    print(f"level {options.level}; GFLOP/s of one core (pack: 2 per element)")
    titles = f"{'M':>6}{'N':>6}{'K':>6}{'ours':>8}{'matmul':>8}{'peak':>8}{'of peak':>9}{'ns':>11}"
    print(f"{'dtype':8}{'kind':6}{titles}")
    for dtype in options.dtype:
        for kind in options.kind:
            for M, N, K in shapes(kind, options.size):
                case = work(tiles, kind, M, N, K, dtype)
                ours, theirs, peak = measure(tiles, case, dtype, span, rounds)
                rates = f"{ours:8.1f}{theirs:8.1f}{peak:8.1f}{100 * ours / peak:8.1f}%"
                print(f"{dtype:8}{kind:6}{M:6}{N:6}{K:6}{rates}{case[2] / ours:11.0f}", flush=True)


if __name__ == "__main__":
    main()
