"""What notebooks show of layers, models and runs: `_repr_html_`."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import pylstm
from pylstm.models import ClassifyModel


class Cells(HTMLParser):
    """Rows of the tables of a page, texts only; tags must close in their order."""

    def __init__(self):
        super().__init__()
        self.open, self.rows = [], []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def rows(shown):
    found = Cells()
    found.feed(shown._repr_html_())
    assert not found.open
    return found.rows


def test_a_layer_shows_its_parameters():
    layer = pylstm.LSTM(3, 8)
    layer.params.freeze("bias")
    assert rows(layer) == [
        ["layer", "output shape", "parameters", ""],
        ["LSTM(3, 8, dtype='float32')", "(T, B, 8)", "384", ""],
        ["\u2003weight_x", "(32, 3)", "96", ""],
        ["\u2003weight_h", "(32, 8)", "256", ""],
        ["\u2003bias", "(32,)", "32", "frozen"],
        ["384 parameters (352 trained), 1,536 bytes"],
    ]
    assert "<code>LSTM(3, 8, dtype=&#x27;float32&#x27;)</code>" in layer._repr_html_()


def test_a_model_shows_its_layers():
    model = pylstm.SequenceModel("gru", 3, 4, 2, num_layers=2, seed=0)
    found = rows(model)
    assert [row[:3] for row in found[1:-1] if row[0][0] != "\u2003"] == [
        ["SequenceModel", "(N, 2)", "222"],
        ["layer: Stack", "(N, T, 4)", "212"],
        ["layer.0: GRU(3, 4, dtype='float32')", "(N, T, 4)", "100"],
        ["layer.1: GRU(4, 4, dtype='float32')", "(N, T, 4)", "112"],
        ["read: last", "(N, 4)", ""],
        ["head: Linear(4, 2, dtype='float32')", "(N, 2)", "10"],
    ]
    assert found[-1] == [model.summary().splitlines()[-1]]
    assert sum(int(row[2]) for row in found[1:] if row[0][0] == "\u2003") == sum(p.size for p in model.params) == 222


def test_a_model_that_is_not_fitted():
    assert rows(ClassifyModel(["a", "b"], "gru", 4))[1:] == [["not fitted: no parameters yet"]]


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_run_shows_its_arrays(batch_first):
    x = np.random.default_rng(0).normal(size=(5, 2, 3))
    layer = pylstm.GRU(3, 4, dtype="float64", seed=0, batch_first=batch_first)
    run = layer(np.ascontiguousarray(x.swapaxes(0, 1)) if batch_first else x, lengths=np.array([2, 5]))
    found = {row[0]: row[1:] for row in rows(run)}
    assert list(found) == ["array", "y", *(f"gates['{k}']" for k in "rzmn"), "states['h']"]
    r = run.gates["r"].swapaxes(0, 1) if batch_first else run.gates["r"]
    inside = np.concatenate([r[:2, 0], r[:, 1]])
    shape = str((2, 5, 4) if batch_first else (5, 2, 4))
    numbers = (inside.min(), inside.mean(), inside.max())
    assert found["gates['r']"] == [shape, *(f"{each:.4g}" for each in numbers), "0"]
    assert found["gates['r']"][1] != "0"  # of the steps after the end
    assert float(found["y"][2]) != run.y.mean()


def test_values_that_are_not_finite_are_counted():
    run = pylstm.LSTM(1, 2, dtype="float64", seed=0)(np.array([[1.0], [np.nan], [1.0]]))
    found = {row[0]: row[1:] for row in rows(run)}
    assert found["y"][-1] == "4" and np.isfinite(float(found["y"][1])) and found["states['c']"][-1] == "4"


def test_runs_of_several_layers_and_without_a_tape():
    x = np.ones((5, 2, 3), "float32")
    stack = pylstm.LSTM(3, 4, num_layers=2, bidirectional=True, seed=0)
    headings = [row[0] for row in rows(stack(x)) if len(row) == 1]
    assert [re.match(r"[\w.\[\]]+", each)[0] for each in headings] == [
        f"layers[{k}].layers[{j}]" for k in (0, 1) for j in (0, 1)
    ]
    layer = pylstm.LSTM(3, 4, seed=0)
    for run in (layer(x, tape=False), layer(np.ones((5000, 2, 3), "float32"), checkpoint="sqrt")):
        assert [row[0] for row in rows(run)] == ["array", "y", "final['h']", "final['c']"]
    assert len(rows(layer(x[:0]))) == 8


def test_statistics_of_a_large_run_are_left_out(monkeypatch):
    from pylstm.layers.runs import shown

    run = pylstm.LSTM(3, 4, seed=0)(np.ones((5, 2, 3), "float32"))
    monkeypatch.setattr(shown, "MOST", 39)
    assert rows(run)[1] == ["y", "(5, 2, 4)", "", "", "", ""]
    monkeypatch.setattr(shown, "MOST", 40)
    assert rows(run)[1][2] != ""
