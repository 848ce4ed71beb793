"""A test is skipped for a missing package, whose extra is then named, or because of the machine; for nothing else."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest


@pytest.fixture
def conftest(request, monkeypatch):
    manager = request.config.pluginmanager
    (module,) = (plugin for plugin in manager.get_plugins() if hasattr(plugin, "explain_skip"))
    monkeypatch.setattr(module, "NO_SKIPS", "")
    return module


def skipped(conftest, reason, *marks):
    where = ("test_file.py", 3, f"Skipped: {reason}")
    report = SimpleNamespace(outcome="skipped", skipped=True, keywords=dict.fromkeys(marks, 1), longrepr=where)
    conftest.explain_skip(report)
    return report


@pytest.mark.parametrize(
    ("reason", "extra"),
    [
        ("could not import 'sklearn': No module named 'sklearn'", "sklearn"),
        ("needs statsmodels", "data"),
        ("needs scikit-learn", "sklearn"),
        ("could not import 'distributed': No module named 'distributed'", "dask"),
        ("could not import 'onnxruntime': x", "onnx"),
        ("could not import 'openvino': x", "bench"),
        ("needs matplotlib", "plot"),
    ],
)
def test_a_skip_names_the_extra(conftest, reason, extra):
    report = skipped(conftest, reason)
    assert report.outcome == "skipped" and report.longrepr == ("test_file.py", 3, f"{reason} (extra {extra})")


def test_a_skip_because_of_the_machine(conftest):
    assert skipped(conftest, "this machine has no g++").outcome == "skipped"


@pytest.mark.parametrize(
    ("name", "marks", "outcome"),
    [("sklearn.svm", ["once"], "failed"), ("scipy", ["once"], "passed"), ("torch", [], "passed")],
)
def test_what_runs_in_one_environment_looks_for_nothing_of_another(conftest, name, marks, outcome):
    finder = conftest.Elsewhere()
    assert conftest.ELSEWHERE in sys.meta_path and finder.find_spec(name, None) is None
    report = SimpleNamespace(outcome="passed", passed=True, keywords=dict.fromkeys(marks, 1), longrepr=None)
    conftest.refuse_elsewhere(report, finder.sought)
    assert report.outcome == outcome and (name in (report.longrepr or "")) == (outcome == "failed")


def test_any_other_skip_is_a_failure(conftest, monkeypatch):
    report = skipped(conftest, "not today")
    assert report.outcome == "failed" and "names neither a package nor this machine: not today" in report.longrepr
    monkeypatch.setattr(conftest, "NO_SKIPS", "1")
    assert skipped(conftest, "needs statsmodels").outcome == "failed"
    assert skipped(conftest, "this machine has no g++").outcome == "skipped"


@pytest.mark.parametrize("mark", ["once", "serial"])
def test_what_runs_in_one_environment_is_not_skipped_there(conftest, monkeypatch, mark):
    assert skipped(conftest, "needs Cython", mark).outcome == "skipped"
    monkeypatch.setattr(conftest, "NO_SKIPS", "once")
    report = skipped(conftest, "needs Cython", mark)
    assert report.outcome == "failed" and "under PYLSTM_NO_SKIPS=once: needs Cython" in report.longrepr
    assert skipped(conftest, "needs statsmodels", "slow").outcome == "skipped"
    assert skipped(conftest, "this machine has no C compiler", mark).outcome == "skipped"


def test_what_looked_for_nothing_is_not_tested_again(conftest, monkeypatch, tmp_path):
    monkeypatch.setattr(conftest, "TESTED", str(tmp_path / "tested.txt"))
    monkeypatch.setattr(conftest, "NO_SKIPS", "once")
    file = "tests/cells/test_a.py"
    for name, sought, fails in [
        (f"{file}::plain[1]", None, None),
        (f"{file}::seeks", "call", None),
        (f"{file}::fails", None, "call"),
        (f"{file}::skips", None, "setup"),
        ("tests/layers/test_b.py::fixture", "setup", None),
        ("tests/layers/test_b.py::beside", None, None),
        ("tests/test_c.py::facade", None, None),
    ]:
        found = set()
        for when in ("setup", "call", "teardown"):
            found |= {"torch"} if when == sought else set()
            conftest.note_test(SimpleNamespace(when=when, nodeid=name, passed=when != fails), bool(found))
    conftest.note("tests/zoo/test_d.py::imports")
    conftest.note("again tests/zoo/test_d.py")
    lines = (tmp_path / "tested.txt").read_text().splitlines()
    assert conftest.not_again(lines) == {f"{file}::plain[1]"}
    monkeypatch.setattr(conftest, "NO_SKIPS", "1")
    items = [SimpleNamespace(nodeid=each) for each in (f"{file}::plain[1]", f"{file}::seeks")]
    left = []
    config = SimpleNamespace(hook=SimpleNamespace(pytest_deselected=lambda items: left.extend(items)))
    conftest.pytest_collection_modifyitems(config, items)
    assert [each.nodeid for each in items] == [f"{file}::seeks"] and len(left) == 1


@pytest.mark.parametrize(
    ("event", "command", "found"),
    [
        ("subprocess.Popen", ("/usr/bin/python3", ["python3", "-c", "1"]), True),
        ("subprocess.Popen", ("pylstm", ["pylstm", "cells"]), True),
        ("os.fork", (), True),
        ("subprocess.Popen", ("/usr/bin/python3", ["python3", "-m", "cython", "a.pyx"]), False),
        ("subprocess.Popen", ("/usr/bin/cc", ["cc", "-I/usr/include/python3.11", "a.c"]), False),
        ("open", ("python", "r"), False),
    ],
)
def test_a_python_that_is_started_may_look_for_anything(conftest, monkeypatch, event, command, found):
    monkeypatch.setattr(conftest.ELSEWHERE, "processes", False)
    conftest.watch_processes(event, command)
    assert conftest.ELSEWHERE.processes == found
    conftest.ELSEWHERE.clear()
    assert not conftest.ELSEWHERE.processes
