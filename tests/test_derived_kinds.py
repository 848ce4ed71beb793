"""Kinds of classes derived from layers: a file restores the class itself, or `save` refuses."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm.layers import Bidirectional, Stack

pytestmark = pytest.mark.usefixtures("own_kinds")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.safetensors"


def double_of(base, **own):
    class Double(base, kind="double", **own):
        def __call__(self, x, *given, **options):
            return super().__call__(2 * np.asarray(x), *given, **options)

    return Double


MADE = {
    "LSTM": (pylstm.LSTM, lambda cls: cls(3, 4, dtype="float64", seed=1)),
    "LSTM with proj_size": (pylstm.LSTM, lambda cls: cls(3, 4, proj_size=2, seed=1)),
    "GRU, reset before": (pylstm.GRU, lambda cls: cls(3, 4, reset_after=False, bias=False, seed=1)),
    "RNN of relu": (pylstm.RNN, lambda cls: cls(3, 4, nonlinearity="relu", learn_initial=True, seed=1)),
    "Recurrent": (pylstm.Recurrent, lambda cls: cls("cornn", 3, 4, dt=0.2, batch_first=True, seed=1)),
    "Recurrent of an LSTM": (pylstm.Recurrent, lambda cls: cls("lstm", 3, 4, seed=1)),
}


def x_of(layer):
    return np.random.default_rng(0).normal(size=(5, 2, 3)).astype(layer.dtype)


@pytest.mark.parametrize("base, make", MADE.values(), ids=MADE)
def test_a_derived_recurrent_comes_back_as_itself(base, make, path):
    double = double_of(base)
    layer = make(double)
    pylstm.save(path, {"a": layer, "b": make(base)})
    found = pylstm.load(path)
    assert type(found["a"]) is double and found["a"].cell is layer.cell
    assert found["a"].describe() == layer.describe()
    assert np.array_equal(found["a"](x_of(layer)).y, layer(x_of(layer)).y)
    assert not np.array_equal(found["b"](x_of(layer)).y, layer(x_of(layer)).y)


@pytest.mark.parametrize(
    "make",
    [
        lambda double: Stack([double(3, 4, seed=1), pylstm.GRU(4, 5, seed=2)]),
        lambda double: Bidirectional(double(3, 4, seed=1), pylstm.LSTM(3, 4, seed=2)),
        lambda double: Bidirectional(pylstm.LSTM(3, 4, seed=2), double(3, 4, seed=1)),
        lambda double: double(3, 4, num_layers=2, bidirectional=True, seed=1),
        lambda double: pylstm.SequenceModel.of(double(3, 4, seed=1), 2),
        lambda double: pylstm.SequenceModel.of(Stack([double(3, 4, seed=1)]), 2),
    ],
)
def test_a_derived_layer_inside_others(make, path):
    double = double_of(pylstm.LSTM)
    thing = make(double)
    pylstm.save(path, thing)
    found = pylstm.load(path)
    leaves = [[type(each) for each in getattr(one, "layer", one).recurrents] for one in (found, thing)]
    assert leaves[0] == leaves[1] and double in leaves[0]


def test_derived_composites_come_back_inside_others(path):
    both, tower = (
        type(Bidirectional)("Both", (Bidirectional,), {}, kind="both"),
        type(Stack)("Tower", (Stack,), {}, kind="tower"),
    )
    layer = tower([both(pylstm.LSTM(3, 4), pylstm.LSTM(3, 4)), pylstm.GRU(8, 8)], dropout=0.25, residual=True)
    pylstm.save(path, layer)
    found = pylstm.load(path)
    assert type(found) is tower and type(found.layers[0]) is both
    assert (found.dropout, found.residual) == (0.25, (False, True))


def test_a_file_does_not_put_a_head_where_a_recurrent_stands(path):
    from pylstm import files

    class Head(pylstm.Linear, kind="head"):
        pass

    pylstm.save(path, Stack([pylstm.LSTM(3, 4)]))
    header, tensors = files.read_file(path)
    header["parts"][""]["layers"][0]["layer"] = "head"
    files.write_file(path, header, tensors)
    with pytest.raises(ValueError, match="layer must be one of recurrent, bidirectional, got 'head'"):
        pylstm.load(path)


def own_linear():
    class MyLin(pylstm.Linear, kind="mylin"):
        def __init__(self, n):
            super().__init__(n, n)

    return MyLin(3)


def own_stack():
    class MyStack(Stack, kind="mystack"):
        def __init__(self, n):
            super().__init__([pylstm.LSTM(n, n)])

    return MyStack(3)


def own_lstm():
    class MyLSTM(pylstm.LSTM, kind="mylstm"):
        def __init__(self, n):
            super().__init__(n, n)

    return MyLSTM(3)


def scaled_linear():
    class Scaled(pylstm.Linear, kind="scaled"):
        def __init__(self, *sizes, scale=2.0, **options):
            super().__init__(*sizes, **options)
            self.scale = scale

    return Scaled(3, 2, scale=3.0)


def scaled_lstm():
    class Scaled(pylstm.LSTM, kind="scaled"):
        def __init__(self, input_size, hidden_size, *, scale=2.0, **options):
            super().__init__(input_size, hidden_size, **options)
            self.scale = scale

    return Scaled(3, 2, scale=3.0)


def other_shapes():
    class Gained(pylstm.Linear, kind="gained"):
        def __init__(self, *sizes, **options):
            super().__init__(*sizes, **options)
            self._params = pylstm.Parameters(self.params.shapes | {"gain": (2,)})

    return Gained(3, 2)


def kind_in_the_body():
    class Told(pylstm.LSTM):
        kind = "told"

    return Told(3, 2)


REFUSED = {
    own_linear: r"would make it as MyLin\(in_features=, .*dtype=\), and .*MyLin takes \(n\): define `arguments`",
    own_stack: r"would make it as MyStack\(layers, dropout=, residual=\), and .* let its constructor take what Stack",
    own_lstm: r"would make it as MyLSTM\(input_size=, .*, and .* let its constructor take what its base takes",
    scaled_linear: r"the file would not hold scale of .*Scaled: define `arguments`",
    scaled_lstm: r"the file would not hold scale of .*Scaled: .*set options of its own on the class",
    other_shapes: r"Gained.shapes returns .* and its params have .*'gain': \(2,\)",
    kind_in_the_body: r"kind 'told' is not that of .*Told in files: .*class Told\(\.\.\., kind=",
}


@pytest.mark.parametrize("make, message", REFUSED.items(), ids=[each.__name__ for each in REFUSED])
def test_what_load_could_not_build_is_refused_when_it_is_saved(make, message, path):
    pylstm.save(path, pylstm.Linear(1, 1))
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError), match=message):
        pylstm.save(path, {"a": make()})
    assert path.read_bytes() == before


def test_a_constructor_of_its_own_that_takes_the_arguments_is_saved(path):
    class Tuned(pylstm.GRU, kind="tuned"):
        def __init__(self, input_size, hidden_size, **options):
            super().__init__(input_size, hidden_size, **options)
            self.tuned = True

    class Square(pylstm.Linear, kind="square"):
        def __init__(self, n, scale=2.0, *, dtype="float32"):
            super().__init__(n, n, dtype=dtype)
            self.scale = scale

        @property
        def arguments(self):
            return {"n": self.in_features, "scale": self.scale}

        @classmethod
        def shapes(cls, given):
            n = given.only(("n", "scale")).integer("n")
            return {"weight": (n, n), "bias": (n,)}

    pylstm.save(path, {"a": Tuned(3, 4), "b": Square(3, 5.0, dtype="float64")})
    found = pylstm.load(path)
    assert found["a"].tuned and type(found["a"]) is Tuned
    assert type(found["b"]) is Square and (found["b"].scale, found["b"].dtype) == (5.0, "float64")


# --- what a file does not hold ----------------------------------------------------------------------------------


def test_a_class_that_was_defined_anew(path):
    def make(factor):
        class Times(pylstm.LSTM, kind="times"):
            def __call__(self, x, *given, **options):
                return super().__call__(factor * np.asarray(x), *given, **options)

        return Times(3, 4, seed=1)

    old, new = make(np.float32(1)), make(np.float32(3))
    with pytest.raises(TypeError, match="Times has been defined anew since this layer was made"):
        pylstm.save(path, {"a": old, "b": new})
    pylstm.save(path, new)
    assert np.array_equal(pylstm.load(path)(x_of(new)).y, new(x_of(new)).y)


@pytest.mark.parametrize("kind", [5, None, b"k", True])
def test_a_kind_is_a_text(kind):
    with pytest.raises(TypeError, match=f"kind must be a text, by which files call Odd, got {kind!r}"):

        class Odd(pylstm.LSTM, kind=kind):
            pass
