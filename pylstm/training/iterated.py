"""`Iterated`: batches of an iterable as the source of a fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pylstm.data.finite import not_finite, refuse_not_finite
from pylstm.data.iterables import Batch, Batches, in_batch
from pylstm.training.located import gradients_at
from pylstm.training.sources import Source


class Iterated(Source):
    """Batches of an iterable in its own order, read one ahead, which says where an epoch ends.

    What a batch carries on to the next says which it was: `batch` and `epoch`, from 0, and whether it was the `last`.

    Parameters
    ----------
    data : Batches
        Begun at once: the first batch can be looked at.
    """

    carried = ("batch", "epoch", "last")

    def __init__(self, data: Batches) -> None:
        self.data = data
        self._begin(0)

    @property
    def first(self) -> Batch:
        """The batch that comes first."""
        assert self._following is not None
        return self._following

    def _begin(self, epoch: int) -> None:
        self._epoch = -1  # if this fails, the epoch is begun anew
        self._number, self._rows = -1, list[int]()
        self._current: Batch = ()
        self._iterator: Iterator[Batch] = iter(self.data)
        self._following: Batch | None = next(self._iterator)
        self._epoch = epoch

    def _reach(self, epoch: int, number: int) -> None:
        """Make a batch the present one: after a resume those before it are passed over."""
        if epoch != self._epoch or number < self._number:
            self._begin(epoch)
        while self._number < number:
            if self._following is None:
                raise ValueError(
                    f"{self.data.name} holds {self._number + 1} batches in epoch {epoch + 1}, of which {number} were "
                    "trained on before: it must hold the same as then"
                )
            self._current, self._number = self._following, self._number + 1
            self._rows.append(len(self._current[0]))
            self._epoch = -1
            self._following = next(self._iterator, None)
            self._epoch = epoch

    def gradients(self, model: Any, step: int, states: Any) -> tuple[float, Any, Any]:
        """``model.gradients`` of the batch that follows the one of `states`.

        Raises
        ------
        TypeError, ValueError
            As the model; NaN or infinity. Names the batch, and the row where one has the fault.
        """
        epoch, number = 0, 0
        if states is not None:
            epoch, number = states["epoch"], states["batch"] + 1
            if states["last"]:
                epoch, number = epoch + 1, 0
        self._reach(epoch, number)
        with in_batch(self.data.name, number):
            refuse_not_finite("batch", self._current, model)
            loss, grads = gradients_at(model, self._current, lambda row: f"row {row}")
        return loss, grads, {"batch": number, "epoch": epoch, "last": int(self._following is None)}

    def ends_epoch(self, step: int, epoch: int, states: Any) -> bool:
        """Whether the batch of `states` was the last one of `epoch`."""
        return states is not None and bool(states["last"]) and states["epoch"] == epoch

    def mean(self, losses: Sequence[float], states: Any = None) -> float:
        """Mean loss over the batches of an epoch, weighed by their rows."""
        self._reach(states["epoch"], states["batch"])
        total = 0.0
        for loss, rows in zip(losses[-len(self._rows) :], self._rows):
            total += loss * rows
        return total / sum(self._rows)

    def share(self, epoch: int, epochs: int, states: Any) -> float:
        """What is used of a budget of epochs; below 1 before the last one has ended."""
        count, done = self.data.count, 0.0
        if count and states is not None and states["epoch"] == epoch < epochs:
            done = min((states["batch"] + 1) / count, 0.999)
        return (epoch + done) / epochs

    def fault(self, model: Any, step: int) -> str:
        """The first value of the batch that is not finite and counts."""
        return not_finite(f"batch {self._number} of {self.data.name}", self._current, model)
