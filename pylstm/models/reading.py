"""`Reading`: the read-out, from the outputs of all steps to the input of the head, forward and backward."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pylstm.models.statistics import STATISTICS, Statistics, sum_of_steps

READS = ("last", "every", "mean", "max", "stats")


Read = Literal["last", "every", "mean", "max", "stats"]
"""The names of `READS`, for type checkers."""

OF_ROWS = tuple(each for each in READS if each != "every")
"""Those with one output for each row."""


class Reading:
    """Features of every row, from the outputs of its own steps.

    Parameters
    ----------
    y : ndarray, shape (T, B, W)
        Outputs; 0 beyond the end of a row.
    lengths : ndarray of int, shape (B,), optional
        Steps of each row; default T.
    read : {"last", "every", "mean", "max", "stats"}
        ``last``: of the first `forward` columns the own last step of a row, of the others, which run in reverse, step
        0. ``mean`` and ``max``: over the own steps. ``every``: y itself. ``stats``: what
        `Statistics` has. A row without steps has the features 0.
    forward : int
        Columns that run forward; W without a reverse direction.
    last : int, optional
        Of ``every``: so many of the last steps; default all.

    Attributes
    ----------
    features : ndarray, shape (B, W), or (T, B, W) for ``every``, (last, B, W) of the last steps, (B, 5 W) for ``stats``

    Examples
    --------
    >>> y = np.array([[[1.0, 5.0]], [[2.0, 6.0]], [[0.0, 0.0]]])  # one row of two steps, padded to three
    >>> [Reading(y, np.array([2]), read, 1).features.tolist() for read in ("last", "mean", "max")]
    [[[2.0, 5.0]], [[1.5, 5.5]], [[2.0, 6.0]]]
    """

    def __init__(
        self, y: np.ndarray, lengths: np.ndarray | None, read: str, forward: int, last: int | None = None
    ) -> None:
        T, B, W = self._shape = y.shape
        self._read, self._forward, self._dtype = read, forward, y.dtype
        self._lengths = np.full(B, T, np.intp) if lengths is None else lengths
        # the last steps of all rows as one array, if they are the same and nothing runs in reverse
        self._last = T - 1 if read == "last" and lengths is None and forward == W and T else None
        if read == "every":
            self._before = 0 if last is None else T - last
            self.features = y[self._before :]
            return
        if read == "stats":
            self._statistics = Statistics(y, self._lengths, forward)
            self.features = self._statistics.features
        elif not T:
            self.features = np.zeros((B, W), y.dtype)
        elif self._last is not None:
            self.features = y[self._last]
        elif read == "mean":
            # features = sum over t of y_t / length
            self.features = sum_of_steps(y) / self._divisor
        elif read == "last":
            self._own = self._lengths - 1, np.arange(B)  # of a row without steps, the 0 at the end of the padding
            self.features = np.concatenate([y[self._own][:, :forward], y[0, :, forward:]], axis=1)
        else:
            inside = np.arange(T)[:, None] < self._lengths
            self._at = np.argmax(np.where(inside[:, :, None], y, -np.inf), axis=0)[None]
            self.features = np.take_along_axis(y, self._at, axis=0)[0]

    @property
    def _divisor(self) -> np.ndarray:
        divisor: np.ndarray = np.maximum(self._lengths, 1)[:, None].astype(self._dtype)
        return divisor

    def backward(self, d: np.ndarray) -> np.ndarray:
        """Cotangent of `y` from that of `features`; beyond the end of a row it means nothing, and may not be 0.

        A maximum that several steps reach passes its cotangent to the first of them.
        """
        if self._read == "every":
            return np.concatenate([np.zeros((self._before, *d.shape[1:]), d.dtype), d]) if self._before else d
        if self._read == "stats":
            return self._statistics.backward(d)
        T, F = self._shape[0], self._forward
        if self._read == "mean":
            return np.repeat((d / self._divisor)[None], T, axis=0)
        dy = np.zeros(self._shape, self._dtype)
        if T and self._read == "max":
            np.put_along_axis(dy, self._at, d[None], axis=0)
        elif self._last is not None:
            dy[self._last] = d
        elif T:
            dy[0, :, F:] = d[:, F:]
            dy[(*self._own, slice(F))] = d[:, :F]
        return dy


def features_of(read: str, width: int) -> int:
    """Numbers that a head sees of `width` outputs."""
    return width * len(STATISTICS) if read == "stats" else width
