"""Entries of a file: what each method takes, and the sentence for what it does not."""

import numpy as np
import pytest

from pylstm.schema import MOST, Entries, malformed, set_state

GOOD = {
    "text": "tanh", "flag": False, "integer": 3, "most": MOST, "number": -0.5, "list": [1, 2], "flags": [True],
    "array": [[1.0, 2], [0.5, 3]], "empty": [], "object": {"inner": 1},
}  # fmt: skip


def entries(**changed):
    return Entries(GOOD | changed, "metadata")


def test_what_is_right_comes_back():
    says = entries()
    assert says.text("text", ("relu", "tanh")) == "tanh" and says.flag("flag") is False
    assert says.integer("integer") == 3 and says.integer("most") == MOST and says.integer("integer", low=3) == 3
    assert says.number("number", -0.5, 0) == -0.5 and says.number("integer") == 3
    assert says.list("list", int) == [1, 2] and says.list("flags", bool) == [True] and says.list("flags") == [True]
    assert says.array("array", (2, None), positive=True).tolist() == [[1, 2], [0.5, 3]]
    assert says.array("empty", (None, 4)).shape == (0, 4)
    assert says.entries("object").only(("inner",)).integer("inner") == 1


REFUSED = {
    "missing": (lambda says: says.integer("absent"), r"metadata\.absent is missing"),
    "unknown": (lambda says: says.entries("object").only(()), r"metadata\.object\.inner is unknown \(known: none\)"),
    "object": (lambda says: says.entries("list"), r"metadata\.list must be an object, got \[1, 2\]"),
    "text": (lambda says: says.text("flag"), r"metadata\.flag must be a text, got False"),
    "text among": (lambda says: says.text("text", ("relu",)), r"must be one of relu, got 'tanh'"),
    "flag": (lambda says: says.flag("integer"), r"must be true or false, got 3"),
    "integer true": (lambda says: entries(n=True).integer("n"), r"must be an integer of at least 1, got True"),
    "integer 1.0": (lambda says: entries(n=1.0).integer("n"), r"must be an integer of at least 1, got 1\.0"),
    "integer low": (lambda says: says.integer("integer", low=4), r"must be an integer of at least 4, got 3"),
    "integer 0": (lambda says: entries(n=0).integer("n"), r"must be an integer of at least 1, got 0"),
    "integer high": (lambda says: entries(n=MOST + 1).integer("n"), r"at least 1 and at most 2\*\*40, got 1099"),
    "number low": (lambda says: says.number("number", 0, 1), r"must be a finite number in 0\.\.1, got -0\.5"),
    "number high": (lambda says: says.number("integer", 0, 1), r"must be a finite number in 0\.\.1, got 3"),
    "number true": (lambda says: entries(n=True).number("n"), r"must be a finite number, got True"),
    "number nan": (lambda says: entries(n=float("nan")).number("n"), r"must be a finite number, got nan"),
    "number inf": (lambda says: entries(n=float("-inf")).number("n"), r"must be a finite number, got -inf"),
    "number 1e400": (lambda says: entries(n=10**400).number("n"), r"must be a finite number, got 1000"),
    "list": (lambda says: says.list("integer"), r"must be a list, got 3"),
    "list of": (lambda says: says.list("array", int), r"must hold int only, got \[1\.0, 2\]"),
    "list true": (lambda says: says.list("flags", int), r"must hold int only, got True"),
    "list true or": (lambda says: says.list("flags", (int, float)), r"must hold int or float only, got True"),
    "array shape": (lambda says: says.array("array", (2, 3)), r"must be numbers of shape \(2, 3\)"),
    "array axes": (lambda says: says.array("array", (2,)), r"must be numbers of shape \(2\)"),
    "array any": (lambda says: says.array("array", (None, 3)), r"must be numbers of shape \(any, 3\)"),
    "array ragged": (lambda says: entries(a=[[1], [1, 2]]).array("a", (2, None)), r"must be numbers of shape"),
    "array text": (lambda says: entries(a=["1"]).array("a", (1,)), r"must be numbers of shape"),
    "array true": (lambda says: entries(a=[True]).array("a", (1,)), r"must be numbers of shape"),
    "array number": (lambda says: says.array("integer", (1,)), r"must be numbers of shape"),
    "array empty": (lambda says: says.array("empty", (1, 4)), r"must be numbers of shape"),
    "array nan": (lambda says: entries(a=[1, float("nan")]).array("a", (2,)), r"metadata\.a must be finite, holds nan"),
    "array inf": (lambda says: entries(a=[1e999]).array("a", (1,)), r"metadata\.a must be finite, holds inf"),
    "array 0": (lambda says: entries(a=[1, 0]).array("a", (2,), positive=True), r"must be above 0, holds 0\.0"),
    "generator": (lambda says: set_state(np.random.default_rng(0), {"state": 1}, "rng"), "rng is not the state of a"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_named(case):
    call, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        call(entries())


def test_long_values_are_cut():
    with pytest.raises(ValueError) as caught:
        entries(n="x" * 10_000).integer("n")
    assert len(str(caught.value)) < 150
    with pytest.raises(ValueError) as caught:
        entries().integer("y" * 10_000)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    "error", [ValueError, KeyError, IndexError, TypeError, AttributeError, ZeroDivisionError, RecursionError]
)
def test_whatever_a_file_leads_to_names_it(error):
    with pytest.raises(ValueError, match=r"^net\.safetensors: ") as caught, malformed("net.safetensors"):
        raise error("wrong")
    assert type(caught.value) is ValueError
    with pytest.raises(ValueError, match=r"^net\.safetensors: wrong$"), malformed("net.safetensors"):
        raise ValueError("net.safetensors: wrong")
