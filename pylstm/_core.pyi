from typing import Any

import numpy as np

from pylstm.engine.plan import Plan

def aligned(workspace: Any) -> int: ...
def forward(
    layout: Plan,
    workspace: Any,
    flat: np.ndarray,
    x: np.ndarray,
    initial: Any,
    given: Any,
    *,
    packed: bool = False,
    again: bool = False,
    order: np.ndarray | None = None,
) -> None: ...
def holds(layout: Plan, workspace: Any, flat: np.ndarray) -> bool: ...
def backward(
    layout: Plan,
    workspace: Any,
    cotangents: tuple[Any, Any, Any],
    gradients: tuple[Any, Any, Any],
    given: Any,
    back: Any,
    *,
    begin: bool = True,
    end: bool = True,
    order: np.ndarray | None = None,
) -> None: ...
