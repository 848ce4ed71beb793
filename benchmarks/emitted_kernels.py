"""Training time of the LSTM with its hand-written kernel and with the kernels emitted from its formula, in turn.

Run: ``python -P benchmarks/emitted_kernels.py``. Needs Cython and gcc. Prints medians in microseconds and the ratio to
the hand-written kernel; the bar is 1.02.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

import numpy as np

import pylstm
from pylstm import building
from pylstm.cells import LSTM
from pylstm.cells.formula import derive
from pylstm.cells.formula.emission import c, cython
from pylstm.engine import levels

CASES = [(200, 1, 8), (100, 1, 32), (50, 16, 64), (50, 32, 128)]
REPEATS = 60


def load(file, folder):
    """The capsule ``lstm`` of the module compiled from a C file."""
    target = folder / (file.stem + "_" + folder.name + sysconfig.get_config_var("EXT_SUFFIX"))
    flags = [f"-I{sysconfig.get_paths()['include']}", *building.compile_args(levels.level)]
    command = ["gcc", "-shared", "-fPIC", "-std=gnu11", "-DPYLSTM_PYTHON_MODULE", *flags, file, "-o", target, "-lm"]
    subprocess.run(command, check=True)
    spec = importlib.util.spec_from_file_location("lstm", target)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.lstm


def emitted(folder):
    """Name -> capsule of the two emitted kernels."""
    folders = {name: folder / name for name in ("c", "cython")}
    for each in folders.values():
        each.mkdir()
    derivation = derive(LSTM)
    (folders["c"] / "lstm.c").write_text(c.kernel_source(derivation))
    (folders["cython"] / "lstm.pyx").write_text(cython.kernel_source(derivation))
    command = [sys.executable, "-P", "-m", "cython", *building.cython_args(), "lstm.pyx"]
    subprocess.run(command, cwd=folders["cython"], check=True)
    return {name: load(each / "lstm.c", each) for name, each in folders.items()}


def medians(layers, x):
    """Median seconds of forward and backward of each layer, measured in turn."""
    times = {name: [] for name in layers}
    dy = np.ones((*x.shape[:2], layers["hand"].hidden_size), x.dtype)
    for _ in range(REPEATS):
        for name, layer in layers.items():
            start = time.perf_counter()
            layer(x).backward(dy)
            times[name].append(time.perf_counter() - start)
    return {name: np.median(each) for name, each in times.items()}


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kernels = {"hand": LSTM.kernel, **emitted(Path(folder))}
        cells = {name: type("LSTM", (LSTM,), {"kernel": kernel}) for name, kernel in kernels.items()}
        print("T    B   H    dtype    " + "  ".join(f"{name:>8}" for name in cells) + "   ratios")
        for steps, batch, hidden in CASES:
            for dtype in ("float32", "float64"):
                x = np.random.default_rng(0).standard_normal((steps, batch, hidden)).astype(dtype)
                layers = {n: pylstm.Recurrent(cell, hidden, hidden, dtype=dtype, seed=0) for n, cell in cells.items()}
                found = medians(layers, x)
                times = "  ".join(f"{value * 1e6:8.1f}" for value in found.values())
                ratios = "  ".join(f"{value / found['hand']:.3f}" for value in found.values())
                print(f"{steps:<4} {batch:<3} {hidden:<4} {dtype}  {times}   {ratios}", flush=True)


if __name__ == "__main__":
    main()
