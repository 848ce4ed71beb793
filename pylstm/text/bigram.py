"""`bigram_bits`: the bigram baseline of a character model."""

from __future__ import annotations

import numpy as np

from pylstm.checks import as_array, check_size
from pylstm.datasets.text import PIECE
from pylstm.hints import explained


@explained()
def bigram_bits(train: np.ndarray, validation: np.ndarray, size: int) -> float:
    """Bits per character of a bigram model with add-one smoothing.

    ``p(b | a) = (count(a, b) + 1) / (count(a) + size)``, counted on `train`, measured on the pairs of `validation`.

    Parameters
    ----------
    train, validation : ndarray of int, shape (N,)
        Indices in 0..size-1.
    size : int
        Size of the vocabulary.

    Returns
    -------
    float
        Mean of ``-log2 p(b | a)`` over consecutive pairs of `validation`.

    Raises
    ------
    ValueError
        `validation` has no pair.

    Examples
    --------
    >>> import numpy as np
    >>> bigram_bits(np.array([0, 1, 0, 1, 0]), np.array([0, 1]), 2).__round__(6)
    0.415037
    """
    size, train, validation = check_size("size", size), as_array("train", train), as_array("validation", validation)
    for name, indices in (("train", train), ("validation", validation)):
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise ValueError(f"{name} must be indices of shape (N,), got {indices.dtype} of shape {indices.shape}")
    if len(validation) < 2:
        raise ValueError(f"validation needs at least two characters, got {len(validation)}")
    counts = pairs(train, size)
    bits = np.log2(counts.sum(axis=1, keepdims=True) + size) - np.log2(counts + 1)
    return float((pairs(validation, size) * bits).sum() / (len(validation) - 1))


def pairs(indices: np.ndarray, size: int) -> np.ndarray:
    """How often index b comes right after a: (size, size) by a and b.

    Examples
    --------
    >>> pairs(np.array([0, 1, 0, 1, 1]), 2).tolist()
    [[0, 2], [1, 1]]
    """
    counts = np.zeros(size * size, np.intp)
    for start in range(0, len(indices) - 1, PIECE):  # a piece at a time: as intp all would take eight times the memory
        piece = indices[start : start + PIECE + 1].astype(np.intp)
        counts += np.bincount(piece[:-1] * size + piece[1:], minlength=size * size)
    return counts.reshape(size, size)
