"""The pages of the bundled cells: one for each cell, its example runs, its table of parameters is that of the cell."""

import doctest
import re
from pathlib import Path

import pytest
from pylstm_cifg import CIFG
from pylstm_gru import GRU, GRUResetBefore
from pylstm_lstm_linear_output import LSTMLinearOutput
from pylstm_peephole import Peephole
from pylstm_rnn import RNNLinear, RNNReLU, RNNTanh

from pylstm.cells.lstm import LSTM

FOLDER = Path(__file__).parents[2] / "docs" / "cells"
PAGES = {path.stem: path for path in sorted(FOLDER.glob("*.md")) if path.stem != "index"}
CELLS = [LSTM, RNNTanh, RNNReLU, RNNLinear, GRU, GRUResetBefore, Peephole, CIFG, LSTMLinearOutput]


def page_of(cell):
    """The page has the stem of the module that declares the cell."""
    return PAGES[cell.__module__.rpartition(".")[2]].read_text()


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_the_page_names_the_cell_and_the_rows_of_its_parameters(cell):
    page = page_of(cell)
    contract = cell.contract
    assert cell.name in page.splitlines()[0]
    expected = {f"weight_{source}": contract.gates_of(source) for source in contract.sources} | {
        "bias": contract.biased
    }
    tables = re.split(r"^## ", page, flags=re.M)
    title = f"Parameters of {cell.name}\n" if "Parameters of" in page else "Parameters\n"
    (table,) = [section for section in tables if section.startswith(title)]
    for name, gates in expected.items():
        assert re.search(rf"^\| `{name}` \| \([^)]*\) \| {', '.join(gates)} \|$", table, flags=re.M), name
    for name in contract.params:
        assert f"`{name}`" in table


@pytest.mark.parametrize("stem", PAGES)
def test_the_example_runs(stem):
    result = doctest.testfile(str(PAGES[stem]), module_relative=False)
    assert result.attempted > 0
    assert result.failed == 0
