"""Every command of the pages is one, in blocks and in the text, options included. Only parsers are run."""

from __future__ import annotations

import argparse
import ast
import re
import runpy
import shlex
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from pylstm import cli

ROOT = Path(__file__).resolve().parents[1]
GENERATED = ("_build", "gallery")
DOCS = [page for page in ROOT.glob("docs/**/*.md") if not set(GENERATED) & set(page.parts)]
PAGES = sorted(
    [*DOCS, *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "examples/README", "docs/gallery/README"))]
)
BLOCK = re.compile(r"^```(?:text|console|sh|bash)\n(.*?)^```$", re.M | re.S)
PROGRAMS = ("pylstm", "python", "pip", "asv", "pytest", "sphinx-build")
INLINE = re.compile(rf"`((?:{'|'.join(PROGRAMS)}) [^`]+)`")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = set(SETTINGS["project"]["optional-dependencies"])
MESON = {"checked", "b_sanitize", "b_lundef", "b_coverage", "optimization", "buildtype"}
"""Options of `meson.options`, and those that Meson brings and a page names."""
UNFINISHED = re.compile(r"the following arguments are required|one of the arguments .* is required")

PLACE = re.compile(r"[A-Z]{2,}|k[12]")
"""What stands for a value, in the text."""


class Parsed(BaseException):
    """The options are right: what follows them is not wanted."""


