"""`outputs_of`: the outputs of a `SequenceModel` for many rows, some of them at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from pylstm.data.sequences import Sequences
from pylstm.data.stored import Stored, read


def outputs_of(model: Any, x: np.ndarray | Sequences | Stored, size: int) -> np.ndarray:
    """Outputs (N, K), or (N, T, K) where every step is read: 0 beyond the end of a row.

    Parameters
    ----------
    model : SequenceModel
    x : ndarray, Sequences or Stored
        Checked.
    size : int
        Rows that are read and run at a time.
    """
    K, every = model.head.out_features, model.read == "every"
    out = np.zeros((len(x), x.shape[1], K) if every else (len(x), K), model.head.dtype)
    for start in range(0, max(len(x), 1), size):
        piece = read(x[start : start + size])
        y = model._pass(piece, tape=False).out
        if every:
            inside = piece.cut().inside[:, :, None] if isinstance(piece, Sequences) else None
            y = y.swapaxes(0, 1)
            out[start : start + size, : y.shape[1]] = y if inside is None else np.where(inside, y, 0)
        else:
            out[start : start + size] = y
    return out
