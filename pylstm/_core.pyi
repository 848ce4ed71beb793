from collections.abc import Sequence
from typing import Any

import numpy as np

from pylstm.engine.plan import Plan

_Arrays = Sequence[np.ndarray | None] | None

def aligned(workspace: Any) -> int: ...
def forward(
    layout: Plan,
    workspace: Any,
    flat: np.ndarray,
    x: np.ndarray,
    initial: _Arrays = None,
    aux: _Arrays = None,
    pre: _Arrays = None,
    reset: np.ndarray | None = None,
    blend: _Arrays = None,
    origin: _Arrays = None,
    packed: bool = False,
    order: np.ndarray | None = None,
) -> None: ...
def backward(
    layout: Plan,
    workspace: Any,
    dy: np.ndarray | None,
    dfinal: _Arrays,
    dstates: _Arrays,
    dflat: np.ndarray,
    dx: np.ndarray,
    dinitial: Sequence[np.ndarray],
    aux: _Arrays = None,
    pre: _Arrays = None,
    reset: np.ndarray | None = None,
    blend: _Arrays = None,
    origin: _Arrays = None,
    daux: _Arrays = None,
    dpre: _Arrays = None,
    dblend: _Arrays = None,
    dorigin: _Arrays = None,
    begin: bool = True,
    end: bool = True,
    order: np.ndarray | None = None,
) -> None: ...
