"""The rules that a machine can check: who imports whom, sizes of files and functions, what is installed."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pylstm"
BUNDLED = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))
PYTHON = sorted(
    path for folder in ("pylstm", "plugins", "tests", "benchmarks", "tools") for path in ROOT.glob(f"{folder}/**/*.py")
)
CYTHON = sorted(path for folder in ("pylstm", "plugins") for path in ROOT.glob(f"{folder}/**/*.p[yx][xd]"))
MODULES = [path for path in PYTHON if path.is_relative_to(PACKAGE)]
PLUGINS = [path for path in PYTHON if path.is_relative_to(ROOT / "plugins")]

FORBIDDEN = {
    "cells": "layers training estimators streaming diagnostics interop datasets saving cli commands plugins _core",
    "layers": "training estimators diagnostics interop datasets saving cli commands",
    "training": "interop cli commands estimators _core",
    "estimators": "interop cli commands _core",
    "diagnostics": "interop cli commands _core",
    "hookspecs.py": "layers training streaming diagnostics interop cli commands _core",
    "plugins.py": "layers training streaming diagnostics interop cli commands _core",
    "streaming.py": "training diagnostics interop cli commands",
    "interop": "cli commands _core",
}
"""Room -> what it must not import."""


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


def imports(tree, package):
    """Full names of all that is imported anywhere in `tree`, a module of `package`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parent, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def cimports(text):
    """Full names of all that is imported or cimported in Cython source."""
    for base, what in re.findall(r"^\s*from\s+([\w.]+)\s+c?import\s+(.+)$", text, re.M):
        yield from (f"{base}.{name.strip().split(' ')[0]}" for name in what.strip("()").split(","))
    yield from re.findall(r"^\s*c?import\s+([\w.]+)", text, re.M)


def imported(path):
    if path.suffix != ".py":
        return set(cimports(path.read_text()))
    return set(imports(ast.parse(path.read_text()), ".".join(path.parent.relative_to(ROOT).parts)))


def reaches(name, room):
    """Whether the full name `name` is, or is inside, the module or package `pylstm.<room>`."""
    return name == f"pylstm.{room}" or name.startswith(f"pylstm.{room}.")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pylstm._core", {"pylstm._core"}),
        ("from pylstm import _core", {"pylstm._core"}),
        ("def f():\n    from pylstm._core import run", {"pylstm._core.run"}),
        ("from . import cell", {"pylstm.cells.cell"}),
        ("from .. import _core", {"pylstm._core"}),
        ("from ..layers.run import Run", {"pylstm.layers.run.Run"}),
    ],
)
def test_imports_are_seen(source, expected):
    assert set(imports(ast.parse(source), "pylstm.cells")) == expected


def test_cimports_are_seen():
    text = "from pylstm._core cimport a, b\ncimport pylstm.engine.tiles as t\n    from x import (y)\n# import z\n"
    assert set(cimports(text)) == {"pylstm._core.a", "pylstm._core.b", "pylstm.engine.tiles", "x.y"}


@pytest.mark.parametrize("path", [*MODULES, *CYTHON], ids=names([*MODULES, *CYTHON]))
def test_arrows(path):
    room = path.relative_to(ROOT).parts[1]
    if path.is_relative_to(ROOT / "plugins"):
        room = "plugin"
    found = imported(path)
    wrong = {name for name in found for other in FORBIDDEN.get(room, "").split() if reaches(name, other)}
    assert not wrong
    if room != "plugin":
        assert not {name for name in found if name.split(".")[0] in BUNDLED or name.startswith("pylstm_")}
    if room not in ("layers", "engine", "_core.pyx", "_core.pxd", "_core.pyi"):
        assert not {name for name in found if reaches(name, "_core")}
    if room not in ("interop", "commands"):
        assert not {name for name in found if reaches(name, "interop")}