def commands_of(text, inline=False):
    """Lists of words, one for each command of a line, without remarks, variables and where output goes."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        line = re.split(r"\s{4,}(?=\w)|\s#\s", line.removeprefix("$ ").strip())[0]
        for part in re.split(r"\s(?:&&|\|\||;|\|)\s|;\s", line):
            part = re.sub(r"\$\([^)]*\)", "FILLED", part)
            words = shlex.split(re.split(r"\s>\s|\s<\s", part)[0], comments=not inline) if balanced(part) else []
            while words and (re.match(r"[A-Z_]+=", words[0]) or words[0] in ("for", "do")):
                words = words[1:]
            if words and words[0] in PROGRAMS and "..." not in words:
                found.append(words)
    return found


def balanced(text):
    return all(text.count(quote) % 2 == 0 for quote in "\"'")


def shown():
    """Page and command, each once; whether it stands in the text, where the rest may be left out."""
    found = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in BLOCK.findall(text):
            found |= {(page.name, *words): False for words in commands_of(block)}
        for line in INLINE.findall(re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)):
            for words in commands_of(" ".join(line.split()), inline=True):
                found.setdefault((page.name, *words), True)
    return found


SHOWN = shown()


def of_pylstm(words, inline):
    """Its own parser; the files need not be there."""
    if words[1:] and not words[1].startswith("-"):
        assert words[1] in cli.command_names(), words
    cli.whole_parser().parse_args(words[1:])


def of_python(words, inline, folder, monkeypatch):
    """A script of ours with its options, as far as they are parsed; a module that is installed."""
    words = [each for each in words[1:] if each not in ("-P", "-I")]
    if words[:1] in (["-m"], ["-c"], []):
        return
    script, *arguments = words
    assert (ROOT / script).is_file(), f"no {script}"
    if "--plot" in arguments:
        pytest.importorskip("matplotlib")  # which the option asks for
    if "ArgumentParser(" not in (ROOT / script).read_text(encoding="utf-8"):
        assert not any(each.startswith("-") for each in arguments), f"{script} has no options"
        return
    for name in ("benchmarks", "tools", "docs", "examples"):
        (folder / name).mkdir()
    for name in re.findall(r"[\w./-]+\.json", " ".join(arguments)):
        shutil.copyfile(ROOT / "docs" / "jobs.json", folder / name)
    original = argparse.ArgumentParser.parse_args

    def parse_args(self, args=None, namespace=None):
        self.allow_abbrev = False
        original(self, args, namespace)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    monkeypatch.setattr(sys, "path", [str((ROOT / script).parent), *sys.path])
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    monkeypatch.chdir(folder)
    with pytest.raises(Parsed):
        runpy.run_path(str(ROOT / script), run_name="__main__")


def of_pip(words, inline):
    """Extras that there are, and options of the build."""
    assert words[1] in ("install", "wheel", "uninstall"), words
    for each in words[2:]:
        for extras in re.findall(r"^(?:\.|pylstm)\[([\w,]+)\]$", each):
            assert set(extras.split(",")) <= EXTRAS, words
        for name in re.findall(r"^-Csetup-args=-D(\w+)=", each):
            assert name in MESON, words
        assert not each.startswith("pylstm==") and (each != "pylstm" or inline), words


def names_of_benchmarks():
    """``bench_layers.Layers.time_forward``, as asv calls them; a class has those of its base."""
    for path in ROOT.glob("benchmarks/bench_*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                inner = [each.name for each in getattr(node, "body", []) if isinstance(each, ast.FunctionDef)]
                yield from (f"{path.stem}.{node.name}.{name}" for name in inner or [""])
                yield f"{path.stem}.{node.name}"


def of_asv(words, inline):
    commands = pytest.importorskip("asv.commands")
    parsed = commands.make_argparser()[0].parse_args(words[1:])
    for pattern in getattr(parsed, "bench", None) or []:
        name = re.split(r"\\\(|\.\*?'", pattern)[0]
        assert any(re.search(name, each) for each in names_of_benchmarks()), words


def of_pytest(words, inline):
    """Files that there are, markers that are declared."""
    for option, value in zip(words, [*words[1:], ""]):
        if option == "-m":
            declared = {each.partition(":")[0] for each in SETTINGS["tool"]["pytest"]["ini_options"]["markers"]}
            assert set(re.findall(r"\w+", value)) - {"not", "and", "or"} <= declared, words
        elif option.startswith("tests"):
            assert (ROOT / option.partition("::")[0]).exists(), words


def of_sphinx(words, inline):
    pytest.importorskip("sphinx")
    from sphinx.cmd.build import get_parser

    parsed = get_parser().parse_args(words[1:])
    assert (ROOT / parsed.sourcedir / "conf.py").is_file()


CHECKS = {"pylstm": of_pylstm, "pip": of_pip, "asv": of_asv, "pytest": of_pytest, "sphinx-build": of_sphinx}


def check(words, inline, folder, monkeypatch, capsys):
    try:
        if words[0] == "python":
            of_python(words, inline, folder, monkeypatch)
        else:
            CHECKS[words[0]](words, inline)
    except ModuleNotFoundError as error:
        if (error.name or "pylstm").startswith(("pylstm", "contest")):
            raise
        pytest.skip(f"needs {error.name}")
    except SystemExit as refused:
        said = capsys.readouterr().err
        stands_for = "error: argument " in said and any(map(PLACE.fullmatch, words))
        assert refused.code == 0 or (inline and (UNFINISHED.search(said) or stands_for)), said


@pytest.mark.parametrize("command", SHOWN, ids=lambda each: f"{each[0]}: {' '.join(each[1:])}"[:100])
def test_a_command_of_a_page_is_one(command, tmp_path, monkeypatch, capsys):
    check(list(command[1:]), SHOWN[command], tmp_path, monkeypatch, capsys)


def test_there_are_commands_of_all_kinds():
    assert {command[1] for command in SHOWN} == set(PROGRAMS)
    assert len(SHOWN) > 150 and len([each for each in SHOWN.values() if not each]) > 80
    assert len({command[0] for command in SHOWN}) > 20


WRONG = [
    "pylstm retrain text",
    "pylstm train text --minuts 3",
    "python -P benchmarks/jbos.py",
    "python -P benchmarks/jobs.py --task text",
    "python -P benchmarks/jobs.py --threads 0",
    "python tools/mutants.py --onyl x",
    "pip install '.[dosc]'",
    "pip install pylstm",
    "pip install . -Csetup-args=-Dcheked=true",
    "pytest -m serail",
    "pytest tests/test_nothing.py",
    "asv run --quikc",
    "asv run -b bench_nothing",
    "sphinx-build -b html nowhere built",
]


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_is_found(line, tmp_path, monkeypatch, capsys):
    """Each of them in a block."""
    (words,) = commands_of(line)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check(words, False, tmp_path, monkeypatch, capsys)


def test_what_a_command_is():
    block = "$ pylstm train text --seed 1 \\\n    --save a  # to a file\nloss 1.0\nA=1 pytest  # all\n"
    assert commands_of(block) == [["pylstm", "train", "text", "--seed", "1", "--save", "a"], ["pytest"]]
    assert commands_of("pip install '.[docs]' && sphinx-build docs out")[1] == ["sphinx-build", "docs", "out"]
    assert commands_of("pylstm check a.py:A      every derivative") == [["pylstm", "check", "a.py:A"]]
    assert commands_of("pylstm predict a > b.csv") == [["pylstm", "predict", "a"]]
