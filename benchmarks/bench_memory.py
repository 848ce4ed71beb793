"""Peak memory of a process that runs a layer once, in bytes, and what a call costs beside and after many held runs.

The interpreter and numpy take the first 45 MB or so: the sizes are large enough for the difference to be the layer's.
"""

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


class Held:
    """A call of a small layer: on a fresh layer, after 10,000 runs that were held and freed, and 1,000 held ones."""

    def setup(self):
        pylstm.set_num_threads(1)
        self.x = np.ones((100, 1, 3), "float32")
        self.fresh, self.used = (pylstm.LSTM(3, 8, seed=0) for _ in range(2))
        for layer in (self.fresh, self.used):
            layer(self.x)
        held = [self.used(self.x).y for _ in range(10_000)]
        del held

    def time_call_fresh(self):
        self.fresh(self.x)

    def time_call_used(self):
        self.used(self.x)

    def time_list_of_1000(self):
        return [self.fresh(self.x).y for _ in range(1000)]
