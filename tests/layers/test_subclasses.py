"""Classes derived from layers are ordinary ones; signatures of layers and streams."""

from __future__ import annotations

import copy
import inspect
import pickle
import pydoc

import numpy as np
import pytest

import pylstm

T, B = 5, 2
rng = np.random.default_rng(0)


class OfOneSize(pylstm.Recurrent):
    def __init__(self, n):
        super().__init__("lstm", n, n, seed=0)


class WithNamesOfAFactory(pylstm.LSTM):
    def __init__(self, n, scale=1.0, third=3, *, num_layers=0, bidirectional=None, dropout="x", cell="y"):
        super().__init__(n, n + 1, seed=0)
        self.of_its_own = scale, third, num_layers, bidirectional, dropout, cell


class OfAnyArguments(pylstm.GRU):
    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)


class WithNew(pylstm.RNN):
    def __new__(cls, *given, **options):
        made = super().__new__(cls)
        made.given = given
        return made

    def __init__(self, n=2):
        super().__init__(n, n, nonlinearity="relu")


OWN = {
    "<OfOneSize: Recurrent('lstm', 3, 3, dtype='float32')>": lambda: OfOneSize(3),
    "<WithNamesOfAFactory: LSTM(3, 4, dtype='float32')>": lambda: WithNamesOfAFactory(3, 2.0, 7, num_layers=5, cell=9),
    "<OfAnyArguments: GRU(3, 4, dtype='float32')>": lambda: OfAnyArguments(3, hidden_size=4),
    "<WithNew: RNN(3, 3, nonlinearity='relu', dtype='float32')>": lambda: WithNew(3),
    "<WithNew: RNN(2, 2, nonlinearity='relu', dtype='float32')>": WithNew,
}


@pytest.mark.parametrize("text", OWN)
def test_a_subclass_with_arguments_of_its_own(text, tmp_path):
    layer = OWN[text]()
    assert repr(layer) == text
    for each in (copy.copy(layer), copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert type(each) is type(layer) and repr(each) == text
        assert np.array_equal(each.params.flat, layer.params.flat) and set(vars(each)) == set(vars(layer))
    x = rng.normal(size=(T, B, layer.input_size)).astype("float32")
    assert layer(x).y.shape == (T, B, layer.hidden_size)
    with pytest.raises(TypeError, match=f"{type(layer).__name__} is a subclass of .* give it a kind of its own, class"):
        pylstm.save(tmp_path / "a", layer)
    assert (
        list(inspect.signature(type(layer)).parameters) == list(inspect.signature(type(layer).__init__).parameters)[1:]
    )


def test_arguments_of_a_subclass_are_its_own():
    assert WithNamesOfAFactory(3, 2.0, 7, num_layers=5, bidirectional=1).of_its_own == (2.0, 7, 5, 1, "x", "y")
    with pytest.raises(TypeError, match=r"^OfOneSize needs n: OfOneSize\(n\)$"):
        OfOneSize()
    with pytest.raises(TypeError, match=r"^OfOneSize has no option m=: it takes n"):
        OfOneSize(m=3)
    for options in ({"num_layers": 2}, {"bidirectional": True}):
        with pytest.raises(
            TypeError, match=r"__init__ of its own and is one layer: pylstm\.Stack\(\[layer, \.\.\.\]\)"
        ):
            OfAnyArguments(3, 4, **options)
    with pytest.raises(TypeError, match="and is one layer"):
        OfAnyArguments(3, 4, 2)


def test_a_subclass_with_the_arguments_of_its_base():
    class Mine(pylstm.LSTM):
        pass

    assert repr(Mine(3, 4)) == "Mine(3, 4, dtype='float32')"
    assert isinstance(Mine(3, 4, 2), pylstm.Stack) and type(Mine(3, 4, 2).layers[1]) is Mine
    assert inspect.signature(Mine) == inspect.signature(pylstm.LSTM)


@pytest.mark.parametrize(
    ("cls", "first", "special"),
    [
        (pylstm.Recurrent, ["cell"], ["sizes"]),
        (pylstm.LSTM, [], ["proj_size"]),
        (pylstm.GRU, [], ["reset_after"]),
        (pylstm.RNN, [], ["nonlinearity"]),
    ],
)
def test_the_signature_of_a_layer(cls, first, special):
    found = inspect.signature(cls).parameters
    assert list(found)[: len(first) + 3] == [*first, "input_size", "hidden_size", "num_layers"]
    assert set(found) - {*first, *special} == {
        "input_size", "hidden_size", "num_layers", "bidirectional", "dropout", "residual", "bias", "batch_first",
        "dtype", "seed", "learn_initial", "certified",
    }  # fmt: skip
    shown = pydoc.plain(pydoc.render_doc(cls))
    assert f"{cls.__name__}({', '.join(map(str, list(found.values())[:2]))}" in shown
    with pytest.raises(TypeError, match=r"did you mean dropout=\?"):
        cls(*["gru"][: len(first)], 3, 4, dropuot=0.1)
    with pytest.raises(TypeError, match=f"^{cls.__name__}: hidden_size was given twice"):
        cls(*["gru"][: len(first)], 3, 4, hidden_size=3)


def test_the_signature_of_a_stream():
    assert list(inspect.signature(pylstm.Stream).parameters) == ["layer", "batch_size"]
    assert "Stream(layer, batch_size=1)" in pydoc.plain(pydoc.render_doc(pylstm.Stream))
    assert inspect.getdoc(pylstm.Stream).startswith("A layer that is fed step by step")


class WithSlots(pylstm.GRU):
    kind = "with slots"
    __slots__ = ("__hidden", "note", "unset")

    def __init__(self, input_size, note):
        super().__init__(input_size, 4, seed=1)
        self.note, self.__hidden = [note], note

    @property
    def hidden(self):
        return self.__hidden


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
@pytest.mark.parametrize("stacked", [False, True])
def test_copies_have_the_slots_of_a_subclass(again, stacked):
    layer = WithSlots(3, 2.5)
    other = again(pylstm.Stack([layer])).layers[0] if stacked else again(layer)
    assert other.note == [2.5] and other.note is not layer.note and other.hidden == 2.5
    assert not hasattr(other, "unset") and set(vars(other)) == set(vars(layer))
    assert np.array_equal(other.params.flat, layer.params.flat)
