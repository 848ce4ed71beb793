"""Maps without recurrence: `Linear`, `MLP`, `Embedding`."""

from typing import TYPE_CHECKING

from pylstm.feedforward.embedding import Embedding
from pylstm.feedforward.linear import Linear
from pylstm.feedforward.mlp import MLP
from pylstm.hints import absent

__all__ = [
    "MLP",
    "Embedding",
    "Linear",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
