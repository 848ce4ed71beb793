"""`at_most`: Python code that may run for a limited number of calls and lines only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_COUNTED_BY_CALLS = ("pylstm.", "numpy.")
"""Packages whose functions count as one call: what loops is the code of a user."""


class _Ended(BaseException):
    """Not an `Exception`: the code that is ended does not handle it."""


@contextmanager
def at_most(steps: int, message: str) -> Iterator[None]:
    """Run the block, in this thread, for at most so many calls of Python functions and lines of a user's code.

    Raises
    ------
    ValueError
        With `message`: the block was ended.
    """
    taken = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal taken
        taken += event != "return"
        if taken > steps:
            raise _Ended
        return None if frame.f_globals.get("__name__", "").startswith(_COUNTED_BY_CALLS) else trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    except _Ended:
        pass
    finally:
        sys.settrace(before)
    if taken > steps:
        raise ValueError(message)
