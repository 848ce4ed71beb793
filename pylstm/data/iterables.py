"""`Batches`: data of a fit as an iterable of batches, such as a generator or a DataLoader of PyTorch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from pylstm.checks import as_array
from pylstm.data.batches import BATCHES
from pylstm.data.sequences import Sequences
from pylstm.data.stored import lazily, read

Batch = tuple[np.ndarray | Sequences, ...]


class Batches:
    """Batches of an iterable, again for every epoch.

    Parameters
    ----------
    name : str
        What messages call the data.
    given : iterable, or callable without arguments that returns one
        Of tuples or lists of what NumPy makes arrays of, `Sequences`, or paths of .npy files.

    Examples
    --------
    >>> batches = Batches("data", lambda: ((np.ones((2, 3)), np.ones(2)) for _ in range(2)))
    >>> [batch[0].shape for batch in batches], [len(batch) for batch in batches], batches.once
    ([(2, 3), (2, 3)], [2, 2], False)
    """

    def __init__(self, name: str, given: Any) -> None:
        self.name, self._given = name, given

    @property
    def once(self) -> bool:
        """Whether they can be read once only, as those of a generator."""
        return isinstance(self._given, Iterator)

    @property
    def count(self) -> int | None:
        """How many there are, where the iterable says it."""
        try:
            return len(self._given)
        except TypeError:  # no __len__, or, of a DataLoader, a data set without one
            return None

    def refuse_once(self, why: str) -> None:
        """Refuse what can be read once, where it is to be read again."""
        if self.once:
            kind = type(self._given).__name__
            raise ValueError(
                f"{self.name} can be read once, as it is a {kind}, but {why}: pass a function that makes it, such as "
                "lambda: batches(), or a list of the batches"
            )

    def __iter__(self) -> Iterator[Batch]:
        """The batches, copied: who makes them may use the memory again.

        Raises
        ------
        TypeError, ValueError
            What is not iterable, holds no batch, or no tuples of arrays with the same number of rows.
        """
        several = self._given() if callable(self._given) and not hasattr(self._given, "__iter__") else self._given
        if not hasattr(several, "__iter__"):
            raise TypeError(f"{self.name} must return an iterable of batches, got {type(several).__name__}")
        number = -1
        for number, each in enumerate(several):
            with in_batch(self.name, number):
                batch = _batch(each)
            yield batch
        if number < 0:
            raise ValueError(
                f"{self.name} holds no batch: of what can be read once, such as a generator, pass a function that "
                "makes it, or a list of the batches"
            )

    @property
    def kind(self) -> str:
        """What makes them, as a checkpoint says it."""
        return f"batches of {getattr(self._given, '__qualname__', type(self._given).__qualname__)}"

    def __repr__(self) -> str:
        return f"Batches({self.name!r}, {self._given!r})"


@contextmanager
def in_batch(name: str, number: int) -> Iterator[None]:
    """Block in which an error is one of the batch of that number: the message says so."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"{name}, batch {number}: {error}") from error


def _batch(given: Any) -> Batch:
    if isinstance(given, Mapping):
        names = ", ".join(f"batch[{each!r}]" for each in list(given)[:2])
        raise TypeError(f"a batch must be a tuple of arrays such as (x, y), got a dict: yield ({names})")
    if not isinstance(given, tuple | list):
        raise TypeError(f"a batch must be a tuple of arrays such as (x, y), got {type(given).__name__}")
    batch = tuple(map(_copied, range(len(given)), given))
    rows = {each.shape[0] if each.shape else 0 for each in batch}
    if len(rows) != 1 or 0 in rows:
        shapes = ", ".join(str(each.shape) for each in batch)
        raise TypeError(
            f"a batch must be arrays with the same number of rows, at least one, got {shapes or 'none'}: of single "
            f"rows {BATCHES}"
        )
    return batch


def _copied(number: int, each: Any) -> np.ndarray | Sequences:
    found = read(lazily(each))
    if isinstance(found, Sequences):
        return Sequences(found.padded.copy(), found.lengths)
    return np.array(as_array(f"[{number}]", found))


def is_batches(data: Any) -> bool:
    """Whether data of a fit are an iterable of batches, or a function that returns one, rather than arrays.

    Examples
    --------
    >>> x, y = np.zeros((2, 3)), np.zeros(2)
    >>> is_batches((x, y)), is_batches([x, y]), is_batches([(x, y), (x, y)]), is_batches(iter([(x, y)]))
    (False, False, True, True)
    """
    if isinstance(data, list):
        return bool(data) and all(isinstance(each, tuple) and each and all(map(_is_array, each)) for each in data)
    if isinstance(data, tuple | Mapping | str | bytes | os.PathLike | Sequences | type) or hasattr(data, "shape"):
        return False
    return hasattr(data, "__iter__") or callable(data)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") or isinstance(value, str | os.PathLike)
