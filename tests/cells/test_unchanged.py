"""An attribute of a cell that is changed when it has been read: taken or refused, never ignored."""

import copy
import pickle
from types import ModuleType

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell, tanh

X = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)


def leaky(**own):
    class Leaky(Cell):
        rate, table, colour = 0.5, [1.0, 2.0], "red"
        states, gates = ("h",), {"a": "x+h"}

        def forward(z, prev):
            return {"h": Leaky.rate * prev.h + _share(Leaky) * tanh(z.a)}

    for name, value in own.items():
        setattr(Leaky, name, value)
    return Leaky


def _share(cell):
    return getattr(cell, "table")[1] - cell.rate  # noqa: B009


def output(cell, **options):
    return pylstm.Recurrent(cell, 3, 4, seed=0, **options)(X).y


def test_before_the_first_use_a_constant_is_taken():
    assert not np.array_equal(output(leaky(rate=0.9)), output(leaky()))
    assert np.array_equal(output(leaky(rate=0.5)), output(leaky()))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("rate", 0.9, r"Leaky\.rate was 0\.5 .* changed to 0\.9"),
        ("table", [1.0, 3.0], r"Leaky\.table was .*1\.0, 2\.0"),
    ],
)
@pytest.mark.parametrize("derive", [False, True])
def test_a_constant_of_a_formula_that_was_derived(name, value, text, derive):
    made = leaky()
    cell = type("Derived", (made,), {"rate": 0.1}) if derive else made
    layer = pylstm.Recurrent(cell, 3, 4, seed=0)
    before = layer(X).y
    setattr(made, name, value)
    with pytest.raises(TypeError, match=rf"{text}.*does nothing: .*with_options\({name}=\.\.\.\)"):
        output(cell)
    assert np.array_equal(layer(X).y, before) and np.array_equal(copy.deepcopy(layer)(X).y, before)
    setattr(made, name, [1.0, 2.0] if name == "table" else 0.5)
    assert np.array_equal(output(cell), before)


def test_a_list_that_was_changed_in_place():
    cell = leaky()
    output(cell)
    cell.table[1] = 4.0
    with pytest.raises(TypeError, match=r"Leaky\.table was"):
        output(cell)


def test_what_no_formula_reads_is_free():
    cell = leaky()
    before = output(cell)
    cell.colour = "blue"
    assert np.array_equal(output(cell), before)


def test_an_array_among_the_constants():
    cell = leaky(table=np.array([1.0, np.nan, 2.0])[[0, 2]])
    before = output(cell)
    cell.table = cell.table.copy()
    assert np.array_equal(output(cell), before)
    cell.table[1] = 3
    with pytest.raises(TypeError, match=r"Leaky\.table was"):
        output(cell)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("states", ("h", "c")),
        ("gates", {"a": "x"}),
        ("biased", ()),
        ("params", ("p",)),
        ("aux", ("u",)),
        ("widths", {"a": 3}),
        ("options", {"dt": 0.1}),
        ("domain", {"h": (0, 1)}),
        ("output", "a"),
    ],
)
@pytest.mark.parametrize("used", [False, True])
def test_what_is_declared(name, value, used):
    cell = leaky()
    if used:
        output(cell)
    setattr(cell, name, value)
    with pytest.raises(TypeError, match=rf"cell 'leaky': {name} was .* derive a class with its own.*: {name} = "):
        output(cell)


def test_a_dict_that_was_changed_in_place():
    cell = leaky()
    cell.gates["b"] = "x"
    with pytest.raises(TypeError, match="gates was"):
        output(cell)


def test_a_variant_by_options():
    class Slow(Cell):
        scale = 2.0
        states, gates, options = ("h",), {"a": "x+h"}, {"rate": 0.5}

        def forward(z, prev, o):
            return {"h": o.rate * prev.h + Slow.scale * tanh(z.a)}

    before = output(Slow, rate=0.25)
    Slow.scale = 3.0
    with pytest.raises(TypeError, match=r"Slow\.scale was 2\.0"):
        output(Slow, rate=0.25)
    Slow.scale = 2.0
    assert np.array_equal(output(Slow, rate=0.25), before)


def test_a_twin_by_hand_reads_its_constants_at_every_step():
    class Byhand(Cell):
        rate = 0.5
        states, gates = ("h",), {"a": "x"}

        def forward(z, prev):
            return {"h": Byhand.rate * prev.h + z.a}

        def backward(d):
            return {"a": d.h, "h": Byhand.rate * d.h}

    before = output(Byhand)
    Byhand.rate = 0.25
    assert not np.array_equal(output(Byhand), before)


def test_bundled_cells_are_unchanged():
    for name in ("lstm", "gru", "cornn"):
        assert pickle.loads(pickle.dumps(pylstm.Recurrent(name, 3, 4)))(X).y.shape == (5, 2, 4)


SCALE = 0.5
OTHER = 0.5


