"""`tools/mutants.py`: what it reports, and that its table still fits the source."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import mutants

ROOT = Path(__file__).resolve().parents[1]
TOOL = ROOT / "tools" / "mutants.py"

TABLE = """
[[file]]
name = "pylstm/optim/clipping.py"
tests = ["tests/training/test_optimisers.py::test_clip_by_norm_leaves_what_is_not_finite"]

[[file.mutant]]
mistake = "an infinite norm is clipped"
old = "if max_norm < norm < math.inf:"
new = "if max_norm < norm:"

[[file.mutant]]
mistake = "the order of a comparison"
old = "if max_norm < norm < math.inf:"
new = "if np.inf > norm > max_norm:"
equivalent = "the same comparison"

[[file.mutant]]
mistake = "clipping by value at twice the limit is not looked at here"
old = "float(limit), out=each.flat)"
new = "2 * float(limit), out=each.flat)"
tests = ["tests/training/test_schedules.py::test_warm_up_and_constant"]
"""


def test_the_table_fits_the_source():
    table = mutants.read_table()
    assert len(table) >= 150 and sum(each.compiled for each in table) >= 40
    assert not [key for key, n in Counter((each.file, each.mistake) for each in table).items() if n > 1]
    for each in table:
        each.planted((ROOT / each.file).read_text(encoding="utf-8"))
        for test in each.tests:
            assert (ROOT / test.partition("::")[0]).exists(), test


@pytest.mark.parametrize("text", ["", "b", "a a"])
def test_an_anchor_must_stand_once(text):
    with pytest.raises(ValueError, match=r"x\.py: 'a' must stand in it once, found"):
        mutants.Mutant("x.py", "wrong", "a", "c", ()).planted(text)


def test_a_pattern_that_matches_nothing_is_refused(capsys):
    with pytest.raises(SystemExit):
        mutants.main(["--only", "typo_of_nothing", "--list"])
    assert "--only 'typo_of_nothing' matches no mutant" in capsys.readouterr().err


def test_a_virtual_environment_in_the_checkout_is_not_copied(tmp_path):
    for folder in ("env", "tests", ".mypy_cache"):
        (tmp_path / folder).mkdir()
    (tmp_path / "env" / "pyvenv.cfg").touch()
    assert mutants.not_copied(str(tmp_path), ["env", "tests", ".mypy_cache"]) == {"env", ".mypy_cache"}


@pytest.mark.slow
@pytest.mark.once
def test_killed_equivalent_and_surviving(tmp_path):
    table, found = tmp_path / "table.toml", tmp_path / "found.json"
    table.write_text(TABLE)
    command = [sys.executable, "-P", str(TOOL), "--table", str(table), "--json", str(found)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    killed, equivalent, survived = json.loads(found.read_text())
    assert [each["verdict"] for each in (killed, equivalent, survived)] == ["killed", "equivalent", "survived"]
    assert killed["by"].startswith("tests/training/test_optimisers.py::")
    assert "3 mutants: 1 killed, 1 equivalent, 1 survived, 0 broken\nsurvived " in done.stdout
    assert "math.inf:" in (ROOT / "pylstm" / "optim" / "clipping.py").read_text()  # all happens in a copy
    done = subprocess.run([*command, "--only", "infinite|order"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    done = subprocess.run([*command, "--list"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "3 mutants"
