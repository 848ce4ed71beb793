"""Pieces of messages: `with_article` of a noun, `converted`, the call that makes an array of another dtype."""

from __future__ import annotations

from typing import Any

import numpy as np


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
