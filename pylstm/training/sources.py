"""`Source`: the batches of a `Loop`; `Rows`: those of arrays, in memory or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from pylstm.data.batches import Data
from pylstm.data.finite import not_finite, number_of, refuse_not_finite
from pylstm.data.stored import Stored, read
from pylstm.training.located import gradients_at


class Source(ABC):
    """Batches by their number."""

    @property
    def per_epoch(self) -> int | None:
        """Batches of an epoch; None for a source without epochs."""
        return None

    @abstractmethod
    def gradients(self, model: Any, step: int, states: Any) -> tuple[float, Any, Any]:
        """Loss of batch `step` = 0, 1, ..., gradients in the order of ``model.params``, and states to carry on.

        Asked again for a step that failed, it returns the same bits. `states` are those of the batch before, None at
        the first one.
        """

    def ends_epoch(self, step: int, epoch: int, states: Any) -> bool:
        """Whether so many steps are all of the first ``epoch + 1`` epochs; `states` are those of the last one."""
        return self.per_epoch is not None and step == (epoch + 1) * self.per_epoch

    def mean(self, losses: Sequence[float], states: Any = None) -> float:
        """Mean loss of the epoch whose last steps had these losses; `states` are those of the last one."""
        return float(np.mean(losses[-(self.per_epoch or 0) :]))

    def fault(self, model: Any, step: int) -> str:
        """Which value of batch `step` is not finite, and where; "" if none is, or if none can be."""
        return ""


class Rows(Source):
    """Rows of arrays, in a new order in every epoch. Those that are not in memory are read and checked by batch.

    Parameters
    ----------
    data : tuple of arrays or Sequences
        With the same number of rows.
    batch_size : int
        Rows of a batch; the last one of an epoch may have fewer.
    shuffle : bool
    seed : int
        Decides, with the number of the epoch, about the order.
    """

    def __init__(self, data: Data, batch_size: int, shuffle: bool, seed: int) -> None:
        self.data, self.batch_size, self.shuffle, self.seed = data, batch_size, shuffle, seed
        self._order_of, self._order = -1, np.arange(0)
        self._stored = any(isinstance(each, Stored) for each in data)

    @property
    def per_epoch(self) -> int:
        """Batches of one pass over the data."""
        return -(-len(self.data[0]) // self.batch_size)

    def gradients(self, model: Any, step: int, states: None) -> tuple[float, Any, None]:
        """``model.gradients`` of the rows of a batch.

        Raises
        ------
        TypeError, ValueError
            As the model; of rows that are not in memory NaN or infinity, too. Names the row where one has the fault.
        """
        rows = self._rows(step)
        batch = tuple(read(array[rows]) for array in self.data)
        if not self._stored:
            return *model.gradients(*batch), None
        if hasattr(model, "counting") and not_finite("data", batch, model):
            refuse_not_finite("data", self.data, model, rows)
        return *gradients_at(model, batch, lambda row: f"data, row {number_of(self.data, int(rows[row]))}"), None

    def _rows(self, step: int) -> np.ndarray:
        epoch, position = divmod(step, self.per_epoch)
        if self._order_of != epoch:
            self._order_of, self._order = epoch, self.draw_order(epoch)
        start = position * self.batch_size
        return self._order[start : start + self.batch_size]

    def draw_order(self, epoch: int) -> np.ndarray:
        """The order of the rows in an epoch."""
        rows = len(self.data[0])
        return np.random.default_rng([self.seed, epoch]).permutation(rows) if self.shuffle else np.arange(rows)

    def mean(self, losses: Sequence[float], states: Any = None) -> float:
        """Mean loss over the batches of an epoch, weighed by their rows."""
        rows, total = len(self.data[0]), 0.0
        for number, loss in enumerate(losses[-self.per_epoch :]):
            total += loss * min(self.batch_size, rows - number * self.batch_size)
        return total / rows

    def fault(self, model: Any, step: int) -> str:
        """The first value of the batch that is not finite and counts."""
        return not_finite("data", self.data, model, self._rows(step))
