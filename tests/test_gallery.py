"""The gallery is generated, one page per registered cell, and says what is true of the cell."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import pylstm
from pylstm import Cell, plugins
from pylstm.cells import LSTM

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "make_gallery.py"
spec = importlib.util.spec_from_file_location("make_gallery", SCRIPT)
make_gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_gallery)

CELLS = {entry.cell.name: entry.cell for entry in plugins.registry().entries()}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    make_gallery.write(folder, list(CELLS.values()))
    return {file.stem: file.read_text() for file in folder.iterdir()}


def test_every_cell_has_a_page_and_a_row(gallery):
    assert set(gallery) == {"index", *CELLS}
    assert len(gallery) > 110
    for name in CELLS:
        assert f"| [{name}]({name}.md) |" in gallery["index"]


@pytest.mark.parametrize("name", CELLS)
def test_a_page_is_complete(gallery, name):
    page, cell = gallery[name], CELLS[name]
    assert page.startswith(f"# {name}\n\n{cell.reference}\n\n")
    for section in (
        "Parameters",
        "Forward",
        "Local derivatives",
        "Back-propagation through time",
        "Tape",
        "Operations",
    ):
        assert f"\n## {section}\n" in page, section
    assert page.count("$$") >= 6
    assert len(cell.contract.stages) == max(1, page.count("\n## Stage `"))


@pytest.mark.parametrize("name", CELLS)
def test_the_number_of_parameters_is_that_of_a_layer(gallery, name):
    sizes = {key: 32 for key, default in CELLS[name].contract.sizes.items() if default is None}
    layer = pylstm.Recurrent(name, 32, 64, **sizes)
    (count,) = re.findall(r"^(\d+) at I = 32, H = 64", gallery[name], re.M)
    trained = layer.params.size - layer.params.constant_size
    assert int(count) == trained
    (formula,) = re.findall(r"^\| all \| \| (.*) \|$", gallery[name], re.M)
    values = {"I": 32, "H": 64, **layer.widths.sizes}
    code = re.sub(r" (?=[A-Za-z])", " * ", formula.replace("^", "**")).replace("+ *", "+")
    assert eval(code, {}, values) == trained


def test_cells_without_recurrent_product_are_told_apart(gallery):
    assert "No product inside the time loop." in gallery["mingru"]
    assert "inside the time loop, per step: 4 H^2." in gallery["lstm"]


def test_a_cell_that_is_no_formula_has_a_page_without_derivation():
    class ByHand(Cell):
        """Wants arrays."""

        states = ("h",)
        gates = {"a": "x+h"}
        reference = "nobody (2025)"

        def forward(z):
            return dict(h=np.asarray(z.a))

        def backward(d):
            return dict(a=d.h)

    page = make_gallery.page(ByHand)
    assert page.startswith("# byhand\n\nnobody (2025)\n\nWants arrays.\n\n## Parameters\n")
    assert "there is no derivation" in page
    assert make_gallery.row(ByHand).endswith("|  |  |")
    assert "there is no derivation" not in make_gallery.page(LSTM)
