"""Peak memory of a process that runs a layer once, in bytes. The interpreter and numpy take the first 45 MB or so:
the sizes are large enough for the difference to be the layer's."""

import numpy as np

import pylstm

T, B, I, H = 1000, 32, 32, 128


class Memory:
    params = [["lstm", "gru", "rnn_tanh"], ["float32", "float64"]]
    param_names = ["cell", "dtype"]

    def setup(self, cell, dtype):
        self.layer = pylstm.Recurrent(cell, I, H, dtype=dtype, seed=0)
        self.x = np.ones((T, B, I), dtype)
        self.dy = np.ones((T, B, H), dtype)

    def peakmem_nothing(self, cell, dtype):
        pass

    def peakmem_inference(self, cell, dtype):
        self.layer(self.x, tape=False)

    def peakmem_training(self, cell, dtype):
        self.layer(self.x).backward(self.dy)
