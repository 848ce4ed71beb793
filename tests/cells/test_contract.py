"""What a cell must not declare, each with the words that name the cure."""

import re

import pytest

from pylstm.cells import Cell, Stage
from pylstm.cells.contracts.stages import hook_name

TWO = {"gates": {"a": "x+h", "b": "e"}, "stages": (Stage("one", ("a",), ("e",)), Stage("two", ("b",)))}
THREE = (Stage("one", ("a",), ("e",)), Stage("two", ("b",), ("f",)), Stage("three", ("c",)))
WRONG = {
    "a cell needs at least one state": {"states": ()},
    "'1h' is not a valid name": {"states": ("1h",)},
    "7 is not a valid name": {"params": (7,)},
    "the name 'h' is used twice": {"gates": {"h": "x"}},
    "the name 'p' is used twice": {"params": ("p",), "keep": ("p",)},
    "the name 'x' is the input; only aux may list it": {"params": ("x",)},
    "output 'c' is not a state (states: h)": {"output": "c"},
    "the parameter name 'bias' is taken": {"params": ("bias",)},
    "the parameter name 'weight_h' is taken": {"params": ("weight_h",)},
    "'b' in biased is not a gate": {"biased": ("b",)},
    "'m' in widths is not a block": {"widths": {"m": 3}},
    "width of 'h': unknown size 'units'; declare it in `sizes`": {"widths": {"h": "units"}},
    "gate 'b' must be declared in `gates` and owned by exactly one stage": {"stages": (Stage("", ("a", "b")),)},
    "gate 'a' must be declared in `gates` and owned": {"stages": (Stage("one", ("a",), ("e",)), Stage("two", ("a",)))},
    "gate 'b' must be declared in `gates`": TWO | {"stages": (Stage("one", ("a",), ("e",)), Stage("two"))},
    "the last stage makes the new states and cannot emit": {"stages": (Stage("", ("a",), ("e",)),)},
    "gate 'a': source 'q' is neither x, nor a state, nor emitted by a stage before its own (available: x, h)": {
        "gates": {"a": "q"}
    },
    "gate 'a': source 'e' is neither x, nor a state": TWO | {"gates": {"a": "e", "b": "e"}},
    "gate 'b': source 'f' is neither x, nor a state, nor emitted by a stage before its own (available: x, h, e)": {
        "gates": {"a": "x", "b": "f", "c": "e"},
        "stages": THREE,
    },
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_declarations_are_refused(message):
    body = {"states": ("h",), "gates": {"a": "x+h"}} | WRONG[message]
    stages = [stage.name for stage in body.get("stages", ())] or [""]
    hooks = {hook_name(way, name): lambda d: {} for way in ("forward", "backward") for name in stages}
    with pytest.raises(TypeError, match=re.escape(f"cell 'wrong': {message}")):
        type("Wrong", (Cell,), hooks | body)


def test_a_source_of_any_stage_before():
    body = {"states": ("h",), "gates": {"a": "x", "b": "e", "c": "e+f+h"}, "stages": THREE}
    assert type("Right", (Cell,), body).contract.gate_sources["c"] == ("e", "f", "h")
