"""`wrong_kind`: which argument of a call that failed is of another kind than its annotation says.

It is asked when a call has failed with Python's or NumPy's own words, so a call that succeeds pays nothing.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from collections.abc import Callable as CallableABC
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np

from pylstm.checks import quoted

_RAW = re.compile(
    "has no attribute|is not iterable|"
    "not supported between|unsupported operand|not subscriptable|object is not callable|"
    "has no len|object of type|unhashable|expected str, bytes|cannot unpack|values to unpack|indices must be|"
    "does not support|must be real number|has no callable|did not contain a loop|not supported for the input types|"
    "object cannot be interpreted|argument of type|issubclass|isinstance|index out of range|can only concatenate|"
    "could not convert|invalid literal|must be str, not|bad operand type|"
    "truth value of an array|setting an array element|Expected 2D array|cannot convert float"
)
_WORDS: dict[Any, tuple[Any, str]] = {
    int: (Integral, "an integer"),
    float: (Real, "a number"),
    str: (str, "a str"),
    bool: ((bool, np.bool_), "True or False"),
    type(None): (type(None), "None"),
}


def wrong_kind(
    function: Callable[..., Any], name: str, call: tuple[tuple[Any, ...], dict[str, Any]], error: Exception
) -> str | None:
    """What is wrong with an argument, in the words of pylstm; None where the error is not Python's, or all fit."""
    if not _RAW.search(str(error)):
        return None
    given, options = call
    bound = inspect.signature(function).bind(*given, **options)
    for argument, value in bound.arguments.items():
        parameter = bound.signature.parameters[argument]
        if argument in ("self", "cls") or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind = _evaluated(parameter.annotation, function)
        if not _fits(value, kind):
            words = " or ".join(dict.fromkeys(_words(kind)))
            return f"{name}: {argument} must be {words}, got {quoted(value)}"
    return None


def _evaluated(annotation: Any, function: Any) -> Any:
    """The type that an annotation names; `Any` where a name is there for type checkers alone."""
    if not isinstance(annotation, str):
        return Any if annotation is inspect.Parameter.empty else annotation
    space = vars(sys.modules[function.__module__]) if function.__module__ in sys.modules else {}
    try:
        return eval(annotation, {"ArrayLike": np.ndarray, "Numbers": np.ndarray} | space)  # of this package alone
    except (NameError, AttributeError, TypeError):
        return Any


def _fits(value: Any, kind: Any) -> bool:
    if isinstance(kind, str):
        return True
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return value in inner if isinstance(value, str | int | None) else False
    if (origin or kind) is np.ndarray:
        return _is_array(value)
    if origin is CallableABC or kind is CallableABC:
        return callable(value)
    kind = _WORDS[kind][0] if kind in _WORDS else origin or kind
    if kind in (float, Real) and isinstance(value, bool):
        return False
    try:
        return isinstance(value, kind) and not (isinstance(value, str) and not issubclass(str, kind))
    except TypeError:  # a protocol, a type variable
        return True


def _is_array(value: Any) -> bool:
    try:
        return np.asarray(value).dtype.kind in "biufc"
    except (TypeError, ValueError, RuntimeError):
        return False


def _words(kind: Any) -> Iterator[str]:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for each in inner:
            yield from _words(each)
    elif origin is Literal:
        yield f"one of {', '.join(map(repr, inner))}"
    elif (origin or kind) is np.ndarray:
        yield "an array of numbers"
    elif kind in _WORDS:
        yield _WORDS[kind][1]
    else:
        word = getattr(origin or kind, "__name__", str(kind))
        yield {"Callable": "a function", "Mapping": "a dict by name", "dict": "a dict", "PathLike": "a path"}.get(
            word, f"{'an' if word[0] in 'AEIOaeiou' else 'a'} {word}"
        )
