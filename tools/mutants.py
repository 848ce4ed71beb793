"""Plants mistakes in the package, one at a time, and reports those that the tests do not notice.

Not mutmut nor cosmic-ray: they change Python files and cannot rebuild extension modules, and half of what can go wrong
here is compiled. Nor do they know mistakes that somebody would make; `tools/mutants.toml` lists such ones by hand.

    python tools/mutants.py                         all mutants; exit status 1 if one survives unjudged
    python tools/mutants.py --only forecast         those with this text in the file or the mistake
    python tools/mutants.py --list
    python tools/mutants.py --jobs 2 --json mutants.json

All happens in a copy of the tree and of the installed package, in a temporary folder: tests run in the copy of the
tree, with the copy of the package first on PYTHONPATH. A mutant of a Python file is written into both; one of a
compiled file (.pyx, .pxd, .h) into the tree, which is then built again, for the instruction-set level in use only.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tools" / "mutants.toml"
COMPILED = (".pyx", ".pxd", ".h")
OTHERS = shutil.ignore_patterns(".git", "build", "_build", "__pycache__", "*.so", ".*_cache", ".asv", ".hypothesis")


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """One mistake: `old`, which stands once in `file`, becomes `new`.

    Attributes
    ----------
    file : str
        From the root of the repository.
    mistake : str
        In words.
    old, new : str
    tests : tuple of str
        The nearest tests, as pytest takes them.
    equivalent : str
        Why nothing that a user can see is different; empty where something is.
    """

    file: str
    mistake: str
    old: str
    new: str
    tests: tuple[str, ...]
    equivalent: str = ""

    @property
    def compiled(self) -> bool:
        return self.file.endswith(COMPILED)

    def planted(self, text: str) -> str:
        """`text`, which the file has, with the mistake.

        Raises
        ------
        ValueError
            `old` does not stand in it exactly once, or nothing changes.
        """
        if text.count(self.old) != 1 or self.old == self.new:
            raise ValueError(f"{self.file}: {self.old!r} must stand in it once, found {text.count(self.old)} times")
        return text.replace(self.old, self.new)


def read_table(path: Path = TABLE) -> list[Mutant]:
    """The mutants of a table: in TOML, files with their tests, and of each the mistakes."""
    mutants = []
    for file in tomllib.loads(path.read_text(encoding="utf-8"))["file"]:
        for each in file["mutant"]:
            tests = tuple(each.pop("tests", file["tests"]))
            mutants.append(Mutant(file["name"], each.pop("mistake"), each.pop("old"), each.pop("new"), tests, **each))
    return mutants


# --- where they are planted ------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What became of a mutant: "killed" by a test, "survived", or "broken": it cannot be built or tested."""

    mutant: Mutant
    result: str
    by: str
    seconds: float

    @property
    def verdict(self) -> str:
        if self.result == "survived" and self.mutant.equivalent:
            return "equivalent"
        return self.result

    @property
    def bad(self) -> bool:
        """Neither killed, nor equivalent and alive."""
        return self.result != ("survived" if self.mutant.equivalent else "killed")


def not_copied(folder: str, names: list[str]) -> set[str]:
    """What is made from the tree, and virtual environments in it."""
    return OTHERS(folder, names) | {name for name in names if Path(folder, name, "pyvenv.cfg").exists()}


