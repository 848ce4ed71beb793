"""`Entries`: what a file says, checked entry by entry, so that refusals name it; `check_storable`, before saving."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

import numpy as np

MOST = 2**40
"""Largest integer that a size or a count in a file may be."""


class Entries:
    """An object of a JSON header.

    Parameters
    ----------
    value : dict
        Of JSON.
    where : str
        Its place, for messages: ``"metadata.net"``.

    Raises
    ------
    ValueError
        Not an object; each method: an entry that is missing or is not what it must be.

    Examples
    --------
    >>> entries = Entries({"units": 3, "scale": [1.0, -2.0]}, "metadata")
    >>> entries.integer("units")
    3
    >>> entries.array("scale", (2,), positive=True)
    Traceback (most recent call last):
    ValueError: metadata.scale must be above 0, holds -2.0
    """

    def __init__(self, value: Any, where: str) -> None:
        self.where = where
        if not isinstance(value, Mapping):
            self.refuse("must be an object", value)
        self.value: Any = value

    def refuse(self, what: str, got: Any, name: str = "") -> NoReturn:
        """`ValueError` about the object, or its entry `name`."""
        text = repr(got)
        raise ValueError(f"{self._place(name)} {what}, got {text if len(text) <= 60 else text[:57] + '...'}")

    def _place(self, name: str) -> str:
        return ".".join(filter(None, (self.where, name if len(name) <= 60 else name[:57] + "..."))) or "the header"

    def get(self, name: str) -> Any:
        """An entry of any kind."""
        if name not in self.value:
            raise ValueError(f"{self._place(name)} is missing")
        return self.value[name]

    def only(self, names: Iterable[str]) -> Entries:
        """Refuse every entry that is not in `names`; returns the object."""
        names = list(names)
        for name in self.value:
            if name not in names:
                raise ValueError(f"{self._place(name)} is unknown (known: {', '.join(names) or 'none'})")
        return self

    def entries(self, name: str) -> Entries:
        """An object."""
        return Entries(self.get(name), self._place(name))

    def text(self, name: str, among: Iterable[str] | None = None) -> str:
        """A text, one of `among`."""
        value = self.get(name)
        if not isinstance(value, str):
            self.refuse("must be a text", value, name)
        if among is not None and value not in (known := list(among)):
            self.refuse(f"must be one of {', '.join(known)}", value, name)
        return value

    def flag(self, name: str) -> bool:
        """True or False."""
        value = self.get(name)
        if not isinstance(value, bool):
            self.refuse("must be true or false", value, name)
        return value

    def integer(self, name: str, low: int = 1) -> int:
        """An integer of at least `low`."""
        value = self.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= MOST:
            most = " and at most 2**40" if isinstance(value, int) and value > MOST else ""
            self.refuse(f"must be an integer of at least {low}{most}", value, name)
        return value

    def number(self, name: str, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number from `low` to `high`."""
        value = self.get(name)
        if not is_number(value) or not low <= value <= high:
            bounds = "" if (low, high) == (-math.inf, math.inf) else f" in {low}..{high}"
            self.refuse(f"must be a finite number{bounds}", value, name)
        found: float = value
        return found

    def list(self, name: str, kind: type | tuple[type, ...] = object) -> list[Any]:
        """A list of values of one type."""
        value = self.get(name)
        if not isinstance(value, list):
            self.refuse("must be a list", value, name)
        for each in value:
            if not isinstance(each, kind) or (isinstance(each, bool) and kind not in (bool, object)):
                kinds = kind if isinstance(kind, tuple) else (kind,)
                self.refuse(f"must hold {' or '.join(k.__name__ for k in kinds)} only", each, name)
        return value

    def array(self, name: str, shape: tuple[int | None, ...], *, positive: bool = False) -> np.ndarray:
        """Nested lists of finite numbers as a float64 array; None in `shape` is an axis of any size."""
        return as_array(self.get(name), shape, self._place(name), positive=positive)


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a finite number (NaN and Infinity are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1.7976931348623157e308


def as_array(value: Any, shape: tuple[int | None, ...], where: str, *, positive: bool = False) -> np.ndarray:
    """`value`, nested lists of finite numbers, as a float64 array of this shape; an empty list has every shape of 0."""
    text = f"({', '.join('any' if n is None else str(n) for n in shape)})"
    try:
        array = np.array(value if _only_numbers(value, len(shape)) else None, "f8")
    except (ValueError, TypeError, OverflowError):
        array = np.array(None)
    if isinstance(value, list) and array.size == 0:
        array = np.zeros([len(value) if n is None else n for n in shape]) if _fits_empty(value, shape) else array
    fits = array.ndim == len(shape) and all(n in (None, m) for n, m in zip(shape, array.shape))
    if array.dtype.kind not in "iuf" or not fits:
        raise ValueError(f"{where} must be numbers of shape {text}")
    if not np.isfinite(array).all():
        raise ValueError(f"{where} must be finite, holds {array[~np.isfinite(array)][0]}")
    if positive and not (array > 0).all():
        raise ValueError(f"{where} must be above 0, holds {array[~(array > 0)][0]}")
    return array


def _only_numbers(value: Any, depth: int) -> bool:
    """Whether `value` is lists of this depth that hold numbers: what NumPy may be given without a surprise."""
    if depth == 0:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, list) and all(_only_numbers(each, depth - 1) for each in value)


def _fits_empty(value: list[Any], shape: tuple[int | None, ...]) -> bool:
    """Whether there is a shape without elements for lists that have none."""
    return 0 in [len(value) if n is None else n for n in shape] and shape[0] in (None, len(value))


STORABLE = "a dict with texts as keys, a list, a text, a finite number, true, false or None"
CURES = {"set": "sorted(...)", "frozenset": "sorted(...)", "ndarray": ".tolist()", "bytes": ".decode()"}
"""Conversions of types that JSON does not have."""


def check_storable(value: Any, where: str) -> None:
    """`TypeError` with the place of what JSON cannot hold, or gives back as something else; tuples become lists."""
    try:
        _check_storable(value, where)
    except RecursionError:
        raise TypeError(f"{where} is too deep, or holds itself") from None


def _check_storable(value: Any, where: str) -> None:
    if isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{where} must have texts as keys, got {key!r}: convert them, or store a list of pairs")
            _check_storable(each, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            _check_storable(each, f"{where}[{number}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"{where} must be finite, got {value}: store None or a text")
    elif not (value is None or isinstance(value, str | int | float)):
        kind = type(value).__name__
        cure = CURES.get(kind, ".item()" if isinstance(value, np.generic) else "")
        raise TypeError(f"{where} must be {STORABLE}, got {kind}" + (f": {cure} makes one" if cure else ""))


def set_state(rng: np.random.Generator, state: Any, where: str) -> None:
    """Set the state of a generator; `ValueError` where it is not one."""
    try:
        rng.bit_generator.state = state
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise ValueError(
            f"{where} is not the state of a {type(rng.bit_generator).__name__} generator ({error})"
        ) from None


class UnknownCell(LookupError):
    """A file needs a cell that is not registered."""


@contextlib.contextmanager
def malformed(path: str, what: str = "what the file says") -> Iterator[None]:
    """Turn every error of a malformed file into a `ValueError` with its path; our own messages get the path too."""
    try:
        yield
    except UnknownCell as error:
        raise LookupError(f"{path}: {error}") from None
    except ValueError as error:
        text = str(error)
        raise ValueError(text if text.startswith(f"{path}: ") else f"{path}: {text}") from None
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, AssertionError) as error:
        raise ValueError(f"{path}: {what} cannot be used ({type(error).__name__}: {error})") from None
