"""CTC, value and gradient: `pylstm.ctc_loss` against PyTorch's `log_softmax` and `ctc_loss`.

Run: ``python -P benchmarks/ctc.py``. Prints medians of CPU time, measured in turn, with one thread, and torch / pylstm
(bar: 1), if PyTorch is installed; then the largest error of either gradient against PyTorch's in float64, as a share of
the largest value in it. All rows have T steps and S labels of V classes, the blank among them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import pylstm

# T, B, S and V
CASES = [
    (200, 32, 40, 41),
    (200, 32, 20, 41),
    (200, 32, 40, 64),
    (200, 32, 20, 1000),
    (50, 8, 5, 30),
    (2000, 1, 100, 41),
]
DTYPES = ["float32", "float64"]
SECONDS = 2.0


class CTC:
    """For asv: seconds of a value and its gradient."""

    params = [DTYPES, CASES]
    param_names = ["dtype", "T,B,S,V"]

    def setup(self, dtype, case):
        self.arguments = problem(dtype, *case)
        pylstm.ctc_loss(*self.arguments)

    def time_ctc(self, dtype, case):
        pylstm.ctc_loss(*self.arguments)


def problem(dtype, T, B, S, V):
    """Logits and targets."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((T, B, V), dtype), rng.integers(1, V, (B, S))


def of_torch(torch, logits, targets):
    """PyTorch's value and gradient, as a function without arguments."""
    z, targets = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(targets)
    T, (B, S) = len(logits), targets.shape
    steps, labels = torch.full((B,), T), torch.full((B,), S)

    def run():
        z.grad = None
        loss = torch.nn.functional.ctc_loss(z.log_softmax(2), targets, steps, labels, reduction="none").mean()
        loss.backward()
        return loss.item(), z.grad.numpy()

    return run


def medians(calls):
    """Seconds of CPU time of each call, measured in turn."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times["pylstm"]) < 7:
        for name, call in calls.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return {name: float(np.median(found)) for name, found in times.items()}


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    try:
        import torch

        torch.set_num_threads(1)
    except ModuleNotFoundError:
        torch = None
    print("dtype    T     B    S    V     pylstm ms  torch ms  torch / pylstm  error: pylstm    torch")
    for dtype in DTYPES:
        for case in CASES:
            logits, targets = problem(dtype, *case)
            calls = {"pylstm": lambda z=logits, y=targets: pylstm.ctc_loss(z, y)}
            if torch:
                calls["torch"] = of_torch(torch, logits, targets)
            found = medians(calls)
            line = "{:<8} {:<5} {:<4} {:<4} {:<5}".format(dtype, *case) + f"{found['pylstm'] * 1e3:9.3f}"
            if torch:
                _, d = of_torch(torch, logits.astype("float64"), targets)()
                errors = [abs(call()[1] - d).max() / abs(d).max() for call in calls.values()]
                line += f" {found['torch'] * 1e3:9.3f} {found['torch'] / found['pylstm']:15.2f}"
                line += f" {errors[0]:14.1e} {errors[1]:8.1e}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
