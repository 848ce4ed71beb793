"""Calls with too many positional arguments or unknown ones, of methods of every step, and of what is not called."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import pylstm
from pylstm import cells, datasets, optim

LSTM, STACK = pylstm.LSTM(2, 3, seed=0), pylstm.LSTM(2, 3, 2, seed=0)
HEAD = pylstm.Linear(3, 2, seed=0)
X, Y = np.ones((5, 2, 2), "f4"), np.ones((5, 2, 3), "f4")
RUN = LSTM(X)
ADAM = optim.Adam(LSTM.params)
GRADS = RUN.backward(RUN.y)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: RUN.backward(Y, {}), TypeError, "backward takes 1 positional argument, dy"),
        (lambda: STACK(X).backward(Y, {}), TypeError, "backward takes 1 positional argument, dy"),
        (lambda: HEAD(Y).backward(None, 1), TypeError, "backward takes 1 positional argument, dy"),
        (lambda: ADAM.step(GRADS.params, 0.1), TypeError, "optimiser.step takes 1 positional argument, grads"),
        (
            lambda: ADAM.step(gradients=GRADS.params),
            TypeError,
            r"optimiser.step has no option gradients=: it takes grads",
        ),
        (lambda: cells.LSTM(3, 5), TypeError, r"declares a cell .* pylstm\.Recurrent\(LSTM, input_size, hidden_size\)"),
        (lambda: pylstm.surrogate(), TypeError, "surrogate needs forward and derivative"),
        (lambda: pylstm.stop_gradient(), TypeError, "stop_gradient needs x"),
        (lambda: pylstm.ForecastModel().sample(3), RuntimeError, "fit"),
        (
            lambda: pylstm.ClassifyModel(["a", "b"]).fit(3, [0]),
            TypeError,
            r"x must be a list of sequences \(T, I\), got 3",
        ),
        (lambda: datasets.Vocabulary([1, 2]), ValueError, "must be single characters"),
        (lambda: datasets.Vocabulary("ab").decode("ab"), TypeError, "indices must be integers, .* got 'ab'"),
        (lambda: datasets.Vocabulary("ab").decode([0.5]), TypeError, r"indices must be integers, .* got \[0\.5\]"),
    ],
)
def test_other_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_step_shows_what_it_takes():
    assert (
        str(inspect.signature(optim.Adam.step))
        == "(self, grads: 'Parameters | Iterable[Parameters] | None' = None) -> 'None'"
    )
    assert str(inspect.signature(pylstm.Stream.step)) == "(self, x_t, out=None, *, aux=None, reset=None)"
