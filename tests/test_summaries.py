"""`summary`: the shape that every layer returns, checked by running it; parameters and totals; what is not taken."""

import re

import numpy as np
import pytest

import pylstm
from pylstm.cells import Cell
from pylstm.described import Layer, Model
from pylstm.interop.chain import Chain
from pylstm.interop.convolution import Conv1d
from pylstm.models import ClassifyModel

pytestmark = pytest.mark.once


class Structured(Cell):
    states = ("h",)
    gates = {"a": "h", "g": "x"}
    structure = {"h": "tied blocks(2)", "x": [[1, 0, 1]] * 4}
    constants = {"B": 0.5}

    @staticmethod
    def forward(z, p):
        from pylstm.cells import tanh

        return {"h": tanh(z.a * p.B + z.g)}


class Gain(Layer, kind="summaries_gain"):
    def __init__(self, features):
        self._params = pylstm.Parameters({"gain": (features,)}, "float32")

    def __repr__(self):
        return "Gain"


class Net(Model, kind="summaries_net"):
    def __init__(self, **parts):
        self.parts = parts


def rows(thing, *shape):
    """Name -> output shape, number and mark, of the rows of layers; and the last line."""
    lines = thing.summary(*shape).splitlines()
    assert re.fullmatch(r"layer +output shape +parameters", lines[0])
    cells = [re.split(r" {2,}", line) for line in lines[1:-1] if line[0] != " "]
    return {name: more for name, *more in cells}, lines[-1]


def shapes(thing, *shape):
    return [more[0] for more in rows(thing, *shape)[0].values()]


def text(*shape):
    return str(shape).replace("'", "")


STACK = pylstm.Stack([pylstm.LSTM(3, 4, seed=0), pylstm.GRU(4, 5, seed=1), pylstm.RNN(5, 2, seed=2)])
BOTH = pylstm.layers.Bidirectional(pylstm.LSTM(3, 4, seed=0), pylstm.GRU(3, 5, seed=1))


@pytest.mark.parametrize(
    ("layer", "lead"),
    [
        (pylstm.LSTM(3, 4), (7, 2)),
        (pylstm.LSTM(3, 4), (7,)),
        (pylstm.GRU(3, 4, batch_first=True), (2, 7)),
        (pylstm.Recurrent("mingru", 3, 4), (0, 2)),
        (STACK, (7, 2)),
        (BOTH, (7, 2)),
        (pylstm.LSTM(3, 4, 2, bidirectional=True, batch_first=True), (2, 7)),
        (pylstm.Linear(3, 4), (7, 2, 5)),
        (pylstm.MLP(3, (5,), 4), ()),
    ],
)
def test_the_output_shape_is_that_of_a_call(layer, lead):
    found, total = rows(layer, (*lead, 3))
    first = next(iter(found.values()))
    assert first[0] == text(*layer(np.zeros((*lead, 3), "float32")).y.shape)
    assert first[1] == str(layer.params.size) == total.split()[0]


@pytest.mark.parametrize("read", ["last", "every", "mean", "max", "stats"])
@pytest.mark.parametrize("options", [{}, {"vocabulary": 9}, {"num_layers": 2, "bidirectional": True}])
def test_the_shapes_of_a_model(read, options):
    model = pylstm.SequenceModel("gru", 3, 4, 2, read=read, **options)
    x = np.zeros((6, 7), int) if "vocabulary" in options else np.zeros((6, 7, 3), "float32")
    found, total = rows(model, x.shape)
    assert found["SequenceModel"] == [text(*model.predict(x).shape), str(sum(each.size for each in model.params))]
    width = model.layer.output_size
    lead = (6, 7) if read == "every" else (6,)
    assert found[f"read: {read}"] == [text(*lead, model.head.in_features)]
    assert next(more for name, more in found.items() if name.startswith("layer"))[0] == text(6, 7, width)
    assert ("embedding: Embedding(9, 3, dtype='float32')" in found) is ("vocabulary" in options)
    assert total.startswith(found["SequenceModel"][1] + " parameters")


def test_letters_stand_for_any_size():
    assert shapes(pylstm.LSTM(3, 4)) == ["(T, B, 4)"] == shapes(pylstm.LSTM(3, 4), (None, None, 3))
    assert shapes(pylstm.LSTM(3, 4, batch_first=True)) == ["(B, T, 4)"]
    assert shapes(pylstm.LSTM(3, 4), (None, 5, None)) == ["(T, 5, 4)"]
    assert shapes(pylstm.LSTM(3, 4), ("steps", 5, 3)) == ["(steps, 5, 4)"]
    assert shapes(pylstm.LSTM(3, 4), np.zeros((6, 5, 3)).shape) == ["(6, 5, 4)"]
    assert shapes(pylstm.LSTM(3, 4), (None, 3)) == ["(T, 4)"]
    assert shapes(pylstm.Linear(3, 4)) == ["(..., 4)"] and shapes(pylstm.Linear(3, 4), (None, 3)) == ["(N, 4)"]
    assert shapes(pylstm.Embedding(9, 4)) == ["(..., 4)"] and shapes(pylstm.Embedding(9, 4), (2, 3)) == ["(2, 3, 4)"]
    assert shapes(STACK) == ["(T, B, 2)", "(T, B, 4)", "(T, B, 5)", "(T, B, 2)"]
    assert shapes(BOTH) == ["(T, B, 9)", "(T, B, 4)", "(T, B, 5)"]
    assert shapes(pylstm.SequenceModel("gru", 3, 4, 2)) == ["(N, 2)", "(N, T, 4)", "(N, 4)", "(N, 2)"]


