from typing import overload

import numpy as np
from numpy.typing import NDArray

def room(T: int, L: int, V: int) -> int: ...
@overload
def rows(
    logits: NDArray[np.float32],
    targets: NDArray[np.intp],
    which: NDArray[np.intp],
    steps: NDArray[np.intp],
    labels: NDArray[np.intp],
    blank: int,
    losses: NDArray[np.float64],
    dlogits: NDArray[np.float32],
    work: NDArray[np.float64],
) -> None: ...
@overload
def rows(
    logits: NDArray[np.float64],
    targets: NDArray[np.intp],
    which: NDArray[np.intp],
    steps: NDArray[np.intp],
    labels: NDArray[np.intp],
    blank: int,
    losses: NDArray[np.float64],
    dlogits: NDArray[np.float64],
    work: NDArray[np.float64],
) -> None: ...
