from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.floating[Any]]

def cross_entropy(
    logits: _Floats,
    targets: NDArray[np.intp],
    weights: _Floats | None,
    losses: _Floats,
    dlogits: _Floats,
    shape: tuple[int, int],
    *,
    scale: float,
    smoothing: float,
    threads: int,
) -> None: ...
