"""Data of a fit: several arrays or `Sequences` with the same number of rows, in memory or not."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from pylstm.checks import as_array
from pylstm.data.sequences import Sequences
from pylstm.data.stored import Stored, StoredSequences, lazily, read
from pylstm.described import Layer

Data = tuple[np.ndarray | Sequences | Stored, ...]
"""Arrays or sequences with the same number of rows."""


class Trains(Protocol):
    """What can be trained: a model, of pylstm or your own."""

    @property
    def params(self) -> Any: ...
    @property
    def gradients(self) -> Callable[..., Any]: ...


def check_model(model: Any) -> None:
    """`TypeError` for an object that cannot be trained."""
    if isinstance(model, type):
        raise TypeError(f"model must be an instance, {model.__name__}(...), got the class")
    if not callable(getattr(model, "gradients", None)) or not hasattr(model, "params"):
        layer = ": pylstm.SequenceModel.of(layer, output_size) puts a head on it" if isinstance(model, Layer) else ""
        raise TypeError(f"a model needs params and gradients(*batch), got {type(model).__name__}{layer}")


BATCHES = "pylstm.fit(model, (x, y), batch_size=32) makes the batches"


def check_data(name: str, data: Iterable[Any], *, whole: bool = False) -> Data:
    """`data` as arrays, or `Sequences` as they are, of the same number of rows; `Stored` where they lie elsewhere.

    Parameters
    ----------
    name : str
        What the message calls the data.
    data : tuple of arrays or Sequences
        Or what `stored` takes.
    whole : bool
        Whether to read all into memory.

    Raises
    ------
    TypeError
        One array rather than a tuple of them; batches, or pairs of rows.
    ValueError
        No array, no rows, or unequal numbers of them.
    """
    needed = f"{name} must be a tuple of arrays such as (x, y)"
    if isinstance(data, Sequences) or hasattr(data, "shape"):
        raise TypeError(f"{needed}, got one array: pylstm.fit(model, (x, y))")
    if isinstance(data, Mapping):
        names = ", ".join(f"{name}[{each!r}]" for each in list(data)[:2])
        raise TypeError(f"{needed}, got a dict: pylstm.fit(model, ({names}))")
    if not isinstance(data, tuple | list):
        raise TypeError(f"{needed}, got {type(data).__name__}: {BATCHES}")
    if any(_is_pair(each) for each in data):
        raise TypeError(f"{needed}, got a list of pairs: {BATCHES}")
    arrays = tuple(_rows(f"{name}[{number}]", each) for number, each in enumerate(data))
    if whole:
        arrays = tuple(map(read, arrays))
    rows = {each.shape[0] if each.shape else 0 for each in arrays}
    if len(rows) != 1 or 0 in rows:
        shapes = ", ".join(str(each.shape) for each in arrays)
        raise ValueError(f"{name} must be arrays with the same number of rows, at least one; got {shapes or 'none'}")
    return arrays


def _rows(name: str, value: Any) -> np.ndarray | Sequences | Stored:
    rows = lazily(value)
    return rows if isinstance(rows, Sequences | Stored) else as_array(name, rows)


def _is_pair(value: Any) -> bool:
    """Whether it holds x and y of one row, or of one batch, rather than the rows of one array."""
    return isinstance(value, tuple) and len(value) in (2, 3) and all(hasattr(each, "shape") for each in value)


def split(data: Data, validation: Any, seed: int) -> tuple[Data, Data | None]:
    """Data to train on and to validate: a share of the rows drawn with `seed`, or other data, or none.

    Raises
    ------
    TypeError, ValueError
        A share that leaves one of the two without rows; as `check_data`.

    Examples
    --------
    >>> train, validation = split((np.arange(10),), 0.3, 0)
    >>> len(train[0]), len(validation[0]), sorted([*train[0], *validation[0]]) == list(range(10))
    (7, 3, True)
    """
    if validation is None:
        return data, None
    if not isinstance(validation, (int, float)):
        if isinstance(validation, str):
            raise TypeError(f"validation must be a tuple of arrays such as (x, y), or a share, got {validation!r}")
        return data, check_data("validation", validation)
    rows = len(data[0])
    count = max(1, round(rows * validation)) if 0 < validation < 1 else 0
    if not 0 < count < rows:
        raise ValueError(f"validation must be a share between 0 and 1 of at least two rows, got {validation} of {rows}")
    order = np.random.default_rng([seed, 2**32]).permutation(rows)  # no epoch has this number
    held, kept = np.sort(order[:count]), np.sort(order[count:])
    return tuple(each[kept] for each in data), tuple(each[held] for each in data)


def check_batches(name: str, data: Data, model: Any, call: str) -> None:
    """Reject, before the first step, data that the model would reject in the middle of a fit.

    Parameters
    ----------
    name : str
        What the message calls the data.
    data : tuple of ndarray or Sequences
    model : object
        What ``check_batch(*data)`` raises, as `SequenceModel` has it, names the array and the row. Of a model without
        it only the number of arrays is looked at.
    call : {"gradients", "loss"}
        The method that takes the batches.

    Raises
    ------
    TypeError, ValueError
        The model does not have the method, or its method takes another number of arrays; as ``check_batch``.

    Notes
    -----
    Of arrays that are not in memory ``check_batch`` gets the first rows only. Those that the model names in
    ``judged_by_shape``, as it looks at their shapes only, are replaced by zeros that take no memory.
    """
    method = getattr(model, call, None)
    if not callable(method):
        raise TypeError(f"{name} needs a method {call}(*batch), which {type(model).__name__} does not have")
    try:
        signature = inspect.signature(method)
    except ValueError:  # of a compiled function
        return
    try:
        signature.bind(*data)
    except TypeError:
        wanted = ", ".join(signature.parameters)
        needed = ", ".join(each.name for each in signature.parameters.values() if each.default is each.empty)
        raise TypeError(
            f"{name} must be a tuple of arrays for {call}({wanted}), got {len(data)}: pass ({needed})"
        ) from None
    if not hasattr(model, "check_batch"):
        return
    names = list(signature.parameters)
    by_shape = [names.index(each) for each in getattr(model, "judged_by_shape", ()) if each in names]
    data = tuple(_stand_in(each) if k in by_shape else each for k, each in enumerate(data))
    if any(isinstance(each, Stored) for each in data):
        data = tuple(read(each[:FIRST]) for each in data)
    try:
        model.check_batch(*data)
    except (TypeError, ValueError) as error:
        first = re.split(r"\W", str(error), maxsplit=1)[0]
        where = f"{name}[{names.index(first)}]" if first in names else name
        raise type(error)(f"{where}: {error}") from None


FIRST = 32
"""Rows that are looked at before the first step, where not all are in memory."""


def _stand_in(each: Any) -> Any:
    """Zeros in the shape of `Stored` rows."""
    if not isinstance(each, Stored):
        return each
    zeros = np.broadcast_to(np.zeros((), each.dtype), each.shape)
    return Sequences(zeros, each.lengths) if isinstance(each, StoredSequences) else zeros


def batches_of(data: Data, size: int) -> Iterator[tuple[np.ndarray | Sequences, ...]]:
    """Pieces of at most `size` rows, in order, in memory."""
    for start in range(0, len(data[0]), size):
        yield tuple(read(each[start : start + size]) for each in data)


SAMPLED = 64
"""Rows that the digest of `Stored` ones looks at."""


def digest_of(data: Data) -> str:
    """Short digest of dtypes, shapes and values, to compare the data of two fits; of `Stored` rows of some of them."""
    import hashlib  # here: 4 ms of the import of pylstm

    digest = hashlib.sha256()
    for each in data:
        if isinstance(each, Stored):
            digest.update(f"{each.shape[0]} rows".encode())
            each = read(each[np.unique(np.linspace(0, len(each) - 1, SAMPLED).astype(np.intp))])
        digest.update(f"{each.dtype.str} {each.shape}\n".encode())
        if isinstance(each, Sequences):  # what is beyond the ends does not count
            digest.update(each.lengths.astype("<i8").tobytes())
        for row in each.rows() if isinstance(each, Sequences) else [each]:
            digest.update(np.ascontiguousarray(row).tobytes())
    return digest.hexdigest()[:16]
