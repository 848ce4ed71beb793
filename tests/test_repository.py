"""What is beside the code: the changelog, the pages for who carries on, workflows that say the same as .ci/run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DEVELOPMENT = sorted((ROOT / "docs" / "development").glob("*.md"))
PAGES = {"architecture", "contract", "cython", "index", "release", "stable", "vocabulary"}


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_changelog_says_what_kind_of_change():
    """An entry stands under a heading, each heading once a version, in this order."""
    *_, unreleased = read("CHANGELOG.md").split("\n## ")[1:2]
    version, *groups = unreleased.split("\n### ")
    assert "\n- " not in version
    kinds = [group.partition("\n")[0] for group in groups]
    assert kinds == [
        kind for kind in ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security") if kind in kinds
    ]
    assert {"Added", "Changed", "Fixed"} <= set(kinds) and all("\n- " in group for group in groups)


def test_the_pages_for_who_carries_on():
    assert {page.stem for page in (ROOT / "docs/development").glob("*.md")} >= PAGES
    assert {name for name in PAGES if f"\n{name}\n" in read("docs/development/index.md")} == PAGES - {"index"}


def test_files_that_pages_and_headers_name_exist():
    """Those of C and Cython by a path, those of the pages of `development` in backquotes."""
    texts = [re.findall(r"`([\w./]+\.(?:pyx?|pxd|h))`", page.read_text()) for page in DEVELOPMENT]
    headers = [path for suffix in ("h", "pyx", "pxd") for path in ROOT.glob(f"pylstm/**/*.{suffix}")]
    texts += [re.findall(r"\b\w+/[\w/]+\.(?:pyx?|pxd)\b", path.read_text(encoding="utf-8")) for path in headers]
    named = set().union(*texts)
    places = ("", "pylstm", "pylstm/include")
    assert len(named) > 20 and any(name.endswith("formula/machine.py") for name in named)
    assert not {name for name in named if not any((ROOT / part / name).exists() for part in places)}


def test_every_page_that_is_cited_exists():
    """In code, tests and pages; those of the gallery are generated."""
    files = [path for room in ("pylstm", "plugins", "tests", "tools", "docs") for path in ROOT.glob(f"{room}/**/*.py")]
    files += [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("pylstm/**/*.p[yx][xd]")]
    cited = {name for path in files for name in re.findall(r"docs/[\w/-]+\.md", path.read_text(encoding="utf-8"))}
    assert len(cited) > 10
    assert not {name for name in cited if not (ROOT / name).exists() and not name.startswith("docs/gallery/")}


def test_every_benchmark_that_is_a_command_takes_help():
    """Without a parser `--help` would start minutes of work."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in ROOT.glob("benchmarks/*.py")}
    commands = {name for name, source in texts.items() if 'if __name__ == "__main__":' in source}
    assert len(commands) > 20
    assert not {name for name in commands if "ArgumentParser(" not in texts[name] and "parse(" not in texts[name]}


def test_serial_tests_are_run_by_themselves():
    """`.ci/run` finds their files by the mark."""
    marked = {path.name for path in ROOT.glob("tests/**/test_*.py") if re.search(r"mark\.serial\b", path.read_text())}
    assert {"test_threads.py", "test_memory.py", "test_recovery.py", "test_interrupts.py"} <= marked
    script = read(".ci/run")
    assert script.count("-m serial") == script.count('tests "not serial"') == script.count('again="not serial"') == 1
    assert script.count('again="not serial and not once"') == script.count('PYLSTM_NO_SKIPS=1 tests "$again"') == 1
    assert script.count("PYLSTM_NO_SKIPS=once") == 1


def test_shell_scripts_are_run_as_they_are():
    scripts = [ROOT / ".ci/run", *ROOT.glob("tools/*.sh")]
    assert len(scripts) > 1
    for script in scripts:
        assert os.access(script, os.X_OK)
        assert subprocess.run(["bash", "-n", script]).returncode == 0


def shell_function(script, name):
    """The text of a function of a script, to be run alone."""
    return re.search(rf"^{name}\(\) \{{.*?^\}}$", read(script), re.M | re.S)[0]


@pytest.mark.parametrize(("machine", "code"), [("Linux", 1), ("Darwin", 0)])
def test_what_the_tests_want_of_a_system_is_asked_for_on_linux(machine, code):
    """Whoever is not root is told what to install; other systems have no qemu for programs."""
    fakes = f"set -eu; uname() {{ echo {machine}; }}; id() {{ echo 1; }}; command() {{ return 1; }}"
    script = f"{fakes}\n{shell_function('.ci/run', 'system')}\nsystem"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == code and ("apt-get install clang qemu-user" in done.stderr) == (code == 1)


