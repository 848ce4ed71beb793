"""The command line, as a user calls it: in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pylstm import cli, commands

ROOT = Path(__file__).resolve().parents[1]
CELL = """
import pylstm
class Leaky(pylstm.Cell):
    states = ("h", "m")
    gates = {"a": "x+h", "b": "x"}
    params = ("rate",)
    reference = "this test"
@pylstm.hookimpl
def pylstm_register_cells(registry):
    registry.register(Leaky)
"""
PROBE = """
import sys
print("probe imported", file=sys.stderr)
def add_parser(subparsers):
    parser = subparsers.add_parser("probe-it", help="a probe")
    parser.add_argument("what")
def run(args):
    import time
    if args.what == "wait":
        print("ready", flush=True)
        time.sleep(60)
    if args.what == "print":
        sys.stdin.readline()
        print("nobody reads this")
        return 0
    if args.what.endswith("Error"):
        raise eval(args.what)("first line\\n  second line")
    return int(args.what)
"""


@pytest.fixture
def pylstm(site):
    """Runs ``python -m pylstm <args>``."""
    return lambda *args, **options: site.run("-m", "pylstm", *args, **options)


@pytest.fixture
def probe(site):
    """Runs pylstm with one more sub-command, `probe-it`."""
    folder = site.folder / "more"
    folder.mkdir()
    (folder / "probe_it.py").write_text(PROBE)
    start = "import sys, pylstm.commands as c; c.__path__ = [*c.__path__, 'more']; from pylstm.cli import main; "
    site.command = [sys.executable, "-P", "-c", start + "sys.exit(main())"]
    return lambda *args, **options: site.run("-c", start + "sys.exit(main())", *args, **options)


def test_version(pylstm):
    done = pylstm("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("pylstm 0.") and "instruction set v" in done.stdout


def test_console_script_is_main():
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="pylstm")
    assert script.load() is cli.main


def test_without_arguments_shows_help(pylstm):
    done = pylstm()
    assert done.returncode == 0
    assert "usage: pylstm" in done.stdout and "plugins" in done.stdout and "cells" in done.stdout


def test_cells(site, pylstm):
    site.install("leaky_pkg", CELL, version="3.1")
    lines = pylstm("cells").stdout.splitlines()
    assert lines[0].split() == ["name", "package", "version", "states", "gates", "params", "options", "status"]
    (line,) = [line for line in lines if line.startswith("leaky ")]
    assert line.split() == ["leaky", "leaky_pkg", "3.1", "h", "m", "a", "b", "rate", "-", "registered"]


def test_cells_json(site, pylstm):
    site.install("leaky_pkg", CELL, version="3.1")
    (leaky,) = [cell for cell in json.loads(pylstm("cells", "--json").stdout) if cell["name"] == "leaky"]
    assert leaky == {
        "name": "leaky",
        "package": "leaky_pkg",
        "distribution": "leaky_pkg",
        "version": "3.1",
        "states": ["h", "m"],
        "gates": {"a": "x+h", "b": "x"},
        "params": ["rate"],
        "options": {},
        "aux": [],
        "constants": [],
        "kernel": "none",
        "reference": "this test",
        "status": "registered",
    }


def test_plugins(site, pylstm):
    site.install("leaky_pkg", CELL)
    site.install("zero", "1/0")
    done = pylstm("plugins")
    assert done.returncode == 0 and done.stderr == ""
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert lines["leaky_pkg"].split() == ["leaky_pkg", "leaky_pkg", "1.5", "leaky", "ok"]
    assert "broken: it cannot be imported: ZeroDivisionError" in lines["zero"]
    assert "Traceback" not in done.stdout
    assert 'zero.py", line 1' in pylstm("plugins", "--traceback").stdout
    records = {each["name"]: each for each in json.loads(pylstm("plugins", "--json").stdout)}
    assert records["leaky_pkg"]["cells"] == ["leaky"]
    assert pylstm("plugins", PYLSTM_DISABLE_PLUGINS="zero").stdout.count("disabled") == 1


def test_a_broken_plugin_does_not_break_commands(site, pylstm):
    site.install("zero", "1/0")
    done = pylstm("cells")
    assert done.returncode == 0 and "lstm" in done.stdout
    assert "the pylstm plugin 'zero' of zero 1.5 is left out" in done.stderr


def test_a_command_imports_no_other_command(probe):
    assert probe("probe-it", "0").stderr == "probe imported\n"
    assert probe("cells").stderr == ""
    assert "a probe" in probe("--help").stdout


def test_exit_status_of_the_command(probe):
    assert probe("probe-it", "7").returncode == 7


@pytest.mark.parametrize(
    "kind",
    ["ValueError", "TypeError", "LookupError", "FileNotFoundError", "ImportError", "OverflowError", "MemoryError"],
)
def test_errors_of_users_are_one_line(probe, kind):
    done = probe("probe-it", kind)
    assert done.returncode == 2
    assert done.stderr == "probe imported\npylstm: error: first line second line\n"
    assert "Traceback" in probe("--traceback", "probe-it", kind).stderr


@pytest.mark.parametrize("kind", ["KeyError", "ZeroDivisionError", "AssertionError"])
def test_bugs_keep_their_traceback(probe, kind):
    done = probe("probe-it", kind)
    assert done.returncode == 1 and "Traceback" in done.stderr


@pytest.mark.parametrize("args", [["nope"], ["cells", "--nope"], ["--nope"]])
def test_wrong_arguments(pylstm, args):
    done = pylstm(*args)
    assert done.returncode == 2
    assert "pylstm" in done.stderr and "nope" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="this machine has no POSIX signals")
def test_interrupt_exits_130(site, probe):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell lets us ignore, a child ignores
    try:
        process = subprocess.Popen(
            [*site.command, "probe-it", "wait"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=site.folder,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors


@pytest.mark.skipif(os.name == "nt", reason="this machine has no POSIX pipes")
def test_broken_pipe_is_quiet(site, probe):
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([*site.command, "probe-it", "print"], **pipes, cwd=site.folder, text=True)
    process.stdout.close()
    process.stdin.write("\n")
    process.stdin.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 141
    assert errors == "probe imported\n"


def test_every_module_is_a_command():
    names = cli.command_names()
    assert {"cells", "plugins"} <= set(names)
    files = {path.stem.replace("_", "-") for path in (ROOT / "pylstm/commands").glob("[!_]*.py")}
    assert set(names) == files


@pytest.mark.parametrize("name", cli.command_names())
def test_every_command_has_help_and_is_light(site, name):
    heavy = "torch", "onnx", "jax", "matplotlib", "sklearn", "scipy", "pylstm.training", "pylstm.interop"
    code = (
        "import sys; from pylstm.cli import main\n"
        f"try: main([{name!r}, '--help'])\n"
        "except SystemExit as error: print('status', error.code, file=sys.stderr)\n"
        f"print([name for name in {heavy!r} if name in sys.modules and not name.startswith('pylstm')], file=sys.stderr)"
    )
    done = site.run("-c", code)
    assert done.stdout.startswith(f"usage: pylstm {name}")
    assert done.stderr == "status 0\n[]\n"


def test_commands_package_has_nothing_else():
    assert not [name for name in vars(commands) if not name.startswith("_") and callable(getattr(commands, name))]


def test_source_tree_is_refused_with_ways_out(site):
    if Path(__import__("pylstm").__file__).resolve().is_relative_to(ROOT):
        pytest.skip("editable install: the source tree works")
    done = site.run("-m", "pylstm", cwd=ROOT, safe=False)
    assert done.returncode == 1
    for way in ("this is the source tree of pylstm", "console script", "python -P", "-e .", "pip install ."):
        assert way in done.stderr
    assert site.run("-m", "pylstm", "--version", cwd=ROOT).returncode == 0
