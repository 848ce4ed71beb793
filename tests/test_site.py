"""The pages of the site: code that fits the column of a page, and tutorials that are notebooks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TUTORIALS = sorted(page for page in ROOT.glob("docs/tutorials/*.md") if page.stem != "index")
GENERATED = ("_build", "gallery")
PAGES = sorted(page for page in ROOT.glob("docs/**/*.md") if not set(GENERATED) & set(page.parts))
COLUMNS = 88
"""Of code, beside both columns of navigation at 1440 pixels."""
BLOCK = re.compile(r"^```(python|\{code-cell\}|cython|c|meson|toml|bash|sh|console)\b[^\n]*\n(.*?)^```$", re.M | re.S)
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n((?:^:[^\n]*\n)*)\n?(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_code_is_not_cut(page):
    lines = [line for _, code in BLOCK.findall(page.read_text()) for line in code.splitlines()]
    assert [line for line in lines if len(line) > COLUMNS and not line.startswith(":")] == []


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_is_a_notebook(page):
    """The same cells in the page and in the notebook, which the build writes from it; no other block of Python."""
    jupytext = pytest.importorskip("jupytext")
    text = page.read_text()
    notebook = jupytext.reads(text, fmt="md:myst")
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert cells == [code.rstrip("\n") for _, code in CELL.findall(text)]
    assert len(cells) > 3 and not re.search(r"^```python\n", text, re.M)
    assert notebook.metadata.kernelspec.name == "python3"
    assert all(not cell.get("outputs") for cell in notebook.cells)
    alts = [cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "") for cell in notebook.cells]
    assert sum(map(bool, alts)) == len(re.findall(r"^:mystnb: ", text, re.M)) > 0  # plots that the page describes


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_plot_is_described(page):
    """A cell that draws says in its options what is to be seen."""
    drawing = re.compile(r"^(?:figure|axes|ax)\b.* = (?:plt\.|plot_)", re.M)
    cells = CELL.findall(page.read_text())
    assert [code for options, code in cells if drawing.search(code) and "alt:" not in options] == []
    assert any(drawing.search(code) for _, code in cells)
