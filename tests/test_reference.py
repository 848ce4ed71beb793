"""The reference of the documentation has every public name."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import pylstm

DOCS = Path(__file__).resolve().parents[1] / "docs"
ENTRY = re.compile(r"^\.\. auto(class|exception|function|module):: ([\w.]+)$", re.M)
ESTIMATORS = pylstm._ESTIMATORS
NEEDS = {"estimators": "sklearn", "torch": "torch", "pylstm.estimators.sktime": "sktime"}
"""Room, or module, -> the package that its import needs."""
TREE = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.M | re.S)


def entries():
    return [match for page in sorted(DOCS.glob("api/*.md")) for match in ENTRY.findall(page.read_text())]


def is_importable(name):
    """Whether what the room of a full name needs is installed."""
    package = NEEDS.get(name.rpartition(".")[0], NEEDS.get(name.split(".")[1]))
    return package is None or find_spec(package) is not None


def resolved(name):
    """What a full name is the name of."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def pages_of(page):
    """Pages that the toctrees of `page` lead to, itself included; README of the gallery leads to generated ones."""
    if page == DOCS / "gallery" / "README.md":
        return [page]
    names = [line for tree in TREE.findall(page.read_text()) for line in tree.splitlines() if line and line[0] != ":"]
    below = [(page.parent / name).resolve().with_suffix(".md") for name in names]
    return [page, *(each for child in below for each in pages_of(child))]


def test_every_public_name_is_in_the_reference_once():
    names = [name.removeprefix("pylstm.") for kind, name in entries() if kind != "module" and name.count(".") == 1]
    assert sorted(names) == sorted({*pylstm.__all__, *ESTIMATORS})


def test_what_the_reference_has_beside_them_exists():
    found = [(kind, name) for kind, name in entries() if kind == "module" or name.count(".") > 1]
    others = [(kind, name) for kind, name in found if is_importable(name)]
    assert others
    for kind, name in others:
        module, _, attribute = name.rpartition(".")
        if kind == "module":
            importlib.import_module(name)
        else:
            assert hasattr(importlib.import_module(module), attribute), name


def test_every_page_is_in_the_index_once():
    gallery = DOCS / "gallery"  # its pages are generated, all but README.md
    pages = [page for page in DOCS.glob("**/*.md") if page.parent != gallery and "_build" not in page.parts]
    assert sorted(pages_of(DOCS / "index.md")) == sorted([*pages, gallery / "README.md"])


FACADES = [
    *("building", "cells", "comparing", "data", "datasets", "diagnostics", "estimators", "export", "feedforward"),
    *(
        "forecasting",
        "hookspecs",
        "interop",
        "layers",
        "losses",
        "models",
        "optim",
        "plots",
        "plugins",
        "saving",
        "text",
        "torch",
    ),
    "training",
]


def facade(room):
    if room in NEEDS:
        pytest.importorskip(NEEDS[room])
    return importlib.import_module(f"pylstm.{room}")


def test_no_name_of_a_facade_hides_a_module():
    """What ``import pylstm.cells.softmax as module`` binds is the attribute, if there is one."""
    hidden = []
    for room in FACADES:
        if is_importable(f"pylstm.{room}"):
            own = importlib.import_module(f"pylstm.{room}")
            names = {each for each in own.__all__ if not inspect.ismodule(getattr(own, each))}
            paths = [path for folder in getattr(own, "__path__", ()) for path in Path(folder).iterdir()]
            hidden += [f"{room}.{path.name}" for path in paths if path.name.partition(".")[0] in names]
    assert not hidden


@pytest.mark.parametrize("room", FACADES)
def test_a_facade_has_what_it_names(room):
    own = facade(room)
    assert len(own.__all__) == len(set(own.__all__)) > 0
    assert not [name for name in own.__all__ if not getattr(own, name).__doc__]


@pytest.mark.parametrize("room", FACADES)
def test_a_facade_has_its_names_when_nothing_else_is_imported(room):
    """In a process of its own: another test may have imported what it finds later."""
    facade(room)
    code = f"import pylstm\nfor name in pylstm.{room}.__all__: getattr(pylstm.{room}, name)"
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


