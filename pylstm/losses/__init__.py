"""Losses and their gradients: of classes, of numbers, of counts, of labels without alignment (CTC)."""

from typing import TYPE_CHECKING

from pylstm.hints import absent
from pylstm.losses.classification import sigmoid_cross_entropy, softmax_cross_entropy
from pylstm.losses.ctc import ctc_best_path, ctc_loss
from pylstm.losses.likelihoods import negative_binomial_likelihood, poisson_likelihood, student_t_likelihood
from pylstm.losses.regression import gaussian_likelihood, huber, mean_squared_error, quantile_loss, squared_error

__all__ = [
    "ctc_best_path",
    "ctc_loss",
    "gaussian_likelihood",
    "huber",
    "mean_squared_error",
    "negative_binomial_likelihood",
    "poisson_likelihood",
    "quantile_loss",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "squared_error",
    "student_t_likelihood",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
