"""``pylstm new-cell``: what is written, what is refused; and the package is built, installed, found and trained."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import types
import venv
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm import cli, plugins
from pylstm.cells.formula import derive
from pylstm.cells.formula.emission import cython
from pylstm.scaffold import package
from pylstm.scaffold.package import _execute, files_of

WRITTEN = {
    ".gitignore",
    "README.md",
    "asv.conf.json",
    "benchmarks/__init__.py",
    "benchmarks/bench_slow.py",
    "meson.build",
    "pylstm_slow/__init__.py",
    "pylstm_slow/_slow.pyx",
    "pylstm_slow/formula.py",
    "pylstm_slow/slow.py",
    "pyproject.toml",
    "tests/test_slow.py",
}

FILE = r'''
import math
from pylstm import sigmoid as squash
from pylstm.cells import Cell, Stage, tanh

SCALE = 0.5


def mixed(a, b, k):
    return SCALE * math.pi / 3 * (k * a + (1 - k) * b)


class Leaf(Cell):
    """A projected one, of 70 % "noise" and \alpha."""

    name = "leaf_of_a_file"
    states = ("h", "m")
    gates = {"f": "x+m", "a": "x+m"}
    params = ("rate",)
    widths = {"m": "memory"}
    sizes = {"memory": None}
    stages = (Stage("gates", gates=("f", "a"), emits=("e",)), Stage("last"))
    aux = ("dt",)
    reference = "a \"file\""

    def forward_gates(z, u):
        return dict(e=mixed(tanh(z.a), squash(z.f), u.dt))

    def forward_last(prev, e, p):
        return dict(h=2 * tanh(e.e * p.rate) + 0.1 * prev.h, m=0.5 * prev.m)


def closed(k):
    class Closed(Cell):
        states = ("h",)
        gates = {"a": "x+h"}

        def forward(z):
            return dict(h=k * tanh(z.a))

    return Closed


Closed, Given = closed(3.0), closed([3.0])


def layered(depth, unused):
    def layer(k):
        def forward(z, prev, e):
            """Of layer k."""
            before = prev.h if k == 1 else getattr(e, f"h{k - 1}")
            new = before + 1 / k * tanh(getattr(z, f"a{k}"))
            return {"h" if k == depth else f"h{k}": new}

        return forward

    class Layered(Cell):
        states = ("h",)
        gates = {"a1": "x+h", "a2": "h1"}
        stages = (Stage("one", gates=("a1",), emits=("h1",)), Stage("two", gates=("a2",)))
        forward_one, forward_two = layer(1), layer(2)

    return Layered


Layered = layered(2, 5.0)
TABLE = [1.0, 2.0]


class Table(Cell):
    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return dict(h=TABLE[1] * tanh(z.a))


class Branches(Cell):
    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return dict(h=z.a if z.a > 0 else 2 * z.a)
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "leaves.py"
    path.write_text(FILE)
    return path


def written(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def new_cell(*arguments):
    return cli.main(["new-cell", *map(str, arguments)])


def test_all_files_are_written(tmp_path, capsys):
    assert new_cell("slow", "--directory", tmp_path) == 0
    assert os.listdir(tmp_path) == ["pylstm-slow"]
    assert written(tmp_path / "pylstm-slow") == WRITTEN
    for path in (tmp_path / "pylstm-slow").rglob("*.*"):
        text = path.read_text()
        assert not re.search(r"\$[a-z{]|TODO|<name>", text), path
        assert str(tmp_path) not in text and max(map(len, text.splitlines()), default=0) <= 120
        if path.suffix == ".py":
            compile(text, str(path), "exec")
    assert f"pip install --no-build-isolation {tmp_path}/pylstm-slow" in capsys.readouterr().out


def run_of(cell):
    """A run on numbers that the shapes alone decide; aux inputs between 0.3 and 0.9, sizes that are needed 2."""
    sizes = {name: 2 for name, default in cell.contract.sizes.items() if default is None}
    layer, random = pylstm.Recurrent(cell, 3, 4, dtype="float64", seed=0, **sizes), np.random.default_rng(0)
    aux = {name: random.uniform(0.3, 0.9, (5, layer.widths[name])) for name in cell.contract.aux if name != "x"}
    return layer(random.normal(size=(5, 3)), aux=aux)


@pytest.mark.parametrize("name", plugins.registry().names())
def test_every_registered_cell_can_be_the_source(name):
    cell = plugins.registry().get(name)
    texts = files_of("copied", cell)
    for module in ("formula", "copied"):
        made = _execute(texts[f"pylstm_copied/{module}.py"], "copied", module)
        assert made.contract.blocks == cell.contract.blocks and made.contract.widths == cell.contract.widths
        assert made.contract.gate_sources == cell.contract.gate_sources
        assert made.initial_values.keys() == cell.initial_values.keys()
        assert made.contract.sizes == cell.contract.sizes and made.contract.output == cell.contract.output
        made.kernel = None
        assert pylstm.certify(made).ok
        runs = [run_of(each) for each in (made, cell)]
        assert np.ptp(runs[0].y) > 0
        np.testing.assert_allclose(runs[0].y, runs[1].y, rtol=1e-12, atol=1e-15)
    kernel = cython.kernel_source(derive(cell)).replace(f'"{name}"', '"copied"').replace(f"{name} =", "copied =")
    body = texts["pylstm_copied/_copied.pyx"].split("\n", 1)[1]
    assert body == kernel.split("\n", 1)[1]


@pytest.mark.parametrize("name", plugins.registry().names())
def test_tests_and_benchmark_of_the_package_fit_every_cell(name, monkeypatch):
    made = types.ModuleType("pylstm_copied")
    made.Copied = plugins.registry().get(name)
    monkeypatch.setitem(sys.modules, "pylstm_copied", made)
    monkeypatch.setattr(made, "formula", made, raising=False)
    tests, benchmark = {}, {}
    exec(package._fill("test.py.txt", "copied"), tests)
    tests["test_the_kernel_is_that_of_the_formula"]()
    tests["test_it_learns"]()
    exec(package._fill("bench.py.txt", "copied"), benchmark)
    monkeypatch.setattr(pylstm, "set_num_threads", lambda threads: None)
    layers, parameters = benchmark["Layers"](), (name, "float32", (5, 2, 16))
    layers.setup(*parameters)
    layers.time_forward(*parameters)
    layers.time_backward(*parameters)
    assert layers.run.y.shape[:2] == (5, 2)


def test_a_formula_brings_what_it_uses(file, tmp_path):
    assert new_cell("leaf", "--from", f"{file}:Leaf", "--directory", tmp_path) == 0
    texts = {name: (tmp_path / "pylstm-leaf/pylstm_leaf" / f"{name}.py").read_text() for name in ("formula", "leaf")}
    made = {name: _execute(text, "leaf", name) for name, text in texts.items()}
    assert "SCALE = 0.5" in texts["formula"] and "def mixed(a, b, k):" in texts["formula"]
    assert "    keep = (" in texts["leaf"] and "keep" not in texts["formula"]
    assert "import math" in texts["formula"] and "math" not in texts["leaf"]
    spec = importlib.util.spec_from_file_location("leaves", file)
    original = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(original)
    made["leaf"].kernel = None
    aux = {"dt": np.linspace(0.2, 0.8, 4)[:, None]}
    runs = [
        pylstm.Recurrent(cell, 3, 5, dtype="float64", seed=0, memory=2)(np.ones((4, 3)), aux=aux)
        for cell in (original.Leaf, *made.values())
    ]
    np.testing.assert_array_equal(runs[1].y, runs[0].y)  # both on the machine
    np.testing.assert_allclose(runs[2].y, runs[0].y, rtol=1e-13, atol=1e-15)  # the twin
    assert made["leaf"].reference == 'a "file"' and made["leaf"].__doc__ == original.Leaf.__doc__


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("Closed", ["def forward(z):\n        k = 3.0\n        return"]),
        ("Layered", ["def forward_one(", "depth, k = 2, 1\n        before", "def forward_two(", "depth, k = 2, 2\n"]),
    ],
)
def test_numbers_of_the_function_around_come_along(source, lines, file, tmp_path):
    assert new_cell("leaf", "--from", f"{file}:{source}", "--directory", tmp_path) == 0
    texts = {name: (tmp_path / "pylstm-leaf/pylstm_leaf" / f"{name}.py").read_text() for name in ("formula", "leaf")}
    places = [texts["formula"].find(line) for line in lines]
    assert -1 not in places and places == sorted(places) and "unused" not in texts["formula"]
    spec = importlib.util.spec_from_file_location("leaves", file)
    original = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(original)
    for name, text in texts.items():
        made = _execute(text, "leaf", name)
        made.kernel = None
        np.testing.assert_allclose(run_of(made).y, run_of(getattr(original, source)).y, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("Given", "uses k of the function around it, which is no number"),
        ("Table", "uses 'TABLE', which cannot be written"),
        ("Branches", "where"),
        ("Missing", "has no 'Missing'"),
    ],
)
def test_formulas_that_cannot_be_written(source, message, file, tmp_path, capsys):
    assert new_cell("leaf", "--from", f"{file}:{source}", "--directory", tmp_path) == 2
    assert message in capsys.readouterr().err
    assert set(os.listdir(tmp_path)) - {"__pycache__"} == {"leaves.py"}


@pytest.mark.parametrize("name", ["Slow", "2slow", "my-cell", "a b", "", "class", "double", "formula", "../a", "ä"])
def test_names_that_are_none(name, tmp_path, capsys):
    assert new_cell(name, "--directory", tmp_path) == 2
    assert "the name" in capsys.readouterr().err and os.listdir(tmp_path) == []


def test_what_is_there_is_left_alone(tmp_path, capsys):
    (tmp_path / "pylstm-slow").mkdir()
    assert new_cell("slow", "--directory", tmp_path) == 2
    assert "exists already" in capsys.readouterr().err and os.listdir(tmp_path / "pylstm-slow") == []
    assert new_cell("gru", "--directory", tmp_path) == 2
    assert "a cell 'gru' is registered already, by plugin 'pylstm_gru'" in capsys.readouterr().err
    assert new_cell("slow", "--directory", tmp_path / "none") == 2
    assert "does not exist" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["pylstm-slow"]


def test_nothing_half_written(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "rename", full)
    assert new_cell("slow", "--directory", tmp_path) == 2
    assert "disk full" in capsys.readouterr().err and os.listdir(tmp_path) == []


def test_a_wrong_twin_is_not_written(tmp_path, monkeypatch, capsys):
    right = package.twin_source

    def wrong(*arguments):
        imports, text = right(*arguments)
        assert "h=d.h - da" in text
        return imports, text.replace("h=d.h - da", "h=d.h")

    monkeypatch.setattr(package, "twin_source", wrong)
    assert new_cell("slow", "--directory", tmp_path) == 2
    assert "d h / d previous h" in capsys.readouterr().err and os.listdir(tmp_path) == []


def test_update_derives_again(tmp_path, capsys):
    assert new_cell("slow", "--directory", tmp_path) == 0
    folder = tmp_path / "pylstm-slow"
    formula = folder / "pylstm_slow/formula.py"
    formula.write_text(formula.read_text().replace("tanh(z.a) - prev.h", "tanh(z.a) - 0.5 * prev.h"))
    before = {name: (folder / name).read_text() for name in WRITTEN}
    assert new_cell("slow", "--update", "--directory", folder) == 0
    changed = {name for name in WRITTEN if (folder / name).read_text() != before[name]}
    assert changed == {"pylstm_slow/slow.py", "pylstm_slow/_slow.pyx"} and written(folder) == WRITTEN
    assert "0.5 * prev.h" in (folder / "pylstm_slow/slow.py").read_text()
    formula.write_text(formula.read_text().replace('name = "slow"', 'name = "fast"'))
    assert new_cell("slow", "--update", "--directory", folder) == 2
    assert "it must be 'slow'" in capsys.readouterr().err
    assert new_cell("slow", "--update", "--directory", tmp_path) == 2
    assert "there is no" in capsys.readouterr().err


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

    def python(self, *arguments: str, cwd: Path) -> str:
        done = subprocess.run(
            [self.bin / "python", *arguments], cwd=cwd, env=self.env, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("mesonpy", "Cython", "pip")),
    reason="needs pip, meson-python and Cython",
)
def test_the_package_is_built_found_certified_and_trained(tmp_path, file):
    assert new_cell("leaf", "--from", f"{file}:Leaf", "--directory", tmp_path) == 0
    fresh, folder = Fresh(tmp_path / "venv"), tmp_path / "pylstm-leaf"
    install = ["-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "."]
    fresh.python(*install, cwd=folder)
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


@pytest.mark.slow
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("mesonpy", "Cython", "pip")),
    reason="needs pip, meson-python and Cython",
)
def test_the_default_package_trains_by_name(tmp_path):
    assert new_cell("slow", "--directory", tmp_path) == 0
    fresh = Fresh(tmp_path / "venv")
    folder = tmp_path / "pylstm-slow"
    fresh.python("-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", ".", cwd=folder)
    arguments = ["--task", "adding", "--params", "500", "--steps", "5", "--seeds", "1", "--length", "8"]
    table = fresh.python("-m", "pylstm", "compare", "slow,lstm", *arguments, cwd=tmp_path)
    assert [line.split()[-1] for line in table.splitlines()[1:3]] == ["ok", "ok"]
    formula = folder / "pylstm_slow/formula.py"  # a change without --update is noticed by the tests of the package
    formula.write_text(formula.read_text().replace("tanh(z.a) - prev.h", "tanh(z.a) - 0.5 * prev.h"))
    code = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']) != 1)"
    fresh.python("-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", ".", cwd=folder)
    assert "test_the_kernel_is_that_of_the_formula" in fresh.python("-c", code, cwd=folder)
    fresh.python("-m", "pylstm", "new-cell", "slow", "--update", cwd=folder)
    fresh.python("-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", ".", cwd=folder)
    assert "4 passed" in fresh.python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
