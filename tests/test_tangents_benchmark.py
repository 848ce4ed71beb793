"""The benchmark of derivatives along a direction: `benchmarks/tangents.py`."""

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "tangents.py"


def run(*options, change=("", "")):
    code = SCRIPT.read_text(encoding="utf-8").replace(*change).replace("Path(__file__)", f"Path({str(SCRIPT)!r})")
    return subprocess.run([sys.executable, "-P", "-c", code, *options], capture_output=True, text=True)


def test_a_row_for_every_cell_and_size():
    done = run("--cells", "lstm,mingru", "--sizes", "2x5x4,1x3x8", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (\w+) \| (\d) \| (\d) \| (\d) \|" + r" (\d+\.\d\d) \|" * 7 + "$", done.stdout, re.M)
    assert [row[:4] for row in rows] == [
        (cell, *size) for size in (("2", "5", "4"), ("1", "3", "8")) for cell in ("lstm", "mingru")
    ]
    assert all(float(each) > 0 for row in rows for each in row[4:])


def test_wrong_derivatives_are_not_timed():
    done = run("--sizes", "2x5x4", "--rounds", "2", change=("run.jvp(dx).y.astype", "run.jvp(2 * dx).y.astype"))
    assert done.returncode != 0 and "lstm: jvp is not the transpose of backward" in done.stderr
    done = run("--sizes", "2x5x4", "--rounds", "2", change=("each.sum(axis=0)", "each.mean(axis=0)"))
    assert done.returncode != 0 and "lstm: the gradients of the rows do not add up" in done.stderr
