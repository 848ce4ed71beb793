"""What pages, docstrings, messages and written files use of pylstm are names of façades."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import pylstm
import rooms
from pylstm import plugins
from pylstm.hint_texts import HINTS
from pylstm.scaffold import package

ROOT = Path(__file__).resolve().parents[1]
TOP = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
GENERATED = ("_build", "gallery")
WRITTEN = [page for page in ROOT.glob("docs/**/*.md") if not set(GENERATED) & set(page.parts)]
PAGES = sorted([*WRITTEN, ROOT / "docs" / "gallery" / "README.md", *TOP])
BLOCK = re.compile(r"^```(?:python|cython|\{code-cell\}[^\n]*)\n(.*?)^```$", re.M | re.S)
NAME = re.compile(r"(?<![\w./-])pylstm(?:\.[A-Za-z_]\w*)+")
NEEDING = {"estimators", "torch"}
"""Façades whose import needs another package."""
CONTRACT = ("kernel", "_math", "_rows", "__version__", "__all__")
"""Names beside the façades: what compiled kernels cimport, and what every package has."""


def is_public(name):
    """Whether a full name is one of a façade, or an attribute of one."""
    _, first, *rest = [*name.split("."), ""]
    if first == "estimators":
        if rest[:1] == ["sktime"]:  # a module that is asked for by its name
            return rest[1:2] in ([""], ["SktimeForecaster"], ["SktimeClassifier"])
        first, *rest = [*rest, ""] if rest[0] else ["", ""]
        if first and first not in pylstm._ESTIMATORS:
            return False
    if first in pylstm._ROOMS and first not in NEEDING:
        space = importlib.import_module(f"pylstm.{first}")
        while rest[0] and isinstance(space, ModuleType):
            attribute, *rest = rest
            own = getattr(space, "__all__", [n for n, each in vars(space).items() if inspect.isfunction(each)])
            if attribute not in own:
                return False
            space = getattr(space, attribute) if rest[0] else None  # the last one may need an extra
        return True
    if first in {"", *NEEDING, *CONTRACT, *pylstm._ESTIMATORS}:  # without what they need none can be asked
        return True
    return first in pylstm.__all__ and has(getattr(pylstm, first), [each for each in rest if each])


def has(thing, names):
    """Whether `thing` has an attribute, that has the next one, and so on."""
    for name in names:
        if not hasattr(thing, name):
            return False
        thing = getattr(thing, name)
    return True


def private(code):
    """Names of pylstm that code uses and no façade has."""
    return {
        name
        for name in rooms.reached(rooms.cython_tree(code), "")
        if name.split(".")[0] == "pylstm" and not is_public(name)
    }


PUBLIC = (
    "pylstm",
    "pylstm.LSTM.stream",
    "pylstm.optim",
    "pylstm.interop.torch.state_dict",
    "pylstm.estimators.Forecaster",
    "pylstm.estimators.sktime.SktimeForecaster",
)
NOT_PUBLIC = (
    "pylstm.engine", "pylstm.cells.functions.tanh", "pylstm.optim.schedules", "pylstm.interop.torch.np",
    "pylstm.estimators.nonsense", "pylstm.estimators.sktime.np",
    "pylstm.estimators.base.Base", "pylstm.LSTM.nonsense", "pylstm.fit.data",
)  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC)
def test_names_of_facades_are_public(name):
    assert is_public(name)
    assert not private(f"import {name}")


@pytest.mark.parametrize("name", NOT_PUBLIC)
def test_other_names_are_not(name):
    assert not is_public(name)
    assert private(f"import {name}") and private(f"import pylstm as p\nx = p{name.removeprefix('pylstm')}(1)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page(page):
    text = page.read_text(encoding="utf-8")
    prose = set() if "development" in page.parts else {name for name in NAME.findall(text) if not is_public(name)}
    blocks = [*BLOCK.findall(text), *(each.source for each in doctest.DocTestParser().get_examples(text))]
    assert not prose.union(*map(private, blocks))


def test_the_gallery():
    assert not private((ROOT / "docs" / "make_gallery.py").read_text())


@pytest.mark.parametrize("cell", [None, "lstm", "gru", "mgu", "slstm"])
def test_written_packages(cell):
    """Where twins are derived: with functions of cells that are in no formula."""
    files = package.files_of("mine", cell and plugins.registry().get(cell))
    code = {path: text for path, text in files.items() if path.endswith((".py", ".pyx"))}
    assert len(code) > 3
    assert not {path: names for path, text in code.items() if (names := private(text))}
    assert "dsigmoid_from_y" in files["pylstm_mine/mine.py"]


def test_hints():
    texts = [text for kind in HINTS.values() for text in kind.values()]
    names = {name for text in texts for name in NAME.findall(text)}
    assert len(names) > 30 and not [name for name in names if not is_public(name)]


def raised(path):
    """Texts of a file with words in them, but its docstrings."""
    tree = ast.parse(path.read_text())
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield from [node.value] * (" " in node.value)


def test_messages():
    """What an error says to write instead is there."""
    texts = [text for path in (ROOT / "pylstm").rglob("*.py") for text in raised(path)]
    names = {name for text in texts for name in NAME.findall(text)}
    assert len(names) > 20 and not [name for name in names if not is_public(name)]


FACADES = ["pylstm", *(f"pylstm.{room}" for room in pylstm._ROOMS)]
LIBRARIES = ("cudnn", "flax", "haste", "keras", "nam", "onnx", "river", "rtneural", "torch")
FACADES += [f"pylstm.interop.{name}" for name in LIBRARIES]


def facade(name):
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")


@pytest.mark.parametrize("name", FACADES)
def test_what_a_facade_lists(name):
    space = facade(name)
    later = [node for node in ast.parse(inspect.getsource(space)).body if isinstance(node, ast.If)]
    imports = [each for node in later for each in ast.walk(node) if isinstance(each, ast.ImportFrom)]
    lazy = [each.asname for found in imports for each in found.names if each.asname]
    public = {*getattr(space, "__all__", ()), *lazy}
    assert public <= set(dir(space))
    more = {*pylstm._ROOMS, *pylstm._ESTIMATORS} if name == "pylstm" else set()
    assert {each for each in dir(space) if not each.startswith("__")} <= public | more


@pytest.mark.parametrize("name", sorted(set(FACADES) - {"pylstm.building", "pylstm.hookspecs", "pylstm.interop"}))
def test_a_misspelt_name_of_a_facade(name):
    space = facade(name)
    for right in getattr(space, "__all__", ()):
        if len(right) > 3:
            with pytest.raises(AttributeError, match=rf"did you mean {name}\.\w+\?|pylstm\.|layers"):
                getattr(space, right[:-1] + right[-2:].upper())


def test_names_of_losses_and_optimisers_elsewhere():
    for name, right in {"mse": "mean_squared_error", "mae": "quantile_loss", "bce": "sigmoid_cross_entropy"}.items():
        for space in (pylstm, pylstm.losses):
            with pytest.raises(AttributeError, match=rf"pylstm\.{right}\("):
                getattr(space, name)
    with pytest.raises(AttributeError, match=r"did you mean pylstm\.optim\.Adam\?"):
        pylstm.optim.adam  # noqa: B018


NEEDS = {
    "pylstm.interop.onnx": ("onnx", ["export", "import_model", "ImportedModel"], "onnx"),
    "pylstm.interop.keras": ("h5py", ["load"], "keras"),
    "pylstm.interop.river": ("river", ["OnlineRegressor", "OnlineClassifier"], "river"),
    "pylstm": ("sklearn", ["SequenceClassifier", "SequenceRegressor", "Forecaster", "estimators"], "sklearn"),
    "pylstm.torch": ("torch", ["LSTM"], "torch"),
}


@pytest.mark.parametrize("name", NEEDS)
def test_a_door_without_its_package(name):
    """In a process that does not find the package."""
    package, doors, extra = NEEDS[name]
    code = f"""
import importlib.util, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *given: None if name == {package!r} else found(name, *given)
for door in {doors!r}:
    try:
        exec(f"from {name} import {{door}}")
    except ModuleNotFoundError as error:
        assert "pip install 'pylstm[{extra}]'" in str(error), error
    else:
        raise AssertionError(door)
"""
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


def public_objects():
    for room in ["", *sorted(set(pylstm._ROOMS) - NEEDING)]:
        space = importlib.import_module(f"pylstm.{room}".rstrip("."))
        for name in space.__all__:
            value = getattr(space, name)
            yield value
            yield from vars(value).values() if inspect.isclass(value) else ()


def test_docstrings():
    texts = {inspect.getdoc(value) or "" for value in public_objects() if callable(value)}
    examples = {each.source for text in texts for each in doctest.DocTestParser().get_examples(text)}
    assert len(examples) > 100
    assert not set().union(*map(private, examples))
