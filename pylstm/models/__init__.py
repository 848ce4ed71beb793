"""Models: a body that recurs, a read-out, a head, a loss."""

from pylstm.models.classify_model import ClassifyModel
from pylstm.models.sequence_model import SequenceModel

__all__ = [
    "ClassifyModel",
    "SequenceModel",
]
