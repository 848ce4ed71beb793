from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.floating[Any]]

class Packed:
    def __new__(cls, weight: _Floats, bias: _Floats | None, rows: int = 1) -> Self: ...
    @property
    def rows(self) -> int: ...
    def __call__(self, x: _Floats, y: _Floats) -> _Floats: ...
    def windows(self, x: _Floats, y: _Floats, *, threads: int) -> _Floats: ...

def forward(
    x: _Floats,
    weight: _Floats,
    bias: _Floats | None,
    y: _Floats,
    shape: tuple[int, int, int],
    *,
    threads: int,
) -> None: ...
def backward(
    x: _Floats,
    weight: _Floats,
    dy: _Floats,
    dx: _Floats | None,
    dweight: _Floats,
    dbias: _Floats | None,
    shape: tuple[int, int, int],
    *,
    threads: int,
) -> None: ...
