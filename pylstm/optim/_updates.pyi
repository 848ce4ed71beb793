from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.floating[Any]]

def sum_of_squares(g: _Floats, *, threads: int) -> float: ...
def scale(p: _Floats, factor: float, *, threads: int) -> None: ...
def sgd(p: _Floats, g: _Floats, v: _Floats, *, lr: float, momentum: float, nesterov: bool, threads: int) -> None: ...
def adam(
    p: _Floats,
    g: _Floats,
    m: _Floats,
    v: _Floats,
    *,
    betas: tuple[float, float],
    rate: float,
    root: float,
    eps: float,
    keep: float,
    threads: int,
) -> None: ...
def rmsprop(
    p: _Floats,
    g: _Floats,
    v: _Floats,
    u: _Floats,
    *,
    lr: float,
    alpha: float,
    momentum: float,
    eps: float,
    threads: int,
) -> None: ...
