"""Seconds of one call of a layer: forward with a tape, backward, and forward without a tape (inference).

asv divides nothing: a parameter set says steps, rows and sizes, so seconds per step and row are the figure divided by
T * B. Arrays are made in `setup`; a first call there brings packed sizes and memory into place. `Peers` has pylstm's
time divided by that of the best peer that is installed, as `benchmarks/peers.py --quick` finds it; asv's own
environments have none.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import pylstm

CELLS = ["lstm", "gru", "gru_reset_before", "rnn_tanh", "peephole", "cifg"]
DTYPES = ["float32", "float64"]
# T, B, I, H: a sensor, streamed samples, a small and a middle-sized model, one row only
SIZES = [(200, 1, 8, 16), (100, 1, 64, 128), (100, 16, 32, 32), (50, 32, 64, 128), (20, 64, 128, 512)]


class Layers:
    """The same arrays for the three kinds of call."""

    params = [CELLS, DTYPES, SIZES]
    param_names = ["cell", "dtype", "T,B,I,H"]

    def setup(self, cell, dtype, size):
        T, B, I, H = size
        rng = np.random.default_rng(0)
        self.layer = pylstm.Recurrent(cell, I, H, dtype=dtype, seed=0)
        self.x = rng.uniform(-1, 1, (T, B, I)).astype(dtype)
        self.dy = rng.uniform(-1, 1, (T, B, H)).astype(dtype)
        self.run = self.layer(self.x)
        self.run.backward(self.dy)
        self.layer(self.x, tape=False)

    def time_forward(self, cell, dtype, size):
        self.layer(self.x)

    def time_backward(self, cell, dtype, size):
        self.run.backward(self.dy)

    def time_inference(self, cell, dtype, size):
        self.layer(self.x, tape=False)


class Calls:
    """What a call costs before the first multiplication: one step of one row of the smallest layer."""

    params = [CELLS[:4]]
    param_names = ["cell"]

    def setup(self, cell):
        self.layer = pylstm.Recurrent(cell, 1, 1, seed=0)
        self.x = np.ones((1, 1, 1), np.float32)
        self.run = self.layer(self.x)

    def time_forward(self, cell):
        self.layer(self.x)

    def time_backward(self, cell):
        self.run.backward(self.x)


class Peers:
    """Below 1 pylstm is ahead."""

    params = [
        ["lstm-train", "lstm-infer", "gru-train", "gru-infer"],
        ["1x100x8", "1x100x512", "32x100x32", "32x100x256"],
    ]
    param_names = ["work", "BxTxH"]
    timeout = 300
    unit = "of the best peer's time"

    def track_time(self, work, size):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "found.json"
            script = Path(__file__).with_name("peers.py")
            options = ["--quick", "--threads", "1", "--works", work, "--sizes", size, "--json", str(path)]
            subprocess.run([sys.executable, "-P", str(script), *options], check=True, stdout=subprocess.DEVNULL)
            ((row,),) = (each["rows"] for each in json.loads(path.read_text())["works"])
        (ratio,) = row["ratios"]
        return np.nan if ratio is None else 1 / ratio
