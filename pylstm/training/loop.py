"""`Loop`: steps of an optimiser on the batches of a source until a budget is used up; base of every fit by steps."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from pylstm.checks import check_number
from pylstm.hints import Hinted
from pylstm.layers.generators import unmoved
from pylstm.optim.clipping import as_list, clip_by_norm
from pylstm.optim.schedules import Plateau, Schedule, rate_at
from pylstm.schema import Entries, malformed, set_state
from pylstm.training.budget import Budget
from pylstm.training.checkpoint import (
    check_frozen,
    check_parameters,
    copy_parameters,
    frozen_of,
    kept_on_error,
    read_checkpoint,
    refuse_other,
    refuse_taken,
    restore_frozen,
    restore_parameters,
    write_checkpoint,
)
from pylstm.training.divergence import TrainingDiverged, cause, refuse_divergence
from pylstm.training.following import Follower, any_ends, followed
from pylstm.training.history import History
from pylstm.training.interrupt import stop_on_interrupt
from pylstm.training.progress import Progress
from pylstm.training.sources import Source

Path = str | os.PathLike[str]


class Loop(Hinted, hints="trainer"):
    """A model in training; subclasses say on what.

    Parameters
    ----------
    model : object
        With ``params``; random numbers it draws from ``rng``, which checkpoints then hold.
    source : Source
    optimiser : object
        With ``step(grads)`` and ``lr``.
    schedule : callable, optional
        ``step -> learning rate``.
    clip : float, optional
        Largest norm of the gradient.
    patience : int, optional
        Epochs without a lower validation loss before the end; needs `validation`.
    callbacks : iterable of callables
        Called with the loop after every epoch; one that returns True ends it.

    Attributes
    ----------
    history : History
    step, epoch : int
        Steps taken, epochs ended.
    seconds : float
        Spent in `run`, those before a resume included.
    """

    task = "fit"
    """What its checkpoints call it."""
    unit = ""
    """Unit of its losses, in messages."""
    spent = "budget"
    """``history.stopped`` where the budget is used up."""
    carried: Iterable[str] = ()
    """Names of the states that a batch carries on to the next."""
    validation: Any = None

    def __init__(
        self,
        model: Any,
        source: Source,
        optimiser: Any,
        *,
        schedule: Schedule | None = None,
        clip: float | None = None,
        patience: int | None = None,
        callbacks: Iterable[Callable[[Any], Any]] = (),
    ) -> None:
        self.model, self.source, self.optimiser = model, source, optimiser
        self.schedule, self.clip, self.patience = schedule, clip, patience
        self.callbacks, self.params = list(callbacks), as_list(model.params)
        self.history, self.seconds = History(), 0.0
        self.step = self.epoch = 0
        self._states: Any = None  # those that the next batch starts from
        self._waited, self._stop = 0, ""
        self._best: dict[str, Any] = {}
        self._checkpoint: str | None = None  # the file that this fit has read or written
        self._moving: int | None = None  # while the optimiser moves the parameters: its steps before

    @property
    def steps_per_epoch(self) -> int | None:
        """Batches of an epoch."""
        return self.source.per_epoch

    @property
    def whole(self) -> bool:
        """Whether model, optimiser and counts are those between two steps."""
        return self._moving in (None, getattr(self.optimiser, "steps", None))

    def stop(self) -> None:
        """End the fit after the present step; for callbacks and hooks."""
        self._stop = self._stop or "callback"

    def _run(
        self,
        budget: Budget,
        progress: Progress | bool | None,
        checkpoint: Path | None,
        every: float,
        report: Callable[[Any], Any] = lambda loop: None,
    ) -> History:
        """Train until the budget is used up, the fit is to stop, or a signal comes; `report` is called every step."""
        self._begin(checkpoint, every)
        display, number, written = Progress.of(progress), 0, time.perf_counter()
        start = written - self.seconds
        self._stop = "" if self._stop == "interrupted" else self._stop
        self.history.stopped = ""
        with (
            kept_on_error(self, checkpoint),
            followed(self) as follower,
            stop_on_interrupt() as stopped,
            display.begun(self._share(budget)),
        ):
            while self._goes_on(budget):
                self._advance(follower)
                self.seconds = time.perf_counter() - start
                display.show(self._share(budget), partial(self._shown, budget))
                report(self)
                number = stopped()
                self._stop = self._stop or ("interrupted" if number else "")
                if checkpoint is not None and not self._stop and time.perf_counter() - written >= every:
                    self.save_checkpoint(checkpoint)
                    written = time.perf_counter()
            self.history.stopped = self._stop or self.spent
            if checkpoint is not None:
                self.save_checkpoint(checkpoint)
            if self.patience is not None and self._best:
                restore_parameters(self.params, self._best)
            late = 0 if number else stopped()  # after the last step
        if late or number == signal.SIGTERM:
            signal.raise_signal(late or number)
        return self.history

    def _begin(self, checkpoint: Path | None, every: float) -> None:
        """Checks of `_run`; a schedule with a memory forgets a fit before."""
        if not check_number("every", every) >= 0:
            raise ValueError(f"every must be 0 or more, got {every}")
        if checkpoint is not None and os.path.realpath(os.fsdecode(checkpoint)) != self._checkpoint:
            refuse_taken(checkpoint, self.task, self._identity)
        if isinstance(self.schedule, Plateau) and not self.step:
            self.schedule.reset()

    def _share(self, budget: Budget) -> float:
        return budget.share(self.step, self.seconds, self.steps_per_epoch)

    def _goes_on(self, budget: Budget) -> bool:
        return not self._stop and (self._open or self._share(budget) < 1)

    @property
    def _open(self) -> bool:
        """Whether an exception came before the end of an epoch that has all its steps."""
        return self.source.ends_epoch(self.step, self.epoch, self._states)

    def _shown(self, budget: Budget) -> str:
        """Text of a display for the present state."""
        steps, total = self.history.steps[-20:], budget.total_steps(self.steps_per_epoch)
        parts = [f"step {self.step}" + ("" if total is None else f"/{total}")]
        parts += [] if self.steps_per_epoch is None else [f"epoch {self.epoch}"]
        parts += [f"loss {sum(steps) / len(steps):.4g}{self.unit}"]
        parts += [f"validation {loss:.4g}" for loss in self.history.validation_loss[-1:]]
        return ", ".join(parts)

    def _advance(self, follower: Follower) -> None:
        """One step, and what follows it."""
        if not self._open:
            self._train_step()
        self._tell(follower)

    def _train_step(self) -> None:
        """One batch; the parameters change only if loss and gradient are finite."""
        history = self.history
        with unmoved(getattr(self.model, "rng", None)):
            loss, grads, states = self.source.gradients(self.model, self.step, self._states)
            for each, grad in zip(self.params, as_list(grads, "grads")):
                each.fill_held(grad.flat, 0)
            norm = clip_by_norm(grads, math.inf if self.clip is None else self.clip)
            if self.schedule is not None:
                self.optimiser.lr = rate_at(self.schedule, self.step)
            last = history.steps[-1] if history.steps else None
            found = partial(self.source.fault, self.model, self.step)
            about: dict[str, Any] = {"unit": self.unit, "last": last, "params": self.params, "data": found}
            refuse_divergence(self.step, loss, norm, self.optimiser.lr, **about)
            self._moving = getattr(self.optimiser, "steps", -1)
            self.optimiser.step(grads)
        self._states = states
        history.steps.append(float(loss))
        history.norms.append(norm)
        self.step, self._moving = self.step + 1, None

    def _tell(self, follower: Follower) -> None:
        """Hooks and callbacks between two steps; when one raises, all counts are those of the next step already."""
        ended = self._open
        if ended:
            self._end_epoch()
        follower.end_step()
        if ended:
            follower.end_epoch()
            if any_ends(self.callbacks, self):
                self.stop()

    def _end_epoch(self) -> None:
        """End an epoch. What may fail comes first: after an exception the epoch is still open, and `run` ends it."""
        history = self.history
        loss = self.source.mean(history.steps, self._states)
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

    def _judge(self) -> float:
        """The validation loss, unless it is NaN."""
        loss = self.validate()
        if math.isnan(loss):
            why = cause(self.step, self.params, self._fault_to_validate)
            raise TrainingDiverged(
                f"the validation loss after epoch {self.epoch + 1} is nan: {why or 'try a lower learning rate'}"
            )
        return loss

    def validate(self) -> float:
        """Loss on `validation`."""
        raise NotImplementedError

    def _fault_to_validate(self) -> str:
        """The first value of `validation` that is not finite and counts; "" if none can be."""
        return ""

    def _stop_early(self) -> None:
        if self.patience is not None and self._waited >= self.patience:
            self._stop = self._stop or "early"

    def _identity(self) -> dict[str, Any]:
        """What two fits must have in common for one to continue from a checkpoint of the other, as JSON returns it."""
        raise NotImplementedError

    def save_checkpoint(self, path: Path) -> None:
        """Write all that the next steps depend on; whole or not at all. For between two steps.

        Raises
        ------
        ValueError, OSError
            `path` exists but is not a regular file, or cannot be written.
        """
        rng = getattr(self.model, "rng", None)
        state = {
            "run": self._identity(),
            "params": copy_parameters(self.params),
            "frozen": frozen_of(self.params),
            "best": self._best,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict() if isinstance(self.schedule, Plateau) else {},
            "states": self._states or {},
            "history": self.history.state_dict(),
            "counts": {"step": self.step, "epoch": self.epoch, "waited": self._waited},
            "seconds": self.seconds,
            "rng": None if rng is None else [rng.bit_generator.state],
        }
        write_checkpoint(path, self.task, state)
        self._checkpoint = os.path.realpath(os.fsdecode(path))

    def _resume(self, path: Path) -> None:
        """Go back to where `save_checkpoint` wrote `path`."""
        state, path = read_checkpoint(path, self.task), os.fsdecode(path)
        with malformed(path, "the cell or pylstm has changed since, the optimiser is another one, or what it says"):
            refuse_other(path, state["run"], self._identity())
            says = Entries(state, "")
            counts = says.entries("counts").only(("step", "epoch", "waited"))
            step, epoch, waited = (counts.integer(name, 0) for name in ("step", "epoch", "waited"))
            history, seconds = History.from_state(state["history"], step, epoch), says.number("seconds", 0)
            states = says.entries("states").only(self.carried).value or None
            for name in ("params", "best") if state["best"] != {} else ("params",):
                check_parameters(self.params, state[name])
            check_frozen(self.params, state.get("frozen"))
            self._restore_memories(state)
            restore_parameters(self.params, state["params"])
            restore_frozen(self.params, state.get("frozen"))
            self.step, self.epoch, self._waited, self.seconds = step, epoch, waited, seconds
            self.history, self._states, self._best = history, states, state["best"]
            self._stop = self.history.stopped if self.history.stopped in ("early", "callback") else ""
            self._stop_early()
        self._checkpoint = os.path.realpath(path)

    def _restore_memories(self, state: dict[str, Any]) -> None:
        """Optimiser, schedule and generator of a checkpoint; all of them, or none where one refuses."""
        remember = {"optimiser": self.optimiser}
        if isinstance(self.schedule, Plateau):
            remember["schedule"] = self.schedule
        before = {name: each.state_dict() for name, each in remember.items()}
        try:
            for name, each in remember.items():
                each.load_state_dict(state[name])
            if state["rng"] is not None:
                set_state(self.model.rng, state["rng"][0], "rng")
        except BaseException:
            for name, each in remember.items():
                each.load_state_dict(before[name])
            raise
