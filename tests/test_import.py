"""`import pylstm` brings in none of the optional packages."""

from __future__ import annotations

import subprocess
import sys


def test_import_leaves_optional_packages_alone():
    optional = {"torch", "jax", "sklearn", "scipy", "pandas", "polars", "matplotlib", "onnx", "joblib", "dask"}
    code = f"import sys, pylstm; print(sorted({optional} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
