"""The rules that a machine can check: who imports whom, sizes of files and functions, what is installed."""

from __future__ import annotations

import ast
import importlib.util
import io
import itertools
import keyword
import re
import textwrap
import tokenize
from pathlib import Path

import pytest

import pylstm
import rooms

pytestmark = pytest.mark.once
ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pylstm"
BUNDLED = sorted(path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py"))
PYTHON = sorted(
    path for folder in ("pylstm", "plugins", "tests", "benchmarks", "tools") for path in ROOT.glob(f"{folder}/**/*.py")
)
CYTHON = sorted(path for folder in ("pylstm", "plugins") for path in ROOT.glob(f"{folder}/**/*.p[yx][xd]"))
MODULES = [path for path in PYTHON if path.is_relative_to(PACKAGE)]
PLUGINS = [path for path in PYTHON if path.is_relative_to(ROOT / "plugins")]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pylstm._core", {"pylstm._core"}),
        ("from pylstm import _core", {"pylstm._core"}),
        ("def f():\n    from pylstm._core import run", {"pylstm._core.run"}),
        ("from . import cell", {"pylstm.cells.cell"}),
        ("from .. import _core", {"pylstm._core"}),
        ("from ..layers.run import Run", {"pylstm.layers.run.Run"}),
        ("import os, pylstm.models as m", {"os", "pylstm.models"}),
        ("import a; from pylstm.models import b", {"a", "pylstm.models.b"}),
        ("try: from pylstm.models import x\nexcept ImportError: pass", {"pylstm.models.x"}),
        ("from pylstm import (  # a (remark)\n    models, text as t,\n)", {"pylstm.models", "pylstm.text"}),
        ("import importlib\nm = importlib.import_module('pylstm.models')", {"importlib", "pylstm.models"}),
        ("x = import_module('..models', __package__)", {"pylstm.models"}),
        ("x = __import__('pylstm.models').models", {"pylstm.models"}),
        ("x = import_module(name)", set()),
        ("x = import_module(name='pylstm.models')", {"pylstm.models"}),
        ("x = import_module()", set()),
        ("from importlib import import_module as load\nx = load('pylstm.models')", {"pylstm.models"}),
        ("import importlib as il\nx = il.import_module('pylstm.models')", {"pylstm.models"}),
        ("load = importlib.import_module\nagain = load\nx = again('..models', __package__)", {"pylstm.models"}),
        ("x = builtins.__import__('pylstm.models')", {"pylstm.models"}),
        ("x = getattr(importlib, 'import_module')('pylstm.models')", {"pylstm.models"}),
        ("load = getattr(il, 'import_module')\nx = load('pylstm.models')", {"pylstm.models"}),
        ("x = getattr(il, 'imported')('pylstm.models')", set()),
        ("x = load('pylstm.models')", set()),
        ('# import z\nx = \'import y; from z import w\'\nx = """\nimport y\n"""', set()),
    ],
)
@pytest.mark.parametrize("language", ["Python", "Cython"])
def test_imports_are_seen(source, expected, language):
    tree = ast.parse(source) if language == "Python" else rooms.cython_tree(source)
    ours = {name for name in rooms.imports(tree, "pylstm.cells") if not name.startswith("importlib.")}
    assert ours - {"importlib"} == expected - {"importlib"}


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("x = importlib.import_module(f'pylstm.{name}')", 1),
        ("from importlib import import_module as load\nx = load(name)", 1),
        ("import importlib as il\nx = il.import_module('pylstm.' + name)", 1),
        ("load = __import__\nx = load(name=found)", 1),
        ("x = getattr(importlib, 'import_module')(name)", 1),
        ("x = list(map(importlib.import_module, names))", 1),
        ("x = import_module('pylstm.models'), import_module(), load(name)", 0),
    ],
)
def test_computed_imports_are_seen(source, number):
    assert len(rooms.computed(ast.parse(source))) == number
    if "map(" not in source:
        assert len(rooms.computed(rooms.cython_tree(source))) == number


COMPUTED = {
    "pylstm/cells/contracts/options.py": "the formula of a kernel, named by the plugin that has both",
    "pylstm/cli.py": "one file of `commands` for each command, which is above all rooms",
    "pylstm/commands/_shared/cells.py": "the module of a user's cells, from the command line",
    "pylstm/commands/train.py": "one file of `commands/_train` for each task",
    "pylstm/engine/levels.py": "one build of a module for each level of instructions: `graph_of` has it by its name",
    "pylstm/hints.py": "what a façade imports later: its own table, which `test_facades` reads",
    "pylstm/kinds.py": "the kinds of a file, upwards: `KINDS.later`, as the page says",
}
"""Where a module is imported by a name that is computed, and why no arrow is lost."""


