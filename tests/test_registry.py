"""`Registry`: names, owners, refusals, and when certification happens."""

from __future__ import annotations

import threading

import pytest

from pylstm.cells import Cell, tanh
from pylstm.cells.lstm import LSTM
from pylstm.cells.registry import Owner, Registry


def make(name, module="tests", place=None):
    """A new cell class, of qualified name `place`."""

    def forward(z):
        h = tanh(z.a)
        return {"a": h, "h": h}

    def backward(d, y):
        return {"a": d.h * (1 - y.h**2)}

    body = {"states": ("h",), "gates": {"a": "x+h"}, "name": name, "forward": forward, "backward": backward}
    return type("Made", (Cell,), {**body, "__module__": module, "__qualname__": place or name})


def test_registered_cells_are_found_by_name():
    registry = Registry()
    cell = make("b")
    assert registry.register(cell) is cell
    registry.register(LSTM)
    registry.register(make("a"))
    assert registry.names() == ("a", "b", "lstm")
    assert registry.get("b", certified=False) is cell
    assert [entry.cell.name for entry in registry.entries()] == ["a", "b", "lstm"]


def test_collision_names_both_owners_and_keeps_the_first():
    registry = Registry()
    first = make("gru", module="one.cells")
    with registry.transaction(Owner("one", "p1", "one-dist", "1.2")):
        registry.register(first)
    with pytest.raises(ValueError, match=r"'gru' of module two.*two\.gru.*plugin 'p1' of one-dist 1\.2.*one\.cells"):
        registry.register(make("gru", module="two"))
    with pytest.raises(ValueError, match=r"of plugin 'p3' of three 3.*taken by plugin 'p1'"):  # noqa: SIM117
        with registry.transaction(Owner("three", "p3", "three", "3")):
            registry.register(make("gru", module="one.cells"))
    assert registry.get("gru", certified=False) is first


def test_the_same_class_twice_is_no_collision_and_keeps_its_owner():
    registry = Registry()
    registry.register(LSTM, package="first")
    registry.register(LSTM, package="second")
    assert registry.entry("lstm").owner == Owner("first")


def test_a_class_defined_anew_in_the_same_place_replaces_the_old_one():
    registry = Registry()
    registry.register(make("mine", "__main__", "Mine"))
    again = make("mine", "__main__", "Mine")
    registry.register(again)
    assert registry.get("mine", certified=False) is again
    with pytest.raises(ValueError, match="the name is taken by module __main__"):
        registry.register(make("mine", "__main__", "Other"))


@pytest.mark.parametrize("wrong", ["lstm", 3, None, int, Cell, LSTM()], ids=lambda wrong: type(wrong).__name__)
def test_what_is_no_cell_is_refused(wrong):
    registry = Registry()
    with pytest.raises(TypeError, match=r"pylstm\.Cell"):
        registry.register(wrong)
    assert registry.names() == ()


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_name_must_be_a_string(name):
    with pytest.raises(TypeError, match="must be a non-empty string"):
        Registry().register(make("ok", place="Made") if name == "ok" else make(name, place="Made"))


def test_unknown_name_lists_close_ones_and_how_to_list():
    registry = Registry()
    for name in ("lstm", "peephole", "gru"):
        registry.register(make(name))
    with pytest.raises(LookupError, match=r"'LSTMM'; did you mean 'lstm'\?.*`pylstm cells`"):
        registry.get("LSTMM")
    with pytest.raises(LookupError, match=r"'transformer'\. `pylstm cells` lists the cells"):
        registry.get("transformer")


def test_transaction_takes_back_everything_when_it_raises():
    registry = Registry()
    registry.register(make("kept"))
    with pytest.raises(ZeroDivisionError), registry.transaction(Owner("p", "p")):
        registry.register(make("gone"))
        raise ZeroDivisionError
    assert registry.names() == ("kept",)
    registry.register(make("gone", module="user"))
    assert registry.entry("gone").owner == Owner("user")


def test_get_certifies_once(certify):
    registry = Registry()
    cell = registry.register(make("fine"))
    assert registry.entry("fine").status == "registered"
    assert certify == []
    registry.get("fine", certified=False)
    assert certify == []
    assert registry.get("fine") is cell
    assert registry.get("fine") is cell
    assert certify == [cell]
    assert registry.entry("fine").status == "certified"


def test_a_wrong_cell_is_refused_at_every_use(certify):
    registry = Registry()
    cell = registry.register(make("wrong"))
    for _ in range(2):
        with pytest.raises(ValueError, match="dh/da"):
            registry.get("wrong")
    assert certify == [cell]
    assert registry.entry("wrong").status.startswith("refused: ") and "dh/da" in registry.entry("wrong").status


def test_register_certified_adds_only_what_passes(certify):
    registry = Registry()
    with pytest.raises(ValueError, match="dh/da"):
        registry.register(make("wrong"), certified=True)
    assert registry.names() == ()
    cell = registry.register(make("fine"), certified=True)
    registry.get("fine")
    registry.register(cell, certified=True)
    assert certify[1:] == [cell]


def test_a_collision_is_found_before_the_work_of_certification(certify):
    registry = Registry()
    registry.register(make("fine", "one"))
    with pytest.raises(ValueError, match="taken"):
        registry.register(make("fine", "two"), certified=True)
    assert certify == []


def test_threads_certify_once(certify):
    registry = Registry()
    registry.register(make("fine"))
    threads = [threading.Thread(target=registry.get, args=("fine",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(certify) == 1
