"""`check_same`: whether what a file brings back is what was saved, for classes that are not pylstm's own."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pylstm.described import Layer
from pylstm.kinds import describe

_Lock = type(threading.Lock())


def is_ours(cls: type) -> bool:
    """Whether a class is one of pylstm."""
    return cls.__module__.partition(".")[0] == "pylstm"


def members(layer: Any) -> Iterator[Any]:
    """A layer and those that it is made of, outermost first."""
    yield layer
    inner = [getattr(layer, name) for name in ("forward", "reverse") if isinstance(getattr(layer, name, None), Layer)]
    for each in [*inner, *getattr(layer, "layers", ())]:
        if isinstance(each, Layer):
            yield from members(each)


def check_same(saved: Any, made: Any) -> None:
    """Refuse to save a layer of which `made`, built as `load` builds it, is not an equal but for its parameters.

    Raises
    ------
    TypeError
        Another description, an attribute that is lost or another.
    """
    for mine, other in zip(members(saved), members(made), strict=True):
        name = type(mine).__qualname__
        if (was := _description(mine)) != (now := _description(other)):
            entry = next(each for each in was | now if was.get(each) != now.get(each))
            raise TypeError(
                f"save: load would make {name} with {entry}={now.get(entry)!r}, and it has {was.get(entry)!r}: give "
                "its constructor the defaults of its base"
            )
        if not is_ours(type(mine)):
            check_attributes(mine, other)


def check_attributes(saved: Any, made: Any) -> None:
    """Refuse to save an object of a user's class with attributes that `made` lacks, or has with other values."""
    found = _attributes(made)
    for name, value in _attributes(saved).items():
        if name not in found or not _equal(value, found[name]):
            raise TypeError(
                f"save: the file does not hold {name} of {type(saved).__qualname__}, and load would return "
                f"{'another value' if name in found else 'an object without it'}: make it an attribute of the class, "
                "or derive from pylstm.saving.Layer, with `arguments` and `shapes`"
            )


def _attributes(thing: Any) -> dict[str, Any]:
    """The instance's, by name; what pylstm's own classes need to run is left out."""
    slots = [name for cls in type(thing).__mro__ if not is_ours(cls) for name in _slots(cls)]
    found = {name: getattr(thing, name) for name in slots if hasattr(thing, name)} | getattr(thing, "__dict__", {})
    return {name: value for name, value in found.items() if not _is_ours_to_make(value)}


def _slots(cls: type) -> list[str]:
    names = vars(cls).get("__slots__", ())
    return [names] if isinstance(names, str) else [each for each in names if each not in ("__dict__", "__weakref__")]


def _is_ours_to_make(value: Any) -> bool:
    """An object of a class of pylstm, or several: parameters, layers, workspaces, which the description says."""
    cls = value if isinstance(value, type) else type(value)
    if isinstance(value, Layer | np.random.Generator | _Lock) or is_ours(cls) or hasattr(value, "contract"):
        return True
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return bool(inner) and all(map(_is_ours_to_make, inner))


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    try:
        if isinstance(one, np.ndarray):
            return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")
        return pickle.dumps(one) == pickle.dumps(other) or bool(one == other)
    except Exception:  # whatever a class of the user's may raise: then nobody knows
        return False


def _description(layer: Any) -> dict[str, Any]:
    """That of a file, its arguments among its entries; whether it is certified belongs to the process that loads it."""
    found: dict[str, Any] = json.loads(json.dumps(describe(layer)))
    found |= found.pop("arguments", {})
    for name in ("certified", "layers", "forward", "reverse", "probe"):  # members are compared by themselves
        found.pop(name, None)
    return found
