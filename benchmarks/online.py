"""Time of a step that learns, by rule and cell: ``python benchmarks/online.py``.

A step is `OnlineStream.step` and `OnlineStream.learn`, of one row, in float32, called from Python as a user does.
"""

import argparse
import time

import numpy as np

import pylstm

NETS = [
    ("mingru", "rtrl"), ("minlstm", "rtrl"), ("indrnn", "rtrl"), ("qrnn_f", "rtrl"), ("sru", "rtrl"),
    ("rg_lru", "rtrl"), ("lru", "rtrl"), ("paralstm", "rtrl"), ("gru", "snap1"), ("lstm", "snap1"), ("lstm", "eprop"),
]  # fmt: skip


def microseconds(stream, x, dy, *, learns, repeat=5, steps=2000):
    """The least of some means of time of a step."""
    best = np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(steps):
            stream.step(x)
            if learns:
                stream.learn(dy)
        best = min(best, (time.perf_counter() - start) / steps * 1e6)
    return best


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--inputs", type=int, nargs="+", default=[8, 64])
    given = parser.parse_args()
    for I in given.inputs:
        print(f"I = {I}, H = {given.hidden}, float32, microseconds a step: plain stream, step, step and learn")
        for cell, online in NETS:
            layer = pylstm.Recurrent(cell, I, given.hidden, seed=0)
            x, dy = np.random.default_rng(0).normal(size=(2, max(I, given.hidden))).astype("float32")
            x, dy = x[:I].copy(), dy[: given.hidden].copy()
            times = [microseconds(layer.stream(), x, dy, learns=False)]
            times += [microseconds(layer.stream(online=online), x, dy, learns=each) for each in (False, True)]
            print(f"{cell:10} {online:6} " + " ".join(f"{each:8.2f}" for each in times), flush=True)


if __name__ == "__main__":
    main()
