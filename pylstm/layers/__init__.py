"""Recurrent layers: one, a stack, two directions; their runs, initial values and regularisers."""

from typing import TYPE_CHECKING

from pylstm.hints import absent
from pylstm.layers.bidirectional import Bidirectional
from pylstm.layers.named import GRU, LSTM, RNN, Recurrent
from pylstm.layers.runs.checkpointed import CheckpointedRun
from pylstm.layers.runs.gradients import Gradients
from pylstm.layers.runs.ragged import RaggedRun
from pylstm.layers.runs.run import Run
from pylstm.layers.runs.tangents import CompositeTangent, Tangent
from pylstm.layers.stack import Stack
from pylstm.layers.streams.online import OnlineStream

if TYPE_CHECKING:
    from pylstm.layers import initialisers as initialisers
    from pylstm.layers import regularisers as regularisers

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Bidirectional",
    "CheckpointedRun",
    "CompositeTangent",
    "Gradients",
    "OnlineStream",
    "RaggedRun",
    "Recurrent",
    "Run",
    "Stack",
    "Tangent",
    "initialisers",
    "regularisers",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__, {name: f"{__name__}.{name}" for name in ("initialisers", "regularisers")})
