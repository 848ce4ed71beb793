"""The files of a new distribution, made in memory, tried, and only then written."""

from __future__ import annotations

import keyword
import os
import re
import shutil
import tempfile
from pathlib import Path

from pylstm.cells import Cell
from pylstm.cells.certification.certify import certify
from pylstm.cells.contracts.options import formula_of
from pylstm.cells.contracts.sizes import usual_sizes
from pylstm.cells.formula import Derivation, derive
from pylstm.cells.formula.emission import cython
from pylstm.cells.probe import difference, probe
from pylstm.scaffold.kept import gives_backward, kept_files
from pylstm.scaffold.needs import literal
from pylstm.scaffold.source import default_source, formula_source, twin_source
from pylstm.scaffold.texts import COMMON, execute, fill, filled, more_of, summary_of

DERIVED = {"meson.build": "meson.build.txt", "README.md": "README.md.txt", "tests/test_$name.py": "test.py.txt"}
RESERVED = {"cell", "float32", "float64", "formula", "publish", "row", "pylstm", "test"}


def check_name(name: str) -> None:
    """Reject a name that cannot be a package, a module and a C variable.

    Raises
    ------
    ValueError
        It is not lower-case letters, digits and ``_``, or it is a word of Python, C or Cython.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"the name {name!r} must be lower-case letters, digits and _, beginning with a letter")
    if keyword.iskeyword(name) or name in RESERVED or name in cython.CythonPrinter.reserved:
        raise ValueError(
            f"the name {name!r} is reserved by Python, C, Cython or the package itself: choose another one"
        )


def files_of(name: str, source: type[Cell] | None = None) -> dict[str, str]:
    """Path -> content of all files of the distribution ``pylstm-<name>``.

    Parameters
    ----------
    name : str
    source : type[Cell], optional
        A formula cell, or a cell with functions of its own: twin and kernel are derived from its forward where that
        gives the same; else (a surrogate, a forward that is not a formula) its functions are kept as written.
        Default: a small formula to be replaced.

    Returns
    -------
    dict of str to str

    Raises
    ------
    ValueError, FormulaError
        The name cannot be that of a package; the source of a function cannot be found, or uses what cannot be written
        into a file; the formula cannot be derived.
    CertificationError
        The twin made from it is wrong.

    Examples
    --------
    >>> sorted(files_of("mine"))[-3:]
    ['pylstm_mine/mine.py', 'pyproject.toml', 'tests/test_mine.py']
    """
    check_name(name)
    if source is None:
        return _of_formula(name, *default_source(name))[0]
    if source.formula:
        source = formula_of(source)
    by_hand = gives_backward(source)
    try:
        texts, made = _of_formula(name, *formula_source(source, name))
        lost = difference(probe(source), made)
    except (TypeError, ValueError):  # not a formula, or not one that can be certified
        if not by_hand:
            raise
        return kept_files(name, source)
    if lost and not by_hand:
        raise ValueError(f"cell {source.name!r}: the package would compute another {lost}")
    return kept_files(name, source) if lost else texts


def _of_formula(name: str, imports: list[str], text: str) -> tuple[dict[str, str], type[Cell]]:
    """The files of a distribution that is derived from a formula, and the class of the formula."""
    formula = fill("formula.py.txt", name, imports="\n".join(imports), class_source="\n" + text)
    made = execute(formula, name, f"pylstm_{name}/formula.py")
    sizes = literal(usual_sizes(made))
    about = {"summary": summary_of(made), "more": more_of(made)}
    result = filled(COMMON | DERIVED, name, **about, tools='"Cython>=3.3", ', sizes=sizes)
    return result | {f"pylstm_{name}/formula.py": formula} | derived_files(name, made), made


def derived_files(name: str, formula: type[Cell]) -> dict[str, str]:
    """The files that are derived from the formula: declaration with twin, and kernel. The twin is certified."""
    package, derivation = f"pylstm_{name}", derive(formula)
    imports, text = twin_source(derivation, formula, name, package)
    twin = fill("cell.py.txt", name, imports="\n".join(imports), class_source="\n" + text)
    _certify(execute(twin, name, f"{package}/{name}.py"), derivation)
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
        raise FileExistsError(
            f"{target} already exists: choose another name or --directory (or --update it, if it is yours)"
        )
    if name in plugins.registry().names():
        owner = plugins.registry().entry(name).owner
        raise ValueError(f"cell {name!r} is already registered, by {owner}: choose another name")
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
        if path.with_name(f"{name}.py").is_file():
            raise FileNotFoundError(
                f"{path} does not exist: {name}.py was written by hand, so nothing in it can be derived again"
            )
        raise FileNotFoundError(
            f"{path} does not exist: call --update in the folder pylstm-{name}, or name it by --directory"
        )
    texts = derived_files(name, execute(path.read_text(encoding="utf-8"), name, str(path)))
    _write(folder, texts)
    return [folder / each for each in texts]


def _write(folder: Path, texts: dict[str, str]) -> None:
    for path, text in texts.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f".{target.name}.new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(target)


def _certify(cell: type[Cell], derivation: Derivation) -> None:
    """The twin as it will be written is right, and has the blocks of the kernel."""
    if cell.contract.blocks != derivation.contract.blocks:
        raise ValueError(f"cell {cell.name!r}: blocks {cell.contract.blocks}, derived {derivation.contract.blocks}")
    cell.kernel = None  # not built yet
    certify(cell)
