"""``pylstm new-cell``: what is written, and what is refused."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm import cli, plugins
from pylstm.cells.certification.once import ensure_certified
from pylstm.cells.contracts.sizes import usual_sizes
from pylstm.cells.formula import derive
from pylstm.cells.formula.emission import cython
from pylstm.scaffold import package
from pylstm.scaffold.package import files_of
from pylstm.scaffold.texts import execute, fill

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


@pytest.fixture
def file(tmp_path):
    return shutil.copy(Path(__file__).with_name("leaves.py"), tmp_path)


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


def test_the_readme_says_sizes_and_options(tmp_path):
    """Those that are numbers; a size that is another by default, as the head_size of slstm, is left out."""
    for name, more in (("cornn", ", dt=0.1, gamma=1.0, epsilon=1.0"), ("slstm", ", heads=1"), ("gru", "")):
        assert new_cell("mine", "--from", name, "--directory", tmp_path) == 0
        text = (tmp_path / "pylstm-mine" / "README.md").read_text()
        assert f'layer = pylstm.Recurrent("mine", input_size=8, hidden_size=64{more})\n' in text
        shutil.rmtree(tmp_path / "pylstm-mine")


def run_of(cell):
    """A run on numbers that the shapes alone decide; aux inputs between 0.3 and 0.9, sizes that are needed 2."""
    sizes = {name: 2 for name, default in cell.contract.sizes.items() if default is None}
    layer, random = pylstm.Recurrent(cell, 3, 4, dtype="float64", seed=0, **sizes), np.random.default_rng(0)
    aux = {name: random.uniform(0.3, 0.9, (5, layer.widths[name])) for name in cell.contract.aux if name != "x"}
    return layer(random.normal(size=(5, 3)), aux=aux)


@pytest.mark.once
@pytest.mark.parametrize("name", plugins.registry().names())
def test_every_registered_cell_can_be_the_source(name):
    cell = plugins.registry().get(name)
    texts = files_of("copied", cell)
    for module in ("formula", "copied"):
        made = execute(texts[f"pylstm_copied/{module}.py"], "copied", module)
        assert made.contract.blocks == cell.contract.blocks and made.contract.widths == cell.contract.widths
        assert made.contract.gate_sources == cell.contract.gate_sources
        assert made.initial_values.keys() == cell.initial_values.keys()
        assert made.contract.sizes == cell.contract.sizes and made.contract.output == cell.contract.output
        made.kernel = None
        ensure_certified(made)  # the layer of `run_of` asks for no more
        runs = [run_of(each) for each in (made, cell)]
        assert any(np.ptp(values) > 0 for values in runs[0].states.values())
        for state, values in runs[0].states.items():  # of a spiking cell y may be 0, its potential is not
            np.testing.assert_allclose(values, runs[1].states[state], rtol=1e-12, atol=1e-15)
    kernel = cython.kernel_source(derive(cell)).replace(f'"{name}"', '"copied"').replace(f"{name} =", "copied =")
    body = texts["pylstm_copied/_copied.pyx"].split("\n", 1)[1]
    assert body == kernel.split("\n", 1)[1]


@pytest.mark.once
@pytest.mark.parametrize("name", plugins.registry().names())
def test_tests_and_benchmark_of_the_package_fit_every_cell(name, monkeypatch):
    made = types.ModuleType("pylstm_copied")
    made.Copied = plugins.registry().get(name)
    monkeypatch.setitem(sys.modules, "pylstm_copied", made)
    monkeypatch.setattr(made, "formula", made, raising=False)
    tests, benchmark = {}, {}
    exec(fill("test.py.txt", "copied", sizes=repr(usual_sizes(made.Copied))), tests)
    tests["test_the_kernel_is_that_of_the_formula"]()
    tests["test_it_learns"]()
    exec(fill("bench.py.txt", "copied"), benchmark)
    monkeypatch.setattr(pylstm, "set_num_threads", lambda threads: None)
    layers, parameters = benchmark["Layers"](), (name, "float32", (5, 2, 16))
    layers.setup(*parameters)
    layers.time_forward(*parameters)
    layers.time_backward(*parameters)
    assert layers.run.y.shape[:2] == (5, 2)


def test_a_formula_brings_what_it_uses(file, tmp_path):
    assert new_cell("leaf", "--from", f"{file}:Leaf", "--directory", tmp_path) == 0
    texts = {name: (tmp_path / "pylstm-leaf/pylstm_leaf" / f"{name}.py").read_text() for name in ("formula", "leaf")}
    made = {name: execute(text, "leaf", name) for name, text in texts.items()}
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


def test_a_surrogate_comes_along_with_what_it_uses(file, tmp_path):
    assert new_cell("leaf", "--from", f"{file}:Spiking", "--directory", tmp_path) == 0
    texts = {name: (tmp_path / "pylstm-leaf/pylstm_leaf" / f"{name}.py").read_text() for name in ("formula", "leaf")}
    lines = ("SHARPNESS = 10", "def slope(v):", "spike = surrogate(lambda v: v > 0, slope)", "class Leaf")
    places = [texts["formula"].find(line) for line in lines]
    assert -1 not in places and places == sorted(places) and "declared" in texts["leaf"].split("class")[0]
    runs = []
    for name, text in texts.items():
        made = execute(text, "leaf", name)
        made.kernel = None
        assert pylstm.certify(made).ok
        runs.append(run_of(made))
    assert set(np.unique(runs[0].y)) == {0, 1}
    one, other = (run.backward(np.ones_like(run.y)) for run in runs)
    np.testing.assert_allclose(one.x, other.x, rtol=1e-13)


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
        made = execute(text, "leaf", name)
        made.kernel = None
        np.testing.assert_allclose(run_of(made).y, run_of(getattr(original, source)).y, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("Given", "uses k of the function around it, which is not a number"),
        ("Table", "uses 'TABLE', which cannot be written"),
        ("Branches", "where"),
        ("Listed", "write hidden = surrogate(...) above the class"),
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
    assert "already exists" in capsys.readouterr().err and os.listdir(tmp_path / "pylstm-slow") == []
    assert new_cell("gru", "--directory", tmp_path) == 2
    assert "cell 'gru' is already registered, by plugin 'pylstm_gru'" in capsys.readouterr().err
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
    assert "does not exist" in capsys.readouterr().err
