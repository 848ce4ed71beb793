"""A layer has the same bits on every machine that fuses multiply-adds: x86-64 from v3 on, and aarch64.

`tests/bits.json` holds digests: ``fused``, and ``plain`` of level v1, which has no such instruction. All compilers give
them, since none may fuse by itself. After a change that is meant to change results: ``python -P tests/test_bits.py``.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm.engine.levels import level as LEVEL

FILE = Path(__file__).with_suffix(".json").with_name("bits.json")
CELLS = ("lstm", "gru", "rnn_tanh", "peephole", "cifg", "lstm_linear_output", "mingru", "slstm", "indrnn", "rwkv4")
DTYPES = ("float32", "float64")
T, B, I, H = 23, 5, 7, 19


def numbers(rng, *shape):
    """Multiples of 2^-12, so that nothing depends on the processor before the loop begins."""
    return rng.integers(-6000, 6001, shape) / 4096


def digest(cell, dtype):
    """Of the outputs, the last states and all gradients of a layer."""
    rng = np.random.default_rng(CELLS.index(cell))
    layer = pylstm.Recurrent(cell, I, H, dtype=dtype, seed=0)
    for name in layer.params:
        layer.params[name] = (numbers(rng, *layer.params[name].shape) / 4).astype(dtype)
    run = layer(numbers(rng, T, B, I).astype(dtype))
    gradients = run.backward(numbers(rng, *run.y.shape).astype(dtype))
    arrays = [run.y, *run.final.values(), gradients.x, *gradients.params.values()]
    assert all(np.isfinite(each).all() for each in arrays)
    assert np.ptp(run.y) > 0.1
    return hashlib.sha256(b"".join(np.ascontiguousarray(each).tobytes() for each in arrays)).hexdigest()[:24]


def digests():
    return {f"{cell} {dtype}": digest(cell, dtype) for cell in CELLS for dtype in DTYPES}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
def test_the_same_bits_on_every_machine(cell, dtype):
    fused = LEVEL != "v1" or platform.machine() in ("aarch64", "arm64")
    assert digest(cell, dtype) == json.loads(FILE.read_text())["fused" if fused else "plain"][f"{cell} {dtype}"]


@pytest.mark.parametrize("level", ["v1", "v3"])
def test_levels_below(level):
    """In a process of its own, where this machine has them."""
    if LEVEL not in ("v3", "v4") or level == LEVEL:
        pytest.skip("this machine has no level above it")
    code = f"import json, runpy; print(json.dumps(runpy.run_path({str(Path(__file__))!r})['digests']()))"
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, env=os.environ | {"PYLSTM_CPU": level}, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads(FILE.read_text())["plain" if level == "v1" else "fused"]


if __name__ == "__main__":
    kind = "plain" if LEVEL == "v1" else "fused"
    known = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.write_text(json.dumps(known | {kind: digests()}, indent=1, sort_keys=True) + "\n")
