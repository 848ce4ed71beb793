"""What must be quick for a user to stay: each measured in a process of its own, beside its limit in seconds.

Run: ``python -P benchmarks/budgets.py``, on a machine that does nothing else; status 1 if a limit is exceeded. Prints
the least of several runs, of the thread's CPU time where the work is on one thread: what else the machine does counts
less then, and the threads that NumPy's BLAS starts and lets spin for 0.1 s do not count. No test holds a wall-clock
time; this command and `bench_import.py` (asv) do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

PLUGIN = """
from pylstm import Cell, certify, sigmoid, tanh
class Peephole(Cell):
    states = ("h", "c")
    gates = dict(i="x+h", f="x+h", g="x+h", o="x+h")
    params = ("p_i", "p_f", "p_o")
    def forward(z, prev, p):
        c = sigmoid(z.f + p.p_f * prev.c) * prev.c + sigmoid(z.i + p.p_i * prev.c) * tanh(z.g)
        return dict(h=sigmoid(z.o + p.p_o * c) * tanh(c), c=c)
certify(Peephole)
"""

INTERRUPT = """
import os, signal, threading, numpy as np
x = np.zeros((200_000, 8, 64), "float32")
layer = pylstm.LSTM(64, 64, seed=0)
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    layer(x, tape=False)
except KeyboardInterrupt:
    pass
"""

BUDGETS = {
    "import pylstm, after numpy": (0.060, 7, "import numpy", "import pylstm"),
    "certify the LSTM": (0.100, 5, "from pylstm.cells.lstm import LSTM; import pylstm", "pylstm.certify(LSTM)"),
    "define, derive and certify a formula": (0.100, 5, "import pylstm; pylstm.certify", PLUGIN),
    "Ctrl-C in a long run, from 0.2 s on": (1.400, 3, "import pylstm", INTERRUPT),
}
"""What: its limit, how many runs, what is done before the clock starts, what is measured."""


def measure(setup: str, work: str) -> float:
    """Seconds that `work` takes in a new process, after `setup`."""
    clock = "perf_counter" if "threading" in work else "thread_time"
    lines = [f"from time import {clock} as clock", setup, "start = clock()", work, "print(clock() - start)"]
    done = subprocess.run([sys.executable, "-P", "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    exceeded = 0
    for what, (limit, runs, setup, work) in BUDGETS.items():
        least = min(measure(setup, work) for _ in range(runs))
        exceeded += least > limit
        print(f"{what:40} {least:7.3f} s of {limit:.3f}{'  EXCEEDED' if least > limit else ''}")
    return 1 if exceeded else 0


if __name__ == "__main__":
    raise SystemExit(main())