class Workshop:
    """A copy of the tree, and of the package as installed, in `folder`."""

    def __init__(self, folder: Path, timeout: float) -> None:
        self.tree, self.site, self.build_folder = folder / "tree", folder / "site", folder / "build"
        self.timeout, self.built = timeout, False
        shutil.copytree(ROOT, self.tree, ignore=not_copied)
        for file in importlib.metadata.distribution("pylstm").files or ():
            if file.parts[0] != ".." and "__pycache__" not in file.parts:
                (self.site / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file.locate(), self.site / file)
        for package in (self.tree / "pylstm", *(self.tree / "plugins").glob("pylstm_*")):
            shutil.copytree(package, self.site / package.name, dirs_exist_ok=True)
        self.env = {**os.environ, "PYTHONPATH": str(self.site), "PYTHONSAFEPATH": "1"}
        self.env.pop("PYLSTM_NO_SKIPS", None)

    # Python files

    def places(self, file: str) -> list[Path]:
        """Where `file` of the repository stands: in the tree, and in the package."""
        return [self.tree / file, self.site / file.removeprefix("plugins/")]

    def write(self, file: str, text: str) -> None:
        for path in self.places(file):
            path.write_text(text, encoding="utf-8")
            if path.suffix == ".py":  # of the same size and second, perhaps
                Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)

    # compiled files

    def set_up(self) -> None:
        """Configure the build, and put modules into the package that are built as those with mutants will be."""
        self.built = True
        self.run("meson", "setup", self.build_folder, self.tree, "-Dbuildtype=release", "-Db_ndebug=if-release")
        code = "from pylstm.engine.levels import level; print(level)"
        level = self.run(sys.executable, "-c", code).strip()
        other = re.compile(rf"_v(?!{level[1:]}\.)\d\.")
        self.modules = {path.name: path for path in self.site.rglob("*.so") if not other.search(path.name)}
        self.build()
        self.good = {name: (self.build_folder / name).read_bytes() for name in self.modules}

    def build(self) -> None:
        """Build, and put what has changed into the package.

        Raises
        ------
        RuntimeError
            With what the compiler says.
        """
        self.run("ninja", "-C", self.build_folder, "-j", "2", *self.modules)
        for name, path in self.modules.items():
            self.put(path, (self.build_folder / name).read_bytes())

    def put(self, path: Path, content: bytes) -> None:
        if path.read_bytes() != content:
            path.unlink()  # never into a file that a process may have mapped
            path.write_bytes(content)

    def run(self, *command: object) -> str:
        done = subprocess.run([*map(str, command)], env=self.env, cwd=self.tree, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{command[0]} fails:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    # both

    def try_out(self, mutant: Mutant) -> Outcome:
        """Plant a mutant, run its tests, and take it back."""
        began, source = time.perf_counter(), (self.tree / mutant.file).read_text(encoding="utf-8")
        if mutant.compiled and not self.built:
            self.set_up()
        self.write(mutant.file, mutant.planted(source))
        try:
            if mutant.compiled:
                self.build()
            by = self.test(mutant.tests)
            result = "killed" if by else "survived"
        except RuntimeError as error:  # a mistake in the table
            result, by = "broken", str(error)
        finally:
            self.write(mutant.file, source)
            if mutant.compiled:
                for name, content in self.good.items():
                    self.put(self.modules[name], content)
        return Outcome(mutant, result, by, round(time.perf_counter() - began, 1))

    def test(self, tests: tuple[str, ...]) -> str:
        """The test that fails, "" if none does.

        Raises
        ------
        RuntimeError
            pytest has not run any.
        """
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=no", *tests]
        process = subprocess.Popen(
            command,
            env=self.env,
            cwd=self.tree,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output = process.communicate(timeout=self.timeout)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return f"more than {self.timeout:g} s"
        if process.returncode == 0:
            return ""
        if process.returncode < 0:
            return f"signal {-process.returncode}"
        found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
        if found is None and process.returncode not in (1, 2, 4):
            raise RuntimeError(f"pytest {' '.join(tests)} has run nothing:\n{output[-3000:]}")
        return found[1] if found else "the package cannot be imported"


# --- the run ---------------------------------------------------------------------------------------------------------


def groups(mutants: list[Mutant]) -> Iterator[list[Mutant]]:
    """Mutants of one file, which one workshop tries in a row: a compiled file is then built back once."""
    for _, group in groupby(sorted(mutants, key=lambda mutant: (mutant.compiled, mutant.file)), lambda m: m.file):
        yield list(group)


def check_baseline(workshop: Workshop, mutants: list[Mutant]) -> None:
    """`SystemExit` if a test that is to find mistakes fails without one."""
    if any(mutant.compiled for mutant in mutants):
        workshop.set_up()
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    for test in tests:
        by = workshop.test((test,))
        if by:
            raise SystemExit(f"{test} is not green without a mutant: {by}")
    print(f"{len(tests)} test files and tests are green without a mutant", flush=True)


def work(mutants: list[Mutant], jobs: int, timeout: float, baseline: bool = True) -> list[Outcome]:
    """Try all, on so many workshops at a time."""
    waiting, outcomes, errors, lock = list(groups(mutants)), [], [], threading.Lock()

    def serve(workshop: Workshop) -> None:
        try:
            while not errors:
                with lock:
                    group = waiting.pop(0) if waiting else []
                if not group:
                    return
                for mutant in group:
                    outcome = workshop.try_out(mutant)
                    outcomes.append(outcome)
                    print(line(outcome), flush=True)
        except BaseException as error:
            errors.append(error)

    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        shops = [Workshop(Path(folder) / str(k), timeout) for k in range(jobs)]
        if baseline:
            check_baseline(shops[0], mutants)
        threads = [threading.Thread(target=serve, args=(shop,), daemon=True) for shop in shops]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    return outcomes


def line(outcome: Outcome) -> str:
    mutant = outcome.mutant
    why = mutant.equivalent if outcome.verdict == "equivalent" else outcome.by
    return f"{outcome.verdict:10}  {mutant.file}: {mutant.mistake}  [{outcome.seconds:.0f} s]  {why}"


def summary(outcomes: list[Outcome]) -> str:
    count = Counter(each.verdict for each in outcomes)
    counts = ", ".join(f"{count[verdict]} {verdict}" for verdict in ("killed", "equivalent", "survived", "broken"))
    lines = [f"{len(outcomes)} mutants: {counts}"]
    for each in outcomes:
        if each.bad:
            lines.append(f"{'judged equivalent, but ' if each.mutant.equivalent else ''}{line(each)}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", type=Path, default=TABLE, help="the mutants (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="regular expression: in the file or the mistake")
    parser.add_argument("--list", action="store_true", help="print the mutants, plant none")
    parser.add_argument("--jobs", type=int, default=1, help="workshops at a time (default: 1)")
    parser.add_argument("--json", type=Path, help="write the outcomes to this file")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for the tests of a mutant (default: 600)")
    parser.add_argument("--no-baseline", action="store_true", help="do not run the tests without a mutant first")
    given = parser.parse_args(arguments)
    chosen = [each for each in read_table(given.table) if re.search(given.only, f"{each.file}: {each.mistake}")]
    if not chosen:
        parser.error(f"--only {given.only!r} matches no mutant: --list prints the files and mistakes")
    for each in chosen:
        each.planted((ROOT / each.file).read_text(encoding="utf-8"))
    if given.list:
        print("\n".join(f"{each.file}: {each.mistake}" for each in chosen), f"\n{len(chosen)} mutants")
        return 0
    os.nice(15)
    outcomes = work(chosen, given.jobs, given.timeout, not given.no_baseline)
    print(summary(outcomes))
    if given.json:
        found = [asdict(each) | {"verdict": each.verdict} for each in outcomes]
        given.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(any(each.bad for each in outcomes))


if __name__ == "__main__":
    sys.exit(main())
