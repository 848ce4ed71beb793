"""`pack`, `scale_of`, `scale_of_pieces`: sequences in one container, their means and standard deviations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pylstm.data.sequences import Sequences
from pylstm.data.stored import Stored

PIECE = 1 << 21
"""Numbers whose statistics are computed together."""


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


def scale_of_pieces(pieces: Iterable[np.ndarray]) -> np.ndarray:
    """The result of `scale_of` for the rows of several arrays (M_i, K); of one array its bits.

    Notes
    -----
    Chan, Golub and LeVeque (1979), Updating formulae and a pairwise algorithm for computing sample variances.

    Examples
    --------
    >>> z = np.arange(12.0).reshape(6, 2) ** 2
    >>> np.allclose(scale_of_pieces(np.split(z, [1, 4])), scale_of(z), rtol=1e-15)
    True
    """
    count, mean, squares, largest, one = 0, np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0)
    for piece in pieces:
        z = piece.astype(np.float64, copy=False)
        here, deviations = z.mean(axis=0), z.std(axis=0)
        if not count:
            count, mean, largest = len(z), here, np.abs(z).max(axis=0)
            squares, one = np.square(deviations) * count, deviations
            continue
        # M2 = M2_a + M2_b + (mean_b - mean_a)^2 n_a n_b / n
        total, apart = count + len(z), here - mean
        squares = squares + np.square(deviations) * len(z) + np.square(apart) * (count * len(z) / total)
        mean, count, one = mean + apart * (len(z) / total), total, np.sqrt(squares / total)
        largest = np.maximum(largest, np.abs(z).max(axis=0))
    return np.stack([mean, np.where(one <= 1e-12 * largest, 1.0, one)])


def pieces_of(rows: Sequence[np.ndarray] | Stored) -> Iterator[np.ndarray]:
    """Steps (M, I) of some sequences at a time; the same ones of an array in memory and of one that is not."""
    longest = rows.shape[1] * rows.shape[2] if isinstance(rows, Stored) else max(each.size for each in rows)
    size = max(1, PIECE // max(1, longest))
    for start in range(0, len(rows), size):
        piece = rows[start : start + size]
        steps = piece.read().reshape(-1, piece.shape[2]) if isinstance(piece, Stored) else np.concatenate(piece)
        if len(steps):
            yield steps
