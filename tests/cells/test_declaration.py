"""A misspelt attribute or hook of a cell, and one of another kind, is refused when the class is made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import pylstm
from pylstm import Recurrent
from pylstm.cells import Cell, Stage, certify, tanh


def forward(z):
    return {"h": tanh(z.a)}


def backward(d, y):
    return {"a": d.h}


GOOD = {"states": ("h",), "gates": {"a": "x+h"}, "forward": staticmethod(forward)}
TWO = {"gates": {"a": "x+h", "b": "x+h+m"}, "stages": (Stage("mix", ("a",), ("m",)), Stage("update", ("b",)))}
TWO |= {
    "states": ("h",),
    "forward_mix": staticmethod(lambda z: {"m": tanh(z.a)}),
    "forward_update": staticmethod(lambda z: {"h": tanh(z.b)}),
}


def declare(bases=(Cell,), **body):
    return type("Spike", bases, body)


HOOK, NAMES, NUMBERS = staticmethod(backward), ("w",), {"dt": 1}
MISSPELT = {
    "backwards": ("backward", HOOK), "backwart": ("backward", HOOK), "Backward": ("backward", HOOK),
    "forwart": ("forward", HOOK), "forwards": ("forward", HOOK), "initial_value": ("initial_values", {"bias": 1.0}),
    "init_values": ("initial_values", {"bias": 1.0}), "initialvalues": ("initial_values", {"bias": 1.0}),
    "param": ("params", NAMES), "params_": ("params", NAMES), "domains": ("domain", {"dt": (0, 1)}),
    "gate": ("gates", {"a": "x+h"}), "state": ("states", ("h",)), "biassed": ("biased", ["a"]),
    "kernels": ("kernel", "mine._mine:kernel"), "outputs": ("output", "h"), "option": ("options", NUMBERS),
    "width": ("widths", NUMBERS), "size": ("sizes", NUMBERS), "stage": ("stages", (Stage("one", ("a",)),)),
    "keeps": ("keep", NAMES), "elementwize": ("elementwise", True),
}  # fmt: skip


@pytest.mark.parametrize("name", MISSPELT)
@pytest.mark.parametrize("mixed_in", [False, True])
def test_a_misspelt_attribute(name, mixed_in):
    right, value = MISSPELT[name]
    body = {each: GOOD[each] for each in GOOD if each != right}
    with pytest.raises(TypeError, match=rf"^cell 'spike': unknown attribute '{name}': did you mean {right}\?"):
        declare((type("Mixin", (), {name: value}), Cell), **body) if mixed_in else declare(**body, **{name: value})


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_a_hook_of_a_cell_without_stages(name):
    with pytest.raises(
        TypeError, match=rf"unknown attribute '{name}': the hooks of this cell are forward_mix, forward_"
    ):
        declare(**TWO, **{name: HOOK})


def test_a_misspelt_hook_of_a_stage():
    with pytest.raises(TypeError, match=r"unknown attribute 'backward_mx': did you mean backward_mix\?"):
        declare(**TWO, backward_mx=HOOK)
    body = {name: value for name, value in TWO.items() if name != "forward_update"}
    with pytest.raises(TypeError, match=r"unknown attribute 'forward_updat': did you mean forward_update\?"):
        declare(**body, forward_updat=HOOK)


class Constants:
    """Of a base, near those of `Cell` and of its hooks."""

    size, state, width, gate, outputs, n_gates, param = 3, "solid", 2.0, "a", 4, 1, 0.5
    forward_gain, backward_step, option, stage, keeps, domains = 2.0, 0.1, None, 1, 3, [0, 1]


@dataclasses.dataclass
class Fields:
    size: int = 3
    states_: int = 2
    forward_gain: float = 0.5


OWN = {
    "constants": vars(Constants) | {"__dict__": None},
    "functions": {
        name: HOOK for name in ("backward_step", "forward_gain", "forward_last", "gate", "state", "sizes_of")
    },
    "with the right ones beside": {"state": ("a", "b"), "gate": {"b": "x"}, "forwards": HOOK},
}


@pytest.mark.parametrize("names", OWN)
def test_names_of_a_cell_near_those_of_cells(names):
    body = {name: value for name, value in OWN[names].items() if not name.startswith("__")}
    for made in (declare(**GOOD, **body), declare((type("Mixin", (), body), Cell), **GOOD)):
        assert made.contract.gates == ("a",) and certify(made).ok
        assert all(getattr(made, name) == getattr(type("Mine", (), body), name) for name in body)
    assert declare(**TWO, **body).contract.states == ("h",)


def test_fields_of_a_dataclass_mixed_in():
    made = declare((Fields, Cell), **GOOD)
    assert (made.size, made.states_, made.forward_gain) == (3, 2, 0.5) and made.contract.states == ("h",)


def test_a_base_class_of_cells():
    """It declares nothing that is computed."""
    base = declare(size=3, state="solid", helper=staticmethod(len), reference="Someone")
    further = declare((base,), width=2)
    made = declare((further,), **GOOD)
    assert (made.size, made.width, made.contract.states) == (3, 2, ("h",)) and certify(made).ok
    for use in (certify, lambda cell: Recurrent(cell, 2, 3), pylstm.register):
        with pytest.raises(
            TypeError, match="cell 'spike' declares no states: it is a base class, derive cells from it"
        ):
            use(further)


def test_what_a_cell_may_have_besides():
    """Names of its own; in a subclass the hooks of stages that only the parent has."""
    parent = declare(**TWO)
    child = declare((parent,), **GOOD | {"stages": ()})
    assert [stage.name for stage in child.contract.stages] == [""]
    made = declare(**GOOD, tau=0.1, helper=staticmethod(len), reference_url="", _backwards=1, Error=ValueError)
    assert made.contract.gates == ("a",)
    assert declare((made,), states=("h",)).tau == 0.1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"states": "hc"}, r"states must be a tuple of names: states = \('hc',\), got 'hc'"),
        ({"params": "rate"}, r"params must be a tuple of names: params = \('rate',\), got 'rate'"),
        ({"biased": "a"}, r"biased must be a tuple of names: biased = \('a',\)"),
        ({"aux": "u"}, r"aux must be a tuple of names"),
        ({"keep": "ab"}, r"keep must be a tuple of names"),
        ({"params": 3}, r"params must be a tuple of names: params = \(\"one\", \"two\"\), got 3"),
        ({"states": {"h": 1}}, r"states must be a tuple of names"),
        ({"stages": "mix"}, r"stages must be a tuple of Stage: .*, got 'mix'"),
        ({"stages": ("mix", "update")}, r"stages must be a tuple of Stage: .*, got \('mix', 'update'\)"),
        ({"stages": (Stage("s", "a"),)}, r"gates of stage 's' must be a tuple of names: gates = \('a',\), got 'a'"),
        ({"stages": (Stage("s", ("a",), "mn"), Stage("t"))}, r"emits of stage 's' must be a tuple of names"),
        ({"gates": "a"}, r"gates must be a dict: gates = \{\"a\": \"x\+h\"\}, got 'a'"),
        ({"gates": {"a": ("x", "h")}}, r"the sources of gate 'a' must be a str such as \"x\+h\", got \('x', 'h'\)"),
        ({"widths": ("a",)}, r"widths must be a dict"),
        ({"sizes": "memory"}, r"sizes must be a dict"),
        ({"options": ("dt",)}, r"options must be a dict"),
        ({"domain": (0, 1)}, r"domain must be a dict"),
        ({"initial_values": 3.0}, r"initial_values must be a dict"),
        ({"output": 3}, r"output must be a string, got 3"),
        ({"name": 3}, r"name must be a non-empty string, got 3"),
    ],
)
def test_a_declaration_of_another_kind(body, reason):
    with pytest.raises(TypeError, match=rf"^cell '?\w+'?: {reason}"):
        declare(**GOOD | body)


@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_is_as_good_as_a_tuple(kind):
    made = declare(**GOOD | {"states": kind(["h"]), "biased": kind(["a"]), "params": kind([])})
    assert (made.contract.states, made.contract.biased, made.contract.params) == (("h",), ("a",), ())


def test_the_check_derives_nothing():
    """A subclass of a formula inherits `keep`, which is derived when it is first read."""
    parent = declare(**GOOD)
    child = declare((parent,), params=("w",))
    assert type(vars(parent)["keep"]) is type(vars(child)["keep"]) is type(vars(parent)["contract"]) is not tuple


def many(count):
    def step(z, prev):
        return {f"h{k}": tanh(z.a) * getattr(prev, f"h{k}") for k in range(count)}

    return {"states": tuple(f"h{k}" for k in range(count)), "gates": {"a": "x+h0"}, "forward": step}


def test_long_lists_of_names_are_cut():
    """In messages of limits the first names, of what is unknown the nearest, and how many there are besides."""
    with pytest.raises(TypeError, match=r"200 states \(h0, h1, h2, h3, h4, h5, h6, h7 and 192 more\); at most 128"):
        declare(**many(200))
    with pytest.raises(TypeError, match=r"400 linear maps \(a0 of x, .* and 392 more\); at most 384"):
        declare(**many(4) | {"gates": {f"a{k}": "x+h0+h1+h2+h3" for k in range(80)}})
    with pytest.raises(TypeError, match=r"output 'h118x' is not a state \(states: h118, .* and 112 more\)"):
        declare(**many(120), output="h118x")
    layer = Recurrent(declare(**many(60)), 2, 3, certified=False)
    with pytest.raises(ValueError, match=r"initial: unknown name 'h57_' \(known: h57, .* and 52 more\)"):
        layer(np.zeros((2, 1, 2), "float32"), initial={"h57_": np.zeros((1, 3))})
    with pytest.raises(KeyError, match=r"unknown name 'hh41' \(known: h41, .* and 52 more\)"):
        layer(np.zeros((2, 1, 2), "float32")).final["hh41"]
    body = many(40) | {"forward": lambda z: {"h0": z.a}}
    with pytest.raises(TypeError, match=r"without h1, h2, h3, h4, h5, h6, h7, h8 and 31 more: the new states are h0"):
        declare(**body).contract  # noqa: B018