def test_computed_imports_are_listed():
    """An arrow that no rule sees: the name has to be a literal, or the file is listed with its reason."""
    files = [path for path in [*MODULES, *CYTHON] if path.is_relative_to(PACKAGE) and "templates" not in path.parts]
    assert wrong(files, lambda path: rooms.computed(rooms.tree_of(path))).keys() == COMPUTED.keys()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from pylstm._core cimport a, b\ncimport pylstm._tiles as t", {"_core.a", "_core.b", "_tiles"}),
        ("cimport libc.math, pylstm._core", {"_core"}),
        ("    from pylstm.x cimport (y,\n  z as w)", {"x.y", "x.z"}),
        ("from .._core cimport y", {"_core.y"}),
        ("from . cimport lstm", {"cells.lstm"}),
        ("from .lstm \\\n  cimport row", {"cells.lstm.row"}),
        ("cdef int f(double* x) noexcept nogil: return <int>x[0]; cimport pylstm.x", {"x"}),
    ],
)
def test_cimports_are_seen(source, expected):
    found = {name for name in rooms.imports(rooms.cython_tree(source), "pylstm.cells") if name.startswith("pylstm.")}
    assert found == {f"pylstm.{name}" for name in expected}


@pytest.mark.parametrize(
    ("suffix", "source", "expected"),
    [
        ("pyx", 'cdef extern from "machine.h" nogil:\n    int f()', "pylstm/engine/include/machine.h"),
        ("pxd", "cdef extern from 'machine.h': pass", "pylstm/engine/include/machine.h"),
        ("pyx", 'cdef extern from *:\n    """\n    #include <machine.h>\n    """', "pylstm/engine/include/machine.h"),
        ("pyx", 'include "../cells/_lstm.pyx"', "pylstm.cells._lstm"),
        ("pxi", "include 'pylstm/cells/_lstm.pyx'", "pylstm.cells._lstm"),
        ("c", "#include <pylstm/cell.h>", "pylstm/include/pylstm/cell.h"),
        ("h", '# include "machine.h"', "pylstm/engine/include/machine.h"),
        ("h", "#include <math.h>", ""),
    ],
)
def test_includes_are_seen(tmp_path, suffix, source, expected):
    """In a copy of what can be included."""
    for name in ("pylstm/engine/include/machine.h", "pylstm/cells/_lstm.pyx", "pylstm/include/pylstm/cell.h"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "pylstm/include/pylstm/math.h").touch()
    path = tmp_path / "pylstm/include/pylstm/planted" if suffix == "h" else tmp_path / "pylstm/engine/planted"
    path = path.with_suffix(f".{suffix}")
    path.write_text(source)
    assert path in rooms.files_of(tmp_path)
    assert rooms.graph_of(tmp_path)[rooms.module_of(path, tmp_path)] == ({expected} - {""})


