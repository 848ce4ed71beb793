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


def in_turn(levels):
    """One of them, by the commit, so that a failure comes again; all with PYLSTM_NIGHTLY=1."""
    if os.environ.get("PYLSTM_NIGHTLY") == "1" or len(levels) < 2:
        return levels
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=TESTS, capture_output=True, text=True)
        turn = int(done.stdout or "0", 16) % len(levels)
    except OSError:  # no git
        turn = 0
    return levels[turn : turn + 1]


NONE = pytest.param(None, marks=pytest.mark.skip(reason="this machine has the lowest level only"))


@pytest.mark.once
@pytest.mark.parametrize("lower", in_turn(LOWER) or [NONE])
def test_the_loop_at_a_lower_level(lower):
    """In a process of its own, since the level is chosen at import."""
    files = [str(TESTS / "layers" / f"test_{name}.py") for name in ("time_loop", "ragged_bits", "checkpointed")]
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    command += ["-k", "not interrupts and not fork and not every_level", *files]  # these are alike at every level
    done = subprocess.run(
        command, cwd=TESTS.parent, env={**os.environ, "PYLSTM_CPU": lower}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert " passed" in done.stdout


@pytest.mark.parametrize("nightly", ["0", "1"])
def test_each_level_has_its_turn(monkeypatch, nightly):
    monkeypatch.setenv("PYLSTM_NIGHTLY", nightly)
    levels, found = ("v1", "v3"), []
    for number in range(4):
        done = subprocess.CompletedProcess([], 0, f"{number:040x}\n")
        monkeypatch.setattr(subprocess, "run", lambda *_, done=done, **__: done)
        found.append(in_turn(levels))
    assert found == ([levels] * 4 if nightly == "1" else [("v1",), ("v3",)] * 2)
    assert in_turn(levels[:1]) == levels[:1] and in_turn(()) == ()
