"""The benchmark of a step right after somebody else's product: `benchmarks/beside.py`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "beside.py"


def test_a_table_of_two_neighbours():
    options = ["--tasks", "sensors", "--neighbours", "nobody,numpy", "--rounds", "5"]
    done = subprocess.run([sys.executable, "-P", str(SCRIPT), *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (\w+) \| sensors \| (\S+) \| (\S+) \| (\S+) \|$", done.stdout, re.MULTILINE)
    assert [row[0] for row in rows] == ["nobody", "numpy"]
    for _, one, two, ratio in rows:
        assert float(one) > 0 and float(two) / float(one) == pytest.approx(float(ratio), rel=0.02, abs=0.006)


def test_an_unknown_task_is_named():
    done = subprocess.run([sys.executable, "-P", str(SCRIPT), "--tasks", "txt"], capture_output=True, text=True)
    assert done.returncode == 2 and "txt" in done.stderr and "small-batch" in done.stderr
