"""What type checkers make of the installed package, in right code and in wrong: `tests/typing`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from pylstm.models.targets import ALIGNED, LOSSES, SHORT, LossName

ROOT = Path(__file__).parents[1]
FILES = {name: (ROOT / "tests/typing" / name).read_text() for name in ("right.py", "wrong.py")}
PAGES = {"README.py": "README.md", "write_a_cell.py": "docs/write-a-cell.md"}
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
OTHERS = ",".join(next(each["module"] for each in SETTINGS if each.get("follow_imports") == "skip"))
"""Packages that pylstm imports: mypy read 1384 files of torch, 3957 in all, of which 334 are pylstm's."""
SKIPPED = "follow_imports = skip\nignore_missing_imports = true\n"
UNTYPED = """\
# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code=no-redef
# pyright: standard, reportSelfClsParameterName=false, reportRedeclaration=false
"""
STRICT = {
    "typeCheckingMode": "strict",
    "enableTypeIgnoreComments": False,
    "reportUnnecessaryTypeIgnoreComment": True,
    "reportUnusedExpression": False,
}


def cells_of(page: str) -> str:
    """Cells as pages write them: without annotations, in the modes that do not ask for them."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    cells = [each for each in blocks if "(Cell)" in each or "(pylstm.Cell)" in each]
    assert cells, page
    return "\n".join([UNTYPED, "import pylstm", *cells])


def reports(folder: Path, *command: str) -> dict[str, list[str]]:
    """File -> reports of a checker: one command for all, in a folder without the source tree or its settings."""
    sources = {**FILES, **{name: cells_of(page) for name, page in PAGES.items()}}
    for name, source in sources.items():
        (folder / name).write_text(source)
    done = subprocess.run(
        [sys.executable, "-P", "-m", *command, *sources],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    found = {name: [line for line in done.stdout.splitlines() if f"{name}:" in line] for name in sources}
    assert done.returncode == any(found.values()), done.stdout + done.stderr
    return found


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("mypy")
    (folder / "mypy.ini").write_text(f"[mypy]\nstrict = true\n[mypy-{OTHERS}]\n{SKIPPED}")
    return reports(folder, "mypy", "--cache-dir", "cache")


@pytest.fixture(scope="module")
def pyright(tmp_path_factory):
    pytest.importorskip("basedpyright")
    folder = tmp_path_factory.mktemp("pyright")
    (folder / "pyrightconfig.json").write_text(json.dumps(STRICT))
    return reports(folder, "basedpyright", "--pythonpath", sys.executable)


@pytest.mark.parametrize("name", [*FILES, *PAGES])
def test_mypy(mypy, name):
    assert not mypy[name]


@pytest.mark.parametrize("name", [*FILES, *PAGES])
def test_pyright(pyright, name):
    assert not pyright[name]


def test_names_for_checkers_are_those_that_are_taken():
    assert {*get_args(LossName)} == {*LOSSES, *ALIGNED, *SHORT}
    pytest.importorskip("sklearn")
    from pylstm.estimators.base import OPTIMISERS, SequenceEstimator

    hints = get_type_hints(SequenceEstimator)
    assert {*get_args(hints["optimiser"])} == {*OPTIMISERS}
