"""`import pylstm` is quick, and brings in none of the optional packages."""

from __future__ import annotations

import subprocess
import sys

import pytest

MEASURE = """
import numpy, time
start = time.process_time()
import pylstm
print(time.process_time() - start)
"""


def outputs(code, runs):
    for _ in range(runs):
        yield subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_import_takes_at_most_60_ms_over_numpy():
    assert min(map(float, outputs(MEASURE, 7))) <= 0.060


def test_import_leaves_optional_packages_alone():
    optional = ["torch", "jax", "sklearn", "scipy", "pandas", "polars", "matplotlib", "onnx", "joblib", "dask"]
    (found,) = outputs(f"import sys, pylstm; print(sorted(set({optional}) & set(sys.modules)))", 1)
    assert found.strip() == "[]"
