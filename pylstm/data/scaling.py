"""`pack`, `scale_of`: sequences in one container, their means and standard deviations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pylstm.data.sequences import Sequences


def pack(pieces: Sequence[np.ndarray], dtype: Any) -> np.ndarray | Sequences:
    """One array of pieces of the same length, otherwise `Sequences`."""
    if len({len(each) for each in pieces}) == 1:
        return np.stack(pieces).astype(dtype)
    return Sequences.of(pieces, dtype=dtype)


def scale_of(z: np.ndarray) -> np.ndarray:
    """Mean and standard deviation (2, K) of the columns of `z`; a constant column is divided by 1."""
    deviation = z.std(axis=0)
    constant = deviation <= 1e-12 * np.abs(z).max(axis=0)
    return np.stack([z.mean(axis=0), np.where(constant, 1.0, deviation)])
