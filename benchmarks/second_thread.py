"""What a second thread gives one layer of few rows: training passes and inference, after pauses, beside a busy process.

    python -P benchmarks/second_thread.py [--cells NAME,...] [--pause MS] [--busy] [--rounds N]

A pass takes some 5 ms. One thread and two take turns; a pause of the caller, in which its threads fall asleep, goes
before each pass. With `--busy` another process never rests. Numbers are medians, float32, 32 inputs: above 1 a second
thread helps.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from contest.choices import chosen, whole

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
ROWS_UNITS = [
    (1, 48),
    (1, 64),
    (1, 96),
    (1, 128),
    (1, 256),
    (2, 64),
    (2, 96),
    (2, 128),
    (4, 64),
    (4, 128),
    (8, 32),
    (8, 64),
]
INPUTS = 32


def passes(cell: str, B: int, H: int) -> tuple[int, Callable[[], Any], Callable[[], Any]]:
    """Steps of some 5 ms of training, a training pass, and inference."""
    import pylstm

    layer = {"lstm": pylstm.LSTM, "gru": pylstm.GRU, "rnn": pylstm.RNN}[cell](INPUTS, H, seed=0)
    step = GATES[cell] * B * H * (H + INPUTS) * 3 / 3.5e10 + 1e-6  # seconds, roughly
    T, rng = max(20, int(5e-3 / step)), np.random.default_rng(0)
    x = rng.normal(size=(T, B, INPUTS)).astype("float32")
    dy = rng.normal(size=(T, B, H)).astype("float32")
    return T, lambda: layer(x).backward(dy), lambda: layer(x, tape=False)


def seconds(work: Callable[[], Any], pause: float, rounds: int) -> list[float]:
    """Medians of one thread and of two."""
    import pylstm

    found: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for threads, each in found.items():
            pylstm.set_num_threads(threads)
            if not pause:
                work()
            time.sleep(pause)
            start = time.perf_counter()
            work()
            each.append(time.perf_counter() - start)
    return [median(each[1:]) for each in found.values()]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", help=f"of {', '.join(GATES)}")
    parser.add_argument("--pause", type=whole(0), default=0, metavar="MS", help="before each pass, milliseconds")
    parser.add_argument("--busy", action="store_true", help="beside a process that never rests")
    parser.add_argument("--rounds", type=whole(2), default=15, help="the first does not count")
    args = parser.parse_args(arguments)
    cells = chosen(parser, "--cells", args.cells, tuple(GATES))
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if args.busy else None
    print("| cell | B | H | T | training, one thread, ms | one / two | inference, ms | one / two |\n|" + " --- |" * 8)
    try:
        for cell in cells:
            for B, H in ROWS_UNITS:
                T, train, infer = passes(cell, B, H)
                row = []
                for work in (train, infer):
                    one, two = seconds(work, args.pause / 1e3, args.rounds)
                    row.append(f"{one * 1e3:.2f} | {one / two:.2f}")
                print(f"| {cell} | {B} | {H} | {T} | {' | '.join(row)} |", flush=True)
    finally:
        if busy is not None:
            busy.kill()
            busy.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
