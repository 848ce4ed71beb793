"""``pylstm derive``: every format, of registered cells and of the user's own."""

from __future__ import annotations

import math
import re

import pytest

from pylstm import cli
from pylstm.cells import LSTM, Cell, tanh
from pylstm.cells.formula import derive
from pylstm.cells.formula.emission import latex, markdown

FILE = """
from pylstm.cells import Cell, sigmoid, tanh

class Peephole(Cell):
    states = ("h", "c")
    gates = dict(i="x+h", f="x+h", g="x+h", o="x+h")
    params = ("p_o",)
    reference = "Gers & Schmidhuber (2000)"

    def forward(z, prev, p):
        i, f = sigmoid(z.i), sigmoid(z.f)
        c = f * prev.c + i * tanh(z.g)
        o = sigmoid(z.o + p.p_o * c)
        return dict(h=o * tanh(c), c=c)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def printed(capsys, *args):
    assert cli.main(["derive", *args]) == 0
    return capsys.readouterr().out


def test_markdown_is_the_default(file, capsys):
    page = printed(capsys, f"{file}:Peephole")
    headings = re.findall(r"^#+ (.*)$", page, re.M)
    assert headings == [
        "peephole",
        "Forward",
        "Local derivatives",
        "Cotangents",
        "Back-propagation through time",
        "Tape",
        "Operations",
        "NumPy twin",
    ]
    assert "Gers & Schmidhuber (2000)" in page
    assert r"o_{t} &= \sigma\left(z_{o,t} + p_{o} \, c_{t}\right)" in page
    assert r"\frac{\partial h_{t}}{\partial o_{t}} &= \tanh c_{t}" in page
    assert r"\overline{dc_{t-1}} &= \delta c_{t} \, f_{t}" in page
    assert "| kept tanh_c |" in page
    assert "7 values per unit and step" in page
    assert "| sigmoid | 3 | 0 |" in page
    assert page.count("$$") % 2 == 0


def test_recursion_of_the_lstm():
    pairs = dict(latex.recursion(LSTM.contract, derive(LSTM)))
    assert pairs["dh_{t-1}"] == (
        r"\frac{\partial L}{\partial h_{t-1}} + U_{i}^\top dz_{i,t} + U_{f}^\top dz_{f,t}"
        r" + U_{g}^\top dz_{g,t} + U_{o}^\top dz_{o,t}"
    )
    assert pairs["dc_{t-1}"] == r"\overline{dc_{t-1}}"
    assert pairs["dU_{f}"] == r"\textstyle\sum_t dz_{f,t} \, h_{t-1}^\top"
    assert pairs["db_{o}"] == r"\textstyle\sum_t dz_{o,t}"


def test_local_derivatives_of_the_lstm():
    pairs = dict(latex.local_derivatives(derive(LSTM).stages[""]))
    assert pairs[r"\frac{\partial c_{t}}{\partial c_{t-1}}"] == "f_{t}"
    assert pairs[r"\frac{\partial c_{t}}{\partial z_{f,t}}"] == r"c_{t-1} \, f_{t} (1 - f_{t})"
    assert pairs[r"\frac{\partial h_{t}}{\partial z_{o,t}}"] == r"\tanh c_{t} \, o_{t} (1 - o_{t})"
    assert r"\frac{\partial c_{t}}{\partial z_{o,t}}" not in pairs


def test_a_fraction_of_two_thirds():
    class Thirds(Cell):
        """A cell."""

        states, gates = ("h",), {"a": "x+h"}

        def forward(z):
            return dict(h=tanh(2 / 3 * z.a) - 0.010000000000000002 * z.a - math.pi)

    text = str(dict(latex.forward_equations(derive(Thirds).stages[""])).values()).replace("\\\\", "\\")
    assert all(each in text for each in (r"\tfrac{2}{3} \, z_{a,t}", r"0.01 \, z_{a,t}", str(math.pi))), text


@pytest.mark.parametrize(
    "kind, words",
    [
        ("latex", ["% Forward", r"\begin{aligned}", "% Back-propagation through time"]),
        ("numpy", ["def forward(z, prev, p):", "def backward(d, y, prev, p):"]),
        ("cython", ["from pylstm.kernel cimport", "peephole = publish(&cell)"]),
        ("c", ['#include "pylstm/math.h"', "const pylstm_cell pylstm_cell_peephole"]),
    ],
)
def test_formats(file, capsys, kind, words):
    text = printed(capsys, f"{file}:Peephole", "--format", kind)
    for word in words:
        assert word in text
    assert all(len(line) <= 120 for line in text.splitlines()) or kind == "latex"


def test_registered_cells_and_modules(capsys):
    assert (
        printed(capsys, "lstm")
        == printed(capsys, "pylstm.cells:LSTM")
        == markdown.derivation_page(derive(LSTM), reference=LSTM.reference)
    )
    assert "## Stage `reset`" in printed(capsys, "gru_reset_before")


def test_unknown_class(file, capsys):
    assert cli.main(["derive", f"{file}:Peepole"]) == 2
    assert "(cells:" in capsys.readouterr().err


def test_a_file_of_several_cells_needs_a_name(file, capsys):
    """As for every command that takes one cell."""
    assert cli.main(["derive", str(file)]) == 0
    file.write_text(file.read_text() + "\n\nclass Another(Peephole):\n    pass\n")
    assert cli.main(["derive", str(file)]) == 2
    assert "several cells, Peephole, Another: pass" in capsys.readouterr().err


@pytest.mark.parametrize("to", ["latex", "markdown", "numpy", "c", "cython"])
def test_a_variable_of_no_letters_is_no_name(to, tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(
        FILE.replace(
            "i, f = sigmoid(z.i), sigmoid(z.f)",
            "i, _, __ = sigmoid(z.i), z.f * 2, sigmoid(z.f)\n        f = _ * __ + __",
        )
    )
    for cell in (f"{path}:Peephole", "rwkv4"):
        text = printed(capsys, cell, "--format", to)
        assert r"\mathit{}" not in text and not re.search(r"\\partial *_|(?<![\w.])_+ *[=*+]", text)
