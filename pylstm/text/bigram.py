"""`bigram_bits`: the bigram baseline of a character model."""

from __future__ import annotations

import numpy as np


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
    if len(validation) < 2:
        raise ValueError(f"validation needs at least two characters, got {len(validation)}")
    pairs = np.bincount(train[:-1] * size + train[1:], minlength=size * size).reshape(size, size) + 1
    before, after = validation[:-1], validation[1:]
    return float(np.mean(np.log2(pairs.sum(axis=1)[before]) - np.log2(pairs[before, after])))
