"""Fixtures of several test modules; and tests run against the installed package, never against the source tree."""

from __future__ import annotations

import gc
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]

# `python -m pytest` in the repository root puts the root first on sys.path: the uncompiled tree would be imported.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != ROOT]

# Who starts the tests in the background has them ignore Ctrl-C, as xdist has its workers. A handler that does nothing
# is the same here, but is not inherited: many tests interrupt their children, and fits keep an ignored signal ignored.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, lambda *_: None)

NO_SKIPS = os.environ.get("PYLSTM_NO_SKIPS", "")
"""Set by ``.ci/run``: a test that is skipped fails, unless its reason says that this machine cannot run it; with "once"
only those that run in one environment, with "1" all."""
TESTED = os.environ.get("PYLSTM_TESTED", "")
"""A file, set by ``.ci/run``: what the first environment has tested there is nothing that the second could change."""
OURS = (
    *(f"tests/{room}/" for room in ("cells", "data", "export", "forecasting", "layers", "seeds", "training", "zoo")),
    *(
        f"tests/test_{what}"
        for what in ("bad_input", "cures", "derive", "first_hour", "options", "own_models", "saved")
    ),
    *(f"tests/test_{what}" for what in ("saving", "streaming", "wrong_things")),
)
"""Tests of these folders and files need not run again; others may test what a façade has where more is installed."""
ONCE = {"once", "serial"}
EXCUSES = ("this machine", "editable install")


@pytest.fixture(scope="session", autouse=True)
def _whoever_else_works():
    """Tests run beside others: a layer takes its threads whether or not somebody else has had a processor."""
    from pylstm.engine import team

    team.give_way(False)


