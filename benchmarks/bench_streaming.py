"""asv: seconds of one streaming step, from Python and within one call of `feed`."""

from __future__ import annotations

import numpy as np

import pylstm

STEPS = 2000


class Stream:
    """One row, one input; arrays made beforehand."""

    params = (["lstm", "gru", "rnn_tanh"], [8, 32, 128], ["float32", "float64"])
    param_names = ("cell", "H", "dtype")
    number, repeat, warmup_time = 1, (5, 50, 2.0), 0.05

    def setup(self, cell, H, dtype):
        self.stream = pylstm.Recurrent(cell, 1, H, dtype=dtype, seed=0).stream()
        self.x = np.random.default_rng(0).uniform(-1, 1, (STEPS, 1)).astype(dtype)
        self.y = np.empty((STEPS, H), dtype)
        self.steps = list(zip(self.x, self.y))

    def time_step(self, cell, H, dtype):
        """`STEPS` calls of `step` with `out`."""
        step = self.stream.step
        for x_t, y_t in self.steps:
            step(x_t, y_t)

    def time_feed(self, cell, H, dtype):
        """`STEPS` steps in one call of `feed` with `out`."""
        self.stream.feed(self.x, self.y)


class Bookkeeping:
    """What is not a step."""

    params = ([8, 128],)
    param_names = ("H",)

    def setup(self, H):
        self.layer = pylstm.LSTM(1, H, seed=0)
        self.stream = self.layer.stream()
        self.snapshot = self.stream.snapshot()

    def time_create(self, H):
        """Packs the weights."""
        self.layer.stream()

    def time_fork(self, H):
        """Shares them."""
        self.stream.fork()

    def time_snapshot_and_restore(self, H):
        """Copies of the states."""
        self.stream.snapshot()
        self.stream.restore(self.snapshot)
