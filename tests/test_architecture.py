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
_spec = importlib.util.spec_from_file_location("rooms", ROOT / "tools" / "rooms.py")
rooms = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rooms)

PACKAGE = ROOT / "pylstm"
BUNDLED = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))
PYTHON = sorted(
    path for folder in ("pylstm", "plugins", "tests", "benchmarks", "tools") for path in ROOT.glob(f"{folder}/**/*.py")
)
CYTHON = sorted(path for folder in ("pylstm", "plugins") for path in ROOT.glob(f"{folder}/**/*.p[yx][xd]"))
MODULES = [path for path in PYTHON if path.is_relative_to(PACKAGE)]
PLUGINS = [path for path in PYTHON if path.is_relative_to(ROOT / "plugins")]


def names(paths):
    return [str(path.relative_to(ROOT)) for path in paths]


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
    assert set(rooms.imports(ast.parse(source), "pylstm.cells")) == expected


def test_cimports_and_includes_are_seen():
    text = "from pylstm._core cimport a, b\ncimport pylstm._tiles as t\n    from x import (y,\n  z as w)\n# import z\n"
    assert set(rooms.cimports(text)) == {"pylstm._core.a", "pylstm._core.b", "pylstm._tiles", "x.y", "x.z"}
    text = 'cdef extern from "tile.h" nogil:\n#include "a/b.h"\n# include "c.h"\n#include <math.h>\ncdef extern from *:'
    assert set(rooms.includes(text)) == {"tile.h", "a/b.h", "c.h"}


def test_circles_are_seen():
    assert rooms.circles_of({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert rooms.circles_of({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


GRAPH = rooms.graph_of()
PAGE = (ROOT / "docs" / "development" / "architecture.md").read_text(encoding="utf-8")


def test_no_module_is_in_a_circle():
    """Imports inside functions, under TYPE_CHECKING and in stubs count too."""
    assert rooms.circles_of(GRAPH) == []


def test_the_page_has_all_arrows_and_no_other():
    found = {room: targets for room, targets in rooms.arrows_of(GRAPH).items() if room != "pylstm"}
    assert rooms.arrows_on(PAGE) == found
    assert rooms.circles_of(found) == []
    assert not [module for module, targets in GRAPH.items() if "pylstm" in targets]


ROOMS = [*MODULES, *CYTHON]


@pytest.mark.parametrize("path", ROOMS, ids=names(ROOMS))
def test_no_plugin_is_imported(path):
    """Cells are found by their entry points."""
    if path.is_relative_to(PACKAGE):
        assert not {
            name for name in rooms.imported(path) if name.split(".")[0] in BUNDLED or name.startswith("pylstm_")
        }


@pytest.mark.parametrize("path", PLUGINS, ids=names(PLUGINS))
def test_bundled_plugins_use_the_public_contract_only(path):
    public = ("cells", "hookspecs", "Cell", "Stage", "hookimpl")
    used = {name for name in rooms.imported(path) if name.split(".")[0] == "pylstm" and name != "pylstm"}
    assert not {name for name in used if not any(reaches(name, each) for each in public)}


COMMANDS = [path for path in MODULES if path.parent.name == "commands"]


@pytest.mark.parametrize("path", COMMANDS, ids=names(COMMANDS))
def test_commands_import_lazily(path):
    top = ast.Module(ast.parse(path.read_text()).body, [])
    top.body = [node for node in top.body if isinstance(node, ast.Import | ast.ImportFrom)]
    heavy = ("interop", "training", "layers", "diagnostics", "datasets", "streaming", "plugins", "cells")
    assert not {name for name in rooms.imports(top, "pylstm.commands") for room in heavy if reaches(name, room)}


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