@pytest.fixture(autouse=True)
def _figures_closed():
    """Where a test before has imported pyplot, figures are its own: it keeps them, and warns of the twentieth."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture
def own_kinds(monkeypatch):
    """Kinds that a test registers are taken back."""
    from pylstm.kinds import KINDS

    monkeypatch.setattr(KINDS, "_classes", dict(KINDS._classes))


def extras() -> dict[str, str]:
    """Import name of an optional package -> the extra that brings it."""
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    found = {"sklearn": "sklearn", "joblib": "sklearn", "silero-vad": "onnx, and pip install --no-deps silero-vad"}
    for extra, requirements in optional.items():
        for requirement in requirements:
            name = re.match(r"[\w-]+", requirement)[0]
            found.setdefault(name.replace("-", "_"), extra)
            found.setdefault(name, extra)
    return found


EXTRAS = extras()


class Elsewhere:
    """Finds no module, and notes who looks for a package that is not in every environment."""

    def __init__(self) -> None:
        self.sought: set[str] = set()
        self.processes = False  # whether a Python was started, which may look for others

    def clear(self) -> None:
        self.sought.clear()
        self.processes = False

    def find_spec(self, name: str, *_: object) -> None:
        if EXTRAS.get(name.partition(".")[0], "test") != "test":
            self.sought.add(name)


ELSEWHERE = Elsewhere()
sys.meta_path.insert(0, ELSEWHERE)


def watch_processes(event: str, arguments: tuple[Any, ...]) -> None:
    """A Python started by a test looks for packages where `Elsewhere` does not see it; not so Cython and compilers."""
    if event not in ("os.fork", "subprocess.Popen"):
        return
    program, command = [*arguments, "", ""][:2]
    name = os.path.basename(os.fsdecode(program or ""))
    if event == "os.fork" or (re.match("python|pylstm|env|.*sh$", name) and "cython" not in command):
        ELSEWHERE.processes = True


if TESTED and NO_SKIPS == "once":
    sys.addaudithook(watch_processes)


def note(scope: str) -> None:
    if TESTED and NO_SKIPS == "once" and scope.removeprefix("again ").startswith(OURS):
        with open(TESTED, "a") as file:
            file.write(f"{scope}\n")


def note_test(report: pytest.TestReport, elsewhere: bool) -> None:
    """Into `TESTED`: a test that has ended; "again" and the test, or its file if fixtures were the reason."""
    if elsewhere and report.when == "setup":
        note(f"again {report.nodeid.partition('::')[0]}")
    if elsewhere or not report.passed:
        note(f"again {report.nodeid}")
    if report.when == "teardown":
        note(report.nodeid)


def not_again(lines: Iterable[str]) -> set[str]:
    """The tests of `TESTED` that need not run in the second environment."""
    lines = set(lines)
    again = {each.removeprefix("again ") for each in lines if each.startswith("again ")}
    return {each for each in lines - again if not each.startswith("again ") and each.partition("::")[0] not in again}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if TESTED and NO_SKIPS == "1":
        tested = not_again(Path(TESTED).read_text().splitlines())
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in tested])
        items[:] = [item for item in items if item.nodeid not in tested]


def explain_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Name the extra whose package a skipped test needs; any other skip, or one under NO_SKIPS, is a failure."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    *where, reason = report.longrepr if isinstance(report.longrepr, tuple) else (str(report.longrepr),)
    reason = reason.removeprefix("Skipped: ")
    if reason.startswith(EXCUSES):
        return
    needed = {EXTRAS[word] for word in re.findall(r"[\w-]+", reason) if word in EXTRAS}
    strict = NO_SKIPS == "1" or (NO_SKIPS == "once" and ONCE & set(getattr(report, "keywords", ())))
    if strict or not needed:
        report.outcome = "failed"
        unnamed = "for a reason that names neither a package nor this machine"
        why = f"under PYLSTM_NO_SKIPS={NO_SKIPS}" if strict else unnamed
        report.longrepr = f"skipped {why}: {reason}"
    elif where:
        report.longrepr = (*where, f"{reason} (extra {', '.join(sorted(needed))})")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """The garbage collector is not shown twenty thousand tests each time it runs: a full run took 0.3 s with them."""
    gc.disable()
    with suppress(ImportError):
        import pylstm  # noqa: F401 - it looks for scikit-learn, for all files
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def refuse_elsewhere(report: pytest.TestReport, sought: set[str]) -> None:
    """A test marked `once` that looks for an optional package is a failure: it may differ where that is installed."""
    if report.passed and "once" in report.keywords and sought:
        report.outcome = "failed"
        report.longrepr = f"marked `once`, but looks for {', '.join(sorted(sought))}: remove the mark"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    ELSEWHERE.clear()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    explain_skip(report)
    refuse_elsewhere(report, ELSEWHERE.sought)
    note_test(report, bool(ELSEWHERE.sought) or ELSEWHERE.processes)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    ELSEWHERE.clear()
    report = yield
    explain_skip(report)
    if ELSEWHERE.sought or ELSEWHERE.processes:
        note(f"again {report.nodeid}")
    return report


class Site:
    """A folder on sys.path into which a test installs distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, source: str, *, plugin: str = "", entry_points: str = "", version: str = "1.5") -> str:
        """A distribution `name` with one module of the same name, registered as plugin `plugin` (default `name`)."""
        (self.folder / f"{name}.py").write_text(source)
        info = self.folder / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points or f"[pylstm]\n{plugin or name} = {name}\n")
        return name

    def run(self, *args: str, cwd: Path | None = None, safe: bool = True, **env: str) -> subprocess.CompletedProcess:
        """``python <args>`` with this folder first on sys.path."""
        before = filter(None, [os.environ.get("PYTHONPATH")])
        return subprocess.run(
            [sys.executable, *(["-P"] if safe else []), *args],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(self.folder), *before]), **env},
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module")
def jax_compiles_once(tmp_path_factory):
    """What jax compiles depends on no weight: layers of right and of wrong ones share it. Without jax: nothing."""
    if importlib.util.find_spec("jax") is None:
        yield
        return
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    names = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("jax")),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in names}
    for values in (names, before):
        compilation_cache.reset_cache()
        for name, value in values.items():
            jax.config.update(name, value)
        if values is names:
            yield


@pytest.fixture
def same_number_of_threads():
    """After the test as before it."""
    import pylstm

    before = pylstm.get_num_threads()
    yield
    pylstm.set_num_threads(before)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A `Site` on the sys.path of this process, too; modules imported from it are forgotten after the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield Site(folder)
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or ".").parent == folder:
            del sys.modules[name]


@pytest.fixture
def certify(monkeypatch):
    """Replaces certification; gives the list of cells that were certified, and refuses those named ``wrong``."""

    from pylstm.cells.certification.certificate import Certificate

    certified = []

    def replacement(cell, *, raise_):
        certified.append(cell)
        certificate = Certificate(cell.name)
        if cell.name == "wrong":
            certificate.fail("twin", "dh/da", "is wrong")
        return certificate

    monkeypatch.setattr("pylstm.cells.certification.certify.certify", replacement)
    return certified