@pytest.mark.parametrize("path", PLUGINS, ids=names(PLUGINS))
def test_bundled_plugins_use_the_public_contract_only(path):
    public = ("cells", "hookspecs", "Cell", "Stage", "hookimpl")
    used = {name for name in imported(path) if name.split(".")[0] == "pylstm" and name != "pylstm"}
    assert not {name for name in used if not any(reaches(name, each) for each in public)}


COMMANDS = [path for path in MODULES if path.parent.name == "commands"]


@pytest.mark.parametrize("path", COMMANDS, ids=names(COMMANDS))
def test_commands_import_lazily(path):
    top = ast.Module(ast.parse(path.read_text()).body, [])
    top.body = [node for node in top.body if isinstance(node, ast.Import | ast.ImportFrom)]
    heavy = ("interop", "training", "layers", "diagnostics", "datasets", "streaming", "plugins", "cells")
    assert not {name for name in imports(top, "pylstm.commands") for room in heavy if reaches(name, room)}


LOOPS = [path for path in (PACKAGE / "_core.pyx", PACKAGE / "_core.pxd") if path.exists()]


@pytest.mark.parametrize("path", LOOPS, ids=names(LOOPS))
def test_the_core_names_no_gate(path):
    lines = path.read_text().splitlines()
    assert not [line for line in lines if re.search("forget|gate", line, re.I)]


COMPILER = shutil.which("cc") or shutil.which("gcc")
COMPILED = [path for path in CYTHON if path.suffix == ".pyx"]


@pytest.mark.skipif(not (COMPILER and importlib.util.find_spec("Cython")), reason="needs Cython and a C compiler")
@pytest.mark.parametrize("path", COMPILED, ids=names(COMPILED))
def test_float32_stays_float32(path, tmp_path):
    """A bare number, as in `1 - z[k]`, is a double in the C that Cython writes, and so is all that it meets."""
    source = tmp_path / "kernel.c"
    command = [sys.executable, "-m", "cython", "-3", "-I", str(ROOT), str(path), "-o", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    headers = [PACKAGE / "include", PACKAGE / "engine" / "include"]
    include = [*(f"-I{folder}" for folder in headers), f"-I{sysconfig.get_paths()['include']}"]
    command = [COMPILER, "-fsyntax-only", "-Wdouble-promotion", "-Werror=double-promotion", *include, str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [*PYTHON, *CYTHON], ids=names([*PYTHON, *CYTHON]))
def test_sizes_of_files(path):
    assert len(path.read_text().splitlines()) <= (400 if path.suffix == ".py" else 600)


def length(function):
    """Lines of a function from `def` on, without its docstring."""
    body = function.body
    has_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = body[0].end_lineno - body[0].lineno + 1 if has_docstring else 0
    return function.end_lineno - function.lineno + 1 - docstring


@pytest.mark.parametrize("path", PYTHON, ids=names(PYTHON))
def test_sizes_of_functions(path):
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    assert not {function.name: length(function) for function in functions if length(function) > 40}


INSTALLED = [path for path in [*MODULES, *PLUGINS] if path != PACKAGE / "__main__.py"]


@pytest.mark.parametrize("path", INSTALLED, ids=names(INSTALLED))
def test_every_module_is_installed(path):
    parts = path.relative_to(ROOT / "plugins" if path in PLUGINS else ROOT).parts
    package = Path(importlib.util.find_spec(parts[0]).origin).parent  # found without importing what it needs
    assert package.joinpath(*parts[1:]).read_text() == path.read_text()


DATA = sorted(
    [*PACKAGE.glob("**/templates/*"), *PACKAGE.glob("**/*.h"), *PACKAGE.glob("**/*.pxd"), PACKAGE / "py.typed"]
)


@pytest.mark.parametrize("path", DATA, ids=names(DATA))
def test_headers_are_installed(path):
    installed = Path(importlib.util.find_spec("pylstm").origin).parent
    assert (installed / path.relative_to(PACKAGE)).read_text() == path.read_text()
