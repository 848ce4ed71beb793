"""Values of `loss_options`, which a model refuses when it is made."""

from __future__ import annotations

import pytest

import pylstm

WRONG = [
    ("huber", {"delta": -1}, ValueError, "delta must be above 0 and finite, got -1"),
    ("huber", {"delta": "a"}, TypeError, "delta must be a number, got 'a'"),
    ("quantile_loss", {"quantiles": (2, 3)}, ValueError, r"quantiles must be numbers between 0 and 1, got \(2, 3\)"),
    ("quantile_loss", {"quantiles": "a"}, TypeError, "quantiles must be an array of numbers, got 'a'"),
    ("softmax_cross_entropy", {"smoothing": "a"}, TypeError, "smoothing must be a number, got 'a'"),
    ("softmax_cross_entropy", {"smoothing": 1.5}, ValueError, r"smoothing must be in 0\.\.1, got 1.5"),
    ("mean_squared_error", {"reduction": "max"}, ValueError, "reduction must be 'mean' or 'sum', got 'max'"),
    ("gaussian_likelihood", {"reduction": "max"}, ValueError, "reduction must be 'mean' or 'sum', got 'max'"),
    ("sigmoid_cross_entropy", {"reduction": "max"}, ValueError, "reduction must be 'mean' or 'sum', got 'max'"),
    ("ctc", {"blank": 7}, ValueError, r"blank must be in 0\.\.3, got 7"),
    ("huber", {"weights": 3}, ValueError, r"huber has no weights \(known: delta, reduction\)"),
    ("huber", {"y": 3}, ValueError, r"huber has no y \(known: delta, reduction\)"),
]


@pytest.mark.parametrize("loss, options, error, message", WRONG)
def test_a_wrong_value_is_refused_when_the_model_is_made(loss, options, error, message):
    read = "every" if loss == "ctc" else "last"
    with pytest.raises(error, match=f"^loss_options: .*{message}"):
        pylstm.SequenceModel("gru", 3, 5, 4, loss=loss, loss_options=options, read=read)
    with pytest.raises(error, match=f"^loss_options: .*{message}"):
        pylstm.SequenceModel.of(pylstm.GRU(3, 5), 4, loss=loss, loss_options=options, read=read)


@pytest.mark.parametrize(
    "loss, options",
    [
        ("huber", {"delta": 0.5, "reduction": "sum"}),
        ("quantile_loss", {"quantiles": [0.1, 0.3, 0.5, 0.9]}),
        ("softmax_cross_entropy", {"smoothing": 1}),
        ("gaussian_likelihood", {"reduction": "sum"}),
        ("ctc", {"blank": 3, "zero_infinity": True}),
    ],
)
def test_right_values(loss, options):
    read = "every" if loss == "ctc" else "last"
    assert pylstm.SequenceModel("gru", 3, 5, 4, loss=loss, loss_options=options, read=read).loss_options == options
