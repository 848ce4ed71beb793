"""`SingleLayer`, `ComposedLayer`: what runs, streams and initialisers use of a layer, whose class they never import."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from pylstm.cells.cell import Cell
from pylstm.cells.widths import Widths
from pylstm.engine.memory import Workspaces
from pylstm.engine.plan import Core
from pylstm.parameters import Parameters


class SingleLayer(Protocol):
    """A layer of one cell, such as `pylstm.LSTM`."""

    cell: type[Cell]
    input_size: int
    hidden_size: int
    output_size: int
    widths: Widths
    dtype: np.dtype
    batch_first: bool
    learn_initial: tuple[str, ...]
    workspaces: Workspaces
    _core: Core

    @property
    def params(self) -> Parameters: ...

    def __call__(self, *arguments: Any, **options: Any) -> Any: ...

    def reset_parameters(self, seed: Any = None) -> None: ...

    def loop_weights(self) -> np.ndarray: ...

    def matrix(self, source: str) -> np.ndarray: ...

    def beside_tangent(self, params: bool, *, dx: bool | None = None) -> tuple[Any, Any]: ...


class ComposedLayer(Protocol):
    """A layer made of layers: a `pylstm.Stack` or a `pylstm.Bidirectional`."""

    parts: dict[str, Any]

    @property
    def params(self) -> Parameters: ...

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def batch_first(self) -> bool: ...

    @property
    def recurrents(self) -> list[Any]: ...

    @property
    def state_names(self) -> tuple[str, ...]: ...

    def __call__(self, *arguments: Any, **options: Any) -> Any: ...

    def pieces(self, flat: np.ndarray) -> list[np.ndarray]: ...


class TwoDirections(ComposedLayer, Protocol):
    """A `pylstm.Bidirectional`."""

    forward: Any
    reverse: Any
    output_size: int


class StackedLayers(ComposedLayer, Protocol):
    """A `pylstm.Stack`."""

    layers: list[Any]
    residual: tuple[bool, ...]

    @property
    def output_size(self) -> int: ...

    def dropped(self, y: np.ndarray) -> np.ndarray | None: ...
