"""``pylstm new-cell``: the package is built, installed, found and trained."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from pylstm import cli

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("mesonpy", "Cython", "pip")),
        reason="needs pip, meson-python and Cython",
    ),
    pytest.mark.skipif(shutil.which("cc") is None, reason="this machine has no C compiler"),
]

HERE = Path(__file__).parent
FAST = "-Csetup-args=-Doptimization=0"
"""Most of a build is gcc's optimiser; one package is built without this, as its user does."""


def new_cell(*arguments):
    return cli.main(["new-cell", *map(str, arguments)])


class Fresh:
    """A new virtual environment that sees the packages of this one."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.bin = folder / "bin"
        (site,) = folder.glob("lib/python*/site-packages")
        shared = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        (site / "shared.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in shared))
        tools = Path(importlib.util.find_spec("Cython").origin).parents[4] / "bin"  # where ninja and cython are
        path = os.pathsep.join(map(str, [self.bin, Path(sys.executable).parent, tools, os.environ["PATH"]]))
        self.env = {**os.environ, "PATH": path, "PYTHONSAFEPATH": "1", "PIP_NO_INDEX": "1"}

    def install(self, folder: Path, *options: str) -> None:
        """What a second installation finds unchanged is not compiled again."""
        options = ("--no-build-isolation", "--no-deps", f"-Cbuild-dir={folder.with_suffix('.build')}", *options)
        self.python("-m", "pip", "install", "-q", *options, ".", cwd=folder)

    def python(self, *arguments: str, cwd: Path) -> str:
        done = subprocess.run(
            [self.bin / "python", *arguments], cwd=cwd, env=self.env, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def test_the_package_is_built_found_certified_and_trained(tmp_path):
    assert new_cell("leaf", "--from", f"{HERE / 'leaves.py'}:Leaf", "--directory", tmp_path) == 0
    fresh, folder = Fresh(tmp_path / "venv"), tmp_path / "pylstm-leaf"
    fresh.install(folder, FAST)
    installed = fresh.python("-c", "import pylstm_leaf; print(pylstm_leaf.__file__)", cwd=tmp_path)
    assert installed.startswith(str(tmp_path / "venv"))
    listed = [line.split() for line in fresh.python("-m", "pylstm", "cells", cwd=tmp_path).splitlines()]
    assert ["leaf", "pylstm_leaf", "0.1.0", "h", "m", "f", "a", "rate", "-", "registered"] in listed
    checked = fresh.python("-m", "pylstm", "check", "leaf", cwd=tmp_path)
    assert checked.startswith("leaf: ok, ") and "kernel float32" in checked and "no kernel" not in checked
    report = fresh.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", cwd=folder)
    assert "4 passed" in report
    bench = "import bench_leaf as b; l = b.Layers(); l.setup('leaf', 'float32', (5, 2, 4)); l.time_backward(*'abc')"
    fresh.python("-c", f"import sys; sys.path.insert(0, 'benchmarks'); {bench}", cwd=folder)


def test_the_default_package_trains_by_name(tmp_path):
    assert new_cell("slow", "--directory", tmp_path) == 0
    fresh = Fresh(tmp_path / "venv")
    folder = tmp_path / "pylstm-slow"
    fresh.install(folder)
    arguments = ["--task", "adding", "--params", "500", "--steps", "5", "--seeds", "1", "--length", "8"]
    table = fresh.python("-m", "pylstm", "compare", "slow,lstm", *arguments, cwd=tmp_path)
    assert [line.split()[-1] for line in table.splitlines()[1:3]] == ["ok", "ok"]
    formula = folder / "pylstm_slow/formula.py"  # a change without --update is noticed by the tests of the package
    formula.write_text(formula.read_text().replace("tanh(z.a) - prev.h", "tanh(z.a) - 0.5 * prev.h"))
    code = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']) != 1)"
    fresh.install(folder)
    assert "test_the_kernel_is_that_of_the_formula" in fresh.python("-c", code, cwd=folder)
    fresh.python("-m", "pylstm", "new-cell", "slow", "--update", cwd=folder)
    fresh.install(folder)
    assert "4 passed" in fresh.python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)


def test_the_package_of_a_surrogate_is_built_and_trained(tmp_path):
    file = shutil.copy(HERE / "spikes.py", tmp_path)
    assert new_cell("mine", "--from", f"{file}:Spike", "--directory", tmp_path) == 0
    os.unlink(file)
    fresh, folder = Fresh(tmp_path / "venv"), tmp_path / "pylstm-mine"
    fresh.install(folder, FAST)
    installed = fresh.python("-c", "import pylstm_mine; print(pylstm_mine.__file__)", cwd=tmp_path)
    assert installed.startswith(str(tmp_path / "venv"))
    assert "3 passed" in fresh.python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    bench = "import bench_mine as b; l = b.Layers(); l.setup('mine', 'float32', (5, 2, 4)); l.time_backward(*'abc')"
    fresh.python("-c", f"import sys; sys.path.insert(0, 'benchmarks'); {bench}", cwd=folder)
