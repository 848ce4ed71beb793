"""The help of every command: examples that parse, and a script for completion."""

import argparse
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from pylstm import cli
from pylstm.commands._shared.reading import open_table, reader_of


def parsers_of(parser, name="pylstm"):
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, each in action.choices.items():
                yield from parsers_of(each, f"{name} {word}")


PARSERS = dict(parsers_of(cli.whole_parser()))


@pytest.mark.parametrize("name", PARSERS)
def test_examples_are_right(name):
    shown = PARSERS[name].format_help()
    assert "\nexamples:\n" in shown
    examples = re.findall(r"^  (.*pylstm .*)$", shown.partition("\nexamples:\n")[2], re.M)
    for example in examples:
        words = shlex.split(example.partition(">")[0].strip())
        if words[0] == "pylstm":
            if "--help" in words:
                continue
            assert cli.whole_parser().parse_args(words[1:]).command == words[1]
    if name != "pylstm":
        assert any(name.split()[1] in example for example in examples)


def test_completion(run):
    pytest.importorskip("shtab")
    done = run("completion", "bash")
    assert done.status == 0 and done.err == ""
    for word in ("forecast", "--known", "--no-header", "completion", "_shtab_compgen_files"):
        assert word in done.out
    assert subprocess.run(["bash", "-n"], input=done.out, text=True, check=False).returncode == 0


def test_completion_without_shtab(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    done = run("completion", "zsh")
    assert done.status == 2 and done.out == ""
    assert done.err.startswith(
        "pylstm: error: pylstm completion needs shtab, which is not installed: pip install 'pylstm["
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "forecast", "no.csv"], "no.csv: neither a file nor a data set (known: co2, sunspots)"),
        (["train", "classify", "no.csv", "--label", "a"], "no.csv: neither a file nor a data set (known: digits, jap"),
        (["train", "text", "no.txt"], "no.txt: does not exist: check the name and the folder"),
        (["predict", "no.safetensors"], "no.safetensors: does not exist: check the name and the folder"),
        (["evaluate", "no.safetensors"], "no.safetensors: does not exist: check the name and the folder"),
        (["generate", "no.safetensors"], "no.safetensors: does not exist: check the name and the folder"),
        (["export", "c", "no.safetensors"], "no.safetensors: does not exist: check the name and the folder"),
        (["train", "forecast", "a.csv", "--column", "z"], "a.csv: unknown column 'z' (known: 'x', 'y')"),
        (["train", "forecast", "a.csv", "--column", "y", "--known", "z"], "a.csv: unknown column 'z' (known: 'x', "),
        (["train", "forecast", "a.csv", "--column", "y", "--id", "z"], "a.csv: unknown column 'z' (known: 'x', 'y')"),
        (["train", "classify", "a.csv", "--label", "z"], "a.csv: unknown column 'z' (known: 'x', 'y')"),
        (["train", "classify", "a.csv", "--label", "x", "--id", "z"], "a.csv: unknown column 'z' (known: 'x', 'y')"),
        (["train", "classify", "a.csv", "--label", "x", "--columns", "y,z"], "a.csv: unknown column 'z' (known: 'x', "),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_first(run, tmp_path, words, message):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n2,3\n3,5\n")
    done = run(*words)
    assert done.status == 2 and done.out == "" and done.err.startswith(f"pylstm: error: {message}")


@pytest.mark.parametrize("missing", ["statsmodels", "matplotlib"])
def test_a_missing_extra_is_said_first(run, monkeypatch, missing):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == missing else find(name, *more))
    for name in [name for name in sys.modules if name.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    done = run("train", "forecast", "sunspots", *(["--plot", "a.png"] if missing == "matplotlib" else []))
    cure = {"statsmodels": "pip install 'pylstm[data]'", "matplotlib": "pip install 'pylstm[plot]'"}[missing]
    assert done.status == 2 and done.out == "" and missing in done.err and cure in done.err


class Terminal:
    """Standard error that says it is a terminal."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_reading_shows_how_far_it_is(tmp_path, monkeypatch):
    path = tmp_path / "long.csv"
    path.write_text("y\n" + "1.5\n" * 100_000)
    seen = Terminal()
    monkeypatch.setattr(sys, "stderr", seen)
    monkeypatch.setattr("pylstm.commands._shared.reading.AFTER", 0.0)
    values = open_table(str(path), {}, ()).numbers(["y"])
    assert len(values) == 100_000 and (values == 1.5).all()
    shares = [int(each) for each in re.findall(r"(\d+)%", seen.text)]
    assert "reading long.csv" in seen.text and max(shares) > 50 and np.isfinite(shares).all()
    monkeypatch.setattr(seen, "isatty", lambda: False)
    assert reader_of(str(path)) is None
