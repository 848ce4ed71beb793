from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

_Hook = Callable[[dict[str, list[np.ndarray]]], None]

class Stage:
    def __init__(self, counts: Mapping[str, int], forward: _Hook, backward: _Hook) -> None: ...

class Kernel:
    capsule: Any
    def __init__(self, name: str, counts: Mapping[str, int], stages: Sequence[tuple[_Hook, _Hook]]) -> None: ...

def is_twin(capsule: Any) -> bool: ...
