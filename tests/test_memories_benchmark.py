"""The benchmark of cells with a matrix in the state: `benchmarks/memories.py`."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "memories.py"


def run(*options, change=("", "")):
    code = SCRIPT.read_text(encoding="utf-8").replace(*change).replace("Path(__file__)", f"Path({str(SCRIPT)!r})")
    return subprocess.run([sys.executable, "-P", "-c", code, *options], capture_output=True, text=True)


def test_a_table_of_all_cells():
    pytest.importorskip("torch")
    done = run("--sizes", "2x20x8", "--rounds", "3")
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^\| (\w+) \| 2 \| 20 \| 8 \| (\S+) \| (\S+) \| (\S*) \| (\S*) \| (\S+) \|$", done.stdout, re.M)
    cells = ["gla", "gated_deltanet", "mlstm", "hgrn2", "retnet", "deltanet", "rwkv7"]
    assert [row[0] for row in rows] == cells
    assert all(float(each) > 0 for row in rows for each in row[1:] if each)
    assert [bool(row[3]) for row in rows] == [True, True, True] + 4 * [False]
    assert [bool(row[4]) for row in rows] == [True, True] + 5 * [False]


def test_other_numbers_are_not_timed():
    pytest.importorskip("torch")
    wrong = ("S = last.exp() * S + (k", "S = S + (k")
    done = run("--sizes", "2x40x8", "--cells", "gated_deltanet", "--rounds", "3", change=wrong)
    assert done.returncode != 0 and "gated_deltanet, chunks of 16: differs from pylstm" in done.stderr


def test_an_unknown_cell_is_named():
    done = run("--cells", "mamba")
    assert done.returncode == 2 and "mamba" in done.stderr and "mlstm" in done.stderr
