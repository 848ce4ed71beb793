"""`Setting`: a number of an optimiser, checked whenever it is set; and the checks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any, Generic, TypeVar, overload


def rate(name: str, value: Any) -> float:
    """A number of 0 or more, finite.

    Examples
    --------
    >>> rate("lr", float("nan"))
    Traceback (most recent call last):
    ...
    ValueError: lr must be 0 or more and finite, got nan
    """
    if not 0 <= _real(name, value) < math.inf:
        raise ValueError(f"{name} must be 0 or more and finite, got {value}")
    return float(value)


def positive(name: str, value: Any) -> float:
    """A number above 0, finite."""
    if not 0 < _real(name, value) < math.inf:
        raise ValueError(f"{name} must be above 0 and finite, got {value}")
    return float(value)


def share(name: str, value: Any) -> float:
    """A number in 0..1, below 1."""
    if not 0 <= _real(name, value) < 1:
        raise ValueError(f"{name} must be in 0..1 and below 1, got {value}")
    return float(value)


def two_shares(name: str, value: Any) -> tuple[float, float]:
    """Two numbers in 0..1, below 1, as a tuple."""
    values: tuple[Any, ...] = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    if len(values) != 2 or not all(
        isinstance(each, Real) and not isinstance(each, bool) and 0 <= float(each) < 1 for each in values
    ):
        raise ValueError(f"{name} must be two numbers in 0..1 and below 1, got {value!r}")
    return float(values[0]), float(values[1])


def check_count(name: str, value: Any) -> int:
    """An integer of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 0:
        raise ValueError(f"{name} must be an integer of 0 or more, got {value!r}")
    return int(value)


def as_real(name: str, value: Any) -> Any:
    """A number, or an array or tensor of one without axes, as a number."""
    return _real(name, value.item() if getattr(value, "ndim", 1) == 0 and hasattr(value, "item") else value)


def _real(name: str, value: Any) -> Any:
    if not isinstance(value, Real) or isinstance(value, bool):
        if hasattr(value, "step") and hasattr(value, "lr"):
            raise TypeError(
                f"{name} must be a number, got an optimiser: pass the rate, and the schedule to "
                "pylstm.fit(..., schedule=)"
            )
        schedule = "; a schedule is given to pylstm.fit(..., schedule=)" if name == "lr" and callable(value) else ""
        raise TypeError(f"{name} must be a number, got {value!r}{schedule}")
    return value


T = TypeVar("T")


class Setting(Generic[T]):
    """An attribute that holds what `check(name, value)` returns, whether the constructor sets it or a user later.

    Parameters
    ----------
    check : callable
        Returns the value to hold, or raises.

    Examples
    --------
    >>> class Step:
    ...     lr = Setting(rate)
    >>> step = Step(); step.lr = 1
    >>> step.lr
    1.0
    """

    def __init__(self, check: Callable[[str, Any], T]) -> None:
        self._check, self._name = check, ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...
    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        try:
            return instance.__dict__[self._name]
        except KeyError:
            raise AttributeError(f"{type(instance).__name__} has no {self._name} yet", name=self._name) from None

    def __set__(self, instance: Any, value: T) -> None:
        instance.__dict__[self._name] = self.checked(value)

    def checked(self, value: Any) -> T:
        """`value` as it would be stored; raises as setting it does."""
        return self._check(self._name, value)