def test_circles_are_seen():
    assert rooms.circles_of({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert rooms.circles_of({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


@pytest.fixture(scope="module")
def graph():
    return rooms.graph_of()


PAGE = (ROOT / "docs" / "development" / "architecture.md").read_text(encoding="utf-8")


def test_no_module_is_in_a_circle(graph):
    """Imports inside functions, under TYPE_CHECKING and in stubs count too."""
    assert rooms.circles_of(graph) == []


def test_the_page_has_all_arrows_and_no_other(graph):
    found = {room: targets for room, targets in rooms.arrows_of(graph).items() if room != "pylstm"}
    assert rooms.arrows_on(PAGE) == found
    assert rooms.circles_of(found) == []
    assert not [module for module, targets in graph.items() if "pylstm" in targets]


def test_the_picture_has_all_rooms_and_arrows_point_down():
    (lines,) = re.findall(r"## Picture\n.*?```text\n(.*?)```", PAGE, re.S)
    height = {room: -number for number, line in enumerate(lines.splitlines()) for room in line.split()}
    arrows = rooms.arrows_on(PAGE)
    assert set(height) == set(arrows)
    (table,) = re.findall(r"## Rooms\n(.*?)\n## ", PAGE, re.S)
    first = " ".join(line.split("|")[1] for line in table.splitlines() if line.startswith("|"))
    assert set(re.findall(r"\w+", first)) - {"room"} == set(arrows)
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


PUBLIC = {
    *(f"pylstm.{name}" for name in pylstm.__all__),
    *(f"pylstm.cells.{name}" for name in pylstm.cells.__all__),
    *("pylstm.hookspecs", "pylstm.kernel", "pylstm._math", "pylstm._rows", "pylstm/include/pylstm"),
}
"""What a plugin may use: `pylstm` and `pylstm.cells` by their names, the hooks, the kernel contract."""


def private(names):
    """Of full names those of pylstm that are neither public nor inside something public."""
    ours = {name for name in names if re.match(r"pylstm\b", name)} - {"pylstm", "pylstm.cells"}
    return {name for name in ours if not any(re.match(rf"{re.escape(each)}\b", name) for each in PUBLIC)}


@pytest.mark.parametrize(
    "source",
    [
        "from pylstm.cells.functions import tanh",
        "import pylstm.cells.functions",
        "import pylstm.engine.cpu",
        "from pylstm.engine.plan cimport x",
        "import pylstm\npylstm.training.fit",
        "import pylstm as p\ndef f(): return p.optim.Adam(p.cells)",
        "import pylstm.cells\nx = pylstm.cells.formula.tape.keep",
        "from pylstm import cells\nx = cells.formula",
        "from pylstm import plugins",
    ],
)
def test_private_names_are_seen(source):
    assert private(rooms.reached(rooms.cython_tree(source), "pylstm_x"))
    assert "cimport" in source or private(rooms.reached(ast.parse(source), "pylstm_x"))


def test_public_names_are_no_offence():
    source = "import pylstm\nfrom pylstm.cells import Cell\nfrom pylstm import cells, hookimpl\nfrom .a import b\n"
    source += "from pylstm.kernel cimport Step\nx = pylstm.tanh(Cell.forward.__doc__), cells.sigmoid, b.training"
    assert not private(rooms.reached(rooms.cython_tree(source), "pylstm_x"))


def test_bundled_plugins_use_the_public_contract_only():
    cython = [path for path in CYTHON if path.is_relative_to(ROOT / "plugins")]
    assert cython and not wrong([*PLUGINS, *cython], lambda path: private(rooms.reached(rooms.tree_of(path), "")))


def at_once(node):
    """The statements that run when a module is imported, those for types left out."""
    for child in ast.iter_child_nodes(node):
        body = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if not body and not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from at_once(child)


def imports_at_once(tree):
    """What a command imports of other rooms, before it runs."""
    names = rooms.imports(ast.Module([node for node in at_once(tree) if isinstance(node, ast.stmt)], []), "")
    return {name for name in names if re.match("pylstm", name) and rooms.room_of(name) not in ("commands", "ground")}


@pytest.mark.parametrize(
    "source",
    [
        "import pylstm.models",
        "if True: from pylstm import text",
        "try:\n    import pylstm.training.trainer\nfinally: pass",
    ],
)
def test_imports_at_once_are_seen(source):
    assert imports_at_once(ast.parse(source))
    assert not imports_at_once(ast.parse("def f():\n" + textwrap.indent(source, "    ")))
    assert not imports_at_once(ast.parse("if TYPE_CHECKING:\n" + textwrap.indent(source, "    ")))


def test_commands_import_lazily():
    files = [PACKAGE / "cli.py", *(PACKAGE / "commands").glob("**/*.py")]
    assert len({path.parent for path in files}) > 2
    assert not wrong(files, lambda path: imports_at_once(rooms.tree_of(path)))


def test_the_core_names_no_gate():
    def gates(path):
        return [line for line in path.read_text().splitlines() if re.search("forget|gate", line, re.I)]

    assert not wrong([path for path in (PACKAGE / "_core.pyx", PACKAGE / "_core.pxd") if path.exists()], gates)


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
        functions = [node for node in rooms.nodes(rooms.tree_of(path)) if isinstance(node, ast.FunctionDef)]
        return {function.name: length(function) for function in functions if length(function) > 40}

    assert not wrong(PYTHON, long)


def calls(text):
    """(line, name, positional arguments) of every call, of Cython too: by tokens, a logical line at a time."""
    line = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (tokenize.NEWLINE, tokenize.ENDMARKER):
            line += [] if token.type in (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT) else [token]
            continue
        words = [each.string for each in line]
        defines = words[:1] in (["def"], ["cdef"], ["cpdef"], ["class"]) and words[-1] == ":"
        imports = {"import", "cimport"} & set(words)
        for k, (name, bracket) in enumerate(itertools.pairwise(line)):
            called = name.type == tokenize.NAME and bracket.string == "(" and not keyword.iskeyword(name.string)
            if called and not (defines or imports):
                yield name.start[0], name.string, positional(words[k + 2 :])
        line = []


def positional(tokens):
    """How many arguments without `=` there are before the bracket closes."""
    depth, found, empty, named = 0, 0, True, False
    for token in tokens:
        if depth == 0 and token in (",", ")"):
            found += not (named or empty)
            empty, named = True, False
            if token == ")":
                break
            continue
        depth += (token in "([{") - (token in ")]}")
        empty, named = False, named or (depth == 0 and token == "=")
    return found


def test_no_call_has_more_than_seven_positional_arguments():
    """In the loop and the layers: more of them belong into a struct or a value of its own."""
    assert list(calls("cdef int f(int a, b):\n    return g(h(a, b), (1, 2), k=3)(x)\n")) == [(2, "g", 2), (2, "h", 2)]
    assert [n for *_, n in calls("f(a, <char *> b[1, 2], &c,\n  d == e, *f, g=(1, 2))\n")] == [5]

    def many(path):
        return [call for call in calls(path.read_text(encoding="utf-8")) if call[-1] > 7]

    loop = [ROOT / "pylstm/_core.pyx", *ROOT.glob("pylstm/layers/**/*.py")]
    assert len(loop) > 20 and not wrong(loop, many)


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
