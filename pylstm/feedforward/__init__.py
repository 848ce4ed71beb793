"""Maps without recurrence: `Linear`, `MLP`, `Embedding`."""

from pylstm.feedforward.embedding import Embedding
from pylstm.feedforward.linear import Linear
from pylstm.feedforward.mlp import MLP

__all__ = [
    "MLP",
    "Embedding",
    "Linear",
]
