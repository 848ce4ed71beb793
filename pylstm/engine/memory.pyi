import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

class Workspaces:
    def take(self, nbytes: int) -> Memory: ...
    def arrays(self, dtype: np.dtype[Any], *shapes: Sequence[int]) -> list[NDArray[Any]]: ...

class Memory:
    @property
    def nbytes(self) -> int: ...
    if sys.version_info >= (3, 12):
        def __buffer__(self, flags: int, /) -> memoryview: ...
