"""`TextSettings` of a training run on text. Light to import: the command line takes its defaults from here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pylstm.checks import Integer, check_number, check_positive, check_size
from pylstm.hints import explained_constructor
from pylstm.training.budget import Budget as Budget

WARMUP = 50
"""Steps over which the learning rate rises."""

HALF = 500
"""Steps after which it has fallen to 1/sqrt(2) of its peak."""


@explained_constructor
@dataclass(frozen=True)
class TextSettings:
    """Settings of `TextTrainer`.

    Attributes
    ----------
    cell : str or Cell subclass
    hidden_size, embedding_size : int
    batch_size : int
        Parallel streams, B.
    length : int
        Steps of a chunk, with one update: how far gradients go back.
    depth : int, optional
        Steps that gradients go back where these are more, at least `length`; see `truncated_bptt` (k1 is `length`).
    lr : float
        Peak learning rate, see `learning_rate`.
    clip : float
        Largest norm of the gradient.
    dtype : {"float32", "float64"}
    seed : int
    validation : float
        Share of the text, at its end, that is not trained on.

    Examples
    --------
    >>> from pylstm.text import TextSettings
    >>> TextSettings("gru", hidden_size=64).length
    64
    """

    cell: Any = "lstm"
    hidden_size: int = 256
    embedding_size: int = 64
    batch_size: int = 16
    length: int = 64
    lr: float = 6e-3
    clip: float = 1.0
    dtype: Any = "float32"
    seed: Integer = 0
    validation: float = 0.05
    depth: int | None = None

    def __post_init__(self) -> None:
        for name in ("hidden_size", "embedding_size", "batch_size", "length"):
            check_size(name, getattr(self, name))
        if self.depth is not None and self.depth < self.length:
            raise ValueError(f"depth must be at least length, {self.length}, got {self.depth}")
        if not 0 < check_number("validation", self.validation) < 1:
            raise ValueError(f"validation must be between 0 and 1, got {self.validation}")
        check_positive("lr", self.lr)


def learning_rate(step: int, peak: float) -> float:
    """Rate of step 0, 1, ...: rises in a line over `WARMUP` steps, then falls as the root of the step number.

    A function of the step alone, not of the budget: a longer run repeats a shorter one and continues.

    Examples
    --------
    >>> [round(learning_rate(step, 1.0), 3) for step in (0, 49, 1000, 3000)]
    [0.02, 0.954, 0.577, 0.378]
    """
    return peak * min(1.0, (step + 1) / WARMUP) / math.sqrt(1 + step / HALF)
