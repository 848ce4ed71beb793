"""The benchmark of modules for PyTorch: `benchmarks/torch_modules.py`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "torch_modules.py"


def run(*options):
    return subprocess.run([sys.executable, "-P", str(SCRIPT), *options], capture_output=True, text=True)


def test_a_table_and_its_means():
    done = run("--modules", "LSTM,GRU", "--sizes", "1-8,16-16", "--dtypes", "float32,float64", "--rounds", "3")
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\d+, \d+) \| (\S+) \| (\S+) \| (\S+) \|$", done.stdout, re.M)
    assert len(rows) == 8
    for *_, theirs, ours, ratio in rows:
        assert float(theirs) / float(ours) == pytest.approx(float(ratio), rel=0.02)
    for name, dtype, mean, least in re.findall(r"^\| (\w+) \| (\w+) \| ([\d.]+) \| ([\d.]+) \|$", done.stdout, re.M):
        found = [float(row[5]) for row in rows if row[:2] == (name, dtype)]
        assert float(least) == min(found) <= float(mean) <= max(found)


def test_an_unknown_module_is_named():
    done = run("--modules", "LSTN")
    assert done.returncode == 2 and "LSTN" in done.stderr and "GRU" in done.stderr
