"""Models: a body that recurs, a read-out, a head, a loss."""

from typing import TYPE_CHECKING

from pylstm.hints import absent
from pylstm.models.classify_model import ClassifyModel
from pylstm.models.sequence_model import SequenceModel

__all__ = [
    "ClassifyModel",
    "SequenceModel",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
