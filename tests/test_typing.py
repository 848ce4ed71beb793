"""What type checkers make of the installed package, in right code and in wrong: `tests/typing`."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from pylstm.models.targets import ALIGNED, LOSSES, SHORT, LossName

FILES = [Path(__file__).parent / "typing" / name for name in ("right.py", "wrong.py")]
ROOT = Path(__file__).parents[1]


def run(folder: Path, *command: str) -> None:
    """A checker on copies of the files, in a folder without the source tree or its settings."""
    for path in FILES:
        shutil.copy(path, folder)
    check(folder, *command, *(path.name for path in FILES))


def check(folder: Path, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def mypy(tmp_path_factory):
    """One command, so that what mypy has learned of pylstm and of NumPy serves all."""
    pytest.importorskip("mypy")
    return "mypy", "--strict", "--config-file", "", "--cache-dir", str(tmp_path_factory.mktemp("cache"))


def test_mypy(tmp_path, mypy):
    run(tmp_path, *mypy)


def test_pyright(tmp_path):
    pytest.importorskip("basedpyright")
    settings = {
        "typeCheckingMode": "strict",
        "enableTypeIgnoreComments": False,
        "reportUnnecessaryTypeIgnoreComment": True,
        "reportUnusedExpression": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    run(tmp_path, "basedpyright", "--pythonpath", sys.executable)


def test_names_for_checkers_are_those_that_are_taken():
    assert {*get_args(LossName)} == {*LOSSES, *ALIGNED, *SHORT}
    pytest.importorskip("sklearn")
    from pylstm.estimators.base import OPTIMISERS, SequenceEstimator

    hints = get_type_hints(SequenceEstimator)
    assert {*get_args(hints["optimiser"])} == {*OPTIMISERS}


@pytest.mark.parametrize("page", ["README.md", "docs/write-a-cell.md"])
def test_cells_as_pages_write_them(page, tmp_path, mypy):
    """Without annotations, in the modes that do not ask for them."""
    pytest.importorskip("basedpyright")
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    cells = [each for each in blocks if "(Cell)" in each or "(pylstm.Cell)" in each]
    assert cells
    modes = "# mypy: allow-untyped-defs, allow-untyped-calls, disable-error-code=no-redef"
    (tmp_path / "page.py").write_text("\n".join([modes, "import pylstm", *cells]))
    check(tmp_path, *mypy, "page.py")
    settings = {"typeCheckingMode": "standard", "reportSelfClsParameterName": False, "reportRedeclaration": False}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    check(tmp_path, "basedpyright", "--pythonpath", sys.executable, "page.py")
