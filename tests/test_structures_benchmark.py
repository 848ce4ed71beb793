"""The benchmark of matrices with a structure: `benchmarks/structures.py`."""

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "structures.py"


def run(*options, change=("", "")):
    code = SCRIPT.read_text(encoding="utf-8").replace(*change).replace("Path(__file__)", f"Path({str(SCRIPT)!r})")
    return subprocess.run([sys.executable, "-P", "-c", code, *options], capture_output=True, text=True)


def test_a_table_of_all_structures():
    done = run("--sizes", "2x5x64x64", "--rounds", "3")
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| ([^|]+) \| 2 \| 5 \| 64 \| 64 \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", done.stdout, re.M)
    assert [row[0] for row in rows][:3] == ["whole", "blocks x+h", "blocks h"] and len(rows) == 8
    assert all(float(row[1]) > 0 and float(row[3]) > 0 for row in rows)


def test_other_numbers_are_not_timed():
    done = run("--sizes", "2x5x64x64", change=("else layer.matrix(key", "else 2 * layer.matrix(key"))
    assert done.returncode != 0 and "whole: differs from the LSTM with its matrices" in done.stderr