def test_the_workflow_installs_what_the_tests_want_of_a_system():
    """On the hosted runners, where `.ci/run` is not root; they have Chrome and its driver."""
    wanted = re.search(r"apt-get install ([\w -]+) chromium chromium-driver\"", shell_function(".ci/run", "system"))[1]
    steps = read(".github/workflows/tests.yml").partition("bash .ci/run")[0]
    assert re.search(rf"if: runner.os == 'Linux'.*\n +run: sudo apt-get .* install .*{wanted}\n", steps)


@pytest.mark.parametrize("name", [".venv", "env", "tests/mine"])
def test_the_checks_of_text_leave_a_virtual_environment_alone(tmp_path, name):
    """They rewrite what they are given."""
    (tmp_path / name / "lib").mkdir(parents=True)
    (tmp_path / "tools").mkdir()
    for file in (f"{name}/pyvenv.cfg", f"{name}/lib/theirs.py", "tools/ours.py", ".ci.py"):
        (tmp_path / file).write_text("")
    script = f"{shell_function('.ci/lint', 'files')}\nfiles -name '*.py'"
    found = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert sorted(found.split("\0")) == ["", "./.ci.py", "./tools/ours.py"]
    assert "\ncodespell" not in read(".ci/lint")  # but what `files` names


def test_the_clean_environment_of_the_wheel_has_bash_and_no_compiler(tmp_path):
    """The lines of the script that make it, run here; the tests of the suite call bash."""
    if None in map(shutil.which, ("bash", "env", "ln", "mkdir")):
        pytest.skip("this machine has no shell with its tools")
    lines = re.findall(r"^(?:mkdir|ln|clean\(\)).*\$work/(?:tools|clean/bin).*$", read("tools/wheel.sh"), re.M)
    assert lines[-1].startswith("clean()")
    check = 'clean bash -n "$0" && ! clean bash -c "command -v cc || command -v gcc || command -v clang"'
    script = "\n".join([f"set -e; work={tmp_path}; mkdir -p $work/clean/bin", *lines, check])
    assert subprocess.run(["bash", "-c", script, ROOT / "tools" / "wheel.sh"], stdin=subprocess.DEVNULL).returncode == 0


def test_versions_of_python_are_the_same_everywhere():
    """Those of the classifiers, which can be tested by hand; 3.14 and 3.14t, which cannot, in the workflows only."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    classifiers = " ".join(settings["project"]["classifiers"])
    versions = re.findall(r"Python :: (3\.\d+)", classifiers)
    assert settings["project"]["requires-python"] == f">={versions[0]}"
    workflow = read(".github/workflows/tests.yml")
    assert re.findall(r"ubuntu-24.04, python: \"(3\.\d+)\"", workflow) == [*versions, "3.14"]
    assert re.findall(r"version: \"(3\.\d+t)\"", workflow) == ["3.14t"]
    built = re.findall(r"cp3(\d+t?)-", settings["tool"]["cibuildwheel"]["build"])
    assert [f"3.{minor}" for minor in built] == [*versions, "3.14", "3.14t"]
    for page in ("README.md", "CONTRIBUTING.md", "docs/development/release.md"):
        assert f"Python {versions[0]} to {versions[-1]}" in read(page), page
    assert "3.14 and 3.14t run only in the workflows" in read("docs/development/release.md")
    assert "Free Threading" not in classifiers and "3.14" not in read("README.md")


def test_benchmarks_run_on_the_python_of_asv():
    """One that the settings name must be installed: without it asv measures nothing."""
    assert '"pythons"' not in read("asv.conf.json")


def test_the_vocabulary_is_in_order_and_in_use():
    """Each word once, and in the text of the package or of the pages."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", read("docs/development/vocabulary.md"), re.M)[1:]
    words = [word.strip() for entry, _ in rows for word in re.sub(r"\(.*?\)", "", entry).split(",")]
    assert len(words) > 50 and [entry for entry, _ in rows] == sorted((entry for entry, _ in rows), key=str.casefold)
    assert len({entry for entry, _ in rows}) == len(rows)
    files = [path for suffix in ("py", "pyx", "pxd", "h") for path in ROOT.glob(f"pylstm/**/*.{suffix}")]
    others = {"vocabulary.md", "_build", "gallery"}  # the words themselves, and what is generated
    files += [path for path in ROOT.glob("docs/**/*.md") if not others & set(path.parts)]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert not [word for word in set(words) if not re.search(rf"\b{re.escape(word)}(?:s|es)?\b", text)]


def test_benchmarks_import_nothing_that_asv_has_not():
    """`asv` imports every file of the folder in an environment with pylstm alone; one that fails is the end of it."""
    files = sorted((ROOT / "benchmarks").rglob("*.py"))
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    source = (
        "import importlib, importlib.util, sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.partition('.')[0] in ('sklearn', 'onnxruntime', 'torch', 'jax', 'matplotlib', 'pandas'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *_: None if name == 'sklearn' else found(name, *_)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import pylstm\n"
        f"sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\n"
        f"sys.path.append({str(ROOT)!r})\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", source, *names], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
