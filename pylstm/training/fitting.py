"""`fit`: makes a `Trainer`, resumes it on request, and runs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from inspect import signature
from typing import Any, Never, TypedDict, Unpack

from pylstm.checks import Integer, check_flag
from pylstm.data.batches import Trains
from pylstm.hint_calls import unknown_option
from pylstm.hints import explained
from pylstm.optim.optimisers import Optimiser
from pylstm.optim.schedules import Schedule
from pylstm.training.history import History
from pylstm.training.trainer import Trainer


class FitOptions(TypedDict, total=False):
    """The options of a `Trainer`, for type checkers."""

    validation: float | Iterable[Any] | None
    optimiser: Optimiser | None
    schedule: Schedule | None
    epochs: int
    batch_size: int
    clip: float | None
    shuffle: bool
    seed: Integer
    patience: int | None
    callbacks: Iterable[Callable[[Trainer], Any]]
    progress: Any


@explained("fit option")
def fit(
    model: Trains,
    data: Iterable[Any],
    *more: Never,
    checkpoint: str | os.PathLike[str] | None = None,
    every: float = 30.0,
    resume: bool = False,
    **options: Unpack[FitOptions],
) -> History:
    """Train `model` on `data`.

    Parameters
    ----------
    model : object
        Such as a `SequenceModel`; what it must have: see `Trainer`.
    data : tuple of arrays or Sequences
        Of N rows each, such as ``(x, y)``; in memory, mapped or in files, or an iterable of batches: see `Trainer`.
    checkpoint : path, optional
        Written every `every` seconds, at the end, and where an exception ends the fit. What is there already may be the
        checkpoint of a finished fit of the same model, data and settings; anything else is refused before the first
        step, unless `resume` continues from it.
    resume : bool
        Go on from `checkpoint` if it is there, with the bits of a run that was never stopped.
    **options
        As for `Trainer`: validation, optimiser, schedule, epochs, batch_size, clip, shuffle, seed, patience,
        callbacks, progress.

    Returns
    -------
    History

    Raises
    ------
    TypeError, ValueError, OSError, TrainingDiverged
        As `Trainer`, `Trainer.run` and `Trainer.resume`; `resume` without `checkpoint`; arrays after `data`.

    Examples
    --------
    >>> import numpy as np
    >>> from pylstm.models import SequenceModel
    >>> x = np.random.default_rng(0).normal(size=(64, 5, 2)).astype("float32")
    >>> model = SequenceModel("gru", 2, 8, 1, seed=0)
    >>> history = fit(model, (x, x.sum(axis=(1, 2))), epochs=3, validation=0.25)
    >>> len(history.loss), len(history.validation_loss), history.stopped
    (3, 3, 'epochs')
    """
    if more:
        raise TypeError("data must be one tuple: pylstm.fit(model, (x, y))")
    named = [name for name in signature(fit).parameters if name not in ("more", "options")]
    unknown = [name for name in options if name not in FitOptions.__annotations__]
    if unknown:
        raise TypeError(unknown_option("fit", unknown[0], [*named[:2], *FitOptions.__annotations__, *named[2:]]))
    trainer = Trainer(model, data, **options)
    if check_flag("resume", resume):
        if checkpoint is None:
            raise ValueError("resume needs a checkpoint: fit(..., checkpoint=path, resume=True)")
        if os.path.exists(checkpoint):
            trainer.resume(checkpoint)
    return trainer.run(checkpoint=checkpoint, every=every)
