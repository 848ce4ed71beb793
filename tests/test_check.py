"""``pylstm check``: what it prints and how it exits."""

from __future__ import annotations

import json

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
