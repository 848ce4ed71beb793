"""``pylstm check``: what it prints and how it exits."""

from __future__ import annotations

import json
import re
import sys

import pytest

from pylstm.cli import main

RIGHT = """
from pylstm.cells import Cell, tanh

class Elman(Cell):
    states = ("h",)
    gates = {"a": "x+h"}

    def forward(z):
        return dict(h=tanh(z.a))

    def backward(d, y):
        return dict(a=d.h * (1 - y.h**2))
"""
WRONG = RIGHT.replace("y.h**2", "y.h")


@pytest.fixture
def file(tmp_path):
    def write(text, name="mine.py"):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_registered_cell(capsys):
    assert main(["check", "lstm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("lstm: ok, ")
    header = lines[1].split("  ")
    assert header[0].strip() == "path" and "kernel float32" in lines[1]
    (path,) = [line for line in lines if line.startswith("d c / d gate f ")]
    numbers = [float(word) for word in path.removeprefix("d c / d gate f").split() if word != "-"]
    assert len(numbers) == 3 and max(numbers) < 1e-5  # twin, and two dtypes of the kernel


def test_a_line_for_all_that_is_not_a_local_derivative(file, capsys):
    """With the largest of their numbers; a path that is wrong keeps its line, and `--paths` shows every path."""
    assert main(["check", "lstm"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("d h / d ", "d c / d ")) for line in lines[2:14]) and len(lines) <= 17
    (others,) = [line.split() for line in lines if " others: --paths " in line]
    assert main(["check", "lstm", "--paths"]) == 0
    every = capsys.readouterr().out.splitlines()
    assert int(lines[0].split()[2]) > len(every) - 2 > 100
    named = (line.split()[-4] for line in every[2:] if not line.startswith("note") and line not in lines)
    most = max(float(number) for number in named if number not in ("-", "ok"))
    assert float(others[3]) == most > 0
    assert main(["check", file(WRONG)]) == 1
    assert re.search(r"^d h / d gate a .* wrong$", capsys.readouterr().out, re.M)


@pytest.mark.once
def test_all(capsys):
    assert main(["check", "--all"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("gru: ok") for line in lines)
    assert all(": ok, " in line or line.startswith("note: ") for line in lines)


@pytest.mark.parametrize("suffix", [":Elman", ""])
def test_a_file(file, capsys, suffix):
    assert main(["check", file(RIGHT) + suffix]) == 0
    assert "note: no kernel" in capsys.readouterr().out
    assert main(["check", file(WRONG, "other.py") + suffix]) == 1
    out = capsys.readouterr().out
    assert "elman: 1 wrong" in out and "wrong: twin: d h / d gate a: twin " in out


def test_json(file, capsys):
    assert main(["check", "--json", "pylstm.cells.lstm:LSTM", file(WRONG)]) == 1
    lstm, elman = json.loads(capsys.readouterr().out)
    assert lstm["ok"] and not elman["ok"]
    (failure,) = [path for path in elman["paths"] if path["fault"]]
    assert failure["name"] == "d h / d gate a" and failure["form"] == "twin" and failure["error"] > 0.01


@pytest.mark.parametrize(
    "name, text",
    [
        ("lstn", "did you mean"),
        ("nowhere.at.all:Cell", "module 'nowhere.at.all' does not exist"),
        ("pylstm.cells.lstm:Lstm", "(cells: LSTM)"),
        ("pylstm.cells.lstm:tanh", "not a subclass"),
        ("missing.py:Elman", "file missing.py does not exist"),
    ],
)
def test_what_is_not_there(name, text, capsys):
    assert main(["check", name]) == 2
    assert text in capsys.readouterr().err


def test_a_file_without_cells_and_nothing_at_all(file, capsys):
    assert main(["check", file("x = 1", "empty.py")]) == 2
    assert main(["check"]) == 2
    assert "nothing to check" in capsys.readouterr().err


BROKEN = {
    "a syntax error": ("x = 1\ndef forward(:\n", "line 2: SyntaxError: invalid syntax"),
    "not utf-8": (b"x = '\xff'\n", "SyntaxError: (unicode error) 'utf-8' codec can't decode"),
    "a division by zero": (
        RIGHT + "\n\ndef f():\n    return 1 / 0\n\nf()",
        "line 16: ZeroDivisionError: division by zero",
    ),
    "a key": ("{}['a']", "line 1: KeyError: 'a'"),
    "a module that does not exist": ("\nimport nonexist", "line 2: ModuleNotFoundError: No module named 'nonexist'"),
    "a failed assertion": ("assert 1 == 2", "line 1: AssertionError"),
    "an exit": ("import sys\nsys.exit(5)", "line 2: SystemExit: 5"),
    "another library": ("import json\n\njson.loads('{')", "line 3: JSONDecodeError: Expecting property name"),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("command", ["check", "derive", "check module"])
def test_what_a_file_raises_is_one_line_with_its_place(tmp_path, monkeypatch, capsys, name, command):
    text, words = BROKEN[name]
    path = tmp_path / f"broken_{len(name)}.py"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    shown = str(path)
    if command == "check module":
        monkeypatch.syspath_prepend(str(tmp_path))
        shown = path.stem
    argv = [command.split()[0], f"{shown}:Elman" if command == "check module" else shown]
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1
    assert err.startswith(f"pylstm: error: {shown} cannot be imported: ") and words in err
    assert path.stem not in sys.modules
    with pytest.raises(ImportError) as caught:
        main(["--traceback", *argv])
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("command", ["check {}", "derive {}", "new-cell made --from {}", "compare {} --task adding"])
def test_what_a_formula_raises_is_one_line_with_its_place(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "raising.py"
    path.write_text(RIGHT.partition("    def backward")[0].replace("tanh(z.a)", "numpy.tanh(z.a)"))
    assert main(command.format(f"{path}:Elman").split()) == 2
    out, err = capsys.readouterr()
    assert not out and err.count("\n") == 1
    assert re.match(rf"pylstm: error: {path}:\d+: Elman.forward: the formula raises NameError: name 'numpy'", err)


def test_a_syntax_error_elsewhere_is_not_said_to_be_here(file, monkeypatch, capsys, tmp_path):
    monkeypatch.syspath_prepend(str(tmp_path))
    file("\n\n\nx = (", "helper_that_breaks.py")
    assert main(["check", file("\nimport helper_that_breaks", "user.py")]) == 2
    assert "line 2: SyntaxError: '(' was never closed (helper_that_breaks.py, line 4)" in capsys.readouterr().err


def test_derive_takes_a_bare_file(file, capsys):
    formula = RIGHT.split("    def backward")[0]
    assert main(["derive", file(formula, "formula.py")]) == 0
    assert "elman" in capsys.readouterr().out.lower()
