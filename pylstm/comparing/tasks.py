"""Tasks for comparing cells: batches, inputs and targets, and the loss to beat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pylstm.checks import check_size
from pylstm.hints import explained, explained_constructor

SYMBOLS, COPIED = 8, 8
"""Sizes of the copy task: different symbols, and how many are to be remembered."""


class Batch(NamedTuple):
    """Inputs (T, B, input_size), or indices (T, B) where the task has a vocabulary; targets of the last steps.

    Targets are (n, B) class indices or (n, B, output_size) numbers, for the last n steps; `carry`: the states of the
    batch before are the initial ones.
    """

    x: np.ndarray
    targets: np.ndarray
    carry: bool = False


@explained_constructor
@dataclass(frozen=True)
class Task:
    """A task.

    Attributes
    ----------
    name : str
    input_size, output_size : int
        Widths of what the recurrent layer reads and of the head. With a `vocabulary` the layer reads vectors.
    vocabulary : int
        Number of different indices; 0: the input is numbers.
    kind : {"classes", "numbers"}
        Mean cross-entropy in `unit`, or mean squared error.
    unit : str
        Of the loss.
    baseline : float
        Loss of the trivial solution `trivial`.
    trivial : str
    training : callable
        ``training(seed)`` yields batches without end; the same ones for the same seed.
    held_out : list of Batch
        Never trained on.

    Examples
    --------
    >>> from pylstm.comparing import adding
    >>> task = adding(20)
    >>> task.name, task.input_size, task.output_size, task.kind, round(task.baseline, 3)
    ('adding', 2, 1, 'numbers', 0.167)
    """

    name: str
    input_size: int
    output_size: int
    kind: str
    unit: str
    baseline: float
    trivial: str
    training: Callable[[int], Iterator[Batch]]
    held_out: list[Batch]
    vocabulary: int = 0


@explained()
def copy(length: int | None = None, *, batch_size: int = 32) -> Task:
    """Remember 8 symbols over `length` (30) blank steps, then repeat them.

    Notes
    -----
    Hochreiter & Schmidhuber (1997) and Arjovsky, Shah & Bengio (2016), with the loss on the repeated symbols only:
    a net that remembers nothing has a loss of log2(8) = 3 bits.

    Examples
    --------
    >>> task = copy(5)
    >>> batch = next(task.training(0))
    >>> batch.x.shape, batch.targets.shape
    ((21, 32, 10), (8, 32))
    """
    lag = _length(length, 30)

    def draw(rng: np.random.Generator, rows: int) -> Batch:
        symbols = rng.integers(SYMBOLS, size=(COPIED, rows))
        indices = np.full((COPIED + lag + COPIED, rows), SYMBOLS)  # a blank
        indices[:COPIED] = symbols
        indices[COPIED + lag - 1] = SYMBOLS + 1  # "now"
        return Batch(np.eye(SYMBOLS + 2)[indices], symbols)

    return Task(
        "copy", SYMBOLS + 2, SYMBOLS, "classes", "bits", float(np.log2(SYMBOLS)), "guessing", *_drawn(draw, batch_size)
    )


@explained()
def adding(length: int | None = None, *, batch_size: int = 32) -> Task:
    """Add the two marked ones of `length` (50) random numbers.

    Notes
    -----
    Hochreiter & Schmidhuber (1997), task 4. The numbers are uniform in 0..1, one marked in each half; the
    constant answer 1 has a mean squared error of 1/6.

    Examples
    --------
    >>> batch = next(adding(20).training(0))
    >>> batch.x.shape, batch.targets.shape, batch.x[..., 1].sum(axis=0)[:3]
    ((20, 32, 2), (1, 32, 1), array([2., 2., 2.]))
    """
    steps = _length(length, 50)
    if steps < 2:
        raise ValueError(f"the adding task needs at least 2 steps, got length {steps}")

    def draw(rng: np.random.Generator, rows: int) -> Batch:
        x = np.zeros((steps, rows, 2))
        x[..., 0] = rng.uniform(size=(steps, rows))
        first, second = rng.integers(steps // 2, size=rows), rng.integers(steps // 2, steps, size=rows)
        for marked in (first, second):
            x[marked, np.arange(rows), 1] = 1
        return Batch(x, (x[..., 0] * x[..., 1]).sum(axis=0)[None, :, None])

    return Task("adding", 2, 1, "numbers", "squared error", 1 / 6, "always the mean", *_drawn(draw, batch_size))


@explained()
def digits(length: int | None = None, *, batch_size: int = 32) -> Task:
    """Classify a handwritten digit, read pixel by pixel: 64 steps; scikit-learn's bundled 8 x 8 images.

    Raises
    ------
    ModuleNotFoundError
        scikit-learn is not installed.

    Examples
    --------
    >>> task = digits()
    >>> batch = next(task.training(0))
    >>> batch.x.shape, batch.targets.shape, task.output_size
    ((64, 32, 1), (1, 32), 10)
    """
    if length is not None:
        raise ValueError("the digits task has 64 steps, one for each pixel: leave length out")
    from pylstm.datasets.bundled import digit_images

    images, labels = digit_images()
    images, labels = images.reshape(-1, 64).T[:, :, None], labels[None]
    held = np.random.default_rng(0).permutation(labels.shape[1])
    train, validation = held[300:], held[:300]

    def training(seed: int) -> Iterator[Batch]:
        rng = np.random.default_rng(seed)
        while True:
            rows = rng.choice(train, batch_size, replace=False)
            yield Batch(images[:, rows], labels[:, rows])

    held_out = [Batch(images[:, validation], labels[:, validation])]
    return Task("digits", 1, 10, "classes", "bits", float(np.log2(10)), "guessing", training, held_out)


@explained()
def text(length: int | None = None, *, batch_size: int = 16, embedding_size: int = 32) -> Task:
    """Predict the next character of Python's manual topics, with truncated BPTT over `length` (64) steps.

    Examples
    --------
    >>> task = text(32)
    >>> first = next(task.training(0))
    >>> first.x.shape, first.targets.shape, task.vocabulary == task.output_size
    ((32, 16), (32, 16), True)
    """
    from pylstm.datasets import Vocabulary, manual_topics
    from pylstm.text.bigram import bigram_bits
    from pylstm.text.streams import Streams

    steps, characters = _length(length, 64), manual_topics()
    cut = len(characters) * 19 // 20
    vocabulary = Vocabulary.of(characters[:cut], min_count=2)
    train, validation = vocabulary.encode(characters[:cut]), vocabulary.encode(characters[cut:])
    baseline = bigram_bits(train, validation, len(vocabulary))

    def chunks(indices: np.ndarray, columns: int) -> Iterator[Batch]:
        for k, (x, targets) in enumerate(Streams(indices, columns).chunks(steps)):
            yield Batch(x, targets, carry=k > 0)

    def training(seed: int) -> Iterator[Batch]:
        start = np.random.default_rng(seed).integers(len(train))
        while True:
            yield from chunks(np.roll(train, -start), batch_size)

    held_out = list(chunks(validation, 8))
    size = len(vocabulary)
    return Task(
        "text", embedding_size, size, "classes", "bits", baseline, "a bigram model", training, held_out, vocabulary=size
    )


TASKS: dict[str, Callable[..., Task]] = {"copy": copy, "adding": adding, "digits": digits, "text": text}


def _length(length: int | None, default: int) -> int:
    if length is None:
        return default
    check_size("length", length)
    return length


def _drawn(draw: Callable[[Any, int], Batch], batch_size: int) -> tuple[Callable[[int], Iterator[Batch]], list[Batch]]:
    """Training batches and held-out ones of a task whose data are drawn."""

    def training(seed: int) -> Iterator[Batch]:
        rng = np.random.default_rng((1, seed))
        while True:
            yield draw(rng, batch_size)

    return training, [draw(np.random.default_rng((2, 0)), 256)]
