"""`Statistics`: mean, deviation, maximum, minimum and last step of the outputs of a row, forward and backward."""

from __future__ import annotations

import numpy as np

STATISTICS = ("last", "mean", "deviation", "max", "min")
"""What stands side by side, in this order."""

LEAST = 1e-6
"""Added to a variance: of a constant output the root has a derivative, too."""


class Statistics:
    """Five numbers of every output over the own steps of its row.

    Parameters
    ----------
    y : ndarray, shape (T, B, W)
        Outputs; what stands beyond the end of a row has no effect.
    lengths : ndarray of int, shape (B,)
        Steps of each row.
    forward : int
        Columns that run forward; the last step of the others is step 0.

    Attributes
    ----------
    features : ndarray, shape (B, 5 W)
        In the order of `STATISTICS`; 0 for a row without steps.

    Examples
    --------
    >>> y = np.array([[[1.0]], [[3.0]], [[7.0]]])  # one row of two steps, padded to three
    >>> Statistics(y, np.array([2]), 1).features.round(3).tolist()
    [[3.0, 2.0, 1.0, 3.0, 1.0]]
    """

    def __init__(self, y: np.ndarray, lengths: np.ndarray, forward: int) -> None:
        T, B, W = self._shape = y.shape
        self._forward, self._dtype = forward, y.dtype
        self._inside = (np.arange(T)[:, None] < lengths)[:, :, None]
        self._count = np.maximum(lengths, 1)[:, None].astype(y.dtype)
        self._end = np.maximum(lengths, 1) - 1, np.arange(B)
        self.features = np.zeros((B, len(STATISTICS) * W), y.dtype)
        if not T:
            return
        some = lengths > 0
        last = np.concatenate([y[self._end][:, :forward], y[0, :, forward:]], axis=1)
        mean = sum_of_steps(np.where(self._inside, y, 0)) / self._count
        # s^2 = sum over t of (y_t - mean)^2 / length + LEAST
        self._centred = np.where(self._inside, y - mean, 0)
        self._deviation = np.sqrt(sum_of_steps(self._centred**2) / self._count + y.dtype.type(LEAST))
        self._highest = np.where(self._inside, y, -np.inf).argmax(axis=0)[None]
        self._lowest = np.where(self._inside, y, np.inf).argmin(axis=0)[None]
        most, least = (np.take_along_axis(y, at, axis=0)[0] for at in (self._highest, self._lowest))
        found = np.concatenate([last, mean, self._deviation, most, least], axis=1)
        self.features[some] = found[some]

    def backward(self, d: np.ndarray) -> np.ndarray:
        """Cotangent of `y` from that of `features`; 0 beyond the end of a row.

        A maximum or minimum that several steps reach passes its cotangent to the first of them.
        """
        dy = np.zeros(self._shape, self._dtype)
        if not len(dy):
            return dy
        F = self._forward
        last, mean, deviation, most, least = np.split(d, len(STATISTICS), axis=1)
        # ds / dy_t = (y_t - mean) / (length s); the mean inside of s has no part, since the differences sum to 0
        dy += (mean + self._centred * (deviation / self._deviation)) / self._count
        dy[(*self._end, slice(F))] += last[:, :F]
        dy[0, :, F:] += last[:, F:]
        for at, part in ((self._highest, most), (self._lowest, least)):
            np.put_along_axis(dy, at, np.take_along_axis(dy, at, axis=0) + part[None], axis=0)
        return np.where(self._inside, dy, 0)


def sum_of_steps(y: np.ndarray) -> np.ndarray:
    """Sum over the first axis, of each column in the order of the steps, whatever stands beside it.

    NumPy adds the numbers of a lone column in pairs: a row would have other bits than in a batch.

    Examples
    --------
    >>> sum_of_steps(np.array([[[1.0]], [[3.0]], [[7.0]]])).tolist()
    [[11.0]]
    """
    total: np.ndarray = np.repeat(y, 2, axis=-1).sum(axis=0)[..., :1] if y[0].size == 1 else y.sum(axis=0)
    return total
