"""What calls with a slip are answered: the thing that is wrong, by the name that the user wrote, a cure."""

from __future__ import annotations

import numpy as np
import pytest

import pylstm
from pylstm.losses import gaussian_likelihood, mean_squared_error, quantile_loss, sigmoid_cross_entropy

X, Y = np.ones((20, 5, 3), "float32"), np.ones((20, 2), "float32")


def model():
    return pylstm.SequenceModel("gru", 3, 4, 2, seed=0)


def kept(cls):
    return type(cls.__name__, (cls,), {})


MESSAGES = {
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
