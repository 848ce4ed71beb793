"""`benchmarks/classify.py`: the table of a set made here, without the packages that hold the others."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn")

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def loaded(name, monkeypatch):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def benchmark(monkeypatch):
    classify, sets = loaded("classify", monkeypatch), loaded("classify_series", monkeypatch)
    monkeypatch.setattr(classify, "warping", lambda each: 0.5)
    rng = np.random.default_rng(0)

    def made():
        y = np.array(["a", "b"])[np.arange(40) % 2]
        x = [np.cumsum(rng.normal(0.5 * (each == "b"), 1, (rng.integers(8, 12), 2)), axis=0) for each in y]
        return x[:30], y[:30], x[30:], y[30:]

    monkeypatch.setattr(sets, "SETS", {"Made": ("numpy", lambda folder: made())})
    return classify


def test_the_table(benchmark, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    assert benchmark.main(["--seeds", "2", "--json", str(tmp_path / "found.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["set", "logistic"] and lines[1].startswith("Made ") and lines[1].endswith("random")
    assert lines[2].startswith("mean, held-out, 1 sets") and "ECE" in lines[-1]
    assert benchmark.main(["--part", "tuned"]) == 0 and "Made" not in capsys.readouterr().out


def test_flat_rows(benchmark):
    found = benchmark.flat([np.ones((2, 2)), np.ones((4, 2))], 3)
    np.testing.assert_array_equal(found, [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
