from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.floating[Any]]

def gather(
    table: _Floats, indices: NDArray[np.intp], y: _Floats, shape: tuple[int, int, int], *, threads: int
) -> None: ...
def scatter(
    dy: _Floats, indices: NDArray[np.intp], dtable: _Floats, shape: tuple[int, int, int], *, threads: int
) -> None: ...
