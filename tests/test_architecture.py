"""The rules that a machine can check: who imports whom, sizes of files and functions, what is installed."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
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


def test_the_picture_has_all_rooms_and_arrows_point_down():
    (lines,) = re.findall(r"## Picture\n.*?```text\n(.*?)```", PAGE, re.S)
    height = {room: -number for number, line in enumerate(lines.splitlines()) for room in line.split()}
    arrows = rooms.arrows_on(PAGE)
    assert set(height) == set(arrows)
    assert not [
        (room, target) for room, targets in arrows.items() for target in targets if height[target] >= height[room]
    ]


def wrong(paths, fault):
    """Of the files in which `fault` finds something: what it finds, by the name of the file."""
    assert paths
    return {str(path.relative_to(ROOT)): found for path in paths if (found := fault(path))}


def test_no_plugin_is_imported():
    """Cells are found by their entry points."""

    def of_plugins(path):
        return {name for name in rooms.imported(path) if name.split(".")[0] in BUNDLED or name.startswith("pylstm_")}

    assert BUNDLED and not wrong([path for path in [*MODULES, *CYTHON] if path.is_relative_to(PACKAGE)], of_plugins)


def test_bundled_plugins_use_the_public_contract_only():
    public = ("cells", "hookspecs", "Cell", "Stage", "hookimpl")

    def private(path):
        used = {name for name in rooms.imported(path) if name.split(".")[0] == "pylstm" and name != "pylstm"}
        return {name for name in used if not any(reaches(name, each) for each in public)}

    assert not wrong(PLUGINS, private)


def test_commands_import_lazily():
    heavy = ("interop", "training", "layers", "diagnostics", "datasets", "streaming", "plugins", "cells")

    def at_the_top(path):
        top = ast.Module(ast.parse(path.read_text()).body, [])
        top.body = [node for node in top.body if isinstance(node, ast.Import | ast.ImportFrom)]
        return {name for name in rooms.imports(top, "pylstm.commands") for room in heavy if reaches(name, room)}

    assert not wrong([path for path in MODULES if path.parent.name == "commands"], at_the_top)


def test_the_core_names_no_gate():
    def gates(path):
        return [line for line in path.read_text().splitlines() if re.search("forget|gate", line, re.I)]

    assert not wrong([path for path in (PACKAGE / "_core.pyx", PACKAGE / "_core.pxd") if path.exists()], gates)


COMPILER = shutil.which("cc") or shutil.which("gcc")


@pytest.mark.skipif(COMPILER is None, reason="this machine has no C compiler")
def test_float32_stays_float32(tmp_path):
    """A bare number, as in `1 - z[k]`, is a double in the C that Cython writes, and so is all that it meets."""
    compiling = pytest.importorskip("Cython.Compiler.Main")
    options = {"language_level": 3, "include_path": [str(ROOT)]}
    headers = [PACKAGE / "include", PACKAGE / "engine" / "include", sysconfig.get_paths()["include"]]
    flags = ["-fsyntax-only", "-Wdouble-promotion", "-Werror=double-promotion", *(f"-I{folder}" for folder in headers)]

    def promotions(path):
        source = tmp_path / f"{path.stem}.c"
        compiling.compile(str(path), compiling.CompilationOptions(**options, output_file=str(source)))
        done = subprocess.run([COMPILER, *flags, str(source)], capture_output=True, text=True)
        return done.returncode and done.stderr

    assert not wrong([path for path in CYTHON if path.suffix == ".pyx"], promotions)


def test_sizes_of_files():
    def lines(path):
        number = len(path.read_text().splitlines())
        return number if number > (400 if path.suffix == ".py" else 600) else None

    assert not wrong([*PYTHON, *CYTHON], lines)


def length(function):
    """Lines of a function from `def` on, without its docstring."""
    body = function.body
    has_docstring = ast.get_docstring(function, clean=False) is not None
    docstring = body[0].end_lineno - body[0].lineno + 1 if has_docstring else 0
    return function.end_lineno - function.lineno + 1 - docstring


def test_sizes_of_functions():
    def long(path):
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
        return {function.name: length(function) for function in functions if length(function) > 40}

    assert not wrong(PYTHON, long)


def test_every_module_is_installed():
    def differs(path):
        parts = path.relative_to(ROOT / "plugins" if path in PLUGINS else ROOT).parts
        package = Path(importlib.util.find_spec(parts[0]).origin).parent  # found without importing what it needs
        installed = package.joinpath(*parts[1:])
        return not installed.exists() or installed.read_text() != path.read_text()

    assert not wrong([path for path in [*MODULES, *PLUGINS] if path != PACKAGE / "__main__.py"], differs)


def test_headers_are_installed():
    package = Path(importlib.util.find_spec("pylstm").origin).parent

    def differs(path):
        installed = package / path.relative_to(PACKAGE)
        return not installed.exists() or installed.read_text() != path.read_text()

    patterns = ("**/templates/*", "**/*.h", "**/*.pxd", "py.typed")
    assert not wrong([path for pattern in patterns for path in PACKAGE.glob(pattern)], differs)
