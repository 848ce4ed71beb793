"""`ArrayLike`, `Numbers`: what is taken for an array, for type checkers; unlike NumPy's, a text is neither."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np


class HasArray(Protocol):
    """An array, or what NumPy makes one of: a tensor, a data frame, a number of NumPy."""

    def __array__(self) -> np.ndarray[Any, Any]: ...


Row: TypeAlias = "HasArray | float"

ArrayLike: TypeAlias = "HasArray | Sequence[Row | Sequence[Row | Sequence[Row | Sequence[Row]]]]"
"""What has at least one axis."""

Numbers: TypeAlias = "ArrayLike | float"