@pytest.mark.parametrize("room", FACADES)
def test_the_reference_has_every_name_of_a_facade(room):
    listed = [(kind, name) for kind, name in entries() if is_importable(name)]
    modules = {name for kind, name in listed if kind == "module"}
    others = [name for kind, name in listed if kind != "module" and name.removeprefix("pylstm.") not in ESTIMATORS]
    objects = [resolved(name) for name in others] + [getattr(facade(room), name, None) for name in ESTIMATORS]
    names = {f"pylstm.{room}.{name}" for name in facade(room).__all__ if f"pylstm.{room}" not in modules}
    assert not [name for name in names - modules if not any(resolved(name) is each for each in objects)]


def test_rooms_are_attributes():
    """In a process of its own: another test may have imported them."""
    rooms = [room for room in FACADES if is_importable(f"pylstm.{room}")]
    code = f"import pylstm; print(*(getattr(pylstm, room).__name__ for room in {rooms}))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"pylstm.{room}" for room in rooms]
    assert {*FACADES} == {*pylstm._ROOMS} < {*dir(pylstm)}


def test_the_pages_say_what_is_public():
    """Both by the same rule; the architecture page lists the façades."""
    page = (DOCS / "development" / "architecture.md").read_text()
    opening = " ".join(page[: page.index("## Rooms")].split())
    (listed,) = re.findall(r"one façade a room: `pylstm.` with (.*?)\.", opening)
    assert listed.replace("`", "").split(", ") == [room for room in FACADES if room != "cells"]
    for text in (opening, (DOCS / "development" / "stable.md").read_text()):
        assert "name that a façade has in its `__all__`" in " ".join(text.split())


def test_every_room_that_is_not_private_is_a_facade():
    folders = {path.parent.name for path in Path(pylstm.__file__).parent.glob("*/__init__.py")}
    modules = {"building", "hookspecs", "plugins", "saving"}
    assert folders == {*FACADES} - modules | {"commands", "engine", "scaffold"}


CLASS = re.compile(r"^\.\. autoclass:: ([\w.]+)\n((?:   :.*\n)*)", re.M)


def test_methods_of_bases_that_are_not_in_the_reference_are_shown():
    """By `:inherited-members:` of one of the classes at least."""
    estimators = {f"pylstm.{name}" for name in ESTIMATORS}  # which show their own, and need scikit-learn
    options = {name: found for page in DOCS.glob("api/*.md") for name, found in CLASS.findall(page.read_text())}
    places = {name: name.rpartition(".") for name in options if name not in estimators and is_importable(name)}
    classes = {name: getattr(importlib.import_module(module), attr) for name, (module, _, attr) in places.items()}
    shown = {base for name, cls in classes.items() if ":inherited-members:" in options[name] for base in cls.__mro__}
    shown |= {*classes.values()}
    for name, cls in classes.items():
        for base in cls.__mro__ if ":members:" in options[name] else ():
            methods = [n for n, value in vars(base).items() if inspect.isfunction(value) and not n.startswith("_")]
            assert base in shown or not methods or not base.__module__.startswith("pylstm"), (name, base, methods)


WITHOUT_EXAMPLE = {
    "pylstm.hookimpl": "an object of pluggy, with its docstring; the hooks of pylstm.hookspecs show it",
    "pylstm.hookspecs.hookimpl": "the same",
    "pylstm.interop.keras.load": "needs a file that Keras wrote",
}
"""Public name -> why its docstring has no example."""


def attribute(module, name):
    """None where it needs a package that is not installed."""
    try:
        return getattr(module, name)
    except ModuleNotFoundError:
        return None


def documented(name, value):
    """Full names of what a public name is, or has where it is a module: classes and functions, without constants."""
    if inspect.ismodule(value):
        inside = [(f"{name}.{one}", attribute(value, one)) for one in value.__all__]
        return [each for one, found in inside for each in documented(one, found)]
    return [(name, value)] if callable(value) else []


def names_without_example(room):
    own = importlib.import_module(room)
    found = [each for name in own.__all__ for each in documented(f"{room}.{name}", getattr(own, name))]
    return [name for name, value in found if ">>> " not in inspect.getdoc(value)]


@pytest.mark.parametrize("room", ["", *FACADES])
def test_every_public_docstring_has_an_example(room):
    """`tests/test_docs.py` runs them."""
    name = facade(room).__name__ if room else "pylstm"
    assert not {*names_without_example(name)} - {*WITHOUT_EXAMPLE}


def test_what_has_no_example_by_the_table_has_none():
    pytest.importorskip("h5py")
    found = [name for room in ("pylstm", "pylstm.hookspecs", "pylstm.interop") for name in names_without_example(room)]
    assert sorted(found) == sorted(WITHOUT_EXAMPLE)