def _scaled(a):
    return SCALE * a


def reading(factor, helper):
    rate = factor

    class Reading(Cell):
        states, gates = ("h",), {"a": "x+h"}

        def forward(z, prev):
            inner = lambda a: rate * a  # noqa: E731
            return {"h": inner(prev.h) + (_scaled(tanh(z.a)) if helper else SCALE * tanh(z.a))}

    def change(value):
        nonlocal rate
        rate = value

    return Reading, change


@pytest.mark.parametrize("helper", [False, True])
def test_a_global_that_a_formula_reads(monkeypatch, helper):
    cell, _ = reading(0.25, helper)
    monkeypatch.setattr(f"{__name__}.SCALE", 0.75)
    first = output(cell)
    monkeypatch.setattr(f"{__name__}.OTHER", 0.75)
    assert np.array_equal(output(cell), first)  # no formula reads it
    monkeypatch.setattr(f"{__name__}.SCALE", 0.9)
    with pytest.raises(
        TypeError, match=r"cell 'reading': .*\.SCALE was 0\.75 .* changed to 0\.9.*with_options\(SCALE="
    ):
        output(cell)
    assert not np.array_equal(output(reading(0.25, helper)[0]), first)


def test_a_variable_of_the_enclosing_function():
    cell, change = reading(0.25, False)
    first = output(cell)
    change(0.25)
    assert np.array_equal(output(cell), first)
    change(0.4)
    with pytest.raises(TypeError, match=r"reading\.rate was 0\.25 when the formula was derived, .* changed to 0\.4"):
        output(cell)


def test_a_global_by_the_name_of_a_gate(monkeypatch):
    """`z.a` reads no global."""
    cell, _ = reading(0.25, False)
    monkeypatch.setattr(f"{__name__}.a", 1.0, raising=False)
    first = output(cell)
    monkeypatch.setattr(f"{__name__}.a", 2.0)
    assert np.array_equal(output(cell), first)


RATES, NAMED, COUNT, SEEN, KNOWN = [0.5, 0.25], {"rate": 0.5}, 0, [], {}


class Settings:
    def __init__(self, rate):
        self.rate = rate


SETTINGS = Settings(0.5)
MODULE = ModuleType("settings")
MODULE.rate = 0.5


class Constants:
    rate = 0.5


def of(read):
    """A cell of which `read` takes a number from outside."""

    class Outside(Cell):
        states, gates = ("h",), {"a": "x+h"}

        def forward(z, prev):
            return {"h": read() * prev.h + tanh(z.a)}

    return Outside


@pytest.mark.parametrize(
    ("read", "change", "place"),
    [
        (lambda: RATES[0], lambda patch: RATES.__setitem__(0, 0.9), "RATES"),
        (lambda: RATES[0], lambda patch: patch.setattr(f"{__name__}.RATES", [0.9]), "RATES"),
        (lambda: NAMED["rate"], lambda patch: patch.setitem(NAMED, "rate", 0.9), "NAMED"),
        (lambda: SETTINGS.rate, lambda patch: patch.setattr(SETTINGS, "rate", 0.9), "SETTINGS.rate"),
        (lambda: SETTINGS.rate, lambda patch: patch.setattr(f"{__name__}.SETTINGS", Settings(0.9)), "SETTINGS.rate"),
        (lambda: MODULE.rate, lambda patch: patch.setattr(MODULE, "rate", 0.9), "MODULE.rate"),
        (lambda: Constants.rate, lambda patch: patch.setattr(Constants, "rate", 0.9), "Constants.rate"),
    ],
)
def test_what_a_formula_reads_in_another_object(monkeypatch, read, change, place):
    cell = of(read)
    first = output(cell)
    assert np.array_equal(output(cell), first)
    change(monkeypatch)
    try:
        with pytest.raises(TypeError, match=rf"'outside': .*\.{place} was .*0\.5.* changed to .*0\.9.* does nothing"):
            output(cell)
        assert not np.array_equal(output(of(read)), first)
    finally:
        RATES[0] = 0.5


def test_a_list_of_the_enclosing_function():
    rates = [0.5]
    cell = of(lambda: rates[0])
    output(cell)
    rates[0] = 0.9
    with pytest.raises(TypeError, match=r"enclosing_function\.rates was"):
        output(cell)


def counted():
    global COUNT
    COUNT += 1
    return 0.5


def seen():
    SEEN.append(COUNT)
    return 0.5


def known(key=0.5):
    KNOWN[key] = key
    return KNOWN[key]


@pytest.mark.parametrize("read", [counted, seen, known])
def test_what_a_formula_writes_is_its_own(read):
    """A counter, a list, a dict that other formulas share."""
    cell = of(read)
    first = output(cell)
    known(0.25)
    seen()
    for _ in range(2):
        assert of(read).contract.states
        assert np.array_equal(output(cell), first)
