"""`check_same`: whether what a file brings back is what was saved, for classes that are not pylstm's own."""

from __future__ import annotations

import functools
import json
import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pylstm.described import Layer
from pylstm.kinds import Wanted, describe
from pylstm.schema import Entries


def is_ours(cls: type) -> bool:
    """Whether a class is one of pylstm."""
    return cls.__module__.partition(".")[0] == "pylstm"


def members(layer: Any) -> Iterator[Any]:
    """A layer and those that it is made of, outermost first."""
    yield layer
    own = getattr(layer, "__dict__", {})
    several = own.get("layers")
    for each in (own.get("forward"), own.get("reverse"), *(several if isinstance(several, list | tuple) else ())):
        if isinstance(each, Layer):
            yield from members(each)


@contextmanager
def rehearsed() -> Iterator[None]:
    """Block in which constructors of a user's classes are called: they leave the numbers that are drawn later alone."""
    before = random.getstate(), np.random.get_state()
    try:
        yield
    except Exception as error:
        raise TypeError(f"save: load would fail: {type(error).__name__}: {error}") from error
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def check_same(saved: Any, made: Any, wanted: Wanted) -> None:
    """Refuse to save a layer of which `made`, built as `load` builds it, with its parameters, is not an equal.

    Raises
    ------
    TypeError
        Another description, an attribute that is lost or another.
    """
    for mine, other in zip(members(saved), members(made), strict=True):
        cls = type(mine)
        if (was := _description(mine)) != (now := _description(other)):
            entry = next(each for each in was | now if was.get(each) != now.get(each))
            raise TypeError(
                f"save: load would make {cls.__qualname__} with {entry}={now.get(entry)!r}, and it has "
                f"{was.get(entry)!r}: let its constructor have the defaults of its base"
            )
        theirs = [each for each in cls.__mro__ if not is_ours(each)]
        says_itself = any(name in vars(each) for each in theirs for name in ("describe", "arguments"))
        if not is_ours(cls) and not says_itself:
            said = {name: value for name, value in describe(mine).items() if name != "frozen"}
            says = Entries(json.loads(json.dumps(said)), "save")
            base: Any = next(each for each in cls.__mro__ if is_ours(each))
            with rehearsed():
                plain = base.planned(says, mine.params.dtype.name, wanted).make()
            check_attributes(mine, other, plain)


def check_attributes(saved: Any, made: Any, plain: Any) -> None:
    """Refuse to save an object of a user's class with attributes of its own that `made` lacks, or has otherwise.

    Parameters
    ----------
    saved, made : object
    plain : object
        Of the base that is pylstm's: what it has, the file holds, or each makes anew.
    """
    cls = type(saved)
    mine, other = _attributes(saved), _attributes(made)
    ignored = {*_attributes(plain), *getattr(cls, "transient", ())}
    members_of = {name: each for base in cls.__mro__ for name, each in vars(base).items()}
    ignored |= {name for name, each in members_of.items() if isinstance(each, functools.cached_property)}
    for name in (mine | other).keys() - ignored:
        if name not in mine or name not in other or not _equal(mine[name], other[name]):
            what = "another value" if name in mine and name in other else f"an object with{'out' * (name in mine)} it"
            raise TypeError(
                f"save: the file does not hold {name} of {cls.__qualname__}, and load would return {what}: make it an "
                f"attribute of the class; if nothing that is computed depends on it, say transient = ({name!r},) there"
            )


def _attributes(thing: Any) -> dict[str, Any]:
    """The instance's, by name, those in slots of a user's classes too."""
    found = dict(getattr(thing, "__dict__", {}))
    for cls in type(thing).__mro__:
        names = vars(cls).get("__slots__", ()) if not is_ours(cls) else ()
        for name in [names] if isinstance(names, str) else names:
            private = name.startswith("__") and not name.endswith("__")
            held = f"_{cls.__name__.lstrip('_')}{name}" if private else name
            if name not in ("__dict__", "__weakref__") and hasattr(thing, held):
                found[held] = getattr(thing, held)
    return found


def _equal(one: Any, other: Any) -> bool:
    """Whether pickles hold the same; what cannot be pickled is as its constructor made it, if it has the type."""
    if type(one) is not type(other):
        return False
    try:
        return one is other or _pickled(one) == _pickled(other)
    except Exception:  # whatever a class of the user's may raise
        return True


def _pickled(value: Any) -> bytes:
    return pickle.dumps(pickle.loads(pickle.dumps(value)))  # twice: what is the same object may differ at first


def _description(layer: Any) -> dict[str, Any]:
    """That of a file, its arguments among its entries; whether it is certified belongs to the process that loads it."""
    found: dict[str, Any] = json.loads(json.dumps(describe(layer)))
    found |= found.pop("arguments", {})
    for name in ("certified", "layers", "forward", "reverse", "probe"):  # members are compared by themselves
        found.pop(name, None)
    return found
