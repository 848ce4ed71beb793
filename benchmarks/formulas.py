"""Training time of an LSTM given as a formula, on the expression machine, and of the bundled LSTM, in turn.

Run: ``python -P benchmarks/formulas.py [float64] [--functions]``. Prints medians in microseconds of forward + backward,
forward alone in brackets, and the ratio; the bars are 1.5 for H >= 32 and 2.5 for H = 8, B = 1. One thread. With
``--functions`` the cell has a backward of its own, so that its Python functions are called in every step.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import pylstm
from pylstm import Cell, sigmoid, tanh

CASES = [(1, 100, 8), (1, 100, 32), (1, 100, 128), (32, 100, 32), (32, 100, 64), (32, 100, 128), (64, 50, 256)]
SECONDS = 1.0


class FormulaLSTM(Cell):
    """The LSTM, as anybody would write it."""

    states = ("h", "c")
    gates = dict(i="x+h", f="x+h", g="x+h", o="x+h")

    def forward(z, prev):
        c = sigmoid(z.f) * prev.c + sigmoid(z.i) * tanh(z.g)
        return dict(h=sigmoid(z.o) * tanh(c), c=c)


class FunctionsLSTM(Cell):
    """The same, with the derivatives written by hand: Python functions, without the machine."""

    states = ("h", "c")
    gates = dict(i="x+h", f="x+h", g="x+h", o="x+h")
    keep = ("tanh_c",)

    def forward(z, prev):
        i, f, g, o = sigmoid(z.i), sigmoid(z.f), tanh(z.g), sigmoid(z.o)
        c = f * prev.c + i * g
        return dict(i=i, f=f, g=g, o=o, tanh_c=tanh(c), h=o * tanh(c), c=c)

    def backward(d, y, prev):
        dc = d.c + d.h * y.o * (1 - y.tanh_c**2)
        return dict(
            i=dc * y.g * y.i * (1 - y.i),
            f=dc * prev.c * y.f * (1 - y.f),
            g=dc * y.i * (1 - y.g**2),
            o=d.h * y.tanh_c * y.o * (1 - y.o),
            c=dc * y.f,
        )


class Training:
    """For asv: forward and backward, the formula and the bundled kernel side by side."""

    params = [["formula", "bundled"], CASES]
    param_names = ["lstm", "B,T,H"]

    def setup(self, lstm, case):
        B, T, H = case
        self.layer = pylstm.Recurrent(FormulaLSTM if lstm == "formula" else "lstm", H, H, seed=0)
        self.x = np.random.default_rng(0).standard_normal((T, B, H)).astype("float32")
        self.dy = np.ones_like(self.x)
        self.time_training(lstm, case)

    def time_training(self, lstm, case):
        self.layer(self.x).backward(self.dy)


def seconds(layers, x):
    """Median seconds of (forward and backward, forward) of each layer, measured in turn."""
    times = [[] for _ in layers]
    dy = np.ones((*x.shape[:2], layers[0].hidden_size), x.dtype)
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times[0]) < 10:
        for layer, found in zip(layers, times):
            start = time.perf_counter()
            run = layer(x)
            half = time.perf_counter()
            run.backward(dy)
            found.append((time.perf_counter() - start, half - start))
    return [np.median(found, axis=0) for found in times]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dtype", nargs="?", choices=("float32", "float64"), default="float32")
    parser.add_argument("--functions", action="store_true", help="a cell of Python functions beside the kernel")
    options = parser.parse_args()
    dtype, other = options.dtype, FunctionsLSTM if options.functions else FormulaLSTM
    pylstm.set_num_threads(1)
    what = "functions" if options.functions else "machine"
    print(f"B    T    H     kernel            {what:18}ratio  forward  backward")
    for B, T, H in CASES:
        x = np.random.default_rng(0).standard_normal((T, B, H)).astype(dtype)
        layers = [pylstm.Recurrent(cell, H, H, dtype=dtype, seed=0) for cell in ("lstm", other)]
        (kernel, kf), (machine, mf) = seconds(layers, x)
        backward = (machine - mf) / (kernel - kf)
        print(
            f"{B:<4} {T:<4} {H:<4} {kernel * 1e6:8.1f} ({kf * 1e6:6.1f}) {machine * 1e6:8.1f} ({mf * 1e6:6.1f}) "
            f"{machine / kernel:6.3f} {mf / kf:8.3f} {backward:9.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
