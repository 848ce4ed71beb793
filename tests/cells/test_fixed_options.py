"""Options of a cell are set once, and a formula that loops over one has an end."""

import copy
import json
import pickle

import pytest

import pylstm
from pylstm.cells import Cell, tanh
from sample_cells import Leaky


@pytest.mark.parametrize(
    "change",
    [
        lambda options: options.update(rate=9.0),
        lambda options: options.__setitem__("rate", 9.0),
        lambda options: options.__delitem__("rate"),
        lambda options: options.__ior__({"rate": 9.0}),
        lambda options: options.setdefault("other", 1.0),
        lambda options: options.pop("rate"),
        lambda options: options.popitem(),
        lambda options: options.clear(),
    ],
)
def test_the_options_of_a_cell_cannot_be_changed(change):
    layer = pylstm.Recurrent(Leaky, 3, 5, rate=0.25)
    for options in (Leaky.options, layer.cell.options, layer.cell.contract.options, pylstm.Cell.options):
        before = dict(options)
        with pytest.raises(TypeError, match=r"the options of a cell cannot be changed: .*with_options"):
            change(options)
        assert options == before and repr(options) == repr(before)
    assert "rate=0.25" in repr(layer)


def test_options_of_a_cell_are_copied_as_they_are_and_do_not_follow_the_dict_that_was_given():
    given = {"rate": 0.5}
    cell = type(Cell)("Given", (Leaky,), {"options": given})
    given["rate"] = 3.0
    assert cell.options == {"rate": 0.5}
    for other in (copy.deepcopy(cell.options), pickle.loads(pickle.dumps(cell.options)), copy.copy(cell.options)):
        assert other == cell.options
        with pytest.raises(TypeError):
            other["rate"] = 1.0
    assert json.loads(json.dumps(cell.options)) == {"rate": 0.5} and cell.options | {"rate": 1.0} == {"rate": 1.0}


@pytest.mark.parametrize("rounds", [600, 10**6])
@pytest.mark.parametrize("step", ["h + 0.1 * tanh(z.a * h)", "h + 0.1 * (z.a - h)", "h * 1.5 + 3"])
def test_a_formula_with_a_long_loop_is_refused_early(rounds, step):
    names, taken = {"tanh": tanh}, []
    exec(
        "def forward(z, prev, o):\n    h = prev.h\n    for _ in range(o.n):\n        taken.append(1)\n"
        f"        h = {step}\n    return {{'h': h + 0 * z.a}}\n",
        names | {"taken": taken},
        names,
    )
    names["forward"].__globals__["taken"] = taken
    body = {"states": ("h",), "gates": {"a": "x+h"}, "options": {"n": 3}, "forward": names["forward"]}
    cell = type(Cell)("Long", (Cell,), body)
    pylstm.Recurrent(cell, 3, 5)
    taken.clear()
    words = r"the formula takes more than 1000 operations: a loop in it may be long: take fewer rounds"
    with pytest.raises(TypeError, match=words):
        pylstm.Recurrent(cell, 3, 5, n=rounds)
    assert 200 <= len(taken) <= 1000
