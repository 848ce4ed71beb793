"""What type checkers make of the installed package, in right code and in wrong: `tests/typing`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FILES = [Path(__file__).parent / "typing" / name for name in ("right.py", "wrong.py")]


def run(folder: Path, *command: str) -> None:
    """A checker on copies of the files, in a folder without the source tree or its settings."""
    for path in FILES:
        shutil.copy(path, folder)
    done = subprocess.run(
        [sys.executable, "-P", "-m", *command, *(path.name for path in FILES)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_mypy(tmp_path):
    pytest.importorskip("mypy")
    run(tmp_path, "mypy", "--strict", "--config-file", "", "--cache-dir", str(tmp_path / "cache"))


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
