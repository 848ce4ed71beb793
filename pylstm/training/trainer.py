"""`Trainer`: epochs over batches, for any model with `params` and `gradients`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from pylstm.checks import Integer, check_flag, check_seed
from pylstm.data.batches import Trains, check_model
from pylstm.optim.clipping import as_list
from pylstm.optim.optimisers import Adam, Optimiser
from pylstm.optim.schedules import Schedule, check_schedule
from pylstm.training.arguments import check_callbacks, check_numbers, check_optimiser
from pylstm.training.budget import Budget
from pylstm.training.given import fault_of, given, loss_of
from pylstm.training.history import History
from pylstm.training.identity import identity_of, made_with, settings_remembered
from pylstm.training.iterated import Iterated
from pylstm.training.loop import Loop
from pylstm.training.progress import Progress


class Trainer(Loop):
    """A model in training on batches of arrays.

    Parameters
    ----------
    model : object
        With ``params`` (one `Parameters` or several), ``gradients(*batch) -> (loss, grads)`` in the same order, and,
        for validation, ``loss(*batch) -> float``. If it has ``check_batch(*data)``, that is called with all data before
        the first step, to raise what a batch would. If it draws random numbers: from ``rng``, a
        `numpy.random.Generator`, which checkpoints then hold. If it has ``counting(*batch)``, a mask of the values that
        count for each array (or None), all of these must be finite.
    data : tuple of arrays or Sequences
        Of N rows each; a batch has the same rows of all: ``(x, y)`` or ``(x, y, weights)`` for a `SequenceModel`.
        A mapped array, a dataset of h5py or zarr, or the path of a .npy file or a list of them is read by batch where
        it is larger than 16 MiB. Or batches, each of them such a tuple: an iterable that can be read again, such as a
        list or a DataLoader of PyTorch, or a function that returns a generator; `batch_size` and `shuffle` are then
        the iterable's own.
    validation : float or tuple of arrays, optional
        The share of the rows, drawn with `seed`, that is not trained on; or other data, arrays or batches.
    optimiser : Optimiser, optional
        On ``model.params``; default `Adam` with its own defaults.
    schedule : callable, optional
        ``step -> learning rate``, step 0, 1, ...: see `pylstm.optim`.
    epochs, batch_size : int
        Epochs in all, those before a resume included; rows of a batch (the last one of an epoch may have fewer).
    clip : float, optional
        Largest norm of the gradient.
    shuffle : bool
        Whether every epoch draws a new order of the rows, from `seed` and the number of the epoch.
    seed : int
    patience : int, optional
        Stop after so many epochs in a row without a lower validation loss. However the fit ends, unless by an
        exception, the parameters of the epoch with the lowest one are set.
    callbacks : iterable of callables
        Called with the trainer after every epoch; one that returns True ends the fit.
    progress : bool or Progress, optional
        Whether to show a bar on standard error; default: if it is a terminal.

    Attributes
    ----------
    model, optimiser, history
    step, epoch : int
        Steps taken, epochs ended.

    Raises
    ------
    TypeError, ValueError
        Data with unequal numbers of rows or none; NaN or infinity in them, where no weight of 0 and no length excludes
        it (the array and the index are named); numbers out of range; `patience` without validation.

    Examples
    --------
    >>> import numpy as np, pylstm
    >>> x = np.random.default_rng(0).normal(size=(20, 7, 3)).astype("float32")
    >>> model = pylstm.SequenceModel("gru", 3, 4, 1, seed=0)
    >>> trainer = pylstm.Trainer(model, (x, x[:, -1, :1]), validation=0.2, epochs=2, batch_size=8)
    >>> history = trainer.run()
    >>> trainer.step, trainer.epoch, len(history.validation_loss)
    (4, 2, 2)
    """

    spent = "epochs"

    option_hints = "fit option"

    def __init__(
        self,
        model: Trains,
        data: Iterable[Any],
        *,
        validation: float | Iterable[Any] | None = None,
        optimiser: Optimiser | None = None,
        schedule: Schedule | None = None,
        epochs: int = 10,
        batch_size: int = 32,
        clip: float | None = 1.0,
        shuffle: bool = True,
        seed: Integer = 0,
        patience: int | None = None,
        callbacks: Iterable[Callable[[Trainer], Any]] = (),
        progress: Progress | bool | None = None,
    ) -> None:
        check_model(model)
        progress = Progress.of(progress)
        check_schedule(schedule)
        check_numbers(clip, validation, patience, epochs=epochs, batch_size=batch_size)
        callbacks = check_callbacks(callbacks)
        optimiser = Adam(model.params) if optimiser is None else optimiser
        check_optimiser(optimiser, as_list(model.params))
        seed, shuffle = check_seed(seed), check_flag("shuffle", shuffle)
        source, held = given(model, data, validation, batch_size=batch_size, shuffle=shuffle, seed=seed, epochs=epochs)
        super().__init__(model, source, optimiser, schedule=schedule, clip=clip, patience=patience, callbacks=callbacks)
        self.epochs, self.batch_size, self.shuffle, self.seed = epochs, batch_size, shuffle, seed
        self.data, self.validation, self.progress = source.data, held, progress
        self.carried = getattr(source, "carried", ())
        self.made_with = made_with(optimiser, schedule)

    def run(self, *, checkpoint: str | os.PathLike[str] | None = None, every: float = 30.0) -> History:
        """Train until the epochs are done, the validation loss stops falling, or Ctrl-C or SIGTERM.

        Ctrl-C ends the fit after the present step and leaves the model as it would be at any other end; a second one
        interrupts at once. SIGTERM does the same and is then sent again, so that the process ends.

        Parameters
        ----------
        checkpoint : path, optional
            Written every `every` seconds, between two steps, and at the end, whole or not at all; also where an
            exception ends the fit. See `resume`.

        Returns
        -------
        History

        Raises
        ------
        TrainingDiverged
            Loss or gradient is not finite: names step, norm and cause. The parameters are those before that step.
        TypeError, ValueError
            The schedule returned no rate of 0 or more. The parameters are those before that step.
        OSError
            The checkpoint cannot be written; without its folder before the first step.
        ValueError
            `checkpoint` would replace another file, or the checkpoint of another run or of one that is not finished.
        """
        with settings_remembered(self.optimiser):
            return self._run(Budget(epochs=self.epochs), self.progress, checkpoint, every)

    def _identity(self) -> dict[str, Any]:
        return identity_of(self)

    def validate(self) -> float:
        """Loss on the validation data: mean over its batches, weighed by their rows.

        Raises
        ------
        ValueError
            The trainer has no validation data.
        """
        if self.validation is None:
            raise ValueError("the trainer has no validation data: pass validation=")
        return loss_of(self.model, self.validation, self.batch_size)

    def _fault_to_validate(self) -> str:
        return fault_of(self.model, self.validation)

    def _share(self, budget: Budget) -> float:
        if isinstance(self.source, Iterated):
            return self.source.share(self.epoch, self.epochs, self._states)
        return super()._share(budget)

    def resume(self, path: str | os.PathLike[str]) -> Trainer:
        """Go back to where `save_checkpoint` wrote `path`; `run` then continues, bit for bit. Returns the trainer.

        The model, the data and the settings must be those of then; `epochs` may be higher.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            No checkpoint of a fit, damaged, or of other data, settings or another model: the message names each.
        """
        self._resume(path)
        return self
