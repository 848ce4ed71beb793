"""What a `Trainer` trains on and validates on, checked: arrays in memory or not, or batches of an iterable."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pylstm.data.batches import Data, batches_of, check_batches, check_data, split
from pylstm.data.finite import not_finite, refuse_not_finite
from pylstm.data.iterables import Batches, in_batch, is_batches
from pylstm.data.stored import Stored
from pylstm.hints import callers_level
from pylstm.training.iterated import Iterated
from pylstm.training.sources import Rows

Held = Data | Batches | None
"""What a fit validates on."""


def given(
    model: Any, data: Any, validation: Any, *, batch_size: int, shuffle: bool, seed: int, epochs: int
) -> tuple[Rows | Iterated, Held]:
    """The source of a fit and what it validates on; all that a step could refuse is refused, where it is known.

    Raises
    ------
    TypeError, ValueError
        As `Trainer`.
    """
    if is_batches(data):
        return _iterated(model, Batches("data", data), epochs), _held(model, validation, epochs)
    arrays = check_data("data", data)
    refuse_not_finite("data", arrays, model, skip_stored=True)
    check_batches("data", arrays, model, "gradients")
    weights: Any = arrays[2] if len(arrays) == 3 and hasattr(model, "counting") else 1
    if not isinstance(weights, Stored) and not np.any(getattr(weights, "padded", weights)):
        warnings.warn("all weights are 0: the loss is 0, and nothing is learnt", stacklevel=callers_level())
    if validation is None or isinstance(validation, int | float):
        arrays, held = split(arrays, validation, seed)
        if held is not None:
            _check(held, model)
        return Rows(arrays, batch_size, shuffle, seed), held
    return Rows(arrays, batch_size, shuffle, seed), _held(model, validation, epochs)


def _iterated(model: Any, batches: Batches, epochs: int) -> Iterated:
    if epochs > 1:
        batches.refuse_once(f"epochs={epochs}")
    source = Iterated(batches)
    with in_batch(batches.name, 0):
        check_batches("batch", source.first, model, "gradients")
        refuse_not_finite("batch", source.first, model)
    return source


def _held(model: Any, validation: Any, epochs: int) -> Held:
    """Data of their own."""
    if isinstance(validation, int | float):
        raise ValueError(
            f"validation must be data of its own, (x, y) or batches, as no share of the rows of batches can be drawn; "
            f"got {validation}"
        )
    if validation is not None and is_batches(validation):
        batches = Batches("validation", validation)
        if epochs > 1:
            batches.refuse_once(f"epochs={epochs}")
        if not batches.once:
            first = next(iter(batches))
            with in_batch(batches.name, 0):
                check_batches("batch", first, model, "loss")
        return batches
    held = split((), validation, 0)[1]
    if held is not None:
        _check(held, model)
    return held


def _check(held: Data, model: Any) -> None:
    check_batches("validation", held, model, "loss")
    refuse_not_finite("validation", held, model, skip_stored=True)


def loss_of(model: Any, held: Data | Batches, batch_size: int) -> float:
    """Mean over the batches of what a fit validates on, weighed by their rows."""
    rows, total = 0, 0.0
    for number, batch in enumerate(held if isinstance(held, Batches) else batches_of(held, batch_size)):
        if isinstance(held, Batches):
            with in_batch(held.name, number):
                loss = model.loss(*batch)
        else:
            loss = model.loss(*batch)
        total += loss * len(batch[0])
        rows += len(batch[0])
    return float(total / rows)


def fault_of(model: Any, held: Held) -> str:
    """The first value of what a fit validates on that is not finite and counts; "" if all are finite."""
    if not isinstance(held, Batches):
        return not_finite("validation", held or (), model)
    found = (not_finite(f"batch {number} of {held.name}", batch, model) for number, batch in enumerate(held))
    return next(filter(None, found), "")
