"""Training of a `CharModel` on one text: truncated BPTT with carried states, Adam, clipping by norm."""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from pylstm.cells.options import name_of
from pylstm.datasets import Vocabulary
from pylstm.optim.clipping import clip_by_norm
from pylstm.optim.optimisers import Adam
from pylstm.schema import Entries, malformed
from pylstm.text.bigram import bigram_bits
from pylstm.text.char_model import CharModel
from pylstm.text.settings import Budget, TextSettings, learning_rate
from pylstm.text.streams import Streams
from pylstm.training.checkpoint import (
    copy_parameters,
    kept_on_error,
    read_checkpoint,
    refuse_other,
    refuse_taken,
    restore_parameters,
    write_checkpoint,
)
from pylstm.training.divergence import TrainingDiverged as TrainingDiverged
from pylstm.training.divergence import refuse_divergence
from pylstm.training.following import Follower, followed
from pylstm.training.history import History
from pylstm.training.interrupt import stop_on_interrupt


@dataclass
class TextTrainer:
    """A `CharModel` in training.

    Parameters
    ----------
    text : str
    settings : TextSettings

    Attributes
    ----------
    model : CharModel
    optimiser : Adam
    history : History
        ``steps``: bits per character of every chunk trained on, before its step; ``loss``: their mean in each epoch.
    trace : list of float
        ``history.steps``.
    step, epoch : int
        Steps taken, epochs ended.
    seconds : float
        Time spent in `run`.
    interrupted : bool
        Whether Ctrl-C or SIGTERM ended `run`.
    signal : int
        Which of them; 0 for none.

    Raises
    ------
    ValueError
        The text is too short for the batch size.

    Examples
    --------
    >>> trainer = TextTrainer("to be or not to be. " * 60, TextSettings(hidden_size=8, batch_size=4, length=16))
    >>> trainer.run(Budget(steps=3))
    >>> len(trainer.trace), trainer.interrupted
    (3, False)
    """

    text: str
    settings: TextSettings = field(default_factory=TextSettings)
    history: History = field(default_factory=History)
    seconds: float = 0.0
    interrupted: bool = False
    signal: int = 0

    def __post_init__(self) -> None:
        settings = self.settings
        cut = len(self.text) - max(2, round(len(self.text) * settings.validation))
        if cut - 1 < settings.batch_size:
            raise ValueError(
                f"the text is too short: {len(self.text)} characters for {settings.batch_size} streams; "
                "lower the batch size"
            )
        self.vocabulary = Vocabulary.of(self.text[:cut], min_count=2)
        self.train_indices = self.vocabulary.encode(self.text[:cut])
        self.validation_indices = self.vocabulary.encode(self.text[cut:])
        self.streams = Streams(self.train_indices, settings.batch_size)
        self.model = CharModel(
            self.vocabulary,
            settings.cell,
            settings.hidden_size,
            embedding_size=settings.embedding_size,
            dtype=settings.dtype,
            seed=settings.seed,
        )
        self.optimiser = Adam(self.model.params, settings.lr, betas=(0.9, 0.99))
        self._states: dict[str, np.ndarray] | None = None
        self._stop = False
        self._checkpoint: str | None = None  # the file that this run has read or written

    @property
    def trace(self) -> list[float]:
        return self.history.steps

    @property
    def step(self) -> int:
        return len(self.trace)

    @property
    def epoch(self) -> int:
        return self.step // self.steps_per_epoch

    @property
    def whole(self) -> bool:
        """Whether model, optimiser and counts are those between two steps."""
        return self.optimiser.steps == self.step == len(self.history.norms)

    def stop(self) -> None:
        """End the run after the present step; for hooks."""
        self._stop = True

    @property
    def steps_per_epoch(self) -> int:
        """Chunks of one pass over the training text."""
        return self.streams.number_of_chunks(self.settings.length)

    @property
    def prompt(self) -> str:
        """The beginning of the validation tail, at most 200 characters: text that the model has not seen, to go on."""
        return self.vocabulary.decode(self.validation_indices[:200])

    @property
    def train_bits(self) -> float:
        """Mean bits per character of the last steps, at most 100 and at most an epoch."""
        return float(np.mean(self.trace[-min(100, self.steps_per_epoch) :])) if self.trace else math.nan

    def run(
        self,
        budget: Budget,
        report: Callable[[TextTrainer], None] = lambda trainer: None,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        every: float = 30.0,
    ) -> None:
        """Train until `budget` is used up, or Ctrl-C or SIGTERM, calling `report` after every step.

        Parameters
        ----------
        budget : Budget
            For the whole run: a resumed one counts the steps and the time before.
        report : callable
        checkpoint : path, optional
            Written every `every` seconds, between two steps, and at the end; also where an exception ends the run. See
            `resume`.

        Raises
        ------
        TrainingDiverged
            The loss or the gradient is not finite; the parameters are those before that step.
        OSError
            The checkpoint cannot be written.
        ValueError
            `checkpoint` would replace another file, or the checkpoint of another run or of one that is not finished.
        """
        if checkpoint is not None and os.path.realpath(os.fsdecode(checkpoint)) != self._checkpoint:
            refuse_taken(checkpoint, "text", self._identity)
        start, before = time.perf_counter(), self.seconds
        written, self._stop, self.history.stopped = start, False, ""
        with kept_on_error(self, checkpoint), followed(self) as follower, stop_on_interrupt() as stopped:
            while not (self.interrupted or self._stop or self._used_up(budget)):
                self._train_step()
                now = time.perf_counter()
                self.seconds = before + now - start
                self._tell(follower)
                report(self)
                self.signal = stopped()
                self.interrupted = bool(self.signal)
                if checkpoint is not None and now - written >= every:
                    self.save_checkpoint(checkpoint)
                    written = time.perf_counter()
            self.history.stopped = "interrupted" if self.interrupted else "callback" if self._stop else "budget"
            if checkpoint is not None:
                self.save_checkpoint(checkpoint)

    def _tell(self, follower: Follower) -> None:
        """Hooks between two steps; when one raises, all counts are those of the next step already."""
        ended = self.step % self.steps_per_epoch == 0
        if ended:
            self.history.loss.append(float(np.mean(self.trace[-self.steps_per_epoch :])))
            self.history.lr.append(self.optimiser.lr)
        follower.end_step()
        if ended:
            follower.end_epoch()

    def _used_up(self, budget: Budget) -> bool:
        total = budget.total_steps(self.steps_per_epoch)
        late = budget.minutes is not None and self.seconds >= 60 * budget.minutes
        return late or (total is not None and len(self.trace) >= total)

    def save_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Write all that the next steps depend on, so that `resume` goes on with the same bits; whole or not at all.

        Raises
        ------
        ValueError, OSError
            `path` is there and is not a regular file, or cannot be written.
        """
        state = {
            "run": self._identity(),
            "params": copy_parameters(self.model.params),
            "optimiser": self.optimiser.state_dict(),
            "states": self._states or {},
            "history": self.history.state_dict(),
            "seconds": self.seconds,
        }
        write_checkpoint(path, "text", state)
        self._checkpoint = os.path.realpath(os.fsdecode(path))

    @classmethod
    def resume(cls, path: str | os.PathLike[str], text: str, settings: TextSettings) -> TextTrainer:
        """A trainer as it was when `save_checkpoint` wrote `path`.

        Nothing is drawn at random after the parameters, so their state needs no generator.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            No checkpoint of text, damaged, or of another text or other settings: the message names each.
        """
        state = read_checkpoint(path, "text")
        trainer = cls(text, settings)
        path = os.fsdecode(path)
        with malformed(path, "the cell or pylstm has changed since, or what it says"):
            trainer._restore(path, state)
        return trainer

    def _restore(self, path: str, state: dict[str, Any]) -> None:
        refuse_other(path, state["run"], self._identity())
        restore_parameters(self.model.params, state["params"])
        self.optimiser.load_state_dict(state["optimiser"])
        self._states = Entries(state["states"], "states").only(self.model.layer.cell.contract.states).value or None
        self.history = History.from_state(state["history"])
        self.seconds = Entries(state, "").number("seconds", 0)
        self._checkpoint = os.path.realpath(path)

    def _identity(self) -> dict[str, Any]:
        """What two runs must have in common, as it comes back from JSON."""
        cell = self.model.layer.cell
        settings = asdict(self.settings) | {"cell": name_of(cell), "dtype": self.model.layer.dtype.name}
        if settings["depth"] is None:
            del settings["depth"]  # as in checkpoints written before there was one
        text = {"text": hashlib.sha256(self.text.encode()).hexdigest()[:16], "characters": len(self.text)}
        return text | settings

    def _train_step(self) -> None:
        """Train on the next chunk."""
        step = self.step
        position = step % self.steps_per_epoch
        if position == 0:
            self._states = None
        inputs, targets, where = self.streams.window(position, self.settings.length, self.settings.depth)
        bits, grads, states = self.model.gradients(inputs, targets, self._states, where.next - where.start)
        norm = clip_by_norm(grads, self.settings.clip)
        lr = learning_rate(step, self.settings.lr)
        last = self.trace[-1] if self.trace else None
        refuse_divergence(step, bits, norm, lr, unit=" bits per character", last=last, params=self.model.params)
        self.optimiser.lr = lr
        self.optimiser.step(grads)
        self._states = states
        self.history.steps.append(bits)
        self.history.norms.append(norm)

    def validate(self, *, columns: int = 8) -> float:
        """Bits per character on the validation tail, read as `columns` streams, each from zero states."""
        return text_bits(self.model, self.validation_indices, columns=columns)

    def bigram(self) -> float:
        """Bits per character of a bigram model of the same training text on the same validation tail."""
        return bigram_bits(self.train_indices, self.validation_indices, len(self.vocabulary))


def text_bits(model: CharModel, indices: np.ndarray, *, columns: int = 8) -> float:
    """Bits per character of `model` on a text.

    Parameters
    ----------
    model : CharModel
    indices : ndarray of int, shape (N,)
        Of its vocabulary; at least two.
    columns : int
        The text is read as so many streams, each from zero states; as fewer where they had less than 100 characters.

    Returns
    -------
    float
        Mean over all characters but the first of each stream, and the N - 1 modulo `columns` at the end.

    Raises
    ------
    ValueError
        Fewer than two characters.
    """
    streams = Streams(indices, max(1, min(columns, (len(indices) - 1) // 100)))
    total, states = 0.0, None
    for inputs, targets in streams.chunks(256):
        bits, states = model.bits(inputs, targets, states)
        total += bits * inputs.size
    return total / streams.inputs.size
