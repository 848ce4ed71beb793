"""`TextTrainer`: trains a `CharModel` on one text, by truncated BPTT with carried states, Adam, clipping by norm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np

from pylstm.cells.contracts.options import name_of
from pylstm.datasets.text import Vocabulary, digest
from pylstm.hints import explained, explained_constructor
from pylstm.optim.optimisers import Adam
from pylstm.text.bigram import bigram_bits
from pylstm.text.char_model import CharModel
from pylstm.text.settings import Budget, TextSettings, learning_rate
from pylstm.text.streams import Streams
from pylstm.training.history import History
from pylstm.training.loop import Loop, Path
from pylstm.training.progress import Progress
from pylstm.training.sources import Source


class Chunks(Source):
    """Chunks of streams of text, each from the states that the one before has left; zeros at the first of an epoch.

    Parameters
    ----------
    streams : Streams
    settings : TextSettings
        `length` and `depth` of a chunk.
    """

    def __init__(self, streams: Streams, settings: TextSettings) -> None:
        self.streams, self.length, self.depth = streams, settings.length, settings.depth

    @property
    def per_epoch(self) -> int:
        """Chunks of one pass over the training text."""
        return self.streams.number_of_chunks(self.length)

    def gradients(self, model: CharModel, step: int, states: Any) -> tuple[float, Any, Any]:
        """``model.chunk`` of a chunk."""
        position = step % self.per_epoch
        inputs, targets, where = self.streams.window(position, self.length, self.depth)
        return model.chunk(inputs, targets, states if position else None, where.next - where.start)


@explained_constructor
class TextTrainer(Loop):
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

    Raises
    ------
    ValueError
        The text is too short for the batch size.

    Examples
    --------
    >>> trainer = TextTrainer("to be or not to be. " * 60, TextSettings(hidden_size=8, batch_size=4, length=16))
    >>> history = trainer.run(Budget(steps=3))
    >>> len(trainer.trace), history.stopped
    (3, 'budget')
    """

    task, unit = "text", " bits per character"

    source: Chunks

    def __init__(self, text: str, settings: TextSettings | None = None) -> None:
        self.text, self.settings = text, settings or TextSettings()
        settings = self.settings
        cut = len(text) - max(2, round(len(text) * settings.validation))
        if cut - 1 < settings.batch_size:
            raise ValueError(
                f"the text is too short: {len(text)} characters for {settings.batch_size} streams: lower the batch size"
            )
        self.vocabulary = Vocabulary.of(text[:cut], min_count=2)
        indices = self.vocabulary.encode(text, self.vocabulary.smallest)
        self.train_indices, self.validation_indices = indices[:cut], indices[cut:]
        self.streams = Streams(self.train_indices, settings.batch_size)
        sizes = {"embedding_size": settings.embedding_size, "dtype": settings.dtype, "seed": settings.seed}
        model = CharModel(self.vocabulary, settings.cell, settings.hidden_size, **sizes)
        super().__init__(
            model,
            Chunks(self.streams, settings),
            Adam(model.params, settings.lr, betas=(0.9, 0.99)),
            schedule=partial(learning_rate, peak=settings.lr),
            clip=settings.clip,
        )
        self.carried = model.layer.cell.contract.states

    @property
    def trace(self) -> list[float]:
        return self.history.steps

    @property
    def prompt(self) -> str:
        """The beginning of the validation tail, at most 200 characters: text that the model has not seen."""
        return self.vocabulary.decode(self.validation_indices[:200])

    @property
    def train_bits(self) -> float:
        """Mean bits per character of the last steps, at most 100 and at most an epoch."""
        return float(np.mean(self.trace[-min(100, self.source.per_epoch) :])) if self.trace else math.nan

    def run(
        self,
        budget: Budget,
        report: Callable[[TextTrainer], None] = lambda trainer: None,
        *,
        checkpoint: Path | None = None,
        every: float = 30.0,
        progress: Progress | bool | None = False,
    ) -> History:
        """Train until `budget` is used up, calling `report` after every step; the rest is as of `Trainer.run`.

        Parameters
        ----------
        budget : Budget
            For the whole run: a resumed one counts the steps and the time before.
        report : callable
        checkpoint : path, optional
            Written every `every` seconds, between two steps, and at the end; also where an exception ends the run. See
            `resume`.
        progress : bool or Progress, optional
            Whether to show a bar.

        Returns
        -------
        History

        Raises
        ------
        TrainingDiverged, OSError, ValueError
            As `Trainer.run`.
        """
        return self._run(budget, progress, checkpoint, every, report)

    @classmethod
    def resume(cls, path: Path, text: str, settings: TextSettings) -> TextTrainer:
        """A trainer as it was when `save_checkpoint` wrote `path`.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            No checkpoint of text, damaged, or of another text or other settings: the message names each.
        """
        trainer = cls(text, settings)
        trainer._resume(path)
        return trainer

    def _identity(self) -> dict[str, Any]:
        cell = self.model.layer.cell
        settings = asdict(self.settings) | {"cell": name_of(cell), "dtype": self.model.layer.dtype.name}
        text = {"text": digest(self.text), "characters": len(self.text)}
        return text | settings

    def validate(self, *, columns: int = 8) -> float:
        """Bits per character on the validation tail, as of `text_bits` with at most `SAMPLE` characters."""
        return text_bits(self.model, self.validation_indices, columns=columns, most=SAMPLE)

    def bigram(self) -> float:
        """Bits per character of a bigram model of the same training text on the same validation tail."""
        return bigram_bits(self.train_indices, self.validation_indices, len(self.vocabulary))


SAMPLE = 500_000
"""Characters that a validation reads: where their bits deviate by 2, the mean of so many does by 0.003."""


@explained()
def text_bits(model: CharModel, indices: np.ndarray, *, columns: int = 8, most: int | None = None) -> float:
    """Bits per character of `model` on a text.

    Parameters
    ----------
    model : CharModel
    indices : ndarray of int, shape (N,)
        Of its vocabulary; at least two.
    columns : int
        Streams that the text is read as, each from zero states; fewer where each would have less than 100 characters.
    most : int, optional
        Of a longer text about so many characters: the beginning of each of 64 streams.

    Returns
    -------
    float
        Mean over all characters that are read but the first of each stream.

    Raises
    ------
    ValueError
        Fewer than two characters.

    Examples
    --------
    >>> from pylstm.datasets import Vocabulary
    >>> from pylstm.text import CharModel
    >>> vocabulary = Vocabulary.of("abab")
    >>> model = CharModel(vocabulary, "gru", 4, embedding_size=2)
    >>> 1 < text_bits(model, vocabulary.encode("ab" * 100)) < 3
    True
    """
    enough = len(indices) if most is None else most
    part = len(indices) > enough
    streams = Streams(indices, 64 if part else max(1, min(columns, (len(indices) - 1) // 100)))
    total, read, states = 0.0, 0, None
    for inputs, targets in streams.chunks(256):
        bits, states = model.bits(inputs, targets, states)
        total, read = total + bits * inputs.size, read + inputs.size
        if read >= enough:
            break
    return total / read
