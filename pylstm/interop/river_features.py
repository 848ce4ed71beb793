"""`Features`: the dicts of River as arrays, in one order of the names."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from pylstm.checks import Array, quoted


class Features:
    """The names that a net knows, each with its place.

    Attributes
    ----------
    names : tuple
        In the order of the inputs of the net.
    """

    def __init__(self, names: Iterable[Hashable], dtype: Any) -> None:
        self.names, self.dtype = tuple(names), np.dtype(dtype)
        self._place = {name: k for k, name in enumerate(self.names)}
        if len(self._place) < len(self.names) or not self.names:
            raise ValueError(f"features must be names that differ, one at least, got {list(self.names)!r}")

    def array(self, x: Mapping[Hashable, Any]) -> Array:
        """The input of a step: 0 where a name is absent.

        Raises
        ------
        TypeError, ValueError
            Not a dict; a name that is not known; a value that is not a finite number, or too large for the dtype.
        """
        check_row(x)
        found = np.zeros(len(self.names), self.dtype)
        for name, value in x.items():
            if name not in self._place:
                raise ValueError(
                    f"feature {name!r} is new, and the net has inputs for {list(self.names)!r} only: name all from the "
                    "beginning, features=[...], or select them with river.compose.Select before the model"
                )
            found[self._place[name]] = number(f"feature {name!r}", value, found.dtype)
        return found


def check_row(x: Any) -> None:
    """Raise TypeError for what is not a dict."""
    if not isinstance(x, Mapping):
        raise TypeError(f"x must be a dict of feature to number, got {type(x).__name__}")


def in_order(x: Mapping[Hashable, Any]) -> list[Hashable]:
    """The names of a row, sorted as text: the order in a dict does not count."""
    check_row(x)
    return sorted(x, key=lambda name: (str(name), type(name).__name__))


def number(what: str, value: Any, dtype: Any) -> float:
    """A finite number of the dtype.

    Raises
    ------
    TypeError, ValueError
    """
    encoder = "encode it with river.preprocessing.OneHotEncoder before the model"
    if isinstance(value, str | bytes) or not (value is None or hasattr(value, "__float__")):
        cure = f": {encoder}" if what != "y" else ""
        raise TypeError(f"{what} must be a number, got {value!r}{cure}")
    try:
        found = math.nan if value is None else float(value)
    except OverflowError:  # an int beyond float64
        raise ValueError(f"{what} is too large for float64, got {quoted(value)}: scale it") from None
    if math.isfinite(found) and abs(found) > float(np.finfo(dtype).max):
        raise ValueError(f"{what} is too large for {np.dtype(dtype)}, got {value!r}: scale it, or pass dtype='float64'")
    if not math.isfinite(found):
        cure = "fill it with river.preprocessing.StatImputer before the model" if what != "y" else "leave the step out"
        raise ValueError(f"{what} must be finite, got {value!r}: {cure}")
    return found
