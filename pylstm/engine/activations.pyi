from typing import overload

import numpy as np
from numpy.typing import NDArray

NAMES: tuple[str, ...]

@overload
def apply(name: str, x: NDArray[np.float32], out: NDArray[np.float32]) -> None: ...
@overload
def apply(name: str, x: NDArray[np.float64], out: NDArray[np.float64]) -> None: ...
