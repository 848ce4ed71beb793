"""The files of a new distribution, made in memory, tried, and only then written."""

from __future__ import annotations

import keyword
import linecache
import os
import re
import shutil
import tempfile
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from pylstm.cells import Cell
from pylstm.cells.certification.certify import certify
from pylstm.cells.formula import Derivation, derive
from pylstm.cells.formula.emission import cython
from pylstm.cells.probe import difference, probe
from pylstm.scaffold.source import class_name, default_source, formula_source, twin_source

TEMPLATES = {
    "pyproject.toml": "pyproject.toml.txt",
    "meson.build": "meson.build.txt",
    "README.md": "README.md.txt",
    ".gitignore": "gitignore.txt",
    "asv.conf.json": "asv.conf.json.txt",
    "$package/__init__.py": "init.py.txt",
    "tests/test_$name.py": "test.py.txt",
    "benchmarks/__init__.py": "",
    "benchmarks/bench_$name.py": "bench.py.txt",
}
RESERVED = {"cell", "float32", "float64", "formula", "publish", "row", "pylstm", "test"}


def check_name(name: str) -> None:
    """Refuse a name that cannot be a package, a module and a variable of C.

    Raises
    ------
    ValueError
        It is not lower-case letters, digits and ``_``, or it is a word of Python, C or Cython.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"the name {name!r} must be lower-case letters, digits and _, beginning with a letter")
    if keyword.iskeyword(name) or name in RESERVED or name in cython.CythonPrinter.reserved:
        raise ValueError(f"the name {name!r} is a word of Python, C, Cython or of the package itself: take another one")


def files_of(name: str, source: type[Cell] | None = None) -> dict[str, str]:
    """Path -> content of all files of the distribution ``pylstm-<name>``.

    Parameters
    ----------
    name : str
    source : type[Cell], optional
        A formula cell, or a cell whose forward can be read as a formula. Default: a small formula to be replaced.

    Returns
    -------
    dict of str to str

    Raises
    ------
    ValueError, FormulaError
        The name is no name; the source of the formula is not to be had; it cannot be derived.
    CertificationError
        The twin made from it is wrong.

    Examples
    --------
    >>> sorted(files_of("mine"))[-3:]
    ['pylstm_mine/mine.py', 'pyproject.toml', 'tests/test_mine.py']
    """
    check_name(name)
    imports, text = formula_source(source, name) if source else default_source(name)
    package = f"pylstm_{name}"
    formula = _fill("formula.py.txt", name, imports="\n".join(imports), class_source="\n" + text)
    made = _execute(formula, name, f"{package}/formula.py")
    if source and (wrong := difference(probe(source), made)):
        raise ValueError(
            f"cell {source.name!r}: {wrong} is not what the formula alone gives: a backward by hand that is not the "
            "derivative of forward (a surrogate) would be lost. Write that package by hand, see docs/write-a-cell.md"
        )
    summary = (made.__doc__ or "").strip().splitlines()[0].strip()
    result = {
        Template(path).substitute(_words(name)): _fill(template, name, summary=summary) if template else ""
        for path, template in TEMPLATES.items()
    }
    return result | {f"{package}/formula.py": formula} | derived_files(name, made)


def derived_files(name: str, formula: type[Cell]) -> dict[str, str]:
    """The files that are derived from the formula: declaration with twin, and kernel. The twin is certified."""
    package, derivation = f"pylstm_{name}", derive(formula)
    imports, text = twin_source(derivation, formula, name, package)
    twin = _fill("cell.py.txt", name, imports="\n".join(imports), class_source="\n" + text)
    _certify(_execute(twin, name, f"{package}/{name}.py"), derivation)
    return {
        f"{package}/{name}.py": twin,
        f"{package}/_{name}.pyx": cython.kernel_source(derivation, f"{package}.{name}"),
    }


def write(name: str, directory: str | os.PathLike[str] = ".", source: type[Cell] | None = None) -> Path:
    """Write the distribution; all of it or nothing.

    Returns
    -------
    Path
        ``directory/pylstm-<name>``.

    Raises
    ------
    ValueError
        The name is registered already.
    FileExistsError, FileNotFoundError
        The folder exists already; `directory` does not.
    """
    from pylstm import plugins

    check_name(name)
    directory = Path(directory)
    target = directory / f"pylstm-{name}"
    if not directory.is_dir():
        raise FileNotFoundError(f"the folder {directory} does not exist")
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists already: take another name or --directory (--update is for its owner)")
    if name in plugins.registry().names():
        owner = plugins.registry().entry(name).owner
        raise ValueError(f"a cell {name!r} is registered already, by {owner}: take another name")
    texts = files_of(name, source)
    folder = Path(tempfile.mkdtemp(prefix=f".pylstm-{name}-", dir=directory))
    try:
        _write(folder, texts)
        folder.chmod(0o755)
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return target


def update(name: str, directory: str | os.PathLike[str] = ".") -> list[Path]:
    """Derive twin and kernel of a distribution again, from its formula; nothing else is touched.

    Parameters
    ----------
    name : str
    directory : path
        The distribution's folder.

    Returns
    -------
    list of Path
        The files that were written.

    Raises
    ------
    FileNotFoundError
        It has no ``pylstm_<name>/formula.py``.
    """
    check_name(name)
    folder = Path(directory)
    path = folder / f"pylstm_{name}" / "formula.py"
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {path}: call --update in the folder pylstm-{name}, or name it by --directory"
        )
    texts = derived_files(name, _execute(path.read_text(encoding="utf-8"), name, str(path)))
    _write(folder, texts)
    return [folder / each for each in texts]


def _write(folder: Path, texts: dict[str, str]) -> None:
    for path, text in texts.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(target)


def _words(name: str) -> dict[str, str]:
    return {"name": name, "package": f"pylstm_{name}", "class": class_name(name)}


def _fill(template: str, name: str, **more: str) -> str:
    text = (files("pylstm.scaffold") / "templates" / template).read_text(encoding="utf-8")
    return Template(text).substitute(_words(name), **more)


def _execute(text: str, name: str, place: str) -> Any:
    """The cell class of a module's text."""
    space: dict[str, Any] = {"__name__": f"pylstm_{name}"}
    linecache.cache[place] = len(text), None, text.splitlines(keepends=True), place  # for the sources of its functions
    exec(compile(text, place, "exec"), space)
    cell = space.get(class_name(name))
    if not (isinstance(cell, type) and issubclass(cell, Cell)):
        raise ValueError(f"{place} has no cell {class_name(name)!r}")
    if cell.name != name:
        raise ValueError(f"{place}: the name of {class_name(name)} is {cell.name!r}, it must be {name!r}")
    return cell


def _certify(cell: type[Cell], derivation: Derivation) -> None:
    """The twin as it will be written is right, and has the blocks of the kernel."""
    if cell.contract.blocks != derivation.contract.blocks:
        raise ValueError(f"cell {cell.name!r}: blocks {cell.contract.blocks}, derived {derivation.contract.blocks}")
    cell.kernel = None  # not built yet
    certify(cell)
