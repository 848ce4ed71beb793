"""`Preparation`: logarithms and differences of a series, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Preparation:
    """Transformations of a series before the net sees it, undone in its forecasts.

    Attributes
    ----------
    log : bool
        Take logarithms: of a growth in percent, and of a season that grows with the level.
    season : int
        Differences to the value `season` steps before; 0: none.
    difference : int
        How often differences to the value before are taken, after that.

    Raises
    ------
    ValueError
        A negative number.

    Examples
    --------
    >>> ready = Preparation(season=2, difference=1)
    >>> y = np.array([[1.0], [5.0], [3.0], [8.0], [6.0]])
    >>> z = ready.apply(y)
    >>> z.ravel(), ready.undo(y[:4], z[-1:]).ravel()
    (array([1., 0.]), array([6.]))
    """

    log: bool = False
    season: int = 0
    difference: int = 0

    def __post_init__(self) -> None:
        for name in ("season", "difference"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")

    @property
    def lags(self) -> list[int]:
        """Lags of the differences, in their order."""
        return [self.season] * bool(self.season) + [1] * self.difference

    @property
    def lost(self) -> int:
        """Steps at the beginning of a series for which there are no differences."""
        return self.season + self.difference

    def apply(self, y: np.ndarray) -> np.ndarray:
        """(T, K) to (T - lost, K)."""
        return self._levels(y)[-1]

    def undo(self, history: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Forecasts `z` (..., n, K) of the prepared series, as values that follow `history` (T, K)."""
        out = np.array(z, "float64")
        for lag, level in reversed(list(zip(self.lags, self._levels(history)))):
            before = level[-lag:]  # z_t = y_t - y_{t-lag}: a block of `lag` steps at a time
            for start in range(0, out.shape[-2], lag):
                block = out[..., start : start + lag, :]
                block += before[..., : block.shape[-2], :]
                before = block
        return np.exp(out) if self.log else out

    def _levels(self, y: np.ndarray) -> list[np.ndarray]:
        """The series before and after each difference."""
        if self.log and not (y > 0).all():
            raise ValueError(f"log needs values above 0, got {y.min()}")
        levels = [np.log(y) if self.log else y]
        for lag in self.lags:
            levels.append(levels[-1][lag:] - levels[-1][:-lag])
        return levels
