"""Benchmarks over the commits, from what `asv run` has saved, as the page "Performance over time" draws them.

    asv run HASHFILE:benchmarks/landmarks.txt -b REGEX ...
    python -P benchmarks/history.py [--results FOLDER] --save docs/history.json

`docs/over-time.md` has the whole command. The file has the machine, the commits, and of each benchmark the value at
each: seconds or bytes as asv saves them, in the units of the page; none where it could not run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from contest.machine import describe, sentence

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = [
    ("bench_layers.Layers.time_forward('lstm', 'float32', (50, 32, 64, 128))", "LSTM, forward", "ms"),
    ("bench_layers.Layers.time_backward('lstm', 'float32', (50, 32, 64, 128))", "LSTM, backward", "ms"),
    ("bench_layers.Layers.time_forward('gru', 'float32', (50, 32, 64, 128))", "GRU, forward", "ms"),
    ("bench_layers.Layers.time_backward('gru', 'float32', (50, 32, 64, 128))", "GRU, backward", "ms"),
    ("bench_layers.Layers.time_backward('lstm', 'float64', (50, 32, 64, 128))", "LSTM, backward, float64", "ms"),
    ("bench_layers.Layers.time_inference('lstm', 'float32', (100, 1, 64, 128))", "LSTM, inference of a row", "ms"),
    ("bench_layers.Calls.time_forward('lstm')", "A call of one unit, one step", "us"),
    ("bench_streaming.Stream.time_step('lstm', 32, 'float32')", "2000 steps of a stream from Python", "ms"),
    ("bench_memory.Memory.peakmem_training('lstm', 'float32')", "Peak memory of a training step", "MB"),
    ("bench_import.timeraw_import", "import pylstm, in a new process", "ms"),
]
"""Name with its parameters, what the page calls it, its unit."""
UNITS = {"ms": 1e3, "us": 1e6, "MB": 1e-6}


def values(found: dict[str, Any]) -> dict[str, float | None]:
    """Benchmark with its parameters -> value, of the file of one commit."""
    made = {}
    for name, columns in found["results"].items():
        row = dict(zip(found["result_columns"], columns))
        if row.get("result") is not None:
            keys = [f"({', '.join(each)})" for each in product(*(row.get("params") or []))]
            made |= {f"{name}{key if key != '()' else ''}": value for key, value in zip(keys, row["result"])}
    return made


def told(commit: str) -> dict[str, str]:
    """Hash, date and subject of a commit."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--date=format:%d %B %Y %H:%M", "--format=%h%n%cd%n%s", commit]
    short, date, subject = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {"hash": short, "date": date, "subject": subject}


def machine(result: dict[str, Any]) -> str:
    """This one, with the versions of asv's environment."""
    here = sentence(describe(())).partition(";")[0]
    return f"{here}; numpy {result['requirements']['numpy']}, Python {result['python']}"


def gathered(folder: Path) -> dict[str, Any]:
    """What the page shows of the results of one machine."""
    files = [json.loads(each.read_text(encoding="utf-8")) for each in folder.glob("*.json") if each.stem != "machine"]
    found = [(each, values(each)) for each in sorted(files, key=lambda each: each["date"])]
    rows = [
        {
            "name": name,
            "what": what,
            "unit": unit,
            "values": [rounded(made.get(name), UNITS[unit]) for _, made in found],
        }
        for name, what, unit in BENCHMARKS
    ]
    return {
        "machine": machine(found[0][0]),
        "commits": [told(each["commit_hash"]) for each, _ in found],
        "benchmarks": [row for row in rows if any(value is not None for value in row["values"])],
    }


def rounded(value: float | None, factor: float) -> float | None:
    return None if value is None or value != value else float(f"{value * factor:.4g}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--results", type=Path, metavar="FOLDER", help="of one machine; default: that below .asv/results"
    )
    parser.add_argument("--save", type=Path, metavar="FILE", help="else it is printed")
    options = parser.parse_args(arguments)
    folders = [options.results] if options.results else [*(ROOT / ".asv" / "results").glob("*/")]
    if len(folders) != 1:
        parser.error(f"--results: {len(folders)} machines have results in .asv/results: name the folder of one")
    if not any(each.stem != "machine" for each in folders[0].glob("*.json")):
        parser.error(f"--results: no results of asv in {folders[0]}")
    text = json.dumps(gathered(folders[0]), indent=1) + "\n"
    if options.save:
        options.save.write_text(text, encoding="utf-8")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
