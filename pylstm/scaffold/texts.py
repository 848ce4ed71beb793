"""Templates, filled; and the class of a module's text."""

from __future__ import annotations

import linecache
from importlib.resources import files
from string import Template
from typing import Any

from pylstm.cells import Cell
from pylstm.cells.contracts.options import call_text
from pylstm.scaffold.source import class_name

COMMON = {
    "pyproject.toml": "pyproject.toml.txt",
    ".gitignore": "gitignore.txt",
    "asv.conf.json": "asv.conf.json.txt",
    "$package/__init__.py": "init.py.txt",
    "benchmarks/__init__.py": "",
    "benchmarks/bench_$name.py": "bench.py.txt",
}
"""Path -> template, of what every distribution has."""


def _words(name: str) -> dict[str, str]:
    return {"name": name, "package": f"pylstm_{name}", "class": class_name(name)}


def fill(template: str, name: str, **more: str) -> str:
    """A template with the words of the cell in it, and more."""
    text = (files("pylstm.scaffold") / "templates" / template).read_text(encoding="utf-8")
    return Template(text).substitute(_words(name), **more)


def execute(text: str, name: str, place: str) -> Any:
    """The cell class of a module's text."""
    space: dict[str, Any] = {"__name__": f"pylstm_{name}"}
    linecache.cache[place] = len(text), None, text.splitlines(keepends=True), place  # for the sources of its functions
    try:
        exec(compile(text, place, "exec"), space)
    except NameError as error:
        raise ValueError(f"{place}: {error}: define it in the module that the cell is written in") from None
    cell = space.get(class_name(name))
    if not (isinstance(cell, type) and issubclass(cell, Cell)):
        raise ValueError(f"{place} has no cell {class_name(name)!r}")
    if cell.name != name:
        raise ValueError(f"{place}: the name of {class_name(name)} is {cell.name!r}, it must be {name!r}")
    return cell


def filled(templates: dict[str, str], name: str, **more: str) -> dict[str, str]:
    """Path -> text of each template."""
    return {
        Template(path).substitute(_words(name)): fill(template, name, **more) if template else ""
        for path, template in templates.items()
    }


def summary_of(cell: type[Cell]) -> str:
    """The first line of its docstring."""
    return (cell.__doc__ or "").strip().splitlines()[0].strip()


def more_of(cell: type[Cell]) -> str:
    """``, heads=2, key=8, tau=16.0``: the sizes that are numbers, or must be given, and the options, as arguments."""
    sizes = {name: default or 2 for name, default in cell.contract.sizes.items() if not isinstance(default, str)}
    text = call_text({**sizes, **cell.options})
    return f", {text}" if text else ""
