"""`Trainer`: epochs over batches, for any model with `params` and `gradients`."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from pylstm.data.batches import Data, batches_of, check_batches, check_data, check_model, split
from pylstm.data.finite import not_finite, refuse_not_finite
from pylstm.hints import Hinted, refuse_options
from pylstm.layers.generators import unmoved
from pylstm.optim.clipping import as_list, clip_by_norm
from pylstm.optim.optimisers import Adam, Optimiser
from pylstm.optim.schedules import Plateau, Schedule, check_schedule, rate_at
from pylstm.schema import Entries, malformed, set_state
from pylstm.training.arguments import check_callbacks, check_numbers, check_optimiser
from pylstm.training.checkpoint import (
    check_parameters,
    copy_parameters,
    kept_on_error,
    read_checkpoint,
    refuse_other,
    refuse_taken,
    restore_parameters,
    write_checkpoint,
)
from pylstm.training.divergence import TrainingDiverged, cause, refuse_divergence
from pylstm.training.following import Follower, any_ends, followed
from pylstm.training.history import History
from pylstm.training.identity import identity_of, made_with
from pylstm.training.interrupt import stop_on_interrupt
from pylstm.training.progress_bar import StepBar


class Trainer(Hinted, hints="trainer"):
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
    validation : float or tuple of arrays, optional
        The share of the rows, drawn with `seed`, that is not trained on; or other data.
    optimiser : Optimiser, optional
        On ``model.params``; default `Adam` with its own defaults.
    schedule : callable, optional
        ``step -> learning rate``, step 0, 1, ...: see `pylstm.optim.schedules`.
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
    progress : bool, optional
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
    """

    def __new__(cls, *_: Any, **options: Any) -> Any:
        refuse_options(options, (), "fit option")
        return super().__new__(cls)

    def __init__(
        self,
        model: Any,
        data: Iterable[Any],
        *,
        validation: float | Iterable[Any] | None = None,
        optimiser: Optimiser | None = None,
        schedule: Schedule | None = None,
        epochs: int = 10,
        batch_size: int = 32,
        clip: float | None = 1.0,
        shuffle: bool = True,
        seed: int = 0,
        patience: int | None = None,
        callbacks: Iterable[Callable[[Trainer], Any]] = (),
        progress: bool | None = None,
    ) -> None:
        check_model(model)
        check_schedule(schedule)
        check_numbers(clip, validation, patience, epochs=epochs, batch_size=batch_size)
        self.model, self.epochs, self.batch_size, self.clip = model, epochs, batch_size, clip
        self.shuffle, self.seed, self.patience = shuffle, seed, patience
        self.callbacks, self.schedule, self.progress = check_callbacks(callbacks), schedule, progress
        self.optimiser = Adam(model.params) if optimiser is None else optimiser
        self.params = as_list(model.params)
        check_optimiser(self.optimiser, self.params)
        self.data, self.validation = self._checked(data, validation)
        self.made_with = made_with(self.optimiser, schedule)
        self.history = History()
        self.step = self.epoch = 0
        self._waited, self._stop = 0, ""
        self._best: dict[str, Any] = {}
        self._order_of, self._order = -1, np.arange(0)
        self._checkpoint: str | None = None  # the file that this fit has read or written
        self._moving: int | None = None  # while the optimiser moves the parameters: its steps before

    def _checked(self, data: Iterable[Any], validation: Any) -> tuple[Data, Data | None]:
        """Data to train on and to validate, all that a step could refuse refused."""
        given = check_data("data", data)
        refuse_not_finite("data", given, self.model)
        check_batches("data", given, self.model, "gradients")
        kept, held = split(given, validation, self.seed)
        if held is not None:
            check_batches("validation", held, self.model, "loss")
            refuse_not_finite("validation", held, self.model)
        return kept, held

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one pass over the data."""
        return -(-len(self.data[0]) // self.batch_size)

    @property
    def whole(self) -> bool:
        """Whether model, optimiser and counts are those between two steps."""
        return self._moving in (None, getattr(self.optimiser, "steps", None))

    def stop(self) -> None:
        """End the fit after the present step; for callbacks and hooks."""
        self._stop = self._stop or "callback"

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
        if checkpoint is not None and os.path.realpath(os.fsdecode(checkpoint)) != self._checkpoint:
            refuse_taken(checkpoint, "fit", lambda: identity_of(self))
        written, number = time.perf_counter(), 0
        self._stop = "" if self._stop == "interrupted" else self._stop
        self.history.stopped = ""
        with (
            kept_on_error(self, checkpoint),
            followed(self) as follower,
            stop_on_interrupt() as stopped,
            StepBar(self, self.progress) as bar,
        ):
            while self.epoch < self.epochs and not self._stop:
                if self.step < (self.epoch + 1) * self.steps_per_epoch:  # else an exception came before its end
                    self._train_step()
                self._tell(follower)
                bar.update()
                number = stopped()
                self._stop = self._stop or ("interrupted" if number else "")
                if checkpoint is not None and not self._stop and time.perf_counter() - written >= every:
                    self.save_checkpoint(checkpoint)
                    written = time.perf_counter()
            self.history.stopped = self._stop or "epochs"
            if checkpoint is not None:
                self.save_checkpoint(checkpoint)
            if self.patience is not None and self._best:
                restore_parameters(self.params, self._best)
        if number == signal.SIGTERM:
            signal.raise_signal(number)
        return self.history

    def _train_step(self) -> None:
        """One batch; the parameters change only if loss and gradient are finite."""
        if self._order_of != self.epoch:
            self._order_of, self._order = self.epoch, self._draw_order()
        start = self.step % self.steps_per_epoch * self.batch_size
        rows, history = self._order[start : start + self.batch_size], self.history
        with unmoved(getattr(self.model, "rng", None)):
            loss, grads = self.model.gradients(*(array[rows] for array in self.data))
            norm = clip_by_norm(grads, math.inf if self.clip is None else self.clip)
            if self.schedule is not None:
                self.optimiser.lr = rate_at(self.schedule, self.step)
            last = history.steps[-1] if history.steps else None
            found = partial(not_finite, "data", self.data, self.model, rows)
            refuse_divergence(self.step, loss, norm, self.optimiser.lr, last=last, params=self.params, data=found)
            self._moving = getattr(self.optimiser, "steps", -1)
            self.optimiser.step(grads)
        history.steps.append(float(loss))
        history.norms.append(norm)
        self.step, self._moving = self.step + 1, None

    def _draw_order(self) -> np.ndarray:
        rows = len(self.data[0])
        return np.random.default_rng([self.seed, self.epoch]).permutation(rows) if self.shuffle else np.arange(rows)

    def _tell(self, follower: Follower) -> None:
        """Hooks and callbacks between two steps; when one raises, all counts are those of the next step already."""
        ended = self.step % self.steps_per_epoch == 0
        if ended:
            self._end_epoch()
        follower.end_step()
        if ended:
            follower.end_epoch()
            if any_ends(self.callbacks, self):
                self.stop()

    def _end_epoch(self) -> None:
        """Whatever may fail comes first: after an exception the epoch is still open, and `run` ends it."""
        history, loss = self.history, self._mean_loss()
        judged = None if self.validation is None else self._judge()
        lowest = math.inf if history.best_epoch < 0 else history.validation_loss[history.best_epoch]
        better = judged is not None and judged < lowest
        if better and self.patience is not None:
            self._best = copy_parameters([each.copy() for each in self.params])
        if isinstance(self.schedule, Plateau):
            self.schedule.observe(loss if judged is None else judged)
        history.loss.append(loss)
        history.lr.append(self.optimiser.lr)
        if judged is not None:
            history.validation_loss.append(judged)
            self._waited += 1
        if better:
            history.best_epoch, self._waited = self.epoch, 0
        self.epoch += 1
        self._stop_early()

    def _mean_loss(self) -> float:
        """Of the epoch that ends: mean over its batches, weighed by their rows."""
        rows, total = len(self.data[0]), 0.0
        for number, loss in enumerate(self.history.steps[-self.steps_per_epoch :]):
            total += loss * min(self.batch_size, rows - number * self.batch_size)
        return total / rows

    def _judge(self) -> float:
        """The validation loss, unless it is NaN."""
        loss = self.validate()
        if math.isnan(loss):
            why = cause(self.step, self.params, lambda: not_finite("validation", self.validation or (), self.model))
            raise TrainingDiverged(
                f"the validation loss after epoch {self.epoch + 1} is nan: {why or 'try a lower learning rate'}"
            )
        return loss

    def _stop_early(self) -> None:
        if self.patience is not None and self._waited >= self.patience:
            self._stop = self._stop or "early"

    def validate(self) -> float:
        """Loss on the validation data: mean over its batches, weighed by their rows.

        Raises
        ------
        ValueError
            There are no validation data.
        """
        if self.validation is None:
            raise ValueError("there are no validation data: give validation=")
        total = 0.0
        for batch in batches_of(self.validation, self.batch_size):
            total += self.model.loss(*batch) * len(batch[0])
        return float(total / len(self.validation[0]))

    def save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Write all that the next steps depend on; whole or not at all. For between two steps.

        Raises
        ------
        ValueError, OSError
            `path` is there and is not a regular file, or cannot be written.
        """
        rng = getattr(self.model, "rng", None)
        state = {
            "run": identity_of(self),
            "params": copy_parameters(self.params),
            "best": self._best,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict() if isinstance(self.schedule, Plateau) else {},
            "history": self.history.state_dict(),
            "counts": {"step": self.step, "epoch": self.epoch, "waited": self._waited},
            "rng": None if rng is None else [rng.bit_generator.state],
        }
        write_checkpoint(path, "fit", state)
        self._checkpoint = os.path.realpath(os.fsdecode(path))

    def resume(self, path: str | os.PathLike[str]) -> Trainer:
        """Go back to where `save_checkpoint` wrote `path`; `run` then goes on with the same bits. Gives the trainer.

        The model, the data and the settings must be those of then; `epochs` may be higher.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            No checkpoint of a fit, damaged, or of other data, settings or another model: the message names each.
        """
        state = read_checkpoint(path, "fit")
        path = os.fsdecode(path)
        with malformed(path, "a checkpoint of another model or optimiser, or what it says"):
            refuse_other(path, state["run"], identity_of(self))
            restore_parameters(self.params, state["params"])
            self.optimiser.load_state_dict(state["optimiser"])
            if isinstance(self.schedule, Plateau):
                self.schedule.load_state_dict(state["schedule"])
            if state["rng"] is not None:
                set_state(self.model.rng, state["rng"][0], "rng")
            if state["best"] != {}:
                check_parameters(self.params, state["best"])
            self._best, self.history = state["best"], History.from_state(state["history"])
            counts = Entries(state["counts"], "counts").only(("step", "epoch", "waited"))
            self.step, self.epoch, self._waited = (counts.integer(name, 0) for name in ("step", "epoch", "waited"))
            self._stop = self.history.stopped if self.history.stopped in ("early", "callback") else ""
            self._stop_early()
        self._checkpoint = os.path.realpath(path)
        return self
