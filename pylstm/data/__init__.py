"""Sequences in memory: rows of unequal lengths, tables as sequences, batches, scales."""

from pylstm.data.frames import sequences_from_frame
from pylstm.data.sequences import Sequences

__all__ = [
    "Sequences",
    "sequences_from_frame",
]
