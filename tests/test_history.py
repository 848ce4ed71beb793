"""Benchmarks over the commits: what asv saved is gathered, kept and drawn, and the page says how."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[1]
KEPT = json.loads((ROOT / "docs" / "history.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "over-time.md").read_text(encoding="utf-8")


def script(folder, name):
    spec = importlib.util.spec_from_file_location(name, ROOT / folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def history(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    return script("benchmarks", "history")


@pytest.fixture
def drawings(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    return script("docs", "drawings")


def result_of(commit, date, **values):
    """What `asv run` saves of a commit; of a benchmark with parameters one combination was run."""
    results = {name: [[value], []] for name, value in values.items()}
    results["bench_layers.Calls.time_forward"] = [[2e-6, None], [["'lstm'", "'gru'"]]]
    results["bench_import.timeraw_import"] = [None, []]
    kept = {"result_columns": ["result", "params"], "results": results, "python": "3.11"}
    return kept | {"commit_hash": commit, "date": date, "requirements": {"numpy": "2.4.6"}}


def test_results_of_asv_are_gathered(tmp_path, history, monkeypatch):
    """In the order of the commits, in the units of the page; a benchmark that a commit did not run has none."""
    name = "bench_memory.Memory.peakmem_training('lstm', 'float32')"
    for result in (result_of("b", 2), result_of("a", 1, **{name: 2.5e8})):
        (tmp_path / f"{result['commit_hash']}-env.json").write_text(json.dumps(result))
    (tmp_path / "machine.json").write_text("{}")
    monkeypatch.setattr(history, "told", lambda commit: {"hash": commit})
    found = history.gathered(tmp_path)
    assert found["commits"] == [{"hash": "a"}, {"hash": "b"}]
    assert {row["name"]: row["values"] for row in found["benchmarks"]} == {
        "bench_layers.Calls.time_forward('lstm')": [2.0, 2.0],
        name: [250.0, None],
    }
    assert "numpy 2.4.6, Python 3.11" in found["machine"]


def test_what_is_kept_is_of_the_landmarks(history):
    landmarks = (ROOT / "benchmarks" / "landmarks.txt").read_text().split()
    assert 4 <= len(landmarks) <= 6
    assert [each["hash"] for each in KEPT["commits"]] == [each[:7] for each in landmarks]
    assert [(row["name"], row["what"], row["unit"]) for row in KEPT["benchmarks"]] == history.BENCHMARKS
    for row in KEPT["benchmarks"]:
        values = [value for value in row["values"] if value is not None]
        assert len(row["values"]) == len(landmarks) and len(values) > 2 and all(value > 0 for value in values)


def test_the_command_of_the_page_runs_what_is_kept():
    """Every benchmark that is kept fits one of its expressions."""
    (command,) = re.findall(r"^asv run HASHFILE.*?[^\\]$", PAGE, re.M | re.S)
    words = shlex.split(command.replace("\\\n", " "))
    patterns = [value for option, value in pairwise(words) if option == "-b"]
    for row in KEPT["benchmarks"]:
        assert any(re.search(pattern, row["name"]) for pattern in patterns), row["name"]


def test_panels_show_every_value_and_say_it(tmp_path, drawings):
    drawings.history(tmp_path)
    text = (tmp_path / "history.html").read_text()
    panels = [ElementTree.fromstring(each) for each in re.findall(r"<svg.*?</svg>", text, re.S)]
    assert len(panels) == len(KEPT["benchmarks"])
    for row, panel in zip(KEPT["benchmarks"], panels):
        values = [drawings.number(value) for value in row["values"] if value is not None]
        assert [each.text for each in panel.iter("text") if each.get("class") == "value"] == values
        assert len(list(panel.iter("circle"))) == len(values)
        assert panel.get("role") == "img" and all(value in panel.get("aria-label") for value in values)
        heights = [float(each.get("cy")) for each in panel.iter("circle")]
        numbers = [value for value in row["values"] if value is not None]
        assert sorted(heights, reverse=True) == [high for _, high in sorted(zip(numbers, heights))]
    assert all(each["hash"] in text for each in KEPT["commits"])


def test_a_chart_for_a_telephone(tmp_path, drawings):
    """All that the wide one shows, a panel below the other."""
    pytest.importorskip("matplotlib")
    drawings.jobs(tmp_path)
    wide = (ROOT / "docs" / "jobs.svg").read_text()
    shown = re.compile(r'">([^<>]+)</text>')
    for name, ink in (("jobs-narrow", "#1f2328"), ("jobs-narrow-dark", "#e6edf3")):
        text = (tmp_path / f"{name}.svg").read_text()
        width, height = (float(re.search(rf'<svg [^>]*{side}="([\d.]+)pt"', text)[1]) for side in ("width", "height"))
        assert width < 300 < height and ink in text
        ratios = [sorted(re.findall(r"^\d+\.\d+$", "\n".join(shown.findall(each)), re.M)) for each in (text, wide)]
        assert len(ratios[0]) > 40 and set(ratios[0]) == set(ratios[1])


def test_the_commands(tmp_path):
    """Without results there is a sentence; the drawings go to the folder that is named."""
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "benchmarks" / "history.py"), "--results", str(tmp_path / "none")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "no results of asv" in done.stderr
