"""The gallery is generated, one page per registered cell, and says what is true of the cell."""

from __future__ import annotations

import html
import importlib.util
import re
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import pylstm
from pylstm import Cell, plugins
from pylstm.cells import LSTM

SCRIPT = Path(__file__).resolve().parents[1] / "docs" / "make_gallery.py"
spec = importlib.util.spec_from_file_location("make_gallery", SCRIPT)
make_gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_gallery)

flow, flow_picture, flow_rows = (sys.modules[name] for name in ("flow", "flow_picture", "flow_rows"))

CELLS = {entry.cell.name: entry.cell for entry in plugins.registry().entries()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    make_gallery.write(folder, list(CELLS.values()))
    return folder


@pytest.fixture(scope="module")
def gallery(folder):
    return {file.stem: file.read_text() for file in folder.glob("*.md")}


def test_every_cell_has_a_page_and_a_row(gallery):
    assert set(gallery) == {"index", *CELLS}
    assert len(gallery) > 110
    for name in CELLS:
        assert f"| [{name}]({name}.md) |" in gallery["index"]


def test_families_and_times(gallery):
    """Each cell stands in the table of its family, with the time that was measured, which no cell lacks."""
    ratios = make_gallery.speeds()["ratios"]
    assert set(ratios) == set(CELLS) and ratios["lstm"] == 1
    tables = dict(re.findall(r"^\(family-(\w+)\)=\n## .*\n\n((?:\|.*\n)+)", gallery["index"], re.M))
    assert set(tables) == {make_gallery.family(cell) for cell in CELLS.values()} == set(make_gallery.families())
    for name, cell in CELLS.items():
        (row,) = re.findall(rf"^\| \[{name}\].* \|$", tables[make_gallery.family(cell)], re.M)
        assert (
            row.startswith(f"| [{name}]({name}.md) | {'1' if name == 'lstm' else f'{ratios[name]:.2f}'} | ")
            and len(re.findall(r"(?<!\\)\|", row)) == 10
        )
        assert html.unescape(re.search(r'<span data-words="([^"]*)"></span> \| \d', row)[1]) == cell.reference
        assert (f"Training takes {ratios[name]:.2f} of the time" in gallery[name]) == (name != "lstm")


def test_no_role_of_a_docstring_is_left(gallery):
    for name, page in gallery.items():
        assert not re.search(r":[a-z:]+:`", page), name


@pytest.mark.parametrize(
    ("reference", "short"),
    [
        ("Greff, Koutník, Steunebrink & Schmidhuber (2015), LSTM", "Greff et al. (2015)"),
        ("Balduzzi & Ghifary (2016), Strongly-typed", "Balduzzi & Ghifary (2016)"),
        ("Jordan (1986), Serial order", "Jordan (1986)"),
        ("De Brouwer et al. (2019), GRU-ODE", "De Brouwer et al. (2019)"),
        ("a notebook", "a notebook"),
    ],
)
def test_a_source_is_short(reference, short):
    class Sourced(Cell):
        """A cell."""

        states, gates = ("h",), {"a": "x+h"}

        def forward(z):
            return dict(h=z.a)

    Sourced.reference = reference
    assert make_gallery.source(Sourced) == short


@pytest.mark.parametrize("name", CELLS)
def test_a_layer_as_the_page_makes_it(gallery, name):
    (code,) = re.findall(r"^```python\n(.*)\n```$", gallery[name], re.M)
    assert eval(code.removeprefix("layer = "), {"pylstm": pylstm}).cell is CELLS[name]


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
    nested = r"\{(?:[^{}]|\{[^{}]*\})*\}"
    assert not re.search(rf"\^{nested}(?:_{nested})?\^", page), "a second exponent, which TeX refuses"
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
    assert page.startswith("# byhand\n\nnobody (2025)\n\nWants arrays.\n\nFamily: ")
    assert "\n\n![Data flow of one step of byhand: " in page and "Training takes" not in page
    assert "there is no derivation" in page
    assert [box.text for box in make_gallery.flow(ByHand)][-1] == "h = forward(a)"
    row, words = make_gallery.row(ByHand), '<span data-words="nobody (2025)"></span>'
    assert row.startswith(f"| [byhand](byhand.md) |  | Wants arrays. | nobody (2025){words} | 1 | ")
    assert make_gallery.row(ByHand).endswith(" |  | h | a |")
    assert "there is no derivation" not in make_gallery.page(LSTM)


SVG = "{http://www.w3.org/2000/svg}"
EQUATIONS = {
    "lstm": {
        "i = σ(W x + U h_{t−1} + b)", "f = σ(W x + U h_{t−1} + b)", "g = tanh(W x + U h_{t−1} + b)",
        "o = σ(W x + U h_{t−1} + b)", "c = f c_{t−1} + i g", "h = o tanh(c)",
    },
    "mlstm": {"S = f_{value} S_{t−1} + k ⊗ v", "least = max(|sum(n q)|, exp(−m))", "h = o (qᵀ S) / least"},
    "dilated_gru": {"m = U h_{t−4} + b", "h = (1 − u) h_{t−4} + u n"},
    "lif": {
        "i = W x + U s_{t−1}", "v = 0.95 v_{t−1} + i − s_{t−1}",
        "s = (1 if v − 1 > 0 else (0 if v − 1 ≤ 0 else v − 1))",
    },
    "s5": {"y = W x + U s_{re} + U s_{im}", "re = s_{re}"},
    "on_lstm": {"I = 1 − cumsum(master_{i})", "c = (f w + F − w) c_{t−1} + (i w + I − w) g"},
    "rwkv7": {"deviation = sqrt(sum(read^{2}) / value + 1e−05 value)", "w = σ(U d_{new} + b)"},
}  # fmt: skip


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations_of_a_picture(name):
    found = {box.text for box in make_gallery.flow(CELLS[name])}
    assert EQUATIONS[name] <= found
    assert name != "lstm" or found == EQUATIONS[name] | {"x", "h_{t−1}", "c_{t−1}"}


@pytest.mark.parametrize("name", CELLS)
def test_a_picture_is_whole(folder, gallery, name):
    """States and gates are there, what an equation names goes into its box, and the page says what is to be seen."""
    contract, boxes = CELLS[name].contract, make_gallery.flow(CELLS[name])
    names = {part: box for box in boxes for part in box.name.split(" = ")}
    states = [state for state in contract.states if state not in flow.lagged(contract)]
    for state in states:
        assert names[flow.shown(state)].kind == flow.STATE and names[flow.shown(state)].equation
    by_key = {box.key: box for box in boxes}
    assert len(by_key) == len(boxes)
    used = {key for box in boxes for key in box.sources}
    assert used <= set(by_key) and "x.x" in used
    for box in boxes:
        for key in box.sources:
            assert any(part in box.equation for part in by_key[key].name.split(" = ")), (box.text, by_key[key].name)
        assert box.key in used or box.kind == flow.STATE, f"nothing needs {box.text}"
    root = ElementTree.parse(folder / f"{name}.svg").getroot()
    assert root.find(f"{SVG}title").text == f"{name}: data flow of one step"
    (alternative,) = re.findall(rf"^!\[(.*)\]\({name}\.svg\)$", gallery[name], re.M)
    assert alternative.startswith(f"Data flow of one step of {name}: from x")
    assert all(flow_picture.plain(flow.shown(state)) in alternative for state in states)
    written = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    assert flow_picture.plain(boxes[0].text) in written and "states" in written
    assert "prefers-color-scheme: dark" in root.find(f"{SVG}style").text


@pytest.mark.parametrize("name", CELLS)
def test_boxes_do_not_touch_and_lines_go_down(name):
    boxes = make_gallery.flow(CELLS[name])
    rows = flow_rows.arrange(boxes, {box.key: (8.0 * len(box.text), 28.0) for box in boxes})
    assert sorted(place.box.key for row in rows for place in row if place.box) == sorted(box.key for box in boxes)
    for row in rows:
        for left, right in pairwise(row):
            assert right.x - right.width / 2 - left.x - left.width / 2 > flow_rows.ACROSS - 1e-6
        for place in row:
            assert all(each.row == place.row + 1 and each.y > place.y for each in place.below)
    lines = sum(len(place.above) for row in rows for place in row if place.box)
    assert lines == sum(len(box.sources) for box in boxes)


def test_text_stays_in_its_box():
    long = "u = " + " + ".join(f"gate_{{{n}}} (state_{{t−1}} − 1)^{{2}}" for n in range(9))
    lines = flow_picture.lines_of(long)
    assert len(lines) > 4 and " ".join(lines).replace("\u2003", "") == long
    assert max(flow_picture.width(line) for line in lines) <= (flow_picture.LONGEST + 2) * flow_picture.LETTER
    assert flow_picture.width("h_{t−1}") < 4 * flow_picture.LETTER


def test_long_formulas_are_folded(gallery):
    """Nothing is lost or changed, cases stay whole, and what has a sign or a product outside of brackets fits."""
    folds = sys.modules["folds"]
    line = (
        r"  \mathit{dh}_{t} &= a_{t} \, b_{t} + \mathit{keep1}_{t} \, \mathit{keep2}_{t} - (c_{t} - d_{t} \, e_{t}) \\"
    )
    made = folds.folded(line, 20)
    assert len(made.splitlines()) == 3 and made.endswith(r" \\")
    assert re.sub(r" \\\\\n  &\\quad ", " ", made) == line
    assert folds.folded(r"  h_{t} &= o_{t} \, c_{t} \\") == r"  h_{t} &= o_{t} \, c_{t} \\"
    cases = r"  \mathit{longer}_{t} &= \begin{cases} a + b & \mathit{cond}_{t} > 0 \\ c - d & \text{else} \end{cases}"
    assert folds.folded(cases, 10) == cases
    product = folds.folded(r"  d &= -(a_{t} \, b_{t} \, c_{t})", 5)
    assert product.splitlines()[0] == r"  d &= -(a_{t} \\" and product.splitlines()[-1] == r"  &\quad \cdot c_{t})"
    wide = [each for page in gallery.values() for each in page.splitlines() if "&=" in each or r"&\quad" in each]
    assert len(wide) > 3000 and sum(folds.letters(each) > 45 for each in wide) < 0.03 * len(wide)