def test_layers_within_layers_have_a_row_and_a_total_each():
    found, total = rows(pylstm.GRU(2, 3, 2, bidirectional=True))
    assert found == {
        "Stack": ["(T, B, 6)", "300"],
        "0: Bidirectional": ["(T, B, 6)", "114"],
        "0.forward: GRU(2, 3, dtype='float32')": ["(T, B, 3)", "57"],
        "0.reverse: GRU(2, 3, dtype='float32')": ["(T, B, 3)", "57"],
        "1: Bidirectional": ["(T, B, 6)", "186"],
        "1.forward: GRU(6, 3, dtype='float32')": ["(T, B, 3)", "93"],
        "1.reverse: GRU(6, 3, dtype='float32')": ["(T, B, 3)", "93"],
    }
    assert total == "300 parameters, 1,200 bytes"


def test_convolutions_in_front():
    front = Conv1d(np.ones((3, 2, 4), "float32"), np.ones(4, "float32"))
    chain = Chain([front, pylstm.GRU(4, 5), pylstm.Linear(5, 1)])
    found, total = rows(chain, (100, 2))
    assert found == {
        "Chain": ["(100, 1)", "189"],
        "0: Conv1d(2, 4, 3)": ["(100, 4)", "28"],
        "1: GRU(4, 5, dtype='float32')": ["(100, 5)", "155"],
        "2: Linear(5, 1, dtype='float32')": ["(100, 1)", "6"],
    }
    assert found["Chain"][0] == text(*chain(np.zeros((100, 2), "float32")).shape) and total.startswith("189 ")
    assert "<code>0: Conv1d(2, 4, 3)</code>" in chain._repr_html_()


def test_parameters_that_are_not_just_trained():
    layer = pylstm.Recurrent(Structured, 3, 4)
    layer.params.freeze("weight_h")
    lines = layer.summary().splitlines()
    marks = {line.split()[0]: re.split(r" {2,}", line.strip())[3:] for line in lines if line[0] == " "}
    assert marks == {"weight_x": ["mask"], "weight_h": ["tied blocks(2), frozen"], "bias": [], "B": ["constant"]}
    constants = layer.params.constant_size
    assert lines[1].split("  ")[-1] == f"and {constants} constants"
    assert rows(Net(one=layer))[0]["Net"] == [str(layer.params.size - constants)]
    assert f" {layer.params.size - constants} " in lines[1] and f"{constants} constants" in lines[-1]


def test_a_layer_in_two_places_counts_once():
    one, other = pylstm.Linear(3, 4), pylstm.Linear(3, 2)
    found, total = rows(Net(first=one, second=one, last=other))
    assert found["Net"] == ["24"] and total == "24 parameters, 96 bytes"
    assert found["second: Linear(3, 4, dtype='float32')"] == ["(..., 4)", "16", "those of first"]
    assert Net(first=one, second=one).summary().count("weight") == 1


def test_layers_of_ones_own_have_no_shape():
    found, total = rows(Net(gain=Gain(3), layer=pylstm.LSTM(3, 4)))
    assert found["gain: Gain"] == ["3"] and found["layer: LSTM(3, 4, dtype='float32')"] == ["(T, B, 4)", "128"]
    assert total.startswith("131 parameters")
    with pytest.raises(TypeError, match="Gain does not say which shapes it takes: call summary"):
        Gain(3).summary((2, 3))


def test_a_long_name_has_a_line_of_its_own():
    layer = pylstm.LSTM(3, 4, learn_initial=True, batch_first=True, bias=False)
    name, columns, first, *_ = layer.summary().splitlines()[1:]
    assert name == repr(layer) and len(name) > 64 and columns.split() == ["(B,", "T,", "4)", "120"]
    assert columns.index("120") + 3 == first.rindex("48") + 2 and max(map(len, layer.summary().splitlines()[2:])) < 60


@pytest.mark.parametrize(
    ("shape", "error", "says"),
    [
        ((7, 2, 4), ValueError, r"be \(T, B, 3\) for this LSTM, got \(7, 2, 4\)"),
        ((3,), ValueError, r"got \(3,\)"),
        ((1, 7, 2, 3), ValueError, r"got \(1, 7, 2, 3\)"),
        ((-1, 2, 3), ValueError, r"got \(-1, 2, 3\)"),
        ("abc", TypeError, r"a list of sizes, such as \(T, B, 3\), got 'abc'"),
        (3, TypeError, "a list of sizes"),
        ((7.0, 2, 3), TypeError, "sizes, or None for any, got 7.0"),
        ((True, 2, 3), TypeError, "got True"),
    ],
)
def test_a_shape_that_it_does_not_take(shape, error, says):
    with pytest.raises(error, match=f"input_shape must .*{says}"):
        pylstm.LSTM(3, 4).summary(shape)


def test_a_sequence_without_a_batch_is_for_layers_only():
    with pytest.raises(ValueError, match=r"\(N, T, 3\) for this SequenceModel"):
        pylstm.SequenceModel("gru", 3, 4, 2).summary((7, 3))
    with pytest.raises(ValueError, match="call fit first"):
        ClassifyModel(["a", "b"], "gru", 4).summary()
