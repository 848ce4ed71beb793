"""`Layout`: how the caller's arrays lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Layout:
    """How the caller's arrays lie: one sequence without a batch axis, or the batch first."""

    single: bool
    batch_first: bool
    order: np.ndarray | None = None  # of the rows, where the time loop has another

    def steps_in(self, array: np.ndarray) -> np.ndarray:
        """(T, B, ...) contiguous, from what the caller has."""
        if self.single:
            array = array[:, None]
        elif self.batch_first:
            array = array.swapaxes(0, 1)
        return np.ascontiguousarray(array)

    def steps_out(self, array: np.ndarray) -> np.ndarray:
        """What the caller has, from (T, B, ...)."""
        if self.single:
            return array[:, 0]
        return array.swapaxes(0, 1) if self.batch_first else array

    def states_out(self, array: np.ndarray, T: int, B: int) -> np.ndarray:
        """What the caller has of a state, from its B initial rows and those of all steps: (T + 1, B, width)."""
        return self.steps_out(array.reshape(T + 1, B, array.shape[1]))

    given_in, whole_out = steps_in, steps_out  # x and dy as the time loop takes them, y and dx as it leaves them

    def steps_shape(self, T: int, B: int, *rest: int) -> tuple[int, ...]:
        """Shape of a per-step array as the caller has it."""
        if self.single:
            return (T, *rest)
        return (B, T, *rest) if self.batch_first else (T, B, *rest)

    def packed_shape(self, T: int, B: int, width: int) -> tuple[int, ...]:
        """Shape of a per-step array as the time loop has it."""
        return (T, B, width)

    def rows_in(self, array: np.ndarray) -> np.ndarray:
        """(B, width) contiguous."""
        return np.ascontiguousarray(array[None] if self.single else array)

    def rows_out(self, array: np.ndarray) -> np.ndarray:
        """What the caller has, from (B, width)."""
        return array[0] if self.single else array

    def rows_shape(self, B: int, width: int) -> tuple[int, ...]:
        """Shape of a per-row array as the caller has it."""
        return (width,) if self.single else (B, width)
