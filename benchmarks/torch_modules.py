"""A training step of a module of pylstm.torch beside that of torch.nn, in one process, in turn.

    python -P benchmarks/torch_modules.py [--modules NAME,...] [--dtypes NAME,...] [--sizes B-H,...] [--threads N]

A step is the call, ``output.backward(dy)`` with gradients of the input and all parameters, at the sizes of the table of
peers (T = 100, and 1000 where B = 1, H = 64). Before anything is timed both must have the same outputs and gradients.
Milliseconds are medians over rounds, the ratio is torch's time divided by ours; below the table stand its
geometric mean and its least for every module and dtype. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from contest.choices import chosen, whole

SIZES = ("1-8", "1-32", "1-128", "1-512", "1-64", "16-16", "32-32", "32-64", "32-128", "32-256", "64-512")
MODULES, DTYPES = ("LSTM", "GRU", "RNN"), ("float32", "float64")


def steps_of(name: str, dtype: Any, size: str) -> list[Callable[[], None]]:
    """The training steps of torch and of ours, which do the same."""
    import torch

    import pylstm.torch

    B, H = map(int, size.split("-"))
    T = 1000 if size == "1-64" else 100
    modules = [getattr(space, name)(H, H, dtype=dtype) for space in (torch.nn, pylstm.torch)]
    modules[1].load_state_dict(modules[0].state_dict())
    x, dy = (torch.randn(T, B, H, dtype=dtype) for _ in range(2))
    x.requires_grad_()
    found = []
    for module in modules:
        output = module(x)[0]
        found.append([output, *torch.autograd.grad(output, [x, *module.parameters()], dy)])
    tolerance = 1e-3 if dtype is torch.float32 else 1e-10
    for theirs, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=tolerance * theirs.abs().max().item())
    return [lambda module=module: module(x)[0].backward(dy) for module in modules]


def measure(steps: list[Callable[[], None]], rounds: int) -> list[float]:
    """Median seconds of each step, in turn, of rounds of about 20 ms."""
    seconds: list[list[float]] = [[] for _ in steps]
    counts = []
    for step in steps:
        step()
        start = perf_counter()
        step()
        counts.append(max(1, round(0.02 / (perf_counter() - start))))
    for _ in range(rounds):
        for step, count, found in zip(steps, counts, seconds):
            start = perf_counter()
            for _ in range(count):
                step()
            found.append((perf_counter() - start) / count)
    return [median(found) for found in seconds]


def table(modules: list[str], dtypes: list[str], sizes: list[str], rounds: int) -> None:
    """Print the rows, and below them the geometric mean and the least ratio."""
    import torch

    print("| module | dtype | B, H | torch, ms | pylstm, ms | ratio |\n|---|---|---|---|---|---|")
    ratios: dict[tuple[str, str], list[float]] = {}
    for name in modules:
        for dtype in dtypes:
            for size in sizes:
                theirs, ours = measure(steps_of(name, getattr(torch, dtype), size), rounds)
                ratios.setdefault((name, dtype), []).append(theirs / ours)
                milliseconds = f"{theirs * 1e3:.3f} | {ours * 1e3:.3f} | {theirs / ours:.2f}"
                print(f"| {name} | {dtype} | {size.replace('-', ', ')} | {milliseconds} |", flush=True)
    print("\n| module | dtype | geometric mean | least |\n|---|---|---|---|")
    for (name, dtype), found in ratios.items():
        mean = math.exp(sum(map(math.log, found)) / len(found))
        print(f"| {name} | {dtype} | {mean:.2f} | {min(found):.2f} |")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modules", help=f"of {', '.join(MODULES)}")
    parser.add_argument("--dtypes", default="float32", help=f"of {', '.join(DTYPES)}")
    parser.add_argument("--sizes", help=f"B and H, of {', '.join(SIZES)}")
    parser.add_argument("--threads", type=whole(), default=1)
    parser.add_argument("--rounds", type=whole(), default=15)
    args = parser.parse_args(arguments)
    modules = chosen(parser, "--modules", args.modules, MODULES)
    dtypes = chosen(parser, "--dtypes", args.dtypes, DTYPES)
    sizes = chosen(parser, "--sizes", args.sizes, SIZES)
    import torch

    import pylstm

    torch.set_num_threads(args.threads)
    pylstm.set_num_threads(args.threads)
    print(f"torch {torch.__version__}, threads of each: {args.threads}, medians of {args.rounds} rounds\n")
    table(modules, dtypes, sizes, args.rounds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
