"""Training: the loop of a fit, its history and checkpoints, truncated back-propagation, L-BFGS."""

from typing import TYPE_CHECKING

from pylstm.hints import absent
from pylstm.training.divergence import TrainingDiverged
from pylstm.training.fitting import fit
from pylstm.training.following import followed
from pylstm.training.history import History
from pylstm.training.lbfgs import fit_lbfgs
from pylstm.training.tbptt import TruncatedStep, truncated_bptt
from pylstm.training.trainer import Trainer

__all__ = [
    "History",
    "Trainer",
    "TrainingDiverged",
    "TruncatedStep",
    "fit",
    "fit_lbfgs",
    "followed",
    "truncated_bptt",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
