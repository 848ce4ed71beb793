"""The benchmark of counting saturated gates: `benchmarks/saturation.py`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "saturation.py"


def test_a_row_for_every_cell_and_size():
    options = ("--cells", "lstm,mingru", "--sizes", "2x5x4,1x3x8", "--rounds", "3")
    done = subprocess.run([sys.executable, "-P", SCRIPT, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (\w+) \| (\d) \| (\d) \| (\d) \| \d+\.\d{3} \|(?: -?\d+\.\d \|){4}$", done.stdout, re.M)
    assert rows == [(cell, *size) for size in (("2", "5", "4"), ("1", "3", "8")) for cell in ("lstm", "mingru")]
