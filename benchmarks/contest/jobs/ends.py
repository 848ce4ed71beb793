"""`ENDS`: jobs of pylstm alone, from end to end, each in a process of its own.

A result has ``seconds`` of the training, ``process_seconds`` with the start and whatever else the process did,
``peak_bytes``, ``rate`` and ``quality``, both with ``..._unit``.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from .child import Child, peak_memory


def train_text(minutes: float, text: str | None, quick: bool) -> dict[str, Any]:
    """``pylstm train text [FILE] --minutes M``, with its defaults."""
    from pylstm.cli import main
    from pylstm.text.settings import TextSettings

    out = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(out):
        files = [os.path.abspath(text)] if text else []
        arguments = ["train", "text", *files, "--minutes", str(minutes), "--json", "--quiet"]
        status = main([*arguments, "--save", str(Path(folder) / "text.safetensors")])
    if status:
        raise SystemExit(status)
    found, settings = json.loads(out.getvalue()), TextSettings()
    characters = found["steps"] * settings.batch_size * settings.length
    return {
        "seconds": found["seconds"],
        "rate": characters / found["seconds"],
        "rate_unit": "characters a second",
        "quality": found["bits_per_character"]["validation"],
        "quality_unit": "bits per character",
    }


def classifier(minutes: float, text: str | None, quick: bool) -> dict[str, Any]:
    """`SequenceClassifier.fit` on scikit-learn's digits, 8 steps of 8 numbers."""
    import pylstm
    from pylstm.datasets import digits

    data, epochs = digits(), 1 if quick else 30
    x, x_test = np.stack(data.x), np.stack(data.x_test)
    net = pylstm.SequenceClassifier("lstm", 64, epochs=epochs, random_state=0)
    start = perf_counter()
    net.fit(x, data.y)
    return {
        "seconds": (seconds := perf_counter() - start),
        "rate": epochs * len(x) / seconds,
        "rate_unit": "sequences a second",
        "quality": float(net.score(x_test, data.y_test)),
        "quality_unit": "accuracy",
    }


def forecaster(minutes: float, text: str | None, quick: bool) -> dict[str, Any]:
    """`Forecaster.fit` on 50 years of months: a trend, a season and noise."""
    import pylstm

    months, epochs = np.arange(600), 1 if quick else 30
    noise = np.random.default_rng(0).normal(0, 0.1, len(months))
    y = 0.1 * months + 3 * np.sin(2 * np.pi * months / 12) + noise
    net = pylstm.Forecaster("lstm", season=12, window=48, epochs=epochs, random_state=0)
    start = perf_counter()
    net.fit(y[:-24])
    seconds = perf_counter() - start
    return {
        "seconds": seconds,
        "rate": epochs / seconds,
        "rate_unit": "epochs a second",
        "quality": float(np.abs(net.predict(24) - y[-24:]).mean()),
        "quality_unit": "mean error of 24 forecasts",
    }


ENDS = {"train-text": train_text, "classifier": classifier, "forecaster": forecaster}
NEEDED = {"classifier": "sklearn", "forecaster": "sklearn"}


def run_ends(names: list[str], options: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The results of those that can run, and the names of those for which a package is missing."""
    missing = [name for name in names if name in NEEDED and find_spec(NEEDED[name]) is None]
    results = []
    for name in names:
        if name not in missing:
            results.append(_in_a_process(name, options))
    return results, missing


def _in_a_process(name: str, options: Any) -> dict[str, Any]:
    minutes = 0.05 if options.quick and options.minutes is None else options.minutes or 1.0
    arguments = json.dumps({"minutes": minutes, "text": options.text, "quick": options.quick})
    script = Path(__file__).resolve().parents[2] / "jobs.py"
    start = perf_counter()
    child = Child(name, [sys.executable, str(script), "--end", name, arguments], options.threads)
    try:
        found = child.answer()
    finally:
        child.close()
    return {"name": name, "process_seconds": perf_counter() - start, **found}


def serve_end(name: str, arguments: str) -> int:
    """Do it in this process, and print the result; all else that is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    found = ENDS[name](**json.loads(arguments))
    print(json.dumps(found | {"peak_bytes": peak_memory()}), file=answers, flush=True)
    return 0
