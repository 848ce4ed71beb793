"""Every example of the documentation runs: the python blocks of the pages, and those of the docstrings."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pylstm
from pylstm import plugins

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ("_build", "gallery")
WRITTEN = [page for page in ROOT.glob("docs/**/*.md") if not set(GENERATED) & set(page.parts)]
PAGES = sorted([*WRITTEN, ROOT / "docs" / "gallery" / "README.md", ROOT / "README.md"])
BLOCK = re.compile(r"^```(?:python|\{code-cell\}[^\n]*)\n(?:(?:^:[^\n]*\n)+\n?)?(.*?)^```$", re.M | re.S)
"""A block of Python, or a cell of a page that is a notebook too (MyST Markdown), without the options of the cell."""
FILE = re.compile(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", re.M | re.S)
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in ROOT.glob("pylstm/**/*.py")
    if ">>> " in path.read_text()
)

NEEDS = {
    "pylstm.comparing.tasks": ("sklearn",),
    "pylstm.datasets.bundled": ("sklearn", "statsmodels", "aeon"),
    **{f"pylstm.plots.{name}": ("matplotlib",) for name in ("comparison", "curves", "fits", "gradients", "steps")},
}
"""Module -> packages that its examples need, and its import does not."""


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A registry of its own, so that the cells of a page stay on the page; and an empty current folder."""
    monkeypatch.setattr(plugins, "_plugins", plugins.Plugins())
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def run_page(text, name):
    """Execute the ```python blocks of a page, in order, in one namespace; tracebacks show lines of the page."""
    namespace = {"__name__": Path(name).stem.replace("-", "_")}
    for match in BLOCK.finditer(text):
        before = text[: match.start(1)].count("\n")
        code = match.group(1)
        if code.startswith(">>>"):
            example = doctest.DocTestParser().get_doctest(code, namespace, name, name, before)
            assert doctest.DocTestRunner().run(example, clear_globs=False).failed == 0
            namespace.update(example.globs)
        else:
            exec(compile("\n" * before + code, name, "exec"), namespace)
    return namespace


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")  # Keras
@pytest.mark.filterwarnings("ignore:The default of config ``remember_data``:FutureWarning")  # sktime
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_run(page, fresh):
    try:
        run_page(page.read_text(), str(page))
    except ModuleNotFoundError as error:
        if (error.name or "pylstm").startswith("pylstm"):
            raise
        pytest.skip(f"needs {error.name}")


def test_the_runner_runs(fresh):
    page = "text\n```python\nx = 1\n```\n```python\nx += 1\n```\n```python no-run\n1/0\n```\n```text\n1/0\n```\n"
    assert run_page(page, "page.md")["x"] == 2
    cells = "```{code-cell} ipython3\nx = 1\n```\n```{code-cell}\n:tags: [a]\n:b: c\n\nx += 1\n```\n"
    assert run_page(cells, "page.md")["x"] == 2
    with pytest.raises(AssertionError):
        run_page(page + "```python\nassert x == 3\n```\n", "page.md")
    with pytest.raises(AssertionError):
        run_page(page + "```python\n>>> x\n3\n```\n", "page.md")


@pytest.mark.parametrize("name", MODULES)
def test_docstrings_run(name, fresh):
    for package in NEEDS.get(name, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "pylstm").startswith("pylstm"):
            raise
        pytest.skip(f"needs {error.name}")
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("name", sorted({*pylstm.__all__, *pylstm._ESTIMATORS}))
def test_examples_of_the_facade_run_as_pasted(name, fresh):
    """In a session that has begun with these three lines, whatever the module of the example imports."""
    if name in pylstm._ESTIMATORS:
        pytest.importorskip("sklearn")
    for test in doctest.DocTestFinder(exclude_empty=True).find(getattr(pylstm, name), name, module=False, globs={}):
        exec("import numpy as np\nimport pylstm\nfrom pylstm import *", test.globs)
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
        assert runner.run(test).failed == 0


@pytest.mark.parametrize(("option", "lines_shown"), [([], 6), (["--paths"], 9)])
def test_the_page_shows_what_check_prints(option, lines_shown, tmp_path):
    """The cell of the page in a file; digits that depend on the machine are hidden, and the page leaves lines out."""
    page = (ROOT / "docs/certification.md").read_text()
    (code,) = re.findall(r"^```python\n.*?^(class Leaky.*?)^certificate = ", page, re.M | re.S)
    command = " ".join(["pylstm check leaky.py:Leaky", *option])
    (shown,) = re.findall(rf"^```text\n{command}\n(.*?)^```$", page, re.M | re.S)
    (tmp_path / "leaky.py").write_text("from pylstm.cells import Cell, sigmoid, tanh\n\n\n" + code)
    check = [sys.executable, "-P", "-m", "pylstm", "check", "leaky.py:Leaky", *option]
    printed = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    lines = iter(re.sub(r"\d\.\de[+-]\d\d", "#", printed).splitlines())
    wanted = [line for line in re.sub(r"\d\.\de[+-]\d\d", "#", shown).splitlines() if line != "..."]
    assert len(wanted) >= lines_shown and all(line in lines for line in wanted)  # in this order


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("mesonpy", "Cython")),
    reason="needs meson-python and Cython",
)
@pytest.mark.skipif(shutil.which("cc") is None, reason="this machine has no C compiler")
@pytest.mark.once
def test_the_package_of_the_page_builds(tmp_path):
    files = dict(FILE.findall((ROOT / "docs/write-a-cell.md").read_text()))
    assert {"pyproject.toml", "meson.build", "pylstm_leaky/__init__.py", "pylstm_leaky/_leaky.pyx"} <= set(files)
    source, target = tmp_path / "source", tmp_path / "target"
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    paths = [str(Path(sys.executable).parent), str(Path(importlib.util.find_spec("Cython").origin).parents[4] / "bin")]
    env = {**os.environ, "PATH": os.pathsep.join([*paths, os.environ["PATH"]]), "PYTHONSAFEPATH": "1"}
    install = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps"]
    install += ["-Csetup-args=-Doptimization=0", "--target", target, source]
    built = subprocess.run(install, env=env, cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    code = (
        "from pylstm import plugins; from pylstm.engine import levels; "
        "cell = plugins.registry().get('leaky'); "  # certifies twin and kernel
        "module, _, name = cell.kernel.partition(':'); print(getattr(levels.load(module), name)); "
        "print([(r.name, r.distribution, r.status) for r in plugins.status() if 'leaky' in r.cells])"
    )
    run = {"env": {**env, "PYTHONPATH": str(target)}, "cwd": tmp_path, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", code], **run)
    assert '<capsule object "pylstm.cell.v1"' in done.stdout, done.stderr
    assert "[('leaky', 'pylstm-leaky', 'ok')]" in done.stdout
