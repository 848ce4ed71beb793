"""A training step with a tape and with checkpoints, float32, one thread: docs/long-sequences.md has the ratios."""

import numpy as np

import pylstm


class Checkpointed:
    params = [[(100_000, 1, 4, 32), (10_000, 1, 4, 256), (1000, 32, 128, 256)], [None, "sqrt"]]
    param_names = ["T, B, I, H", "checkpoint"]

    def setup(self, sizes, checkpoint):
        pylstm.set_num_threads(1)
        T, B, I, H = sizes
        self.layer = pylstm.LSTM(I, H, seed=0)
        self.x = np.random.default_rng(0).standard_normal((T, B, I), "float32")
        self.x.flags.writeable = False
        self.dy = np.ones((T, B, H), "float32")
        self.time_training(sizes, checkpoint)

    def time_training(self, sizes, checkpoint):
        self.layer(self.x, checkpoint=checkpoint).backward(self.dy)

    def peakmem_training(self, sizes, checkpoint):
        self.layer(self.x, checkpoint=checkpoint).backward(self.dy)
