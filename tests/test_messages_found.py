"""What calls with a slip are answered: the thing that is wrong, by the name that the user wrote, a cure."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm.forecasting import ForecastModel
from pylstm.losses import gaussian_likelihood, mean_squared_error, quantile_loss, sigmoid_cross_entropy
from pylstm.models.heads import HEADS, head_of
from pylstm.models.sequence_model import LOSSES
from pylstm.text import CharModel

X, Y = np.ones((20, 5, 3), "float32"), np.ones((20, 2), "float32")


def model():
    return pylstm.SequenceModel("gru", 3, 4, 2, seed=0)


def kept(cls):
    return type(cls.__name__, (cls,), {})


MESSAGES = {
    "a text as a series": (
        lambda: pylstm.naive("abc", 3),
        r"^history must be an array of numbers, got 'abc'$",
    ),
    "a number where an initialiser takes sources": (
        lambda: pylstm.LSTM(3, 8).initialise("orthogonal", 3),
        r"^orthogonal: sources must be a str or an Iterable, got 3$",
    ),
    "a list in a loss": (
        lambda: mean_squared_error([1, 2], [1, 2]),
        r"y must be float32 or float64, got int64: convert with np\.asarray\(y, dtype='float64'\)$",
    ),
    "an array in a loss": (
        lambda: mean_squared_error(np.array([1, 2]), [1, 2]),
        r"convert with y\.astype\('float64'\)$",
    ),
    "a list of indices": (
        lambda: pylstm.Embedding(4, 3)([[1.0]]),
        r"indices must be integers, got float64: convert with np\.asarray\(indices, dtype='int64'\)$",
    ),
    "a list of rows": (
        lambda: model().predict([[[1, 2, 3]]]),
        r"x must be float32, got int64: convert it with np\.asarray\(x, dtype='float32'\)$",
    ),
    "a list of resets": (
        lambda: pylstm.LSTM(3, 4)(X, reset=[[0] * 5] * 20),
        r"reset must be .*: pass np\.asarray\(reset, dtype=bool\)$",
    ),
    "no indices": (lambda: pylstm.Embedding(4, 3)(), r"^embedding needs indices: embedding\(indices\)$"),
    "no x of an MLP": (lambda: pylstm.MLP(4, [3], 2)(), r"^mlp needs x: mlp\(x\)$"),
    "weights of a fit": (
        lambda: pylstm.fit(model(), (X, Y, np.ones(20))),
        r"^data\[2\]: weights must be float32, got float64: convert it with np\.asarray\(value, dtype='float32'\)$",
    ),
    "one weight of a fit": (
        lambda: pylstm.fit(model(), (X, Y, np.linspace(-1, 18, 20).astype("float32"))),
        r"^data\[2\]: weights, row 0: must be 0 or more and finite, got -1\.0$",
    ),
    "an option of fit": (
        lambda: pylstm.fit(model(), (X, Y), epoch=3),
        r"^fit has no option epoch=: .*epochs.*, checkpoint, every, resume; did you mean epochs=\?$",
    ),
    "another option of fit": (
        lambda: pylstm.fit(model(), (X, Y), checkpoints="c"),
        r"^fit has no option checkpoints=: .*; did you mean checkpoint=\?$",
    ),
    "a cell by a wrong name": (
        lambda: pylstm.certify("lsmt"),
        r": pylstm\.plugins\.registry\(\)\.get\(name\) returns the class of a name that `pylstm cells` lists$",
    ),
    "no size of the output": (
        lambda: pylstm.SequenceModel.of(pylstm.LSTM(3, 4)),
        r"^SequenceModel\.of needs output_size: SequenceModel\.of\(layer, output_size\)$",
    ),
    "hidden of an LSTM": (
        lambda: pylstm.LSTM(5, hidden=3),
        r"^LSTM has no option hidden=: it takes input_size, .*certified; did you mean hidden_size=\?$",
    ),
    "hidden of a Recurrent": (
        lambda: pylstm.Recurrent("lstm", 5, hidden=3),
        r"^Recurrent has no option hidden=: it takes cell, input_size, .*certified; did you mean hidden_size=\?$",
    ),
    "a size of the cell alone": (
        lambda: pylstm.Recurrent("lstmp", 5, proj_size=3),
        r"^Recurrent takes input_size and hidden_size: Recurrent\('lstmp', 3, 8\)$",
    ),
    "a layer without a kind": (
        lambda: pylstm.save("x", kept(pylstm.LSTM)(3, 4)),
        r"load would return an LSTM: give it a kind of its own, class LSTM\(LSTM, kind=\.\.\.\)$",
    ),
    "a layer of a stack that cannot be streamed": (
        lambda: pylstm.Bidirectional(pylstm.LSTM(3, 4), pylstm.GRU(3, 4)).stream(),
        r"^a Bidirectional cannot be streamed: its reverse direction needs the whole sequence: ",
    ),
    "a text in place of its vocabulary": (
        lambda: CharModel("abc"),
        r"^vocabulary must be a pylstm\.datasets\.Vocabulary, got 'abc': pass Vocabulary\.of\('abc'\)$",
    ),
    "a size of another cell": (
        lambda: pylstm.SequenceModel("lstm", 3, 4, 2, proj_size=2),
        r"\(its extra sizes: none; its options: none\): cell 'lstmp' and 'lstmp_peephole' have it$",
    ),
    "an option of another library": (
        lambda: pylstm.Recurrent("gru", 3, 4, reset_after=False),
        r": of cell 'gru' it is True; cell 'gru_reset_before' is the other one$",
    ),
}


@pytest.mark.parametrize("call, message", MESSAGES.values(), ids=MESSAGES)
def test_message(call, message):
    with pytest.raises(ValueError if "row 0" in message else TypeError, match=message):
        call()


@pytest.mark.parametrize("loss", [mean_squared_error, gaussian_likelihood, quantile_loss, sigmoid_cross_entropy])
def test_a_loss_has_no_layer_to_make_anew(loss):
    y = np.full((4, 2 if loss is gaussian_likelihood else 1), 0.5, "float32")
    targets, weights = np.full((4, 1), 0.5, "float32"), np.ones(4 if loss is quantile_loss else (4, 1))
    for call in (lambda: loss(y, targets, weights=weights), lambda: loss(y, targets.astype("float64"))):
        with pytest.raises(
            TypeError, match=r"must be float32, got float64: convert it with np\.asarray\(value, dtype='f"
        ):
            call()
        with pytest.raises(TypeError) as caught:
            call()
        assert "layer" not in str(caught.value)


TAKING_CELLS = {
    "SequenceModel": lambda cell: pylstm.SequenceModel(cell, 3, 4, 2),
    "Recurrent": lambda cell: pylstm.Recurrent(cell, 3, 4),
    "certify": pylstm.certify,
    "ForecastModel": lambda cell: ForecastModel(cell, 2).fit(np.sin(np.arange(300.0))),
    "estimator": lambda cell: pylstm.SequenceClassifier(cell).fit(X.swapaxes(0, 1), [0, 1, 0, 1, 1]),
    "load": lambda cell: pylstm.load("absent", cell=cell),
}


@pytest.mark.parametrize("taking", TAKING_CELLS.values(), ids=TAKING_CELLS)
@pytest.mark.parametrize(
    "layer, cell", [(pylstm.LSTM, "lstm"), (pylstm.GRU, "gru"), (pylstm.RNN, "rnn_tanh"), (pylstm.GRU(2, 3), "gru")]
)
def test_a_layer_is_not_a_cell(taking, layer, cell):
    if taking is TAKING_CELLS["estimator"]:
        pytest.importorskip("sklearn")
    with pytest.raises(TypeError, match=rf"is a layer, not a cell: .*'{cell}'"):
        taking(layer)


def test_recurrent_has_no_cell_of_its_own():
    with pytest.raises(AttributeError, match=r"pylstm\.RNN is the layer, 'rnn_tanh' its cell$"):
        pylstm.cells.RNN  # noqa: B018
    for taking in (TAKING_CELLS["SequenceModel"], pylstm.certify):
        with pytest.raises(TypeError, match=r"^Recurrent is a layer, not a cell, which is a name such as 'lstm' or a"):
            taking(pylstm.Recurrent)


@pytest.mark.parametrize(
    "called, name",
    [("rnn", "rnn_tanh"), ("Elman", "rnn_tanh"), ("SimpleRNN", "rnn_tanh"), ("RNN-ReLU", "rnn_relu"), ("LSTM", "lstm")],
)
def test_names_of_other_libraries(called, name):
    with pytest.raises(LookupError, match=rf"^no cell is named '{called}'; did you mean '{name}'\? "):
        pylstm.SequenceModel(called, 3, 4, 2)


def test_one_name_of_a_loss_goes_everywhere():
    assert len(HEADS) == 7
    for name, head in HEADS.items():
        assert head_of(name) is head_of(head.loss) is head
        model = pylstm.SequenceModel("gru", 3, 4, 9 if name == "quantile" else 6, loss=name)
        assert model.loss_name == head.loss and head.loss in LOSSES
        assert pylstm.SequenceModel.of(pylstm.GRU(3, 4), 6, loss=head.loss).loss_name == head.loss
    with pytest.raises(ValueError, match=r"got 'mse': take mean_squared_error$"):
        head_of("mse")


def test_a_budget_of_a_stack_is_that_of_the_caller():
    x = np.ones((20, 5, 3), "float32")
    layers = pylstm.LSTM(3, 4, num_layers=2, bidirectional=True)
    message = r"^checkpoint: a budget of 4,000 bytes, of which 1,000 are for LSTM\(3, 4"
    with pytest.raises(ValueError, match=message) as one:
        layers(x, checkpoint="4 kB")
    least = _least(one.value)
    with pytest.raises(ValueError, match=r" is too small for 20 steps, batch size 5: the least possible is "):
        layers(x, checkpoint=least - 4)
    with pytest.raises(ValueError, match=r" for LSTM\(8, 4") as two:
        layers(x, checkpoint=least)  # the second has more inputs
    assert layers(x, checkpoint=_least(two.value)).y.shape == (20, 5, 8)


def _least(error):
    return int(str(error).split("possible is ")[1].split(" ")[0].replace(",", ""))


def test_the_cells_of_a_file_are_named(tmp_path):
    pylstm.save(tmp_path / "a.safetensors", pylstm.LSTM(3, 4))
    with pytest.raises(ValueError, match=r"cell 'gru', which was passed as cell=: its cells are 'lstm'$"):
        pylstm.load(tmp_path / "a.safetensors", cell=pylstm.GRU(3, 4).cell)
