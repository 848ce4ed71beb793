"""`gradients_at`: the gradients of a batch that was not looked at before; an error names its row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def gradients_at(model: Any, batch: tuple[Any, ...], where: Callable[[int], str]) -> Any:
    """``model.gradients(*batch)``.

    Parameters
    ----------
    model : object
        If it has ``check_batch(*batch)``, that finds the row.
    batch : tuple of ndarray or Sequences
    where : callable
        What a message says of the row of that number.

    Raises
    ------
    TypeError, ValueError
        As the model, with ``where(row)`` before the message where some rows have the fault and others do not.
    """
    try:
        return model.gradients(*batch)
    except (TypeError, ValueError) as error:
        row = odd_row(model, batch)
        if row is None or type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"{where(row)}: {error}") from error


def odd_row(model: Any, batch: tuple[Any, ...]) -> int | None:
    """The first row that the model refuses, where it does not refuse all."""
    if not hasattr(model, "check_batch"):
        return None
    refused = []
    for row in range(len(batch[0])):
        try:
            model.check_batch(*(each[row : row + 1] for each in batch))
        except (TypeError, ValueError):
            refused.append(row)
    return refused[0] if 0 < len(refused) < len(batch[0]) else None
