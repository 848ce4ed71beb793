"""Seconds of a forward and backward pass of what stands above single layers: stacks of one and of both directions, and
the gradient of a whole model.
"""

import numpy as np

import pylstm

T, B, I, H = 100, 16, 16, 64


class Stacks:
    params = [["lstm", "gru"], [1, 3], [False, True]]
    param_names = ["cell", "layers", "bidirectional"]

    def setup(self, cell, layers, bidirectional):
        self.stack = pylstm.Recurrent(cell, I, H, layers, bidirectional=bidirectional, seed=0)
        self.x = np.random.default_rng(0).standard_normal((T, B, I), "float32")
        self.dy = np.ones((T, B, self.stack.output_size), "float32")
        self.time_training(cell, layers, bidirectional)

    def time_training(self, cell, layers, bidirectional):
        self.stack(self.x).backward(self.dy)

    def time_inference(self, cell, layers, bidirectional):
        self.stack(self.x, tape=False)


class Models:
    """A classifier of sequences: layer, head and loss."""

    params = [["last", "every", "mean"]]
    param_names = ["read"]

    def setup(self, read):
        rng = np.random.default_rng(0)
        self.model = pylstm.SequenceModel("gru", I, H, 10, read=read, loss="softmax_cross_entropy", seed=0)
        self.x = rng.standard_normal((B, T, I), "float32")
        self.y = rng.integers(10, size=(B, T) if read == "every" else B)
        self.time_gradients(read)

    def time_gradients(self, read):
        self.model.gradients(self.x, self.y)
