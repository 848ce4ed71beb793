"""A misspelt attribute or hook of a cell, and one of another kind, is refused when the class is made."""

from __future__ import annotations

import pytest

from pylstm.cells import Cell, Stage, tanh


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


MISSPELT = {
    "backwards": "backward", "backwart": "backward", "backward_pass": "backward", "Backward": "backward",
    "forwart": "forward", "forwards": "forward", "initial_value": "initial_values", "init_values": "initial_values",
    "initialvalues": "initial_values", "param": "params", "params_": "params", "domains": "domain", "gate": "gates",
    "state": "states", "biassed": "biased", "kernels": "kernel", "outputs": "output", "option": "options",
    "width": "widths", "size": "sizes", "stage": "stages", "keeps": "keep", "elementwize": "elementwise",
}  # fmt: skip


@pytest.mark.parametrize("name", MISSPELT)
@pytest.mark.parametrize("mixed_in", [False, True])
def test_a_misspelt_attribute(name, mixed_in):
    value = staticmethod(backward) if "ward" in name else ("w",)
    with pytest.raises(TypeError, match=rf"^cell 'spike': unknown attribute '{name}': ") as caught:
        declare((type("Mixin", (), {name: value}), Cell), **GOOD) if mixed_in else declare(**GOOD, **{name: value})
    hint = "the hooks of this cell are forward, backward" if name == "backward_pass" else "did you mean"
    assert hint in str(caught.value) and MISSPELT[name] in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("backward_mx", "did you mean backward_mix?"),
        ("backward_last", "the hooks of this cell are forward_mix, forward_update, backward_mix, backward_update"),
        ("forward", "the hooks of this cell are forward_mix, forward_update"),
        ("backward", "the hooks of this cell are forward_mix, forward_update"),
        ("forward_updat", "did you mean forward_update?"),
    ],
)
def test_a_hook_of_a_stage_that_does_not_exist(name, hint):
    with pytest.raises(TypeError, match=rf"^cell 'spike': unknown attribute '{name}': ") as caught:
        declare(**TWO, **{name: staticmethod(backward)})
    assert hint in str(caught.value)


def test_a_hook_of_a_stage_in_a_cell_without_stages():
    with pytest.raises(TypeError, match=r"unknown attribute 'backward_mix': .*\(begin the name .* with _\)"):
        declare(**GOOD, backward_mix=staticmethod(backward))


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
