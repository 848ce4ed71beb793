"""Optimisers, schedules of their rates, and clipping of gradients. They know `Parameters` only."""

from typing import TYPE_CHECKING

from pylstm.hints import absent
from pylstm.optim.clipping import clip_by_norm, clip_by_value
from pylstm.optim.optimisers import SGD, Adam, AdamW, Optimiser, RMSProp
from pylstm.optim.schedules import Plateau, constant, cosine, step_decay, warm_up

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Optimiser",
    "Plateau",
    "RMSProp",
    "clip_by_norm",
    "clip_by_value",
    "constant",
    "cosine",
    "step_decay",
    "warm_up",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
