"""`Anchors`: what finite differences of forward can check of a declared derivative (`pylstm.cells.surrogates`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pylstm.cells import surrogates
from pylstm.cells.twin import call


class Anchors:
    """Calls of one forward: those after the first differ from it, where a derivative is declared, as that says.

    The values of the first call are held; rows of later calls are those of the first, once or several times over.
    """

    def __init__(self) -> None:
        self.held: list[tuple[Any, Any, Any]] = []
        self.at: int | None = None

    def call(self, function: Callable[..., dict[str, Any]], **spaces: dict[str, Any]) -> dict[str, Any]:
        """`pylstm.cells.twin.call` of forward."""
        token = surrogates.moved.set(self._moved)
        try:
            return call(function, **spaces)
        finally:
            self.at = 0
            surrogates.moved.reset(token)

    def _moved(self, x: Any, value: Any, derivative: Any) -> Any:
        """value0 + (x - x0) derivative0."""
        if self.at is None:
            self.held.append((x, value, derivative))
            return value
        x0, value0, slope = (_repeated(each, x) for each in self.held[self.at])
        self.at += 1
        return value0 + (x - x0) * slope


def _repeated(array: Any, like: Any) -> Any:
    """`array` with as many rows as `like`."""
    array = np.asarray(array)
    return array if array.ndim < 2 or len(array) in (1, len(like)) else np.tile(array, (len(like) // len(array), 1))
