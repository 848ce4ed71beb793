"""The time loop at the levels below the one in use: other tiles and panels, and with them other shares of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pylstm.engine.levels import LEVELS, level

TESTS = Path(__file__).resolve().parent
LOWER = LEVELS[: LEVELS.index(level)]
NONE = pytest.param(None, marks=pytest.mark.skip(reason="this machine has the lowest level only"))


@pytest.mark.parametrize("lower", LOWER or [NONE])
def test_the_loop_at_a_lower_level(lower):
    """In a process of its own, since the level is chosen at import."""
    files = [str(TESTS / "layers" / f"test_{name}.py") for name in ("time_loop", "ragged_bits", "checkpointed")]
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow", *files]
    done = subprocess.run(
        command, cwd=TESTS.parent, env={**os.environ, "PYLSTM_CPU": lower}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert " passed" in done.stdout
