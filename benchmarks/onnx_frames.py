"""ONNX files call by call: `import_model` beside onnxruntime, in turn, in one process.

    python -P benchmarks/onnx_frames.py [--rounds 7]

The files of Silero's detector of voice (``pip install --no-deps silero-vad``): a frame of 32 ms at a time, a sequence
of 250 frames in one call, and a frame of each of 1,000 streams. onnxruntime runs with its default threads and with one.
Probabilities are compared first. Medians over the rounds, in microseconds.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

from contest.choices import whole

from pylstm.interop import onnx

FRAMES = ("silero_vad", "silero_vad_16k_op15", "silero_vad_op18_ifless", "silero_vad_openvino_16k")


def session(path: Path, threads: int) -> Any:
    """0 threads: as many as onnxruntime chooses."""
    import onnxruntime  # not above: asv imports every file of this folder where only pylstm is

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def case(path: Path, rows: int) -> dict[str, Callable[[], list[np.ndarray]]]:
    """Contestant -> a call on `rows` frames, in streams of their own or, of the sequence file, one after the other."""
    model, rng = onnx.import_model(path), np.random.default_rng(0)
    given = {"input": 0.1 * rng.normal(size=(rows, 576)), "sr": np.array(16000), "state": np.zeros((2, rows, 128))}
    given |= {"h": np.zeros((1, 1, 128)), "c": np.zeros((1, 1, 128))}
    given = {n: given[n].astype("int64" if n == "sr" else "float32") for n in model.inputs}
    one, some = session(path, 1), session(path, 0)
    return {
        "pylstm": lambda: list(model(given).values()),
        "onnxruntime": lambda: some.run(None, given),
        "onnxruntime, one thread": lambda: one.run(None, given),
    }


def measure(calls: dict[str, Callable[[], list[np.ndarray]]], rounds: int) -> dict[str, float]:
    """Contestant -> median over the rounds of a mean over 0.2 s, in seconds."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < 0.2:
                call()
                count += 1
            found[name].append((time.perf_counter() - start) / count)
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=whole(), default=7)
    options = parser.parse_args()
    found = importlib.util.find_spec("silero_vad")
    if found is None or not found.submodule_search_locations:
        sys.exit("needs silero-vad: pip install --no-deps silero-vad")
    folder = Path(found.submodule_search_locations[0]) / "data"
    works = [(name, 1) for name in FRAMES] + [("silero_vad_16k_sequence", 250), ("silero_vad_16k_op15", 1000)]
    print(f"| file | frames | pylstm | onnxruntime {version('onnxruntime')} | one thread | best / pylstm |")
    print("|---|---|---|---|---|---|")
    for name, rows in works:
        calls = case(folder / f"{name}.onnx", rows)
        ours, *theirs = (call()[0] for call in calls.values())
        worst = max(float(np.abs(ours - each).max()) for each in theirs)
        if worst > 1e-5:
            sys.exit(f"{name}: probabilities differ by {worst}")
        ours_s, *theirs_s = measure(calls, options.rounds).values()
        row = " | ".join(f"{1e6 * each:.0f}" for each in (ours_s, *theirs_s))
        print(f"| {name} | {rows} | {row} | {min(theirs_s) / ours_s:.2f} |", flush=True)


if __name__ == "__main__":
    main()
