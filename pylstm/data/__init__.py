"""Sequences in memory: rows of unequal lengths, tables as sequences, batches, scales."""

from typing import TYPE_CHECKING

from pylstm.data.frames import sequences_from_frame
from pylstm.data.sequences import Sequences
from pylstm.hints import absent

__all__ = [
    "Sequences",
    "sequences_from_frame",
]

if not TYPE_CHECKING:
    __getattr__ = absent(__name__)
