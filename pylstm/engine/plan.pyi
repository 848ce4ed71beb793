from collections.abc import Sequence
from typing import Any

import numpy as np

SOURCES: tuple[int, int, int]  # what a product reads: x, a state, an emission

class Core:
    def __init__(
        self,
        kernel: Any,
        itemsize: int,
        widths: Sequence[Sequence[int]],
        products: Sequence[Sequence[int]],
        bias: Sequence[Sequence[int]],
        params: Sequence[int],
        *,
        input_size: int,
        output: int,
        aux_x: int,
        n_parameters: int,
        elementwise: bool = False,
    ) -> None: ...
    def plan_now(
        self, T: int, B: int, taped: bool = ..., scaled: int = ..., blended: int = ..., threads: int = ...
    ) -> Plan: ...
    def plan(
        self,
        T: int,
        B: int,
        taped: bool = True,
        scaled: int = 0,
        blended: int = 0,
        threads: int = 1,
        chunk_back: int = 0,
        counts: np.ndarray | None = None,
    ) -> Plan: ...

class Plan:
    core: Core
    def __init__(
        self,
        layer: Core,
        T: int,
        B: int,
        taped: bool,
        scaled: int,
        blended: int,
        threads: int,
        chunk_back: int = 0,
        counts: np.ndarray | None = None,
    ) -> None: ...
    @property
    def apart(self) -> int: ...
    @property
    def chunk_back(self) -> int: ...
    @property
    def columns(self) -> bool: ...
    @property
    def units(self) -> bool: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def taped(self) -> bool: ...
    @property
    def threads(self) -> int: ...
    def offset(self, kind: str, k: int = 0) -> int: ...
    def final_offset(self, k: int) -> int: ...
    def parts(self, back: bool = False) -> list[tuple[int, int, int, list[list[tuple[int, int, int]]]]]: ...
