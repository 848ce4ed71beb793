"""Training of a `CharModel` on one text: truncated BPTT with carried states, Adam, clipping by norm."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from pylstm.datasets import Vocabulary
from pylstm.training.baselines import bigram_bits
from pylstm.training.char_model import CharModel
from pylstm.training.clipping import clip_by_norm
from pylstm.training.interrupt import stop_on_interrupt
from pylstm.training.optimisers import Adam
from pylstm.training.settings import Budget, TextSettings, learning_rate
from pylstm.training.streams import Streams


class TrainingDiverged(FloatingPointError):
    """The loss or the gradient is no longer a finite number."""


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
    trace : list of float
        Bits per character of every chunk trained on, before its step.
    seconds : float
        Time spent in `run`.
    interrupted : bool
        Whether Ctrl-C ended `run`.

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
    trace: list[float] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

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
        self._optimiser = Adam(self.model.params, settings.lr, betas=(0.9, 0.99))
        self._states: dict[str, np.ndarray] | None = None
        self._chunks = self._endless_chunks()

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

    def run(self, budget: Budget, report: Callable[[TextTrainer], None] = lambda trainer: None) -> None:
        """Train until `budget` is used up, or Ctrl-C, calling `report` after every step.

        Raises
        ------
        TrainingDiverged
            The loss or the gradient is not finite; the parameters are those before that step.
        """
        start, before = time.perf_counter(), self.seconds
        total = budget.total_steps(self.steps_per_epoch)
        with stop_on_interrupt() as stopped:
            while not (self.interrupted or (total is not None and len(self.trace) >= total)):
                self.step()
                self.seconds = before + time.perf_counter() - start
                report(self)
                self.interrupted = stopped()
                if budget.minutes is not None and self.seconds >= 60 * budget.minutes:
                    return

    def step(self) -> float:
        """Train on the next chunk; the bits per character on it before the step."""
        step = len(self.trace)
        inputs, targets = next(self._chunks)
        bits, grads, self._states = self.model.gradients(inputs, targets, self._states)
        norm = clip_by_norm(grads, self.settings.clip)
        if not (math.isfinite(bits) and math.isfinite(norm)):
            last = f", {self.trace[-1]:.3f} the step before" if self.trace else ""
            raise TrainingDiverged(
                f"training diverged at step {step + 1}: loss {bits} bits per character{last}, norm of the gradient "
                f"{norm}, learning rate {learning_rate(step, self.settings.lr):.3g}: try a lower learning rate"
            )
        self._optimiser.lr = learning_rate(step, self.settings.lr)
        self._optimiser.step(grads)
        self.trace.append(bits)
        return bits

    def validate(self, *, columns: int = 8) -> float:
        """Bits per character on the validation tail, read as `columns` streams, each from zero states."""
        streams = Streams(self.validation_indices, max(1, min(columns, (len(self.validation_indices) - 1) // 100)))
        total, states = 0.0, None
        for inputs, targets in streams.chunks(256):
            bits, states = self.model.bits(inputs, targets, states)
            total += bits * inputs.size
        return total / streams.inputs.size

    def bigram(self) -> float:
        """Bits per character of a bigram model of the same training text on the same validation tail."""
        return bigram_bits(self.train_indices, self.validation_indices, len(self.vocabulary))

    def _endless_chunks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            self._states = None
            yield from self.streams.chunks(self.settings.length)
