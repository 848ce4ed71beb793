"""Recurrent networks on CPUs: exact back-propagation through time at the speed of the machine, any cell."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pylstm import _guard  # noqa: F401  (first: explains an import of the uncompiled source tree)
from pylstm.cells import (
    Cell,
    Stage,
    absolute,
    cos,
    exp,
    expm1,
    log,
    log1p,
    maximum,
    minimum,
    relu,
    sigmoid,
    sin,
    softplus,
    sqrt,
    stop_gradient,
    surrogate,
    tanh,
    where,
)
from pylstm.cells.certification.certificate import Certificate, CertificationError
from pylstm.data.frames import sequences_from_frame
from pylstm.data.sequences import Sequences
from pylstm.engine.stream import Stream
from pylstm.engine.threads import get_num_threads, set_num_threads
from pylstm.feedforward.embedding import Embedding
from pylstm.feedforward.linear import Linear
from pylstm.feedforward.mlp import MLP
from pylstm.forecasting.baselines import naive, seasonal_naive
from pylstm.forecasting.forecast_model import ForecastModel
from pylstm.hints import absent as _absent
from pylstm.hookspecs import hookimpl
from pylstm.kinds import KINDS as _KINDS
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import GRU, LSTM, RNN, Recurrent
from pylstm.layers.runs.checkpointed import CheckpointedRun
from pylstm.layers.runs.gradients import Gradients
from pylstm.layers.runs.run import Run
from pylstm.layers.stack import Stack
from pylstm.losses.classification import sigmoid_cross_entropy, softmax_cross_entropy
from pylstm.losses.ctc import ctc_best_path, ctc_loss
from pylstm.losses.likelihoods import negative_binomial_likelihood, poisson_likelihood, student_t_likelihood
from pylstm.losses.regression import gaussian_likelihood, huber, mean_squared_error, quantile_loss, squared_error
from pylstm.models.classify_model import ClassifyModel
from pylstm.models.sequence_model import SequenceModel
from pylstm.optim.clipping import clip_by_norm, clip_by_value
from pylstm.optim.optimisers import SGD, Adam, AdamW, RMSProp
from pylstm.parameters import Parameters
from pylstm.plugins import register
from pylstm.saving import load, save
from pylstm.training.fitting import fit
from pylstm.training.history import History
from pylstm.training.lbfgs import fit_lbfgs
from pylstm.training.tbptt import truncated_bptt
from pylstm.training.trainer import Trainer

if TYPE_CHECKING:  # what `__getattr__` finds, for checkers
    from pylstm import building as building
    from pylstm import cells as cells
    from pylstm import comparing as comparing
    from pylstm import data as data
    from pylstm import datasets as datasets
    from pylstm import diagnostics as diagnostics
    from pylstm import estimators as estimators
    from pylstm import export as export
    from pylstm import feedforward as feedforward
    from pylstm import forecasting as forecasting
    from pylstm import hookspecs as hookspecs
    from pylstm import interop as interop
    from pylstm import layers as layers
    from pylstm import losses as losses
    from pylstm import models as models
    from pylstm import optim as optim
    from pylstm import plots as plots
    from pylstm import plugins as plugins
    from pylstm import saving as saving
    from pylstm import text as text
    from pylstm import torch as torch
    from pylstm import training as training
    from pylstm.cells.auditing.audit import Audit as Audit
    from pylstm.cells.auditing.audit import audit as audit
    from pylstm.cells.certification.certify import certify as certify
    from pylstm.estimators.classifier import SequenceClassifier as SequenceClassifier
    from pylstm.estimators.forecaster import Forecaster as Forecaster
    from pylstm.estimators.regressor import SequenceRegressor as SequenceRegressor

__version__: str

__all__ = [
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "SGD",
    "Adam",
    "AdamW",
    "Audit",
    "Bidirectional",
    "Cell",
    "Certificate",
    "CertificationError",
    "CheckpointedRun",
    "ClassifyModel",
    "Embedding",
    "ForecastModel",
    "Gradients",
    "History",
    "Linear",
    "Parameters",
    "RMSProp",
    "Recurrent",
    "Run",
    "SequenceModel",
    "Sequences",
    "Stack",
    "Stage",
    "Stream",
    "Trainer",
    "absolute",
    "audit",
    "certify",
    "clip_by_norm",
    "clip_by_value",
    "cos",
    "ctc_best_path",
    "ctc_loss",
    "exp",
    "expm1",
    "fit",
    "fit_lbfgs",
    "gaussian_likelihood",
    "get_num_threads",
    "hookimpl",
    "huber",
    "load",
    "log",
    "log1p",
    "maximum",
    "mean_squared_error",
    "minimum",
    "naive",
    "negative_binomial_likelihood",
    "poisson_likelihood",
    "quantile_loss",
    "register",
    "relu",
    "save",
    "seasonal_naive",
    "sequences_from_frame",
    "set_num_threads",
    "sigmoid",
    "sigmoid_cross_entropy",
    "sin",
    "softmax_cross_entropy",
    "softplus",
    "sqrt",
    "squared_error",
    "stop_gradient",
    "student_t_likelihood",
    "surrogate",
    "tanh",
    "truncated_bptt",
    "where",
]

_ESTIMATORS = {
    "Forecaster": "pylstm.estimators.forecaster",
    "SequenceClassifier": "pylstm.estimators.classifier",
    "SequenceRegressor": "pylstm.estimators.regressor",
}
"""Imported when they are asked for, because they need scikit-learn; in ``__all__`` where that is installed."""

for _kind, _module in {
    "char_model": "pylstm.text.char_model",
    "forecaster": _ESTIMATORS["Forecaster"],
    "sequence_classifier": _ESTIMATORS["SequenceClassifier"],
    "sequence_regressor": _ESTIMATORS["SequenceRegressor"],
}.items():
    _KINDS.later(_kind, _module)

_LATER = _ESTIMATORS | {
    "Audit": "pylstm.cells.auditing.audit",
    "audit": "pylstm.cells.auditing.audit",
    "certify": "pylstm.cells.certification.certify",
}
"""Name -> module of what is imported when it is asked for."""

_ROOMS = (
    "building", "cells", "comparing", "data", "datasets", "diagnostics", "estimators", "export", "feedforward",
    "forecasting", "hookspecs", "interop", "layers", "losses", "models", "optim", "plots", "plugins", "saving", "text",
    "torch", "training",
)  # fmt: skip
"""The other façades, imported when they are asked for."""

if find_spec("sklearn") is not None:  # looks for it, imports nothing
    __all__ += ["Forecaster", "SequenceClassifier", "SequenceRegressor"]


if not TYPE_CHECKING:  # with it, every name would be there
    _find = _absent(__name__, _LATER | {room: f"pylstm.{room}" for room in _ROOMS})

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            import importlib.metadata

            return importlib.metadata.version("pylstm")
        return _find(name)


def __dir__() -> list[str]:
    special = {name for name in globals() if name.startswith("__")}
    return sorted({*__all__, *_ESTIMATORS, *_ROOMS, "__version__"} | special)
