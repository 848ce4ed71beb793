"""Pieces of messages: `with_article` of a noun, `converted`, the call that makes another dtype; `ByName`, a dict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

import numpy as np


class ByName(dict[str, Any]):
    """Arrays by name; of a name that is not there it says which are."""

    def __missing__(self, name: Any) -> Any:
        raise KeyError(f"unknown name {name!r} (known: {', '.join(self) or 'none'})")

    if not TYPE_CHECKING:  # a checker reports what uses it

        def __getattr__(self, name: str) -> Never:
            cure = f': it is a dict, write ["{name}"]' if name in self else ""
            raise AttributeError(f"a dict of arrays by name has no attribute {name}{cure}", name=name, obj=self)


def with_article(noun: str) -> str:
    """A class's name with "a" or "an", as it is spoken.

    Examples
    --------
    >>> with_article("LSTM"), with_article("GRU"), with_article("Embedding"), with_article("Stack")
    ('an LSTM', 'a GRU', 'an Embedding', 'a Stack')
    """
    spelt = noun[:2].isupper()  # letter by letter
    return f"{'an' if noun[:1] in ('AEFHILMNORSX' if spelt else 'AEIOaeio') else 'a'} {noun}"


def converted(name: str, value: Any, dtype: str) -> str:
    """The call that makes an array of `dtype` of the argument `name`, which is an array or a list.

    Examples
    --------
    >>> converted("y", np.zeros(2), "int64"), converted("y", [0.0], "int64")
    ("y.astype('int64')", "np.asarray(y, dtype='int64')")
    """
    dtype = dtype if dtype == "bool" else repr(dtype)
    return f"{name}.astype({dtype})" if isinstance(value, np.ndarray) else f"np.asarray({name}, dtype={dtype})"
